/* Requests per client address and window of event time, from an access log in combined log format (Apache, nginx).
 *
 *     flinc run examples/access_log.c [--input FILE] [--window SECONDS] [--out-of-order SECONDS] [--malformed FILE]
 *
 * Prints a line per window and address, YYYY-MM-DD HH:MM:SS ADDRESS COUNT, with the window's start in UTC. FILE may be
 * a folder or a glob, packed or not. Logs are out of order: servers write a request when it is over, may date it from
 * its start, and buffer their lines. So windows wait until time is --out-of-order seconds past their end (120). Lines
 * that are no requests go to --malformed, or nowhere; how many there were, and how many came too late, is told at the
 * end. */
#include <flinc.h>
#include <stdio.h>

typedef struct {
    fl_string address;
    int64_t at; /* ms */
    int64_t count;
} Hit;
FL_ROW(Hit, address, at, count);
FL_OUTPUT_TAG(malformed, fl_string);
FL_OUTPUT_TAG(late, Hit);

/* "17/May/2015:10:05:03 +0200", 26 bytes at s */
static bool parse_time(const char *s, int64_t *at)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (s[2] != '/' || s[6] != '/' || s[11] != ':' || s[20] != ' ' || (s[21] != '+' && s[21] != '-'))
        return false;
    for (int i = 22; i < 26; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
    }
    int month = 0;
    while (month < 12 && memcmp(months + 3 * month, s + 3, 3) != 0)
        month++;
    if (month++ == 12)
        return false;

    char iso[] = "yyyy-mm-dd hh:mm:ss";
    memcpy(iso, s + 7, 4);
    iso[5] = (char)('0' + month / 10);
    iso[6] = (char)('0' + month % 10);
    memcpy(iso + 8, s, 2);
    memcpy(iso + 11, s + 12, 8);
    fl_string text = fl_string_of(iso, sizeof iso - 1);
    fl_timestamp local;
    if (!fl_timestamp_parse(&text, &local))
        return false;
    int east_minutes = 600 * (s[22] - '0') + 60 * (s[23] - '0') + 10 * (s[24] - '0') + (s[25] - '0');
    *at = local.ms - 60000 * (s[21] == '+' ? east_minutes : -east_minutes);
    return true;
}

/* address identity user [time] "request" status …: what follows the status does not matter here. */
static bool parse_line(const fl_string *line, Hit *hit)
{
    enum { TIME = 26 };
    const char *s = fl_string_data(line), *end = s + fl_string_length(*line);
    int64_t address = fl_string_find(line, " ", 0), time = fl_string_find(line, " [", 0);
    if (address <= 0 || address > 255 || time < address || end - (s + time) < 2 + TIME + 3)
        return false;
    hit->address = fl_string_slice(line, 0, (size_t)address);
    s += time + 2;
    if (!parse_time(s, &hit->at) || memcmp(s + TIME, "] \"", 3) != 0)
        return false;
    for (s += TIME + 3; s < end && *s != '"'; s++) {
        if (*s == '\\')
            s++;
    }
    if (end - s < 5 || s[1] != ' ' || (end - s > 5 && s[5] != ' '))
        return false;
    for (int i = 2; i < 5; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
    }
    return true;
}

static void parse(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_string *line = in;
    Hit hit = { .count = 1 };
    if (parse_line(line, &hit)) {
        fl_collect(out, &hit);
    } else {
        fl_accumulate(ctx, "malformed", 1);
        fl_output(ctx, malformed, line);
    }
}

static void add(void *value, const void *in, fl_context *ctx)
{
    ((Hit *)value)->count += ((const Hit *)in)->count;
}

static void format(const void *in, fl_collector *out, fl_context *ctx)
{
    const Hit *total = fl_element(in, 0);
    char time[32], line[512];
    int length = snprintf(line, sizeof line, "%s %.*s %lld", fl_time_format(fl_current_window(ctx).start, false, time),
        FL_STR(total->address), (long long)total->count);
    fl_string text = fl_string_of(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
    fl_collect(out, &text);
}

static void count_late(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_accumulate(ctx, "late", 1);
}

FL_JOB(access_log)
{
    const char *input = fl_param(env, "input", "examples/data/access.log");
    const char *malformed_file = fl_param(env, "malformed", NULL);
    fl_duration window = fl_seconds(fl_param_int(env, "window", 5));
    fl_duration bound = fl_seconds(fl_param_int(env, "out-of-order", 120));

    fl_stream *hits = fl_process(fl_read_text(env, input), parse, Hit, .name = "Parse");
    if (malformed_file)
        fl_write_text(fl_side_output(hits, malformed), malformed_file, .parallelism = 1);
    hits = fl_watermarks(hits, fl_bounded_out_of_orderness(bound), .timestamp = "at");
    fl_stream *counts =
        fl_reduce_with(fl_window(fl_key_by(hits, "address"), fl_tumbling_event_time(window), .late = &late), add,
            format, fl_string, .name = "Count");
    fl_print(counts, .parallelism = 1);
    fl_add_sink(fl_side_output(counts, late), count_late, .name = "Late");

    int status = fl_execute(env, "Requests per address");
    if (status == 0) {
        double seconds = (double)fl_result_runtime_ms(env) / 1000;
        long long lines = fl_result_records_in(env);
        fprintf(stderr, "%lld lines read, %lld malformed, %lld late; %.3f s, %.0f lines/s\n", lines,
            (long long)fl_result_accumulator(env, "malformed"), (long long)fl_result_accumulator(env, "late"), seconds,
            seconds > 0 ? (double)lines / seconds : 0);
    }
    return status;
}
