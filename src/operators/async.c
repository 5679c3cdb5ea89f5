/* Async I/O: requests in flight, their results put back in order, retries and time limits (Flink's AsyncWaitOperator,
 * OrderedStreamElementQueue, UnorderedStreamElementQueue, AsyncRetryStrategies).
 *
 *     process → begin → the user's function … answer → mail → answered → done → emit → out
 *                                                  └→ not good enough: due again later ┘
 *
 * Requests in flight are a list in the order of the input. Watermarks and idleness cut it into segments: a mark is
 * emitted when all before it are out, and only then those after it may be. In order, the head of the list is emitted as
 * long as it is done; else the done ones of the first segment are. A segment with nothing in it joins its mark to the
 * one before, so there are never more segments than requests. Marks take no capacity (in Flink they do).
 *
 * All requests have the same time limit, so the list is in the order of their deadlines, too: `expiring` walks along
 * it. Only retries need a heap.
 *
 * Invariants: A1 in_flight ≤ capacity. A2 first == NULL: nothing is in flight, one segment, not closed. A3 a request's
 * segment is one of [segment_head, segment_tail]; its `left` counts it. A4 what is emitted bears its record's
 * timestamp, between the marks that the record stood between. */
#include "operators/async_internal.h"

#include "base/log.h"

#include <stdio.h>

enum {
    SEGMENTS = 16,        /* at first; a power of two */
    ORPHANS_MAX = 1024,   /* requests kept for those who still look at their input after the timeout */
    STUCK_MS = 60 * 1000, /* without a timeout: when a request that is not answered is named in the log */
    SHOWN_BYTES = 160,    /* of the record, in messages */
};

static fl__async_operator *self_of(fl__operator *op)
{
    return (fl__async_operator *)op;
}

static bool has_failed(const fl__async_operator *self)
{
    return self->op.task->failed;
}

/* Wakes the operator at this time at the latest. */
static void look_at(fl__async_operator *self, fl_time time)
{
    if (time < self->op.next_timer)
        fl__operator_set_timer(&self->op, time);
}

/* ---- segments and their marks ---- */

static fl__async_segment *segment_at(const fl__async_operator *self, uint64_t number)
{
    return &self->segments[number & (self->segment_capacity - 1)];
}

static void reset_segment(fl__async_segment *s)
{
    *s = (fl__async_segment){ .watermark = FL_TIME_MIN };
    s->done_end = &s->done;
}

static void grow_segments(fl__async_operator *self)
{
    uint32_t old = self->segment_capacity, capacity = old ? 2 * old : SEGMENTS;
    fl__async_segment *ring = fl__alloc_zero(&self->op.memory, capacity * sizeof *ring);
    for (uint64_t n = self->segment_head; old && n <= self->segment_tail; n++) {
        fl__async_segment *to = &ring[n & (capacity - 1)];
        *to = *segment_at(self, n);
        if (!to->done)
            to->done_end = &to->done;
    }
    fl__free(&self->op.memory, self->segments, old * sizeof *ring);
    self->segments = ring;
    self->segment_capacity = capacity;
}

/* Where a mark that came now belongs; NULL: nothing is before it. */
static fl__async_segment *mark_here(fl__async_operator *self)
{
    if (self->in_flight == 0)
        return NULL;
    fl__async_segment *last = segment_at(self, self->segment_tail);
    if (last->left == 0)
        return segment_at(self, self->segment_tail - 1);
    last->is_closed = true;
    if (self->segment_tail + 1 - self->segment_head == self->segment_capacity) {
        grow_segments(self);
        last = segment_at(self, self->segment_tail);
    }
    reset_segment(segment_at(self, ++self->segment_tail));
    return last;
}

static void emit_mark(fl__async_operator *self, const fl__async_segment *s)
{
    if (s->has_idle && !s->idle)
        fl__operator_emit_idle(&self->op, false);
    if (s->watermark != FL_TIME_MIN)
        fl__operator_emit_watermark(&self->op, s->watermark);
    if (s->has_idle && s->idle)
        fl__operator_emit_idle(&self->op, true);
}

