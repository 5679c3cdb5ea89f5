/* Events that arrive out of order, watermarks that wait for them, and what still comes too late.
 *
 *     flinc run examples/out_of_order.c [--count N] [--rate N] [--bound SECONDS]
 *
 * A generator makes ten events a second of event time and delays each by up to four seconds. Windows of five seconds
 * count them; watermarks allow for --bound seconds (3): the few events that are later leave by a side output. The
 * watermarks are made by hand, one after each event that brings time forward, so that every run shows the same; usually
 * one writes fl_bounded_out_of_orderness(fl_seconds(3)). */
#include <flinc.h>

typedef struct {
    int64_t number, at, count;
} Event;
FL_ROW(Event, number, at, count);
FL_OUTPUT_TAG(late_events, Event);

typedef struct {
    int64_t start, count; /* of the window */
} WindowCount;
FL_ROW(WindowCount, start, count);

static void generate(const void *in, fl_collector *out, fl_context *ctx)
{
    int64_t number = *(const int64_t *)in;
    int64_t delay = (number * number * 7919 + number * 104729) % 4001; /* ms; as good as random */
    int64_t at = 100 * number - delay;
    fl_collect(out, &(Event){ number, at < 0 ? 0 : at, 1 });
}

static void follow(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx)
{
    fl_time *newest = fl_self(ctx);
    if (timestamp > *newest) {
        *newest = timestamp;
        fl_emit_watermark(out, timestamp - *(const int64_t *)fl_arg(ctx) - 1);
    }
}

static void everything(const void *in, void *key, fl_context *ctx)
{
    *(int32_t *)key = 0;
}

static void count(void *value, const void *in, fl_context *ctx)
{
    ((Event *)value)->count += ((const Event *)in)->count;
}

static void add_window(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *total = fl_element(in, 0);
    fl_collect(out, &(WindowCount){ fl_current_window(ctx).start, total->count });
}

FL_JOB(out_of_order)
{
    static int64_t bound_ms;
    bound_ms = 1000 * fl_param_int(env, "bound", 3);
    fl_set_parallelism(env, 1);
    fl_stream *events = fl_generate(
        env, generate, Event, .count = fl_param_int(env, "count", 1000), .rate = fl_param_double(env, "rate", 0));
    events = fl_watermarks(events, fl_punctuated_watermarks(follow), .timestamp = "at", .arg = &bound_ms,
        .instance_size = sizeof(fl_time));
    fl_stream *counts = fl_reduce_with(fl_window(fl_key_by_function(events, everything, int32_t),
                                           fl_tumbling_event_time(fl_seconds(5)), .late = &late_events),
        count, add_window, WindowCount);
    fl_print(counts, .prefix = "window");
    fl_print(fl_side_output(counts, late_events), .prefix = "late");
    return fl_execute(env, "Out of order");
}
