/* The general path: assigning, merging, firing, cleaning up. See window_general.h. */
#include "operators/window_general.h"

enum {
    TIMERS_PER_CHECK = 32, /* fired between two looks at whether the output is blocked */
    INSIDE_MAX = 256,      /* bytes: larger windows all lie in chunks, entries stay small */
    EMPTY_KEYS_KEPT = 1024,
    FETCH_AHEAD = 40, /* items of the queue */
};

/* ---- windows ---- */

static size_t chunk_bytes(const fl__window_general *g)
{
    return (size_t)FL__WINDOWS_PER_CHUNK * g->window_size;
}

static void new_chunk(fl__window_general *g)
{
    fl__memory *memory = &g->w.op.memory;
    if (g->chunk_count == g->chunk_capacity) {
        uint32_t capacity = g->chunk_capacity ? g->chunk_capacity * 2 : 8;
        g->chunks = fl__realloc(memory, g->chunks, g->chunk_capacity * sizeof *g->chunks, capacity * sizeof *g->chunks);
        g->chunk_capacity = capacity;
    }
    g->chunks[g->chunk_count++] = fl__alloc_zero(memory, chunk_bytes(g));
}

static uint32_t new_window(fl__window_general *g, uint32_t key)
{
    uint32_t number = key | FL__WINDOW_INSIDE;
    if (!g->inside_offset || fl__window_at(g, number)->is_used) {
        number = g->free_window;
        if (number != FL__NO_REF) {
            g->free_window = fl__window_at(g, number)->next;
        } else {
            number = g->window_count++;
            fl_assert(number < FL__WINDOW_INSIDE);
            if (number / FL__WINDOWS_PER_CHUNK == g->chunk_count)
                new_chunk(g);
        }
    }
    memset(fl__window_at(g, number), 0, g->window_size);
    return number;
}

/* Gives its number back; nothing in a queue may take it for one that is due. */
static void release_window(fl__window_general *g, uint32_t number)
{
    fl__window_object *window = fl__window_at(g, number);
    window->timers = FL__NO_REF;
    window->armed = FL_TIME_MIN;
    window->is_used = false;
    if (number & FL__WINDOW_INSIDE)
        return;
    window->next = g->free_window;
    g->free_window = number;
}

uint32_t *fl__window_first(const fl__window_general *g, uint32_t key)
{
    return (uint32_t *)(void *)(fl__table_entry(&g->keys, key) + g->first_offset);
}

uint32_t fl__window_make(fl__window_general *g, uint32_t key, uint32_t *link, fl_window_range range)
{
    uint32_t number = new_window(g, key);
    fl__window_object *window = fl__window_at(g, number);
    window->is_used = true;
    window->start = range.start;
    window->end = range.end;
    window->armed = FL_TIME_MIN;
    window->key = key;
    window->timers = FL__NO_REF;
    window->next = *link;
    *link = number;
    g->empty_keys -= *fl__window_first(g, key) == number && window->next == FL__NO_REF;
    return number;
}

uint32_t fl__window_find_key(fl__window_general *g, uint64_t hash, const void *key, bool insert)
{
    bool inserted = false;
    uint32_t ref = fl__table_find_class(&g->keys, g->keys.key.class, hash, key, insert, &inserted);
    if (ref != FL__NO_REF)
        fl__table_touch(&g->keys, ref);
    if (inserted) {
        *fl__window_first(g, ref) = FL__NO_REF;
        g->empty_keys++;
        fl_assert(ref < FL__WINDOW_INSIDE);
        if (g->inside_offset)
            release_window(g, ref | FL__WINDOW_INSIDE);
    }
    return ref;
}

/* Keys without windows stay until there are many, since most come again: taking an entry out of the table and putting
 * it in costs as much as a dozen records of an open session. */
static void forget_empty_keys(fl__window_general *g)
{
    uint64_t cursor = 0;
    for (char *entry; (entry = fl__table_next(&g->keys, &cursor)) != NULL;) {
        uint32_t first;
        memcpy(&first, entry + g->first_offset, sizeof first);
        const char *key = entry + g->keys.key_offset;
        if (first == FL__NO_REF)
            fl__table_remove(&g->keys, fl__key_hash(&g->keys.key, key), key);
    }
    g->empty_keys = 0;
}

static void set_at_hand(fl__window_general *g, uint32_t number)
{
    const fl__window_object *window = fl__window_at(g, number);
    g->w.range = (fl_window_range){ window->start, window->end };
    g->w.max_timestamp = fl__window_max_timestamp(window->end);
    g->w.window_number = number;
}

static void purge(fl__window_general *g, fl__window_object *window)
{
    if (!window->has_content)
        return;
    if (g->w.function == &fl__window_elements)
        fl__window_list_drop(&g->w, g->pane.heap, fl__window_list_of(g, window));
    else
        fl__window_value_drop(&g->w, &g->pane, fl__window_content_of(g, window));
    window->has_content = false;
}

