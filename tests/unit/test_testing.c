/* The test kit: what programs are tested with. */
#include <flinc.h>
#include <flinc/testing.h>

#include "api/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct WordCount {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

/* ---- a program with a source and a sink that tests cannot have ---- */

static fl_status never_poll(fl__operator *op)
{
    return fl__operator_fail(op, FL_ERROR_IO, "the real source was asked");
}

static fl_status never_process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input, (void)batch;
    return fl__operator_fail(op, FL_ERROR_IO, "the real sink was reached");
}

static const fl__operator_class real_source = {
    .kind = "Real Source", .size = sizeof(fl__operator), .poll = never_poll
};
static const fl__operator_class real_sink = {
    .kind = "Real Sink", .size = sizeof(fl__operator), .process = never_process
};

static void never_open(fl_context *ctx)
{
    fl_fail(ctx, "the real function was opened");
}

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_string rest = *(const fl_string *)in, word;
    while (fl_string_token(&rest, " ", &word))
        fl_collect(out, &(WordCount){ word, 1 });
}

FL_JOB(kit_word_count)
{
    const fl_options lines = { .name = "lines", .uid = "lines-1", .open = never_open, .where = FL_HERE };
    fl_stream *in = fl__add_source_operator(
        env, &(fl__new_operator){
                 .class = &real_source, .out = FL_TYPE(fl_string), .options = &lines, .not_parallel = true });
    fl_stream *counts = fl_sum(fl_key_by(fl_flat_map(in, split, WordCount), "word"), "count");
    fl__add_operator(counts, &(fl__new_operator){ .class = &real_sink, .options = &(fl_options){ .where = FL_HERE } });
    return fl_execute(env, "Word count");
}

static const char *difference(fl_test_rows *rows, fl_test_order order)
{
    WordCount counted[] = { { fl_str("to"), 1 }, { fl_str("be"), 1 }, { fl_str("to"), 2 },
        { fl_str("a-very-long-word-that-is-kept-elsewhere"), 1 } };
    return fl_test_difference(rows, counted, 4, order);
}

static void test_job(void **state)
{
    (void)state;
    static const char *const names[] = { "lines", "lines-1" };
    for (int i = 0; i < 2; i++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_string lines[] = { fl_str("to be"), fl_str("to a-very-long-word-that-is-kept-elsewhere") };
        fl_test_replace_source(env, names[i], fl_string, lines, 2);
        fl_test_rows *rows = fl_test_collect(env, "Real Sink", WordCount);
        assert_int_equal(kit_word_count(env), 0);
        assert_string_equal(fl_env_error(env), "");
        assert_null(difference(rows, FL_TEST_IN_ORDER));
        assert_int_equal(fl_result_records_in(env), 2);
        assert_int_equal(fl_result_records_out(env), 4);
        fl_env_free(env);
    }
}

static void test_job_parallel_and_simulated(void **state)
{
    (void)state;
    uint64_t traces[4];
    for (int i = 0; i < 4; i++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set_parallelism(env, 3);
        fl_string lines[] = { fl_str("to be"), fl_str("to a-very-long-word-that-is-kept-elsewhere") };
        fl_test_replace_source(env, "lines", fl_string, lines, 2);
        fl_test_rows *rows = fl_test_collect(env, "Real Sink", WordCount);
        fl_test_simulate(env, .seed = (uint64_t)i / 2, .channel_capacity = 2, .segment_bytes = 128);
        assert_int_equal(kit_word_count(env), 0);
        assert_null(difference(rows, FL_TEST_ANY_ORDER));
        traces[i] = fl_test_trace(env);
        fl_env_free(env);
    }
    assert_true(traces[0] == traces[1] && traces[2] == traces[3]);
    assert_true(traces[0] != traces[2]);
}

static void expect_error(void (*prepare)(fl_env *env), const char *text)
{
    fl_env *env = fl_env_new(0, NULL);
    prepare(env);
    assert_int_equal(kit_word_count(env), FL_ERROR_INVALID);
    if (!strstr(fl_env_error(env), text))
        fail_msg("\"%s\" is not in \"%s\"", text, fl_env_error(env));
    assert_non_null(strstr(fl_env_error(env), "test_testing.c:"));
    fl_env_free(env);
}

static void unknown_source(fl_env *env)
{
    fl_test_replace_source(env, "line", fl_string, NULL, 0);
    fl_test_collect(env, "Real Sink", WordCount);
}

static void unknown_sink(fl_env *env)
{
    fl_test_replace_source(env, "lines", fl_string, NULL, 0);
    fl_test_collect(env, "sink", WordCount);
}

static void wrong_type(fl_env *env)
{
    fl_test_replace_source(env, "lines", int64_t, NULL, 0);
}

