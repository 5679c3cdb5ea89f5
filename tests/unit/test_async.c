/* Async I/O, one operator under a clock of its own: order, marks, capacity, time limits, retries, answers that nobody
 * waits for. Threads and whole jobs: tests/programs/test_async_jobs.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "flinc.h"
#include "flinc/testing.h"

#include "base/log.h"
#include "cluster/job.h"
#include "operators/async.h"

typedef struct {
    int64_t id;
    fl_string text;
} Row;
FL_ROW(Row, id, text);

/* ---- what was asked, and what the operator is made with ---- */

static struct {
    fl_async *request[64];
    int64_t id[64];
    fl_time at[64];
    int count;
    int timeouts;
} asked;

static fl_async *asked_for(int64_t id)
{
    for (int i = asked.count; i-- > 0;) {
        if (asked.id[i] == id)
            return asked.request[i];
    }
    fail_msg("nobody asked for %" PRId64, id);
    return NULL;
}

static void keep(const void *in, fl_async *request, fl_context *ctx)
{
    assert_true(asked.count < 64);
    assert_ptr_equal(fl_async_input(request), in);
    asked.request[asked.count] = request;
    asked.at[asked.count] = fl_current_processing_time(ctx);
    asked.id[asked.count++] = ((const Row *)in)->id;
}

static void give_up(const void *in, fl_async *request, fl_context *ctx)
{
    asked.timeouts++;
    Row r = *(const Row *)in;
    r.text = fl_str("too late to be told in sixteen bytes");
    assert_int_equal(fl_timestamp_of(ctx), 1000 + r.id);
    fl_async_complete(request, &r, 1);
}

static void answer(int64_t id)
{
    fl_async *request = asked_for(id);
    const Row *in = fl_async_input(request);
    assert_int_equal(in->id, id);
    char text[64];
    snprintf(text, sizeof text, "answer to number %" PRId64, id);
    fl_async_complete_one(request, &(Row){ id, fl_str(text) });
    memset(text, '#', sizeof text); /* it was copied */
}

typedef struct plan {
    bool is_ordered, is_keyed;
    fl_async_fn f;
    fl_async_options options;
} plan;

static fl_stream *build(fl_stream *in, fl_stream *second, void *arg)
{
    (void)second;
    const plan *p = arg;
    fl_async_options options = p->options;
    options.where = FL_HERE;
    if (p->is_keyed)
        in = fl_key_by(in, "id");
    return fl__async(in, p->is_ordered, p->f ? p->f : keep, FL_TYPE(Row), &options);
}

static fl_harness *start(const plan *p)
{
    memset(&asked, 0, sizeof asked);
    return fl_harness_new(Row, build, .arg = (void *)(uintptr_t)p);
}
#define START(...) start(&(const plan){ __VA_ARGS__ })

/* Record n has the timestamp 1000 + n. */
static void push(fl_harness *h, int64_t id)
{
    char text[64];
    snprintf(text, sizeof text, "a record that is not short %" PRId64, id);
    fl_harness_push(h, 1000 + id, &(Row){ id, fl_str(text) });
    memset(text, '#', sizeof text);
}

static void push_all(fl_harness *h, int64_t from, int64_t to)
{
    for (int64_t id = from; id <= to; id++)
        push(h, id);
}

static void run(fl_harness *h)
{
    fl_harness_advance(h, fl_milliseconds(0));
}

/* What came out since the last look: "1 w1005 2 idle". */
static const char *came(fl_harness *h)
{
    static char text[512];
    size_t n = 0;
    fl_harness_event e;
    text[0] = 0;
    assert_string_equal(fl_harness_error(h), "");
    while (fl_harness_next(h, &e)) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s", n ? " " : "");
        if (e.kind == FL_HARNESS_RECORD) {
            const Row *r = e.row;
            assert_int_equal(e.timestamp, 1000 + r->id);
            n += (size_t)snprintf(text + n, sizeof text - n, "%" PRId64, r->id);
        } else if (e.kind == FL_HARNESS_WATERMARK) {
            n += e.timestamp == FL_TIME_MAX ? (size_t)snprintf(text + n, sizeof text - n, "wmax")
                                            : (size_t)snprintf(text + n, sizeof text - n, "w%" PRId64, e.timestamp);
        } else {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", e.kind == FL_HARNESS_IDLE ? "idle" : "active");
        }
    }
    return text;
}

