#include "state/broadcast.h"

#include "state/keyed_internal.h"
#include "state/keyed_snapshot.h"

struct fl__broadcast {
    fl__memory *memory;
    fl__keyed *keyed;
    fl__function function; /* of ctx: leads to the maps and to the operator's way to fail */
    fl_context ctx;        /* its key is the single one */
    int64_t key;
    uint64_t hash;
    bool is_writable;
};

fl_status fl__broadcast_new(fl__broadcast **out, fl__memory *memory, const fl__function *owner, fl_state *const *states,
    size_t state_count, fl_error *error)
{
    *out = NULL;
    fl__key key;
    fl_status status = fl__key_init_whole(&key, FL_TYPE(int64_t), error);
    if (status != FL_OK)
        return status;
    fl__keyed_options options = {
        .memory = memory, .key = &key, .states = states, .state_count = state_count, .max_parallelism = 1
    };
    fl__keyed *keyed;
    status = fl__keyed_new(&keyed, &options, error);
    if (status != FL_OK)
        return status;
    fl__broadcast *b = fl__alloc_zero(memory, sizeof *b);
    b->memory = memory;
    b->keyed = keyed;
    fl__function_init(&b->function, owner->owner, owner->fail);
    b->function.keyed = keyed;
    b->ctx.function = &b->function;
    b->ctx.state_offsets = keyed->offsets;
    b->hash = fl__key_hash(&key, &b->key);
    fl__keyed_set_key(keyed, &b->ctx, b->hash, &b->key);
    *out = b;
    return FL_OK;
}

void fl__broadcast_free(fl__broadcast *b)
{
    if (!b)
        return;
    fl__function_release(&b->function);
    fl__keyed_free(b->keyed);
    fl__free(b->memory, b, sizeof *b);
}

void fl__broadcast_begin_call(fl__broadcast *b)
{
    fl_assert(!b->is_writable);
    fl__keyed_set_key(b->keyed, &b->ctx, b->hash, &b->key);
    b->is_writable = true;
}

/* The context keeps the entry: readers look nothing up until the next write. */
void fl__broadcast_end_call(fl__broadcast *b)
{
    fl_assert(b->is_writable);
    fl__keyed_end_call(b->keyed, &b->ctx);
    b->is_writable = false;
}

void fl__broadcast_snapshot(fl__broadcast *b, fl__snapshot *to, fl__memory *memory)
{
    fl__snapshot_section(to, "broadcast");
    fl__keyed_snapshot(b->keyed, NULL, to, memory);
}

fl_status fl__broadcast_restore(fl__broadcast *b, const fl__restored *from, fl_error *error)
{
    char id[1024];
    fl__restored one = fl__restored_section(from, "broadcast", id, sizeof id);
    one.file_count = one.file_count ? 1 : 0; /* all subtasks wrote the same */
    one.subtask = 0;
    one.parallelism = one.max_parallelism = 1;
    fl_status status = fl__keyed_restore(b->keyed, NULL, &b->ctx, &one, error);
    fl__restored_close(&one);
    fl__keyed_set_key(b->keyed, &b->ctx, b->hash, &b->key);
    return status;
}

const fl__keyed *fl__broadcast_content(const fl__broadcast *b)
{
    return b->keyed;
}

/* ---- public ---- */

static void say_not_declared(fl_context *ctx, const fl_state *state, const char *call)
{
    fl__function_fail(ctx, FL_ERROR_USER,
        "%s of broadcast state \"%s\", which the operator does not declare: add it to .broadcast_states = {&…} of "
        "fl_broadcast_process; no other function has broadcast state",
        call, fl__state_name(state));
}

/* The map behind a public call and what it lies in; NULL after failing the task. */
static const fl__keyed_state *find_map(fl_context *ctx, const fl_state *state, const char *call, fl__broadcast **b)
{
    *b = ctx->function ? ctx->function->broadcast : NULL;
    uint32_t index = *b ? fl__keyed_state_index((*b)->keyed, state) : FL__STATES_MAX;
    if (FL_LIKELY(index < FL__STATES_MAX))
        return &(*b)->keyed->states[index];
    say_not_declared(ctx, state, call);
    return NULL;
}

static const fl__keyed_state *find_writable(fl_context *ctx, const fl_state *state, const char *call, fl__broadcast **b)
{
    const fl__keyed_state *s = find_map(ctx, state, call, b);
    if (!s || FL_LIKELY((*b)->is_writable))
        return s;
    fl__function_fail(ctx, FL_ERROR_USER,
        "%s of broadcast state \"%s\" outside the function of the broadcast side: there it is read-only, since a "
        "change would be made in one subtask and not in the others; write it where the broadcast records are handled",
        call, fl__state_name(state));
    return NULL;
}

