/* The driver with the most tips in each hour: a window per driver that sums up, then one over all
 * sums.
 *
 *     flinc run examples/hourly_tips.c [--fares FILE]
 *
 * Prints the end of the hour (ms), the driver, the tips. */
#include "fare.h"

typedef struct {
    int64_t hour_end, driver;
    double tips;
} HourlyTips;
FL_ROW(HourlyTips, hour_end, driver, tips);

static void sum_tips(const void *in, fl_collector *out, fl_context *ctx)
{
    HourlyTips hour = { .hour_end = fl_current_window(ctx).end, .driver = *(const int64_t *)fl_current_key(ctx) };
    fl_each(const Fare *, fare, in) hour.tips += fare->tip;
    fl_collect(out, &hour);
}

FL_JOB(hourly_tips)
{
    fl_stream *fares = fl_watermarks(example_fares(env), fl_bounded_out_of_orderness(fl_minutes(1)), .timestamp = "at");
    fl_window_assigner hourly = fl_tumbling_event_time(fl_hours(1));
    fl_stream *per_driver = fl_window_process(fl_window(fl_key_by(fares, "driver"), hourly), sum_tips, HourlyTips);
    fl_print(fl_max_by(fl_window_all(per_driver, hourly), "tips"));
    return fl_execute(env, "Hourly tips");
}
