/* Streams and what can be done with them: Flink's DataStream API.
 *
 * A stream is a handle in the graph being built; the environment owns it. Each call takes its options as designated
 * initialisers at the end: fl_map(s, f, Out, .name = "clean", .parallelism = 4, .arg = &config). Errors stick to the
 * environment with the line of the call and come out of fl_execute; a call on a stream of a failed graph is harmless.
 */
#ifndef FLINC_STREAM_H
#define FLINC_STREAM_H

#include "flinc/env.h"
#include "flinc/function.h"
#include "flinc/state.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fl_stream fl_stream;

typedef enum fl_chaining {
    FL_CHAIN_ALWAYS = 0, /* with its neighbours where parallelism and partitioning allow */
    FL_CHAIN_HEAD,       /* starts a new chain: never with what comes before (start_new_chain) */
    FL_CHAIN_NEVER,      /* disable_chaining */
} fl_chaining;

/* Options that every operator takes. */
#define FL__COMMON_OPTIONS                                                                                             \
    const char *name;    /* shown in plan, log, metrics; default: the operator's kind */                               \
    const char *uid;     /* stable identity for state; unique in the job */                                            \
    int parallelism;     /* 0: the environment's */                                                                    \
    int max_parallelism; /* 0: the environment's */                                                                    \
    fl_chaining chaining;                                                                                              \
    const char *slot_sharing_group; /* default: the inputs' one if all agree, else "default" */                        \
    void *arg;                      /* fl_arg(ctx): shared, read-only */                                               \
    size_t instance_size;           /* fl_self(ctx): zeroed bytes per subtask */                                       \
    fl_lifecycle_fn open;                                                                                              \
    fl_lifecycle_fn close;                                                                                             \
    const void *states[16]; /* the states the function uses: {&average, &seen} */                                      \
    fl_function on_timer;   /* in: const fl_timer * */                                                                 \
    fl_where where;         /* filled in by the macros */

typedef struct fl_options {
    FL__COMMON_OPTIONS
} fl_options;

#define FL__OPTIONS(...) (&(const fl_options){ .where = FL_HERE, ##__VA_ARGS__ })

/* ---- record by record ---- */

fl_stream *fl__map(fl_stream *in, fl_function f, const fl_type *out, const fl_options *options);
fl_stream *fl__flat_map(fl_stream *in, fl_function f, const fl_type *out, const fl_options *options);
fl_stream *fl__filter(fl_stream *in, fl_filter_fn f, const fl_options *options);
fl_stream *fl__process(fl_stream *in, fl_function f, const fl_type *out, const fl_options *options);
/* One record out for each in (f collects once). */
#define fl_map(in, f, Out, ...) fl__map((in), (f), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))
/* Any number of records out. */
#define fl_flat_map(in, f, Out, ...) fl__flat_map((in), (f), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))
/* The records for which f says true. */
#define fl_filter(in, f, ...) fl__filter((in), (f), FL__OPTIONS(__VA_ARGS__))
/* On a keyed stream a keyed process function: state, timers, key. On others: side outputs, time. */
#define fl_process(in, f, Out, ...) fl__process((in), (f), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))

/* ---- partitioning ---- */

fl_stream *fl__key_by(fl_stream *in, fl_where where, const char *const *names, size_t count);
fl_stream *fl__key_by_index(fl_stream *in, fl_where where, const int *indexes, size_t count);
fl_stream *fl__key_by_function(fl_stream *in, fl_key_fn selector, const fl_type *key, const fl_options *options);
/* By fields: fl_key_by(words, "word"), several, "home.city" for nested rows. The key is the field, or a tuple of them.
 */
#define fl_key_by(in, ...)                                                                                             \
    fl__key_by((in), FL_HERE, (const char *const[]){ __VA_ARGS__ },                                                    \
        sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))
/* By field position, from 0. */
#define fl_key_by_index(in, ...)                                                                                       \
    fl__key_by_index((in), FL_HERE, (const int[]){ __VA_ARGS__ }, sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))
