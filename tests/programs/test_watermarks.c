/* Watermarks at sources: of each split by itself, by clock and by records, with idleness; and files that are read side
 * by side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collected.h"
#include "event_time.h"
#include "scratch.h"

/* ---- splits of a poll source ---- */

static bool none(const void *in, fl_context *ctx)
{
    (void)in, (void)ctx;
    return false;
}

static void drop_all(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out, (void)ctx;
}

static void itself(const void *in, void *key, fl_context *ctx)
{
    (void)ctx;
    *(int64_t *)key = *(const int64_t *)in;
}

static const char *run_script(const char *script, fl_duration idle_after)
{
    fl_env *env = fl_env_new(0, NULL);
    note_all(fl_poll_source(env, &script_source, int64_t, .arg = (void *)(uintptr_t)script,
        .watermarks = fl_bounded_out_of_orderness(fl_milliseconds(0)), .timestamp_function = own_time,
        .idle_after = idle_after));
    return run_noted(env, 1);
}

static void test_splits(void **state)
{
    (void)state;
    static const struct {
        const char *name, *script;
        int64_t idle_after;
        const char *expected;
    } cases[] = {
        { "without splits", "5 7 p200 6 9 p200", 0, " 5 7 w6 6 9 w8 end" },
        { "the lowest counts", "0:5 1:100 p200 0:50 p200 0:300 p200", 0, " 5 100 w4 50 w49 300 w99 end" },
        { "no record of a split is late because of another", "0:100 0:200 1:5 1:6 p200 -0 p200 1:7 p200", 0,
            " 100 200 5 6 w5 7 w6 end" },
        { "one that was added holds back before its first record", "+0 +1 0:5 p200 1:3 p200", 0, " 5 3 w2 end" },
        { "one that is finished holds nothing back", "0:5 1:100 -0 p200", 0, " 5 100 w99 end" },
        { "an end lets nothing fall", "0:100 p200 -0 1:5 p200 1:200 p200", 0, " 100 w99 5 200 w199 end" },
        { "idle by its source", "0:5 1:100 ~0 p200 0:50 p200 0:101 p200", 0, " 5 100 w99 50 101 end" },
        { "idle by the clock", "0:5 1:100 p150 1:101 p150 1:102 p150", 250, " 5 100 101 w4 w100 102 w101 end" },
        { "all idle", "0:5 1:6 p150 p300 0:9 p200", 300, " 5 6 w4 idle active 9 w8 end" },
        { "all idle, then finished", "0:5 p400 -0 p400 1:3 p200 1:7 p200", 300, " 5 w4 idle active 3 7 w6 end" },
        { "no split left", "0:5 p200 -0 p400 1:9 p200", 300, " 5 w4 idle active 9 w8 end" },
        { "a split, then none", "0:5 -0 p200 7 p200", 0, " 5 7 w6 end" },
        { "idle without any record", "+0 +1 p400", 300, " idle end" },
        { "a source without records", "p400", 300, " idle end" },
        { "many splits", "0:10 1:11 2:12 3:13 4:14 5:15 6:16 7:17 8:18 -0 9:9 p200 -9 p200 -1 -2 10:11 p200", 0,
            " 10 11 12 13 14 15 16 17 18 9 w8 w10 11 end" },
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = run_script(cases[i].script, fl_milliseconds(cases[i].idle_after));
        if (strcmp(got, cases[i].expected) != 0) {
            print_message(
                "%s: %s gave \"%s\" instead of \"%s\"\n", cases[i].name, cases[i].script, got, cases[i].expected);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void test_split_errors(void **state)
{
    (void)state;
    assert_non_null(strstr(run_script("0:5 -1", fl_milliseconds(0)), "fl_split_finish: there is no split 1"));
    assert_non_null(strstr(run_script("0:5 -0 ~0", fl_milliseconds(0)), "fl_split_mark_idle: there is no split 0"));
}

static void pass(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect_row(out, in);
}

static bool keep(const void *in, fl_context *ctx)
{
    (void)ctx;
    return *(const int64_t *)in >= 0;
}

static void no_splits_here(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    fl_split_choose(ctx, 1);
}

static void test_splits_elsewhere(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_discard(fl_flat_map(fl_from_elements(env, int64_t, 1), no_splits_here, int64_t));
    assert_non_null(strstr(run_noted(env, 1), "only poll sources"));
}

/* Splits are known behind maps, filters and process functions that are chained to the source, and behind two of
 * them. */
static void test_splits_through_a_chain(void **state)
{
    (void)state;
    char script[] = "0:100 0:200 1:5 1:-1 1:6 p200 -0 p200 1:7 p200";
    for (int chained = 0; chained < 2; chained++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_stream *s = fl_poll_source(env, &script_source, int64_t, .arg = script);
        s = fl_filter(fl_process(fl_map(s, pass, int64_t), pass, int64_t), keep);
        if (!chained)
            s = fl_map(fl_rebalance(s), pass, int64_t);
        note_all(fl_watermarks(s, fl_monotonous_timestamps(), .timestamp_function = own_time));
        run_noted(env, 1);
        assert_string_equal(noted, chained ? " 100 200 5 6 w5 7 w6 end" : " 100 200 5 6 w199 7 end");
    }
}

/* A split that holds the others back for long is named. */
static void test_held_split(void **state)
{
    (void)state;
    run_script("7:5 8:5 p400 8:6 p20000 8:10 p11000 8:20 p1000", fl_milliseconds(0));
    assert_non_null(strstr(logged,
        "event time has stood at 1970-01-01 00:00:00.004 for 30 s, held back by split 7 of its source; others have "
        "come to 1970-01-01 00:00:00.009"));
    run_script("7:5 8:5 p20000 8:10 p11000 8:20 p1000", fl_seconds(10));
    assert_string_equal(logged, "");
    run_script("7:5 8:5 p60000", fl_milliseconds(0)); /* nothing goes on: nobody is held back */
    assert_string_equal(logged, "");
}

/* ---- idleness further on ---- */

static fl_stream *event_source(fl_env *env, const char *script, int64_t idle_ms)
{
    return fl_poll_source(env, &script_source, int64_t, .arg = (void *)(uintptr_t)script,
        .watermarks = fl_monotonous_timestamps(), .timestamp_function = own_time,
        .idle_after = fl_milliseconds(idle_ms));
}

static void test_idle_inputs(void **state)
{
    (void)state;
    static const struct {
        const char *name, *first, *second;
        const char *expected;
    } cases[] = {
        { "one is idle", "5 p250 20 p500", "7 p5000 30", " w4 w19 idle active end" },
        { "both are idle", "5 p5000 20", "7 p5000 30", " w4 w6 idle active end" },
        { "one is idle, the other ends", "5 p5000 9 p400", "7 p250 20", " w4 idle active w8 idle active end" },
        { "one comes back with older data", "5 p250 50 p250 60 p1000", "7 p1000 20 p250 40 p250 70 p200",
            " w4 w49 w59 idle active w69 end" },
        { "one never had anything", "5 p250 20 p250", "p5000", " w4 w19 idle active end" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int how = 0; how < 2; how++) {
            fl_env *env = fl_env_new(0, NULL);
            fl_stream *a = event_source(env, cases[i].first, 300), *b = event_source(env, cases[i].second, 300);
            note_all(how == 0 ? fl_filter(fl_union(a, b), none)
                              : fl_co_flat_map(fl_connect(a, b), drop_all, drop_all, int64_t));
            run_noted(env, i);
            if (strcmp(noted, cases[i].expected) != 0)
                fail_msg("%s (%s): \"%s\"", cases[i].name, how == 0 ? "union" : "connect", noted);
        }
    }
}

/* The clock goes on while event time stands still: processing-time timers of an idle input fire. */
static void set_alarm(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    fl_register_processing_time_timer(ctx, fl_current_processing_time(ctx) + 500);
}

static void set_event_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    fl_register_event_time_timer(ctx, fl_timestamp_of(ctx) + 500);
}

static void alarm_rings(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    fl_collect(out, (const int64_t *)fl_current_key(ctx));
}

static void test_idle_and_processing_time(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    note_all(fl_process(fl_key_by_function(event_source(env, "5 p2000 8", 300), itself, int64_t), set_alarm, int64_t,
        .on_timer = alarm_rings));
    assert_string_equal(run_noted(env, 1), " w4 idle 5 active end");
}

/* ---- strategies of one's own: an object per split ---- */

typedef struct {
    fl_time highest;
    int is_open;
} Highest;
static int opened, closed;

static void highest_open(fl_context *ctx)
{
    ((Highest *)fl_self(ctx))->is_open = 1;
    opened++;
}

static void highest_close(fl_context *ctx)
{
    closed += ((Highest *)fl_self(ctx))->is_open;
}

static void highest_event(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    Highest *self = fl_self(ctx);
    if (timestamp > self->highest)
        self->highest = timestamp;
}

static fl_time highest_periodic(fl_context *ctx)
{
    Highest *self = fl_self(ctx);
    return self->is_open && self->highest ? self->highest : FL_TIME_MIN;
}

/* A record of a whole hundred says that all before it have come. */
static void mark_hundreds(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)ctx;
    if (timestamp % 100 == 0)
        fl_emit_watermark(out, timestamp);
    if (timestamp % 100 == 77)
        fl_mark_idle(out);
}

static void test_own_strategies(void **state)
{
    (void)state;
    char script[] = "0:50 1:300 p200 0:70 p200 -1 p200";
    opened = closed = 0;
    fl_env *env = fl_env_new(0, NULL);
    note_all(fl_watermarks(fl_poll_source(env, &script_source, int64_t, .arg = script),
        fl_custom_watermarks(highest_event, highest_periodic), .timestamp_function = own_time,
        .instance_size = sizeof(Highest), .open = highest_open, .close = highest_close));
    assert_string_equal(run_noted(env, 1), " 50 300 w50 70 w70 end");
    assert_int_equal(opened, 3); /* the subtask's and two splits' */
    assert_int_equal(closed, 3);

    char marks[] = "0:100 1:50 1:200 0:250 0:300 1:277 0:400 1:350";
    env = fl_env_new(0, NULL);
    note_all(fl_poll_source(env, &script_source, int64_t, .arg = marks, .timestamp_function = own_time,
        .watermarks = fl_punctuated_watermarks(mark_hundreds)));
    assert_string_equal(run_noted(env, 1), " 100 50 200 w100 250 300 w200 277 w300 400 w400 350 end");
}

/* ---- options of sources ---- */

typedef struct {
    int64_t at;
} Event;
FL_ROW(Event, at);

static void make_event(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect(out, &(Event){ *(const int64_t *)in * 10 });
}

static void note_time(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    note(" @%lld", fl_timestamp_of(ctx));
}

static void test_source_options(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_generate(env, make_event, Event, .count = 3, .timestamp = "at"), note_time);
    assert_string_equal(run_noted(env, 1), " @0 @10 @20");

    env = fl_env_new(0, NULL);
    fl_discard(fl_generate(env, make_event, Event, .count = 3, .timestamp = "when"));
    assert_non_null(strstr(run_noted(env, 1), "Event has no field \"when\""));
    assert_non_null(strstr(noted, "test_watermarks.c:"));
    env = fl_env_new(0, NULL);
    fl_discard(fl_generate(env, make_event, Event, .count = 3, .idle_after = fl_seconds(1)));
    assert_non_null(strstr(run_noted(env, 1), ".idle_after is about watermarks"));
    env = fl_env_new(0, NULL);
    fl_discard(fl_watermarks(fl_generate(env, make_event, Event), fl_monotonous_timestamps(), .timestamp = "at",
        .idle_after = fl_seconds(-1)));
    assert_non_null(strstr(run_noted(env, 1), ".idle_after is -1000 ms"));
    env = fl_env_new(0, NULL);
    fl_discard(fl_watermarks(fl_generate(env, make_event, Event), fl_monotonous_timestamps(), .timestamp = "at",
        .timestamp_function = own_time));
    assert_non_null(strstr(run_noted(env, 1), "either .timestamp (\"at\") or .timestamp_function"));
}

