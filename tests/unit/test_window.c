/* Tumbling and sliding windows as a user notices them, through the public API. Most cases are scripts: see
 * tests/window_script.h. The general path has its own in test_window_general.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "window_script.h"

/* ---- window functions ---- */

static void plus(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Row *)value)->value += ((const Row *)in)->value;
}

/* Depends on the order. */
static void digits(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Row *)value)->value = ((Row *)value)->value * 10 + ((const Row *)in)->value;
}

/* start*10000 + end*100 + … would hide mistakes: the window goes into the id, its rows into the value, one digit each.
 */
static void rows_as_digits(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_window_range range = fl_current_window(ctx);
    Row row = { *(const fl_string *)fl_current_key(ctx), 0, range.start };
    fl_each(const Row *, r, in) row.value = row.value * 10 + r->value;
    if (fl_timestamp_of(ctx) != range.end - 1)
        fl_fail(ctx, "the timestamp is not the window's");
    fl_collect(out, &row);
}

static void one_row(const void *in, fl_collector *out, fl_context *ctx)
{
    const Row *r = fl_element(in, 0);
    fl_collect(out,
        &(Row){ r->key, r->value * 100 + (int64_t)((const fl_elements *)in)->count, fl_current_window(ctx).start });
}

typedef struct {
    fl_string key;
    int64_t sum;
} Sum;
FL_ROW(Sum, key, sum);
static void sum_add(void *acc, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Sum *)acc)->key = ((const Row *)in)->key;
    ((Sum *)acc)->sum += ((const Row *)in)->value;
}
static void sum_get(const void *acc, void *out, fl_context *ctx)
{
    (void)ctx;
    *(Row *)out = (Row){ ((const Sum *)acc)->key, ((const Sum *)acc)->sum, -1 };
}
static void sum_merge(void *acc, const void *other, fl_context *ctx)
{
    (void)ctx;
    ((Sum *)acc)->sum += ((const Sum *)other)->sum;
}
FL_AGGREGATE(sum_row, Row, Sum, Row, .add = sum_add, .get = sum_get);
FL_AGGREGATE(mergeable_sum, Row, Sum, Row, .add = sum_add, .get = sum_get, .merge = sum_merge);

FL_VALUE_STATE(windows_so_far, int64_t);
static void number_of_the_window(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    int64_t *n = fl_value(ctx, windows_so_far);
    fl_collect(out, &(Row){ *(const fl_string *)fl_current_key(ctx), ++*n, 0 });
}

static void big_ones_aside(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_each(const Row *, r, in)
    {
        if (r->value >= 5)
            fl_output(ctx, big_rows, r);
        else
            fl_collect(out, r);
    }
}

/* ---- cases ---- */

typedef enum what {
    SUM,
    MIN,
    MAX_BY,
    MAX_BY_LAST,
    REDUCE,
    DIGITS,
    FOLD,
    AGGREGATE,
    MERGEABLE,
    APPLY,
    PROCESS_STATE,
    SIDE,
    AGGREGATE_WITH,
    REDUCE_WITH
} what;

typedef struct window_case {
    const char *name;
    what what;
    const char *window; /* "size", "size/slide", "size+offset"; p in front: processing time */
    int64_t lateness;
    bool side;
    const char *script, *expected;
} window_case;

static fl_window_assigner assigner_of(const char *text)
{
    bool processing = *text == 'p';
    char *end;
    fl_duration size = fl_milliseconds(strtoll(text + processing, &end, 10));
    fl_duration slide = size, offset = { 0 };
    if (*end == '/')
        slide = fl_milliseconds(strtoll(end + 1, &end, 10));
    if (*end == '+')
        offset = fl_milliseconds(strtoll(end + 1, &end, 10));
    fl_window_assigner a =
        strchr(text, '/') ? (processing ? fl_sliding_processing_time(size, slide) : fl_sliding_event_time(size, slide))
                          : (processing ? fl_tumbling_processing_time(size) : fl_tumbling_event_time(size));
    return fl_window_offset(a, offset);
}

