/* Calendar arithmetic and text of dates and times (proleptic Gregorian calendar, as java.time's). */
#ifndef FL_DATA_TIME_H
#define FL_DATA_TIME_H

#include "flinc/type.h"

/* Longest text of any of these, the closing 0 included. */
enum { FL__TIME_TEXT = 48 };

/* As java.time prints them; each writes without a closing 0 and returns the length.
 *   date          2015-05-17
 *   time of day   10:05, 10:05:03, 10:05:03.250   (ns: 0..999999 below the millisecond)
 *   timestamp     2015-05-17T10:05:03
 *   instant       2015-05-17T10:05:03Z            (always with seconds)
 *   period        P1Y2M
 *   duration      PT1H30M0.5S */
size_t fl__date_format(int64_t days, char *buffer);
size_t fl__time_of_day_format(int32_t ms, int32_t ns, char *buffer);
size_t fl__timestamp_format(int64_t ms, int32_t ns, char *buffer);
size_t fl__instant_format(int64_t ms, int32_t ns, char *buffer);
size_t fl__period_format(int32_t months, char *buffer);
size_t fl__duration_format(int64_t ms, char *buffer);

#endif
