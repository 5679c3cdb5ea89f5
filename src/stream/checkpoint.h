/* A task's part in checkpoints: barriers that flow with the records, their alignment, and the snapshot between two of
 * them (Chandy and Lamport 1985; Carbone et al. 2015, "Lightweight Asynchronous Snapshots").
 *
 *   source task      told to (fl__task_request_checkpoint) → takes its snapshot → barrier to all channels
 *   any other task   a barrier from each channel that has not ended → snapshot → barrier to all channels
 *
 * Aligned (exactly once): a channel that delivered its barrier is held back until the others have too. Not aligned (at
 * least once): it is not, and what it brings meanwhile is counted twice after a restore.
 *
 * A snapshot takes no writing in the task: it is handed to the listener. A channel that has ended counts as one that
 * delivered its barrier. A barrier of a newer checkpoint gives the older one up (Flink's
 * SingleCheckpointBarrierHandler).
 */
#ifndef FL_STREAM_CHECKPOINT_H
#define FL_STREAM_CHECKPOINT_H

#include "state/snapshot.h"
#include "stream/channel.h"
#include "stream/operator.h"

/* Who coordinates; called in the task's thread. */
typedef struct fl__checkpoint_listener fl__checkpoint_listener;
struct fl__checkpoint_listener {
    /* The state of the task at the barrier; the listener's from now on: write it and free it. */
    void (*taken)(fl__checkpoint_listener *listener, fl__task *task, fl__snapshot *snapshot);
    /* The task is at its end but for one more checkpoint: it is to be asked for, as sources are. */
    void (*waits)(fl__checkpoint_listener *listener, fl__task *task);
    /* The task gives this checkpoint up. */
    void (*declined)(fl__checkpoint_listener *listener, fl__task *task, int64_t checkpoint, const char *reason);
};

/* In fl__task. */
typedef struct fl__task_checkpoints {
    fl__checkpoint_listener *listener; /* NULL: the job takes none */
    bool is_at_least_once;
    _Atomic int64_t wanted;   /* newest that a source was asked for */
    _Atomic int64_t complete; /* newest that is durable everywhere */
    int64_t last;             /* newest taken or given up */
    int64_t told;             /* newest whose completion the operators know of */
    int64_t last_at_end;      /* first one taken when everything else was done; 0: none yet */
    int64_t aligning;         /* barriers of it have come; 0: none */
    bool has_ended_channel;   /* one has ended since: perhaps it was the last one missing */
} fl__task_checkpoints;

/* ---- any thread ---- */

/* Source tasks: take this checkpoint at the next step. checkpoint ≥ 1, rising. */
void fl__task_request_checkpoint(fl__task *task, int64_t checkpoint);
/* The checkpoint is complete: sinks may commit what belongs to it. */
void fl__task_complete_checkpoint(fl__task *task, int64_t checkpoint);

/* ---- the task's thread ---- */

/* Is there something for fl__task_do_checkpoints? A load or two when there is not. */
bool fl__task_has_checkpoint(fl__task *task);
/* Tells operators what is complete, or takes what was requested or is aligned. Never with something pending. */
void fl__task_do_checkpoints(fl__task *task);
/* A barrier came through a channel. */
void fl__task_barrier(fl__task *task, fl__channel *channel, int64_t checkpoint);
/* At the end: does an operator want one more checkpoint? Then the listener is told. */
bool fl__task_wants_last_checkpoint(fl__task *task);
/* Is it complete? */
bool fl__task_has_last_checkpoint(const fl__task *task);
/* A channel has ended (is_ended is set): perhaps its barrier was the only one missing. */
void fl__task_channel_ended(fl__task *task);

/* By what an operator's state is found again: "uid …", or, without one, kind and place in the program. */
const char *fl__operator_state_id(const fl__operator *op, char *buffer, size_t size);
/* Gives an operator, opened just now, its state of the catalog. */
fl_status fl__operator_restore(fl__operator *op, const fl__state_catalog *catalog, fl_error *error) FL_MUST_USE;

#endif
