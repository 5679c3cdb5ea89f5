/* Windowed streams: fl_window and what may follow it. All arguments are checked here, so that the operator need not. */
#include "api/window_internal.h"

#include "base/error.h"
#include "base/log.h"
#include "data/type.h"
#include "operators/window.h"

#include <inttypes.h>

/* ---- fl_window ---- */

/* Options that belong to the function behind fl_window, given to fl_window by mistake: they would be lost. */
static const char *misplaced_option(const fl_window_options *o)
{
    return o->name                 ? ".name"
           : o->uid                ? ".uid"
           : o->parallelism        ? ".parallelism"
           : o->max_parallelism    ? ".max_parallelism"
           : o->chaining           ? ".chaining"
           : o->slot_sharing_group ? ".slot_sharing_group"
           : o->arg                ? ".arg"
           : o->instance_size      ? ".instance_size"
           : o->open               ? ".open"
           : o->close              ? ".close"
           : o->states[0]          ? ".states"
           : o->on_timer           ? ".on_timer"
                                   : NULL;
}

/* State that grows as long as the job runs is worth a line. */
static void warn_of_growth(const fl__window_spec *spec, fl_where where)
{
    fl_trigger trigger = fl__window_trigger(spec);
    bool never_fires = trigger.kind == FL_TRIGGER_NEVER, is_purged = spec->evictor.kind != FL_EVICTOR_NONE;
    for (uint32_t i = 0; i < trigger.layer_count; i++) {
        is_purged |= !trigger.layers[i].is_timeout;
        never_fires &= !trigger.layers[i].is_timeout;
    }
    bool is_global = spec->assigner.kind == FL_WINDOW_GLOBAL;
    if (never_fires)
        fl__log(FL__LOG_WARN, "window", "%s:%d: %s never fire%s", where.file, where.line,
            is_global ? "global windows without a trigger" : "windows with fl_never_trigger",
            is_global ? " and hold all records for ever; give a .trigger" : "; what they hold is never seen");
    else if (is_global && !is_purged && trigger.kind != FL_TRIGGER_CUSTOM)
        fl__log(FL__LOG_INFO, "window",
            "%s:%d: global windows whose trigger does not purge: each firing sees all records so far", where.file,
            where.line);
}

/* What fl_window said, checked. NULL after an error. */
static fl__window_spec *new_spec(fl_stream *in, fl_window_assigner a, const fl_window_options *options)
{
    fl_env *env = in->env;
    fl_where where = options->where;
    const fl_tag *late = options->late;
    fl__window_spec *spec = fl__env_alloc(env, sizeof *spec);
    *spec = (fl__window_spec){
        .assigner = a,
        .allowed_lateness = options->allowed_lateness.ms,
        .late = late,
        .trigger = options->trigger,
        .evictor = options->evictor,
    };
    if (fl__window_assigner_error(env, where, &a) || fl__window_trigger_error(env, where, spec) ||
        fl__window_evictor_error(env, where, &spec->evictor))
        return NULL;
    const char *misplaced = misplaced_option(options);
    if (options->allowed_lateness.ms < 0)
        fl__stream_error(env, where, "fl_window: the allowed lateness is %" PRId64 " ms; it must not be negative",
            options->allowed_lateness.ms);
    else if (a.kind == FL_WINDOW_GLOBAL && (options->allowed_lateness.ms || late))
        fl__stream_error(env, where,
            "fl_window: nothing is late for windows without end (global and count windows): leave %s out",
            late ? ".late" : ".allowed_lateness");
    else if (late && !fl_type_equal(late->type, in->type))
        fl__stream_error(env, where, "fl_window: the late side output \"%s\" has type %s, but the stream is of %s",
            late->name, late->type->name, in->type->name);
    else if (misplaced)
        fl__stream_error(env, where,
            "fl_window: %s belongs to the function that follows (fl_sum, fl_reduce, "
            "fl_aggregate, fl_window_apply …)",
            misplaced);
    else
        return warn_of_growth(spec, where), spec;
    return NULL;
}

static fl_stream *windowed(fl_stream *in, const fl__window_spec *spec)
{
    if (!spec)
        return in; /* of a failed graph */
    fl_stream *s = fl__stream_copy(in);
    s->kind = FL__STREAM_WINDOWED;
    s->window = spec;
    return s;
}

