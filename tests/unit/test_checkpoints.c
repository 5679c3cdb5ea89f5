/* Checkpoints end to end: jobs that are killed, or fail, come to the results of jobs that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "cluster/job.h"
#include "flinc.h"
#include "scratch.h"

enum { KEYS = 7, NUMBERS = 3000 };

typedef struct Count {
    int64_t key, count, sum;
} Count;
FL_ROW(Count, key, count, sum);

FL_VALUE_STATE(counted, Count);

static _Atomic int64_t highest_count[KEYS], sum_at_highest[KEYS];

static void key_of(const void *in, void *key, fl_context *ctx)
{
    (void)ctx;
    *(int64_t *)key = *(const int64_t *)in % KEYS;
}

static void count(const void *in, fl_collector *out, fl_context *ctx)
{
    int64_t n = *(const int64_t *)in;
    Count *c = fl_value(ctx, counted);
    c->key = *(const int64_t *)fl_current_key(ctx);
    c->count++;
    c->sum += n;
    fl_collect(out, c);
}

/* As above, and half of the sums are kept by a rolling aggregation. */
static void note(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out, (void)ctx;
    const Count *c = in;
    int64_t seen = atomic_load(&highest_count[c->key]);
    while (c->count > seen && !atomic_compare_exchange_weak(&highest_count[c->key], &seen, c->count))
        ;
    if (c->count > seen)
        atomic_store(&sum_at_highest[c->key], c->sum);
}

static void forget(void)
{
    for (int k = 0; k < KEYS; k++)
        highest_count[k] = sum_at_highest[k] = 0;
}

/* Each number was counted once, whatever happened on the way. */
static void check_totals(void)
{
    for (int64_t k = 0; k < KEYS; k++) {
        int64_t n = 0, sum = 0;
        for (int64_t i = 1; i <= NUMBERS; i++) {
            n += i % KEYS == k;
            sum += i % KEYS == k ? i : 0;
        }
        assert_int_equal(highest_count[k], n);
        assert_int_equal(sum_at_highest[k], sum);
    }
}

static fl_env *counting_job(int parallelism)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, parallelism);
    fl_set(env, "execution.checkpointing.interval", "3 ms");
    fl_stream *numbers = fl_sequence(env, 1, NUMBERS);
    fl_stream *counts = fl_process(fl_key_by_function(numbers, key_of, int64_t), count, Count, .states = { &counted });
    fl_add_sink(counts, note, .name = "note");
    return env;
}

static uint64_t run_killed(uint64_t seed, uint32_t *kills, uint32_t *restores)
{
    forget();
    fl_env *env = counting_job(1 + (int)(seed % 3));
    fl__simulation simulation = { .seed = seed, .channel_capacity = 2, .segment_size = 256, .kill_every = 700 };
    env->simulation = &simulation;
    if (fl_execute(env, "killed") != 0)
        fail_msg("seed %d: %s", (int)seed, fl_env_error(env));
    *kills += simulation.kills;
    *restores += simulation.restores;
    fl_env_free(env);
    check_totals();
    return simulation.trace;
}

static void test_killed_jobs_come_to_the_same_result(void **state)
{
    (void)state;
    uint32_t kills = 0, restores = 0;
    for (uint64_t seed = 1; seed <= 100; seed++)
        run_killed(seed, &kills, &restores);
    assert_true(kills > 100);
    assert_true(restores > kills / 2);
}

static void test_a_seed_gives_the_same_kills_and_steps(void **state)
{
    (void)state;
    uint32_t kills = 0, restores = 0;
    for (uint64_t seed = 1; seed <= 10; seed++)
        assert_true(run_killed(seed, &kills, &restores) == run_killed(seed, &kills, &restores));
}

/* ---- with threads ---- */

static _Atomic int failures_left;

/* Fails at a number that comes late, when a checkpoint was restored from or none was taken yet. */
static void count_and_fail(const void *in, fl_collector *out, fl_context *ctx)
{
    if (*(const int64_t *)in > NUMBERS / 2 && atomic_fetch_sub(&failures_left, 1) > 0) {
        fl_fail(ctx, "on purpose");
        return;
    }
    count(in, out, ctx);
}

static fl_env *failing_job(const char *strategy, int failures)
{
    forget();
    atomic_store(&failures_left, failures);
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_set(env, "execution.checkpointing.interval", "1 ms");
    if (strategy)
        fl_set(env, "restart-strategy.type", strategy);
    fl_set(env, "restart-strategy.fixed-delay.attempts", "3");
    fl_set(env, "restart-strategy.fixed-delay.delay", "1 ms");
    fl_set(env, "restart-strategy.exponential-delay.initial-backoff", "1 ms");
    fl_stream *numbers = fl_sequence(env, 1, NUMBERS);
    fl_stream *counts =
        fl_process(fl_key_by_function(numbers, key_of, int64_t), count_and_fail, Count, .states = { &counted });
    fl_add_sink(counts, note, .name = "note");
    return env;
}

static void test_a_failed_job_is_restarted(void **state)
{
    (void)state;
    static const char *const strategies[] = { "fixed-delay", "exponential-delay", NULL };
    for (size_t i = 0; i < sizeof strategies / sizeof strategies[0]; i++) {
        fl_env *env = failing_job(strategies[i], 3);
        if (fl_execute(env, "fails") != 0)
            fail_msg("%s", fl_env_error(env));
        fl_env_free(env);
        check_totals();
    }
}

static void expect_failure(fl_env *env, const char *text)
{
    assert_int_not_equal(fl_execute(env, "fails"), 0);
    if (!strstr(fl_env_error(env), text))
        fail_msg("\"%s\" is not in: %s", text, fl_env_error(env));
    fl_env_free(env);
}

static void test_restarts_are_used_up(void **state)
{
    (void)state;
    expect_failure(failing_job("fixed-delay", 1000), "restart-strategy.fixed-delay.attempts are used up");
    expect_failure(failing_job("none", 1000), "on purpose");
    expect_failure(failing_job("failure-rate", 1000), "more than 1 failures within 60000 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_jobs_come_to_the_same_result),
        cmocka_unit_test(test_a_seed_gives_the_same_kills_and_steps),
        cmocka_unit_test(test_a_failed_job_is_restarted),
        cmocka_unit_test(test_restarts_are_used_up),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
