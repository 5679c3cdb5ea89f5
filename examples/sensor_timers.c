/* A keyed process function with event-time timers: which sensors were silent for ten seconds?
 *
 *     flinc run examples/sensor_timers.c [--input FILE | --port N] [--silence SECONDS]
 *
 * Each reading moves its sensor's timer; one that fires has not been moved in time. */
#include "sensor.h"

typedef struct {
    fl_string sensor;
    int64_t silent_since; /* ms */
} Silence;
FL_ROW(Silence, sensor, silent_since);
FL_VALUE_STATE(last_seen, int64_t);

static int64_t silence_of(fl_context *ctx)
{
    return *(const int64_t *)fl_arg(ctx);
}

static void on_reading(const void *in, fl_collector *out, fl_context *ctx)
{
    int64_t *last = fl_value(ctx, last_seen);
    if (*last)
        fl_delete_event_time_timer(ctx, *last + silence_of(ctx));
    *last = ((const Reading *)in)->at;
    fl_register_event_time_timer(ctx, *last + silence_of(ctx));
}

static void on_silence(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_timer *timer = in;
    fl_collect(out, &(Silence){ *(const fl_string *)fl_current_key(ctx), timer->time - silence_of(ctx) });
    fl_clear(ctx, last_seen);
}

/* A watermark after each reading, so that the result does not depend on how fast they are read. */
static void each(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx)
{
    fl_emit_watermark(out, timestamp - 1);
}

FL_JOB(sensor_timers)
{
    static int64_t silence_ms;
    silence_ms = 1000 * fl_param_int(env, "silence", 10);
    fl_stream *readings =
        fl_watermarks(example_readings(env), fl_punctuated_watermarks(each), .timestamp = "at", .parallelism = 1);
    fl_print(fl_process(fl_key_by(readings, "id"), on_reading, Silence, .states = { &last_seen },
        .on_timer = on_silence, .arg = &silence_ms));
    return fl_execute(env, "Silent sensors");
}
