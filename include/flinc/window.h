/* Windows: a keyed stream cut into finite pieces. fl_window(keyed, fl_tumbling_event_time(fl_seconds(5))) is then given
 * to fl_sum … fl_reduce, fl_aggregate, fl_window_apply, fl_window_process. */
#ifndef FLINC_WINDOW_H
#define FLINC_WINDOW_H

#include "flinc/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* [start, end) in ms; the global window is [FL_TIME_MIN, FL_TIME_MAX). */
typedef struct fl_window_range {
    fl_time start, end;
} fl_window_range;

typedef enum fl_window_kind {
    FL_WINDOW_TUMBLING,
    FL_WINDOW_SLIDING,
    FL_WINDOW_SESSION,
    FL_WINDOW_GLOBAL,
    FL_WINDOW_CUSTOM,
} fl_window_kind;

/* Where an assign function puts a record's windows. */
typedef struct fl_windows fl_windows;
/* The session gap that this record asks for; above 0. */
typedef fl_duration (*fl_session_gap_fn)(const void *in, fl_context *ctx);
/* The windows of a record: calls fl_assign_window for each. fl_timestamp_of(ctx) is the record's event time,
 * fl_current_processing_time(ctx) the clock. */
typedef void (*fl_assign_fn)(const void *in, fl_windows *windows, fl_context *ctx);

/* Assigns records to windows. Make it with the functions below. */
typedef struct fl_window_assigner {
    fl_window_kind kind;
    bool is_processing_time;
    fl_duration size, slide, offset; /* sessions: size is the gap */
    bool is_merging;                 /* windows of a key that touch become one */
    fl_session_gap_fn gap;           /* sessions whose gap depends on the record */
    fl_assign_fn assign;             /* custom */
} fl_window_assigner;

/* Windows [k·size + offset, (k+1)·size + offset). size > 0; |offset| < size. */
fl_window_assigner fl_tumbling_event_time(fl_duration size);
fl_window_assigner fl_tumbling_processing_time(fl_duration size);
/* A window of this size starts every slide ms. slide > size samples. */
fl_window_assigner fl_sliding_event_time(fl_duration size, fl_duration slide);
fl_window_assigner fl_sliding_processing_time(fl_duration size, fl_duration slide);
/* The same assigner with windows moved by offset. */
fl_window_assigner fl_window_offset(fl_window_assigner assigner, fl_duration offset);
/* Sessions: records of a key with less than the gap (> 0) between neighbours, or just the gap, are one window
 * [first, last + gap). */
fl_window_assigner fl_session_event_time(fl_duration gap);
fl_window_assigner fl_session_processing_time(fl_duration gap);
/* The same with a gap by record. A gap that is not above 0 fails the task. */
fl_window_assigner fl_session_event_time_dynamic(fl_session_gap_fn gap);
fl_window_assigner fl_session_processing_time_dynamic(fl_session_gap_fn gap);
/* One window without end per key. It never fires by itself: give a .trigger, and one that purges, or an evictor, or its
 * contents grow as long as the job runs. Its results have the timestamp FL_TIME_MAX, as in Flink. */
fl_window_assigner fl_global_windows(void);
/* The windows that assign says, of processing time or of event time. */
fl_window_assigner fl_custom_windows(fl_assign_fn assign, bool is_processing_time);
/* In an assign function: the record is in [start, end), start < end. Any number of times, also none. */
void fl_assign_window(fl_windows *windows, fl_time start, fl_time end);
/* Custom windows of a key that overlap or touch are merged into one, as sessions are. */
fl_window_assigner fl_merging_windows(fl_window_assigner assigner);

/* ---- triggers: when a window fires ---- */

/* What a trigger decides: FIRE gives the window's result, PURGE empties it (it takes new records still). */
typedef enum fl_trigger_result {
    FL_CONTINUE = 0,
    FL_FIRE = 1,
    FL_PURGE = 2,
    FL_FIRE_AND_PURGE = 3,
} fl_trigger_result;

