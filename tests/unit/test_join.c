/* Joins of two streams through the public API: examples, late rows, misuse. What random streams give is in
 * tests/property/test_joins.c. */
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

#include "operators/interval_join.h"
#include "state/rows.h"

typedef struct {
    fl_string key;
    int64_t id;
} Left;
FL_ROW(Left, key, id);

typedef struct {
    int32_t id;
    fl_string key;
} Right;
FL_ROW(Right, id, key);

typedef struct {
    int64_t left, right;
} Both;
FL_ROW(Both, left, right);

FL_OUTPUT_TAG(left_late, Left);
FL_OUTPUT_TAG(right_late, Right);
FL_OUTPUT_TAG(aside, int64_t);
FL_VALUE_STATE(count, int64_t);

static fl_harness *harness;

static void join(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_pair *pair = in;
    const Left *l = pair->left;
    const Right *r = pair->right;
    assert_true(!l || !r || fl_string_equal(l->key, r->key));
    assert_true(fl_string_equal(*(const fl_string *)fl_current_key(ctx), l ? l->key : r->key));
    if (l && r)
        assert_int_equal(fl_timestamp_of(ctx),
            pair->left_timestamp > pair->right_timestamp ? pair->left_timestamp : pair->right_timestamp);
    if (l && l->id == 13)
        fl_output(ctx, aside, &l->id);
    fl_collect(out, &(Both){ l ? l->id : -1, r ? r->id : -1 });
}

static void left(const char *key, int64_t id, fl_time time)
{
    fl_harness_push(harness, time, &(Left){ fl_string_of(key, strlen(key)), id });
}
static void right(const char *key, int32_t id, fl_time time)
{
    fl_harness_push_second(harness, time, &(Right){ id, fl_string_of(key, strlen(key)) });
}
static void watermark(fl_time time)
{
    fl_harness_watermark(harness, time);
    fl_harness_watermark_second(harness, time);
}

/* What came out since the last call: "left/right@timestamp …" */
static void expect(const char *text)
{
    char actual[4096] = "";
    size_t used = 0;
    fl_harness_event event;
    while (fl_harness_next(harness, &event)) {
        if (event.kind != FL_HARNESS_RECORD)
            continue;
        const Both *b = event.row;
        if (event.side == &left_late.tag)
            used += (size_t)snprintf(
                actual + used, sizeof actual - used, "late left %lld ", (long long)((const Left *)event.row)->id);
        else if (event.side == &right_late.tag)
            used += (size_t)snprintf(
                actual + used, sizeof actual - used, "late right %lld ", (long long)((const Right *)event.row)->id);
        else if (event.side == &aside.tag)
            used += (size_t)snprintf(actual + used, sizeof actual - used, "aside@%lld ", (long long)event.timestamp);
        else
            used += (size_t)snprintf(actual + used, sizeof actual - used, "%lld/%lld@%lld ", (long long)b->left,
                (long long)b->right, (long long)event.timestamp);
    }
    assert_string_equal(fl_harness_error(harness), "");
    assert_string_equal(actual, text);
}

/* ---- interval joins ---- */

static fl_interval_join_options wanted;
static int64_t lower_ms, upper_ms;

static fl_stream *build(fl_stream *first, fl_stream *second, void *arg)
{
    (void)arg;
    wanted.where = FL_HERE;
    return fl__interval_join(fl_key_by(first, "key"), fl_key_by(second, "key"), fl_milliseconds(lower_ms),
        fl_milliseconds(upper_ms), join, FL_TYPE(Both), &wanted);
}

static void begin(int64_t from, int64_t to, fl_interval_join_options options)
{
    lower_ms = from;
    upper_ms = to;
    wanted = options;
    harness = fl_harness_new(Left, build, .second = FL_TYPE(Right), .sides = { &left_late, &right_late, &aside });
}

static void test_rows_between_the_bounds_are_joined(void **state)
{
    (void)state;
    begin(-2, 3, (fl_interval_join_options){ 0 });
    left("a", 1, 10);
    right("a", 1, 7); /* one too early */
    expect("");
    right("a", 2, 8);
    right("b", 3, 10);
    right("a", 4, 13);
    right("a", 5, 14); /* one too late */
    expect("1/2@10 1/4@13 ");
    left("a", 2, 11); /* in the order of their times, not of their arrival */
    right("a", 6, 9);
    expect("2/4@13 2/5@14 1/6@10 2/6@11 ");
    left("a", 3, 10); /* equal times: both match */
    expect("3/2@10 3/6@10 3/4@13 ");
    left("b", 13, 12);
    expect("13/3@12 aside@12 ");
    fl_harness_end(harness);
    expect("");
    fl_harness_free(harness);
}

