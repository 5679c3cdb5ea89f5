/* Process functions, plain and keyed, with one and two inputs, in whole pipelines through the public API. */
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
    int64_t key, at, value;
} Event;
FL_ROW(Event, key, at, value);

/* ---- what comes out, as sorted text ---- */

static char collected[1 << 20];
static size_t collected_size;

static void collect_event(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    (void)ctx;
    const Event *e = in;
    collected_size += (size_t)snprintf(collected + collected_size, sizeof collected - collected_size,
        "%lld %lld %lld\n", (long long)e->key, (long long)e->at, (long long)e->value);
}

static fl_env *begin(void)
{
    collected_size = 0;
    collected[0] = 0;
    return fl_env_new(0, NULL);
}

static void run(fl_env *env)
{
    if (fl_execute(env, "test") != FL_OK)
        fail_msg("%s", fl_env_error(env));
    fl_env_free(env);
}

static void run_into_error(fl_env *env, const char *part)
{
    assert_int_not_equal(fl_execute(env, "test"), FL_OK);
    if (!strstr(fl_env_error(env), part))
        fail_msg("\"%s\" does not say \"%s\"", fl_env_error(env), part);
    fl_env_free(env);
}

static fl_stream *timed(fl_stream *events)
{
    return fl_watermarks(events, fl_monotonous_timestamps(), .timestamp = "at");
}

/* ---- plain ---- */

static void twice(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    assert_int_equal(fl_timestamp_of(ctx), e->at);
    assert_null(fl_current_key(ctx));
    fl_collect_row(out, e);
    fl_collect(out, &(Event){ e->key, fl_timestamp_of(ctx), -e->value });
}

static void test_a_plain_process_function_collects_what_it_likes(void **state)
{
    (void)state;
    fl_env *env = begin();
    fl_stream *s = timed(fl_from_elements(env, Event, (Event){ 1, 10, 5 }, (Event){ 2, 20, 6 }));
    fl_add_sink(fl_process(s, twice, Event), collect_event, .parallelism = 1);
    run(env);
    assert_string_equal(collected, "1 10 5\n1 10 -5\n2 20 6\n2 20 -6\n");
}

/* ---- keyed state ---- */

FL_VALUE_STATE(count, int64_t);
FL_LIST_STATE(seen, int64_t);
FL_VALUE_STATE(unlisted, int64_t);

static void number(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    assert_int_equal(*(const int64_t *)fl_current_key(ctx), e->key);
    fl_list_add(ctx, seen, &e->value);
    int64_t sum = 0;
    for (size_t i = 0; i < fl_list_count(ctx, seen); i++)
        sum += *fl_list_at(ctx, seen, i);
    fl_collect(out, &(Event){ e->key, ++*fl_value(ctx, count), sum });
}

static void test_keyed_state_in_process_and_flat_map(void **state)
{
    (void)state;
    for (int rich = 0; rich < 2; rich++) {
        fl_env *env = begin();
        fl_stream *s = fl_key_by(fl_from_elements(env, Event, (Event){ 1, 0, 5 }, (Event){ 2, 0, 6 },
                                     (Event){ 1, 0, 7 }, (Event){ 1, 0, 1 }),
            "key");
        s = rich ? fl_flat_map(s, number, Event, .states = { &count, &seen }, .parallelism = 1)
                 : fl_process(s, number, Event, .states = { &count, &seen }, .parallelism = 1);
        fl_add_sink(s, collect_event, .parallelism = 1);
        run(env);
        assert_string_equal(collected, "1 1 5\n2 1 6\n1 2 12\n1 3 13\n");
    }
}

static bool is_first(const void *in, fl_context *ctx)
{
    (void)in;
    return ++*fl_value(ctx, count) == 1;
}

static void test_a_filter_with_state_deduplicates(void **state)
{
    (void)state;
    fl_env *env = begin();
    fl_stream *s =
        fl_key_by(fl_from_elements(env, Event, (Event){ 1, 0, 5 }, (Event){ 1, 0, 6 }, (Event){ 2, 0, 7 }), "key");
    fl_add_sink(fl_filter(s, is_first, .states = { &count }, .parallelism = 1), collect_event, .parallelism = 1);
    run(env);
    assert_string_equal(collected, "1 0 5\n2 0 7\n");
}

enum { MANY = 200000, KEYS = 20000 };

static void many(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    int64_t i = *(const int64_t *)in;
    fl_collect(out, &(Event){ i * 7919 % KEYS, i, 1 });
}

