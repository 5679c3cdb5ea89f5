/* The aggregations of keyed streams in BATCH mode: one result per key, when the input has ended (Flink's
 * BatchGroupedReduceOperator). Three classes, made from rolling.c's parts:
 *
 *   hashed    rows in any order, a table entry per key. When the table has used up its memory it takes no more keys:
 *             rows of those that it lacks go to a sorter, as they are, and are aggregated key by key after the rest.
 *             So each key's rows are combined in order of arrival whatever the memory, and a fold, whose partial
 *             results cannot be combined, spills like a sum. What comes often comes early, and stays in the table.
 *   sorted    rows key by key, in order of timestamp: for functions to whom the order matters, on streams with time
 *   combiner  before the keyed exchange, in the sender's chain: aggregates what it sees, so that a row per key and
 *             sender is exchanged instead of all. Only where partial results are of the rows' own type and combine as
 *             rows do: reduce (associative by its contract), sum, min, max. Full, it emits everything and begins anew;
 *             when few rows meet an entry it lets them pass. */
#include "operators/rolling_internal.h"

#include "stream/sorter.h"

enum {
    ROWS_PER_CHECK = 32, /* results between two looks at whether the output is blocked */
    ROWS_PER_CALL = 256, /* results and rows of the sorter: then the task looks after itself, for it may be cancelled */
    TRIAL_ROWS = 1 << 17,   /* after so many rows a combiner asks itself whether it is of use */
    ENTRY_OVERHEAD = 16,    /* bytes of index an entry, about */
    HASHES_AT_A_TIME = 512, /* the combiner hashes so many rows before it looks them up */
};

typedef struct final_operator {
    fl__rolling_operator rolling;
    bool is_fold;
    bool is_passing; /* combiner: of no use here */
    bool is_full;    /* no more keys: `later` takes their rows */
    fl__sorter *later;
    bool is_later;   /* the table is emitted, `later` is at work */
    uint64_t cursor; /* emitting: into the table */
    uint64_t trial;  /* combiner: rows so far, until it is decided */
} final_operator;

/* How a row changes its key's value; a constant in the loops. */
typedef enum combining { BY_SUM64, BY_FIELD, BY_ROW, BY_USER } combining;

static combining combining_of(const fl__rolling_operator *self)
{
    return self->is_sum64 ? BY_SUM64 : self->combine ? BY_FIELD : self->op.spec->reduce ? BY_USER : BY_ROW;
}

static fl_status open(fl__operator *op, fl_error *error)
{
    final_operator *self = (final_operator *)op;
    const fl__rolling_config *config = op->spec->config;
    self->is_fold = config && config->initial;
    return fl__rolling_open(op, error);
}

static void close(fl__operator *op)
{
    final_operator *self = (final_operator *)op;
    fl__sorter_free(self->later);
    self->later = NULL;
    fl__rolling_close(op);
}

static void fail_later(final_operator *self)
{
    const fl_error *error = fl__sorter_error(self->later);
    if (error->status != FL_OK)
        fl__operator_fail(&self->rolling.op, error->status, "%s", error->text);
}

/* Half of the operator's memory is the table's, half the sorter's. */
static bool is_over_budget(final_operator *self)
{
    fl__operator *op = &self->rolling.op;
    return fl__memory_used(&op->memory) > op->task->batch_memory / 2;
}

static void stop_growing(final_operator *self, const fl__batch *batch)
{
    fl__operator *op = &self->rolling.op;
    self->is_full = true;
    self->later = fl__sorter_new(&(fl__sorter_options){
        .spill = op->task->spill,
        .memory = op->task->memory,
        .type = op->spec->in[0],
        .key = op->spec->key[0],
        .has_timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP),
        .segment_size = op->task->inputs[0].channels[0]->segment_size,
        .bytes_max = op->task->batch_memory / 2,
    });
}

/* ---- rows ---- */

static inline __attribute__((always_inline)) void change(
    fl__rolling_operator *self, char *entry, const char *row, uint32_t field, combining how)
{
    char *value = entry + self->value_offset;
    if (how == BY_SUM64) {
        uint64_t a, b;
        memcpy(&a, value + field, 8);
        memcpy(&b, row + field, 8);
        a += b;
        memcpy(value + field, &a, 8);
    } else if (how == BY_FIELD) {
        self->combine(value + field, row + field);
    } else if (how == BY_ROW) {
        fl__rolling_replace(self, entry, row);
    } else {
        fl__rolling_call(self, value, row);
    }
}

