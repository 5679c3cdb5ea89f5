/* Outputs of operators: the collector's slow way, flushing to targets, watermarks and idleness on their way down. */
#include "stream/task.h"

#include "base/error.h"
#include "flinc/source.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- the open batch ---- */

static void set_limits(fl__output *out)
{
    fl__batch *batch = out->batch;
    size_t fits = (batch->heap_start - batch->rows_offset) / batch->row_size;
    char *rows = fl__batch_rows(batch);
    out->limit = rows + (fits < batch->capacity ? fits : batch->capacity) * batch->row_size;
    out->collector.limit = out->layout.is_flat ? out->limit : rows;
}

static void start_batch(fl__output *out)
{
    fl__batch *batch = out->batch;
    out->collector.cursor = fl__batch_rows(batch);
    out->collector.timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    set_limits(out);
}

static void sync_count(fl__output *out)
{
    out->batch->count = (uint32_t)((size_t)(out->collector.cursor - fl__batch_rows(out->batch)) / out->batch->row_size);
}

static void renew_batch(fl__output *out)
{
    if (out->give_to) {
        out->batch = fl__channel_take_batch(out->give_to->lanes[0].channel);
    } else {
        fl__batch_spoil(out->batch);
        fl__batch_clear(out->batch);
    }
    start_batch(out);
}

uint64_t fl__output_rows(const fl__output *out)
{
    if (!out->batch)
        return out->rows;
    return out->rows + (size_t)(out->collector.cursor - fl__batch_rows(out->batch)) / out->batch->row_size;
}

void fl__output_flush(fl__output *out)
{
    fl__batch *batch = out->batch;
    if (!batch || out->collector.cursor == fl__batch_rows(batch))
        return;
    sync_count(out);
    out->rows += batch->count;
    if (out->give_to) {
        out->batch = NULL;
        fl__writer_give(out->give_to, batch);
        renew_batch(out);
        return;
    }
    for (uint32_t i = 0; i < out->target_count; i++) {
        fl__operator *child = out->targets[i].child;
        if (child) {
            child->rows_in += batch->count;
            fl_status status = child->class->process(child, 0, batch);
            fl_assert(status != FL_AGAIN);
            if (FL_UNLIKELY(fl__operator_failed(child)))
                break;
        } else {
            fl__writer_write(out->targets[i].writer, batch);
        }
    }
    renew_batch(out);
}

/* One row that is larger than a segment: sent in a batch of its own. */
static void collect_large(fl__output *out, const void *row, size_t heap)
{
    fl__operator *op = out->op;
    int64_t limit = op->task->record_bytes_max;
    if (limit && (int64_t)(heap + out->layout.row_size) > limit) {
        fl__operator_fail(op, FL_ERROR_LIMIT,
            "a record of %zu bytes (type %s) is larger than flinc.record.bytes-max = %lld; raise the limit or "
            "split the record",
            heap + out->layout.row_size, out->layout.type->name, (long long)limit);
        return;
    }
    fl__batch *usual = out->batch;
    uint32_t columns = usual->columns;
    out->batch = fl__batch_new_large(op->task->memory, out->layout.type, columns, heap);
    start_batch(out);
    bool fits = fl__batch_append(out->batch, &out->layout, row);
    fl_assert(fits);
    out->collector.cursor += out->layout.row_size;
    if (out->collector.timestamps)
        *out->collector.timestamps = out->collector.timestamp;
    if (out->give_to) {
        fl__batch *large = out->batch;
        sync_count(out);
        out->rows++;
        out->batch = NULL;
        fl__writer_give(out->give_to, large);
    } else {
        fl__batch *large = out->batch;
        fl__output_flush(out);
        fl_assert(out->batch == large);
        fl__batch_free(large);
    }
    out->batch = usual;
    start_batch(out);
}

