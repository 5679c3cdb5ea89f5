/* BATCH mode: which jobs run in it, final results, stages, blocking exchanges with and without files. */
#include <flinc.h>
#include <flinc/testing.h>

#include "api/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    fl_string word;
    int64_t count;
} Word;
FL_ROW(Word, word, count);

typedef struct {
    int64_t key, a, b;
} Pair;
FL_ROW(Pair, key, a, b);

static fl_env *new_env(const char *mode)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set(env, "execution.runtime-mode", mode);
    return env;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" should say \"%s\"", text, part);
}

static Word words[6]; /* filled by main */

static void add(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Word *)value)->count += ((const Word *)in)->count;
}

static void add_length(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    *(int64_t *)value += ((const Word *)in)->count;
}

/* ---- which mode ---- */

static void generate(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect(out, (const int64_t *)in);
}

static void run_source(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)ctx;
    for (int64_t i = 0; i < 3; i++)
        fl_collect(out, &i);
}

static fl_status poll_nothing(fl_collector *out, fl_context *ctx)
{
    (void)out, (void)ctx;
    return FL_DONE;
}

static const fl_source_class polled = { .name = "Polled", .poll = poll_nothing };

static void assert_unbounded(const char *name, fl_stream *(*source)(fl_env *env))
{
    fl_env *env = new_env("BATCH");
    fl_discard(source(env));
    assert_int_not_equal(fl_execute(env, "job"), 0);
    assert_has(fl_env_error(env), name);
    assert_has(fl_env_error(env), "test_batch_mode.c:");
    assert_has(fl_env_error(env), "may never end");
    assert_has(fl_env_error(env), "STREAMING or AUTOMATIC");
    fl_env_free(env);
    env = new_env("AUTOMATIC");
    fl_discard(source(env));
    char *plan = fl_plan_text(env);
    assert_non_null(plan);
    assert_false(env->graph.is_batch);
    free(plan);
    fl_env_free(env);
}

static fl_stream *endless(fl_env *env)
{
    return fl_generate(env, generate, int64_t);
}
static fl_stream *socket_lines(fl_env *env)
{
    return fl_socket_text(env, "localhost", 9);
}
static fl_stream *monitored(fl_env *env)
{
    return fl_read_text(env, "examples/data/words.txt", .monitor_every = fl_seconds(1));
}
static fl_stream *function(fl_env *env)
{
    return fl_add_source(env, run_source, int64_t, .name = "mine");
}
static fl_stream *polling(fl_env *env)
{
    return fl_poll_source(env, &polled, int64_t);
}

static void test_unbounded(void **state)
{
    (void)state;
    assert_unbounded("Generator", endless);
    assert_unbounded("Socket", socket_lines);
    assert_unbounded("File", monitored);
    assert_unbounded("mine", function);
    assert_unbounded("Polled", polling);
}

/* An operator that says no. */
static const fl__operator_class never = {
    .kind = "Never", .size = sizeof(fl__operator), .not_in_batch = "it feeds itself, and has no end"
};

static void test_streaming_only(void **state)
{
    (void)state;
    for (int automatic = 0; automatic < 2; automatic++) {
        fl_env *env = new_env(automatic ? "AUTOMATIC" : "BATCH");
        fl_stream *s = fl__add_operator(fl_sequence(env, 1, 3),
            &(fl__new_operator){ .class = &never, .out = FL_TYPE(int64_t), .options = FL__OPTIONS() });
        fl_discard(s);
        char *plan = fl_plan_text(env);
        assert_int_equal(plan != NULL, automatic);
        assert_false(env->graph.is_batch && automatic);
        if (!automatic) {
            assert_has(fl_env_error(env), "Never cannot run in it: it feeds itself, and has no end");
            assert_has(fl_env_error(env), "test_batch_mode.c:");
        }
        free(plan);
        fl_env_free(env);
    }
}

