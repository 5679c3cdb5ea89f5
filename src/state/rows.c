#include "state/rows.h"

#include "state/keyed_internal.h"

enum { BYTES_FIRST = 64 };

static fl__list_handle *handle(char *data)
{
    return (fl__list_handle *)(void *)data;
}

static void resize(fl__keyed *keyed, fl__list_handle *list, uint32_t capacity, uint32_t size)
{
    fl_assert(capacity >= list->count);
    char *data = fl__heap_alloc(keyed->heap, (size_t)capacity * size);
    if (list->count)
        memcpy(data, list->data, (size_t)list->count * size);
    fl__heap_free(keyed->heap, list->data, (size_t)list->capacity * size);
    list->data = data;
    list->capacity = capacity;
}

/* Between two places, of which the row before low is earlier than `time` and the row at high is not. */
static uint32_t bisect(const fl__rows *rows, uint32_t low, uint32_t high, fl_time time)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (fl__rows_time(rows, middle) < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t fl__rows_find(const fl__rows *rows, uint32_t from, uint32_t hint, fl_time time)
{
    uint32_t low = from, high = rows->count;
    if (hint < low || hint > high)
        hint = hint < low ? low : high;
    for (uint32_t i = hint, step = 1; i < high; step *= 2) {
        if (fl__rows_time(rows, i) >= time) {
            high = i;
            break;
        }
        low = i + 1;
        i = high - i > step ? i + step : high;
    }
    for (uint32_t i = hint, step = 1; low <= from && i > from; step *= 2) {
        i = i - from > step ? i - step : from;
        if (fl__rows_time(rows, i) < time) {
            low = i + 1;
            break;
        }
        high = i;
    }
    return bisect(rows, low, high, time);
}

/* Where a row of this time goes: behind all that are not later. */
static uint32_t place_of(const fl__rows *rows, fl_time time)
{
    if (rows->count == 0 || fl__rows_time(rows, rows->count - 1) <= time)
        return rows->count;
    return fl__rows_find(rows, 0, rows->count, time + 1); /* some row is later: no overflow */
}

char *fl__rows_add(fl__keyed *keyed, fl_context *ctx, uint32_t state, fl_time time, uint32_t offset,
    const void *content, size_t content_size)
{
    const fl__keyed_state *s = &keyed->states[state];
    uint32_t size = s->layout.row_size;
    fl_assert(offset >= sizeof time && offset + content_size <= size);
    fl__list_handle *list = ctx->entry ? handle((char *)ctx->entry + s->offset) : NULL;
    if (!list || list->count == list->capacity) {
        bool is_new;
        list = handle(fl__keyed_ensure(keyed, ctx, s, &is_new));
    }
    fl__table_touch(&keyed->table, keyed->ref);
    if (list->count == list->capacity) {
        fl_assert(list->capacity <= UINT32_MAX / 2);
        resize(keyed, list, list->capacity ? list->capacity * 2 : size >= BYTES_FIRST ? 1 : BYTES_FIRST / size, size);
    }
    fl__rows rows = { .data = list->data, .count = list->count, .size = size };
    uint32_t at = place_of(&rows, time);
    char *row = fl__rows_at(&rows, at);
    if (at < list->count)
        memmove(row + size, row, (size_t)(list->count - at) * size);
    list->count++;
    if (offset + content_size < size || offset > sizeof time)
        memset(row, 0, size);
    memcpy(row, &time, sizeof time);
    memcpy(row + offset, content, content_size);
    if (!s->is_flat)
        fl__value_own(&s->layout, row, keyed->heap);
    return row;
}

static void drop(const fl__keyed *keyed, const fl__keyed_state *s, const fl__list_handle *list, uint32_t n)
{
    for (uint32_t i = 0; !s->is_flat && i < n; i++)
        fl__value_drop(&s->layout, list->data + (size_t)i * s->layout.row_size, keyed->heap);
}

void fl__rows_remove_first(fl__keyed *keyed, fl_context *ctx, uint32_t state, uint32_t n)
{
    const fl__keyed_state *s = &keyed->states[state];
    char *data = fl__keyed_change(keyed, ctx, s);
    if (!data || n == 0)
        return;
    fl__list_handle *list = handle(data);
    uint32_t size = s->layout.row_size;
    fl_assert(n <= list->count);
    drop(keyed, s, list, n);
    list->count -= n;
    memmove(list->data, list->data + (size_t)n * size, (size_t)list->count * size);
    /* what a burst took goes back */
    if (list->capacity / 8 > list->count && (size_t)list->capacity * size > 16 * BYTES_FIRST)
        resize(keyed, list, list->capacity / 4, size);
}

void fl__rows_clear(fl__keyed *keyed, fl_context *ctx, uint32_t state)
{
    const fl__keyed_state *s = &keyed->states[state];
    char *data = fl__keyed_change(keyed, ctx, s);
    if (!data)
        return;
    fl__list_handle *list = handle(data);
    drop(keyed, s, list, list->count);
    fl__heap_free(keyed->heap, list->data, (size_t)list->capacity * s->layout.row_size);
    *list = (fl__list_handle){ 0 };
    fl__keyed_absent(keyed, ctx, s);
}
