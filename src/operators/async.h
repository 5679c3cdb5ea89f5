/* Async I/O (Flink's AsyncWaitOperator). Always the root of its task: when as many requests are in flight as may be,
 * process says FL_AGAIN and the batch waits. */
#ifndef FL_OPERATORS_ASYNC_H
#define FL_OPERATORS_ASYNC_H

#include "flinc/async.h"
#include "stream/operator.h"

/* spec.config. */
typedef struct fl__async_config {
    fl_async_fn invoke, on_timeout;
    bool is_ordered;
    int64_t timeout_ms; /* 0: none */
    uint32_t capacity;
    fl_retry retry;
    bool (*retry_if_result)(const void *rows, size_t count);
    bool (*retry_if_error)(const char *error);
    uint32_t threads; /* 0: invoke is called in the task's thread */
    size_t thread_size;
    fl_lifecycle_fn thread_open, thread_close;
} fl__async_config;
extern const fl__operator_class fl__async_class;

/* What is in flight, in the order of the input: what a snapshot has to hold, so that the requests can be made again. */
typedef struct fl__async_visitor {
    void (*record)(void *arg, const void *in, fl_time timestamp);
    void (*watermark)(void *arg, fl_time watermark);
    void (*idle)(void *arg, bool idle);
    void *arg;
} fl__async_visitor;
/* Answered requests whose results were not emitted yet are among them (Flink's StreamElementQueue.values). Thread: the
 * task's. */
void fl__async_walk(const fl__operator *op, const fl__async_visitor *visitor);

/* For tests: answers the request with these rows (copied now) when the operator's clock has advanced by so much. Only
 * from within the function that was given the request. */
void fl__async_complete_after(fl_async *request, int64_t delay_ms, const void *rows, size_t count, size_t row_size);

#endif
