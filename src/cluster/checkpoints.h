/* The checkpoints of one attempt: between the tasks, which take snapshots, the writer, which puts them into files, and
 * the coordinator, which says when.
 *
 *     task threads ── snapshots ──→ writer ── written ──┐
 *          └───── declined, ended ──────────────────────┴→ messages → coordinate: coordinator → store, requests
 *
 * Two actors, each called by one thread at a time: fl__checkpoints_write_some (a thread of its own when embedded) and
 * fl__checkpoints_coordinate (the thread that runs the job). In the simulator both are steps among those of the tasks.
 */
#ifndef FL_CLUSTER_CHECKPOINTS_H
#define FL_CLUSTER_CHECKPOINTS_H

#include "cluster/job.h"
#include "cluster/recovery.h"

typedef struct fl__checkpoints fl__checkpoints;

/* Before the tasks run: gives them their listener. recovery outlives it. */
fl__checkpoints *fl__checkpoints_new(fl__job *job, fl__recovery *recovery, const fl__os *os);
/* After the tasks have ended and the writer stopped. What was not written is given up. */
void fl__checkpoints_free(fl__checkpoints *checkpoints); /* NULL: nothing */

/* The writer's: writes some of a snapshot, or removes a checkpoint. False: there was nothing to do. */
bool fl__checkpoints_write_some(fl__checkpoints *checkpoints);
fl__waker *fl__checkpoints_writer(fl__checkpoints *checkpoints);

/* The coordinator's: takes messages in and does what follows. False: there was nothing to do. */
bool fl__checkpoints_coordinate(fl__checkpoints *checkpoints, fl_time now);
fl_time fl__checkpoints_deadline(const fl__checkpoints *checkpoints);
fl__waker *fl__checkpoints_waker(fl__checkpoints *checkpoints);

/* Any thread: the task has ended, in order or not. */
void fl__checkpoints_task_ended(fl__checkpoints *checkpoints, const fl__task *task);
/* The coordinator's: tasks that have not ended yet, as far as messages were taken in. */
uint32_t fl__checkpoints_running(const fl__checkpoints *checkpoints);
/* Snapshots and removals that the writer has not done. The writer's thread, or when it is stopped. */
bool fl__checkpoints_is_writing(fl__checkpoints *checkpoints);

#endif