/* Takes it out of its key's list; its number is free. */
static void free_window(fl__window_general *g, uint32_t number)
{
    fl__window_object *window = fl__window_at(g, number);
    uint32_t *link = fl__window_first(g, window->key);
    while (*link != number)
        link = &fl__window_at(g, *link)->next;
    *link = window->next;
    g->empty_keys += *fl__window_first(g, window->key) == FL__NO_REF;
    fl__window_drop_timers(g, window->timers);
    release_window(g, number);
}

/* The window function's say when a window's time is over, then the end of its states. */
static void clear_function(fl__window_general *g, const fl__window_object *window)
{
    fl__window_operator *w = &g->w;
    fl__operator *op = &w->op;
    const fl__window_config *config = w->config;
    const char *key = fl__window_key_of(g, window);
    op->ctx.key = key;
    op->ctx.timestamp = w->max_timestamp;
    if (w->keyed)
        fl__keyed_set_key(w->keyed, &op->ctx, fl__key_hash(&g->keys.key, key), key);
    if (w->window_keyed)
        fl__keyed_set_key(w->window_keyed, &w->window_ctx, fl__key_hash_u64(&w->window_number), &w->window_number);
    if (config->clear)
        config->clear(&op->ctx);
    for (size_t i = 0; i < config->window_state_count; i++)
        fl__state_clear(&w->window_ctx, config->window_states[i]);
    if (w->window_keyed)
        fl__keyed_end_call(w->window_keyed, &w->window_ctx);
    if (w->keyed)
        fl__keyed_end_call(w->keyed, &op->ctx);
    w->window_ctx.key = NULL;
    op->ctx.key = NULL;
    op->ctx.entry = NULL;
}

/* The window's time is over (WindowOperator#clearAllState). */
static void clean_up(fl__window_general *g, uint32_t number)
{
    fl__window_object *window = fl__window_at(g, number);
    set_at_hand(g, number);
    purge(g, window);
    if (!g->is_implicit)
        fl__window_trigger_clear(g, number, fl__window_trigger_state(g, window));
    if (g->w.config->clear || g->w.window_keyed)
        clear_function(g, window);
    free_window(g, number);
}

/* Does nothing distinguish the window from one that was never there? Windows without end are dropped then: as in Flink,
 * count windows over ever new keys do not pile up. */
static bool is_blank(const fl__window_general *g, fl__window_object *window)
{
    if (window->has_content || window->timers != FL__NO_REF || g->is_implicit || g->w.window_keyed ||
        fl__window_cleanup_time(g, window->end) != FL_TIME_MAX)
        return false;
    const char *state = fl__window_trigger_state(g, window);
    for (uint32_t i = 0; i < g->trigger_size; i++) {
        if (state[i])
            return false;
    }
    return true;
}

/* ---- firing ---- */

static void emit(fl__window_general *g, uint32_t number)
{
    fl__window_operator *w = &g->w;
    fl__window_object *window = fl__window_at(g, number);
    if (!window->has_content)
        return;
    fl_time timestamp = w->op.ctx.timestamp;
    set_at_hand(g, number);
    w->op.ctx.timestamp = w->max_timestamp;
    if (w->config->window.evictor.kind != FL_EVICTOR_NONE) {
        fl__window_evict_and_emit(g, window);
    } else if (w->function == &fl__window_elements) {
        const fl__window_list *list = fl__window_list_of(g, window);
        fl__window_pass_on(w, list->rows, list->count, w->row_layout.row_size, fl__window_key_of(g, window));
    } else {
        fl__window_value_emit(w, fl__window_content_of(g, window), fl__window_key_of(g, window));
    }
    w->op.ctx.timestamp = timestamp;
}

static void do_as_told(fl__window_general *g, uint32_t number, fl_trigger_result result)
{
    if (result & FL_FIRE)
        emit(g, number);
    if (result & FL_PURGE)
        purge(g, fl__window_at(g, number));
}

void fl__window_arm(fl__window_general *g, uint32_t number)
{
    fl__window_object *window = fl__window_at(g, number);
    fl_time due = window->has_fired ? fl__window_cleanup_time(g, window->end) : fl__window_max_timestamp(window->end);
    if (due == FL_TIME_MAX && window->has_fired)
        return; /* nothing comes after the end of time */
    due = due == FL_TIME_MIN ? FL_TIME_MIN + 1 : due;
    if (window->armed != FL_TIME_MIN && window->armed <= due)
        return;
    window->armed = due;
    fl__window_queue_put(&g->queue[g->domain], due, number, window->key);
}

