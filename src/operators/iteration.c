#include "operators/iteration.h"

#include "os/waker.h"
#include "stream/task.h"

enum { SEGMENT_BYTES = 8 * 1024 };

void fl__iteration_init(fl__iteration *iteration, fl__arena *arena, fl__memory *memory)
{
    fl__memory_init(&iteration->memory, "iteration", memory, 0);
    fl__mutex_init(&iteration->lock);
    iteration->lanes = fl__arena_alloc(arena, (size_t)iteration->parallelism * sizeof *iteration->lanes);
}

/* ---- entry ---- */

static fl_status pass(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    fl_collector *out = &op->out.collector;
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    out->timestamp = FL_NO_TIMESTAMP;
    for (uint32_t i = 0; i < batch->count; i++) {
        if (timestamps)
            out->timestamp = timestamps[i];
        fl_collect_row(out, fl__batch_row(batch, i));
    }
    return FL_OK;
}

/* Lock held. */
static void wake_heads(fl__iteration *it)
{
    for (int i = 0; i < it->parallelism; i++) {
        if (it->lanes[i].head)
            fl__waker_wake(it->lanes[i].head);
    }
}

static fl_status finish_entry(fl__operator *op)
{
    fl__iteration *it = op->spec->config;
    fl__mutex_lock(&it->lock);
    it->entries_ended++;
    wake_heads(it);
    fl__mutex_unlock(&it->lock);
    return FL_OK;
}

const fl__operator_class fl__iteration_entry_class = {
    .kind = "Iteration Entry",
    .size = sizeof(fl__operator),
    .process = pass,
    .makes_watermarks = true, /* it makes none */
    .finish = finish_entry,
    .not_in_batch = "records go around in an iteration while its input still comes",
};

/* Lock held. */
static void drop_queue(fl__iteration_lane *lane)
{
    for (fl__batch *b = lane->first, *next; b; b = next) {
        next = b->next;
        fl__batch_free(b);
    }
    lane->first = lane->last = NULL;
}

/* ---- tail ---- */

typedef struct tail_operator {
    fl__operator op;
    fl__layout layout;
} tail_operator;

static fl_status open_tail(fl__operator *op, fl_error *error)
{
    (void)error;
    fl__layout_init(&((tail_operator *)op)->layout, op->spec->in[0]);
    return FL_OK;
}

static void close_tail(fl__operator *op)
{
    fl__iteration *it = op->spec->config;
    fl__iteration_lane *lane = &it->lanes[op->ctx.subtask];
    fl__mutex_lock(&it->lock);
    drop_queue(lane);
    lane->seen = 0;
    lane->is_over = false; /* for the next run */
    fl__mutex_unlock(&it->lock);
}

/* The lane's last batch with the row in it. */
static fl__batch *append(fl__iteration *it, fl__iteration_lane *lane, const fl__layout *layout, const void *row)
{
    if (lane->last && fl__batch_append(lane->last, layout, row))
        return lane->last;
    fl__batch *batch = fl__batch_new(&it->memory, layout->type, FL__COLUMN_TIMESTAMP, SEGMENT_BYTES);
    if (!fl__batch_append(batch, layout, row)) {
        fl__batch_free(batch);
        batch = fl__batch_new_large(&it->memory, layout->type, FL__COLUMN_TIMESTAMP, fl__value_heap_bytes(layout, row));
        bool fits = batch && fl__batch_append(batch, layout, row);
        fl_assert(fits); /* it came in a batch */
    }
    batch->next = NULL;
    if (lane->last)
        lane->last->next = batch;
    else
        lane->first = batch;
    lane->last = batch;
    return batch;
}

static fl_status feed_back(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    tail_operator *self = (tail_operator *)op;
    fl__iteration *it = op->spec->config;
    fl__iteration_lane *lane = &it->lanes[op->ctx.subtask];
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    fl__mutex_lock(&it->lock);
    for (uint32_t i = 0; i < batch->count && !lane->is_over; i++) {
        fl__batch *to = append(it, lane, &self->layout, fl__batch_row(batch, i));
        fl__batch_timestamps(to)[to->count - 1] = timestamps ? timestamps[i] : FL_NO_TIMESTAMP;
        it->received++;
    }
    if (lane->head)
        fl__waker_wake(lane->head);
    fl__mutex_unlock(&it->lock);
    return FL_OK;
}

/* What is no probe comes from an operator in the loop that makes watermarks. */
static fl_status see_probe(fl__operator *op, fl_time watermark)
{
    fl__iteration *it = op->spec->config;
    fl__mutex_lock(&it->lock);
    if (watermark <= FL_TIME_MIN + it->round) {
        it->lanes[op->ctx.subtask].seen = watermark - FL_TIME_MIN;
        wake_heads(it);
    }
    fl__mutex_unlock(&it->lock);
    return FL_OK;
}

