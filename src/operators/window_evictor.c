/* Evictors (Flink's CountEvictor, DeltaEvictor, TimeEvictor and EvictingWindowOperator): what of a window's list goes
 * before or after the window function. With an evictor incremental functions see the list too: their value is computed
 * anew from what is left of it. */
#include "operators/window_general.h"

/* A mark per element, none set. */
static bool *marks(fl__window_general *g, size_t count)
{
    if (count > g->evict_capacity) {
        size_t capacity = count * 2;
        g->evict = fl__realloc(&g->w.op.memory, g->evict, g->evict_capacity, capacity);
        g->evict_capacity = capacity;
    }
    memset(g->evict, 0, count);
    return g->evict;
}

/* Marks what a built-in evictor removes. False: nothing. */
static bool mark(fl__window_general *g, const fl_evictor *evictor, const fl__window_list *list, bool *evict)
{
    const size_t row_size = g->w.row_layout.row_size;
    const fl_time *timestamps = fl__window_list_timestamps(list);
    const char *last = list->rows + (list->count - 1) * row_size;
    fl_time latest = FL_NO_TIMESTAMP;
    bool any = false;
    switch (evictor->kind) {
    case FL_EVICTOR_COUNT:
        for (size_t i = 0; i + (uint64_t)evictor->count < list->count; i++)
            any = evict[i] = true;
        return any;
    case FL_EVICTOR_DELTA:
        for (size_t i = 0; i < list->count; i++)
            any |= evict[i] = evictor->delta(list->rows + i * row_size, last, &g->w.op.ctx) >= evictor->threshold;
        return any;
    case FL_EVICTOR_TIME:
        if (timestamps[0] == FL_NO_TIMESTAMP)
            return false;
        for (size_t i = 0; i < list->count; i++)
            latest = timestamps[i] > latest ? timestamps[i] : latest;
        for (size_t i = 0; i < list->count; i++)
            any |= evict[i] = timestamps[i] <= fl__saturating_add(latest, -evictor->keep.ms);
        return any;
    default: return false;
    }
}

static void evict(fl__window_general *g, fl__window_list *list, bool is_after)
{
    fl__window_operator *w = &g->w;
    const fl_evictor *evictor = &w->config->window.evictor;
    if (list->count == 0)
        return;
    bool *evict = marks(g, list->count);
    if (evictor->kind == FL_EVICTOR_CUSTOM) {
        fl_evict_fn f = is_after ? evictor->after : evictor->before;
        if (!f)
            return;
        fl_elements elements = { list->rows, list->count, w->row_layout.row_size };
        f(&elements, fl__window_list_timestamps(list), evict, &w->op.ctx);
    } else if (evictor->is_after != is_after || !mark(g, evictor, list, evict)) {
        return;
    }
    fl__window_list_evict(w, g->pane.heap, list, evict);
}

/* An incremental function over the list. Of no records a reduction has no value, an aggregate and a fold have that
 * which they start with. */
static void emit_value(fl__window_general *g, const fl__window_list *list, const char *key)
{
    fl__window_operator *w = &g->w;
    const size_t row_size = w->row_layout.row_size;
    bool starts_empty = w->config->content == FL__WINDOW_AGGREGATE || w->config->content == FL__WINDOW_FOLD;
    if (list->count == 0 && !starts_empty)
        return;
    bool has_first = fl__window_value_start(w, &g->pane, g->evicted_value, list->rows);
    for (size_t i = has_first; i < list->count; i++)
        w->add_value(w, &g->pane, g->evicted_value, list->rows + i * row_size);
    fl__window_value_emit(w, g->evicted_value, key);
    fl__window_value_drop(w, &g->pane, g->evicted_value);
}

void fl__window_evict_and_emit(fl__window_general *g, fl__window_object *window)
{
    fl__window_operator *w = &g->w;
    fl__window_list *list = fl__window_list_of(g, window);
    const char *key = fl__window_key_of(g, window);
    w->op.ctx.key = fl__window_shown_key(g, window);
    evict(g, list, false);
    if (w->config->content == FL__WINDOW_ELEMENTS)
        fl__window_pass_on(w, list->rows, list->count, w->row_layout.row_size, key);
    else
        emit_value(g, list, key);
    w->op.ctx.key = fl__window_shown_key(g, window);
    evict(g, list, true);
    if (list->count == 0) {
        fl__window_list_drop(w, g->pane.heap, list);
        window->has_content = false;
    }
}
