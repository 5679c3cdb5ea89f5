/* Triggers of the general path: what Flink's trigger classes of the same names do, with their state laid out behind the
 * window's content:
 *
 *     | the trigger's own | timeout of layer 0 | timeout of layer 1 | …
 *
 * A trigger is one basic kind and up to FL_TRIGGER_LAYERS_MAX layers around it (purging, timeout), inner first. All
 * zeros: nothing is remembered. */
#include "operators/window_general.h"

/* A time that may be missing. */
typedef struct moment {
    uint64_t is_set;
    fl_time time;
} moment;

/* ---- which one, and its layout ---- */

fl_trigger fl__window_trigger(const fl__window_spec *spec)
{
    fl_trigger trigger = spec->trigger;
    if (trigger.kind == FL_TRIGGER_DEFAULT)
        trigger.kind = spec->assigner.kind == FL_WINDOW_GLOBAL ? FL_TRIGGER_NEVER
                       : spec->assigner.is_processing_time     ? FL_TRIGGER_PROCESSING_TIME
                                                               : FL_TRIGGER_EVENT_TIME;
    return trigger;
}

bool fl__window_trigger_can_merge(const fl_trigger *trigger)
{
    for (uint32_t i = 0; i < trigger->layer_count; i++) {
        if (trigger->layers[i].is_timeout)
            return false;
    }
    if (trigger->kind == FL_TRIGGER_CUSTOM)
        return trigger->class_of->on_merge != NULL;
    return trigger->kind != FL_TRIGGER_DELTA && trigger->kind != FL_TRIGGER_NEVER;
}

const char *fl__window_trigger_name(const fl_trigger *trigger)
{
    switch (trigger->kind) {
    case FL_TRIGGER_DEFAULT: break;
    case FL_TRIGGER_EVENT_TIME: return "EventTimeTrigger";
    case FL_TRIGGER_PROCESSING_TIME: return "ProcessingTimeTrigger";
    case FL_TRIGGER_COUNT: return "CountTrigger";
    case FL_TRIGGER_CONTINUOUS_EVENT_TIME: return "ContinuousEventTimeTrigger";
    case FL_TRIGGER_CONTINUOUS_PROCESSING_TIME: return "ContinuousProcessingTimeTrigger";
    case FL_TRIGGER_DELTA: return "DeltaTrigger";
    case FL_TRIGGER_NEVER: return "NeverTrigger";
    case FL_TRIGGER_CUSTOM: return trigger->class_of->name ? trigger->class_of->name : "custom trigger";
    }
    return "default trigger";
}

uint32_t fl__window_trigger_layout(fl__window_general *g)
{
    const fl_trigger *trigger = &g->trigger;
    size_t size = 0;
    switch (trigger->kind) {
    case FL_TRIGGER_COUNT: size = sizeof(int64_t); break;
    case FL_TRIGGER_CONTINUOUS_EVENT_TIME:
    case FL_TRIGGER_CONTINUOUS_PROCESSING_TIME: size = sizeof(moment); break;
    case FL_TRIGGER_DELTA: size = sizeof(uint64_t) + g->w.row_layout.row_size; break;
    case FL_TRIGGER_CUSTOM: size = trigger->class_of->state_size; break;
    default: break;
    }
    size = (size + 7) & ~(size_t)7;
    for (uint32_t i = 0; i < trigger->layer_count; i++) {
        g->layer_offset[i] = (uint32_t)size;
        size += trigger->layers[i].is_timeout ? sizeof(moment) : 0;
    }
    return (uint32_t)size;
}

static moment *timeout_of(const fl__window_general *g, char *state, uint32_t layer)
{
    return (moment *)(void *)(state + g->layer_offset[layer]);
}

/* ---- timers of windows ---- */

/* The link to the window's timer of this time, or to the end of its list. */
static uint32_t *find_timer(fl__window_general *g, fl__window_object *window, fl__time_domain domain, fl_time time)
{
    uint32_t *link = &window->timers;
    while (*link != FL__NO_REF && (g->timers[*link].time != time || g->timers[*link].domain != domain))
        link = &g->timers[*link].next;
    return link;
}

