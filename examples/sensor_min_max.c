/* Rolling minimum and maximum, and what sets min from min_by: fl_min keeps the other fields of the sensor's first
 * reading, fl_min_by is the whole record with the lowest temperature (on ties the first; fl_min_by_last: the last).
 *
 *     flinc run examples/sensor_min_max.c [--input FILE | --port N]
 */
#include "sensor.h"

FL_JOB(sensor_min_max)
{
    fl_stream *by_sensor = fl_key_by(example_readings(env), "id");
    fl_print(fl_min(by_sensor, "temperature"), .prefix = "min");
    fl_print(fl_min_by(by_sensor, "temperature"), .prefix = "min_by");
    fl_print(fl_max(by_sensor, "temperature"), .prefix = "max");
    fl_print(fl_max_by(by_sensor, "temperature"), .prefix = "max_by");
    fl_print(fl_max_by_last(by_sensor, "temperature"), .prefix = "max_by_last");
    return fl_execute(env, "Minimum and maximum");
}