/* Implicit trigger: fires, or cleans up, or was looked at too early. */
static void on_due(fl__window_general *g, const fl__window_due *due)
{
    fl__window_object *window = fl__window_at(g, due->window);
    if (window->armed != due->time)
        return;
    fl_time max = fl__window_max_timestamp(window->end), cleanup = fl__window_cleanup_time(g, window->end);
    window->armed = FL_TIME_MIN;
    if (!window->has_fired && max <= due->time) {
        window->has_fired = true;
        emit(g, due->window);
    }
    if (window->has_fired && cleanup <= due->time && cleanup != FL_TIME_MAX) {
        clean_up(g, due->window);
    } else {
        fl__window_arm(g, due->window);
    }
}

static void on_timer(fl__window_general *g, fl__time_domain domain, const fl__window_due *due)
{
    fl__window_object *window = fl__window_at(g, due->window);
    if (!fl__window_take_timer(g, window, domain, due->time))
        return;
    fl__operator *op = &g->w.op;
    op->ctx.timestamp = due->time;
    set_at_hand(g, due->window);
    op->ctx.key = fl__window_shown_key(g, window);
    fl_trigger_result result = fl__window_trigger_time(g, due->window, domain, due->time);
    do_as_told(g, due->window, result);
    if (domain == g->domain && due->time == fl__window_cleanup_time(g, window->end) && due->time != FL_TIME_MAX)
        clean_up(g, due->window);
    else if (is_blank(g, window))
        free_window(g, due->window);
    op->ctx.key = NULL;
}

static void fetch(const fl__window_general *g, const fl__window_due *due)
{
    const char *window = (const char *)fl__window_at(g, due->window);
    __builtin_prefetch(window, 1);
    __builtin_prefetch(window + g->window_size - 1, 1);
    if (!(due->window & FL__WINDOW_INSIDE))
        __builtin_prefetch(fl__table_entry(&g->keys, due->key), 1);
}

/* One was taken from the queue: those that come a while later are on the way to the cache; of a new bucket the first
 * ones too. */
static void fetch_ahead(const fl__window_general *g, const fl__window_queue *queue)
{
    const struct fl__window_bucket *due = &queue->buckets[0];
    uint32_t end = queue->first + FETCH_AHEAD;
    for (uint32_t i = queue->first == 1 ? 1 : end; i <= end && i < due->count; i++)
        fetch(g, &due->items[i]);
}

/* Everything up to time[domain], earliest first. FL_AGAIN: nothing is half done. */
static fl_status fire(fl__window_general *g, fl__time_domain domain)
{
    fl__operator *op = &g->w.op;
    fl__window_due due;
    for (uint32_t n = 0; !fl__operator_failed(op); n++) {
        if (n % TIMERS_PER_CHECK == 0 && fl__output_blocked(op))
            return FL_AGAIN;
        if (!fl__window_queue_take(&g->queue[domain], g->time[domain], &due))
            return FL_OK;
        fetch_ahead(g, &g->queue[domain]);
        if (g->is_implicit)
            on_due(g, &due);
        else
            on_timer(g, domain, &due);
    }
    return FL_ERROR_USER;
}

/* ---- records ---- */

static void reserve_ranges(fl_windows *windows, size_t count)
{
    if (count <= windows->capacity)
        return;
    fl_assert(count < UINT32_MAX / 2);
    uint32_t capacity = (uint32_t)count * 2;
    windows->ranges = fl__realloc(&windows->g->w.op.memory, windows->ranges,
        windows->capacity * sizeof *windows->ranges, capacity * sizeof *windows->ranges);
    windows->capacity = capacity;
}

void fl_assign_window(fl_windows *windows, fl_time start, fl_time end)
{
    fl__operator *op = &windows->g->w.op;
    if (end <= start) {
        fl__operator_fail(op, FL_ERROR_USER,
            "fl_assign_window: the window [%lld, %lld) ends before it starts; end must be above start",
            (long long)start, (long long)end);
        return;
    }
    reserve_ranges(windows, windows->count + (size_t)1);
    windows->ranges[windows->count++] = (fl_window_range){ start, end };
}

static void assign_session(fl__window_general *g, const char *row, fl_time time)
{
    const fl_window_assigner *assigner = &g->w.config->window.assigner;
    int64_t gap = assigner->gap ? assigner->gap(row, &g->w.op.ctx).ms : assigner->size.ms;
    if (gap <= 0) {
        fl__operator_fail(&g->w.op, FL_ERROR_USER,
            "the session gap function gave %lld ms for a record; a gap must be above 0", (long long)gap);
        return;
    }
    fl_time end = fl__saturating_add(time, gap);
    fl_assign_window(&g->windows, time == FL_TIME_MAX ? time - 1 : time, end);
}