/* ---- the log ---- */

static struct {
    char text[4096];
    size_t length;
} logged;

static void log_line(void *arg, const char *line, size_t length)
{
    (void)arg;
    if (logged.length + length < sizeof logged.text)
        memcpy(logged.text + logged.length, line, length);
    logged.length += length;
    logged.text[logged.length] = 0;
}

static int log_begins(void **state)
{
    (void)state;
    memset(&logged, 0, sizeof logged);
    fl__log_set_sink(log_line, NULL);
    return 0;
}

static int log_ends(void **state)
{
    (void)state;
    fl__log_set_sink(NULL, NULL);
    return 0;
}

/* ---- order ---- */

static void test_ordered(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true);
    push_all(h, 1, 4);
    assert_int_equal(asked.count, 4);
    answer(3);
    answer(2);
    run(h);
    assert_string_equal(came(h), "");
    answer(1);
    run(h);
    assert_string_equal(came(h), "1 2 3");
    answer(4);
    run(h);
    assert_string_equal(came(h), "4");
    size_t count;
    const Row *rows = fl_harness_rows(h, &count);
    assert_int_equal(count, 4);
    assert_true(fl_string_equal(rows[1].text, fl_str("answer to number 2")));
    fl_harness_free(h);
}

static void test_unordered(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = false);
    push_all(h, 1, 4);
    answer(3);
    answer(1);
    run(h);
    assert_string_equal(came(h), "3 1");
    answer(4);
    run(h);
    answer(2);
    run(h);
    assert_string_equal(came(h), "4 2");
    fl_harness_free(h);
}

static void test_marks_in_order(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true);
    fl_harness_watermark(h, 1);
    assert_string_equal(came(h), "w1");
    push(h, 1);
    fl_harness_watermark(h, 2);
    push_all(h, 2, 3);
    fl_harness_watermark(h, 3);
    assert_string_equal(came(h), "");
    answer(2);
    run(h);
    assert_string_equal(came(h), "");
    answer(1);
    run(h);
    assert_string_equal(came(h), "1 w2 2");
    answer(3);
    run(h);
    assert_string_equal(came(h), "3 w3");
    fl_harness_free(h);
}

static void test_marks_out_of_order(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = false);
    push_all(h, 1, 2);
    fl_harness_watermark(h, 10);
    fl_harness_watermark(h, 11); /* nothing between them: the higher one counts */
    push_all(h, 3, 5);
    fl_harness_watermark(h, 12);
    push(h, 6);
    answer(6);
    answer(5);
    answer(3);
    run(h);
    assert_string_equal(came(h), ""); /* a later segment must wait */
    answer(2);
    run(h);
    assert_string_equal(came(h), "2");
    answer(1);
    run(h);
    assert_string_equal(came(h), "1 w11 5 3");
    answer(4);
    run(h);
    assert_string_equal(came(h), "4 w12 6");
    fl_harness_watermark(h, 13);
    assert_string_equal(came(h), "w13");
    fl_harness_free(h);
}

static void test_many_segments(void **state)
{
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        fl_harness *h = START(.is_ordered = ordered);
        char expected[512] = "";
        for (int i = 1; i <= 40; i++) { /* more than the ring has at first */
            push(h, i);
            fl_harness_watermark(h, i);
            char part[16];
            snprintf(part, sizeof part, "%s%d w%d", i > 1 ? " " : "", i, i);
            strcat(expected, part);
        }
        for (int i = 40; i > 0; i--)
            answer(i);
        run(h);
        assert_string_equal(came(h), expected);
        fl_harness_free(h);
    }
}

