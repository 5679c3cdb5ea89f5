#include "formats/json.h"

#include "data/decimal.h"
#include "data/time.h"
#include "data/type.h"

/* ---- strings ---- */

/* The length of the well-formed UTF-8 sequence that begins at p, 0 when there is none (Unicode's table 3-7: no overlong
 * forms, no surrogates, nothing above U+10FFFF). */
static size_t utf8_sequence(const unsigned char *p, const unsigned char *end)
{
    size_t left = (size_t)(end - p), length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < length)
        return 0;
    unsigned char low = 0x80, high = 0xbf;
    switch (p[0]) {
    case 0xe0: low = 0xa0; break;
    case 0xed: high = 0x9f; break;
    case 0xf0: low = 0x90; break;
    case 0xf4: high = 0x8f; break;
    default: break;
    }
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void escape(fl__text *text, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char short_form = 0;
    switch (c) {
    case '"': short_form = '"'; break;
    case '\\': short_form = '\\'; break;
    case '\b': short_form = 'b'; break;
    case '\f': short_form = 'f'; break;
    case '\n': short_form = 'n'; break;
    case '\r': short_form = 'r'; break;
    case '\t': short_form = 't'; break;
    default: break;
    }
    if (short_form) {
        fl__text_append(text, (char[]){ '\\', short_form }, 2);
        return;
    }
    fl__text_append(text, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
}

void fl__json_write_string(fl__text *text, const char *data, size_t length)
{
    const unsigned char *p = (const unsigned char *)data, *end = p + length;
    fl__text_reserve(text, length + 2);
    fl__text_char(text, '"');
    while (p < end) {
        const unsigned char *run = p;
        while (p < end && is_plain(*p))
            p++;
        fl__text_append(text, (const char *)run, (size_t)(p - run));
        if (p == end)
            break;
        if (*p < 0x80) {
            escape(text, *p++);
            continue;
        }
        size_t sequence = utf8_sequence(p, end);
        if (sequence > 0) {
            fl__text_append(text, (const char *)p, sequence);
            p += sequence;
        } else {
            fl__text_append(text, "\xef\xbf\xbd", 3);
            p++;
        }
    }
    fl__text_char(text, '"');
}

static void write_base64(fl__text *text, const unsigned char *p, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    fl__text_reserve(text, length / 3 * 4 + 6);
    fl__text_char(text, '"');
    for (; length >= 3; length -= 3, p += 3) {
        uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        fl__text_append(text,
            (char[]){ digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63], digits[bits & 63] }, 4);
    }
    if (length > 0) {
        uint32_t bits = (uint32_t)p[0] << 16 | (length == 2 ? (uint32_t)p[1] << 8 : 0);
        fl__text_append(text,
            (char[]){ digits[bits >> 18], digits[bits >> 12 & 63], length == 2 ? digits[bits >> 6 & 63] : '=', '=' },
            4);
    }
    fl__text_char(text, '"');
}

/* ---- times ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* HH:MM:SS, and a fraction without zeros at its end. */
static size_t put_clock(char *buffer, int32_t ms, int32_t ns)
{
    int seconds = ms / 1000;
    char *p = buffer;
    int parts[3] = { seconds / 3600, seconds / 60 % 60, seconds % 60 };
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            *p++ = ':';
        *p++ = (char)('0' + parts[i] / 10 % 10);
        *p++ = (char)('0' + parts[i] % 10);
    }
    uint32_t fraction = (uint32_t)(ms % 1000) * 1000000u + (uint32_t)ns;
    if (fraction > 0) {
        *p++ = '.';
        static const uint32_t units[] = { 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1 };
        for (int i = 0; i < 9 && fraction > 0; fraction %= units[i++])
            *p++ = (char)('0' + fraction / units[i]);
    }
    return (size_t)(p - buffer);
}

