/* Iteration: a feedback edge (Flink's StreamIterationHead and StreamIterationTail).
 *
 *      in ─→ entry ─┐                         entry  passes records on, no watermarks
 *                   ├─→ body … ─→ tail        tail   puts what is fed back into the queue of its subtask
 *      queue ─→ head┘              │          head   a source: takes it out again
 *        ↑                         │
 *        └─────────────────────────┘
 *
 * To the graph head is a source and tail a sink: it stays without cycles. The queues have no limit, so the tail never
 * waits and the loop cannot block itself; what they hold counts as the job's memory.
 *
 * When is the loop empty? Every operator passes watermarks on behind the records before them. So the heads send probes,
 * watermarks just above FL_TIME_MIN, in rounds: a round starts with all input ended and all queues empty; when its
 * probe has come out at all tails and not one record has, nothing is on its way. Entry holds event time back, in the
 * loop it stands still (as in Flink), so nobody else's watermark can pass for a probe. */
#ifndef FL_OPERATORS_ITERATION_H
#define FL_OPERATORS_ITERATION_H

#include "os/thread.h"
#include "stream/operator.h"

/* The queue between tail and head of one subtask. */
typedef struct fl__iteration_lane {
    fl__batch *first, *last;
    struct fl__waker *head; /* NULL: not open */
    int64_t sent;           /* round of the head's last probe */
    int64_t seen;           /* and of the tail's */
    bool is_over;           /* the head takes nothing any more */
} fl__iteration_lane;

/* One iteration; in the environment's arena. What is below the lock is guarded by it. */
typedef struct fl__iteration {
    const fl_type *type;
    int parallelism;   /* of entry, head and tail */
    fl_time max_wait;  /* ms; 0: no limit */
    bool is_closed;    /* fl_close_with was called */
    fl__memory memory; /* of the queues */
    fl__mutex lock;
    int entries_ended, heads_closed; /* subtasks */
    uint64_t received, taken;        /* records put into queues, and taken out */
    int64_t round;                   /* the probe at hand; 0: none yet */
    uint64_t round_received;         /* received when it started */
    bool is_clean;                   /* queues were empty then */
    bool is_done;                    /* heads end, or have */
    fl__iteration_lane *lanes;       /* by subtask */
} fl__iteration;

/* config of all three is the fl__iteration. */
extern const fl__operator_class fl__iteration_entry_class, fl__iteration_head_class, fl__iteration_tail_class;

void fl__iteration_init(fl__iteration *iteration, fl__arena *arena, fl__memory *memory);

#endif
