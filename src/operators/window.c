/* Windows made of panes: which windows a record belongs to, whether it is late, when windows fire and when they are
 * dropped; and what the general path (window_general.c) shares with them. The semantics are those of Flink's
 * WindowOperator with its default triggers; docs/design/windows.md has them as a table. */
#include "operators/window_internal.h"

enum {
    FREE_PANES_MAX = 4,    /* tables kept for reuse: firing drops one or two at a time, a jump of time many */
    LARGE_INDEX = 1 << 16, /* slots from which on a table that stayed nearly empty is given back */
    ROWS_PER_CHECK = 32,   /* results between two looks at whether the output is blocked */
};

/* ---- the grid ---- */

static int64_t floor_div(__int128 a, int64_t b)
{
    if (a >= INT64_MIN && a <= INT64_MAX) { /* nearly always: the 128-bit division is a call */
        int64_t n = (int64_t)a, q = n / b;
        return q - (n % b < 0);
    }
    __int128 q = a / b;
    return fl__saturate(q - (a % b < 0));
}

void fl__window_grid_init(fl__window_grid *grid, const fl_window_assigner *assigner)
{
    int64_t slide = assigner->slide.ms, size = assigner->size.ms;
    fl_assert(size > 0 && slide > 0);
    int64_t offset = assigner->offset.ms % slide;
    *grid = (fl__window_grid){
        .size = size,
        .slide = slide,
        .offset = offset < 0 ? offset + slide : offset,
        .rest = size % slide,
    };
    grid->panes_per_slide = grid->rest ? 2 : 1;
    grid->panes_per_window = size / slide * grid->panes_per_slide + (grid->rest ? 1 : 0);
}

static __int128 window_start(const fl__window_grid *grid, int64_t window)
{
    return (__int128)window * grid->slide + grid->offset;
}

/* maxTimestamp: end - 1. Near the end of time it saturates, so that the end of input fires all windows. */
static fl_time window_max(const fl__window_grid *grid, int64_t window)
{
    return fl__saturate(window_start(grid, window) + grid->size - 1);
}

static fl_window_range window_range(const fl__window_grid *grid, int64_t window)
{
    __int128 start = window_start(grid, window);
    return (fl_window_range){ fl__saturate(start), fl__saturate(start + grid->size) };
}

/* Until when late records still count: watermarks before this one. */
static fl_time window_cleanup(const fl__window_operator *w, int64_t window)
{
    return fl__saturating_add(window_max(&w->grid, window), w->allowed_lateness);
}

static int64_t pane_first_window(const fl__window_grid *grid, int64_t pane)
{
    return fl__saturating_add(pane, grid->panes_per_slide - grid->panes_per_window) >> (grid->panes_per_slide - 1);
}
static int64_t pane_last_window(const fl__window_grid *grid, int64_t pane)
{
    return pane >> (grid->panes_per_slide - 1);
}
static int64_t window_first_pane(const fl__window_grid *grid, int64_t window)
{
    return fl__saturate((__int128)window * grid->panes_per_slide);
}
static int64_t window_last_pane(const fl__window_grid *grid, int64_t window)
{
    return fl__saturating_add(window_first_pane(grid, window), grid->panes_per_window - 1);
}

/* The pane of a timestamp and the windows with it. */
static fl__window_run locate(const fl__window_grid *grid, fl_time timestamp)
{
    int64_t slide = floor_div((__int128)timestamp - grid->offset, grid->slide);
    __int128 low = window_start(grid, slide), high = low + grid->slide;
    int64_t pane = slide;
    if (grid->rest) {
        bool second = timestamp >= low + grid->rest;
        pane = slide * 2 + second;
        if (second)
            low += grid->rest;
        else
            high = low + grid->rest;
    }
    if (low <= FL_NO_TIMESTAMP)
        low = (__int128)FL_NO_TIMESTAMP + 1; /* is no time: it must not be taken for one by a run */
    if (high > (__int128)INT64_MAX + 1)
        high = (__int128)INT64_MAX + 1;
    return (fl__window_run){
        .low = (fl_time)low,
        .span = (uint64_t)(high - low),
        .pane = pane,
        .first_window = pane_first_window(grid, pane),
        .last_window = pane_last_window(grid, pane),
    };
}