static fl_status watermark(fl__operator *op, fl_time value)
{
    fl__async_operator *self = self_of(op);
    fl__async_segment *s = mark_here(self);
    if (s)
        s->watermark = value;
    else
        fl__operator_emit_watermark(op, value);
    return FL_OK;
}

static void mark_idle(fl__operator *op, bool idle)
{
    fl__async_operator *self = self_of(op);
    fl__async_segment *s = mark_here(self);
    if (s) {
        s->has_idle = true;
        s->idle = idle;
    } else {
        fl__operator_emit_idle(op, idle);
    }
}

/* ---- requests ---- */

static void append(fl__async_request **first, fl__async_request **last, fl__async_request *request)
{
    request->next = NULL;
    if (*first)
        (*last)->next = request;
    else
        *first = request;
    *last = request;
}

static fl__async_request *take_first(fl__async_request **first)
{
    fl__async_request *request = *first;
    *first = request->next;
    return request;
}

static bool is_busy(const fl__async_request *request)
{
    return atomic_load_explicit(&request->busy, memory_order_acquire) > 0;
}

/* Puts request where it can be used again. Those given up go behind the orphans: somebody may be looking at the record
 * still. */
static void put_away(fl__async_operator *self, fl__async_request *request)
{
    if (!request->timed_out) {
        append(&self->free, &self->free_end, request);
        return;
    }
    append(&self->orphans, &self->orphans_end, request);
    self->orphan_count++;
}

static fl__async_request *take_orphan(fl__async_operator *self)
{
    fl__async_request *request = self->orphans;
    if (!request || is_busy(request))
        return NULL;
    if (fl__async_request_is_late(request)) {
        if (self->orphan_count <= ORPHANS_MAX)
            return NULL;
        fl__async_request_give_up(request);
    }
    self->orphan_count--;
    return take_first(&self->orphans);
}

static fl__async_request *take_request(fl__async_operator *self)
{
    fl__async_request *request = self->orphans ? take_orphan(self) : NULL;
    /* Not one whose answerer is still on its way out: it may be off the processor, for milliseconds. There are as many
     * more requests for that as threads answer at once. */
    if (!request && self->free && fl__async_request_is_left(self->free))
        request = take_first(&self->free);
    if (!request) {
        request = fl__async_request_new(&self->op, &self->op.out.layout);
        request->next_owned = self->owned;
        self->owned = request;
    }
    return request;
}

static void join_list(fl__async_operator *self, fl__async_request *request)
{
    request->before = self->last;
    request->after = NULL;
    if (self->last)
        self->last->after = request;
    else
        self->first = request;
    self->last = request;
    if (!self->expiring)
        self->expiring = request;
    request->segment = self->segment_tail;
    segment_at(self, self->segment_tail)->left++;
    self->in_flight++;
}

static void leave_list(fl__async_operator *self, fl__async_request *request)
{
    if (self->expiring == request)
        self->expiring = request->after;
    if (request->before)
        request->before->after = request->after;
    else
        self->first = request->after;
    if (request->after)
        request->after->before = request->before;
    else
        self->last = request->before;
    segment_at(self, request->segment)->left--;
    self->in_flight--;
    self->op.awaits_mail = false;
    if (request->is_warned && self->first) /* the next oldest has a right to be named, too */
        look_at(self, self->first->started + STUCK_MS);
}

/* ---- out ---- */

/* The next request whose results may go out. */
static fl__async_request *next_done(fl__async_operator *self)
{
    if (self->config->is_ordered)
        return self->first && self->first->is_done ? self->first : NULL;
    return segment_at(self, self->segment_head)->done;
}

static void emit_rows(fl__async_operator *self, const fl__async_request *request)
{
    const char *row = request->rows;
    fl__output *out = &self->op.out;
    for (size_t i = 0; i < request->row_count && !has_failed(self); i++, row += out->layout.row_size)
        fl__emit(out, row, request->timestamp);
}