/* By what selector computes (type Key). */
#define fl_key_by_function(in, selector, Key, ...)                                                                     \
    fl__key_by_function((in), (selector), FL_TYPE(Key), FL__OPTIONS(__VA_ARGS__))

typedef enum fl_partitioning {
    FL_FORWARD,
    FL_HASH, /* key_by's */
    FL_REBALANCE,
    FL_RESCALE,
    FL_SHUFFLE,
    FL_BROADCAST,
    FL_GLOBAL,
    FL_CUSTOM,
} fl_partitioning;
fl_stream *fl__partition(fl_stream *in, fl_partitioning how, fl_where where);
/* To the same subtask of the next operator; both must have the same parallelism. */
#define fl_forward(in) fl__partition((in), FL_FORWARD, FL_HERE)
/* Round robin over all subtasks. */
#define fl_rebalance(in) fl__partition((in), FL_REBALANCE, FL_HERE)
/* Round robin over a local group of subtasks. */
#define fl_rescale(in) fl__partition((in), FL_RESCALE, FL_HERE)
/* To a subtask drawn uniformly at random. */
#define fl_shuffle(in) fl__partition((in), FL_SHUFFLE, FL_HERE)
/* Each record to every subtask. */
#define fl_broadcast(in) fl__partition((in), FL_BROADCAST, FL_HERE)
/* Everything to subtask 0. */
#define fl_global(in) fl__partition((in), FL_GLOBAL, FL_HERE)
fl_stream *fl__partition_custom(
    fl_stream *in, fl_partition_fn partitioner, const char *field, const fl_options *options);
/* partitioner gets the field (or the record, when field is NULL) and the number of channels. */
#define fl_partition_custom(in, partitioner, field, ...)                                                               \
    fl__partition_custom((in), (partitioner), (field), FL__OPTIONS(__VA_ARGS__))
fl_stream *fl__partition_custom_by(
    fl_stream *in, fl_partition_fn partitioner, void *arg, fl_where where, const char *const *names, size_t count);
/* The same by several fields, or nested ones ("home.city"): the partitioner gets a key as of fl_key_by, a tuple of the
 * fields. arg: fl_arg of the partitioner's context. */
#define fl_partition_custom_by(in, partitioner, arg, ...)                                                              \
    fl__partition_custom_by((in), (partitioner), (arg), FL_HERE, (const char *const[]){ __VA_ARGS__ },                 \
        sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *))

/* ---- rolling aggregations on keyed streams, final ones on windows ---- */

fl_stream *fl__reduce(fl_stream *in, fl_reduce_fn f, const fl_options *options);
fl_stream *fl__fold(fl_stream *in, const void *initial, fl_reduce_fn f, const fl_type *out, const fl_options *options);
fl_stream *fl__aggregate(fl_stream *in, const fl_aggregate_fn *f, const fl_type *out, const fl_options *options);
/* Keyed: emits the new value for each record. Windowed: one per key and window. *value starts as the first record. */
#define fl_reduce(in, f, ...) fl__reduce((in), (f), FL__OPTIONS(__VA_ARGS__))
/* As reduce, with a value of another type that starts as *initial (copied now). */
#define fl_fold(in, initial, f, Out, ...) fl__fold((in), (initial), (f), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))
/* Windowed streams: f is an FL_AGGREGATE. */
#define fl_aggregate(in, f, ...) fl__aggregate((in), &(f), (f).out, FL__OPTIONS(__VA_ARGS__))

typedef enum fl_rolling { FL_SUM, FL_MIN, FL_MAX, FL_MIN_BY, FL_MAX_BY } fl_rolling;
fl_stream *fl__rolling(
    fl_stream *in, fl_rolling what, const char *field, int index, bool first, const fl_options *options);
