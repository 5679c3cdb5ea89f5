/* Order and hash of values by their type. Both treat as equal what SQL and Java do: decimals by value, -0.0 and 0.0,
 * NaN and NaN, maps in any order. */
#include "data/decimal.h"
#include "data/key.h"
#include "data/type.h"

#include <stdlib.h>

static int compare_shape(fl__shape shape, const void *a, const void *b);
static uint64_t hash_shape(fl__shape shape, const void *value);

/* Kinds that need no more than kind and size to be compared; rows, keys and elements of these go without shapes. */
static inline bool is_simple(fl_kind kind)
{
    return kind != FL_KIND_ROW && kind != FL_KIND_ARRAY && kind != FL_KIND_MAP;
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

#define COMPARE_AS(T)                                                                                                  \
    do {                                                                                                               \
        T x, y;                                                                                                        \
        memcpy(&x, a, sizeof x);                                                                                       \
        memcpy(&y, b, sizeof y);                                                                                       \
        return COMPARE(x, y);                                                                                          \
    } while (0)

#define COMPARE_FLOATS(T)                                                                                              \
    do {                                                                                                               \
        T x, y;                                                                                                        \
        memcpy(&x, a, sizeof x);                                                                                       \
        memcpy(&y, b, sizeof y);                                                                                       \
        if (FL_UNLIKELY(x != x || y != y))                                                                             \
            return (x != x) - (y != y);                                                                                \
        return COMPARE(x, y);                                                                                          \
    } while (0)

static int compare_timestamps(const void *a, const void *b)
{
    fl_timestamp x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x.ms != y.ms ? COMPARE(x.ms, y.ms) : COMPARE(x.ns, y.ns);
}

static inline __attribute__((always_inline)) int compare_simple(
    fl_kind kind, uint32_t size, const void *a, const void *b)
{
    switch (kind) {
    case FL_KIND_BOOLEAN: COMPARE_AS(uint8_t);
    case FL_KIND_INT8: COMPARE_AS(int8_t);
    case FL_KIND_INT16: COMPARE_AS(int16_t);
    case FL_KIND_INT32:
    case FL_KIND_DATE:
    case FL_KIND_TIME:
    case FL_KIND_INTERVAL_MONTHS: COMPARE_AS(int32_t);
    case FL_KIND_INT64:
    case FL_KIND_INTERVAL: COMPARE_AS(int64_t);
    case FL_KIND_UINT8: COMPARE_AS(uint8_t);
    case FL_KIND_UINT16: COMPARE_AS(uint16_t);
    case FL_KIND_UINT32: COMPARE_AS(uint32_t);
    case FL_KIND_UINT64: COMPARE_AS(uint64_t);
    case FL_KIND_FLOAT: COMPARE_FLOATS(float);
    case FL_KIND_DOUBLE: COMPARE_FLOATS(double);
    case FL_KIND_DECIMAL: return fl__decimal_compare((const fl_decimal *)a, (const fl_decimal *)b);
    case FL_KIND_STRING:
    case FL_KIND_BYTES: return fl_string_compare(*(const fl_string *)a, *(const fl_string *)b);
    case FL_KIND_TIMESTAMP:
    case FL_KIND_TIMESTAMP_LTZ: return compare_timestamps(a, b);
    case FL_KIND_RAW: return memcmp(a, b, size);
    default: return 0;
    }
}

static int compare_rows(const fl_type *type, const void *a, const void *b)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t a_nulls = fl__row_nulls(nulls, a), b_nulls = fl__row_nulls(nulls, b);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = fl__field_at(type, i);
        if (f == nulls)
            continue;
        bool a_null = a_nulls & 1, b_null = b_nulls & 1;
        a_nulls >>= 1;
        b_nulls >>= 1;
        const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
        fl_kind kind = fl_field_kind(f);
        int c;
        if (FL_UNLIKELY(a_null || b_null))
            c = (int)b_null - (int)a_null;
        else if (FL_LIKELY(is_simple(kind)))
            c = compare_simple(kind, f->size, x, y);
        else
            c = compare_shape(fl__shape_of_field(f), x, y);
        if (c != 0)
            return c;
    }
    return 0;
}

/* Element i of two element lists with null bits. */
static int compare_elements(fl__shape shape, const void *a, const uint64_t *a_nulls, uint32_t i, const void *b,
    const uint64_t *b_nulls, uint32_t j)
{
    bool a_null = fl__bit(a_nulls, i), b_null = fl__bit(b_nulls, j);
    if (a_null || b_null)
        return (int)b_null - (int)a_null;
    return compare_shape(shape, (const char *)a + (size_t)i * shape.size, (const char *)b + (size_t)j * shape.size);
}