static void emit_tenth(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    if (++*fl_value(ctx, count) == MANY / KEYS)
        fl_collect(out, &(Event){ e->key, 0, fl_value(ctx, count)[0] });
}

static _Atomic int64_t summed;
static void sum_up(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    (void)ctx;
    summed += ((const Event *)in)->value;
}

static void test_many_keys_at_several_parallelisms(void **state)
{
    (void)state;
    for (int p = 1; p <= 4; p++) {
        fl_env *env = begin();
        summed = 0;
        fl_stream *s = fl_generate(env, many, Event, .count = MANY);
        s = fl_process(fl_key_by(s, "key"), emit_tenth, Event, .states = { &count }, .parallelism = p);
        fl_add_sink(s, sum_up);
        run(env);
        assert_int_equal(summed, MANY);
    }
}

/* ---- timers ---- */

static void remind(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    (void)out;
    *fl_value(ctx, count) += e->value;
    fl_register_event_time_timer(ctx, e->at + 10);
    fl_register_event_time_timer(ctx, e->at + 10); /* still one */
    if (e->value == 0)
        fl_delete_event_time_timer(ctx, e->at + 10);
}

static void on_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_timer *timer = in;
    assert_false(timer->is_processing_time);
    assert_int_equal(fl_timestamp_of(ctx), timer->time);
    assert_true(fl_current_watermark(ctx) >= timer->time);
    const int64_t key = *(const int64_t *)fl_current_key(ctx);
    fl_collect(out, &(Event){ key, timer->time, *fl_value(ctx, count) });
    if (timer->time == 11)
        fl_register_event_time_timer(ctx, 12); /* due at once when the watermark is further on */
}

static void pass_timestamp(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    assert_int_equal(fl_timestamp_of(ctx), e->at);
    fl_collect_row(out, e);
}

static void test_event_time_timers_fire_in_order(void **state)
{
    (void)state;
    fl_env *env = begin();
    fl_set_parallelism(env, 1);
    fl_stream *s = timed(fl_from_elements(env, Event, (Event){ 1, 1, 5 }, (Event){ 2, 2, 6 }, (Event){ 1, 3, 7 },
        (Event){ 3, 4, 0 }, (Event){ 1, 100, 1 }));
    s = fl_process(fl_key_by(s, "key"), remind, Event, .states = { &count }, .on_timer = on_timer);
    fl_add_sink(fl_map(s, pass_timestamp, Event), collect_event);
    run(env);
    /* monotonous timestamps: the watermark comes at the end of the batch or later, after all records */
    assert_string_equal(collected, "1 11 13\n1 12 13\n2 12 6\n1 13 13\n1 110 13\n");
}

/* The clock drives these: the source waits for what they fire. */
static _Atomic int clock_fired;

static void wait_for_timers(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    for (int64_t key = 1; key <= 3; key++)
        fl_collect(out, &(Event){ key, 0, 0 });
    while (clock_fired < 6 && fl_running(ctx))
        ;
}

static void soon(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    fl_time now = fl_current_processing_time(ctx);
    fl_register_processing_time_timer(ctx, now + 5 * ((const Event *)in)->key);
    fl_register_processing_time_timer(ctx, now - 1000);
    fl_register_processing_time_timer(ctx, now + 3600000);
    fl_delete_processing_time_timer(ctx, now + 3600000);
}

static void on_clock(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_timer *timer = in;
    assert_true(timer->is_processing_time);
    assert_true(fl_current_processing_time(ctx) >= timer->time);
    fl_collect(out, &(Event){ *(const int64_t *)fl_current_key(ctx), 0, 1 });
    clock_fired++;
}

static void test_processing_time_timers_fire_by_the_clock(void **state)
{
    (void)state;
    fl_env *env = begin();
    summed = 0;
    clock_fired = 0;
    fl_stream *s = fl_add_source(env, wait_for_timers, Event);
    s = fl_process(fl_key_by(s, "key"), soon, Event, .on_timer = on_clock, .parallelism = 1);
    fl_add_sink(s, sum_up, .parallelism = 1);
    run(env);
    assert_int_equal(summed, 6);
}

/* More results of timers than channels hold: the operator stops and goes on. */
enum { FLOOD = 30000 };

static void remind_all(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    fl_register_event_time_timer(ctx, ((const Event *)in)->at + MANY);
}

static void flood(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)ctx;
    for (int64_t i = 0; i < 10; i++)
        fl_collect(out, &(Event){ i, 0, 1 });
}

