/* fl_add_source: a user's function that blocks as it likes, in a thread of its own, and hands its rows to the task.
 *
 *     thread of the function                              the task's thread
 *     fl_collect → the ring's head slot   ── rows ──→     poll: emits rows of the tail slot, as far as published
 *     slot full, or a watermark: next slot                slot used up: gives it back
 *     ring full: parks (backpressure)     ←─ wakes ──     nothing published: FL_AGAIN, parks
 *
 * A row is seen by the task as soon as it is published, not only when its batch is full: the thread appends it to the
 * slot's batch and publishes the new row count with a release store; the task reads rows [taken, published) of a batch
 * that is still growing. Rows before the count never move, and of the batch's header the task reads only what is set
 * when the batch is made. A watermark or idleness mark closes its slot, so that it keeps its place among the rows.
 *
 * The function gets a context and a collector of a shadow: an operator and a task that only its thread touches. What it
 * does there (fail, accumulate, count) is carried over by the task's thread: failures when `stopped` is published,
 * accumulators after the thread has ended. Side outputs are not for source functions.
 *
 * Invariants: F1 head - tail ≤ RING_SLOTS; the thread writes head and the head slot, the task writes tail. F2 a slot's
 * published count only grows until the task has given the slot back. F3 nobody reads the shadow but its thread until
 * `stopped` or `ended` is seen with acquire.
 *
 * In the simulator each poll waits for exactly one row or mark: what comes does not depend on how the threads are
 * scheduled. A function that waits for something that the same job does would wait for ever there. */
#include "api/api.h"
#include "connectors/notice.h"
#include "os/thread.h"
#include "stream/task.h"

#include <stdio.h>

enum {
    RING_SLOTS = 8, /* power of two; × 32 KiB: what the thread may be ahead by */
    SLOT_BYTES = 32 * 1024,
    POLL_ROWS = 2048, /* the task looks after its output in between */
    GRACE_MS = 10000, /* after this a function that ignores cancellation is named in the log */
    SPINS = 200, /* looks at the ring, a few µs, before the task parks: a function that collects in a tight loop would
                        otherwise have to wake it, a system call, every few rows */
    CLOCK_ROWS = 64, /* the context's processing time is read once in so many rows */
};

struct source_config {
    fl_lifecycle_fn cancel;
    fl_env *env;
};

/* Written by the thread while it is the head slot, but for `taken`. */
struct slot {
    fl__batch *batch;           /* made by the thread at first use */
    _Atomic uint32_t published; /* rows that may be read */
    bool is_large;              /* the batch was made for one large row */
    bool has_mark;              /* valid once head is past the slot: a watermark or idleness after the rows */
    int mark_kind;              /* fl__event_kind */
    int64_t mark_value;
    uint32_t taken; /* the task's */
};

struct function_source {
    fl__operator op;
    bool is_open, is_started;
    bool in_simulation;
    fl__thread thread;
    fl__waker consumer_waits; /* the task's thread waits for rows (simulation) or for the end (close) */

    /* the thread's side */
    char apart1[64];
    fl__operator shadow;
    fl__task shadow_task;
    fl__accumulators accumulators;
    fl__waker producer_waits; /* the thread waits for a free slot */
    _Atomic uint32_t head;    /* slots ever closed */
    _Atomic bool stopped;     /* fl_fail was called: shadow_task.error says what */
    _Atomic bool ended;       /* run has returned */
    bool was_idle;
    bool had_rows; /* the last poll took something */

    char apart2[64];
    _Atomic uint32_t tail; /* slots ever given back */
    struct slot slots[RING_SLOTS];
};

static struct function_source *source_of(fl__output *shadow_output)
{
    return (struct function_source *)((char *)shadow_output->op - offsetof(struct function_source, shadow));
}

/* ---- the function's thread ---- */

static void wake_task(struct function_source *source)
{
    fl__waker_wake(fl__operator_waker(&source->op));
    if (source->in_simulation)
        fl__waker_wake(&source->consumer_waits);
}

