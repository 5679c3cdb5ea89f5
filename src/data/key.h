/* Keys: where a row's key is, how it is hashed and compared, and which key group and subtask it belongs to. */
#ifndef FL_DATA_KEY_H
#define FL_DATA_KEY_H

#include "base/error.h"
#include "data/batch.h"

/* How a key is hashed and compared in inner loops. */
typedef enum fl__key_class {
    FL__KEY_U64,     /* 8 bytes that compare as an integer (int64, uint64, interval) */
    FL__KEY_U32,     /* 4 bytes likewise (int32, uint32, date, time) */
    FL__KEY_STRING,  /* fl_string or fl_bytes */
    FL__KEY_GENERIC, /* everything else: fl_hash and fl_compare by type */
} fl__key_class;

typedef void (*fl__key_selector)(const void *row, void *key, void *context);

enum { FL__KEY_DEPTH = 8 }; /* nullable rows within rows on the way to a key's field */

typedef struct fl__key {
    const fl_type *type; /* of the key */
    fl__key_class class;
    bool in_place; /* the key lies in the row, at offset: no extraction */
    uint32_t offset;
    uint32_t size; /* sizeof the key */
    /* the key is a row: its fields, and where extraction takes them from */
    bool simple; /* neither nullable nor nested: the parts are all there is to hash and compare */
    uint32_t part_count;
    struct fl__key_part {
        uint32_t from, to, size;
        fl_kind kind;
        uint32_t null_count; /* it is null when one of these is set: its own bit, those of the rows around it */
        struct fl__null_place {
            uint32_t from, bit; /* of the 64 at from in the row */
        } nulls[FL__KEY_DEPTH];
    } parts[16];
    bool nullable; /* some part is; the tuple's own null bits lie at nulls_to */
    uint32_t nulls_to;
    /* extraction: a user function */
    fl__key_selector selector;
    void *selector_context;
} fl__key;

/* The key made of these fields (names, dotted for nested rows; or indexes when names is NULL, the fl_nulls member not
 * counted) of row_type. Several fields make a tuple type, allocated in arena; so does one field of a row with fl_nulls:
 * {fields…, nulls}, since a null key is none of the key type's values. Error FL_ERROR_INVALID: unknown field, index out of range, a field that cannot
 * be hashed (array, map, raw rows that hold pointers); the text names the row type and its fields. */
fl_status fl__key_init_fields(fl__key *key, fl__arena *arena, const fl_type *row_type, const char *const *names,
    const int *indexes, size_t count, fl_error *error) FL_MUST_USE;
/* The key is the whole value (of a scalar stream), or comes from a selector. */
fl_status fl__key_init_selector(
    fl__key *key, const fl_type *key_type, fl__key_selector selector, void *context, fl_error *error) FL_MUST_USE;
fl_status fl__key_init_whole(fl__key *key, const fl_type *type, fl_error *error) FL_MUST_USE;

void fl__key_extract_nulls(const fl__key *key, const void *row, void *scratch);

/* The row's key: a pointer into the row, or to scratch (of key->size bytes), which it was extracted to. Pointers inside
 * still belong to the row (or to what the selector made them of). */
static inline const void *fl__key_of(const fl__key *key, const void *row, void *scratch)
{
    if (key->in_place)
        return (const char *)row + key->offset;
    if (key->selector) {
        memset(scratch, 0, key->size);
        key->selector(row, scratch, key->selector_context);
    } else {
        for (uint32_t i = 0; i < key->part_count; i++)
            memcpy((char *)scratch + key->parts[i].to, (const char *)row + key->parts[i].from, key->parts[i].size);
        if (FL_UNLIKELY(key->nullable))
            fl__key_extract_nulls(key, row, scratch);
    }
    return scratch;
}

/* 64 bits in, 64 well mixed bits out, one to one: xor-shifts and multiplications in turn, the form of MurmurHash3's
 * finalizer (Appleby 2011). Three xor-shifts by half a word and one constant: what is enough for tables and key groups. */
static inline uint64_t fl__mix64(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    return x;
}

uint64_t fl__key_hash_generic(const fl__key *key, const void *value);
bool fl__key_equal_generic(const fl__key *key, const void *a, const void *b);

static inline uint64_t fl__key_hash_u64(const void *value)
{
    uint64_t x;
    memcpy(&x, value, 8);
    return fl__mix64(x);
}
static inline uint64_t fl__key_hash_u32(const void *value)
{
    uint32_t x;
    memcpy(&x, value, 4);
    return fl__mix64(x);
}
uint64_t fl__hash_bytes(const void *data, size_t length);
static inline uint64_t fl__key_hash_string(const void *value)
{
    const fl_string *s = (const fl_string *)value;
    if (FL_UNLIKELY(s->length > FL_STRING_INLINE))
        return fl__hash_bytes(s->bytes, s->length);
    uint64_t a, b;
    memcpy(&a, s, 8);
    memcpy(&b, (const char *)s + 8, 8);
    return fl__mix64(a ^ fl__mix64(b));
}
static inline uint64_t fl__key_hash(const fl__key *key, const void *value)
{
    switch (key->class) {
    case FL__KEY_U64: return fl__key_hash_u64(value);
    case FL__KEY_U32: return fl__key_hash_u32(value);
    case FL__KEY_STRING: return fl__key_hash_string(value);
    case FL__KEY_GENERIC: break;
    }
    return fl__key_hash_generic(key, value);
}
/* class: key->class, a constant where the caller can, so that the comparison is inlined. */
static inline __attribute__((always_inline)) bool fl__key_equal_class(
    const fl__key *key, fl__key_class class, const void *a, const void *b)
{
    switch (class) {
    case FL__KEY_U64: return memcmp(a, b, 8) == 0;
    case FL__KEY_U32: return memcmp(a, b, 4) == 0;
    case FL__KEY_STRING: return fl_string_equal(*(const fl_string *)a, *(const fl_string *)b);
    case FL__KEY_GENERIC: break;
    }
    return fl__key_equal_generic(key, a, b);
}
static inline bool fl__key_equal(const fl__key *key, const void *a, const void *b)
{
    return fl__key_equal_class(key, key->class, a, b);
}

/* Hashes of the keys of all rows of a batch, in one loop. scratch: key->size bytes. */
void fl__key_hash_rows(
    const fl__key *key, const char *rows, size_t row_size, uint32_t count, uint64_t *hashes, void *scratch);

/* Key groups, as in Flink (KeyGroupRangeAssignment): group = mixed hash mod max parallelism, subtask = group ×
 * parallelism / max parallelism; the default max parallelism is min(max(roundUpToPowerOfTwo(p + p/2), 128), 32768).
 * Instead of a division the upper 32 bits of the hash are scaled to the range. */
static inline uint32_t fl__key_group(uint64_t hash, uint32_t max_parallelism)
{
    return (uint32_t)(((hash >> 32) * max_parallelism) >> 32);
}
static inline uint32_t fl__key_group_subtask(uint32_t group, uint32_t parallelism, uint32_t max_parallelism)
{
    return group * parallelism / max_parallelism;
}
uint32_t fl__default_max_parallelism(uint32_t parallelism);
#define FL__MAX_PARALLELISM 32768

#endif
