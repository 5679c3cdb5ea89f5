/* Source functions in threads of their own: order, time, backpressure, failing and cancelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <unistd.h>

#include "collected.h"

#include "api/api.h"
#include "cluster/job.h"

typedef struct {
    int64_t number;
    fl_string text;
} Item;
FL_ROW(Item, number, text);

static void count_items(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    const Item *item = in;
    char expected[40];
    snprintf(expected, sizeof expected, "item number %" PRId64, item->number);
    if (!fl_string_equal(fl_str(expected), item->text))
        fl_fail(ctx, "item %" PRId64 " came as %.*s", item->number, FL_STR(item->text));
    fl_accumulate(ctx, "items", 1);
    fl_accumulate(ctx, "sum", item->number);
}

/* ---- many rows, in order ---- */

static void emit_items(const void *in, fl_collector *out, fl_context *ctx)
{
    assert_null(in);
    int64_t count = *(const int64_t *)fl_arg(ctx);
    for (int64_t i = fl_subtask_index(ctx); i < count && fl_running(ctx); i += fl_parallelism(ctx)) {
        char text[40]; /* on the stack: fl_collect copies */
        snprintf(text, sizeof text, "item number %" PRId64, i);
        fl_collect(out, &(Item){ i, fl_str(text) });
    }
    fl_accumulate(ctx, "runs", 1);
    fl_accumulate_double(ctx, "halves", 0.5);
}

static void expect_next(const void *in, fl_collector *out, fl_context *ctx)
{
    int64_t *next = fl_self(ctx);
    const Item *item = in;
    if (item->number != *next)
        fl_fail(ctx, "item %" PRId64 " came instead of %" PRId64, item->number, *next);
    ++*next;
    count_items(in, out, ctx);
}

static void test_order(void **state)
{
    (void)state;
    int64_t count = 300000;
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2); /* the source is not parallel all the same */
    fl_stream *items = fl_add_source(env, emit_items, Item, .arg = &count);
    fl_add_sink(items, expect_next, .parallelism = 1, .instance_size = sizeof(int64_t));
    run_job(env);

    env = fl_env_new(0, NULL);
    items = fl_add_source(env, emit_items, Item, .arg = &count, .parallel = true, .parallelism = 2);
    fl_add_sink(fl_rebalance(items), count_items, .parallelism = 1);
    assert_int_equal(fl_execute(env, "test"), 0);
    assert_int_equal(fl_result_accumulator(env, "items"), count);
    assert_int_equal(fl_result_accumulator(env, "sum"), count * (count - 1) / 2);
    assert_int_equal(fl_result_accumulator(env, "runs"), 2);
    assert_true(fl_result_accumulator_double(env, "halves") == 1.0);
    assert_int_equal(fl_result_records_in(env), count);
    fl_env_free(env);

    env = fl_env_new(0, NULL);
    fl_discard(fl_add_source(env, emit_items, Item, .parallelism = 2));
    run_failing(env, "test_source_functions.c:", "not parallel");
}

/* ---- time ---- */

static void emit_with_times(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    int64_t n = 1;
    fl_collect(out, &n);
    n = 2;
    fl_collect_with_timestamp(out, &n, 1000);
    fl_emit_watermark(out, 900);
    assert_int_equal(fl_current_watermark(ctx), 900);
    n = 3;
    fl_collect_with_timestamp(out, &n, 2000);
    fl_emit_watermark(out, 800); /* lower: ignored */
    fl_mark_idle(out);
    n = 4;
    fl_collect_with_timestamp(out, &n, 3000);
    fl_emit_watermark(out, 2900);
    n = 5;
    fl_collect(out, &n);
}

static void note_times(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    char text[96], when[32] = "none";
    if (fl_timestamp_of(ctx) != FL_NO_TIMESTAMP)
        snprintf(when, sizeof when, "%" PRId64, fl_timestamp_of(ctx));
    if (fl_current_watermark(ctx) == FL_TIME_MIN)
        snprintf(text, sizeof text, "%" PRId64 "@%s", *(const int64_t *)in, when);
    else
        snprintf(
            text, sizeof text, "%" PRId64 "@%s after %" PRId64, *(const int64_t *)in, when, fl_current_watermark(ctx));
    collect_text(text);
}

static void test_times(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_add_source(env, emit_with_times, int64_t), note_times);
    run_job(env);
    assert_string_equal(collected_text(false), "1@none|2@1000|3@2000 after 900|4@3000 after 900|5@none after 2900");
}

/* ---- large rows ---- */

static void emit_large(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)ctx;
    char *text = malloc(1 << 20);
    for (int i = 0; i < 60; i++) {
        size_t length = (size_t)1 << (i % 21);
        memset(text, 'a' + i % 26, length);
        fl_collect(out, &(Item){ i, fl_string_of(text, length) });
    }
    free(text);
}

static void check_large(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    const Item *item = in;
    const char *data = fl_string_data(&item->text);
    size_t length = (size_t)1 << (item->number % 21);
    bool same = fl_string_length(item->text) == length;
    for (size_t i = 0; same && i < length; i++)
        same = data[i] == 'a' + item->number % 26;
    if (!same)
        fl_fail(ctx, "item %" PRId64 " is not what was sent", item->number);
    fl_accumulate(ctx, "items", 1);
}