void fl__window_register(fl__window_general *g, uint32_t number, fl__time_domain domain, fl_time time)
{
    fl__window_object *window = fl__window_at(g, number);
    if (g->is_merging || g->is_quiet || *find_timer(g, window, domain, time) != FL__NO_REF)
        return;
    uint32_t timer = g->free_timer;
    if (timer != FL__NO_REF) {
        g->free_timer = g->timers[timer].next;
    } else {
        if (g->timer_count == g->timer_capacity) {
            fl_assert(g->timer_capacity < UINT32_MAX / 2);
            uint32_t capacity = g->timer_capacity ? g->timer_capacity * 2 : 64;
            g->timers = fl__realloc(
                &g->w.op.memory, g->timers, g->timer_capacity * sizeof *g->timers, capacity * sizeof *g->timers);
            g->timer_capacity = capacity;
        }
        timer = g->timer_count++;
    }
    g->timers[timer] = (fl__window_timer){ time, window->timers, domain };
    window->timers = timer;
    g->live_timers[domain]++;
    fl__window_queue_put(&g->queue[domain], time, number, window->key);
}

static void free_timer(fl__window_general *g, uint32_t timer)
{
    g->live_timers[g->timers[timer].domain]--;
    g->timers[timer].next = g->free_timer;
    g->free_timer = timer;
}

bool fl__window_take_timer(fl__window_general *g, fl__window_object *window, fl__time_domain domain, fl_time time)
{
    uint32_t *link = find_timer(g, window, domain, time), timer = *link;
    if (timer == FL__NO_REF)
        return false;
    *link = g->timers[timer].next;
    free_timer(g, timer);
    return true;
}

void fl__window_unregister(fl__window_general *g, uint32_t number, fl__time_domain domain, fl_time time)
{
    fl__window_object *window = fl__window_at(g, number);
    if (g->is_merging || (domain == g->domain && time == fl__window_cleanup_time(g, window->end)))
        return; /* the operator's own: without it the window would stay for ever */
    fl__window_take_timer(g, window, domain, time);
}

void fl__window_drop_timers(fl__window_general *g, uint32_t first)
{
    for (uint32_t timer = first, next; timer != FL__NO_REF; timer = next) {
        next = g->timers[timer].next;
        free_timer(g, timer);
    }
}

/* The general operator and the window whose custom trigger was given this context; NULL after a failure. */
static fl__window_general *find_window(fl_context *ctx, const char *call)
{
    fl__operator *op = fl__operator_of(ctx);
    fl__window_general *g = op->class == &fl__window_general_class ? fl__window_general_of(op) : NULL;
    if (g && g->at_hand != FL__NO_REF)
        return g;
    fl_fail(ctx, "%s was called outside of a trigger's functions", call);
    return NULL;
}

void fl_trigger_register_event_time_timer(fl_context *ctx, fl_time time)
{
    fl__window_general *g = find_window(ctx, "fl_trigger_register_event_time_timer");
    if (g)
        fl__window_register(g, g->at_hand, FL__EVENT_TIME, time);
}

void fl_trigger_register_processing_time_timer(fl_context *ctx, fl_time time)
{
    fl__window_general *g = find_window(ctx, "fl_trigger_register_processing_time_timer");
    if (g)
        fl__window_register(g, g->at_hand, FL__PROCESSING_TIME, time);
}

void fl_trigger_delete_event_time_timer(fl_context *ctx, fl_time time)
{
    fl__window_general *g = find_window(ctx, "fl_trigger_delete_event_time_timer");
    if (g)
        fl__window_unregister(g, g->at_hand, FL__EVENT_TIME, time);
}

void fl_trigger_delete_processing_time_timer(fl_context *ctx, fl_time time)
{
    fl__window_general *g = find_window(ctx, "fl_trigger_delete_processing_time_timer");
    if (g)
        fl__window_unregister(g, g->at_hand, FL__PROCESSING_TIME, time);
}

/* ---- the basic kinds ---- */

/* ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger: the next firing after `from`. Windows that end in the
 * same domain fire at their end at the latest. */