static void test_bounded(void **state)
{
    (void)state;
    fl_env *env = new_env("AUTOMATIC");
    fl_discard(fl_generate(env, generate, int64_t, .count = 3));
    fl_discard(fl_read_text(env, "examples/data/words.txt"));
    fl_discard(fl_sequence(env, 1, 3));
    fl_discard(fl_from_elements(env, int64_t, 1));
    fl_discard(fl_add_source(env, run_source, int64_t, .bounded = true));
    fl_discard(fl_poll_source(env, &polled, int64_t, .bounded = true));
    assert_int_equal(fl_execute(env, "job"), 0);
    assert_true(env->graph.is_batch);
    fl_env_free(env);
}

static void test_setting(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    assert_string_equal(fl_get_option(env, "execution.runtime-mode"), "STREAMING");
    fl_set_runtime_mode(env, FL_BATCH);
    assert_string_equal(fl_get_option(env, "execution.runtime-mode"), "BATCH");
    fl_set_runtime_mode(env, FL_AUTOMATIC);
    assert_string_equal(fl_get_option(env, "execution.runtime-mode"), "AUTOMATIC");
    fl_set_runtime_mode(env, (fl_runtime_mode)7);
    assert_has(fl_env_error(env), "7 is no mode; it must be FL_STREAMING, FL_BATCH or FL_AUTOMATIC");
    fl_env_free(env);
    env = new_env("FAST");
    assert_has(fl_env_error(env), "'FAST' is not one of STREAMING BATCH AUTOMATIC");
    fl_env_free(env);
    env = fl_env_new(0, NULL);
    fl_set(env, "execution.batch-shuffle-mode", "ALL_EXCHANGES_HYBRID");
    assert_has(fl_env_error(env), "is not one of ALL_EXCHANGES_BLOCKING ALL_EXCHANGES_PIPELINED");
    fl_env_free(env);
}

static void test_mode_changed_after_plan(void **state)
{
    (void)state;
    fl_env *env = new_env("BATCH");
    fl_discard(fl_sum(fl_key_by(fl_from_collection(env, Word, words, 6), "word"), "count"));
    free(fl_plan_text(env));
    free(fl_plan_json(env));
    fl_discard(fl_sequence(env, 1, 3));
    fl_set_runtime_mode(env, FL_STREAMING);
    assert_int_not_equal(fl_execute(env, "job"), 0);
    assert_has(fl_env_error(env), "set it before fl_plan_json");
    fl_env_free(env);
}

/* ---- final results ---- */

static Word sums[3], greatest[3];

static Word word(const char *text, int64_t count)
{
    return (Word){ fl_string_of(text, strlen(text)), count };
}

static void fill(void)
{
    static const char long_word[] = "a rather long word";
    const Word all[] = { word("a", 1), word("b", 5), word("a", 2), word(long_word, 1), word("b", 1),
        word(long_word, 1) };
    memcpy(words, all, sizeof all);
    memcpy(sums, (const Word[]){ word("a", 3), word("b", 6), word(long_word, 2) }, sizeof sums);
    memcpy(greatest, (const Word[]){ word("a", 2), word("b", 5), word(long_word, 1) }, sizeof greatest);
}

typedef struct variant {
    const char *shuffle, *memory;
    int parallelism;
    bool is_chained, is_simulated;
} variant;

static const variant variants[] = {
    { "ALL_EXCHANGES_BLOCKING", "512 mb", 1, true, false },
    { "ALL_EXCHANGES_BLOCKING", "512 mb", 2, true, false },
    { "ALL_EXCHANGES_BLOCKING", "1 b", 2, true, false },
    { "ALL_EXCHANGES_BLOCKING", "1 b", 3, false, false },
    { "ALL_EXCHANGES_PIPELINED", "512 mb", 2, true, false },
    { "ALL_EXCHANGES_PIPELINED", "1 b", 2, false, false },
    { "ALL_EXCHANGES_BLOCKING", "1 b", 2, true, true },
    { "ALL_EXCHANGES_PIPELINED", "1 b", 2, true, true },
};

