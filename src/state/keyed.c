#include "state/keyed_internal.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- the function behind a context ---- */

void fl__function_init(
    fl__function *function, void *owner, void (*fail)(void *owner, fl_status status, const char *text))
{
    *function = (fl__function){ .owner = owner, .fail = fail };
}

void fl__function_release(fl__function *function)
{
    fl__free(NULL, function->scratch, function->scratch_size);
    function->scratch = NULL;
    function->scratch_size = 0;
}

void fl__function_fail(const fl_context *ctx, fl_status status, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!ctx->function || !ctx->function->fail) {
        /* a context without a task behind it: nobody could be told */
        fprintf(stderr, "flinc: %s\n", text);
        abort();
    }
    ctx->function->fail(ctx->function->owner, status, text);
}

void *fl__function_scratch(fl_context *ctx, size_t size)
{
    fl__function *f = ctx->function;
    if (f->scratch_size < size) {
        fl__function_release(f);
        f->scratch = fl__alloc(NULL, size);
        f->scratch_size = size;
    }
    memset(f->scratch, 0, size);
    return f->scratch;
}

static const char *kind_name(fl_state_kind kind)
{
    static const char *const names[] = { "value", "list", "map", "reducing", "aggregating" };
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

const fl__keyed_state *fl__keyed_state_failed(fl_context *ctx, const fl_state *state, const char *call)
{
    const char *name = fl__state_name(state);
    fl__keyed *keyed = ctx->function ? ctx->function->keyed : NULL;
    uint32_t id = __atomic_load_n(&state->id, __ATOMIC_RELAXED);
    if (!ctx->key && ctx->function && ctx->function->is_broadcast_side) {
        fl__function_fail(ctx, FL_ERROR_USER,
            "%s of state \"%s\" on the broadcast side, where there is no current key: reach the keys' state with "
            "fl_apply_to_keyed_state, or keep what all keys share in broadcast state",
            call, name);
    } else if (keyed && id < keyed->id_count && keyed->offsets[id]) {
        if (!ctx->key)
            fl__function_fail(ctx, FL_ERROR_USER,
                "%s of state \"%s\" outside a record or timer: there is no current key (open and close "
                "cannot use keyed state)",
                call, name);
        else
            fl__function_fail(ctx, FL_ERROR_USER, "%s does not work on state \"%s\", which is a %s state", call, name,
                kind_name(state->kind));
    } else if (!keyed && !ctx->key) {
        fl__function_fail(ctx, FL_ERROR_USER,
            "%s of state \"%s\", but the stream is not keyed: keyed state works behind fl_key_by only", call, name);
    } else {
        fl__function_fail(ctx, FL_ERROR_USER,
            "%s of state \"%s\", which the operator does not declare: add it to .states = {&…}", call, name);
    }
    return NULL;
}

/* ---- laying out ---- */

static _Atomic uint32_t ids_given;

/* Subtasks of one program open at once: the first to come gives the number. */
static uint32_t id_of(fl_state *state)
{
    uint32_t id = __atomic_load_n(&state->id, __ATOMIC_ACQUIRE);
    if (id)
        return id;
    uint32_t mine = atomic_fetch_add_explicit(&ids_given, 1, memory_order_relaxed) + 1;
    if (__atomic_compare_exchange_n(&state->id, &id, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return mine;
    return id;
}

static fl_status check_state(const fl__keyed_options *options, size_t i, fl_error *error)
{
    const fl_state *s = options->states[i];
    for (size_t j = 0; j < i; j++) {
        if (options->states[j] == s)
            return fl__error_set(error, FL_ERROR_INVALID, "state \"%s\" is listed twice in .states", fl__state_name(s));
        if (strcmp(fl__state_name(options->states[j]), fl__state_name(s)) == 0)
            return fl__error_set(error, FL_ERROR_INVALID,
                "two states are named \"%s\": give one another .name; names are what state is found "
                "by after a restore",
                fl__state_name(s));
    }
    if (s->kind == FL_STATE_REDUCING && !s->reduce)
        return fl__error_set(
            error, FL_ERROR_INVALID, "reducing state \"%s\" has no reduce function", fl__state_name(s));
    if (s->kind == FL_STATE_AGGREGATING && !(s->aggregate && s->aggregate->add && s->aggregate->get))
        return fl__error_set(error, FL_ERROR_INVALID,
            "aggregating state \"%s\" needs an FL_AGGREGATE with .add and .get", fl__state_name(s));
    if (s->kind == FL_STATE_AGGREGATING && s->type->size != s->aggregate->acc->size)
        return fl__error_set(error, FL_ERROR_INVALID,
            "aggregating state \"%s\" holds %s, but its function's accumulator is %s", fl__state_name(s), s->type->name,
            s->aggregate->acc->name);
    uint32_t align =
        s->kind == FL_STATE_MAP && s->key_type->align > s->type->align ? s->key_type->align : s->type->align;
    if ((s->kind == FL_STATE_LIST || s->kind == FL_STATE_MAP) && align > 16)
        return fl__error_set(error, FL_ERROR_INVALID, "%s state \"%s\": elements aligned to %u bytes; at most 16 work",
            kind_name(s->kind), fl__state_name(s), align);
    return FL_OK;
}

static fl_status init_state(fl__keyed_state *s, const fl__keyed_options *options, uint32_t i, fl_error *error)
{
    const fl_state *declared = options->states[i];
    *s = (fl__keyed_state){ .declared = declared, .kind = declared->kind, .bit = UINT32_C(1) << i };
    fl__layout_init(&s->layout, declared->type);
    s->is_flat = s->layout.is_flat;
    s->size = declared->type->size;
    if (s->kind == FL_STATE_LIST)
        s->size = sizeof(fl__list_handle);
    if (s->kind != FL_STATE_MAP)
        return FL_OK;
    s->size = sizeof(fl__map_handle);
    fl_status status = fl__key_init_whole(&s->map_key, declared->key_type, error);
    if (status != FL_OK) {
        fl__error_context(error, "key of map state \"%s\"", fl__state_name(declared));
        return status;
    }
    fl__layout_init(&s->map_key_layout, declared->key_type);
    uint32_t align = declared->type->align ? declared->type->align : 1;
    s->value_offset = (s->map_key.size + align - 1) & ~(align - 1);
    if (declared->key_type->align > align)
        align = declared->key_type->align;
    if (align < 4)
        align = 4; /* the index behind the cells */
    s->cell_size = (s->value_offset + declared->type->size + align - 1) & ~(align - 1);
    return FL_OK;
}

static uint32_t align_of(const fl__keyed_state *s)
{
    if (s->kind == FL_STATE_LIST || s->kind == FL_STATE_MAP)
        return _Alignof(fl__list_handle);
    return s->declared->type->align ? s->declared->type->align : 1;
}

/* Gives every part its place: the key, then the states from the widest alignment down, the words in the first hole.
 * Returns the entry's size. No state starts before byte 4: a removed entry is linked there while a user may still write
 * through an old pointer. */
static uint64_t lay_out(fl__keyed *keyed, uint32_t key_size, uint32_t key_align, bool with_timers)
{
    uint32_t *words[2] = { &keyed->present_offset, &keyed->timers_offset };
    bool wanted[2] = { keyed->state_count != 1 || with_timers, with_timers };
    uint64_t size = key_size < 4 ? 4 : key_size;
    uint32_t widest = key_align > 8 ? key_align : 8;
    for (uint32_t align = 64; align; align /= 2) {
        if (align == 4) {
            size = (size + 3) & ~UINT64_C(3);
            for (int w = 0; w < 2; w++) {
                if (wanted[w]) {
                    *words[w] = (uint32_t)size;
                    wanted[w] = false;
                    size += 4;
                }
            }
        }
        for (uint32_t i = 0; i < keyed->state_count; i++) {
            fl__keyed_state *s = &keyed->states[i];
            if (align_of(s) != align)
                continue;
            for (int w = 0; w < 2; w++) {
                uint64_t word = (size + 3) & ~UINT64_C(3);
                if (wanted[w] && word + 4 <= ((size + align - 1) & ~(uint64_t)(align - 1))) {
                    *words[w] = (uint32_t)word;
                    wanted[w] = false;
                    size = word + 4;
                }
            }
            size = (size + align - 1) & ~(uint64_t)(align - 1);
            s->offset = (uint32_t)size;
            size += s->size;
            widest = align > widest ? align : widest;
        }
        if (size >= FL__ENTRY_SIZE_MAX)
            return size;
    }
    return (size + widest - 1) & ~(uint64_t)(widest - 1);
}

static void set_offsets(fl__keyed *keyed, const fl__keyed_options *options)
{
    uint32_t highest = 0;
    for (uint32_t i = 0; i < keyed->state_count; i++) {
        uint32_t id = id_of(options->states[i]);
        highest = id > highest ? id : highest;
    }
    keyed->id_count = highest + 1;
    keyed->offsets = fl__alloc_zero(keyed->memory, keyed->id_count * sizeof *keyed->offsets);
    for (uint32_t i = 0; i < keyed->state_count; i++)
        keyed->offsets[options->states[i]->id] = (i + 1) << FL__ID_SHIFT | keyed->states[i].offset;
}

fl_status fl__keyed_new(fl__keyed **out, const fl__keyed_options *options, fl_error *error)
{
    fl_assert(options->key && options->max_parallelism > 0);
    *out = NULL;
    if (options->state_count >= FL__STATES_MAX)
        return fl__error_set(
            error, FL_ERROR_INVALID, "%zu states; an operator can have %d", options->state_count, FL__STATES_MAX - 1);
    for (size_t i = 0; i < options->state_count; i++) {
        fl_status status = check_state(options, i, error);
        if (status != FL_OK)
            return status;
    }
    fl__keyed *keyed = fl__alloc_zero(options->memory, sizeof *keyed);
    keyed->memory = options->memory;
    keyed->ref = FL__NO_REF;
    keyed->present_offset = keyed->timers_offset = FL__NO_OFFSET;
    keyed->state_count = (uint32_t)options->state_count;
    keyed->states = fl__alloc_zero(keyed->memory, keyed->state_count * sizeof *keyed->states);
    bool needs_heap = false;
    fl_status status = FL_OK;
    for (uint32_t i = 0; i < keyed->state_count && status == FL_OK; i++) {
        status = init_state(&keyed->states[i], options, i, error);
        needs_heap |= !keyed->states[i].is_flat || keyed->states[i].kind == FL_STATE_LIST ||
                      keyed->states[i].kind == FL_STATE_MAP;
    }
    uint64_t size = 0;
    if (status == FL_OK) {
        size = lay_out(keyed, options->key->size, options->key->type->align, options->with_timers);
        if (size >= FL__ENTRY_SIZE_MAX)
            status = fl__error_set(error, FL_ERROR_LIMIT, "its states take %llu bytes per key; %d at most",
                (unsigned long long)size, FL__ENTRY_SIZE_MAX - 1);
    }
    if (status != FL_OK) {
        fl__keyed_free(keyed);
        return status;
    }
    fl__table_init(&keyed->table, keyed->memory, options->key, (uint32_t)size, 0, options->max_parallelism, 0);
    if (needs_heap)
        keyed->heap = fl__heap_new(keyed->memory);
    set_offsets(keyed, options);
    *out = keyed;
    return FL_OK;
}

void fl__keyed_free(fl__keyed *keyed)
{
    if (!keyed)
        return;
    fl__memory *memory = keyed->memory;
    fl__table_release(&keyed->table);
    fl__heap_free_all(keyed->heap);
    fl__free(memory, keyed->offsets, keyed->id_count * sizeof *keyed->offsets);
    fl__free(memory, keyed->states, keyed->state_count * sizeof *keyed->states);
    fl__free(memory, keyed->touched, keyed->touched_capacity * sizeof *keyed->touched);
    fl__free(memory, keyed->touched_index, keyed->touched_slots * sizeof *keyed->touched_index);
    fl__free(memory, keyed->garbage, keyed->garbage_capacity * sizeof *keyed->garbage);
    fl__free(memory, keyed->old, keyed->old_capacity);
    fl__free(memory, keyed, sizeof *keyed);
}

/* ---- entries ---- */

void fl__keyed_set_ref(fl__keyed *keyed, fl_context *ctx, uint32_t ref)
{
    char *entry = fl__table_entry(&keyed->table, ref);
    ctx->key = entry + keyed->table.key_offset;
    ctx->entry = entry;
    keyed->ref = ref;
}

static bool is_empty(const fl__keyed *keyed, char *entry)
{
    if (keyed->present_offset != FL__NO_OFFSET && *fl__keyed_word(entry, keyed->present_offset))
        return false;
    return keyed->timers_offset == FL__NO_OFFSET || !*fl__keyed_word(entry, keyed->timers_offset);
}

void fl__keyed_absent(fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s)
{
    if (keyed->present_offset == FL__NO_OFFSET)
        keyed->is_gone = true;
    else
        *fl__keyed_word(ctx->entry, keyed->present_offset) &= ~s->bit;
    keyed->maybe_empty = keyed->is_unsettled = true;
}

uint32_t fl__keyed_timer_added(fl__keyed *keyed, fl_context *ctx)
{
    bool inserted;
    char *entry = fl__keyed_make(keyed, ctx, &inserted);
    fl_assert(keyed->timers_offset != FL__NO_OFFSET);
    ++*fl__keyed_word(entry, keyed->timers_offset);
    return keyed->ref;
}

uint32_t fl__keyed_timer_entry(fl__keyed *keyed, fl_context *ctx)
{
    char *entry = fl__keyed_lookup(keyed, ctx);
    return entry && *fl__keyed_word(entry, keyed->timers_offset) ? keyed->ref : FL__NO_REF;
}

void fl__keyed_timer_gone(fl__keyed *keyed, uint32_t ref)
{
    char *entry = fl__table_entry(&keyed->table, ref);
    uint32_t *count = fl__keyed_word(entry, keyed->timers_offset);
    fl_assert(*count > 0);
    fl__table_touch(&keyed->table, ref);
    if (--*count || *fl__keyed_word(entry, keyed->present_offset))
        return;
    if (ref == keyed->ref) {
        keyed->maybe_empty = keyed->is_unsettled = true;
        return;
    }
    const char *key = entry + keyed->table.key_offset;
    fl__table_remove(&keyed->table, fl__key_hash(&keyed->table.key, key), key);
}

/* ---- the log ---- */

enum { TOUCHED_LINEAR = 8, CELL_DEAD = 0xffffffff };

static uint32_t *grow_array(fl__memory *memory, void **array, uint32_t *capacity, size_t size)
{
    uint32_t more = *capacity ? *capacity * 2 : 8;
    *array = fl__realloc(memory, *array, *capacity * size, more * size);
    *capacity = more;
    return capacity;
}

static uint32_t keep_old(fl__keyed *keyed, const void *value, uint32_t size)
{
    size_t at = keyed->old_size, end = at + ((size + 15u) & ~15u);
    if (end > keyed->old_capacity) {
        size_t capacity = end > 2 * keyed->old_capacity ? end : 2 * keyed->old_capacity;
        keyed->old = fl__realloc(keyed->memory, keyed->old, keyed->old_capacity, capacity);
        keyed->old_capacity = capacity;
    }
    fl_assert(end <= UINT32_MAX);
    memcpy(keyed->old + at, value, size);
    keyed->old_size = end;
    return (uint32_t)at;
}

static uint32_t touched_home(const fl__keyed *keyed, uint32_t state, uint32_t cell)
{
    return (uint32_t)fl__mix64((uint64_t)state << 32 | cell) & (keyed->touched_slots - 1);
}

static void index_touched(fl__keyed *keyed, uint32_t position)
{
    uint32_t i = touched_home(keyed, keyed->touched[position].state, keyed->touched[position].cell);
    while (keyed->touched_index[i])
        i = (i + 1) & (keyed->touched_slots - 1);
    keyed->touched_index[i] = position + 1;
}

static fl__touched *find_touched(const fl__keyed *keyed, uint32_t state, uint32_t cell)
{
    if (keyed->touched_count <= TOUCHED_LINEAR) {
        for (uint32_t i = 0; i < keyed->touched_count; i++) {
            if (keyed->touched[i].cell == cell && keyed->touched[i].state == state)
                return &keyed->touched[i];
        }
        return NULL;
    }
    for (uint32_t i = touched_home(keyed, state, cell); keyed->touched_index[i];
         i = (i + 1) & (keyed->touched_slots - 1)) {
        fl__touched *t = &keyed->touched[keyed->touched_index[i] - 1];
        if (t->cell == cell && t->state == state)
            return t;
    }
    return NULL;
}

static void add_touched(fl__keyed *keyed, uint32_t state, uint32_t cell, uint32_t old)
{
    if (keyed->touched_count == keyed->touched_capacity)
        grow_array(keyed->memory, (void **)&keyed->touched, &keyed->touched_capacity, sizeof *keyed->touched);
    keyed->touched[keyed->touched_count++] = (fl__touched){ state, cell, old };
    keyed->is_unsettled = true;
    if (keyed->touched_count <= TOUCHED_LINEAR)
        return;
    if (keyed->touched_count * 2 <= keyed->touched_slots && keyed->touched_count > TOUCHED_LINEAR + 1) {
        index_touched(keyed, keyed->touched_count - 1);
        return;
    }
    uint32_t slots = keyed->touched_slots ? keyed->touched_slots : 32;
    while (slots < keyed->touched_count * 2)
        slots *= 2;
    if (slots != keyed->touched_slots) {
        fl__free(keyed->memory, keyed->touched_index, keyed->touched_slots * sizeof *keyed->touched_index);
        keyed->touched_index = fl__alloc(keyed->memory, slots * sizeof *keyed->touched_index);
        keyed->touched_slots = slots;
    }
    memset(keyed->touched_index, 0, slots * sizeof *keyed->touched_index);
    for (uint32_t i = 0; i < keyed->touched_count; i++)
        index_touched(keyed, i);
}

static uint32_t state_index(const fl__keyed *keyed, const fl__keyed_state *s)
{
    return (uint32_t)(s - keyed->states);
}

void fl__keyed_remember(fl__keyed *keyed, const fl__keyed_state *s, uint32_t cell, const void *value)
{
    if (!find_touched(keyed, state_index(keyed, s), cell))
        add_touched(keyed, state_index(keyed, s), cell, keep_old(keyed, value, s->layout.row_size));
}

static void add_garbage(fl__keyed *keyed, fl__garbage garbage)
{
    if (keyed->garbage_count == keyed->garbage_capacity)
        grow_array(keyed->memory, (void **)&keyed->garbage, &keyed->garbage_capacity, sizeof *keyed->garbage);
    keyed->garbage[keyed->garbage_count++] = garbage;
    keyed->is_unsettled = true;
}

void fl__keyed_discard_pieces(fl__keyed *keyed, const fl__layout *layout, const void *value)
{
    if (!layout->is_flat)
        add_garbage(keyed, (fl__garbage){ .layout = layout, .old = keep_old(keyed, value, layout->row_size) });
}

void fl__keyed_discard_memory(fl__keyed *keyed, void *p, size_t size)
{
    if (p)
        add_garbage(keyed, (fl__garbage){ .p = p, .size = size });
}

void fl__keyed_discard(fl__keyed *keyed, const fl__keyed_state *s, uint32_t cell, const void *value)
{
    if (s->is_flat)
        return;
    fl__touched *t = find_touched(keyed, state_index(keyed, s), cell);
    if (t) {
        add_garbage(keyed, (fl__garbage){ .layout = &s->layout, .old = t->old });
        t->cell = t->state = CELL_DEAD;
    } else {
        fl__keyed_discard_pieces(keyed, &s->layout, value);
    }
}

void fl__keyed_moved(fl__keyed *keyed, const fl__keyed_state *s, uint32_t from, uint32_t to)
{
    fl__touched *t = s->is_flat ? NULL : find_touched(keyed, state_index(keyed, s), from);
    if (!t)
        return;
    uint32_t old = t->old;
    t->cell = t->state = CELL_DEAD;
    add_touched(keyed, state_index(keyed, s), to, old);
}

static char *touched_value(const fl__keyed *keyed, const fl_context *ctx, const fl__touched *t)
{
    const fl__keyed_state *s = &keyed->states[t->state];
    char *data = (char *)ctx->entry + s->offset;
    if (s->kind == FL_STATE_LIST)
        return ((fl__list_handle *)(void *)data)->data + (size_t)t->cell * s->layout.row_size;
    if (s->kind == FL_STATE_MAP)
        return fl__map_value_at(s, (fl__map_handle *)(void *)data, t->cell);
    return data;
}

/* Copies first, frees then: what a value was given may lie in what another one, or the garbage, held. */
static void settle_values(fl__keyed *keyed, const fl_context *ctx)
{
    uint32_t changed = 0, last = 0;
    for (uint32_t i = 0; i < keyed->touched_count; i++) {
        fl__touched *t = &keyed->touched[i];
        if (t->cell == CELL_DEAD && t->state == CELL_DEAD)
            continue;
        if (memcmp(touched_value(keyed, ctx, t), keyed->old + t->old, keyed->states[t->state].layout.row_size) != 0) {
            changed++;
            last = i;
        } else {
            t->cell = t->state = CELL_DEAD;
        }
    }
    if (changed == 1 && keyed->garbage_count == 0) {
        const fl__touched *t = &keyed->touched[last];
        fl__value_settle(
            &keyed->states[t->state].layout, touched_value(keyed, ctx, t), keyed->old + t->old, keyed->heap);
        return;
    }
    for (uint32_t i = 0; changed && i < keyed->touched_count; i++) {
        const fl__touched *t = &keyed->touched[i];
        if (t->cell == CELL_DEAD && t->state == CELL_DEAD)
            continue;
        const fl__layout *layout = &keyed->states[t->state].layout;
        fl__value_own(layout, touched_value(keyed, ctx, t), keyed->heap);
        add_garbage(keyed, (fl__garbage){ .layout = layout, .old = t->old });
    }
}

void fl__keyed_settle(fl__keyed *keyed, fl_context *ctx)
{
    settle_values(keyed, ctx);
    for (uint32_t i = 0; i < keyed->garbage_count; i++) {
        const fl__garbage *g = &keyed->garbage[i];
        if (g->layout)
            fl__value_drop(g->layout, keyed->old + g->old, keyed->heap);
        else
            fl__heap_free(keyed->heap, g->p, g->size);
    }
    keyed->touched_count = keyed->garbage_count = 0;
    keyed->old_size = 0;
    if (keyed->maybe_empty && ctx->entry &&
        (keyed->present_offset == FL__NO_OFFSET ? keyed->is_gone : is_empty(keyed, ctx->entry))) {
        fl__table_remove(&keyed->table, fl__key_hash(&keyed->table.key, ctx->key), ctx->key);
        ctx->entry = NULL;
        keyed->ref = FL__NO_REF;
    }
    keyed->is_unsettled = keyed->maybe_empty = keyed->is_gone = false;
}

/* ---- value state ---- */

void *fl__value(fl_context *ctx, fl_state *state)
{
    const fl__keyed_state *s = fl__keyed_find_state(ctx, state, 1u << FL_STATE_VALUE, "fl_value");
    if (FL_UNLIKELY(!s))
        return fl__function_scratch(ctx, state->type->size);
    fl__keyed *keyed = ctx->function->keyed;
    bool is_new;
    char *value = fl__keyed_ensure(keyed, ctx, s, &is_new);
    if (FL_UNLIKELY(is_new) && state->initial) {
        memcpy(value, state->initial, s->size);
        fl__value_own(&s->layout, value, keyed->heap);
    }
    if (!s->is_flat)
        fl__keyed_remember(keyed, s, 0, value);
    return value;
}

const void *fl__value_peek(fl_context *ctx, fl_state *state)
{
    const fl__keyed_state *s = fl__keyed_find_state(ctx, state, 1u << FL_STATE_VALUE, "fl_value_peek");
    return s ? fl__keyed_peek(ctx->function->keyed, ctx, s) : NULL;
}

static void clear_state(fl__keyed *keyed, fl_context *ctx, const fl__keyed_state *s)
{
    char *data = fl__keyed_change(keyed, ctx, s);
    if (!data)
        return;
    if (s->kind == FL_STATE_LIST)
        fl__list_discard(keyed, s, (fl__list_handle *)(void *)data);
    else if (s->kind == FL_STATE_MAP)
        fl__map_discard(keyed, s, (fl__map_handle *)(void *)data);
    else
        fl__keyed_discard(keyed, s, 0, data);
    fl__keyed_absent(keyed, ctx, s);
}

void fl__state_clear(fl_context *ctx, fl_state *state)
{
    const fl__keyed_state *s = fl__keyed_find_state(ctx, state, ~0u, "fl_clear");
    if (s)
        clear_state(ctx->function->keyed, ctx, s);
}

void fl__keyed_clear(fl__keyed *keyed, fl_context *ctx)
{
    uint64_t cursor = 0;
    while (fl__table_next(&keyed->table, &cursor)) {
        fl__keyed_set_ref(keyed, ctx, fl__table_cursor_ref(&keyed->table, cursor));
        for (uint32_t i = 0; i < keyed->state_count; i++)
            clear_state(keyed, ctx, &keyed->states[i]);
        fl__keyed_end_call(keyed, ctx);
    }
    ctx->key = NULL;
    ctx->entry = NULL;
}

/* ---- reducing and aggregating state ---- */

/* Keeps a value that a combining function changed: copied at once, since its input may go out of scope before the call
 * ends. */
static void keep_combined(fl__keyed *keyed, const fl__keyed_state *s, char *value, const void *old)
{
    if (memcmp(value, old, s->size) == 0)
        return;
    fl__value_own(&s->layout, value, keyed->heap);
    fl__keyed_discard_pieces(keyed, &s->layout, old);
}

static void combine(fl_context *ctx, const fl__keyed_state *s, char *value, bool is_new, const void *in)
{
    const fl_state *state = s->declared;
    if (s->kind == FL_STATE_REDUCING) {
        if (is_new)
            memcpy(value, in, s->size);
        else
            state->reduce(value, in, ctx);
        return;
    }
    if (is_new && state->aggregate->create)
        state->aggregate->create(value, ctx);
    state->aggregate->add(value, in, ctx);
}

void fl__state_add(fl_context *ctx, fl_state *state, const void *in, size_t size)
{
    const fl__keyed_state *s =
        fl__keyed_find_state(ctx, state, 1u << FL_STATE_REDUCING | 1u << FL_STATE_AGGREGATING, "fl_add");
    if (!s)
        return;
    const fl_type *type = s->kind == FL_STATE_REDUCING ? state->type : state->aggregate->in;
    if (FL_UNLIKELY(size != type->size)) {
        fl__function_fail(ctx, FL_ERROR_USER, "fl_add to state \"%s\" with %zu bytes; it takes a %s of %u",
            fl__state_name(state), size, type->name, type->size);
        return;
    }
    fl__keyed *keyed = ctx->function->keyed;
    bool is_new;
    char *value = fl__keyed_ensure(keyed, ctx, s, &is_new);
    if (s->is_flat) {
        combine(ctx, s, value, is_new, in);
        return;
    }
    char buffer[256], *old = s->size <= sizeof buffer ? buffer : fl__alloc(keyed->memory, s->size);
    memcpy(old, value, s->size);
    combine(ctx, s, value, is_new, in);
    keep_combined(keyed, s, value, old);
    if (old != buffer)
        fl__free(keyed->memory, old, s->size);
}

bool fl__state_get(fl_context *ctx, fl_state *state, void *out, size_t size)
{
    const fl__keyed_state *s =
        fl__keyed_find_state(ctx, state, 1u << FL_STATE_REDUCING | 1u << FL_STATE_AGGREGATING, "fl_get");
    if (!s)
        return false;
    const fl_type *type = s->kind == FL_STATE_REDUCING ? state->type : state->aggregate->out;
    if (FL_UNLIKELY(size != type->size)) {
        fl__function_fail(ctx, FL_ERROR_USER, "fl_get of state \"%s\" into %zu bytes; it gives a %s of %u",
            fl__state_name(state), size, type->name, type->size);
        return false;
    }
    const char *value = fl__keyed_peek(ctx->function->keyed, ctx, s);
    if (!value)
        return false;
    if (s->kind == FL_STATE_REDUCING) {
        memcpy(out, value, size);
    } else {
        memset(out, 0, size);
        state->aggregate->get(value, out, ctx);
    }
    return true;
}

/* ---- reading everything ---- */

bool fl__keyed_next(const fl__keyed *keyed, uint32_t group, uint64_t *cursor, fl__keyed_entry *entry)
{
    entry->data = fl__table_next_in_group(&keyed->table, group, cursor, &entry->ref);
    entry->key = entry->data ? entry->data + keyed->table.key_offset : NULL;
    return entry->data != NULL;
}

bool fl__keyed_read_has(const fl__keyed *keyed, const fl__keyed_entry *entry, uint32_t state)
{
    fl_assert(state < keyed->state_count);
    uint32_t present = 1;
    if (keyed->present_offset != FL__NO_OFFSET)
        memcpy(&present, entry->data + keyed->present_offset, sizeof present);
    return (present & keyed->states[state].bit) != 0;
}

const void *fl__keyed_read_value(const fl__keyed *keyed, const fl__keyed_entry *entry, uint32_t state)
{
    return fl__keyed_read_has(keyed, entry, state) ? entry->data + keyed->states[state].offset : NULL;
}

size_t fl__keyed_read_list(const fl__keyed *keyed, const fl__keyed_entry *entry, uint32_t state, const void **elements)
{
    const fl__list_handle *list = fl__keyed_read_value(keyed, entry, state);
    *elements = list ? list->data : NULL;
    return list ? list->count : 0;
}

bool fl__keyed_read_map(const fl__keyed *keyed, const fl__keyed_entry *entry, uint32_t state, size_t *cursor,
    const void **key, const void **value)
{
    const fl__map_handle *map = fl__keyed_read_value(keyed, entry, state);
    if (!map || *cursor >= map->count)
        return false;
    const fl__keyed_state *s = &keyed->states[state];
    *value = fl__map_value_at(s, map, (uint32_t)*cursor);
    *key = (const char *)*value - s->value_offset;
    ++*cursor;
    return true;
}
