/* Iterations through the public API: loops that end by themselves, in every order of steps that a seed gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flinc.h>
#include <flinc/testing.h>

typedef struct {
    int64_t start, now, steps;
    fl_string text;
} Walk;
FL_ROW(Walk, start, now, steps, text);
FL_OUTPUT_TAG(done, Walk);

static void make(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    int64_t i = *(const int64_t *)in + 1;
    char text[64];
    int n = snprintf(text, sizeof text, i % 2 ? "%lld" : "a longer text for number %lld", (long long)i);
    fl_collect(out, &(Walk){ i, i, 0, fl_string_of(text, (size_t)n) });
}

/* Collatz: what has come to 1 leaves the loop. */
static void step(const void *in, fl_collector *out, fl_context *ctx)
{
    Walk w = *(const Walk *)in;
    if (w.now == 1) {
        fl_output(ctx, done, &w);
        return;
    }
    w.now = w.now % 2 ? 3 * w.now + 1 : w.now / 2;
    w.steps++;
    fl_collect(out, &w);
}

static int64_t steps_of(int64_t n)
{
    int64_t steps = 0;
    for (; n != 1; steps++)
        n = n % 2 ? 3 * n + 1 : n / 2;
    return steps;
}

enum { NUMBERS = 200 };

static void check(fl_test_rows *rows)
{
    size_t count;
    const Walk *walks = fl_test_get(rows, &count);
    assert_int_equal(count, NUMBERS);
    bool seen[NUMBERS + 1] = { false };
    for (size_t i = 0; i < count; i++) {
        assert_false(seen[walks[i].start]);
        seen[walks[i].start] = true;
        assert_int_equal(walks[i].now, 1);
        assert_int_equal(walks[i].steps, steps_of(walks[i].start));
        char text[64];
        int n = snprintf(text, sizeof text, walks[i].start % 2 ? "%lld" : "a longer text for number %lld",
            (long long)walks[i].start);
        assert_true(fl_string_equal(walks[i].text, fl_string_of(text, (size_t)n)));
    }
}

static void execute(fl_env *env)
{
    if (fl_execute(env, "test") != FL_OK)
        fail_msg("%s", fl_env_error(env));
}

static fl_stream *numbers(fl_env *env)
{
    return fl_generate(env, make, Walk, .count = NUMBERS);
}

static void test_a_loop_ends_when_nothing_goes_around(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        fl_env *env = fl_env_new(0, NULL);
        int p = 1 + (int)(seed % 3);
        fl_set_parallelism(env, p);
        if (seed % 4) /* else in threads */
            fl_test_simulate(env, .seed = seed, .channel_capacity = seed % 2 ? 2 : 0, .segment_bytes = 512);
        fl_stream *loop = fl_iterate(numbers(env), fl_seconds(0));
        fl_stream *steps = fl_process(loop, step, Walk);
        fl_close_with(loop, seed % 5 == 0 ? fl_rebalance(steps) : seed % 5 == 1 ? fl_key_by(steps, "now") : steps);
        fl_test_rows *rows = fl_test_sink(fl_side_output(steps, done), Walk);
        execute(env);
        check(rows);
        fl_env_free(env);
    }
}

/* Each record comes back a hundred times over: far more than channels hold. */
static void multiply(const void *in, fl_collector *out, fl_context *ctx)
{
    const Walk *w = in;
    if (w->steps == 2) {
        fl_output(ctx, done, w);
        return;
    }
    for (int64_t i = 0; i < 100; i++)
        fl_collect(out, &(Walk){ w->start, w->now * 100 + i, w->steps + 1, w->text });
}

static void test_much_feedback_does_not_block_the_loop(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set_parallelism(env, 1 + (int)(seed % 2));
        if (seed % 3)
            fl_test_simulate(env, .seed = seed, .channel_capacity = 2, .segment_bytes = 256);
        fl_stream *loop = fl_iterate(fl_generate(env, make, Walk, .count = 3), fl_seconds(0));
        fl_stream *more = fl_process(loop, multiply, Walk);
        fl_close_with(loop, more);
        fl_test_rows *rows = fl_test_sink(fl_side_output(more, done), Walk, .parallelism = 1);
        execute(env);
        size_t count;
        fl_test_get(rows, &count);
        assert_int_equal(count, 3 * 100 * 100);
        fl_env_free(env);
    }
}

static bool none(const void *in, fl_context *ctx)
{
    (void)in;
    (void)ctx;
    return false;
}

static void test_an_empty_loop_and_two_loops(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_test_simulate(env, .seed = 1);
    fl_stream *nothing = fl_iterate(fl_filter(numbers(env), none), fl_seconds(0));
    fl_close_with(nothing, fl_process(nothing, step, Walk));
    fl_stream *outer = fl_iterate(numbers(env), fl_seconds(0), .parallelism = 2);
    fl_stream *inner = fl_process(outer, step, Walk, .parallelism = 2);
    fl_close_with(outer, inner);
    fl_stream *second = fl_iterate(fl_side_output(inner, done), fl_seconds(0));
    fl_stream *steps = fl_process(second, step, Walk, .parallelism = 2);
    fl_close_with(second, steps);
    fl_test_rows *rows = fl_test_sink(fl_side_output(steps, done), Walk);
    execute(env);
    check(rows);
    fl_env_free(env);
}

