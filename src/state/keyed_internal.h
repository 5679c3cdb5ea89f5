/* Inside of keyed state: looking entries up, and the log of what the current call changed. */
#ifndef FL_STATE_KEYED_INTERNAL_H
#define FL_STATE_KEYED_INTERNAL_H

#include "base/error.h"
#include "state/keyed.h"

/* What a map has in the entry. cells: capacity cells (key, value), the first count in use; with many an index behind
 * them: see keyed_map.c. */
typedef struct fl__map_handle {
    char *cells;
    uint32_t count, slots;
} fl__map_handle;

enum { FL__ID_SHIFT = 26, FL__ENTRY_SIZE_MAX = 1 << FL__ID_SHIFT };

/* The laid-out state behind a public call, or NULL after failing the task: not keyed, not listed, another kind. */
const fl__keyed_state *fl__keyed_state_failed(fl_context *ctx, const fl_state *state, const char *call);
static inline const fl__keyed_state *fl__keyed_find_state(
    fl_context *ctx, const fl_state *state, unsigned kinds, const char *call)
{
    uint32_t id = __atomic_load_n(&state->id, __ATOMIC_RELAXED);
    if (FL_LIKELY(ctx->function && ctx->function->keyed && ctx->key)) {
        const fl__keyed *keyed = ctx->function->keyed;
        if (FL_LIKELY(id < keyed->id_count && keyed->offsets[id])) {
            const fl__keyed_state *s = &keyed->states[(keyed->offsets[id] >> FL__ID_SHIFT) - 1];
            if (FL_LIKELY(kinds >> s->kind & 1))
                return s;
        }
    }
    return fl__keyed_state_failed(ctx, state, call);
}
/* The state's number among those of the operator, FL__STATES_MAX when it is not one of them. */
static inline uint32_t fl__keyed_state_index(const fl__keyed *keyed, const fl_state *state)
{
    uint32_t id = __atomic_load_n(&state->id, __ATOMIC_RELAXED);
    return id < keyed->id_count && keyed->offsets[id] ? (keyed->offsets[id] >> FL__ID_SHIFT) - 1 : FL__STATES_MAX;
}
/* Zeroed memory for the user to write to after a failure. */
void *fl__function_scratch(fl_context *ctx, size_t size);

static inline uint32_t *fl__keyed_word(char *entry, uint32_t offset)
{
    return (uint32_t *)(void *)(entry + offset);
}

/* The current key's entry, NULL when it has none. */
static inline char *fl__keyed_lookup(fl__keyed *keyed, fl_context *ctx)
{
    if (!ctx->entry) {
        uint32_t ref = fl__table_find_class(&keyed->table, keyed->table.key.class, keyed->hash, ctx->key, false, NULL);
        if (ref == FL__NO_REF)
            return NULL;
        keyed->ref = ref;
        ctx->entry = fl__table_entry(&keyed->table, ref);
    }
    return ctx->entry;
}
/* The same, made when missing. */
static inline char *fl__keyed_make(fl__keyed *keyed, fl_context *ctx, bool *inserted)
{
    *inserted = false;
    if (!ctx->entry) {
        keyed->ref = fl__table_find_class(&keyed->table, keyed->table.key.class, keyed->hash, ctx->key, true, inserted);
        ctx->entry = fl__table_entry(&keyed->table, keyed->ref);
    }
    fl__table_touch(&keyed->table, keyed->ref);
    return ctx->entry;
}

/* Where the state's content is, to be read: NULL when it has none. */
static inline char *fl__keyed_peek(fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s)
{
    char *entry = fl__keyed_lookup(keyed, ctx);
    if (!entry)
        return NULL;
    if (keyed->present_offset == FL__NO_OFFSET ? keyed->is_gone
                                               : !(*fl__keyed_word(entry, keyed->present_offset) & s->bit))
        return NULL;
    return entry + s->offset;
}
/* Where it is, to be changed: NULL when it has none. */
static inline char *fl__keyed_change(fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s)
{
    char *data = fl__keyed_peek(keyed, ctx, s);
    if (data)
        fl__table_touch(&keyed->table, keyed->ref);
    return data;
}
/* The same; zeroed content is made when there is none: *is_new. */
static inline char *fl__keyed_ensure(fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s, bool *is_new)
{
    bool inserted;
    char *entry = fl__keyed_make(keyed, ctx, &inserted), *data = entry + s->offset;
    if (keyed->present_offset == FL__NO_OFFSET) {
        *is_new = inserted || keyed->is_gone;
        keyed->is_gone = false;
    } else {
        uint32_t *present = fl__keyed_word(entry, keyed->present_offset);
        *is_new = !(*present & s->bit);
        *present |= s->bit;
    }
    if (FL_UNLIKELY(*is_new) && !inserted)
        memset(data, 0, s->size);
    return data;
}
/* The state has no content any more (which was thrown away already). */
void fl__keyed_absent(fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s);

/* ---- the log of the current call ---- */

/* *value (of a type with pointers) is handed out for writing. */
void fl__keyed_remember(fl__keyed *keyed, const fl__keyed_state *s, uint32_t cell, const void *value);
/* The value goes out of use: its pieces of before (when it was handed out) or of now become garbage. */
void fl__keyed_discard(fl__keyed *keyed, const fl__keyed_state *s, uint32_t cell, const void *value);
/* The value of cell `from` is moved to cell `to`, whose own was discarded. */
void fl__keyed_moved(fl__keyed *keyed, const fl__keyed_state *s, uint32_t from, uint32_t to);
/* Pieces of a value with this layout go when the call ends. */
void fl__keyed_discard_pieces(fl__keyed *keyed, const fl__layout *layout, const void *value);
/* Memory of the heap goes when the call ends. */
void fl__keyed_discard_memory(fl__keyed *keyed, void *p, size_t size);

/* ---- lists and maps ---- */

char *fl__map_value_at(const fl__keyed_state *s, const fl__map_handle *map, uint32_t cell);
/* Reading without a trace in the log: the value is not to be changed. NULL: none. key is of the map's key type. */
const void *fl__map_peek(fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s, const void *key);
/* As fl__map_next, for reading only. */
bool fl__map_peek_next(
    fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s, size_t *cursor, const void **key, const void **value);
void fl__list_discard(fl__keyed *keyed, const fl__keyed_state *s, const fl__list_handle *list);
void fl__map_discard(fl__keyed *keyed, const fl__keyed_state *s, const fl__map_handle *map);

#endif
