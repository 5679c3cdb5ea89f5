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

/* The highest count of each key, with its sum: what came last, however often it came. */
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

/* ---- killed at random steps ---- */

/* Jobs that count NUMBERS numbers by key, each in another way. */
static fl_stream *by_process(fl_stream *numbers)
{
    return fl_process(fl_key_by_function(numbers, key_of, int64_t), count, Count, .states = { &counted });
}

static void to_count(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    int64_t n = *(const int64_t *)in;
    fl_collect(out, &(Count){ n % KEYS, 1, n });
}

static void add_count(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Count *)value)->count += ((const Count *)in)->count;
    ((Count *)value)->sum += ((const Count *)in)->sum;
}

static fl_stream *by_reduce(fl_stream *numbers)
{
    return fl_reduce(fl_key_by(fl_map(numbers, to_count, Count), "key"), add_count);
}

static fl_time time_of(const void *in, fl_time previous, fl_context *ctx)
{
    (void)previous, (void)ctx;
    return ((const Count *)in)->sum; /* the number itself */
}

static void gather(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    Count total = { 0 };
    fl_each(const Count *, c, in) total = (Count){ c->key, total.count + c->count, total.sum + c->sum };
    fl_collect(out, &total);
}

/* Windows as long as all numbers, one of 100, and lists; what is counted again on top of them is what was in them. */
static fl_stream *by_windows(fl_stream *numbers)
{
    fl_stream *timed = fl_watermarks(fl_map(numbers, to_count, Count),
        fl_bounded_out_of_orderness(fl_milliseconds(NUMBERS)), .timestamp_function = time_of);
    fl_stream *windows = fl_window(fl_key_by(timed, "key"), fl_tumbling_event_time(fl_milliseconds(100)));
    return fl_reduce(fl_key_by(fl_reduce(windows, add_count), "key"), add_count);
}

static fl_stream *by_lists(fl_stream *numbers)
{
    fl_stream *timed = fl_watermarks(fl_map(numbers, to_count, Count),
        fl_bounded_out_of_orderness(fl_milliseconds(NUMBERS)), .timestamp_function = time_of);
    fl_stream *windows = fl_window(fl_key_by(timed, "key"), fl_tumbling_event_time(fl_milliseconds(500)));
    return fl_reduce(fl_key_by(fl_window_apply(windows, gather, Count), "key"), add_count);
}

/* Nothing is out of order within a subtask, and within a file: nothing may be late, after a restore neither. */
static fl_stream *by_time(fl_stream *numbers)
{
    fl_stream *timed =
        fl_watermarks(fl_map(numbers, to_count, Count), fl_monotonous_timestamps(), .timestamp_function = time_of);
    fl_stream *windows = fl_window(fl_key_by(timed, "key"), fl_tumbling_event_time(fl_milliseconds(100)));
    return fl_reduce(fl_key_by(fl_reduce(windows, add_count), "key"), add_count);
}

static void take_left(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const fl_pair *pair = in;
    fl_collect(out, (const Count *)pair->left);
}

/* Each number with itself: one of the two has often come before a restart, the other comes after it. */
static fl_stream *by_join(fl_stream *numbers)
{
    fl_stream *timed = fl_watermarks(fl_map(numbers, to_count, Count),
        fl_bounded_out_of_orderness(fl_milliseconds(NUMBERS)), .timestamp_function = time_of);
    fl_stream *joined = fl_interval_join(fl_key_by(timed, "key"), fl_key_by(fl_rebalance(timed), "key"),
        fl_milliseconds(0), fl_milliseconds(0), take_left, Count, .kind = FL_JOIN_RIGHT);
    return fl_reduce(fl_key_by(joined, "key"), add_count);
}

static fl_stream *from_sequence(fl_env *env)
{
    return fl_sequence(env, 1, NUMBERS);
}

static void next_number(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect(out, &(int64_t){ *(const int64_t *)in + 1 });
}

static fl_stream *from_generator(fl_env *env)
{
    return fl_generate(env, next_number, int64_t, .count = NUMBERS);
}

static fl_stream *from_collection(fl_env *env)
{
    static int64_t numbers[NUMBERS];
    for (int64_t i = 0; i < NUMBERS; i++)
        numbers[i] = i + 1;
    return fl_from_collection(env, int64_t, numbers, NUMBERS);
}

static void parse(const void *in, fl_collector *out, fl_context *ctx)
{
    int64_t n;
    if (!fl_string_to_int(in, &n))
        fl_fail(ctx, "not a number: %.*s", FL_STR(*(const fl_string *)in));
    else
        fl_collect(out, &n);
}