static void test_idleness(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = false);
    fl_harness_idle(h);
    assert_string_equal(came(h), "idle");
    push(h, 1);
    assert_string_equal(came(h), "active");
    fl_harness_watermark(h, 5);
    fl_harness_idle(h);
    assert_string_equal(came(h), "");
    answer(1);
    run(h);
    assert_string_equal(came(h), "1 w5 idle");
    push(h, 2);
    assert_string_equal(came(h), "active");
    fl_harness_idle(h);
    fl_harness_watermark(h, 6); /* active again before anything came out */
    answer(2);
    run(h);
    assert_string_equal(came(h), "2 w6");
    fl_harness_free(h);
}

/* ---- what comes out ---- */

static void expand(const void *in, fl_async *request, fl_context *ctx)
{
    (void)ctx;
    const Row *r = in;
    Row rows[5];
    for (int i = 0; i < 5; i++)
        rows[i] = (Row){ r->id, r->text };
    fl_async_complete(request, rows, (size_t)r->id);
}

static void test_any_number_of_rows(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true, .f = expand);
    push_all(h, 0, 3);
    fl_harness_end(h);
    assert_string_equal(came(h), "1 2 2 3 3 3 wmax");
    size_t count;
    const Row *rows = fl_harness_rows(h, &count);
    assert_true(fl_string_equal(rows[5].text, fl_str("a record that is not short 3")));
    fl_harness_free(h);
}

static void note_key(const void *in, fl_async *request, fl_context *ctx)
{
    const Row *r = in;
    assert_int_equal(*(const int64_t *)fl_current_key(ctx), r->id);
    assert_int_equal(fl_timestamp_of(ctx), 1000 + r->id);
    assert_int_equal(fl_current_watermark(ctx), 7);
    fl_async_complete(request, r, 1);
}

static void test_keyed(void **state)
{
    (void)state;
    fl_harness *h = START(.is_keyed = true, .f = note_key);
    fl_harness_watermark(h, 7);
    push_all(h, 1, 3);
    assert_string_equal(came(h), "w7 1 2 3");
    fl_harness_free(h);
}

/* ---- capacity ---- */

static void test_capacity(void **state)
{
    (void)state;
    for (int ordered = 0; ordered < 2; ordered++) {
        fl_harness *h = START(.is_ordered = ordered, .options = { .capacity = 2 });
        push_all(h, 1, 5);
        fl_harness_watermark(h, 9);
        assert_int_equal(asked.count, 2);
        answer(2); /* in order, it is the results that make room, as in Flink */
        run(h);
        assert_int_equal(asked.count, ordered ? 2 : 3);
        answer(1);
        run(h);
        assert_int_equal(asked.count, 4);
        assert_string_equal(came(h), ordered ? "1 2" : "2 1");
        answer(4);
        answer(3);
        run(h);
        assert_int_equal(asked.count, 5);
        assert_string_equal(came(h), ordered ? "3 4" : "4 3");
        answer(5);
        run(h);
        assert_string_equal(came(h), "5 w9");
        fl_harness_free(h);
    }
}

static void test_time_goes_on_when_full(void **state)
{
    (void)state;
    fl_harness *h =
        START(.is_ordered = true, .options = { .capacity = 1, .timeout = fl_milliseconds(10), .on_timeout = give_up });
    push_all(h, 1, 3);
    assert_int_equal(asked.count, 1);
    fl_harness_advance(h, fl_milliseconds(10));
    assert_int_equal(asked.timeouts, 1);
    assert_int_equal(asked.count, 2);
    fl_harness_advance(h, fl_milliseconds(20));
    assert_string_equal(came(h), "1 2 3");
    fl_harness_free(h);
}

/* ---- time limits ---- */

static void test_timeout_fails(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true, .options = { .timeout = fl_milliseconds(50), .name = "ask" });
    push(h, 1);
    fl_harness_advance(h, fl_milliseconds(49));
    assert_string_equal(fl_harness_error(h), "");
    fl_harness_advance(h, fl_milliseconds(1));
    assert_non_null(strstr(fl_harness_error(h), "test_async.c:"));
    assert_non_null(strstr(fl_harness_error(h), "ask (1/1): the request for (1,a record that is not short 1) has timed "
                                                "out: no answer within .timeout = 50 ms; give it more time"));
    fl_harness_free(h);
}