/* ---- where timestamps come from ---- */

typedef struct {
    int64_t at;
    fl_timestamp stamp;
    fl_date day;
    fl_timestamp_ltz instant;
} Times;
FL_ROW(Times, at, stamp, day, instant);
typedef struct {
    int64_t id;
    Times order;
    fl_string name;
} Order;
FL_ROW(Order, id, (order, .row = FL_TYPE(Times)), name);

static const char *times_by(const char *field)
{
    fl_env *env = fl_env_new(0, NULL);
    Order rows[] = { { .id = 7, .order = { 5, { .ms = 6 }, { 2 }, { .ms = 8 } } },
        { .id = -1, .order = { -5, { .ms = -6 }, { -1 }, { .ms = -8 } } } };
    fl_stream *s =
        fl_watermarks(fl_from_collection(env, Order, rows, 2), fl_monotonous_timestamps(), .timestamp = field);
    fl_add_sink(s, note_time);
    return run_noted(env, 1);
}

static void test_timestamp_fields(void **state)
{
    (void)state;
    assert_string_equal(times_by("id"), " @7 @-1");
    assert_string_equal(times_by("order.at"), " @5 @-5");
    assert_string_equal(times_by("order.stamp"), " @6 @-6");
    assert_string_equal(times_by("order.day"), " @172800000 @-86400000");
    assert_string_equal(times_by("order.instant"), " @8 @-8");
    assert_non_null(strstr(times_by("name"), "field name of Order holds no time; it must be an int64_t"));
    assert_non_null(strstr(times_by("order"), "holds no time"));
    assert_non_null(strstr(times_by("order.when"), "Order has no field \"order.when\""));
}

