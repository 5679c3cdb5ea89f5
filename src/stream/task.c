#include "stream/task.h"

#include "base/error.h"
#include "base/log.h"
#include "stream/sorted.h"

#include <stdio.h>

/* ---- life cycle ---- */

/* How state and timers, which know nothing of tasks, fail one. */
static void fail_function(void *owner, fl_status status, const char *text)
{
    fl__operator_fail((fl__operator *)owner, status, "%s", text);
}

fl_status fl__task_open(fl__task *task)
{
    task->is_opened = true;
    task->now = fl__os_now_ms(task->os);
    task->next_timer = FL_TIME_MAX;
    task->wait_until = FL_TIME_MAX;
    task->wait_fd = -1;
    task->watermark = FL_TIME_MIN;
    task->stalled_since = FL_TIME_MAX;
    fl__task_splits_init(task);
    if (task->alignment)
        fl__alignment_open(task->alignment, task->now);
    fl__held_open(task);
    /* children first, as Flink opens the end of a chain first: when an operator's open emits, the rest is ready */
    for (uint32_t i = task->operator_count; i-- > 0 && !task->failed;) {
        fl__operator *op = task->operators[i];
        op->next_timer = FL_TIME_MAX;
        op->pending_watermark = FL_TIME_MIN;
        op->ctx.watermark = FL_TIME_MIN;
        op->ctx.timestamp = FL_NO_TIMESTAMP;
        op->ctx.processing_time = task->now;
        fl__function_init(&op->function, op, fail_function);
        op->ctx.function = &op->function;
        if (op->class->open) {
            fl_error error = FL_ERROR_INIT;
            fl_status status = op->class->open(op, &error);
            if (status != FL_OK) {
                fl__operator_fail(op, status, "%s", error.text ? error.text : fl_status_name(status));
                fl__error_release(&error);
                break;
            }
        }
        if (task->restored) {
            fl_error error = FL_ERROR_INIT;
            fl_status status = fl__operator_restore(op, task->restored, &error);
            if (status != FL_OK) {
                fl__operator_fail(op, status, "%s", error.text ? error.text : fl_status_name(status));
                fl__error_release(&error);
                break;
            }
        }
        if (op->spec->open)
            op->spec->open(&op->ctx);
    }
    if (!task->failed)
        task->sorted = fl__sorted_new(task);
    return task->failed ? task->error.status : FL_OK;
}

void fl__task_close(fl__task *task)
{
    if (!task->is_opened)
        return;
    task->is_opened = false;
    fl__sorted_free(task->sorted);
    task->sorted = NULL;
    for (uint32_t i = 0; i < task->operator_count; i++) {
        fl__operator *op = task->operators[i];
        if (op->class->stop)
            op->class->stop(op);
        if (op->spec->close)
            op->spec->close(&op->ctx);
        if (op->class->close)
            op->class->close(op);
        fl__function_release(&op->function);
    }
    fl__task_splits_release(task);
}

void fl__task_cancel(fl__task *task)
{
    atomic_store(&task->cancelled, true);
    fl__waker_wake(&task->waker);
    fl__waker *sleeps_on = atomic_load(&task->sleeps_on);
    if (sleeps_on)
        fl__waker_wake(sleeps_on);
}

static fl__step end(fl__task *task, fl_status status)
{
    task->is_done = true;
    task->ended_with = status;
    return FL__STEP_DONE;
}

/* ---- output ---- */

void fl__task_flush_outputs(fl__task *task)
{
    for (uint32_t i = 0; i < task->operator_count && !task->failed; i++) {
        fl__operator *op = task->operators[i];
        fl__output_flush(&op->out);
        for (size_t s = 0; s < op->side_count; s++)
            fl__output_flush(&op->side[s]);
    }
    for (uint32_t w = 0; w < task->writer_count; w++)
        fl__writer_flush(&task->writers[w]);
}

