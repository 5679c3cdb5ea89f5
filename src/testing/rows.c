#include "testing/rows.h"

void fl__kept_init(fl__kept_rows *kept, const fl_type *type)
{
    memset(kept, 0, sizeof *kept);
    fl__layout_init(&kept->layout, type);
    fl__arena_init(&kept->heap, NULL);
}

void fl__kept_release(fl__kept_rows *kept)
{
    fl__arena_release(&kept->heap);
    fl__free(NULL, kept->rows, kept->capacity * kept->layout.row_size);
    fl__free(NULL, kept->timestamps, kept->capacity * sizeof *kept->timestamps);
    fl__free(NULL, kept->subtasks, kept->capacity * sizeof *kept->subtasks);
}

static void grow(fl__kept_rows *kept)
{
    size_t old = kept->capacity, capacity = old ? 2 * old : 64, size = kept->layout.row_size;
    kept->rows = fl__realloc(NULL, kept->rows, old * size, capacity * size);
    kept->timestamps =
        fl__realloc(NULL, kept->timestamps, old * sizeof *kept->timestamps, capacity * sizeof *kept->timestamps);
    kept->subtasks = fl__realloc(NULL, kept->subtasks, old * sizeof *kept->subtasks, capacity * sizeof *kept->subtasks);
    kept->capacity = capacity;
}

void fl__kept_add(fl__kept_rows *kept, const void *row, fl_time timestamp, int subtask)
{
    if (kept->count == kept->capacity)
        grow(kept);
    char *copy = kept->rows + kept->count * kept->layout.row_size;
    memcpy(copy, row, kept->layout.row_size);
    if (!kept->layout.is_flat) {
        char *heap = fl__arena_alloc(&kept->heap, fl__value_heap_bytes(&kept->layout, copy));
        fl__value_adopt(&kept->layout, copy, &heap);
    }
    kept->timestamps[kept->count] = timestamp;
    kept->subtasks[kept->count++] = subtask;
}

void fl__kept_add_batch(fl__kept_rows *kept, const fl__batch *batch, int subtask)
{
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    for (uint32_t i = 0; i < batch->count; i++)
        fl__kept_add(kept, fl__batch_row(batch, i), timestamps ? timestamps[i] : FL_NO_TIMESTAMP, subtask);
}

void *fl__copy_rows(fl__arena *arena, const fl_type *type, const void *rows, size_t count)
{
    char *copy = fl__arena_alloc(arena, count * type->size + 1);
    if (count)
        memcpy(copy, rows, count * type->size);
    fl__layout layout;
    fl__layout_init(&layout, type);
    for (size_t i = 0; i < count && !layout.is_flat; i++) {
        char *row = copy + i * type->size;
        char *heap = fl__arena_alloc(arena, fl__value_heap_bytes(&layout, row));
        fl__value_adopt(&layout, row, &heap);
    }
    return copy;
}
