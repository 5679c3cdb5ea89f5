/* Checkpoints of windows that take the general path, and of interval joins: jobs that are killed at random steps, and
 * jobs that go on from another's checkpoint with another parallelism, give the results of jobs that nothing happened
 * to.
 *
 * One subtask makes all records, in order, with a watermark now and then: so it is settled which of them are late, and
 * what each firing sees. A result may come twice, from before a kill and after it; results differ from each other
 * otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "cluster/job.h"
#include "flinc.h"
#include "scratch.h"

enum { KEYS = 5, NUMBERS = 800, BEHIND = 60, PAUSE_EVERY = 50, PAUSE = 60 };

typedef struct Event {
    int64_t key, number, at, count, sum;
    fl_string text; /* too long to lie in the value */
} Event;
FL_ROW(Event, key, number, at, count, sum, text);

/* ---- results: the set of their lines ---- */

typedef struct results {
    char (*lines)[160];
    size_t count, capacity;
} results;
static results seen;

static void forget(void)
{
    free(seen.lines);
    seen = (results){ 0 };
}

static void note(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out, (void)ctx;
    const Event *e = in;
    if (seen.count == seen.capacity) {
        seen.capacity = seen.capacity ? 2 * seen.capacity : 1024;
        seen.lines = realloc(seen.lines, seen.capacity * sizeof *seen.lines);
    }
    snprintf(seen.lines[seen.count++], sizeof *seen.lines, "%d: number %d at %d, %d with sum %d, %.*s", (int)e->key,
        (int)e->number, (int)e->at, (int)e->count, (int)e->sum, FL_STR(e->text));
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

static results take_results(void)
{
    results r = seen;
    size_t kept = 0;
    seen = (results){ 0 };
    if (r.count)
        qsort(r.lines, r.count, sizeof *r.lines, compare_lines);
    for (size_t i = 0; i < r.count; i++) {
        if (kept == 0 || strcmp(r.lines[i], r.lines[kept - 1]) != 0)
            memmove(r.lines[kept++], r.lines[i], sizeof *r.lines);
    }
    r.count = kept;
    return r;
}

static void check_results(const results *expected, const char *what, int number)
{
    results actual = take_results();
    for (size_t i = 0; i < expected->count || i < actual.count; i++) {
        const char *a = i < actual.count ? actual.lines[i] : "nothing";
        const char *b = i < expected->count ? expected->lines[i] : "nothing";
        if (strcmp(a, b) != 0)
            fail_msg("%s %d: \"%s\" instead of \"%s\" (%zu results, %zu expected)", what, number, a, b, actual.count,
                expected->count);
    }
    free(actual.lines);
}

/* ---- records ---- */

static bool is_behind(int64_t number)
{
    return number % 4 == 1;
}

/* Some are far behind: nothing may be made of them, after a restore neither. */
static bool is_far_behind(int64_t number)
{
    return is_behind(number) && number > NUMBERS * 3 / 4;
}

/* The numbers are times, with pauses between; some come late. */
static void to_event(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    int64_t n = *(const int64_t *)in;
    int64_t at = n + n / PAUSE_EVERY * PAUSE - (is_behind(n) ? n % 3 * 80 : 0);
    at = is_far_behind(n) ? n % PAUSE_EVERY : at;
    char text[64];
    snprintf(text, sizeof text, "event number %d", (int)n);
    fl_collect(out, (&(Event){ n % KEYS, n, at, 1, n, fl_string_of(text, strlen(text)) }));
}

static fl_time time_of(const void *in, fl_time previous, fl_context *ctx)
{
    (void)previous, (void)ctx;
    return ((const Event *)in)->at;
}

static void mark(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    int64_t number = ((const Event *)in)->number;
    if (!is_behind(number) && number % 16 == 0)
        fl_emit_watermark(out, timestamp - BEHIND);
}

static fl_stream *timed_events(fl_env *env)
{
    fl_stream *numbers = fl_sequence(env, 1, NUMBERS, .parallelism = 1);
    fl_stream *made = fl_map(numbers, to_event, Event, .parallelism = 1);
    return fl_watermarks(made, fl_punctuated_watermarks(mark), .timestamp_function = time_of, .parallelism = 1);
}

static fl_stream *events(fl_env *env)
{
    return fl_key_by(timed_events(env), "key");
}

/* ---- jobs ---- */

static void add(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    Event *e = value;
    const Event *other = in;
    e->count += other->count;
    e->sum += other->sum;
}

/* All of a window: its end, how much it has, its last record's text. */
static void gather(const void *in, fl_collector *out, fl_context *ctx)
{
    Event total = { 0 };
    fl_each(const Event *, e, in) total =
        (Event){ e->key, e->number, fl_current_window(ctx).start, total.count + 1, total.sum + e->number, e->text };
    fl_collect(out, &total);
}

static fl_stream *by_sessions(fl_env *env)
{
    return fl_reduce(
        fl_window(events(env), fl_session_event_time(fl_milliseconds(15)), .allowed_lateness = fl_milliseconds(50)),
        add);
}

static fl_stream *by_session_lists(fl_env *env)
{
    return fl_window_apply(fl_window(events(env), fl_session_event_time(fl_milliseconds(15))), gather, Event);
}

static fl_stream *by_counts(fl_env *env)
{
    return fl_reduce(fl_count_window(events(env), 7), add);
}

static fl_stream *by_sliding_counts(fl_env *env)
{
    return fl_window_apply(fl_sliding_count_window(events(env), 10, 3), gather, Event);
}

static fl_stream *by_trigger_and_evictor(fl_env *env)
{
    fl_stream *windows = fl_window(events(env), fl_tumbling_event_time(fl_milliseconds(400)),
        .trigger = fl_continuous_event_time_trigger(fl_milliseconds(30)),
        .evictor = fl_time_evictor(fl_milliseconds(25)), .allowed_lateness = fl_milliseconds(30));
    return fl_window_apply(windows, gather, Event);
}

static double distance(const void *old_record, const void *new_record, fl_context *ctx)
{
    (void)ctx;
    const Event *a = old_record, *b = new_record;
    return (double)(b->at - a->at) + (double)fl_string_length(a->text) / 100;
}

static fl_stream *by_distance(fl_env *env)
{
    fl_trigger trigger = fl_purging_trigger(fl_delta_trigger(17, distance));
    return fl_reduce(fl_window(events(env), fl_global_windows(), .trigger = trigger), add);
}

/* Fires at every other multiple of 20 after a record, and with a record behind the watermark. */
static fl_trigger_result on_element(const void *in, void *state, fl_context *ctx)
{
    (*(int64_t *)state)++;
    fl_trigger_register_event_time_timer(ctx, (((const Event *)in)->at / 20 + 1) * 20);
    return ((const Event *)in)->at < fl_current_watermark(ctx) ? FL_FIRE : FL_CONTINUE;
}

static fl_trigger_result on_event_time(fl_time time, void *state, fl_context *ctx)
{
    (void)ctx;
    return time / 20 % 2 && *(int64_t *)state % 3 ? FL_FIRE : FL_CONTINUE;
}

static void on_merge(void *state, const void *merged, fl_context *ctx)
{
    *(int64_t *)state += *(const int64_t *)merged;
    fl_trigger_register_event_time_timer(ctx, fl_current_window(ctx).end - 1);
}

static const fl_trigger_class every_other = {
    .name = "EveryOther",
    .state_size = sizeof(int64_t),
    .on_element = on_element,
    .on_event_time = on_event_time,
    .on_merge = on_merge,
};

static fl_stream *by_custom_trigger(fl_env *env)
{
    return fl_reduce(fl_window(events(env), fl_session_event_time(fl_milliseconds(15)),
                         .trigger = fl_custom_trigger(&every_other), .allowed_lateness = fl_milliseconds(50)),
        add);
}

FL_VALUE_STATE(firings, int64_t);
FL_LIST_STATE(texts, Event);
FL_VALUE_STATE(total, int64_t);

/* States of the window and of the key: how often each fired. */
static void count_firings(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *value = fl_element(in, 0);
    fl_context *window = fl_window_state(ctx);
    int64_t *n = fl_value(window, firings);
    (*n)++;
    fl_list_add(window, texts, value);
    *fl_value(ctx, total) += 1;
    Event e = *value;
    e.number = *n * 1000 + *fl_value(ctx, total);
    e.count = e.count * 100 + (int64_t)fl_list_count(window, texts);
    e.text = ((const Event *)fl_list_at(window, texts, 0))->text;
    fl_collect(out, &e);
}

static fl_stream *by_window_states(fl_env *env)
{
    fl_stream *windows = fl_window(events(env), fl_sliding_event_time(fl_milliseconds(100), fl_milliseconds(30)),
        .allowed_lateness = fl_milliseconds(100));
    return fl_reduce_with(
        windows, add, count_firings, Event, .states = { &total }, .window_states = { &firings, &texts });
}

static void pair_up(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const fl_pair *pair = in;
    const Event *left = pair->left, *right = pair->right;
    Event e = left ? *left : *right;
    e.count = left && right ? 2 : 1;
    e.sum = right ? right->number : -1;
    fl_collect(out, &e);
}

/* Two inputs may be as far apart as channels have room: what is a little behind would be late at times only. */
static bool is_settled(const void *in, fl_context *ctx)
{
    (void)ctx;
    int64_t number = ((const Event *)in)->number;
    return !is_behind(number) || is_far_behind(number);
}

static fl_stream *joined(fl_env *env, fl_join_kind kind)
{
    fl_stream *settled = fl_filter(timed_events(env), is_settled, .parallelism = 1);
    fl_stream *left = fl_key_by(settled, "key"), *right = fl_key_by(settled, "key");
    return fl_interval_join(left, right, fl_milliseconds(8), fl_milliseconds(24), pair_up, Event, .kind = kind);
}

static fl_stream *by_inner_join(fl_env *env)
{
    return joined(env, FL_JOIN_INNER);
}

static fl_stream *by_full_join(fl_env *env)
{
    return joined(env, FL_JOIN_FULL);
}

typedef fl_stream *(*job_fn)(fl_env *);
static const job_fn jobs[] = { by_sessions, by_session_lists, by_counts, by_sliding_counts, by_trigger_and_evictor,
    by_distance, by_custom_trigger, by_window_states, by_inner_join, by_full_join };
enum { JOBS = sizeof jobs / sizeof jobs[0] };

static results undisturbed(int job)
{
    forget();
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_add_sink(jobs[job](env), note, .name = "note", .parallelism = 1);
    fl__simulation simulation = { .seed = 1, .channel_capacity = 2, .segment_size = 512 };
    env->simulation = &simulation;
    if (fl_execute(env, "undisturbed") != 0)
        fail_msg("job %d: %s", job, fl_env_error(env));
    fl_env_free(env);
    results r = take_results();
    assert_true(r.count > 30);
    return r;
}

/* ---- tests ---- */

static void test_killed_jobs_come_to_the_same_results(void **state)
{
    (void)state;
    uint32_t kills = 0, restores = 0;
    enum { SEEDS = 8 };
    for (int job = 0; job < JOBS; job++) {
        results expected = undisturbed(job);
        for (int seed = 1; seed <= SEEDS; seed++) {
            fl_env *env = fl_env_new(0, NULL);
            fl_set_parallelism(env, 1 + seed % 3);
            fl_set(env, "execution.checkpointing.interval", "1 ms");
            fl_add_sink(jobs[job](env), note, .name = "note", .parallelism = 1);
            fl__simulation simulation = {
                .seed = (uint64_t)(100 * job + seed), .channel_capacity = 2, .segment_size = 512, .kill_every = 900
            };
            env->simulation = &simulation;
            if (fl_execute(env, "killed") != 0)
                fail_msg("job %d, seed %d: %s", job, seed, fl_env_error(env));
            fl_env_free(env);
            kills += simulation.kills;
            restores += simulation.restores;
            check_results(&expected, "killed, job and seed", 100 * job + seed);
        }
        free(expected.lines);
    }
    assert_true(kills > JOBS * SEEDS / 2);
    assert_true(restores > kills / 4);
}

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

/* Runs the job up to so many steps; the checkpoint that it leaves, "" without one. */
static const char *stop_at(int job, uint64_t steps)
{
    char folder[64];
    snprintf(folder, sizeof folder, "checkpoints-%d-%d", job, (int)steps);
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_set(env, "execution.checkpointing.interval", "1 ms");
    fl_set(env, "execution.checkpointing.dir", scratch(folder));
    fl_set(env, "execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION");
    fl_set(env, "restart-strategy.type", "none");
    fl_add_sink(jobs[job](env), note, .name = "note", .parallelism = 1);
    fl__simulation simulation = {
        .seed = (uint64_t)job ^ steps << 8, .channel_capacity = 2, .segment_size = 512, .stop_at = steps
    };
    env->simulation = &simulation;
    int status = fl_execute(env, "stopped");
    fl_env_free(env);
    assert_true(steps < 20000);
    return status == 0 ? "" : newest_checkpoint(scratch(folder));
}

static void test_jobs_go_on_with_another_parallelism(void **state)
{
    (void)state;
    for (int job = 0; job < JOBS; job++) {
        results expected = undisturbed(job);
        for (int parallelism = 1; parallelism <= 3; parallelism += 2) {
            forget();
            const char *path = "";
            for (uint64_t steps = 150 + 50 * (uint64_t)parallelism; !*path; steps += 50)
                path = stop_at(job, steps);
            fl_env *env = fl_env_new(0, NULL);
            fl_set_parallelism(env, parallelism);
            fl_set(env, "execution.state-recovery.path", path);
            fl_add_sink(jobs[job](env), note, .name = "note", .parallelism = 1);
            fl__simulation simulation = { .seed = (uint64_t)job, .channel_capacity = 2, .segment_size = 512 };
            env->simulation = &simulation;
            if (fl_execute(env, "goes on") != 0)
                fail_msg("job %d: %s", job, fl_env_error(env));
            fl_env_free(env);
            check_results(&expected, "going on, job", job);
        }
        free(expected.lines);
    }
}

static fl_stream *by_other_sessions(fl_env *env)
{
    return fl_window_apply(fl_window(events(env), fl_session_event_time(fl_milliseconds(15)),
                               .trigger = fl_purging_trigger(fl_event_time_trigger())),
        gather, Event);
}

/* Windows of another kind than those of the checkpoint are refused, and nothing is made of them. */
static void test_other_windows_are_refused(void **state)
{
    (void)state;
    forget();
    const char *path = "";
    for (uint64_t steps = 200; !*path; steps += 50)
        path = stop_at(1, steps);
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_set(env, "execution.state-recovery.path", path);
    fl_set(env, "restart-strategy.type", "none");
    fl_add_sink(by_other_sessions(env), note, .name = "note", .parallelism = 1);
    assert_int_not_equal(fl_execute(env, "other"), 0);
    const char *text = "has merging event-time windows of records with EventTimeTrigger, purging in the program, but "
                       "merging event-time windows of records with EventTimeTrigger in the snapshot";
    if (!strstr(fl_env_error(env), text))
        fail_msg("\"%s\" is not in: %s", text, fl_env_error(env));
    fl_env_free(env);
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_jobs_come_to_the_same_results),
        cmocka_unit_test(test_jobs_go_on_with_another_parallelism),
        cmocka_unit_test(test_other_windows_are_refused),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