static void test_no_timestamps(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_discard(fl_watermarks(fl_sequence(env, 1, 3), fl_monotonous_timestamps()));
    assert_non_null(strstr(run_noted(env, 1), "test_watermarks.c:"));
    assert_non_null(strstr(noted, "the records have no timestamps, and none are assigned here"));

    env = fl_env_new(0, NULL); /* timers reckoned from a timestamp that is not there */
    fl_discard(fl_process(fl_key_by_function(fl_sequence(env, 1, 3), itself, int64_t), set_event_timer, int64_t,
        .on_timer = alarm_rings));
    assert_non_null(strstr(run_noted(env, 1), "the record has no timestamp to reckon from. Assign timestamps before"));
}

/* Near the ends of 64-bit time watermarks do not wrap around. */
static void test_ends_of_time(void **state)
{
    (void)state;
    static const struct {
        int64_t at, bound;
        const char *expected;
    } cases[] = {
        { INT64_MIN + 1, 0, " -9223372036854775807 end" },
        { INT64_MIN + 1, INT64_MAX, " -9223372036854775807 end" },
        { INT64_MIN + 5, 3, " -9223372036854775803 w-9223372036854775807 end" },
        { -5, INT64_MAX, " -5 end" },
        { 5, INT64_MAX, " 5 w-9223372036854775803 end" },
        { INT64_MAX, 0, " 9223372036854775807 w9223372036854775806 end" },
        { INT64_MAX, INT64_MAX, " 9223372036854775807 w-1 end" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char script[64];
        snprintf(script, sizeof script, "0:%lld p200", (long long)cases[i].at);
        fl_env *env = fl_env_new(0, NULL);
        note_all(fl_poll_source(env, &script_source, int64_t, .arg = script, .timestamp_function = own_time,
            .watermarks = fl_bounded_out_of_orderness(fl_milliseconds(cases[i].bound))));
        assert_string_equal(run_noted(env, 1), cases[i].expected);
    }
}

static void test_ingestion_time(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    char script[] = "5 3 p50 7 p450 1";
    fl_stream *s = fl_watermarks(fl_poll_source(env, &script_source, int64_t, .arg = script), fl_ingestion_time());
    note_all(s);
    fl_add_sink(s, note_time);
    run_noted(env, 1);
    assert_non_null(strstr(noted, " @0"));
    assert_non_null(strstr(noted, " @50"));
    assert_non_null(strstr(noted, " @500"));
    assert_null(strstr(noted, " @5 "));
    assert_non_null(strstr(noted, " w199")); /* with the clock, though no record came then */
    assert_non_null(strstr(noted, " w399"));
    env = fl_env_new(0, NULL);
    fl_discard(fl_watermarks(fl_sequence(env, 1, 3), fl_ingestion_time(), .timestamp_function = own_time));
    assert_non_null(strstr(run_noted(env, 1), "fl_ingestion_time takes its timestamps from the clock"));
}

/* ---- by records ---- */

static int64_t watermarks_seen;

static fl_status count_watermark(fl__operator *op, fl_time watermark)
{
    (void)op;
    watermarks_seen += watermark != FL_TIME_MAX;
    return FL_OK;
}

static fl_status drop(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)op, (void)input, (void)batch;
    return FL_OK;
}