static void emit_one(fl__async_operator *self, fl__async_request *request)
{
    fl__async_segment *s = segment_at(self, request->segment);
    if (!self->config->is_ordered) {
        s->done = request->next;
        if (!s->done)
            s->done_end = &s->done;
    }
    emit_rows(self, request);
    leave_list(self, request);
    put_away(self, request);
    while ((s = segment_at(self, self->segment_head))->is_closed && s->left == 0) {
        emit_mark(self, s);
        self->segment_head++;
    }
}

/* Emits what may be emitted. FL_AGAIN: the output is blocked, and there is more. */
static fl_status emit(fl__async_operator *self)
{
    fl__async_request *request;
    while ((request = next_done(self)) != NULL && !has_failed(self)) {
        if (fl__output_blocked(&self->op))
            return FL_AGAIN;
        emit_one(self, request);
    }
    return FL_OK;
}

/* ---- what is due by the clock ---- */

static bool is_before(const fl__async_due *a, const fl__async_due *b)
{
    return a->time != b->time ? a->time < b->time : a->order < b->order;
}

static void push_due(fl__async_operator *self, fl__async_due due)
{
    if (self->due_count == self->due_capacity) {
        uint32_t old = self->due_capacity, capacity = old ? 2 * old : 16;
        self->due = fl__realloc(&self->op.memory, self->due, old * sizeof due, capacity * sizeof due);
        self->due_capacity = capacity;
    }
    due.order = self->due_order++;
    due.generation = fl__async_request_generation(due.request);
    uint32_t at = self->due_count++;
    for (; at > 0 && is_before(&due, &self->due[(at - 1) / 2]); at = (at - 1) / 2)
        self->due[at] = self->due[(at - 1) / 2];
    self->due[at] = due;
    look_at(self, due.time);
}

static fl__async_due pop_due(fl__async_operator *self)
{
    fl__async_due top = self->due[0], moved = self->due[--self->due_count];
    uint32_t at = 0, n = self->due_count;
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_before(&self->due[child + 1], &self->due[child]))
            child++;
        if (!is_before(&self->due[child], &moved))
            break;
        self->due[at] = self->due[child];
    }
    self->due[at] = moved;
    return top;
}

static int by_time(const void *a, const void *b)
{
    return is_before((const fl__async_due *)b, (const fl__async_due *)a) ? 1 : -1;
}

/* Makes all further attempts due now. */
static void hurry(fl__async_operator *self)
{
    for (uint32_t i = 0; i < self->due_count; i++) {
        if (!self->due[i].is_answer)
            self->due[i].time = fl__operator_now(&self->op);
    }
    qsort(self->due, self->due_count, sizeof *self->due, by_time); /* what is sorted is a heap */
    look_at(self, self->due[0].time);
}

void fl__async_complete_after(fl_async *request, int64_t delay_ms, const void *rows, size_t count, size_t row_size)
{
    fl__async_operator *self = fl__async_running;
    fl_assert(self); /* called from within the function, in the task's thread */
    fl__async_request *r = self->last;
    while (r && fl__async_request_handle(r) != request)
        r = r->before;
    fl_assert(r);
    fl__async_due due = { .time = fl__operator_now(&self->op) + delay_ms, .request = r, .is_answer = true };
    fl_assert(count == 0 || row_size == self->op.out.layout.row_size);
    fl__async_copy_rows(&self->op.out.layout, rows, count, &due.rows, &due.rows_bytes);
    due.count = count;
    push_due(self, due);
}

/* ---- failures and retries ---- */

static const char *show_input(fl__async_operator *self, const fl__async_request *request, char text[SHOWN_BYTES])
{
    fl_format(self->op.spec->in[0], request->input, text, SHOWN_BYTES);
    return text;
}

static void fail_request(fl__async_operator *self, const fl__async_request *request)
{
    char text[SHOWN_BYTES];
    fl__operator_fail(&self->op, request->error_status, "the request for %s failed%s: %s",
        show_input(self, request, text), request->attempts > 1 ? " again and again" : "", request->error);
}

