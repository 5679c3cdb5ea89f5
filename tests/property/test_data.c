/* What must hold for any type and any value of it. A failure prints its seed; run one seed alone with SEED=n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "data/codec.h"
#include "data/decimal.h"
#include "data/key.h"
#include "property/random_value.h"

enum { SEEDS = 2500, DEPTH = 3, ALIGN = 64 };

static uint64_t current_seed;

/* cmocka's asserts do not know of seeds. */
#define check(x)                                                                                                       \
    do {                                                                                                               \
        if (!(x)) {                                                                                                    \
            fprintf(stderr, "# %s:%d: %s does not hold; repeat with SEED=%llu\n", __FILE__, __LINE__, #x,              \
                (unsigned long long)current_seed);                                                                     \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

static void for_all_seeds(void (*property)(rng *r, fl__arena *arena))
{
    const char *only = getenv("SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, last = only ? first : SEEDS;
    for (current_seed = first; current_seed <= last; current_seed++) {
        rng r = { current_seed };
        fl__arena arena;
        fl__arena_init(&arena, NULL);
        property(&r, &arena);
        fl__arena_release(&arena);
    }
}

static fl__buffer encoded(const fl_type *type, const void *value)
{
    fl__buffer buffer;
    fl__buffer_init(&buffer, NULL);
    fl__encode(type, value, &buffer);
    return buffer;
}

/* Same bytes when encoded: stronger than equal, which lets 1.0 pass for 1.00. */
static bool identical(const fl_type *type, const void *value, const fl__buffer *expected)
{
    fl__buffer buffer = encoded(type, value);
    bool same =
        buffer.size == expected->size && (buffer.size == 0 || memcmp(buffer.data, expected->data, buffer.size) == 0);
    fl__buffer_release(&buffer);
    return same;
}

/* ---- codec ---- */

static void decode_gives_back_what_was_encoded(rng *r, fl__arena *arena)
{
    const fl_type *type = random_row_type(arena, r, DEPTH);
    check(fl__type_check(type, NULL) == FL_OK);
    void *value = random_value(arena, r, type), *back = fl__arena_alloc(arena, type->size);
    fl__buffer bytes = encoded(type, value);
    /* a copy of exactly that size, for the address sanitizer; gone before the value is looked at */
    char *wire = malloc(bytes.size + 1);
    memcpy(wire, bytes.data, bytes.size);
    fl__reader reader = { wire, wire, wire + bytes.size };
    fl_error error = FL_ERROR_INIT;
    check(fl__decode(type, &reader, arena, back, &error) == FL_OK);
    check(reader.cursor == reader.end);
    free(wire);
    check(fl_compare(type, value, back) == 0);
    check(fl_hash(type, value) == fl_hash(type, back));
    check(identical(type, back, &bytes));
    fl__buffer_release(&bytes);
}

static void decode_refuses_what_ends_early(rng *r, fl__arena *arena)
{
    const fl_type *type = random_row_type(arena, r, DEPTH);
    void *value = random_value(arena, r, type), *back = fl__arena_alloc(arena, type->size);
    fl__buffer bytes = encoded(type, value);
    if (bytes.size > 0) {
        size_t cut = rng_below(r, (uint32_t)bytes.size);
        char *wire = malloc(cut + 1);
        memcpy(wire, bytes.data, cut);
        fl__reader reader = { wire, wire, wire + cut };
        fl_error error = FL_ERROR_INIT;
        check(fl__decode(type, &reader, arena, back, &error) == FL_ERROR_CORRUPT);
        check(error.text != NULL);
        fl__error_release(&error);
        free(wire);
    }
    fl__buffer_release(&bytes);
}

static void schema_gives_back_the_type(rng *r, fl__arena *arena)
{
    const fl_type *type = rng_below(r, 8) ? random_row_type(arena, r, DEPTH) : random_type(arena, r, DEPTH), *back;
    fl__buffer bytes;
    fl__buffer_init(&bytes, NULL);
    fl__schema_encode(type, &bytes);
    fl__reader reader = { bytes.data, bytes.data, bytes.data + bytes.size };
    fl_error error = FL_ERROR_INIT;
    check(fl__schema_decode(&reader, arena, &back, &error) == FL_OK);
    check(reader.cursor == reader.end);
    check(fl_type_equal(type, back) && fl_type_equal(back, type));
    check(back->size == type->size && back->align == type->align);
    check(fl__type_fingerprint(type) == fl__type_fingerprint(back));
    void *value = random_value(arena, r, type);
    fl__buffer as_type = encoded(type, value);
    check(identical(back, value, &as_type));
    fl__buffer_release(&as_type);
    /* one flipped bit anywhere is seen */
    bytes.data[rng_below(r, (uint32_t)bytes.size)] ^= (char)(1u << rng_below(r, 8));
    reader = (fl__reader){ bytes.data, bytes.data, bytes.data + bytes.size };
    check(fl__schema_decode(&reader, arena, &back, &error) == FL_ERROR_CORRUPT);
    check(error.text != NULL);
    fl__error_release(&error);
    fl__buffer_release(&bytes);
    const fl_type *other = random_row_type(arena, r, DEPTH);
    check(fl_type_equal(type, other) == (fl__type_fingerprint(type) == fl__type_fingerprint(other)));
}

/* ---- batches ---- */

struct filled {
    fl__batch *batch;
    fl__buffer expected[256];
    uint32_t count;
};

/* A batch of random rows, filled until one does not fit; the values it was made from are gone. */
static void fill(struct filled *f, rng *r, const fl_type *type, const fl__layout *layout)
{
    static const uint32_t sizes[] = { 0, 512, 4096, 32768 };
    f->batch = fl__batch_new(NULL, type, rng_below(r, 8), sizes[rng_below(r, 4)]);
    f->count = 0;
    fl__arena values;
    fl__arena_init(&values, NULL);
    while (f->count < sizeof f->expected / sizeof *f->expected) {
        void *value = random_value(&values, r, type);
        size_t room = fl__batch_room(f->batch), needed = layout->row_size + fl__value_heap_bytes(layout, value);
        bool fits = room >= needed && f->batch->count < f->batch->capacity;
        check(fl__batch_append(f->batch, layout, value) == fits);
        if (!fits)
            break;
        check(fl__batch_room(f->batch) == room - needed);
        if (f->batch->columns & FL__COLUMN_TIMESTAMP)
            fl__batch_timestamps(f->batch)[f->count] = f->count;
        if (f->batch->columns & FL__COLUMN_HASH)
            fl__batch_hashes(f->batch)[f->count] = fl_hash(type, value);
        if (f->batch->columns & FL__COLUMN_KIND)
            fl__batch_kinds(f->batch)[f->count] = f->count % 4;
        f->expected[f->count++] = encoded(type, value);
    }
    fl__arena_release(&values);
}

static void check_rows(const struct filled *f, const fl__batch *batch, const fl_type *type)
{
    check(batch->count == f->count);
    for (uint32_t i = 0; i < f->count; i++) {
        check(identical(type, fl__batch_row(batch, i), &f->expected[i]));
        check(!(batch->columns & FL__COLUMN_TIMESTAMP) || fl__batch_timestamps(batch)[i] == i);
        check(!(batch->columns & FL__COLUMN_HASH) ||
              fl__batch_hashes(batch)[i] == fl_hash(type, fl__batch_row(batch, i)));
        check(!(batch->columns & FL__COLUMN_KIND) || fl__batch_kinds(batch)[i] == i % 4);
    }
}

static void batch_keeps_rows_and_moves(rng *r, fl__arena *arena)
{
    const fl_type *type = random_row_type(arena, r, DEPTH);
    fl__layout layout;
    fl__layout_init(&layout, type);
    struct filled f;
    fill(&f, r, type, &layout);
    check_rows(&f, f.batch, type);
    check(fl__batch_check(f.batch, type, f.batch->size));
    /* over the wire: what lies between rows and heap is not sent */
    size_t size = f.batch->size, front = f.batch->rows_offset + (size_t)f.batch->count * f.batch->row_size;
    fl__batch *moved = aligned_alloc(ALIGN, (size + ALIGN - 1) / ALIGN * ALIGN);
    memset(moved, 0xcc, size);
    memcpy(moved, f.batch, front);
    memcpy((char *)moved + f.batch->heap_start, (char *)f.batch + f.batch->heap_start, size - f.batch->heap_start);
    moved->memory = NULL;
    memset(fl__batch_rows(f.batch), 0xee, size - f.batch->rows_offset);
    fl__batch_free(f.batch);
    check(fl__batch_check(moved, type, size));
    fl__batch_rebase(moved, type);
    check(moved->base == (uintptr_t)moved);
    check(fl__batch_check(moved, type, size));
    check_rows(&f, moved, type);
    free(moved);
    for (uint32_t i = 0; i < f.count; i++)
        fl__buffer_release(&f.expected[i]);
}

static void large_batch_takes_any_row(rng *r, fl__arena *arena)
{
    const fl_type *type = random_row_type(arena, r, DEPTH);
    fl__layout layout;
    fl__layout_init(&layout, type);
    void *value = random_value(arena, r, type);
    size_t heap_bytes = fl__value_heap_bytes(&layout, value);
    fl__batch *batch = fl__batch_new_large(NULL, type, rng_below(r, 8), heap_bytes);
    check(fl__batch_append(batch, &layout, value));
    fl__buffer expected = encoded(type, value);
    check(identical(type, fl__batch_row(batch, 0), &expected));
    check(!fl__batch_append(batch, &layout, value));
    fl__buffer_release(&expected);
    fl__batch_free(batch);
}

/* ---- values that own their pieces ---- */

static void owned_values_leak_nothing(rng *r, fl__arena *arena)
{
    const fl_type *type = random_row_type(arena, r, DEPTH);
    fl__layout layout;
    fl__layout_init(&layout, type);
    fl__memory account;
    fl__memory_init(&account, "test", NULL, 0);
    fl__heap *heap = fl__heap_new(&account);
    fl__arena values;
    fl__arena_init(&values, NULL);
    char *owned = fl__arena_memdup(arena, random_value(&values, r, type), type->size);
    fl__buffer expected = encoded(type, owned);
    fl__value_own(&layout, owned, heap);
    fl__arena_release(&values);
    check(identical(type, owned, &expected));
    fl__value_drop(&layout, owned, heap);
    check(fl__heap_live(heap) == 0);
    fl__heap_free_all(heap);
    check(fl__memory_used(&account) == 0);
    fl__buffer_release(&expected);
}

/* Changes a row as a user function would: fields from another value, from another field of the same type, slices of its
 * own strings, nulls. */
static void change(rng *r, const fl_type *type, char *row, const char *other)
{
    const fl_field *nulls = fl__type_nulls(type);
    unsigned bit = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = &type->fields[i], *g = &type->fields[rng_below(r, type->field_count)];
        if (f == nulls)
            continue;
        fl_nulls *bits = nulls ? (fl_nulls *)(row + nulls->offset) : NULL;
        bool was_null = bits && fl_is_null(*bits, bit);
        bool other_null = nulls && fl_is_null(*(const fl_nulls *)(other + nulls->offset), bit);
        switch (rng_below(r, 5)) {
        case 0:
            if (!other_null) {
                memcpy(row + f->offset, other + f->offset, f->size);
                if (bits)
                    fl_set_null(bits, bit, false);
            }
            break;
        case 1: /* two fields with the same pieces */
            if (!bits && g->type == f->type && g->element == f->element && g->key == f->key && g->row == f->row &&
                g->size == f->size)
                memmove(row + f->offset, row + g->offset, f->size);
            break;
        case 2:
            if (!was_null && f->type && f->type->kind == FL_KIND_STRING) {
                fl_string *s = (fl_string *)(row + f->offset);
                uint32_t from = rng_below(r, s->length + 1);
                *s = fl_string_slice(s, from, from + rng_below(r, s->length + 1));
            } else if (!was_null && f->type && f->type->kind == FL_KIND_ARRAY) {
                fl_array *a = (fl_array *)(row + f->offset);
                a->count = rng_below(r, a->count + 1);
            } else if (!was_null && !other_null && f->row) {
                change(r, f->row, row + f->offset, other + f->offset);
            }
            break;
        case 3:
            if (bits) {
                fl_set_null(bits, bit, true);
                memset(row + f->offset, 0xa5, f->size);
            }
            break;
        default: break;
        }
        bit++;
    }
}

static void settled_values_own_what_they_point_to(rng *r, fl__arena *arena)
{
    const fl_type *type = random_row_type(arena, r, DEPTH);
    fl__layout layout;
    fl__layout_init(&layout, type);
    fl__heap *heap = fl__heap_new(NULL);
    char *value = fl__arena_alloc(arena, type->size), *old = fl__arena_alloc(arena, type->size);
    for (int round = 0; round < 6; round++) {
        fl__arena values;
        fl__arena_init(&values, NULL);
        if (round > 0) {
            change(r, type, value, random_value(&values, r, type));
        } else {
            memcpy(value, random_value(&values, r, type), type->size); /* the first time from the zeroed value */
        }
        fl__buffer expected = encoded(type, value);
        fl__value_settle(&layout, value, old, heap);
        fl__arena_release(&values);
        check(identical(type, value, &expected));
        fl__buffer_release(&expected);
        memcpy(old, value, type->size);
    }
    fl__value_drop(&layout, value, heap);
    check(fl__heap_live(heap) == 0);
    fl__heap_free_all(heap);
}

/* ---- order ---- */

/* An equal value written in another way: zeros and NaNs of another sign, decimals of another scale, maps in another
 * order, other garbage where it is null. */
static void *equal_value(fl__arena *arena, rng *r, fl__shape shape, const void *value);

static const void *equal_elements(fl__arena *arena, rng *r, const fl_type *type, const void *data,
    const uint64_t *nulls, uint32_t count, const uint32_t *order)
{
    fl__shape shape = fl__shape_of(type);
    char *copy = fl__arena_alloc(arena, (size_t)count * shape.size);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = order ? order[i] : i;
        if (fl__bit(nulls, from))
            random_bytes(r, copy + (size_t)i * shape.size, shape.size);
        else
            memcpy(copy + (size_t)i * shape.size,
                equal_value(arena, r, shape, (const char *)data + (size_t)from * shape.size), shape.size);
    }
    return copy;
}

static void equal_map(fl__arena *arena, rng *r, fl__shape shape, fl_map_value *m)
{
    uint32_t *order = fl__arena_alloc(arena, m->count * sizeof *order);
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t j = rng_below(r, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    const uint64_t *nulls = m->nulls;
    m->keys = equal_elements(arena, r, shape.key, m->keys, NULL, m->count, order);
    m->values = equal_elements(arena, r, shape.type, m->values, nulls, m->count, order);
    uint64_t *bits = fl__arena_alloc(arena, (m->count / 64 + 1) * 8);
    for (uint32_t i = 0; i < m->count; i++)
        bits[i / 64] |= (uint64_t)fl__bit(nulls, order[i]) << (i % 64);
    m->nulls = bits;
}

static void equal_row(fl__arena *arena, rng *r, const fl_type *type, char *row)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = fl__row_nulls(nulls, row);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = &type->fields[i];
        if (f == nulls)
            continue;
        if (bits & 1)
            random_bytes(r, row + f->offset, f->size);
        else
            memcpy(row + f->offset, equal_value(arena, r, fl__shape_of_field(f), row + f->offset), f->size);
        bits >>= 1;
    }
}