static fl_stream *build(fl_stream *in, fl_stream *second, void *arg)
{
    (void)second;
    const window_case *c = arg;
    static const Row initial = { .value = 100 };
    fl_stream *w = fl_window(fl_key_by(in, "key"), assigner_of(c->window),
        .allowed_lateness = fl_milliseconds(c->lateness), .late = c->side ? &late_rows : NULL);
    switch (c->what) {
    case SUM: return fl_sum(w, "value");
    case MIN: return fl_rolling_index(w, FL_MIN, 1, true);
    case MAX_BY: return fl_max_by(w, "value");
    case MAX_BY_LAST: return fl_max_by_last(w, "value");
    case REDUCE: return fl_reduce(w, plus);
    case DIGITS: return fl_reduce(w, digits);
    case FOLD: return fl_fold(w, &initial, plus, Row);
    case AGGREGATE: return fl_aggregate(w, sum_row);
    case MERGEABLE: return fl_aggregate(w, mergeable_sum);
    case APPLY: return fl_window_apply(w, rows_as_digits, Row);
    case PROCESS_STATE: return fl_window_process(w, number_of_the_window, Row, .states = { &windows_so_far });
    case SIDE: return fl_window_process(w, big_ones_aside, Row);
    case AGGREGATE_WITH: return fl_aggregate_with(w, mergeable_sum, one_row, Row);
    default: return fl_reduce_with(w, plus, one_row, Row);
    }
}

static void run_case(const window_case *c)
{
    script_run(&(script){ c->name, c->script, c->expected, build, (void *)(uintptr_t)c, c->what <= MAX_BY_LAST,
        c->what == APPLY || c->what >= AGGREGATE_WITH });
}

static void run_cases(const window_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        run_case(&cases[i]);
}
#define RUN_CASES(cases) run_cases((cases), sizeof(cases) / sizeof(cases)[0])

static void test_tumbling_windows_begin_where_flinks_do(void **state)
{
    (void)state;
    static const window_case cases[] = {
        { "boundaries", SUM, "10", 0, false, "0:a=1 9:a=2 10:a=4 @8 @9 @18 @19", "[9]a=3#1 | [19]a=4#3" },
        { "below zero", SUM, "10", 0, false, "-1:a=1 -10:a=2 -11:a=4 @-12 @-11 @-1", "[-11]a=4#3 | [-1]a=3#1" },
        { "offset", SUM, "10+3", 0, false, "2:a=1 3:a=2 12:a=4 13:a=8 end", "[2]a=1#1 [12]a=6#2 [22]a=8#4" },
        { "negative offset", SUM, "10+-3", 0, false, "-4:a=1 6:a=2 7:a=4 -3:a=8 end", "[-4]a=1#1 [6]a=10#2 [16]a=4#3" },
        { "offset below zero", SUM, "10+3", 0, false, "-7:a=1 -8:a=2 end", "[-8]a=2#2 [2]a=1#1" },
        { "one by one", SUM, "1", 0, false, "5:a=1 5:a=2 6:a=4 @5 end", "[5]a=3#1 | [6]a=4#3" },
        { "keys apart", SUM, "10", 0, false, "1:a=1 2:b=2 3:a=4 4:a-key-longer-than-inline=5 end",
            "[9]a=5#1 [9]b=2#2 [9]a-key-longer-than-inline=5#4" },
        { "several at one watermark, earliest first", SUM, "10", 0, false, "25:a=1 5:b=2 15:a=4 @29",
            "[9]b=2#2 [19]a=4#3 [29]a=1#1" },
        { "empty windows do not fire", SUM, "10", 0, false, "5:a=1 @1000 1005:a=2 end", "[9]a=1#1 | [1009]a=2#2" },
        { "at the start of time", SUM, "10", 0, false, "min:a=1 min:a=2 0:a=4 @-1 end",
            "[-9223372036854775801]a=3#1 | [9]a=4#3" },
        { "at the end of time", SUM, "10", 5, false, "max:a=1 max:a=2 @max end", "[max]a=3#1" },
        { "a huge window", SUM, "9223372036854775807", 0, false, "-1:a=1 0:a=2 max:a=4 @0 end",
            "[-1]a=1#1 | [9223372036854775806]a=6#2" },
    };
    RUN_CASES(cases);
}