/* A row whose candidate is not its entry. NULL: its key has none and gets none. */
static __attribute__((noinline)) char *find_or_start(
    final_operator *self, uint64_t hash, const void *key, const char *row, bool *started)
{
    fl__rolling_operator *rolling = &self->rolling;
    if (self->is_full) {
        char *entry = fl__table_find(&rolling->table, hash, key);
        if (!entry)
            fl__sorter_add(self->later, row, hash, rolling->op.ctx.timestamp);
        return entry;
    }
    char *entry = fl__table_get_class(&rolling->table, rolling->table.key.class, hash, key, started);
    if (*started)
        fl__rolling_start(
            rolling, entry, self->is_fold ? ((const fl__rolling_config *)rolling->op.spec->config)->initial : row);
    return entry;
}

/* Constants in the callers: class, key_in_row, how. */
static inline __attribute__((always_inline)) void absorb_rows(final_operator *self, const fl__batch *batch,
    uint32_t from, uint32_t count, const uint64_t *hashes, fl__key_class class, bool key_in_row, combining how)
{
    fl__rolling_operator *rolling = &self->rolling;
    fl__operator *op = &rolling->op;
    const fl__key *key = op->spec->key[0];
    fl__table *table = &rolling->table;
    const fl__rolling_config *config = op->spec->config;
    const bool *failed = &op->task->failed;
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) + from : NULL;
    const char *row = fl__batch_row(batch, from);
    uint32_t field = how == BY_SUM64 || how == BY_FIELD ? config->field_offset : 0, row_size = batch->row_size;
    char *candidates[FL__TABLE_BLOCK];
    for (uint32_t block = 0; block < count; block += FL__TABLE_BLOCK) {
        uint32_t n = count - block < FL__TABLE_BLOCK ? count - block : FL__TABLE_BLOCK;
        fl__table_candidates(table, hashes + block, n, count - block, fl__table_is_large(table), candidates);
        for (uint32_t i = 0; i < n; i++, row += row_size) {
            const void *k = key_in_row ? row + key->offset : fl__key_of(key, row, rolling->key_scratch);
            char *entry = candidates[i];
            bool started = false;
            if (how == BY_USER) {
                if (*failed)
                    return;
                op->ctx.key = k;
            }
            if (timestamps)
                op->ctx.timestamp = timestamps[block + i];
            if (FL_UNLIKELY(!entry || !fl__key_equal_class(key, class, entry + table->key_offset, k))) {
                entry = find_or_start(self, hashes[block + i], k, row, &started);
                if (!entry)
                    continue;
            }
            if (!started || (how == BY_USER && self->is_fold))
                change(rolling, entry, row, field, how);
        }
    }
    op->ctx.key = NULL;
}

static inline __attribute__((always_inline)) void absorb_class(final_operator *self, const fl__batch *batch,
    uint32_t from, uint32_t count, const uint64_t *hashes, fl__key_class class)
{
    combining how = combining_of(&self->rolling);
    if (how == BY_SUM64 && self->rolling.key_in_row)
        absorb_rows(self, batch, from, count, hashes, class, true, BY_SUM64);
    else
        absorb_rows(self, batch, from, count, hashes, class, false, how);
}

/* Rows [from, from + count) of the batch, whose hashes are given. */
static void absorb(final_operator *self, const fl__batch *batch, uint32_t from, uint32_t count, const uint64_t *hashes)
{
    switch (self->rolling.table.key.class) {
    case FL__KEY_U64: absorb_class(self, batch, from, count, hashes, FL__KEY_U64); break;
    case FL__KEY_U32: absorb_class(self, batch, from, count, hashes, FL__KEY_U32); break;
    case FL__KEY_STRING: absorb_class(self, batch, from, count, hashes, FL__KEY_STRING); break;
    case FL__KEY_GENERIC: absorb_class(self, batch, from, count, hashes, FL__KEY_GENERIC); break;
    }
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    final_operator *self = (final_operator *)op;
    op->ctx.timestamp = FL_NO_TIMESTAMP;
    absorb(self, batch, 0, batch->count, fl__batch_hashes(batch));
    if (self->is_full)
        fail_later(self);
    else if (FL_UNLIKELY(is_over_budget(self)))
        stop_growing(self, batch);
    return FL_OK;
}

