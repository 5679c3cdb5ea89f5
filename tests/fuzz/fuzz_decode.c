/* Any bytes as a value of some type: the first two bytes choose the type, the rest is decoded. What decodes must print,
 * hash, and survive encoding. */
#include <stdlib.h>

#include "data/codec.h"
#include "property/random_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const fl_type *type, const void *value, fl__arena *arena)
{
    char text[256];
    fl_format(type, value, text, sizeof text);
    fl_hash(type, value);
    if (fl_compare(type, value, value) != 0)
        abort();
    fl__buffer bytes;
    fl__buffer_init(&bytes, NULL);
    fl__encode(type, value, &bytes);
    fl__reader reader = { bytes.data, bytes.data, bytes.data + bytes.size };
    void *back = fl__arena_alloc(arena, type->size);
    if (fl__decode(type, &reader, arena, back, NULL) != FL_OK || reader.cursor != reader.end)
        abort();
    fl__buffer_release(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    rng r = { (uint64_t)data[0] << 8 | data[1] };
    fl__arena arena;
    fl__arena_init(&arena, NULL);
    const fl_type *type = random_row_type(&arena, &r, 2);
    void *value = fl__arena_alloc(&arena, type->size);
    const char *bytes = (const char *)data + 2;
    fl__reader reader = { bytes, bytes, bytes + size - 2 };
    fl_error error = FL_ERROR_INIT;
    if (fl__decode(type, &reader, &arena, value, &error) == FL_OK)
        use(type, value, &arena);
    else if (error.status != FL_ERROR_CORRUPT || !error.text)
        abort();
    fl__error_release(&error);
    fl__arena_release(&arena);
    return 0;
}
