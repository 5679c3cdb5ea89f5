/* Map state: dense cells (key, value) in the order of insertion, the last one moving into the place of a removed one.
 * Up to 8 cells are searched one after the other; more have an index behind them:
 *
 *   | cell 0 | cell 1 | … capacity | slot u32 × slots |
 *
 * slot: cell + 1, 0: empty; its home is the low bits of the key's hash. */
#include "state/keyed_internal.h"

enum { MAP_LINEAR = 8, MAP_FIRST = 2 };

static inline uint32_t capacity_of(uint32_t slots)
{
    return slots <= MAP_LINEAR ? slots : slots / 4 * 3;
}

static inline size_t bytes_of(const fl__keyed_state *s, uint32_t slots)
{
    return (size_t)capacity_of(slots) * s->cell_size + (slots <= MAP_LINEAR ? 0 : (size_t)slots * sizeof(uint32_t));
}

static inline char *cell_at(const fl__keyed_state *s, const fl__map_handle *map, uint32_t cell)
{
    return map->cells + (size_t)cell * s->cell_size;
}

char *fl__map_value_at(const fl__keyed_state *s, const fl__map_handle *map, uint32_t cell)
{
    return cell_at(s, map, cell) + s->value_offset;
}

static inline uint32_t *index_of(const fl__keyed_state *s, const fl__map_handle *map)
{
    return (uint32_t *)(void *)(map->cells + (size_t)capacity_of(map->slots) * s->cell_size);
}

static inline uint32_t home_of(const fl__keyed_state *s, const fl__map_handle *map, const void *key)
{
    return (uint32_t)fl__key_hash(&s->map_key, key) & (map->slots - 1);
}

enum { NOT_FOUND = 0xffffffff };

static uint32_t find(const fl__keyed_state *s, const fl__map_handle *map, const void *key)
{
    if (map->slots <= MAP_LINEAR) {
        for (uint32_t i = 0; i < map->count; i++) {
            if (fl__key_equal(&s->map_key, cell_at(s, map, i), key))
                return i;
        }
        return NOT_FOUND;
    }
    const uint32_t *index = index_of(s, map);
    for (uint32_t i = home_of(s, map, key); index[i]; i = (i + 1) & (map->slots - 1)) {
        if (fl__key_equal(&s->map_key, cell_at(s, map, index[i] - 1), key))
            return index[i] - 1;
    }
    return NOT_FOUND;
}

static void add_to_index(const fl__keyed_state *s, const fl__map_handle *map, uint32_t cell)
{
    uint32_t *index = index_of(s, map), i = home_of(s, map, cell_at(s, map, cell));
    while (index[i])
        i = (i + 1) & (map->slots - 1);
    index[i] = cell + 1;
}

static void grow(fl__keyed *keyed, const fl__keyed_state *s, fl__map_handle *map)
{
    fl_assert(map->slots < UINT32_C(1) << 31);
    fl__map_handle grown = { .count = map->count, .slots = map->slots ? map->slots * 2 : MAP_FIRST };
    grown.cells = fl__heap_alloc(keyed->heap, bytes_of(s, grown.slots));
    if (map->count)
        memcpy(grown.cells, map->cells, (size_t)map->count * s->cell_size);
    if (grown.slots > MAP_LINEAR) {
        memset(index_of(s, &grown), 0, grown.slots * sizeof(uint32_t));
        for (uint32_t i = 0; i < grown.count; i++)
            add_to_index(s, &grown, i);
    }
    /* kept until the call ends: key or value to put may lie in it */
    fl__keyed_discard_memory(keyed, map->cells, map->slots ? bytes_of(s, map->slots) : 0);
    *map = grown;
}

/* Position of the cell's slot in the index. */
static uint32_t slot_of(const fl__keyed_state *s, const fl__map_handle *map, uint32_t cell)
{
    const uint32_t *index = index_of(s, map);
    uint32_t i = home_of(s, map, cell_at(s, map, cell));
    while (index[i] != cell + 1)
        i = (i + 1) & (map->slots - 1);
    return i;
}