static void test_timeout_handler(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = false,
        .options = { .timeout = fl_milliseconds(50), .on_timeout = give_up, .name = "late" });
    push_all(h, 1, 2);
    fl_harness_advance(h, fl_milliseconds(30));
    push_all(h, 3, 3);
    answer(2);
    fl_harness_advance(h, fl_milliseconds(20));
    assert_string_equal(came(h), "2 1");
    assert_int_equal(asked.timeouts, 1);
    /* the one who was asked comes too late: it may still look at the record, and is not heard */
    const Row *in = fl_async_input(asked_for(1));
    assert_int_equal(in->id, 1);
    answer(1);
    assert_null(fl_async_input(asked_for(1)));
    answer(3);
    run(h);
    assert_string_equal(came(h), "3");
    assert_string_equal(logged.text, "");
    fl_async_complete_none(asked_for(3)); /* but this is a mistake */
    assert_non_null(strstr(logged.text, "late (1/1): a request was answered a second time, which is ignored"));
    fl_harness_free(h);
}

static fl_async *postponed;

static void postpone(const void *in, fl_async *request, fl_context *ctx)
{
    (void)in, (void)ctx;
    postponed = request;
}

/* The handler need not answer at once; then whoever is first counts. */
static void test_timeout_handler_waits(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true, .options = { .timeout = fl_milliseconds(5), .on_timeout = postpone });
    push_all(h, 1, 2);
    fl_harness_advance(h, fl_milliseconds(5));
    assert_string_equal(came(h), "");
    answer(1);
    run(h);
    assert_string_equal(came(h), "1");
    fl_async_complete_none(postponed);
    run(h);
    assert_string_equal(came(h), "");
    answer(2); /* too late: silence */
    run(h);
    push(h, 3);
    answer(3);
    run(h);
    assert_string_equal(came(h), "3");
    assert_string_equal(logged.text, "");
    fl_harness_free(h);
}

/* Requests given up are kept for those who might look at them, but not for ever. */
static void forget(const void *in, fl_async *request, fl_context *ctx)
{
    (void)ctx;
    asked.request[0] = asked.count++ == 0 ? request : asked.request[0];
    assert_ptr_equal(fl_async_input(request), in);
}

static void test_never_answered(void **state)
{
    (void)state;
    fl_harness *h =
        START(.f = forget, .options = { .timeout = fl_milliseconds(1), .on_timeout = give_up, .capacity = 50 });
    for (int i = 0; i < 1100; i++) {
        push(h, i);
        if (i % 50 == 49)
            fl_harness_advance(h, fl_milliseconds(1));
        if (i == 1000)
            assert_int_equal(((const Row *)fl_async_input(asked.request[0]))->id, 0);
    }
    push(h, 1);
    assert_int_equal(asked.timeouts, 1100);
    assert_null(fl_async_input(asked.request[0]));
    fl_async_complete_none(asked.request[0]);
    assert_string_equal(logged.text, "");
    fl_harness_free(h);
}

static void test_stuck(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = false, .options = { .name = "silent", .capacity = 7 });
    push(h, 1);
    fl_harness_advance(h, fl_seconds(30));
    push(h, 2);
    fl_harness_advance(h, fl_milliseconds(29999));
    assert_string_equal(logged.text, "");
    fl_harness_advance(h, fl_minutes(10));
    assert_non_null(strstr(logged.text, "silent (1/1): 2 of 7 requests are in flight, and the oldest, for (1,a record "
                                        "that is not short 1), has not been answered for 60 s"));
    assert_null(strstr(strstr(logged.text, "silent") + 1, "silent")); /* once */
    answer(1);
    run(h);
    fl_harness_advance(h, fl_seconds(1));
    assert_non_null(strstr(logged.text, "silent (1/1): 1 of 7"));
    fl_harness_free(h);
}

/* ---- retries ---- */