static void test_bounds_may_be_excluded(void **state)
{
    (void)state;
    begin(-2, 2, (fl_interval_join_options){ .lower_exclusive = true });
    left("a", 1, 10);
    for (int32_t time = 7; time <= 13; time++)
        right("a", time, time);
    expect("1/9@10 1/10@10 1/11@11 1/12@12 ");
    fl_harness_free(harness);
    begin(-2, 2, (fl_interval_join_options){ .upper_exclusive = true });
    left("a", 1, 10);
    for (int32_t time = 7; time <= 13; time++)
        right("a", time, time);
    expect("1/8@10 1/9@10 1/10@10 1/11@11 ");
    fl_harness_free(harness);
    begin(0, 0, (fl_interval_join_options){ .upper_exclusive = true }); /* as in Flink: nothing matches */
    left("a", 1, 10);
    right("a", 1, 10);
    expect("");
    fl_harness_free(harness);
}

static void test_rows_behind_the_watermark_are_late(void **state)
{
    (void)state;
    begin(-10, 10, (fl_interval_join_options){ .left_late = &left_late, .right_late = &right_late });
    left("a", 1, 10);
    fl_harness_watermark(harness, 20); /* of one input only: time stands still */
    left("a", 2, 5);
    right("a", 1, 7);
    expect("2/1@7 1/1@10 ");
    fl_harness_watermark_second(harness, 15);
    left("a", 3, 14);
    right("a", 2, 14);
    right("a", 3, 15);                          /* on the watermark: in time */
    expect("late left 3 late right 2 1/3@15 "); /* 2/3 is no more: see below */
    fl_harness_free(harness);
}

static void test_rows_go_when_nothing_can_match_them(void **state)
{
    (void)state;
    begin(0, 10, (fl_interval_join_options){ 0 });
    left("a", 1, 10);
    watermark(19);
    right("a", 1, 19);
    expect("1/1@19 ");
    watermark(20); /* Flink's clean-up timer of the left row: what comes right on the watermark misses it */
    right("a", 2, 20);
    expect("");
    left("a", 2, 20);
    right("a", 3, 20);
    expect("2/2@20 2/3@20 ");
    fl_harness_free(harness);
}

static void test_outer_rows_come_when_nothing_can_match_them(void **state)
{
    (void)state;
    begin(-5, 10, (fl_interval_join_options){ .kind = FL_JOIN_FULL });
    left("a", 1, 10);
    left("b", 2, 11);
    left("a", 3, 12);
    right("a", 1, 8);
    expect("1/1@10 3/1@12 ");
    right("a", 2, 40);
    watermark(20);
    expect("");
    watermark(21);
    expect("2/-1@21 ");
    watermark(44);
    expect("");
    fl_harness_end(harness);
    expect("-1/2@45 ");
    fl_harness_free(harness);

    begin(-5, 10, (fl_interval_join_options){ .kind = FL_JOIN_RIGHT });
    left("a", 1, 10);
    right("b", 1, 10);
    right("a", 2, 30);
    fl_harness_end(harness);
    expect("-1/1@15 -1/2@35 ");
    fl_harness_free(harness);

    begin(5, 10, (fl_interval_join_options){ .kind = FL_JOIN_FULL }); /* right rows come after left ones only */
    right("a", 1, 30);
    watermark(25);
    expect("");
    watermark(26); /* no left row of 25 or before can come */
    expect("-1/1@30 ");
    right("a", 2, 29);
    expect("-1/2@29 "); /* at once */
    fl_harness_free(harness);
}

