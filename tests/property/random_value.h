/* Random row types and random values of them, from a seed. Types use every kind, nest up to `depth` levels and are laid
 * out as a C compiler would. Null fields and elements hold garbage on purpose: nothing may look at them. */
#ifndef TESTS_RANDOM_VALUE_H
#define TESTS_RANDOM_VALUE_H

#include "base/memory.h"
#include "data/type.h"

#include <math.h>

typedef struct rng {
    uint64_t state;
} rng;

static inline uint64_t rng_next(rng *r)
{
    uint64_t x = (r->state += UINT64_C(0x9e3779b97f4a7c15));
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* 0..n-1 */
static inline uint32_t rng_below(rng *r, uint32_t n)
{
    return (uint32_t)(rng_next(r) % n);
}

/* ---- types ---- */

static const fl_type *random_type(fl__arena *arena, rng *r, unsigned depth);

static inline const fl_type *scalar_type(unsigned i)
{
#define TESTS_SCALAR(T, K) &fl__type_of_##T,
    static const fl_type *const scalars[] = { FL__SCALARS(TESTS_SCALAR) };
    return scalars[i % (sizeof scalars / sizeof *scalars)];
}

static inline const fl_type *raw_type(fl__arena *arena, uint32_t size, uint32_t align)
{
    fl_type *type = fl__arena_alloc(arena, sizeof *type);
    *type = (fl_type){ .kind = FL_KIND_RAW, .size = size, .align = align, .name = "raw" };
    return type;
}

static inline const fl_type *key_type(fl__arena *arena, rng *r)
{
    return rng_below(r, 10) ? scalar_type(rng_below(r, 1000)) : raw_type(arena, 1 + rng_below(r, 20), 1);
}

static inline const fl_type *container_type(fl__arena *arena, rng *r, bool is_map, unsigned depth)
{
    fl_type *type = fl__arena_alloc(arena, sizeof *type);
    fl_field *fields = fl__arena_alloc(arena, 2 * sizeof *fields);
    *type = is_map ? fl__type_of_fl_map_value : fl__type_of_fl_array;
    if (is_map)
        fields[0] = (fl_field){ .name = "key", .type = key_type(arena, r) };
    fields[is_map] = (fl_field){ .name = "element", .type = random_type(arena, r, depth - 1) };
    type->fields = fields;
    type->field_count = 1 + is_map;
    return type;
}

/* A member of a random type, described in one of the ways there are. */
static inline void random_member(fl__arena *arena, rng *r, unsigned depth, fl_field *f, uint32_t *align)
{
    const fl_type *type = random_type(arena, r, depth);
    f->size = type->size;
    *align = type->align;
    bool annotate = rng_below(r, 2);
    if (type->kind == FL_KIND_ROW && annotate) {
        f->row = type;
    } else if (type->kind == FL_KIND_RAW && annotate) {
        f->raw = true;
    } else if ((type->kind == FL_KIND_ARRAY || type->kind == FL_KIND_MAP) && annotate) {
        bool is_map = type->kind == FL_KIND_MAP;
        f->type = is_map ? &fl__type_of_fl_map_value : &fl__type_of_fl_array;
        f->element = type->fields[is_map].type;
        f->key = is_map ? type->fields[0].type : NULL;
    } else {
        f->type = type;
    }
}

static inline const fl_type *random_row_type(fl__arena *arena, rng *r, unsigned depth)
{
    uint32_t count = 1 + rng_below(r, 6), align = 1, offset = 0;
    uint32_t nulls = rng_below(r, 2) ? rng_below(r, count + 1) : UINT32_MAX;
    count += nulls != UINT32_MAX;
    fl_field *fields = fl__arena_alloc(arena, count * sizeof *fields);
    for (uint32_t i = 0; i < count; i++) {
        fl_field *f = &fields[i];
        uint32_t field_align = 8;
        f->name = fl__arena_printf(arena, "f%u", i);
        if (i == nulls) {
            f->type = &fl__type_of_fl_nulls;
            f->size = 8;
        } else {
            random_member(arena, r, depth, f, &field_align);
        }
        offset = (offset + field_align - 1) & ~(field_align - 1);
        f->offset = offset;
        offset += f->size;
        align = field_align > align ? field_align : align;
    }
    fl_type *type = fl__arena_alloc(arena, sizeof *type);
    *type = (fl_type){ .kind = FL_KIND_ROW,
        .size = (offset + align - 1) & ~(align - 1),
        .align = align,
        .field_count = count,
        .name = fl__arena_printf(arena, "Random%u", depth),
        .fields = fields };
    return type;
}

static inline const fl_type *random_type(fl__arena *arena, rng *r, unsigned depth)
{
    uint32_t choice = rng_below(r, 12);
    if (depth > 0 && choice == 0)
        return random_row_type(arena, r, depth - 1);
    if (depth > 0 && choice <= 2)
        return container_type(arena, r, choice == 1, depth);
    if (choice == 3) {
        uint32_t align = 1u << rng_below(r, 4);
        return raw_type(arena, align * (1 + rng_below(r, 4)), align);
    }
    if (choice <= 6)
        return &fl__type_of_fl_string;
    return scalar_type(rng_below(r, 1000));
}

/* ---- values ---- */

static void random_shape(fl__arena *arena, rng *r, fl__shape shape, void *out);

static inline fl_string random_string(fl__arena *arena, rng *r)
{
    static const char letters[] = "ab\0\xff z,";
    uint32_t choice = rng_below(r, 20);
    size_t length = choice == 0 ? rng_below(r, 3000) : choice < 8 ? rng_below(r, 40) : rng_below(r, 14);
    char *bytes = fl__arena_alloc(arena, length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = letters[rng_below(r, sizeof letters - 1)];
    return fl_string_of(bytes, length);
}

static inline double random_double(rng *r)
{
    static const double some[] = { 0.0, -0.0, 1.0, -1.0, INFINITY, -INFINITY, NAN, 1.5e10, 0.1, 4.9e-324,
        1.7976931348623157e308 };
    uint32_t choice = rng_below(r, 20);
    if (choice < sizeof some / sizeof *some)
        return some[choice];
    uint64_t bits = rng_next(r);
    double x;
    memcpy(&x, &bits, sizeof x);
    return choice < 15 ? x : (double)(int64_t)rng_below(r, 2000) / 8 - 100;
}

static inline fl_decimal random_decimal(rng *r)
{
    fl_decimal d = fl_decimal_of((int64_t)rng_below(r, 2001) - 1000, 38, (uint8_t)rng_below(r, 39));
    if (rng_below(r, 4) == 0) {
        d.low = rng_next(r);
        d.high = (int64_t)rng_next(r) >> rng_below(r, 64);
    }
    return d;
}

/* Fills the elements that are null with garbage. */
static inline const void *random_elements(
    fl__arena *arena, rng *r, const fl_type *type, uint32_t count, const uint64_t *nulls)
{
    fl__shape shape = fl__shape_of(type);
    char *data = fl__arena_alloc(arena, (size_t)count * shape.size);
    for (uint32_t i = 0; i < count; i++) {
        if (fl__bit(nulls, i))
            memset(data + (size_t)i * shape.size, 0xa5, shape.size);
        else
            random_shape(arena, r, shape, data + (size_t)i * shape.size);
    }
    return data;
}

static inline const uint64_t *random_nulls(fl__arena *arena, rng *r, uint32_t count)
{
    if (count == 0 || rng_below(r, 2))
        return NULL;
    size_t words = (count + 63) / 64;
    uint64_t *nulls = fl__arena_alloc(arena, words * 8);
    for (size_t i = 0; i < words; i++)
        nulls[i] = rng_next(r) & rng_next(r);
    return nulls;
}

static inline uint32_t random_count(rng *r)
{
    return rng_below(r, 12) ? rng_below(r, 5) : rng_below(r, 150);
}

static inline void random_map(fl__arena *arena, rng *r, fl__shape shape, fl_map_value *map)
{
    uint32_t wanted = random_count(r), count = 0;
    uint32_t size = shape.key->size;
    char *keys = fl__arena_alloc(arena, (size_t)wanted * size);
    for (uint32_t i = 0; i < wanted; i++) {
        char *key = keys + (size_t)count * size;
        memset(key, 0, size);
        random_shape(arena, r, fl__shape_of(shape.key), key);
        bool is_new = true;
        for (uint32_t j = 0; j < count && is_new; j++)
            is_new = fl_compare(shape.key, keys + (size_t)j * size, key) != 0;
        count += is_new;
    }
    map->keys = keys;
    map->count = count;
    map->nulls = random_nulls(arena, r, count);
    map->values = random_elements(arena, r, shape.type, count, map->nulls);
}

static inline void random_row(fl__arena *arena, rng *r, const fl_type *type, char *row)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = 0;
    unsigned bit = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = &type->fields[i];
        if (f == nulls)
            continue;
        if (nulls && rng_below(r, 4) == 0) {
            bits |= UINT64_C(1) << bit;
            memset(row + f->offset, 0xa5, f->size);
        } else {
            random_shape(arena, r, fl__shape_of_field(f), row + f->offset);
        }
        bit++;
    }
    if (nulls)
        memcpy(row + nulls->offset, &bits, sizeof bits);
}