static void test_retry_by_error(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true, .options = { .timeout = fl_seconds(9),
                                                  .retry = fl_retry_fixed_delay(2, fl_milliseconds(100)),
                                                  .retry_if_error = fl_retry_if_failed });
    push_all(h, 1, 2);
    fl_async *first = asked_for(1);
    fl_async_fail(first, "no %s", "luck");
    answer(2);
    run(h);
    fl_harness_advance(h, fl_milliseconds(99));
    assert_int_equal(asked.count, 2);
    fl_harness_advance(h, fl_milliseconds(1));
    assert_int_equal(asked.count, 3);
    assert_true(asked.request[2] != first); /* each attempt has a handle of its own … */
    fl_async_complete_none(first);          /* … so that an old one hits nothing */
    run(h);
    assert_string_equal(came(h), "");
    fl_async_fail(asked_for(1), "no luck");
    fl_harness_advance(h, fl_milliseconds(100));
    answer(1);
    run(h);
    assert_string_equal(came(h), "1 2");
    push(h, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(fl_harness_error(h), "");
        fl_async_fail(asked_for(3), "no luck");
        fl_harness_advance(h, fl_milliseconds(100));
    }
    assert_non_null(strstr(
        fl_harness_error(h), "the request for (3,a record that is not short 3) failed again and again: no luck"));
    fl_harness_free(h);
}

static void test_retry_by_result(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true,
        .options = { .timeout = fl_seconds(9),
            .retry = fl_retry_exponential_backoff(4, fl_milliseconds(10), fl_milliseconds(35), 2.0),
            .retry_if_result = fl_retry_if_empty });
    push(h, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(asked.count, i + 1);
        fl_async_complete_none(asked_for(1));
        fl_harness_advance(h, fl_milliseconds(35));
    }
    assert_int_equal(asked.count, 5); /* no more: the last answer counts as it is */
    static const fl_time waits[] = { 10, 20, 35, 35 };
    for (int i = 0; i < 4; i++)
        assert_int_equal(asked.at[i + 1] - (i * 35), waits[i]);
    push(h, 2);
    answer(2);
    run(h);
    assert_string_equal(came(h), "2");
    /* another request begins with the first delay again */
    push(h, 3);
    fl_async_complete_none(asked_for(3));
    run(h);
    fl_harness_advance(h, fl_milliseconds(10));
    assert_int_equal(asked.count, 8);
    /* a failure is none of its business */
    fl_async_fail(asked_for(3), "no line");
    run(h);
    assert_non_null(strstr(fl_harness_error(h), "failed again and again: no line"));
    fl_harness_free(h);
}

/* The time limit holds for all attempts together, also while none is under way. */
static void test_retry_and_timeout(void **state)
{
    (void)state;
    plan p = { .is_ordered = true,
        .options = { .timeout = fl_milliseconds(25),
            .on_timeout = give_up,
            .retry = fl_retry_fixed_delay(9, fl_milliseconds(10)),
            .retry_if_error = fl_retry_if_failed } };
    fl_harness *h = start(&p);
    push(h, 1);
    for (int i = 0; i < 3; i++) {
        fl_async_fail(asked_for(1), "no luck");
        fl_harness_advance(h, fl_milliseconds(i < 2 ? 10 : 4));
    }
    assert_string_equal(came(h), "");
    fl_harness_advance(h, fl_milliseconds(1));
    assert_string_equal(came(h), "1");
    fl_harness_advance(h, fl_milliseconds(100));
    assert_int_equal(asked.count, 3);
    fl_harness_free(h);

    p.options.on_timeout = NULL;
    h = start(&p);
    push(h, 1);
    fl_async_fail(asked_for(1), "no luck");
    fl_harness_advance(h, fl_milliseconds(25));
    assert_non_null(strstr(fl_harness_error(h), "no answer within .timeout = 25 ms, in 2 attempts; give"));
    fl_harness_free(h);
}

/* ---- what is wrong ---- */

static void test_failure(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true, .options = { .name = "ask" });
    push_all(h, 1, 2);
    fl_async_fail(asked_for(2), "connection %d refused", 7);
    run(h);
    assert_non_null(strstr(fl_harness_error(h),
        "ask (1/1): the request for (2,a record that is not short 2) failed: connection 7 refused"));
    fl_harness_free(h);
    answer(1); /* after the end: harmless, and no mistake */
    assert_null(fl_async_input(asked_for(1)));
    assert_string_equal(logged.text, "");
}

