/* Jobs in the background, and results that come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "flinc.h"
#include "flinc/testing.h"

typedef struct {
    fl_string name;
    int64_t n;
} Named;
FL_ROW(Named, name, n);

static void name_it(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    int64_t n = *(const int64_t *)in;
    char text[200];
    int length = snprintf(text, sizeof text, "number %lld%.*s", (long long)n, (int)(n % 100),
        "----------------------------------------------------------------------------------------------------");
    fl_collect(out, &(Named){ fl_string_of(text, (size_t)length), n });
    fl_accumulate(ctx, "named", 1);
}

static void count_it(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    fl_accumulate(ctx, "seen", 1);
    fl_accumulate_double(ctx, "half", 0.5);
}

static void three_fails(const void *in, fl_collector *out, fl_context *ctx)
{
    if (*(const int64_t *)in == 3)
        fl_fail(ctx, "three is too many");
    else
        fl_collect_row(out, in);
}

/* ---- results ---- */

static void test_all_results(void **state)
{
    (void)state;
    for (int p = 1; p <= 3; p++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set_parallelism(env, p);
        fl_results *results = fl_execute_and_collect(fl_map(fl_sequence(env, 1, 50000), name_it, Named), "Names");
        int64_t sum = 0, count = 0;
        for (const Named *row; (row = fl_results_next(results)) != NULL; count++) {
            char text[32];
            int length = snprintf(text, sizeof text, "number %lld", (long long)row->n);
            assert_memory_equal(fl_string_data(&row->name), text, (size_t)length);
            assert_int_equal(fl_string_length(row->name), length + row->n % 100);
            if (p == 1)
                assert_int_equal(row->n, count + 1);
            sum += row->n;
        }
        assert_int_equal(count, 50000);
        assert_int_equal(sum, INT64_C(50000) * 50001 / 2);
        assert_null(fl_results_next(results));
        assert_int_equal(fl_result_accumulator(env, "named"), 50000);
        assert_int_equal(fl_results_close(results), 0);
        assert_int_equal(fl_results_close(results), 0);
        fl_env_free(env);
    }
}

static void test_a_stream_without_end(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_results *results = fl_execute_and_collect(fl_generate(env, name_it, Named), "Names");
    for (int64_t i = 0; i < 30000; i++) {
        const Named *row = fl_results_next(results);
        assert_non_null(row);
        assert_int_equal(row->n, i);
    }
    assert_int_equal(fl_results_close(results), 0);
    assert_null(fl_results_next(results));
    assert_string_equal(fl_env_error(env), "");

    /* and the environment is there for another job */
    size_t count;
    const int64_t *rows = fl_execute_and_collect_up_to(fl_sequence(env, 1, 5), "Numbers", 3, &count);
    assert_int_equal(count, 3);
    assert_int_equal(rows[2], 3);
    fl_env_free(env);
}

/* What nobody reads does not pile up. */
static void test_backpressure(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_results *results = fl_collect_async(fl_generate(env, name_it, Named));
    const fl_job_client *client = fl_execute_async(env, "Names");
    assert_non_null(fl_results_next(results));
    int64_t before = -1;
    for (int quiet = 0; quiet < 1000000; quiet++) { /* until it seems to stand still */
        int64_t now = fl_job_client_accumulator(client, "named");
        quiet = now == before ? quiet : 0;
        before = now;
    }
    assert_int_equal(fl_results_close(results), 0);
    assert_true(fl_result_accumulator(env, "named") < 100000);
    fl_env_free(env);
}

