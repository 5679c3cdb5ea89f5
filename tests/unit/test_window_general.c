/* Windows of the general path as a user notices them: sessions, global, count and custom windows, triggers, evictors,
 * state by window. Scripts: see tests/window_script.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "window_script.h"

/* ---- functions ---- */

static void plus(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Row *)value)->value += ((const Row *)in)->value;
}

/* Rows one digit each into the value, the window's start into the id. */
static void rows_as_digits(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_window_range range = fl_current_window(ctx);
    Row row = { fl_str(""), 0, range.start == FL_TIME_MIN ? -1 : range.start };
    fl_each(const Row *, r, in)
    {
        row.key = r->key;
        row.value = row.value * 10 + r->value;
    }
    fl_collect(out, &row);
}

typedef struct {
    fl_string key;
    int64_t sum, count;
} Sum;
FL_ROW(Sum, key, sum, count);
static void sum_add(void *acc, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Sum *)acc)->key = ((const Row *)in)->key;
    ((Sum *)acc)->sum += ((const Row *)in)->value;
    ((Sum *)acc)->count++;
}
static void sum_get(const void *acc, void *out, fl_context *ctx)
{
    (void)ctx;
    *(Row *)out = (Row){ ((const Sum *)acc)->key, ((const Sum *)acc)->sum, ((const Sum *)acc)->count };
}
static void sum_merge(void *acc, const void *other, fl_context *ctx)
{
    (void)ctx;
    ((Sum *)acc)->sum += ((const Sum *)other)->sum;
    ((Sum *)acc)->count += ((const Sum *)other)->count;
}
FL_AGGREGATE(sum_row, Row, Sum, Row, .add = sum_add, .get = sum_get);
FL_AGGREGATE(mergeable_sum, Row, Sum, Row, .add = sum_add, .get = sum_get, .merge = sum_merge);

static void one_row(const void *in, fl_collector *out, fl_context *ctx)
{
    const Row *r = fl_element(in, 0);
    fl_collect(out, &(Row){ r->key, r->value, fl_current_window(ctx).end });
}

#define MS(n) fl_milliseconds(n)
#define BUILD(function, expression)                                                                                    \
    static fl_stream *function(fl_stream *rows, fl_stream *second, void *arg)                                          \
    {                                                                                                                  \
        fl_stream *keyed = fl_key_by(rows, "key");                                                                     \
        (void)second, (void)arg, (void)keyed;                                                                          \
        return expression;                                                                                             \
    }

#define SCRIPT(n, t, e, b, ...)                                                                                        \
    {                                                                                                                  \
        .name = (n), .text = (t), .expected = (e), .build = (b), ##__VA_ARGS__                                         \
    }

static void run(const script *scripts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        script_run(&scripts[i]);
}
#define RUN(scripts) run((scripts), sizeof(scripts) / sizeof(scripts)[0])

/* ---- sessions ---- */

static fl_duration value_as_gap(const void *in, fl_context *ctx)
{
    (void)ctx;
    return MS(((const Row *)in)->value);
}

#define SESSION fl_session_event_time(MS(10))
BUILD(session_sum, fl_sum(fl_window(keyed, SESSION, .late = &late_rows), "value"))
BUILD(session_dropping, fl_sum(fl_window(keyed, SESSION), "value"))
BUILD(session_lateness, fl_sum(fl_window(keyed, SESSION, .late = &late_rows, .allowed_lateness = MS(20)), "value"))
BUILD(session_reduce, fl_reduce(fl_window(keyed, SESSION), plus))
BUILD(session_max_by, fl_max_by(fl_window(keyed, SESSION), "value"))
BUILD(session_min, fl_min(fl_window(keyed, SESSION), "value"))
BUILD(session_aggregate, fl_aggregate(fl_window(keyed, SESSION), mergeable_sum))
BUILD(session_with, fl_aggregate_with(fl_window(keyed, SESSION), mergeable_sum, one_row, Row))
BUILD(session_reduce_with, fl_reduce_with(fl_window(keyed, SESSION), plus, one_row, Row))
BUILD(session_apply, fl_window_apply(fl_window(keyed, SESSION, .allowed_lateness = MS(20)), rows_as_digits, Row))
BUILD(session_clock, fl_sum(fl_window(keyed, fl_session_processing_time(MS(10))), "value"))
BUILD(session_dynamic, fl_sum(fl_window(keyed, fl_session_event_time_dynamic(value_as_gap)), "value"))
BUILD(session_dynamic_clock, fl_sum(fl_window(keyed, fl_session_processing_time_dynamic(value_as_gap)), "value"))
BUILD(session_count, fl_sum(fl_window(keyed, SESSION, .trigger = fl_count_trigger(3)), "value"))
BUILD(session_purging, fl_sum(fl_window(keyed, SESSION, .trigger = fl_purging_trigger(fl_event_time_trigger()),
                                  .allowed_lateness = MS(20)),
                           "value"))
BUILD(
    session_continuous, fl_sum(fl_window(keyed, SESSION, .trigger = fl_continuous_event_time_trigger(MS(5))), "value"))
BUILD(session_evictor, fl_window_apply(fl_window(keyed, SESSION, .evictor = fl_count_evictor(2)), rows_as_digits, Row))

