#include "formats/csv.h"

#include "data/type.h"
#include "formats/json.h"

bool fl__csv_is_separator(char separator)
{
    unsigned char c = (unsigned char)separator;
    bool in_words = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    return c != 0 && c < 0x80 && !in_words && !strchr("\"\r\n+-.", c);
}

static bool needs_quotes(const char *data, size_t length, char separator)
{
    for (size_t i = 0; i < length; i++)
        if (data[i] == separator || data[i] == '"' || data[i] == '\n' || data[i] == '\r')
            return true;
    return length == 0;
}

void fl__csv_write_string(fl__text *text, const char *data, size_t length, char separator)
{
    if (!needs_quotes(data, length, separator)) {
        fl__text_append(text, data, length);
        return;
    }
    fl__text_reserve(text, length + 2);
    fl__text_char(text, '"');
    for (const char *end = data + length; data < end;) {
        const char *quote = memchr(data, '"', (size_t)(end - data)), *stop = quote ? quote + 1 : end;
        fl__text_append(text, data, (size_t)(stop - data));
        if (quote)
            fl__text_char(text, '"');
        data = stop;
    }
    fl__text_char(text, '"');
}

/* What stands in text from start on is the JSON of a value: makes a CSV field of it. Texts of numbers and times are the
 * same in both, but for the quotes around times. */
static void field_of_json(fl__text *text, size_t start, char separator)
{
    char *json = text->data + start;
    if (*json == '"') {
        text->length -= 2;
        memmove(json, json + 1, text->length - start);
    }
    if (!needs_quotes(json, text->length - start, separator))
        return;
    fl__text copy = FL__TEXT_INIT;
    fl__text_append(&copy, json, text->length - start);
    text->length = start;
    fl__csv_write_string(text, copy.data, copy.length, separator);
    fl__text_release(&copy);
}

static void write_field(fl__text *text, const fl_field *field, const void *value, char separator)
{
    static const fl__json_options options = { .sql_timestamps = true };
    if (fl_field_kind(field) == FL_KIND_STRING) {
        const fl_string *s = (const fl_string *)value;
        fl__csv_write_string(text, fl_string_data(s), s->length, separator);
        return;
    }
    size_t start = text->length;
    fl__json_write_field(text, field, value, &options);
    field_of_json(text, start, separator);
}

void fl__csv_write(fl__text *text, const fl_type *type, const void *value, char separator)
{
    if (type->kind != FL_KIND_ROW) {
        fl_field alone = { .name = "value", .size = type->size, .type = type };
        write_field(text, &alone, value, separator);
        fl__text_char(text, '\n');
        return;
    }
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = fl__row_nulls(nulls, value);
    bool first = true;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = &type->fields[i];
        if (f == nulls)
            continue;
        if (!first)
            fl__text_char(text, separator);
        first = false;
        if (!(bits & 1))
            write_field(text, f, (const char *)value + f->offset, separator);
        bits >>= 1;
    }
    fl__text_char(text, '\n');
}

void fl__csv_write_header(fl__text *text, const fl_type *type, char separator)
{
    if (type->kind != FL_KIND_ROW) {
        fl__csv_write_string(text, type->name, strlen(type->name), separator);
        fl__text_char(text, '\n');
        return;
    }
    const fl_field *nulls = fl__type_nulls(type);
    bool first = true;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = &type->fields[i];
        if (f == nulls)
            continue;
        if (!first)
            fl__text_char(text, separator);
        first = false;
        fl__csv_write_string(text, f->name, strlen(f->name), separator);
    }
    fl__text_char(text, '\n');
}
