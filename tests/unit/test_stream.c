/* The DataStream API, run: partitioners, aggregations, several streams, records of every size. */
#include <flinc.h>
#include <flinc/testing.h>

#include "api/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { COUNT = 240 };

static int64_t numbers[COUNT];

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++)
        numbers[i] = i;
    return 0;
}

/* ---- partitioners: who sends what to whom ---- */

typedef struct Routed {
    int64_t n;
    int32_t from, to;
} Routed;
FL_ROW(Routed, n, from, to);

static void sent(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_collect(out, &(Routed){ .n = *(const int64_t *)in, .from = fl_subtask_index(ctx) });
}

static void received(const void *in, fl_collector *out, fl_context *ctx)
{
    Routed r = *(const Routed *)in;
    r.to = fl_subtask_index(ctx);
    fl_collect(out, &r);
}

static int modulo(const void *key, int channels, fl_context *ctx)
{
    assert_ptr_equal(fl_arg(ctx), numbers);
    return (int)(*(const int64_t *)key % channels);
}

static int modulo_of_record(const void *in, int channels, fl_context *ctx)
{
    (void)ctx;
    return (int)(((const Routed *)in)->n % channels);
}

static fl_stream *route(fl_stream *s, int how)
{
    switch (how) {
    case FL_FORWARD: return fl_forward(s);
    case FL_HASH: return fl_key_by(s, "n");
    case FL_REBALANCE: return fl_rebalance(s);
    case FL_RESCALE: return fl_rescale(s);
    case FL_SHUFFLE: return fl_shuffle(s);
    case FL_BROADCAST: return fl_broadcast(s);
    case FL_GLOBAL: return fl_global(s);
    case FL_CUSTOM: return fl_partition_custom(s, modulo, "n", .arg = numbers);
    default: return fl_partition_custom(s, modulo_of_record, NULL);
    }
}

typedef struct routes {
    const Routed *rows;
    size_t count;
    int of[8][8]; /* records from, to */
} routes;

/* COUNT records, dealt out evenly to `from` subtasks, then through the partitioner to `to` subtasks. */
static fl_env *run_routes(int how, int from, int to, routes *r)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *s = fl_test_source(env, int64_t, numbers, COUNT, .parallelism = from);
    s = route(fl_map(s, sent, Routed, .parallelism = from), how);
    fl_test_rows *rows = fl_test_sink(fl_map(s, received, Routed, .parallelism = to), Routed, .parallelism = to);
    assert_int_equal(fl_execute(env, "routes"), 0);
    memset(r, 0, sizeof *r);
    r->rows = fl_test_get(rows, &r->count);
    int64_t last[8][8];
    memset(last, -1, sizeof last);
    for (size_t i = 0; i < r->count; i++) {
        const Routed *row = &r->rows[i];
        assert_true(row->n > last[row->from][row->to]); /* a channel keeps the order */
        last[row->from][row->to] = row->n;
        r->of[row->from][row->to]++;
    }
    return env;
}

static void test_partitioners(void **state)
{
    (void)state;
    routes r;
    fl_env *env = run_routes(FL_FORWARD, 3, 3, &r);
    for (int i = 0; i < 3; i++)
        assert_int_equal(r.of[i][i], COUNT / 3);
    fl_env_free(env);

    env = run_routes(FL_REBALANCE, 2, 4, &r); /* each to all, evenly */
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 4; j++)
            assert_int_equal(r.of[i][j], COUNT / 2 / 4);
    }
    fl_env_free(env);

    env = run_routes(FL_BROADCAST, 2, 3, &r);
    assert_int_equal(r.count, 3 * COUNT);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 3; j++)
            assert_int_equal(r.of[i][j], COUNT / 2);
    }
    fl_env_free(env);

    env = run_routes(FL_GLOBAL, 2, 3, &r);
    assert_int_equal(r.of[0][0] + r.of[1][0], COUNT);
    fl_env_free(env);

    env = run_routes(FL_SHUFFLE, 2, 2, &r);
    assert_int_equal(r.count, COUNT);
    for (int i = 0; i < 4; i++)
        assert_in_range(r.of[i / 2][i % 2], COUNT / 4 - 30, COUNT / 4 + 30);
    fl_env_free(env);

    for (int how = FL_CUSTOM; how <= FL_CUSTOM + 1; how++) {
        env = run_routes(how, 2, 3, &r);
        assert_int_equal(r.count, COUNT);
        for (size_t i = 0; i < r.count; i++)
            assert_int_equal(r.rows[i].to, r.rows[i].n % 3);
        fl_env_free(env);
    }

    env = run_routes(FL_HASH, 2, 4, &r);
    assert_int_equal(r.count, COUNT);
    for (int j = 0; j < 4; j++)
        assert_in_range(r.of[0][j] + r.of[1][j], COUNT / 8, COUNT / 2);
    fl_env_free(env);
}

