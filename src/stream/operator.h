/* The operator interface: what runs inside a task.
 *
 * A task is a tree of operators (a chain; a tree when one operator feeds several chained ones). The root takes batches
 * from the task's gates or is a source; the others take their parent's output batches. The calls an operator gets:
 *
 *   open → { process | watermark | timers | … }* → finish → close
 *
 * All calls come from the task's thread. Records and watermarks reach an operator in stream order: everything collected
 * before a watermark is processed by the children before they see it.
 *
 * Output: an operator writes rows into its open batch (fl_collect on op->out.collector). A full batch goes to all
 * targets of the output: chained children process it at once (the batch is reused after), writers scatter it over
 * channels. fl__output_blocked says whether a channel of the task has no credit: an operator with large fan-out should
 * then return FL_AGAIN where it may and will be called again with the same arguments; others just go on, into the
 * overdraft.
 *
 * Invariants: O1 a batch given to process is not changed and not kept after the call (copy what is needed; at the root
 * after FL_AGAIN the same batch comes again). O2 watermarks never fall. O3 after finish nothing is collected. */
#ifndef FL_STREAM_OPERATOR_H
#define FL_STREAM_OPERATOR_H

#include "base/error.h"
#include "data/batch.h"
#include "data/key.h"
#include "flinc/stream.h"
#include "state/keyed.h"
#include "state/snapshot.h"

typedef struct fl__operator fl__operator;
typedef struct fl__operator_class fl__operator_class;
typedef struct fl__operator_spec fl__operator_spec;
typedef struct fl__output fl__output;
typedef struct fl__writer fl__writer;
typedef struct fl__task fl__task;
typedef struct fl__sorted fl__sorted;

/* What takes an operator's place in BATCH mode. */
typedef struct fl__batch_variants {
    const fl__operator_class *class;  /* for rows in any order */
    const fl__operator_class *sorted; /* for rows key by key, in order of time; used when needs_order says so */
    bool (*needs_order)(const fl__operator_spec *spec); /* NULL: never */
} fl__batch_variants;

enum fl__split_event {
    FL__SPLIT_ADDED,
    FL__SPLIT_CHOSEN, /* records are of this one from now on; slot FL__NO_SPLIT: of none */
    FL__SPLIT_FINISHED,
    FL__SPLIT_IDLE, /* its source knows that nothing comes until its next record */
};

/* What another thread leaves for an operator: first member of what it is about. */
typedef struct fl__mail {
    struct fl__mail *next;
} fl__mail;

/* What an operator does. One static object per kind; NULL members are what their comment says. */
struct fl__operator_class {
    const char *kind;     /* default name of such operators, Flink's: "Map", "Keyed Aggregation" … */
    size_t size;          /* of the operator object; fl__operator comes first in it; zeroed */
    size_t shared_size;   /* of op->shared: zeroed bytes per subtask that all subtasks of the operator see */
    bool is_keyed;        /* reads keys; its inputs' batches carry hashes */
    bool sets_timestamps; /* what it emits has timestamps even when its input has none */
    bool is_record_wise;  /* emits only while it is given a batch, and of that batch: splits are known behind it */
    /* Once, before anything else; outputs are ready, the user's open was not called yet. NULL: nothing to do. */
    fl_status (*open)(fl__operator *op, fl_error *error);
    /* A batch of input (0, or 1 for the second input of a two-input operator). FL_OK; FL_AGAIN only at a task's root:
     * the output is blocked, or op->awaits_mail was set: call again with the same batch. Failures by
     * fl__operator_fail. */
    fl_status (*process)(fl__operator *op, unsigned input, const fl__batch *batch);
    /* Source: collect some rows. FL_OK more at once, FL_AGAIN nothing now, FL_DONE the end. */
    fl_status (*poll)(fl__operator *op);
    /* The combined watermark rose to this: fire timers, windows. The caller passes it on to the children after FL_OK.
     * FL_AGAIN: output blocked, call again. NULL: nothing to fire. op->ctx.watermark is set by the caller before. */
    fl_status (*watermark)(fl__operator *op, fl_time watermark);
    /* This operator makes watermarks by itself: those of its input are not passed on (but FL_TIME_MAX). */
    bool makes_watermarks;
    /* Something about a split of the source that this operator is chained to (splits.h); called when op->hears_splits.
     * NULL: it is not interested. */
    void (*split)(fl__operator *op, enum fl__split_event event, uint32_t slot);
    /* Its input became idle, or active again. NULL: passed on at once (dropped, when it makes watermarks). */
    void (*idle)(fl__operator *op, bool idle);
    /* At a task's root only: what fl__operator_post left, oldest first. FL_AGAIN: output blocked, call again, then with
     * NULL. */
    fl_status (*mail)(fl__operator *op, fl__mail *mail);
    /* At a task's root only: all input has ended (after watermark(FL_TIME_MAX)), timers and mail still come. FL_AGAIN:
     * something is on its way, call again after mail or timers. NULL: nothing. */
    fl_status (*drain)(fl__operator *op);
    /* The clock has reached op->next_timer: fire, set op->next_timer anew (FL_TIME_MAX: none). FL_AGAIN as above. */
    fl_status (*timers)(fl__operator *op, fl_time now);
    /* One input of a two-input operator has ended. NULL: nothing. */
    void (*end_input)(fl__operator *op, unsigned input);
    /* All input has ended (after watermark(FL_TIME_MAX)): emit what is left. FL_AGAIN: call again. NULL: nothing. */
    fl_status (*finish)(fl__operator *op);
    /* The task's input ran dry: write out what is buffered (sinks). NULL: nothing. */
    void (*flush)(fl__operator *op);
    /* Once, before the user's close, also after failures: end the threads that call the user's functions. NULL: none.
     */
    void (*stop)(fl__operator *op);
    /* Once, also after failures and when open failed half way. NULL: nothing. */
    void (*close)(fl__operator *op);

