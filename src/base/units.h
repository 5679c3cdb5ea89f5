/* Values as Flink writes them in configurations. Blanks at both ends are allowed, upper and lower case alike. */
#ifndef FL_BASE_UNITS_H
#define FL_BASE_UNITS_H

#include "flinc/base.h"

/* A whole number, decimal, with an optional sign. False when text is none or does not fit. */
bool fl__parse_int(const char *text, int64_t *value);
/* A finite number. */
bool fl__parse_double(const char *text, double *value);
/* "true" or "false". */
bool fl__parse_bool(const char *text, bool *value);

/* "200 ms", "1 min", "5h", "1 d", "3 seconds", "100" (ms), or ISO 8601's "PT1M30S". Units: d day, h hour, m min minute,
 * s sec second, ms milli millisecond, µs us micro microsecond, ns nano nanosecond, most with a plural s. What is less
 * than a millisecond is rounded up to one, so that only 0 means 0. Not negative. */
bool fl__parse_duration(const char *text, int64_t *ms);
/* "32kb", "64 mb", "1.5g", "4096" (bytes), "1 tebibytes": units of 1024. Fractions are rounded to whole bytes. Not
 * negative. */
bool fl__parse_memory(const char *text, int64_t *bytes);

#endif