static void test_outer_rows_of_many_keys_come_in_the_order_of_time(void **state)
{
    (void)state;
    begin(0, 0, (fl_interval_join_options){ .kind = FL_JOIN_LEFT });
    char key[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof key, "%d", i * 7 % 300);
        left(key, i, 1000 + i * 7919 % 2000);
    }
    watermark(5000);
    fl_harness_event event;
    fl_time last = 0;
    int rows = 0;
    while (fl_harness_next(harness, &event)) {
        if (event.kind != FL_HARNESS_RECORD || event.side)
            continue;
        assert_true(event.timestamp >= last);
        last = event.timestamp;
        rows++;
    }
    assert_int_equal(rows, 2000);
    fl_harness_free(harness);
}

static void test_times_near_the_ends(void **state)
{
    (void)state;
    begin(-INT64_MAX, INT64_MAX, (fl_interval_join_options){ .kind = FL_JOIN_FULL });
    left("a", 1, FL_TIME_MIN + 1);
    right("a", 1, FL_TIME_MAX - 1); /* further apart than 64 bits reach: no match */
    right("a", 2, -5);
    left("b", 2, FL_TIME_MAX - 3);
    watermark(FL_TIME_MAX - 2);
    expect("1/2@-5 ");
    left("a", 3, FL_TIME_MAX - 1);
    expect("3/1@9223372036854775806 ");
    fl_harness_end(harness);
    expect("2/-1@9223372036854775807 ");
    fl_harness_free(harness);
}

static void count_calls(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_pair *pair = in;
    fl_collect(out, &(Both){ ((const Left *)pair->left)->id, ++*fl_value(ctx, count) });
}

static fl_stream *build_with_state(fl_stream *first, fl_stream *second, void *arg)
{
    (void)arg;
    return fl_interval_join(fl_key_by(first, "key"), fl_key_by(second, "key"), fl_milliseconds(0), fl_milliseconds(5),
        count_calls, Both, .states = { &count });
}

static void test_a_join_function_has_states(void **state)
{
    (void)state;
    harness = fl_harness_new(Left, build_with_state, .second = FL_TYPE(Right));
    left("a", 1, 1);
    left("a", 2, 1);
    right("a", 1, 2);
    right("b", 2, 2);
    left("b", 3, 2);
    expect("1/1@2 2/2@2 3/1@2 ");
    watermark(100); /* the rows go, the function's state stays */
    left("a", 4, 101);
    right("a", 1, 101);
    expect("4/3@101 ");
    fl_harness_free(harness);
}

/* ---- a whole job: more results than channels hold, several subtasks ---- */

enum { ROWS = 3000, KEYS = 10 };

static void make_left(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    char key[32];
    int64_t i = *(const int64_t *)in;
    int length = snprintf(key, sizeof key, "key number %lld", (long long)i % KEYS);
    fl_collect(out, &(Left){ fl_string_of(key, (size_t)length), i });
}
static void make_right(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    char key[32];
    int64_t i = *(const int64_t *)in;
    int length = snprintf(key, sizeof key, "key number %lld", (long long)i % KEYS);
    fl_collect(out, &(Right){ (int32_t)i, fl_string_of(key, (size_t)length) });
}
static fl_time time_of_left(const void *in, fl_time previous, fl_context *ctx)
{
    (void)previous;
    (void)ctx;
    return ((const Left *)in)->id / 100;
}
static fl_time time_of_right(const void *in, fl_time previous, fl_context *ctx)
{
    (void)previous;
    (void)ctx;
    return ((const Right *)in)->id / 100;
}

static void test_a_whole_job(void **state)
{
    (void)state;
    for (int p = 1; p <= 3; p++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_test_simulate(env, .seed = (uint64_t)p, .channel_capacity = 2, .segment_bytes = 512);
        fl_watermark_strategy strategy = fl_monotonous_timestamps();
        fl_stream *l = fl_watermarks(
            fl_generate(env, make_left, Left, .count = ROWS), strategy, .timestamp_function = time_of_left);
        fl_stream *r = fl_watermarks(
            fl_generate(env, make_right, Right, .count = ROWS), strategy, .timestamp_function = time_of_right);
        fl_stream *s = fl_interval_join(fl_key_by(l, "key"), fl_key_by(r, "key"), fl_milliseconds(0),
            fl_milliseconds(1), join, Both, .parallelism = p);
        fl_test_rows *rows = fl_test_sink(s, Both, .parallelism = 1);
        if (fl_execute(env, "test") != FL_OK)
            fail_msg("%s", fl_env_error(env));
        size_t count_of_rows;
        fl_test_get(rows, &count_of_rows);
        /* each left row: the ten rows of its key and time, and those of the next time */
        assert_int_equal(count_of_rows, ROWS * 10 + (ROWS - 100) * 10);
        fl_env_free(env);
    }
}

