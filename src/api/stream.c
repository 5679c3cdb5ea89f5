/* Streams and the operators that need nothing but the graph: transformations, partitioning, aggregations. */
#include "api/api.h"
#include "api/substitute.h"
#include "api/window_internal.h"
#include "base/config.h"
#include "operators/process.h"
#include "operators/record.h"
#include "stream/alignment.h"

#include <stdarg.h>
#include <stdio.h>

/* Flink's default. */
#define ALIGNMENT_INTERVAL_MS 1000

/* ---- streams ---- */

void *fl__env_alloc(fl_env *env, size_t size)
{
    return fl__arena_alloc(&env->arena, size);
}

fl_stream *fl__stream_copy(const fl_stream *s)
{
    return fl__arena_memdup(&s->env->arena, s, sizeof *s);
}

static fl_stream *failed_stream(fl_env *env)
{
    fl_stream *s = fl__env_alloc(env, sizeof *s);
    s->env = env;
    s->kind = FL__STREAM_PLAIN;
    return s;
}

fl_stream *fl__stream_error(fl_env *env, fl_where where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    fl__error_set_at(&env->error, FL_ERROR_INVALID, where, "%s", text);
    free(text);
    return failed_stream(env);
}

bool fl__stream_failed(const fl_stream *s)
{
    return !s || s->env->error.status != FL_OK;
}

/* ---- adding operators ---- */

static const fl_options no_options;

static size_t state_count(const fl_options *options)
{
    size_t n = 0;
    while (n < sizeof options->states / sizeof options->states[0] && options->states[n])
        n++;
    return n;
}

/* The graph of a job that runs is left alone: its tasks are made from it. */
static bool is_running(fl_env *env, fl_where where)
{
    if (!env->client)
        return false;
    fl__stream_error(env, where,
        "job \"%s\" of this environment is still running; wait for it with fl_job_client_wait, or close its "
        "results with "
        "fl_results_close, before the next one is built",
        env->job_name);
    return true;
}

static fl__node *add_node(fl_env *env, const fl__new_operator *what)
{
    if (env->is_executed)
        fl__env_new_graph(env);
    const fl_options *options = what->options ? what->options : &no_options;
    size_t states = state_count(options);
    fl__operator_spec spec = {
        .class = what->class,
        .name = fl__arena_strdup(&env->arena, options->name        ? options->name
                                              : what->default_name ? what->default_name
                                                                   : what->class->kind),
        .uid = fl__arena_strdup(&env->arena, options->uid),
        .where = options->where,
        .out = what->out,
        .function = what->function,
        .function2 = what->function2,
        .filter = what->filter,
        .reduce = what->reduce,
        .aggregate = what->aggregate,
        .on_timer = options->on_timer,
        .open = options->open,
        .close = options->close,
        .arg = options->arg,
        .instance_size = options->instance_size,
        .states = states ? fl__arena_memdup(&env->arena, options->states, states * sizeof(void *)) : NULL,
        .state_count = states,
        .config = what->config,
    };
    fl__node *node = fl__graph_add(&env->graph, &spec);
    node->is_parallel = !what->not_parallel;
    node->parallelism_set = options->parallelism != 0;
    node->parallelism = options->parallelism ? options->parallelism
                        : what->not_parallel ? 1
                                             : env->graph.default_parallelism;
    node->max_parallelism = options->max_parallelism;
    node->chaining = options->chaining;
    node->slot_sharing_group = fl__arena_strdup(&env->arena, options->slot_sharing_group);
    if (node->parallelism < 1 || node->parallelism > FL__MAX_PARALLELISM)
        fl__stream_error(env, options->where, "parallelism of %s is %d; it must be 1 to %d", spec.name,
            node->parallelism, FL__MAX_PARALLELISM);
    if (node->max_parallelism < 0 || node->max_parallelism > FL__MAX_PARALLELISM)
        fl__stream_error(env, options->where, "max parallelism of %s is %d; it must be 1 to %d", spec.name,
            node->max_parallelism, FL__MAX_PARALLELISM);
    if (what->not_parallel && node->parallelism > 1)
        fl__stream_error(env, options->where,
            "%s is not parallel, but parallelism %d was asked for; leave .parallelism out", spec.name,
            node->parallelism);
    return node;
}

