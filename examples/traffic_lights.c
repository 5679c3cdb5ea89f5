/* Cars that passed each traffic light, by every kind of window: every 5 seconds those of the last 5 (tumbling) and of
 * the last 10 (sliding), those of a rush (a session: 30 seconds without a car end it), of every 5 counts, and every 3
 * counts those of the last 5. A line is a light's number and the cars that it just counted:
 *
 *     9,3
 *
 *     flinc run examples/traffic_lights.c [--input FILE]    the lines of a file count as one a second (event time)
 *     flinc run examples/traffic_lights.c --port N          those of a socket as of when they arrive (processing time)
 *
 * A processing-time window that has not ended when the server hangs up is not printed; nor is an incomplete count
 * window. */
#include "lines.h"

typedef struct {
    int64_t light, cars;
} Count;
FL_ROW(Count, light, cars);

static void parse(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string cars = *(const fl_string *)in, light;
    Count c;
    if (fl_string_field(&cars, ',', &light) && fl_string_to_int(&light, &c.light) && fl_string_to_int(&cars, &c.cars))
        fl_collect(out, &c);
    else
        fl_accumulate(ctx, "malformed", 1);
}

static fl_time one_a_second(const void *in, fl_time previous, fl_context *ctx)
{
    int64_t *line = fl_self(ctx);
    return 1000 * (*line)++;
}

FL_JOB(traffic_lights)
{
    fl_set_parallelism(env, 1); /* the lines' order is their time */
    fl_duration five = fl_seconds(5), ten = fl_seconds(10);
    fl_stream *counts = fl_flat_map(example_lines(env, "examples/data/lights.txt"), parse, Count, .name = "Parse");
    fl_window_assigner tumbling = fl_tumbling_processing_time(five), sliding = fl_sliding_processing_time(ten, five);
    fl_window_assigner session = fl_session_processing_time(fl_seconds(30));
    if (!example_reads_socket(env)) {
        counts = fl_watermarks(
            counts, fl_monotonous_timestamps(), .timestamp_function = one_a_second, .instance_size = sizeof(int64_t));
        tumbling = fl_tumbling_event_time(five);
        sliding = fl_sliding_event_time(ten, five);
        session = fl_session_event_time(fl_seconds(30));
    }
    fl_stream *by_light = fl_key_by(counts, "light");
    fl_print(fl_sum(fl_window(by_light, tumbling), "cars"), .prefix = "last 5 s");
    fl_print(fl_sum(fl_window(by_light, sliding), "cars"), .prefix = "last 10 s");
    fl_print(fl_sum(fl_window(by_light, session), "cars"), .prefix = "rush");
    fl_print(fl_sum(fl_count_window(by_light, 5), "cars"), .prefix = "5 counts");
    fl_print(fl_sum(fl_sliding_count_window(by_light, 5, 3), "cars"), .prefix = "last 5 counts");
    return fl_execute(env, "Traffic lights");
}