/* Three files, one of them packed, all but that in many splits. */
static fl_stream *from_files(fl_env *env)
{
    static bool are_there;
    if (!are_there) {
        are_there = true;
        scratch_mkdir("numbers");
        for (int64_t i = 1; i <= NUMBERS; i++) {
            char line[32], name[32];
            snprintf(line, sizeof line, "%d\n", (int)i);
            snprintf(name, sizeof name, "numbers/%c", "abc"[i % 3]);
            scratch_append(name, line);
        }
        char command[256];
        snprintf(command, sizeof command, "gzip %s", scratch("numbers/c"));
        assert_int_equal(system(command), 0);
    }
    return fl_map(fl_read_text(env, scratch("numbers"), .split_bytes = 512), parse, int64_t);
}

/* One file in many splits, which the subtasks read together. */
static fl_stream *from_one_file(fl_env *env)
{
    static bool is_there;
    if (!is_there) {
        is_there = true;
        for (int64_t i = 1; i <= NUMBERS; i++) {
            char line[32];
            snprintf(line, sizeof line, "%d\n", (int)i);
            scratch_append("all", line);
        }
    }
    return fl_map(fl_read_text(env, scratch("all"), .split_bytes = 256), parse, int64_t);
}

typedef fl_stream *(*source_fn)(fl_env *);
typedef fl_stream *(*job_fn)(fl_stream *);
static const source_fn sources[] = { from_sequence, from_generator, from_collection, from_files, from_one_file };
static const job_fn jobs[] = { by_process, by_reduce, by_windows, by_lists, by_time };
enum { SOURCES = sizeof sources / sizeof sources[0], JOBS = sizeof jobs / sizeof jobs[0] };

static uint64_t run_job(uint64_t seed, job_fn job, uint32_t *kills, uint32_t *restores)
{
    forget();
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 1 + (int)(seed % 3));
    fl_set(env, "execution.checkpointing.interval", "1 ms");
    fl_set(env, "restart-strategy.type", "none"); /* but for kills */
    fl_set(env, "flinc.watermark.every-records", "40");
    fl_add_sink(job(sources[seed % SOURCES](env)), note, .name = "note");
    fl__simulation simulation = { .seed = seed, .channel_capacity = 2, .segment_size = 256, .kill_every = 1200 };
    env->simulation = &simulation;
    if (fl_execute(env, "killed") != 0)
        fail_msg("seed %d: %s", (int)seed, fl_env_error(env));
    *kills += simulation.kills;
    *restores += simulation.restores;
    fl_env_free(env);
    check_totals();
    return simulation.trace;
}

static uint64_t run_killed(uint64_t seed, uint32_t *kills, uint32_t *restores)
{
    return run_job(seed, jobs[seed / SOURCES % JOBS], kills, restores);
}

static void test_killed_joins_come_to_the_same_result(void **state)
{
    (void)state;
    uint32_t kills = 0, restores = 0;
    for (uint64_t seed = 0; seed < 6; seed++)
        run_job(seed, by_join, &kills, &restores);
    assert_true(restores > 0);
}

static void test_killed_jobs_come_to_the_same_result(void **state)
{
    (void)state;
    uint32_t kills = 0, restores = 0;
    for (uint64_t seed = 1; seed <= 75; seed++)
        run_killed(seed, &kills, &restores);
    assert_true(kills > 50);
    assert_true(restores > kills / 4);
}

static void test_a_seed_gives_the_same_kills_and_steps(void **state)
{
    (void)state;
    uint32_t kills = 0, restores = 0;
    for (uint64_t seed = 0; seed < SOURCES * JOBS; seed++)
        assert_true(run_killed(seed, &kills, &restores) == run_killed(seed, &kills, &restores));
}

/* ---- exactly once, to the end ---- */

/* The lines of all finished files of a folder: each number once, and nothing unfinished. */
static void check_lines(const char *folder)
{
    static bool seen[NUMBERS + 1];
    char command[256], line[64];
    memset(seen, 0, sizeof seen);
    snprintf(command, sizeof command, "cat %s/part-*", folder);
    FILE *lines = popen(command, "r");
    assert_non_null(lines);
    int count = 0;
    for (; fgets(line, sizeof line, lines); count++) {
        int n = atoi(line);
        assert_in_range(n, 1, NUMBERS);
        if (seen[n])
            fail_msg("%d is there twice", n);
        seen[n] = true;
    }
    pclose(lines);
    assert_int_equal(count, NUMBERS);
}