static void remove_from_index(const fl__keyed_state *s, const fl__map_handle *map, uint32_t cell)
{
    uint32_t *index = index_of(s, map), mask = map->slots - 1, hole = slot_of(s, map, cell);
    for (uint32_t j = (hole + 1) & mask; index[j]; j = (j + 1) & mask) {
        uint32_t home = home_of(s, map, cell_at(s, map, index[j] - 1));
        if (((j - home) & mask) >= ((j - hole) & mask)) {
            index[hole] = index[j];
            hole = j;
        }
    }
    index[hole] = 0;
}

/* What it holds becomes garbage; the handle is left as it is. */
void fl__map_discard(fl__keyed *keyed, const fl__keyed_state *s, const fl__map_handle *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        fl__keyed_discard_pieces(keyed, &s->map_key_layout, cell_at(s, map, i));
        fl__keyed_discard(keyed, s, i, fl__map_value_at(s, map, i));
    }
    fl__keyed_discard_memory(keyed, map->cells, bytes_of(s, map->slots));
}

/* ---- public ---- */

static const fl__keyed_state *find_map(fl_context *ctx, const fl_state *state, size_t key_size, const char *call)
{
    const fl__keyed_state *s = fl__keyed_find_state(ctx, state, 1u << FL_STATE_MAP, call);
    if (s && FL_UNLIKELY(key_size != s->map_key.size)) {
        fl__function_fail(ctx, FL_ERROR_USER, "%s of state \"%s\" with a key of %zu bytes; its keys are %s of %u", call,
            fl__state_name(state), key_size, state->key_type->name, s->map_key.size);
        return NULL;
    }
    return s;
}

void *fl__map_get(fl_context *ctx, fl_state *state, const void *key, size_t key_size)
{
    const fl__keyed_state *s = find_map(ctx, state, key_size, "fl_map_get");
    if (!s)
        return NULL;
    fl__keyed *keyed = ctx->function->keyed;
    fl__map_handle *map = (fl__map_handle *)(void *)fl__keyed_peek(keyed, ctx, s);
    uint32_t cell = map ? find(s, map, key) : NOT_FOUND;
    if (cell == NOT_FOUND)
        return NULL;
    fl__table_touch(&keyed->table, keyed->ref);
    char *value = fl__map_value_at(s, map, cell);
    if (!s->is_flat)
        fl__keyed_remember(keyed, s, cell, value);
    return value;
}

void fl__map_put(fl_context *ctx, fl_state *state, const void *key, size_t key_size, const void *value, size_t size)
{
    const fl__keyed_state *s = find_map(ctx, state, key_size, "fl_map_put");
    if (!s)
        return;
    if (FL_UNLIKELY(size != state->type->size)) {
        fl__function_fail(ctx, FL_ERROR_USER, "fl_map_put to state \"%s\" with a value of %zu bytes; it holds %s of %u",
            fl__state_name(state), size, state->type->name, state->type->size);
        return;
    }
    fl__keyed *keyed = ctx->function->keyed;
    bool is_new;
    fl__map_handle *map = (fl__map_handle *)(void *)fl__keyed_ensure(keyed, ctx, s, &is_new);
    uint32_t cell = find(s, map, key);
    if (cell != NOT_FOUND) {
        char *to = fl__map_value_at(s, map, cell);
        fl__keyed_discard(keyed, s, cell, to);
        memmove(to, value, size);
        fl__value_own(&s->layout, to, keyed->heap);
        return;
    }
    if (map->count == capacity_of(map->slots))
        grow(keyed, s, map);
    cell = map->count++;
    char *to = cell_at(s, map, cell);
    memset(to, 0, s->cell_size);
    memcpy(to, key, key_size);
    fl__value_own(&s->map_key_layout, to, keyed->heap);
    memcpy(to + s->value_offset, value, size);
    fl__value_own(&s->layout, to + s->value_offset, keyed->heap);
    if (map->slots > MAP_LINEAR)
        add_to_index(s, map, cell);
}

