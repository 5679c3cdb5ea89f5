/* CSV text of rows after RFC 4180, with "\n" as line end, as Flink's CSV format writes it.
 *
 * A field is put in quotes when it holds the separator, a quote, a carriage return or a line feed, and a quote in it is
 * doubled. Null is an empty field and the empty string is "" in quotes, so that they differ. Numbers are printed as in
 * JSON, dates and times too (timestamps with a space); nested rows, arrays and maps are the text of their JSON. A type
 * that is no row has one field. Bytes of strings are written as they are. */
#ifndef FL_FORMATS_CSV_H
#define FL_FORMATS_CSV_H

#include "formats/text.h"

/* Can this byte separate fields? Not what numbers, names, quotes and line ends are made of. */
bool fl__csv_is_separator(char separator);
/* Appends a line with the value's fields. */
void fl__csv_write(fl__text *text, const fl_type *type, const void *value, char separator);
/* Appends a line with the field names; the type's name when it is no row. */
void fl__csv_write_header(fl__text *text, const fl_type *type, char separator);
/* Appends one field. */
void fl__csv_write_string(fl__text *text, const char *data, size_t length, char separator);

#endif
