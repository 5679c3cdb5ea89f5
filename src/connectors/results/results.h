/* Results that come back into the program: a sink of one subtask, a bounded queue of batches, a reader in the program's
 * thread.
 *
 *     the sink's task                                     the program
 *     copies rows into the open batch
 *     full, or its input ran dry: into the queue  ────→   fl_results_next: row by row
 *     queue full: the task's thread sleeps        ←────   a batch used up goes back
 *
 * The sleep is the backpressure. It is the one place besides the disk where a task's thread waits: the queue ends
 * outside of the job, where there are no steps; cancelling wakes it (fl__task.sleeps_on).
 *
 * lock guards the queue, the spare batches and the two flags; the rest is the one side's or the other's. */
#ifndef FL_CONNECTORS_RESULTS_RESULTS_H
#define FL_CONNECTORS_RESULTS_RESULTS_H

#include "api/api.h"
#include "os/thread.h"
#include "os/waker.h"

enum { FL__RESULTS_BATCHES = 16 }; /* × 32 KiB wait at most, and one on each side */

struct fl_results {
    fl_env *env;
    struct fl_job_client *client; /* of the job; NULL: not executed yet */
    fl__layout layout;
    struct fl_results *next; /* of the same job */
    fl__mutex lock;
    fl__batch *queue[FL__RESULTS_BATCHES];
    uint32_t first, count; /* in the queue */
    fl__batch *spare;      /* list by ->next */
    bool is_ended;         /* nothing will be added */
    bool is_closed;        /* nobody reads: what comes is dropped */
    fl__waker writer, reader;
    fl__batch *read; /* the reader's */
    uint32_t next_row;
};

/* Nothing more will come: wakes the reader. Any thread. */
void fl__results_end(fl_results *results);
/* Nobody will read: the job goes on without. The reader's thread. */
void fl__results_give_up(fl_results *results);
/* The next row; NULL: all were read and no more will come. Waits. The reader's thread. */
const void *fl__results_read(fl_results *results);

#endif
