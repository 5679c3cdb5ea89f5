#include "stream/splits.h"

#include "base/error.h"
#include "stream/task.h"

void fl__task_splits_init(fl__task *task)
{
    task->splits = (fl__task_splits){ .current = FL__NO_SPLIT };
    for (uint32_t i = 0; i < task->operator_count; i++) {
        if (!task->operators[i]->hears_splits)
            continue;
        task->splits.listeners++;
        if (!task->splits.reporter || task->operators[i]->spec->alignment)
            task->splits.reporter = task->operators[i];
    }
}

void fl__task_splits_release(fl__task *task)
{
    fl__task_splits *splits = &task->splits;
    fl__free(task->memory, splits->slots, splits->capacity * sizeof *splits->slots);
    *splits = (fl__task_splits){ .current = FL__NO_SPLIT };
}

bool fl__splits_wanted(const fl__operator *source)
{
    return source->task->splits.listeners > 0;
}

static void tell(fl__task *task, enum fl__split_event event, uint32_t slot)
{
    for (uint32_t i = 0; i < task->operator_count; i++) {
        fl__operator *op = task->operators[i];
        if (op->hears_splits)
            op->class->split(op, event, slot);
    }
}

/* Operators stand parents first: what the first ones send on reaches the batches of the later ones before their turn.
 */
static void flush_chain(fl__task *task)
{
    for (uint32_t i = 0; i < task->operator_count && !task->failed; i++) {
        fl__operator *op = task->operators[i];
        fl__output_flush(&op->out);
        for (size_t s = 0; s < op->side_count; s++)
            fl__output_flush(&op->side[s]);
    }
}

static uint32_t free_slot(fl__task *task)
{
    fl__task_splits *splits = &task->splits;
    if (splits->count == splits->capacity) {
        for (uint32_t i = 0; i < splits->count; i++) {
            if (!splits->slots[i].is_used)
                return i;
        }
        uint32_t capacity = splits->capacity ? splits->capacity * 2 : 8;
        splits->slots = fl__realloc(
            task->memory, splits->slots, splits->capacity * sizeof *splits->slots, capacity * sizeof *splits->slots);
        splits->capacity = capacity;
    }
    return splits->count++;
}

uint32_t fl__split_add(fl__operator *source, uint64_t name, bool is_waiting)
{
    fl__task *task = source->task;
    if (!task->splits.listeners)
        return 0;
    uint32_t slot = free_slot(task);
    task->splits.slots[slot] =
        (fl__split_slot){ .name = name, .watermark = FL_TIME_MIN, .is_used = true, .is_waiting = is_waiting };
    task->splits.used++;
    tell(task, FL__SPLIT_ADDED, slot);
    return slot;
}

void fl__split_choose(fl__operator *source, uint32_t slot)
{
    fl__task *task = source->task;
    if (!task->splits.listeners)
        return;
    fl_assert(slot == FL__NO_SPLIT || task->splits.slots[slot].is_used);
    flush_chain(task);
    if (slot == task->splits.current)
        return;
    task->splits.current = slot;
    tell(task, FL__SPLIT_CHOSEN, slot);
}

void fl__split_finish(fl__operator *source, uint32_t slot)
{
    fl__task *task = source->task;
    if (!task->splits.listeners)
        return;
    if (slot == task->splits.current)
        fl__split_choose(source, FL__NO_SPLIT);
    task->splits.slots[slot].is_used = false;
    task->splits.used--;
    tell(task, FL__SPLIT_FINISHED, slot);
}

void fl__split_idle(fl__operator *source, uint32_t slot)
{
    fl__task *task = source->task;
    if (!task->splits.listeners)
        return;
    flush_chain(task); /* the records before it are not idle */
    tell(task, FL__SPLIT_IDLE, slot);
}

fl_time fl__split_watermark(const fl__operator *source, uint32_t slot)
{
    const fl__task_splits *splits = &source->task->splits;
    return splits->listeners ? splits->slots[slot].watermark : FL_TIME_MIN;
}

bool fl__split_is_paused(const fl__operator *op, uint32_t slot)
{
    const fl__task *task = op->task;
    return task->alignment && task->splits.used > 1 &&
           fl__alignment_pauses(task->alignment, task->splits.slots[slot].watermark);
}

void fl__split_report(fl__operator *listener, uint32_t slot, fl_time watermark)
{
    fl__task_splits *splits = &listener->task->splits;
    if (listener == splits->reporter)
        splits->slots[slot].watermark = watermark;
}

const fl__split_slot *fl__split_get(const fl__operator *listener, uint32_t slot)
{
    return &listener->task->splits.slots[slot];
}