static fl_stream *stream_of(fl_env *env, fl__node *node)
{
    fl_stream *s = failed_stream(env);
    s->node = node;
    s->type = node->spec.out;
    s->kind = node->spec.out ? FL__STREAM_PLAIN : FL__STREAM_SINK;
    return s;
}

/* Edges from everything behind a stream (a union has several members) to one input of the node. */
static void connect_input(fl__node *to, unsigned input, const fl_stream *in, const fl_stream *how)
{
    if (in->part_count && in->kind != FL__STREAM_CONNECTED) {
        for (size_t i = 0; i < in->part_count; i++) {
            const fl_stream *part = in->parts[i];
            connect_input(to, input, part, how->is_partitioned || how->key ? how : part);
        }
        return;
    }
    bool is_keyed = how->kind == FL__STREAM_KEYED || how->kind == FL__STREAM_WINDOWED;
    fl__edge edge = {
        .from = in->node,
        .to = to,
        .tag = in->tag,
        .input = input,
        .partitioning = is_keyed              ? FL_HASH
                        : how->is_partitioned ? how->partitioning
                                              : FL_FORWARD,
        .is_asked = how->is_partitioned,
        .key = how->key,
        .partitioner = how->partitioner,
        .partitioner_arg = how->partitioner_arg,
        .type = in->type,
        .has_timestamps = in->node->has_timestamps,
    };
    fl__graph_connect(&in->env->graph, &edge);
    to->spec.in[input] = in->type;
    if (is_keyed)
        to->spec.key[input] = how->key;
    if (in->node->has_timestamps)
        to->spec.has_timestamps = to->has_timestamps = true;
}

fl_stream *fl__add_operator(fl_stream *in, const fl__new_operator *what)
{
    const fl_options *options = what->options ? what->options : &no_options;
    if (fl__stream_failed(in))
        return in;
    fl_env *env = in->env;
    if (is_running(env, options->where))
        return in;
    if (in->kind == FL__STREAM_SINK)
        return fl__stream_error(env, options->where, "nothing can follow a sink (%s)", in->node->spec.name);
    if (what->class->is_keyed && in->kind != FL__STREAM_KEYED && in->kind != FL__STREAM_WINDOWED &&
        in->kind != FL__STREAM_CONNECTED)
        return fl__stream_error(
            env, options->where, "%s needs a keyed stream; put fl_key_by before it", what->class->kind);
    fl__new_operator instead;
    if (!what->out)
        what = fl__substitute(env, what, in->type, false, &instead);
    fl__node *node = add_node(env, what);
    if (in->kind == FL__STREAM_CONNECTED) {
        connect_input(node, 0, in->parts[0], in->parts[0]);
        connect_input(node, 1, in->parts[1], in->parts[1]);
    } else {
        connect_input(node, 0, in, in);
    }
    if (what->class->sets_timestamps || what->emits_timestamps)
        node->has_timestamps = true;
    return stream_of(env, node);
}

/* Event time asked for with the source is fl_watermarks behind it: an operator of its own, so that the plan shows it.
 */
static fl_stream *with_event_time(fl_stream *s, const fl_source_options *source)
{
    if (!source || fl__stream_failed(s))
        return s;
    bool has_timestamps = source->timestamp || source->timestamp_function;
    if (source->watermarks.kind == FL__NO_WATERMARKS && !has_timestamps) {
        if (source->idle_after.ms != 0)
            return fl__stream_error(s->env, source->where,
                "%s: .idle_after is about watermarks: give .watermarks too, or give it to the fl_watermarks "
                "that follows",
                s->node->spec.name);
        return s;
    }
    return fl__watermarks(s, source->watermarks,
        &(const fl_watermark_options){
            .where = source->where,
            .parallelism = s->node->parallelism,
            .max_parallelism = source->max_parallelism,
            .arg = source->arg,
            .timestamp = source->timestamp,
            .timestamp_function = source->timestamp_function,
            .idle_after = source->idle_after,
        });
}

fl_stream *fl__add_source_operator(fl_env *env, const fl__new_operator *what)
{
    if (env->error.status != FL_OK || is_running(env, what->options ? what->options->where : (fl_where){ 0 }))
        return failed_stream(env);
    fl__new_operator instead;
    what = fl__substitute(env, what, what->out, true, &instead);
    fl__node *node = add_node(env, what);
    node->is_source = true;
    node->is_unbounded = what->is_unbounded;
    node->has_timestamps = what->emits_timestamps || what->class->sets_timestamps;
    return with_event_time(stream_of(env, node), what->source);
}

