/* The environment: configuration, arguments, the graph being built. */
#include "api/api.h"
#include "api/substitute.h"
#include "base/config.h"
#include "base/params.h"
#include "base/units.h"

#include <stdio.h>

static void apply_config(fl_env *env)
{
    const fl__config *config = env->config;
    fl__graph *graph = &env->graph;
    if (!env->parallelism_set)
        graph->default_parallelism = (int)fl__config_int(config, FL__OPTION_PARALLELISM_DEFAULT);
    if (!env->max_parallelism_set) {
        int64_t max = fl__config_int(config, FL__OPTION_PIPELINE_MAX_PARALLELISM);
        graph->default_max_parallelism = max > 0 ? (int)max : 0;
    }
    graph->chaining_enabled = fl__config_bool(config, FL__OPTION_PIPELINE_OPERATOR_CHAINING);
    env->auto_watermark_interval_ms = fl__config_duration_ms(config, FL__OPTION_PIPELINE_AUTO_WATERMARK_INTERVAL);
    env->watermark_records = (uint64_t)fl__config_int(config, FL__OPTION_WATERMARK_RECORDS);
    env->held_warning_ms = fl__config_duration_ms(config, FL__OPTION_HELD_WARNING);
    if (!env->buffer_timeout_set)
        env->buffer_timeout_ms = fl__config_bool(config, FL__OPTION_EXECUTION_BUFFER_TIMEOUT_ENABLED)
                                     ? fl__config_duration_ms(config, FL__OPTION_EXECUTION_BUFFER_TIMEOUT)
                                     : -1;
    env->segment_size = (uint32_t)fl__config_memory(config, FL__OPTION_SEGMENT_SIZE);
    env->record_bytes_max = fl__config_memory(config, FL__OPTION_RECORD_BYTES_MAX);
    graph->mode =
        (fl_runtime_mode)fl__config_enum(config, FL__OPTION_EXECUTION_RUNTIME_MODE); /* choices in its order */
    env->managed_memory = fl__config_memory(config, FL__OPTION_MANAGED_MEMORY_SIZE);
    env->tmp_folders = fl__config_text(config, FL__OPTION_IO_TMP_DIRS);
    graph->is_pipelined = fl__config_enum(config, FL__OPTION_BATCH_SHUFFLE_MODE) == 1;
}

fl_env *fl_env_new(int argc, char **argv)
{
    fl_env *env = fl__alloc_zero(NULL, sizeof *env);
    fl__memory_init(&env->memory, "environment", &fl__memory_process, 0);
    fl__arena_init(&env->arena, &env->memory);
    fl__graph_init(&env->graph, &env->arena, &env->error);
    env->config = fl__config_new();
    env->params = fl__params_new(argc > 0 ? argc - 1 : 0, argc > 0 ? argv + 1 : NULL, &env->error);
    apply_config(env);
    return env;
}

void fl__env_new_graph(fl_env *env)
{
    int parallelism = env->graph.default_parallelism, max_parallelism = env->graph.default_max_parallelism;
    fl__slot_group *slot_groups = env->graph.slot_groups;
    fl__graph_init(&env->graph, &env->arena, &env->error);
    env->graph.slot_groups = slot_groups;
    env->graph.default_parallelism = parallelism;
    env->graph.default_max_parallelism = max_parallelism;
    env->is_executed = false;
    apply_config(env);
}

typedef struct fl__at_free {
    void (*f)(void *arg);
    void *arg;
    struct fl__at_free *next;
} fl__at_free;

void fl__env_at_free(fl_env *env, void (*f)(void *arg), void *arg)
{
    fl__at_free *entry = fl__env_alloc(env, sizeof *entry);
    *entry = (fl__at_free){ f, arg, env->at_free };
    env->at_free = entry;
}

void fl_env_free(fl_env *env)
{
    if (!env)
        return;
    for (const fl__at_free *entry = env->at_free; entry; entry = entry->next)
        entry->f(entry->arg);
    fl__substitutions_release(env);
    fl__arena_release(&env->arena);
    fl__config_free(env->config);
    fl__params_free(env->params);
    fl__error_release(&env->error);
    free(env->error_text);
    fl__free(NULL, env, sizeof *env);
}

void fl__env_configure(fl_env *env, const fl__config *config)
{
    fl__config_merge(env->config, config);
    apply_config(env);
}

void fl__set(fl_env *env, const char *key, const char *value, fl_where where)
{
    fl_error error = FL_ERROR_INIT;
    if (env->client) {
        fl__stream_error(env, where, "fl_set: job \"%s\" of this environment is running; set %s before it is executed",
            env->job_name, key);
        return;
    }
    if (fl__config_set(env->config, key, value, &error) != FL_OK) {
        error.where = where;
        fl__error_move(&env->error, &error);
        return;
    }
    apply_config(env);
}

const char *fl_get_option(const fl_env *env, const char *key)
{
    return fl__config_get(env->config, key);
}

void fl__set_runtime_mode(fl_env *env, fl_runtime_mode mode, fl_where where)
{
    static const char *const names[] = { "STREAMING", "BATCH", "AUTOMATIC" };
    if ((unsigned)mode >= sizeof names / sizeof names[0]) {
        fl__stream_error(
            env, where, "fl_set_runtime_mode: %d is no mode; it must be FL_STREAMING, FL_BATCH or FL_AUTOMATIC", mode);
        return;
    }
    fl__set(env, "execution.runtime-mode", names[mode], where);
}