static void wrong_sink_type(fl_env *env)
{
    fl_test_collect(env, "Real Sink", int64_t);
}

static void test_job_errors(void **state)
{
    (void)state;
    expect_error(unknown_source, "no source with name or uid \"line\"; it has: \"lines\" (uid \"lines-1\")");
    expect_error(unknown_sink, "no sink with name or uid \"sink\"; it has: \"Real Sink\"");
    expect_error(wrong_type, "type int64_t for source \"lines\", but the program's are of type fl_string");
    expect_error(wrong_sink_type, "type int64_t for sink \"Real Sink\", but the program's are of type WordCount");
}

static void test_difference(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    int64_t numbers[] = { 3, 1, 2 };
    fl_time times[] = { 30, 10, 20 };
    fl_test_rows *rows = fl_test_sink(fl_test_source(env, int64_t, numbers, 3, .timestamps = times), int64_t);
    assert_int_equal(fl_execute(env, "differences"), 0);
    int64_t wrong[] = { 1, 2, 4 }, more[] = { 1, 2, 3, 3 }, other[] = { 1, 2, 2 };
    assert_null(fl_test_difference(rows, numbers, 3, FL_TEST_IN_ORDER));
    assert_string_equal(fl_test_difference(rows, wrong, 3, FL_TEST_IN_ORDER), "row 0 is 3 instead of 1");
    assert_string_equal(fl_test_difference(rows, wrong, 3, FL_TEST_ANY_ORDER), "3 came, but was not expected");
    assert_string_equal(fl_test_difference(rows, more, 4, FL_TEST_ANY_ORDER), "3 is missing");
    assert_string_equal(fl_test_difference(rows, other, 3, FL_TEST_ANY_ORDER), "2 is missing");
    assert_string_equal(fl_test_difference(rows, numbers, 2, FL_TEST_IN_ORDER), "2 came, but was not expected");
    fl_test_sort(rows);
    size_t count;
    const int64_t *sorted = fl_test_get(rows, &count);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sorted[i], i + 1);
        assert_int_equal(fl_test_timestamp(rows, (size_t)i), 10 * (i + 1));
        assert_int_equal(fl_test_subtask(rows, (size_t)i), 0);
    }
    assert_int_equal(fl_test_timestamp(rows, 3), FL_NO_TIMESTAMP);
    fl_env_free(env);
}

static void test_parallel_source(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    int64_t numbers[10];
    for (int i = 0; i < 10; i++)
        numbers[i] = i;
    fl_stream *s = fl_test_source(env, int64_t, numbers, 10, .parallelism = 3, .name = "numbers");
    fl_test_rows *rows = fl_test_sink(s, int64_t, .parallelism = 3);
    assert_int_equal(fl_execute(env, "parallel"), 0);
    assert_null(fl_test_difference(rows, numbers, 10, FL_TEST_ANY_ORDER));
    const int64_t *got = fl_test_get(rows, NULL);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(fl_test_subtask(rows, i), got[i] % 3);
    fl_env_free(env);
}

/* ---- harness ---- */

FL_OUTPUT_TAG(odd, int64_t);

static void double_even(const void *in, fl_collector *out, fl_context *ctx)
{
    const int64_t *n = in;
    fl_accumulate(ctx, "seen", 1);
    if (*n < 0)
        fl_fail(ctx, "%lld is negative", (long long)*n);
    else if (*n % 2)
        fl_output(ctx, odd, n);
    else
        fl_collect(out, &(int64_t){ *n * 2 });
}

static fl_stream *build_double(fl_stream *in, fl_stream *second, void *arg)
{
    assert_null(second);
    assert_ptr_equal(arg, &odd);
    return fl_flat_map(in, double_even, int64_t);
}

static void expect_event(fl_harness *h, fl_harness_kind kind, fl_time timestamp, int64_t value, const fl_tag *side)
{
    fl_harness_event event;
    assert_true(fl_harness_next(h, &event));
    assert_int_equal(event.kind, kind);
    if (kind <= FL_HARNESS_WATERMARK)
        assert_true(event.timestamp == timestamp);
    assert_ptr_equal(event.side, side);
    if (kind == FL_HARNESS_RECORD)
        assert_int_equal(*(const int64_t *)event.row, value);
}