static bool must_stop(const struct function_source *source)
{
    return atomic_load_explicit(&source->shadow_task.cancelled, memory_order_relaxed);
}

/* The slot that is written; NULL when the job is being cancelled. Waits while the ring is full. */
static struct slot *head_slot(struct function_source *source)
{
    uint32_t head = atomic_load_explicit(&source->head, memory_order_relaxed);
    for (;;) {
        if (head - atomic_load_explicit(&source->tail, memory_order_acquire) < RING_SLOTS)
            return &source->slots[head % RING_SLOTS];
        uint32_t seen = fl__waker_prepare(&source->producer_waits);
        if (must_stop(source)) {
            fl__waker_cancel(&source->producer_waits, seen);
            return NULL;
        }
        if (head - atomic_load_explicit(&source->tail, memory_order_acquire) < RING_SLOTS)
            fl__waker_cancel(&source->producer_waits, seen);
        else
            fl__waker_park(&source->producer_waits, seen, -1);
    }
}

static void close_slot(struct function_source *source)
{
    uint32_t head = atomic_load_explicit(&source->head, memory_order_relaxed);
    atomic_store_explicit(&source->head, head + 1, memory_order_release);
}

/* fl_fail was called in run: tell the task, and make fl_running false. */
static void stop(struct function_source *source)
{
    atomic_store_explicit(&source->shadow_task.cancelled, true, memory_order_relaxed);
    atomic_store_explicit(&source->stopped, true, memory_order_release);
    wake_task(source);
}

static void renew_batch(struct function_source *source, struct slot *slot, size_t heap_bytes)
{
    fl__memory *memory = source->op.task->memory;
    const fl__layout *layout = &source->shadow.out.layout;
    if (slot->batch && !slot->is_large && heap_bytes == 0) {
        fl__batch_clear(slot->batch);
        return;
    }
    fl__batch_free(slot->batch);
    slot->is_large = heap_bytes > 0;
    slot->batch = slot->is_large ? fl__batch_new_large(memory, layout->type, FL__COLUMN_TIMESTAMP, heap_bytes)
                                 : fl__batch_new(memory, layout->type, FL__COLUMN_TIMESTAMP, SLOT_BYTES);
}

/* Puts a row that did not fit the rest of a slot into the next one, or into a batch of its own. NULL: cancelled,
 * failed. */
static struct slot *append_to_next(struct function_source *source, struct slot *slot, const void *row)
{
    const fl__layout *layout = &source->shadow.out.layout;
    if (slot->batch->count > 0) {
        close_slot(source);
        wake_task(source);
        slot = head_slot(source);
        if (!slot)
            return NULL;
        renew_batch(source, slot, 0);
        if (fl__batch_append(slot->batch, layout, row))
            return slot;
    }
    size_t heap_bytes = fl__value_heap_bytes(layout, row);
    renew_batch(source, slot, heap_bytes);
    if (slot->batch && fl__batch_append(slot->batch, layout, row))
        return slot;
    fl_fail(&source->shadow.ctx, "a record of %zu bytes is larger than any batch", heap_bytes);
    stop(source);
    return NULL;
}

static bool append(struct function_source *source, const void *row)
{
    struct slot *slot = head_slot(source);
    if (!slot)
        return false;
    const fl__layout *layout = &source->shadow.out.layout;
    if (atomic_load_explicit(&slot->published, memory_order_relaxed) == 0)
        renew_batch(source, slot, 0);
    fl__batch *batch = slot->batch;
    if (layout->is_flat && batch->count < batch->capacity) {
        memcpy(fl__batch_row(batch, batch->count), row, layout->row_size);
        batch->count++;
    } else if (!fl__batch_append(batch, layout, row)) {
        slot = append_to_next(source, slot, row);
        if (!slot)
            return false;
        batch = slot->batch;
    }
    fl__batch_timestamps(batch)[batch->count - 1] = source->shadow.out.collector.timestamp;
    atomic_store_explicit(&slot->published, batch->count, memory_order_release);
    return true;
}

