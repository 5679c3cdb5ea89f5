/* Values as text, in the form that Java and Flink print them. */
#include "data/decimal.h"
#include "data/floating.h"
#include "data/time.h"
#include "data/type.h"

/* Text that keeps counting when the buffer is full, as snprintf does. */
struct text {
    char *buffer;
    size_t size, length;
};

static void put(struct text *text, const char *data, size_t length)
{
    if (text->length + 1 < text->size) {
        size_t room = text->size - 1 - text->length;
        memcpy(text->buffer + text->length, data, length < room ? length : room);
    }
    text->length += length;
}

static void put_char(struct text *text, char c)
{
    put(text, &c, 1);
}

static void put_text(struct text *text, const char *s)
{
    put(text, s, strlen(s));
}

static void put_unsigned(struct text *text, uint64_t value, bool negative)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (negative)
        digits[--at] = '-';
    put(text, digits + at, sizeof digits - at);
}

static void put_signed(struct text *text, int64_t value)
{
    put_unsigned(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

static void put_hex(struct text *text, const char *data, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        char pair[2] = { hex[(unsigned char)data[i] >> 4], hex[data[i] & 15] };
        put(text, pair, 2);
    }
}

/* ---- by type ---- */

static void put_shape(struct text *text, fl__shape shape, const void *value);

static void put_row(struct text *text, const fl_type *type, const char *value)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = fl__row_nulls(nulls, value);
    bool first = true;
    put_char(text, '(');
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = fl__field_at(type, i);
        if (f == nulls)
            continue;
        if (!first)
            put_char(text, ',');
        first = false;
        if (bits & 1)
            put_text(text, "null");
        else
            put_shape(text, fl__shape_of_field(f), value + f->offset);
        bits >>= 1;
    }
    put_char(text, ')');
}

static void put_element(struct text *text, fl__shape shape, const void *data, const uint64_t *nulls, uint32_t i)
{
    if (fl__bit(nulls, i))
        put_text(text, "null");
    else
        put_shape(text, shape, (const char *)data + (size_t)i * shape.size);
}

static void put_array(struct text *text, fl__shape shape, const fl_array *array)
{
    put_char(text, '[');
    for (uint32_t i = 0; i < array->count; i++) {
        if (i > 0)
            put_text(text, ", ");
        put_element(text, fl__shape_of(shape.type), array->data, array->nulls, i);
    }
    put_char(text, ']');
}

static void put_map(struct text *text, fl__shape shape, const fl_map_value *map)
{
    put_char(text, '{');
    for (uint32_t i = 0; i < map->count; i++) {
        if (i > 0)
            put_text(text, ", ");
        put_element(text, fl__shape_of(shape.key), map->keys, NULL, i);
        put_char(text, '=');
        put_element(text, fl__shape_of(shape.type), map->values, map->nulls, i);
    }
    put_char(text, '}');
}

static void put_decimal(struct text *text, const fl_decimal *d)
{
    char buffer[FL__DECIMAL_TEXT];
    put(text, buffer, fl__decimal_format(d, buffer));
}

static void put_floating(struct text *text, double x, bool is_float)
{
    char buffer[FL__FLOATING_TEXT];
    put(text, buffer, fl__floating_format(x, is_float, buffer));
}

static void put_time(struct text *text, fl_kind kind, const void *value)
{
    char buffer[FL__TIME_TEXT];
    size_t length = 0;
    switch (kind) {
    case FL_KIND_DATE: length = fl__date_format(((const fl_date *)value)->days, buffer); break;
    case FL_KIND_TIME: length = fl__time_of_day_format(((const fl_time_of_day *)value)->ms, 0, buffer); break;
    case FL_KIND_TIMESTAMP: {
        const fl_timestamp *t = (const fl_timestamp *)value;
        length = fl__timestamp_format(t->ms, t->ns, buffer);
        break;
    }
    case FL_KIND_TIMESTAMP_LTZ: {
        const fl_timestamp_ltz *t = (const fl_timestamp_ltz *)value;
        length = fl__instant_format(t->ms, t->ns, buffer);
        break;
    }
    case FL_KIND_INTERVAL_MONTHS:
        length = fl__period_format(((const fl_interval_months *)value)->months, buffer);
        break;
    case FL_KIND_INTERVAL: length = fl__duration_format(((const fl_interval *)value)->ms, buffer); break;
    default: break;
    }
    put(text, buffer, length);
}

static void put_shape(struct text *text, fl__shape shape, const void *value)
{
    switch (shape.kind) {
    case FL_KIND_BOOLEAN: put_text(text, *(const uint8_t *)value ? "true" : "false"); break;
    case FL_KIND_INT8: put_signed(text, *(const int8_t *)value); break;
    case FL_KIND_INT16: put_signed(text, *(const int16_t *)value); break;
    case FL_KIND_INT32: put_signed(text, *(const int32_t *)value); break;
    case FL_KIND_INT64: put_signed(text, *(const int64_t *)value); break;
    case FL_KIND_UINT8: put_unsigned(text, *(const uint8_t *)value, false); break;
    case FL_KIND_UINT16: put_unsigned(text, *(const uint16_t *)value, false); break;
    case FL_KIND_UINT32: put_unsigned(text, *(const uint32_t *)value, false); break;
    case FL_KIND_UINT64: put_unsigned(text, *(const uint64_t *)value, false); break;
    case FL_KIND_FLOAT: put_floating(text, (double)*(const float *)value, true); break;
    case FL_KIND_DOUBLE: put_floating(text, *(const double *)value, false); break;
    case FL_KIND_DECIMAL: put_decimal(text, (const fl_decimal *)value); break;
    case FL_KIND_STRING: put(text, fl_string_data((const fl_string *)value), ((const fl_string *)value)->length); break;
    case FL_KIND_BYTES:
        put_hex(text, fl_string_data((const fl_string *)value), ((const fl_string *)value)->length);
        break;
    case FL_KIND_DATE:
    case FL_KIND_TIME:
    case FL_KIND_TIMESTAMP:
    case FL_KIND_TIMESTAMP_LTZ:
    case FL_KIND_INTERVAL_MONTHS:
    case FL_KIND_INTERVAL: put_time(text, shape.kind, value); break;
    case FL_KIND_ARRAY: put_array(text, shape, (const fl_array *)value); break;
    case FL_KIND_MAP: put_map(text, shape, (const fl_map_value *)value); break;
    case FL_KIND_ROW: put_row(text, shape.type, (const char *)value); break;
    case FL_KIND_RAW: put_hex(text, (const char *)value, shape.size); break;
    case FL_KIND_NONE:
    case FL_KIND_NULLS:
    case FL_KIND_COUNT: break;
    }
}

size_t fl_format(const fl_type *type, const void *value, char *buffer, size_t size)
{
    struct text text = { buffer, size, 0 };
    put_shape(&text, fl__shape_of(type), value);
    if (size > 0)
        buffer[text.length < size ? text.length : size - 1] = 0;
    return text.length;
}
