/* Joins two keyed streams: the start of each ride with its fare, whichever comes first.
 *
 *     flinc run examples/rides_and_fares.c [--input RIDES | --port N] [--fares FARES]
 *
 * Both inputs are keyed by the ride, so the two functions see the same state. */
#include "fare.h"
#include "ride.h"

typedef struct {
    int64_t ride, driver;
    double tip, total, longitude, latitude;
} RideAndFare;
FL_ROW(RideAndFare, ride, driver, tip, total, longitude, latitude);

FL_VALUE_STATE(waiting_ride, Ride);
FL_VALUE_STATE(waiting_fare, Fare);

static void emit(fl_collector *out, const Ride *r, const Fare *f)
{
    fl_collect(out, &(RideAndFare){ r->ride, r->driver, f->tip, f->total, r->longitude, r->latitude });
}

static bool is_start(const void *in, fl_context *ctx)
{
    return ((const Ride *)in)->is_start;
}

static void on_ride(const void *in, fl_collector *out, fl_context *ctx)
{
    const Fare *fare = fl_value_peek(ctx, waiting_fare);
    if (!fare) {
        *fl_value(ctx, waiting_ride) = *(const Ride *)in;
        return;
    }
    emit(out, in, fare);
    fl_clear(ctx, waiting_fare);
}

static void on_fare(const void *in, fl_collector *out, fl_context *ctx)
{
    const Ride *ride = fl_value_peek(ctx, waiting_ride);
    if (!ride) {
        *fl_value(ctx, waiting_fare) = *(const Fare *)in;
        return;
    }
    emit(out, ride, in);
    fl_clear(ctx, waiting_ride);
}

FL_JOB(rides_and_fares)
{
    fl_stream *rides = fl_key_by(fl_filter(example_rides(env), is_start), "ride");
    fl_stream *fares = fl_key_by(example_fares(env), "ride");
    fl_print(fl_co_flat_map(
        fl_connect(rides, fares), on_ride, on_fare, RideAndFare, .states = { &waiting_ride, &waiting_fare }));
    return fl_execute(env, "Rides and fares");
}
