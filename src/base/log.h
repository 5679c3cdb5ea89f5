/* Log lines on standard error, one a record, each in one write:
 *
 *     2026-11-21 11:53:00,123 WARN  config - option web.port is now called rest.port
 *
 * Warnings and errors are shown; the environment variable FLINC_LOG (error, warn, info, debug) or the option
 * flinc.log.level say otherwise, the variable first. What stops a job is not logged but returned as an fl_error. Any
 * thread. This file reads the clock itself, for the lines' times and the limit of repetitions: nothing that a job
 * computes hangs on it. */
#ifndef FL_BASE_LOG_H
#define FL_BASE_LOG_H

#include "flinc/base.h"

#include <stdatomic.h>

typedef enum fl__log_level { FL__LOG_ERROR, FL__LOG_WARN, FL__LOG_INFO, FL__LOG_DEBUG } fl__log_level;

/* Shown are records of this level and graver ones. Set by fl__log_set_level; read without a lock: a thread that still
 * sees the old level shows a line more or less. */
extern _Atomic int fl__log_shown;

static inline bool fl__log_shows(fl__log_level level)
{
    return (int)level <= atomic_load_explicit(&fl__log_shown, memory_order_relaxed);
}

/* Line breaks in the text become "\n". component: one word, the folder or concept: "config", "task". */
void fl__log_write(fl__log_level level, const char *component, const char *format, ...) FL_PRINTF(3, 4);

#define fl__log(level, component, ...)                                                                                 \
    do {                                                                                                               \
        if (FL_UNLIKELY(fl__log_shows(level)))                                                                         \
            fl__log_write((level), (component), __VA_ARGS__);                                                          \
    } while (0)

/* At most one line in every_ms from this place, with the number of those left out behind it: for what happens a
 * record. */
#define fl__log_sometimes(every_ms, level, component, ...)                                                             \
    do {                                                                                                               \
        static fl__log_limit limit_;                                                                                   \
        if (FL_UNLIKELY(fl__log_shows(level)))                                                                         \
            fl__log_limited(&limit_, (every_ms), (level), (component), __VA_ARGS__);                                   \
    } while (0)

typedef struct fl__log_limit {
    _Atomic int64_t next_ns; /* nothing before this moment */
    _Atomic uint64_t left_out;
} fl__log_limit;
void fl__log_limited(fl__log_limit *limit, int64_t every_ms, fl__log_level level, const char *component,
    const char *format, ...) FL_PRINTF(5, 6);

/* FLINC_LOG, when set, wins: returns false and changes nothing then. */
bool fl__log_set_level(fl__log_level level);
/* "error", "WARN", …; false when text is none of them. */
bool fl__log_parse_level(const char *text, fl__log_level *level);

/* Where lines go instead of standard error: a test's buffer, a terminal that has a progress line to clear first. line
 * ends with a line break. NULL: standard error again. Set it before there are threads. */
typedef void (*fl__log_sink)(void *arg, const char *line, size_t length);
void fl__log_set_sink(fl__log_sink sink, void *arg);

#endif