static const fl__operator_class counter_class = {
    .kind = "Count", .size = sizeof(fl__operator), .process = drop, .watermark = count_watermark
};

static int64_t count_watermarks(const char *every, const char *interval)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set(env, "flinc.watermark.every-records", every);
    fl_set(env, "pipeline.auto-watermark-interval", interval);
    fl_stream *s = fl_watermarks(
        fl_filter(fl_sequence(env, 1, 100000), keep), fl_monotonous_timestamps(), .timestamp_function = own_time);
    fl_options options = { .where = FL_HERE };
    fl__add_operator(s, &(fl__new_operator){ .class = &counter_class, .options = &options });
    watermarks_seen = 0;
    fl_test_simulate(env, .seed = 1);
    assert_int_equal(fl_execute(env, "test"), 0);
    fl_env_free(env);
    return watermarks_seen;
}

static void test_by_records(void **state)
{
    (void)state;
    assert_int_equal(count_watermarks("0", "200 ms"), 0); /* under virtual time nothing takes any */
    int64_t seen = count_watermarks("10000", "200 ms");
    assert_in_range(seen, 8, 10);                        /* a batch more or less each */
    assert_int_equal(count_watermarks("10000", "0"), 0); /* none periodically: by records neither */
}

/* ---- files ---- */

