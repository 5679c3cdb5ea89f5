/* Requests of async I/O: the pool, handles, and the answers that come from any thread. The picture is in
 * async_internal.h. */
#include "operators/async_internal.h"

#include "base/log.h"
#include "os/thread.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    CHUNK = 64,             /* requests allocated at once */
    CHUNKS = 1 << 18,       /* 16 M requests in flight in one process */
    KEEP_BYTES = 16 * 1024, /* larger buffers are given back after use */
    WARN_EVERY_MS = 60 * 1000,
};

/* Operators' names outlive them here: whoever answers too late must not follow a pointer into a job that is gone. One
 * a name, for ever. */
typedef struct fl__async_name {
    struct fl__async_name *next;
    fl__log_limit limit;
    char text[];
} fl__async_name;

/* A chunk is published by its pointer (release) and never freed. */
static _Atomic(fl__async_request *) chunks[CHUNKS];
static fl__mutex lock = FL__MUTEX_INIT; /* guards the following */
static fl__mail *pool;
static uint32_t chunk_count;
static fl__async_name *names;

_Thread_local fl__async_operator *fl__async_running;

/* ---- the pool ---- */

static void grow_pool(void)
{
    fl_assert(chunk_count < CHUNKS);
    fl__async_request *chunk = fl__alloc_zero(NULL, CHUNK * sizeof *chunk);
    for (uint32_t i = CHUNK; i-- > 0;) {
        chunk[i].index = chunk_count * CHUNK + i;
        chunk[i].mail.next = pool;
        pool = &chunk[i].mail;
    }
    atomic_store_explicit(&chunks[chunk_count++], chunk, memory_order_release);
}

static fl__async_name *keep_name(const char *text)
{
    fl__async_name *name = names;
    while (name && strcmp(name->text, text) != 0)
        name = name->next;
    if (name)
        return name;
    size_t size = strlen(text) + 1;
    name = fl__alloc_zero(NULL, sizeof *name + size);
    memcpy(name->text, text, size);
    name->next = names;
    names = name;
    return name;
}

fl__async_request *fl__async_request_new(fl__operator *op, const fl__layout *result_layout)
{
    fl__mutex_lock(&lock);
    if (!pool)
        grow_pool();
    fl__async_request *request = (fl__async_request *)pool;
    pool = request->mail.next;
    fl__async_name *name = keep_name(op->display_name);
    fl__mutex_unlock(&lock);
    atomic_store_explicit(&request->name, name, memory_order_release);
    request->op = op;
    request->result_layout = result_layout;
    request->timed_out = request->is_done = request->waits_for_retry = false;
    return request;
}

static void drop_error(fl__async_request *request)
{
    free(request->error);
    request->error = NULL;
}

/* To the pool; it is FREE. */
static void give_back(fl__async_request *request)
{
    fl__free(NULL, request->input, request->input_bytes);
    fl__free(NULL, request->rows, request->rows_bytes);
    drop_error(request);
    request->input = request->rows = NULL;
    request->input_bytes = request->rows_bytes = 0;
    fl__mutex_lock(&lock);
    request->mail.next = pool;
    pool = &request->mail;
    fl__mutex_unlock(&lock);
}

static fl__async_request *find(const fl_async *handle)
{
    uint32_t index = (uint32_t)(uintptr_t)handle;
    if (!handle || index / CHUNK >= CHUNKS)
        return NULL;
    fl__async_request *chunk = atomic_load_explicit(&chunks[index / CHUNK], memory_order_acquire);
    return chunk ? &chunk[index % CHUNK] : NULL;
}

/* ---- life ---- */

static uint64_t generation_of(uint64_t state)
{
    return state >> FL__GENERATION_SHIFT;
}

uint64_t fl__async_request_generation(const fl__async_request *request)
{
    return generation_of(atomic_load_explicit(&request->state, memory_order_relaxed));
}

fl_async *fl__async_request_handle(const fl__async_request *request)
{
    _Static_assert(sizeof(fl_async *) == 8, "half a pointer for the generation");
    return (fl_async *)(uintptr_t)((fl__async_request_generation(request) << 32) | request->index);
}

static bool is_of(uint64_t state, const fl_async *handle)
{
    return (uint32_t)generation_of(state) == (uint32_t)((uintptr_t)handle >> 32);
}

void fl__async_request_open(fl__async_request *request)
{
    uint64_t state;
    /* acquire: the answerer of the generation before is gone when it has said DONE. It has only the end of a wake
     * between its mail and that. */
    while (((state = atomic_load_explicit(&request->state, memory_order_acquire)) & FL__STAGE) == FL__TAKEN)
        fl__thread_yield();
    fl_assert((state & FL__STAGE) != FL__OPEN);
    drop_error(request);
    request->row_count = 0;
    uint64_t generation = generation_of(state) + 1;
    if ((uint32_t)generation == 0)
        generation++; /* no handle is NULL */
    /* release: publishes the record */
    atomic_store_explicit(&request->state, generation << FL__GENERATION_SHIFT | FL__OPEN, memory_order_release);
}