/* The windows of the record, into g->windows. time: its timestamp, or the clock. */
static void assign(fl__window_general *g, const char *row, fl_time time)
{
    const fl_window_assigner *assigner = &g->w.config->window.assigner;
    g->windows.count = 0;
    switch (assigner->kind) {
    case FL_WINDOW_TUMBLING:
    case FL_WINDOW_SLIDING: {
        fl_windows *windows = &g->windows;
        size_t count = fl__window_grid_assign(&g->w.grid, time, windows->ranges, windows->capacity);
        if (count > windows->capacity) {
            reserve_ranges(windows, count);
            fl__window_grid_assign(&g->w.grid, time, windows->ranges, windows->capacity);
        }
        windows->count = (uint32_t)count;
        break;
    }
    case FL_WINDOW_SESSION: assign_session(g, row, time); break;
    case FL_WINDOW_GLOBAL: fl_assign_window(&g->windows, FL_TIME_MIN, FL_TIME_MAX); break;
    case FL_WINDOW_CUSTOM: assigner->assign(row, &g->windows, &g->w.op.ctx); break;
    }
}

/* Adds the record to a window that is not late, asks the trigger and does what it says. */
static void add(fl__window_general *g, uint32_t number, const char *row, fl_time timestamp)
{
    fl__window_operator *w = &g->w;
    fl__window_object *window = fl__window_at(g, number);
    set_at_hand(g, number);
    w->op.ctx.timestamp = timestamp;
    w->op.ctx.key = fl__window_shown_key(g, window);
    bool is_new = !window->has_content;
    window->has_content = true;
    if (w->function == &fl__window_elements)
        fl__window_list_add(w, g->pane.heap, fl__window_list_of(g, window), row, timestamp);
    else if (!is_new || !fl__window_value_start(w, &g->pane, fl__window_content_of(g, window), row))
        w->add_value(w, &g->pane, fl__window_content_of(g, window), row);
    if (g->is_implicit) {
        /* the clock's windows fire when the task looks at the clock, those of event time with every late record */
        if (g->domain == FL__EVENT_TIME && w->max_timestamp <= g->time[FL__EVENT_TIME]) {
            window->has_fired = true;
            emit(g, number);
        }
        fl__window_arm(g, number);
    } else {
        do_as_told(g, number, fl__window_trigger_element(g, number, row));
        fl_time cleanup = fl__window_cleanup_time(g, window->end);
        if (cleanup != FL_TIME_MAX)
            fl__window_register(g, number, g->domain, cleanup);
    }
    w->op.ctx.key = NULL;
}

static bool is_late(const fl__window_general *g, fl_time end)
{
    return g->domain == FL__EVENT_TIME && fl__window_cleanup_time(g, end) <= g->time[FL__EVENT_TIME];
}

static bool is_before(fl_window_range a, const fl__window_object *b)
{
    return a.start != b->start ? a.start < b->start : a.end < b->end;
}

/* Windows that stay apart. False: all were late. The assigners give the latest first, so that one walk along the key's
 * list finds them all. */
static bool add_to_each(fl__window_general *g, const char *row, uint64_t hash, const void *key, fl_time timestamp)
{
    uint32_t ref = FL__NO_REF, *link = NULL;
    for (uint32_t i = 0; i < g->windows.count; i++) {
        fl_window_range range = g->windows.ranges[i];
        if (is_late(g, range.end))
            continue;
        if (ref == FL__NO_REF)
            ref = fl__window_find_key(g, hash, key, true);
        if (!link || range.start > g->windows.ranges[i - 1].start || range.end > g->windows.ranges[i - 1].end)
            link = fl__window_first(g, ref);
        while (*link != FL__NO_REF && is_before(range, fl__window_at(g, *link)))
            link = &fl__window_at(g, *link)->next;
        fl__window_object *window = *link == FL__NO_REF ? NULL : fl__window_at(g, *link);
        uint32_t number = window && window->start == range.start && window->end == range.end
                              ? *link
                              : fl__window_make(g, ref, link, range);
        add(g, number, row, timestamp);
        if (is_blank(g, fl__window_at(g, number))) {
            free_window(g, number);
            link = NULL;
        }
    }
    return ref != FL__NO_REF;
}

/* Contents of other, a later window, go into window. */
static void merge_contents(fl__window_general *g, fl__window_object *window, fl__window_object *other)
{
    fl__window_operator *w = &g->w;
    if (!other->has_content)
        return;
    if (!window->has_content)
        memcpy(fl__window_content_of(g, window), fl__window_content_of(g, other),
            w->function == &fl__window_elements ? sizeof(fl__window_list) : w->content_layout.row_size);
    else if (w->function == &fl__window_elements)
        fl__window_list_merge(w, g->pane.heap, fl__window_list_of(g, window), fl__window_list_of(g, other));
    else
        fl__window_value_merge(w, &g->pane, fl__window_content_of(g, window), fl__window_content_of(g, other));
    window->has_content = true;
    other->has_content = false;
}

static void reserve_merged(fl__window_general *g, uint32_t count)
{
    if (count <= g->merged_capacity)
        return;
    fl__memory *memory = &g->w.op.memory;
    uint32_t old = g->merged_capacity, capacity = count * 2;
    g->merged = fl__realloc(memory, g->merged, old * sizeof *g->merged, capacity * sizeof *g->merged);
    g->merged_states =
        fl__realloc(memory, g->merged_states, old * sizeof *g->merged_states, capacity * sizeof *g->merged_states);
    g->merged_capacity = capacity;
}