static fl_env *env_of(const variant *v)
{
    fl_env *env = new_env("BATCH");
    fl_set(env, "execution.batch-shuffle-mode", v->shuffle);
    fl_set(env, "taskmanager.memory.managed.size", v->memory);
    fl_set(env, "pipeline.operator-chaining.enabled", v->is_chained ? "true" : "false");
    fl_set_parallelism(env, v->parallelism);
    if (v->is_simulated)
        fl_test_simulate(env, .seed = 7);
    return env;
}

static void assert_rows(fl_env *env, fl_test_rows *rows, const void *expected, size_t count, size_t size)
{
    if (fl_execute(env, "job") != 0)
        fail_msg("%s", fl_env_error(env));
    const char *difference = fl__test_difference(rows, expected, count, size, FL_TEST_ANY_ORDER);
    if (difference)
        fail_msg("%s", difference);
}
#define assert_rows(env, rows, expected)                                                                               \
    assert_rows(env, rows, expected, sizeof(expected) / sizeof *(expected), sizeof *(expected))

static fl_stream *keyed_words(fl_env *env, int parallelism)
{
    return fl_key_by(fl_test_source(env, Word, words, 6, .parallelism = parallelism), "word");
}

/* A plan may be looked at, and the program go on: what BATCH put into the graph is put in once. */
static void test_plan_first(void **state)
{
    (void)state;
    fl_env *env = new_env("BATCH");
    fl_test_rows *rows = fl_test_sink(fl_sum(keyed_words(env, 2), "count"), Word);
    char *first = fl_plan_text(env), *second;
    fl_discard(fl_sum(keyed_words(env, 1), "count"));
    second = fl_plan_text(env);
    const char *at = strstr(second, "Combine");
    assert_non_null(at);
    at = strstr(at + 1, "Combine");
    assert_non_null(at);
    assert_null(strstr(at + 1, "Combine"));
    free(first);
    free(second);
    assert_rows(env, rows, sums);
    fl_env_free(env);
}

static void test_one_result_per_key(void **state)
{
    (void)state;
    static const int64_t lengths[] = { 103, 106, 102 };
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        const variant *v = &variants[i];
        fl_env *env = env_of(v);
        fl_test_rows *rows = fl_test_sink(fl_sum(keyed_words(env, v->parallelism), "count"), Word);
        assert_rows(env, rows, sums);
        for (size_t r = 0; r < 3; r++)
            assert_true(fl_test_timestamp(rows, r) == FL_NO_TIMESTAMP);
        fl_env_free(env);
        env = env_of(v);
        rows = fl_test_sink(fl_reduce(keyed_words(env, v->parallelism), add), Word);
        assert_rows(env, rows, sums);
        fl_env_free(env);
        env = env_of(v);
        rows = fl_test_sink(fl_fold(keyed_words(env, v->parallelism), &(int64_t){ 100 }, add_length, int64_t), int64_t);
        assert_rows(env, rows, lengths);
        fl_env_free(env);
        env = env_of(v);
        rows = fl_test_sink(fl_max(keyed_words(env, v->parallelism), "count"), Word);
        assert_rows(env, rows, greatest);
        fl_env_free(env);
        env = env_of(v);
        rows = fl_test_sink(fl_max_by(keyed_words(env, v->parallelism), "count"), Word);
        assert_rows(env, rows, greatest);
        fl_env_free(env);
    }
}

static fl_time as_time(const void *in, fl_time previous, fl_context *ctx)
{
    (void)previous, (void)ctx;
    return *(const int64_t *)in;
}

static fl_time seen_watermark[2];

static void watch_watermark(const void *in, fl_collector *out, fl_context *ctx)
{
    seen_watermark[0] = fl_current_watermark(ctx);
    fl_collect_row(out, in);
}

/* Watermarks of sources, of generators that look at each record, and by the clock: none of them comes. */
static void on_event(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)ctx;
    fl_emit_watermark(out, timestamp);
}