static void set_next(fl__window_general *g, uint32_t number, fl__time_domain domain, fl_time from, moment *next)
{
    fl_time time = fl__saturating_add(from, g->trigger.interval.ms);
    if ((domain == FL__EVENT_TIME || g->domain == domain) && time > g->w.max_timestamp)
        time = g->w.max_timestamp;
    *next = (moment){ true, time };
    fl__window_register(g, number, domain, time);
}

static fl_time multiple_before(fl_time time, int64_t interval)
{
    fl_time rest = time % interval;
    if (rest < 0)
        rest += interval;
    return time < FL_TIME_MIN + rest ? FL_TIME_MIN : time - rest;
}

static fl_trigger_result element_of_delta(fl__window_general *g, char *state, const char *row)
{
    fl__operator *op = &g->w.op;
    const fl__layout *layout = &g->w.row_layout;
    uint64_t has_last;
    memcpy(&has_last, state, sizeof has_last);
    char *last = state + sizeof has_last;
    if (has_last && !(g->trigger.delta(last, row, &op->ctx) > g->trigger.threshold))
        return FL_CONTINUE;
    if (has_last && !layout->is_flat)
        fl__value_drop(layout, last, g->pane.heap);
    memcpy(last, row, layout->row_size);
    if (!layout->is_flat)
        fl__value_own(layout, last, g->pane.heap);
    memcpy(state, &(uint64_t){ 1 }, sizeof has_last);
    return has_last ? FL_FIRE : FL_CONTINUE;
}

static fl_trigger_result basic_element(fl__window_general *g, uint32_t number, char *state, const char *row)
{
    fl__operator *op = &g->w.op;
    fl_time max = g->w.max_timestamp;
    moment *next = (moment *)(void *)state;
    switch (g->trigger.kind) {
    case FL_TRIGGER_EVENT_TIME:
    case FL_TRIGGER_CONTINUOUS_EVENT_TIME:
        if (g->trigger.kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME && op->ctx.timestamp == FL_NO_TIMESTAMP) {
            fl__window_no_timestamp(op);
            return FL_CONTINUE;
        }
        if (max <= g->time[FL__EVENT_TIME])
            return FL_FIRE;
        fl__window_register(g, number, FL__EVENT_TIME, max);
        if (g->trigger.kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME && !next->is_set)
            set_next(g, number, FL__EVENT_TIME, multiple_before(op->ctx.timestamp, g->trigger.interval.ms), next);
        return FL_CONTINUE;
    case FL_TRIGGER_PROCESSING_TIME: fl__window_register(g, number, FL__PROCESSING_TIME, max); return FL_CONTINUE;
    case FL_TRIGGER_CONTINUOUS_PROCESSING_TIME:
        if (!next->is_set)
            set_next(
                g, number, FL__PROCESSING_TIME, multiple_before(fl__operator_now(op), g->trigger.interval.ms), next);
        return FL_CONTINUE;
    case FL_TRIGGER_COUNT: {
        int64_t *count = (int64_t *)(void *)state;
        if (++*count < g->trigger.count)
            return FL_CONTINUE;
        *count = 0;
        return FL_FIRE;
    }
    case FL_TRIGGER_DELTA: return element_of_delta(g, state, row);
    case FL_TRIGGER_CUSTOM: return g->trigger.class_of->on_element(row, state, &op->ctx);
    default: return FL_CONTINUE;
    }
}

static fl_trigger_result continuous_time(
    fl__window_general *g, uint32_t number, fl__time_domain domain, fl_time time, moment *next)
{
    bool at_end = time == g->w.max_timestamp && (domain == FL__EVENT_TIME || g->domain == domain);
    if (at_end)
        return FL_FIRE;
    if (!next->is_set || next->time != time)
        return FL_CONTINUE;
    next->is_set = next->time = 0;
    if (g->time[domain] == FL_TIME_MAX && g->w.max_timestamp == FL_TIME_MAX)
        return FL_CONTINUE; /* at the end of the input a window without end fires once, not for all intervals to come */
    set_next(g, number, domain, time, next);
    return FL_FIRE;
}