/* ---- windows over both ---- */

typedef struct {
    fl_window_assigner assigner;
    fl_window_join_options options;
    bool is_co_group;
} WindowPlan;

/* A co-group's result: sums of the ids of each side, 100 for each record besides. */
static void group(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_groups *groups = in;
    Both both = { 0 };
    assert_true(groups->left.count + groups->right.count > 0);
    fl_each(const Left *, l, &groups->left)
    {
        assert_true(fl_string_equal(*(const fl_string *)fl_current_key(ctx), l->key));
        both.left += 100 + l->id;
    }
    fl_each(const Right *, r, &groups->right)
    {
        assert_true(fl_string_equal(*(const fl_string *)fl_current_key(ctx), r->key));
        both.right += 100 + r->id;
    }
    fl_collect(out, &both);
}

static void pair_up(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const fl_pair *pair = in;
    const Left *l = pair->left;
    const Right *r = pair->right;
    assert_true(fl_string_equal(l->key, r->key));
    assert_int_equal(pair->left_timestamp, FL_NO_TIMESTAMP);
    fl_collect(out, &(Both){ l->id, r->id });
}

static fl_stream *build_windows(fl_stream *first, fl_stream *second, void *arg)
{
    WindowPlan *p = arg;
    p->options.where = FL_HERE;
    fl_stream *l = fl_key_by(first, "key"), *r = fl_key_by(second, "key");
    return p->is_co_group ? fl__co_group(l, r, p->assigner, group, FL_TYPE(Both), &p->options)
                          : fl__window_join(l, r, p->assigner, pair_up, FL_TYPE(Both), &p->options);
}

static void begin_windows(WindowPlan *p)
{
    harness = fl_harness_new(Left, build_windows, .second = FL_TYPE(Right), .arg = p);
}

static const char long_key[] = "a key that is longer than a string keeps inline";

static void test_window_join_gives_each_pair_of_a_window(void **state)
{
    (void)state;
    WindowPlan p = { .assigner = fl_tumbling_event_time(fl_milliseconds(10)) };
    begin_windows(&p);
    left(long_key, 1, 10);
    right(long_key, 1, 19);
    left(long_key, 2, 15);
    right(long_key, 2, 12);
    left("b", 3, 11); /* alone */
    right(long_key, 3, 20);
    watermark(18);
    expect("");
    watermark(19);
    expect("1/1@19 1/2@19 2/1@19 2/2@19 ");
    left(long_key, 4, 19); /* late: dropped */
    left(long_key, 5, 29);
    fl_harness_end(harness);
    expect("5/3@29 ");
    fl_harness_free(harness);
}

static void test_window_join_with_lateness_and_sliding_windows(void **state)
{
    (void)state;
    WindowPlan p = { .assigner = fl_tumbling_event_time(fl_milliseconds(10)),
        .options = { .allowed_lateness = fl_milliseconds(5) } };
    begin_windows(&p);
    left("a", 1, 10);
    watermark(20);
    right("a", 1, 11);
    expect("1/1@19 ");
    watermark(24);
    right("a", 2, 11);
    expect("");
    fl_harness_free(harness);
    p = (WindowPlan){ .assigner = fl_sliding_event_time(fl_milliseconds(10), fl_milliseconds(5)) };
    begin_windows(&p);
    left("a", 1, 10);
    right("a", 1, 12);
    right("a", 2, 9);
    fl_harness_end(harness);
    expect("1/1@14 1/2@14 1/1@19 ");
    fl_harness_free(harness);
}

static void test_co_group_sees_both_sides_of_sessions(void **state)
{
    (void)state;
    WindowPlan p = { .assigner = fl_session_event_time(fl_milliseconds(5)), .is_co_group = true };
    begin_windows(&p);
    left("a", 1, 10);
    right("a", 2, 14); /* the session goes on with either side */
    left("a", 3, 18);
    right("b", 4, 15);
    left("c", 5, 30);
    fl_harness_end(harness);
    expect("0/104@19 204/102@22 105/0@34 ");
    fl_harness_free(harness);
}