static void test_firing_stops_under_backpressure(void **state)
{
    (void)state;
    fl_env *env = begin();
    summed = 0;
    fl_stream *s = timed(fl_generate(env, many, Event, .count = FLOOD));
    s = fl_process(fl_key_by(s, "key"), remind_all, Event, .on_timer = flood, .parallelism = 2);
    fl_add_sink(fl_rebalance(s), sum_up, .parallelism = 1);
    run(env);
    assert_int_equal(summed, FLOOD * 10);
}

/* ---- two inputs ---- */

static void add(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    fl_collect(out, &(Event){ e->key, 1, *fl_value(ctx, count) += e->value });
}
static void subtract(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    fl_collect(out, &(Event){ *(const int64_t *)fl_current_key(ctx), 2, *fl_value(ctx, count) -= 1 });
}

static void key_of_text(const void *in, void *key, fl_context *ctx)
{
    (void)ctx;
    assert_true(fl_string_to_int(in, key));
}

static void test_connected_streams_share_state(void **state)
{
    (void)state;
    for (int p = 1; p <= 2; p++) {
        fl_env *env = begin();
        fl_stream *a = fl_key_by(
            fl_from_elements(env, Event, (Event){ 1, 0, 10 }, (Event){ 2, 0, 20 }, (Event){ 1, 0, 1 }), "key");
        fl_stream *b = fl_key_by_function(
            fl_from_elements(env, fl_string, fl_str("1"), fl_str("2"), fl_str("2")), key_of_text, int64_t);
        fl_stream *s = fl_co_flat_map(fl_connect(a, b), add, subtract, Event, .states = { &count }, .parallelism = p);
        fl_add_sink(s, collect_event, .parallelism = 1);
        run(env);
        /* in which order the two come is not said, but what is left in the end */
        long long key, which, value, last[3] = { 0 };
        int lines = 0, used;
        for (const char *c = collected; sscanf(c, "%lld %lld %lld\n%n", &key, &which, &value, &used) == 3;
             c += used, lines++)
            last[key] = value;
        assert_int_equal(lines, 6);
        assert_int_equal(last[1], 10);
        assert_int_equal(last[2], 18);
    }
}

static void left(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect_row(out, in);
}
static void right(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect(out, &(Event){ 0, 0, (int64_t)((const fl_string *)in)->length });
}

static void test_connected_streams_without_keys(void **state)
{
    (void)state;
    fl_env *env = begin();
    summed = 0;
    fl_stream *a = fl_from_elements(env, Event, (Event){ 1, 0, 10 }, (Event){ 2, 0, 20 });
    fl_stream *b = fl_from_elements(env, fl_string, fl_str("12345"), fl_str("123"));
    fl_add_sink(fl_co_map(fl_connect(a, b), left, right, Event), sum_up);
    run(env);
    assert_int_equal(summed, 38);
}

/* Timers and state of a key belong to both inputs (Flink's KeyedCoProcessOperator): the first one sets an alarm, the
 * second one adds to what it will say, or calls it off. */
static void alarm_at(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    (void)out;
    assert_int_equal(fl_timestamp_of(ctx), e->at);
    *fl_value(ctx, count) += e->value;
    fl_register_event_time_timer(ctx, e->at + 10);
}

static void add_or_call_off(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    (void)out;
    *fl_value(ctx, count) += 100 * e->value;
    if (e->value == 0)
        fl_delete_event_time_timer(ctx, e->at + 10);
    else
        fl_register_event_time_timer(ctx, e->at + 10);
}

static void ring(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_timer *timer = in;
    fl_collect(out, &(Event){ *(const int64_t *)fl_current_key(ctx), timer->time, *fl_value(ctx, count) });
}

static fl_stream *build_alarms(fl_stream *first, fl_stream *second, void *arg)
{
    (void)arg;
    return fl_co_process(fl_connect(fl_key_by(first, "key"), fl_key_by(second, "key")), alarm_at, add_or_call_off,
        Event, .states = { &count }, .on_timer = ring);
}

static void test_connected_streams_share_timers(void **state)
{
    (void)state;
    fl_harness *h = fl_harness_new(Event, build_alarms, .second = FL_TYPE(Event));
    fl_harness_push(h, 1, &(Event){ 1, 1, 5 });
    fl_harness_push(h, 2, &(Event){ 2, 2, 6 });
    fl_harness_push_second(h, 1, &(Event){ 1, 1, 7 }); /* the same timer: still one */
    fl_harness_push_second(h, 2, &(Event){ 2, 2, 0 }); /* called off */
    fl_harness_push_second(h, 3, &(Event){ 3, 3, 1 });
    fl_harness_watermark(h, 100); /* of one input only */
    size_t rows;
    fl_harness_rows(h, &rows);
    assert_int_equal(rows, 0);
    fl_harness_watermark_second(h, 12);
    const Event *e = fl_harness_rows(h, &rows);
    assert_int_equal(rows, 1);
    assert_int_equal(e->at, 11);
    assert_int_equal(e->value, 705);
    fl_harness_end(h);
    e = fl_harness_rows(h, &rows);
    assert_int_equal(rows, 2);
    assert_int_equal(e[1].key, 3);
    assert_int_equal(e[1].value, 100);
    assert_string_equal(fl_harness_error(h), "");
    fl_harness_free(h);
}

