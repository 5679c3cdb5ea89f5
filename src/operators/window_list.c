/* Windows whose function sees all records: a list of rows per window and key, in order of arrival. Lists and what their
 * rows point to lie in the pane's heap: cleaning up is dropping the heap. */
#include "operators/window_internal.h"

enum { LIST_FIRST = 4 }; /* rows that a new list has room for: most lists of most windows are short */

typedef struct list {
    char *rows;
    uint32_t count, capacity;
} list;

static list *list_of(const fl__window_operator *w, const char *entry)
{
    return (list *)(uintptr_t)(entry + w->content_offset);
}

static void append(fl__window_operator *w, fl__window_pane *pane, list *l, const char *row)
{
    size_t row_size = w->row_layout.row_size;
    fl__heap *heap = fl__window_heap(pane);
    if (l->count == l->capacity) {
        fl_assert(l->capacity < UINT32_MAX / 2);
        uint32_t capacity = l->capacity ? l->capacity * 2 : LIST_FIRST;
        char *rows = fl__heap_alloc(heap, capacity * row_size);
        if (l->count)
            memcpy(rows, l->rows, l->count * row_size);
        fl__heap_free(heap, l->rows, l->capacity * row_size);
        l->rows = rows;
        l->capacity = capacity;
    }
    char *copy = l->rows + l->count++ * row_size;
    memcpy(copy, row, row_size);
    if (!w->row_layout.is_flat)
        fl__value_own(&w->row_layout, copy, heap);
}

static void add(fl__window_operator *w, fl__window_pane *pane, const fl__batch *batch, uint32_t from, uint32_t to)
{
    const fl__key *key = w->op.spec->key[0];
    const uint64_t *hashes = fl__batch_hashes(batch);
    const char *row = fl__batch_row(batch, from);
    for (uint32_t i = from; i < to; i++, row += batch->row_size) {
        bool is_new;
        char *entry = fl__table_get(&pane->table, hashes[i], fl__key_of(key, row, w->key_scratch), &is_new);
        append(w, pane, list_of(w, entry), row);
    }
}

static void emit(fl__window_operator *w, const char *entry)
{
    const list *l = list_of(w, entry);
    fl__window_pass_on(w, l->rows, l->count, w->row_layout.row_size, entry + w->key_offset);
}

static void open_list(fl__window_operator *w)
{
    const fl__key *key = w->op.spec->key[0];
    w->key_offset = 0;
    w->content_offset = (key->size + 7) & ~7u;
    w->entry_size = w->content_offset + (uint32_t)sizeof(list);
    w->owns_pieces = true;
    w->class = key->in_place ? key->class : FL__KEY_GENERIC;
}

const fl__window_function fl__window_elements = {
    .open = open_list,
    .add = add,
    .emit = emit,
};
