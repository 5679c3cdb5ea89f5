/* Process functions with one and two inputs, keyed or not. A keyed one brings key, state and timers: for each record
 * the key is set (stores only), the function called, and what it changed settled. Keys are looked up by the first
 * access to state; when there are many, index and entry of the records ahead are prefetched by their hashes.
 *
 * Broadcast process functions are the same with broadcast state: their second input has no key, and may write it. */
#include "operators/process.h"

#include "state/broadcast.h"
#include "state/keyed_snapshot.h"
#include "state/timers.h"
#include "stream/task.h"

enum { PREFETCH_INDEX = 24, PREFETCH_ENTRY = 12 }; /* records ahead; as the rolling operators */

typedef struct process_operator {
    fl__operator op;
    fl__keyed *keyed;         /* NULL: neither states nor timers were declared */
    fl__timers *timers;       /* NULL: no on_timer */
    fl__broadcast *broadcast; /* NULL: not a broadcast process function */
    char *key_scratch;
    uint32_t key_size;
} process_operator;

/* ---- not keyed ---- */

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    const bool *failed = &op->task->failed;
    fl_function f = input ? op->spec->function2 : op->spec->function;
    fl_collector *out = &op->out.collector;
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    op->ctx.timestamp = out->timestamp = FL_NO_TIMESTAMP;
    for (uint32_t i = 0, n = batch->count; i < n && !*failed; i++, row += batch->row_size) {
        if (timestamps)
            op->ctx.timestamp = out->timestamp = timestamps[i];
        f(row, out, &op->ctx);
    }
    return FL_OK;
}

/* ---- keyed ---- */

static fl_status open(fl__operator *op, fl_error *error)
{
    process_operator *self = (process_operator *)op;
    const fl__operator_spec *spec = op->spec;
    self->key_size = spec->key[0]->size;
    self->key_scratch = fl__alloc_zero(&op->memory, self->key_size);
    if (spec->state_count == 0 && !spec->on_timer)
        return FL_OK;
    fl_status status = fl__keyed_new(&self->keyed,
        &(fl__keyed_options){
            .memory = &op->memory,
            .key = spec->key[0],
            .states = spec->states,
            .state_count = spec->state_count,
            .with_timers = spec->on_timer != NULL,
            .max_parallelism = fl__operator_key_groups(op),
        },
        error);
    if (status != FL_OK)
        return status;
    if (spec->on_timer)
        self->timers = fl__timers_new(&op->memory, self->keyed);
    op->function.keyed = self->keyed;
    op->function.timers = self->timers;
    op->ctx.state_offsets = self->keyed->offsets;
    return FL_OK;
}

static void close(fl__operator *op)
{
    process_operator *self = (process_operator *)op;
    op->function.keyed = NULL;
    op->function.timers = NULL;
    op->ctx.state_offsets = NULL;
    fl__timers_free(self->timers);
    fl__keyed_free(self->keyed);
    fl__free(&op->memory, self->key_scratch, self->key_size);
    self->timers = NULL;
    self->keyed = NULL;
    self->key_scratch = NULL;
}

/* Between calls there is no current key: state and timers then fail with a message. */
static void leave(fl__operator *op)
{
    op->ctx.key = NULL;
    op->ctx.entry = NULL;
}

/* Tells the task when the clock is to be looked at. */
static void set_next_timer(process_operator *self)
{
    if (!self->timers || self->op.task->is_batch)
        return;
    fl_time next = fl__timers_next(self->timers, FL__PROCESSING_TIME);
    if (next != self->op.next_timer)
        fl__operator_set_timer(&self->op, next);
}

/* is_filter and has_state are constants in the callers. */
static inline __attribute__((always_inline)) void call_each(
    process_operator *self, unsigned input, const fl__batch *batch, bool is_filter, bool has_state)
{
    fl__operator *op = &self->op;
    fl__keyed *keyed = self->keyed;
    const bool *failed = &op->task->failed;
    const fl__key *key = op->spec->key[input];
    fl_function f = input ? op->spec->function2 : op->spec->function;
    fl_collector *out = &op->out.collector;
    fl_context *ctx = &op->ctx;
    const uint64_t *hashes = fl__batch_hashes(batch);
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    bool large = has_state && fl__keyed_is_large(keyed);
    ctx->timestamp = out->timestamp = FL_NO_TIMESTAMP;
    for (uint32_t i = 0, n = batch->count; i < n && !*failed; i++, row += batch->row_size) {
        if (large) {
            if (i + PREFETCH_INDEX < n)
                fl__table_prefetch(&keyed->table, hashes[i + PREFETCH_INDEX]);
            if (i + PREFETCH_ENTRY < n)
                fl__table_prefetch_entry(&keyed->table, hashes[i + PREFETCH_ENTRY]);
        }
        if (timestamps)
            ctx->timestamp = out->timestamp = timestamps[i];
        const void *k = fl__key_of(key, row, self->key_scratch);
        if (has_state)
            fl__keyed_set_key(keyed, ctx, hashes[i], k);
        else
            ctx->key = k;
        if (!is_filter)
            f(row, out, ctx);
        else if (op->spec->filter(row, ctx))
            fl_collect_row(out, row);
        if (has_state)
            fl__keyed_end_call(keyed, ctx);
    }
    leave(op);
}