bool fl__stream_is_wrong_kind(fl_stream *in, const char *what, fl_where where)
{
    const char *cure = NULL;
    if (in->kind == FL__STREAM_WINDOWED)
        cure = "a windowed stream must be followed by an aggregation or a window function (fl_sum, fl_reduce, "
               "fl_aggregate, "
               "fl_window_apply, fl_window_process)";
    else if (in->kind == FL__STREAM_CONNECTED)
        cure = "connected streams must be followed by fl_co_map, fl_co_flat_map, fl_co_process or fl_broadcast_process";
    else if (in->kind == FL__STREAM_SINK)
        cure = "nothing can follow a sink";
    if (cure)
        fl__stream_error(in->env, where, "%s: %s", what, cure);
    return cure != NULL;
}

bool fl__stream_may_have_state(fl_stream *in, const char *call, const fl_options *options)
{
    if (in->kind == FL__STREAM_KEYED || (!options->states[0] && !options->on_timer))
        return true;
    fl__stream_error(in->env, options->where, "%s: %s only available on keyed streams: put fl_key_by before it", call,
        options->states[0] ? ".states are" : ".on_timer: timers are");
    return false;
}

/* ---- record by record ---- */

/* with_state: what it becomes on a keyed stream when it has states. */
static fl_stream *with_function(fl_stream *in, const char *call, const fl__operator_class *class,
    const fl__operator_class *with_state, fl_function f, const fl_type *out, const fl_options *options)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, call, options->where))
        return in;
    if (!f)
        return fl__stream_error(in->env, options->where, "%s: the function is NULL", call);
    if (!fl__stream_may_have_state(in, call, options))
        return in;
    if (options->states[0] || options->on_timer)
        class = with_state;
    return fl__add_operator(in, &(fl__new_operator){ .class = class, .out = out, .options = options, .function = f });
}

fl_stream *fl__map(fl_stream *in, fl_function f, const fl_type *out, const fl_options *options)
{
    return with_function(in, "fl_map", &fl__map_class, &fl__keyed_map_class, f, out, options);
}

fl_stream *fl__flat_map(fl_stream *in, fl_function f, const fl_type *out, const fl_options *options)
{
    return with_function(in, "fl_flat_map", &fl__flat_map_class, &fl__keyed_flat_map_class, f, out, options);
}

fl_stream *fl__filter(fl_stream *in, fl_filter_fn f, const fl_options *options)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_filter", options->where))
        return in;
    if (!f)
        return fl__stream_error(in->env, options->where, "fl_filter: the function is NULL");
    if (!fl__stream_may_have_state(in, "fl_filter", options))
        return in;
    bool has_state = options->states[0] || options->on_timer;
    return fl__add_operator(in, &(fl__new_operator){ .class = has_state ? &fl__keyed_filter_class : &fl__filter_class,
                                    .out = in->type,
                                    .options = options,
                                    .filter = f });
}

/* ---- partitioning ---- */

fl_stream *fl__partition(fl_stream *in, fl_partitioning how, fl_where where)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "partitioning", where))
        return in;
    fl_stream *s = fl__stream_copy(in);
    s->kind = FL__STREAM_PLAIN;
    s->key = NULL;
    s->partitioning = how;
    s->is_partitioned = true;
    return s;
}

static fl_stream *keyed(fl_stream *in, const fl__key *key)
{
    fl_stream *s = fl__stream_copy(in);
    s->kind = FL__STREAM_KEYED;
    s->partitioning = FL_HASH;
    s->is_partitioned = true;
    s->key = key;
    return s;
}

static fl_stream *key_error(fl_stream *in, const char *call, fl_where where, fl_error *error)
{
    fl_stream *s = fl__stream_error(in->env, where, "%s: %s", call, error->text);
    fl__error_release(error);
    return s;
}

fl_stream *fl__key_by(fl_stream *in, fl_where where, const char *const *names, size_t count)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_key_by", where))
        return in;
    fl__key *key = fl__env_alloc(in->env, sizeof *key);
    fl_error error = FL_ERROR_INIT;
    if (fl__key_init_fields(key, &in->env->arena, in->type, names, NULL, count, &error) != FL_OK)
        return key_error(in, "fl_key_by", where, &error);
    return keyed(in, key);
}

