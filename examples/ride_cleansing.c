/* A filter: only what happened within New York City.
 *
 *     flinc run examples/ride_cleansing.c [--input FILE | --port N]
 */
#include "ride.h"

static bool in_new_york(const void *in, fl_context *ctx)
{
    const Ride *r = in;
    return r->longitude >= -74.05 && r->longitude <= -73.7 && r->latitude >= 40.5 && r->latitude <= 41.0;
}

FL_JOB(ride_cleansing)
{
    fl_print(fl_filter(example_rides(env), in_new_york));
    return fl_execute(env, "Rides in New York");
}