bool fl__async_request_is_left(const fl__async_request *request)
{
    return (atomic_load_explicit(&request->state, memory_order_acquire) & FL__STAGE) != FL__TAKEN;
}

bool fl__async_request_expect_late(fl__async_request *request)
{
    uint64_t state = atomic_load_explicit(&request->state, memory_order_relaxed);
    return (state & FL__STAGE) == FL__OPEN && atomic_compare_exchange_strong_explicit(&request->state, &state,
                                                  state | FL__LATE, memory_order_acq_rel, memory_order_relaxed);
}

bool fl__async_request_is_late(const fl__async_request *request)
{
    return atomic_load_explicit(&request->state, memory_order_acquire) & FL__LATE;
}

void fl__async_request_give_up(fl__async_request *request)
{
    atomic_fetch_add_explicit(&request->late, 1, memory_order_relaxed);
    uint64_t state = atomic_fetch_and_explicit(&request->state, ~(uint64_t)FL__LATE, memory_order_acq_rel);
    if (!(state & FL__LATE)) /* it came just now */
        atomic_fetch_sub_explicit(&request->late, 1, memory_order_relaxed);
}

bool fl__async_request_is_wanted(fl__async_request *request)
{
    uint64_t state = atomic_load_explicit(&request->state, memory_order_acquire);
    if ((state & FL__STAGE) == FL__OPEN)
        return true;
    atomic_fetch_and_explicit(&request->state, ~(uint64_t)FL__LATE, memory_order_acq_rel);
    return false;
}

void fl__async_request_withdraw(fl__async_request *request)
{
    uint64_t state = atomic_load_explicit(&request->state, memory_order_acquire), next;
    do {
        bool has_other = state & FL__LATE;
        next = state & ~(uint64_t)FL__LATE;
        if ((state & FL__STAGE) == FL__OPEN && !has_other)
            next = state - FL__OPEN + FL__DONE;
    } while (!atomic_compare_exchange_weak_explicit(
        &request->state, &state, next, memory_order_acq_rel, memory_order_acquire));
}

void fl__async_request_abandon(fl__async_request *request)
{
    for (;;) {
        uint64_t state = atomic_load_explicit(&request->state, memory_order_acquire);
        unsigned stage = state & FL__STAGE;
        if (stage == FL__TAKEN) { /* the answerer uses the operator, for a moment yet */
            fl__thread_yield();
            continue;
        }
        bool is_awaited = stage == FL__OPEN || (state & FL__LATE);
        uint64_t late = stage == FL__OPEN ? state & FL__LATE : 0;
        uint64_t next = generation_of(state) << FL__GENERATION_SHIFT | late | (is_awaited ? FL__LOOSE : FL__FREE);
        if (!atomic_compare_exchange_strong_explicit(
                &request->state, &state, next, memory_order_acq_rel, memory_order_relaxed))
            continue;
        if (!is_awaited)
            give_back(request);
        return;
    }
}

/* ---- copies ---- */

static void reserve(char **block, size_t *bytes, size_t needed)
{
    if (needed <= *bytes && *bytes <= KEEP_BYTES)
        return;
    if (needed > *bytes || needed < KEEP_BYTES) {
        fl__free(NULL, *block, *bytes);
        *block = fl__alloc(NULL, needed);
        *bytes = needed;
    }
}

static size_t align8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

void fl__async_copy_rows(const fl__layout *layout, const void *rows, size_t count, char **block, size_t *bytes)
{
    if (count == 0)
        return;
    if (count == 1 && layout->is_flat && layout->row_size <= *bytes && *bytes <= KEEP_BYTES) {
        memcpy(*block, rows, layout->row_size);
        return;
    }
    size_t plain = align8(count * layout->row_size), needed = plain;
    for (size_t i = 0; !layout->is_flat && i < count; i++)
        needed += fl__value_heap_bytes(layout, (const char *)rows + i * layout->row_size);
    reserve(block, bytes, needed);
    memcpy(*block, rows, count * layout->row_size);
    char *heap = *block + plain;
    for (size_t i = 0; !layout->is_flat && i < count; i++)
        fl__value_adopt(layout, *block + i * layout->row_size, &heap);
}

void fl__async_request_set_input(fl__async_request *request, const fl__layout *layout, const void *row)
{
    fl__async_copy_rows(layout, row, 1, &request->input, &request->input_bytes);
}

/* ---- answers ---- */