static void test_sessions(void **state)
{
    (void)state;
    static const script scripts[] = {
        SCRIPT("one", "1:a=1 5:a=2 @14 @15", "[14]a=3", session_sum),
        SCRIPT("ends the gap after the last", "1:a=1 5:a=2 @13 14:a=4 @22 @23", "[23]a=7", session_sum),
        SCRIPT("two", "1:a=1 12:a=2 @9 @10 @21", "[10]a=1 | [21]a=2", session_sum),
        SCRIPT("windows that touch are one", "1:a=1 11:a=2 @30", "[20]a=3", session_sum),
        SCRIPT("keys apart, by the end of the session", "5:a=1 1:b=2 7:b=4 @100", "[14]a=1 [16]b=6", session_sum),
        SCRIPT("merged by the one between", "1:a=1 19:a=2 10:a=4 @100", "[28]a=7", session_sum),
        SCRIPT("three merged", "1:a=1 19:a=2 37:a=8 10:a=4 28:a=16 @100", "[46]a=31", session_sum),
        SCRIPT("out of order", "20:a=1 15:a=2 11:a=4 @100", "[29]a=7", session_sum),
        SCRIPT("a new one after it fired", "1:a=1 @10 11:a=2 @100", "[10]a=1 | [20]a=2", session_sum),
        SCRIPT("late: dropped", "1:a=1 @10 0:a=2 @100", "[10]a=1", session_dropping),
        SCRIPT("late: to the side", "1:a=1 @10 0:a=2 2:a=4 @100", "[10]a=1 | late[0]a=2 | [11]a=4", session_sum),
        SCRIPT("a late record that touches an open one counts", "10:a=1 @12 1:a=2 @100", "[19]a=3", session_sum),
        SCRIPT("lateness: fires anew with each record", "1:a=1 @10 0:a=2 1:a=4 @30 1:a=8",
            "[10]a=1 | [10]a=3 | [10]a=7 | late[1]a=8", session_lateness),
        SCRIPT("lateness: grows and fires again at its end", "1:a=1 @10 9:a=2 @18 @50", "[10]a=1 | [18]a=3",
            session_lateness),
        SCRIPT("lateness: two that fired merge", "1:a=1 15:a=2 @24 8:a=4 @100", "[10]a=1 [24]a=2 | [24]a=7",
            session_lateness),
        SCRIPT("lateness: a fired one and an open one", "1:a=1 15:a=2 @12 8:a=4 @100", "[10]a=1 | [24]a=7",
            session_lateness),
        SCRIPT("reduce", "1:a=1 19:a=2 10:a=4 @100", "[28]a=7", session_reduce),
        SCRIPT("max_by: the earlier window's on ties", "19:a=3 1:a=3 10:a=1 @100", "[28]a=3#2", session_max_by,
            .shows_source = true),
        SCRIPT("min: the other fields are the earlier window's", "19:a=3 1:a=5 10:a=4 @100", "[28]a=3#2", session_min,
            .shows_source = true),
        SCRIPT("aggregate",
            "1:a-key-longer-than-inline=1 19:a-key-longer-than-inline=2 10:a-key-longer-than-inline=4 @100",
            "[28]a-key-longer-than-inline=7@3", session_aggregate, .shows_id = true),
        SCRIPT("aggregate, then the window", "1:a=1 19:a=2 10:a=4 @100", "[28]a=7@29", session_with, .shows_id = true),
        SCRIPT("reduce, then the window", "1:a=1 5:a=2 @100", "[14]a=3@15", session_reduce_with, .shows_id = true),
        SCRIPT("all rows, earlier windows first", "19:a=2 1:a=1 3:b=9 10:a=4 @100", "[12]b=9@3 [28]a=124@1",
            session_apply, .shows_id = true),
        SCRIPT("all rows again for a late one", "1:a=1 @10 2:a=2 @100", "[10]a=1@1 | [11]a=12@1", session_apply,
            .shows_id = true),
        SCRIPT("at the end of time", "max:a=1 max:a=2 end", "[max]a=3", session_sum),
        SCRIPT("at the start of time", "min:a=1 0:a=2 @-1 @9", "[-9223372036854775798]a=1 | [9]a=2", session_sum),
        SCRIPT("by the clock", "?:a=1 +5 ?:a=2 +9 +1 ?:a=4 +10 end", "[1014]a=3 | [1024]a=4", session_clock),
        SCRIPT("by the clock, unfinished at the end", "?:a=1 +9 end", "", session_clock),
        SCRIPT("gaps by record", "1:a=3 2:a=20 30:a=1 @21 @100", "[21]a=23 | [30]a=1", session_dynamic),
        SCRIPT("gaps by record and clock", "?:a=5 +4 ?:a=20 +19 +1", "[1023]a=25", session_dynamic_clock),
        SCRIPT("a gap of 0", "1:a=0", "the session gap function gave 0 ms for a record; a gap must be above 0",
            session_dynamic),
        SCRIPT("a gap below 0", "?:a=-5", "the session gap function gave -5 ms", session_dynamic_clock),
        SCRIPT("no timestamp", "?:a=1", "a record has no timestamp. Assign timestamps before fl_window", session_sum),
        SCRIPT("counts are added up when windows merge", "1:a=1 19:a=2 10:a=4 11:a=8 12:a=16 13:a=32 @100",
            "[28]a=7 | [28]a=63", session_count),
        SCRIPT("purged when it fires, it still grows", "1:a=1 2:a=2 @11 3:a=4 4:a=8 @100", "[11]a=3 | [13]a=12",
            session_purging),
        SCRIPT(
            "early results", "1:a=1 3:a=2 @4 @5 6:a=4 @9 @10 @100", "[12]a=3 | [15]a=7 | [15]a=7", session_continuous),
        SCRIPT("the last two", "1:a=1 19:a=2 10:a=4 @100", "[28]a=24@1", session_evictor, .shows_id = true),
    };
    RUN(scripts);
}

/* ---- count windows ---- */

BUILD(count_sum, fl_sum(fl_count_window(keyed, 3), "value"))
BUILD(count_apply, fl_window_apply(fl_count_window(keyed, 3), rows_as_digits, Row))
BUILD(count_sliding, fl_window_apply(fl_sliding_count_window(keyed, 5, 3), rows_as_digits, Row))
BUILD(count_sliding_sum, fl_sum(fl_sliding_count_window(keyed, 2, 1), "value"))
BUILD(count_sampling, fl_window_apply(fl_sliding_count_window(keyed, 2, 3), rows_as_digits, Row))
BUILD(count_all, fl_sum(fl_count_window_all(rows, 3), "value"))
BUILD(count_sliding_all, fl_window_apply(fl_sliding_count_window_all(rows, 2, 1), rows_as_digits, Row))