fl_stream *fl__key_by_index(fl_stream *in, fl_where where, const int *indexes, size_t count)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_key_by_index", where))
        return in;
    fl__key *key = fl__env_alloc(in->env, sizeof *key);
    fl_error error = FL_ERROR_INIT;
    if (fl__key_init_fields(key, &in->env->arena, in->type, NULL, indexes, count, &error) != FL_OK)
        return key_error(in, "fl_key_by", where, &error);
    return keyed(in, key);
}

/* A selector sees a context that knows only its argument: its key must depend on the record alone. */
typedef struct selector {
    fl_key_fn f;
    fl_context ctx;
} selector;

static void select_key(const void *row, void *key, void *context)
{
    const selector *s = context;
    fl_context ctx = s->ctx; /* several threads select at once */
    s->f(row, key, &ctx);
}

fl_stream *fl__key_by_function(fl_stream *in, fl_key_fn f, const fl_type *type, const fl_options *options)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_key_by_function", options->where))
        return in;
    if (!f)
        return fl__stream_error(in->env, options->where, "fl_key_by_function: the selector is NULL");
    selector *s = fl__env_alloc(in->env, sizeof *s);
    s->f = f;
    s->ctx = (fl_context){ .arg = options->arg, .timestamp = FL_NO_TIMESTAMP, .watermark = FL_TIME_MIN };
    fl__key *key = fl__env_alloc(in->env, sizeof *key);
    fl_error error = FL_ERROR_INIT;
    if (fl__key_init_selector(key, type, select_key, s, &error) != FL_OK)
        return key_error(in, "fl_key_by_function", options->where, &error);
    return keyed(in, key);
}

static fl_stream *partition_by_key(
    fl_stream *in, fl_partition_fn partitioner, const fl__key *key, void *arg, fl_where where)
{
    fl_stream *s = fl__partition(in, FL_CUSTOM, where);
    s->key = key;
    s->partitioner = partitioner;
    s->partitioner_arg = arg;
    return s;
}

fl_stream *fl__partition_custom_by(
    fl_stream *in, fl_partition_fn partitioner, void *arg, fl_where where, const char *const *names, size_t count)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_partition_custom", where))
        return in;
    if (!partitioner)
        return fl__stream_error(in->env, where, "fl_partition_custom: the partitioner is NULL");
    fl__key *key = NULL;
    if (count > 0) {
        key = fl__env_alloc(in->env, sizeof *key);
        fl_error error = FL_ERROR_INIT;
        if (fl__key_init_fields(key, &in->env->arena, in->type, names, NULL, count, &error) != FL_OK)
            return key_error(in, "fl_partition_custom", where, &error);
    }
    return partition_by_key(in, partitioner, key, arg, where);
}

fl_stream *fl__partition_custom(
    fl_stream *in, fl_partition_fn partitioner, const char *field, const fl_options *options)
{
    return fl__partition_custom_by(in, partitioner, options->arg, options->where, &field, field ? 1 : 0);
}

/* ---- aggregations ---- */

static bool is_not_keyed(fl_stream *in, const char *call, fl_where where)
{
    if (in->kind == FL__STREAM_KEYED)
        return false;
    fl__stream_error(
        in->env, where, "%s needs a keyed or a windowed stream; put fl_key_by (and fl_window) before it", call);
    return true;
}

fl_stream *fl__reduce(fl_stream *in, fl_reduce_fn f, const fl_options *options)
{
    if (fl__stream_failed(in))
        return in;
    if (!f)
        return fl__stream_error(in->env, options->where, "fl_reduce: the function is NULL");
    if (in->kind == FL__STREAM_WINDOWED)
        return fl__window_reduce(in, f, options);
    if (is_not_keyed(in, "fl_reduce", options->where))
        return in;
    return fl__add_operator(
        in, &(fl__new_operator){ .class = &fl__reduce_class, .out = in->type, .options = options, .reduce = f });
}