static void test_co_group_with_trigger_and_evictor(void **state)
{
    (void)state;
    WindowPlan p = { .assigner = fl_global_windows(),
        .options = { .trigger = fl_count_trigger(3), .evictor = fl_count_evictor(4) },
        .is_co_group = true };
    begin_windows(&p);
    left("a", 1, 10);
    right("a", 2, 10);
    left("a", 3, 10);
    expect("204/102@9223372036854775807 ");
    right("a", 4, 10);
    right("a", 5, 10);
    right("a", 6, 10); /* of six records the last four */
    expect("103/315@9223372036854775807 ");
    fl_harness_free(harness);
}

/* The gap is asked for by records of either side. */
static fl_duration gap_of(const void *in, fl_context *ctx)
{
    fl_pair pair = fl_tagged_pair(in);
    assert_int_equal(*(const int *)fl_arg(ctx), 42);
    assert_true(!pair.left != !pair.right);
    return fl_milliseconds(pair.left ? ((const Left *)pair.left)->id : ((const Right *)pair.right)->id);
}

static void test_functions_of_assigners_see_which_side_it_is(void **state)
{
    (void)state;
    int arg = 42;
    WindowPlan p = { .assigner = fl_session_event_time_dynamic(gap_of), .options.arg = &arg, .is_co_group = true };
    begin_windows(&p);
    left("a", 7, 10);
    right("a", 3, 16);
    left("a", 1, 20);
    fl_harness_end(harness);
    expect("107/103@18 101/0@20 ");
    fl_harness_free(harness);
}

static void test_a_window_join_of_parallel_streams(void **state)
{
    (void)state;
    for (int batch = 0; batch < 2; batch++) {
        for (int p = 1; p <= 3; p++) {
            fl_env *env = fl_env_new(0, NULL);
            if (batch)
                fl_set(env, "execution.runtime-mode", "BATCH");
            fl_watermark_strategy strategy = fl_monotonous_timestamps();
            fl_stream *l = fl_watermarks(fl_generate(env, make_left, Left, .count = ROWS, .parallelism = p), strategy,
                .timestamp_function = time_of_left, .parallelism = p);
            fl_stream *r = fl_watermarks(
                fl_generate(env, make_right, Right, .count = ROWS), strategy, .timestamp_function = time_of_right);
            fl_stream *windows = fl_window_join(fl_key_by(l, "key"), fl_key_by(fl_union(r, r), "key"),
                fl_tumbling_event_time(fl_milliseconds(2)), pair_up, Both, .parallelism = p);
            fl_stream *intervals = fl_interval_join(fl_key_by(l, "key"), fl_key_by(r, "key"), fl_milliseconds(0),
                fl_milliseconds(1), join, Both, .kind = FL_JOIN_FULL, .parallelism = p);
            fl_test_rows *of_windows = fl_test_sink(windows, Both, .parallelism = 1);
            fl_test_rows *of_intervals = fl_test_sink(intervals, Both, .parallelism = 1);
            if (fl_execute(env, "test") != FL_OK)
                fail_msg("%s", fl_env_error(env));
            size_t n;
            fl_test_get(of_windows, &n);
            assert_int_equal(n, 2 * ROWS * 20); /* a window has 20 rows of a key on each side, the right ones twice */
            fl_test_get(of_intervals, &n);
            assert_int_equal(n, ROWS * 10 + (ROWS - 100) * 10);
            fl_env_free(env);
        }
    }
}

/* ---- misuse ---- */

static void expect_error(fl_env *env, const char *part)
{
    assert_int_equal(fl_execute(env, "test"), FL_ERROR_INVALID);
    if (!strstr(fl_env_error(env), part) || !strstr(fl_env_error(env), "test_join.c:"))
        fail_msg("\"%s\" does not say \"%s\" and where", fl_env_error(env), part);
    fl_env_free(env);
}