static void test_limit(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    size_t count = 7;
    const Named *rows = fl_execute_and_collect_up_to(fl_generate(env, name_it, Named), "Names", 1000, &count);
    assert_int_equal(count, 1000);
    for (int64_t i = 0; i < 1000; i++) {
        assert_int_equal(rows[i].n, i);
        assert_memory_equal(fl_string_data(&rows[i].name), "number ", 7);
    }
    rows = fl_execute_and_collect_up_to(fl_map(fl_sequence(env, 1, 3), name_it, Named), "Few", 1000, &count);
    assert_int_equal(count, 3);
    assert_non_null(rows);
    const int64_t *none =
        fl_execute_and_collect_up_to(fl_from_collection(env, int64_t, (const int64_t *)NULL, 0), "None", 10, &count);
    assert_null(none);
    assert_int_equal(count, 0);
    assert_string_equal(fl_env_error(env), "");
    assert_null(fl_execute_and_collect_up_to(fl_sequence(env, 1, 3), "Wrong", 0, &count));
    assert_non_null(strstr(fl_env_error(env), "test_client.c:"));
    assert_non_null(strstr(fl_env_error(env), "the limit is 0; it must be at least 1"));
    fl_env_free(env);
}

static void test_failures(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_results *results = fl_execute_and_collect(fl_flat_map(fl_sequence(env, 1, 9), three_fails, int64_t), "Fails");
    while (fl_results_next(results))
        continue;
    assert_non_null(strstr(fl_env_error(env), "three is too many"));
    assert_int_equal(fl_results_close(results), FL_ERROR_USER);
    fl_env_free(env);

    env = fl_env_new(0, NULL);
    size_t count;
    assert_null(
        fl_execute_and_collect_up_to(fl_flat_map(fl_sequence(env, 1, 9), three_fails, int64_t), "Fails", 100, &count));
    assert_int_equal(count, 0);
    assert_non_null(strstr(fl_env_error(env), "three is too many"));
    fl_env_free(env);

    env = fl_env_new(0, NULL); /* a graph that was wrong already */
    results = fl_execute_and_collect(fl_map(fl_sequence(env, 1, 9), NULL, int64_t), "Wrong");
    assert_null(fl_results_next(results));
    assert_int_equal(fl_results_close(results), FL_ERROR_INVALID);
    assert_non_null(strstr(fl_env_error(env), "the function is NULL"));
    fl_env_free(env);

    env = fl_env_new(0, NULL); /* not executed */
    results = fl_collect_async(fl_sequence(env, 1, 9));
    assert_null(fl_results_next(results));
    fl_env_free(env);
}

/* ---- several results of one job ---- */

static bool is_even(const void *in, fl_context *ctx)
{
    (void)ctx;
    return *(const int64_t *)in % 2 == 0;
}

static void test_several_results(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *numbers = fl_sequence(env, 1, 1000);
    fl_results *all = fl_collect_async(numbers), *even = fl_collect_async(fl_filter(numbers, is_even));
    fl_job_client *client = fl_execute_async(env, "Both");
    for (int64_t i = 1; i <= 1000; i++) {
        assert_int_equal(*(const int64_t *)fl_results_next(all), i);
        if (i % 2 == 0)
            assert_int_equal(*(const int64_t *)fl_results_next(even), i);
    }
    assert_null(fl_results_next(all));
    assert_null(fl_results_next(even));
    assert_int_equal(fl_job_client_wait(client), 0);
    fl_env_free(env);

    /* one is given up: the job goes on for the other */
    env = fl_env_new(0, NULL);
    numbers = fl_sequence(env, 1, 1000000);
    all = fl_collect_async(numbers);
    even = fl_collect_async(fl_filter(numbers, is_even));
    client = fl_execute_async(env, "Both");
    assert_int_equal(fl_results_close(even), 0);
    int64_t count = 0;
    while (fl_results_next(all))
        count++;
    assert_int_equal(count, 1000000);
    assert_int_equal(fl_job_client_wait(client), 0);
    assert_int_equal(fl_job_client_status(client), FL_JOB_FINISHED);
    fl_env_free(env);

    env = fl_env_new(0, NULL);
    fl_collect_async(fl_sequence(env, 1, 5));
    assert_int_equal(fl_execute(env, "Nobody reads"), FL_ERROR_INVALID);
    assert_non_null(strstr(fl_env_error(env), "use fl_execute_async"));
    fl_env_free(env);
}

