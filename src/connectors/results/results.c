#include "connectors/results/results.h"

#include "flinc/client.h"
#include "stream/task.h"

enum { BATCH_BYTES = 32 * 1024 };

typedef struct results_sink {
    fl__operator op;
    fl__batch *open; /* being filled; NULL: none */
} results_sink;

static fl_results *results_of(const results_sink *sink)
{
    return sink->op.spec->config;
}

/* ---- both sides ---- */

void fl__results_end(fl_results *results)
{
    fl__mutex_lock(&results->lock);
    results->is_ended = true;
    fl__mutex_unlock(&results->lock);
    fl__waker_wake(&results->reader);
}

static void free_batches(fl_results *results)
{
    for (uint32_t i = 0; i < results->count; i++)
        fl__batch_free(results->queue[(results->first + i) % FL__RESULTS_BATCHES]);
    for (fl__batch *batch = results->spare, *next; batch; batch = next) {
        next = batch->next;
        fl__batch_free(batch);
    }
    results->count = 0;
    results->spare = NULL;
}

/* ---- the sink's side ---- */

/* A batch for the row, which needs so much heap. */
static fl__batch *take_batch(fl_results *results, size_t heap_bytes)
{
    const fl_type *type = results->layout.type;
    fl__memory *memory = &results->env->memory;
    if (heap_bytes > BATCH_BYTES / 2)
        return fl__batch_new_large(memory, type, 0, heap_bytes);
    fl__mutex_lock(&results->lock);
    fl__batch *batch = results->spare;
    if (batch)
        results->spare = batch->next;
    fl__mutex_unlock(&results->lock);
    if (!batch)
        return fl__batch_new(memory, type, 0, BATCH_BYTES);
    fl__batch_clear(batch);
    return batch;
}

/* True: the batch is the queue's, or was dropped because nobody reads. False: the queue is full. */
static bool try_send(fl_results *results, fl__batch *batch)
{
    fl__mutex_lock(&results->lock);
    bool is_closed = results->is_closed, has_room = results->count < FL__RESULTS_BATCHES;
    if (!is_closed && has_room)
        results->queue[(results->first + results->count++) % FL__RESULTS_BATCHES] = batch;
    fl__mutex_unlock(&results->lock);
    if (is_closed)
        fl__batch_free(batch);
    else if (has_room)
        fl__waker_wake(&results->reader);
    return is_closed || has_room;
}

/* Waits for room. Time spent here is no idleness of the inputs. */
static void send(results_sink *sink)
{
    fl_results *results = results_of(sink);
    fl__task *task = sink->op.task;
    fl__batch *batch = sink->open;
    sink->open = NULL;
    if (try_send(results, batch))
        return;
    fl_time before = fl__os_now_ms(task->os);
    atomic_store(&task->sleeps_on, &results->writer);
    for (;;) {
        uint32_t seen = fl__waker_prepare(&results->writer);
        bool is_cancelled = atomic_load(&task->cancelled);
        if (is_cancelled || try_send(results, batch)) {
            fl__waker_cancel(&results->writer, seen);
            if (is_cancelled)
                fl__batch_free(batch);
            break;
        }
        fl__waker_park(&results->writer, seen, -1);
    }
    atomic_store(&task->sleeps_on, NULL);
    fl_time after = fl__os_now_ms(task->os);
    task->stalled_ms += after > before ? after - before : 0;
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    results_sink *sink = (results_sink *)op;
    fl_results *results = results_of(sink);
    FL__FOR_ROWS(batch, row, i)
    {
        if (sink->open && fl__batch_append(sink->open, &results->layout, row))
            continue;
        if (sink->open)
            send(sink);
        sink->open = take_batch(results, fl__value_heap_bytes(&results->layout, row));
        bool fits = fl__batch_append(sink->open, &results->layout, row);
        fl_assert(fits);
    }
    return FL_OK;
}

static void flush(fl__operator *op)
{
    results_sink *sink = (results_sink *)op;
    if (sink->open)
        send(sink);
}

static fl_status finish(fl__operator *op)
{
    flush(op);
    fl__results_end(results_of((results_sink *)op));
    return FL_OK;
}

static void close_sink(fl__operator *op)
{
    results_sink *sink = (results_sink *)op;
    fl__batch_free(sink->open); /* failed or cancelled: what was not sent is lost */
    sink->open = NULL;
}

static const fl__operator_class results_class = {
    .kind = "Collect results", /* Flink: "Collect Stream sink" */
    .size = sizeof(results_sink),
    .process = process,
    .flush = flush,
    .finish = finish,
    .close = close_sink,
};

/* ---- the reader's side ---- */

static void give_back(fl_results *results, fl__batch *batch)
{
    if (batch->size > 2 * BATCH_BYTES) {
        fl__batch_free(batch);
        return;
    }
    fl__mutex_lock(&results->lock);
    batch->next = results->spare;
    results->spare = batch;
    fl__mutex_unlock(&results->lock);
}

/* The next batch; NULL: there is none now. */
static fl__batch *receive(fl_results *results, bool *is_over)
{
    fl__batch *batch = NULL;
    fl__mutex_lock(&results->lock);
    if (results->count > 0) {
        batch = results->queue[results->first];
        results->first = (results->first + 1) % FL__RESULTS_BATCHES;
        results->count--;
    }
    *is_over = !batch && (results->is_ended || results->is_closed);
    fl__mutex_unlock(&results->lock);
    if (batch)
        fl__waker_wake(&results->writer);
    return batch;
}

const void *fl__results_read(fl_results *results)
{
    while (!results->read || results->next_row == results->read->count) {
        if (results->read)
            give_back(results, results->read);
        results->next_row = 0;
        bool is_over;
        results->read = receive(results, &is_over);
        if (is_over)
            return NULL;
        if (results->read)
            continue;
        uint32_t seen = fl__waker_prepare(&results->reader);
        results->read = receive(results, &is_over);
        if (results->read || is_over)
            fl__waker_cancel(&results->reader, seen);
        else
            fl__waker_park(&results->reader, seen, -1);
    }
    return fl__batch_row(results->read, results->next_row++);
}

void fl__results_give_up(fl_results *results)
{
    fl__mutex_lock(&results->lock);
    results->is_closed = true;
    free_batches(results);
    fl__mutex_unlock(&results->lock);
    fl__batch_free(results->read);
    results->read = NULL;
    fl__waker_wake(&results->writer);
}

/* ---- making them ---- */

static void release(void *arg)
{
    fl_results *results = arg;
    free_batches(results);
    fl__batch_free(results->read);
    fl__waker_release(&results->writer);
    fl__waker_release(&results->reader);
    fl__mutex_release(&results->lock);
}

fl_results *fl__collect_async(fl_stream *in, fl_where where)
{
    fl_env *env = in->env;
    fl_results *results = fl__env_alloc(env, sizeof *results);
    results->env = env;
    fl__mutex_init(&results->lock);
    fl__waker_init(&results->writer);
    fl__waker_init(&results->reader);
    fl__env_at_free(env, release, results);
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_collect_async", where))
        return results;
    fl__layout_init(&results->layout, in->type);
    fl__add_operator(in, &(fl__new_operator){
                             .class = &results_class,
                             .options = &(const fl_options){ .where = where, .parallelism = 1 },
                             .config = results,
                             .not_parallel = true,
                         });
    results->next = env->open_results; /* add_operator may have begun a new graph: only now */
    env->open_results = results;
    return results;
}
