/* Inside of async I/O: requests and their life, the operator's running state, the threads of blocking functions. */
#ifndef FL_OPERATORS_ASYNC_INTERNAL_H
#define FL_OPERATORS_ASYNC_INTERNAL_H

#include "operators/async.h"
#include "stream/task.h"

/* ---- requests (async_request.c) ----
 *
 * What the user holds is no pointer but the number of a request and its generation: requests are pooled for the whole
 * process and never given back to the system, so that an answer that comes twice, or long after the job, finds memory
 * that says so. The stage decides who may touch what:
 *
 *     FREE ──task──→ OPEN ──who answers first──→ TAKEN ──the same, last thing it does──→ DONE ──task──→ OPEN | FREE
 *                      └──task closes──→ LOOSE ──who answers──→ FREE
 *
 * OPEN and DONE belong to the task, TAKEN to the thread that answers (it writes the result, posts the request as mail),
 * LOOSE to nobody: the operator is gone, and memory stays as it is until the answer comes. FL__LATE beside the stage:
 * the time was up, so that two may answer, the timeout handler and the one who was asked; the flag goes with the second
 * answer. */
enum fl__async_stage { FL__FREE, FL__OPEN, FL__TAKEN, FL__DONE, FL__LOOSE };
enum { FL__STAGE = 7, FL__LATE = 8, FL__GENERATION_SHIFT = 8 };

typedef struct fl__async_request fl__async_request;
struct fl__async_request {
    fl__mail mail;                         /* first. Also links free ones */
    _Atomic uint64_t state;                /* generation << FL__GENERATION_SHIFT | FL__LATE | stage */
    uint32_t index;                        /* in the pool; with the generation the user's handle */
    _Atomic uint32_t late;                 /* answers to former generations that may still come, and are no mistake */
    _Atomic(struct fl__async_name *) name; /* of the operator, for messages */
    fl__operator *op;
    const fl__layout *result_layout; /* the operator's */
    /* the record; written before OPEN */
    char *input;
    size_t input_bytes; /* allocated */
    fl_time timestamp, watermark, started, deadline;
    /* the answer; the answerer's while TAKEN, then the task's */
    char *rows;
    size_t rows_bytes, row_count;
    char *error; /* free(); NULL: rows */
    fl_status error_status;
    /* the task's */
    fl__async_request *before, *after; /* in flight, in the order of the input */
    fl__async_request *next;           /* of the done ones of a segment, of the free ones, of the orphans */
    fl__async_request *next_owned;
    uint64_t segment;
    uint32_t attempts;
    bool is_done; /* answered for good, not yet emitted */
    bool timed_out;
    bool waits_for_retry;
    bool is_warned;
    /* threads */
    fl__async_request *next_work;
    _Atomic uint32_t busy; /* in the threads' queue, or one of them has it */
};

/* A free one for this operator. Thread: the task's, as of all below. */
fl__async_request *fl__async_request_new(fl__operator *op, const fl__layout *result_layout);
/* Begins a new generation: from now on it can be answered. Waits for an answerer that has not quite left. */
void fl__async_request_open(fl__async_request *request);
/* Has the one who answered nothing more to do with it, so that open need not wait? */
bool fl__async_request_is_left(const fl__async_request *request);
/* The user's handle of this generation. */
fl_async *fl__async_request_handle(const fl__async_request *request);
uint64_t fl__async_request_generation(const fl__async_request *request);
/* The time is up: two answers may come. False: it has been answered. */
bool fl__async_request_expect_late(fl__async_request *request);
/* Is an answer that is no mistake still to come to this DONE one? */
bool fl__async_request_is_late(const fl__async_request *request);
/* DONE and late, but its memory is needed: the answer will find nothing, which is no mistake either. */
void fl__async_request_give_up(fl__async_request *request);
/* Copies the record in. */
void fl__async_request_set_input(fl__async_request *request, const fl__layout *layout, const void *row);
/* It was still in the threads' queue when they ended: nobody will answer, but perhaps the timeout handler. */
void fl__async_request_withdraw(fl__async_request *request);
/* Copies rows and what they point to into one block (of fl__alloc, no account), made as large as it must be. */
void fl__async_copy_rows(const fl__layout *layout, const void *rows, size_t count, char **block, size_t *bytes);
/* The operator ends: gives the request back to the pool, or lets it loose when an answer is to come. */
void fl__async_request_abandon(fl__async_request *request);
/* Fails the request with this text unless it has been answered. Any thread. */
void fl__async_fail_unanswered(fl_async *handle, fl_status status, const char *text);
/* Is it open? Else nobody need ask: takes the answer that would have come off. Threads of a pool. */
bool fl__async_request_is_wanted(fl__async_request *request);

