/* Windowed streams: fl_window and what may follow it. All arguments are checked here, so that the operator need not. */
#include "api/window_internal.h"

#include "base/error.h"
#include "data/type.h"
#include "operators/window.h"

#include <inttypes.h>

enum { WINDOWS_PER_RECORD_MAX = 10000000 }; /* Flink's MAX_WINDOW_NUM */

/* ---- assigners ---- */

static fl_window_assigner assigner(fl_window_kind kind, bool is_processing_time, fl_duration size, fl_duration slide)
{
    return (fl_window_assigner){ .kind = kind, .is_processing_time = is_processing_time, .size = size, .slide = slide };
}

fl_window_assigner fl_tumbling_event_time(fl_duration size)
{
    return assigner(FL_WINDOW_TUMBLING, false, size, size);
}

fl_window_assigner fl_tumbling_processing_time(fl_duration size)
{
    return assigner(FL_WINDOW_TUMBLING, true, size, size);
}

fl_window_assigner fl_sliding_event_time(fl_duration size, fl_duration slide)
{
    return assigner(FL_WINDOW_SLIDING, false, size, slide);
}

fl_window_assigner fl_sliding_processing_time(fl_duration size, fl_duration slide)
{
    return assigner(FL_WINDOW_SLIDING, true, size, slide);
}

fl_window_assigner fl_window_offset(fl_window_assigner a, fl_duration offset)
{
    a.offset = offset;
    return a;
}

/* ---- fl_window ---- */

/* Says what is wrong with the assigner; NULL: nothing. */
static fl_stream *assigner_error(fl_env *env, fl_where where, const fl_window_assigner *a)
{
    int64_t size = a->size.ms, slide = a->slide.ms, offset = a->offset.ms;
    bool tumbles = a->kind == FL_WINDOW_TUMBLING;
    if (!tumbles && a->kind != FL_WINDOW_SLIDING)
        return fl__stream_error(env, where,
            "fl_window: unknown window kind %d; make the assigner with "
            "fl_tumbling_event_time, fl_sliding_event_time or one of the other constructors",
            (int)a->kind);
    if (size <= 0)
        return fl__stream_error(env, where, "fl_window: the window size is %" PRId64 " ms; it must be above 0", size);
    if (slide <= 0)
        return fl__stream_error(env, where, "fl_window: the slide is %" PRId64 " ms; it must be above 0", slide);
    if (offset <= -slide || offset >= slide)
        return fl__stream_error(env, where,
            "fl_window: the offset is %" PRId64 " ms; it must be smaller than the %s, "
            "%" PRId64 " ms, in either direction",
            offset, tumbles ? "size" : "slide", slide);
    if (size / slide > WINDOWS_PER_RECORD_MAX)
        return fl__stream_error(env, where,
            "fl_window: with a size of %" PRId64 " ms and a slide of %" PRId64 " ms each record would be in %" PRId64
            " windows; at most %d are allowed",
            size, slide, size / slide, WINDOWS_PER_RECORD_MAX);
    return NULL;
}

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

fl_stream *fl__window(fl_stream *keyed, fl_window_assigner a, const fl_window_options *options)
{
    if (fl__stream_failed(keyed))
        return keyed;
    fl_env *env = keyed->env;
    fl_where where = options->where;
    const fl_tag *late = options->late;
    if (keyed->kind != FL__STREAM_KEYED)
        return fl__stream_error(
            env, where, "fl_window needs a keyed stream: put fl_key_by(stream, \"field\") before it");
    fl_stream *failed = assigner_error(env, where, &a);
    if (failed)
        return failed;
    if (options->allowed_lateness.ms < 0)
        return fl__stream_error(env, where,
            "fl_window: the allowed lateness is %" PRId64 " ms; it must not be negative", options->allowed_lateness.ms);
    if (late && !fl_type_equal(late->type, keyed->type))
        return fl__stream_error(env, where,
            "fl_window: the late side output \"%s\" has type %s, but the stream is of %s", late->name, late->type->name,
            keyed->type->name);
    const char *misplaced = misplaced_option(options);
    if (misplaced)
        return fl__stream_error(env, where,
            "fl_window: %s belongs to the function that follows (fl_sum, fl_reduce, "
            "fl_aggregate, fl_window_apply …)",
            misplaced);
    fl__window_spec *spec = fl__env_alloc(env, sizeof *spec);
    *spec = (fl__window_spec){ .assigner = a, .allowed_lateness = options->allowed_lateness.ms, .late = late };
    fl_stream *windowed = fl__stream_copy(keyed);
    windowed->kind = FL__STREAM_WINDOWED;
    windowed->window = spec;
    return windowed;
}

/* ---- what follows ---- */

static const char *default_name(const fl_window_assigner *a)
{
    if (a->kind == FL_WINDOW_TUMBLING)
        return a->is_processing_time ? "TumblingProcessingTimeWindows" : "TumblingEventTimeWindows";
    return a->is_processing_time ? "SlidingProcessingTimeWindows" : "SlidingEventTimeWindows";
}

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
    if (options->on_timer)
        return fl__stream_error(
            in->env, options->where, "window functions have no timers: .on_timer belongs to fl_process");
    if (options->states[0] && !what.function)
        return fl__stream_error(in->env, options->where,
            "only functions that see the window can have states: use "
            "fl_aggregate_with, fl_reduce_with or fl_window_process");
    what.class = &fl__window_class;
    what.default_name = default_name(&config->window.assigner);
    what.config = config;
    return fl__add_operator(in, &what);
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

fl_stream *fl__window_aggregate_apply(
    fl_stream *in, const fl_aggregate_fn *aggregate, fl_function f, const fl_type *out, const fl_options *options)
{
    fl_stream *failed = aggregate_error(in, f ? aggregate : NULL, "fl_aggregate_with", options->where);
    if (failed)
        return failed;
    return add(in, new_config(in, FL__WINDOW_AGGREGATE),
        (fl__new_operator){ .out = out, .options = options, .aggregate = aggregate, .function = f });
}

fl_stream *fl__window_reduce_apply(
    fl_stream *in, fl_reduce_fn reduce, fl_function f, const fl_type *out, const fl_options *options)
{
    fl_stream *failed = not_windowed(in, "fl_reduce_with", reduce && f, options->where);
    if (failed)
        return failed;
    return add(in, new_config(in, FL__WINDOW_REDUCE),
        (fl__new_operator){ .out = out, .options = options, .reduce = reduce, .function = f });
}

fl_stream *fl__window_apply(fl_stream *in, fl_function f, const fl_type *out, const fl_options *options)
{
    fl_stream *failed = not_windowed(in, "fl_window_apply", f != NULL, options->where);
    if (failed)
        return failed;
    return add(
        in, new_config(in, FL__WINDOW_ELEMENTS), (fl__new_operator){ .out = out, .options = options, .function = f });
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
