#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

_Atomic int fl__log_shown = FL__LOG_WARN;

static const char *const level_names[] = {
    [FL__LOG_ERROR] = "ERROR", [FL__LOG_WARN] = "WARN", [FL__LOG_INFO] = "INFO", [FL__LOG_DEBUG] = "DEBUG"
};

static fl__log_sink sink;
static void *sink_arg;
static bool by_environment;

bool fl__log_parse_level(const char *text, fl__log_level *level)
{
    for (int i = FL__LOG_ERROR; i <= FL__LOG_DEBUG; i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *level = (fl__log_level)i;
            return true;
        }
    }
    return false;
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *text = getenv("FLINC_LOG");
    fl__log_level level;
    if (!text || !*text)
        return;
    if (!fl__log_parse_level(text, &level)) {
        fl__log_write(FL__LOG_WARN, "log", "FLINC_LOG=%s is none of error, warn, info, debug", text);
        return;
    }
    atomic_store_explicit(&fl__log_shown, (int)level, memory_order_relaxed);
    by_environment = true;
}

bool fl__log_set_level(fl__log_level level)
{
    if (by_environment)
        return false;
    atomic_store_explicit(&fl__log_shown, (int)level, memory_order_relaxed);
    return true;
}

void fl__log_set_sink(fl__log_sink to, void *arg)
{
    sink = to;
    sink_arg = arg;
}

static void put(const char *line, size_t length)
{
    if (sink) {
        sink(sink_arg, line, length);
        return;
    }
    /* One write a line: lines of several threads and processes do not mix, and a lock is not needed. */
    ssize_t written;
    do
        written = write(STDERR_FILENO, line, length);
    while (written < 0 && errno == EINTR);
}

/* The text's line breaks would look like lines of their own. */
static char *on_one_line(char *text)
{
    size_t breaks = 0, length = strlen(text);
    for (const char *p = text; *p; p++)
        breaks += *p == '\n';
    if (breaks == 0)
        return text;
    char *line = malloc(length + breaks + 1), *to = line;
    if (!line)
        abort();
    for (const char *p = text; *p; p++) {
        if (*p == '\n')
            *to++ = '\\';
        *to++ = *p == '\n' ? 'n' : *p;
    }
    *to = 0;
    free(text);
    return line;
}

static void write_record(fl__log_level level, const char *component, char *text, uint64_t left_out)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &tm);
    char when[32], more[64] = "", *line = NULL;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    if (left_out > 0)
        snprintf(more, sizeof more, " (and %llu more like this)", (unsigned long long)left_out);
    text = on_one_line(text);
    int length = asprintf(&line, "%s,%03d %-5s %s - %s%s\n", when, (int)(now.tv_nsec / 1000000), level_names[level],
        component, text, more);
    free(text);
    if (length < 0)
        abort();
    put(line, (size_t)length);
    free(line);
}

void fl__log_write(fl__log_level level, const char *component, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    write_record(level, component, text, 0);
}

void fl__log_limited(
    fl__log_limit *limit, int64_t every_ms, fl__log_level level, const char *component, const char *format, ...)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    int64_t next = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);
    /* The thread that moves the moment on is the one that writes. Relaxed: the line carries nothing but a count. */
    if (now < next || !atomic_compare_exchange_strong_explicit(&limit->next_ns, &next, now + every_ms * 1000000,
                          memory_order_relaxed, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
        return;
    }
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    write_record(level, component, text, atomic_exchange_explicit(&limit->left_out, 0, memory_order_relaxed));
}