static void flush_all(fl__task *task)
{
    fl__task_flush_outputs(task);
    for (uint32_t i = 0; i < task->operator_count && !task->failed; i++) {
        if (task->operators[i]->class->flush)
            task->operators[i]->class->flush(task->operators[i]);
    }
    task->is_dirty = false;
}

/* Moves the overdraft on; true when all of it went. */
static bool drain(fl__task *task)
{
    bool blocked = false;
    for (uint32_t w = 0; w < task->writer_count; w++) {
        fl__writer *writer = &task->writers[w];
        for (uint32_t l = 0; l < writer->lane_count; l++) {
            if (fl__channel_blocked(writer->lanes[l].channel) && !fl__channel_drain(writer->lanes[l].channel))
                blocked = true;
        }
    }
    task->is_blocked = blocked;
    return !blocked;
}

static void mark_dirty(fl__task *task)
{
    if (!task->is_dirty) {
        task->is_dirty = true;
        task->flush_at = task->buffer_timeout_ms < 0 ? FL_TIME_MAX : task->now + task->buffer_timeout_ms;
    }
}

/* ---- watermarks and idleness of the gates (Flink's StatusWatermarkValve) ---- */

/* A channel counts while it is active and has caught up with what was already emitted: one that comes back from
 * idleness behind the watermark must not hold it, and must not make it fall. */
static bool channel_counts(const fl__input *input, const fl__channel *channel)
{
    return !channel->is_idle && channel->watermark >= input->watermark;
}

/* The end of a channel's time says nothing about the others': it neither holds them back nor, when all others are idle,
 * ends time for them. (In Flink it does, and what an idle input brings after that is late for ever.) */
static bool is_over(fl_time watermark)
{
    return watermark == FL_TIME_MAX;
}

static void combine_inputs(fl__task *task)
{
    fl_time low = FL_TIME_MAX, high = FL_TIME_MIN;
    bool all_idle = true, all_over = true;
    for (uint32_t i = 0; i < task->input_count; i++) {
        const fl__input *input = &task->inputs[i];
        if (is_over(input->watermark))
            continue;
        all_over = false;
        if (input->watermark > high)
            high = input->watermark;
        if (input->is_idle)
            continue;
        all_idle = false;
        if (input->watermark < low)
            low = input->watermark;
    }
    all_idle &= !all_over;
    if (all_idle)
        low = high; /* the highest that any input reached is as far as time got */
    fl__operator *root = task->operators[0];
    if (!all_idle && task->is_idle_time)
        fl__operator_deliver_idle(root, false);
    bool has_risen = low > task->watermark;
    if (has_risen) {
        task->watermark = low;
        atomic_store_explicit(&task->metrics.watermark, low, memory_order_relaxed);
        fl__operator_deliver_watermark(root, low);
    }
    if (all_idle && !task->is_idle_time)
        fl__operator_deliver_idle(root, true);
    task->is_idle_time = all_idle;
    fl__held_note(task, has_risen || all_idle);
}

static void update_valve(fl__task *task, unsigned number)
{
    fl__input *input = &task->inputs[number];
    if (task->sorted) /* the end of time comes after the last key */
        return;
    fl_time low = FL_TIME_MAX, high = FL_TIME_MIN;
    bool any_counts = false, any_active = false, all_over = true;
    for (uint32_t c = 0; c < input->channel_count; c++) {
        const fl__channel *channel = input->channels[c];
        if (is_over(channel->watermark))
            continue;
        all_over = false;
        if (channel->watermark > high)
            high = channel->watermark;
        if (channel->is_idle)
            continue;
        any_active = true;
        if (!channel_counts(input, channel))
            continue;
        any_counts = true;
        if (channel->watermark < low)
            low = channel->watermark;
    }
    if (all_over)
        input->watermark = FL_TIME_MAX;
    else if (any_counts && low > input->watermark)
        input->watermark = low;
    else if (!any_active && high > input->watermark)
        input->watermark = high;
    input->is_idle = !any_active && !all_over;
    atomic_store_explicit(&task->metrics.input_watermark[number], input->watermark, memory_order_relaxed);
    combine_inputs(task);
}

/* ---- input ---- */