    /* ---- checkpoints (docs/design/checkpoints.md) ---- */
    /* At a barrier, with nothing pending and the output empty: adds what the operator has to know after a restore.
     * NULL: nothing, and then `restore` is not called either. */
    void (*snapshot)(fl__operator *op, fl__snapshot *to);
    /* After open, before the user's: reads back what all subtasks of then added, as far as it is this one's now. */
    fl_status (*restore)(fl__operator *op, fl__restored *from, fl_error *error);
    /* The checkpoint is durable: commit what belongs to it. Not called for each one. NULL: nothing. */
    void (*checkpoint_complete)(fl__operator *op, int64_t checkpoint);

    /* At its end the task waits for one more checkpoint to be complete, when the job takes any: what it has written is
     * committed by then. */
    bool wants_last_checkpoint;
    const char *not_in_checkpoints; /* jobs that take checkpoints are refused, for this reason; NULL: they are not */

    /* ---- BATCH mode (docs/design/batch.md) ---- */
    const fl__batch_variants *batch;    /* NULL: the class serves both modes */
    const fl__operator_class *combiner; /* aggregates ahead, in the sender's chain; NULL: nothing does */
    bool is_combiner;
    bool holds_rows; /* takes of the memory for sorting and aggregating: fl__task.batch_memory is its share */
    /* When its memory is used up its rows wait, and come by timestamp after the others, with watermarks between them:
     * what they end is dropped, and memory is what one moment needs. */
    bool spills_by_time;
    const char *not_in_batch; /* BATCH is refused, for this reason; NULL: it is not */
    /* A batch class with it gets its rows key by key, in order of timestamp, then of arrival; batches of process hold
     * rows of one key. Called at the end of each key: fire everything, forget it. FL_AGAIN: output blocked, call again.
     */
    fl_status (*end_key)(fl__operator *op);
};

/* The immutable description of an operator, made by the graph, shared by its subtasks. */
struct fl__operator_spec {
    const fl__operator_class *class;
    int id;           /* node id, from 1 in the order of the program */
    const char *name; /* never NULL */
    const char *uid;  /* or NULL */
    fl_where where;
    const fl_type *in[2];            /* NULL: no such input */
    const fl_type *out;              /* NULL for sinks */
    const fl__key *key[2];           /* keyed operators: the key of each input */
    const fl__key *out_key;          /* the key by which the output is hash partitioned is on the edge, not here */
    fl_function function, function2; /* the user's; function2 for the second input */
    fl_filter_fn filter;
    fl_reduce_fn reduce;
    const fl_aggregate_fn *aggregate;
    fl_function on_timer;
    fl_lifecycle_fn open, close;
    void *arg;
    size_t instance_size;
    fl_state *const *states;
    size_t state_count;
    bool has_timestamps;                        /* input batches have the timestamp column */
    const struct fl__alignment_spec *alignment; /* of the watermarks that it makes; NULL: none */
    void *config;                               /* the operator kind's own */
};

/* Where the rows of an output go. */
typedef struct fl__target {
    fl__operator *child; /* chained, or NULL */
    fl__writer *writer;  /* over channels, or NULL */
} fl__target;

/* An output of an operator: the main one, or a side output. */
struct fl__output {
    fl_collector collector;                                      /* first: user functions are given its address */
    void (*slow)(fl__output *out, const void *row, size_t size); /* what fl__collect_slow calls */
    void (*control)(
        fl__output *out, int event_kind, int64_t value); /* fl_emit_watermark and fl_mark_idle (fl__event_kind) */
    char *limit; /* the true one: collector.limit is the start when rows have pointers */
    fl__operator *op;
    const fl_tag *tag; /* NULL: main output */
    fl__layout layout;
    uint32_t columns;
    fl__batch *batch; /* open; NULL when the output has no targets and no type */
    uint64_t rows;    /* emitted so far, but for those in the open batch */
    uint32_t target_count;
    fl__target *targets;
    fl__writer *give_to; /* the only target is a writer of one channel: batches are handed over, not copied */
    fl_time watermark;   /* last one emitted */
};