static void test_late_records(void **state)
{
    (void)state;
    static const window_case cases[] = {
        { "dropped", SUM, "10", 0, false, "5:a=1 @9 6:a=2 end", "[9]a=1#1" },
        { "not late before the window's end", SUM, "10", 0, false, "5:a=1 @8 1:a=2 end", "[9]a=3#1" },
        { "to the side output with their timestamp", SUM, "10", 0, true, "5:a=1 @9 6:a=2 10:a=4 end",
            "[9]a=1#1 | late[6]a=2 | [19]a=4#3" },
        { "within the lateness every one fires", SUM, "10", 5, true, "5:a=1 @9 6:a=2 7:b=3 @13 8:a=4 @14 9:a=8 end",
            "[9]a=1#1 | [9]a=3#1 | [9]b=3#3 | [9]a=7#1 | late[9]a=8" },
        { "the first record of its window", SUM, "10", 5, true, "@12 5:a=1 5:a=2 @14 end", "[9]a=1#1 | [9]a=3#1" },
        { "a jump past the lateness", SUM, "10", 5, true, "5:a=1 @30 5:a=2 end", "[9]a=1#1 | late[5]a=2" },
        { "all rows again", APPLY, "10", 5, false, "5:a=1 6:a=2 @9 4:a=3 end", "[9]a=12@0 | [9]a=123@0" },
        { "an endless lateness", SUM, "10", INT64_MAX, true, "5:a=1 @1000000 5:a=2 end", "[9]a=1#1 | [9]a=3#1" },
    };
    RUN_CASES(cases);
}

static void test_sliding_windows(void **state)
{
    (void)state;
    static const window_case cases[] = {
        { "each record in two", SUM, "10/5", 0, false, "0:a=1 5:a=2 12:a=4 @4 @9 @14 end",
            "[4]a=1#1 | [9]a=3#1 | [14]a=6#2 | [19]a=4#3" },
        { "slide does not divide size", SUM, "7/3", 0, false, "0:a=1 4:a=2 6:a=4 end",
            "[0]a=1#1 [3]a=1#1 [6]a=7#1 [9]a=6#2 [12]a=4#3" },
        { "offset", SUM, "10/5+2", 0, false, "1:a=1 2:a=2 end", "[1]a=1#1 [6]a=3#1 [11]a=2#2" },
        { "below zero", SUM, "4/2", 0, false, "-1:a=1 0:a=2 end", "[-1]a=1#1 [1]a=3#1 [3]a=2#2" },
        { "the other fields are the first record's, not the first pane's", SUM, "10/5", 0, false, "7:a=1 2:a=2 end",
            "[4]a=2#2 [9]a=3#1 [14]a=1#1" },
        { "min", MIN, "10/5", 0, false, "7:a=3 2:a=2 1:a=9 end", "[4]a=2#2 [9]a=2#1 [14]a=3#1" },
        { "ties across panes: the first", MAX_BY, "10/5", 0, false, "7:a=3 2:a=3 1:a=1 end",
            "[4]a=3#2 [9]a=3#1 [14]a=3#1" },
        { "ties across panes: the last", MAX_BY_LAST, "10/5", 0, false, "7:a=3 2:a=3 1:a=1 end",
            "[4]a=3#2 [9]a=3#2 [14]a=3#1" },
        { "reduce keeps the order of arrival", DIGITS, "10/5", 0, false, "7:a=1 2:a=2 8:a=3 end",
            "[4]a=2 [9]a=123 [14]a=13" },
        { "aggregate", AGGREGATE, "10/5", 0, false, "7:a=1 2:a=2 end", "[4]a=2 [9]a=3 [14]a=1" },
        { "aggregate that merges", MERGEABLE, "10/5", 0, false, "7:a=1 2:a=2 end", "[4]a=2 [9]a=3 [14]a=1" },
        { "all rows", APPLY, "10/5", 0, false, "7:a=1 2:a=2 8:a=3 end", "[4]a=2@-5 [9]a=123@0 [14]a=13@5" },
        { "late for one window, not for the next", SUM, "10/5", 0, true, "12:a=1 @14 11:a=2 @19 13:a=4 end",
            "[14]a=1#1 | [19]a=3#1 | late[13]a=4" },
        { "late records fire the latest window first", SUM, "10/5", 10, true, "2:a=1 @9 3:a=2 @14 4:a=4 @19 4:a=8 end",
            "[4]a=1#1 [9]a=1#1 | [9]a=3#1 [4]a=3#1 | [9]a=7#1 | late[4]a=8" },
    };
    RUN_CASES(cases);
}