static int64_t retry_delay_ms(const fl_retry *retry, uint32_t attempt)
{
    double delay = (double)retry->delay.ms;
    for (uint32_t i = 1; i < attempt && delay < (double)retry->delay_max.ms; i++)
        delay *= retry->multiplier;
    return delay < (double)retry->delay_max.ms ? (int64_t)delay : retry->delay_max.ms;
}

static bool is_worth_retry(const fl__async_operator *self, const fl__async_request *request)
{
    const fl__async_config *config = self->config;
    if (!config->retry.is_set || self->is_ending || request->timed_out ||
        request->attempts > (uint32_t)config->retry.attempts || request->error_status == FL_ERROR_INVALID)
        return false;
    if (fl__operator_now(&self->op) >= request->deadline) /* it came just in time: there is none for another attempt */
        return false;
    if (request->error)
        return config->retry_if_error && config->retry_if_error(request->error);
    return config->retry_if_result && config->retry_if_result(request->rows, request->row_count);
}

/* An answer has come. */
static void answered(fl__async_operator *self, fl__async_request *request)
{
    if (is_worth_retry(self, request)) {
        request->waits_for_retry = true;
        int64_t delay = retry_delay_ms(&self->config->retry, request->attempts);
        push_due(self, (fl__async_due){ .time = fl__operator_now(&self->op) + delay, .request = request });
        return;
    }
    if (request->error) {
        fail_request(self, request);
        return;
    }
    request->is_done = true;
    if (!self->config->is_ordered) {
        fl__async_segment *s = segment_at(self, request->segment);
        request->next = NULL;
        *s->done_end = request;
        s->done_end = &request->next;
    }
}

static void take_answers(fl__async_operator *self, fl__mail *mail)
{
    while (mail && !has_failed(self)) {
        fl__mail *next = mail->next;
        answered(self, (fl__async_request *)mail);
        mail = next;
    }
}

/* ---- calling the user's functions ---- */

static void call(fl__async_operator *self, fl_async_fn f, fl__async_request *request)
{
    fl__operator *op = &self->op;
    op->ctx.timestamp = request->timestamp;
    op->ctx.key = self->key_scratch ? fl__key_of(op->spec->key[0], request->input, self->key_scratch) : NULL;
    fl__async_running = self;
    f(request->input, fl__async_request_handle(request), &op->ctx);
    fl__async_running = NULL;
    op->ctx.key = NULL;
}

/* What was answered within a call. */
static void take_answers_here(fl__async_operator *self)
{
    fl__mail *mail = self->answered_here;
    if (!mail)
        return;
    self->answered_here = NULL;
    self->answered_here_end = &self->answered_here;
    take_answers(self, mail);
}

/* An attempt. */
static void ask(fl__async_operator *self, fl__async_request *request)
{
    request->attempts++;
    request->error_status = FL_OK;
    fl__async_request_open(request);
    if (self->threads)
        fl__async_threads_serve(self->threads, request);
    else
        call(self, self->config->invoke, request);
    take_answers_here(self);
}

static void time_out(fl__async_operator *self, fl__async_request *request)
{
    bool has_answer = request->is_done;
    if (request->waits_for_retry) {
        request->waits_for_retry = false;
        fl__async_request_open(request);
    } else if (has_answer || !fl__async_request_expect_late(request)) {
        return; /* or it lies in the mailbox */
    }
    request->timed_out = true;
    if (self->config->on_timeout) {
        call(self, self->config->on_timeout, request);
        take_answers_here(self);
        return;
    }
    char text[SHOWN_BYTES], attempts[48] = "";
    if (request->attempts > 1)
        snprintf(attempts, sizeof attempts, ", in %u attempts", request->attempts);
    fl__operator_fail(&self->op, FL_ERROR_USER,
        "the request for %s has timed out: no answer within .timeout = %lld ms%s; give it more time, or an .on_timeout "
        "that answers instead",
        show_input(self, request, text), (long long)self->config->timeout_ms, attempts);
}