struct fl__operator {
    const fl__operator_class *class;
    const fl__operator_spec *spec;
    fl__task *task;
    fl_context ctx;        /* what the user's functions see */
    fl__function function; /* ctx.function: keyed state and timers of operators that have them */
    fl__output out;
    fl__output *side; /* side outputs, side_count of them */
    size_t side_count;
    fl_time next_timer;        /* on the processing-time clock; FL_TIME_MAX: none. The task calls timers then */
    fl_time pending_watermark; /* watermark() said FL_AGAIN for this one; FL_TIME_MIN: none */
    bool pending_timers, pending_mail;
    bool awaits_mail;               /* process said FL_AGAIN, and only mail or timers can change that: they clear it */
    _Atomic(fl__mail *) mailbox;    /* newest first */
    bool pending_idle, idle_wanted; /* idleness that came while a watermark was pending, and what it was */
    uint64_t rows_in;
    fl__memory memory; /* account of its state */
    struct fl__user_counter *counters;
    void *shared;        /* of class->shared_size × parallelism; who writes what, and how, is the operator's */
    char *display_name;  /* "name (2/4)" */
    bool is_idle_output; /* the last idleness emitted */
    bool hears_splits;   /* class->split is called: chained to the source, with record-wise operators between */
};

typedef struct fl__user_counter {
    fl_counter counter;
    const char *name;
    struct fl__user_counter *next;
} fl__user_counter;

/* The operator whose function got this context. */
static inline fl__operator *fl__operator_of(const fl_context *ctx)
{
    return (fl__operator *)(uintptr_t)((const char *)ctx - offsetof(fl__operator, ctx));
}
static inline fl__output *fl__output_of(fl_collector *collector)
{
    return (fl__output *)collector;
}

/* ---- for operators ---- */

/* Fails the task: the first message counts. Returns FL_ERROR_USER. */
fl_status fl__operator_fail(fl__operator *op, fl_status status, const char *format, ...) FL_PRINTF(3, 4);
bool fl__operator_failed(const fl__operator *op);
/* Has a channel behind the task no credit? Then operators that can should stop and return FL_AGAIN. */
bool fl__output_blocked(const fl__operator *op);
/* Sends the open batch to the targets (nothing when it is empty). */
void fl__output_flush(fl__output *out);
/* Flushes the outputs and passes the watermark on to everything behind this operator, if it is higher than the last. */
void fl__operator_emit_watermark(fl__operator *op, fl_time watermark);
/* Flushes the outputs and tells everything behind this operator that it is idle / active again. */
void fl__operator_emit_idle(fl__operator *op, bool idle);
/* The stream's watermark reached the operator: fires what is due, then emits it. */
void fl__operator_deliver_watermark(fl__operator *op, fl_time watermark);
/* The stream's idleness reached the operator. */
void fl__operator_deliver_idle(fl__operator *op, bool idle);
/* Targets are set before. */
void fl__output_init(fl__output *out, fl__operator *op, const fl_type *type, uint32_t columns, uint32_t segment_size);
void fl__output_release(fl__output *out);
/* The output of a side tag; NULL when nobody reads it. */
fl__output *fl__operator_side(fl__operator *op, const fl_tag *tag);
/* Processing time of this step. */
fl_time fl__operator_now(const fl__operator *op);
/* The same clock without the time in which the task could not take input (no room behind it, paused by alignment):
 * idleness counts by it, as in Flink since 2.0 (PausableRelativeClock). Never falls while the clock does not. */
fl_time fl__operator_active_now(const fl__operator *op);
/* Sets op->next_timer and tells the task. */
void fl__operator_set_timer(fl__operator *op, fl_time time);
/* Sources: the task's waker, for other threads; and when to be polled again after FL_AGAIN besides (fd readable, -1
 * none; time on the processing-time clock, FL_TIME_MAX none). Both hold until set anew. */
struct fl__waker *fl__operator_waker(fl__operator *op);
void fl__operator_wait_fd(fl__operator *op, int fd);
void fl__operator_wait_until(fl__operator *op, fl_time time);
/* Leaves mail for an operator whose class has .mail, and wakes its task. Any thread, as long as the task is open. Cost:
 * a CAS, and a wake for the first of several that lie there unread. */
void fl__operator_post(fl__operator *op, fl__mail *mail);
/* Is the task being cancelled? */
bool fl__operator_cancelled(const fl__operator *op);
/* Number of records the operator has emitted, the open batch included. */
uint64_t fl__output_rows(const fl__output *out);

/* Collects one row with this timestamp to the output: for operators. */
static inline void fl__emit(fl__output *out, const void *row, fl_time timestamp)
{
    out->collector.timestamp = timestamp;
    fl_collect_row(&out->collector, row);
}

/* Calls a user function for each row of a batch, with timestamps when the batch carries them. */
#define FL__FOR_ROWS(batch, row, i)                                                                                    \
    for (const char *row = fl__batch_rows(batch), *fl__once = row; fl__once; fl__once = NULL)                          \
        for (uint32_t i = 0, fl__n = (batch)->count; i < fl__n; i++, row += (batch)->row_size)

#endif