/* The trigger's side of merging: its view of the merged window from those of the windows in it, which it then forgets.
 * Their timers go, the clean-up's too. */
static void merge_triggers(fl__window_general *g, const uint32_t *numbers, uint32_t count)
{
    uint32_t into = numbers[count - 1]; /* the earliest */
    char **states = g->merged_states;
    for (uint32_t i = 0; i < count; i++) {
        fl__window_object *window = fl__window_at(g, numbers[count - 1 - i]);
        states[i] = fl__window_trigger_state(g, window);
        fl__window_drop_timers(g, window->timers);
        window->timers = FL__NO_REF;
    }
    memcpy(g->merged_trigger, states[0], g->trigger_size);
    memset(states[0], 0, g->trigger_size);
    states[0] = g->merged_trigger;
    g->w.op.ctx.key = fl__window_shown_key(g, fl__window_at(g, into));
    set_at_hand(g, into);
    fl__window_trigger_merge(g, into, states, count);
    g->is_merging = true; /* what clear unregisters is gone already */
    for (uint32_t i = 0; i < count; i++)
        fl__window_trigger_clear(g, into, states[i]);
    g->is_merging = false;
}

/* The window into which all of the key's windows that range touches were merged; FL__NO_REF: the record is late.
 * Flink's MergingWindowSet; where it takes the state of any of the windows, this takes them in the order of their time.
 */
static uint32_t merge(fl__window_general *g, uint32_t key, fl_window_range range)
{
    uint32_t *link = fl__window_first(g, key);
    while (*link != FL__NO_REF && fl__window_at(g, *link)->start > range.end)
        link = &fl__window_at(g, *link)->next;
    uint32_t count = 0;
    for (uint32_t n = *link; n != FL__NO_REF && fl__window_at(g, n)->end >= range.start; count++)
        n = fl__window_at(g, n)->next;
    if (count == 0)
        return is_late(g, range.end) ? FL__NO_REF : fl__window_make(g, key, link, range);
    reserve_merged(g, count);
    uint32_t *numbers = g->merged, next = *link;
    for (uint32_t i = 0; i < count; i++, next = fl__window_at(g, next)->next)
        numbers[i] = next;
    fl__window_object *into = fl__window_at(g, numbers[count - 1]), *latest = fl__window_at(g, numbers[0]);
    fl_time start = range.start < into->start ? range.start : into->start;
    fl_time end = range.end > latest->end ? range.end : latest->end;
    if (count == 1 && start == into->start && end == into->end)
        return numbers[0];
    into->start = start;
    into->end = end;
    into->has_fired = g->domain == FL__EVENT_TIME && fl__window_max_timestamp(end) <= g->time[FL__EVENT_TIME];
    if (!g->is_implicit)
        merge_triggers(g, numbers, count);
    g->w.op.ctx.key = fl__window_shown_key(g, into);
    for (uint32_t i = count - 1; i-- > 0;) {
        merge_contents(g, into, fl__window_at(g, numbers[i]));
        free_window(g, numbers[i]);
    }
    return numbers[count - 1];
}

static bool add_merging(fl__window_general *g, const char *row, uint64_t hash, const void *key, fl_time timestamp)
{
    bool taken = false;
    uint32_t ref = FL__NO_REF;
    for (uint32_t i = 0; i < g->windows.count; i++) {
        fl_window_range range = g->windows.ranges[i];
        if (ref == FL__NO_REF)
            ref = fl__window_find_key(g, hash, key, !is_late(g, range.end));
        if (ref == FL__NO_REF)
            continue;
        uint32_t number = merge(g, ref, range);
        if (number == FL__NO_REF)
            continue;
        add(g, number, row, timestamp);
        taken = true;
    }
    return taken;
}

void fl__window_general_set_timer(fl__window_general *g)
{
    if (g->w.op.task->is_batch)
        return; /* the clock's windows end with their key */
    fl_time next = fl__window_queue_next(&g->queue[FL__PROCESSING_TIME]);
    next = fl__saturating_add(next, 1); /* as in Flink a timer comes when the clock is past its time */
    if (next != g->w.op.next_timer)
        fl__operator_set_timer(&g->w.op, next);
}

static bool is_live(void *context, const fl__window_due *due)
{
    fl__window_general *g = context;
    for (uint32_t t = fl__window_at(g, due->window)->timers; t != FL__NO_REF; t = g->timers[t].next) {
        if (g->timers[t].time == due->time)
            return true;
    }
    return false;
}