static void test_sampling_windows(void **state)
{
    (void)state;
    static const window_case cases[] = {
        { "gaps", SUM, "2/5", 0, true, "0:a=1 1:a=2 2:a=4 4:a=8 5:a=16 end", "[1]a=3#1 [6]a=16#5" },
        { "late in a gap", SUM, "2/5", 0, true, "3:a=1 @3 3:a=2 4:a=4 end", "late[3]a=2" },
        { "below zero", SUM, "2/5", 0, false, "-1:a=1 -4:a=2 -5:a=4 end", "[-4]a=6#2" },
    };
    RUN_CASES(cases);
}

static void test_processing_time(void **state)
{
    (void)state;
    static const window_case cases[] = {
        { "fires when the clock is past the end", SUM, "p10", 0, false, "?:a=1 +9 ?:a=2 +1 ?:a=4 +10",
            "[1009]a=3#1 | [1019]a=4#3" },
        { "timestamps do not matter", SUM, "p10", 0, true, "5000:a=1 @9000 1:a=2 +10", "[1009]a=3#1" },
        { "pending windows are not fired at the end", SUM, "p10", 0, false, "?:a=1 +9 end", "" },
        { "sliding", SUM, "p10/5", 0, false, "?:a=1 +5 ?:a=2 +5 +5 +5", "[1004]a=1#1 | [1009]a=3#1 | [1014]a=2#2" },
        { "sliding, a table each", DIGITS, "p10/5", 0, false, "?:a=1 +5 ?:a=2 +5 +5 +5",
            "[1004]a=1 | [1009]a=12 | [1014]a=2" },
        { "sampling", SUM, "p2/5", 0, false, "?:a=1 +3 ?:a=2 +2 ?:a=4 +5", "[1001]a=1#1 | [1006]a=4#3" },
        { "offset", SUM, "p10+4", 0, false, "?:a=1 +3 ?:a=2 +1 ?:a=4 +10", "[1003]a=3#1 | [1013]a=4#3" },
        { "a long sleep", SUM, "p10", 0, false, "?:a=1 +1000 ?:a=2 +1000", "[1009]a=1#1 | [2009]a=2#2" },
    };
    RUN_CASES(cases);
}

static void test_window_functions(void **state)
{
    (void)state;
    static const window_case cases[] = {
        { "min: the other fields of the first", MIN, "10", 0, false, "1:a=5 2:a=3 3:a=4 end", "[9]a=3#1" },
        { "max_by: the whole record", MAX_BY, "10", 0, false, "1:a=5 2:a=7 3:a=7 end", "[9]a=7#2" },
        { "max_by, last on ties", MAX_BY_LAST, "10", 0, false, "1:a=5 2:a=7 3:a=7 end", "[9]a=7#3" },
        { "reduce", REDUCE, "10", 0, false, "1:a=5 2:a=7 end", "[9]a=12" },
        { "fold starts as initial", FOLD, "10", 0, false, "1:a=5 2:b=7 3:a=1 end", "[9]=106 [9]=107" },
        { "aggregate", AGGREGATE, "10", 0, false, "1:a=5 2:a-key-longer-than-inline=7 3:a=1 end",
            "[9]a=6 [9]a-key-longer-than-inline=7" },
        { "apply: all rows in order of arrival", APPLY, "10", 0, false, "9:a=1 2:a=2 11:a=3 5:a=4 end",
            "[9]a=124@0 [19]a=3@10" },
        { "aggregate, then the window", AGGREGATE_WITH, "10/5", 0, false, "7:a=1 2:a=2 end",
            "[4]a=201@-5 [9]a=301@0 [14]a=101@5" },
        { "reduce, then the window", REDUCE_WITH, "10", 0, false, "7:a=1 2:a=2 end", "[9]a=301@0" },
        { "state across windows, per key", PROCESS_STATE, "10", 0, false, "1:a=1 2:b=1 11:a=1 21:a=1 22:b=1 @9 @19 end",
            "[9]a=1 [9]b=1 | [19]a=2 | [29]a=3 [29]b=2" },
        { "side outputs have the window's timestamp", SIDE, "10", 0, false, "1:a=1 2:a=7 3:a=2 end",
            "[9]a=1 [9]a=2 big[9]a=7" },
    };
    RUN_CASES(cases);
}