const fl__operator_class fl__iteration_tail_class = {
    .kind = "Iteration Tail",
    .size = sizeof(tail_operator),
    .open = open_tail,
    .process = feed_back,
    .watermark = see_probe,
    .close = close_tail,
};

/* ---- head ---- */

typedef struct head_operator {
    fl__operator op;
    fl_time waits_since; /* when something came last, or all input ended; FL_TIME_MAX: it has not */
} head_operator;

static fl_status open_head(fl__operator *op, fl_error *error)
{
    head_operator *self = (head_operator *)op;
    fl__iteration *it = op->spec->config;
    if (!it->is_closed)
        return fl__error_set(error, FL_ERROR_INVALID,
            "the iteration has no feedback: name the stream that goes back into it with fl_close_with(iteration, "
            "stream)");
    self->waits_since = FL_TIME_MAX;
    fl__mutex_lock(&it->lock);
    it->lanes[op->ctx.subtask].head = fl__operator_waker(op);
    it->lanes[op->ctx.subtask].sent = 0;
    fl__mutex_unlock(&it->lock);
    return FL_OK;
}

/* The last one leaves all as it was before the run. */
static void close_head(fl__operator *op)
{
    fl__iteration *it = op->spec->config;
    fl__iteration_lane *lane = &it->lanes[op->ctx.subtask];
    fl__mutex_lock(&it->lock);
    drop_queue(lane);
    lane->head = NULL;
    lane->is_over = true;
    if (++it->heads_closed == it->parallelism) {
        it->entries_ended = it->heads_closed = 0;
        it->received = it->taken = 0;
        it->round = 0;
        it->is_done = false;
    }
    fl__mutex_unlock(&it->lock);
}

static void start_round(fl__iteration *it)
{
    it->round++;
    it->round_received = it->received;
    it->is_clean = it->received == it->taken;
    wake_heads(it);
}

static bool round_is_over(const fl__iteration *it)
{
    for (int i = 0; i < it->parallelism; i++) {
        if (it->lanes[i].seen < it->round)
            return false;
    }
    return true;
}

/* All input has ended and this head's queue is empty. Lock held. */
static void advance_rounds(fl__iteration *it)
{
    if (it->is_done)
        return;
    if (it->round == 0) {
        start_round(it);
    } else if (round_is_over(it)) {
        it->is_done = it->is_clean && it->received == it->round_received;
        if (it->is_done)
            wake_heads(it);
        else
            start_round(it);
    }
}

static void emit_batch(fl__operator *op, fl__batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        fl__emit(&op->out, fl__batch_row(batch, i), fl__batch_timestamps(batch)[i]);
    fl__batch_free(batch);
}

static fl__batch *take_batch(fl__iteration *it, fl__iteration_lane *lane)
{
    fl__batch *batch = lane->first;
    if (!batch)
        return NULL;
    lane->first = batch->next;
    if (!lane->first)
        lane->last = NULL;
    it->taken += batch->count;
    return batch;
}

/* Has nothing come for so long that the head ends, as the program said? All input has ended. */
static bool gives_up(head_operator *self, const fl__iteration *it)
{
    fl_time now = fl__operator_now(&self->op);
    if (self->waits_since == FL_TIME_MAX)
        self->waits_since = now;
    if (it->max_wait == 0)
        return false;
    fl_time until = self->waits_since > FL_TIME_MAX - it->max_wait ? FL_TIME_MAX : self->waits_since + it->max_wait;
    if (now >= until)
        return true;
    fl__operator_wait_until(&self->op, until);
    return false;
}

static fl_status poll_head(fl__operator *op)
{
    head_operator *self = (head_operator *)op;
    fl__iteration *it = op->spec->config;
    fl__iteration_lane *lane = &it->lanes[op->ctx.subtask];
    int64_t probe = 0;
    bool is_done = false;
    fl__mutex_lock(&it->lock);
    fl__batch *batch = take_batch(it, lane);
    if (!batch && it->entries_ended == it->parallelism) {
        advance_rounds(it);
        if (lane->sent < it->round)
            probe = lane->sent = it->round;
        is_done = it->is_done || gives_up(self, it);
        lane->is_over = is_done;
    }
    fl__mutex_unlock(&it->lock);
    if (batch) {
        if (self->waits_since != FL_TIME_MAX)
            self->waits_since = fl__operator_now(op);
        emit_batch(op, batch);
        return FL_OK;
    }
    if (is_done)
        return FL_DONE;
    if (probe)
        fl__operator_emit_watermark(op, FL_TIME_MIN + probe);
    return FL_AGAIN;
}

const fl__operator_class fl__iteration_head_class = {
    .kind = "Iteration Head",
    .size = sizeof(head_operator),
    .not_in_checkpoints = "records that go around in an iteration are not written",
    .open = open_head,
    .poll = poll_head,
    .close = close_head,
};