/* Throws away what the queues hold of timers that were deleted, and keys without windows, once there is much of it. */
static void sweep(fl__window_general *g)
{
    if (g->empty_keys > EMPTY_KEYS_KEPT + g->keys.count / 2)
        forget_empty_keys(g);
    for (unsigned domain = 0; domain < 2 && !g->is_implicit; domain++) {
        if (g->queue[domain].count > 1024 + 2 * g->live_timers[domain])
            fl__window_queue_sweep(&g->queue[domain], is_live, g);
    }
}

/* Keys whose windows a block's loop should fetch ahead, because they do not fit the caches. */
static bool is_large(const fl__window_general *g)
{
    return g->keys.count * (g->keys.entry_size + 12u) + g->window_count * (uint64_t)g->window_size > 256u * 1024u;
}

/* A block's candidates, entries on the way to the cache: two blocks before they are read come the index lines, one
 * block before it the entries. */
static void look_ahead(
    fl__window_general *g, const uint64_t *hashes, uint32_t count, uint32_t left, bool large, char **entries)
{
    const uint32_t last = g->keys.entry_size - 1;
    fl__table_candidates(&g->keys, hashes, count, left, large, entries);
    for (uint32_t i = 0; large && i < count; i++) {
        if (entries[i])
            __builtin_prefetch(entries[i] + last, 1);
    }
}

/* Latest windows that do not lie in their entries. */
static void fetch_windows(const fl__window_general *g, char *const *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = FL__NO_REF;
        if (entries[i])
            memcpy(&number, entries[i] + g->first_offset, sizeof number);
        if (!(number & FL__WINDOW_INSIDE))
            __builtin_prefetch(fl__window_at(g, number), 1);
    }
}

static inline uint32_t block_size(const fl__batch *batch, uint32_t block)
{
    return batch->count - block < FL__TABLE_BLOCK ? batch->count - block : FL__TABLE_BLOCK;
}

/* A record by the general way. False: the task has failed. */
static bool process_row(fl__window_general *g, const fl__batch *batch, uint32_t i, fl_time timestamp, fl_time now)
{
    fl__operator *op = &g->w.op;
    const char *row = fl__batch_row(batch, i);
    const bool by_event_time = g->domain == FL__EVENT_TIME;
    op->ctx.timestamp = timestamp;
    op->ctx.key = NULL;
    assign(g, row, by_event_time ? timestamp : now);
    const void *k = fl__key_of(op->spec->key[0], row, g->w.key_scratch);
    uint64_t hash = fl__batch_hashes(batch)[i];
    bool taken = g->w.config->window.assigner.is_merging ? add_merging(g, row, hash, k, timestamp)
                                                         : add_to_each(g, row, hash, k, timestamp);
    if (!taken && by_event_time && !fl__operator_failed(op))
        fl__window_nowhere(&g->w, batch, i, g->time[FL__EVENT_TIME]);
    return !fl__operator_failed(op);
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    fl__window_general *g = fl__window_general_of(op);
    const bool by_event_time = g->domain == FL__EVENT_TIME;
    (void)input;
    fl_assert(batch->count == 0 || fl__batch_has(batch, FL__COLUMN_HASH));
    const fl_time *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const uint64_t *hashes = fl__batch_hashes(batch);
    fl_time now = fl__operator_now(op);
    if (now <= g->time[FL__PROCESSING_TIME])
        now = g->time[FL__PROCESSING_TIME] + 1; /* the clock was set back: time goes on from where it was */
    const bool large = is_large(g);
    char *candidates[2][FL__TABLE_BLOCK];
    look_ahead(g, hashes, block_size(batch, 0), batch->count, large, candidates[0]);
    for (uint32_t block = 0; block < batch->count; block += FL__TABLE_BLOCK) {
        const uint32_t n = block_size(batch, block), next = block + n;
        char **entries = candidates[block / FL__TABLE_BLOCK % 2];
        if (large)
            fetch_windows(g, entries, n);
        if (next < batch->count)
            look_ahead(g, hashes + next, block_size(batch, next), batch->count - next, large,
                candidates[next / FL__TABLE_BLOCK % 2]);
        for (uint32_t i = block; i < block + n; i++) {
            fl_time timestamp = timestamps ? timestamps[i] : FL_NO_TIMESTAMP;
            if (by_event_time && timestamp == FL_NO_TIMESTAMP)
                return fl__window_no_timestamp(op);
            if (g->extend && entries[i - block] &&
                g->extend(g, entries[i - block], fl__batch_row(batch, i), timestamp, by_event_time ? timestamp : now))
                continue;
            if (!process_row(g, batch, i, timestamp, now))
                return FL_ERROR_USER;
        }
    }
    sweep(g);
    fl__window_general_set_timer(g);
    return fl__operator_failed(op) ? FL_ERROR_USER : FL_OK;
}

/* ---- time ---- */