static void test_harness(void **state)
{
    (void)state;
    fl_harness *h = fl_harness_new(int64_t, build_double, .sides = { &odd }, .arg = (void *)(uintptr_t)&odd);
    assert_string_equal(fl_harness_error(h), "");
    assert_true(fl_harness_output_watermark(h) == FL_TIME_MIN);
    fl_harness_push(h, 5, &(int64_t){ 4 });
    fl_harness_push(h, 6, &(int64_t){ 3 });
    fl_harness_watermark(h, 6);
    fl_harness_watermark(h, 5);
    fl_harness_idle(h);
    fl_harness_push(h, FL_NO_TIMESTAMP, &(int64_t){ 6 });
    fl_harness_idle(h);
    fl_harness_watermark(h, 9);
    fl_harness_end(h);
    expect_event(h, FL_HARNESS_RECORD, 5, 8, NULL);
    expect_event(h, FL_HARNESS_RECORD, 6, 3, &odd.tag);
    expect_event(h, FL_HARNESS_WATERMARK, 6, 0, NULL);
    expect_event(h, FL_HARNESS_IDLE, 0, 0, NULL);
    expect_event(h, FL_HARNESS_ACTIVE, 0, 0, NULL);
    expect_event(h, FL_HARNESS_RECORD, FL_NO_TIMESTAMP, 12, NULL);
    expect_event(h, FL_HARNESS_IDLE, 0, 0, NULL);
    expect_event(h, FL_HARNESS_ACTIVE, 0, 0, NULL);
    expect_event(h, FL_HARNESS_WATERMARK, 9, 0, NULL);
    expect_event(h, FL_HARNESS_WATERMARK, FL_TIME_MAX, 0, NULL);
    fl_harness_event event;
    assert_false(fl_harness_next(h, &event));
    size_t count;
    const int64_t *rows = fl_harness_rows(h, &count);
    assert_int_equal(count, 2);
    assert_int_equal(rows[0], 8);
    assert_int_equal(rows[1], 12);
    rows = fl_harness_side_rows(h, odd, &count);
    assert_int_equal(count, 1);
    assert_int_equal(rows[0], 3);
    assert_true(fl_harness_output_watermark(h) == FL_TIME_MAX);
    assert_int_equal(fl_harness_accumulator(h, "seen"), 3);
    assert_int_equal(fl_harness_accumulator(h, "none"), 0);
    fl_harness_push(h, 1, &(int64_t){ 1 }); /* after the end: nothing */
    assert_string_equal(fl_harness_error(h), "");
    fl_harness_free(h);
}

static void test_harness_failure(void **state)
{
    (void)state;
    void *arg = (void *)(uintptr_t)&odd;
    fl_harness *h = fl_harness_new(int64_t, build_double, .arg = arg);
    fl_harness_push(h, 5, &(int64_t){ -4 });
    assert_non_null(strstr(fl_harness_error(h), "-4 is negative"));
    assert_non_null(strstr(fl_harness_error(h), "test_testing.c:"));
    fl_harness_push(h, 5, &(int64_t){ 4 });
    assert_null(fl_harness_rows(h, NULL));
    fl_harness_free(h);

    h = fl_harness_new(int64_t, build_double, .arg = arg);
    fl_harness_push(h, 5, &(int32_t){ 4 });
    assert_non_null(strstr(fl_harness_error(h), "4 bytes, but its input's type int64_t has 8"));
    fl_harness_free(h);

    h = fl_harness_new(int64_t, build_double, .arg = arg);
    fl_harness_push_second(h, 5, &(int64_t){ 4 });
    assert_non_null(strstr(fl_harness_error(h), "no second input"));
    fl_harness_free(h);
}

static fl_stream *build_broken(fl_stream *in, fl_stream *second, void *arg)
{
    (void)second;
    if (arg)
        return NULL;
    return fl_sum(fl_key_by(in, "nothing"), "count");
}

static void test_harness_broken(void **state)
{
    (void)state;
    fl_harness *h = fl_harness_new(WordCount, build_broken, .sides = { &odd });
    assert_non_null(strstr(fl_harness_error(h), "nothing"));
    fl_harness_push(h, 5, &(WordCount){ fl_str("a"), 1 });
    fl_harness_watermark(h, 1);
    fl_harness_advance(h, fl_seconds(1));
    fl_harness_end(h);
    assert_null(fl_harness_rows(h, NULL));
    fl_harness_free(h);

    h = fl_harness_new(WordCount, build_broken, .arg = (void *)(uintptr_t)&odd);
    assert_non_null(strstr(fl_harness_error(h), "build returned NULL"));
    fl_harness_free(h);
    fl_harness_free(NULL);
}

static fl_stream *build_sum(fl_stream *in, fl_stream *second, void *arg)
{
    (void)second, (void)arg;
    return fl_sum(fl_key_by(fl_watermarks(in, fl_bounded_out_of_orderness(fl_milliseconds(10)), .timestamp = "count",
                                .idle_after = fl_seconds(3)),
                      "word"),
        "count");
}