static fl_trigger_result basic_time(
    fl__window_general *g, uint32_t number, fl__time_domain domain, fl_time time, char *state)
{
    const fl_trigger_class *class = g->trigger.class_of;
    bool is_event_time = domain == FL__EVENT_TIME;
    switch (g->trigger.kind) {
    case FL_TRIGGER_EVENT_TIME: return is_event_time && time == g->w.max_timestamp ? FL_FIRE : FL_CONTINUE;
    case FL_TRIGGER_PROCESSING_TIME: return is_event_time ? FL_CONTINUE : FL_FIRE;
    case FL_TRIGGER_CONTINUOUS_EVENT_TIME:
        return is_event_time ? continuous_time(g, number, domain, time, (moment *)(void *)state) : FL_CONTINUE;
    case FL_TRIGGER_CONTINUOUS_PROCESSING_TIME:
        return is_event_time ? FL_CONTINUE : continuous_time(g, number, domain, time, (moment *)(void *)state);
    case FL_TRIGGER_CUSTOM:
        if (is_event_time)
            return class->on_event_time ? class->on_event_time(time, state, &g->w.op.ctx) : FL_CONTINUE;
        return class->on_processing_time ? class->on_processing_time(time, state, &g->w.op.ctx) : FL_CONTINUE;
    default: return FL_CONTINUE;
    }
}

/* ---- layers: forgetting ---- */

static void clear_basic(fl__window_general *g, uint32_t number, char *state)
{
    fl_time max = fl__window_max_timestamp(fl__window_at(g, number)->end);
    moment *next = (moment *)(void *)state;
    switch (g->trigger.kind) {
    case FL_TRIGGER_EVENT_TIME: fl__window_unregister(g, number, FL__EVENT_TIME, max); break;
    case FL_TRIGGER_PROCESSING_TIME: fl__window_unregister(g, number, FL__PROCESSING_TIME, max); break;
    case FL_TRIGGER_CONTINUOUS_EVENT_TIME:
    case FL_TRIGGER_CONTINUOUS_PROCESSING_TIME:
        if (next->is_set)
            fl__window_unregister(g, number,
                g->trigger.kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME ? FL__EVENT_TIME : FL__PROCESSING_TIME, next->time);
        next->is_set = next->time = 0;
        break;
    case FL_TRIGGER_COUNT: memset(state, 0, sizeof(int64_t)); break;
    case FL_TRIGGER_DELTA: {
        uint64_t has_last;
        memcpy(&has_last, state, sizeof has_last);
        if (has_last && !g->w.row_layout.is_flat)
            fl__value_drop(&g->w.row_layout, state + sizeof has_last, g->pane.heap);
        memset(state, 0, sizeof has_last + g->w.row_layout.row_size);
        break;
    }
    case FL_TRIGGER_CUSTOM:
        if (g->trigger.class_of->clear)
            g->trigger.class_of->clear(state, &g->w.op.ctx);
        memset(state, 0, g->trigger.class_of->state_size);
        break;
    default: break;
    }
}

/* Layer `layers - 1` and all inside of it forget the window. */
static void clear_inner(fl__window_general *g, uint32_t number, char *state, uint32_t layers)
{
    for (uint32_t i = 0; i < layers; i++) {
        if (!g->trigger.layers[i].is_timeout)
            continue;
        moment *timeout = timeout_of(g, state, i);
        if (timeout->is_set)
            fl__window_unregister(g, number, FL__PROCESSING_TIME, timeout->time);
        *timeout = (moment){ 0 };
    }
    clear_basic(g, number, state);
}

void fl__window_trigger_clear(fl__window_general *g, uint32_t number, char *state)
{
    fl__operator *op = &g->w.op;
    op->ctx.key = fl__window_shown_key(g, fl__window_at(g, number));
    g->at_hand = number;
    clear_inner(g, number, state, g->trigger.layer_count);
    g->at_hand = FL__NO_REF;
    op->ctx.key = NULL;
}

/* ---- all of it ---- */

