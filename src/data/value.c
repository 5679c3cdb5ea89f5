/* Values and what they point to: copied into a batch (adopt), owned piece by piece in a state's heap (own, settle,
 * drop). Rows without pointers and rows with strings only have loops of their own; everything else is a walk. */
#include "data/batch_internal.h"

#include <stdlib.h>

/* ---- layout ---- */

enum { STRINGS_MAX = sizeof(((fl__layout *)0)->string_offsets) / sizeof(((fl__layout *)0)->string_offsets[0]) };

/* Where a place's null bit lies; offset FL__NEVER_NULL: nowhere. */
struct null_place {
    uint32_t offset, bit;
};

/* Adds the strings of a place; false when there is anything else with pointers, two null bits for one string, or too
 * many. */
static bool add_strings(fl__layout *layout, fl__shape shape, uint32_t offset, struct null_place null)
{
    switch (shape.kind) {
    case FL_KIND_STRING:
    case FL_KIND_BYTES:
        if (layout->string_count == STRINGS_MAX)
            return false;
        layout->string_offsets[layout->string_count] = offset;
        layout->null_offsets[layout->string_count] = null.offset;
        layout->null_bits[layout->string_count++] = (uint8_t)null.bit;
        layout->nullable_strings |= null.offset != FL__NEVER_NULL;
        return true;
    case FL_KIND_ROW: break;
    default: return shape.kind != FL_KIND_ARRAY && shape.kind != FL_KIND_MAP;
    }
    const fl_field *nulls = fl__type_nulls(shape.type);
    if (nulls && null.offset != FL__NEVER_NULL)
        return fl__type_is_flat(shape.type);
    uint32_t bit = 0;
    for (uint32_t i = 0; i < shape.type->field_count; i++) {
        const fl_field *f = fl__field_at(shape.type, i);
        if (f == nulls)
            continue;
        if (!add_strings(layout, fl__shape_of_field(f), offset + f->offset,
                nulls ? (struct null_place){ offset + nulls->offset, bit++ } : null))
            return false;
    }
    return true;
}

void fl__layout_init(fl__layout *layout, const fl_type *type)
{
    memset(layout, 0, sizeof *layout);
    layout->type = type;
    layout->row_size = type->size;
    layout->is_flat = fl__type_is_flat(type);
    if (layout->is_flat)
        return;
    if (!add_strings(layout, fl__shape_of(type), 0, (struct null_place){ FL__NEVER_NULL, 0 })) {
        layout->string_count = 0;
        layout->nullable_strings = false;
        return;
    }
    layout->only_strings = !layout->nullable_strings;
}

/* ---- rows whose pointers are all strings' ---- */

static inline bool is_listed(const fl__layout *layout)
{
    return layout->only_strings || layout->nullable_strings;
}

static inline fl_string *string_at(const fl__layout *layout, const void *value, uint32_t i)
{
    return (fl_string *)((char *)(uintptr_t)value + layout->string_offsets[i]);
}

static inline bool string_is_null(const fl__layout *layout, const void *value, uint32_t i)
{
    uint64_t bits;
    if (layout->null_offsets[i] == FL__NEVER_NULL)
        return false;
    memcpy(&bits, (const char *)value + layout->null_offsets[i], sizeof bits);
    return (bits >> layout->null_bits[i]) & 1;
}

/* Has the string a piece? */
static inline bool is_long(const fl__layout *layout, const void *value, uint32_t i)
{
    return string_at(layout, value, i)->length > FL_STRING_INLINE && !string_is_null(layout, value, i);
}

/* Zeroes what is null, so that nothing dangles there. */
static inline void clear_nulls(const fl__layout *layout, void *value)
{
    for (uint32_t i = 0; layout->nullable_strings && i < layout->string_count; i++)
        if (string_is_null(layout, value, i))
            memset(string_at(layout, value, i), 0, sizeof(fl_string));
}

/* ---- the walk ---- */

static bool walk_shape(const fl__walk *walk, fl__shape shape, char *value);

