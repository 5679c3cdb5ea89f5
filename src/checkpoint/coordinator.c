#include "checkpoint/coordinator.h"

#include "base/error.h"

#include <stdio.h>

void fl__coordinator_init(fl__coordinator *c, fl__memory *memory, const fl__coordinator_config *config,
    const bool *is_source, uint32_t task_count, int64_t first_id, fl_time now)
{
    fl_assert(first_id >= 1 && config->max_pending >= 1);
    *c = (fl__coordinator){
        .memory = memory,
        .config = *config,
        .task_count = task_count,
        .running = task_count,
        .next_id = first_id,
        .next_ms = config->interval_ms > 0 ? now + config->interval_ms : FL_TIME_MAX,
        .last_end_ms = FL_TIME_MIN,
        .complete = first_id - 1,
        .announced = first_id - 1,
    };
    if (c->config.max_pending > FL__PENDING_MAX)
        c->config.max_pending = FL__PENDING_MAX;
    c->is_source = fl__alloc(memory, task_count + 1);
    c->has_ended = fl__alloc_zero(memory, task_count + 1);
    c->is_waiting = fl__alloc_zero(memory, task_count + 1);
    if (task_count)
        memcpy(c->is_source, is_source, task_count);
    for (uint32_t t = 0; t < task_count; t++)
        c->sources_running += is_source[t];
}

static void forget(fl__coordinator *c, fl__pending_checkpoint *p)
{
    fl__free(c->memory, p->acknowledged, c->task_count + 1);
    *p = (fl__pending_checkpoint){ 0 };
}

void fl__coordinator_release(fl__coordinator *c)
{
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++) {
        if (c->pending[i].id)
            forget(c, &c->pending[i]);
    }
    fl__free(c->memory, c->is_source, c->task_count + 1);
    fl__free(c->memory, c->has_ended, c->task_count + 1);
    fl__free(c->memory, c->is_waiting, c->task_count + 1);
}

static fl__pending_checkpoint *find(fl__coordinator *c, int64_t checkpoint)
{
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++) {
        if (c->pending[i].id == checkpoint && !c->pending[i].aborted)
            return &c->pending[i];
    }
    return NULL;
}

static uint32_t count_pending(const fl__coordinator *c)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++)
        n += c->pending[i].id != 0;
    return n;
}

/* Failures in a row count; one that is overtaken by a newer one is none. */
static void fail(fl__coordinator *c, fl__pending_checkpoint *p, const char *reason, fl_time now)
{
    p->aborted = "it failed";
    c->last_end_ms = now;
    c->counts[2]++;
    c->failures++;
    if (c->failures <= c->config.tolerable || c->is_failing)
        return;
    c->is_failing = true;
    snprintf(c->reason, sizeof c->reason,
        "checkpoint %lld failed: %s; that makes %lld failures in a row, and "
        "execution.checkpointing.tolerable-failed-checkpoints is %lld",
        (long long)p->id, reason, (long long)c->failures, (long long)c->config.tolerable);
}

/* ---- what happened ---- */

void fl__coordinator_acknowledged(fl__coordinator *c, int64_t checkpoint, uint32_t task)
{
    fl__pending_checkpoint *p = find(c, checkpoint);
    fl_assert(task < c->task_count);
    if (!p || p->acknowledged[task])
        return;
    p->acknowledged[task] = true;
    p->missing--;
}

void fl__coordinator_declined(fl__coordinator *c, int64_t checkpoint, const char *reason, fl_time now)
{
    fl__pending_checkpoint *p = find(c, checkpoint);
    if (p)
        fail(c, p, reason, now);
}

void fl__coordinator_stored(fl__coordinator *c, int64_t checkpoint, const char *reason, fl_time now)
{
    fl__pending_checkpoint *p = find(c, checkpoint);
    if (!p)
        return;
    if (reason) {
        fail(c, p, reason, now);
        return;
    }
    c->complete = checkpoint;
    c->failures = 0;
    c->last_end_ms = now;
    c->counts[1]++;
    forget(c, p);
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++) {
        if (c->pending[i].id && c->pending[i].id < checkpoint)
            c->pending[i].aborted = "a newer checkpoint is complete";
    }
}

