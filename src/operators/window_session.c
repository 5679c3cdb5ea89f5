/* Sessions with their default trigger: the short way. Most records belong to a key with one open session and prolong
 * it. Then there is nothing to merge, to find or to arm: the session's item in the queue stays where it is and is put
 * in anew when it comes out, once per gap and not once per record. */
#include "operators/window_general.h"

static inline __attribute__((always_inline)) bool extend(
    fl__window_general *g, fl__key_class class, char *entry, const char *row, fl_time timestamp, fl_time time)
{
    fl__window_operator *w = &g->w;
    fl__operator *op = &w->op;
    const fl__key *key = op->spec->key[0];
    const void *k = class == FL__KEY_GENERIC ? fl__key_of(key, row, w->key_scratch) : row + key->offset;
    if (!fl__key_equal_class(&g->keys.key, class, entry + g->keys.key_offset, k))
        return false;
    uint32_t number;
    memcpy(&number, entry + g->first_offset, sizeof number);
    if (number == FL__NO_REF)
        return false;
    fl__window_object *window = fl__window_at(g, number);
    fl_time end = fl__saturating_add(time, w->config->window.assigner.size.ms);
    if (window->next != FL__NO_REF || window->has_fired || time > window->end || end < window->start)
        return false;
    window->start = time < window->start ? time : window->start;
    window->end = end > window->end ? end : window->end;
    if (w->function == &fl__window_elements) {
        fl__window_list_add(w, g->pane.heap, fl__window_list_of(g, window), row, timestamp);
        return true;
    }
    op->ctx.timestamp = timestamp;
    op->ctx.key = w->keyed ? NULL : entry + g->keys.key_offset;
    w->add_value(w, &g->pane, fl__window_content_of(g, window), row);
    return true;
}

#define EXTEND(class)                                                                                                  \
    static bool extend_##class(fl__window_general * g, char *entry, const char *row, fl_time timestamp, fl_time time)  \
    {                                                                                                                  \
        return extend(g, FL__KEY_##class, entry, row, timestamp, time);                                                \
    }
EXTEND(U64)
EXTEND(U32)
EXTEND(STRING)
EXTEND(GENERIC)

fl__window_extend fl__window_session_extend(const fl__window_general *g)
{
    static const fl__window_extend by_class[] = {
        [FL__KEY_U64] = extend_U64,
        [FL__KEY_U32] = extend_U32,
        [FL__KEY_STRING] = extend_STRING,
        [FL__KEY_GENERIC] = extend_GENERIC,
    };
    const fl_window_assigner *assigner = &g->w.config->window.assigner;
    const fl__key *key = g->w.op.spec->key[0];
    if (assigner->kind != FL_WINDOW_SESSION || assigner->gap || !g->is_implicit)
        return NULL;
    return by_class[key->in_place ? key->class : FL__KEY_GENERIC];
}