static inline bool has_pieces(fl__shape shape)
{
    return shape.kind == FL_KIND_STRING || shape.kind == FL_KIND_BYTES || shape.kind == FL_KIND_ARRAY ||
           shape.kind == FL_KIND_MAP || shape.kind == FL_KIND_ROW;
}

static bool walk_row(const fl__walk *walk, const fl_type *type, char *value)
{
    const fl_field *nulls = fl__type_nulls(type);
    uint64_t bits = fl__row_nulls(nulls, value);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = fl__field_at(type, i);
        if (f == nulls)
            continue;
        bool null = bits & 1;
        bits >>= 1;
        fl__shape shape = fl__shape_of_field(f);
        if (!has_pieces(shape))
            continue;
        if (!null) {
            if (!walk_shape(walk, shape, value + f->offset))
                return false;
        } else if (walk->clear) {
            memset(value + f->offset, 0, f->size);
        }
    }
    return true;
}

static bool walk_elements(const fl__walk *walk, fl__shape shape, char *data, const uint64_t *nulls, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++, data += shape.size) {
        if (!fl__bit(nulls, i)) {
            if (!walk_shape(walk, shape, data))
                return false;
        } else if (walk->clear) {
            memset(data, 0, shape.size);
        }
    }
    return true;
}

static size_t null_bytes(uint32_t count)
{
    return ((size_t)count + 63) / 64 * 8;
}

static void *shifted(const fl__walk *walk, const void *p)
{
    return p ? (char *)(uintptr_t)p + walk->shift : NULL;
}

/* A run of elements and its null bits (slots may be NULL for keys, which are never null). */
static bool walk_run(
    const fl__walk *walk, const fl_type *element, const void **data, const uint64_t **nulls, uint32_t count)
{
    fl__shape shape = fl__shape_of(element);
    bool holds_pointers = has_pieces(shape) && !fl__type_is_flat(element);
    static const uint64_t *none;
    fl_assert(*data); /* count is not 0 */
    if (!nulls)
        nulls = &none;
    if (!walk->children_first) {
        if (*nulls && !walk->visit(walk->context, (const char **)nulls, null_bytes(count), false))
            return false;
        if (!walk->visit(walk->context, (const char **)data, (size_t)count * shape.size, holds_pointers))
            return false;
    }
    if (holds_pointers &&
        !walk_elements(walk, shape, shifted(walk, *data), (const uint64_t *)shifted(walk, *nulls), count))
        return false;
    if (walk->children_first) {
        if (*nulls && !walk->visit(walk->context, (const char **)nulls, null_bytes(count), false))
            return false;
        if (!walk->visit(walk->context, (const char **)data, (size_t)count * shape.size, holds_pointers))
            return false;
    }
    return true;
}

static bool walk_shape(const fl__walk *walk, fl__shape shape, char *value)
{
    switch (shape.kind) {
    case FL_KIND_STRING:
    case FL_KIND_BYTES: {
        fl_string *s = (fl_string *)value;
        return s->length <= FL_STRING_INLINE || walk->visit(walk->context, &s->bytes, s->length, false);
    }
    case FL_KIND_ARRAY: {
        fl_array *a = (fl_array *)value;
        if (a->count > 0)
            return walk_run(walk, shape.type, &a->data, &a->nulls, a->count);
        if (walk->clear)
            memset(a, 0, sizeof *a);
        return true;
    }
    case FL_KIND_MAP: {
        fl_map_value *m = (fl_map_value *)value;
        if (m->count > 0)
            return walk_run(walk, shape.key, &m->keys, NULL, m->count) &&
                   walk_run(walk, shape.type, &m->values, &m->nulls, m->count);
        if (walk->clear)
            memset(m, 0, sizeof *m);
        return true;
    }
    case FL_KIND_ROW: return walk_row(walk, shape.type, value);
    default: return true;
    }
}

bool fl__walk_value(const fl__walk *walk, const fl_type *type, void *value)
{
    return walk_shape(walk, fl__shape_of(type), (char *)value);
}

/* ---- copies in one run of memory ---- */