static void test_wrong_size(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true);
    push(h, 1);
    fl_async_complete_one(asked_for(1), &(int64_t){ 5 });
    run(h);
    assert_non_null(
        strstr(fl_harness_error(h), "fl_async_complete was given rows of 8 bytes, but the stream's type Row has 24"));
    fl_harness_free(h);
}

static void answer_twice(const void *in, fl_async *request, fl_context *ctx)
{
    (void)ctx;
    fl_async_complete(request, (const Row *)in, 1);
    fl_async_complete(request, (const Row *)in, 1);
    fl_async_fail(request, "no");
}

static void test_twice(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true, .f = answer_twice, .options = { .name = "twice" });
    push_all(h, 1, 3);
    assert_string_equal(came(h), "1 2 3");
    assert_non_null(strstr(logged.text, "twice (1/1): a request was answered a second time"));
    assert_null(strstr(strstr(logged.text, "twice") + 5, "twice")); /* one line a minute */
    fl_harness_free(h);
    fl_async_complete_none(NULL);
    assert_non_null(strstr(logged.text, "answered that there never was"));
    assert_null(fl_async_input(NULL));
}

/* Answers after the end of a job must not hit the requests of another. */
static void test_after_close(void **state)
{
    (void)state;
    fl_harness *h = START(.is_ordered = true);
    push_all(h, 1, 5);
    answer(1);
    run(h);
    fl_harness_end(h);
    fl_harness_free(h);
    fl_async *old[5];
    memcpy(old, asked.request, sizeof old);
    assert_int_equal(((const Row *)fl_async_input(old[3]))->id, 4); /* kept until it is answered */
    h = START(.is_ordered = true);
    push_all(h, 11, 15);
    for (int i = 1; i < 5; i++)
        fl_async_complete_none(old[i]);
    for (int i = 11; i <= 15; i++)
        answer(i);
    run(h);
    assert_string_equal(came(h), "11 12 13 14 15");
    assert_string_equal(logged.text, "");
    fl_harness_free(h);
}

#define EXPECT_ERROR(text, Form, ...)                                                                                  \
    do {                                                                                                               \
        fl_env *env = fl_env_new(0, NULL);                                                                             \
        fl_stream *in = fl_from_elements(env, Row, { 1, fl_str("x") });                                                \
        fl_discard(Form(in, __VA_ARGS__));                                                                             \
        assert_int_not_equal(fl_execute(env, "test"), 0);                                                              \
        if (!strstr(fl_env_error(env), text))                                                                          \
            fprintf(stderr, "expected \"%s\" in: %s\n", text, fl_env_error(env));                                      \
        assert_non_null(strstr(fl_env_error(env), text));                                                              \
        assert_non_null(strstr(fl_env_error(env), "test_async.c:"));                                                   \
        fl_env_free(env);                                                                                              \
    } while (0)

FL_VALUE_STATE(some_state, int64_t);