/* Keyed behind an exchange, and under a clock that stands still between advances. */
static void test_harness_clock(void **state)
{
    (void)state;
    fl_harness *h = fl_harness_new(WordCount, build_sum, .start = 1000000);
    fl_harness_push(h, FL_NO_TIMESTAMP, &(WordCount){ fl_str("a"), 100 });
    fl_harness_push(h, FL_NO_TIMESTAMP, &(WordCount){ fl_str("b"), 150 });
    fl_harness_push(h, FL_NO_TIMESTAMP, &(WordCount){ fl_str("a"), 120 });
    assert_true(fl_harness_output_watermark(h) == FL_TIME_MIN);
    fl_harness_advance(h, fl_milliseconds(199));
    assert_true(fl_harness_output_watermark(h) == FL_TIME_MIN);
    fl_harness_advance(h, fl_milliseconds(1));
    assert_int_equal(fl_harness_output_watermark(h), 139);
    size_t count;
    const WordCount *rows = fl_harness_rows(h, &count);
    assert_int_equal(count, 3);
    assert_int_equal(rows[2].count, 220);
    fl_harness_advance(h, fl_seconds(3));
    fl_harness_event event = { 0 };
    while (fl_harness_next(h, &event))
        ;
    assert_int_equal(event.kind, FL_HARNESS_IDLE);
    fl_harness_push(h, FL_NO_TIMESTAMP, &(WordCount){ fl_str("a"), 400 });
    assert_true(fl_harness_next(h, &event));
    assert_int_equal(event.kind, FL_HARNESS_ACTIVE);
    fl_harness_free(h);
}

static void pass(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect(out, (const int64_t *)in);
}

static fl_stream *build_two(fl_stream *in, fl_stream *second, void *arg)
{
    (void)arg;
    return fl_co_map(fl_connect(in, second), pass, pass, int64_t);
}

/* The lower of both inputs' watermarks counts, until the second is idle. */
static void test_harness_second_input(void **state)
{
    (void)state;
    fl_harness *h = fl_harness_new(int64_t, build_two, .second = FL_TYPE(int64_t));
    fl_harness_watermark(h, 100);
    assert_true(fl_harness_output_watermark(h) == FL_TIME_MIN);
    fl_harness_watermark_second(h, 40);
    assert_int_equal(fl_harness_output_watermark(h), 40);
    fl_harness_push_second(h, 50, &(int64_t){ 7 });
    fl_harness_idle_second(h);
    assert_int_equal(fl_harness_output_watermark(h), 100);
    size_t count;
    const int64_t *rows = fl_harness_rows(h, &count);
    assert_int_equal(count, 1);
    assert_int_equal(rows[0], 7);
    assert_string_equal(fl_harness_error(h), "");
    fl_harness_free(h);
}

/* ---- buffer timeout ---- */

enum { NEVER_DRY_ROWS = 20 };
static int64_t rows_polled, polled_at_first_row;

/* One row a poll, and always more at once: the input never runs dry. */
static fl_status poll_row(fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    if (rows_polled == NEVER_DRY_ROWS)
        return FL_DONE;
    rows_polled++;
    fl_collect(out, &rows_polled);
    return FL_OK;
}

static void note_first(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out, (void)ctx;
    if (!polled_at_first_row)
        polled_at_first_row = rows_polled;
}

static int64_t polled_when_first_row_came(int64_t timeout_ms)
{
    static const fl_source_class never_dry = { .name = "Never dry", .poll = poll_row };
    rows_polled = polled_at_first_row = 0;
    fl_env *env = fl_env_new(0, NULL);
    fl_set_buffer_timeout(env, timeout_ms);
    fl_add_sink(fl_rebalance(fl_poll_source(env, &never_dry, int64_t)), note_first, .chaining = FL_CHAIN_NEVER);
    fl_test_simulate(env, .seed = 1);
    assert_int_equal(fl_execute(env, "buffer timeout"), 0);
    assert_int_equal(fl_result_records_out(env), NEVER_DRY_ROWS);
    fl_env_free(env);
    return polled_at_first_row;
}

/* 0 sends rows at once; -1 only full batches, which here is all there is at the end. */
static void test_buffer_timeout(void **state)
{
    (void)state;
    assert_true(polled_when_first_row_came(0) < NEVER_DRY_ROWS);
    assert_int_equal(polled_when_first_row_came(-1), NEVER_DRY_ROWS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job),
        cmocka_unit_test(test_job_parallel_and_simulated),
        cmocka_unit_test(test_job_errors),
        cmocka_unit_test(test_difference),
        cmocka_unit_test(test_parallel_source),
        cmocka_unit_test(test_harness),
        cmocka_unit_test(test_harness_failure),
        cmocka_unit_test(test_harness_broken),
        cmocka_unit_test(test_harness_clock),
        cmocka_unit_test(test_harness_second_input),
        cmocka_unit_test(test_buffer_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
