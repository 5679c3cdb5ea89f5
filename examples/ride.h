/* Taxi rides, which ride_cleansing.c and its neighbours share. A ride gives two lines, at its start and at its end:
 *
 *     7,START,2020-01-01 12:03:00,-73.99,40.75,2001       ride, what, when, longitude, latitude, driver
 *
 * Other lines are left out and counted as "malformed". */
#ifndef EXAMPLES_RIDE_H
#define EXAMPLES_RIDE_H

#include "lines.h"

typedef struct {
    int64_t ride;
    bool is_start;
    int64_t at; /* ms */
    double longitude, latitude;
    int64_t driver;
} Ride;
FL_ROW(Ride, ride, is_start, at, longitude, latitude, driver);

static void parse_ride(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, ride, what, when, longitude, latitude, driver;
    fl_timestamp at;
    Ride r;
    if (!fl_string_field(&rest, ',', &ride) || !fl_string_to_int(&ride, &r.ride) ||
        !fl_string_field(&rest, ',', &what) || !fl_string_field(&rest, ',', &when) || !fl_timestamp_parse(&when, &at) ||
        !fl_string_field(&rest, ',', &longitude) || !fl_string_to_double(&longitude, &r.longitude) ||
        !fl_string_field(&rest, ',', &latitude) || !fl_string_to_double(&latitude, &r.latitude) ||
        !fl_string_field(&rest, ',', &driver) || !fl_string_to_int(&driver, &r.driver)) {
        fl_accumulate(ctx, "malformed", 1);
        return;
    }
    r.is_start = fl_string_equal(what, fl_str("START"));
    r.at = at.ms;
    fl_collect(out, &r);
}

static inline fl_stream *example_rides(fl_env *env)
{
    return fl_flat_map(example_lines(env, "examples/data/rides.csv"), parse_ride, Ride, .name = "Parse ride");
}

#endif