/* A key at a time: the table has one entry. */
static fl_status process_key(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    op->ctx.timestamp = FL_NO_TIMESTAMP;
    absorb((final_operator *)op, batch, 0, batch->count, fl__batch_hashes(batch));
    return FL_OK;
}

/* ---- results ---- */

/* Emits the table from where it stopped. */
static fl_status emit_all(final_operator *self, fl_time timestamp, bool may_stop)
{
    fl__rolling_operator *rolling = &self->rolling;
    fl__operator *op = &rolling->op;
    for (uint32_t n = 0; !op->task->failed; n++) {
        if (may_stop && (n == ROWS_PER_CALL || (n % ROWS_PER_CHECK == 0 && fl__output_blocked(op))))
            return FL_AGAIN;
        const char *entry = fl__table_next(&rolling->table, &self->cursor);
        if (!entry)
            break;
        fl__emit(&op->out, entry + rolling->value_offset, timestamp);
    }
    return FL_OK;
}

static void clear(final_operator *self)
{
    fl__rolling_operator *rolling = &self->rolling;
    fl__table_clear(&rolling->table);
    self->cursor = 0;
    if (rolling->heap) {
        fl__heap_free_all(rolling->heap);
        rolling->heap = fl__heap_new(&rolling->op.memory);
    }
}

/* The sorter's next row; false: it belongs to another key than the table's entry, which is to be emitted first. */
static bool absorb_later(final_operator *self, const fl__sorted_row *next)
{
    fl__rolling_operator *rolling = &self->rolling;
    fl__operator *op = &rolling->op;
    const void *key = fl__key_of(op->spec->key[0], next->row, rolling->key_scratch);
    bool started = false;
    char *entry = fl__table_find(&rolling->table, next->hash, key);
    if (!entry && rolling->table.count)
        return false;
    op->ctx.key = key;
    op->ctx.timestamp = next->timestamp;
    if (!entry)
        entry = find_or_start(self, next->hash, key, next->row, &started);
    const fl__rolling_config *config = op->spec->config;
    if (!started || self->is_fold)
        change(rolling, entry, next->row, config ? config->field_offset : 0, combining_of(rolling));
    op->ctx.key = NULL;
    return true;
}

/* Rows of keys that found no room, key by key. */
static fl_status finish_later(final_operator *self)
{
    const fl__sorted_row *next;
    for (uint32_t n = 0; !self->rolling.op.task->failed && (next = fl__sorter_peek(self->later)) != NULL; n++) {
        if (n == ROWS_PER_CALL)
            return FL_AGAIN;
        if (absorb_later(self, next)) {
            fl__sorter_next(self->later);
            continue;
        }
        if (emit_all(self, FL_TIME_MAX, true) == FL_AGAIN)
            return FL_AGAIN;
        clear(self);
    }
    fail_later(self);
    return emit_all(self, FL_TIME_MAX, true);
}

/* The table was emitted: what follows needs a small one. */
static void begin_later(final_operator *self)
{
    fl__rolling_operator *rolling = &self->rolling;
    fl__table table = rolling->table;
    clear(self);
    fl__table_release(&rolling->table);
    fl__table_init(&rolling->table, &rolling->op.memory, &table.key, table.entry_size, table.key_offset,
        fl__operator_key_groups(&rolling->op), 0);
    self->is_later = true;
    self->is_full = false;
    fl__sorter_end(self->later);
}

/* As Flink's: what comes out has the time of the end. */
static fl_status finish(fl__operator *op)
{
    final_operator *self = (final_operator *)op;
    if (!self->is_later) {
        if (emit_all(self, FL_TIME_MAX, true) == FL_AGAIN)
            return FL_AGAIN;
        if (!self->later || op->task->failed)
            return FL_OK;
        begin_later(self);
    }
    return finish_later(self);
}

static fl_status end_key(fl__operator *op)
{
    final_operator *self = (final_operator *)op;
    fl_status status = emit_all(self, FL_TIME_MAX, true);
    if (status == FL_OK)
        clear(self);
    return status;
}