/* ProcessingTimeoutTrigger#onElement, after its nested trigger. */
static void element_of_timeout(
    fl__window_general *g, uint32_t number, char *state, uint32_t layer, fl_trigger_result result)
{
    if (result & FL_FIRE) {
        clear_inner(g, number, state, layer + 1);
        return;
    }
    moment *timeout = timeout_of(g, state, layer);
    if (timeout->is_set && g->trigger.layers[layer].resets) {
        fl__window_unregister(g, number, FL__PROCESSING_TIME, timeout->time);
        timeout->is_set = false;
    }
    if (timeout->is_set)
        return;
    *timeout = (moment){ true, fl__saturating_add(fl__operator_now(&g->w.op), g->trigger.layers[layer].timeout.ms) };
    fl__window_register(g, number, FL__PROCESSING_TIME, timeout->time);
}

static fl_trigger_result purging(fl_trigger_result result)
{
    return result & FL_FIRE ? FL_FIRE_AND_PURGE : result;
}

fl_trigger_result fl__window_trigger_element(fl__window_general *g, uint32_t number, const void *row)
{
    char *state = fl__window_trigger_state(g, fl__window_at(g, number));
    g->at_hand = number;
    fl_trigger_result result = basic_element(g, number, state, row);
    for (uint32_t i = 0; i < g->trigger.layer_count; i++) {
        if (g->trigger.layers[i].is_timeout)
            element_of_timeout(g, number, state, i, result);
        else
            result = purging(result);
    }
    g->at_hand = FL__NO_REF;
    return result;
}

fl_trigger_result fl__window_trigger_time(fl__window_general *g, uint32_t number, fl__time_domain domain, fl_time time)
{
    char *state = fl__window_trigger_state(g, fl__window_at(g, number));
    g->at_hand = number;
    fl_trigger_result result = basic_time(g, number, domain, time, state);
    for (uint32_t i = 0; i < g->trigger.layer_count; i++) {
        if (!g->trigger.layers[i].is_timeout) {
            result = purging(result);
            continue;
        }
        if (g->trigger.layers[i].clears)
            clear_inner(g, number, state, i + 1);
        result = result & FL_PURGE ? FL_FIRE_AND_PURGE : FL_FIRE;
    }
    g->at_hand = FL__NO_REF;
    return result;
}

void fl__window_trigger_merge(fl__window_general *g, uint32_t number, char *const *merged, uint32_t count)
{
    char *state = fl__window_trigger_state(g, fl__window_at(g, number));
    moment *next = (moment *)(void *)state;
    fl_time max = g->w.max_timestamp;
    g->at_hand = number;
    fl__time_domain domain = g->trigger.kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME ? FL__EVENT_TIME : FL__PROCESSING_TIME;
    for (uint32_t i = 0; i < count; i++) {
        const moment *other = (const moment *)(const void *)merged[i];
        if (g->trigger.kind == FL_TRIGGER_COUNT)
            *(int64_t *)(void *)state += *(const int64_t *)(const void *)merged[i];
        else if (g->trigger.kind == FL_TRIGGER_CUSTOM)
            g->trigger.class_of->on_merge(state, merged[i], &g->w.op.ctx);
        else if (g->trigger.kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME ||
                 g->trigger.kind == FL_TRIGGER_CONTINUOUS_PROCESSING_TIME)
            if (other->is_set && (!next->is_set || other->time < next->time))
                *next = *other;
    }
    switch (g->trigger.kind) {
    case FL_TRIGGER_EVENT_TIME:
        if (max > g->time[FL__EVENT_TIME])
            fl__window_register(g, number, FL__EVENT_TIME, max);
        break;
    case FL_TRIGGER_PROCESSING_TIME:
        if (max > fl__operator_now(&g->w.op))
            fl__window_register(g, number, FL__PROCESSING_TIME, max);
        break;
    case FL_TRIGGER_CONTINUOUS_EVENT_TIME:
    case FL_TRIGGER_CONTINUOUS_PROCESSING_TIME:
        if (next->is_set)
            fl__window_register(g, number, domain, next->time);
        break;
    default: break;
    }
    g->at_hand = FL__NO_REF;
}

/* ---- checkpoints ----
 *
 * The trigger's own: count (zigzag varint); a time that may be missing: is it there u8, time (zigzag varint); delta: is
 * there a record u8, its value; custom: its bytes. Then the times of timeouts, inner first. */