fl_stream *fl__fold(fl_stream *in, const void *initial, fl_reduce_fn f, const fl_type *out, const fl_options *options)
{
    if (fl__stream_failed(in))
        return in;
    if (!f)
        return fl__stream_error(in->env, options->where, "fl_fold: the function is NULL");
    if (in->kind == FL__STREAM_WINDOWED)
        return fl__window_fold(in, initial, f, out, options);
    if (is_not_keyed(in, "fl_fold", options->where))
        return in;
    fl__rolling_config *config = fl__env_alloc(in->env, sizeof *config);
    void *value = fl__env_alloc(in->env, out->size);
    memcpy(value, initial, out->size);
    fl__layout layout;
    fl__layout_init(&layout, out);
    char *pieces = fl__env_alloc(in->env, fl__value_heap_bytes(&layout, value));
    fl__value_adopt(&layout, value, &pieces);
    config->initial = value;
    return fl__add_operator(in,
        &(fl__new_operator){ .class = &fl__fold_class, .out = out, .options = options, .reduce = f, .config = config });
}

fl_stream *fl__aggregate(fl_stream *in, const fl_aggregate_fn *f, const fl_type *out, const fl_options *options)
{
    (void)out;
    if (fl__stream_failed(in))
        return in;
    if (in->kind != FL__STREAM_WINDOWED)
        return fl__stream_error(
            in->env, options->where, "fl_aggregate needs a windowed stream; put fl_window before it");
    return fl__window_aggregate(in, f, options);
}

static const char *const rolling_names[] = { "fl_sum", "fl_min", "fl_max", "fl_min_by", "fl_max_by" };
static const char *const rolling_words[] = { "Sum", "Min", "Max", "MinBy", "MaxBy" };

static const fl_field *field_by_index(const fl_type *type, int index)
{
    int at = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (fl_field_kind(&type->fields[i]) == FL_KIND_NULLS)
            continue;
        if (at++ == index)
            return &type->fields[i];
    }
    return NULL;
}

static char *field_list(fl_env *env, const fl_type *type)
{
    char *text = "";
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (fl_field_kind(&type->fields[i]) != FL_KIND_NULLS)
            text = fl__arena_printf(&env->arena, "%s%s%s", text, *text ? ", " : "", type->fields[i].name);
    }
    return text;
}

/* The field of an aggregation, with the user's line in what is wrong with it. NULL after an error. */
const fl_field *fl__api_field(
    fl_stream *in, const char *call, const char *name, int index, uint32_t *offset, fl_where where)
{
    if (in->type->kind != FL_KIND_ROW) {
        fl__stream_error(
            in->env, where, "%s: the stream's type %s has no fields; make it a row with FL_ROW", call, in->type->name);
        return NULL;
    }
    const fl_field *field = name ? fl_type_field(in->type, name, offset) : field_by_index(in->type, index);
    if (!field && name)
        fl__stream_error(in->env, where, "%s: %s has no field \"%s\"; its fields are %s", call, in->type->name, name,
            field_list(in->env, in->type));
    else if (!field)
        fl__stream_error(in->env, where, "%s: index %d is out of range; %s has the fields %s", call, index,
            in->type->name, field_list(in->env, in->type));
    else if (!name)
        *offset = field->offset;
    return field;
}

/* The type to compare the field's values by, at *at in the row. What a nested row or an array is made of stands in the
 * field and not in its type: those are compared as a row of this one field. */
static const fl_type *order_of(fl_env *env, const fl_field *field, uint32_t *at, uint32_t offset)
{
    fl_kind kind = fl_field_kind(field);
    if (kind != FL_KIND_ROW && kind != FL_KIND_ARRAY) {
        *at = offset;
        return field->type;
    }
    fl_field *only = fl__arena_memdup(&env->arena, field, sizeof *field);
    only->offset = offset;
    fl_type *type = fl__env_alloc(env, sizeof *type);
    *type = (fl_type){
        .kind = FL_KIND_ROW,
        .size = offset + field->size,
        .align = 1,
        .field_count = 1,
        .name = field->name,
        .fields = only,
    };
    *at = 0;
    return type;
}