/* Flink's pointwise pattern: neighbours form groups. */
static void test_rescale(void **state)
{
    (void)state;
    static const struct {
        int from, to;
        const char *pattern; /* a row per sender: x where it sends to */
    } cases[] = {
        { 2, 4, "xx.. ..xx" },
        { 4, 2, "x. x. .x .x" },
        { 2, 3, "xx. ..x" },
        { 3, 2, "x. .x .x" },
        { 3, 3, "x.. .x. ..x" },
        { 1, 3, "xxx" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        routes r;
        fl_env *env = run_routes(FL_RESCALE, cases[i].from, cases[i].to, &r);
        assert_int_equal(r.count, COUNT);
        char pattern[64], *at = pattern;
        for (int f = 0; f < cases[i].from; f++) {
            if (f)
                *at++ = ' ';
            for (int t = 0; t < cases[i].to; t++)
                *at++ = r.of[f][t] ? 'x' : '.';
        }
        *at = 0;
        assert_string_equal(pattern, cases[i].pattern);
        fl_env_free(env);
    }
}

static int out_of_range(const void *in, int channels, fl_context *ctx)
{
    (void)in, (void)ctx;
    return channels;
}

static void test_bad_partitioner(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *s = fl_partition_custom(fl_test_source(env, int64_t, numbers, 5), out_of_range, NULL);
    fl_test_sink(s, int64_t, .parallelism = 2);
    assert_int_equal(fl_execute(env, "bad partitioner"), FL_ERROR_USER);
    assert_non_null(strstr(fl_env_error(env), "partitioner returned 2; it must return 0 to 1"));
    fl_env_free(env);
}

/* ---- aggregations ---- */

typedef struct Sale {
    fl_string shop;
    int64_t amount;
    double price;
    int32_t number;
} Sale;
FL_ROW(Sale, shop, amount, price, number);

static void larger(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    if (((const Sale *)in)->amount > ((Sale *)value)->amount)
        *(Sale *)value = *(const Sale *)in;
}

static void append(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    static _Thread_local char text[64];
    fl_string *v = value;
    int n =
        snprintf(text, sizeof text, "%.*s%d", (int)fl_string_length(*v), fl_string_data(v), ((const Sale *)in)->number);
    *v = fl_string_of(text, (size_t)n);
}

static fl_stream *aggregate(fl_stream *s, int what)
{
    switch (what) {
    case 0: return fl_sum(s, "amount");
    case 1: return fl_min(s, "amount");
    case 2: return fl_max(s, "price");
    case 3: return fl_min_by(s, "amount");
    case 4: return fl_max_by(s, "amount");
    case 5: return fl_min_by_last(s, "amount");
    case 6: return fl_max_by_last(s, "amount");
    case 7: return fl_rolling_index(s, FL_SUM, 3, true);
    case 8: return fl_max_by(s, "shop");
    default: return fl_reduce(s, larger);
    }
}

static void test_aggregations(void **state)
{
    (void)state;
    const char *a = "a", *b = "a shop with quite a long name";
    Sale sales[] = { { fl_str(a), 5, 1.5, 1 }, { fl_str(b), 7, 2.5, 2 }, { fl_str(a), 5, 0.5, 3 },
        { fl_str(a), 3, 9.5, 4 }, { fl_str(b), 7, 0.5, 5 }, { fl_str(a), 3, 0, 6 } };
    /* number, amount and price of each result: fields that are not aggregated are the first record's */
    static const struct {
        int64_t amount;
        double price;
        int32_t number;
    } expected[][6] = {
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 10, 1.5, 1 }, { 13, 1.5, 1 }, { 14, 2.5, 2 }, { 16, 1.5, 1 } },
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 1 }, { 3, 1.5, 1 }, { 7, 2.5, 2 }, { 3, 1.5, 1 } },
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 1 }, { 5, 9.5, 1 }, { 7, 2.5, 2 }, { 5, 9.5, 1 } },
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 1 }, { 3, 9.5, 4 }, { 7, 2.5, 2 }, { 3, 9.5, 4 } },
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 1 }, { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 1 } },
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 0.5, 3 }, { 3, 9.5, 4 }, { 7, 0.5, 5 }, { 3, 0, 6 } },
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 0.5, 3 }, { 5, 0.5, 3 }, { 7, 0.5, 5 }, { 5, 0.5, 3 } },
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 4 }, { 5, 1.5, 8 }, { 7, 2.5, 7 }, { 5, 1.5, 14 } },
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 1 }, { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 1 } },
        { { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 1 }, { 5, 1.5, 1 }, { 7, 2.5, 2 }, { 5, 1.5, 1 } },
    };
    for (int what = 0; what < 10; what++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_stream *keyed = fl_key_by(fl_test_source(env, Sale, sales, 6), "shop");
        fl_test_rows *rows = fl_test_sink(aggregate(keyed, what), Sale);
        assert_int_equal(fl_execute(env, "aggregation"), 0);
        const Sale *got = fl_test_get(rows, NULL);
        for (int i = 0; i < 6; i++) {
            if (got[i].amount != expected[what][i].amount || got[i].price != expected[what][i].price ||
                got[i].number != expected[what][i].number || !fl_string_equal(got[i].shop, sales[i].shop))
                fail_msg("aggregation %d, record %d: amount %lld, price %g, number %d", what, i,
                    (long long)got[i].amount, got[i].price, got[i].number);
        }
        fl_env_free(env);
    }
    fl_env *env = fl_env_new(0, NULL);
    fl_string start = fl_str("a long text that folding starts with: ");
    fl_stream *keyed = fl_key_by(fl_test_source(env, Sale, sales, 6), "shop");
    fl_test_rows *rows = fl_test_sink(fl_fold(keyed, &start, append, fl_string), fl_string);
    start = fl_str("gone");
    assert_int_equal(fl_execute(env, "fold"), 0);
    const fl_string *texts = fl_test_get(rows, NULL);
    assert_true(fl_string_equal(texts[5], fl_str("a long text that folding starts with: 1346")));
    assert_true(fl_string_equal(texts[4], fl_str("a long text that folding starts with: 25")));
    fl_env_free(env);
}

