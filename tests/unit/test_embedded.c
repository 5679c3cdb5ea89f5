/* Jobs with threads: parking, cancelling, failing, results. */
#include <flinc.h>
#include <flinc/testing.h>

#include "api/api.h"
#include "cluster/job.h"
#include "os/thread.h"
#include "os/virtual.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static void pass(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect_row(out, in);
}

/* ---- parked tasks do nothing ---- */

static _Atomic int polls;
static _Atomic bool may_end;

static fl_status silent(fl__operator *op)
{
    (void)op;
    atomic_fetch_add(&polls, 1);
    return atomic_load(&may_end) ? FL_DONE : FL_AGAIN;
}

static fl_status flood(fl__operator *op)
{
    for (int i = 0; i < 1000; i++)
        fl__emit(&op->out, &(int64_t){ i }, FL_NO_TIMESTAMP);
    return FL_OK;
}

static const fl__operator_class silent_class = { .kind = "Silent", .size = sizeof(fl__operator), .poll = silent };
static const fl__operator_class flood_class = { .kind = "Flood", .size = sizeof(fl__operator), .poll = flood };

static fl_stream *add_source(fl_env *env, const fl__operator_class *class)
{
    return fl__add_source_operator(env,
        &(fl__new_operator){ .class = class, .out = FL_TYPE(int64_t), .options = &(fl_options){ .where = FL_HERE } });
}

typedef struct runner {
    fl_env *env;
    int status;
    _Atomic bool is_over;
} runner;

static void execute(void *arg)
{
    runner *r = arg;
    r->status = fl_execute(r->env, "in a thread");
    atomic_store(&r->is_over, true);
}

/* Steps are counted, not time: polls of the source, on a machine as loaded as it likes to be. */
static void test_silence(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    atomic_store(&polls, 0);
    atomic_store(&may_end, false);
    fl_test_sink(
        fl_map(fl_rebalance(add_source(env, &silent_class)), pass, int64_t), int64_t, .chaining = FL_CHAIN_NEVER);
    runner r = { .env = env };
    fl__thread thread = { 0 };
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__thread_start(&thread, "job", execute, &r, &error), FL_OK);
    while (atomic_load(&polls) < 4) /* two sources, each before and after it announced its nap */
        usleep(1000);
    usleep(100 * 1000);
    int before = atomic_load(&polls);
    usleep(300 * 1000);
    assert_int_equal(atomic_load(&polls), before);
    assert_true(before <= 8);
    fl__env_cancel(env);
    fl__thread_join(&thread);
    assert_int_equal(r.status, FL_ERROR_CANCELLED);
    fl_env_free(env);
}

/* A blocked task waits for room, whatever its timers and its buffer timeout say. */
static fl_time no_time(const void *in, fl_time previous, fl_context *ctx)
{
    (void)in, (void)ctx;
    return previous;
}

static void test_blocked_task_has_no_deadline(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *s =
        fl_watermarks(add_source(env, &flood_class), fl_monotonous_timestamps(), .timestamp_function = no_time);
    fl_test_sink(fl_rebalance(s), int64_t);
    assert_int_equal(fl__graph_chain(&env->graph), FL_OK);
    fl__virtual_os os;
    fl__virtual_os_init(&os, 1000, 0);
    fl__job job;
    fl__job_build(&job, env, &os.os);
    fl__task *source = &job.tasks[0];
    assert_int_equal(fl__task_open(source), FL_OK);
    fl__step step = FL__STEP_PROGRESS;
    for (int i = 0; i < 1000 && step == FL__STEP_PROGRESS; i++)
        step = fl__task_step(source); /* nobody reads */
    assert_int_equal(step, FL__STEP_BLOCKED);
    os.now_ms += 3600 * 1000;
    assert_int_equal(fl__task_step(source), FL__STEP_BLOCKED);
    assert_true(fl__task_deadline(source) == FL_TIME_MAX);
    fl__task_close(source);
    fl__job_release(&job);
    fl_env_free(env);
}

/* ---- cancelling ---- */

static _Atomic bool may_go_on;
static _Atomic int reached;

static void wait_for_go(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    atomic_fetch_add(&reached, 1);
    while (!atomic_load(&may_go_on) && fl_running(ctx))
        usleep(1000);
}

/* The source is blocked on a full channel, the map behind it is in the user's function. */
static void test_cancel_when_blocked(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    atomic_store(&may_go_on, false);
    atomic_store(&reached, 0);
    fl_test_sink(fl_flat_map(fl_rebalance(add_source(env, &flood_class)), wait_for_go, int64_t), int64_t);
    runner r = { .env = env };
    fl__thread thread = { 0 };
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__thread_start(&thread, "job", execute, &r, &error), FL_OK);
    while (!atomic_load(&reached))
        usleep(1000);
    fl__progress progress, later;
    do { /* until the source cannot go on */
        fl__env_progress(env, &progress);
        usleep(50 * 1000);
        fl__env_progress(env, &later);
    } while (progress.records_in != later.records_in || progress.records_in == 0);
    assert_true(later.is_running);
    fl__env_cancel(env);
    fl__thread_join(&thread);
    assert_int_equal(r.status, FL_ERROR_CANCELLED);
    assert_string_equal(fl_env_error(env), "cancelled");
    fl__env_progress(env, &later);
    assert_false(later.is_running);
    fl_env_free(env);
}

