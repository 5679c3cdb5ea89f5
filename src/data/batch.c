#include "data/batch.h"

#include "base/error.h"
#include "data/batch_internal.h"

enum { BATCH_ALIGN = 64 };

static uint64_t align_up(uint64_t n, uint64_t align)
{
    return (n + align - 1) & ~(align - 1);
}

uint64_t fl__batch_lay_out(fl__batch *batch, const fl_type *type, uint32_t columns, uint64_t capacity)
{
    uint64_t at = sizeof *batch;
    batch->columns = columns;
    batch->row_size = type->size;
    batch->timestamps_offset = (uint32_t)at;
    at += columns & FL__COLUMN_TIMESTAMP ? capacity * sizeof(int64_t) : 0;
    batch->hashes_offset = (uint32_t)at;
    at += columns & FL__COLUMN_HASH ? capacity * sizeof(uint64_t) : 0;
    batch->kinds_offset = (uint32_t)at;
    at += columns & FL__COLUMN_KIND ? capacity : 0;
    at = align_up(at, type->align > 8 ? type->align : 8);
    batch->rows_offset = (uint32_t)at;
    batch->capacity = (uint32_t)capacity;
    return at;
}

static size_t column_bytes(uint32_t columns)
{
    return (columns & FL__COLUMN_TIMESTAMP ? 8u : 0u) + (columns & FL__COLUMN_HASH ? 8u : 0u) +
           (columns & FL__COLUMN_KIND ? 1u : 0u);
}

/* A batch of this capacity and heap, in a segment of at least segment_size bytes. */
static fl__batch *allocate(fl__memory *memory, const fl_type *type, uint32_t columns, size_t capacity, size_t size)
{
    fl__batch *batch = fl__alloc_aligned(memory, BATCH_ALIGN, size);
    memset(batch, 0, sizeof *batch);
    uint64_t rows = fl__batch_lay_out(batch, type, columns, capacity);
    fl_assert(rows + capacity * type->size <= size);
    batch->size = (uint32_t)size;
    batch->base = (uint64_t)(uintptr_t)batch;
    batch->memory = memory;
    fl__batch_clear(batch);
    return batch;
}

fl__batch *fl__batch_new(fl__memory *memory, const fl_type *type, uint32_t columns, uint32_t segment_size)
{
    fl_assert(type->size > 0 && type->align <= BATCH_ALIGN);
    size_t fixed = sizeof(fl__batch) + (type->align > 8 ? type->align : 8), each = type->size + column_bytes(columns);
    size_t least = fixed + 2 * each;
    size_t size = align_up(segment_size > least ? segment_size : least, 8);
    fl_assert(size <= FL__BATCH_BYTES_MAX);
    return allocate(memory, type, columns, (size - fixed) / each, size);
}

fl__batch *fl__batch_new_large(fl__memory *memory, const fl_type *type, uint32_t columns, size_t heap_bytes)
{
    fl_assert(type->size > 0 && type->align <= BATCH_ALIGN);
    size_t fixed = sizeof(fl__batch) + (type->align > 8 ? type->align : 8), each = type->size + column_bytes(columns);
    if (heap_bytes > FL__BATCH_BYTES_MAX - fixed - each)
        return NULL;
    return allocate(memory, type, columns, 1, align_up(fixed + each + heap_bytes, 8));
}

void fl__batch_free(fl__batch *batch)
{
    if (batch)
        fl__free(batch->memory, batch, batch->size);
}

/* memcpy, without the call for the usual sizes. */
static inline void copy_row(void *to, const void *from, uint32_t size)
{
    switch (size) {
    case 8: memcpy(to, from, 8); break;
    case 16: memcpy(to, from, 16); break;
    case 24: memcpy(to, from, 24); break;
    case 32: memcpy(to, from, 32); break;
    case 40: memcpy(to, from, 40); break;
    case 48: memcpy(to, from, 48); break;
    default: memcpy(to, from, size); break;
    }
}

bool fl__batch_append(fl__batch *batch, const fl__layout *layout, const void *row)
{
    size_t room = fl__batch_room(batch), heap_bytes = fl__value_heap_bytes(layout, row);
    if (batch->count == batch->capacity || room < layout->row_size || room - layout->row_size < heap_bytes)
        return false;
    char *to = fl__batch_row(batch, batch->count);
    copy_row(to, row, layout->row_size);
    if (heap_bytes > 0) {
        char *heap = (char *)batch + batch->heap_start - heap_bytes, *end = heap;
        fl__value_adopt(layout, to, &end);
        fl_assert(end == heap + heap_bytes);
        batch->heap_start -= (uint32_t)heap_bytes;
    } else if (!layout->is_flat && !layout->only_strings) {
        char *none = NULL; /* clears what is null */
        fl__value_adopt(layout, to, &none);
        fl_assert(!none);
    }
    batch->count++;
    return true;
}

/* ---- moving ---- */

static bool move_pointer(void *context, const char **slot, size_t bytes, bool holds_pointers)
{
    (void)bytes, (void)holds_pointers;
    *slot = (const char *)((uintptr_t)*slot + *(const uintptr_t *)context);
    return true;
}

void fl__batch_rebase(fl__batch *batch, const fl_type *type)
{
    uintptr_t delta = (uintptr_t)batch - (uintptr_t)batch->base;
    fl__layout layout;
    batch->base = (uint64_t)(uintptr_t)batch;
    fl__layout_init(&layout, type);
    if (layout.is_flat || delta == 0)
        return;
    char *row = fl__batch_rows(batch);
    fl__walk walk = { .visit = move_pointer, .context = &delta };
    for (uint32_t i = 0; i < batch->count; i++, row += batch->row_size) {
        if (!layout.only_strings) {
            fl__walk_value(&walk, type, row);
            continue;
        }
        for (uint32_t j = 0; j < layout.string_count; j++) {
            fl_string *s = (fl_string *)(row + layout.string_offsets[j]);
            if (s->length > FL_STRING_INLINE)
                s->bytes = (const char *)((uintptr_t)s->bytes + delta);
        }
    }
}
