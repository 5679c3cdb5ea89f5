#include "formats/text.h"

enum { TEXT_BYTES_MIN = 256 };

void fl__text_grow(fl__text *text, size_t room)
{
    size_t wanted = text->length + room, capacity = text->capacity * 2;
    if (capacity < TEXT_BYTES_MIN)
        capacity = TEXT_BYTES_MIN;
    if (capacity < wanted)
        capacity = wanted;
    text->data = fl__realloc(text->memory, text->data, text->capacity, capacity);
    text->capacity = capacity;
}

void fl__text_release(fl__text *text)
{
    if (text->data)
        fl__free(text->memory, text->data, text->capacity);
    text->data = NULL;
    text->length = text->capacity = 0;
}

static void append_digits(fl__text *text, uint64_t value, bool negative)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (negative)
        digits[--at] = '-';
    fl__text_append(text, digits + at, sizeof digits - at);
}

void fl__text_int(fl__text *text, int64_t value)
{
    append_digits(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void fl__text_uint(fl__text *text, uint64_t value)
{
    append_digits(text, value, false);
}

void fl__text_value(fl__text *text, const fl_type *type, const void *value)
{
    if (type->kind == FL_KIND_STRING) {
        const fl_string *s = (const fl_string *)value;
        fl__text_append(text, fl_string_data(s), s->length);
        return;
    }
    /* fl_format needs room for a closing 0, too; one more round when the guess was short. */
    size_t room = 128;
    for (;;) {
        char *to = fl__text_reserve(text, room);
        size_t length = fl_format(type, value, to, text->capacity - text->length);
        if (length < text->capacity - text->length) {
            text->length += length;
            return;
        }
        room = length + 1;
    }
}
