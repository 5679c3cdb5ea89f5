/* Testing programs: rows put in and taken out of a whole job, a harness for one operator, runs that can be repeated
 * step by step. Part of libflinc; include it besides flinc.h.
 *
 *     fl_env *env = fl_env_new(0, NULL);
 *     fl_test_replace_source(env, "Socket Stream", fl_string, lines, 2);
 *     fl_test_rows *counts = fl_test_collect(env, "Print to Std. Out", WordCount);
 *     assert(word_count(env) == 0);                                          // the program's FL_JOB, as it is
 *     assert(fl_test_difference(counts, expected, 3, FL_TEST_ANY_ORDER) == NULL);
 *     fl_env_free(env);
 *
 * Rows and texts that these functions return stay valid until fl_env_free or fl_harness_free. */
#ifndef FLINC_TESTING_H
#define FLINC_TESTING_H

#include "flinc/async.h"
#include "flinc/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a whole job ---- */

typedef struct fl_test_source_options {
    FL__COMMON_OPTIONS
    const fl_time *timestamps; /* event time of each row; NULL: rows have none */
    const fl_time *watermarks; /* watermark after each row, FL_TIME_MIN: none there; NULL: none but the end of time */
} fl_test_source_options;
#define FL__TEST_SOURCE(...) (&(const fl_test_source_options){ .where = FL_HERE, ##__VA_ARGS__ })

void fl__test_replace_source(fl_env *env, const char *name, const fl_type *type, const void *rows, size_t count,
    const fl_test_source_options *options);
/* Before the program builds its graph: the source of this uid or name gives these rows (copied now) and ends.
 * Everything else of it stays: name, parallelism (row i comes from subtask i mod parallelism), what follows. Its own
 * function never runs. fl_execute fails when the program has no such source, or one of other rows.
 * fl_test_replace_source(env, "rides", Ride, rows, 3, .timestamps = times) */
#define fl_test_replace_source(env, name, T, rows, count, ...)                                                         \
    fl__test_replace_source((env), (name), FL_TYPE(T), (const T *)(rows), (count), FL__TEST_SOURCE(__VA_ARGS__))

fl_stream *fl__test_source(
    fl_env *env, const fl_type *type, const void *rows, size_t count, const fl_test_source_options *options);
/* The same as a source of a pipeline that the test itself builds; parallel with .parallelism. */
#define fl_test_source(env, T, rows, count, ...)                                                                       \
    fl__test_source((env), FL_TYPE(T), (const T *)(rows), (count), FL__TEST_SOURCE(__VA_ARGS__))

/* Rows that came out. */
typedef struct fl_test_rows fl_test_rows;

fl_test_rows *fl__test_collect(fl_env *env, const char *name, const fl_type *type, fl_where where);
/* Before the program builds its graph: what goes to the sinks of this uid or name is kept, and written nowhere. */
#define fl_test_collect(env, name, T) fl__test_collect((env), (name), FL_TYPE(T), FL_HERE)

fl_test_rows *fl__test_sink(fl_stream *in, const fl_type *type, const fl_options *options);
/* A sink of a pipeline that the test itself builds: keeps what comes. */
#define fl_test_sink(in, T, ...) fl__test_sink((in), FL_TYPE(T), FL__OPTIONS(__VA_ARGS__))

/* The rows, one after the other, in order of arrival: const WordCount *row = fl_test_get(rows, &count). NULL when there
 * are none. While the job runs another thread may be adding: call it after fl_execute. count may be NULL. */
const void *fl_test_get(const fl_test_rows *rows, size_t *count);
/* Event time of the i-th row; FL_NO_TIMESTAMP when it has none. */
fl_time fl_test_timestamp(const fl_test_rows *rows, size_t i);
/* Subtask of the sink that the i-th row came to, from 0. */
int fl_test_subtask(const fl_test_rows *rows, size_t i);
/* Puts the rows into the order of fl_compare, with their timestamps and subtasks: between parallel subtasks the order
 * of arrival says nothing. */
void fl_test_sort(fl_test_rows *rows);

typedef enum fl_test_order { FL_TEST_IN_ORDER, FL_TEST_ANY_ORDER } fl_test_order;
const char *fl__test_difference(
    fl_test_rows *rows, const void *expected, size_t count, size_t row_size, fl_test_order order);
/* NULL when the rows are these, else what is wrong first, for the test's message: "row 2 is (a,1) instead of (a,2)",
 * "(b,1) is missing". expected: an array of count rows. */
#define fl_test_difference(rows, expected, count, order)                                                               \
    fl__test_difference((rows), (expected), (count), sizeof *(expected), (order))

typedef struct fl_test_simulation {
    uint64_t seed;        /* the order of the steps follows from it */
    fl_time start;        /* the clock at the start, ms */
    int channel_capacity; /* events that a channel holds, a power of two; small ones make backpressure; 0: as usual */
    int segment_bytes;    /* size of a batch; 0: as usual */
} fl_test_simulation;
void fl__test_simulate(fl_env *env, fl_test_simulation simulation);
/* fl_execute will run the job in the calling thread: one step of one task after the other, in an order that the seed
 * gives, under a clock that moves only when nobody can do anything else. Equal seeds, equal runs; other seeds find what
 * depends on the order. fl_test_simulate(env, .seed = 42) */
