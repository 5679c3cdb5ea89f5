/* Splits: the parts that a source reads next to each other or one after the other (files, partitions), each with an
 * event time of its own. The task's watermark is the lowest of its splits' (Flink's WatermarkOutputMultiplexer).
 *
 * Records carry no split: a chain works on one batch at a time, so the task knows. The source says which split it reads
 * from now on; what lies in open batches of the chain is of the one before and goes out first. An operator that makes
 * watermarks (a listener) hears of it when it is chained to the source, with operators between that emit nothing but
 * while they are given a batch (fl__operator_class.is_record_wise). Behind a channel there are no splits: then there is
 * one watermark generator a subtask.
 *
 *     source:    add(0) add(1)   choose(0) rows rows   choose(1) rows      finish(0) …
 *     listener:  two generators  → generator 0         → generator 1       generator 1 alone counts
 *
 * Slots are numbered from 0 in the order of add; one that was finished is given out again.
 * Thread: the task's. Without a listener all of it costs a comparison. */
#ifndef FL_STREAM_SPLITS_H
#define FL_STREAM_SPLITS_H

#include "stream/operator.h"

#define FL__NO_SPLIT UINT32_MAX

typedef struct fl__split_slot {
    uint64_t name;
    fl_time watermark; /* what the listener would say of this split alone; FL_TIME_MIN: nothing yet */
    bool is_used;
    bool is_waiting; /* the source reads it when it likes: that nothing comes is no idleness */
} fl__split_slot;

typedef struct fl__task_splits {
    fl__split_slot *slots;
    uint32_t count, capacity; /* slots ever used at once */
    uint32_t used;
    uint32_t current;             /* FL__NO_SPLIT: none */
    uint32_t listeners;           /* operators of the task that make watermarks by split */
    const fl__operator *reporter; /* the listener whose watermarks stand in the slots: the aligned one, or any */
} fl__task_splits;

/* Does anybody want to know? Else the source may leave all of the following out. */
bool fl__splits_wanted(const fl__operator *source);
/* A split that is or will be read: it holds the watermark back from now on. Returns its slot.
 * name        for messages
 * is_waiting  it waits for the source and not for data, so that it never counts as idle: files that are there */
uint32_t fl__split_add(fl__operator *source, uint64_t name, bool is_waiting);
/* What is collected from now on comes from this split. FL__NO_SPLIT: from none. Sends on what lies in the chain. */
void fl__split_choose(fl__operator *source, uint32_t slot);
/* Nothing will come from it: it holds nothing back any more. */
void fl__split_finish(fl__operator *source, uint32_t slot);
void fl__split_idle(fl__operator *source, uint32_t slot);
/* How far its event time is; FL_TIME_MIN: no record with a timestamp has come yet. Valid after the next choose: what
 * lies in the chain counts then. */
fl_time fl__split_watermark(const fl__operator *source, uint32_t slot);

/* Is it too far ahead of the source's alignment group? Then the source should not read it now. */
bool fl__split_is_paused(const fl__operator *op, uint32_t slot);

/* ---- for listeners ---- */

/* How far a split's event time is. Of several listeners one is believed: it decides what the source reads next, and
 * each of them holds its own watermark back anyway. */
void fl__split_report(fl__operator *listener, uint32_t slot, fl_time watermark);
const fl__split_slot *fl__split_get(const fl__operator *listener, uint32_t slot);

/* ---- for the task ---- */

void fl__task_splits_init(fl__task *task);
void fl__task_splits_release(fl__task *task);

#endif