/* The field's sum, minimum, maximum; the other fields are the first record's (as in Flink). Sums wrap around. */
#define fl_sum(in, field, ...) fl__rolling((in), FL_SUM, (field), -1, true, FL__OPTIONS(__VA_ARGS__))
#define fl_min(in, field, ...) fl__rolling((in), FL_MIN, (field), -1, true, FL__OPTIONS(__VA_ARGS__))
#define fl_max(in, field, ...) fl__rolling((in), FL_MAX, (field), -1, true, FL__OPTIONS(__VA_ARGS__))
/* The whole record with the smallest / largest field; on ties the first. */
#define fl_min_by(in, field, ...) fl__rolling((in), FL_MIN_BY, (field), -1, true, FL__OPTIONS(__VA_ARGS__))
#define fl_max_by(in, field, ...) fl__rolling((in), FL_MAX_BY, (field), -1, true, FL__OPTIONS(__VA_ARGS__))
/* On ties the last. */
#define fl_min_by_last(in, field, ...) fl__rolling((in), FL_MIN_BY, (field), -1, false, FL__OPTIONS(__VA_ARGS__))
#define fl_max_by_last(in, field, ...) fl__rolling((in), FL_MAX_BY, (field), -1, false, FL__OPTIONS(__VA_ARGS__))
/* Any of them by field position, from 0. */
#define fl_rolling_index(in, what, index, first, ...)                                                                  \
    fl__rolling((in), (what), NULL, (index), (first), FL__OPTIONS(__VA_ARGS__))

/* ---- several streams ---- */

fl_stream *fl__union(fl_where where, fl_stream *const *streams, size_t count);
/* All records of streams of one type: fl_union(a, b, c). */
#define fl_union(...)                                                                                                  \
    fl__union(FL_HERE, (fl_stream *const[]){ __VA_ARGS__ },                                                            \
        sizeof((fl_stream *const[]){ __VA_ARGS__ }) / sizeof(fl_stream *))
fl_stream *fl__connect(fl_stream *first, fl_stream *second, fl_where where);
/* Two streams, perhaps of two types, into one two-input operator. Both keyed by the same key type: it shares their
 * state. */
#define fl_connect(first, second) fl__connect((first), (second), FL_HERE)
fl_stream *fl__co_map(fl_stream *in, fl_function f1, fl_function f2, const fl_type *out, const fl_options *options);
fl_stream *fl__co_flat_map(
    fl_stream *in, fl_function f1, fl_function f2, const fl_type *out, const fl_options *options);
fl_stream *fl__co_process(fl_stream *in, fl_function f1, fl_function f2, const fl_type *out, const fl_options *options);
#define fl_co_map(in, f1, f2, Out, ...) fl__co_map((in), (f1), (f2), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))
#define fl_co_flat_map(in, f1, f2, Out, ...) fl__co_flat_map((in), (f1), (f2), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))
#define fl_co_process(in, f1, f2, Out, ...) fl__co_process((in), (f1), (f2), FL_TYPE(Out), FL__OPTIONS(__VA_ARGS__))

fl_stream *fl__iterate(fl_stream *in, fl_duration max_wait, const fl_options *options);
fl_stream *fl__close_with(fl_stream *iteration, fl_stream *feedback, const fl_options *options);
/* Begins a loop: what it returns are the records of in, and those of the stream that fl_close_with then names. Between
 * the two lie operators of which some must let go of records (filter, side output), or nothing ever ends.
 *
 *     fl_stream *loop = fl_iterate(numbers, fl_seconds(0));
 *     fl_stream *steps = fl_process(loop, halve, int64_t);              // emits what is done to a side output
 *     fl_close_with(loop, steps);
 *     fl_print(fl_side_output(steps, done));
 *
 * When all input has ended the loop ends as soon as nothing goes around in it any more. max_wait > 0: at the latest
 * when no record came back to a subtask of its head for so long; what is on its way then goes through once more, and
 * what it feeds back is lost. It is needed only where an operator in the loop hides that it is empty: fl_watermarks.
 * Event time stands still inside (but for records' timestamps), until the loop ends. Parallelism: in's. Not in BATCH
 * mode. */