static void test_a_record_without_timestamp_fails(void **state)
{
    (void)state;
    static const window_case cases[] = {
        { "no timestamp", SUM, "10", 0, false, "?:a=1 end",
            "a record has no timestamp. Assign timestamps before fl_window" },
        { "no timestamp: the cure", SUM, "10/5", 0, false, "1:a=1 ?:a=1 end", "fl_watermarks(stream, " },
    };
    RUN_CASES(cases);
}

/* ---- wrong programs ---- */

FL_OUTPUT_TAG(late_numbers, int64_t);
FL_AGGREGATE(of_numbers, int64_t, int64_t, int64_t, .add = sum_add);
FL_AGGREGATE(no_result, Row, Sum, Row, .add = sum_add);
FL_AGGREGATE(no_add, Row, Sum, Row, .get = sum_get);

typedef struct {
    int64_t id;
    fl_array list;
    bool flag;
} Odd;
FL_ROW(Odd, id, (list, .element = FL_TYPE(int64_t)), flag);

struct wrong {
    const char *says;
    fl_stream *(*build)(fl_stream *rows, fl_stream *odd);
};

#define SECOND fl_tumbling_event_time(fl_seconds(1))
#define WRONG(n, expression)                                                                                           \
    static fl_stream *wrong_##n(fl_stream *rows, fl_stream *odd)                                                       \
    {                                                                                                                  \
        (void)rows, (void)odd;                                                                                         \
        fl_stream *keyed = fl_key_by(rows, "key");                                                                     \
        (void)keyed;                                                                                                   \
        return expression;                                                                                             \
    }
WRONG(0, fl_sum(fl_window(rows, SECOND), "value"))
WRONG(1, fl_sum(fl_window(keyed, fl_tumbling_event_time(fl_seconds(0))), "value"))
WRONG(2, fl_sum(fl_window(keyed, fl_tumbling_processing_time(fl_seconds(-1))), "value"))
WRONG(3, fl_sum(fl_window(keyed, fl_sliding_event_time(fl_seconds(1), fl_seconds(0))), "value"))
WRONG(4, fl_sum(fl_window(keyed, fl_window_offset(SECOND, fl_seconds(1))), "value"))
WRONG(5, fl_sum(fl_window(keyed, fl_window_offset(fl_sliding_event_time(fl_seconds(9), fl_seconds(3)), fl_seconds(-3))),
             "value"))