static void test_count_windows(void **state)
{
    (void)state;
    static const script scripts[] = {
        SCRIPT("every third", "?:a=1 ?:b=1 ?:a=2 ?:a=4 ?:a=8 ?:b=2 ?:b=4 end", "[max]a=7 | [max]b=7", count_sum),
        SCRIPT(
            "again and again", "?:a=1 ?:a=2 ?:a=3 ?:a=4 ?:a=5 ?:a=6 ?:a=7 end", "[max]a=123 | [max]a=456", count_apply),
        SCRIPT("timestamps do not matter", "9:a=1 @8 1:a=2 @20 3:a=3 end", "[max]a=123", count_apply),
        SCRIPT("the last five every three", "?:a=1 ?:a=2 ?:a=3 ?:a=4 ?:a=5 ?:a=6 ?:a=7 ?:a=8 ?:a=9 end",
            "[max]a=123 | [max]a=23456 | [max]a=56789", count_sliding),
        SCRIPT("a reduction over the last two", "?:a=1 ?:a=2 ?:a=4 end", "[max]a=1 | [max]a=3 | [max]a=6",
            count_sliding_sum),
        SCRIPT(
            "the last two every three", "?:a=1 ?:a=2 ?:a=3 ?:a=4 ?:a=5 ?:a=6", "[max]a=23 | [max]a=56", count_sampling),
        SCRIPT("over all keys", "?:a=1 ?:b=2 ?:c=4 ?:a=8 end", "[max]a=7", count_all),
        SCRIPT("sliding over all keys", "?:a=1 ?:b=2 ?:c=3", "[max]a=1 | [max]b=12 | [max]c=23", count_sliding_all),
    };
    RUN(scripts);
}

/* ---- triggers ---- */

#define TEN fl_tumbling_event_time(MS(10))
#define GLOBAL fl_global_windows()

static double difference(const void *old_record, const void *new_record, fl_context *ctx)
{
    (void)ctx;
    return (double)(((const Row *)new_record)->value - ((const Row *)old_record)->value);
}

BUILD(count_of_window, fl_sum(fl_window(keyed, TEN, .trigger = fl_count_trigger(2)), "value"))
BUILD(count_purging, fl_sum(fl_window(keyed, TEN, .trigger = fl_purging_trigger(fl_count_trigger(2))), "value"))
BUILD(event_purging,
    fl_sum(fl_window(keyed, TEN, .trigger = fl_purging_trigger(fl_event_time_trigger()), .allowed_lateness = MS(10)),
        "value"))
BUILD(event_explicit, fl_sum(fl_window(keyed, TEN, .trigger = fl_event_time_trigger(), .late = &late_rows), "value"))
BUILD(event_global, fl_sum(fl_window(keyed, GLOBAL, .trigger = fl_event_time_trigger()), "value"))
BUILD(continuous_event, fl_sum(fl_window(keyed, TEN, .trigger = fl_continuous_event_time_trigger(MS(4))), "value"))
BUILD(continuous_event_late,
    fl_sum(
        fl_window(keyed, TEN, .trigger = fl_continuous_event_time_trigger(MS(4)), .allowed_lateness = MS(10)), "value"))
BUILD(continuous_global, fl_sum(fl_window(keyed, GLOBAL, .trigger = fl_continuous_event_time_trigger(MS(10))), "value"))
BUILD(continuous_clock, fl_sum(fl_window(keyed, fl_tumbling_processing_time(MS(10)),
                                   .trigger = fl_continuous_processing_time_trigger(MS(4))),
                            "value"))
BUILD(continuous_clock_event,
    fl_sum(fl_window(keyed, TEN, .trigger = fl_continuous_processing_time_trigger(MS(4))), "value"))
BUILD(by_delta,
    fl_window_apply(fl_window(keyed, GLOBAL, .trigger = fl_delta_trigger(3, difference)), rows_as_digits, Row))
BUILD(by_delta_purging,
    fl_window_apply(
        fl_window(keyed, GLOBAL, .trigger = fl_purging_trigger(fl_delta_trigger(3, difference))), rows_as_digits, Row))
BUILD(timeout, fl_window_apply(fl_window(keyed, GLOBAL,
                                   .trigger = fl_purging_trigger(
                                       fl_processing_time_timeout_trigger(fl_count_trigger(3), MS(10), false, true))),
                   rows_as_digits, Row))
BUILD(timeout_resets, fl_window_apply(fl_window(keyed, GLOBAL,
                                          .trigger = fl_processing_time_timeout_trigger(
                                              fl_purging_trigger(fl_count_trigger(3)), MS(10), true, false)),
                          rows_as_digits, Row))
BUILD(never, fl_sum(fl_window(keyed, TEN, .trigger = fl_never_trigger(), .late = &late_rows), "value"))
BUILD(clock_of_event_windows, fl_sum(fl_window(keyed, TEN, .trigger = fl_processing_time_trigger()), "value"))