static void *equal_value(fl__arena *arena, rng *r, fl__shape shape, const void *value)
{
    void *copy = fl__arena_memdup(arena, value, shape.size);
    switch (shape.kind) {
    case FL_KIND_FLOAT: {
        float *x = copy;
        *x = *x != *x ? (float)-NAN : *x == 0 ? -*x : *x;
        break;
    }
    case FL_KIND_DOUBLE: {
        double *x = copy;
        *x = *x != *x ? -NAN : *x == 0 ? -*x : *x;
        break;
    }
    case FL_KIND_DECIMAL: {
        fl_decimal *d = copy;
        fl__int128 x = fl__decimal_unscaled(d);
        if (d->scale < 38 && !__builtin_mul_overflow(x, 10, &x))
            *d = (fl_decimal){ (uint64_t)x, (int64_t)(x >> 64), 38, (uint8_t)(d->scale + 1), { 0 } };
        break;
    }
    case FL_KIND_ARRAY: {
        fl_array *a = copy;
        a->data = equal_elements(arena, r, shape.type, a->data, a->nulls, a->count, NULL);
        break;
    }
    case FL_KIND_MAP: equal_map(arena, r, shape, copy); break;
    case FL_KIND_ROW: equal_row(arena, r, shape.type, copy); break;
    default: break;
    }
    return copy;
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void compare_is_an_order_and_hash_agrees(rng *r, fl__arena *arena)
{
    const fl_type *type = rng_below(r, 4) ? random_row_type(arena, r, DEPTH) : scalar_type(rng_below(r, 1000));
    enum { VALUES = 7 };
    void *values[VALUES];
    for (int i = 0; i < VALUES; i++) {
        values[i] = random_value(arena, r, type);
        if (i > 0 && rng_below(r, 3) == 0) {
            int of = (int)rng_below(r, (uint32_t)i);
            values[i] = equal_value(arena, r, fl__shape_of(type), values[of]);
            check(fl_compare(type, values[i], values[of]) == 0);
        }
    }
    int order[VALUES][VALUES];
    for (int i = 0; i < VALUES; i++) {
        for (int j = 0; j < VALUES; j++) {
            order[i][j] = sign(fl_compare(type, values[i], values[j]));
            if (order[i][j] == 0)
                check(fl_hash(type, values[i]) == fl_hash(type, values[j]));
        }
    }
    for (int i = 0; i < VALUES; i++) {
        check(order[i][i] == 0);
        for (int j = 0; j < VALUES; j++) {
            check(order[i][j] == -order[j][i]);
            for (int k = 0; k < VALUES; k++)
                check(!(order[i][j] <= 0 && order[j][k] <= 0) ||
                      (order[i][k] <= 0 && (order[i][k] == 0) == (order[i][j] == 0 && order[j][k] == 0)));
        }
    }
}

/* ---- keys ---- */

/* A key made of some fields equals another row's key exactly when all these fields do. */
static void keys_agree_with_fields(rng *r, fl__arena *arena)
{
    const fl_type *type = random_row_type(arena, r, DEPTH);
    const fl_field *nulls = fl__type_nulls(type);
    int indexes[3], total = (int)type->field_count - (nulls != NULL);
    size_t count = 1 + rng_below(r, 3);
    for (size_t i = 0; i < count; i++)
        indexes[i] = (int)rng_below(r, (uint32_t)total);
    fl__key key;
    fl_error error = FL_ERROR_INIT;
    if (fl__key_init_fields(&key, arena, type, NULL, indexes, count, &error) != FL_OK) {
        check(error.text && strstr(error.text, "cannot be a key"));
        fl__error_release(&error);
        return;
    }
    char *rows = fl__arena_alloc(arena, 8 * (size_t)type->size);
    char *scratch_a = fl__arena_alloc(arena, key.size), *scratch_b = fl__arena_alloc(arena, key.size);
    uint64_t hashes[8];
    for (int i = 0; i < 8; i++) {
        const void *row =
            i > 0 && rng_below(r, 2) ? equal_value(arena, r, fl__shape_of(type), rows) : random_value(arena, r, type);
        memcpy(rows + (size_t)i * type->size, row, type->size);
    }
    fl__key_hash_rows(&key, rows, type->size, 8, hashes, scratch_a);
    for (int i = 0; i < 8; i++) {
        const char *a = rows, *b = rows + (size_t)i * type->size;
        bool expected = true;
        for (size_t k = 0; k < count; k++) {
            const fl_field *f = NULL;
            int index = indexes[k];
            for (uint32_t j = 0; j < type->field_count; j++)
                if (&type->fields[j] != nulls && index-- == 0)
                    f = &type->fields[j];
            bool a_null = (fl__row_nulls(nulls, a) >> indexes[k]) & 1,
                 b_null = (fl__row_nulls(nulls, b) >> indexes[k]) & 1;
            const fl_type one = { .kind = FL_KIND_ROW,
                .size = f->size,
                .align = 8,
                .field_count = 1,
                .name = "one",
                .fields = &(fl_field){ .name = "f", .size = f->size, .type = f->type, .row = f->row, .raw = f->raw } };
            expected = expected && a_null == b_null && (a_null || fl_compare(&one, a + f->offset, b + f->offset) == 0);
        }
        const void *key_a = fl__key_of(&key, a, scratch_a), *key_b = fl__key_of(&key, b, scratch_b);
        if (key.class == FL__KEY_GENERIC || key.class == FL__KEY_STRING || !expected)
            check(fl__key_equal(&key, key_a, key_b) == expected);
        check(hashes[i] == fl_hash(key.type, key_b));
        check(hashes[i] == fl__key_hash(&key, key_b));
        if (expected)
            check(hashes[i] == hashes[0]);
    }
}

/* ---- text ---- */

static void format_is_cut_as_snprintf_would(rng *r, fl__arena *arena)
{
    const fl_type *type = random_row_type(arena, r, DEPTH);
    void *value = random_value(arena, r, type);
    size_t length = fl_format(type, value, NULL, 0);
    char *whole = malloc(length + 1);
    check(fl_format(type, value, whole, length + 1) == length);
    size_t size = 1 + rng_below(r, (uint32_t)length + 1);
    char *cut = malloc(size);
    check(fl_format(type, value, cut, size) == length);
    check(memcmp(cut, whole, size - 1) == 0 && cut[size - 1] == 0);
    free(cut);
    free(whole);
}

#define PROPERTY(name)                                                                                                 \
    static void test_##name(void **s)                                                                                  \
    {                                                                                                                  \
        (void)s;                                                                                                       \
        for_all_seeds(name);                                                                                           \
    }

PROPERTY(decode_gives_back_what_was_encoded)
PROPERTY(decode_refuses_what_ends_early)
PROPERTY(schema_gives_back_the_type)
PROPERTY(batch_keeps_rows_and_moves)
PROPERTY(large_batch_takes_any_row)
PROPERTY(owned_values_leak_nothing)
PROPERTY(settled_values_own_what_they_point_to)
PROPERTY(compare_is_an_order_and_hash_agrees)
PROPERTY(keys_agree_with_fields)
PROPERTY(format_is_cut_as_snprintf_would)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_gives_back_what_was_encoded),
        cmocka_unit_test(test_decode_refuses_what_ends_early),
        cmocka_unit_test(test_schema_gives_back_the_type),
        cmocka_unit_test(test_batch_keeps_rows_and_moves),
        cmocka_unit_test(test_large_batch_takes_any_row),
        cmocka_unit_test(test_owned_values_leak_nothing),
        cmocka_unit_test(test_settled_values_own_what_they_point_to),
        cmocka_unit_test(test_compare_is_an_order_and_hash_agrees),
        cmocka_unit_test(test_keys_agree_with_fields),
        cmocka_unit_test(test_format_is_cut_as_snprintf_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