WRONG(6, fl_sum(fl_window(keyed, fl_sliding_event_time(fl_days(1000), fl_milliseconds(1))), "value"))
WRONG(7, fl_sum(fl_window(keyed, SECOND, .allowed_lateness = fl_seconds(-1)), "value"))
WRONG(8, fl_sum(fl_window(keyed, SECOND, .late = &late_numbers), "value"))
WRONG(9, fl_sum(fl_window(keyed, SECOND), "price"))
WRONG(10, fl_rolling_index(fl_window(keyed, SECOND), FL_MAX, 3, true))
WRONG(11, fl_sum(fl_window(keyed, SECOND), "key"))
WRONG(12, fl_min(fl_window(fl_key_by(odd, "id"), SECOND), "list"))
WRONG(13, fl_aggregate(fl_window(keyed, SECOND), of_numbers))
WRONG(14, fl_aggregate(fl_window(keyed, SECOND), no_result))
WRONG(15, fl_aggregate(fl_window(keyed, SECOND), no_add))
WRONG(16, fl_window_apply(keyed, rows_as_digits, Row))
WRONG(17, fl_aggregate_with(keyed, sum_row, one_row, Row))
WRONG(18, fl_window_apply(fl_window(keyed, SECOND), NULL, Row))
WRONG(19, fl_sum(fl_window(keyed, SECOND, .name = "windows"), "value"))
WRONG(20, fl_reduce(fl_window(keyed, SECOND), plus, .states = { &windows_so_far }))
WRONG(21, fl_window_process(fl_window(keyed, SECOND), rows_as_digits, Row, .on_timer = rows_as_digits))
WRONG(22, fl_sum(fl_window(fl_key_by(odd, "id"), SECOND), "flag"))
WRONG(23, fl_map(fl_window(keyed, SECOND), rows_as_digits, Row))
WRONG(24, fl_reduce_with(fl_window(keyed, SECOND), NULL, one_row, Row))
static const fl_window_assigner unknown = { .kind = (fl_window_kind)99, .size = { 1 }, .slide = { 1 } };
WRONG(25, fl_sum(fl_window(keyed, unknown), "value"))

static fl_stream *build_wrong(fl_stream *in, fl_stream *second, void *arg)
{
    return ((const struct wrong *)arg)->build(in, second);
}