/* How far new is from old. */
typedef double (*fl_delta_fn)(const void *old_record, const void *new_record, fl_context *ctx);

/* A trigger of the program's own: functions that get what the window remembers for it (state_size zeroed bytes per key
 * and window, which may hold no pointers) and a context with fl_current_window, time, watermark, the key, and the
 * fl_trigger_… functions below. NULL: continue, or nothing to do. on_element is needed; without on_merge it cannot go
 * with windows that merge. */
typedef struct fl_trigger_class {
    const char *name;
    size_t state_size; /* at most 4096 */
    fl_trigger_result (*on_element)(const void *in, void *state, fl_context *ctx);
    fl_trigger_result (*on_event_time)(fl_time time, void *state, fl_context *ctx);
    fl_trigger_result (*on_processing_time)(fl_time time, void *state, fl_context *ctx);
    /* Called for each window that went into the one at hand, earliest first; state starts zeroed, timers start anew. */
    void (*on_merge)(void *state, const void *merged, fl_context *ctx);
    /* The window goes: what is left to do. Its timers and state go by themselves. */
    void (*clear)(void *state, fl_context *ctx);
} fl_trigger_class;

typedef enum fl_trigger_kind {
    FL_TRIGGER_DEFAULT, /* event time, processing time or never: the assigner's */
    FL_TRIGGER_EVENT_TIME,
    FL_TRIGGER_PROCESSING_TIME,
    FL_TRIGGER_COUNT,
    FL_TRIGGER_CONTINUOUS_EVENT_TIME,
    FL_TRIGGER_CONTINUOUS_PROCESSING_TIME,
    FL_TRIGGER_DELTA,
    FL_TRIGGER_NEVER,
    FL_TRIGGER_CUSTOM,
} fl_trigger_kind;

#define FL_TRIGGER_LAYERS_MAX 4

/* Decides when windows fire. Make it with the functions below. */
typedef struct fl_trigger {
    fl_trigger_kind kind;
    int64_t count;
    fl_duration interval;
    double threshold;
    fl_delta_fn delta;
    const fl_trigger_class *class_of; /* custom */
    uint32_t layer_count;             /* purging and timeout triggers around it, inner first */
    struct {
        bool is_timeout, resets, clears;
        fl_duration timeout;
    } layers[FL_TRIGGER_LAYERS_MAX];
} fl_trigger;

/* When the watermark (the clock) passes the window's end; with late records at once. */
fl_trigger fl_event_time_trigger(void);
fl_trigger fl_processing_time_trigger(void);
/* With every n-th record of a window; n > 0. */
fl_trigger fl_count_trigger(int64_t n);
/* At every multiple of the interval (> 0) that the watermark (the clock) passes after the first record, and at the
 * window's end. */
fl_trigger fl_continuous_event_time_trigger(fl_duration interval);
fl_trigger fl_continuous_processing_time_trigger(fl_duration interval);
/* When a record is further than threshold from the one that fired last (or came first). */
fl_trigger fl_delta_trigger(double threshold, fl_delta_fn delta);
/* Fires as nested does, and empties the window each time. */
fl_trigger fl_purging_trigger(fl_trigger nested);
/* Fires as nested does, and when the clock has gone on by timeout (> 0) since the first record, or with
 * reset_on_new_record since the last one. clear_on_timeout: nested begins anew then. */
fl_trigger fl_processing_time_timeout_trigger(
    fl_trigger nested, fl_duration timeout, bool reset_on_new_record, bool clear_on_timeout);
/* Never: what windows hold goes unseen when their time is over. */
fl_trigger fl_never_trigger(void);
/* trigger must outlive the job: make it static. */
fl_trigger fl_custom_trigger(const fl_trigger_class *trigger);

