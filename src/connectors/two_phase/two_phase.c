/* fl_add_two_phase_sink: transactions from checkpoint to checkpoint. */
#include "api/api.h"
#include "state/keyed_snapshot.h"
#include "stream/task.h"

#include <stdio.h>

/* A transaction that is prepared. */
struct prepared {
    int64_t checkpoint; /* it is committed when this one is complete */
    void *transaction;
};

struct two_phase_sink {
    fl__operator op;
    bool is_open;
    fl__layout layout; /* of a transaction */
    fl__heap *heap;    /* what transactions point to */
    void *current, *before;
    bool has_current;
    uint64_t run;   /* tells apart transactions of jobs that start from nothing */
    int64_t serial; /* of the next one */
    struct prepared *prepared;
    size_t count, capacity;
};

static const fl_two_phase_sink *sink_of(const fl__operator *op)
{
    return (const fl_two_phase_sink *)op->spec->config;
}

/* ---- transactions ---- */

/* What the function assigned becomes the sink's own. */
static void settle(struct two_phase_sink *self)
{
    if (!self->layout.is_flat)
        fl__value_settle(&self->layout, self->current, self->before, self->heap);
}

static void begin(struct two_phase_sink *self)
{
    memset(self->current, 0, self->layout.row_size);
    memset(self->before, 0, self->layout.row_size);
    self->has_current = true;
    char id[64];
    snprintf(id, sizeof id, "%08llx-%d-%lld", (unsigned long long)(self->run >> 32), self->op.ctx.subtask,
        (long long)self->serial++);
    sink_of(&self->op)->begin(self->current, id, &self->op.ctx);
    settle(self);
}

static void add_prepared(struct two_phase_sink *self, int64_t checkpoint, const void *transaction)
{
    if (self->count == self->capacity) {
        size_t more = self->capacity ? 2 * self->capacity : 4;
        self->prepared = fl__realloc(
            &self->op.memory, self->prepared, self->capacity * sizeof *self->prepared, more * sizeof *self->prepared);
        self->capacity = more;
    }
    void *copy = fl__alloc(&self->op.memory, self->layout.row_size);
    memcpy(copy, transaction, self->layout.row_size);
    self->prepared[self->count++] = (struct prepared){ checkpoint, copy };
}

static void drop(struct two_phase_sink *self, void *transaction)
{
    if (!self->layout.is_flat)
        fl__value_drop(&self->layout, transaction, self->heap);
}

static void prepare(struct two_phase_sink *self, int64_t checkpoint)
{
    if (!self->has_current)
        return;
    memcpy(self->before, self->current, self->layout.row_size);
    sink_of(&self->op)->pre_commit(self->current, &self->op.ctx);
    settle(self);
    self->has_current = false;
    add_prepared(self, checkpoint, self->current);
}

/* Commits what belongs to checkpoints up to this one, oldest first. */
static void commit(struct two_phase_sink *self, int64_t checkpoint)
{
    size_t done = 0;
    for (; done < self->count && self->prepared[done].checkpoint <= checkpoint; done++) {
        struct prepared *p = &self->prepared[done];
        sink_of(&self->op)->commit(p->transaction, &self->op.ctx);
        if (fl__operator_failed(&self->op))
            break;
        drop(self, p->transaction);
        fl__free(&self->op.memory, p->transaction, self->layout.row_size);
    }
    self->count -= done;
    if (done)
        memmove(self->prepared, self->prepared + done, self->count * sizeof *self->prepared);
}

/* ---- the operator ---- */

static fl_status open_sink(fl__operator *op, fl_error *error)
{
    (void)error;
    struct two_phase_sink *self = (struct two_phase_sink *)op;
    const fl_two_phase_sink *sink = sink_of(op);
    self->is_open = true;
    fl__layout_init(&self->layout, sink->transaction);
    self->heap = fl__heap_new(&op->memory);
    self->run = fl__os_random_u64(op->task->os);
    self->current = fl__alloc_zero(&op->memory, self->layout.row_size);
    self->before = fl__alloc_zero(&op->memory, self->layout.row_size);
    if (sink->open)
        sink->open(&op->ctx);
    return FL_OK;
}

static void close_sink(fl__operator *op)
{
    struct two_phase_sink *self = (struct two_phase_sink *)op;
    const fl_two_phase_sink *sink = sink_of(op);
    if (!self->is_open)
        return;
    self->is_open = false;
    if (self->has_current && sink->abort)
        sink->abort(self->current, &op->ctx);
    if (sink->close)
        sink->close(&op->ctx);
    for (size_t i = 0; i < self->count; i++)
        fl__free(&op->memory, self->prepared[i].transaction, self->layout.row_size);
    fl__free(&op->memory, self->prepared, self->capacity * sizeof *self->prepared);
    fl__free(&op->memory, self->current, self->layout.row_size);
    fl__free(&op->memory, self->before, self->layout.row_size);
    fl__heap_free_all(self->heap);
    self->prepared = NULL;
    self->count = self->capacity = 0;
    self->has_current = false;
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    struct two_phase_sink *self = (struct two_phase_sink *)op;
    const fl_two_phase_sink *sink = sink_of(op);
    const bool *failed = &op->task->failed;
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    if (!self->has_current && batch->count)
        begin(self);
    FL__FOR_ROWS(batch, row, i)
    {
        if (FL_UNLIKELY(*failed))
            return FL_ERROR_USER;
        op->ctx.timestamp = timestamps ? timestamps[i] : FL_NO_TIMESTAMP;
        sink->write(self->current, row, &op->ctx);
    }
    return *failed ? FL_ERROR_USER : FL_OK;
}

