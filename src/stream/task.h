/* A task: one subtask of a vertex. A chain of operators driven by one function, fl__task_step, that handles at most one
 * input batch or control event, never blocks and says whether there was progress. In production one thread drives one
 * task and parks on its waker; in the simulator one thread drives all tasks in an order drawn from a seed.
 *
 *   gates (channels of input 0 and 1) → root operator → chained operators → writers (channels)
 *
 * A step, in this order: drain the overdraft; mail; go on with what an operator left in the middle; checkpoints that
 * were asked for; processing-time timers; buffer timeout; one event of a gate, or one poll of the source; when nothing
 * came, flush what is open; then idle.
 *
 * Invariants: T1 all of a task is touched by its thread only, but for `cancelled` and the waker. T2 no input is taken
 * while the overdraft is not empty or an operator is in the middle of something. T3 watermarks of the task never fall.
 */
#ifndef FL_STREAM_TASK_H
#define FL_STREAM_TASK_H

#include "os/os.h"
#include "os/waker.h"
#include "stream/alignment.h"
#include "stream/channel.h"
#include "stream/held.h"
#include "stream/checkpoint.h"
#include "stream/operator.h"
#include "stream/splits.h"
#include "stream/writer.h"

typedef enum fl__step {
    FL__STEP_PROGRESS, /* call again */
    FL__STEP_IDLE,     /* nothing to do until woken or fl__task_deadline */
    FL__STEP_BLOCKED,  /* output has no credit: until woken */
    FL__STEP_DONE,     /* ended in order, failed or cancelled: see task->error */
} fl__step;

typedef struct fl__input {
    fl__channel **channels;
    uint32_t channel_count;
    uint32_t ended; /* channels */
    uint32_t next;  /* round robin */
    fl_time watermark;
    bool is_idle;
    bool comes_first; /* BATCH: the broadcast side; other inputs wait until it has ended */
} fl__input;

/* Sums of one subtask, read by others for progress and metrics (relaxed atomics). */
typedef struct fl__task_metrics {
    _Atomic uint64_t rows_in, rows_out;
    _Atomic int64_t watermark;          /* combined: currentInputWatermark */
    _Atomic int64_t input_watermark[2]; /* of each input: currentInput1Watermark, currentInput2Watermark */
} fl__task_metrics;

struct fl__task {
    const char *name; /* "Source: a -> Map (2/4)" */
    char *thread_name;
    int subtask, parallelism, max_parallelism, attempt;
    const fl__os *os;
    fl__memory *memory;
    fl__memory account;
    fl__operator **operators; /* in depth-first order: parents before children */
    uint32_t operator_count;
    fl__writer *writers;
    uint32_t writer_count;
    fl__input inputs[2];
    uint32_t input_count;
    uint32_t next_input;
    fl__waker waker;
    _Atomic bool cancelled;
    fl__waker
        *_Atomic sleeps_on; /* its thread sleeps in the middle of a step, which cancelling ends; NULL: it does not */
    bool is_blocked;        /* some channel has an overdraft */
    bool is_dirty;          /* rows may lie in open batches */
    bool is_opened, is_done;
    bool is_batch;        /* BATCH mode: no watermarks but the last, nothing is sent before it is full */
    int stage;            /* BATCH: when it runs */
    fl__spill *spill;     /* BATCH: where rows go that memory does not hold */
    fl__sorted *sorted;   /* BATCH: the root's input is sorted (sorted.h); NULL: it is not */
    int64_t batch_memory; /* BATCH: bytes that each operator that sorts or aggregates may hold */
    bool failed;
    fl_error error;
    fl_status ended_with;     /* FL_OK, or error's */
    uint32_t pending;         /* operators in the middle of something */
    fl__batch *pending_batch; /* root: process said FL_AGAIN */
    unsigned pending_input;
    fl__channel *pending_channel;
    fl_time now;               /* processing time of this step */
    fl_time watermark;         /* combined */
    bool is_idle_time;         /* combined idleness */
    fl_time next_timer;        /* lowest of the operators' next_timer */
    fl_time flush_at;          /* buffer timeout: when open batches must go */
    int64_t record_bytes_max;  /* a larger record fails the task; 0: no limit */
    int64_t buffer_timeout_ms; /* -1: never; 0: after each step */
    enum { FL__RUNNING, FL__DRAINING, FL__FINISHING, FL__LAST_CHECKPOINT, FL__ENDED } phase;
    uint32_t finish_next; /* FL__FINISHING: the next operator */
    int wait_fd;          /* source: readable → wake; -1 none */
    fl_time wait_until;
    fl__task_splits splits;   /* of the source */
    fl__alignment *alignment; /* of the source; NULL */
    int64_t stalled_ms;       /* for so long in all it could take no input */
    fl_time stalled_since;    /* and cannot since then: its output is blocked, or its source waits for alignment;
                            * FL_TIME_MAX: it can */
    fl__held_state held;      /* which input holds the watermark back */
    int64_t held_warning_ms;  /* says so in the log after this; 0: never */
    fl__task_metrics metrics;
    fl__task_checkpoints checkpoints;
    const fl__state_catalog *restored; /* what the job starts from; NULL: from nothing */
    struct fl__accumulators *accumulators;
    void *job; /* who runs it */
};

/* How many key groups an operator's state is to be laid out for: in BATCH mode nobody asks for them. */
static inline uint32_t fl__operator_key_groups(const fl__operator *op)
{
    return op->task->is_batch ? 1 : (uint32_t)op->ctx.max_parallelism;
}
/* Opens all operators (children first, then the users' open functions). On failure task->error is set. */
fl_status fl__task_open(fl__task *task) FL_MUST_USE;
fl__step fl__task_step(fl__task *task);
/* Closes all operators; also after failures. */
void fl__task_close(fl__task *task);
/* When the task wants to be stepped even if nobody wakes it, on the processing-time clock; FL_TIME_MAX: never. */
fl_time fl__task_deadline(const fl__task *task);
/* Is there an event in a gate, or room in a blocked channel? For the look between prepare and park. */
bool fl__task_has_work(fl__task *task);
/* Any thread, signal handlers too. */
void fl__task_cancel(fl__task *task);
/* Sends what lies in open batches on its way, down the chain and into the channels. */
void fl__task_flush_outputs(fl__task *task);
/* Fails the task: the first message counts. */
void fl__task_fail(fl__task *task, fl_status status, const char *format, ...) FL_PRINTF(3, 4);

/* Accumulators of a subtask, by name. Written by its task alone; others may look: what stands below count is whole, and
 * sums are read as they are at the moment. */
typedef struct fl__accumulator {
    const char *name; /* as the user gave it */
    bool is_double;
    _Atomic int64_t i;
    _Atomic double d;
} fl__accumulator;
typedef struct fl__accumulators {
    fl__accumulator items[64];
    _Atomic uint32_t count;
} fl__accumulators;

#endif
