/* The highest temperature of each sensor so far, at the time of its newest reading: a reduce function that takes the
 * maximum of one field and the last of another.
 *
 *     flinc run examples/sensor_reduce.c [--input FILE | --port N]
 */
#include "sensor.h"

static void highest_and_latest(void *value, const void *in, fl_context *ctx)
{
    Reading *so_far = value;
    const Reading *r = in;
    so_far->at = r->at;
    if (r->temperature > so_far->temperature)
        so_far->temperature = r->temperature;
}

FL_JOB(sensor_reduce)
{
    fl_print(fl_reduce(fl_key_by(example_readings(env), "id"), highest_and_latest));
    return fl_execute(env, "Highest temperature, latest time");
}
