/* What every other header of flinc stands on: status codes, durations, small macros.
 *
 * Time is int64_t milliseconds everywhere (event time: since 1970-01-01 UTC), in the type fl_time.
 * Durations are fl_duration, made by fl_milliseconds(), fl_seconds() …, so that no bare number passes for one. */
#ifndef FLINC_BASE_H
#define FLINC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ABI that inline code of these headers relies on; part of a job's fingerprint. */
#define FLINC_ABI 1

/* x is nearly always true: the compiler lays the other way out of line. */
#define FL_LIKELY(x) __builtin_expect(!!(x), 1)
/* x is nearly always false. */
#define FL_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* The function takes a printf format at argument text and its values from argument first: the compiler checks them. */
#define FL_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define FL_MUST_USE __attribute__((warn_unused_result))

/* How a call ended. Only the first four are ordinary outcomes; the rest come with an fl_error. */
typedef enum fl_status {
    FL_OK = 0,               /* done */
    FL_AGAIN = 1,            /* nothing moved; call again after the event the function names */
    FL_DONE = 2,             /* nothing more will ever come */
    FL_CLOSED = 3,           /* the other side is gone */
    FL_ERROR_INVALID = 16,   /* the caller's request is wrong: correct it (bad option, unknown field, type mismatch) */
    FL_ERROR_IO = 17,        /* the outside failed (file, socket): restarting the task may help */
    FL_ERROR_USER = 18,      /* a user function failed (fl_fail) */
    FL_ERROR_LIMIT = 19,     /* a configured limit was passed (record too large, memory budget) */
    FL_ERROR_CORRUPT = 20,   /* data read back is damaged; never retried */
    FL_ERROR_CANCELLED = 21, /* the job was cancelled */
    FL_ERROR_INTERNAL = 22   /* a bug of flinc's */
} fl_status;

/* The status' name ("FL_ERROR_IO"); a static string. */
const char *fl_status_name(fl_status status);

/* Event time or processing time: milliseconds since 1970-01-01 00:00:00 UTC, negative before. */
typedef int64_t fl_time;
#define FL_TIME_MIN INT64_MIN /* as a watermark: none yet; as a timestamp: none assigned */
#define FL_TIME_MAX INT64_MAX /* as a watermark: the end of all input */
#define FL_NO_TIMESTAMP INT64_MIN

/* A length of time; make it with the functions below. */
typedef struct fl_duration {
    int64_t ms;
} fl_duration;

/* n milliseconds. */
static inline fl_duration fl_milliseconds(int64_t n)
{
    return (fl_duration){ n };
}
/* n seconds. As all of these: n may be negative where a difference is meant; no overflow check. */
static inline fl_duration fl_seconds(int64_t n)
{
    return (fl_duration){ n * 1000 };
}
/* n minutes. */
static inline fl_duration fl_minutes(int64_t n)
{
    return (fl_duration){ n * 60000 };
}
/* n hours. */
static inline fl_duration fl_hours(int64_t n)
{
    return (fl_duration){ n * 3600000 };
}
/* n days of 24 hours. */
static inline fl_duration fl_days(int64_t n)
{
    return (fl_duration){ n * 86400000 };
}

/* Where in the user's program a call stands; macros of the API fill it in, errors show it. */
typedef struct fl_where {
    const char *file;
    int line;
} fl_where;
#define FL_HERE ((fl_where){ __FILE__, __LINE__ })

/* FL__EACH(m, x, a, b, …): m(x, a) m(x, b) …, for up to 64 arguments. */
#define FL__EACH(m, x, ...) __VA_OPT__(FL__EXPAND(FL__EACH_STEP(m, x, __VA_ARGS__)))
#define FL__EACH_STEP(m, x, a, ...) m(x, a) __VA_OPT__(FL__EACH_AGAIN FL__PARENS(m, x, __VA_ARGS__))
#define FL__EACH_AGAIN() FL__EACH_STEP
#define FL__PARENS ()
#define FL__EXPAND(...) FL__EXPAND3(FL__EXPAND3(FL__EXPAND3(FL__EXPAND3(__VA_ARGS__))))
#define FL__EXPAND3(...) FL__EXPAND2(FL__EXPAND2(FL__EXPAND2(FL__EXPAND2(__VA_ARGS__))))
#define FL__EXPAND2(...) FL__EXPAND1(FL__EXPAND1(FL__EXPAND1(FL__EXPAND1(__VA_ARGS__))))
#define FL__EXPAND1(...) __VA_ARGS__

#ifdef __cplusplus
}
#endif
#endif