/* ---- misuse ---- */

static void use_unlisted(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    *fl_value(ctx, unlisted) = 1;
}
static void use_in_plain(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    *fl_value(ctx, count) = 1;
}
static void register_in_plain(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    fl_register_event_time_timer(ctx, 1);
}
static void use_in_open(fl_context *ctx)
{
    *fl_value(ctx, count) = 1;
}

static fl_stream *some(fl_env *env)
{
    return fl_from_elements(env, Event, (Event){ 1, 0, 10 }, (Event){ 2, 0, 20 });
}

static void test_misuse_fails_the_job_with_a_message(void **state)
{
    (void)state;
    fl_env *env = begin();
    fl_discard(fl_process(fl_key_by(some(env), "key"), use_unlisted, Event, .states = { &count }, .name = "mine"));
    run_into_error(env, "fl_value of state \"unlisted\", which the operator does not declare");
    env = begin();
    fl_discard(fl_process(fl_key_by(some(env), "key"), use_unlisted, Event, .name = "mine"));
    run_into_error(env, "mine (");
    env = begin();
    fl_discard(fl_process(some(env), use_in_plain, Event));
    run_into_error(env, "state \"count\", but the stream is not keyed");
    env = begin();
    fl_discard(fl_map(some(env), register_in_plain, Event));
    run_into_error(env, "timers are only available on keyed streams");
    env = begin();
    fl_discard(fl_process(fl_key_by(some(env), "key"), register_in_plain, Event));
    run_into_error(env, "no .on_timer");
    env = begin();
    fl_discard(
        fl_process(fl_key_by(some(env), "key"), number, Event, .states = { &count, &seen }, .open = use_in_open));
    run_into_error(env, "\"count\" outside a record or timer");
    env = begin();
    fl_discard(fl_process(fl_key_by(some(env), "key"), number, Event, .states = { &count, &count }));
    run_into_error(env, "\"count\" is listed twice");
    env = begin();
    fl_discard(fl_process(some(env), number, Event, .states = { &count }));
    run_into_error(env, "fl_process: .states are only available on keyed streams");
    env = begin();
    fl_discard(fl_map(some(env), left, Event, .on_timer = left));
    run_into_error(env, "timers are only available on keyed streams");
    env = begin();
    fl_discard(fl_co_map(fl_connect(fl_key_by(some(env), "key"), some(env)), left, left, Event, .states = { &count }));
    run_into_error(env, "only the first stream is keyed; both must be keyed, by the same type");
    env = begin();
    fl_discard(fl_co_map(
        fl_connect(fl_key_by(some(env), "key"), fl_broadcast(some(env))), left, left, Event, .states = { &count }));
    run_into_error(env, "Beside a broadcast stream take fl_broadcast_process");
    env = begin();
    fl_discard(fl_co_map(fl_connect(fl_key_by(some(env), "key"), some(env)), use_in_plain, left, Event));
    run_into_error(env, "state \"count\", but the stream is not keyed");
    env = begin();
    fl_discard(fl_co_map(fl_connect(some(env), some(env)), left, NULL, Event));
    run_into_error(env, "the function for the second stream is NULL");
    env = begin();
    fl_discard(fl_co_process(some(env), left, left, Event));
    run_into_error(env, "needs connected streams");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_process_function_collects_what_it_likes),
        cmocka_unit_test(test_keyed_state_in_process_and_flat_map),
        cmocka_unit_test(test_a_filter_with_state_deduplicates),
        cmocka_unit_test(test_many_keys_at_several_parallelisms),
        cmocka_unit_test(test_event_time_timers_fire_in_order),
        cmocka_unit_test(test_processing_time_timers_fire_by_the_clock),
        cmocka_unit_test(test_firing_stops_under_backpressure),
        cmocka_unit_test(test_connected_streams_share_state),
        cmocka_unit_test(test_connected_streams_without_keys),
        cmocka_unit_test(test_connected_streams_share_timers),
        cmocka_unit_test(test_misuse_fails_the_job_with_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