/* A row with pointers, or one for which there is no room. */
static __attribute__((noinline)) void append_row(fl__output *out, const void *row, size_t size)
{
    if (FL_UNLIKELY(size != out->layout.row_size)) {
        fl__operator_fail(out->op, FL_ERROR_INVALID,
            "fl_collect was given %zu bytes, but the stream's type %s has %u; collect a pointer to that type", size,
            out->layout.type ? out->layout.type->name : "(none)", out->layout.row_size);
        return;
    }
    if (FL_UNLIKELY(!out->batch)) {
        fl__operator_fail(out->op, FL_ERROR_INVALID, "this function cannot collect: the operator has no output");
        return;
    }
    if (FL_UNLIKELY(out->op->is_idle_output && out->op->class->poll))
        fl__operator_emit_idle(out->op, false); /* a source's record ends its idleness, and must not come before that */
    if (out->collector.cursor >= out->limit)
        fl__output_flush(out);
    if (out->layout.is_flat || (out->layout.only_strings && fl__layout_all_short(&out->layout, row))) {
        memcpy(out->collector.cursor, row, size);
    } else {
        sync_count(out);
        if (!fl__batch_append(out->batch, &out->layout, row)) {
            fl__output_flush(out);
            sync_count(out);
            if (!fl__batch_append(out->batch, &out->layout, row)) {
                collect_large(out, row, fl__value_heap_bytes(&out->layout, row));
                return;
            }
        }
        set_limits(out);
    }
    out->collector.cursor += size;
    if (out->collector.timestamps)
        *out->collector.timestamps++ = out->collector.timestamp;
}

static void output_slow(fl__output *out, const void *row, size_t size)
{
    /* The usual row of a type with strings: all of them short, and room. Such rows are of whole words. */
    const fl__layout *layout = &out->layout;
    char *to = out->collector.cursor;
    if (FL_UNLIKELY(to >= out->limit || !layout->only_strings || size != layout->row_size ||
                    !fl__layout_all_short(layout, row))) {
        append_row(out, row, size);
        return;
    }
    for (size_t i = 0; i < size; i += 8)
        memcpy(to + i, (const char *)row + i, 8);
    out->collector.cursor = to + size;
    if (out->collector.timestamps)
        *out->collector.timestamps++ = out->collector.timestamp;
}

void fl__collect_slow(fl_collector *collector, const void *row, size_t size)
{
    fl__output *out = fl__output_of(collector);
    out->slow(out, row, size);
}

static void output_control(fl__output *out, int kind, int64_t value)
{
    if (kind == FL__EVENT_WATERMARK) {
        if (out->op->is_idle_output)
            fl__operator_emit_idle(out->op, false);
        fl__operator_emit_watermark(out->op, value);
    } else {
        fl__operator_emit_idle(out->op, value != 0);
    }
}

void fl_emit_watermark(fl_collector *collector, fl_time watermark)
{
    fl__output *out = fl__output_of(collector);
    out->control(out, FL__EVENT_WATERMARK, watermark);
}

void fl_mark_idle(fl_collector *collector)
{
    fl__output *out = fl__output_of(collector);
    out->control(out, FL__EVENT_IDLE, 1);
}

void fl__output_init(fl__output *out, fl__operator *op, const fl_type *type, uint32_t columns, uint32_t segment_size)
{
    out->op = op;
    out->slow = output_slow;
    out->control = output_control;
    out->columns = columns;
    out->watermark = FL_TIME_MIN;
    if (!type)
        return;
    fl__layout_init(&out->layout, type);
    out->collector.row_size = type->size;
    out->collector.timestamp = FL_NO_TIMESTAMP;
    if (out->target_count == 1 && out->targets[0].writer && out->targets[0].writer->lane_count == 1) {
        out->give_to = out->targets[0].writer;
        out->batch = fl__channel_take_batch(out->give_to->lanes[0].channel);
    } else {
        out->batch = fl__batch_new(op->task->memory, type, columns, segment_size);
    }
    start_batch(out);
}

void fl__output_release(fl__output *out)
{
    if (out->batch)
        fl__batch_free(out->batch);
    out->batch = NULL;
}

/* ---- control events on their way down ---- */

static void flush_all_outputs(fl__operator *op)
{
    fl__output_flush(&op->out);
    for (size_t i = 0; i < op->side_count; i++)
        fl__output_flush(&op->side[i]);
}

void fl__operator_deliver_watermark(fl__operator *op, fl_time watermark)
{
    if (op->task->failed)
        return;
    op->ctx.watermark = watermark;
    if (op->class->watermark) {
        fl_status status = op->class->watermark(op, watermark);
        if (status == FL_AGAIN) {
            if (op->pending_watermark == FL_TIME_MIN)
                op->task->pending++;
            op->pending_watermark = watermark;
            return;
        }
    }
    if (op->pending_watermark != FL_TIME_MIN) {
        op->pending_watermark = FL_TIME_MIN;
        op->task->pending--;
    }
    if (!op->class->makes_watermarks)
        fl__operator_emit_watermark(op, watermark);
    if (op->pending_idle) {
        op->pending_idle = false;
        fl__operator_emit_idle(op, op->idle_wanted);
    }
}