static void test_wrong_options(void **state)
{
    (void)state;
    EXPECT_ERROR("fl_async_ordered: the function is NULL", fl_async_ordered, NULL, Row);
    EXPECT_ERROR("fl_async_ordered: .timeout is -1 ms; it must not be negative", fl_async_ordered, keep, Row,
        .timeout = fl_milliseconds(-1));
    EXPECT_ERROR("fl_async_unordered: .capacity is -3; it must be 1 to", fl_async_unordered, keep, Row, .capacity = -3);
    EXPECT_ERROR(".on_timeout without .timeout is never called", fl_async_ordered, keep, Row, .on_timeout = keep);
    EXPECT_ERROR("an async function has no states", fl_async_ordered, keep, Row, .states = { &some_state });
    EXPECT_ERROR(
        "an async function has no timers", fl_async_ordered, keep, Row, .on_timer = (fl_function)(void (*)(void))keep);
    EXPECT_ERROR(".retry is to make 0 attempts after the first; it must be 1 or more", fl_async_ordered, keep, Row,
        .retry = fl_retry_fixed_delay(0, fl_milliseconds(1)));
    EXPECT_ERROR(".retry waits 0 ms before another attempt", fl_async_ordered, keep, Row,
        .retry = fl_retry_fixed_delay(1, fl_milliseconds(0)));
    EXPECT_ERROR(".retry waits at most 5 ms, but 10 ms before the first", fl_async_ordered, keep, Row,
        .retry = fl_retry_exponential_backoff(1, fl_milliseconds(10), fl_milliseconds(5), 2));
    EXPECT_ERROR(".retry multiplies the delay by 0.5", fl_async_ordered, keep, Row,
        .retry = fl_retry_exponential_backoff(1, fl_milliseconds(1), fl_milliseconds(5), 0.5));
    EXPECT_ERROR(".retry without .retry_if_result or .retry_if_error never tries again", fl_async_ordered, keep, Row,
        .retry = fl_retry_fixed_delay(1, fl_milliseconds(1)));
    EXPECT_ERROR(".retry needs a .timeout", fl_async_ordered, keep, Row,
        .retry = fl_retry_fixed_delay(1, fl_milliseconds(1)), .retry_if_error = fl_retry_if_failed);
    EXPECT_ERROR(".retry_if_error without .retry", fl_async_ordered, keep, Row, .retry_if_error = fl_retry_if_failed);
    EXPECT_ERROR(".threads is -1", fl_async_ordered, keep, Row, .threads = -1);
    EXPECT_ERROR(".thread_size without .threads", fl_async_ordered, keep, Row, .thread_size = 8);
}

/* ---- for snapshots ---- */

static char walked[256];

static void walk_record(void *arg, const void *in, fl_time timestamp)
{
    (void)arg;
    sprintf(walked + strlen(walked), " %" PRId64 "@%" PRId64, ((const Row *)in)->id, timestamp);
}
static void walk_watermark(void *arg, fl_time watermark)
{
    (void)arg;
    sprintf(walked + strlen(walked), " w%" PRId64, watermark);
}
static void walk_idle(void *arg, bool idle)
{
    (void)arg;
    strcat(walked, idle ? " idle" : " active");
}

static const fl__operator *walked_operator;

static void find_operator(const void *in, fl_async *request, fl_context *ctx)
{
    walked_operator = fl__operator_of(ctx);
    keep(in, request, ctx);
}

static void test_walk(void **state)
{
    (void)state;
    const fl__async_visitor visitor = { walk_record, walk_watermark, walk_idle, NULL };
    fl_harness *h = START(.is_ordered = false, .f = find_operator);
    push_all(h, 1, 3);
    fl_harness_watermark(h, 4);
    fl_harness_idle(h);
    push_all(h, 5, 6);
    answer(2);
    answer(6); /* answered, but not out: it would be asked again, as in Flink */
    run(h);
    walked[0] = 0;
    fl__async_walk(walked_operator, &visitor);
    assert_string_equal(walked, " 1@1001 3@1003 active w4 5@1005 6@1006");
    fl_harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ordered),
        cmocka_unit_test(test_unordered),
        cmocka_unit_test(test_marks_in_order),
        cmocka_unit_test(test_marks_out_of_order),
        cmocka_unit_test(test_many_segments),
        cmocka_unit_test(test_idleness),
        cmocka_unit_test(test_any_number_of_rows),
        cmocka_unit_test(test_keyed),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_time_goes_on_when_full),
        cmocka_unit_test(test_timeout_fails),
        cmocka_unit_test_setup_teardown(test_timeout_handler, log_begins, log_ends),
        cmocka_unit_test_setup_teardown(test_timeout_handler_waits, log_begins, log_ends),
        cmocka_unit_test_setup_teardown(test_never_answered, log_begins, log_ends),
        cmocka_unit_test_setup_teardown(test_stuck, log_begins, log_ends),
        cmocka_unit_test_setup_teardown(test_retry_by_error, log_begins, log_ends),
        cmocka_unit_test(test_retry_by_result),
        cmocka_unit_test(test_retry_and_timeout),
        cmocka_unit_test_setup_teardown(test_failure, log_begins, log_ends),
        cmocka_unit_test(test_wrong_size),
        cmocka_unit_test_setup_teardown(test_twice, log_begins, log_ends),
        cmocka_unit_test_setup_teardown(test_after_close, log_begins, log_ends),
        cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
