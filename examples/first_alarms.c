/* Results come back into the program: the first readings above a limit, of a stream that has no end. The job is
 * cancelled when there are enough of them.
 *
 *     flinc run examples/first_alarms.c [--limit DEGREES] [--count N] */
#include <flinc.h>
#include <stdio.h>

typedef struct {
    fl_string sensor;
    int64_t at; /* ms */
    double degrees;
} Reading;
FL_ROW(Reading, sensor, at, degrees);

/* Three sensors in turn, one reading a second, up and down between 15 and 35 degrees. */
static void read_sensor(const void *in, fl_collector *out, fl_context *ctx)
{
    int64_t n = *(const int64_t *)in;
    char name[] = "sensor-1";
    name[7] = (char)('1' + n % 3);
    int64_t step = n * 7 % 400;
    fl_collect(out, &(Reading){ fl_str(name), n * 1000, 15 + (double)(step < 200 ? step : 400 - step) / 10 });
}

static bool is_hot(const void *in, fl_context *ctx)
{
    return ((const Reading *)in)->degrees > *(const double *)fl_arg(ctx);
}

FL_JOB(first_alarms)
{
    double limit = fl_param_double(env, "limit", 34);
    int64_t count = fl_param_int(env, "count", 5);

    fl_stream *readings = fl_generate(env, read_sensor, Reading, .parallelism = 1);
    fl_results *alarms = fl_execute_and_collect(fl_filter(readings, is_hot, .arg = &limit), "First alarms");
    const Reading *alarm;
    for (int64_t i = 0; i < count && (alarm = fl_results_next(alarms)) != NULL; i++)
        printf("%.*s at %lld s: %.1f\n", FL_STR(alarm->sensor), (long long)(alarm->at / 1000), alarm->degrees);
    return fl_results_close(alarms);
}