/* What fl_collect calls in the function's thread: the collector's limit is its start, so every row comes here. */
static void collect(fl__output *out, const void *row, size_t size)
{
    struct function_source *source = source_of(out);
    if (size != out->layout.row_size)
        fl_fail(&source->shadow.ctx,
            "fl_collect was given %zu bytes, but the stream's type %s has %u; collect a pointer to that type", size,
            out->layout.type->name, out->layout.row_size);
    if (FL_UNLIKELY(source->shadow_task.failed)) {
        stop(source);
        return;
    }
    if (out->rows++ % CLOCK_ROWS == 0)
        source->shadow.ctx.processing_time = fl__os_now_ms(source->op.task->os);
    if (append(source, row))
        wake_task(source);
}

/* fl_emit_watermark and fl_mark_idle: the mark closes the slot. */
static void mark(fl__output *out, int event_kind, int64_t value)
{
    struct function_source *source = source_of(out);
    if (event_kind == FL__EVENT_WATERMARK) {
        if (value <= out->watermark)
            return;
        out->watermark = value;
        source->shadow.ctx.watermark = value;
    }
    struct slot *slot = head_slot(source);
    if (!slot)
        return;
    slot->has_mark = true;
    slot->mark_kind = event_kind;
    slot->mark_value = value;
    close_slot(source);
    wake_task(source);
}

static void run(void *arg)
{
    struct function_source *source = (struct function_source *)arg;
    source->shadow.spec->function(NULL, &source->shadow.out.collector, &source->shadow.ctx);
    if (source->shadow_task.failed)
        stop(source);
    /* the last slot is closed only when something is in it; the task reads on to where it is published */
    atomic_store_explicit(&source->ended, true, memory_order_release);
    fl__waker_wake(fl__operator_waker(&source->op));
    fl__waker_wake(&source->consumer_waits);
}

/* ---- the task's thread ---- */

static fl_status open_source(fl__operator *op, fl_error *error)
{
    (void)error;
    struct function_source *source = (struct function_source *)op;
    const struct source_config *config = (const struct source_config *)op->spec->config;
    source->is_open = true;
    source->in_simulation = config->env->simulation != NULL;
    fl__waker_init(&source->consumer_waits);
    fl__waker_init(&source->producer_waits);
    return FL_OK;
}

/* At the first poll and not at open: the user's open has been called then. */
static fl_status start(struct function_source *source)
{
    fl__operator *op = &source->op, *shadow = &source->shadow;
    source->is_started = true;
    shadow->class = op->class;
    shadow->spec = op->spec;
    shadow->task = &source->shadow_task;
    shadow->ctx = op->ctx;
    shadow->display_name = op->display_name;
    shadow->counters = op->counters;
    source->shadow_task.name = op->task->name;
    source->shadow_task.subtask = op->task->subtask;
    source->shadow_task.parallelism = op->task->parallelism;
    source->shadow_task.os = op->task->os;
    source->shadow_task.memory = op->task->memory;
    source->shadow_task.accumulators = &source->accumulators;
    fl__layout_init(&shadow->out.layout, op->spec->out);
    shadow->out.op = shadow;
    shadow->out.slow = collect;
    shadow->out.control = mark;
    shadow->out.watermark = FL_TIME_MIN;
    shadow->out.collector.row_size = op->spec->out->size;
    shadow->out.collector.timestamp = FL_NO_TIMESTAMP;
    fl_error error = FL_ERROR_INIT;
    fl_status status = fl__thread_start(&source->thread, op->spec->name, run, source, &error);
    if (status != FL_OK) {
        atomic_store(&source->ended, true);
        fl__operator_fail(op, status, "%s", error.text);
    }
    fl__error_release(&error);
    return status;
}

static fl_status report_failure(struct function_source *source)
{
    const fl_error *error = &source->shadow_task.error;
    /* the text has the operator's name in front already, which fl__operator_fail adds as well */
    char name[256];
    int length = snprintf(name, sizeof name, "%s (%d/%d): ", source->op.spec->name, source->op.ctx.subtask + 1,
        source->op.ctx.parallelism);
    const char *text = error->text;
    if (length > 0 && length < (int)sizeof name && strncmp(text, name, (size_t)length) == 0)
        text += length;
    fl__output_flush(&source->op.out); /* what was collected before goes out */
    return fl__operator_fail(&source->op, error->status, "%s", text);
}