static void write_timestamp(fl__text *text, int64_t ms, int32_t ns, char between, bool with_zone)
{
    enum { MS_PER_DAY = 86400000 };
    char buffer[2 * FL__TIME_TEXT];
    int64_t day = floor_div(ms, MS_PER_DAY);
    size_t length = fl__date_format(day, buffer);
    buffer[length++] = between;
    /* not ms - day * MS_PER_DAY: that product overflows for the very first timestamps */
    int64_t in_day = ms % MS_PER_DAY;
    length += put_clock(buffer + length, (int32_t)(in_day < 0 ? in_day + MS_PER_DAY : in_day), ns);
    if (with_zone)
        buffer[length++] = 'Z';
    fl__text_char(text, '"');
    fl__text_append(text, buffer, length);
    fl__text_char(text, '"');
}

static void write_time(fl__text *text, fl_kind kind, const void *value, char between)
{
    char buffer[FL__TIME_TEXT];
    size_t length = 0;
    switch (kind) {
    case FL_KIND_DATE: length = fl__date_format(((const fl_date *)value)->days, buffer); break;
    case FL_KIND_TIME: length = put_clock(buffer, ((const fl_time_of_day *)value)->ms, 0); break;
    case FL_KIND_TIMESTAMP: {
        const fl_timestamp *t = (const fl_timestamp *)value;
        write_timestamp(text, t->ms, t->ns, between, false);
        return;
    }
    case FL_KIND_TIMESTAMP_LTZ: {
        const fl_timestamp_ltz *t = (const fl_timestamp_ltz *)value;
        write_timestamp(text, t->ms, t->ns, between, true);
        return;
    }
    default: break;
    }
    fl__text_char(text, '"');
    fl__text_append(text, buffer, length);
    fl__text_char(text, '"');
}

/* ---- by type ---- */

static void write_shape(fl__text *text, fl__shape shape, const void *value, const fl__json_options *options);

static void write_null(fl__text *text)
{
    fl__text_append(text, "null", 4);
}

static void write_floating(fl__text *text, fl_kind kind, const void *value)
{
    double x = kind == FL_KIND_FLOAT ? (double)*(const float *)value : *(const double *)value;
    bool finite = x - x == 0;
    if (!finite)
        fl__text_char(text, '"');
    fl__text_value(text, kind == FL_KIND_FLOAT ? FL_TYPE(float) : FL_TYPE(double), value);
    if (!finite)
        fl__text_char(text, '"');
}

static void write_row(fl__text *text, const fl_type *type, const char *row, const fl__json_options *options)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = fl__row_nulls(nulls, row);
    char before = '{';
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = &type->fields[i];
        if (f == nulls)
            continue;
        fl__text_char(text, before);
        before = ',';
        fl__json_write_string(text, f->name, strlen(f->name));
        fl__text_char(text, ':');
        if (bits & 1)
            write_null(text);
        else
            write_shape(text, fl__shape_of_field(f), row + f->offset, options);
        bits >>= 1;
    }
    if (before == '{')
        fl__text_char(text, '{');
    fl__text_char(text, '}');
}

static void write_element(fl__text *text, fl__shape shape, const void *data, const uint64_t *nulls, uint32_t i,
    const fl__json_options *options)
{
    if (fl__bit(nulls, i))
        write_null(text);
    else
        write_shape(text, shape, (const char *)data + (size_t)i * shape.size, options);
}

static void write_array(fl__text *text, const fl_type *of, const fl_array *array, const fl__json_options *options)
{
    fl__text_char(text, '[');
    for (uint32_t i = 0; i < array->count; i++) {
        if (i > 0)
            fl__text_char(text, ',');
        write_element(text, fl__shape_of(of), array->data, array->nulls, i, options);
    }
    fl__text_char(text, ']');
}

/* Keys of an object are strings: of other kinds, whose text needs no quotes, the quotes are put around it. */
static void write_key(fl__text *text, fl__shape shape, const void *key, const fl__json_options *options)
{
    size_t start = text->length;
    write_shape(text, shape, key, options);
    if (text->data[start] == '"')
        return;
    fl__text inner = FL__TEXT_INIT;
    fl__text_append(&inner, text->data + start, text->length - start);
    text->length = start;
    fl__json_write_string(text, inner.data, inner.length);
    fl__text_release(&inner);
}