static void test_large(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_add_source(env, emit_large, Item), check_large);
    assert_int_equal(fl_execute(env, "test"), 0);
    assert_int_equal(fl_result_accumulator(env, "items"), 60);
    fl_env_free(env);
}

/* ---- failing ---- */

static void fail_in_run(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    int64_t n = 1;
    fl_collect(out, &n);
    fl_fail(ctx, "the well has run dry at %d", 1);
    while (fl_running(ctx)) /* a function that goes on is stopped */
        fl_collect(out, &n);
}

static void fail_at_once(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    fl_fail(ctx, "nothing to read");
}

static void collect_another_type(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)ctx;
    fl_collect(out, &(Item){ 1, fl_str("") });
}

static void test_failures(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    collect_all(fl_add_source(env, fail_in_run, int64_t, .name = "Well"), int64_t);
    run_failing(env, "Well (1/1): the well has run dry at 1");
    assert_string_equal(collected_text(false), "1");
    env = fl_env_new(0, NULL);
    collect_all(fl_add_source(env, fail_at_once, int64_t), int64_t);
    run_failing(env, "nothing to read");
    env = fl_env_new(0, NULL);
    collect_all(fl_add_source(env, collect_another_type, int64_t), int64_t);
    run_failing(env, "fl_collect was given 24 bytes", "int64_t has 8");
    env = fl_env_new(0, NULL);
    fl_discard(fl__add_source(env, NULL, FL_TYPE(int64_t), FL__SOURCE()));
    run_failing(env, "the function is NULL");
}

/* ---- cancelling ---- */

static void emit_for_ever(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    for (int64_t n = 0; fl_running(ctx); n++)
        fl_collect(out, &n);
    collect_text("returned");
}

static void fail_at_five(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    if (*(const int64_t *)in == 500000)
        fl_fail(ctx, "five is enough");
}

static void cancel_at_five(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    if (*(const int64_t *)in == 5)
        fl__env_cancel(fl_arg(ctx));
}

/* Reads from a pipe to which nobody writes: only .cancel ends that. */
static int pipe_fds[2];

static void block_in_read(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    int64_t n = 5;
    fl_collect(out, &n);
    char byte;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
    assert_false(fl_running(ctx));
    collect_text("returned");
}

static void close_pipe(fl_context *ctx)
{
    assert_int_equal(fl_subtask_index(ctx), 0);
    close(pipe_fds[1]);
}

static void test_cancel(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_add_source(env, emit_for_ever, int64_t), fail_at_five);
    run_failing(env, "five is enough");
    assert_string_equal(collected_text(false), "returned");

    env = fl_env_new(0, NULL);
    fl_add_sink(fl_rebalance(fl_add_source(env, emit_for_ever, int64_t)), cancel_at_five, .arg = env);
    collected_clear();
    assert_int_equal(fl_execute(env, "test"), FL_ERROR_CANCELLED);
    assert_string_equal(collected_text(false), "returned");
    fl_env_free(env);

    assert_int_equal(pipe(pipe_fds), 0);
    env = fl_env_new(0, NULL);
    fl_add_sink(fl_add_source(env, block_in_read, int64_t, .cancel = close_pipe), cancel_at_five, .arg = env);
    collected_clear();
    assert_int_equal(fl_execute(env, "test"), FL_ERROR_CANCELLED);
    assert_string_equal(collected_text(false), "returned");
    fl_env_free(env);
    close(pipe_fds[0]);
}

/* ---- an element arrives before the next one is made ---- */

static int answer_fds[2];

static void ask(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)ctx;
    for (int64_t n = 0; n < 1000; n++) {
        char byte;
        fl_collect(out, &n);
        assert_int_equal(read(answer_fds[0], &byte, 1), 1); /* hangs when rows wait for their batch to fill */
    }
}

static void answer(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out, (void)ctx;
    assert_int_equal(write(answer_fds[1], "", 1), 1);
}

static void test_rows_do_not_wait(void **state)
{
    (void)state;
    assert_int_equal(pipe(answer_fds), 0);
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_add_source(env, ask, int64_t), answer);
    run_job(env);
    env = fl_env_new(0, NULL);
    fl_add_sink(fl_rebalance(fl_add_source(env, ask, int64_t)), answer);
    run_job(env);
    close(answer_fds[0]);
    close(answer_fds[1]);
}

/* ---- simulated: the same seed, the same steps ---- */

static uint64_t trace_of(uint64_t seed)
{
    fl__simulation simulation = { .seed = seed };
    int64_t count = 200;
    fl_env *env = fl_env_new(0, NULL);
    env->simulation = &simulation;
    fl_stream *items = fl_add_source(env, emit_items, Item, .arg = &count, .parallel = true, .parallelism = 2);
    fl_add_sink(fl_rebalance(items), count_items, .parallelism = 3);
    fl_stream *times = fl_add_source(env, emit_with_times, int64_t);
    fl_discard(fl_rebalance(times), .parallelism = 2);
    assert_int_equal(fl_execute(env, "test"), 0);
    assert_int_equal(fl_result_accumulator(env, "items"), count);
    fl_env_free(env);
    return simulation.trace;
}

static void test_simulated(void **state)
{
    (void)state;
    uint64_t different = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uint64_t trace = trace_of(seed);
        assert_true(trace == trace_of(seed));
        different += trace != trace_of(seed + 1);
    }
    assert_true(different > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_rows_do_not_wait),
        cmocka_unit_test(test_simulated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