bool fl__map_remove(fl_context *ctx, fl_state *state, const void *key, size_t key_size)
{
    const fl__keyed_state *s = find_map(ctx, state, key_size, "fl_map_remove");
    if (!s)
        return false;
    fl__keyed *keyed = ctx->function->keyed;
    fl__map_handle *map = (fl__map_handle *)(void *)fl__keyed_peek(keyed, ctx, s);
    uint32_t cell = map ? find(s, map, key) : NOT_FOUND;
    if (cell == NOT_FOUND)
        return false;
    fl__table_touch(&keyed->table, keyed->ref);
    if (map->count == 1) {
        fl__map_discard(keyed, s, map);
        fl__keyed_absent(keyed, ctx, s);
        return true;
    }
    if (map->slots > MAP_LINEAR)
        remove_from_index(s, map, cell);
    fl__keyed_discard_pieces(keyed, &s->map_key_layout, cell_at(s, map, cell));
    fl__keyed_discard(keyed, s, cell, fl__map_value_at(s, map, cell));
    uint32_t last = map->count - 1;
    if (cell != last) {
        if (map->slots > MAP_LINEAR)
            index_of(s, map)[slot_of(s, map, last)] = cell + 1;
        memcpy(cell_at(s, map, cell), cell_at(s, map, last), s->cell_size);
        fl__keyed_moved(keyed, s, last, cell);
    }
    map->count--;
    return true;
}

size_t fl__map_count(fl_context *ctx, fl_state *state)
{
    const fl__keyed_state *s = fl__keyed_find_state(ctx, state, 1u << FL_STATE_MAP, "fl_map_count");
    const fl__map_handle *map =
        s ? (const fl__map_handle *)(const void *)fl__keyed_peek(ctx->function->keyed, ctx, s) : NULL;
    return map ? map->count : 0;
}

/* From the last cell down, so that the entry just returned may be removed: what moves into its cell was there before.
 * *cursor: 0 at the start, then cell + 1. False at the end. */
static bool step_down(const fl__map_handle *map, size_t *cursor)
{
    size_t i = map ? map->count : 0;
    if (*cursor && *cursor - 1 < i)
        i = *cursor - 1;
    *cursor = i ? i : 1;
    return i != 0;
}

bool fl__map_next(fl_context *ctx, fl_state *state, size_t *cursor, const void **key, void **value)
{
    const fl__keyed_state *s = fl__keyed_find_state(ctx, state, 1u << FL_STATE_MAP, "fl_map_next");
    if (!s)
        return false;
    fl__keyed *keyed = ctx->function->keyed;
    fl__map_handle *map = (fl__map_handle *)(void *)fl__keyed_change(keyed, ctx, s);
    if (!step_down(map, cursor))
        return false;
    uint32_t cell = (uint32_t)*cursor - 1;
    *key = cell_at(s, map, cell);
    *value = fl__map_value_at(s, map, cell);
    if (!s->is_flat)
        fl__keyed_remember(keyed, s, cell, *value);
    return true;
}

/* ---- reading only ---- */

const void *fl__map_peek(fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s, const void *key)
{
    const fl__map_handle *map = (const fl__map_handle *)(const void *)fl__keyed_peek(keyed, ctx, s);
    uint32_t cell = map ? find(s, map, key) : NOT_FOUND;
    return cell == NOT_FOUND ? NULL : fl__map_value_at(s, map, cell);
}

bool fl__map_peek_next(
    fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s, size_t *cursor, const void **key, const void **value)
{
    const fl__map_handle *map = (const fl__map_handle *)(const void *)fl__keyed_peek(keyed, ctx, s);
    if (!step_down(map, cursor))
        return false;
    uint32_t cell = (uint32_t)*cursor - 1;
    *key = cell_at(s, map, cell);
    *value = fl__map_value_at(s, map, cell);
    return true;
}