void fl__set_parallelism(fl_env *env, int n, fl_where where)
{
    if (n < 1 || n > FL__MAX_PARALLELISM) {
        fl__stream_error(
            env, where, "fl_set_parallelism: parallelism is %d; it must be 1 to %d", n, FL__MAX_PARALLELISM);
        return;
    }
    env->parallelism_set = true;
    env->graph.default_parallelism = n;
}

void fl__set_max_parallelism(fl_env *env, int n, fl_where where)
{
    if (n < 1 || n > FL__MAX_PARALLELISM) {
        fl__stream_error(
            env, where, "fl_set_max_parallelism: max parallelism is %d; it must be 1 to %d", n, FL__MAX_PARALLELISM);
        return;
    }
    env->max_parallelism_set = true;
    env->graph.default_max_parallelism = n;
}

static bool slot_memory(fl_env *env, const char *what, const char *text, int64_t *bytes, fl_where where)
{
    *bytes = 0;
    if (!text || fl__parse_memory(text, bytes))
        return true;
    fl__stream_error(env, where, "fl_slot_sharing_group: %s is \"%s\"; give a size such as 512m", what, text);
    return false;
}

/* Flink's SlotSharingGroup.Builder: without any resource the group's are unknown; else cores and heap must be there. */
static bool are_resources_wrong(fl_env *env, const fl__slot_group *group)
{
    if (group->cpu_cores > 0 && group->heap_bytes > 0)
        return false;
    if (group->cpu_cores == 0 && group->heap_bytes == 0 && group->off_heap_bytes == 0 && group->managed_bytes == 0)
        return false;
    fl__stream_error(env, group->where,
        "fl_slot_sharing_group: group \"%s\" needs both .cpu_cores and .heap_memory, above 0, when it says "
        "anything about "
        "its resources",
        group->name);
    return true;
}

void fl__slot_sharing_group(fl_env *env, const char *name, fl_where where, const fl_slot_resources *resources)
{
    if (!name || !*name) {
        fl__stream_error(env, where, "fl_slot_sharing_group: the group has no name");
        return;
    }
    fl__slot_group group = {
        .name = fl__arena_strdup(&env->arena, name), .cpu_cores = resources->cpu_cores, .where = where
    };
    if (!slot_memory(env, ".heap_memory", resources->heap_memory, &group.heap_bytes, where) ||
        !slot_memory(env, ".off_heap_memory", resources->off_heap_memory, &group.off_heap_bytes, where) ||
        !slot_memory(env, ".managed_memory", resources->managed_memory, &group.managed_bytes, where) ||
        are_resources_wrong(env, &group))
        return;
    fl__slot_group **end = &env->graph.slot_groups;
    for (; *end; end = &(*end)->next) {
        const fl__slot_group *other = *end;
        if (strcmp(other->name, name) != 0)
            continue;
        if (other->cpu_cores != group.cpu_cores || other->heap_bytes != group.heap_bytes ||
            other->off_heap_bytes != group.off_heap_bytes || other->managed_bytes != group.managed_bytes)
            fl__stream_error(env, where, "fl_slot_sharing_group: group \"%s\" was given other resources before (%s:%d)",
                name, other->where.file ? other->where.file : "?", other->where.line);
        return;
    }
    if (group.cpu_cores > 0)
        *end = fl__arena_memdup(&env->arena, &group, sizeof group);
}

void fl_set_buffer_timeout(fl_env *env, int64_t ms)
{
    env->buffer_timeout_set = true;
    env->buffer_timeout_ms = ms < 0 ? -1 : ms;
}

/* ---- job arguments ---- */

const char *fl_param(fl_env *env, const char *name, const char *default_value)
{
    return fl__params_get(env->params, name, default_value);
}

int64_t fl_param_int(fl_env *env, const char *name, int64_t default_value)
{
    int64_t value = default_value;
    return fl__params_int(env->params, name, default_value, &value, &env->error) == FL_OK ? value : default_value;
}

double fl_param_double(fl_env *env, const char *name, double default_value)
{
    double value = default_value;
    return fl__params_double(env->params, name, default_value, &value, &env->error) == FL_OK ? value : default_value;
}

bool fl_param_bool(fl_env *env, const char *name, bool default_value)
{
    bool value = default_value;
    return fl__params_bool(env->params, name, default_value, &value, &env->error) == FL_OK ? value : default_value;
}

bool fl_param_has(fl_env *env, const char *name)
{
    return fl__params_has(env->params, name);
}

/* ---- what came of it ---- */

const char *fl_env_error(const fl_env *env)
{
    fl_env *self = (fl_env *)(uintptr_t)env;
    free(self->error_text);
    self->error_text = NULL;
    const fl_error *error = &env->error;
    if (error->status == FL_OK)
        return "";
    int n = error->where.file
                ? asprintf(&self->error_text, "%s:%d: %s", error->where.file, error->where.line, error->text)
                : asprintf(&self->error_text, "%s", error->text);
    return n < 0 ? "out of memory" : self->error_text;
}

char *fl_plan_json(fl_env *env)
{
    return fl__graph_chain(&env->graph) == FL_OK ? fl__graph_json(&env->graph, env->job_name) : NULL;
}

char *fl_plan_text(fl_env *env)
{
    return fl__graph_chain(&env->graph) == FL_OK ? fl__graph_text(&env->graph, env->job_name) : NULL;
}
