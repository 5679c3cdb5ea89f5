/* List state: a growable array in the state's heap. */
#include "state/keyed_internal.h"

static const fl__keyed_state *find_list(fl_context *ctx, const fl_state *state, const char *call)
{
    return fl__keyed_find_state(ctx, state, 1u << FL_STATE_LIST, call);
}

static bool size_is_right(fl_context *ctx, const fl_state *state, size_t size, const char *call)
{
    if (FL_LIKELY(size == state->type->size))
        return true;
    fl__function_fail(ctx, FL_ERROR_USER, "%s to state \"%s\" with elements of %zu bytes; it holds %s of %u", call,
        fl__state_name(state), size, state->type->name, state->type->size);
    return false;
}

static char *element_at(const fl__keyed_state *s, const fl__list_handle *list, size_t i)
{
    return list->data + i * s->layout.row_size;
}

/* What it holds becomes garbage; the handle is left as it is. */
void fl__list_discard(fl__keyed *keyed, const fl__keyed_state *s, const fl__list_handle *list)
{
    for (uint32_t i = 0; !s->is_flat && i < list->count; i++)
        fl__keyed_discard(keyed, s, i, element_at(s, list, i));
    fl__keyed_discard_memory(keyed, list->data, (size_t)list->capacity * s->layout.row_size);
}

static void grow(fl__keyed *keyed, const fl__keyed_state *s, fl__list_handle *list)
{
    uint32_t size = s->layout.row_size;
    uint32_t capacity = list->capacity ? list->capacity * 2 : size >= 32 ? 1 : 32 / size;
    fl_assert(capacity > list->capacity);
    char *data = fl__heap_alloc(keyed->heap, (size_t)capacity * size);
    if (list->count)
        memcpy(data, list->data, (size_t)list->count * size);
    /* kept until the call ends: the element to add may lie in it */
    fl__keyed_discard_memory(keyed, list->data, (size_t)list->capacity * size);
    list->data = data;
    list->capacity = capacity;
}

void fl__list_add(fl_context *ctx, fl_state *state, const void *element, size_t size)
{
    const fl__keyed_state *s = find_list(ctx, state, "fl_list_add");
    if (!s || !size_is_right(ctx, state, size, "fl_list_add"))
        return;
    fl__keyed *keyed = ctx->function->keyed;
    bool is_new;
    fl__list_handle *list = (fl__list_handle *)(void *)fl__keyed_ensure(keyed, ctx, s, &is_new);
    if (list->count == list->capacity)
        grow(keyed, s, list);
    char *to = element_at(s, list, list->count);
    memcpy(to, element, size);
    fl__value_own(&s->layout, to, keyed->heap);
    list->count++;
}

void fl__list_update(fl_context *ctx, fl_state *state, const void *elements, size_t count, size_t size)
{
    const fl__keyed_state *s = find_list(ctx, state, "fl_list_update");
    if (!s || !size_is_right(ctx, state, size, "fl_list_update"))
        return;
    if (count == 0) {
        fl__state_clear(ctx, state);
        return;
    }
    fl_assert(count <= UINT32_MAX);
    fl__keyed *keyed = ctx->function->keyed;
    bool is_new;
    fl__list_handle *list = (fl__list_handle *)(void *)fl__keyed_ensure(keyed, ctx, s, &is_new);
    /* the new elements may be old ones: all are copied before those become garbage */
    fl__list_handle fresh = { fl__heap_alloc(keyed->heap, count * size), (uint32_t)count, (uint32_t)count };
    memcpy(fresh.data, elements, count * size);
    for (uint32_t i = 0; !s->is_flat && i < fresh.count; i++)
        fl__value_own(&s->layout, element_at(s, &fresh, i), keyed->heap);
    fl__list_discard(keyed, s, list);
    *list = fresh;
}

void *fl__list_at(fl_context *ctx, fl_state *state, size_t i)
{
    const fl__keyed_state *s = find_list(ctx, state, "fl_list_at");
    if (!s)
        return fl__function_scratch(ctx, state->type->size);
    fl__keyed *keyed = ctx->function->keyed;
    fl__list_handle *list = (fl__list_handle *)(void *)fl__keyed_change(keyed, ctx, s);
    if (FL_UNLIKELY(!list || i >= list->count)) {
        fl__function_fail(ctx, FL_ERROR_USER, "fl_list_at %zu of state \"%s\", which has %u elements", i,
            fl__state_name(state), list ? list->count : 0);
        return fl__function_scratch(ctx, state->type->size);
    }
    char *element = element_at(s, list, i);
    if (!s->is_flat)
        fl__keyed_remember(keyed, s, (uint32_t)i, element);
    return element;
}

size_t fl__list_count(fl_context *ctx, fl_state *state)
{
    const fl__keyed_state *s = find_list(ctx, state, "fl_list_count");
    const fl__list_handle *list =
        s ? (const fl__list_handle *)(const void *)fl__keyed_peek(ctx->function->keyed, ctx, s) : NULL;
    return list ? list->count : 0;
}
