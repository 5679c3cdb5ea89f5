/* Rides that have not ended two hours after their start: told at once by a timer, not at their end.
 *
 *     flinc run examples/long_rides.c [--input FILE | --port N]
 *
 * Lines may be out of order: an end that comes first is kept until its start comes, two hours at most. */
#include "ride.h"

FL_VALUE_STATE(earlier, Ride); /* the one of the ride's two lines that came first */

static const int64_t too_long_ms = 2 * 3600000;

static void on_ride(const void *in, fl_collector *out, fl_context *ctx)
{
    const Ride *r = in, *first = fl_value_peek(ctx, earlier);
    if (!first) {
        *fl_value(ctx, earlier) = *r;
        fl_register_event_time_timer(ctx, r->at + too_long_ms);
        return;
    }
    int64_t start = r->is_start ? r->at : first->at, end = r->is_start ? first->at : r->at;
    if (end - start > too_long_ms)
        fl_collect(out, &r->ride);
    fl_delete_event_time_timer(ctx, first->at + too_long_ms);
    fl_clear(ctx, earlier);
}

static void on_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    const Ride *first = fl_value_peek(ctx, earlier);
    if (first->is_start)
        fl_collect(out, &first->ride);
    fl_clear(ctx, earlier);
}

FL_JOB(long_rides)
{
    fl_stream *rides = fl_watermarks(example_rides(env), fl_bounded_out_of_orderness(fl_minutes(1)), .timestamp = "at");
    fl_print(fl_process(fl_key_by(rides, "ride"), on_ride, int64_t, .states = { &earlier }, .on_timer = on_timer));
    return fl_execute(env, "Long rides");
}