static void test_triggers(void **state)
{
    (void)state;
    static const script scripts[] = {
        SCRIPT("count: each second record, contents stay", "1:a=1 2:a=2 3:a=4 11:a=8 4:a=16 @9 12:a=32 @100",
            "[9]a=3 | [9]a=23 | [19]a=40", count_of_window),
        SCRIPT("count and purge", "1:a=1 2:a=2 3:a=4 4:a=8 5:a=16 @100", "[9]a=3 | [9]a=12", count_purging),
        SCRIPT("purged at the end: late records alone", "1:a=1 @9 2:a=2 3:a=4 @19 4:a=8", "[9]a=1 | [9]a=2 | [9]a=4",
            event_purging),
        SCRIPT("the default trigger by name", "5:a=1 @9 6:a=2 10:a=4 @100", "[9]a=1 | late[6]a=2 | [19]a=4",
            event_explicit),
        SCRIPT("event time over the global window: once, at the end", "?:a=1 ?:b=2 ?:a=4 @100 end", "[max]a=5 [max]b=2",
            event_global),
        SCRIPT("continuous: at multiples of the interval", "1:a=1 @3 @4 5:a=2 @7 @8 @9 @100",
            "[9]a=1 | [9]a=3 | [9]a=3", continuous_event),
        SCRIPT("continuous: one a multiple, records or not", "1:a=1 @8", "[9]a=1 [9]a=1", continuous_event),
        SCRIPT("continuous: at the end only once", "9:a=1 @100", "[9]a=1", continuous_event),
        SCRIPT("continuous: at once when late", "1:a=1 @9 2:a=2 @12 3:a=4 @30 4:a=8",
            "[9]a=1 [9]a=1 [9]a=1 | [9]a=3 | [9]a=7", continuous_event_late),
        SCRIPT("continuous below zero", "-7:a=1 @-5 @-4 @-1", "[-1]a=1 | [-1]a=1", continuous_event),
        SCRIPT("continuous over the global window", "1:a=1 @10 12:a=2 @20 end", "[max]a=1 | [max]a=3 | [max]a=3",
            continuous_global),
        SCRIPT("continuous without timestamps", "?:a=1", "a record has no timestamp", continuous_global),
        SCRIPT("continuous by the clock", "?:a=1 +4 +1 ?:a=2 +3 +1 +1 end", "[1009]a=1 | [1009]a=3 | [1009]a=3",
            continuous_clock),
        SCRIPT("early results by the clock of event-time windows", "1:a=1 +5 2:a=2 +4 @9 +100", "[9]a=1 | [9]a=3",
            continuous_clock_event),
        SCRIPT("delta: from the one that fired last", "?:a=1 ?:a=3 ?:a=4 ?:a=5 ?:a=8 ?:a=9 end",
            "[max]a=1345 | [max]a=134589", by_delta),
        SCRIPT(
            "delta and purge", "?:a=1 ?:a=3 ?:a=5 ?:a=6 ?:a=9 ?:b=9 end", "[max]a=135 | [max]a=69", by_delta_purging),
        SCRIPT("timeout: since the first", "?:a=1 +6 ?:a=2 +4 +1 ?:a=3 ?:a=4 ?:a=5 +20 ?:a=6 +11 end",
            "[max]a=12 | [max]a=345 | [max]a=6", timeout),
        SCRIPT("timeout: since the last", "?:a=1 +6 ?:a=2 +6 +4 +1", "[max]a=12", timeout_resets),
        SCRIPT("never: gone with the window", "1:a=1 @9 2:a=2 @100 end", "late[2]a=2", never),
        SCRIPT("the clock is far past the end of event-time windows", "1:a=1 +1 2:a=2 +1 @20 +1", "[9]a=1 | [9]a=3",
            clock_of_event_windows),
    };
    RUN(scripts);
}

/* A trigger of the program's own: fires with every third record or 5 ms of event time after the first, and purges. */
typedef struct {
    int64_t count, deadline;
} Batch;
static int cleared;
static fl_trigger_result batch_element(const void *in, void *state, fl_context *ctx)
{
    Batch *b = state;
    (void)in;
    if (b->count++ == 0) {
        b->deadline = fl_timestamp_of(ctx) + 5;
        fl_trigger_register_event_time_timer(ctx, b->deadline);
        fl_trigger_register_event_time_timer(ctx, b->deadline);
        fl_trigger_register_processing_time_timer(ctx, fl_current_processing_time(ctx) + 50);
    }
    if (fl_current_window(ctx).end <= fl_timestamp_of(ctx) || !fl_current_key(ctx))
        fl_fail(ctx, "the window at hand or the key is wrong");
    if (b->count < 3)
        return FL_CONTINUE;
    fl_trigger_delete_event_time_timer(ctx, b->deadline);
    b->count = 0;
    return FL_FIRE_AND_PURGE;
}
static fl_trigger_result batch_time(fl_time time, void *state, fl_context *ctx)
{
    Batch *b = state;
    (void)ctx;
    if (time != b->deadline)
        return FL_CONTINUE;
    b->count = 0;
    return FL_FIRE_AND_PURGE;
}
static fl_trigger_result batch_clock(fl_time time, void *state, fl_context *ctx)
{
    (void)time, (void)state;
    fl_trigger_delete_processing_time_timer(ctx, time);
    return FL_PURGE;
}
static void batch_merge(void *state, const void *merged, fl_context *ctx)
{
    ((Batch *)state)->count += ((const Batch *)merged)->count;
    ((Batch *)state)->deadline = ((const Batch *)merged)->deadline;
    fl_trigger_register_event_time_timer(ctx, ((Batch *)state)->deadline);
}
static void batch_clear(void *state, fl_context *ctx)
{
    (void)ctx;
    cleared += 1 + (int)((Batch *)state)->count * 100;
}
static const fl_trigger_class batch_trigger = { "BatchTrigger", sizeof(Batch), batch_element, batch_time, batch_clock,
    batch_merge, batch_clear };

BUILD(custom_trigger,
    fl_window_apply(fl_window(keyed, fl_tumbling_event_time(MS(100)), .trigger = fl_custom_trigger(&batch_trigger)),
        rows_as_digits, Row))
BUILD(custom_trigger_session,
    fl_window_apply(fl_window(keyed, SESSION, .trigger = fl_custom_trigger(&batch_trigger)), rows_as_digits, Row))
BUILD(custom_trigger_global,
    fl_window_apply(fl_window(keyed, GLOBAL, .trigger = fl_custom_trigger(&batch_trigger)), rows_as_digits, Row))

/* The same with windows that are too large to lie in their keys' entries. */
static const fl_trigger_class large_trigger = { "LargeTrigger", 4096, batch_element, batch_time, batch_clock,
    batch_merge, batch_clear };
BUILD(large_sessions,
    fl_window_apply(fl_window(keyed, SESSION, .trigger = fl_custom_trigger(&large_trigger)), rows_as_digits, Row))
BUILD(large_global,
    fl_window_apply(fl_window(keyed, GLOBAL, .trigger = fl_custom_trigger(&large_trigger)), rows_as_digits, Row))

