/* Streams of one type made one: readings of two halls and of the yard.
 *
 *     flinc run examples/sensor_union.c
 */
#include "sensor.h"

FL_JOB(sensor_union)
{
    fl_stream *hall_1 =
        fl_from_elements(env, Reading, { fl_str("hall_1"), 1000, 20.5 }, { fl_str("hall_1"), 2000, 21.25 });
    fl_stream *hall_2 =
        fl_from_elements(env, Reading, { fl_str("hall_2"), 1500, 19.5 }, { fl_str("hall_2"), 2500, 18.75 });
    fl_stream *yard = fl_from_elements(env, Reading, { fl_str("yard"), 1200, -7.25 });
    fl_print(fl_union(hall_1, hall_2, yard));
    return fl_execute(env, "Union");
}