static void emit_mark(struct function_source *source, const struct slot *slot)
{
    if (slot->mark_kind == FL__EVENT_IDLE) {
        source->was_idle = true;
        fl__operator_emit_idle(&source->op, true);
        return;
    }
    if (source->was_idle)
        fl__operator_emit_idle(&source->op, false);
    source->was_idle = false;
    fl__operator_emit_watermark(&source->op, slot->mark_value);
}

/* Emits up to `most` published rows of the tail slot; returns how many. */
static uint32_t emit_rows(struct function_source *source, struct slot *slot, uint32_t most)
{
    uint32_t published = atomic_load_explicit(&slot->published, memory_order_acquire), first = slot->taken;
    uint32_t count = published - first < most ? published - first : most;
    if (count == 0)
        return 0;
    if (source->was_idle)
        fl__operator_emit_idle(&source->op, false);
    source->was_idle = false;
    const char *row = fl__batch_row(slot->batch, first);
    const int64_t *timestamps = fl__batch_timestamps(slot->batch) + first;
    uint32_t row_size = source->op.spec->out->size;
    for (uint32_t i = 0; i < count; i++, row += row_size)
        fl__emit(&source->op.out, row, timestamps[i]);
    slot->taken = first + count;
    return count;
}

/* Takes rows and marks until there are no more or `most` were taken; returns how many. */
static uint32_t take(struct function_source *source, uint32_t most)
{
    uint32_t taken = 0;
    while (taken < most) {
        uint32_t tail = atomic_load_explicit(&source->tail, memory_order_relaxed);
        struct slot *slot = &source->slots[tail % RING_SLOTS];
        /* before the count: a slot that was closed gets no more rows */
        bool is_closed = atomic_load_explicit(&source->head, memory_order_acquire) != tail;
        uint32_t rows = emit_rows(source, slot, most - taken);
        taken += rows;
        if (rows > 0 && taken == most)
            break;
        if (!is_closed)
            break;
        if (slot->has_mark) {
            emit_mark(source, slot);
            taken++;
        }
        slot->has_mark = false;
        slot->taken = 0;
        atomic_store_explicit(&slot->published, 0, memory_order_relaxed);
        atomic_store_explicit(&source->tail, tail + 1, memory_order_release);
        fl__waker_wake(&source->producer_waits);
    }
    return taken;
}

/* Is there anything to take, or an end to be seen? */
static bool has_work(struct function_source *source)
{
    if (atomic_load_explicit(&source->ended, memory_order_acquire) ||
        atomic_load_explicit(&source->stopped, memory_order_acquire))
        return true;
    uint32_t tail = atomic_load_explicit(&source->tail, memory_order_relaxed);
    const struct slot *slot = &source->slots[tail % RING_SLOTS];
    return atomic_load_explicit(&source->head, memory_order_acquire) != tail ||
           atomic_load_explicit(&slot->published, memory_order_acquire) != slot->taken;
}

static void wait_for_work(struct function_source *source)
{
    while (!has_work(source)) {
        uint32_t seen = fl__waker_prepare(&source->consumer_waits);
        if (has_work(source))
            fl__waker_cancel(&source->consumer_waits, seen);
        else
            fl__waker_park(&source->consumer_waits, seen, -1);
    }
}

/* Lets the other hyper-thread go on. */
static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits a moment when the function has just been busy. */
static bool comes_soon(struct function_source *source)
{
    for (int i = 0; source->had_rows && i < SPINS; i++) {
        if (has_work(source))
            return true;
        relax();
    }
    source->had_rows = false;
    return false;
}