static void take_batch(fl__task *task, unsigned input, fl__channel *channel, fl__batch *batch)
{
    fl__operator *root = task->operators[0];
    if (FL_UNLIKELY(task->sorted != NULL) && fl__sorted_take(task->sorted, input, batch)) {
        fl__channel_return(channel, batch);
        return;
    }
    if (!fl__batch_has(batch, FL__COLUMN_TIMESTAMP)) /* of another input: what the last record had must not stick */
        root->ctx.timestamp = root->out.collector.timestamp = FL_NO_TIMESTAMP;
    fl_status status = root->class->process(root, input, batch);
    if (status == FL_AGAIN && !task->failed) {
        if (!task->pending_batch)
            task->pending++;
        task->pending_batch = batch;
        task->pending_input = input;
        task->pending_channel = channel;
        return;
    }
    if (task->pending_batch) {
        task->pending_batch = NULL;
        task->pending--;
    }
    fl__channel_return(channel, batch);
}

static void end_input(fl__task *task, unsigned number)
{
    fl__operator *root = task->operators[0];
    if (root->class->end_input && task->input_count > 1)
        root->class->end_input(root, number);
}

/* Do the rows of the input come back later? */
static bool is_sorted(const fl__task *task, unsigned number)
{
    return task->sorted && task->operators[0]->spec->key[number];
}

static void take_event(fl__task *task, unsigned number, fl__channel *channel, fl__event event)
{
    fl__input *input = &task->inputs[number];
    switch (event.kind) {
    case FL__EVENT_BATCH: {
        fl__batch *batch = (fl__batch *)(uintptr_t)event.value;
        task->operators[0]->rows_in += batch->count;
        atomic_store_explicit(&task->metrics.rows_in, task->operators[0]->rows_in, memory_order_relaxed);
        mark_dirty(task);
        take_batch(task, number, channel, batch);
        break;
    }
    case FL__EVENT_WATERMARK:
        if (event.value > channel->watermark) {
            channel->watermark = event.value;
            channel->watermark_at = task->now;
            atomic_store_explicit(&channel->watermark_seen, event.value, memory_order_relaxed);
        }
        mark_dirty(task);
        update_valve(task, number);
        break;
    case FL__EVENT_IDLE:
        channel->is_idle = event.value != 0;
        if (!channel->is_idle)
            channel->watermark_at = task->now; /* it holds nobody back for longer than that */
        update_valve(task, number);
        break;
    case FL__EVENT_BARRIER: fl__task_barrier(task, channel, event.value); break;
    case FL__EVENT_END:
        channel->is_ended = true;
        /* its last watermark was FL_TIME_MAX, or it was idle: either way it holds nobody back */
        channel->is_idle = false;
        channel->watermark = FL_TIME_MAX;
        fl__task_channel_ended(task);
        update_valve(task, number);
        if (++input->ended == input->channel_count && !is_sorted(task, number))
            end_input(task, number);
        break;
    }
}

static bool all_ended(const fl__task *task)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        if (task->inputs[i].ended < task->inputs[i].channel_count)
            return false;
    }
    return true;
}

/* Does the input wait for the other one, a broadcast side, to end? */
static bool must_wait(const fl__task *task, unsigned number)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        const fl__input *input = &task->inputs[i];
        if (i != number && input->comes_first && input->ended < input->channel_count)
            return true;
    }
    return false;
}

/* Takes one event of one channel: inputs in turn, channels in turn. False when there is none. */
static bool take_input(fl__task *task)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        unsigned number = (task->next_input + i) % task->input_count;
        fl__input *input = &task->inputs[number];
        if (FL_UNLIKELY(task->is_batch && must_wait(task, number)))
            continue;
        for (uint32_t c = 0; c < input->channel_count; c++) {
            uint32_t at = input->next;
            input->next = at + 1 == input->channel_count ? 0 : at + 1;
            fl__event event;
            if (input->channels[at]->is_held || !fl__channel_pop(input->channels[at], &event))
                continue;
            if (FL_UNLIKELY(fl__channel_failed(input->channels[at]) != FL_OK)) {
                fl__task_fail(
                    task, input->channels[at]->spool->error.status, "%s", input->channels[at]->spool->error.text);
                return true;
            }
            task->next_input = (number + 1) % task->input_count;
            take_event(task, number, input->channels[at], event);
            return true;
        }
    }
    return false;
}

