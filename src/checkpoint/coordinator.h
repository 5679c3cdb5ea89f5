/* When checkpoints are taken, and when one is complete: a state machine without thread, clock or file. What happened
 * goes in, what is to be done comes out (Flink's CheckpointCoordinator and CheckpointFailureManager).
 *
 *   pending:  TRIGGER → sources; acknowledged by every task that has not ended → STORE → stored → COMPLETE → tasks
 *             declined, failed to write or too old → ABORT; too many of these in a row → FAIL
 *
 * Checkpoints complete in order: a newer one that is complete aborts those before it. */
#ifndef FL_CHECKPOINT_COORDINATOR_H
#define FL_CHECKPOINT_COORDINATOR_H

#include "base/memory.h"

typedef struct fl__coordinator_config {
    int64_t interval_ms;  /* 0: only those that are asked for */
    int64_t min_pause_ms; /* between the end of one and the beginning of the next */
    int64_t timeout_ms;   /* a pending one is given up after it */
    int64_t tolerable;    /* failures in a row that the job survives */
    uint32_t max_pending; /* at a time; ≥ 1 */
} fl__coordinator_config;

typedef enum fl__coordinator_do {
    FL__COORDINATE_TRIGGER,  /* ask the sources for it */
    FL__COORDINATE_STORE,    /* all have acknowledged: make it durable, then fl__coordinator_stored */
    FL__COORDINATE_COMPLETE, /* it is durable: tell the tasks */
    FL__COORDINATE_ABORT,    /* nobody needs its files */
    FL__COORDINATE_FAIL,     /* fail the job: reason */
} fl__coordinator_do;

typedef struct fl__coordinator_action {
    fl__coordinator_do what;
    int64_t checkpoint;
    const char *reason; /* ABORT, FAIL: valid until the next call */
} fl__coordinator_action;

typedef struct fl__pending_checkpoint {
    int64_t id; /* 0: this place is free */
    int64_t started_ms;
    uint32_t missing; /* tasks that have not acknowledged */
    bool *acknowledged;
    bool is_storing;
    const char *aborted; /* why; NULL: it is not */
} fl__pending_checkpoint;

enum { FL__PENDING_MAX = 16 };

typedef struct fl__coordinator {
    fl__memory *memory;
    fl__coordinator_config config;
    uint32_t task_count, running;      /* tasks; of them not ended */
    uint32_t sources_running, waiting; /* waiting: for a last checkpoint */
    bool *is_source, *has_ended, *is_waiting;
    int64_t next_id;
    int64_t next_ms;     /* when the next periodic one is due; FL_TIME_MAX: none is */
    int64_t last_end_ms; /* when the last one ended, in whatever way */
    int64_t failures;    /* in a row */
    int64_t complete;    /* newest; 0: none. To be announced while complete > announced */
    int64_t announced;
    bool is_asked; /* one outside the interval */
    bool is_failing, has_said_so;
    char reason[512]; /* of failing */
    fl__pending_checkpoint pending[FL__PENDING_MAX];
    uint64_t counts[3]; /* triggered, completed, failed: for reports */
} fl__coordinator;

/* is_source: by task, copied. first_id ≥ 1. */
void fl__coordinator_init(fl__coordinator *c, fl__memory *memory, const fl__coordinator_config *config,
    const bool *is_source, uint32_t task_count, int64_t first_id, fl_time now);
void fl__coordinator_release(fl__coordinator *c);

/* What to do now; false: nothing. Call again until false. */
bool fl__coordinator_next(fl__coordinator *c, fl_time now, fl__coordinator_action *action);
/* When there will be something to do although nothing happened; FL_TIME_MAX: never. */
fl_time fl__coordinator_deadline(const fl__coordinator *c);

/* ---- what happened ---- */

/* The task's state of this checkpoint is written. */
void fl__coordinator_acknowledged(fl__coordinator *c, int64_t checkpoint, uint32_t task);
/* The task gave it up, or it could not be written. reason is copied. */
void fl__coordinator_declined(fl__coordinator *c, int64_t checkpoint, const char *reason, fl_time now);
/* STORE was done, or not: reason NULL says it was. */
void fl__coordinator_stored(fl__coordinator *c, int64_t checkpoint, const char *reason, fl_time now);
/* The task has come to its end in order: it needs no checkpoint any more. */
void fl__coordinator_ended(fl__coordinator *c, uint32_t task);
/* The task has done all but that it waits for one more checkpoint: it is asked for it as sources are. When nobody else
 * runs any more, that is taken at once. */
void fl__coordinator_waits(fl__coordinator *c, uint32_t task);
/* Is this task to be asked for checkpoints? The others find them in their channels. */
bool fl__coordinator_asks(const fl__coordinator *c, uint32_t task);
/* Takes a checkpoint as soon as one more may be pending. */
void fl__coordinator_ask(fl__coordinator *c);

#endif
