/* Threads for async functions that block: a queue of requests, and threads that take them.
 *
 * As a source function does, each thread has a shadow of operator and task, so that the user's functions get a context
 * that only their thread touches. What they do there is carried over by the task: failures with the request that the
 * thread had, accumulators when the thread has ended.
 *
 * Under a virtual clock there are no threads: the first one's function is called by the task, which is what the
 * simulator can repeat. */
#include "operators/async_internal.h"

#include "base/log.h"
#include "os/thread.h"

#include <stdio.h>

enum { GRACE_MS = 10000 }; /* after this a function that does not return is named in the log */

typedef struct worker {
    struct fl__async_threads *pool;
    fl__thread thread;
    fl__waker waker;
    fl__operator shadow;
    fl__task shadow_task;
    fl__accumulators accumulators;
    void *key_scratch;
    bool is_open;
    struct worker *next_idle; /* guarded by the lock, as is_idle */
    bool is_idle;
    _Atomic bool ended;
} worker;

typedef struct fl__async_threads {
    fl__async_operator *op;
    const fl__async_config *config;
    bool is_virtual, is_started;
    fl__mutex lock; /* guards the queue, the idle ones and is_stopping */
    fl__async_request *first, **end;
    worker *idle;
    bool is_stopping;
    fl__waker all_ended; /* the task waits for the threads' end */
    uint32_t count;
    worker workers[];
} fl__async_threads;

/* ---- the threads' side ---- */

static void open_worker(worker *w)
{
    const fl__async_config *config = w->pool->config;
    w->is_open = true;
    w->shadow.ctx.processing_time = fl__os_now_ms(w->shadow_task.os);
    if (config->thread_open)
        config->thread_open(&w->shadow.ctx);
}

static void close_worker(worker *w)
{
    const fl__async_config *config = w->pool->config;
    if (w->is_open && config->thread_close)
        config->thread_close(&w->shadow.ctx);
    w->is_open = false;
}

/* What the shadow failed with, without the name that stands in front: fl__operator_fail adds it again. */
static const char *failure_of(const worker *w)
{
    const char *text = w->shadow_task.error.text;
    size_t length = strlen(w->shadow.display_name);
    bool has_name = strncmp(text, w->shadow.display_name, length) == 0 && strncmp(text + length, ": ", 2) == 0;
    return has_name ? text + length + 2 : text;
}

/* Timers and the like, which are not to be had here. */
static void fail_shadow(void *owner, fl_status status, const char *text)
{
    fl__operator_fail((fl__operator *)owner, status, "%s", text);
}

static void serve(worker *w, fl__async_request *request)
{
    fl_context *ctx = &w->shadow.ctx;
    if (fl__async_request_is_wanted(request)) {
        fl_async *handle = fl__async_request_handle(request);
        ctx->timestamp = request->timestamp;
        ctx->watermark = request->watermark;
        ctx->processing_time = fl__os_now_ms(w->shadow_task.os);
        ctx->key = w->key_scratch ? fl__key_of(w->shadow.spec->key[0], request->input, w->key_scratch) : NULL;
        if (!w->shadow_task.failed)
            w->pool->config->invoke(request->input, handle, ctx);
        ctx->key = NULL;
        if (w->shadow_task.failed)
            fl__async_fail_unanswered(handle, w->shadow_task.error.status, failure_of(w));
    }
    /* release: the record was read before */
    atomic_fetch_sub_explicit(&request->busy, 1, memory_order_release);
}

static void leave_idle(worker *w)
{
    worker **at = &w->pool->idle;
    while (*at != w)
        at = &(*at)->next_idle;
    *at = w->next_idle;
    w->is_idle = false;
}

/* The next request; waits for it. NULL: the pool stops. */
static fl__async_request *next_request(worker *w)
{
    fl__async_threads *pool = w->pool;
    for (;;) {
        uint32_t seen = fl__waker_prepare(&w->waker);
        fl__mutex_lock(&pool->lock);
        bool is_stopping = pool->is_stopping;
        fl__async_request *request = is_stopping ? NULL : pool->first;
        if (request) {
            pool->first = request->next_work;
            if (!pool->first)
                pool->end = &pool->first;
            if (w->is_idle)
                leave_idle(w);
        } else if (!is_stopping && !w->is_idle) {
            w->next_idle = pool->idle;
            w->is_idle = true;
            pool->idle = w;
        }
        fl__mutex_unlock(&pool->lock);
        if (request || is_stopping) {
            fl__waker_cancel(&w->waker, seen);
            return request;
        }
        fl__waker_park(&w->waker, seen, -1);
    }
}

static void run(void *arg)
{
    worker *w = (worker *)arg;
    open_worker(w);
    for (fl__async_request *request; (request = next_request(w)) != NULL;)
        serve(w, request);
    close_worker(w);
    atomic_store_explicit(&w->ended, true, memory_order_release);
    fl__waker_wake(&w->pool->all_ended);
}

/* ---- the task's side ---- */

static void init_worker(fl__async_threads *pool, worker *w)
{
    fl__operator *op = &pool->op->op, *shadow = &w->shadow;
    w->pool = pool;
    fl__waker_init(&w->waker);
    shadow->class = op->class;
    shadow->spec = op->spec;
    shadow->task = &w->shadow_task;
    shadow->ctx = op->ctx;
    shadow->ctx.self = pool->config->thread_size ? fl__alloc_zero(NULL, pool->config->thread_size) : NULL;
    shadow->display_name = op->display_name;
    fl__function_init(&shadow->function, shadow, fail_shadow);
    shadow->ctx.function = &shadow->function;
    w->key_scratch = op->spec->key[0] ? fl__alloc_zero(NULL, op->spec->key[0]->size) : NULL;
    w->shadow_task.name = op->task->name;
    w->shadow_task.subtask = op->task->subtask;
    w->shadow_task.parallelism = op->task->parallelism;
    w->shadow_task.os = op->task->os;
    w->shadow_task.memory = op->task->memory;
    w->shadow_task.accumulators = &w->accumulators;
}