static void test_misuse_says_what_and_where(void **state)
{
    (void)state;
    for (int i = 0; i < 14; i++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_watermark_strategy strategy = fl_monotonous_timestamps();
        fl_stream *plain = fl_from_elements(env, Left, (Left){ .id = 1 });
        fl_stream *timed = fl_watermarks(plain, strategy, .timestamp = "id");
        fl_stream *r = fl_watermarks(
            fl_from_elements(env, Right, (Right){ .id = 1 }), strategy, .timestamp_function = time_of_right);
        fl_stream *l = fl_key_by(timed, "key");
        fl_duration zero = fl_seconds(0), one = fl_seconds(1);
        const char *message = NULL;
        switch (i) {
        case 0:
            fl_interval_join(l, r, zero, one, join, Both);
            message = "fl_interval_join: the right stream is not keyed: put fl_key_by";
            break;
        case 1:
            fl_interval_join(l, fl_key_by(r, "id"), zero, one, join, Both);
            message = "the left stream is keyed by fl_string, the right one by int32_t; both must be keyed by the same";
            break;
        case 2:
            fl_interval_join(l, fl_key_by(r, "key"), one, zero, join, Both);
            message = "the lower bound, 1000 ms, is above the upper bound, 0 ms";
            break;
        case 3:
            fl_interval_join(fl_key_by(plain, "key"), fl_key_by(r, "key"), zero, one, join, Both);
            message = "the left stream has no timestamps, and an interval join works in event time: put fl_watermarks";
            break;
        case 4:
            fl_interval_join(l, fl_key_by(fl_union(r, r), "key"), zero, one, NULL, Both);
            message = "fl_interval_join: the function is NULL";
            break;
        case 5:
            fl_interval_join(l, fl_key_by(r, "key"), zero, one, join, Both, .left_late = &right_late);
            message = "the left late side output \"right_late\" has type Right, but the stream is of Left";
            break;
        case 6:
            fl_interval_join(l, fl_key_by(r, "key"), zero, one, join, Both, .on_timer = join);
            message = "a join function has no timers";
            break;
        case 7:
            fl_interval_join(l, fl_key_by(r, "key"), zero, one, join, Both, .kind = (fl_join_kind)7);
            message = "unknown kind 7";
            break;
        case 8:
            fl_window_join(l, r, fl_tumbling_event_time(one), pair_up, Both);
            message = "fl_window_join: the right stream is not keyed";
            break;
        case 9:
            fl_co_group(l, fl_key_by(r, "id"), fl_tumbling_event_time(one), group, Both);
            message = "fl_co_group: the left stream is keyed by fl_string, the right one by int32_t";
            break;
        case 10:
            fl_window_join(l, fl_key_by(r, "key"), fl_tumbling_event_time(zero), pair_up, Both);
            message = "the window size is 0 ms; it must be above 0";
            break;
        case 11:
            fl_window_join(fl_key_by(plain, "key"), fl_key_by(r, "key"), fl_tumbling_event_time(one), pair_up, Both);
            message = "fl_window_join: the left stream has no timestamps, and the windows are of event time";
            break;
        case 12:
            fl_co_group(l, fl_key_by(r, "key"), fl_tumbling_event_time(one), NULL, Both);
            message = "fl_co_group: the function is NULL";
            break;
        default: {
            fl_env *other = fl_env_new(0, NULL);
            fl_stream *foreign = fl_key_by(fl_from_elements(other, Right, (Right){ .id = 1 }), "key");
            fl_interval_join(l, foreign, zero, one, join, Both);
            fl_env_free(other);
            message = "the streams belong to different environments";
        }
        }
        expect_error(env, message);
    }
}

static void test_a_row_without_timestamp_fails_the_job(void **state)
{
    (void)state;
    begin(0, 1, (fl_interval_join_options){ 0 });
    right("a", 1, FL_NO_TIMESTAMP);
    if (!strstr(fl_harness_error(harness), "a record of the right stream has no timestamp") ||
        !strstr(fl_harness_error(harness), "put fl_watermarks(stream, …, .timestamp"))
        fail_msg("\"%s\"", fl_harness_error(harness));
    fl_harness_free(harness);
}

/* ---- rows in the order of time ---- */

static void fail_test(void *owner, fl_status status, const char *text)
{
    (void)owner;
    (void)status;
    fail_msg("%s", text);
}