/* In a custom trigger's functions: on_event_time is called for this window when the watermark reaches time (at the next
 * watermark when it has), on_processing_time when the clock is past it. One timer per window and time. */
void fl_trigger_register_event_time_timer(fl_context *ctx, fl_time time);
void fl_trigger_register_processing_time_timer(fl_context *ctx, fl_time time);
/* Forgets the timer; nothing when there is none. */
void fl_trigger_delete_event_time_timer(fl_context *ctx, fl_time time);
void fl_trigger_delete_processing_time_timer(fl_context *ctx, fl_time time);

/* ---- evictors: what of a firing window its function sees ---- */

typedef struct fl_elements fl_elements;
/* Sets evict[i] for the elements to be removed from the window for good. timestamps: FL_NO_TIMESTAMP where records have
 * none. */
typedef void (*fl_evict_fn)(const fl_elements *elements, const fl_time *timestamps, bool *evict, fl_context *ctx);

typedef enum fl_evictor_kind {
    FL_EVICTOR_NONE,
    FL_EVICTOR_COUNT,
    FL_EVICTOR_DELTA,
    FL_EVICTOR_TIME,
    FL_EVICTOR_CUSTOM,
} fl_evictor_kind;

/* Removes records when a window fires, before its function or after it. A window with an evictor keeps all records,
 * whatever the function. Make it with the functions below. */
typedef struct fl_evictor {
    fl_evictor_kind kind;
    bool is_after;
    int64_t count;
    fl_duration keep;
    double threshold;
    fl_delta_fn delta;
    fl_evict_fn before, after;
} fl_evictor;

/* Keeps the last n; n > 0. */
fl_evictor fl_count_evictor(int64_t n);
/* Removes those whose delta to the last one is threshold or more. */
fl_evictor fl_delta_evictor(double threshold, fl_delta_fn delta);
/* Keeps those of the last so many ms before the latest timestamp; nothing goes when the first record has none. */
fl_evictor fl_time_evictor(fl_duration keep);
/* Either may be NULL. */
fl_evictor fl_custom_evictor(fl_evict_fn before, fl_evict_fn after);
/* The same evictor (count, delta, time), after the window function instead of before it. */
fl_evictor fl_evict_after(fl_evictor evictor);

/* ---- windowed streams ---- */

typedef struct fl_window_options {
    FL__COMMON_OPTIONS
    fl_duration allowed_lateness; /* event time: late records update and re-emit the window until then; default 0 */
    const void *late;             /* &tag: records later than that go there instead of being dropped */
    fl_trigger trigger;           /* default: at the window's end */
    fl_evictor evictor;           /* default: none */
} fl_window_options;
#define FL__WINDOW_OPTIONS(...) (&(const fl_window_options){ .where = FL_HERE, ##__VA_ARGS__ })
fl_stream *fl__window(fl_stream *keyed, fl_window_assigner assigner, const fl_window_options *options);
fl_stream *fl__window_all(fl_stream *in, fl_window_assigner assigner, const fl_window_options *options);
fl_stream *fl__count_window(fl_stream *in, int64_t size, int64_t slide, bool all, const fl_window_options *options);
/* A windowed stream: to be followed by an aggregation or window function. Options of the operator are given there. */
#define fl_window(keyed, assigner, ...) fl__window((keyed), (assigner), FL__WINDOW_OPTIONS(__VA_ARGS__))
/* Windows over all records, whatever their key: one subtask does the work. */
#define fl_window_all(in, assigner, ...) fl__window_all((in), (assigner), FL__WINDOW_OPTIONS(__VA_ARGS__))
/* Every n records of a key; an incomplete window never fires. n > 0. */
#define fl_count_window(keyed, n, ...) fl__count_window((keyed), (n), 0, false, FL__WINDOW_OPTIONS(__VA_ARGS__))
/* Every slide records of a key, the last n of them. */
#define fl_sliding_count_window(keyed, n, slide, ...)                                                                  \
    fl__count_window((keyed), (n), (slide), false, FL__WINDOW_OPTIONS(__VA_ARGS__))