#define fl_test_simulate(env, ...) fl__test_simulate((env), (fl_test_simulation){ __VA_ARGS__ })
/* A number that stands for all steps of the simulated run: equal for equal runs. */
uint64_t fl_test_trace(const fl_env *env);

/* ---- async functions ---- */

void fl__test_complete_after(fl_async *request, fl_duration delay, const void *rows, size_t count, size_t row_size);
/* Within an async function: answers the request by fl_async_complete (rows are copied now, with what they point to)
 * when the operator's clock has advanced by delay. For simulated runs and harnesses, where time stands still otherwise:
 * fl_test_complete_after(request, fl_milliseconds(in->number % 7), &row, 1). Not with .threads. */
#define fl_test_complete_after(request, delay, rows, count)                                                            \
    fl__test_complete_after((request), (delay), (rows), (count), sizeof *(rows))

/* ---- one operator, or a few ---- */

/* Runs a piece of a pipeline in the calling thread, under a clock of its own:
 *
 *     static fl_stream *build(fl_stream *rides, fl_stream *second, void *arg)
 *     {
 *         return fl_process(fl_key_by(rides, "id"), on_ride, Alert, .states = {&open_rides}, .on_timer = on_timer);
 *     }
 *     fl_harness *h = fl_harness_new(Ride, build);
 *     fl_harness_push(h, 1000, &(Ride){.id = 1});
 *     fl_harness_watermark(h, 5000);
 *     const Alert *alerts = fl_harness_rows(h, &count);
 *
 * Each push goes through the whole piece before it returns. Parallelism is 1. When something fails, fl_harness_error
 * says what, and further calls do nothing. */
typedef struct fl_harness fl_harness;
typedef fl_stream *(*fl_harness_build)(fl_stream *first, fl_stream *second, void *arg);

typedef struct fl_harness_options {
    const fl_type *second; /* rows of a second input: FL_TYPE(Fare); NULL: build is given NULL for it */
    const void *sides[8];  /* side outputs to collect: {&late, &errors} */
    void *arg;             /* for build */
    fl_time start;         /* the clock at the start, ms */
    fl_where where;
} fl_harness_options;

fl_harness *fl__harness_new(const fl_type *in, fl_harness_build build, const fl_harness_options *options);
/* build is called once, now; open functions run, too. Never NULL. Free it with fl_harness_free. */
#define fl_harness_new(In, build, ...)                                                                                 \
    fl__harness_new(FL_TYPE(In), (build), &(const fl_harness_options){ .where = FL_HERE, ##__VA_ARGS__ })
void fl_harness_free(fl_harness *h);
/* "" as long as nothing has failed. */
const char *fl_harness_error(const fl_harness *h);

void fl__harness_push(fl_harness *h, unsigned input, fl_time timestamp, const void *row, size_t size);
/* A record with this event time (FL_NO_TIMESTAMP: none): fl_harness_push(h, 1000, &(Ride){.id = 1}). */
#define fl_harness_push(h, timestamp, ...) fl__harness_push((h), 0, (timestamp), (__VA_ARGS__), sizeof *(__VA_ARGS__))
#define fl_harness_push_second(h, timestamp, ...)                                                                      \
    fl__harness_push((h), 1, (timestamp), (__VA_ARGS__), sizeof *(__VA_ARGS__))
void fl_harness_watermark(fl_harness *h, fl_time watermark);
void fl_harness_watermark_second(fl_harness *h, fl_time watermark);
/* The input is idle: its watermark holds nobody back until its next record or watermark. */
void fl_harness_idle(fl_harness *h);
void fl_harness_idle_second(fl_harness *h);
/* Moves the clock (processing time) forward; what is due on the way fires in order, at its time. By 0: lets the piece
 * look at what others have done meanwhile (requests that were answered). */
void fl_harness_advance(fl_harness *h, fl_duration by);
/* All inputs end: event time ends, everything pending comes out, close functions run. */
void fl_harness_end(fl_harness *h);

typedef enum fl_harness_kind {
    FL_HARNESS_RECORD,
    FL_HARNESS_WATERMARK, /* timestamp is it */
    FL_HARNESS_IDLE,
    FL_HARNESS_ACTIVE,
} fl_harness_kind;
typedef struct fl_harness_event {
    fl_harness_kind kind;
    const fl_tag *side; /* NULL: the main output */
    const void *row;    /* valid until the next push or other input */
    fl_time timestamp;
} fl_harness_event;
/* The next thing that came out and was not read yet, in order; false when there is none. Watermarks and idleness are
 * those of the main output. */
bool fl_harness_next(fl_harness *h, fl_harness_event *event);
/* All records that came out of the main output so far, one after the other; valid until the next push or other input.
 */
const void *fl_harness_rows(const fl_harness *h, size_t *count);
const void *fl__harness_side_rows(const fl_harness *h, const fl_tag *tag, size_t *count);
#define fl_harness_side_rows(h, tag_object, count) fl__harness_side_rows((h), &(tag_object).tag, (count))
/* The last watermark that came out; FL_TIME_MIN: none yet. */
fl_time fl_harness_output_watermark(const fl_harness *h);
/* What fl_accumulate added up to so far. */
int64_t fl_harness_accumulator(const fl_harness *h, const char *name);

#ifdef __cplusplus
}
#endif
#endif
