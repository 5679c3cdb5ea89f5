/* Values as bytes. Form of a value, by kind:
 *
 *   boolean                   1 byte, 0 or 1
 *   numbers, dates, intervals as they lie in memory, little-endian
 *   decimal                   16 bytes unscaled, 1 precision, 1 scale
 *   timestamps                8 bytes ms, 4 bytes ns
 *   string, bytes             length as LEB128, the bytes
 *   raw                       its bytes
 *   row                       with fl_nulls: (fields + 7) / 8 bytes of null bits; then each field that is not null
 *   array                     count as LEB128, null bits, each element that is not null
 *   map                       count as LEB128, null bits of the values, all keys, each value that is not null
 *   null bits of elements     1 byte: 0 none is null; 1: (count + 7) / 8 bytes follow
 *
 * Decoding takes back whatever encoding wrote, values that make no sense (a decimal of scale 200) included: a checkpoint
 * is no place to find out. It refuses what would break memory safety or cannot have been written. */
#include "data/codec.h"

#include "data/type.h"

/* ---- buffer and reader ---- */

void fl__buffer_init(fl__buffer *buffer, fl__memory *memory)
{
    *buffer = (fl__buffer){ .memory = memory };
}

void fl__buffer_release(fl__buffer *buffer)
{
    fl__free(buffer->memory, buffer->data, buffer->capacity);
    fl__buffer_init(buffer, buffer->memory);
}

void *fl__buffer_extend(fl__buffer *buffer, size_t bytes)
{
    if (FL_UNLIKELY(buffer->capacity - buffer->size < bytes)) {
        size_t capacity = buffer->capacity ? 2 * buffer->capacity : 256;
        if (capacity < buffer->size + bytes)
            capacity = buffer->size + bytes;
        buffer->data = fl__realloc(buffer->memory, buffer->data, buffer->capacity, capacity);
        buffer->capacity = capacity;
    }
    void *p = buffer->data + buffer->size;
    buffer->size += bytes;
    return p;
}

void fl__buffer_append(fl__buffer *buffer, const void *data, size_t bytes)
{
    if (bytes > 0)
        memcpy(fl__buffer_extend(buffer, bytes), data, bytes);
}

void fl__buffer_varint(fl__buffer *buffer, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    fl__buffer_append(buffer, bytes, n);
}

bool fl__reader_varint(fl__reader *reader, uint64_t *value)
{
    uint64_t x = 0;
    const char *p = reader->cursor;
    if (FL_LIKELY(p < reader->end && !(*p & 0x80))) { /* most lengths are below 128 */
        *value = (unsigned char)*p;
        reader->cursor = p + 1;
        return true;
    }
    for (unsigned shift = 0; shift < 64 && p < reader->end; shift += 7) {
        uint64_t byte = (unsigned char)*p++;
        if (shift == 63 && byte > 1)
            return false; /* more than 64 bits */
        x |= (byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            reader->cursor = p;
            *value = x;
            return true;
        }
    }
    return false;
}

static size_t bytes_left(const fl__reader *reader)
{
    return (size_t)(reader->end - reader->cursor);
}

const void *fl__reader_bytes(fl__reader *reader, size_t bytes)
{
    if (bytes_left(reader) < bytes)
        return NULL;
    const void *p = reader->cursor;
    reader->cursor += bytes;
    return p;
}

/* ---- encode ---- */

static void encode_shape(fl__shape shape, const char *value, fl__buffer *out);

/* As fl__buffer_extend, inlined: the buffer rarely grows. */
static inline char *extend(fl__buffer *buffer, size_t bytes)
{
    if (FL_UNLIKELY(buffer->capacity - buffer->size < bytes))
        return (char *)fl__buffer_extend(buffer, bytes);
    char *p = buffer->data + buffer->size;
    buffer->size += bytes;
    return p;
}

