/* Readings of thermometers, which the sensor_*.c examples share: lines like
 *
 *     sensor_1,1718000000,21.5          id, seconds since 1970, degrees
 *
 * Other lines are left out and counted as "malformed". */
#ifndef EXAMPLES_SENSOR_H
#define EXAMPLES_SENSOR_H

#include "lines.h"

typedef struct {
    fl_string id;
    int64_t at; /* ms */
    double temperature;
} Reading;
FL_ROW(Reading, id, at, temperature);

static void parse_reading(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, seconds, degrees;
    Reading r;
    if (!fl_string_field(&rest, ',', &r.id) || !fl_string_field(&rest, ',', &seconds) ||
        !fl_string_field(&rest, ',', &degrees) || !fl_string_to_int(&seconds, &r.at) ||
        !fl_string_to_double(&degrees, &r.temperature)) {
        fl_accumulate(ctx, "malformed", 1);
        return;
    }
    r.at *= 1000;
    fl_collect(out, &r);
}

static inline fl_stream *example_readings(fl_env *env)
{
    return fl_flat_map(example_lines(env, "examples/data/sensors.csv"), parse_reading, Reading, .name = "Parse");
}

#endif
