/* Splits one stream into three by side outputs: cold readings and hot ones leave by a tag each, the rest goes on.
 *
 *     flinc run examples/sensor_split.c [--input FILE | --port N] [--hot DEGREES] [--cold DEGREES]
 */
#include "sensor.h"

typedef struct {
    double cold, hot;
} Limits;
FL_OUTPUT_TAG(cold_readings, Reading);
FL_OUTPUT_TAG(hot_readings, Reading);

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    const Limits *limits = fl_arg(ctx);
    const Reading *r = in;
    if (r->temperature < limits->cold)
        fl_output(ctx, cold_readings, r);
    else if (r->temperature > limits->hot)
        fl_output(ctx, hot_readings, r);
    else
        fl_collect(out, r);
}

FL_JOB(sensor_split)
{
    static Limits limits;
    limits = (Limits){ fl_param_double(env, "cold", 10), fl_param_double(env, "hot", 30) };
    fl_stream *mild = fl_process(example_readings(env), split, Reading, .arg = &limits);
    fl_print(mild, .prefix = "mild");
    fl_print(fl_side_output(mild, cold_readings), .prefix = "cold");
    fl_print(fl_side_output(mild, hot_readings), .prefix = "hot");
    return fl_execute(env, "Split by temperature");
}