static inline void encode_string(const fl_string *s, fl__buffer *out)
{
    uint32_t length = s->length;
    if (FL_UNLIKELY(length > FL_STRING_INLINE)) {
        fl__buffer_varint(out, length);
        fl__buffer_append(out, s->bytes, length);
        return;
    }
    /* the length in one byte, and all 12 bytes of which the unused ones are taken back: no copy of varying size */
    char *to = extend(out, 1 + FL_STRING_INLINE);
    *to = (char)length;
    memcpy(to + 1, fl_string_data(s), FL_STRING_INLINE);
    out->size -= FL_STRING_INLINE - length;
}

static inline bool is_simple(fl_kind kind)
{
    return kind != FL_KIND_ROW && kind != FL_KIND_ARRAY && kind != FL_KIND_MAP;
}

/* Bytes of a kind that is written as it lies in memory. */
static inline uint32_t fixed_size(fl_kind kind, uint32_t size)
{
    return kind == FL_KIND_DECIMAL ? 18 : kind == FL_KIND_TIMESTAMP || kind == FL_KIND_TIMESTAMP_LTZ ? 12 : size;
}

/* memcpy, without the call for the usual sizes. */
static inline void copy_fixed(char *to, const char *from, uint32_t size)
{
    switch (size) {
    case 1: *to = *from; break;
    case 4: memcpy(to, from, 4); break;
    case 8: memcpy(to, from, 8); break;
    default: memcpy(to, from, size); break;
    }
}

static inline void encode_simple(fl_kind kind, uint32_t size, const char *value, fl__buffer *out)
{
    if (kind == FL_KIND_STRING || kind == FL_KIND_BYTES) {
        encode_string((const fl_string *)(const void *)value, out);
    } else {
        size = fixed_size(kind, size);
        copy_fixed(extend(out, size), value, size);
    }
}

/* The low bits of words of 64, as bytes. */
static void encode_bits(const uint64_t *bits, uint32_t count, fl__buffer *out)
{
    size_t n = ((size_t)count + 7) / 8;
    unsigned char *to = fl__buffer_extend(out, n);
    memcpy(to, bits, n); /* little-endian: byte i holds bits 8i … */
    if (count % 8)
        to[n - 1] &= (unsigned char)((1u << (count % 8)) - 1);
}

static void encode_row(const fl_type *type, const char *row, fl__buffer *out)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = fl__row_nulls(nulls, row);
    if (nulls)
        encode_bits(&bits, type->field_count - 1, out);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = fl__field_at(type, i);
        if (f == nulls)
            continue;
        if (!(bits & 1)) {
            fl_kind kind = fl_field_kind(f);
            if (FL_LIKELY(is_simple(kind)))
                encode_simple(kind, f->size, row + f->offset, out);
            else
                encode_shape(fl__shape_of_field(f), row + f->offset, out);
        }
        bits >>= 1;
    }
}

static bool any_null(const uint64_t *nulls, uint32_t count)
{
    for (uint32_t i = 0; nulls && i < count; i++)
        if (fl__bit(nulls, i))
            return true;
    return false;
}

static void encode_null_bits(const uint64_t *nulls, uint32_t count, fl__buffer *out)
{
    char has_nulls = any_null(nulls, count);
    fl__buffer_append(out, &has_nulls, 1);
    if (has_nulls)
        encode_bits(nulls, count, out);
}

static void encode_elements(
    const fl_type *element, const void *data, const uint64_t *nulls, uint32_t count, fl__buffer *out)
{
    fl__shape shape = fl__shape_of(element);
    const char *at = (const char *)data;
    for (uint32_t i = 0; i < count; i++, at += shape.size)
        if (!fl__bit(nulls, i))
            encode_shape(shape, at, out);
}