/* ---- what was left in the middle, timers, the end ---- */

static void give_mail(fl__task *task, fl__mail *mail)
{
    fl__operator *root = task->operators[0];
    fl_status status = root->class->mail(root, mail);
    task->pending += (status == FL_AGAIN) - root->pending_mail;
    root->pending_mail = status == FL_AGAIN;
}

static bool has_mail(const fl__task *task)
{
    return atomic_load_explicit(&task->operators[0]->mailbox, memory_order_relaxed) != NULL;
}

static void take_mail(fl__task *task)
{
    /* acquire: what was written before the mail was posted */
    fl__mail *newest = atomic_exchange_explicit(&task->operators[0]->mailbox, NULL, memory_order_acquire);
    fl__mail *oldest = NULL;
    while (newest) {
        fl__mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    mark_dirty(task);
    give_mail(task, oldest);
}

/* Is all that was left in the middle a batch, or mail, that cannot go on before other mail comes? */
static bool waits_for_mail(const fl__task *task)
{
    const fl__operator *root = task->operators[0];
    return task->pending == 1 && (task->pending_batch || root->pending_mail) && root->awaits_mail;
}

static void resume(fl__task *task)
{
    if (task->operators[0]->pending_mail) {
        give_mail(task, NULL);
        if (task->is_blocked)
            return;
    }
    for (uint32_t i = 0; i < task->operator_count && !task->failed; i++) {
        fl__operator *op = task->operators[i];
        if (op->pending_timers) {
            if (op->class->timers(op, task->now) == FL_AGAIN)
                return;
            op->pending_timers = false;
            task->pending--;
        }
        if (op->pending_watermark != FL_TIME_MIN)
            fl__operator_deliver_watermark(op, op->pending_watermark);
        if (task->is_blocked)
            return;
    }
    if (task->pending_batch && !task->failed)
        take_batch(task, task->pending_input, task->pending_channel, task->pending_batch);
}

static void fire_timers(fl__task *task)
{
    fl_time next = FL_TIME_MAX;
    for (uint32_t i = 0; i < task->operator_count && !task->failed; i++) {
        fl__operator *op = task->operators[i];
        if (op->next_timer <= task->now) {
            op->ctx.processing_time = task->now;
            mark_dirty(task);
            if (op->class->timers(op, task->now) == FL_AGAIN) {
                op->pending_timers = true;
                task->pending++;
            }
        }
        if (op->next_timer < next)
            next = op->next_timer;
    }
    task->next_timer = next;
}

/* Goes on with the end of input, phase by phase; never with something pending. */
static fl__step go_on_ending(fl__task *task)
{
    fl__operator *root = task->operators[0];
    switch (task->phase) {
    case FL__RUNNING:
        task->phase = FL__DRAINING;
        mark_dirty(task);
        if (task->alignment)
            fl__alignment_end(task->alignment);
        if (!root->class->poll) {
            if (task->watermark < FL_TIME_MAX) /* else it has come already, and no operator is told twice */
                fl__operator_deliver_watermark(root, FL_TIME_MAX);
        } else {
            fl__operator_emit_watermark(root, FL_TIME_MAX);
        }
        return FL__STEP_PROGRESS;
    case FL__DRAINING: task->phase = FL__FINISHING; return FL__STEP_PROGRESS;
    case FL__FINISHING:
        while (task->finish_next < task->operator_count) {
            fl__operator *op = task->operators[task->finish_next];
            if (op->class->finish && op->class->finish(op) == FL_AGAIN)
                return FL__STEP_PROGRESS;
            task->finish_next++;
            fl__output_flush(&op->out);
            for (size_t s = 0; s < op->side_count; s++)
                fl__output_flush(&op->side[s]);
            if (task->failed || task->is_blocked)
                return FL__STEP_PROGRESS;
        }
        flush_all(task);
        for (uint32_t w = 0; w < task->writer_count; w++)
            fl__writer_event(&task->writers[w], (fl__event){ .kind = FL__EVENT_END });
        task->phase = fl__task_wants_last_checkpoint(task) ? FL__LAST_CHECKPOINT : FL__ENDED;
        return FL__STEP_PROGRESS;
    case FL__LAST_CHECKPOINT:
        if (!fl__task_has_last_checkpoint(task))
            return FL__STEP_IDLE;
        task->phase = FL__ENDED;
        return FL__STEP_PROGRESS;
    case FL__ENDED: break;
    }
    return end(task, FL_OK);
}

/* All input has come, and some of it was kept back to be sorted. */
static fl__step hand_on_sorted(fl__task *task)
{
    mark_dirty(task);
    fl_status status = fl__sorted_step(task->sorted);
    if (status != FL_DONE || task->failed)
        return FL__STEP_PROGRESS;
    for (unsigned i = 0; i < task->input_count; i++) {
        if (is_sorted(task, i))
            end_input(task, i);
    }
    fl__sorted_free(task->sorted);
    task->sorted = NULL;
    return FL__STEP_PROGRESS;
}

/* Has the root something on its way although all input has ended? */
static bool is_draining(fl__task *task)
{
    fl__operator *root = task->operators[0];
    return root->class->drain && root->class->drain(root) == FL_AGAIN;
}

/* ---- the step ---- */

/* Time in which nothing can come says nothing about the input: see fl__operator_active_now. */
static void stall(fl__task *task)
{
    if (task->stalled_since == FL_TIME_MAX)
        task->stalled_since = task->now;
}

static void end_stall(fl__task *task)
{
    if (task->stalled_since == FL_TIME_MAX)
        return;
    if (task->now > task->stalled_since)
        task->stalled_ms += task->now - task->stalled_since;
    task->stalled_since = FL_TIME_MAX;
}

static void count_sink_rows(fl__task *task)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < task->operator_count; i++) {
        if (!task->operators[i]->spec->out)
            rows += task->operators[i]->rows_in;
    }
    atomic_store_explicit(&task->metrics.rows_out, rows, memory_order_relaxed);
}