/* With checkpoints the task waits for the last one, which prepares and commits. */
static fl_status finish(fl__operator *op)
{
    struct two_phase_sink *self = (struct two_phase_sink *)op;
    if (!op->task->checkpoints.listener && !fl__operator_failed(op)) {
        prepare(self, 0);
        if (!fl__operator_failed(op))
            commit(self, INT64_MAX);
    }
    return FL_OK;
}

static void snapshot(fl__operator *op, fl__snapshot *to)
{
    struct two_phase_sink *self = (struct two_phase_sink *)op;
    prepare(self, fl__snapshot_checkpoint(to));
    fl__buffer *out = fl__snapshot_bytes(to, FL__BLOCK_VALUES);
    fl__block_put_int(out, self->serial);
    fl__buffer_varint(out, self->run);
    fl__schema_encode(self->layout.type, out);
    fl__buffer_varint(out, self->count);
    for (size_t i = 0; i < self->count; i++)
        fl__encode(self->layout.type, self->prepared[i].transaction, out);
}

/* One subtask's transactions of then: they belong to the checkpoint that is restored, so they are committed. */
static fl_status restore_block(struct two_phase_sink *self, fl__restored *from, fl__reader *in, fl_error *error)
{
    int64_t serial = 0;
    uint64_t count = 0, run = 0;
    const fl_type *then;
    fl__arena arena;
    fl__arena_init(&arena, from->memory);
    fl_status status = FL_OK;
    if (!fl__block_get_int(in, &serial) || serial < 0 || !fl__reader_varint(in, &run))
        status = fl__blocks_corrupt(&from->blocks, error, "the number of transactions");
    if (status == FL_OK)
        status = fl__schema_decode(in, &arena, &then, error);
    if (status == FL_OK && !fl__same_schema(then, self->layout.type))
        status = fl__schema_changed(from, "the transaction", self->layout.type, then, error);
    if (status == FL_OK && !fl__reader_varint(in, &count))
        status = fl__blocks_corrupt(&from->blocks, error, "the number of transactions");
    if (status == FL_OK)
        self->serial = serial > self->serial ? serial : self->serial;
    if (status == FL_OK && from->old_subtask == from->subtask)
        self->run = run; /* what was begun after the checkpoint is begun anew, and not left lying about */
    for (uint64_t i = 0; status == FL_OK && i < count; i++) {
        status = fl__decode(self->layout.type, in, &arena, self->current, error);
        if (status == FL_OK && fl__restored_takes(from))
            sink_of(&self->op)->commit(self->current, &self->op.ctx);
        if (fl__operator_failed(&self->op))
            break;
    }
    fl__arena_release(&arena);
    return status;
}

static fl_status restore(fl__operator *op, fl__restored *from, fl_error *error)
{
    struct two_phase_sink *self = (struct two_phase_sink *)op;
    fl__block block;
    fl_status status;
    while ((status = fl__restored_next(from, &block, error)) == FL_OK) {
        if (block.kind != FL__BLOCK_VALUES)
            continue;
        status = restore_block(self, from, &block.payload, error);
        if (status != FL_OK)
            return status;
    }
    return status == FL_DONE ? FL_OK : status;
}

static void checkpoint_complete(fl__operator *op, int64_t checkpoint)
{
    commit((struct two_phase_sink *)op, checkpoint);
}

static const fl__operator_class two_phase_class = {
    .kind = "Sink",
    .size = sizeof(struct two_phase_sink),
    .open = open_sink,
    .process = process,
    .finish = finish,
    .close = close_sink,
    .snapshot = snapshot,
    .restore = restore,
    .checkpoint_complete = checkpoint_complete,
    .wants_last_checkpoint = true,
};

fl_stream *fl__add_two_phase_sink(fl_stream *in, const fl_two_phase_sink *sink, const fl_sink_options *options)
{
    if (fl__stream_failed(in))
        return in;
    const char *missing = !sink                ? "the sink"
                          : !sink->transaction ? ".transaction"
                          : !sink->begin       ? ".begin"
                          : !sink->write       ? ".write"
                          : !sink->pre_commit  ? ".pre_commit"
                          : !sink->commit      ? ".commit"
                                               : NULL;
    if (missing)
        return fl__stream_error(in->env, options->where, "fl_add_two_phase_sink: %s is NULL", missing);
    fl_sink_options own = *options;
    if (!own.name)
        own.name = sink->name;
    if (sink->instance_size)
        own.instance_size = sink->instance_size;
    return fl__add_operator(in, &(fl__new_operator){
                                    .class = &two_phase_class,
                                    .options = (const fl_options *)&own,
                                    .config = (void *)(uintptr_t)sink,
                                });
}