static void test_no_watermarks(void **state)
{
    (void)state;
    static const fl_time times[] = { 1, 2, 3, 4, 5, 6 };
    fl_env *env = new_env("BATCH");
    fl_stream *in = fl_test_source(env, Word, words, 6, .timestamps = times, .watermarks = times);
    fl_stream *again = fl_watermarks(in, fl_punctuated_watermarks(on_event), .timestamp = "count");
    fl_test_rows *rows = fl_test_sink(fl_process(again, watch_watermark, Word, .chaining = FL_CHAIN_HEAD), Word);
    assert_int_equal(fl_execute(env, "job"), 0);
    assert_true(seen_watermark[0] == FL_TIME_MIN);
    assert_true(fl_test_timestamp(rows, 1) == 5);
    fl_env_free(env);
}

/* What keeps sources near each other needs watermarks: in BATCH mode nobody waits. */
static void test_alignment(void **state)
{
    (void)state;
    fl_env *env = new_env("BATCH");
    fl_watermark_strategy aligned =
        fl_watermark_alignment(fl_monotonous_timestamps(), "group", fl_milliseconds(10), fl_milliseconds(1));
    fl_stream *a = fl_watermarks(fl_sequence(env, 1, 5000), aligned, .timestamp_function = as_time);
    fl_stream *b = fl_watermarks(fl_sequence(env, 1000000, 1005000), aligned, .timestamp_function = as_time);
    fl_test_rows *rows = fl_test_sink(fl_union(a, b), int64_t);
    assert_int_equal(fl_execute(env, "job"), 0);
    size_t count;
    fl_test_get(rows, &count);
    assert_int_equal(count, 10001);
    fl_env_free(env);
}

/* ---- key by key ---- */

typedef struct {
    int64_t key, sum;
    int32_t fired;
} Seen;
FL_ROW(Seen, key, sum, fired);

FL_VALUE_STATE(sum_of, int64_t);
FL_LIST_STATE(texts, fl_string);
static _Atomic int wrong;
static _Atomic int64_t current_key[4], last_time[4];

/* Keys must not come twice, timestamps must rise, state must be this key's. */
static void per_key(const void *in, fl_collector *out, fl_context *ctx)
{
    const Pair *p = in;
    int me = fl_subtask_index(ctx);
    (void)out;
    int64_t *sum = fl_value(ctx, sum_of);
    if (*sum == 0 && p->key == current_key[me])
        wrong = 1;
    if (p->key == current_key[me] && fl_timestamp_of(ctx) < last_time[me])
        wrong = 2;
    if (fl_current_watermark(ctx) != FL_TIME_MIN)
        wrong = 3;
    current_key[me] = p->key;
    last_time[me] = fl_timestamp_of(ctx);
    *sum += p->a;
    char text[40];
    snprintf(text, sizeof text, "a text of record %lld", (long long)p->a);
    fl_string s = fl_string_of(text, strlen(text));
    fl_list_add(ctx, texts, &s);
    fl_register_event_time_timer(ctx, 1000);
    fl_register_event_time_timer(ctx, 2000);
    fl_delete_event_time_timer(ctx, 1000);
    fl_register_processing_time_timer(ctx, INT64_C(1) << 60);
    fl_register_processing_time_timer(ctx, 5);
    fl_delete_processing_time_timer(ctx, 5);
}

static void on_end(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_timer *timer = in;
    if (fl_current_watermark(ctx) != FL_TIME_MAX)
        wrong = 4;
    fl_register_event_time_timer(ctx, timer->time + 1); /* ignored, else it would never end */
    const int64_t *key = fl_current_key(ctx);
    fl_collect(out, &(Seen){ *key, *(int64_t *)fl_value(ctx, sum_of), timer->is_processing_time });
}

enum { PAIRS = 20000, PAIR_KEYS = 500 };
static Pair pairs[PAIRS];
static fl_time pair_times[PAIRS];

static void fill_pairs(void)
{
    for (int64_t i = 0; i < PAIRS; i++) {
        pairs[i] = (Pair){ (i * 7919 + i / 3) % PAIR_KEYS, i + 1, i };
        pair_times[i] = (i * 31) % 997;
    }
}