static fl_status on_watermark(fl__operator *op, fl_time watermark)
{
    fl__window_general *g = fl__window_general_of(op);
    if (watermark < g->time[FL__EVENT_TIME]) { /* restored: time was further, for triggers too */
        op->ctx.watermark = g->time[FL__EVENT_TIME];
        return FL_OK;
    }
    g->time[FL__EVENT_TIME] = watermark;
    fl_status status = fire(g, FL__EVENT_TIME);
    fl__window_general_set_timer(g);
    return status;
}

static fl_status on_timers(fl__operator *op, fl_time now)
{
    fl__window_general *g = fl__window_general_of(op);
    if (now > FL_TIME_MIN && now - 1 > g->time[FL__PROCESSING_TIME])
        g->time[FL__PROCESSING_TIME] = now - 1;
    fl_status status = fire(g, FL__PROCESSING_TIME);
    fl__window_general_set_timer(g);
    return status;
}

/* ---- BATCH mode: a key at a time ---- */

/* What the key's end left: windows that never end, lists of what was evicted, states. */
static void forget_key(fl__window_general *g)
{
    fl__window_operator *w = &g->w;
    if (fl__heap_live(g->pane.heap)) {
        fl__heap_free_all(g->pane.heap);
        g->pane.heap = fl__heap_new(&w->op.memory);
    }
    if (g->keys.count)
        fl__table_clear(&g->keys);
    g->window_count = g->timer_count = 0;
    g->empty_keys = 0;
    g->free_window = g->free_timer = FL__NO_REF;
    for (unsigned domain = 0; domain < 2; domain++) {
        g->live_timers[domain] = 0;
        g->time[domain] = FL_TIME_MIN;
        fl__window_queue_clear(&g->queue[domain]);
    }
    if (w->keyed)
        fl__keyed_clear(w->keyed, &w->op.ctx);
    if (w->window_keyed)
        fl__keyed_clear(w->window_keyed, &w->window_ctx);
}

/* Both kinds of time end; triggers register nothing more (Flink's BatchExecutionInternalTimeService). */
static fl_status end_key(fl__operator *op)
{
    fl__window_general *g = fl__window_general_of(op);
    g->is_quiet = true;
    op->ctx.watermark = FL_TIME_MAX;
    g->time[FL__EVENT_TIME] = g->time[FL__PROCESSING_TIME] = FL_TIME_MAX;
    fl_status status = fire(g, FL__EVENT_TIME);
    if (status == FL_OK)
        status = fire(g, FL__PROCESSING_TIME);
    if (status == FL_AGAIN)
        return status;
    op->ctx.watermark = FL_TIME_MIN;
    g->is_quiet = false;
    forget_key(g);
    return status;
}

/* ---- life ---- */

static fl_status open_window_states(fl__window_general *g, fl_error *error)
{
    fl__window_operator *w = &g->w;
    fl__operator *op = &w->op;
    fl__key number;
    fl_status status = fl__key_init_whole(&number, FL_TYPE(int64_t), error);
    if (status != FL_OK)
        return status;
    fl__keyed_options options = {
        .memory = &op->memory,
        .key = &number,
        .states = w->config->window_states,
        .state_count = w->config->window_state_count,
        .max_parallelism = 1,
    };
    status = fl__keyed_new(&w->window_keyed, &options, error);
    if (status != FL_OK)
        return status;
    fl__function_init(&w->window_function, op->function.owner, op->function.fail);
    w->window_function.keyed = w->window_keyed;
    w->window_ctx = op->ctx;
    w->window_ctx.key = NULL;
    w->window_ctx.entry = NULL;
    w->window_ctx.function = &w->window_function;
    w->window_ctx.state_offsets = w->window_keyed->offsets;
    return FL_OK;
}

static void open_layout(fl__window_general *g)
{
    fl__window_operator *w = &g->w;
    fl__memory *memory = &w->op.memory;
    const fl__key *key = w->op.spec->key[0];
    bool evicts = w->config->window.evictor.kind != FL_EVICTOR_NONE, all = w->config->content == FL__WINDOW_ELEMENTS;
    w->function = evicts || all ? &fl__window_elements : &fl__window_incremental;
    w->keeps_timestamps = evicts;
    w->content_offset = (uint32_t)sizeof(fl__window_object);
    if (!all)
        fl__window_values_open(w);
    uint32_t content = evicts || all ? (uint32_t)sizeof(fl__window_list) : w->content_layout.row_size;
    g->trigger_offset = (w->content_offset + content + 7) & ~7u;
    g->trigger_size = g->is_implicit ? 0 : fl__window_trigger_layout(g);
    g->window_size = g->trigger_offset + g->trigger_size;
    g->merged_trigger = fl__alloc_zero(memory, g->trigger_size + (size_t)1);
    g->evicted_value = fl__alloc_zero(memory, w->content_layout.row_size + (size_t)1);
    g->first_offset = (key->size + 3) & ~3u;
    uint32_t entry_size = (g->first_offset + (uint32_t)sizeof(uint32_t) + 7) & ~7u;
    if (g->window_size <= INSIDE_MAX) {
        g->inside_offset = entry_size;
        entry_size += g->window_size;
    }
    fl__table_init(&g->keys, memory, key, entry_size, 0, 0, 0);
}