static fl_status process_keyed(fl__operator *op, unsigned input, const fl__batch *batch)
{
    process_operator *self = (process_operator *)op;
    fl_assert(fl__batch_has(batch, FL__COLUMN_HASH));
    if (!self->keyed) {
        call_each(self, input, batch, false, false);
        return FL_OK;
    }
    call_each(self, input, batch, false, true);
    set_next_timer(self);
    return FL_OK;
}

static fl_status filter_keyed(fl__operator *op, unsigned input, const fl__batch *batch)
{
    process_operator *self = (process_operator *)op;
    fl_assert(fl__batch_has(batch, FL__COLUMN_HASH) && self->keyed);
    call_each(self, input, batch, true, true);
    set_next_timer(self);
    return FL_OK;
}

/* ---- timers ---- */

/* Fires what is due, one call a timer. Those registered meanwhile and due fire too. FL_AGAIN: nothing is half done. */
static fl_status fire(process_operator *self, fl__time_domain domain, fl_time limit)
{
    fl__operator *op = &self->op;
    fl_context *ctx = &op->ctx;
    fl_timer timer = { .is_processing_time = domain == FL__PROCESSING_TIME };
    fl_status status = FL_OK;
    while (!op->task->failed) {
        if (fl__output_blocked(op)) {
            status = FL_AGAIN;
            break;
        }
        uint32_t ref;
        if (!fl__timers_pop(self->timers, domain, limit, &timer.time, &ref))
            break;
        fl__keyed_set_ref(self->keyed, ctx, ref);
        fl__keyed_timer_gone(self->keyed, ref);
        ctx->timestamp = timer.time;
        /* as Flink's KeyedProcessOperator: event-time timers give their time to what they emit, the others none */
        op->out.collector.timestamp = timer.is_processing_time ? FL_NO_TIMESTAMP : timer.time;
        op->spec->on_timer(&timer, &op->out.collector, ctx);
        fl__keyed_end_call(self->keyed, ctx);
    }
    leave(op);
    return status;
}

static fl_status watermark(fl__operator *op, fl_time time)
{
    process_operator *self = (process_operator *)op;
    if (!self->timers)
        return FL_OK;
    fl_status status = fire(self, FL__EVENT_TIME, time);
    set_next_timer(self);
    return status;
}

static fl_status timers(fl__operator *op, fl_time now)
{
    process_operator *self = (process_operator *)op;
    if (!self->timers)
        return FL_OK;
    fl_status status = fire(self, FL__PROCESSING_TIME, now);
    set_next_timer(self);
    return status;
}

/* ---- broadcast (Flink's CoBroadcastWithKeyedOperator and CoBroadcastWithNonKeyedOperator) ---- */

static fl_status open_broadcast(fl__operator *op, fl_error *error)
{
    process_operator *self = (process_operator *)op;
    const fl__broadcast_config *config = op->spec->config;
    fl_status status = op->class->is_keyed ? open(op, error) : FL_OK;
    if (status != FL_OK)
        return status;
    status =
        fl__broadcast_new(&self->broadcast, &op->memory, &op->function, config->states, config->state_count, error);
    if (status != FL_OK) {
        fl__error_context(error, "broadcast state");
        return status;
    }
    op->function.broadcast = self->broadcast;
    return FL_OK;
}

static void close_broadcast(fl__operator *op)
{
    process_operator *self = (process_operator *)op;
    op->function.broadcast = NULL;
    fl__broadcast_free(self->broadcast);
    self->broadcast = NULL;
    close(op);
}

