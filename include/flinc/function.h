/* User functions: what they are given (a context) and where their results go (a collector).
 *
 * Every user function has one calling convention:
 *
 *     void f(const void *in, fl_collector *out, fl_context *ctx)
 *
 * in    the record; belongs to the engine, valid during the call only (NULL for sources)
 * out   fl_collect(out, &row) copies row into the stream
 * ctx   time, key, state, timers, side outputs, the subtask's number; valid during the call
 *
 * A function that only decides or combines leaves out what it does not need: see the fl_…_fn types.
 * Functions run in the thread of their subtask; one instance never runs twice at once. They must not block (async I/O
 * and source functions are for that). */
#ifndef FLINC_FUNCTION_H
#define FLINC_FUNCTION_H

#include "flinc/type.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fl_context fl_context;
typedef struct fl_collector fl_collector;

/* map, flat_map, process, co_map …, source functions, window functions (in: const fl_elements *), sinks (out is NULL)
 */
typedef void (*fl_function)(const void *in, fl_collector *out, fl_context *ctx);
/* filter: keep the record? */
typedef bool (*fl_filter_fn)(const void *in, fl_context *ctx);
/* reduce, fold: combine in into *value, which holds the result so far (for reduce of the stream's own type) */
typedef void (*fl_reduce_fn)(void *value, const void *in, fl_context *ctx);
/* key selector: writes the record's key; depends on the record alone. Strings in it may borrow from in. */
typedef void (*fl_key_fn)(const void *in, void *key, fl_context *ctx);
/* timestamp assigner: event time of the record; previous: the one it has, or FL_NO_TIMESTAMP */
typedef fl_time (*fl_timestamp_fn)(const void *in, fl_time previous, fl_context *ctx);
/* custom partitioner: 0 … channels-1 for this record; key as in key_by, or the record when no key was given */
typedef int (*fl_partition_fn)(const void *key, int channels, fl_context *ctx);
/* open and close of a function: once per subtask, before the first and after the last record */
typedef void (*fl_lifecycle_fn)(fl_context *ctx);

/* ---- collector ---- */

/* Where results are written: the open batch of the function's output. Fields are the engine's; use fl_collect. */
struct fl_collector {
    char *cursor;        /* the next row goes here */
    char *limit;         /* no row fits at cursor ≥ limit; for rows with pointers always the start: the slow way */
    int64_t *timestamps; /* the next timestamp goes here; NULL: the stream carries none */
    fl_time timestamp;   /* given to what is collected: the input record's */
    uint32_t row_size;
};

void fl__collect_slow(fl_collector *out, const void *row, size_t size);

/* Copies a row. One of constant size goes by words, all read before the first is written: a row that was just made then
 * passes in registers. As one wide load it would wait for the narrow stores before it to reach the cache (a failed
 * store forwarding, 4 ns). */
static inline __attribute__((always_inline)) void fl__row_copy(char *to, const void *row, size_t size)
{
    if (__builtin_constant_p(size) && size % 8 == 0 && size <= 64) {
        uint64_t words[8];
        for (size_t i = 0; i < size / 8; i++)
            memcpy(&words[i], (const char *)row + 8 * i, 8);
        for (size_t i = 0; i < size / 8; i++)
            memcpy(to + 8 * i, &words[i], 8);
    } else {
        memcpy(to, row, size);
    }
}

static inline __attribute__((always_inline)) void fl__collect(fl_collector *out, const void *row, size_t size)
{
    if (FL_UNLIKELY(out->cursor >= out->limit || size != out->row_size)) {
        fl__collect_slow(out, row, size);
        return;
    }
    fl__row_copy(out->cursor, row, size);
    out->cursor += size;
    if (out->timestamps)
        *out->timestamps++ = out->timestamp;
}

/* Emits a copy of *row, with the timestamp of the record being processed. What row points to (strings, arrays) is
 * copied too. row has the stream's declared type; another size fails the task. Variadic so that a compound literal
 * needs no extra parentheses: fl_collect(out, &(WordCount){word, 1}). */
#define fl_collect(out, ...) fl__collect((out), (__VA_ARGS__), sizeof *(__VA_ARGS__))

/* The same for a row behind a void pointer, e.g. the input passed on: fl_collect_row(out, in). */
static inline void fl_collect_row(fl_collector *out, const void *row)
{
    fl__collect(out, row, out->row_size);
}

/* Emits with a timestamp of its own (source functions, timestamp-changing functions). */
#define fl_collect_with_timestamp(out, row, time)                                                                      \
    do {                                                                                                               \
        fl_time fl__saved = (out)->timestamp;                                                                          \
        (out)->timestamp = (time);                                                                                     \
        fl__collect((out), (row), sizeof *(row));                                                                      \
        (out)->timestamp = fl__saved;                                                                                  \
    } while (0)

/* Source functions: no record with a timestamp ≤ watermark will follow; FL_TIME_MAX ends event time. Rows collected
 * before go out before it. Later watermarks that are not higher are ignored. */
void fl_emit_watermark(fl_collector *out, fl_time watermark);
/* Source functions: nothing will come for a while (until the next record); downstream ignores this input's watermark.
 */