/* ---- several streams ---- */

static void add_one(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect(out, &(int64_t){ *(const int64_t *)in + 1 });
}

static void length_of(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect(out, &(int64_t){ (int64_t)fl_string_length(*(const fl_string *)in) });
}

/* Streams with and without timestamps, one of them twice. */
static void test_union(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_time times[] = { 10, 20 };
    int64_t timed[] = { 100, 200 }, plain[] = { 300 };
    fl_stream *a = fl_test_source(env, int64_t, timed, 2, .timestamps = times),
              *b = fl_test_source(env, int64_t, plain, 1);
    fl_test_rows *rows = fl_test_sink(fl_map(fl_union(a, b, b), add_one, int64_t), int64_t);
    assert_int_equal(fl_execute(env, "union"), 0);
    int64_t expected[] = { 101, 201, 301, 301 };
    assert_null(fl_test_difference(rows, expected, 4, FL_TEST_ANY_ORDER));
    fl_test_sort(rows);
    assert_int_equal(fl_test_timestamp(rows, 0), 10);
    assert_int_equal(fl_test_timestamp(rows, 1), 20);
    assert_true(fl_test_timestamp(rows, 2) == FL_NO_TIMESTAMP);
    fl_env_free(env);
}

static void test_connect(void **state)
{
    (void)state;
    for (int flat = 0; flat < 2; flat++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_string words[] = { fl_str("four"), fl_str("a word of many letters") };
        int64_t n[] = { 10 };
        fl_stream *both = fl_connect(fl_test_source(env, int64_t, n, 1), fl_test_source(env, fl_string, words, 2));
        fl_stream *s =
            flat ? fl_co_flat_map(both, add_one, length_of, int64_t) : fl_co_map(both, add_one, length_of, int64_t);
        fl_test_rows *rows = fl_test_sink(s, int64_t);
        assert_int_equal(fl_execute(env, "connect"), 0);
        int64_t expected[] = { 4, 11, 22 };
        assert_null(fl_test_difference(rows, expected, 3, FL_TEST_ANY_ORDER));
        fl_env_free(env);
    }
}