static int compare_arrays(const fl_type *element, const fl_array *a, const fl_array *b)
{
    fl__shape shape = fl__shape_of(element);
    uint32_t count = a->count < b->count ? a->count : b->count;
    for (uint32_t i = 0; i < count; i++) {
        int c = compare_elements(shape, a->data, a->nulls, i, b->data, b->nulls, i);
        if (c != 0)
            return c;
    }
    return COMPARE(a->count, b->count);
}

struct map_order {
    fl__shape shape;
    const char *keys;
};

static int compare_map_keys(const void *a, const void *b, void *context)
{
    const struct map_order *order = (const struct map_order *)context;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int c = compare_shape(
        order->shape, order->keys + (size_t)i * order->shape.size, order->keys + (size_t)j * order->shape.size);
    return c != 0 ? c : COMPARE(i, j);
}

static void sort_map(fl__shape key_shape, const fl_map_value *map, uint32_t *order)
{
    for (uint32_t i = 0; i < map->count; i++)
        order[i] = i;
    struct map_order context = { key_shape, (const char *)map->keys };
    qsort_r(order, map->count, sizeof *order, compare_map_keys, &context);
}

enum { MAP_ON_STACK = 64 };

static int compare_maps(fl__shape shape, const fl_map_value *a, const fl_map_value *b)
{
    fl__shape key_shape = fl__shape_of(shape.key), value_shape = fl__shape_of(shape.type);
    uint32_t a_stack[MAP_ON_STACK], b_stack[MAP_ON_STACK];
    size_t a_bytes = a->count * sizeof(uint32_t), b_bytes = b->count * sizeof(uint32_t);
    uint32_t *a_order = a->count <= MAP_ON_STACK ? a_stack : fl__alloc(NULL, a_bytes);
    uint32_t *b_order = b->count <= MAP_ON_STACK ? b_stack : fl__alloc(NULL, b_bytes);
    sort_map(key_shape, a, a_order);
    sort_map(key_shape, b, b_order);
    uint32_t count = a->count < b->count ? a->count : b->count;
    int c = 0;
    for (uint32_t i = 0; i < count && c == 0; i++) {
        c = compare_elements(key_shape, a->keys, NULL, a_order[i], b->keys, NULL, b_order[i]);
        if (c == 0)
            c = compare_elements(value_shape, a->values, a->nulls, a_order[i], b->values, b->nulls, b_order[i]);
    }
    if (a_order != a_stack)
        fl__free(NULL, a_order, a_bytes);
    if (b_order != b_stack)
        fl__free(NULL, b_order, b_bytes);
    return c != 0 ? c : COMPARE(a->count, b->count);
}

static int compare_shape(fl__shape shape, const void *a, const void *b)
{
    switch (shape.kind) {
    case FL_KIND_ARRAY: return compare_arrays(shape.type, (const fl_array *)a, (const fl_array *)b);
    case FL_KIND_MAP: return compare_maps(shape, (const fl_map_value *)a, (const fl_map_value *)b);
    case FL_KIND_ROW: return compare_rows(shape.type, a, b);
    default: return compare_simple(shape.kind, shape.size, a, b);
    }
}

int fl_compare(const fl_type *type, const void *a, const void *b)
{
    return compare_shape(fl__shape_of(type), a, b);
}

/* ---- hash ---- */

#define HASH_SEED UINT64_C(0x9e3779b97f4a7c15)
#define HASH_NULL UINT64_C(0x2545f4914f6cdd1d)

static uint64_t combine(uint64_t hash, uint64_t part)
{
    return fl__mix64(hash * UINT64_C(0x9fb21c651e98df25) + part);
}

#define HASH_AS(T)                                                                                                     \
    do {                                                                                                               \
        T x;                                                                                                           \
        memcpy(&x, value, sizeof x);                                                                                   \
        return fl__mix64((uint64_t)(x));                                                                               \
    } while (0)

static uint64_t hash_float(float x)
{
    uint32_t bits = UINT32_C(0x7fc00000);
    if (x == 0)
        x = 0;
    if (x == x)
        memcpy(&bits, &x, sizeof bits);
    return fl__mix64(bits);
}

static uint64_t hash_double(double x)
{
    uint64_t bits = UINT64_C(0x7ff8000000000000);
    if (x == 0)
        x = 0;
    if (x == x)
        memcpy(&bits, &x, sizeof bits);
    return fl__mix64(bits);
}

static uint64_t hash_decimal(const fl_decimal *value)
{
    fl_decimal d = fl__decimal_normal(value);
    return combine(fl__mix64(d.low), (uint64_t)d.high ^ ((uint64_t)d.scale << 56));
}

static uint64_t hash_timestamp(const void *value)
{
    fl_timestamp t;
    memcpy(&t, value, sizeof t);
    return combine(fl__mix64((uint64_t)t.ms), (uint32_t)t.ns);
}