static void test_wrong_programs(void **state)
{
    (void)state;
    static const struct wrong cases[] = {
        { "needs a keyed stream: put fl_key_by", wrong_0 },
        { "the window size is 0 ms; it must be above 0", wrong_1 },
        { "the window size is -1000 ms", wrong_2 },
        { "the slide is 0 ms; it must be above 0", wrong_3 },
        { "the offset is 1000 ms; it must be smaller than the size, 1000 ms", wrong_4 },
        { "the offset is -3000 ms; it must be smaller than the slide, 3000 ms", wrong_5 },
        { "each record would be in 86400000000 windows", wrong_6 },
        { "the allowed lateness is -1000 ms", wrong_7 },
        { "the late side output \"late_numbers\" has type int64_t, but the stream is of Row", wrong_8 },
        { "Row has no field \"price\"; its fields are key, value, id", wrong_9 },
        { "Row has no field 3", wrong_10 },
        { "field key of Row is of fl_string, which cannot be summed", wrong_11 },
        { "which cannot be ordered", wrong_12 },
        { "the aggregate takes int64_t, but the stream is of Row", wrong_13 },
        { "the aggregate has no .get", wrong_14 },
        { "the function is NULL", wrong_15 },
        { "fl_window_apply needs a windowed stream", wrong_16 },
        { "fl_aggregate_with needs a windowed stream", wrong_17 },
        { "the function is NULL", wrong_18 },
        { ".name belongs to the function that follows", wrong_19 },
        { "only functions that see the window can have states", wrong_20 },
        { "window functions have no timers", wrong_21 },
        { "field flag of Odd is of bool, which cannot be summed", wrong_22 },
        { "must be followed by an aggregation or a window function", wrong_23 },
        { "the function is NULL", wrong_24 },
        { "unknown window kind", wrong_25 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fl_harness *h = fl_harness_new(Row, build_wrong, .second = FL_TYPE(Odd), .arg = (void *)(uintptr_t)&cases[i]);
        const char *error = fl_harness_error(h);
        if (!strstr(error, cases[i].says) || !strstr(error, "test_window.c:"))
            fail_msg("case %zu: \"%s\" does not say \"%s\" and where", i, error, cases[i].says);
        fl_harness_free(h);
    }
}

/* ---- a whole job ---- */

enum { ROWS = 20000, KEYS = 37 };

/* How many windows a timestamp is in, by counting. */
static int64_t windows_of(fl_time t, int64_t size, int64_t slide)
{
    int64_t n = 0;
    for (int64_t start = -1000 * slide; start <= t; start += slide)
        n += t < start + size;
    return n;
}

static fl_stream *sums(
    fl_env *env, const Row *rows, const fl_time *times, const fl_time *watermarks, fl_window_assigner a)
{
    fl_stream *in = fl_test_source(env, Row, rows, ROWS, .timestamps = times, .watermarks = watermarks);
    return fl_sum(fl_window(fl_key_by(in, "key"), a), "value", .parallelism = (int)fl_param_int(env, "p", 1));
}

/* The same results whatever the parallelism, the sizes of batches and the order of the tasks' steps: small channels
 * stop the operator in the middle of a window. */
static void test_whole_jobs(void **state)
{
    (void)state;
    Row *rows = calloc(ROWS, sizeof *rows);
    fl_time *times = calloc(ROWS, sizeof *times), *watermarks = calloc(ROWS, sizeof *watermarks);
    char(*keys)[32] = calloc(KEYS, sizeof *keys);
    for (int k = 0; k < KEYS; k++)
        snprintf(keys[k], sizeof keys[k], k % 2 ? "%d" : "key number %d", k);
    for (int i = 0; i < ROWS; i++) {
        rows[i] = (Row){ fl_str(keys[i * 7 % KEYS]), i % 11, 0 };
        times[i] = i - i * 31 % 50;
        watermarks[i] = i % 100 == 99 ? i - 60 : FL_TIME_MIN;
    }
    static const struct {
        int64_t size, slide;
    } windows[] = { { 100, 100 }, { 100, 30 } };
    for (size_t n = 0; n < 2; n++) {
        fl_window_assigner a =
            fl_sliding_event_time(fl_milliseconds(windows[n].size), fl_milliseconds(windows[n].slide));
        const void *expected = NULL;
        size_t count = 0;
        fl_env *first = NULL;
        for (uint64_t seed = 0; seed < 12; seed++) {
            char *arguments[] = { "test", "--p", seed % 2 ? "3" : "1" };
            fl_env *env = fl_env_new(3, arguments);
            fl_test_rows *got = fl_test_sink(sums(env, rows, times, watermarks, a), Row);
            if (seed)
                fl_test_simulate(env, .seed = seed, .channel_capacity = 2, .segment_bytes = 1024);
            if (fl_execute(env, "windows") != FL_OK)
                fail_msg("%s", fl_env_error(env));
            fl_test_sort(got);
            size_t got_count;
            const void *r = fl_test_get(got, &got_count);
            if (!first) {
                int64_t sum = 0, want = 0;
                for (size_t i = 0; i < got_count; i++)
                    sum += ((const Row *)r)[i].value;
                for (int i = 0; i < ROWS; i++)
                    want += windows_of(times[i], windows[n].size, windows[n].slide) * rows[i].value;
                assert_int_equal(sum, want);
                expected = r;
                count = got_count;
                first = env;
                continue;
            }
            const char *difference = fl__test_difference(got, expected, count, sizeof(Row), FL_TEST_ANY_ORDER);
            if (difference)
                fail_msg("seed %" PRIu64 ": %s", seed, difference);
            fl_env_free(env);
        }
        fl_env_free(first);
    }
    free(rows);
    free(times);
    free(watermarks);
    free(keys);
}

static void no_window_here(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    fl_current_window(ctx);
}
static fl_stream *build_without_window(fl_stream *in, fl_stream *second, void *arg)
{
    (void)second, (void)arg;
    return fl_flat_map(in, no_window_here, Row);
}
static void test_the_window_at_hand_is_known_in_window_functions_only(void **state)
{
    (void)state;
    fl_harness *h = fl_harness_new(Row, build_without_window);
    fl_harness_push(h, 1, &(Row){ .value = 1 });
    assert_non_null(strstr(fl_harness_error(h), "fl_current_window was called outside of a window function"));
    fl_harness_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tumbling_windows_begin_where_flinks_do),
        cmocka_unit_test(test_late_records),
        cmocka_unit_test(test_sliding_windows),
        cmocka_unit_test(test_sampling_windows),
        cmocka_unit_test(test_processing_time),
        cmocka_unit_test(test_window_functions),
        cmocka_unit_test(test_a_record_without_timestamp_fails),
        cmocka_unit_test(test_the_window_at_hand_is_known_in_window_functions_only),
        cmocka_unit_test(test_wrong_programs),
        cmocka_unit_test(test_whole_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