static bool add_bytes(void *context, const char **slot, size_t bytes, bool holds_pointers)
{
    (void)slot, (void)holds_pointers;
    *(size_t *)context += fl__align8(bytes);
    return true;
}

size_t fl__value_heap_bytes(const fl__layout *layout, const void *value)
{
    if (layout->is_flat)
        return 0;
    size_t bytes = 0;
    if (is_listed(layout)) {
        for (uint32_t i = 0; i < layout->string_count; i++)
            if (is_long(layout, value, i))
                bytes += fl__align8(string_at(layout, value, i)->length);
        return bytes;
    }
    /* only reads: nothing in this walk writes to the value */
    fl__walk_value(&(fl__walk){ .visit = add_bytes, .context = &bytes }, layout->type, (void *)(uintptr_t)value);
    return bytes;
}

static bool copy_piece(void *context, const char **slot, size_t bytes, bool holds_pointers)
{
    (void)holds_pointers;
    char **heap = (char **)context;
    char *to = *heap;
    memcpy(to, *slot, bytes);
    memset(to + bytes, 0, fl__align8(bytes) - bytes);
    *slot = to;
    *heap = to + fl__align8(bytes);
    return true;
}

void fl__value_adopt(const fl__layout *layout, void *value, char **heap)
{
    if (layout->is_flat)
        return;
    if (!is_listed(layout)) {
        fl__walk_value(&(fl__walk){ .visit = copy_piece, .context = heap, .clear = true }, layout->type, value);
        return;
    }
    clear_nulls(layout, value);
    for (uint32_t i = 0; i < layout->string_count; i++) {
        fl_string *s = string_at(layout, value, i);
        if (s->length > FL_STRING_INLINE)
            copy_piece(heap, &s->bytes, s->length, false);
    }
}

/* ---- values that own their pieces ---- */

static bool own_piece(void *context, const char **slot, size_t bytes, bool holds_pointers)
{
    (void)holds_pointers;
    char *copy = fl__heap_alloc((fl__heap *)context, bytes);
    memcpy(copy, *slot, bytes);
    *slot = copy;
    return true;
}

void fl__value_own(const fl__layout *layout, void *value, fl__heap *heap)
{
    if (is_listed(layout)) {
        clear_nulls(layout, value);
        for (uint32_t i = 0; i < layout->string_count; i++) {
            fl_string *s = string_at(layout, value, i);
            if (s->length > FL_STRING_INLINE)
                own_piece(heap, &s->bytes, s->length, false);
        }
    } else if (!layout->is_flat) {
        fl__walk_value(&(fl__walk){ .visit = own_piece, .context = heap, .clear = true }, layout->type, value);
    }
}

static bool free_piece(void *context, const char **slot, size_t bytes, bool holds_pointers)
{
    (void)holds_pointers;
    fl__heap_free((fl__heap *)context, (void *)(uintptr_t)*slot, bytes);
    return true;
}

void fl__value_drop(const fl__layout *layout, void *value, fl__heap *heap)
{
    if (is_listed(layout)) {
        for (uint32_t i = 0; i < layout->string_count; i++)
            if (is_long(layout, value, i))
                free_piece(heap, &string_at(layout, value, i)->bytes, string_at(layout, value, i)->length, false);
    } else if (!layout->is_flat) {
        fl__walk_value(
            &(fl__walk){ .visit = free_piece, .context = heap, .children_first = true }, layout->type, value);
    }
}

/* Settling: list the old value's pieces; walk the new value and let it keep each old piece once, copying all else; then
 * free the old pieces that nobody kept. Copying comes before freeing, so that a new piece may lie inside an old one. */

struct piece {
    const char *at;
    size_t bytes;
    bool kept;
};

enum { PIECES_ON_STACK = 64 };

struct settling {
    fl__heap *heap;
    struct piece *pieces; /* sorted by address once all are in */
    size_t count, capacity;
    struct piece stack[PIECES_ON_STACK];
};

