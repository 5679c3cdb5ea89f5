/* Alignment groups: sources that are ahead wait, and nobody waits for ever. Simulated: the clock is virtual. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "event_time.h"

enum { DRIFT = 1500, STEP = 1000, SEEDS = 5 };

static fl_watermark_strategy aligned(const char *group)
{
    return fl_watermark_alignment(fl_monotonous_timestamps(), group, fl_milliseconds(DRIFT), fl_milliseconds(100));
}

static fl_env *new_env(void)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set(env, "pipeline.auto-watermark-interval", "10 ms");
    return env;
}

static fl_stream *source(fl_env *env, const char *script, fl_watermark_strategy strategy, int64_t idle_ms)
{
    return fl_poll_source(env, &script_source, int64_t, .arg = (void *)(uintptr_t)script, .watermarks = strategy,
        .timestamp_function = own_time, .idle_after = fl_milliseconds(idle_ms));
}

/* Records of the fast source are multiples of STEP, those of the slow one are one more. How far did the fast one get
 * ahead of the slow one, while both had something to say? */
static int64_t drift_noted(void)
{
    int64_t slow = INT64_MAX, drift = 0;
    int count = 0;
    for (char *at = noted; *at;) {
        char *end;
        int64_t n = strtoll(at, &end, 10);
        if (end == at) {
            at++;
            continue;
        }
        bool is_watermark = at > noted && at[-1] == 'w';
        at = end;
        if (is_watermark)
            continue;
        count++;
        if (n % STEP)
            slow = n;
        else if (slow != INT64_MAX && n - slow > drift)
            drift = n - slow;
    }
    assert_int_equal(count, 20);
    return drift;
}

static const char fast[] = "0 p50 1000 p50 2000 p50 3000 p50 4000 p50 5000 p50 6000 p50 7000 p50 8000 p50 9000 p50";
static const char slow[] =
    "1 p1000 1001 p1000 2001 p1000 3001 p1000 4001 p1000 5001 p1000 6001 p1000 7001 p1000 8001 p1000 9001 p1000";

static void test_the_fast_one_waits(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        fl_env *env = new_env();
        note_all(fl_union(
            source(env, fast, fl_monotonous_timestamps(), 0), source(env, slow, fl_monotonous_timestamps(), 0)));
        run_noted(env, seed);
        assert_true(drift_noted() > 8000); /* what it is about */
        env = new_env();
        note_all(fl_union(source(env, fast, aligned("g"), 0), source(env, slow, aligned("g"), 0)));
        run_noted(env, seed);
        assert_in_range(drift_noted(), 1, DRIFT + 2 * STEP); /* a step is read before it is known to be too far; the
                                                                look at the group is up to an interval old */
        env = new_env();
        note_all(fl_union(source(env, fast, aligned("g"), 0), source(env, slow, aligned("another"), 0)));
        run_noted(env, seed);
        assert_true(drift_noted() > 8000);
    }
}

/* Both are subtasks of one source. */
static void test_subtasks(void **state)
{
    (void)state;
    char both[sizeof fast + sizeof slow];
    snprintf(both, sizeof both, "%s|%s", fast, slow);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        fl_env *env = new_env();
        fl_set_parallelism(env, 2);
        note_all(source(env, both, aligned("g"), 0));
        run_noted(env, seed);
        assert_in_range(drift_noted(), 1, DRIFT + 2 * STEP);
    }
}