fl_stream *fl__rolling(
    fl_stream *in, fl_rolling what, const char *name, int index, bool first, const fl_options *options)
{
    if (fl__stream_failed(in))
        return in;
    if (in->kind == FL__STREAM_WINDOWED)
        return fl__window_rolling(in, what, name, index, first, options);
    const char *call = rolling_names[what];
    if (is_not_keyed(in, call, options->where))
        return in;
    uint32_t offset = 0;
    const fl_field *field = fl__api_field(in, call, name, index, &offset, options->where);
    if (!field)
        return in;
    fl_kind kind = fl_field_kind(field);
    bool is_numeric = (kind >= FL_KIND_INT8 && kind <= FL_KIND_DOUBLE) || kind == FL_KIND_INTERVAL;
    if (what <= FL_MAX && !is_numeric)
        return fl__stream_error(in->env, options->where,
            "%s: field %s of %s is no number; fl_min_by and fl_max_by take any comparable field, fl_reduce "
            "anything",
            call, field->name, in->type->name);
    if (kind == FL_KIND_RAW || kind == FL_KIND_MAP)
        return fl__stream_error(
            in->env, options->where, "%s: field %s of %s cannot be ordered", call, field->name, in->type->name);
    fl__rolling_config *config = fl__env_alloc(in->env, sizeof *config);
    *config = (fl__rolling_config){ .what = what, .first = first, .field = field, .field_offset = offset };
    config->order = order_of(in->env, field, &config->order_offset, offset);
    return fl__add_operator(
        in, &(fl__new_operator){ .class = &fl__rolling_class,
                .out = in->type,
                .options = options,
                .default_name = fl__arena_printf(&in->env->arena, "Keyed %s(%s)", rolling_words[what], field->name),
                .config = config });
}

/* ---- several streams ---- */

fl_stream *fl__union(fl_where where, fl_stream *const *streams, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fl__stream_failed(streams[i]) || fl__stream_is_wrong_kind(streams[i], "fl_union", where))
            return streams[i];
        if (streams[i]->env != streams[0]->env)
            return fl__stream_error(streams[0]->env, where, "fl_union: the streams belong to different environments");
        if (!fl_type_equal(streams[i]->type, streams[0]->type))
            return fl__stream_error(streams[0]->env, where,
                "fl_union: stream %zu is of type %s, the first one of %s; map them to one type, or use "
                "fl_connect",
                i + 1, streams[i]->type->name, streams[0]->type->name);
    }
    fl_stream *s = failed_stream(streams[0]->env);
    s->type = streams[0]->type;
    s->node = streams[0]->node;
    s->parts = fl__arena_memdup(&s->env->arena, streams, count * sizeof(fl_stream *));
    s->part_count = count;
    return s;
}

fl_stream *fl__connect(fl_stream *first, fl_stream *second, fl_where where)
{
    if (fl__stream_failed(first))
        return first;
    if (fl__stream_failed(second))
        return second;
    if (fl__stream_is_wrong_kind(first, "fl_connect", where) || fl__stream_is_wrong_kind(second, "fl_connect", where))
        return first;
    if (first->env != second->env)
        return fl__stream_error(first->env, where, "fl_connect: the streams belong to different environments");
    bool keyed1 = first->kind == FL__STREAM_KEYED, keyed2 = second->kind == FL__STREAM_KEYED;
    if (keyed1 && keyed2 && !fl_type_equal(first->key->type, second->key->type))
        return fl__stream_error(first->env, where,
            "fl_connect: the first stream is keyed by %s, the second by %s; both must be "
            "keyed by the same type",
            first->key->type->name, second->key->type->name);
    return fl__stream_connected(first, second);
}

fl_stream *fl__stream_connected(fl_stream *first, fl_stream *second)
{
    fl_stream *s = failed_stream(first->env);
    s->kind = FL__STREAM_CONNECTED;
    s->type = first->type;
    s->node = first->node;
    fl_stream *parts[] = { first, second };
    s->parts = fl__arena_memdup(&s->env->arena, parts, sizeof parts);
    s->part_count = 2;
    return s;
}

fl_stream *fl__side_output(fl_stream *in, const fl_tag *tag, fl_where where)
{
    if (fl__stream_failed(in))
        return in;
    if (in->part_count || !in->node || in->kind == FL__STREAM_CONNECTED)
        return fl__stream_error(
            in->env, where, "fl_side_output: side output %s must be read from the operator that emits it", tag->name);
    fl_stream *s = failed_stream(in->env);
    s->node = in->node;
    s->tag = tag;
    s->type = tag->type;
    return s;
}

/* ---- event time ---- */

static bool has_timestamps(const fl_stream *in)
{
    for (size_t i = 0; i < in->part_count; i++) {
        if (has_timestamps(in->parts[i]))
            return true;
    }
    return !in->part_count && in->node->has_timestamps;
}