static void encode_moment(const moment *m, fl__buffer *out)
{
    char is_set = m->is_set != 0;
    fl__buffer_append(out, &is_set, 1);
    fl__block_put_int(out, m->time);
}

static bool decode_moment(moment *m, fl__reader *in)
{
    const char *is_set = fl__reader_bytes(in, 1);
    if (!is_set || *is_set < 0 || *is_set > 1)
        return false;
    m->is_set = (uint64_t)*is_set;
    return fl__block_get_int(in, &m->time);
}

void fl__window_trigger_encode(const fl__window_general *g, char *state, fl__buffer *out)
{
    switch (g->trigger.kind) {
    case FL_TRIGGER_COUNT: fl__block_put_int(out, *(const int64_t *)(const void *)state); break;
    case FL_TRIGGER_CONTINUOUS_EVENT_TIME:
    case FL_TRIGGER_CONTINUOUS_PROCESSING_TIME: encode_moment((const moment *)(const void *)state, out); break;
    case FL_TRIGGER_DELTA: {
        uint64_t has_last;
        memcpy(&has_last, state, sizeof has_last);
        fl__buffer_append(out, &(char){ has_last != 0 }, 1);
        if (has_last)
            fl__encode(g->w.row_layout.type, state + sizeof has_last, out);
        break;
    }
    case FL_TRIGGER_CUSTOM: fl__buffer_append(out, state, g->trigger.class_of->state_size); break;
    default: break;
    }
    for (uint32_t i = 0; i < g->trigger.layer_count; i++) {
        if (g->trigger.layers[i].is_timeout)
            encode_moment(timeout_of(g, state, i), out);
    }
}

/* False: damaged. */
static bool decode_delta(
    fl__window_general *g, char *state, bool is_kept, fl__reader *in, fl__arena *scratch, fl_error *error)
{
    const fl__layout *layout = &g->w.row_layout;
    const char *has_last = fl__reader_bytes(in, 1);
    char *last = state + sizeof(uint64_t);
    if (!has_last || *has_last < 0 || *has_last > 1)
        return false;
    if (!*has_last)
        return true;
    if (fl__decode(layout->type, in, scratch, last, error) != FL_OK)
        return false;
    memcpy(state, &(uint64_t){ is_kept }, sizeof(uint64_t));
    if (is_kept && !layout->is_flat)
        fl__value_own(layout, last, g->pane.heap);
    return true;
}

static bool decode_basic(
    fl__window_general *g, char *state, bool is_kept, fl__reader *in, fl__arena *scratch, fl_error *error)
{
    switch (g->trigger.kind) {
    case FL_TRIGGER_COUNT: return fl__block_get_int(in, (int64_t *)(void *)state);
    case FL_TRIGGER_CONTINUOUS_EVENT_TIME:
    case FL_TRIGGER_CONTINUOUS_PROCESSING_TIME: return decode_moment((moment *)(void *)state, in);
    case FL_TRIGGER_DELTA: return decode_delta(g, state, is_kept, in, scratch, error);
    case FL_TRIGGER_CUSTOM: {
        const void *bytes = fl__reader_bytes(in, g->trigger.class_of->state_size);
        if (bytes && g->trigger.class_of->state_size)
            memcpy(state, bytes, g->trigger.class_of->state_size);
        return bytes != NULL;
    }
    default: return true;
    }
}

fl_status fl__window_trigger_decode(
    fl__window_general *g, char *state, const fl__restored *from, fl__reader *in, fl__arena *scratch, fl_error *error)
{
    bool is_kept = state != NULL;
    state = is_kept ? state : g->merged_trigger;
    bool is_right = decode_basic(g, state, is_kept, in, scratch, error);
    for (uint32_t i = 0; i < g->trigger.layer_count && is_right; i++) {
        if (g->trigger.layers[i].is_timeout)
            is_right = decode_moment(timeout_of(g, state, i), in);
    }
    if (is_right)
        return FL_OK;
    return fl__blocks_corrupt(&from->blocks, error, "what a window's trigger remembers");
}