static void test_process_key_by_key(void **state)
{
    (void)state;
    static Seen expected[2 * PAIR_KEYS];
    memset(expected, 0, sizeof expected);
    for (int i = 0; i < PAIRS; i++) {
        for (int f = 0; f < 2; f++) {
            Seen *e = &expected[2 * pairs[i].key + f];
            *e = (Seen){ pairs[i].key, e->sum + pairs[i].a, f };
        }
    }
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        wrong = 0;
        for (int t = 0; t < 4; t++)
            current_key[t] = -1;
        fl_env *env = env_of(&variants[i]);
        fl_set(env, "taskmanager.memory.segment-size", "4 kb");
        fl_stream *in = fl_test_source(env, Pair, pairs, PAIRS, .timestamps = pair_times, .parallelism = 2);
        fl_test_rows *rows = fl_test_sink(
            fl_process(fl_key_by(in, "key"), per_key, Seen, .states = { &sum_of, &texts }, .on_timer = on_end), Seen);
        assert_rows(env, rows, expected);
        assert_int_equal(wrong, 0);
        fl_env_free(env);
    }
}

/* Two inputs meet by key, in order of time; the one without a key that is broadcast comes first. */
static void first_side(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    *(int64_t *)fl_value(ctx, sum_of) += ((const Pair *)in)->a;
}
static void second_side(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_collect(out, &(Seen){ ((const Pair *)in)->key, *(int64_t *)fl_value(ctx, sum_of), 0 });
}

static void test_two_inputs(void **state)
{
    (void)state;
    static Seen expected[PAIR_KEYS];
    static Pair second[PAIR_KEYS];
    static fl_time second_times[PAIR_KEYS];
    for (int64_t k = 0; k < PAIR_KEYS; k++) {
        second[k] = (Pair){ k, 0, 0 };
        second_times[k] = 500;
        expected[k] = (Seen){ k, 0, 0 };
    }
    for (int i = 0; i < PAIRS; i++)
        expected[pairs[i].key].sum += pair_times[i] <= 500 ? pairs[i].a : 0;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        fl_env *env = env_of(&variants[i]);
        fl_stream *a = fl_test_source(env, Pair, pairs, PAIRS, .timestamps = pair_times, .parallelism = 2);
        fl_stream *b = fl_test_source(env, Pair, second, PAIR_KEYS, .timestamps = second_times);
        fl_stream *both = fl_connect(fl_key_by(a, "key"), fl_key_by(b, "key"));
        fl_test_rows *rows =
            fl_test_sink(fl_co_process(both, first_side, second_side, Seen, .states = { &sum_of }), Seen);
        assert_rows(env, rows, expected);
        fl_env_free(env);
    }
}

static bool is_rule(const void *in, fl_context *ctx)
{
    (void)ctx;
    return ((const Pair *)in)->b < PAIR_KEYS;
}

static _Atomic int rules_seen, early_rows;
static void count_row(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out, (void)ctx;
    early_rows += rules_seen < PAIR_KEYS;
}
static void count_rule(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out, (void)ctx;
    rules_seen++;
}

static void test_broadcast_side_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        rules_seen = early_rows = 0;
        fl_env *env = env_of(&variants[i]);
        fl_stream *rows = fl_test_source(env, Pair, pairs, PAIRS); /* feeds both sides: must not wait for itself */
        fl_stream *rules = fl_broadcast(fl_filter(rows, is_rule));
        fl_discard(fl_co_flat_map(fl_connect(rows, rules), count_row, count_rule, Seen, .parallelism = 1));
        if (fl_execute(env, "job") != 0)
            fail_msg("%s", fl_env_error(env));
        assert_int_equal(rules_seen, PAIR_KEYS);
        assert_int_equal(early_rows, 0);
        fl_env_free(env);
    }
}

