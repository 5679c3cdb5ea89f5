#include "cluster/progress.h"
#include "base/log.h"
#include "os/os.h"
#include "os/terminal.h"
#include "stream/held.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 200
/* Jobs that are over before this show no line at all. */
#define FIRST_MS 1000
/* What holds event time back for less is not worth a word. */
#define HELD_MS_MIN 10000
/* A watermark farther behind is that of old data, and its date says more than its distance. */
#define LAG_MS_MAX (24 * 3600 * INT64_C(1000))

/* 1234567 as "1.23 M": three digits are what an eye takes in, five times a second. */
static void write_count(char *to, size_t size, double n)
{
    static const char units[] = " KMGT";
    size_t unit = 0;
    while (n >= 999.5 && unit + 2 < sizeof units) {
        n /= 1000;
        unit++;
    }
    int digits = unit == 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2;
    snprintf(to, size, unit == 0 ? "%.*f" : "%.*f %c", digits, n, units[unit]);
}

static void write_watermark(char *to, size_t size, fl_time watermark, int64_t now_ms)
{
    int64_t lag = now_ms - watermark;
    *to = 0;
    if (watermark == FL_TIME_MIN || watermark == FL_TIME_MAX)
        return;
    if (lag >= 0 && lag < LAG_MS_MAX) {
        snprintf(to, size, "   watermark %.1f s behind", (double)lag / 1000);
        return;
    }
    time_t seconds = (time_t)(watermark / 1000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm))
        strftime(to, size, "   watermark %Y-%m-%d %H:%M:%S", &tm);
}

static void write_held(char *to, size_t size, const fl__progress *now)
{
    char span[48];
    *to = 0;
    if (*now->held_by && now->held_ms >= HELD_MS_MIN)
        snprintf(to, size, "   held back by %s for %s", now->held_by, fl__held_span(now->held_ms, span));
}

char *fl__progress_text(const fl__progress *now, const fl__progress *before, int64_t interval_ms, int64_t now_ms)
{
    char in[32], in_rate[32], out[32], out_rate[32], watermark[64], held[160], stage[48] = "", *text = NULL;
    double seconds = (double)(interval_ms > 0 ? interval_ms : 1) / 1000;
    write_count(in, sizeof in, (double)now->records_in);
    write_count(in_rate, sizeof in_rate, (double)(now->records_in - before->records_in) / seconds);
    write_count(out, sizeof out, (double)now->records_out);
    write_count(out_rate, sizeof out_rate, (double)(now->records_out - before->records_out) / seconds);
    write_watermark(watermark, sizeof watermark, now->watermark, now_ms);
    write_held(held, sizeof held, now);
    if (now->stage_count > 1)
        snprintf(stage, sizeof stage, "   stage %d of %d", now->stage + 1, now->stage_count);
    long long elapsed = now->elapsed_ms / 1000;
    if (asprintf(&text, "%lld:%02lld%s   %s records in (%s/s)   %s out (%s/s)%s%s", elapsed / 60, elapsed % 60, stage,
            in, in_rate, out, out_rate, watermark, held) < 0)
        abort();
    return text;
}

static bool sleep_ms(fl__progress_line *line, int64_t ms)
{
    uint32_t seen = fl__waker_prepare(&line->waker);
    if (atomic_load(&line->is_over)) {
        fl__waker_cancel(&line->waker, seen);
        return false;
    }
    fl__waker_park(&line->waker, seen, ms * 1000000);
    return !atomic_load(&line->is_over);
}

static void show(void *arg)
{
    fl__progress_line *line = arg;
    fl__progress before = { 0 }, now;
    int64_t then = fl__os_monotonic_ns(&fl__os_linux);
    for (int64_t wait = FIRST_MS; sleep_ms(line, wait); wait = INTERVAL_MS) {
        fl__env_progress(line->env, &now);
        if (!now.is_running)
            break;
        int64_t at = fl__os_monotonic_ns(&fl__os_linux);
        char *text = fl__progress_text(&now, &before, (at - then) / 1000000, fl__os_now_ms(&fl__os_linux));
        fl__terminal_status(text);
        free(text);
        before = now;
        then = at;
    }
    fl__terminal_clear(STDERR_FILENO);
}

/* Log lines stand above the status line. */
static void write_log(void *arg, const char *text, size_t length)
{
    (void)arg;
    fl__terminal_clear(STDERR_FILENO);
    (void)!write(STDERR_FILENO, text, length);
}

void fl__progress_line_start(fl__progress_line *line, fl_env *env)
{
    *line = (fl__progress_line){ .env = env };
    if (!fl__terminal_is(STDERR_FILENO))
        return;
    fl__waker_init(&line->waker);
    fl__log_set_sink(write_log, NULL);
    fl__thread_block_signals(true); /* they are for the thread that runs the job */
    fl_error error = FL_ERROR_INIT;
    if (fl__thread_start(&line->thread, "progress", show, line, &error) != FL_OK)
        fl__error_release(&error); /* runs without */
    fl__thread_block_signals(false);
}

void fl__progress_line_stop(fl__progress_line *line)
{
    if (!line->thread.running)
        return;
    atomic_store(&line->is_over, true);
    fl__waker_wake(&line->waker);
    fl__thread_join(&line->thread);
    fl__waker_release(&line->waker);
    fl__log_set_sink(NULL, NULL);
}