static void write_map(fl__text *text, fl__shape shape, const fl_map_value *map, const fl__json_options *options)
{
    fl__shape key = fl__shape_of(shape.key);
    fl__text_char(text, '{');
    for (uint32_t i = 0; i < map->count; i++) {
        if (i > 0)
            fl__text_char(text, ',');
        write_key(text, key, (const char *)map->keys + (size_t)i * key.size, options);
        fl__text_char(text, ':');
        write_element(text, fl__shape_of(shape.type), map->values, map->nulls, i, options);
    }
    fl__text_char(text, '}');
}

static void write_shape(fl__text *text, fl__shape shape, const void *value, const fl__json_options *options)
{
    switch (shape.kind) {
    case FL_KIND_BOOLEAN:
        if (*(const uint8_t *)value)
            fl__text_append(text, "true", 4);
        else
            fl__text_append(text, "false", 5);
        break;
    case FL_KIND_INT8: fl__text_int(text, *(const int8_t *)value); break;
    case FL_KIND_INT16: fl__text_int(text, *(const int16_t *)value); break;
    case FL_KIND_INT32: fl__text_int(text, *(const int32_t *)value); break;
    case FL_KIND_INT64: fl__text_int(text, *(const int64_t *)value); break;
    case FL_KIND_UINT8: fl__text_uint(text, *(const uint8_t *)value); break;
    case FL_KIND_UINT16: fl__text_uint(text, *(const uint16_t *)value); break;
    case FL_KIND_UINT32: fl__text_uint(text, *(const uint32_t *)value); break;
    case FL_KIND_UINT64: fl__text_uint(text, *(const uint64_t *)value); break;
    case FL_KIND_FLOAT:
    case FL_KIND_DOUBLE: write_floating(text, shape.kind, value); break;
    case FL_KIND_DECIMAL:
        fl__text_reserve(text, FL__DECIMAL_TEXT);
        text->length += fl__decimal_format((const fl_decimal *)value, text->data + text->length);
        break;
    case FL_KIND_STRING: {
        const fl_string *s = (const fl_string *)value;
        fl__json_write_string(text, fl_string_data(s), s->length);
        break;
    }
    case FL_KIND_BYTES: {
        const fl_string *s = (const fl_string *)value;
        write_base64(text, (const unsigned char *)fl_string_data(s), s->length);
        break;
    }
    case FL_KIND_RAW: write_base64(text, (const unsigned char *)value, shape.size); break;
    case FL_KIND_DATE:
    case FL_KIND_TIME:
    case FL_KIND_TIMESTAMP:
    case FL_KIND_TIMESTAMP_LTZ: write_time(text, shape.kind, value, options->sql_timestamps ? ' ' : 'T'); break;
    case FL_KIND_INTERVAL_MONTHS: fl__text_int(text, ((const fl_interval_months *)value)->months); break;
    case FL_KIND_INTERVAL: fl__text_int(text, ((const fl_interval *)value)->ms); break;
    case FL_KIND_ARRAY: write_array(text, shape.type, (const fl_array *)value, options); break;
    case FL_KIND_MAP: write_map(text, shape, (const fl_map_value *)value, options); break;
    case FL_KIND_ROW: write_row(text, shape.type, (const char *)value, options); break;
    case FL_KIND_NONE:
    case FL_KIND_NULLS:
    case FL_KIND_COUNT: write_null(text); break;
    }
}

static const fl__json_options defaults;

void fl__json_write(fl__text *text, const fl_type *type, const void *value, const fl__json_options *options)
{
    write_shape(text, fl__shape_of(type), value, options ? options : &defaults);
}

void fl__json_write_field(fl__text *text, const fl_field *field, const void *value, const fl__json_options *options)
{
    write_shape(text, fl__shape_of_field(field), value, options ? options : &defaults);
}