static void test_rows_are_kept_by_time_and_give_their_memory_back(void **state)
{
    (void)state;
    fl__memory memory;
    fl__memory_init(&memory, "test", NULL, 0);
    fl__arena arena;
    fl__arena_init(&arena, NULL);
    fl__interval_join_config config = { 0 };
    fl__interval_join_init(
        &config, &arena, (const fl_type *const[]){ FL_TYPE(Left), FL_TYPE(Right) }, (const void *const[]){ NULL });
    fl__key key;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__key_init_whole(&key, FL_TYPE(int64_t), &error), FL_OK);
    fl__keyed *keyed;
    fl__keyed_options options = { .memory = &memory,
        .key = &key,
        .states = config.states,
        .state_count = config.state_count,
        .max_parallelism = 128 };
    assert_int_equal(fl__keyed_new(&keyed, &options, &error), FL_OK);
    fl__function function;
    fl__function_init(&function, NULL, fail_test);
    function.keyed = keyed;
    fl_context ctx = { .function = &function };
    int64_t k[2] = { 5 };
    fl__keyed_set_key(keyed, &ctx, fl__key_hash(&key, k), k);
    enum { MANY = 5000 };
    char text[64];
    for (int i = 0; i < MANY; i++) {
        int n = snprintf(text, sizeof text, "a text that is long enough to be kept apart: %d", i);
        Left row = { fl_string_of(text, (size_t)n), i };
        fl__rows_add(keyed, &ctx, 0, i * 7919 % 1000, config.row_offset[0], &row, sizeof row);
    }
    fl__rows rows = fl__rows_of(keyed, ctx.entry, 0);
    assert_int_equal(rows.count, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        const Left *row = (const void *)(fl__rows_at(&rows, i) + config.row_offset[0]);
        assert_int_equal(fl__rows_time(&rows, i), i / 5);
        assert_int_equal(row->id * 7919 % 1000, i / 5);
    }
    for (uint32_t hint = 0; hint <= MANY + 1; hint += 7) {
        assert_int_equal(fl__rows_find(&rows, 0, hint, 10), 50);
        assert_int_equal(fl__rows_find(&rows, 70, hint, 10), 70);
        assert_int_equal(fl__rows_find(&rows, 0, hint, -1), 0);
        assert_int_equal(fl__rows_find(&rows, 3, hint, 999), MANY - 5);
        assert_int_equal(fl__rows_find(&rows, 0, hint, 5000), MANY);
    }
    int64_t full = fl__memory_used(&memory);
    fl__rows_remove_first(keyed, &ctx, 0, MANY - 1);
    rows = fl__rows_of(keyed, ctx.entry, 0);
    assert_int_equal(rows.count, 1);
    assert_int_equal(fl__rows_time(&rows, 0), 999);
    assert_true(fl__memory_used(&memory) < full);
    fl__rows_clear(keyed, &ctx, 0);
    fl__keyed_end_call(keyed, &ctx);
    assert_int_equal(keyed->table.count, 0);
    assert_int_equal(fl__heap_live(keyed->heap), 0);
    fl__keyed_free(keyed);
    assert_int_equal(fl__memory_used(&memory), 0);
    fl__arena_release(&arena);
    fl__function_release(&function);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_between_the_bounds_are_joined),
        cmocka_unit_test(test_bounds_may_be_excluded),
        cmocka_unit_test(test_rows_behind_the_watermark_are_late),
        cmocka_unit_test(test_rows_go_when_nothing_can_match_them),
        cmocka_unit_test(test_outer_rows_come_when_nothing_can_match_them),
        cmocka_unit_test(test_outer_rows_of_many_keys_come_in_the_order_of_time),
        cmocka_unit_test(test_times_near_the_ends),
        cmocka_unit_test(test_a_join_function_has_states),
        cmocka_unit_test(test_a_whole_job),
        cmocka_unit_test(test_window_join_gives_each_pair_of_a_window),
        cmocka_unit_test(test_window_join_with_lateness_and_sliding_windows),
        cmocka_unit_test(test_co_group_sees_both_sides_of_sessions),
        cmocka_unit_test(test_co_group_with_trigger_and_evictor),
        cmocka_unit_test(test_functions_of_assigners_see_which_side_it_is),
        cmocka_unit_test(test_a_window_join_of_parallel_streams),
        cmocka_unit_test(test_misuse_says_what_and_where),
        cmocka_unit_test(test_a_row_without_timestamp_fails_the_job),
        cmocka_unit_test(test_rows_are_kept_by_time_and_give_their_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
