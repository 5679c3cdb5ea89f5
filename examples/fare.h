/* Taxi fares, which rides_and_fares.c and hourly_tips.c share:
 *
 *     7,2020-01-01 12:03:00,2001,5.5,23       ride, when, driver, tip, total
 *
 * Other lines are left out and counted as "malformed". */
#ifndef EXAMPLES_FARE_H
#define EXAMPLES_FARE_H

#include "lines.h"

typedef struct {
    int64_t ride;
    int64_t at; /* ms */
    int64_t driver;
    double tip, total;
} Fare;
FL_ROW(Fare, ride, at, driver, tip, total);

static void parse_fare(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, ride, when, driver, tip, total;
    fl_timestamp at;
    Fare f;
    if (!fl_string_field(&rest, ',', &ride) || !fl_string_to_int(&ride, &f.ride) ||
        !fl_string_field(&rest, ',', &when) || !fl_timestamp_parse(&when, &at) ||
        !fl_string_field(&rest, ',', &driver) || !fl_string_to_int(&driver, &f.driver) ||
        !fl_string_field(&rest, ',', &tip) || !fl_string_to_double(&tip, &f.tip) ||
        !fl_string_field(&rest, ',', &total) || !fl_string_to_double(&total, &f.total)) {
        fl_accumulate(ctx, "malformed", 1);
        return;
    }
    f.at = at.ms;
    fl_collect(out, &f);
}

static inline fl_stream *example_fares(fl_env *env)
{
    return fl_flat_map(
        fl_read_text(env, fl_param(env, "fares", "examples/data/fares.csv")), parse_fare, Fare, .name = "Parse fare");
}

#endif
