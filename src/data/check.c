/* fl__batch_check: may the pointers in a batch that came over a wire be followed, and moved? It must still hold after
 * rebasing has written to the batch. So pieces of general values must not overlap: a pointer inside two of them would be
 * moved twice. They are asked to lie as appending lays them: ascending within a row, the next row's below. */
#include "data/batch.h"

#include "data/batch_internal.h"

struct checking {
    const fl__batch *batch;
    bool ordered;    /* pieces must not overlap */
    uint64_t from;   /* offset in the segment where the row's next piece may begin */
    uint64_t to;     /* where its last one must end: the previous row's lowest piece */
    uint64_t lowest; /* of the row's pieces */
};

static bool check_shape(struct checking *c, fl__shape shape, const char *value);

/* The piece's offset in the segment; 0 when it does not lie in the heap. */
static uint64_t check_piece(struct checking *c, const void *pointer, uint64_t bytes, unsigned align)
{
    uint64_t offset = (uint64_t)(uintptr_t)pointer - c->batch->base;
    if (offset < c->from || offset > c->to || bytes > c->to - offset || offset % align != 0)
        return 0;
    if (c->ordered) {
        c->from = offset + bytes;
        c->lowest = offset < c->lowest ? offset : c->lowest;
    }
    return offset;
}

static bool check_string(struct checking *c, const fl_string *s)
{
    if (s->length > FL_STRING_INLINE) {
        uint64_t offset = s->length <= FL_STRING_MAX ? check_piece(c, s->bytes, s->length, 1) : 0;
        return offset != 0 && memcmp((const char *)c->batch + offset, s->prefix, sizeof s->prefix) == 0;
    }
    const char *bytes = fl_string_data(s);
    for (uint32_t i = s->length; i < FL_STRING_INLINE; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

static bool check_row(struct checking *c, const fl_type *type, const char *row)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = fl__row_nulls(nulls, row);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = fl__field_at(type, i);
        if (f == nulls)
            continue;
        if (!(bits & 1) && !check_shape(c, fl__shape_of_field(f), row + f->offset))
            return false;
        bits >>= 1;
    }
    return true;
}

static bool check_run(
    struct checking *c, const fl_type *element, const void *data, const uint64_t *nulls, uint32_t count)
{
    fl__shape shape = fl__shape_of(element);
    const uint64_t *local_nulls = NULL;
    if (nulls) {
        uint64_t offset = check_piece(c, nulls, ((uint64_t)count + 63) / 64 * 8, 8);
        if (offset == 0)
            return false;
        local_nulls = (const uint64_t *)(const void *)((const char *)c->batch + offset);
    }
    uint64_t offset = check_piece(c, data, (uint64_t)count * shape.size, 8);
    if (offset == 0)
        return false;
    const char *at = (const char *)c->batch + offset;
    for (uint32_t i = 0; i < count; i++, at += shape.size)
        if (!fl__bit(local_nulls, i) && !check_shape(c, shape, at))
            return false;
    return true;
}

static bool check_shape(struct checking *c, fl__shape shape, const char *value)
{
    switch (shape.kind) {
    case FL_KIND_BOOLEAN: return *(const uint8_t *)value <= 1;
    case FL_KIND_STRING:
    case FL_KIND_BYTES: return check_string(c, (const fl_string *)value);
    case FL_KIND_ARRAY: {
        const fl_array *a = (const fl_array *)value;
        return a->count == 0 ? !a->data && !a->nulls : check_run(c, shape.type, a->data, a->nulls, a->count);
    }
    case FL_KIND_MAP: {
        const fl_map_value *m = (const fl_map_value *)value;
        if (m->count == 0)
            return !m->keys && !m->values && !m->nulls;
        return check_run(c, shape.key, m->keys, NULL, m->count) &&
               check_run(c, shape.type, m->values, m->nulls, m->count);
    }
    case FL_KIND_ROW: return check_row(c, shape.type, value);
    default: return true;
    }
}

/* Are the numbers of the header those that fl__batch_new would have set? */
static bool check_header(const fl__batch *batch, const fl_type *type, size_t size)
{
    fl__batch expected;
    if (batch->size > size || batch->size < sizeof *batch || batch->row_size != type->size ||
        (batch->columns & ~(uint32_t)(FL__COLUMN_TIMESTAMP | FL__COLUMN_HASH | FL__COLUMN_KIND)) != 0)
        return false;
    uint64_t rows = fl__batch_lay_out(&expected, type, batch->columns, batch->capacity);
    return rows + (uint64_t)batch->capacity * type->size <= batch->size &&
           batch->timestamps_offset == expected.timestamps_offset && batch->hashes_offset == expected.hashes_offset &&
           batch->kinds_offset == expected.kinds_offset && batch->rows_offset == expected.rows_offset &&
           batch->count <= batch->capacity && batch->heap_start <= batch->size && batch->heap_start % 8 == 0 &&
           batch->rows_offset + (uint64_t)batch->count * type->size <= batch->heap_start;
}

bool fl__batch_check(const fl__batch *batch, const fl_type *type, size_t size)
{
    if (size < sizeof *batch || !check_header(batch, type, size))
        return false;
    if (batch->columns & FL__COLUMN_KIND)
        for (uint32_t i = 0; i < batch->count; i++)
            if (fl__batch_kinds(batch)[i] > FL__DELETE)
                return false;
    fl__layout layout;
    fl__layout_init(&layout, type);
    struct checking c = { .batch = batch, .ordered = !layout.is_flat && !layout.only_strings, .to = batch->size };
    for (uint32_t i = 0; i < batch->count; i++) {
        c.from = batch->heap_start;
        c.lowest = c.to;
        if (!check_shape(&c, fl__shape_of(type), fl__batch_row(batch, i)))
            return false;
        c.to = c.lowest;
    }
    return true;
}