fl_stream *fl__window(fl_stream *keyed, fl_window_assigner a, const fl_window_options *options)
{
    if (fl__stream_failed(keyed))
        return keyed;
    if (keyed->kind != FL__STREAM_KEYED)
        return fl__stream_error(keyed->env, options->where,
            "fl_window needs a keyed stream: put fl_key_by(stream, \"field\") before it, or take fl_window_all");
    return windowed(keyed, new_spec(keyed, a, options));
}

/* All records have this key. */
static void constant_key(const void *row, void *key, void *context)
{
    (void)row, (void)context;
    *(int8_t *)key = 0;
}

fl_stream *fl__window_all(fl_stream *in, fl_window_assigner a, const fl_window_options *options)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_window_all", options->where))
        return in;
    fl__window_spec *spec = new_spec(in, a, options);
    if (!spec)
        return in;
    spec->is_all = true;
    fl__key *key = fl__env_alloc(in->env, sizeof *key);
    fl_error error = FL_ERROR_INIT;
    fl_status status = fl__key_init_selector(key, FL_TYPE(int8_t), constant_key, NULL, &error);
    fl_assert(status == FL_OK);
    fl_stream *s = windowed(in, spec);
    s->key = key;
    s->partitioning = FL_HASH;
    s->is_partitioned = true;
    return s;
}

fl_stream *fl__count_window(fl_stream *in, int64_t size, int64_t slide, bool all, const fl_window_options *options)
{
    if (fl__stream_failed(in))
        return in;
    fl_where where = options->where;
    fl_window_options o = *options;
    if (size <= 0 || slide < 0)
        return fl__stream_error(in->env, where, "fl_count_window: the %s is %" PRId64 " records; it must be above 0",
            size <= 0 ? "size" : "slide", size <= 0 ? size : slide);
    if (o.trigger.kind != FL_TRIGGER_DEFAULT || o.trigger.layer_count || o.evictor.kind != FL_EVICTOR_NONE)
        return fl__stream_error(in->env, where,
            "fl_count_window: a count window is a trigger already; for another .trigger or .evictor take "
            "fl_window(keyed, fl_global_windows(), …)");
    o.trigger = slide ? fl_count_trigger(slide) : fl_purging_trigger(fl_count_trigger(size));
    if (slide)
        o.evictor = fl_count_evictor(size);
    return all ? fl__window_all(in, fl_global_windows(), &o) : fl__window(in, fl_global_windows(), &o);
}

/* ---- what follows ---- */

static fl__window_config *new_config(fl_stream *in, fl__window_content content)
{
    fl_assert(in && in->window);
    fl__window_config *config = fl__env_alloc(in->env, sizeof *config);
    *config = (fl__window_config){ .window = *(const fl__window_spec *)in->window, .content = content };
    return config;
}

static fl_stream *add(fl_stream *in, fl__window_config *config, fl__new_operator what)
{
    const fl_options *options = what.options;
    const fl__window_spec *spec = &config->window;
    if (options->on_timer)
        return fl__stream_error(
            in->env, options->where, "window functions have no timers: .on_timer belongs to fl_process");
    if (options->states[0] && !what.function)
        return fl__stream_error(in->env, options->where,
            "only functions that see the window can have states: use "
            "fl_aggregate_with, fl_reduce_with or fl_window_process");
    if (spec->assigner.is_merging && config->content == FL__WINDOW_FOLD)
        return fl__stream_error(in->env, options->where,
            "fl_fold cannot go with windows that merge (%s): two folded values cannot be folded into one. Use "
            "fl_aggregate with a .merge",
            fl__window_assigner_name(&spec->assigner));
    if (spec->assigner.is_merging && config->content == FL__WINDOW_AGGREGATE && !what.aggregate->merge &&
        spec->evictor.kind == FL_EVICTOR_NONE)
        return fl__stream_error(in->env, options->where,
            "the aggregate has no .merge, which windows that merge (%s) need: it adds one accumulator to another",
            fl__window_assigner_name(&spec->assigner));
    what.class = fl__window_class_for(config);
    what.default_name = fl__window_assigner_name(&spec->assigner);
    what.config = config;
    what.not_parallel = spec->is_all;
    return fl__add_operator(in, &what);
}