static fl_status poll_source(fl__operator *op)
{
    struct function_source *source = (struct function_source *)op;
    if (!source->is_started && start(source) != FL_OK)
        return FL_ERROR_USER;
    for (;;) {
        if (source->in_simulation)
            wait_for_work(source);
        /* before the rows: what was published before the end is taken first */
        bool stopped = atomic_load_explicit(&source->stopped, memory_order_acquire);
        bool ended = atomic_load_explicit(&source->ended, memory_order_acquire);
        if (take(source, source->in_simulation ? 1 : POLL_ROWS) > 0) {
            source->had_rows = true;
            return FL_OK;
        }
        if (stopped)
            return report_failure(source);
        if (ended)
            return FL_DONE;
        if (!source->in_simulation && !comes_soon(source))
            return FL_AGAIN;
    }
}

static void add_accumulators(struct function_source *source)
{
    for (uint32_t i = 0; i < source->accumulators.count; i++) {
        const fl__accumulator *a = &source->accumulators.items[i];
        if (a->is_double)
            fl_accumulate_double(&source->op.ctx, a->name, a->d);
        else
            fl_accumulate(&source->op.ctx, a->name, a->i);
    }
    source->accumulators.count = 0;
}

/* Waits until run has returned. It was told to; one that does not listen is named in the log again and again. */
static void wait_for_end(struct function_source *source)
{
    int64_t waited_ms = 0;
    while (!atomic_load_explicit(&source->ended, memory_order_acquire)) {
        uint32_t seen = fl__waker_prepare(&source->consumer_waits);
        if (atomic_load_explicit(&source->ended, memory_order_acquire)) {
            fl__waker_cancel(&source->consumer_waits, seen);
            break;
        }
        if (fl__waker_park(&source->consumer_waits, seen, (int64_t)GRACE_MS * 1000000))
            continue;
        waited_ms += GRACE_MS;
        fl__notice(&source->op,
            "the source function has not returned %lld s after it was cancelled; it must return when fl_running(ctx) "
            "is false, and .cancel must end what it waits for",
            (long long)(waited_ms / 1000));
    }
}

static fl_status finish(fl__operator *op)
{
    struct function_source *source = (struct function_source *)op;
    fl__thread_join(&source->thread);
    add_accumulators(source);
    return FL_OK;
}

static void close_source(fl__operator *op)
{
    struct function_source *source = (struct function_source *)op;
    const struct source_config *config = (const struct source_config *)op->spec->config;
    if (!source->is_open)
        return;
    source->is_open = false;
    if (source->is_started) {
        atomic_store(&source->shadow_task.cancelled, true);
        if (!atomic_load(&source->ended)) {
            if (config->cancel)
                config->cancel(&op->ctx);
            fl__waker_wake(&source->producer_waits);
            wait_for_end(source);
        }
        fl__thread_join(&source->thread);
        add_accumulators(source);
        for (fl__user_counter *c = source->shadow.counters, *next; c && c != op->counters; c = next) {
            next = c->next;
            fl__free(op->task->memory, c, sizeof *c);
        }
        fl__error_release(&source->shadow_task.error);
    }
    for (int i = 0; i < RING_SLOTS; i++)
        fl__batch_free(source->slots[i].batch);
    fl__waker_release(&source->consumer_waits);
    fl__waker_release(&source->producer_waits);
}

static const fl__operator_class function_source_class = {
    .kind = "Custom Source",
    .size = sizeof(struct function_source),
    .open = open_source,
    .poll = poll_source,
    .finish = finish,
    .close = close_source,
};

fl_stream *fl__add_source(fl_env *env, fl_function body, const fl_type *type, const fl_source_options *options)
{
    if (!body)
        return fl__stream_error(env, options->where, "fl_add_source: the function is NULL");
    struct source_config *config = fl__env_alloc(env, sizeof *config);
    *config = (struct source_config){ options->cancel, env };
    return fl__add_source_operator(env, &(fl__new_operator){
                                            .class = &function_source_class,
                                            .out = type,
                                            .options = (const fl_options *)options,
                                            .source = options,
                                            .function = body,
                                            .config = config,
                                            .not_parallel = !options->parallel,
                                            .emits_timestamps = true,
                                            .is_unbounded = !options->bounded,
                                        });
}