static void run_due(fl__async_operator *self, fl_time now)
{
    while (self->due_count > 0 && !has_failed(self)) {
        const fl__async_due *top = &self->due[0];
        bool is_current = top->generation == fl__async_request_generation(top->request);
        if (top->time > now && (is_current || top->is_answer))
            break;
        fl__async_due due = pop_due(self);
        if (due.is_answer) {
            uint64_t handle = (due.generation << 32) | due.request->index;
            fl__async_complete((fl_async *)(uintptr_t)handle, due.rows, due.count, self->op.out.layout.row_size);
            fl__free(NULL, due.rows, due.rows_bytes);
        } else if (is_current && due.request->waits_for_retry) {
            due.request->waits_for_retry = false;
            ask(self, due.request);
        }
    }
}

/* Without a time limit nothing says so when no answer comes; then this does, once for each that was the oldest. */
static void name_stuck(fl__async_operator *self, fl_time now)
{
    fl__async_request *oldest = self->first;
    if (self->config->timeout_ms > 0 || !oldest || oldest->is_warned || now - oldest->started < STUCK_MS)
        return;
    oldest->is_warned = true;
    char text[SHOWN_BYTES];
    fl__log(FL__LOG_WARN, "async",
        "%s: %u of %u requests are in flight, and the oldest, for %s, has not been answered for %lld s; if answers can "
        "get lost, give it a .timeout",
        self->op.display_name, self->in_flight, self->config->capacity, show_input(self, oldest, text),
        (long long)((now - oldest->started) / 1000));
}

static void set_timer(fl__async_operator *self)
{
    fl_time next = self->due_count > 0 ? self->due[0].time : FL_TIME_MAX, other = FL_TIME_MAX;
    if (self->config->timeout_ms > 0)
        other = self->expiring ? self->expiring->deadline : FL_TIME_MAX;
    else if (self->first && !self->first->is_warned)
        other = self->first->started + STUCK_MS;
    fl__operator_set_timer(&self->op, other < next ? other : next);
}

static fl_status timers(fl__operator *op, fl_time now)
{
    fl__async_operator *self = self_of(op);
    run_due(self, now);
    fl__async_request *request;
    while (self->config->timeout_ms > 0 && (request = self->expiring) != NULL && request->deadline <= now &&
           !has_failed(self)) {
        self->expiring = request->after;
        time_out(self, request);
    }
    name_stuck(self, now);
    fl_status status = emit(self);
    set_timer(self);
    return status;
}

/* ---- in ---- */

static void begin(fl__async_operator *self, const void *row, fl_time timestamp)
{
    fl__async_request *request = take_request(self);
    fl__async_request_set_input(request, &self->in_layout, row);
    request->timestamp = timestamp;
    request->watermark = self->op.ctx.watermark;
    request->started = fl__operator_now(&self->op);
    request->attempts = 0;
    request->is_done = request->timed_out = request->waits_for_retry = request->is_warned = false;
    bool has_limit = self->config->timeout_ms > 0;
    request->deadline = request->started + (has_limit ? self->config->timeout_ms : STUCK_MS);
    join_list(self, request);
    ask(self, request);
    if (self->in_flight > 0)
        look_at(self, request->deadline);
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    fl__async_operator *self = self_of(op);
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    fl_status blocked = emit(self);
    for (; self->next_row < batch->count && !has_failed(self); self->next_row++) {
        if (self->in_flight == self->config->capacity) {
            op->awaits_mail = blocked == FL_OK;
            return FL_AGAIN;
        }
        uint32_t i = self->next_row;
        begin(self, fl__batch_row(batch, i), timestamps ? timestamps[i] : FL_NO_TIMESTAMP);
        blocked = emit(self);
    }
    if (blocked == FL_AGAIN && !has_failed(self))
        return FL_AGAIN;
    self->next_row = 0;
    return FL_OK;
}

/* Asks again for what was in flight at the checkpoint. FL_AGAIN: as process. */
static fl_status ask_again(fl__async_operator *self)
{
    const void *row;
    fl_time time;
    fl_status blocked = emit(self);
    while (fl__async_next_restored(self, &row, &time) && !has_failed(self)) {
        if (row && self->in_flight == self->config->capacity) {
            self->op.awaits_mail = blocked == FL_OK;
            return FL_AGAIN;
        }
        if (row)
            begin(self, row, time);
        else
            watermark(&self->op, time);
        fl__async_drop_restored(self);
        blocked = emit(self);
    }
    return blocked;
}