static inline void random_bytes(rng *r, char *out, size_t size)
{
    bool few = rng_below(r, 2);
    for (size_t i = 0; i < size; i++)
        out[i] = (char)(few ? rng_below(r, 2) : rng_below(r, 256));
}

static void random_shape(fl__arena *arena, rng *r, fl__shape shape, void *out)
{
    switch (shape.kind) {
    case FL_KIND_BOOLEAN: *(bool *)out = rng_below(r, 2); break;
    case FL_KIND_FLOAT: *(float *)out = (float)random_double(r); break;
    case FL_KIND_DOUBLE: *(double *)out = random_double(r); break;
    case FL_KIND_DECIMAL: *(fl_decimal *)out = random_decimal(r); break;
    case FL_KIND_STRING: *(fl_string *)out = random_string(arena, r); break;
    case FL_KIND_BYTES: ((fl_bytes *)out)->s = random_string(arena, r); break;
    case FL_KIND_TIME: ((fl_time_of_day *)out)->ms = (int32_t)rng_below(r, 86400000); break;
    case FL_KIND_TIMESTAMP:
    case FL_KIND_TIMESTAMP_LTZ:
        *(fl_timestamp *)out = (fl_timestamp){ .ms = (int64_t)rng_next(r) >> rng_below(r, 64),
            .ns = rng_below(r, 2) ? (int32_t)rng_below(r, 1000000) : 0 };
        break;
    case FL_KIND_ARRAY: {
        fl_array *a = (fl_array *)out;
        *a = (fl_array){ .count = random_count(r) };
        a->nulls = random_nulls(arena, r, a->count);
        a->data = random_elements(arena, r, shape.type, a->count, a->nulls);
        break;
    }
    case FL_KIND_MAP:
        *(fl_map_value *)out = (fl_map_value){ 0 };
        random_map(arena, r, shape, (fl_map_value *)out);
        break;
    case FL_KIND_ROW: random_row(arena, r, shape.type, (char *)out); break;
    default: random_bytes(r, (char *)out, shape.size); break;
    }
}

/* A random value of the type, in arena. */
static inline void *random_value(fl__arena *arena, rng *r, const fl_type *type)
{
    void *value = fl__arena_alloc(arena, type->size);
    random_shape(arena, r, fl__shape_of(type), value);
    return value;
}

#endif