FL_OUTPUT_TAG(even, int64_t);
FL_OUTPUT_TAG(unread, int64_t);

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_output(ctx, unread, (const int64_t *)in);
    if (*(const int64_t *)in % 2 == 0)
        fl_output(ctx, even, (const int64_t *)in);
    else
        fl_collect_row(out, in);
}

static void test_side_outputs(void **state)
{
    (void)state;
    for (int chaining = 0; chaining < 2; chaining++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set(env, "pipeline.operator-chaining.enabled", chaining ? "true" : "false");
        fl_stream *s = fl_process(fl_test_source(env, int64_t, numbers, COUNT), split, int64_t);
        fl_test_rows *odd = fl_test_sink(s, int64_t);
        fl_test_rows *one = fl_test_sink(fl_side_output(s, even), int64_t);
        fl_test_rows *other =
            fl_test_sink(fl_map(fl_side_output(s, even), add_one, int64_t), int64_t, .parallelism = 2);
        assert_int_equal(fl_execute(env, "side outputs"), 0);
        size_t count;
        fl_test_get(odd, &count);
        assert_int_equal(count, COUNT / 2);
        const int64_t *evens = fl_test_get(one, &count);
        assert_int_equal(count, COUNT / 2);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(evens[i], 2 * i);
        fl_test_get(other, &count);
        assert_int_equal(count, COUNT / 2);
        fl_env_free(env);
    }
}

/* ---- records of every size ---- */

enum { LARGE = 100 * 1000 }; /* three segments */

static void inflate(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    static _Thread_local char text[LARGE];
    int64_t n = *(const int64_t *)in;
    size_t length = n % 10 == 3 ? LARGE : (size_t)n % 40;
    memset(text, 'a' + (int)(n % 26), length);
    fl_collect(out, &(Sale){ .shop = fl_string_of(text, length), .amount = n });
}

static void test_large_records(void **state)
{
    (void)state;
    static const char *const edges[] = { "forward", "rebalance", "broadcast", "key_by" };
    for (int edge = 0; edge < 4; edge++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_stream *s = fl_map(fl_test_source(env, int64_t, numbers, 100), inflate, Sale);
        s = edge == 0   ? s
            : edge == 1 ? fl_rebalance(s)
            : edge == 2 ? fl_broadcast(s)
                        : fl_sum(fl_key_by(s, "amount"), "number");
        fl_test_rows *rows = fl_test_sink(s, Sale, .parallelism = edge ? 2 : 1, .chaining = FL_CHAIN_NEVER);
        assert_int_equal(fl_execute(env, edges[edge]), 0);
        fl_test_sort(rows);
        size_t count;
        const Sale *got = fl_test_get(rows, &count);
        assert_int_equal(count, edge == 2 ? 200 : 100);
        for (size_t i = 0; i < count; i++) {
            const char *data = fl_string_data(&got[i].shop);
            size_t length = got[i].amount % 10 == 3 ? LARGE : (size_t)got[i].amount % 40;
            assert_int_equal(fl_string_length(got[i].shop), length);
            for (size_t c = 0; c < length; c++) {
                if (data[c] != 'a' + got[i].amount % 26)
                    fail_msg("%s: record %lld is damaged at byte %zu", edges[edge], (long long)got[i].amount, c);
            }
        }
        fl_env_free(env);
    }
}

static void test_record_past_the_limit(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set(env, "flinc.record.bytes-max", "64kb");
    fl_test_sink(fl_map(fl_test_source(env, int64_t, numbers, 100), inflate, Sale, .name = "inflate"), Sale);
    assert_int_equal(fl_execute(env, "too large"), FL_ERROR_LIMIT);
    const char *error = fl_env_error(env);
    assert_non_null(strstr(error, "flinc.record.bytes-max"));
    assert_non_null(strstr(error, "65536"));
    assert_non_null(strstr(error, "test_stream.c:"));
    assert_non_null(strstr(error, "inflate (1/1)"));
    fl_env_free(env);
}

static void wrong_size(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)ctx;
    fl_collect(out, &(int32_t){ 1 });
}

static void no_output(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    if (*(const int64_t *)in == 7)
        fl_fail(ctx, "number %d is not wanted", 7);
}

