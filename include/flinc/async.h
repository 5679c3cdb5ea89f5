/* Async I/O: an operator that asks somebody else for each record (a database, a service) and goes on with other records
 * while the answers are on their way. Flink's AsyncDataStream.
 *
 *     static void look_up(const void *in, fl_async *request, fl_context *ctx)
 *     {
 *         client_get(fl_self(ctx), ((const Click *)in)->user, on_answer, request);      // starts it, returns at once
 *     }
 *     static void on_answer(const char *name, void *request)                           // in the client's own thread
 *     {
 *         const Click *click = fl_async_input(request);
 *         fl_async_complete_one(request, &(Named){ .click = *click, .name = fl_str(name) });
 *     }
 *     named = fl_async_unordered(clicks, look_up, Named, .timeout = fl_seconds(1), .capacity = 100);
 *
 * A client library that only blocks is given threads: with .threads = 10 the function is called in one of ten threads,
 * each with an object of its own (a connection), may wait there, and completes the request before it returns.
 *
 * Each request is answered once: by fl_async_complete or fl_async_fail, from any thread, during the call or later. What
 * comes after that is ignored: a second answer is a mistake and named in the log, one after the timeout or the end of
 * the job is not. */
#ifndef FLINC_ASYNC_H
#define FLINC_ASYNC_H

#include "flinc/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A request that waits for its answer. A handle: it may be kept, given to other threads and used after the job has
 * ended; there is nothing to free. */
typedef struct fl_async fl_async;

/* Starts a request for the record, or (on_timeout) says what to do when no answer came in time.
 * in    the record: a copy, valid until the request is answered, by fl_async_complete or fl_async_fail. When the
 *       timeout handler answered first, until the answer that comes too late, or until 1024 later requests of the
 *       subtask were given up in the same way
 * ctx   time and key are the record's; valid during the call. States, timers and side outputs are not to be had: the
 *       answer comes when other records have their turn */
typedef void (*fl_async_fn)(const void *in, fl_async *request, fl_context *ctx);

void fl__async_complete(fl_async *request, const void *rows, size_t count, size_t row_size);
/* Answers the request with count rows (an array, copied with what it points to; they get the record's timestamp). Rows
 * of another size than the stream's type fail the job. Any thread; wakes the operator. Cost: the copy and 50 ns. */
#define fl_async_complete(request, rows, count) fl__async_complete((request), (rows), (count), sizeof *(rows))
/* The same for one row: fl_async_complete_one(request, &(Named){ "u_1000", name }). */
#define fl_async_complete_one(request, ...) fl__async_complete((request), (__VA_ARGS__), 1, sizeof *(__VA_ARGS__))
/* Answers it without a row. */
static inline void fl_async_complete_none(fl_async *request)
{
    fl__async_complete(request, NULL, 0, 0);
}

/* Answers the request with a failure: it is retried if there is a strategy that wants to, else the job fails with this
 * text and the record. Any thread. */
void fl_async_fail(fl_async *request, const char *format, ...) FL_PRINTF(2, 3);

/* The record that the request is for, as long as fl_async_fn's in is valid; NULL when that is over. Any thread. */
const void *fl_async_input(fl_async *request);

/* How often and when a request is made again; made by the functions below. Which answers are not good enough say
 * .retry_if_result and .retry_if_error. */
typedef struct fl_retry {
    bool is_set;
    int attempts; /* after the first */
    fl_duration delay, delay_max;
    double multiplier;
} fl_retry;
/* Up to `attempts` times more (≥ 1), each `delay` (≥ 1 ms) after an answer that was not good enough. */
fl_retry fl_retry_fixed_delay(int attempts, fl_duration delay);
/* The same, waiting initial × multiplier^n (multiplier ≥ 1), but at most max. */
fl_retry fl_retry_exponential_backoff(int attempts, fl_duration initial, fl_duration max, double multiplier);

/* Predicates for .retry_if_result and .retry_if_error: there was no row; always. Flink's RetryPredicates. */
bool fl_retry_if_empty(const void *rows, size_t count);
bool fl_retry_if_failed(const char *error);

typedef struct fl_async_options {
    FL__COMMON_OPTIONS
    fl_duration timeout;    /* for all attempts together; 0: none, which is only good when answers are certain */
    int capacity;           /* requests in flight per subtask; then the input waits. 0: 100 */
    fl_async_fn on_timeout; /* answers instead, in the task's thread; NULL: the job fails */
    fl_retry retry;         /* needs a timeout */
    bool (*retry_if_result)(const void *rows, size_t count); /* true: try again. In the task's thread */
    bool (*retry_if_error)(const char *error);
    int threads;        /* per subtask: call the function in one of them, where it may wait; 0: in the task's */
    size_t thread_size; /* fl_self(ctx) of the three functions below: zeroed bytes per thread */
    fl_lifecycle_fn thread_open; /* in each thread, before its first record: connect */
    fl_lifecycle_fn thread_close;
} fl_async_options;

fl_stream *fl__async(
    fl_stream *in, bool is_ordered, fl_async_fn f, const fl_type *out, const fl_async_options *options);
#define FL__ASYNC_OPTIONS(...) (&(const fl_async_options){ .where = FL_HERE, ##__VA_ARGS__ })
/* Results in the order of the records they are for: a slow answer holds back those after it (Flink's orderedWait). */
#define fl_async_ordered(in, f, Out, ...) fl__async((in), true, (f), FL_TYPE(Out), FL__ASYNC_OPTIONS(__VA_ARGS__))
/* Results as they come; a watermark still comes after the results of the records before it, and before those of the
 * records after it (Flink's unorderedWait). */
#define fl_async_unordered(in, f, Out, ...) fl__async((in), false, (f), FL_TYPE(Out), FL__ASYNC_OPTIONS(__VA_ARGS__))

#ifdef __cplusplus
}
#endif
#endif