static inline bool in_run(const fl__window_run *run, fl_time timestamp)
{
    return (uint64_t)timestamp - (uint64_t)run->low < run->span;
}

size_t fl__window_grid_assign(const fl__window_grid *grid, fl_time timestamp, fl_window_range *windows, size_t max)
{
    fl__window_run run = locate(grid, timestamp);
    size_t count = 0;
    for (int64_t n = run.last_window; n >= run.first_window; n--, count++) {
        if (count < max)
            windows[count] = window_range(grid, n);
    }
    return count;
}

size_t fl__window_assign(const fl_window_assigner *assigner, fl_time timestamp, fl_window_range *windows, size_t max)
{
    fl__window_grid grid;
    fl__window_grid_init(&grid, assigner);
    return fl__window_grid_assign(&grid, timestamp, windows, max);
}

/* ---- panes ---- */

/* Position of the first live pane with at least this number. */
static size_t lower_bound(const fl__window_operator *w, int64_t number)
{
    size_t from = 0, to = w->pane_count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (w->panes[middle]->number < number)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static fl__window_pane *find_pane(const fl__window_operator *w, int64_t number)
{
    size_t i = lower_bound(w, number);
    return i < w->pane_count && w->panes[i]->number == number ? w->panes[i] : NULL;
}

static fl__window_pane *take_pane(fl__window_operator *w)
{
    fl__memory *memory = &w->op.memory;
    fl__window_pane *pane = w->free;
    if (pane) {
        w->free = pane->next_free;
        w->free_count--;
    } else {
        pane = fl__alloc_zero(memory, sizeof *pane);
        fl__table_init(&pane->table, memory, w->op.spec->key[0], w->entry_size, w->key_offset, 0, w->expected);
    }
    if (w->owns_pieces && !pane->table.heap && !pane->heap)
        pane->heap = fl__heap_new(memory);
    return pane;
}

static void release_pane(fl__window_operator *w, fl__window_pane *pane)
{
    fl__table_release(&pane->table);
    if (pane->heap)
        fl__heap_free_all(pane->heap);
    fl__free(&w->op.memory, pane, sizeof *pane);
}

static void give_pane(fl__window_operator *w, fl__window_pane *pane)
{
    uint64_t slots = pane->table.mask + 1;
    w->expected = pane->table.count;
    if (w->free_count >= FREE_PANES_MAX || (slots > LARGE_INDEX && pane->table.count < slots / 16)) {
        release_pane(w, pane);
        return;
    }
    fl__table_clear(&pane->table);
    if (pane->heap) {
        fl__heap_free_all(pane->heap);
        pane->heap = NULL;
    }
    pane->next_free = w->free;
    w->free = pane;
    w->free_count++;
}

fl__window_pane *fl__window_get_pane(fl__window_operator *w, int64_t number)
{
    size_t i = lower_bound(w, number);
    if (i < w->pane_count && w->panes[i]->number == number)
        return w->panes[i];
    if (w->pane_count == w->pane_capacity) {
        size_t capacity = w->pane_capacity ? w->pane_capacity * 2 : 8;
        w->panes =
            fl__realloc(&w->op.memory, w->panes, w->pane_capacity * sizeof *w->panes, capacity * sizeof *w->panes);
        w->pane_capacity = capacity;
    }
    memmove(&w->panes[i + 1], &w->panes[i], (w->pane_count - i) * sizeof *w->panes);
    w->pane_count++;
    fl__window_pane *pane = w->panes[i] = take_pane(w);
    pane->number = number;
    return pane;
}

/* Drops what no window that still counts can need. */
static void clean_up(fl__window_operator *w)
{
    size_t n = 0;
    while (n < w->pane_count) {
        int64_t number = w->panes[n]->number;
        if (window_cleanup(w, w->is_combining ? pane_last_window(&w->grid, number) : number) > w->time)
            break;
        give_pane(w, w->panes[n++]);
    }
    w->pane_count -= n;
    if (n)
        memmove(w->panes, w->panes + n, w->pane_count * sizeof *w->panes);
}

/* ---- results ---- */

void fl__window_pass_on(fl__window_operator *w, const void *rows, size_t count, uint32_t row_size, const void *key)
{
    fl__operator *op = &w->op;
    op->out.collector.timestamp = w->max_timestamp;
    if (!op->spec->function) {
        fl_collect_row(&op->out.collector, rows);
        return;
    }
    fl_elements elements = { rows, count, row_size };
    op->ctx.key = key;
    if (w->keyed)
        fl__keyed_set_key(w->keyed, &op->ctx, fl__key_hash(op->spec->key[0], key), key);
    if (w->window_keyed)
        fl__keyed_set_key(w->window_keyed, &w->window_ctx, fl__key_hash_u64(&w->window_number), &w->window_number);
    op->spec->function(&elements, &op->out.collector, &op->ctx);
    if (w->window_keyed)
        fl__keyed_end_call(w->window_keyed, &w->window_ctx);
    if (w->keyed)
        fl__keyed_end_call(w->keyed, &op->ctx);
    w->window_ctx.key = NULL;
    op->ctx.key = NULL;
    op->ctx.entry = NULL;
}

static void set_window(fl__window_operator *w, int64_t number)
{
    w->range = window_range(&w->grid, number);
    w->max_timestamp = window_max(&w->grid, number);
    w->op.ctx.timestamp = w->max_timestamp;
}

/* The result of one key of a window that has fired already: a late record updates it. */
static void fire_key(fl__window_operator *w, int64_t number, uint64_t hash, const void *key)
{
    set_window(w, number);
    if (!w->is_combining) {
        w->function->emit(w, fl__table_find(&find_pane(w, number)->table, hash, key));
        return;
    }
    bool any = false;
    int64_t last = window_last_pane(&w->grid, number);
    for (size_t i = lower_bound(w, window_first_pane(&w->grid, number));
         i < w->pane_count && w->panes[i]->number <= last; i++) {
        const char *entry = fl__table_find(&w->panes[i]->table, hash, key);
        if (entry && any)
            w->function->combine(w, w->late_entry, entry);
        else if (entry)
            memcpy(w->late_entry, entry, w->entry_size);
        any |= entry != NULL;
    }
    fl_assert(any);
    w->function->emit(w, w->late_entry);
}

/* The contents of a window made of several panes, earlier ones first. Entries borrow from the panes. */
static fl__window_pane *combine(fl__window_operator *w, size_t from, size_t to)
{
    if (to - from == 1)
        return w->panes[from];
    if (!w->combined)
        w->combined = take_pane(w);
    fl__table *all = &w->combined->table;
    fl__table_clear(all);
    for (size_t i = from; i < to; i++) {
        const fl__table *table = &w->panes[i]->table;
        uint64_t cursor = 0;
        for (const char *entry; (entry = fl__table_next(table, &cursor)) != NULL;) {
            const char *key = entry + w->key_offset;
            bool is_new;
            char *sum = fl__table_get(all, fl__key_hash(&table->key, key), key, &is_new);
            if (is_new)
                memcpy(sum, entry, w->entry_size);
            else
                w->function->combine(w, sum, entry);
        }
    }
    return w->combined;
}

/* The next window to fire at w->time: false when there is none. Windows without records do not fire. */
static bool begin_firing(fl__window_operator *w)
{
    const fl__window_grid *grid = &w->grid;
    int64_t number = w->next_window;
    size_t i = lower_bound(w, w->is_combining ? window_first_pane(grid, number) : number);
    if (i == w->pane_count)
        return false;
    int64_t pane = w->panes[i]->number;
    if (!w->is_combining)
        number = pane;
    else if (pane > window_last_pane(grid, number))
        number = pane_first_window(grid, pane);
    if (window_max(grid, number) > w->time)
        return false;
    if (w->is_combining) {
        int64_t last = window_last_pane(grid, number);
        w->contents = combine(w, i, last == INT64_MAX ? w->pane_count : lower_bound(w, last + 1));
    } else {
        w->contents = w->panes[i];
    }
    set_window(w, number);
    w->firing = number;
    w->cursor = 0;
    w->is_firing = true;
    return true;
}

/* Fires all windows with maxTimestamp ≤ w->time that have not fired, earliest first, then drops what is over. */
static fl_status fire(fl__window_operator *w)
{
    fl__operator *op = &w->op;
    w->run.span = 0;
    while (w->is_firing || begin_firing(w)) {
        op->ctx.timestamp = w->max_timestamp; /* after FL_AGAIN too */
        for (uint32_t n = 0;; n++) {
            if (n % ROWS_PER_CHECK == 0) {
                if (fl__operator_failed(op))
                    return FL_ERROR_USER;
                if (fl__output_blocked(op))
                    return FL_AGAIN;
            }
            const char *entry = fl__table_next(&w->contents->table, &w->cursor);
            if (!entry)
                break;
            w->function->emit(w, entry);
        }
        w->is_firing = false;
        w->next_window = fl__saturating_add(w->firing, 1);
    }
    /* The first window with maxTimestamp > time: those before fire with each late record from now on. */
    int64_t next =
        fl__saturating_add(floor_div((__int128)w->time - w->grid.offset - w->grid.size + 1, w->grid.slide), 1);
    if (next > w->next_window)
        w->next_window = next;
    clean_up(w);
    return fl__operator_failed(op) ? FL_ERROR_USER : FL_OK;
}

/* ---- records ---- */

/* Rows of windows that have not fired. */
static void add_open(fl__window_operator *w, const fl__batch *batch, uint32_t from, uint32_t to)
{
    fl__window_run *run = &w->run;
    if (w->is_combining) {
        if (!run->table)
            run->table = fl__window_get_pane(w, run->pane);
        w->function->add(w, run->table, batch, from, to);
        return;
    }
    for (int64_t number = run->last_window; number >= run->first_window; number--)
        w->function->add(w, fl__window_get_pane(w, number), batch, from, to);
}

void fl__window_nowhere(fl__window_operator *w, const fl__batch *batch, uint32_t i, fl_time watermark)
{
    fl_time timestamp = fl__batch_timestamps(batch)[i];
    if (fl__saturating_add(timestamp, w->allowed_lateness) > watermark)
        return;
    const fl_tag *tag = w->config->window.late;
    if (!tag) {
        w->late_dropped->value++;
        return;
    }
    fl__output *side = fl__operator_side(&w->op, tag);
    if (side)
        fl__emit(side, fl__batch_row(batch, i), timestamp);
}

/* A row that is too late for at least one of its windows, or in none. */
static void add_late(fl__window_operator *w, const fl__batch *batch, uint32_t i)
{
    const fl__window_run *run = &w->run;
    if (run->first_window > run->last_window || window_cleanup(w, run->last_window) <= w->time) {
        fl__window_nowhere(w, batch, i, w->time);
        return;
    }
    if (w->is_combining)
        w->function->add(w, fl__window_get_pane(w, run->pane), batch, i, i + 1);
    const fl__key *key = w->op.spec->key[0];
    for (int64_t number = run->last_window; number >= run->first_window; number--) {
        if (window_cleanup(w, number) <= w->time)
            break; /* and so are the earlier ones */
        if (!w->is_combining)
            w->function->add(w, fl__window_get_pane(w, number), batch, i, i + 1);
        if (window_max(&w->grid, number) <= w->time)
            fire_key(w, number, fl__batch_hashes(batch)[i], fl__key_of(key, fl__batch_row(batch, i), w->key_scratch));
    }
}

static void set_run(fl__window_operator *w, fl_time timestamp)
{
    w->run = locate(&w->grid, timestamp);
    w->run.is_open = w->run.first_window <= w->run.last_window && window_max(&w->grid, w->run.first_window) > w->time;
}

fl_status fl__window_no_timestamp(fl__operator *op)
{
    return fl__operator_fail(op, FL_ERROR_INVALID,
        "%s works in event time, but a record has no timestamp. Assign timestamps before fl_window, for instance with "
        "fl_watermarks(stream, fl_bounded_out_of_orderness(fl_seconds(2)), .timestamp = \"at\"), or use a "
        "processing-time window.",
        op->spec->name);
}

static fl_status process_event_time(fl__window_operator *w, const fl__batch *batch)
{
    if (!fl__batch_has(batch, FL__COLUMN_TIMESTAMP))
        return batch->count ? fl__window_no_timestamp(&w->op) : FL_OK;
    const fl_time *timestamps = fl__batch_timestamps(batch);
    for (uint32_t from = 0, to; from < batch->count; from = to) {
        if (!in_run(&w->run, timestamps[from])) {
            if (timestamps[from] == FL_NO_TIMESTAMP)
                return fl__window_no_timestamp(&w->op);
            set_run(w, timestamps[from]);
        }
        for (to = from + 1; to < batch->count && in_run(&w->run, timestamps[to]);)
            to++;
        if (w->run.is_open) {
            add_open(w, batch, from, to);
        } else {
            for (uint32_t i = from; i < to; i++)
                add_late(w, batch, i);
        }
    }
    return FL_OK;
}

/* Sets the timer for the end of the first window with records: as in Flink a window fires when the clock is past its
 * maxTimestamp. */
void fl__window_set_timer(fl__window_operator *w)
{
    if (w->op.task->is_batch)
        return; /* everything fires at the end */
    fl_time next = FL_TIME_MAX;
    if (w->pane_count) {
        int64_t number = w->panes[0]->number;
        if (w->is_combining) {
            number = pane_first_window(&w->grid, number);
            if (number < w->next_window)
                number = w->next_window;
        }
        next = fl__saturating_add(window_max(&w->grid, number), 1);
    }
    if (next != w->op.next_timer)
        fl__operator_set_timer(&w->op, next);
}

static fl_status process_processing_time(fl__window_operator *w, const fl__batch *batch)
{
    fl_time now = fl__operator_now(&w->op);
    if (now <= w->time)
        now = fl__saturating_add(w->time, 1); /* the clock was set back: time goes on from where it was */
    if (!in_run(&w->run, now))
        set_run(w, now);
    if (w->run.is_open && batch->count) {
        add_open(w, batch, 0, batch->count);
        fl__window_set_timer(w);
    }
    return FL_OK;
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    fl__window_operator *w = fl__window_of(op);
    (void)input;
    fl_assert(batch->count == 0 || fl__batch_has(batch, FL__COLUMN_HASH));
    fl_status status = w->is_processing_time ? process_processing_time(w, batch) : process_event_time(w, batch);
    w->order += batch->count;
    return status != FL_OK ? status : fl__operator_failed(op) ? FL_ERROR_USER : FL_OK;
}

static fl_status on_watermark(fl__operator *op, fl_time watermark)
{
    fl__window_operator *w = fl__window_of(op);
    bool is_end = watermark == FL_TIME_MAX && op->task->is_batch;
    if (w->is_processing_time && !is_end)
        return FL_OK; /* pending windows do not fire at the end of input, as in Flink; in BATCH mode they do, as there
                       */
    if (watermark < w->time)
        return FL_OK; /* restored: time was further */
    w->time = watermark;
    return fire(w);
}

static fl_status on_timers(fl__operator *op, fl_time now)
{
    fl__window_operator *w = fl__window_of(op);
    if (!w->is_processing_time)
        return FL_OK;
    if (now > w->time && now > FL_TIME_MIN)
        w->time = now - 1 > w->time ? now - 1 : w->time;
    fl_status status = fire(w);
    if (status == FL_OK)
        fl__window_set_timer(w);
    return status;
}

/* ---- life ---- */

/* Sliding windows: is a table per pane, combined when a window fires, cheaper than adding each record to each of its
 * windows? A record costs one probe instead of size/slide; a window then one merge per pane and key instead of none.
 * Paired panes are at most 2·size/slide + 1, so that combining pays whenever a key has more than a record or two a
 * pane. */
static bool shall_combine(const fl__window_config *config, const fl_aggregate_fn *aggregate)
{
    if (config->never_combine)
        return false;
    return config->content == FL__WINDOW_ROLLING || (config->content == FL__WINDOW_AGGREGATE && aggregate->merge);
}

static fl_status open_states(fl__window_operator *w, fl_error *error)
{
    fl__operator *op = &w->op;
    fl__keyed_options options = {
        .memory = &op->memory,
        .key = op->spec->key[0],
        .states = op->spec->states,
        .state_count = op->spec->state_count,
        .max_parallelism = fl__operator_key_groups(op),
    };
    fl_status status = fl__keyed_new(&w->keyed, &options, error);
    if (status == FL_OK) {
        op->function.keyed = w->keyed;
        op->ctx.state_offsets = w->keyed->offsets;
    }
    return status;
}

fl_status fl__window_open(fl__window_operator *w, fl_error *error)
{
    fl__operator *op = &w->op;
    w->config = op->spec->config;
    w->is_processing_time = w->config->window.assigner.is_processing_time;
    w->allowed_lateness = w->is_processing_time ? 0 : w->config->window.allowed_lateness;
    w->late_dropped = fl_metric_counter(&op->ctx, "numLateRecordsDropped");
    op->next_timer = FL_TIME_MAX;
    fl__layout_init(&w->row_layout, op->spec->in[0]);
    w->key_scratch = fl__alloc_zero(&op->memory, op->spec->key[0]->size);
    return op->spec->state_count ? open_states(w, error) : FL_OK;
}

void fl__window_close(fl__window_operator *w)
{
    fl__operator *op = &w->op;
    op->function.keyed = NULL;
    op->ctx.state_offsets = NULL;
    fl__keyed_free(w->keyed);
    fl__free(&op->memory, w->key_scratch, op->spec->key[0]->size);
    fl__free(&op->memory, w->content_scratch, w->content_layout.row_size);
    fl__free(&op->memory, w->result, w->result_size);
    w->config = NULL;
}

static fl_status open_operator(fl__operator *op, fl_error *error)
{
    fl__window_operator *w = fl__window_of(op);
    fl_status status = fl__window_open(w, error);
    if (status != FL_OK)
        return status;
    fl__window_grid_init(&w->grid, &w->config->window.assigner);
    /* with one pane a window there is nothing to combine: the pane is the window */
    w->is_combining = w->grid.panes_per_window == 1 || shall_combine(w->config, op->spec->aggregate);
    w->function = w->config->content == FL__WINDOW_ELEMENTS ? &fl__window_elements : &fl__window_incremental;
    w->time = FL_TIME_MIN;
    w->next_window = INT64_MIN;
    w->function->open(w);
    w->late_entry = fl__alloc_zero(&op->memory, w->entry_size);
    return FL_OK;
}

static void close_operator(fl__operator *op)
{
    fl__window_operator *w = fl__window_of(op);
    if (!w->config)
        return;
    for (size_t i = 0; i < w->pane_count; i++)
        release_pane(w, w->panes[i]);
    for (fl__window_pane *pane = w->free, *next; pane; pane = next) {
        next = pane->next_free;
        release_pane(w, pane);
    }
    if (w->combined)
        release_pane(w, w->combined);
    fl__free(&op->memory, w->panes, w->pane_capacity * sizeof *w->panes);
    if (w->late_entry)
        fl__free(&op->memory, w->late_entry, w->entry_size);
    fl__window_close(w);
}

uint64_t fl__window_late_dropped(const fl__operator *op)
{
    return (uint64_t)((const fl__window_operator *)op)->late_dropped->value;
}

const fl__operator_class fl__window_class = {
    .kind = "Window",
    .size = sizeof(fl__window_operator),
    .is_keyed = true,
    .sets_timestamps = true,
    .open = open_operator,
    .process = process,
    .watermark = on_watermark,
    .timers = on_timers,
    .close = close_operator,
    .snapshot = fl__window_snapshot,
    .restore = fl__window_restore,
    .holds_rows = true,
    .spills_by_time = true,
};

fl_window_range fl_current_window(const fl_context *ctx)
{
    fl__operator *op = fl__operator_of(ctx);
    if (op->class == &fl__window_class || op->class == &fl__window_general_class)
        return fl__window_of(op)->range;
    fl_fail(&op->ctx, "fl_current_window was called outside of a window function");
    return (fl_window_range){ FL_TIME_MIN, FL_TIME_MAX };
}