/* ---- the client ---- */

static void test_client(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_generate(env, name_it, Named), count_it);
    fl_job_client *client = fl_execute_async(env, "Endless");
    assert_string_equal(fl_job_status_name(fl_job_client_status(client)), "RUNNING");
    while (fl_job_client_accumulator(client, "seen") < 1000) /* it runs, and can be watched */
        continue;
    assert_true(fl_job_client_accumulator_double(client, "half") >= 500);
    assert_int_equal(fl_job_client_accumulator(client, "no such one"), 0);

    /* one job at a time */
    assert_int_equal(fl_execute(env, "Another"), FL_ERROR_INVALID);
    assert_non_null(strstr(fl_env_error(env), "job \"Endless\" of this environment is still running"));

    fl_job_client_cancel(client);
    fl_job_client_cancel(client);
    assert_int_equal(fl_job_client_wait(client), FL_ERROR_CANCELLED);
    assert_int_equal(fl_job_client_wait(client), FL_ERROR_CANCELLED);
    assert_string_equal(fl_job_status_name(fl_job_client_status(client)), "CANCELED");
    assert_int_equal(fl_job_client_accumulator(client, "seen"), fl_result_accumulator(env, "seen"));
    assert_true(fl_job_client_accumulator_double(client, "half") >= 500);
    fl_env_free(env);
}

static void test_building_while_running(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_discard(fl_generate(env, name_it, Named));
    fl_execute_async(env, "Endless");
    fl_discard(fl_sequence(env, 1, 3));
    assert_non_null(strstr(fl_env_error(env), "test_client.c:"));
    assert_non_null(strstr(fl_env_error(env), "is still running"));
    fl_env_free(env); /* cancels it */

    env = fl_env_new(0, NULL);
    fl_discard(fl_generate(env, name_it, Named));
    fl_execute_async(env, "Endless");
    fl_set(env, "parallelism.default", "3");
    assert_non_null(strstr(fl_env_error(env), "set parallelism.default before it is executed"));
    fl_env_free(env);
}

static void test_ends(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_discard(fl_sequence(env, 1, 3));
    fl_job_client *client = fl_execute_async(env, "Short");
    assert_int_equal(fl_job_client_wait(client), 0);
    assert_string_equal(fl_job_status_name(fl_job_client_status(client)), "FINISHED");
    assert_int_equal(fl_result_records_in(env), 3);
    fl_job_client_cancel(client); /* too late: nothing */
    assert_string_equal(fl_job_status_name(fl_job_client_status(client)), "FINISHED");
    fl_discard(fl_flat_map(fl_sequence(env, 1, 9), three_fails, int64_t));
    client = fl_execute_async(env, "Fails");
    assert_int_equal(fl_job_client_wait(client), FL_ERROR_USER);
    assert_string_equal(fl_job_status_name(fl_job_client_status(client)), "FAILED");
    fl_env_free(env);

    env = fl_env_new(0, NULL);
    client = fl_execute_async(env, "Nothing");
    assert_int_equal(fl_job_client_status(client), FL_JOB_FAILED);
    assert_int_equal(fl_job_client_wait(client), FL_ERROR_INVALID);
    fl_env_free(env);
}

/* A simulated job gives its results back as well. */
static void test_simulated(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_test_simulate(env, .seed = 3);
    fl_results *results = fl_execute_and_collect(fl_rebalance(fl_sequence(env, 1, 300000)), "Simulated");
    int64_t count = 0;
    while (fl_results_next(results))
        count++;
    assert_int_equal(count, 300000);
    assert_int_equal(fl_results_close(results), 0);
    fl_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_results),
        cmocka_unit_test(test_a_stream_without_end),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_several_results),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_building_while_running),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_simulated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