static fl_status mail(fl__operator *op, fl__mail *first)
{
    fl__async_operator *self = self_of(op);
    take_answers(self, first);
    return ask_again(self);
}

/* Flink's endInput: what waits for another attempt gets it at once, and no further one. */
static fl_status drain(fl__operator *op)
{
    fl__async_operator *self = self_of(op);
    if (!self->is_ending && self->due_count > 0)
        hurry(self);
    self->is_ending = true;
    return self->in_flight > 0 ? FL_AGAIN : FL_OK;
}

/* ---- life ---- */

static fl_status open(fl__operator *op, fl_error *error)
{
    (void)error;
    fl__async_operator *self = self_of(op);
    self->config = (const fl__async_config *)op->spec->config;
    self->is_open = true;
    fl__layout_init(&self->in_layout, op->spec->in[0]);
    self->answered_here_end = &self->answered_here;
    fl__arena_init(&self->restored_arena, &op->memory);
    grow_segments(self);
    reset_segment(segment_at(self, 0));
    if (op->spec->key[0])
        self->key_scratch = fl__alloc_zero(&op->memory, op->spec->key[0]->size);
    if (self->config->threads > 0)
        self->threads = fl__async_threads_new(self, op->task->os != &fl__os_linux);
    return FL_OK;
}

static void stop(fl__operator *op)
{
    fl__async_operator *self = self_of(op);
    fl__async_threads_free(self->threads);
    self->threads = NULL;
}

static fl_status finish(fl__operator *op)
{
    stop(op); /* now, and not in close: what the threads' functions counted belongs to the result */
    return has_failed(self_of(op)) ? FL_ERROR_USER : FL_OK;
}

static void close(fl__operator *op)
{
    fl__async_operator *self = self_of(op);
    if (!self->is_open)
        return;
    self->is_open = false;
    for (fl__async_request *request = self->owned, *next; request; request = next) {
        next = request->next_owned;
        fl__async_request_abandon(request);
    }
    for (uint32_t i = 0; i < self->due_count; i++)
        fl__free(NULL, self->due[i].rows, self->due[i].rows_bytes);
    fl__free(&op->memory, self->due, self->due_capacity * sizeof *self->due);
    fl__free(&op->memory, self->segments, self->segment_capacity * sizeof *self->segments);
    if (self->key_scratch)
        fl__free(&op->memory, self->key_scratch, op->spec->key[0]->size);
    fl__arena_release(&self->restored_arena);
    self->restored = NULL;
    self->owned = self->first = self->last = self->expiring = NULL;
    self->in_flight = 0;
}

void fl__async_walk(const fl__operator *op, const fl__async_visitor *visitor)
{
    const fl__async_operator *self = (const fl__async_operator *)op;
    const fl__async_request *request = self->first;
    for (uint64_t n = self->segment_head; self->is_open && n <= self->segment_tail; n++) {
        for (; request && request->segment == n; request = request->after)
            visitor->record(visitor->arg, request->input, request->timestamp);
        const fl__async_segment *s = segment_at(self, n);
        if (s->has_idle && !s->idle)
            visitor->idle(visitor->arg, false);
        if (s->watermark != FL_TIME_MIN)
            visitor->watermark(visitor->arg, s->watermark);
        if (s->has_idle && s->idle)
            visitor->idle(visitor->arg, true);
    }
}

const fl__operator_class fl__async_class = {
    .kind = "async wait operator",
    .size = sizeof(fl__async_operator),
    .makes_watermarks = true,
    .open = open,
    .process = process,
    .watermark = watermark,
    .idle = mark_idle,
    .timers = timers,
    .mail = mail,
    .drain = drain,
    .finish = finish,
    .stop = stop,
    .close = close,
    .snapshot = fl__async_snapshot,
    .restore = fl__async_restore,
};
