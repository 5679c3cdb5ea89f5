/* JSON text of values, as Flink's JSON format writes it.
 *
 *   boolean, integers      true, 42
 *   float, double          shortest text that reads back as the same number: 1.5, 1.0E10; "NaN", "Infinity" as strings
 *   decimal                a number without exponent
 *   string                 escaped where JSON demands it; UTF-8 as it is, bytes that are no UTF-8 as U+FFFD
 *   bytes, raw             base64
 *   date, time             "2015-05-17", "10:05:03.250"
 *   timestamp, with zone   "2015-05-17T10:05:03.250", "…Z"; with a space instead of the T when asked for
 *   intervals              number of months, of milliseconds
 *   array, row             [1,2], {"name":"x","count":3}; fields in order
 *   map                    an object; keys that are no strings as their text
 *   null                   null
 *
 * Compact, on one line: no byte below 0x20 is ever written. */
#ifndef FL_FORMATS_JSON_H
#define FL_FORMATS_JSON_H

#include "formats/text.h"

typedef struct fl__json_options {
    bool sql_timestamps; /* Flink's json.timestamp-format.standard = SQL: "2015-05-17 10:05:03.250" */
} fl__json_options;

/* Appends the value. options may be NULL: the defaults. */
void fl__json_write(fl__text *text, const fl_type *type, const void *value, const fl__json_options *options);
/* Appends the value of a row's field; value points to the field, not to the row. */
void fl__json_write_field(fl__text *text, const fl_field *field, const void *value, const fl__json_options *options);
/* Appends a string in quotes. */
void fl__json_write_string(fl__text *text, const char *data, size_t length);

#endif
