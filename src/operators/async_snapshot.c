/* Checkpoints of async I/O: the records in flight with the watermarks between them, and after a restore the same
 * requests again, before anything else (Flink's AsyncWaitOperator.snapshotState and open).
 *
 *   VALUES   schema of the records | entries varint | for each: what u8, then
 *            RECORD: timestamp (zigzag varint), value;  WATERMARK: time (zigzag varint)
 *
 * The restored entries wait in an arena and are asked for by the first calls of `mail`: until then the task takes no
 * input, and no checkpoint. How often a request was retried, and for how long, is forgotten. */
#include "operators/async_internal.h"

#include "state/keyed_snapshot.h"

enum { RECORD, WATERMARK };

/* ---- to ---- */

typedef struct writing {
    fl__buffer body;
    const fl_type *type;
    uint64_t count;
} writing;

static void put(writing *w, char what, int64_t time)
{
    fl__buffer_append(&w->body, &what, 1);
    fl__block_put_int(&w->body, time);
    w->count++;
}

static void put_record(void *arg, const void *in, fl_time timestamp)
{
    writing *w = (writing *)arg;
    put(w, RECORD, timestamp);
    fl__encode(w->type, in, &w->body);
}

static void put_watermark(void *arg, fl_time watermark)
{
    put((writing *)arg, WATERMARK, watermark);
}

/* Whether inputs are idle is found out anew. */
static void put_idle(void *arg, bool idle)
{
    (void)arg, (void)idle;
}

void fl__async_snapshot(fl__operator *op, fl__snapshot *to)
{
    writing w = { .type = op->spec->in[0] };
    fl__buffer_init(&w.body, &op->memory);
    fl__async_walk(op, &(fl__async_visitor){ put_record, put_watermark, put_idle, &w });
    fl__buffer *out = fl__snapshot_bytes(to, FL__BLOCK_VALUES);
    fl__schema_encode(w.type, out);
    fl__buffer_varint(out, w.count);
    fl__buffer_append(out, w.body.data, w.body.size);
    fl__buffer_release(&w.body);
}

/* ---- and back ---- */

struct fl__async_restored {
    fl__async_restored *next;
    bool is_watermark;
    fl_time time;
    void *row;
};

static fl_status read_entry(
    fl__async_operator *self, fl__restored *from, fl__reader *in, fl__async_restored *entry, fl_error *error)
{
    const fl_type *type = self->op.spec->in[0];
    const char *what = (const char *)fl__reader_bytes(in, 1);
    if (!what || *what > WATERMARK || !fl__block_get_int(in, &entry->time))
        return fl__blocks_corrupt(&from->blocks, error, "the requests in flight");
    entry->is_watermark = *what == WATERMARK;
    if (entry->is_watermark)
        return FL_OK;
    entry->row = fl__arena_alloc(&self->restored_arena, type->size);
    return fl__decode(type, in, &self->restored_arena, entry->row, error);
}

/* The requests of one former subtask. Its watermarks hold only for itself: among those of others they are left out, and
 * come again from the sources. */
static fl_status read_block(fl__async_operator *self, fl__restored *from, fl__reader *in, fl_error *error)
{
    const fl_type *then;
    fl_status status = fl__schema_decode(in, &self->restored_arena, &then, error);
    if (status != FL_OK)
        return status;
    if (!fl__same_schema(self->op.spec->in[0], then))
        return fl__schema_changed(from, "the record in flight", self->op.spec->in[0], then, error);
    uint64_t count;
    if (!fl__reader_varint(in, &count))
        return fl__blocks_corrupt(&from->blocks, error, "the requests in flight");
    for (; count > 0; count--) {
        fl__async_restored *entry = fl__arena_alloc(&self->restored_arena, sizeof *entry);
        status = read_entry(self, from, in, entry, error);
        if (status != FL_OK)
            return status;
        if (entry->is_watermark && from->old_parallelism != from->parallelism)
            continue;
        *self->restored_end = entry;
        self->restored_end = &entry->next;
    }
    return FL_OK;
}

fl_status fl__async_restore(fl__operator *op, fl__restored *from, fl_error *error)
{
    fl__async_operator *self = (fl__async_operator *)op;
    self->restored_end = &self->restored;
    fl__block block;
    fl_status status;
    while ((status = fl__restored_next(from, &block, error)) == FL_OK) {
        if (!fl__restored_takes(from))
            continue;
        status = read_block(self, from, &block.payload, error);
        if (status != FL_OK)
            return status;
    }
    if (self->restored) { /* as if mail had been left half done: it is called again */
        op->pending_mail = true;
        op->task->pending++;
    }
    return status == FL_DONE ? FL_OK : status;
}

bool fl__async_next_restored(fl__async_operator *self, const void **row, fl_time *time)
{
    fl__async_restored *entry = self->restored;
    if (!entry)
        return false;
    *row = entry->is_watermark ? NULL : entry->row;
    *time = entry->time;
    return true;
}

void fl__async_drop_restored(fl__async_operator *self)
{
    self->restored = self->restored->next;
    if (!self->restored)
        fl__arena_release(&self->restored_arena);
}