static void test_a_custom_trigger(void **state)
{
    (void)state;
    static const script scripts[] = {
        SCRIPT("by count", "1:a=1 2:b=9 2:a=2 3:a=3 4:a=4 5:a=5 @8 6:a=6 end", "[99]a=123 | [99]b=9 | [99]a=456",
            custom_trigger),
        SCRIPT("by time", "1:a=1 2:a=2 @6 8:a=3 @12 @13", "[99]a=12 | [99]a=3", custom_trigger),
        SCRIPT("purged by the clock", "1:a=1 2:a=2 +51 @50", "", custom_trigger),
        SCRIPT("merged", "1:a=1 15:a=2 8:a=3 end", "[24]a=123", custom_trigger_session),
        SCRIPT(
            "merged, the earlier deadline goes", "1:a=1 12:a=2 @5 5:a=3 @17 end", "[21]a=123", custom_trigger_session),
        SCRIPT("large and merged", "1:a=1 15:a=2 8:a=3 2:b=4 @7 end", "[24]a=123 | [11]b=4", large_sessions),
        SCRIPT("large, without end", "1:a=1 2:b=7 2:a=2 @6 3:a=3 @7 @8 end", "[max]a=12 | [max]b=7 | [max]a=3",
            large_global),
        SCRIPT("without end", "1:a=1 2:a=2 @6 3:a=3 @7 @8 end", "[max]a=12 | [max]a=3", custom_trigger_global),
    };
    RUN(scripts);
    cleared = 0;
    script_run(&(script)SCRIPT(
        "clear", "1:a=1 2:a=2 3:a=3 101:a=4 102:a=5 @99 @104 @250", "[99]a=123 | [199]a=45", custom_trigger));
    assert_int_equal(cleared, 2); /* with count 0 */
}

/* ---- evictors ---- */

BUILD(evict_count, fl_window_apply(fl_window(keyed, TEN, .evictor = fl_count_evictor(2)), rows_as_digits, Row))
BUILD(evict_count_after,
    fl_window_apply(fl_window(keyed, TEN, .evictor = fl_evict_after(fl_count_evictor(2)), .allowed_lateness = MS(10)),
        rows_as_digits, Row))
BUILD(evict_time, fl_window_apply(fl_window(keyed, TEN, .evictor = fl_time_evictor(MS(3))), rows_as_digits, Row))
BUILD(evict_time_global,
    fl_window_apply(fl_window(keyed, GLOBAL, .evictor = fl_time_evictor(MS(3)), .trigger = fl_count_trigger(2)),
        rows_as_digits, Row))
BUILD(evict_delta,
    fl_window_apply(fl_window(keyed, TEN, .evictor = fl_delta_evictor(3, difference)), rows_as_digits, Row))

static void odd_ones(const fl_elements *elements, const fl_time *timestamps, bool *evict, fl_context *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < elements->count; i++)
        evict[i] = ((const Row *)fl_element(elements, i))->value % 2 || timestamps[i] == 0;
}
static void all_of_them(const fl_elements *elements, const fl_time *timestamps, bool *evict, fl_context *ctx)
{
    (void)timestamps, (void)ctx;
    for (size_t i = 0; i < elements->count; i++)
        evict[i] = true;
}
#define LATE .allowed_lateness = MS(100)
BUILD(evict_odd, fl_sum(fl_window(keyed, TEN, .evictor = fl_custom_evictor(odd_ones, NULL), LATE), "value"))
BUILD(evict_odd_after, fl_sum(fl_window(keyed, TEN, .evictor = fl_custom_evictor(NULL, odd_ones), LATE), "value"))
BUILD(evict_all, fl_sum(fl_window(keyed, TEN, .evictor = fl_custom_evictor(all_of_them, NULL)), "value"))
BUILD(evict_all_apply,
    fl_window_apply(fl_window(keyed, TEN, .evictor = fl_custom_evictor(all_of_them, NULL)), rows_as_digits, Row))
BUILD(
    evict_all_aggregate, fl_aggregate(fl_window(keyed, TEN, .evictor = fl_custom_evictor(all_of_them, NULL)), sum_row))
BUILD(evict_aggregate, fl_aggregate(fl_window(keyed, SESSION, .evictor = fl_count_evictor(2)), sum_row))
static const Row hundred = { .value = 100 };
BUILD(evict_fold, fl_fold(fl_window(keyed, TEN, .evictor = fl_count_evictor(2)), &hundred, plus, Row))
BUILD(evict_reduce, fl_reduce_with(fl_window(keyed, TEN, .evictor = fl_count_evictor(2)), plus, one_row, Row))

static void test_evictors(void **state)
{
    (void)state;
    static const script scripts[] = {
        SCRIPT("the last two", "9:a=1 2:a=2 5:a=3 1:b=4 @9", "[9]a=23 [9]b=4", evict_count),
        SCRIPT("after the function", "1:a=1 2:a=2 3:a=3 @9 4:a=4 5:a=5", "[9]a=123 | [9]a=234 | [9]a=345",
            evict_count_after),
        SCRIPT("time: before the latest", "4:a=1 1:a=2 2:a=3 @9", "[9]a=13", evict_time),
        SCRIPT("time: the bound itself goes", "1:a=1 4:a=2 @9", "[9]a=2", evict_time),
        SCRIPT("time: no timestamps, nothing goes", "?:a=1 ?:a=2 ?:a=3 ?:a=4", "[max]a=12 | [max]a=1234",
            evict_time_global),
        SCRIPT("delta to the last", "1:a=1 2:a=5 3:a=2 4:a=4 @9", "[9]a=524", evict_delta),
        SCRIPT("custom, before: gone for good", "1:a=1 2:a=2 3:a=4 @9 4:a=1 4:a=8", "[9]a=6 | [9]a=6 | [9]a=14",
            evict_odd),
        SCRIPT("custom, after", "1:a=1 2:a=2 3:a=4 @9 4:a=1 4:a=8", "[9]a=7 | [9]a=7 | [9]a=14", evict_odd_after),
        SCRIPT("custom by timestamp", "0:a=2 1:a=4 @9", "[9]a=4", evict_odd),
        SCRIPT("nothing left: a reduction has no result", "1:a=1 @9", "", evict_all),
        SCRIPT(
            "nothing left: a function sees an empty window", "1:a=1 @9", "[9]=0@0", evict_all_apply, .shows_id = true),
        SCRIPT("nothing left: an aggregate begins", "1:a=1 @9", "[9]=0@0", evict_all_aggregate, .shows_id = true),
        SCRIPT("an aggregate over what is left needs no merge", "1:a=1 15:a=4 8:a=2 @100", "[24]a=6", evict_aggregate),
        SCRIPT("a fold over what is left", "1:a=1 2:a=2 3:a=4 @100", "[9]=106", evict_fold),
        SCRIPT("a reduction, then the window", "1:a=1 2:a=2 3:a=4 @100", "[9]a=6@10", evict_reduce, .shows_id = true),
    };
    RUN(scripts);
}

