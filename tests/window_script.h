/* Scripts for a pipeline of one window operator, through the public API:
 *
 *     5:a=1   a record with timestamp 5, key a, value 1      @9      the watermark 9
 *     ?:a=1   the same without a timestamp                   end     the end of the input
 *     +10     the clock, 1000 at first, moves on by 10 ms
 *
 * and what comes out, in order: [9]a=1 is a record with timestamp 9, key a and value 1; late[5]a=1 came out of the late
 * side output; | stands where the script went on to its next step and something had come out. */
#ifndef WINDOW_SCRIPT_H
#define WINDOW_SCRIPT_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <flinc.h>
#include <flinc/testing.h>

typedef struct {
    fl_string key;
    int64_t value, id; /* id: number of the record in the script, from 1 */
} Row;
FL_ROW(Row, key, value, id);

FL_OUTPUT_TAG(late_rows, Row);
FL_OUTPUT_TAG(big_rows, Row);

typedef struct script {
    const char *name, *text, *expected; /* expected: the trace, or a part of the error */
    fl_stream *(*build)(fl_stream *in, fl_stream *second, void *arg);
    void *arg;
    bool shows_source; /* #id: which record's the other fields are */
    bool shows_id;     /* @id: the function put something there */
} script;

static inline void script_results(fl_harness *h, const script *c, char *trace, size_t size)
{
    size_t n = strlen(trace), before = n;
    fl_harness_event e;
    while (fl_harness_next(h, &e)) {
        if (e.kind != FL_HARNESS_RECORD)
            continue;
        const Row *row = e.row;
        n += (size_t)snprintf(trace + n, size - n, "%s%s[",
            n > before ? " "
            : before   ? "| "
                       : "",
            !e.side                                  ? ""
            : strcmp(e.side->name, "late_rows") == 0 ? "late"
                                                     : "big");
        if (e.timestamp == FL_TIME_MAX)
            n += (size_t)snprintf(trace + n, size - n, "max");
        else
            n += (size_t)snprintf(trace + n, size - n, "%" PRId64, e.timestamp);
        n += (size_t)snprintf(trace + n, size - n, "]%.*s=%" PRId64, FL_STR(row->key), row->value);
        if (row->id && !e.side && c->shows_source)
            n += (size_t)snprintf(trace + n, size - n, "#%" PRId64, row->id);
        if (c->shows_id)
            n += (size_t)snprintf(trace + n, size - n, "@%" PRId64, row->id);
    }
    if (n > before)
        snprintf(trace + n, size - n, " ");
}

static inline fl_time script_time(const char *text, char **end)
{
    if (strncmp(text, "min", 3) == 0) {
        *end = (char *)(uintptr_t)text + 3;
        return FL_TIME_MIN + 1;
    }
    if (strncmp(text, "max", 3) == 0) {
        *end = (char *)(uintptr_t)text + 3;
        return FL_TIME_MAX - 1;
    }
    return strtoll(text, end, 10);
}

static inline void script_run(const script *c)
{
    fl_harness *h = fl_harness_new(Row, c->build, .sides = { &late_rows, &big_rows }, .arg = c->arg, .start = 1000);
    char trace[2000] = "";
    int64_t id = 0;
    for (const char *s = c->text; *s; s += strcspn(s, " "), s += strspn(s, " ")) {
        char *end;
        if (strncmp(s, "end", 3) == 0) {
            fl_harness_end(h);
        } else if (*s == '@') {
            fl_harness_watermark(h, script_time(s + 1, &end));
        } else if (*s == '+') {
            fl_harness_advance(h, fl_milliseconds(strtoll(s + 1, NULL, 10)));
        } else {
            fl_time at = *s == '?' ? FL_NO_TIMESTAMP : script_time(s, &end);
            if (*s == '?')
                end = (char *)(uintptr_t)s + 1;
            size_t key = strcspn(end + 1, "=");
            fl_harness_push(h, at, &(Row){ fl_string_of(end + 1, key), strtoll(end + key + 2, NULL, 10), ++id });
        }
        script_results(h, c, trace, sizeof trace);
    }
    size_t n = strlen(trace);
    if (n && trace[n - 1] == ' ')
        trace[n - 1] = 0;
    const char *error = fl_harness_error(h);
    if (*error ? !strstr(error, c->expected) : strcmp(trace, c->expected) != 0)
        fail_msg("%s: %s\n  gives   %s%s\n  and not %s", c->name, c->text, trace, error, c->expected);
    fl_harness_free(h);
}

#endif