static inline __attribute__((always_inline)) uint64_t hash_simple(fl_kind kind, uint32_t size, const void *value)
{
    switch (kind) {
    case FL_KIND_INT8:
    case FL_KIND_UINT8:
    case FL_KIND_BOOLEAN: HASH_AS(uint8_t);
    case FL_KIND_INT16:
    case FL_KIND_UINT16: HASH_AS(uint16_t);
    case FL_KIND_INT32:
    case FL_KIND_UINT32:
    case FL_KIND_DATE:
    case FL_KIND_TIME:
    case FL_KIND_INTERVAL_MONTHS: return fl__key_hash_u32(value);
    case FL_KIND_INT64:
    case FL_KIND_UINT64:
    case FL_KIND_INTERVAL: return fl__key_hash_u64(value);
    case FL_KIND_FLOAT: return hash_float(*(const float *)value);
    case FL_KIND_DOUBLE: return hash_double(*(const double *)value);
    case FL_KIND_DECIMAL: return hash_decimal((const fl_decimal *)value);
    case FL_KIND_STRING:
    case FL_KIND_BYTES: return fl__key_hash_string(value);
    case FL_KIND_TIMESTAMP:
    case FL_KIND_TIMESTAMP_LTZ: return hash_timestamp(value);
    case FL_KIND_RAW: return fl__hash_bytes(value, size);
    default: return 0;
    }
}

static uint64_t hash_row(const fl_type *type, const void *value)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = fl__row_nulls(nulls, value), hash = HASH_SEED;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = fl__field_at(type, i);
        if (f == nulls)
            continue;
        const char *at = (const char *)value + f->offset;
        fl_kind kind = fl_field_kind(f);
        uint64_t part;
        if (FL_UNLIKELY(bits & 1))
            part = HASH_NULL;
        else if (FL_LIKELY(is_simple(kind)))
            part = hash_simple(kind, f->size, at);
        else
            part = hash_shape(fl__shape_of_field(f), at);
        hash = combine(hash, part);
        bits >>= 1;
    }
    return hash;
}

static uint64_t hash_element(fl__shape shape, const void *data, const uint64_t *nulls, uint32_t i)
{
    return fl__bit(nulls, i) ? HASH_NULL : hash_shape(shape, (const char *)data + (size_t)i * shape.size);
}

static uint64_t hash_array(const fl_type *element, const fl_array *array)
{
    fl__shape shape = fl__shape_of(element);
    uint64_t hash = combine(HASH_SEED, array->count);
    for (uint32_t i = 0; i < array->count; i++)
        hash = combine(hash, hash_element(shape, array->data, array->nulls, i));
    return hash;
}

/* The sum of the entries' hashes does not know their order. */
static uint64_t hash_map(fl__shape shape, const fl_map_value *map)
{
    fl__shape key_shape = fl__shape_of(shape.key), value_shape = fl__shape_of(shape.type);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < map->count; i++)
        sum +=
            combine(hash_element(key_shape, map->keys, NULL, i), hash_element(value_shape, map->values, map->nulls, i));
    return combine(sum, map->count);
}

static uint64_t hash_shape(fl__shape shape, const void *value)
{
    switch (shape.kind) {
    case FL_KIND_ARRAY: return hash_array(shape.type, (const fl_array *)value);
    case FL_KIND_MAP: return hash_map(shape, (const fl_map_value *)value);
    case FL_KIND_ROW: return hash_row(shape.type, value);
    default: return hash_simple(shape.kind, shape.size, value);
    }
}

uint64_t fl_hash(const fl_type *type, const void *value)
{
    return hash_shape(fl__shape_of(type), value);
}

/* ---- keys: as by type, without looking at the type ---- */

uint64_t fl__key_hash_generic(const fl__key *key, const void *value)
{
    if (!key->simple)
        return fl_hash(key->type, value);
    uint64_t hash = HASH_SEED;
    for (uint32_t i = 0; i < key->part_count; i++) {
        const struct fl__key_part *part = &key->parts[i];
        hash = combine(hash, hash_simple(part->kind, part->size, (const char *)value + part->to));
    }
    return hash;
}

bool fl__key_equal_generic(const fl__key *key, const void *a, const void *b)
{
    if (!key->simple)
        return fl_compare(key->type, a, b) == 0;
    for (uint32_t i = 0; i < key->part_count; i++) {
        const struct fl__key_part *part = &key->parts[i];
        const char *x = (const char *)a + part->to, *y = (const char *)b + part->to;
        if (part->kind == FL_KIND_STRING || part->kind == FL_KIND_BYTES) {
            if (!fl_string_equal(*(const fl_string *)x, *(const fl_string *)y))
                return false;
        } else if (compare_simple(part->kind, part->size, x, y) != 0) {
            return false;
        }
    }
    return true;
}