static void to_targets(fl__output *out, fl__event event)
{
    for (uint32_t i = 0; i < out->target_count; i++) {
        fl__operator *child = out->targets[i].child;
        if (!child)
            fl__writer_event(out->targets[i].writer, event);
        else if (event.kind == FL__EVENT_WATERMARK)
            fl__operator_deliver_watermark(child, event.value);
        else
            fl__operator_deliver_idle(child, event.value != 0);
    }
}

void fl__operator_deliver_idle(fl__operator *op, bool idle)
{
    if (op->class->idle)
        op->class->idle(op, idle);
    else if (!op->class->makes_watermarks)
        fl__operator_emit_idle(op, idle);
}

void fl__operator_emit_watermark(fl__operator *op, fl_time watermark)
{
    if (watermark <= op->out.watermark || (op->task->is_batch && watermark < FL_TIME_MAX))
        return;
    op->out.watermark = watermark;
    flush_all_outputs(op);
    if (op->task->failed)
        return;
    fl__event event = { .kind = FL__EVENT_WATERMARK, .value = watermark };
    to_targets(&op->out, event);
    for (size_t i = 0; i < op->side_count; i++)
        to_targets(&op->side[i], event);
}

void fl__operator_emit_idle(fl__operator *op, bool idle)
{
    if (op->pending_watermark != FL_TIME_MIN) { /* must not overtake it, nor the records that it fires */
        op->pending_idle = true;
        op->idle_wanted = idle;
        return;
    }
    if (op->is_idle_output == idle || op->task->is_batch)
        return;
    op->is_idle_output = idle;
    flush_all_outputs(op);
    fl__event event = { .kind = FL__EVENT_IDLE, .value = idle };
    to_targets(&op->out, event);
    for (size_t i = 0; i < op->side_count; i++)
        to_targets(&op->side[i], event);
    if (idle && op->class->poll && op->out.batch)
        op->out.collector.limit = fl__batch_rows(op->out.batch); /* the next record goes the slow way */
    else if (op->out.batch)
        set_limits(&op->out);
}

/* ---- what operators and user functions ask for ---- */

fl__output *fl__operator_side(fl__operator *op, const fl_tag *tag)
{
    for (size_t i = 0; i < op->side_count; i++) {
        if (op->side[i].tag == tag || strcmp(op->side[i].tag->name, tag->name) == 0)
            return &op->side[i];
    }
    return NULL;
}

void fl__side_emit(fl_context *ctx, const fl_tag *tag, const void *row, size_t size)
{
    fl__operator *op = fl__operator_of(ctx);
    fl__output *side = fl__operator_side(op, tag);
    if (!side)
        return;
    side->collector.timestamp = ctx->timestamp;
    fl__collect(&side->collector, row, size);
}

bool fl__operator_failed(const fl__operator *op)
{
    return op->task->failed;
}

bool fl__output_blocked(const fl__operator *op)
{
    return op->task->is_blocked;
}

fl_time fl__operator_now(const fl__operator *op)
{
    return op->task->now;
}

fl_time fl__operator_active_now(const fl__operator *op)
{
    const fl__task *task = op->task;
    fl_time now = task->stalled_since < task->now ? task->stalled_since : task->now;
    return now - task->stalled_ms;
}

bool fl__operator_cancelled(const fl__operator *op)
{
    return atomic_load_explicit(&op->task->cancelled, memory_order_relaxed);
}

void fl__operator_set_timer(fl__operator *op, fl_time time)
{
    op->next_timer = time;
    if (time < op->task->next_timer)
        op->task->next_timer = time;
}

void fl__operator_post(fl__operator *op, fl__mail *mail)
{
    fl__mail *before = atomic_load_explicit(&op->mailbox, memory_order_relaxed);
    do {
        mail->next = before;
        /* release: what was written before is seen by who takes the box (acquire); from then on the mail is his */
    } while (!atomic_compare_exchange_weak_explicit(
        &op->mailbox, &before, mail, memory_order_release, memory_order_relaxed));
    /* Who found the box empty wakes; mail that came on top of his is taken with it. */
    if (!before)
        fl__waker_wake(&op->task->waker);
}

