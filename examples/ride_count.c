/* How many rides each driver started.
 *
 *     flinc run examples/ride_count.c [--input FILE | --port N]
 */
#include "ride.h"

typedef struct {
    int64_t driver, rides;
} DriverCount;
FL_ROW(DriverCount, driver, rides);

static void one(const void *in, fl_collector *out, fl_context *ctx)
{
    const Ride *r = in;
    if (r->is_start)
        fl_collect(out, &(DriverCount){ r->driver, 1 });
}

FL_JOB(ride_count)
{
    fl_print(fl_sum(fl_key_by(fl_flat_map(example_rides(env), one, DriverCount), "driver"), "rides"));
    return fl_execute(env, "Rides of each driver");
}
