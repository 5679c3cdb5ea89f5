/* Windows whose function sees all records: a list of rows per window and key, in order of arrival. Lists and what their
 * rows point to lie in the pane's heap: cleaning up is dropping the heap. In the general path all windows share one
 * heap, and a list is dropped piece by piece. */
#include "operators/window_internal.h"

enum { LIST_FIRST = 4 }; /* rows that a new list has room for: most lists of most windows are short */

static fl__window_list *list_of(const fl__window_operator *w, const char *entry)
{
    return (fl__window_list *)(uintptr_t)(entry + w->content_offset);
}

static size_t bytes_per_row(const fl__window_operator *w)
{
    return w->row_layout.row_size + (w->keeps_timestamps ? sizeof(fl_time) : 0);
}

/* Where a list's piece of the heap begins. */
static char *piece_of(const fl__window_operator *w, const fl__window_list *list)
{
    return list->rows && w->keeps_timestamps ? list->rows - list->capacity * sizeof(fl_time) : list->rows;
}

static void reserve(fl__window_operator *w, fl__heap *heap, fl__window_list *list, uint32_t capacity)
{
    size_t row_size = w->row_layout.row_size;
    char *piece = fl__heap_alloc(heap, capacity * bytes_per_row(w));
    fl__window_list grown = { piece + (w->keeps_timestamps ? capacity * sizeof(fl_time) : 0), list->count, capacity };
    if (list->count) {
        memcpy(grown.rows, list->rows, list->count * row_size);
        if (w->keeps_timestamps)
            memcpy(fl__window_list_timestamps(&grown), fl__window_list_timestamps(list), list->count * sizeof(fl_time));
    }
    fl__heap_free(heap, piece_of(w, list), list->capacity * bytes_per_row(w));
    *list = grown;
}

void fl__window_list_add(
    fl__window_operator *w, fl__heap *heap, fl__window_list *list, const char *row, fl_time timestamp)
{
    size_t row_size = w->row_layout.row_size;
    if (list->count == list->capacity) {
        fl_assert(list->capacity < UINT32_MAX / 2);
        reserve(w, heap, list, list->capacity ? list->capacity * 2 : LIST_FIRST);
    }
    if (w->keeps_timestamps)
        fl__window_list_timestamps(list)[list->count] = timestamp;
    char *copy = list->rows + list->count++ * row_size;
    memcpy(copy, row, row_size);
    if (!w->row_layout.is_flat)
        fl__value_own(&w->row_layout, copy, heap);
}

void fl__window_list_merge(fl__window_operator *w, fl__heap *heap, fl__window_list *list, fl__window_list *other)
{
    size_t row_size = w->row_layout.row_size;
    fl_assert((uint64_t)list->count + other->count < UINT32_MAX / 2);
    if (list->count + other->count > list->capacity)
        reserve(w, heap, list, (list->count + other->count) * 2);
    if (other->count) {
        memcpy(list->rows + list->count * row_size, other->rows, other->count * row_size);
        if (w->keeps_timestamps)
            memcpy(fl__window_list_timestamps(list) + list->count, fl__window_list_timestamps(other),
                other->count * sizeof(fl_time));
        list->count += other->count;
        other->count = 0; /* what its rows point to is the list's now */
    }
    fl__window_list_drop(w, heap, other);
}

void fl__window_list_drop(fl__window_operator *w, fl__heap *heap, fl__window_list *list)
{
    if (!w->row_layout.is_flat) {
        for (uint32_t i = 0; i < list->count; i++)
            fl__value_drop(&w->row_layout, list->rows + i * (size_t)w->row_layout.row_size, heap);
    }
    fl__heap_free(heap, piece_of(w, list), list->capacity * bytes_per_row(w));
    *list = (fl__window_list){ 0 };
}

void fl__window_list_evict(fl__window_operator *w, fl__heap *heap, fl__window_list *list, const bool *evict)
{
    size_t row_size = w->row_layout.row_size;
    fl_time *timestamps = w->keeps_timestamps ? fl__window_list_timestamps(list) : NULL;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        char *row = list->rows + i * row_size;
        if (evict[i]) {
            if (!w->row_layout.is_flat)
                fl__value_drop(&w->row_layout, row, heap);
            continue;
        }
        if (kept != i) {
            memcpy(list->rows + kept * row_size, row, row_size);
            if (timestamps)
                timestamps[kept] = timestamps[i];
        }
        kept++;
    }
    list->count = kept;
}

static void add(fl__window_operator *w, fl__window_pane *pane, const fl__batch *batch, uint32_t from, uint32_t to)
{
    const fl__key *key = w->op.spec->key[0];
    const uint64_t *hashes = fl__batch_hashes(batch);
    const char *row = fl__batch_row(batch, from);
    fl__heap *heap = fl__window_heap(pane);
    for (uint32_t i = from; i < to; i++, row += batch->row_size) {
        bool is_new;
        char *entry = fl__table_get(&pane->table, hashes[i], fl__key_of(key, row, w->key_scratch), &is_new);
        fl__window_list_add(w, heap, list_of(w, entry), row, FL_NO_TIMESTAMP);
    }
}

static void emit(fl__window_operator *w, const char *entry)
{
    const fl__window_list *list = list_of(w, entry);
    fl__window_pass_on(w, list->rows, list->count, w->row_layout.row_size, entry + w->key_offset);
}

static void open_list(fl__window_operator *w)
{
    const fl__key *key = w->op.spec->key[0];
    w->key_offset = 0;
    w->content_offset = (key->size + 7) & ~7u;
    w->entry_size = w->content_offset + (uint32_t)sizeof(fl__window_list);
    w->owns_pieces = true;
    w->class = key->in_place ? key->class : FL__KEY_GENERIC;
}

const fl__window_function fl__window_elements = {
    .open = open_list,
    .add = add,
    .emit = emit,
};