/* ---- custom windows ---- */

/* value 0: in none; else in [0, 10) and [value, value + 10). */
static void two_windows(const void *in, fl_windows *windows, fl_context *ctx)
{
    int64_t value = ((const Row *)in)->value;
    (void)ctx;
    if (value == 0)
        return;
    fl_assign_window(windows, 0, 10);
    fl_assign_window(windows, value, value == 99 ? value : value + 10);
}
/* In a window that ends with the value. */
static void until_value(const void *in, fl_windows *windows, fl_context *ctx)
{
    fl_assign_window(windows, fl_timestamp_of(ctx), ((const Row *)in)->value);
}
static void ten_by_clock(const void *in, fl_windows *windows, fl_context *ctx)
{
    (void)in;
    fl_time now = fl_current_processing_time(ctx);
    fl_assign_window(windows, now, now + 10);
}
BUILD(custom_two,
    fl_window_apply(fl_window(keyed, fl_custom_windows(two_windows, false), .late = &late_rows), rows_as_digits, Row))
BUILD(custom_merging,
    fl_window_apply(fl_window(keyed, fl_merging_windows(fl_custom_windows(until_value, false))), rows_as_digits, Row))
BUILD(custom_clock, fl_window_apply(fl_window(keyed, fl_custom_windows(ten_by_clock, true)), rows_as_digits, Row))

static void test_custom_windows(void **state)
{
    (void)state;
    static const script scripts[] = {
        SCRIPT("several each", "1:a=1 2:a=5 @9 @10 @14", "[9]a=15@0 | [10]a=1@1 | [14]a=5@5", custom_two,
            .shows_id = true),
        SCRIPT("in none", "1:a=0 @9 0:a=0", "late[0]a=0@2", custom_two, .shows_id = true),
        SCRIPT("late for one, not for the other", "@9 1:a=5 @100 1:a=5", "[14]a=5@5 | late[1]a=5@2", custom_two,
            .shows_id = true),
        SCRIPT("ends before it starts", "1:a=99", "the window [99, 99) ends before it starts; end must be above start",
            custom_two),
        SCRIPT("merging", "1:a=3 3:a=5 7:a=9 @4 4:a=8 @8", "[4]a=35@1 | [8]a=98@4", custom_merging, .shows_id = true),
        SCRIPT(
            "by the clock", "?:a=1 +4 ?:a=2 +6 +4", "[1009]a=1@1000 | [1013]a=2@1004", custom_clock, .shows_id = true),
    };
    RUN(scripts);
}

/* ---- state by window ---- */

FL_VALUE_STATE(firings, int64_t);
FL_VALUE_STATE(windows_seen, int64_t);
FL_LIST_STATE(past, fl_string);

static void number_the_firings(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    int64_t *here = fl_value(fl_window_state(ctx), firings), *all = fl_value(ctx, windows_seen);
    ++*all;
    fl_string text = fl_str("a string that does not fit into itself");
    fl_list_add(fl_window_state(ctx), past, &text);
    fl_collect(out, &(Row){ *(const fl_string *)fl_current_key(ctx), ++*here * 10 + *all,
                        (int64_t)fl_list_count(fl_window_state(ctx), past) });
}
static int64_t cleared_firings, cleared_ends;
static void see_the_end(fl_context *ctx)
{
    cleared_firings += *fl_value(fl_window_state(ctx), firings);
    cleared_ends += fl_current_window(ctx).end;
    if (!fl_string_equal(*(const fl_string *)fl_current_key(ctx), fl_str("a")))
        fl_fail(ctx, "another key");
}
static void count_ends(fl_context *ctx)
{
    cleared_ends += fl_current_window(ctx).end;
}
BUILD(window_states, fl_window_process(fl_window(keyed, TEN, LATE), number_the_firings, Row,
                         .states = { &windows_seen }, .window_states = { &firings, &past }, .clear = see_the_end))
BUILD(clear_only, fl_aggregate_with(fl_window(keyed, SESSION), mergeable_sum, one_row, Row, .clear = count_ends))
BUILD(not_declared, fl_window_process(fl_window(keyed, TEN), number_the_firings, Row, .states = { &windows_seen }))

static void test_state_by_window(void **state)
{
    (void)state;
    static const script scripts[] = {
        SCRIPT("apart from the key's", "1:a=1 @9 2:a=2 11:a=3 @19 3:a=4",
            "[9]a=11@1 | [9]a=22@2 | [19]a=13@1 | [9]a=34@3", window_states, .shows_id = true),
        SCRIPT("not declared", "1:a=1 @9", "has no states by window; name them in .window_states", not_declared),
    };
    cleared_firings = cleared_ends = 0;
    RUN(scripts);
    assert_int_equal(cleared_ends, 0); /* windows that are there at the end are not cleaned up */
    script_run(&(script)SCRIPT("clear", "1:a=1 @9 2:a=2 11:a=3 @19 @108 @109 @110 12:a=1 @119",
        "[9]a=11 | [9]a=22 | [19]a=13 | [19]a=24", window_states));
    assert_int_equal(cleared_firings, 2 + 2);
    assert_int_equal(cleared_ends, 10 + 20);
    cleared_ends = 0;
    script_run(&(script)SCRIPT("clear alone", "1:a=1 8:a=1 @9 @17", "[17]a=2", clear_only));
    assert_int_equal(cleared_ends, 18);
}

/* ---- all records ---- */

