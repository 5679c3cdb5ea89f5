/* Rows as lines, in the formats that file sinks offer. */
#ifndef FL_FORMATS_ROW_LINE_H
#define FL_FORMATS_ROW_LINE_H

#include "flinc/sink.h"
#include "formats/text.h"

/* Appends the row and a line break. separator: of CSV. */
void fl__row_line_write(fl__text *text, fl_text_format format, char separator, const fl_type *type, const void *row);

#endif