static void test_files_hold_each_record_once(void **state)
{
    (void)state;
    uint32_t kills = 0, restores = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        char folder[64];
        snprintf(folder, sizeof folder, "sink-%d", (int)seed);
        fl_env *env = fl_env_new(0, NULL);
        fl_set_parallelism(env, 1 + (int)(seed % 3));
        fl_set(env, "execution.checkpointing.interval", "1 ms");
        fl_set(env, "restart-strategy.type", "none"); /* but for kills */
        fl_file_sink(fl_rebalance(sources[seed % SOURCES](env)), scratch(folder), FL_TEXT);
        fl__simulation simulation = { .seed = seed, .channel_capacity = 2, .segment_size = 256, .kill_every = 300 };
        env->simulation = &simulation;
        if (fl_execute(env, "killed") != 0)
            fail_msg("seed %d: %s", (int)seed, fl_env_error(env));
        kills += simulation.kills;
        restores += simulation.restores;
        fl_env_free(env);
        check_lines(scratch(folder));
    }
    assert_true(kills > 20 && restores > 10);
}

static void test_files_without_checkpoints(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_file_sink(from_sequence(env), scratch("plain"), FL_TEXT);
    assert_int_equal(fl_execute(env, "plain"), 0);
    fl_env_free(env);
    check_lines(scratch("plain"));
}

/* ---- with threads ---- */

static void test_threads_write_each_record_once(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_set(env, "execution.checkpointing.interval", "1 ms");
    fl_file_sink(fl_rebalance(from_files(env)), scratch("threads"), FL_TEXT);
    assert_int_equal(fl_execute(env, "threads"), 0);
    fl_env_free(env);
    check_lines(scratch("threads"));
}

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

/* ---- started from a checkpoint of another run ---- */

/* The newest checkpoint below the folder; "" without one. */
static const char *newest_checkpoint(const char *folder)
{
    static char path[512];
    char command[512];
    snprintf(command, sizeof command, "ls -d %s/*/chk-*/_metadata 2>/dev/null | sort -V | tail -n 1", folder);
    FILE *listing = popen(command, "r");
    assert_non_null(listing);
    path[0] = 0;
    if (fgets(path, sizeof path, listing))
        path[strcspn(path, "\n")] = 0;
    pclose(listing);
    return path;
}

/* Runs the variant's job up to so many steps; the checkpoint that it leaves, "" without one, or when it ended first. */
static const char *stop_at(uint64_t variant, uint64_t steps)
{
    char folder[64];
    snprintf(folder, sizeof folder, "checkpoints-%d-%d", (int)variant, (int)steps);
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_set(env, "execution.checkpointing.interval", "1 ms");
    fl_set(env, "execution.checkpointing.dir", scratch(folder));
    fl_set(env, "execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
    fl_set(env, "restart-strategy.type", "none");
    fl_add_sink(jobs[variant / SOURCES](sources[variant % SOURCES](env)), note, .name = "note");
    fl__simulation simulation = {
        .seed = variant ^ steps << 8, .channel_capacity = 2, .segment_size = 256, .stop_at = steps
    };
    env->simulation = &simulation;
    int status = fl_execute(env, "stopped");
    fl_env_free(env);
    if (steps >= 5000)
        fail_msg("variant %d: no checkpoint", (int)variant);
    return status == 0 ? "" : newest_checkpoint(scratch(folder));
}

/* A job that fails half way leaves a checkpoint; others, with another parallelism, go on from it. */
static void test_another_job_goes_on_from_a_checkpoint(void **state)
{
    (void)state;
    for (uint64_t variant = 0; variant < SOURCES * JOBS; variant++) {
        if (sources[variant % SOURCES] == from_one_file) /* read at one go: it ends before the clock moves */
            continue;
        if (jobs[variant / SOURCES] == by_time) /* another number of subtasks may get the numbers out of order */
            continue;
        forget();
        const char *path = "";
        for (uint64_t steps = 100; !*path; steps += 50)
            path = stop_at(variant, steps);
        for (int parallelism = 1; parallelism <= 3; parallelism += 2) {
            fl_env *env = fl_env_new(0, NULL);
            fl_set_parallelism(env, parallelism);
            fl_set(env, "execution.state-recovery.path", path);
            fl_add_sink(jobs[variant / SOURCES](sources[variant % SOURCES](env)), note, .name = "note");
            if (fl_execute(env, "goes on") != 0)
                fail_msg("variant %d: %s", (int)variant, fl_env_error(env));
            fl_env_free(env);
            check_totals();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_jobs_come_to_the_same_result),
        cmocka_unit_test(test_killed_joins_come_to_the_same_result),
        cmocka_unit_test(test_a_seed_gives_the_same_kills_and_steps),
        cmocka_unit_test(test_files_hold_each_record_once),
        cmocka_unit_test(test_files_without_checkpoints),
        cmocka_unit_test(test_threads_write_each_record_once),
        cmocka_unit_test(test_a_failed_job_is_restarted),
        cmocka_unit_test(test_restarts_are_used_up),
        cmocka_unit_test(test_another_job_goes_on_from_a_checkpoint),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