/* The same with a function that sees the window, and what it may have: states by window, a clear function. */
static fl_stream *add_function(
    fl_stream *in, fl__window_config *config, fl__new_operator what, const fl_window_function_options *options)
{
    size_t count = 0;
    while (count < sizeof options->window_states / sizeof options->window_states[0] && options->window_states[count])
        count++;
    if (count && config->window.assigner.is_merging)
        return fl__stream_error(in->env, options->where,
            "windows that merge (%s) cannot have .window_states: two windows' states cannot be made one. Use .states, "
            "which belong to the key",
            fl__window_assigner_name(&config->window.assigner));
    if (count)
        config->window_states =
            fl__arena_memdup(&in->env->arena, options->window_states, count * sizeof options->window_states[0]);
    config->window_state_count = count;
    config->clear = options->clear;
    what.options = (const fl_options *)options;
    return add(in, config, what);
}

/* The checks of calls that only work on windows. */
static fl_stream *not_windowed(fl_stream *in, const char *call, bool has_function, fl_where where)
{
    if (fl__stream_failed(in))
        return in;
    if (in->kind != FL__STREAM_WINDOWED)
        return fl__stream_error(in->env, where,
            "%s needs a windowed stream: put fl_window(keyed, "
            "fl_tumbling_event_time(fl_seconds(5))) before it",
            call);
    if (!has_function)
        return fl__stream_error(in->env, where, "%s: the function is NULL", call);
    return NULL;
}

fl_stream *fl__window_reduce(fl_stream *in, fl_reduce_fn f, const fl_options *options)
{
    fl_stream *failed = not_windowed(in, "fl_reduce", f != NULL, options->where);
    if (failed)
        return failed;
    return add(
        in, new_config(in, FL__WINDOW_REDUCE), (fl__new_operator){ .out = in->type, .options = options, .reduce = f });
}

fl_stream *fl__window_fold(
    fl_stream *in, const void *initial, fl_reduce_fn f, const fl_type *out, const fl_options *options)
{
    fl_stream *failed = not_windowed(in, "fl_fold", f && initial, options->where);
    if (failed)
        return failed;
    fl__window_config *config = new_config(in, FL__WINDOW_FOLD);
    void *copy = fl__env_alloc(in->env, out->size);
    memcpy(copy, initial, out->size);
    fl__layout layout;
    fl__layout_init(&layout, out);
    size_t bytes = fl__value_heap_bytes(&layout, copy);
    if (bytes) {
        char *heap = fl__env_alloc(in->env, bytes);
        fl__value_adopt(&layout, copy, &heap);
    }
    config->initial = copy;
    config->type = out;
    return add(in, config, (fl__new_operator){ .out = out, .options = options, .reduce = f });
}

/* NULL: the aggregate fits the stream. */
static fl_stream *aggregate_error(fl_stream *in, const fl_aggregate_fn *f, const char *call, fl_where where)
{
    fl_stream *failed = not_windowed(in, call, f && f->add, where);
    if (failed)
        return failed;
    fl_assert(in && f);
    if (!fl_type_equal(f->in, in->type))
        return fl__stream_error(
            in->env, where, "%s: the aggregate takes %s, but the stream is of %s", call, f->in->name, in->type->name);
    if (!f->get && !fl_type_equal(f->acc, f->out))
        return fl__stream_error(in->env, where,
            "%s: the aggregate has no .get, which makes its result of type %s from the "
            "accumulator of type %s",
            call, f->out->name, f->acc->name);
    return NULL;
}

fl_stream *fl__window_aggregate(fl_stream *in, const fl_aggregate_fn *f, const fl_options *options)
{
    fl_stream *failed = aggregate_error(in, f, "fl_aggregate", options->where);
    if (failed)
        return failed;
    return add(in, new_config(in, FL__WINDOW_AGGREGATE),
        (fl__new_operator){ .out = f->out, .options = options, .aggregate = f });
}

fl_stream *fl__window_aggregate_apply(fl_stream *in, const fl_aggregate_fn *aggregate, fl_function f,
    const fl_type *out, const fl_window_function_options *options)
{
    fl_stream *failed = aggregate_error(in, f ? aggregate : NULL, "fl_aggregate_with", options->where);
    if (failed)
        return failed;
    return add_function(in, new_config(in, FL__WINDOW_AGGREGATE),
        (fl__new_operator){ .out = out, .aggregate = aggregate, .function = f }, options);
}