fl__async_threads *fl__async_threads_new(fl__async_operator *op, bool is_virtual)
{
    uint32_t count = is_virtual ? 1 : op->config->threads;
    fl__async_threads *pool = fl__alloc_zero(NULL, sizeof *pool + count * sizeof(worker));
    pool->op = op;
    pool->config = op->config;
    pool->is_virtual = is_virtual;
    pool->end = &pool->first;
    pool->count = count;
    fl__mutex_init(&pool->lock);
    fl__waker_init(&pool->all_ended);
    return pool;
}

/* At the first request and not at open: the user's open has been called then. */
static void start(fl__async_threads *pool)
{
    pool->is_started = true;
    for (uint32_t i = 0; i < pool->count; i++) {
        worker *w = &pool->workers[i];
        init_worker(pool, w);
        if (pool->is_virtual) {
            open_worker(w);
            continue;
        }
        fl_error error = FL_ERROR_INIT;
        if (fl__thread_start(&w->thread, pool->op->op.spec->name, run, w, &error) != FL_OK) {
            atomic_store(&w->ended, true);
            fl__operator_fail(&pool->op->op, error.status, "%s; or give it less .threads", error.text);
        }
        fl__error_release(&error);
    }
}

void fl__async_threads_serve(fl__async_threads *pool, fl__async_request *request)
{
    if (!pool->is_started)
        start(pool);
    atomic_fetch_add_explicit(&request->busy, 1, memory_order_relaxed);
    if (pool->is_virtual) {
        fl__async_running = pool->op;
        serve(&pool->workers[0], request);
        fl__async_running = NULL;
        return;
    }
    request->next_work = NULL;
    fl__mutex_lock(&pool->lock);
    *pool->end = request;
    pool->end = &request->next_work;
    worker *w = pool->idle;
    if (w) {
        pool->idle = w->next_idle;
        w->is_idle = false;
    }
    fl__mutex_unlock(&pool->lock);
    if (w)
        fl__waker_wake(&w->waker);
}

static void stop_all(fl__async_threads *pool)
{
    fl__mutex_lock(&pool->lock);
    pool->is_stopping = true;
    fl__mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->count; i++) {
        atomic_store_explicit(&pool->workers[i].shadow_task.cancelled, true, memory_order_relaxed);
        fl__waker_wake(&pool->workers[i].waker);
    }
}

/* One that does not come back is named in the log again and again. */
static void wait_for_end(fl__async_threads *pool, worker *w)
{
    for (int64_t waited_ms = 0; !atomic_load_explicit(&w->ended, memory_order_acquire);) {
        uint32_t seen = fl__waker_prepare(&pool->all_ended);
        if (atomic_load_explicit(&w->ended, memory_order_acquire)) {
            fl__waker_cancel(&pool->all_ended, seen);
            break;
        }
        if (fl__waker_park(&pool->all_ended, seen, (int64_t)GRACE_MS * 1000000))
            continue;
        waited_ms += GRACE_MS;
        fl__log(FL__LOG_WARN, "async",
            "%s: the function has not returned %lld s after the job's end; what it waits for must have a time limit",
            pool->op->op.display_name, (long long)(waited_ms / 1000));
    }
    fl__thread_join(&w->thread);
}

static void carry_over(fl__async_threads *pool, worker *w)
{
    fl_context *ctx = &pool->op->op.ctx;
    for (uint32_t i = 0; i < w->accumulators.count; i++) {
        const fl__accumulator *a = &w->accumulators.items[i];
        if (a->is_double)
            fl_accumulate_double(ctx, a->name, a->d);
        else
            fl_accumulate(ctx, a->name, a->i);
    }
    if (w->shadow_task.failed)
        fl__operator_fail(&pool->op->op, w->shadow_task.error.status, "%s", failure_of(w));
}

static void release_worker(fl__async_threads *pool, worker *w)
{
    const fl__operator_spec *spec = w->shadow.spec;
    for (fl__user_counter *c = w->shadow.counters, *next; c; c = next) {
        next = c->next;
        fl__free(w->shadow_task.memory, c, sizeof *c);
    }
    fl__error_release(&w->shadow_task.error);
    if (w->shadow.ctx.self)
        fl__free(NULL, w->shadow.ctx.self, pool->config->thread_size);
    if (w->key_scratch)
        fl__free(NULL, w->key_scratch, spec->key[0]->size);
    fl__function_release(&w->shadow.function);
    fl__waker_release(&w->waker);
}

static void withdraw(fl__async_request *request)
{
    fl__async_request_withdraw(request);
    atomic_store_explicit(&request->busy, 0, memory_order_relaxed);
}

void fl__async_threads_free(fl__async_threads *pool)
{
    if (!pool)
        return;
    if (pool->is_started && !pool->is_virtual)
        stop_all(pool);
    for (uint32_t i = 0; pool->is_started && i < pool->count; i++) {
        worker *w = &pool->workers[i];
        if (pool->is_virtual)
            close_worker(w);
        else
            wait_for_end(pool, w);
        carry_over(pool, w);
        release_worker(pool, w);
    }
    for (fl__async_request *request = pool->first; request; request = request->next_work)
        withdraw(request);
    fl__waker_release(&pool->all_ended);
    fl__mutex_release(&pool->lock);
    fl__free(NULL, pool, sizeof *pool + pool->count * sizeof(worker));
}