/* ---- the combiner ---- */

static int64_t held(const final_operator *self)
{
    const fl__table *table = &self->rolling.table;
    size_t bytes = table->count * (table->entry_size + ENTRY_OVERHEAD);
    bytes += table->heap ? fl__heap_live(table->heap) : 0;
    bytes += self->rolling.heap ? fl__heap_live(self->rolling.heap) : 0;
    return (int64_t)bytes;
}

static void give_all(final_operator *self)
{
    (void)emit_all(self, FL_NO_TIMESTAMP, false);
    clear(self);
}

/* More than three rows of four were the first of their key: that is work for nothing. */
static void try_out(final_operator *self, uint32_t rows)
{
    self->trial += rows;
    if (self->trial < TRIAL_ROWS)
        return;
    self->is_passing = self->rolling.table.count > self->trial / 4 * 3;
    self->trial = UINT64_MAX / 2;
    if (self->is_passing)
        give_all(self);
}

static void pass(final_operator *self, const fl__batch *batch)
{
    fl_collector *out = &self->rolling.op.out.collector;
    out->timestamp = FL_NO_TIMESTAMP;
    FL__FOR_ROWS(batch, row, i)
    fl_collect_row(out, row);
}

static fl_status combine(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    final_operator *self = (final_operator *)op;
    if (self->is_passing) {
        pass(self, batch);
        return FL_OK;
    }
    uint64_t hashes[HASHES_AT_A_TIME];
    for (uint32_t from = 0; from < batch->count; from += HASHES_AT_A_TIME) {
        uint32_t count = batch->count - from < HASHES_AT_A_TIME ? batch->count - from : HASHES_AT_A_TIME;
        fl__key_hash_rows(
            op->spec->key[0], fl__batch_row(batch, from), batch->row_size, count, hashes, self->rolling.key_scratch);
        absorb(self, batch, from, count, hashes);
    }
    if (held(self) > op->task->batch_memory)
        give_all(self);
    if (self->trial < TRIAL_ROWS)
        try_out(self, batch->count);
    return FL_OK;
}

static fl_status finish_combining(fl__operator *op)
{
    return emit_all((final_operator *)op, FL_NO_TIMESTAMP, true);
}

/* ---- classes ---- */

/* Does it matter in which order a key's rows come? Not when the field that is added up or compared is all there is
 * besides the key: other fields are the first row's. Without timestamps there is no order. */
static bool needs_order(const fl__operator_spec *spec)
{
    const fl__rolling_config *config = spec->config;
    if (!spec->has_timestamps)
        return false;
    return !config || !config->field || config->what > FL_MAX || !spec->key[0]->in_place || spec->out->field_count > 2;
}

#define SIZE .size = sizeof(final_operator), .open = open, .close = close
static const fl__operator_class combiner = {
    .kind = "Combine", SIZE, .process = combine, .finish = finish_combining, .is_combiner = true, .holds_rows = true
};
#define FINAL(k, c)                                                                                                    \
    {                                                                                                                  \
        .kind = k, SIZE, .is_keyed = true, .process = process, .finish = finish, .combiner = c, .holds_rows = true     \
    }
#define SORTED(k)                                                                                                      \
    {                                                                                                                  \
        .kind = k, SIZE, .is_keyed = true, .process = process_key, .end_key = end_key, .holds_rows = true              \
    }
static const fl__operator_class rolling_hashed = FINAL("Keyed Aggregation", &combiner);
static const fl__operator_class reduce_hashed = FINAL("Keyed Reduce", &combiner);
static const fl__operator_class fold_hashed = FINAL("Keyed Fold", NULL);
static const fl__operator_class rolling_sorted = SORTED("Keyed Aggregation");
static const fl__operator_class reduce_sorted = SORTED("Keyed Reduce");
static const fl__operator_class fold_sorted = SORTED("Keyed Fold");

const fl__batch_variants fl__rolling_batch = { &rolling_hashed, &rolling_sorted, needs_order };
const fl__batch_variants fl__reduce_batch = { &reduce_hashed, &reduce_sorted, needs_order };
const fl__batch_variants fl__fold_batch = { &fold_hashed, &fold_sorted, needs_order };