/* Watermarks made in the loop hide that it is empty: then the waiting time ends it. */
static void test_the_waiting_time_ends_a_loop(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 5; seed++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_test_simulate(env, .seed = seed, .start = 1000);
        fl_stream *loop = fl_iterate(numbers(env), fl_seconds(3));
        fl_stream *steps = fl_process(loop, step, Walk);
        fl_close_with(loop, fl_watermarks(steps, fl_monotonous_timestamps(), .timestamp = "now"));
        fl_test_rows *rows = fl_test_sink(fl_side_output(steps, done), Walk);
        execute(env);
        check(rows);
        fl_env_free(env);
    }
}

static void pass(const void *in, fl_collector *out, fl_context *ctx)
{
    assert_int_equal(fl_current_watermark(ctx) > 0, false);
    const Walk *w = in;
    assert_int_equal(fl_timestamp_of(ctx), w->start);
    step(in, out, ctx);
}

static void test_timestamps_go_around_and_event_time_stands_still(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *timed = fl_watermarks(numbers(env), fl_monotonous_timestamps(), .timestamp = "start");
    fl_stream *loop = fl_iterate(timed, fl_seconds(0));
    fl_stream *steps = fl_process(loop, pass, Walk);
    fl_close_with(loop, steps);
    fl_test_rows *rows = fl_test_sink(fl_side_output(steps, done), Walk);
    execute(env);
    check(rows);
    size_t count;
    const Walk *walks = fl_test_get(rows, &count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fl_test_timestamp(rows, i), walks[i].start);
    fl_env_free(env);
}

static void break_off(const void *in, fl_collector *out, fl_context *ctx)
{
    step(in, out, ctx);
    if (((const Walk *)in)->now == 160)
        fl_fail(ctx, "enough");
}

static void test_a_failure_in_the_loop_ends_the_job(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *loop = fl_iterate(numbers(env), fl_seconds(0));
    fl_stream *steps = fl_process(loop, break_off, Walk);
    fl_close_with(loop, steps);
    fl_discard(fl_side_output(steps, done));
    assert_int_equal(fl_execute(env, "test"), FL_ERROR_USER);
    assert_non_null(strstr(fl_env_error(env), "enough"));
    fl_env_free(env);
}

static void test_misuse_says_what_and_where(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_stream *in = numbers(env), *ints = fl_from_elements(env, int64_t, 1, 2);
        fl_stream *loop = i == 0 ? NULL : fl_iterate(in, fl_seconds(0));
        fl_stream *steps = i == 0 ? NULL : fl_process(loop, step, Walk);
        const char *message = NULL;
        switch (i) {
        case 0:
            fl_iterate(in, fl_milliseconds(-1));
            message = "the waiting time is -1 ms; it must not be negative";
            break;
        case 1:
            fl_close_with(in, steps);
            message = "the first stream is no iteration";
            break;
        case 2:
            fl_close_with(loop, ints);
            message = "the feedback is of type int64_t, but the iteration is of Walk";
            break;
        case 3:
            fl_close_with(loop, steps);
            fl_close_with(loop, steps);
            message = "the iteration is closed already";
            break;
        case 4:
            fl_close_with(loop, fl_process(loop, step, Walk, .parallelism = 3, .name = "wide"));
            message =
                "the feedback has parallelism 3, the iteration 1; give wide .parallelism = 1, or put fl_rebalance";
            break;
        case 5:
            fl_discard(steps);
            message = "the iteration has no feedback: name the stream that goes back into it with fl_close_with";
            break;
        case 6:
            fl_set(env, "execution.checkpointing.interval", "1 s");
            fl_close_with(loop, steps);
            message = "records that go around in an iteration are not written";
            break;
        default:
            fl_set(env, "execution.runtime-mode", "BATCH");
            fl_close_with(loop, steps);
            message = "records go around in an iteration";
        }
        assert_int_equal(fl_execute(env, "test"), FL_ERROR_INVALID);
        if (!strstr(fl_env_error(env), message) || !strstr(fl_env_error(env), "test_iterate.c:"))
            fail_msg("\"%s\" does not say \"%s\" and where", fl_env_error(env), message);
        fl_env_free(env);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_loop_ends_when_nothing_goes_around),
        cmocka_unit_test(test_much_feedback_does_not_block_the_loop),
        cmocka_unit_test(test_an_empty_loop_and_two_loops),
        cmocka_unit_test(test_the_waiting_time_ends_a_loop),
        cmocka_unit_test(test_timestamps_go_around_and_event_time_stands_still),
        cmocka_unit_test(test_a_failure_in_the_loop_ends_the_job),
        cmocka_unit_test(test_misuse_says_what_and_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