static void parse_number(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    int64_t n;
    if (fl_string_to_int(in, &n))
        fl_collect(out, &n);
}

static int64_t late_records;

static void count_late(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    __atomic_fetch_add(&late_records, *(const int64_t *)in <= fl_current_watermark(ctx), __ATOMIC_RELAXED);
}

static void count_all(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    fl_accumulate(ctx, "sum", *(const int64_t *)in);
    count_late(in, out, ctx);
}

/* FILES logs of the same time; some are large enough for several splits, with small ones. */
enum { FILES = 45, LINES = 4000 };

static void write_logs(const char *suffix, int64_t *sum)
{
    static char text[LINES * 16];
    *sum = 0;
    for (int f = 0; f < FILES; f++) {
        size_t length = 0;
        for (int i = 0; i < (f % 9 == 0 ? 17 : LINES); i++) {
            int64_t at = 1 + (int64_t)i * FILES + f;
            *sum += at;
            length += (size_t)snprintf(text + length, sizeof text - length, "%lld\n", (long long)at);
        }
        char name[32];
        snprintf(name, sizeof name, "log%02d%s", f, suffix);
        scratch_write(name, text);
    }
}

static void test_files_side_by_side(void **state)
{
    (void)state;
    int64_t sum;
    write_logs("", &sum);
    for (int p = 1; p <= 3; p++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set(env, "flinc.watermark.every-records", "500");
        fl_set_parallelism(env, p);
        fl_stream *s = fl_flat_map(fl_read_text(env, scratch("log*"), .split_bytes = 8192), parse_number, int64_t);
        s = fl_watermarks(s, fl_monotonous_timestamps(), .timestamp_function = own_time);
        fl_add_sink(fl_rebalance(s), count_all);
        late_records = 0;
        assert_int_equal(fl_execute(env, "test"), 0);
        assert_int_equal(fl_result_accumulator(env, "sum"), sum);
        assert_int_equal(late_records, 0);
        fl_env_free(env);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_split_errors),
        cmocka_unit_test(test_splits_elsewhere),
        cmocka_unit_test(test_splits_through_a_chain),
        cmocka_unit_test(test_held_split),
        cmocka_unit_test(test_idle_inputs),
        cmocka_unit_test(test_idle_and_processing_time),
        cmocka_unit_test(test_own_strategies),
        cmocka_unit_test(test_source_options),
        cmocka_unit_test(test_timestamp_fields),
        cmocka_unit_test(test_no_timestamps),
        cmocka_unit_test(test_ends_of_time),
        cmocka_unit_test(test_ingestion_time),
        cmocka_unit_test(test_by_records),
        cmocka_unit_test_setup_teardown(test_files_side_by_side, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