static void encode_shape(fl__shape shape, const char *value, fl__buffer *out)
{
    switch (shape.kind) {
    case FL_KIND_ROW: encode_row(shape.type, value, out); break;
    case FL_KIND_ARRAY: {
        const fl_array *a = (const fl_array *)value;
        fl__buffer_varint(out, a->count);
        encode_null_bits(a->nulls, a->count, out);
        encode_elements(shape.type, a->data, a->nulls, a->count, out);
        break;
    }
    case FL_KIND_MAP: {
        const fl_map_value *m = (const fl_map_value *)value;
        fl__buffer_varint(out, m->count);
        encode_null_bits(m->nulls, m->count, out);
        encode_elements(shape.key, m->keys, NULL, m->count, out);
        encode_elements(shape.type, m->values, m->nulls, m->count, out);
        break;
    }
    default: encode_simple(shape.kind, shape.size, value, out); break;
    }
}

_Static_assert(
    offsetof(fl_decimal, precision) == 16 && offsetof(fl_decimal, scale) == 17, "encoded as the first 18 bytes");
_Static_assert(offsetof(fl_timestamp, ns) == 8 && offsetof(fl_timestamp_ltz, ns) == 8, "encoded as the first 12 bytes");

void fl__encode(const fl_type *type, const void *value, fl__buffer *out)
{
    encode_shape(fl__shape_of(type), (const char *)value, out);
}

/* ---- decode ---- */

struct decoding {
    fl__reader *in;
    fl__arena *arena;
    fl_error *error;
};

static fl_status decode_shape(struct decoding *d, fl__shape shape, char *value);

static fl_status corrupt(struct decoding *d, const char *what)
{
    return fl__error_set(d->error, FL_ERROR_CORRUPT, "damaged value at byte %zu of %zu: %s",
        (size_t)(d->in->cursor - d->in->start), (size_t)(d->in->end - d->in->start), what);
}

static inline fl_status decode_fixed(struct decoding *d, char *value, uint32_t bytes)
{
    if (FL_UNLIKELY(bytes_left(d->in) < bytes))
        return corrupt(d, "it ends early");
    copy_fixed(value, d->in->cursor, bytes);
    d->in->cursor += bytes;
    return FL_OK;
}

/* count bits into words of 64; those past count must be zero. */
static fl_status decode_bits(struct decoding *d, uint64_t *bits, uint32_t count)
{
    size_t n = ((size_t)count + 7) / 8;
    const unsigned char *from = fl__reader_bytes(d->in, n);
    if (!from)
        return corrupt(d, "its null bits end early");
    if (count % 8 && from[n - 1] >> (count % 8))
        return corrupt(d, "it has more null bits than fields or elements");
    memset(bits, 0, ((size_t)count + 63) / 64 * 8);
    memcpy(bits, from, n);
    return FL_OK;
}

static fl_status decode_string(struct decoding *d, char *value)
{
    uint64_t length;
    if (!fl__reader_varint(d->in, &length))
        return corrupt(d, "a string's length is no number");
    if (length > bytes_left(d->in) || length > FL_STRING_MAX)
        return corrupt(d, "a string is longer than what is left");
    const char *bytes = d->in->cursor;
    d->in->cursor += length;
    fl_string s = fl_string_of(bytes, length);
    if (length > FL_STRING_INLINE)
        s.bytes = fl__arena_memdup(d->arena, bytes, length);
    memcpy(value, &s, sizeof s);
    return FL_OK;
}

static inline fl_status decode_simple(struct decoding *d, fl_kind kind, uint32_t size, char *value)
{
    if (kind == FL_KIND_STRING || kind == FL_KIND_BYTES)
        return decode_string(d, value);
    if (decode_fixed(d, value, fixed_size(kind, size)) != FL_OK)
        return FL_ERROR_CORRUPT;
    if (kind == FL_KIND_BOOLEAN && *(unsigned char *)value > 1)
        return corrupt(d, "a boolean is neither 0 nor 1");
    return FL_OK;
}

static fl_status decode_row(struct decoding *d, const fl_type *type, char *row)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = 0;
    if (nulls) {
        if (decode_bits(d, &bits, type->field_count - 1) != FL_OK)
            return FL_ERROR_CORRUPT;
        memcpy(row + nulls->offset, &bits, sizeof bits);
    }
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = fl__field_at(type, i);
        if (f == nulls)
            continue;
        if (!(bits & 1)) {
            fl_kind kind = fl_field_kind(f);
            fl_status status = FL_LIKELY(is_simple(kind)) ? decode_simple(d, kind, f->size, row + f->offset)
                                                          : decode_shape(d, fl__shape_of_field(f), row + f->offset);
            if (status != FL_OK)
                return status;
        }
        bits >>= 1;
    }
    return FL_OK;
}