/* ---- the operator (async.c) ---- */

/* Records between two marks (watermark, idleness): with results in any order, only those of the first segment may come
 * out. */
typedef struct fl__async_segment {
    uint32_t left;  /* in flight */
    bool is_closed; /* the mark behind it is there */
    bool has_idle, idle;
    fl_time watermark;                   /* FL_TIME_MIN: none */
    fl__async_request *done, **done_end; /* unordered: answered, in that order */
} fl__async_segment;

/* Something that is due by the clock: another attempt, or a test's answer. */
typedef struct fl__async_due {
    fl_time time;
    uint64_t order; /* among those of one time */
    fl__async_request *request;
    uint64_t generation; /* of the request when it was planned: it may have gone on since */
    bool is_answer;
    char *rows;
    size_t rows_bytes, count;
} fl__async_due;

typedef struct fl__async_restored fl__async_restored;

typedef struct fl__async_operator {
    fl__operator op;
    const fl__async_config *config;
    fl__layout in_layout;
    char *key_scratch;
    uint32_t next_row; /* of the batch that process was given: FL_AGAIN goes on there */
    bool is_open, is_ending;
    fl__async_request *first, *last; /* in flight, in the order of the input */
    uint32_t in_flight;
    fl__async_request *expiring; /* the first whose time is not up yet; those after it are later */
    fl__async_request *free, *free_end;
    fl__async_request *orphans, *orphans_end; /* given up, and still to be answered by the one who was asked */
    uint32_t orphan_count;
    fl__async_request *owned;                     /* all of them */
    fl__mail *answered_here, **answered_here_end; /* by the function that is being called */
    fl__async_segment *segments;                  /* ring: segment number & (segment_capacity - 1) */
    uint32_t segment_capacity;
    uint64_t segment_head, segment_tail; /* numbers of the first one and of the open one */
    fl__async_due *due;                  /* binary heap */
    uint32_t due_count, due_capacity;
    uint64_t due_order;
    struct fl__async_threads *threads;
    fl__arena restored_arena;
    fl__async_restored *restored, **restored_end; /* of a checkpoint, not yet asked for again */
} fl__async_operator;

/* The operator whose function runs in this thread: its answers need no mailbox. */
extern _Thread_local fl__async_operator *fl__async_running __attribute__((tls_model("initial-exec")));

/* ---- checkpoints (async_snapshot.c) ---- */

void fl__async_snapshot(fl__operator *op, fl__snapshot *to);
fl_status fl__async_restore(fl__operator *op, fl__restored *from, fl_error *error);
/* The next restored record with its timestamp, or watermark (row NULL); false: none is left. */
bool fl__async_next_restored(fl__async_operator *self, const void **row, fl_time *time);
/* It was dealt with. */
void fl__async_drop_restored(fl__async_operator *self);

/* ---- threads (async_threads.c) ---- */

/* Under a virtual clock there are none: fl__async_threads_serve calls the function at once, as the first one would. */
struct fl__async_threads *fl__async_threads_new(fl__async_operator *op, bool is_virtual);
void fl__async_threads_serve(struct fl__async_threads *threads, fl__async_request *request);
/* Ends them: what is queued is left alone, what runs is waited for. What they failed with fails the operator. */
void fl__async_threads_free(struct fl__async_threads *threads);

#endif
