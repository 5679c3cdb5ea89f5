/* Requests per address every five seconds of event time, from lines that nginx writes with
 * log_format short '$time_hms $remote_addr':
 *
 *     12:00:03 192.0.2.17
 *
 *     flinc run examples/nginx_log.c [--input FILE | --port N]
 *
 * Prints the window's start, the address, the number of requests. See access_log.c for whole access logs. */
#include "lines.h"
#include <stdio.h>

typedef struct {
    int64_t at; /* ms of the day */
    fl_string ip;
    int64_t count;
} IpAndCount;
FL_ROW(IpAndCount, at, ip, count);

static const fl_duration window_size = { 5000 };

static void parse(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, time;
    fl_time_of_day at;
    IpAndCount hit = { .count = 1 };
    if (!fl_string_token(&rest, " \t", &time) || !fl_time_of_day_parse(&time, &at) ||
        !fl_string_token(&rest, " \t", &hit.ip)) {
        fl_accumulate(ctx, "malformed", 1);
        return;
    }
    hit.at = at.ms;
    fl_collect(out, &hit);
}

static void format(const void *in, fl_collector *out, fl_context *ctx)
{
    const IpAndCount *sum = in;
    char line[128], time[32];
    fl_time start = fl_timestamp_of(ctx) + 1 - window_size.ms; /* a window's results carry its last millisecond */
    int length = snprintf(line, sizeof line, "%.8s %.*s %lld", fl_time_format(start, false, time) + 11, FL_STR(sum->ip),
        (long long)sum->count);
    fl_string text = fl_string_of(line, (size_t)length);
    fl_collect(out, &text);
}

FL_JOB(nginx_log)
{
    fl_set_parallelism(env, 4);
    fl_stream *hits = fl_flat_map(example_lines(env, "examples/data/nginx.log"), parse, IpAndCount, .name = "Parse");
    hits = fl_watermarks(hits, fl_monotonous_timestamps(), .timestamp = "at");
    fl_stream *sums = fl_sum(fl_window(fl_key_by(hits, "ip"), fl_tumbling_event_time(window_size)), "count");
    fl_print(fl_map(sums, format, fl_string, .name = "Format"));
    return fl_execute(env, "Requests per address");
}