#define fl_iterate(in, max_wait, ...) fl__iterate((in), (max_wait), FL__OPTIONS(__VA_ARGS__))
/* The stream that goes back: of the iteration's type and parallelism (or repartitioned, e.g. by fl_rebalance). Once per
 * iteration. Feedback waits in memory when the loop is busy: it never blocks. */
#define fl_close_with(iteration, feedback, ...) fl__close_with((iteration), (feedback), FL__OPTIONS(__VA_ARGS__))

fl_stream *fl__side_output(fl_stream *in, const fl_tag *tag, fl_where where);
/* What the operator behind this stream emits to the tag. */
#define fl_side_output(in, tag_object) fl__side_output((in), &(tag_object).tag, FL_HERE)

/* ---- event time ---- */

/* How watermarks come about. Make it with the functions below. */
typedef struct fl_watermark_strategy {
    int kind;
    fl_duration bound;
    void (*on_event)(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx);
    fl_time (*on_periodic)(fl_context *ctx);
    const char *alignment_group; /* NULL: none */
    fl_duration max_drift, update_interval;
} fl_watermark_strategy;
/* Records are at most this much out of order: watermark = highest timestamp - bound - 1 ms, every auto-interval. */
fl_watermark_strategy fl_bounded_out_of_orderness(fl_duration bound);
/* Timestamps never fall: bound 0. */
fl_watermark_strategy fl_monotonous_timestamps(void);
/* Ingestion time: records get the clock at this operator as their timestamp, which never falls; put it right behind the
 * source. Event time goes on with the clock, records or not. Takes no .timestamp. */
fl_watermark_strategy fl_ingestion_time(void);
/* Timestamps only. */
fl_watermark_strategy fl_no_watermarks(void);
/* on_event looks at each record and may fl_emit_watermark(out, …). */
fl_watermark_strategy fl_punctuated_watermarks(
    void (*on_event)(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx));
/* on_event (may be NULL) sees each record, on_periodic gives the watermark every auto-interval (FL_TIME_MIN: none).
 * State in .instance_size / fl_self. */
fl_watermark_strategy fl_custom_watermarks(
    void (*on_event)(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx),
    fl_time (*on_periodic)(fl_context *ctx));
/* The same strategy with alignment: of all sources of a group (a name within the job), those whose watermark is more
 * than max_drift ahead of the one furthest behind are not read until it has come nearer; looked at every
 * update_interval (0: 1 s). Idle and ended sources hold nobody up, nor those that have not had a watermark yet: give
 * them .idle_after. The operator must be chained to its source: fl_watermarks behind it, with maps, filters and process
 * functions at most between. */
fl_watermark_strategy fl_watermark_alignment(
    fl_watermark_strategy strategy, const char *group, fl_duration max_drift, fl_duration update_interval);
typedef struct fl_watermark_options {
    FL__COMMON_OPTIONS
    const char *timestamp; /* field to take event time from: an int64_t of ms, a timestamp or a date (its midnight in
                            * UTC); "order.at" in nested rows */
    fl_timestamp_fn timestamp_function; /* or a function; neither: the timestamps that records have already */
    fl_duration idle_after;             /* without records for so long the input counts as idle; 0: never */
} fl_watermark_options;
fl_stream *fl__watermarks(fl_stream *in, fl_watermark_strategy strategy, const fl_watermark_options *options);
/* Assigns timestamps and watermarks: fl_watermarks(hits, fl_bounded_out_of_orderness(fl_seconds(2)), .timestamp = "at")
 */
#define fl_watermarks(in, strategy, ...)                                                                               \
    fl__watermarks((in), (strategy), &(const fl_watermark_options){ .where = FL_HERE, ##__VA_ARGS__ })

#ifdef __cplusplus
}
#endif
#endif