void fl_mark_idle(fl_collector *out);

/* ---- context ---- */

/* Fields are the engine's; use the functions. */
struct fl_context {
    fl_time timestamp;             /* of the record or timer */
    fl_time watermark;             /* of the operator */
    fl_time processing_time;       /* read once per step */
    const void *key;               /* current key, NULL when not keyed */
    void *entry;                   /* state entry of the current key; NULL: not looked up yet */
    const uint32_t *state_offsets; /* by fl_state.id */
    void *arg;
    void *self;
    int subtask, parallelism, max_parallelism, attempt;
    struct fl__function *function; /* the engine's side */
};

/* The record's or timer's event time; FL_NO_TIMESTAMP when it has none. */
static inline fl_time fl_timestamp_of(const fl_context *ctx)
{
    return ctx->timestamp;
}
/* The operator's watermark: FL_TIME_MIN before the first. */
static inline fl_time fl_current_watermark(const fl_context *ctx)
{
    return ctx->watermark;
}
/* The clock, ms since the epoch, read once per step of the task. */
static inline fl_time fl_current_processing_time(const fl_context *ctx)
{
    return ctx->processing_time;
}
/* The current key (of the key type); NULL in a function that is not keyed. Valid during the call. */
static inline const void *fl_current_key(const fl_context *ctx)
{
    return ctx->key;
}
/* .arg of the operator: shared by all subtasks, read-only. */
static inline void *fl_arg(const fl_context *ctx)
{
    return ctx->arg;
}
/* The subtask's own object of .instance_size bytes, zeroed before open; NULL without. */
static inline void *fl_self(const fl_context *ctx)
{
    return ctx->self;
}
/* 0 … parallelism-1 */
static inline int fl_subtask_index(const fl_context *ctx)
{
    return ctx->subtask;
}
static inline int fl_parallelism(const fl_context *ctx)
{
    return ctx->parallelism;
}
static inline int fl_max_parallelism(const fl_context *ctx)
{
    return ctx->max_parallelism;
}
/* How often the subtask was started before: 0 the first time. */
static inline int fl_attempt(const fl_context *ctx)
{
    return ctx->attempt;
}
/* "name (2/4)": the operator's name and the subtask's number, from 1. */
const char *fl_task_name(const fl_context *ctx);

/* Fails the task with this message; the function should return. Only the first one counts. */
void fl_fail(fl_context *ctx, const char *format, ...) FL_PRINTF(2, 3);

/* False when the job is being cancelled: a source function or a long loop should return. Any thread. */
bool fl_running(const fl_context *ctx);

/* ---- side outputs ---- */

/* A named, typed second output: FL_OUTPUT_TAG(late_hits, Hit); at file scope. Emit with fl_output(ctx, late_hits,
 * &hit), read with fl_side_output(stream, late_hits). */
typedef struct fl_tag {
    const char *name;
    const fl_type *type;
} fl_tag;
#define FL_OUTPUT_TAG(tag_name, T)                                                                                     \
    static const struct {                                                                                              \
        fl_tag tag;                                                                                                    \
        T of[0];                                                                                                       \
    } tag_name __attribute__((unused)) = { .tag = { #tag_name, FL_TYPE(T) } }

void fl__side_emit(fl_context *ctx, const fl_tag *tag, const void *row, size_t size);
/* Emits a copy of *row to the side output, with the current record's timestamp. Dropped when nobody reads the tag. */
#define fl_output(ctx, tag_object, ...) fl__side_emit((ctx), &(tag_object).tag, (__VA_ARGS__), sizeof *(__VA_ARGS__))

/* ---- timers (keyed process functions) ---- */

/* Calls on_timer for the current key when the watermark reaches time, or the clock does. One timer per key and time,
 * however often it is registered. A time already passed fires at the next watermark / at once. */
void fl_register_event_time_timer(fl_context *ctx, fl_time time);
void fl_register_processing_time_timer(fl_context *ctx, fl_time time);
/* Forgets the current key's timer of that time; nothing when there is none. */
void fl_delete_event_time_timer(fl_context *ctx, fl_time time);
void fl_delete_processing_time_timer(fl_context *ctx, fl_time time);

/* In on_timer (in is then a const fl_timer *): which timer. */
typedef struct fl_timer {
    fl_time time;
    bool is_processing_time;
} fl_timer;

/* ---- metrics and accumulators ---- */

/* Adds to the accumulator of this name (made at first use, summed over all subtasks); its total is in the job result.
 * Keep name's address the same (a literal): the look-up is then a pointer comparison. */
void fl_accumulate(fl_context *ctx, const char *name, int64_t delta);
void fl_accumulate_double(fl_context *ctx, const char *name, double delta);

/* A user counter under <operator>.<name>; increment by fl_count. */
typedef struct fl_counter {
    int64_t value;
} fl_counter;
fl_counter *fl_metric_counter(fl_context *ctx, const char *name); /* call in open; lives as long as the subtask */
static inline void fl_count(fl_counter *counter, int64_t n)
{
    counter->value += n;
}

#ifdef __cplusplus
}
#endif
#endif