fl_stream *fl__window_reduce_apply(
    fl_stream *in, fl_reduce_fn reduce, fl_function f, const fl_type *out, const fl_window_function_options *options)
{
    fl_stream *failed = not_windowed(in, "fl_reduce_with", reduce && f, options->where);
    if (failed)
        return failed;
    return add_function(in, new_config(in, FL__WINDOW_REDUCE),
        (fl__new_operator){ .out = out, .reduce = reduce, .function = f }, options);
}

fl_stream *fl__window_apply(fl_stream *in, fl_function f, const fl_type *out, const fl_window_function_options *options)
{
    fl_stream *failed = not_windowed(in, "fl_window_apply", f != NULL, options->where);
    if (failed)
        return failed;
    return add_function(
        in, new_config(in, FL__WINDOW_ELEMENTS), (fl__new_operator){ .out = out, .function = f }, options);
}

/* ---- sum … max_by ---- */

static const char *const rolling_names[] = {
    [FL_SUM] = "fl_sum", [FL_MIN] = "fl_min", [FL_MAX] = "fl_max", [FL_MIN_BY] = "fl_min_by", [FL_MAX_BY] = "fl_max_by"
};

static bool is_summable(fl_kind kind)
{
    return (kind >= FL_KIND_INT8 && kind <= FL_KIND_DOUBLE) || kind == FL_KIND_INTERVAL ||
           kind == FL_KIND_INTERVAL_MONTHS;
}

static bool is_ordered(fl_kind kind)
{
    return kind != FL_KIND_NONE && kind != FL_KIND_ARRAY && kind != FL_KIND_MAP && kind != FL_KIND_RAW &&
           kind != FL_KIND_NULLS;
}

static const fl_field *field_at(const fl_type *row, int index)
{
    for (uint32_t i = 0; i < row->field_count; i++) {
        if (fl_field_kind(&row->fields[i]) != FL_KIND_NULLS && index-- == 0)
            return &row->fields[i];
    }
    return NULL;
}

/* Finds the field; on success *type and *offset say what and where it is. NULL, or the error. A stream of a scalar type
 * is its own field 0. */
static fl_stream *find_field(fl_stream *in, const char *call, const char *name, int index, fl_where where,
    const fl_type **type, uint32_t *offset)
{
    fl_assert(in && in->type);
    *offset = 0;
    if (in->type->kind != FL_KIND_ROW) {
        *type = in->type;
        if (!name && index == 0)
            return NULL;
        return fl__stream_error(in->env, where,
            "%s: the stream is of %s, which has no fields; use field position 0 for the "
            "value itself",
            call, in->type->name);
    }
    const fl_field *field = name ? fl_type_field(in->type, name, offset) : field_at(in->type, index);
    if (!field && name)
        return fl__stream_error(in->env, where, "%s: %s has no field \"%s\"; its fields are %s", call, in->type->name,
            name, fl__type_field_names(&in->env->arena, in->type));
    if (!field)
        return fl__stream_error(in->env, where, "%s: %s has no field %d; its fields, counted from 0, are %s", call,
            in->type->name, index, fl__type_field_names(&in->env->arena, in->type));
    if (!name)
        *offset = field->offset;
    *type = field->row ? field->row : field->raw ? &fl__type_of_raw : field->type;
    return NULL;
}

fl_stream *fl__window_rolling(
    fl_stream *in, fl_rolling what, const char *name, int index, bool first, const fl_options *options)
{
    const char *call = rolling_names[what];
    fl_stream *failed = not_windowed(in, call, true, options->where);
    if (failed)
        return failed;
    const fl_type *field = NULL;
    uint32_t offset = 0;
    failed = find_field(in, call, name, index, options->where, &field, &offset);
    if (failed)
        return failed;
    fl_assert(field);
    if (what == FL_SUM ? !is_summable(field->kind) : !is_ordered(field->kind))
        return fl__stream_error(in->env, options->where, "%s: field %s of %s is of %s, which cannot be %s", call,
            name ? name : fl__arena_printf(&in->env->arena, "%d", index), in->type->name, field->name,
            what == FL_SUM ? "summed; it takes a number" : "ordered");
    fl__window_config *config = new_config(in, FL__WINDOW_ROLLING);
    config->rolling.what = what;
    config->rolling.first = first;
    config->rolling.offset = offset;
    config->rolling.field = field;
    return add(in, config, (fl__new_operator){ .out = in->type, .options = options });
}
