#include "stream/checkpoint.h"

#include "base/error.h"
#include "stream/task.h"

#include <inttypes.h>
#include <stdio.h>

enum { ID_BYTES = 512 };

/* ---- any thread ---- */

void fl__task_request_checkpoint(fl__task *task, int64_t checkpoint)
{
    atomic_store(&task->checkpoints.wanted, checkpoint);
    fl__waker_wake(&task->waker);
}

void fl__task_complete_checkpoint(fl__task *task, int64_t checkpoint)
{
    atomic_store(&task->checkpoints.complete, checkpoint);
    fl__waker_wake(&task->waker);
}

/* ---- the snapshot ---- */

const char *fl__operator_state_id(const fl__operator *op, char *buffer, size_t size)
{
    const fl__operator_spec *spec = op->spec;
    if (spec->uid)
        snprintf(buffer, size, "uid %s", spec->uid);
    else
        snprintf(buffer, size, "%s, operator %d", spec->class->kind, spec->id);
    return buffer;
}

static void take(fl__task *task, int64_t checkpoint)
{
    fl__task_checkpoints *c = &task->checkpoints;
    c->last = checkpoint;
    c->aligning = 0;
    if (task->phase == FL__LAST_CHECKPOINT && !c->last_at_end)
        c->last_at_end = checkpoint;
    fl__task_flush_outputs(task); /* rows on their way down the chain belong to what is before the barrier */
    if (task->failed)
        return;
    fl__snapshot *snapshot = fl__snapshot_new(task->account.parent, checkpoint);
    for (uint32_t i = 0; i < task->operator_count && !task->failed; i++) {
        fl__operator *op = task->operators[i];
        char id[ID_BYTES];
        if (!op->class->snapshot)
            continue;
        fl__snapshot_operator(snapshot, fl__operator_state_id(op, id, sizeof id));
        op->class->snapshot(op, snapshot);
    }
    if (task->failed) {
        fl__snapshot_free(snapshot);
        return;
    }
    for (uint32_t w = 0; w < task->writer_count; w++)
        fl__writer_event(&task->writers[w], (fl__event){ .kind = FL__EVENT_BARRIER, .value = checkpoint });
    c->listener->taken(c->listener, task, snapshot);
}

/* ---- alignment ---- */

static void let_go(fl__task *task)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        for (uint32_t j = 0; j < task->inputs[i].channel_count; j++)
            task->inputs[i].channels[j]->is_held = false;
    }
}

static bool is_complete(const fl__task *task, int64_t checkpoint)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        for (uint32_t j = 0; j < task->inputs[i].channel_count; j++) {
            const fl__channel *channel = task->inputs[i].channels[j];
            if (!channel->is_ended && channel->barrier < checkpoint)
                return false;
        }
    }
    return true;
}

static void take_when_complete(fl__task *task)
{
    int64_t checkpoint = task->checkpoints.aligning;
    task->checkpoints.has_ended_channel = false;
    if (!is_complete(task, checkpoint))
        return;
    let_go(task);
    take(task, checkpoint);
}

void fl__task_barrier(fl__task *task, fl__channel *channel, int64_t checkpoint)
{
    fl__task_checkpoints *c = &task->checkpoints;
    channel->barrier = checkpoint;
    if (checkpoint <= c->last || !c->listener)
        return; /* of one that was given up */
    if (c->aligning && checkpoint > c->aligning) {
        c->listener->declined(c->listener, task, c->aligning, "a newer checkpoint's barrier came first");
        c->last = c->aligning;
        let_go(task);
    }
    c->aligning = checkpoint;
    channel->is_held = !c->is_at_least_once;
    take_when_complete(task);
}

/* Not taken here: the end of a channel may have raised the watermark, and left an operator in the middle of it. */
void fl__task_channel_ended(fl__task *task)
{
    task->checkpoints.has_ended_channel = task->checkpoints.aligning != 0;
}

/* ---- requests ---- */

/* Once the end has begun operators are half through it; what would be left to restore is nothing. */
static bool may_take(const fl__task *task)
{
    return task->phase == FL__RUNNING || task->phase == FL__LAST_CHECKPOINT;
}

bool fl__task_wants_last_checkpoint(fl__task *task)
{
    fl__checkpoint_listener *listener = task->checkpoints.listener;
    bool wants = false;
    for (uint32_t i = 0; i < task->operator_count; i++)
        wants |= task->operators[i]->class->wants_last_checkpoint;
    if (!listener || !wants)
        return false;
    listener->waits(listener, task);
    return true;
}

bool fl__task_has_last_checkpoint(const fl__task *task)
{
    return task->checkpoints.last_at_end && task->checkpoints.told >= task->checkpoints.last_at_end;
}

bool fl__task_has_checkpoint(fl__task *task)
{
    fl__task_checkpoints *c = &task->checkpoints;
    if (FL_LIKELY(!c->listener))
        return false;
    if (atomic_load_explicit(&c->complete, memory_order_acquire) > c->told)
        return true;
    return may_take(task) && (c->has_ended_channel || atomic_load_explicit(&c->wanted, memory_order_acquire) > c->last);
}

void fl__task_do_checkpoints(fl__task *task)
{
    fl__task_checkpoints *c = &task->checkpoints;
    int64_t complete = atomic_load_explicit(&c->complete, memory_order_acquire);
    if (complete > c->told) {
        c->told = complete;
        for (uint32_t i = 0; i < task->operator_count && !task->failed; i++) {
            if (task->operators[i]->class->checkpoint_complete)
                task->operators[i]->class->checkpoint_complete(task->operators[i], complete);
        }
        return;
    }
    if (c->has_ended_channel)
        take_when_complete(task);
    else
        take(task, atomic_load_explicit(&c->wanted, memory_order_acquire));
}

/* ---- restoring ---- */

fl_status fl__operator_restore(fl__operator *op, const fl__state_catalog *catalog, fl_error *error)
{
    char id[ID_BYTES];
    const fl__operator_state *state = fl__state_catalog_find(catalog, fl__operator_state_id(op, id, sizeof id));
    if (!state || !op->class->restore)
        return FL_OK; /* new in the program */
    if (state->max_parallelism != (uint32_t)op->ctx.max_parallelism)
        return fl__error_set(error, FL_ERROR_INVALID,
            "its state was written with a max parallelism of %u, and it has %d now; set .max_parallelism (or "
            "pipeline.max-parallelism) to %u: state is divided by it",
            state->max_parallelism, op->ctx.max_parallelism, state->max_parallelism);
    fl__restored restored = {
        .memory = op->task->account.parent,
        .os = catalog->os,
        .id = state->id,
        .files = state->files,
        .file_count = state->file_count,
        .subtask = (uint32_t)op->ctx.subtask,
        .parallelism = (uint32_t)op->ctx.parallelism,
        .max_parallelism = (uint32_t)op->ctx.max_parallelism,
        .old_parallelism = state->parallelism,
        .checkpoint = catalog->checkpoint,
    };
    fl_status status = op->class->restore(op, &restored, error);
    fl__restored_close(&restored);
    return status;
}
