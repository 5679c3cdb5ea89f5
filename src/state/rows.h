/* Rows of one key in the order of their times: a list state that operators look up by time (interval join).
 *
 * The list's elements are rows that begin with an int64_t, the time; rows of one time stay in the order in which they
 * came. All calls work on the current key of the keyed state (fl__keyed_set_key or _set_ref before them; what they read
 * is in ctx->entry once that is looked up); unlike the public functions of lists they free at once what they take out,
 * so no user function may be at work on the rows. What a snapshot reads is the list. One thread. */
#ifndef FL_STATE_ROWS_H
#define FL_STATE_ROWS_H

#include "state/keyed.h"

typedef struct fl__rows {
    char *data;
    uint32_t count, size; /* rows; bytes of each */
} fl__rows;

static inline char *fl__rows_at(const fl__rows *rows, uint32_t i)
{
    return rows->data + (size_t)i * rows->size;
}
static inline fl_time fl__rows_time(const fl__rows *rows, uint32_t i)
{
    fl_time time;
    memcpy(&time, fl__rows_at(rows, i), sizeof time);
    return time;
}

/* The rows of an entry (ctx->entry, or a fl__table_candidate); valid until they are added to or removed from. state:
 * its number in .states; a list that was filled by fl__rows_add only. */
static inline fl__rows fl__rows_of(const fl__keyed *keyed, const void *entry, uint32_t state)
{
    const fl__keyed_state *s = &keyed->states[state];
    const fl__list_handle *list = (const fl__list_handle *)(const void *)((const char *)entry + s->offset);
    return (fl__rows){ .data = list->data, .count = list->count, .size = s->layout.row_size };
}
/* Prefetches row i, or (i = count) where the next one goes. */
static inline void fl__rows_prefetch(const fl__rows *rows, uint32_t i)
{
    __builtin_prefetch(rows->data + (size_t)i * rows->size);
}
/* Does the next row find no room? Then rows that are not needed any more might go first. */
static inline bool fl__rows_is_full(const fl__keyed *keyed, const void *entry, uint32_t state)
{
    const fl__list_handle *list =
        (const fl__list_handle *)(const void *)((const char *)entry + keyed->states[state].offset);
    return list->count == list->capacity;
}
/* Adds a row {time, a copy of size bytes of content at offset, zeros}, behind those whose time is not later. What the
 * content points to is copied into the state's heap. Returns its place. Cost: O(1) when no row is later, else a move of
 * those that are. */
char *fl__rows_add(
    fl__keyed *keyed, fl_context *ctx, uint32_t state, fl_time time, uint32_t offset, const void *content, size_t size);
/* Removes the first n rows. Cost: O(rows left). */
void fl__rows_remove_first(fl__keyed *keyed, fl_context *ctx, uint32_t state, uint32_t n);
/* Removes all rows; the list has no content any more, and the key may go at the end of the call. */
void fl__rows_clear(fl__keyed *keyed, fl_context *ctx, uint32_t state);
/* The first of rows [from, count) whose time is not before `time`. hint: where it may be, any number. Cost: O(log of
 * the distance from the hint), and only the rows on the way are touched. */
uint32_t fl__rows_find(const fl__rows *rows, uint32_t from, uint32_t hint, fl_time time);

#endif