static fl_status process_rules(fl__operator *op, const fl__batch *batch)
{
    process_operator *self = (process_operator *)op;
    const bool *failed = &op->task->failed;
    fl_function f = op->spec->function2;
    fl_collector *out = &op->out.collector;
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    op->function.is_broadcast_side = true;
    op->ctx.timestamp = out->timestamp = FL_NO_TIMESTAMP;
    for (uint32_t i = 0, n = batch->count; i < n && !*failed; i++, row += batch->row_size) {
        if (timestamps)
            op->ctx.timestamp = out->timestamp = timestamps[i];
        fl__broadcast_begin_call(self->broadcast);
        f(row, out, &op->ctx);
        fl__broadcast_end_call(self->broadcast);
    }
    op->function.is_broadcast_side = false;
    return FL_OK;
}

static fl_status process_broadcast(fl__operator *op, unsigned input, const fl__batch *batch)
{
    return input ? process_rules(op, batch) : process(op, input, batch);
}

static fl_status process_keyed_broadcast(fl__operator *op, unsigned input, const fl__batch *batch)
{
    return input ? process_rules(op, batch) : process_keyed(op, input, batch);
}

/* BATCH mode, at the end of a key: event time ends for it, then the clock; what that registers is ignored; its state
 * goes. As Flink's BatchExecutionInternalTimeService and BatchExecutionKeyedStateBackend. */
static fl_status end_key(fl__operator *op)
{
    process_operator *self = (process_operator *)op;
    fl_status status = FL_OK;
    if (self->timers) {
        fl__timers_quiesce(self->timers, true);
        op->ctx.watermark = FL_TIME_MAX;
        status = fire(self, FL__EVENT_TIME, FL_TIME_MAX);
        if (status == FL_OK)
            status = fire(self, FL__PROCESSING_TIME, FL_TIME_MAX);
        if (status == FL_OK)
            status = fire(self, FL__EVENT_TIME, FL_TIME_MAX); /* deletions that the clock's timers asked for */
        if (status == FL_AGAIN)
            return status;
        op->ctx.watermark = FL_TIME_MIN;
        fl__timers_quiesce(self->timers, false);
    }
    if (self->keyed)
        fl__keyed_clear(self->keyed, &op->ctx);
    return status;
}

/* ---- checkpoints ---- */

static void snapshot(fl__operator *op, fl__snapshot *to)
{
    process_operator *self = (process_operator *)op;
    if (self->keyed)
        fl__keyed_snapshot(self->keyed, self->timers, to, op->task->account.parent);
    if (self->broadcast)
        fl__broadcast_snapshot(self->broadcast, to, op->task->account.parent);
}

static fl_status restore(fl__operator *op, fl__restored *from, fl_error *error)
{
    process_operator *self = (process_operator *)op;
    fl_status status = FL_OK;
    if (self->broadcast)
        status = fl__broadcast_restore(self->broadcast, from, error);
    if (status == FL_OK && self->keyed) {
        status = fl__keyed_restore(self->keyed, self->timers, &op->ctx, from, error);
        set_next_timer(self);
    }
    return status;
}

/* ---- classes ---- */

#define KEYED                                                                                                          \
    .size = sizeof(process_operator), .is_keyed = true, .open = open, .watermark = watermark, .timers = timers,        \
    .close = close, .end_key = end_key, .holds_rows = true, .snapshot = snapshot, .restore = restore

const fl__operator_class fl__process_class = {
    .kind = "Process", .size = sizeof(fl__operator), .is_record_wise = true, .process = process
};
const fl__operator_class fl__co_class = { .kind = "Co-Process", .size = sizeof(fl__operator), .process = process };
const fl__operator_class fl__keyed_process_class = { .kind = "KeyedProcess", .process = process_keyed, KEYED };
const fl__operator_class fl__keyed_co_class = { .kind = "Co-Keyed Process", .process = process_keyed, KEYED };
const fl__operator_class fl__keyed_map_class = { .kind = "Map", .process = process_keyed, KEYED };
const fl__operator_class fl__keyed_flat_map_class = { .kind = "Flat Map", .process = process_keyed, KEYED };
const fl__operator_class fl__keyed_filter_class = { .kind = "Filter", .process = filter_keyed, KEYED };
const fl__operator_class fl__broadcast_class = {
    .kind = "Co-Process-Broadcast",
    .size = sizeof(process_operator),
    .open = open_broadcast,
    .process = process_broadcast,
    .close = close_broadcast,
    .snapshot = snapshot,
    .restore = restore,
};
const fl__operator_class fl__keyed_broadcast_class = {
    .kind = "Co-Process-Broadcast-Keyed",
    .size = sizeof(process_operator),
    .is_keyed = true,
    .open = open_broadcast,
    .process = process_keyed_broadcast,
    .watermark = watermark,
    .timers = timers,
    .close = close_broadcast,
    .snapshot = snapshot,
    .restore = restore,
    .end_key = end_key,
    .holds_rows = true,
};