static void test_cancelled_before_it_runs(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_test_sink(add_source(env, &flood_class), int64_t);
    fl__env_cancel(env);
    assert_int_equal(fl_execute(env, "never"), FL_ERROR_CANCELLED);
    fl_env_free(env);
}

/* ---- life cycle, failures, results ---- */

typedef struct Self {
    int opened, closed, seen;
} Self;

static _Atomic int opens, closes, wrong;

static void on_open(fl_context *ctx)
{
    Self *self = fl_self(ctx);
    atomic_fetch_add(&opens, 1);
    if (self->opened++ || self->seen || fl_parallelism(ctx) != 3 || fl_attempt(ctx) != 0 ||
        fl_max_parallelism(ctx) != 128 || fl_arg(ctx) != &opens)
        atomic_fetch_add(&wrong, 1);
    fl_metric_counter(ctx, "seen");
}

static void on_close(fl_context *ctx)
{
    atomic_fetch_add(&closes, 1);
    if (((Self *)fl_self(ctx))->closed++)
        atomic_fetch_add(&wrong, 1);
}

static void count(const void *in, fl_collector *out, fl_context *ctx)
{
    char name[32];
    snprintf(name, sizeof name, "count (%d/3)", fl_subtask_index(ctx) + 1);
    if (strcmp(name, fl_task_name(ctx)) != 0)
        atomic_fetch_add(&wrong, 1);
    ((Self *)fl_self(ctx))->seen++;
    fl_count(fl_metric_counter(ctx, "seen"), 1);
    fl_accumulate(ctx, "records", 1);
    fl_accumulate_double(ctx, "half", 0.5);
    fl_collect_row(out, in);
}

static int found;

static void note_accumulator(const char *name, bool is_double, int64_t i, double d, void *arg)
{
    (void)arg;
    found += strcmp(name, "records") == 0 && !is_double && i == 30;
    found += strcmp(name, "half") == 0 && is_double && d == 15;
}

static void test_results(void **state)
{
    (void)state;
    atomic_store(&opens, 0);
    atomic_store(&closes, 0);
    atomic_store(&wrong, 0);
    fl_env *env = fl_env_new(0, NULL);
    int64_t numbers[30] = { 0 };
    fl_stream *s = fl_map(fl_test_source(env, int64_t, numbers, 30), count, int64_t, .name = "count", .parallelism = 3,
        .open = on_open, .close = on_close, .instance_size = sizeof(Self), .arg = &opens);
    fl_test_sink(s, int64_t);
    assert_int_equal(fl_execute(env, "results"), 0);
    assert_int_equal(atomic_load(&opens), 3);
    assert_int_equal(atomic_load(&closes), 3);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_int_equal(fl_result_accumulator(env, "records"), 30);
    assert_true(fl_result_accumulator_double(env, "half") == 15);
    assert_int_equal(fl_result_accumulator(env, "half"), 15);
    assert_int_equal(fl_result_accumulator(env, "none"), 0);
    assert_true(fl_result_accumulator_double(env, "none") == 0);
    assert_int_equal(fl_result_records_in(env), 30);
    assert_int_equal(fl_result_records_out(env), 30);
    assert_true(fl_result_runtime_ms(env) >= 0);
    found = 0;
    fl__env_accumulators(env, note_accumulator, NULL);
    assert_int_equal(found, 2);
    fl_env_free(env);
}

static void fail_open(fl_context *ctx)
{
    if (fl_subtask_index(ctx) == 1)
        fl_fail(ctx, "no luck in subtask %d", fl_subtask_index(ctx));
}

static void fail_close(fl_context *ctx)
{
    fl_fail(ctx, "cannot close");
}

/* One task fails, the others never end by themselves: the job ends, with the failure as its error. */
static void test_failures(void **state)
{
    (void)state;
    for (int simulated = 0; simulated < 2; simulated++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_stream *s =
            fl_map(fl_rebalance(add_source(env, &flood_class)), pass, int64_t, .parallelism = 2, .open = fail_open);
        fl_test_sink(s, int64_t);
        if (simulated)
            fl_test_simulate(env, .seed = 1);
        assert_int_equal(fl_execute(env, "fails in open"), FL_ERROR_USER);
        assert_non_null(strstr(fl_env_error(env), "Map (2/2): no luck in subtask 1"));
        assert_non_null(strstr(fl_env_error(env), "test_embedded.c:"));
        fl_env_free(env);
    }
    for (int simulated = 0; simulated < 2; simulated++) {
        fl_env *env = fl_env_new(0, NULL);
        int64_t one = 1;
        fl_test_sink(fl_map(fl_test_source(env, int64_t, &one, 1), pass, int64_t, .close = fail_close), int64_t);
        if (simulated)
            fl_test_simulate(env, .seed = 1);
        assert_int_equal(fl_execute(env, "fails in close"), FL_ERROR_USER);
        assert_non_null(strstr(fl_env_error(env), "cannot close"));
        fl_env_free(env);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_blocked_task_has_no_deadline),
        cmocka_unit_test(test_cancel_when_blocked),
        cmocka_unit_test(test_cancelled_before_it_runs),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