/* However the slow one stays behind, the fast one gets to its end. */
static void test_nobody_waits_for_ever(void **state)
{
    (void)state;
    static const struct {
        const char *name, *slow;
        int64_t idle_ms;
    } cases[] = {
        { "it ends", "1 p100", 0 },
        { "it ends without a record", "p100", 0 },
        { "it never says anything", "p20000", 0 },
        { "it becomes idle", "1 p20000 2", 300 },
        { "it says that it is idle", "0:1 ~0 p20000", 0 },
        { "it comes back behind", "1 p500 2 p20000", 300 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fl_env *env = new_env();
        note_all(source(env, fast, aligned("g"), 0));
        fl_discard(source(env, cases[i].slow, aligned("g"), cases[i].idle_ms));
        run_noted(env, i);
        if (!strstr(noted, " 9000 w8999 end"))
            fail_msg("%s: %s", cases[i].name, noted);
    }
    /* one that lags for good holds the other back for good */
    fl_env *env = new_env();
    note_all(source(env, fast, aligned("g"), 0));
    fl_discard(source(env, "1 p60000", aligned("g"), 0));
    run_noted(env, 1);
    assert_non_null(strstr(noted, " 3000"));
    assert_non_null(strstr(noted, " end"));
}

/* A source that waits is not idle: it has no records because it is not asked. */
static void test_waiting_is_not_idle(void **state)
{
    (void)state;
    fl_env *env = new_env();
    note_all(source(env, fast, aligned("g"), 300));
    fl_discard(source(env, slow, aligned("g"), 0));
    run_noted(env, 1);
    assert_null(strstr(noted, "idle"));
}

/* Who is waited for is named. */
static void test_waiting_is_told(void **state)
{
    (void)state;
    fl_env *env = new_env();
    note_all(source(env, fast, aligned("orders"), 0));
    fl_discard(source(env, "1 p60000", aligned("orders"), 0), .name = "Slow");
    run_noted(env, 1);
    assert_non_null(strstr(logged, "has waited for 30 s at 1970-01-01 00:00:01"));
    assert_non_null(
        strstr(logged, "for alignment group \"orders\": Source: Script -> Timestamps/Watermarks -> Sink: Slow"));
    env = new_env();
    fl_set(env, "flinc.watermark.held-warning", "0");
    note_all(source(env, fast, aligned("orders"), 0));
    fl_discard(source(env, "1 p60000", aligned("orders"), 0));
    run_noted(env, 1);
    assert_string_equal(logged, "");
}

/* ---- splits ---- */

typedef struct {
    int64_t at[2];
    fl_time until;
} Careful;

/* Split 0 goes by 100 a record, split 1 by 10, from 5 on; both to 2000. */
static fl_status careful_poll(fl_collector *out, fl_context *ctx)
{
    Careful *self = fl_self(ctx);
    bool is_over = true;
    if (fl_current_processing_time(ctx) < self->until) {
        fl_wait_until(ctx, self->until);
        return FL_AGAIN;
    }
    for (uint64_t split = 0; split < 2; split++) {
        if (self->at[split] > 2000)
            continue;
        is_over = false;
        if (fl_arg(ctx) && fl_split_is_paused(ctx, split))
            continue;
        fl_split_choose(ctx, split);
        fl_collect(out, &(int64_t){ self->at[split] + (split ? 5 : 0) });
        self->at[split] += split == 0 ? 100 : 10;
        if (self->at[split] > 2000)
            fl_split_finish(ctx, split);
    }
    self->until = fl_current_processing_time(ctx) + 10;
    fl_wait_until(ctx, self->until);
    return is_over ? FL_DONE : FL_AGAIN;
}

static const char *run_careful(bool pauses, const char *allow)
{
    const fl_source_class class = {
        .name = "Careful", .instance_size = sizeof(Careful), .poll = careful_poll, .pauses_splits = pauses
    };
    fl_env *env = new_env();
    if (allow)
        fl_set(env, "pipeline.watermark-alignment.allow-unaligned-source-splits", allow);
    note_all(fl_poll_source(env, &class, int64_t, .arg = pauses ? env : NULL, .timestamp_function = own_time,
        .watermarks =
            fl_watermark_alignment(fl_monotonous_timestamps(), "g", fl_milliseconds(200), fl_milliseconds(20))));
    return run_noted(env, 1);
}

/* How far split 0 (whole hundreds) got ahead of split 1, while that had something to say. */
static int64_t split_drift(void)
{
    int64_t drift = 0, behind = 0;
    for (char *at = strtok(noted, " "); at; at = strtok(NULL, " ")) {
        int64_t n = strtoll(at, NULL, 10);
        if (*at == 'w' || *at == 'e')
            continue;
        if (n % 100)
            behind = n;
        else if (n - behind > drift)
            drift = n - behind;
    }
    return drift;
}

static void test_splits(void **state)
{
    (void)state;
    run_careful(true, NULL);
    assert_non_null(strstr(noted, " 2000"));
    assert_in_range(split_drift(), 1, 500);
    run_careful(false, NULL);
    assert_non_null(strstr(noted, "split 0 is ahead of alignment group \"g\", and this source reads on"));
    run_careful(false, "true");
    assert_non_null(strstr(noted, "end"));
    assert_true(split_drift() > 500);
}

/* ---- bad input ---- */

static void pass(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect_row(out, in);
}

static void check_error(fl_stream *s, fl_env *env, const char *what)
{
    fl_discard(s);
    run_noted(env, 1);
    assert_non_null(strstr(noted, "test_alignment.c:"));
    assert_non_null(strstr(noted, what));
}

static void test_errors(void **state)
{
    (void)state;
    fl_env *env = new_env();
    check_error(fl_watermarks(fl_rebalance(fl_sequence(env, 1, 3)), aligned("g"), .timestamp_function = own_time), env,
        "alignment group \"g\" cannot pause a source from here: Timestamps/Watermarks is not chained to "
        "Sequence Source");
    env = new_env();
    fl_stream *s = fl_map(fl_sequence(env, 1, 3), pass, int64_t, .parallelism = 2);
    check_error(fl_watermarks(s, aligned("g"), .parallelism = 2, .timestamp_function = own_time), env,
        "Map is not chained to Sequence Source");
    env = new_env();
    s = fl_sequence(env, 1, 3);
    fl_discard(fl_watermarks(s, aligned("g"), .timestamp_function = own_time));
    check_error(
        fl_watermarks(s, aligned("h"), .timestamp_function = own_time), env, "is in alignment group \"g\" already");
    env = new_env();
    check_error(fl_watermarks(fl_sequence(env, 1, 3), aligned(""), .timestamp_function = own_time), env,
        "the group has no name");
    env = new_env();
    check_error(fl_watermarks(fl_sequence(env, 1, 3), aligned(NULL), .timestamp_function = own_time), env,
        "the group has no name");
    env = new_env();
    check_error(fl_watermarks(fl_sequence(env, 1, 3),
                    fl_watermark_alignment(fl_monotonous_timestamps(), "g", fl_seconds(-1), fl_seconds(1)),
                    .timestamp_function = own_time),
        env, "the drift is -1000 ms");
    env = new_env();
    check_error(fl_watermarks(fl_sequence(env, 1, 3),
                    fl_watermark_alignment(fl_no_watermarks(), "g", fl_seconds(1), fl_seconds(1))),
        env, "there are no watermarks to align");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_fast_one_waits),
        cmocka_unit_test(test_subtasks),
        cmocka_unit_test(test_nobody_waits_for_ever),
        cmocka_unit_test(test_waiting_is_not_idle),
        cmocka_unit_test(test_waiting_is_told),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