/* Windows by the clock fire at the end, whatever it says; nothing that they hold is lost. */
static void test_windows_of_the_clock(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        for (int general = 0; general < 2; general++) {
            fl_env *env = env_of(&variants[i]);
            fl_stream *in = fl_key_by(fl_test_source(env, Word, words, 6), "word");
            fl_window_assigner hour =
                general ? fl_session_processing_time(fl_hours(1)) : fl_tumbling_processing_time(fl_hours(10000));
            fl_test_rows *rows = fl_test_sink(fl_sum(fl_window(in, hour), "count"), Word);
            assert_rows(env, rows, sums);
            fl_env_free(env);
        }
    }
}

/* Functions to whom the order matters see a key's rows in order of time. */
static void append(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    Pair *v = value;
    const Pair *p = in;
    v->a = (int64_t)((uint64_t)v->a * 31 + (uint64_t)p->a);
}

static int compare_times(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    if (pair_times[x] != pair_times[y])
        return pair_times[x] < pair_times[y] ? -1 : 1;
    return x - y;
}

static void test_order_of_time(void **state)
{
    (void)state;
    static int order[PAIRS];
    static Pair expected[PAIR_KEYS], folded[PAIR_KEYS];
    static bool has[PAIR_KEYS];
    memset(has, 0, sizeof has);
    for (int i = 0; i < PAIRS; i++)
        order[i] = i;
    qsort(order, PAIRS, sizeof *order, compare_times);
    for (int i = 0; i < PAIRS; i++) {
        const Pair *p = &pairs[order[i]];
        Pair *e = &expected[p->key];
        *e = has[p->key] ? (Pair){ p->key, (int64_t)((uint64_t)e->a * 31 + (uint64_t)p->a), e->b } : *p;
        Pair *f = &folded[p->key];
        *f = (Pair){ 7, (int64_t)((uint64_t)(has[p->key] ? f->a : 0) * 31 + (uint64_t)p->a), 0 };
        has[p->key] = true;
    }
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        fl_env *env = env_of(&variants[i]);
        fl_stream *in = fl_test_source(env, Pair, pairs, PAIRS, .timestamps = pair_times);
        fl_test_rows *rows = fl_test_sink(fl_reduce(fl_key_by(in, "key"), append), Pair);
        assert_rows(env, rows, expected);
        for (size_t r = 0; r < PAIR_KEYS; r++)
            assert_true(fl_test_timestamp(rows, r) == FL_TIME_MAX);
        fl_env_free(env);
        env = env_of(&variants[i]);
        in = fl_test_source(env, Pair, pairs, PAIRS, .timestamps = pair_times);
        rows = fl_test_sink(fl_fold(fl_key_by(in, "key"), (&(Pair){ 7, 0, 0 }), append, Pair), Pair);
        assert_rows(env, rows, folded);
        fl_env_free(env);
    }
}

/* ---- stages ---- */

static void test_plan(void **state)
{
    (void)state;
    fl_env *env = new_env("BATCH");
    fl_set_parallelism(env, 2);
    fl_stream *counts = fl_sum(keyed_words(env, 2), "count");
    fl_discard(fl_rebalance(counts), .parallelism = 1);
    char *plan = fl_plan_text(env);
    assert_has(plan, "Combine(Keyed Sum(count))");
    assert_has(plan, "Keyed Sum(count)  ×2  stage 2");
    free(plan);
    assert_int_equal(env->graph.stage_count, 3);
    fl_env_free(env);
    env = new_env("BATCH");
    fl_set(env, "execution.batch-shuffle-mode", "ALL_EXCHANGES_PIPELINED");
    fl_discard(fl_sum(keyed_words(env, 2), "count"));
    free(fl_plan_text(env));
    assert_int_equal(env->graph.stage_count, 1);
    fl_env_free(env);
}

static _Atomic int ended, began_early;

static void note_end(fl_context *ctx)
{
    (void)ctx;
    atomic_fetch_add(&ended, 1);
}
static void note_begin(fl_context *ctx)
{
    (void)ctx;
    if (atomic_load(&ended) < 3)
        atomic_store(&began_early, 1);
}
static void pass(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect_row(out, in);
}