static fl__step dry(fl__task *task)
{
    if (task->is_dirty && !task->is_batch) {
        flush_all(task);
        return FL__STEP_PROGRESS;
    }
    return FL__STEP_IDLE;
}

/* Says in the log for whom the source waits, when it takes long. */
static void note_waiting(fl__task *task)
{
    fl__alignment *alignment = task->alignment;
    if (alignment->waits_since == FL_TIME_MAX) {
        alignment->waits_since = task->now;
        alignment->warn_at = task->now + task->held_warning_ms;
    }
    const fl__alignment_member *last = fl__alignment_last(alignment->group);
    if (!last || task->held_warning_ms <= 0 || task->now < alignment->warn_at)
        return;
    alignment->warn_at = task->now + 2 * (task->now - alignment->waits_since);
    char at[48], other[48], span[48];
    fl__log(FL__LOG_WARN, "watermark",
        "%s: has waited for %s at %s for alignment group \"%s\": %s is at %s. If that may be silent for a while, give "
        ".idle_after to its fl_watermarks: the group then goes on without it",
        task->name, fl__held_span(task->now - alignment->waits_since, span), fl__held_time(alignment->watermark, at),
        alignment->group->name, last->task_name,
        fl__held_time(atomic_load_explicit(&last->watermark, memory_order_relaxed), other));
}

