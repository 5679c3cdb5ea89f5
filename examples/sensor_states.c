/* The kinds of keyed state beside a single value, on the readings of thermometers:
 *
 *   list         the sensor's three highest temperatures so far
 *   map          how often each whole degree was read
 *   reducing     the sum of the temperatures
 *   aggregating  their mean
 *
 *     flinc run examples/sensor_states.c [--input FILE | --port N]
 *
 * All four lie in one entry per sensor: a reading costs one look-up. */
#include "sensor.h"

typedef struct {
    fl_string sensor;
    double highest, second, third; /* 0 while there are fewer */
    int32_t degrees;
    int64_t times; /* that so many whole degrees were read */
    double sum, mean;
} Summary;
FL_ROW(Summary, sensor, highest, second, third, degrees, times, sum, mean);

typedef struct {
    double sum;
    int64_t count;
} Mean;
FL_ROW(Mean, sum, count);

static void add_double(void *value, const void *in, fl_context *ctx)
{
    *(double *)value += *(const double *)in;
}

static void mean_add(void *acc, const void *in, fl_context *ctx)
{
    ((Mean *)acc)->sum += *(const double *)in;
    ((Mean *)acc)->count++;
}

static void mean_get(const void *acc, void *out, fl_context *ctx)
{
    const Mean *mean = acc;
    *(double *)out = mean->sum / (double)mean->count;
}

FL_AGGREGATE(mean_of_doubles, double, Mean, double, .add = mean_add, .get = mean_get);
FL_LIST_STATE(top_three, double);
FL_MAP_STATE(times_read, int32_t, int64_t);
FL_REDUCING_STATE(sum_so_far, double, add_double);
FL_AGGREGATING_STATE(mean_so_far, Mean, mean_of_doubles);

/* Keeps the list sorted, highest first, and three long. */
static void insert_into_top(fl_context *ctx, double temperature)
{
    double sorted[4];
    size_t count = 0, before = fl_list_count(ctx, top_three);
    for (size_t i = 0; i < before; i++) {
        double other = *fl_list_at(ctx, top_three, i);
        if (count == i && temperature > other)
            sorted[count++] = temperature;
        sorted[count++] = other;
    }
    if (count == before)
        sorted[count++] = temperature;
    fl_list_update(ctx, top_three, sorted, count < 3 ? count : 3);
}

static void summarize(const void *in, fl_collector *out, fl_context *ctx)
{
    const Reading *r = in;
    Summary s = { .sensor = r->id, .degrees = (int32_t)r->temperature, .times = 1 };

    insert_into_top(ctx, r->temperature);
    double *top[] = { &s.highest, &s.second, &s.third };
    for (size_t i = 0; i < fl_list_count(ctx, top_three) && i < 3; i++)
        *top[i] = *fl_list_at(ctx, top_three, i);

    const int64_t *times = fl_map_get(ctx, times_read, &s.degrees);
    if (times)
        s.times += *times;
    fl_map_put(ctx, times_read, &s.degrees, &s.times);

    fl_add(ctx, sum_so_far, &r->temperature);
    fl_add(ctx, mean_so_far, &r->temperature);
    fl_get(ctx, sum_so_far, &s.sum);
    fl_get(ctx, mean_so_far, &s.mean);
    fl_collect(out, &s);
}

FL_JOB(sensor_states)
{
    fl_print(fl_process(fl_key_by(example_readings(env), "id"), summarize, Summary,
        .states = { &top_three, &times_read, &sum_so_far, &mean_so_far }));
    return fl_execute(env, "Four kinds of state");
}