BUILD(all_max, fl_max_by(fl_window_all(rows, TEN, .late = &late_rows), "value"))
BUILD(all_keyed, fl_max_by(fl_window_all(keyed, TEN), "value"))
BUILD(all_sliding, fl_aggregate(fl_window_all(rows, fl_sliding_event_time(MS(10), MS(5))), mergeable_sum))
BUILD(all_session, fl_window_apply(fl_window_all(rows, SESSION), rows_as_digits, Row))

static void test_windows_over_all_records(void **state)
{
    (void)state;
    static const script scripts[] = {
        SCRIPT("max_by", "1:a=1 2:b=5 12:c=3 @9 3:d=9 @100", "[9]b=5 | late[3]d=9 | [19]c=3", all_max),
        SCRIPT("after key_by", "1:a=1 2:b=5 @9", "[9]b=5", all_keyed),
        SCRIPT("sliding", "1:a=1 7:b=2 @100", "[4]a=1@1 [9]a=3@2 [14]b=2@1", all_sliding, .shows_id = true),
        SCRIPT("sessions", "1:a=1 19:b=2 10:c=3 @100", "[28]c=123", all_session),
    };
    RUN(scripts);
}

static void test_windows_over_all_records_are_not_parallel(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 4);
    static const Row rows[] = { { .value = 1 }, { .value = 2 }, { .value = 4 } };
    fl_stream *in = fl_test_source(env, Row, rows, 3, .timestamps = (const fl_time[]){ 1, 2, 3 });
    fl_test_rows *got = fl_test_sink(fl_sum(fl_window_all(fl_rebalance(in), TEN), "value"), Row);
    assert_int_equal(fl_execute(env, "all"), FL_OK);
    size_t count;
    const Row *row = fl_test_get(got, &count);
    assert_int_equal(count, 1);
    assert_int_equal(row->value, 7);
    fl_env_free(env);
}

/* ---- wrong programs ---- */

FL_OUTPUT_TAG(late_numbers, int64_t);
static const fl_trigger_class no_element = { .name = "Nothing" };
static const fl_trigger_class no_merge = { .name = "Lonely", .on_element = batch_element, .state_size = sizeof(Batch) };
static const fl_trigger_class too_large = { .name = "Large", .on_element = batch_element, .state_size = 5000 };
#define WINDOW(assigner, ...) fl_sum(fl_window(keyed, assigner, ##__VA_ARGS__), "value")
#define PURGING(t) fl_purging_trigger(t)
BUILD(wrong_0, WINDOW(fl_session_event_time(MS(0))))
BUILD(wrong_1, WINDOW(fl_session_processing_time(MS(-1))))
BUILD(wrong_2, fl_sum(fl_count_window(keyed, 0), "value"))
BUILD(wrong_3, fl_sum(fl_sliding_count_window(keyed, 5, -1), "value"))
BUILD(wrong_4, WINDOW(TEN, .trigger = fl_count_trigger(0)))
BUILD(wrong_5, WINDOW(TEN, .evictor = fl_count_evictor(-1)))
BUILD(wrong_6, WINDOW(SESSION, .trigger = fl_delta_trigger(1, difference)))
BUILD(wrong_7, WINDOW(SESSION, .trigger = fl_custom_trigger(&no_merge)))
BUILD(wrong_8, WINDOW(SESSION, .trigger = fl_processing_time_timeout_trigger(fl_count_trigger(1), MS(1), false, false)))
BUILD(wrong_9, WINDOW(TEN, .trigger = fl_delta_trigger(1, NULL)))
BUILD(wrong_10, WINDOW(TEN, .trigger = fl_custom_trigger(&no_element)))
BUILD(wrong_11, WINDOW(TEN, .trigger = fl_custom_trigger(&too_large)))
BUILD(wrong_12, WINDOW(TEN, .trigger = fl_continuous_event_time_trigger(MS(0))))
BUILD(wrong_13, WINDOW(fl_tumbling_processing_time(MS(10)), .trigger = fl_event_time_trigger()))
BUILD(wrong_14, WINDOW(TEN, .trigger = PURGING(PURGING(PURGING(PURGING(PURGING(fl_never_trigger())))))))
BUILD(wrong_15, WINDOW(TEN, .trigger = fl_processing_time_timeout_trigger(fl_never_trigger(), MS(0), false, false)))
BUILD(wrong_16, WINDOW(TEN, .evictor = fl_time_evictor(MS(0))))
BUILD(wrong_17, WINDOW(TEN, .evictor = fl_delta_evictor(1, NULL)))
BUILD(wrong_18, WINDOW(TEN, .evictor = fl_custom_evictor(NULL, NULL)))
BUILD(wrong_19, WINDOW(TEN, .evictor = fl_evict_after(fl_custom_evictor(odd_ones, NULL))))
BUILD(wrong_20, WINDOW(TEN, .evictor = { .kind = (fl_evictor_kind)77 }))
BUILD(wrong_21, WINDOW(fl_custom_windows(NULL, false)))
BUILD(wrong_22, WINDOW(fl_merging_windows(TEN)))
BUILD(wrong_23, WINDOW(fl_merging_windows(GLOBAL)))
BUILD(wrong_24, WINDOW(fl_window_offset(SESSION, MS(1))))
BUILD(wrong_25, WINDOW(GLOBAL, .allowed_lateness = MS(1)))
BUILD(wrong_26, fl_sum(fl_count_window(keyed, 5, .late = &late_rows), "value"))
BUILD(wrong_27, fl_sum(fl_count_window(keyed, 5, .trigger = fl_never_trigger()), "value"))
BUILD(wrong_28, fl_aggregate(fl_window(keyed, SESSION), sum_row))
BUILD(wrong_29, fl_fold(fl_window(keyed, SESSION), &hundred, plus, Row))
BUILD(wrong_30, fl_window_process(fl_window(keyed, SESSION), number_the_firings, Row, .window_states = { &firings }))
BUILD(wrong_31, fl_sum(fl_window_all(rows, TEN), "value", .parallelism = 2))
BUILD(wrong_32, fl_sum(fl_count_window(rows, 2), "value"))
BUILD(wrong_33, fl_sum(fl_window_all(fl_window(keyed, TEN), TEN), "value"))
BUILD(wrong_34, fl_sum(fl_window_all(rows, TEN, .late = &late_numbers), "value"))
BUILD(wrong_35,
    fl_window_process(fl_window(keyed, TEN), number_the_firings, Row, .window_states = { &firings, &firings }))