static bool is_alignment_wrong(fl_env *env, const fl_watermark_strategy *strategy, fl_where where)
{
    if (!strategy->alignment_group)
        return false;
    if (!*strategy->alignment_group)
        fl__stream_error(env, where,
            "fl_watermark_alignment: the group has no name; sources that are to wait for each other give the same");
    else if (strategy->max_drift.ms < 0 || strategy->update_interval.ms < 0)
        fl__stream_error(env, where,
            "fl_watermark_alignment: the drift is %lld ms, the update interval %lld ms; neither may be negative",
            (long long)strategy->max_drift.ms, (long long)strategy->update_interval.ms);
    else if (strategy->kind == FL__NO_WATERMARKS)
        fl__stream_error(env, where,
            "fl_watermark_alignment: there are no watermarks to align; use it with fl_bounded_out_of_orderness or "
            "another strategy that makes some");
    return env->error.status != FL_OK;
}

static const fl__alignment_spec *alignment_of(fl_env *env, const fl_watermark_strategy *strategy)
{
    if (!strategy->alignment_group)
        return NULL;
    fl__alignment_spec *spec = fl__env_alloc(env, sizeof *spec);
    *spec = (fl__alignment_spec){
        .group = fl__arena_strdup(&env->arena, strategy->alignment_group),
        .max_drift_ms = strategy->max_drift.ms,
        .interval_ms = strategy->update_interval.ms ? strategy->update_interval.ms : ALIGNMENT_INTERVAL_MS,
        .allows_unaligned_splits = fl__config_bool(env->config, FL__OPTION_ALLOW_UNALIGNED_SPLITS),
    };
    return spec;
}

fl_stream *fl__watermarks(fl_stream *in, fl_watermark_strategy strategy, const fl_watermark_options *options)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_watermarks", options->where))
        return in;
    if (strategy.bound.ms < 0)
        return fl__stream_error(in->env, options->where, "fl_watermarks: the bound is %lld ms; it must not be negative",
            (long long)strategy.bound.ms);
    if (options->idle_after.ms < 0)
        return fl__stream_error(in->env, options->where,
            "fl_watermarks: .idle_after is %lld ms; it must not be negative", (long long)options->idle_after.ms);
    if (options->timestamp && options->timestamp_function)
        return fl__stream_error(in->env, options->where,
            "fl_watermarks: event time is either .timestamp (\"%s\") or .timestamp_function; leave one out",
            options->timestamp);
    bool assigns = options->timestamp || options->timestamp_function;
    if (strategy.kind == FL__INGESTION_TIME && assigns)
        return fl__stream_error(in->env, options->where,
            "fl_watermarks: fl_ingestion_time takes its timestamps from the clock; leave .timestamp out, or take "
            "fl_bounded_out_of_orderness");
    if (strategy.kind == FL__BOUNDED && !assigns && !has_timestamps(in))
        return fl__stream_error(in->env, options->where,
            "fl_watermarks: the records have no timestamps, and none are assigned here: event time would never go on; "
            "say where it is with .timestamp = \"field\" or .timestamp_function");
    if (is_alignment_wrong(in->env, &strategy, options->where))
        return in;
    fl__watermark_config *config = fl__env_alloc(in->env, sizeof *config);
    *config = (fl__watermark_config){
        .strategy = strategy,
        .function = options->timestamp_function,
        .idle_after = options->idle_after,
        .interval_ms = in->env->auto_watermark_interval_ms,
        .every_rows = in->env->watermark_records,
    };
    if (options->timestamp) {
        config->field =
            fl__api_field(in, "fl_watermarks", options->timestamp, 0, &config->field_offset, options->where);
        if (!config->field)
            return in;
        fl_kind kind = fl_field_kind(config->field);
        config->is_date = kind == FL_KIND_DATE;
        if (kind != FL_KIND_INT64 && kind != FL_KIND_UINT64 && kind != FL_KIND_TIMESTAMP &&
            kind != FL_KIND_TIMESTAMP_LTZ && kind != FL_KIND_DATE)
            return fl__stream_error(in->env, options->where,
                "fl_watermarks: field %s of %s holds no time; it must be an int64_t of milliseconds, a timestamp or a "
                "date",
                options->timestamp, in->type->name);
    }
    fl_stream *s = fl__add_operator(in,
        &(fl__new_operator){ .class = strategy.kind == FL__NO_WATERMARKS ? &fl__timestamps_class : &fl__watermark_class,
            .out = in->type,
            .options = (const fl_options *)options,
            .config = config });
    if (s->node)
        s->node->spec.alignment = alignment_of(in->env, &strategy);
    return s;
}
