/* What windows are made of: constructors of assigners, triggers and evictors, and what may be wrong with them. */
#include "api/window_internal.h"

#include "operators/window.h"

#include <inttypes.h>

enum {
    WINDOWS_PER_RECORD_MAX = 10000000, /* Flink's MAX_WINDOW_NUM */
    TRIGGER_STATE_MAX = 4096,          /* bytes: every window has them */
};

/* ---- assigners ---- */

static fl_window_assigner assigner(fl_window_kind kind, bool is_processing_time, fl_duration size, fl_duration slide)
{
    return (fl_window_assigner){
        .kind = kind,
        .is_processing_time = is_processing_time,
        .size = size,
        .slide = slide,
        .is_merging = kind == FL_WINDOW_SESSION,
    };
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

fl_window_assigner fl_session_event_time(fl_duration gap)
{
    return assigner(FL_WINDOW_SESSION, false, gap, gap);
}

fl_window_assigner fl_session_processing_time(fl_duration gap)
{
    return assigner(FL_WINDOW_SESSION, true, gap, gap);
}

static fl_window_assigner dynamic_session(bool is_processing_time, fl_session_gap_fn gap)
{
    fl_window_assigner a = assigner(FL_WINDOW_SESSION, is_processing_time, (fl_duration){ 0 }, (fl_duration){ 0 });
    a.gap = gap;
    return a;
}

fl_window_assigner fl_session_event_time_dynamic(fl_session_gap_fn gap)
{
    return dynamic_session(false, gap);
}

fl_window_assigner fl_session_processing_time_dynamic(fl_session_gap_fn gap)
{
    return dynamic_session(true, gap);
}

fl_window_assigner fl_global_windows(void)
{
    return assigner(FL_WINDOW_GLOBAL, true, (fl_duration){ 0 }, (fl_duration){ 0 });
}

fl_window_assigner fl_custom_windows(fl_assign_fn assign, bool is_processing_time)
{
    fl_window_assigner a = assigner(FL_WINDOW_CUSTOM, is_processing_time, (fl_duration){ 0 }, (fl_duration){ 0 });
    a.assign = assign;
    return a;
}

fl_window_assigner fl_merging_windows(fl_window_assigner a)
{
    a.is_merging = true;
    return a;
}

static fl_stream *aligned_error(fl_env *env, fl_where where, const fl_window_assigner *a)
{
    int64_t size = a->size.ms, slide = a->slide.ms, offset = a->offset.ms;
    if (size <= 0)
        return fl__stream_error(env, where, "fl_window: the window size is %" PRId64 " ms; it must be above 0", size);
    if (slide <= 0)
        return fl__stream_error(env, where, "fl_window: the slide is %" PRId64 " ms; it must be above 0", slide);
    if (offset <= -slide || offset >= slide)
        return fl__stream_error(env, where,
            "fl_window: the offset is %" PRId64 " ms; it must be smaller than the %s, "
            "%" PRId64 " ms, in either direction",
            offset, a->kind == FL_WINDOW_TUMBLING ? "size" : "slide", slide);
    if (size / slide > WINDOWS_PER_RECORD_MAX)
        return fl__stream_error(env, where,
            "fl_window: with a size of %" PRId64 " ms and a slide of %" PRId64 " ms each record would be in %" PRId64
            " windows; at most %d are allowed",
            size, slide, size / slide, WINDOWS_PER_RECORD_MAX);
    if (a->is_merging)
        return fl__stream_error(env, where,
            "fl_window: fl_merging_windows takes custom windows; tumbling and sliding ones are not merged "
            "(sessions are the windows that grow)");
    return NULL;
}

fl_stream *fl__window_assigner_error(fl_env *env, fl_where where, const fl_window_assigner *a)
{
    bool is_aligned = a->kind == FL_WINDOW_TUMBLING || a->kind == FL_WINDOW_SLIDING;
    if (is_aligned)
        return aligned_error(env, where, a);
    if (a->kind != FL_WINDOW_SESSION && a->kind != FL_WINDOW_GLOBAL && a->kind != FL_WINDOW_CUSTOM)
        return fl__stream_error(env, where,
            "fl_window: unknown window kind %d; make the assigner with "
            "fl_tumbling_event_time, fl_sliding_event_time or one of the other constructors",
            (int)a->kind);
    if (a->offset.ms)
        return fl__stream_error(env, where, "fl_window: only tumbling and sliding windows have an offset");
    if (a->kind == FL_WINDOW_SESSION && !a->gap && a->size.ms <= 0)
        return fl__stream_error(
            env, where, "fl_window: the session gap is %" PRId64 " ms; it must be above 0", a->size.ms);
    if (a->kind == FL_WINDOW_CUSTOM && !a->assign)
        return fl__stream_error(env, where, "fl_window: the assign function of fl_custom_windows is NULL");
    if (a->kind == FL_WINDOW_GLOBAL && a->is_merging)
        return fl__stream_error(env, where,
            "fl_window: fl_merging_windows takes custom windows; the global window has nothing to merge with");
    return NULL;
}

const char *fl__window_assigner_name(const fl_window_assigner *a)
{
    switch (a->kind) {
    case FL_WINDOW_TUMBLING:
        return a->is_processing_time ? "TumblingProcessingTimeWindows" : "TumblingEventTimeWindows";
    case FL_WINDOW_SLIDING: return a->is_processing_time ? "SlidingProcessingTimeWindows" : "SlidingEventTimeWindows";
    case FL_WINDOW_SESSION:
        if (a->gap)
            return a->is_processing_time ? "DynamicProcessingTimeSessionWindows" : "DynamicEventTimeSessionWindows";
        return a->is_processing_time ? "ProcessingTimeSessionWindows" : "EventTimeSessionWindows";
    case FL_WINDOW_GLOBAL: return "GlobalWindows";
    case FL_WINDOW_CUSTOM: break;
    }
    return "CustomWindows";
}

/* ---- triggers ---- */

fl_trigger fl_event_time_trigger(void)
{
    return (fl_trigger){ .kind = FL_TRIGGER_EVENT_TIME };
}

fl_trigger fl_processing_time_trigger(void)
{
    return (fl_trigger){ .kind = FL_TRIGGER_PROCESSING_TIME };
}

fl_trigger fl_count_trigger(int64_t n)
{
    return (fl_trigger){ .kind = FL_TRIGGER_COUNT, .count = n };
}

fl_trigger fl_continuous_event_time_trigger(fl_duration interval)
{
    return (fl_trigger){ .kind = FL_TRIGGER_CONTINUOUS_EVENT_TIME, .interval = interval };
}

fl_trigger fl_continuous_processing_time_trigger(fl_duration interval)
{
    return (fl_trigger){ .kind = FL_TRIGGER_CONTINUOUS_PROCESSING_TIME, .interval = interval };
}

fl_trigger fl_delta_trigger(double threshold, fl_delta_fn delta)
{
    return (fl_trigger){ .kind = FL_TRIGGER_DELTA, .threshold = threshold, .delta = delta };
}

/* One too many is counted but not kept: fl_window says so. */
static fl_trigger with_layer(fl_trigger nested, bool is_timeout, bool resets, bool clears, fl_duration timeout)
{
    if (nested.layer_count < FL_TRIGGER_LAYERS_MAX) {
        nested.layers[nested.layer_count].is_timeout = is_timeout;
        nested.layers[nested.layer_count].resets = resets;
        nested.layers[nested.layer_count].clears = clears;
        nested.layers[nested.layer_count].timeout = timeout;
    }
    nested.layer_count++;
    return nested;
}

fl_trigger fl_purging_trigger(fl_trigger nested)
{
    return with_layer(nested, false, false, false, (fl_duration){ 0 });
}

fl_trigger fl_processing_time_timeout_trigger(
    fl_trigger nested, fl_duration timeout, bool reset_on_new_record, bool clear_on_timeout)
{
    return with_layer(nested, true, reset_on_new_record, clear_on_timeout, timeout);
}

fl_trigger fl_never_trigger(void)
{
    return (fl_trigger){ .kind = FL_TRIGGER_NEVER };
}

fl_trigger fl_custom_trigger(const fl_trigger_class *trigger)
{
    return (fl_trigger){ .kind = FL_TRIGGER_CUSTOM, .class_of = trigger };
}

static fl_stream *layers_error(fl_env *env, fl_where where, const fl_trigger *t)
{
    if (t->layer_count > FL_TRIGGER_LAYERS_MAX)
        return fl__stream_error(env, where,
            "fl_window: %u purging and timeout triggers lie around each other; at most %d can",
            (unsigned)t->layer_count, FL_TRIGGER_LAYERS_MAX);
    for (uint32_t i = 0; i < t->layer_count; i++) {
        if (t->layers[i].is_timeout && t->layers[i].timeout.ms <= 0)
            return fl__stream_error(env, where,
                "fl_processing_time_timeout_trigger: the timeout is %" PRId64 " ms; it must be above 0",
                t->layers[i].timeout.ms);
    }
    return NULL;
}

fl_stream *fl__window_trigger_error(fl_env *env, fl_where where, const fl__window_spec *spec)
{
    const fl_trigger *t = &spec->trigger;
    fl_trigger meant = fl__window_trigger(spec);
    if (t->kind == FL_TRIGGER_COUNT && t->count <= 0)
        return fl__stream_error(env, where, "fl_count_trigger: the count is %" PRId64 "; it must be above 0", t->count);
    if ((t->kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME || t->kind == FL_TRIGGER_CONTINUOUS_PROCESSING_TIME) &&
        t->interval.ms <= 0)
        return fl__stream_error(env, where, "%s: the interval is %" PRId64 " ms; it must be above 0",
            fl__window_trigger_name(t), t->interval.ms);
    if (t->kind == FL_TRIGGER_DELTA && !t->delta)
        return fl__stream_error(env, where, "fl_delta_trigger: the delta function is NULL");
    if (t->kind == FL_TRIGGER_CUSTOM && (!t->class_of || !t->class_of->on_element))
        return fl__stream_error(
            env, where, "fl_custom_trigger: the trigger has no .on_element, which is called with each record");
    if (t->kind == FL_TRIGGER_CUSTOM && t->class_of->state_size > TRIGGER_STATE_MAX)
        return fl__stream_error(env, where,
            "fl_custom_trigger: .state_size is %zu bytes; each window has that many, at most %d are allowed",
            t->class_of->state_size, TRIGGER_STATE_MAX);
    fl_stream *failed = layers_error(env, where, t);
    if (failed)
        return failed;
    bool ends_by_clock = spec->assigner.is_processing_time && spec->assigner.kind != FL_WINDOW_GLOBAL;
    if (ends_by_clock && (t->kind == FL_TRIGGER_EVENT_TIME || t->kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME))
        return fl__stream_error(env, where,
            "fl_window: %s fires when watermarks pass, but %s end by the clock: take "
            "fl_processing_time_trigger or fl_continuous_processing_time_trigger, or windows of event time",
            fl__window_trigger_name(t), fl__window_assigner_name(&spec->assigner));
    if (spec->assigner.is_merging && !fl__window_trigger_can_merge(&meant))
        return fl__stream_error(env, where,
            "fl_window: %s merge, but %s cannot: it cannot say what it knows about two windows as one%s",
            fl__window_assigner_name(&spec->assigner),
            t->layer_count && t->kind != FL_TRIGGER_DELTA && t->kind != FL_TRIGGER_CUSTOM
                ? "ProcessingTimeoutTrigger"
                : fl__window_trigger_name(&meant),
            t->kind == FL_TRIGGER_CUSTOM ? "; give it .on_merge" : "; take a count, time or continuous trigger");
    return NULL;
}

/* ---- evictors ---- */

fl_evictor fl_count_evictor(int64_t n)
{
    return (fl_evictor){ .kind = FL_EVICTOR_COUNT, .count = n };
}

fl_evictor fl_delta_evictor(double threshold, fl_delta_fn delta)
{
    return (fl_evictor){ .kind = FL_EVICTOR_DELTA, .threshold = threshold, .delta = delta };
}

fl_evictor fl_time_evictor(fl_duration keep)
{
    return (fl_evictor){ .kind = FL_EVICTOR_TIME, .keep = keep };
}

fl_evictor fl_custom_evictor(fl_evict_fn before, fl_evict_fn after)
{
    return (fl_evictor){ .kind = FL_EVICTOR_CUSTOM, .before = before, .after = after };
}

fl_evictor fl_evict_after(fl_evictor evictor)
{
    evictor.is_after = true;
    return evictor;
}

fl_stream *fl__window_evictor_error(fl_env *env, fl_where where, const fl_evictor *e)
{
    switch (e->kind) {
    case FL_EVICTOR_NONE: return NULL;
    case FL_EVICTOR_COUNT:
        if (e->count <= 0)
            return fl__stream_error(
                env, where, "fl_count_evictor: the count is %" PRId64 "; it must be above 0", e->count);
        return NULL;
    case FL_EVICTOR_DELTA:
        if (!e->delta)
            return fl__stream_error(env, where, "fl_delta_evictor: the delta function is NULL");
        return NULL;
    case FL_EVICTOR_TIME:
        if (e->keep.ms <= 0)
            return fl__stream_error(
                env, where, "fl_time_evictor: the time to keep is %" PRId64 " ms; it must be above 0", e->keep.ms);
        return NULL;
    case FL_EVICTOR_CUSTOM:
        if (!e->before && !e->after)
            return fl__stream_error(
                env, where, "fl_custom_evictor: both functions are NULL; leave .evictor out for none");
        if (e->is_after)
            return fl__stream_error(env, where,
                "fl_evict_after is for the built-in evictors; fl_custom_evictor(NULL, f) runs after the function");
        return NULL;
    }
    return fl__stream_error(env, where,
        "fl_window: unknown evictor %d; make it with fl_count_evictor, "
        "fl_time_evictor, fl_delta_evictor or fl_custom_evictor",
        (int)e->kind);
}