static void warn_of_second(fl__async_request *request)
{
    uint32_t late = atomic_load_explicit(&request->late, memory_order_relaxed);
    while (late > 0) {
        if (atomic_compare_exchange_weak_explicit(
                &request->late, &late, late - 1, memory_order_relaxed, memory_order_relaxed))
            return;
    }
    fl__async_name *name = atomic_load_explicit(&request->name, memory_order_acquire);
    if (name && fl__log_shows(FL__LOG_WARN))
        fl__log_limited(&name->limit, WARN_EVERY_MS, FL__LOG_WARN, "async",
            "%s: a request was answered a second time, which is ignored; answer each one once, by fl_async_complete or "
            "fl_async_fail",
            name->text);
}

/* Somebody answers: the request, TAKEN now; or NULL when nobody waits for the answer. */
static fl__async_request *take(const fl_async *handle)
{
    fl__async_request *request = find(handle);
    if (!request) {
        fl__log_sometimes(WARN_EVERY_MS, FL__LOG_WARN, "async", "a request was answered that there never was: %p",
            (const void *)handle);
        return NULL;
    }
    uint64_t state = atomic_load_explicit(&request->state, memory_order_acquire);
    while (is_of(state, handle)) {
        unsigned stage = state & FL__STAGE;
        uint64_t next = state - stage;
        if (stage == FL__OPEN)
            next = state - FL__OPEN + FL__TAKEN;
        else if (stage == FL__LOOSE)
            next = (next & ~(uint64_t)FL__LATE) + FL__FREE;
        else if (state & FL__LATE)
            next = state & ~(uint64_t)FL__LATE;
        else
            break;
        if (!atomic_compare_exchange_weak_explicit(
                &request->state, &state, next, memory_order_acq_rel, memory_order_acquire))
            continue;
        if (stage == FL__OPEN)
            return request;
        if (stage == FL__LOOSE) {
            if (state & FL__LATE)
                atomic_fetch_add_explicit(&request->late, 1, memory_order_relaxed);
            give_back(request);
        }
        return NULL;
    }
    warn_of_second(request);
    return NULL;
}

/* The answer is in: tells the task. The last that its thread has to do with request and operator. */
static void deliver(fl__async_request *request)
{
    fl__async_operator *self = (fl__async_operator *)request->op;
    if (self == fl__async_running) {
        request->mail.next = NULL;
        *self->answered_here_end = &request->mail;
        self->answered_here_end = &request->mail.next;
    } else {
        fl__operator_post(request->op, &request->mail);
    }
    /* release: the operator may close, and reuse the request, once it sees this. An RMW where FL__LATE may be cleared
     * by another; without it a store does, of 5 ns less. */
    uint64_t state = atomic_load_explicit(&request->state, memory_order_relaxed);
    if (state & FL__LATE)
        atomic_fetch_add_explicit(&request->state, FL__DONE - FL__TAKEN, memory_order_release);
    else
        atomic_store_explicit(&request->state, state + FL__DONE - FL__TAKEN, memory_order_release);
}

void fl__async_complete(fl_async *handle, const void *rows, size_t count, size_t row_size)
{
    fl__async_request *request = take(handle);
    if (!request)
        return;
    const fl__layout *layout = request->result_layout;
    if (count > 0 && row_size != layout->row_size) {
        request->error_status = FL_ERROR_INVALID;
        if (asprintf(&request->error,
                "fl_async_complete was given rows of %zu bytes, but the stream's type %s has %u; give it a pointer to "
                "rows of that type",
                row_size, layout->type->name, layout->row_size) < 0)
            abort();
    } else {
        fl__async_copy_rows(layout, rows, count, &request->rows, &request->rows_bytes);
        request->row_count = count;
    }
    deliver(request);
}

void fl_async_fail(fl_async *handle, const char *format, ...)
{
    fl__async_request *request = take(handle);
    if (!request)
        return;
    va_list args;
    va_start(args, format);
    request->error_status = FL_ERROR_USER;
    if (vasprintf(&request->error, format, args) < 0)
        abort();
    va_end(args);
    deliver(request);
}

void fl__async_fail_unanswered(fl_async *handle, fl_status status, const char *text)
{
    fl__async_request *request = find(handle);
    uint64_t state = request ? atomic_load_explicit(&request->state, memory_order_acquire) : 0;
    if (!is_of(state, handle) || (state & FL__STAGE) != FL__OPEN || !take(handle))
        return;
    request->error_status = status;
    request->error = strdup(text);
    if (!request->error)
        abort();
    deliver(request);
}

const void *fl_async_input(fl_async *handle)
{
    const fl__async_request *request = find(handle);
    if (!request)
        return NULL;
    uint64_t state = atomic_load_explicit(&request->state, memory_order_acquire);
    unsigned stage = state & FL__STAGE;
    bool is_valid = stage == FL__OPEN || stage == FL__LOOSE || (state & FL__LATE);
    return is_of(state, handle) && is_valid ? request->input : NULL;
}