static fl_status decode_null_bits(struct decoding *d, uint32_t count, const uint64_t **nulls)
{
    char has_nulls = 0;
    *nulls = NULL;
    if (decode_fixed(d, &has_nulls, 1) != FL_OK)
        return FL_ERROR_CORRUPT;
    if (has_nulls != 0 && has_nulls != 1)
        return corrupt(d, "null bits are neither there nor not");
    if (!has_nulls)
        return FL_OK;
    if (bytes_left(d->in) < ((size_t)count + 7) / 8)
        return corrupt(d, "its null bits end early");
    uint64_t *bits = fl__arena_alloc(d->arena, ((size_t)count + 63) / 64 * 8);
    *nulls = bits;
    return decode_bits(d, bits, count);
}

static fl_status decode_elements(
    struct decoding *d, const fl_type *element, const uint64_t *nulls, uint32_t count, const void **data)
{
    fl__shape shape = fl__shape_of(element);
    char *at = fl__arena_alloc(d->arena, (size_t)count * shape.size);
    *data = at;
    for (uint32_t i = 0; i < count; i++, at += shape.size)
        if (!fl__bit(nulls, i) && decode_shape(d, shape, at) != FL_OK)
            return FL_ERROR_CORRUPT;
    return FL_OK;
}

/* Every element takes at least one bit, so that a damaged count cannot ask for more memory than a multiple of the
 * input. */
static fl_status decode_count(struct decoding *d, uint32_t *count)
{
    uint64_t n;
    if (!fl__reader_varint(d->in, &n) || n > UINT32_MAX || n / 8 > bytes_left(d->in))
        return corrupt(d, "a count of elements is no number or larger than what is left");
    *count = (uint32_t)n;
    return FL_OK;
}

static fl_status decode_array(struct decoding *d, fl__shape shape, char *value)
{
    fl_array a;
    memset(&a, 0, sizeof a);
    if (decode_count(d, &a.count) != FL_OK || decode_null_bits(d, a.count, &a.nulls) != FL_OK)
        return FL_ERROR_CORRUPT;
    if (a.count > 0 && decode_elements(d, shape.type, a.nulls, a.count, &a.data) != FL_OK)
        return FL_ERROR_CORRUPT;
    memcpy(value, &a, sizeof a);
    return FL_OK;
}

static fl_status decode_map(struct decoding *d, fl__shape shape, char *value)
{
    fl_map_value m;
    memset(&m, 0, sizeof m);
    if (decode_count(d, &m.count) != FL_OK || decode_null_bits(d, m.count, &m.nulls) != FL_OK)
        return FL_ERROR_CORRUPT;
    if (m.count > 0 && (decode_elements(d, shape.key, NULL, m.count, &m.keys) != FL_OK ||
                           decode_elements(d, shape.type, m.nulls, m.count, &m.values) != FL_OK))
        return FL_ERROR_CORRUPT;
    memcpy(value, &m, sizeof m);
    return FL_OK;
}

static fl_status decode_shape(struct decoding *d, fl__shape shape, char *value)
{
    switch (shape.kind) {
    case FL_KIND_ROW: return decode_row(d, shape.type, value);
    case FL_KIND_ARRAY: return decode_array(d, shape, value);
    case FL_KIND_MAP: return decode_map(d, shape, value);
    default: return decode_simple(d, shape.kind, shape.size, value);
    }
}

fl_status fl__decode(const fl_type *type, fl__reader *in, fl__arena *arena, void *value, fl_error *error)
{
    struct decoding d = { in, arena, error };
    memset(value, 0, type->size);
    return decode_shape(&d, fl__shape_of(type), (char *)value);
}