static bool list_piece(void *context, const char **slot, size_t bytes, bool holds_pointers)
{
    (void)holds_pointers;
    struct settling *s = (struct settling *)context;
    if (s->count == s->capacity) {
        size_t bytes_now = s->capacity * sizeof *s->pieces;
        struct piece *grown = fl__alloc(NULL, 2 * bytes_now);
        memcpy(grown, s->pieces, bytes_now);
        if (s->pieces != s->stack)
            fl__free(NULL, s->pieces, bytes_now);
        s->pieces = grown;
        s->capacity *= 2;
    }
    s->pieces[s->count++] = (struct piece){ *slot, bytes, false };
    return true;
}

static int order_pieces(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct piece *)a)->at, y = (uintptr_t)((const struct piece *)b)->at;
    return (x > y) - (x < y);
}

static bool keep_or_copy(void *context, const char **slot, size_t bytes, bool holds_pointers)
{
    struct settling *s = (struct settling *)context;
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((uintptr_t)s->pieces[middle].at < (uintptr_t)*slot)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < s->count && s->pieces[low].at == *slot && s->pieces[low].bytes == bytes && !s->pieces[low].kept) {
        s->pieces[low].kept = true;
        return true;
    }
    return own_piece(s->heap, slot, bytes, holds_pointers);
}

/* The same for rows whose pointers are all strings': few enough to look at each pair. */
static void settle_strings(const fl__layout *layout, void *value, const void *old, fl__heap *heap)
{
    uint32_t owned = 0, kept = 0; /* bits of the old strings: have a piece; it stays */
    _Static_assert(STRINGS_MAX <= 32, "one bit a string");
    for (uint32_t i = 0; i < layout->string_count; i++)
        owned |= (uint32_t)is_long(layout, old, i) << i;
    clear_nulls(layout, value);
    for (uint32_t i = 0; i < layout->string_count; i++) {
        fl_string *s = string_at(layout, value, i);
        if (s->length <= FL_STRING_INLINE)
            continue;
        uint32_t rest = owned & ~kept;
        for (; rest; rest &= rest - 1) {
            const fl_string *o = string_at(layout, old, (uint32_t)__builtin_ctz(rest));
            if (o->bytes == s->bytes && o->length == s->length)
                break;
        }
        if (rest)
            kept |= rest & -rest;
        else
            own_piece(heap, &s->bytes, s->length, false);
    }
    for (uint32_t lost = owned & ~kept; lost; lost &= lost - 1) {
        fl_string *o = string_at(layout, old, (uint32_t)__builtin_ctz(lost));
        free_piece(heap, &o->bytes, o->length, false);
    }
}

static bool same_strings(const fl__layout *layout, const void *value, const void *old)
{
    for (uint32_t i = 0; i < layout->string_count; i++)
        if (memcmp(string_at(layout, value, i), string_at(layout, old, i), sizeof(fl_string)) != 0 ||
            string_is_null(layout, value, i) != string_is_null(layout, old, i))
            return false;
    return true;
}

void fl__value_settle(const fl__layout *layout, void *value, const void *old, fl__heap *heap)
{
    if (layout->is_flat)
        return;
    if (is_listed(layout)) {
        if (!same_strings(layout, value, old))
            settle_strings(layout, value, old, heap);
        return;
    }
    if (memcmp(value, old, layout->row_size) == 0)
        return;
    struct settling s;
    s.heap = heap;
    s.pieces = s.stack;
    s.count = 0;
    s.capacity = PIECES_ON_STACK;
    fl__walk_value(&(fl__walk){ .visit = list_piece, .context = &s }, layout->type, (void *)(uintptr_t)old);
    qsort(s.pieces, s.count, sizeof *s.pieces, order_pieces);
    fl__walk_value(&(fl__walk){ .visit = keep_or_copy, .context = &s, .clear = true }, layout->type, value);
    for (size_t i = 0; i < s.count; i++)
        if (!s.pieces[i].kept)
            fl__heap_free(heap, (void *)(uintptr_t)s.pieces[i].at, s.pieces[i].bytes);
    if (s.pieces != s.stack)
        fl__free(NULL, s.pieces, s.capacity * sizeof *s.pieces);
}