static void test_stages_follow_each_other(void **state)
{
    (void)state;
    atomic_store(&ended, 0);
    atomic_store(&began_early, 0);
    fl_env *env = new_env("BATCH");
    fl_set_parallelism(env, 3);
    fl_stream *first = fl_map(fl_rebalance(fl_sequence(env, 1, 30000)), pass, int64_t, .close = note_end);
    fl_test_rows *rows = fl_test_sink(fl_map(fl_rebalance(first), pass, int64_t, .open = note_begin), int64_t);
    assert_int_equal(fl_execute(env, "job"), 0);
    size_t count;
    fl_test_get(rows, &count);
    assert_int_equal(count, 30000);
    assert_int_equal(atomic_load(&began_early), 0);
    fl_env_free(env);
}

/* A row larger than a segment and many rows go through files as they go through memory. */
static void test_files(void **state)
{
    (void)state;
    enum { N = 5000 };
    static Word rows_in[N];
    char *large = malloc(200000);
    memset(large, 'x', 200000);
    for (int i = 0; i < N; i++)
        rows_in[i] = (Word){ fl_string_of(large, i == 17 ? 200000 : (size_t)i % 40), i };
    for (int spill = 0; spill < 2; spill++) {
        fl_env *env = new_env("BATCH");
        fl_set(env, "taskmanager.memory.managed.size", spill ? "1 b" : "64 mb");
        fl_set(env, "taskmanager.memory.segment-size", "4 kb");
        fl_test_rows *rows = fl_test_sink(fl_rebalance(fl_test_source(env, Word, rows_in, N)), Word);
        if (fl_execute(env, "job") != 0)
            fail_msg("%s", fl_env_error(env));
        const char *difference = fl_test_difference(rows, rows_in, N, FL_TEST_IN_ORDER);
        if (difference)
            fail_msg("%.200s", difference);
        fl_env_free(env);
    }
    free(large);
}

static void test_folders(void **state)
{
    (void)state;
    fl_env *env = new_env("BATCH");
    fl_set(env, "io.tmp.dirs", "/tmp,/nowhere/at/all");
    fl_discard(fl_sum(keyed_words(env, 1), "count"));
    assert_int_not_equal(fl_execute(env, "job"), 0);
    assert_has(fl_env_error(env), "/nowhere/at/all");
    assert_has(fl_env_error(env), "io.tmp.dirs");
    fl_env_free(env);
    env = fl_env_new(0, NULL); /* STREAMING has no use for it */
    fl_set(env, "io.tmp.dirs", "/nowhere/at/all");
    fl_discard(fl_sum(keyed_words(env, 1), "count"));
    assert_int_equal(fl_execute(env, "job"), 0);
    fl_env_free(env);
}

static void crash(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    if (((const Word *)in)->count == 5)
        fl_fail(ctx, "five");
}

static void test_failures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        fl_env *env = env_of(&variants[i]);
        fl_stream *in = fl_test_source(env, Word, words, 6, .parallelism = variants[i].parallelism);
        fl_discard(fl_sum(fl_key_by(fl_flat_map(fl_rebalance(in), crash, Word), "word"), "count"));
        assert_int_not_equal(fl_execute(env, "job"), 0);
        assert_has(fl_env_error(env), "five");
        fl_env_free(env);
    }
}

int main(void)
{
    fill();
    fill_pairs();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unbounded),
        cmocka_unit_test(test_streaming_only),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_setting),
        cmocka_unit_test(test_mode_changed_after_plan),
        cmocka_unit_test(test_plan_first),
        cmocka_unit_test(test_one_result_per_key),
        cmocka_unit_test(test_no_watermarks),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_process_key_by_key),
        cmocka_unit_test(test_two_inputs),
        cmocka_unit_test(test_broadcast_side_first),
        cmocka_unit_test(test_windows_of_the_clock),
        cmocka_unit_test(test_order_of_time),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_stages_follow_each_other),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