static fl_status open_operator(fl__operator *op, fl_error *error)
{
    fl__window_general *g = fl__window_general_of(op);
    fl_status status = fl__window_open(&g->w, error);
    if (status != FL_OK)
        return status;
    const fl__window_spec *spec = &g->w.config->window;
    bool is_global = spec->assigner.kind == FL_WINDOW_GLOBAL;
    g->domain = spec->assigner.is_processing_time || is_global ? FL__PROCESSING_TIME : FL__EVENT_TIME;
    g->trigger = fl__window_trigger(spec);
    g->is_implicit =
        g->trigger.layer_count == 0 && !is_global &&
        g->trigger.kind == (g->domain == FL__EVENT_TIME ? FL_TRIGGER_EVENT_TIME : FL_TRIGGER_PROCESSING_TIME);
    g->time[0] = g->time[1] = FL_TIME_MIN;
    g->at_hand = g->free_window = g->free_timer = FL__NO_REF;
    g->windows.g = g;
    for (unsigned domain = 0; domain < 2; domain++)
        fl__window_queue_init(&g->queue[domain], &op->memory);
    g->pane.heap = fl__heap_new(&op->memory);
    if (spec->assigner.kind == FL_WINDOW_TUMBLING || spec->assigner.kind == FL_WINDOW_SLIDING)
        fl__window_grid_init(&g->w.grid, &spec->assigner);
    open_layout(g);
    g->extend = fl__window_session_extend(g);
    return g->w.config->window_state_count ? open_window_states(g, error) : FL_OK;
}

static void close_operator(fl__operator *op)
{
    fl__window_general *g = fl__window_general_of(op);
    fl__memory *memory = &op->memory;
    if (!g->w.config)
        return;
    if (g->pane.heap) {
        fl__heap_free_all(g->pane.heap);
        fl__table_release(&g->keys);
        fl__free(memory, g->merged_trigger, g->trigger_size + (size_t)1);
        fl__free(memory, g->evicted_value, g->w.content_layout.row_size + (size_t)1);
        for (unsigned domain = 0; domain < 2; domain++)
            fl__window_queue_release(&g->queue[domain]);
    }
    for (uint32_t i = 0; i < g->chunk_count; i++)
        fl__free(memory, g->chunks[i], chunk_bytes(g));
    fl__free(memory, g->chunks, g->chunk_capacity * sizeof *g->chunks);
    fl__free(memory, g->timers, g->timer_capacity * sizeof *g->timers);
    fl__free(memory, g->windows.ranges, g->windows.capacity * sizeof *g->windows.ranges);
    fl__free(memory, g->merged, g->merged_capacity * sizeof *g->merged);
    fl__free(memory, g->merged_states, g->merged_capacity * sizeof *g->merged_states);
    fl__free(memory, g->evict, g->evict_capacity * sizeof *g->evict);
    fl__keyed_free(g->w.window_keyed);
    fl__function_release(&g->w.window_function);
    fl__window_close(&g->w);
}

const fl__operator_class fl__window_general_class = {
    .kind = "Window",
    .size = sizeof(fl__window_general),
    .is_keyed = true,
    .sets_timestamps = true,
    .open = open_operator,
    .process = process,
    .watermark = on_watermark,
    .timers = on_timers,
    .close = close_operator,
    .end_key = end_key,
    .snapshot = fl__window_general_snapshot,
    .restore = fl__window_general_restore,
    .holds_rows = true,
};

/* Which of the two? */
const fl__operator_class *fl__window_class_for(const fl__window_config *config)
{
    const fl__window_spec *spec = &config->window;
    fl_trigger trigger = fl__window_trigger(spec);
    bool is_aligned = spec->assigner.kind == FL_WINDOW_TUMBLING || spec->assigner.kind == FL_WINDOW_SLIDING;
    bool is_plain =
        trigger.layer_count == 0 && spec->evictor.kind == FL_EVICTOR_NONE &&
        trigger.kind == (spec->assigner.is_processing_time ? FL_TRIGGER_PROCESSING_TIME : FL_TRIGGER_EVENT_TIME);
    bool needs_objects = config->window_state_count || config->clear || config->never_aligned;
    return is_aligned && is_plain && !needs_objects ? &fl__window_class : &fl__window_general_class;
}

fl_context *fl_window_state(fl_context *ctx)
{
    fl__operator *op = fl__operator_of(ctx);
    if (op->class == &fl__window_general_class && fl__window_of(op)->window_keyed)
        return &fl__window_of(op)->window_ctx;
    fl_fail(ctx,
        "fl_window_state: %s has no states by window; name them in .window_states of fl_window_process, "
        "fl_window_apply, fl_aggregate_with or fl_reduce_with",
        op->spec->name);
    return ctx;
}
