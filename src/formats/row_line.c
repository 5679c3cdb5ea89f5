#include "formats/row_line.h"

#include "formats/csv.h"
#include "formats/json.h"

void fl__row_line_write(fl__text *text, fl_text_format format, char separator, const fl_type *type, const void *row)
{
    switch (format) {
    case FL_CSV: fl__csv_write(text, type, row, separator); return; /* ends its line itself */
    case FL_JSON_LINES: fl__json_write(text, type, row, NULL); break;
    case FL_TEXT: fl__text_value(text, type, row); break;
    }
    fl__text_char(text, '\n');
}
