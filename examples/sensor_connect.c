/* Two streams of different types into one operator (connect and co-map): hot readings become warnings with their
 * temperature, the other sensors' names become all-clears.
 *
 *     flinc run examples/sensor_connect.c [--input FILE | --port N] [--hot DEGREES]
 *
 * Streams of one type are united instead: see sensor_union.c. */
#include "sensor.h"

typedef struct {
    fl_string sensor;
    double temperature;
    fl_string message;
} Notice;
FL_ROW(Notice, sensor, temperature, message);
FL_OUTPUT_TAG(healthy, fl_string);

static void sort_out(const void *in, fl_collector *out, fl_context *ctx)
{
    const Reading *r = in;
    if (r->temperature > *(const double *)fl_arg(ctx))
        fl_collect(out, r);
    else
        fl_output(ctx, healthy, &r->id);
}

static void warn(const void *in, fl_collector *out, fl_context *ctx)
{
    const Reading *r = in;
    fl_collect(out, &(Notice){ r->id, r->temperature, fl_str("too hot") });
}

static void clear(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_collect(out, &(Notice){ *(const fl_string *)in, 0, fl_str("healthy") });
}

FL_JOB(sensor_connect)
{
    static double hot;
    hot = fl_param_double(env, "hot", 30);
    fl_stream *hot_readings = fl_process(example_readings(env), sort_out, Reading, .arg = &hot);
    fl_stream *both = fl_connect(hot_readings, fl_side_output(hot_readings, healthy));
    fl_print(fl_co_map(both, warn, clear, Notice));
    return fl_execute(env, "Warnings and all-clears");
}
