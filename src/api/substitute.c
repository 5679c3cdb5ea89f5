#include "api/substitute.h"

void fl__substitution_add(fl_env *env, fl__substitution *substitution)
{
    substitution->next = env->substitutions;
    env->substitutions = substitution;
}

static const char *name_of(const fl__new_operator *what)
{
    if (what->options && what->options->name)
        return what->options->name;
    return what->default_name ? what->default_name : what->class->kind;
}

static fl__substitution *find(fl_env *env, const fl__new_operator *what, bool is_source)
{
    const char *uid = what->options ? what->options->uid : NULL, *name = name_of(what);
    for (fl__substitution *s = env->substitutions; s; s = s->next) {
        if (s->is_source == is_source && ((uid && strcmp(uid, s->name) == 0) || strcmp(name, s->name) == 0))
            return s;
    }
    return NULL;
}

const fl__new_operator *fl__substitute(
    fl_env *env, const fl__new_operator *what, const fl_type *type, bool is_source, fl__new_operator *instead)
{
    fl__substitution *s = env->substitutions ? find(env, what, is_source) : NULL;
    if (!s)
        return what;
    s->is_used = true;
    if (!fl_type_equal(s->type, type)) {
        fl__stream_error(env, s->where, "the test has rows of type %s for %s \"%s\", but the program's are of type %s",
            s->type->name, is_source ? "source" : "sink", s->name, type->name);
        return what;
    }
    /* The name, uid, parallelism and chaining are the program's; what belongs to its function goes. */
    fl_options *options = fl__env_alloc(env, sizeof *options);
    if (what->options)
        *options = *what->options;
    options->arg = NULL;
    options->instance_size = 0;
    options->open = options->close = NULL;
    options->on_timer = NULL;
    memset(options->states, 0, sizeof options->states);
    *instead = (fl__new_operator){
        .class = s->class,
        .out = what->out,
        .options = options,
        .default_name = name_of(what),
        .config = s->config,
        .not_parallel = what->not_parallel,
        .emits_timestamps = s->has_timestamps,
    };
    return instead;
}

/* `"a", "b"`: names of the program's sources or sinks, and uids where there are any. */
static const char *names(fl_env *env, bool sources)
{
    const char *list = "none";
    for (const fl__node *node = env->graph.nodes; node; node = node->next) {
        if (sources ? !node->is_source : node->spec.out != NULL)
            continue;
        const char *one = fl__arena_printf(&env->arena, "\"%s\"", node->spec.name);
        if (node->spec.uid)
            one = fl__arena_printf(&env->arena, "%s (uid \"%s\")", one, node->spec.uid);
        list = strcmp(list, "none") == 0 ? one : fl__arena_printf(&env->arena, "%s, %s", list, one);
    }
    return list;
}

fl_status fl__substitutions_check(fl_env *env)
{
    for (const fl__substitution *s = env->substitutions; s; s = s->next) {
        if (!s->is_used)
            return fl__error_set_at(&env->error, FL_ERROR_INVALID, s->where,
                "the program has no %s with name or uid \"%s\"; it has: %s", s->is_source ? "source" : "sink", s->name,
                names(env, s->is_source));
    }
    return FL_OK;
}

void fl__substitutions_release(fl_env *env)
{
    for (fl__substitution *s = env->substitutions, *next; s; s = next) {
        next = s->next;
        if (s->release)
            s->release(s);
    }
    env->substitutions = NULL;
}