void fl__coordinator_ended(fl__coordinator *c, uint32_t task)
{
    fl_assert(task < c->task_count);
    if (c->has_ended[task])
        return;
    c->has_ended[task] = true;
    c->running--;
    c->sources_running -= c->is_source[task] && !c->is_waiting[task];
    c->waiting -= c->is_waiting[task];
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++) {
        fl__pending_checkpoint *p = &c->pending[i];
        if (p->id && !p->acknowledged[task]) {
            p->acknowledged[task] = true;
            p->missing--;
        }
    }
}

void fl__coordinator_waits(fl__coordinator *c, uint32_t task)
{
    fl_assert(task < c->task_count);
    if (c->is_waiting[task] || c->has_ended[task])
        return;
    c->is_waiting[task] = true;
    c->waiting++;
    c->sources_running -= c->is_source[task];
}

bool fl__coordinator_asks(const fl__coordinator *c, uint32_t task)
{
    return !c->has_ended[task] && (c->is_source[task] || c->is_waiting[task]);
}

void fl__coordinator_ask(fl__coordinator *c)
{
    c->is_asked = true;
}

/* ---- what to do ---- */

static bool is_too_old(const fl__coordinator *c, const fl__pending_checkpoint *p, fl_time now)
{
    return p->id && !p->aborted && c->config.timeout_ms > 0 && now - p->started_ms >= c->config.timeout_ms;
}

/* The earliest moment for another one; FL_TIME_MAX: not before something happens. */
static fl_time next_trigger(const fl__coordinator *c)
{
    if ((c->sources_running == 0 && c->waiting == 0) || count_pending(c) >= c->config.max_pending || c->is_failing)
        return FL_TIME_MAX;
    if (c->waiting > 0 && c->waiting == c->running)
        return FL_TIME_MIN; /* nobody else has anything to do */
    fl_time due = c->is_asked ? FL_TIME_MIN : c->next_ms;
    if (due != FL_TIME_MAX && !c->is_asked && c->last_end_ms != FL_TIME_MIN &&
        due < c->last_end_ms + c->config.min_pause_ms)
        due = c->last_end_ms + c->config.min_pause_ms;
    return due;
}

static bool trigger(fl__coordinator *c, fl_time now, fl__coordinator_action *action)
{
    uint32_t i = 0;
    while (c->pending[i].id)
        i++;
    fl__pending_checkpoint *p = &c->pending[i];
    *p = (fl__pending_checkpoint){ .id = c->next_id++, .started_ms = now, .missing = c->running };
    p->acknowledged = fl__alloc(c->memory, c->task_count + 1);
    memcpy(p->acknowledged, c->has_ended, c->task_count);
    c->counts[0]++;
    if (c->is_asked)
        c->is_asked = false;
    else /* a late one does not make the next one come sooner than the interval */
        c->next_ms =
            now - c->next_ms < c->config.interval_ms ? c->next_ms + c->config.interval_ms : now + c->config.interval_ms;
    *action = (fl__coordinator_action){ .what = FL__COORDINATE_TRIGGER, .checkpoint = p->id };
    return true;
}

bool fl__coordinator_next(fl__coordinator *c, fl_time now, fl__coordinator_action *action)
{
    if (c->announced < c->complete) {
        c->announced = c->complete;
        *action = (fl__coordinator_action){ .what = FL__COORDINATE_COMPLETE, .checkpoint = c->complete };
        return true;
    }
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++) {
        fl__pending_checkpoint *p = &c->pending[i];
        if (is_too_old(c, p, now))
            fail(c, p, "it was not complete in time (execution.checkpointing.timeout)", now);
        if (p->id && p->aborted) {
            *action = (fl__coordinator_action){ FL__COORDINATE_ABORT, p->id, p->aborted };
            forget(c, p);
            return true;
        }
        if (p->id && p->missing == 0 && !p->is_storing) {
            p->is_storing = true;
            *action = (fl__coordinator_action){ .what = FL__COORDINATE_STORE, .checkpoint = p->id };
            return true;
        }
    }
    if (c->is_failing && !c->has_said_so) {
        c->has_said_so = true;
        *action = (fl__coordinator_action){ .what = FL__COORDINATE_FAIL, .reason = c->reason };
        return true;
    }
    return next_trigger(c) <= now && trigger(c, now, action);
}

fl_time fl__coordinator_deadline(const fl__coordinator *c)
{
    fl_time deadline = next_trigger(c);
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++) {
        const fl__pending_checkpoint *p = &c->pending[i];
        if (p->id && c->config.timeout_ms > 0 && p->started_ms + c->config.timeout_ms < deadline)
            deadline = p->started_ms + c->config.timeout_ms;
    }
    return deadline;
}