fl__waker *fl__operator_waker(fl__operator *op)
{
    return &op->task->waker;
}

void fl__operator_wait_fd(fl__operator *op, int fd)
{
    op->task->wait_fd = fd;
}

void fl__operator_wait_until(fl__operator *op, fl_time time)
{
    op->task->wait_until = time;
}

void fl_wait_fd(fl_context *ctx, int fd)
{
    fl__operator_wait_fd(fl__operator_of(ctx), fd);
}

void fl_wait_until(fl_context *ctx, fl_time time_ms)
{
    fl__operator_wait_until(fl__operator_of(ctx), time_ms);
}

static void fail(fl__task *task, fl__operator *op, fl_status status, const char *format, va_list args)
{
    if (task->failed)
        return;
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        abort();
    task->failed = true;
    if (op && op->spec->where.file)
        fl__error_set_at(&task->error, status, op->spec->where, "%s (%d/%d): %s", op->spec->name, task->subtask + 1,
            task->parallelism, text);
    else
        fl__error_set(&task->error, status, "%s: %s", task->name, text);
    free(text);
}

fl_status fl__operator_fail(fl__operator *op, fl_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(op->task, op, status, format, args);
    va_end(args);
    return status;
}

void fl__task_fail(fl__task *task, fl_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(task, NULL, status, format, args);
    va_end(args);
}

void fl_fail(fl_context *ctx, const char *format, ...)
{
    fl__operator *op = fl__operator_of(ctx);
    va_list args;
    va_start(args, format);
    fail(op->task, op, FL_ERROR_USER, format, args);
    va_end(args);
}

bool fl_running(const fl_context *ctx)
{
    const fl__operator *op = (const fl__operator *)(const void *)((const char *)ctx - offsetof(fl__operator, ctx));
    return !fl__operator_cancelled(op);
}

const char *fl_task_name(const fl_context *ctx)
{
    const fl__operator *op = (const fl__operator *)(const void *)((const char *)ctx - offsetof(fl__operator, ctx));
    return op->display_name;
}

/* ---- accumulators and counters ---- */

static fl__accumulator *accumulator(fl_context *ctx, const char *name, bool is_double)
{
    fl__task *task = fl__operator_of(ctx)->task;
    fl__accumulators *all = task->accumulators;
    uint32_t count = atomic_load_explicit(&all->count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        if (all->items[i].name == name || strcmp(all->items[i].name, name) == 0) {
            if (all->items[i].is_double != is_double)
                fl_fail(ctx, "the accumulator %s is used as an integer and as a double", name);
            return &all->items[i];
        }
    }
    if (count == sizeof all->items / sizeof all->items[0]) {
        fl_fail(ctx, "more than %u accumulators in one task; the last one was %s", count, name);
        return NULL;
    }
    all->items[count].name = name;
    all->items[count].is_double = is_double;
    atomic_store_explicit(&all->count, count + 1, memory_order_release);
    return &all->items[count];
}

/* One writer: a load and a store, and no locked addition. */
void fl_accumulate(fl_context *ctx, const char *name, int64_t delta)
{
    fl__accumulator *a = accumulator(ctx, name, false);
    if (a)
        atomic_store_explicit(&a->i, atomic_load_explicit(&a->i, memory_order_relaxed) + delta, memory_order_relaxed);
}

void fl_accumulate_double(fl_context *ctx, const char *name, double delta)
{
    fl__accumulator *a = accumulator(ctx, name, true);
    if (a)
        atomic_store_explicit(&a->d, atomic_load_explicit(&a->d, memory_order_relaxed) + delta, memory_order_relaxed);
}

fl_counter *fl_metric_counter(fl_context *ctx, const char *name)
{
    fl__operator *op = fl__operator_of(ctx);
    for (fl__user_counter *c = op->counters; c; c = c->next) {
        if (strcmp(c->name, name) == 0)
            return &c->counter;
    }
    fl__user_counter *c = fl__alloc_zero(op->task->memory, sizeof *c);
    c->name = name;
    c->next = op->counters;
    op->counters = c;
    return &c->counter;
}