static fl__step poll_source(fl__task *task)
{
    fl__operator *root = task->operators[0];
    if (task->alignment && fl__alignment_waits(task->alignment, task->now)) {
        stall(task);
        note_waiting(task);
        task->wait_until = task->alignment->next_update;
        return dry(task);
    }
    if (task->alignment)
        task->alignment->waits_since = FL_TIME_MAX;
    task->wait_until = FL_TIME_MAX;
    fl_status status = root->class->poll(root);
    if (status == FL_AGAIN) {
        if (fl__output_rows(&root->out) != root->rows_in) {
            root->rows_in = fl__output_rows(&root->out);
            mark_dirty(task);
        }
        return dry(task);
    }
    root->rows_in = fl__output_rows(&root->out);
    atomic_store_explicit(&task->metrics.rows_in, root->rows_in, memory_order_relaxed);
    mark_dirty(task);
    if (status == FL_DONE)
        return go_on_ending(task);
    return FL__STEP_PROGRESS;
}

static fl__step step(fl__task *task)
{
    if (task->is_blocked && !drain(task)) {
        stall(task);
        return FL__STEP_BLOCKED;
    }
    end_stall(task);
    if (has_mail(task)) {
        take_mail(task);
        return FL__STEP_PROGRESS;
    }
    if (task->pending && !waits_for_mail(task)) {
        resume(task);
        return FL__STEP_PROGRESS;
    }
    if (FL_UNLIKELY(!task->pending && fl__task_has_checkpoint(task))) {
        fl__task_do_checkpoints(task);
        return FL__STEP_PROGRESS;
    }
    if (task->now >= task->next_timer && task->phase == FL__RUNNING) {
        fire_timers(task);
        return FL__STEP_PROGRESS;
    }
    if (task->is_dirty && task->now >= task->flush_at)
        flush_all(task);
    if (task->phase != FL__RUNNING)
        return go_on_ending(task);
    if (task->operators[0]->class->poll)
        return poll_source(task);
    if (task->pending)
        return dry(task);
    if (take_input(task))
        return FL__STEP_PROGRESS;
    if (!all_ended(task))
        return dry(task);
    if (task->sorted)
        return hand_on_sorted(task);
    if (is_draining(task)) /* what drain asks for now is due now */
        return task->now >= task->next_timer ? FL__STEP_PROGRESS : dry(task);
    return go_on_ending(task);
}

fl__step fl__task_step(fl__task *task)
{
    if (task->is_done)
        return FL__STEP_DONE;
    if (!task->failed && atomic_load_explicit(&task->cancelled, memory_order_relaxed)) {
        fl__error_set(&task->error, FL_ERROR_CANCELLED, "cancelled");
        return end(task, FL_ERROR_CANCELLED);
    }
    task->now = fl__os_now_ms(task->os);
    for (uint32_t i = 0; i < task->operator_count; i++)
        task->operators[i]->ctx.processing_time = task->now;
    fl__step result = task->failed ? FL__STEP_DONE : step(task);
    if (result == FL__STEP_PROGRESS)
        count_sink_rows(task);
    if (FL_UNLIKELY(task->failed))
        return end(task, task->error.status);
    return result;
}

fl_time fl__task_deadline(const fl__task *task)
{
    if (task->is_blocked) /* timers and flushes wait for the output: looking at the clock would only spin */
        return FL_TIME_MAX;
    fl_time deadline = task->phase == FL__RUNNING ? task->next_timer : FL_TIME_MAX;
    if (task->operators[0]->class->poll && task->wait_until < deadline)
        deadline = task->wait_until;
    if (task->is_dirty && task->flush_at < deadline)
        deadline = task->flush_at;
    return deadline;
}

bool fl__task_has_work(fl__task *task)
{
    if (atomic_load(&task->cancelled))
        return true;
    if (task->is_blocked)
        return drain(task);
    if (!task->pending && fl__task_has_checkpoint(task))
        return true;
    if (has_mail(task))
        return true;
    if (waits_for_mail(task)) /* and takes no input meanwhile */
        return false;
    for (uint32_t i = 0; i < task->input_count; i++) {
        for (uint32_t c = 0; c < task->inputs[i].channel_count; c++) {
            fl__channel *channel = task->inputs[i].channels[c];
            if (!channel->is_held && !fl__channel_is_empty(channel))
                return true;
        }
    }
    return false;
}