/* The same over all records. */
#define fl_count_window_all(in, n, ...) fl__count_window((in), (n), 0, true, FL__WINDOW_OPTIONS(__VA_ARGS__))
#define fl_sliding_count_window_all(in, n, slide, ...)                                                                 \
    fl__count_window((in), (n), (slide), true, FL__WINDOW_OPTIONS(__VA_ARGS__))

/* What a window function gets as in: the window's records, in order of arrival (or the one result of an incremental
 * function before it). */
struct fl_elements {
    const char *rows; /* count rows, one after the other */
    size_t count;
    uint32_t row_size;
};
static inline const void *fl_element(const fl_elements *elements, size_t i)
{
    return elements->rows + i * elements->row_size;
}
/* fl_each(const Hit *, hit, in) { … }: in is the window function's const void *in. */
#define fl_each(Pointer, variable, in)                                                                                 \
    for (size_t fl__i_##variable = 0; fl__i_##variable < ((const fl_elements *)(in))->count; fl__i_##variable++)       \
        for (Pointer variable = (Pointer)fl_element((const fl_elements *)(in), fl__i_##variable); variable;            \
             variable = NULL)

/* In window functions: the window at hand. */
fl_window_range fl_current_window(const fl_context *ctx);

typedef struct fl_window_function_options {
    FL__COMMON_OPTIONS                /* .states: the key's, whatever the window (Flink's global state) */
        const void *window_states[8]; /* states of the key and window: fl_value(fl_window_state(ctx), seen) */
    fl_lifecycle_fn clear;            /* called when a window's time is over; its states go by themselves afterwards */
} fl_window_function_options;
#define FL__WINDOW_FUNCTION_OPTIONS(...) (&(const fl_window_function_options){ .where = FL_HERE, ##__VA_ARGS__ })

/* In window functions with .window_states, and in .clear: a context whose state is that of the window at hand. For the
 * calls of flinc/state.h only; valid during the call. */
fl_context *fl_window_state(fl_context *ctx);

fl_stream *fl__window_apply(
    fl_stream *windowed, fl_function f, const fl_type *out, const fl_window_function_options *options);
fl_stream *fl__window_aggregate_apply(fl_stream *windowed, const fl_aggregate_fn *aggregate, fl_function f,
    const fl_type *out, const fl_window_function_options *options);
fl_stream *fl__window_reduce_apply(fl_stream *windowed, fl_reduce_fn reduce, fl_function f, const fl_type *out,
    const fl_window_function_options *options);
/* f sees all records of the window: in is a const fl_elements *. */
#define fl_window_apply(windowed, f, Out, ...)                                                                         \
    fl__window_apply((windowed), (f), FL_TYPE(Out), FL__WINDOW_FUNCTION_OPTIONS(__VA_ARGS__))
/* The same; a process window function has the context's time and side outputs. */
#define fl_window_process(windowed, f, Out, ...)                                                                       \
    fl__window_apply((windowed), (f), FL_TYPE(Out), FL__WINDOW_FUNCTION_OPTIONS(__VA_ARGS__))
/* Incremental and with the window at hand: aggregate's (or reduce's) one result goes through f. */
#define fl_aggregate_with(windowed, aggregate, f, Out, ...)                                                            \
    fl__window_aggregate_apply((windowed), &(aggregate), (f), FL_TYPE(Out), FL__WINDOW_FUNCTION_OPTIONS(__VA_ARGS__))
#define fl_reduce_with(windowed, reduce, f, Out, ...)                                                                  \
    fl__window_reduce_apply((windowed), (reduce), (f), FL_TYPE(Out), FL__WINDOW_FUNCTION_OPTIONS(__VA_ARGS__))

#ifdef __cplusplus
}
#endif
#endif