static void test_wrong_programs(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        fl_stream *(*build)(fl_stream *in, fl_stream *second, void *arg);
    } cases[] = {
        { "the session gap is 0 ms; it must be above 0", wrong_0 },
        { "the session gap is -1 ms", wrong_1 },
        { "fl_count_window: the size is 0 records", wrong_2 },
        { "fl_count_window: the slide is -1 records", wrong_3 },
        { "fl_count_trigger: the count is 0", wrong_4 },
        { "fl_count_evictor: the count is -1", wrong_5 },
        { "EventTimeSessionWindows merge, but DeltaTrigger cannot", wrong_6 },
        { "Lonely cannot: it cannot say what it knows about two windows as one; give it .on_merge", wrong_7 },
        { "ProcessingTimeoutTrigger cannot", wrong_8 },
        { "the delta function is NULL", wrong_9 },
        { "the trigger has no .on_element", wrong_10 },
        { ".state_size is 5000 bytes", wrong_11 },
        { "ContinuousEventTimeTrigger: the interval is 0 ms", wrong_12 },
        { "EventTimeTrigger fires when watermarks pass, but TumblingProcessingTimeWindows end by the clock", wrong_13 },
        { "5 purging and timeout triggers lie around each other", wrong_14 },
        { "the timeout is 0 ms", wrong_15 },
        { "the time to keep is 0 ms", wrong_16 },
        { "fl_delta_evictor: the delta function is NULL", wrong_17 },
        { "both functions are NULL", wrong_18 },
        { "fl_evict_after is for the built-in evictors", wrong_19 },
        { "unknown evictor 77", wrong_20 },
        { "the assign function of fl_custom_windows is NULL", wrong_21 },
        { "fl_merging_windows takes custom windows; tumbling", wrong_22 },
        { "the global window has nothing to merge with", wrong_23 },
        { "only tumbling and sliding windows have an offset", wrong_24 },
        { "nothing is late for windows without end (global and count windows): leave .allowed_lateness out", wrong_25 },
        { "leave .late out", wrong_26 },
        { "a count window is a trigger already", wrong_27 },
        { "the aggregate has no .merge, which windows that merge (EventTimeSessionWindows) need", wrong_28 },
        { "fl_fold cannot go with windows that merge", wrong_29 },
        { "cannot have .window_states", wrong_30 },
        { "is not parallel, but parallelism 2 was asked for", wrong_31 },
        { "fl_window needs a keyed stream: put fl_key_by", wrong_32 },
        { "a windowed stream must be followed by", wrong_33 },
        { "the late side output \"late_numbers\" has type int64_t", wrong_34 },
        { "firings", wrong_35 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fl_harness *h = fl_harness_new(Row, cases[i].build);
        const char *error = fl_harness_error(h);
        if (!strstr(error, cases[i].says) || !(strstr(error, "test_window_general.c:") || i == 35))
            fail_msg("case %zu: \"%s\" does not say \"%s\" and where", i, error, cases[i].says);
        fl_harness_free(h);
    }
}

/* What would be told of windows that hold what nobody will see. */
static void keep_line(void *arg, const char *line, size_t length)
{
    char *text = arg;
    size_t n = strlen(text);
    if (n + length < 2000)
        memcpy(text + n, line, length);
}
BUILD(never_global, fl_sum(fl_window(keyed, GLOBAL), "value"))
BUILD(never_purging, fl_sum(fl_window(keyed, TEN, .trigger = fl_purging_trigger(fl_never_trigger())), "value"))
static void test_a_trigger_that_never_fires_is_told_of(void **state)
{
    (void)state;
    static const struct {
        fl_stream *(*build)(fl_stream *in, fl_stream *second, void *arg);
        const char *says;
    } cases[] = {
        { never, "windows with fl_never_trigger never fire; what they hold is never seen" },
        { never_purging, "windows with fl_never_trigger never fire" },
        { never_global, "global windows without a trigger never fire and hold all records for ever; give a .trigger" },
        { count_of_window, NULL },
        { timeout, NULL },
        { event_global, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2000] = "";
        fl__log_set_sink(keep_line, text);
        fl_harness_free(fl_harness_new(Row, cases[i].build));
        fl__log_set_sink(NULL, NULL);
        if (cases[i].says ? !strstr(text, cases[i].says) || !strstr(text, "test_window_general.c:") : *text != 0)
            fail_msg("case %zu: \"%s\"", i, text);
    }
}

static void timer_here(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    fl_trigger_register_event_time_timer(ctx, 1);
}
BUILD(timer_outside, fl_flat_map(rows, timer_here, Row))
BUILD(timer_in_function, fl_window_apply(fl_window(keyed, SESSION), timer_here, Row))
static void test_trigger_timers_belong_into_triggers(void **state)
{
    (void)state;
    static const script scripts[] = {
        SCRIPT(
            "outside", "1:a=1", "fl_trigger_register_event_time_timer was called outside of a trigger", timer_outside),
        SCRIPT("in a window function", "1:a=1 @50", "was called outside of a trigger", timer_in_function),
    };
    RUN(scripts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_count_windows),
        cmocka_unit_test(test_triggers),
        cmocka_unit_test(test_a_custom_trigger),
        cmocka_unit_test(test_evictors),
        cmocka_unit_test(test_custom_windows),
        cmocka_unit_test(test_state_by_window),
        cmocka_unit_test(test_windows_over_all_records),
        cmocka_unit_test(test_windows_over_all_records_are_not_parallel),
        cmocka_unit_test(test_wrong_programs),
        cmocka_unit_test(test_a_trigger_that_never_fires_is_told_of),
        cmocka_unit_test(test_trigger_timers_belong_into_triggers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
