/* Any bytes as a schema: once as they are, once as a body with a checksum that holds. A schema that decodes must come
 * back from encoding as the same type. */
#include <stdlib.h>

#include "data/codec.h"
#include "data/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const char *bytes, size_t size, const char *value_bytes, size_t value_size)
{
    fl__arena arena;
    fl__arena_init(&arena, NULL);
    const fl_type *type, *back;
    fl_error error = FL_ERROR_INIT;
    fl__reader reader = { bytes, bytes, bytes + size };
    if (fl__schema_decode(&reader, &arena, &type, &error) == FL_OK) {
        fl__buffer buffer;
        fl__buffer_init(&buffer, NULL);
        fl__schema_encode(type, &buffer);
        fl__reader again = { buffer.data, buffer.data, buffer.data + buffer.size };
        if (fl__schema_decode(&again, &arena, &back, NULL) != FL_OK || !fl_type_equal(type, back) ||
            fl__type_fingerprint(type) != fl__type_fingerprint(back))
            abort();
        fl__buffer_release(&buffer);
        fl__reader value_reader = { value_bytes, value_bytes, value_bytes + value_size };
        void *value = fl__arena_alloc(&arena, type->size);
        /* nothing of interest in huge structs but the time to clear them */
        if (type->size < 4096 && fl__decode(type, &value_reader, &arena, value, NULL) == FL_OK)
            fl_hash(type, value);
    } else if (error.status != FL_ERROR_CORRUPT || !error.text) {
        abort();
    }
    fl__error_release(&error);
    fl__arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096)
        return 0;
    decode((const char *)data, size, "", 0);
    fl__buffer buffer;
    fl__buffer_init(&buffer, NULL);
    uint64_t checksum = fl__hash_bytes(data, size);
    fl__buffer_varint(&buffer, FL__CODEC_VERSION);
    fl__buffer_varint(&buffer, size);
    fl__buffer_append(&buffer, data, size);
    fl__buffer_append(&buffer, &checksum, sizeof checksum);
    decode(buffer.data, buffer.size, (const char *)data, size < 64 ? size : 64);
    fl__buffer_release(&buffer);
    return 0;
}