static void test_failing_functions(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_test_sink(fl_map(fl_test_source(env, int64_t, numbers, 10), wrong_size, int64_t), int64_t);
    assert_int_equal(fl_execute(env, "wrong size"), FL_ERROR_INVALID);
    assert_non_null(strstr(fl_env_error(env), "given 4 bytes, but the stream's type int64_t has 8"));
    fl_env_free(env);

    env = fl_env_new(0, NULL);
    fl_test_rows *rows = fl_test_sink(
        fl_flat_map(fl_test_source(env, int64_t, numbers, COUNT), no_output, int64_t, .parallelism = 3), int64_t);
    assert_int_equal(fl_execute(env, "failing"), FL_ERROR_USER);
    assert_non_null(strstr(fl_env_error(env), "number 7 is not wanted"));
    assert_null(fl_test_get(rows, NULL));
    fl_env_free(env);
}

/* Empty input goes through everything: ends, and fires nothing. */
static void test_empty_input(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 3);
    fl_stream *s = fl_test_source(env, Sale, NULL, 0);
    s = fl_watermarks(s, fl_monotonous_timestamps(), .timestamp = "amount");
    s = fl_sum(fl_window(fl_key_by(fl_rebalance(s), "shop"), fl_tumbling_event_time(fl_seconds(1))), "amount");
    fl_test_rows *rows = fl_test_sink(s, Sale);
    assert_int_equal(fl_execute(env, "empty"), 0);
    assert_null(fl_test_get(rows, NULL));
    assert_int_equal(fl_result_records_in(env), 0);
    assert_int_equal(fl_result_records_out(env), 0);
    fl_env_free(env);
}

/* ---- watermark strategies ---- */

static void on_event(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx)
{
    (void)in;
    if (fl_self(ctx))
        *(fl_time *)fl_self(ctx) = timestamp;
    else if (timestamp % 2 == 0)
        fl_emit_watermark(out, timestamp);
}

static fl_time on_periodic(fl_context *ctx)
{
    fl_time *highest = fl_self(ctx);
    return *highest ? *highest - 5 : FL_TIME_MIN;
}

static fl_time twice(const void *in, fl_time previous, fl_context *ctx)
{
    (void)ctx, (void)previous;
    return 2 * *(const int64_t *)in;
}

static fl_stream *strategies(fl_stream *in, fl_stream *second, void *arg)
{
    (void)second;
    switch (*(int *)arg) {
    case 0: return fl_watermarks(in, fl_bounded_out_of_orderness(fl_milliseconds(3)));
    case 1: return fl_watermarks(in, fl_monotonous_timestamps(), .timestamp_function = twice);
    case 2: return fl_watermarks(in, fl_no_watermarks());
    case 3: return fl_watermarks(in, fl_punctuated_watermarks(on_event));
    default: return fl_watermarks(in, fl_custom_watermarks(on_event, on_periodic), .instance_size = sizeof(fl_time));
    }
}

static void test_watermark_strategies(void **state)
{
    (void)state;
    static const struct {
        fl_time after_record, after_interval, timestamp;
    } expected[] = { { FL_TIME_MIN, 6, 10 }, { FL_TIME_MIN, 19, 20 }, { FL_TIME_MIN, FL_TIME_MIN, 10 }, { 10, 10, 10 },
        { FL_TIME_MIN, 4, 9 } };
    for (int i = 0; i < 5; i++) {
        fl_harness *h = fl_harness_new(int64_t, strategies, .arg = &i);
        fl_harness_push(h, 10, &(int64_t){ 10 });
        fl_harness_push(h, 9, &(int64_t){ 9 });
        fl_harness_watermark(h, 8); /* the source's own is not the strategy's */
        assert_true(fl_harness_output_watermark(h) == expected[i].after_record);
        fl_harness_advance(h, fl_milliseconds(200));
        assert_true(fl_harness_output_watermark(h) == expected[i].after_interval);
        fl_harness_event event;
        assert_true(fl_harness_next(h, &event));
        assert_true(i == 4 || event.timestamp == expected[i].timestamp);
        fl_harness_end(h);
        assert_true(fl_harness_output_watermark(h) == FL_TIME_MAX);
        assert_string_equal(fl_harness_error(h), "");
        fl_harness_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partitioners),
        cmocka_unit_test(test_rescale),
        cmocka_unit_test(test_bad_partitioner),
        cmocka_unit_test(test_aggregations),
        cmocka_unit_test(test_union),
        cmocka_unit_test(test_connect),
        cmocka_unit_test(test_side_outputs),
        cmocka_unit_test(test_large_records),
        cmocka_unit_test(test_record_past_the_limit),
        cmocka_unit_test(test_failing_functions),
        cmocka_unit_test(test_empty_input),
        cmocka_unit_test(test_watermark_strategies),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