static bool sizes_are_right(fl_context *ctx, const fl_state *state, size_t key_size, size_t size, const char *call)
{
    if (FL_UNLIKELY(key_size != state->key_type->size)) {
        fl__function_fail(ctx, FL_ERROR_USER,
            "%s of broadcast state \"%s\" with a key of %zu bytes; its keys are %s of %u", call, fl__state_name(state),
            key_size, state->key_type->name, state->key_type->size);
        return false;
    }
    if (FL_UNLIKELY(size != state->type->size)) {
        fl__function_fail(ctx, FL_ERROR_USER,
            "%s of broadcast state \"%s\" with a value of %zu bytes; it holds %s of %u", call, fl__state_name(state),
            size, state->type->name, state->type->size);
        return false;
    }
    return true;
}

const void *fl__broadcast_get(fl_context *ctx, fl_state *state, const void *key, size_t key_size)
{
    fl__broadcast *b;
    const fl__keyed_state *s = find_map(ctx, state, "fl_broadcast_get", &b);
    if (!s || !sizes_are_right(ctx, state, key_size, state->type->size, "fl_broadcast_get"))
        return NULL;
    return fl__map_peek(b->keyed, &b->ctx, s, key);
}

size_t fl__broadcast_count(fl_context *ctx, fl_state *state)
{
    fl__broadcast *b;
    return find_map(ctx, state, "fl_broadcast_count", &b) ? fl__map_count(&b->ctx, state) : 0;
}

bool fl__broadcast_next(fl_context *ctx, fl_state *state, size_t *cursor, const void **key, const void **value)
{
    fl__broadcast *b;
    const fl__keyed_state *s = find_map(ctx, state, "fl_broadcast_next", &b);
    return s && fl__map_peek_next(b->keyed, &b->ctx, s, cursor, key, value);
}

void fl__broadcast_put(
    fl_context *ctx, fl_state *state, const void *key, size_t key_size, const void *value, size_t size)
{
    fl__broadcast *b;
    if (find_writable(ctx, state, "fl_broadcast_put", &b) &&
        sizes_are_right(ctx, state, key_size, size, "fl_broadcast_put"))
        fl__map_put(&b->ctx, state, key, key_size, value, size);
}

bool fl__broadcast_remove(fl_context *ctx, fl_state *state, const void *key, size_t key_size)
{
    fl__broadcast *b;
    return find_writable(ctx, state, "fl_broadcast_remove", &b) &&
           sizes_are_right(ctx, state, key_size, state->type->size, "fl_broadcast_remove") &&
           fl__map_remove(&b->ctx, state, key, key_size);
}

void fl__broadcast_clear(fl_context *ctx, fl_state *state)
{
    fl__broadcast *b;
    if (find_writable(ctx, state, "fl_broadcast_clear", &b))
        fl__state_clear(&b->ctx, state);
}

/* ---- keyed state from the broadcast side ---- */

static bool may_apply(fl_context *ctx, const fl_state *state, const fl_keyed_state_fn f)
{
    const fl__function *function = ctx->function;
    const char *name = fl__state_name(state);
    if (!function || !function->is_broadcast_side)
        fl__function_fail(ctx, FL_ERROR_USER,
            "fl_apply_to_keyed_state of state \"%s\" outside the function of the broadcast side: where records have a "
            "key, its state is at hand",
            name);
    else if (ctx->key)
        fl__function_fail(ctx, FL_ERROR_USER,
            "fl_apply_to_keyed_state of state \"%s\" within fl_apply_to_keyed_state: one walk over the keys at a time",
            name);
    else if (!f)
        fl__function_fail(ctx, FL_ERROR_USER, "fl_apply_to_keyed_state of state \"%s\": the function is NULL", name);
    else if (!function->keyed || fl__keyed_state_index(function->keyed, state) == FL__STATES_MAX)
        fl__function_fail(ctx, FL_ERROR_USER,
            "fl_apply_to_keyed_state of state \"%s\", which the operator does not declare: connect a keyed stream and "
            "add it to .states = {&…}",
            name);
    else
        return true;
    return false;
}

void fl__apply_to_keyed_state(fl_context *ctx, fl_state *state, fl_keyed_state_fn f, void *arg)
{
    if (!may_apply(ctx, state, f))
        return;
    fl__keyed *keyed = ctx->function->keyed;
    uint32_t index = fl__keyed_state_index(keyed, state);
    uint64_t cursor = 0;
    for (char *data; (data = fl__table_next(&keyed->table, &cursor));) {
        uint32_t ref = fl__table_cursor_ref(&keyed->table, cursor);
        fl__keyed_entry entry = { .data = data, .ref = ref };
        if (!fl__keyed_read_has(keyed, &entry, index))
            continue;
        fl__keyed_set_ref(keyed, ctx, ref);
        f(ctx->key, ctx, arg);
        fl__keyed_end_call(keyed, ctx);
    }
    ctx->key = NULL;
    ctx->entry = NULL;
}
