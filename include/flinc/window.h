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
} fl_window_kind;

/* Assigns records to windows. Make it with the functions below. */
typedef struct fl_window_assigner {
    fl_window_kind kind;
    bool is_processing_time;
    fl_duration size, slide, offset;
} fl_window_assigner;

/* Windows [k·size + offset, (k+1)·size + offset). size > 0; |offset| < size. */
fl_window_assigner fl_tumbling_event_time(fl_duration size);
fl_window_assigner fl_tumbling_processing_time(fl_duration size);
/* A window of this size starts every slide ms. slide > size samples. */
fl_window_assigner fl_sliding_event_time(fl_duration size, fl_duration slide);
fl_window_assigner fl_sliding_processing_time(fl_duration size, fl_duration slide);
/* The same assigner with windows moved by offset. */
fl_window_assigner fl_window_offset(fl_window_assigner assigner, fl_duration offset);

typedef struct fl_window_options {
    FL__COMMON_OPTIONS
    fl_duration allowed_lateness; /* event time: late records update and re-emit the window until then; default 0 */
    const void *late;             /* &tag: records later than that go there instead of being dropped */
} fl_window_options;
fl_stream *fl__window(fl_stream *keyed, fl_window_assigner assigner, const fl_window_options *options);
/* A windowed stream: to be followed by an aggregation or window function. Options of the operator are given there. */
#define fl_window(keyed, assigner, ...)                                                                                \
    fl__window((keyed), (assigner), &(const fl_window_options){ .where = FL_HERE, ##__VA_ARGS__ })

/* What a window function gets as in: the window's records, in order of arrival (or the one result of an incremental
 * function before it). */
typedef struct fl_elements {
    const char *rows; /* count rows, one after the other */
    size_t count;
    uint32_t row_size;
} fl_elements;
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

fl_stream *fl__window_apply(fl_stream *windowed, fl_function f, const fl_type *out, const fl_options *options);
fl_stream *fl__window_aggregate_apply(fl_stream *windowed, const fl_aggregate_fn *aggregate, fl_function f,
    const fl_type *out, const fl_options *options);
fl_stream *fl__window_reduce_apply(
    fl_stream *windowed, fl_reduce_fn reduce, fl_function f, const fl_type *out, const fl_options *options);
/* f sees all records of the window: in is a const fl_elements *. */
#define fl_window_apply(windowed, f, Out, ...) fl__window_apply((windowed), (f), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))
/* The same; a process window function has the context's time and side outputs. */
#define fl_window_process(windowed, f, Out, ...)                                                                       \
    fl__window_apply((windowed), (f), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))
/* Incremental and with the window at hand: aggregate's (or reduce's) one result goes through f. */
#define fl_aggregate_with(windowed, aggregate, f, Out, ...)                                                            \
    fl__window_aggregate_apply((windowed), &(aggregate), (f), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))
#define fl_reduce_with(windowed, reduce, f, Out, ...)                                                                  \
    fl__window_reduce_apply((windowed), (reduce), (f), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))

#ifdef __cplusplus
}
#endif
#endif
