/* Joins against naive references. Interval joins: random streams of two sides with duplicates, disorder and rows behind
 * the watermark, random bounds (negative, exclusive, at the ends of 64-bit time), inner and outer. The reference keeps
 * all rows in one array, reckons in 128 bits and follows Flink's IntervalJoinOperator step by step; outer rows, which
 * are flinc's own, come when no row that is not late could match.
 *
 * Window joins and co-groups: the rows of each window of each key, found by looking at all.
 *
 * A failure prints its seed; SEED=n runs that one alone, SEEDS=n that many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flinc.h>
#include <flinc/testing.h>

typedef struct {
    int64_t key, id;
    fl_string text;
} Row;
FL_ROW(Row, key, id, text);

/* Rows of the right side are smaller and hold no pointers. */
typedef struct {
    int32_t id, key;
} Small;
FL_ROW(Small, id, key);

typedef struct {
    int64_t key, left, right; /* ids; -1: none */
    int64_t left_time, right_time;
    int64_t calls; /* of the function for this key, when it counts them */
    fl_string text;
} Result;
FL_ROW(Result, key, left, right, left_time, right_time, calls, text);

FL_OUTPUT_TAG(left_late, Row);
FL_OUTPUT_TAG(right_late, Small);
FL_VALUE_STATE(calls, int64_t);
FL_VALUE_STATE(last_text, fl_string);

typedef struct {
    uint64_t seed, random;
    int64_t lower, upper, base, spread;
    bool lower_exclusive, upper_exclusive, has_tags, has_state;
    fl_join_kind kind;
    int keys, steps;
} Plan;

static uint64_t draw(Plan *p, uint64_t n)
{
    p->random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = p->random;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % n;
}

static fl_string text_of(int64_t id, char buffer[64])
{
    int n = snprintf(buffer, 64, id % 3 ? "%lld" : "row number %lld, which has a long text", (long long)id);
    return fl_string_of(buffer, (size_t)n);
}

/* ---- through flinc ---- */

static void join(const void *in, fl_collector *out, fl_context *ctx)
{
    const Plan *p = fl_arg(ctx);
    const fl_pair *pair = in;
    const Row *left = pair->left;
    const Small *right = pair->right;
    Result r = {
        .key = *(const int64_t *)fl_current_key(ctx),
        .left = left ? left->id : -1,
        .right = right ? right->id : -1,
        .left_time = pair->left_timestamp,
        .right_time = pair->right_timestamp,
    };
    fl_string before = fl_str("");
    if (p->has_state) {
        r.calls = ++*fl_value(ctx, calls);
        fl_string *last = fl_value(ctx, last_text);
        before = *last;
        if (left)
            *last = left->text;
    }
    char buffer[256];
    int n = snprintf(buffer, sizeof buffer, "%.*s|%.*s", (int)fl_string_length(before), fl_string_data(&before),
        left ? (int)fl_string_length(left->text) : 1, left ? fl_string_data(&left->text) : "-");
    r.text = fl_string_of(buffer, (size_t)n);
    fl_collect(out, &r);
}

static void small_key(const void *in, void *key, fl_context *ctx)
{
    (void)ctx;
    *(int64_t *)key = ((const Small *)in)->key;
}

static fl_stream *build(fl_stream *first, fl_stream *second, void *arg)
{
    const Plan *p = arg;
    fl_stream *right = fl_key_by_function(second, small_key, int64_t);
    fl_interval_join_options options = {
        .where = FL_HERE,
        .lower_exclusive = p->lower_exclusive,
        .upper_exclusive = p->upper_exclusive,
        .kind = p->kind,
        .arg = arg,
    };
    if (p->has_tags) {
        options.left_late = &left_late;
        options.right_late = &right_late;
    }
    if (p->has_state) {
        options.states[0] = &calls;
        options.states[1] = &last_text;
    }
    return fl__interval_join(fl_key_by(first, "key"), right, fl_milliseconds(p->lower), fl_milliseconds(p->upper), join,
        FL_TYPE(Result), &options);
}

/* ---- the reference ---- */

typedef __int128 wide;

typedef struct {
    int64_t key, id;
    fl_time time;
    bool is_left, is_matched, is_gone;
} Kept;

typedef struct {
    Result row;
    fl_time time;
    char text[160];
} Expected;

typedef struct {
    const Plan *p;
    Kept *kept;
    size_t kept_count;
    Expected *expected;
    size_t expected_count;
    int64_t late[2];
    fl_time watermark, watermark_before;
    int64_t calls[64];
    char last[64][64];
} Reference;

static wide low_of(const Plan *p)
{
    return (wide)p->lower + p->lower_exclusive;
}
static wide high_of(const Plan *p)
{
    return (wide)p->upper - p->upper_exclusive;
}

static void expect(Reference *r, const Kept *left, const Kept *right, fl_time time)
{
    const Kept *any = left ? left : right;
    Expected *e = &r->expected[r->expected_count++];
    *e = (Expected){ .time = time };
    e->row = (Result){
        .key = any->key,
        .left = left ? left->id : -1,
        .right = right ? right->id : -1,
        .left_time = left ? left->time : FL_NO_TIMESTAMP,
        .right_time = right ? right->time : FL_NO_TIMESTAMP,
    };
    char text[64] = "-", *before = "";
    if (left) {
        fl_string s = text_of(left->id, text);
        text[fl_string_length(s)] = 0;
    }
    if (r->p->has_state) {
        e->row.calls = ++r->calls[any->key];
        before = r->last[any->key];
    }
    snprintf(e->text, sizeof e->text, "%s|%s", before, text);
    if (r->p->has_state && left)
        memcpy(r->last[any->key], text, 64);
}

/* The distance from a row's time to the last time of the other side that it matches. */
static wide reach(const Plan *p, bool is_left)
{
    return is_left ? high_of(p) : -low_of(p);
}

static bool is_outer(const Plan *p, bool is_left)
{
    return p->kind == FL_JOIN_FULL || p->kind == (is_left ? FL_JOIN_LEFT : FL_JOIN_RIGHT);
}

/* The watermark from which no row that is not late can match. At the end of time the input has ended. */
static wide end_of(const Plan *p, const Kept *k)
{
    wide far = reach(p, k->is_left), end = k->time + (far < 0 ? far + 1 : far);
    return end > FL_TIME_MAX ? FL_TIME_MAX : end;
}

static fl_time alone_time(const Plan *p, const Kept *k)
{
    wide end = end_of(p, k);
    return end > k->time ? (fl_time)end : k->time;
}

static void give_alone(Reference *r, Kept *k)
{
    if (!is_outer(r->p, k->is_left) || k->is_matched)
        return;
    k->is_matched = true;
    expect(r, k->is_left ? k : NULL, k->is_left ? NULL : k, alone_time(r->p, k));
}

static int by_time(const void *a, const void *b)
{
    const Kept *const *x = a, *const *y = b;
    if ((*x)->time != (*y)->time)
        return (*x)->time < (*y)->time ? -1 : 1;
    return *x < *y ? -1 : *x > *y;
}

static void add(Reference *r, Kept row)
{
    if (row.time < r->watermark) {
        r->late[!row.is_left]++;
        return;
    }
    Kept *k = &r->kept[r->kept_count++];
    *k = row;
    Kept *found[1000];
    size_t count = 0;
    for (Kept *o = r->kept; o < k; o++) {
        if (o->is_gone || o->key != k->key || o->is_left == k->is_left)
            continue;
        wide distance = k->is_left ? (wide)o->time - k->time : (wide)k->time - o->time;
        if (distance >= low_of(r->p) && distance <= high_of(r->p))
            found[count++] = o;
    }
    qsort(found, count, sizeof *found, by_time);
    for (size_t i = 0; i < count; i++) {
        found[i]->is_matched = k->is_matched = true;
        fl_time time = found[i]->time > k->time ? found[i]->time : k->time;
        expect(r, k->is_left ? k : found[i], k->is_left ? found[i] : k, time);
    }
    if (reach(r->p, k->is_left) < 0 && end_of(r->p, k) <= r->watermark)
        give_alone(r, k);
}

/* Flink's timer of a row: its time, plus its reach when that is positive. */
static void advance(Reference *r, fl_time watermark)
{
    if (watermark <= r->watermark)
        return;
    r->watermark = watermark;
    for (Kept *k = r->kept; k < r->kept + r->kept_count; k++) {
        wide far = reach(r->p, k->is_left), timer = k->time + (far > 0 ? far : 0);
        if (!k->is_gone && end_of(r->p, k) <= watermark)
            give_alone(r, k);
        if (timer <= watermark || watermark == FL_TIME_MAX)
            k->is_gone = true;
    }
}

/* ---- comparing ---- */

static int compare_expected(const void *a, const void *b)
{
    const Expected *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    int c = memcmp(&x->row, &y->row, offsetof(Result, calls));
    return c ? c : strcmp(x->text, y->text);
}

/* What one step brought: in order when a row was joined. Of what a watermark brings only the order of times is said,
 * where the time at which a row is known to stay alone is not before its own. Nothing is late for what follows. */
static void compare(fl_harness *h, Reference *r, bool any_order)
{
    Expected actual[2000];
    size_t count = 0;
    int64_t late[2] = { 0 };
    fl_harness_event event;
    while (fl_harness_next(h, &event)) {
        if (event.kind != FL_HARNESS_RECORD)
            continue;
        if (event.side) {
            late[event.side == &right_late.tag]++;
            continue;
        }
        assert_true(count < 2000);
        Expected *e = &actual[count++];
        memset(e, 0, sizeof *e);
        e->row = *(const Result *)event.row;
        snprintf(e->text, sizeof e->text, "%.*s", (int)fl_string_length(e->row.text), fl_string_data(&e->row.text));
        e->time = event.timestamp;
        assert_true(e->time >= r->watermark_before);
        if (any_order && low_of(r->p) <= 0 && high_of(r->p) >= 0)
            assert_true(count < 2 || actual[count - 2].time <= e->time);
    }
    if (r->p->has_tags)
        for (int side = 0; side < 2; side++)
            assert_int_equal(late[side], r->late[side]);
    r->late[0] = r->late[1] = 0;
    assert_int_equal(count, r->expected_count);
    if (any_order) {
        qsort(actual, count, sizeof *actual, compare_expected);
        qsort(r->expected, count, sizeof *actual, compare_expected);
    }
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(&actual[i].row, &r->expected[i].row, offsetof(Result, calls));
        assert_int_equal(actual[i].time, r->expected[i].time);
        assert_int_equal(actual[i].row.calls, r->expected[i].row.calls);
        assert_string_equal(actual[i].text, r->expected[i].text);
    }
    r->expected_count = 0;
    r->watermark_before = r->watermark;
}

/* ---- plans ---- */

static void plan_draw(Plan *p, uint64_t seed)
{
    *p = (Plan){ .seed = seed, .random = seed };
    p->lower = (int64_t)draw(p, 41) - 20;
    p->upper = p->lower + (int64_t)draw(p, 25);
    p->lower_exclusive = draw(p, 4) == 0;
    p->upper_exclusive = draw(p, 4) == 0;
    p->kind = (fl_join_kind)draw(p, 4);
    p->keys = 1 + (int)draw(p, draw(p, 2) ? 2 : 12);
    p->steps = 20 + (int)draw(p, 300);
    p->spread = 1 + (int64_t)draw(p, 30);
    p->has_tags = draw(p, 2);
    p->has_state = p->kind == FL_JOIN_INNER && draw(p, 3) == 0;
    p->base = draw(p, 2) ? 0 : 1000000;
    if (draw(p, 6) == 0) {
        p->base = draw(p, 2) ? FL_TIME_MAX - 100 : FL_TIME_MIN + 1;
        if (draw(p, 2))
            p->lower = -(int64_t)draw(p, 2) * INT64_MAX;
        if (draw(p, 2))
            p->upper = draw(p, 2) ? INT64_MAX : INT64_MAX - (int64_t)draw(p, 100);
        if (p->upper < p->lower)
            p->upper = p->lower;
    }
}

static fl_time clamp(wide time)
{
    return time > FL_TIME_MAX - 1 ? FL_TIME_MAX - 1 : time <= FL_TIME_MIN ? FL_TIME_MIN + 1 : (fl_time)time;
}

static void step(Plan *p, fl_harness *h, Reference *r, int64_t id, wide now)
{
    fl_time time = clamp(now + (wide)draw(p, (uint64_t)p->spread) - p->spread / 2);
    if (draw(p, 6) == 0) {
        if (time <= FL_TIME_MIN + 1)
            return;
        fl_harness_watermark(h, time);
        fl_harness_watermark_second(h, time);
        advance(r, time);
        compare(h, r, true);
        return;
    }
    Kept row = { .key = (int64_t)draw(p, (uint64_t)p->keys), .id = id, .time = time, .is_left = draw(p, 2) };
    if (row.is_left) {
        char buffer[64];
        fl_harness_push(h, time, &(Row){ row.key, row.id, text_of(row.id, buffer) });
    } else {
        fl_harness_push_second(h, time, &(Small){ (int32_t)row.id, (int32_t)row.key });
    }
    add(r, row);
    compare(h, r, false);
}

static char at_hand[200]; /* what runs, for a failure's message */

static int print_last(void **state)
{
    (void)state;
    print_message("last was %s\n", at_hand);
    return 0;
}

static void run(uint64_t seed)
{
    Plan p;
    plan_draw(&p, seed);
    Reference r = { .p = &p, .watermark = FL_TIME_MIN, .watermark_before = FL_TIME_MIN };
    r.kept = calloc(1000, sizeof *r.kept);
    r.expected = calloc(100000, sizeof *r.expected);
    snprintf(at_hand, sizeof at_hand, "seed %" PRIu64 ": [%" PRId64 ", %" PRId64 "]%s%s kind %d, base %" PRId64, seed,
        p.lower, p.upper, p.lower_exclusive ? " lower exclusive" : "", p.upper_exclusive ? " upper exclusive" : "",
        (int)p.kind, p.base);
    fl_harness *h = p.has_tags ? fl_harness_new(Row, build, .second = FL_TYPE(Small), .arg = &p,
                                     .sides = { &left_late, &right_late })
                               : fl_harness_new(Row, build, .second = FL_TYPE(Small), .arg = &p);
    wide now = p.base;
    for (int i = 0; i < p.steps; i++) {
        step(&p, h, &r, i, now);
        now += (wide)draw(&p, 5);
        assert_string_equal(fl_harness_error(h), "");
    }
    fl_harness_end(h);
    advance(&r, FL_TIME_MAX);
    compare(h, &r, true);
    assert_string_equal(fl_harness_error(h), "");
    fl_harness_free(h);
    free(r.kept);
    free(r.expected);
}

/* ---- window joins: in time only, what comes out in all ---- */

typedef struct {
    uint64_t seed, random;
    enum { TUMBLING, SLIDING, SESSION, KINDS } kind;
    int64_t size, slide, disorder;
    int keys, steps;
    bool is_co_group;
} WindowPlan;

static void window_pair(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_pair *pair = in;
    const Row *left = pair->left;
    const Small *right = pair->right;
    char buffer[64];
    assert_true(fl_string_equal(left->text, text_of(left->id, buffer)));
    fl_collect(out, &(Result){ .key = *(const int64_t *)fl_current_key(ctx), .left = left->id, .right = right->id });
}

/* The same pairs, and one row for each side that is alone. */
static void window_group(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_groups *groups = in;
    int64_t key = *(const int64_t *)fl_current_key(ctx);
    fl_each(const Row *, left, &groups->left)
    {
        fl_each(const Small *, right, &groups->right)
        {
            fl_pair pair = { .left = left, .right = right };
            window_pair(&pair, out, ctx);
        }
        if (groups->right.count == 0)
            fl_collect(out, &(Result){ .key = key, .left = left->id, .right = -1 });
    }
    fl_each(const Small *, right, &groups->right)
    {
        if (groups->left.count == 0)
            fl_collect(out, &(Result){ .key = key, .left = -1, .right = right->id });
    }
}

static fl_stream *build_windows(fl_stream *first, fl_stream *second, void *arg)
{
    const WindowPlan *p = arg;
    fl_duration size = fl_milliseconds(p->size);
    fl_window_assigner assigner = p->kind == TUMBLING  ? fl_tumbling_event_time(size)
                                  : p->kind == SLIDING ? fl_sliding_event_time(size, fl_milliseconds(p->slide))
                                                       : fl_session_event_time(size);
    fl_stream *left = fl_key_by(first, "key"), *right = fl_key_by_function(second, small_key, int64_t);
    return p->is_co_group ? fl_co_group(left, right, assigner, window_group, Result)
                          : fl_window_join(left, right, assigner, window_pair, Result);
}

static void expect_group(const WindowPlan *p, Reference *r, Kept *const *rows, size_t count, fl_time time)
{
    size_t sides[2] = { 0 };
    for (size_t i = 0; i < count; i++)
        sides[rows[i]->is_left]++;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < count; k++) {
            if (rows[i]->is_left && !rows[k]->is_left)
                r->expected[r->expected_count++] = (Expected){ .time = time,
                    .row = { .key = rows[i]->key, .left = rows[i]->id, .right = rows[k]->id } };
        }
        if (p->is_co_group && sides[!rows[i]->is_left] == 0)
            r->expected[r->expected_count++] = (Expected){ .time = time,
                .row = { .key = rows[i]->key,
                    .left = rows[i]->is_left ? rows[i]->id : -1,
                    .right = rows[i]->is_left ? -1 : rows[i]->id } };
    }
}

/* All windows of one key. */
static void expect_windows(const WindowPlan *p, Reference *r, Kept **rows, size_t count)
{
    qsort(rows, count, sizeof *rows, by_time);
    if (p->kind == SESSION) {
        for (size_t from = 0, to; from < count; from = to) {
            for (to = from + 1; to < count && rows[to]->time <= rows[to - 1]->time + p->size;)
                to++;
            expect_group(p, r, rows + from, to - from, rows[to - 1]->time + p->size - 1);
        }
        return;
    }
    int64_t slide = p->kind == TUMBLING ? p->size : p->slide;
    for (int64_t start = -1000 * slide; start < 2000 * slide; start += slide) {
        size_t from = 0, to;
        while (from < count && rows[from]->time < start)
            from++;
        for (to = from; to < count && rows[to]->time < start + p->size;)
            to++;
        expect_group(p, r, rows + from, to - from, start + p->size - 1);
    }
}

static void run_windows(uint64_t seed)
{
    Plan random = { .random = seed };
    WindowPlan p = { .seed = seed, .kind = (int)draw(&random, KINDS), .size = 2 + (int64_t)draw(&random, 30) };
    p.slide = 1 + (int64_t)draw(&random, 12);
    p.disorder = 1 + (int64_t)draw(&random, 20);
    p.keys = 1 + (int)draw(&random, 5);
    p.steps = 10 + (int)draw(&random, 120);
    p.is_co_group = draw(&random, 2);
    snprintf(at_hand, sizeof at_hand, "seed %" PRIu64 ": windows of kind %d, size %" PRId64 ", slide %" PRId64, seed,
        (int)p.kind, p.size, p.slide);
    Reference r = { 0 };
    r.kept = calloc(200, sizeof *r.kept);
    r.expected = calloc(200000, sizeof *r.expected);
    fl_harness *h = fl_harness_new(Row, build_windows, .second = FL_TYPE(Small), .arg = &p);
    int64_t now = -100;
    for (int i = 0; i < p.steps; i++, now += (int64_t)draw(&random, 6)) {
        Kept row = { (int64_t)draw(&random, (uint64_t)p.keys), i, now - (int64_t)draw(&random, (uint64_t)p.disorder),
            draw(&random, 2), false, false };
        char buffer[64];
        if (row.is_left)
            fl_harness_push(h, row.time, &(Row){ row.key, row.id, text_of(row.id, buffer) });
        else
            fl_harness_push_second(h, row.time, &(Small){ (int32_t)row.id, (int32_t)row.key });
        r.kept[r.kept_count++] = row;
        if (draw(&random, 5) == 0) {
            fl_harness_watermark(h, now - p.disorder - 1);
            fl_harness_watermark_second(h, now - p.disorder - 1);
        }
    }
    fl_harness_end(h);
    for (int key = 0; key < p.keys; key++) {
        Kept *rows[200];
        size_t count = 0;
        for (size_t i = 0; i < r.kept_count; i++)
            if (r.kept[i].key == key)
                rows[count++] = &r.kept[i];
        expect_windows(&p, &r, rows, count);
    }
    Expected *actual = calloc(200000, sizeof *actual);
    size_t count = 0;
    fl_harness_event event;
    while (fl_harness_next(h, &event)) {
        if (event.kind == FL_HARNESS_RECORD)
            actual[count++] = (Expected){ .row = *(const Result *)event.row, .time = event.timestamp };
    }
    assert_string_equal(fl_harness_error(h), "");
    assert_int_equal(count, r.expected_count);
    qsort(actual, count, sizeof *actual, compare_expected);
    qsort(r.expected, count, sizeof *actual, compare_expected);
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(&actual[i].row, &r.expected[i].row, offsetof(Result, calls));
        assert_int_equal(actual[i].time, r.expected[i].time);
    }
    fl_harness_free(h);
    free(actual);
    free(r.kept);
    free(r.expected);
}

static void each_seed(void (*one)(uint64_t seed), uint64_t seeds)
{
    const char *only = getenv("SEED"), *many = getenv("SEEDS");
    if (only) {
        one(strtoull(only, NULL, 10));
        return;
    }
    if (many)
        seeds = strtoull(many, NULL, 10);
    for (uint64_t seed = 1; seed <= seeds; seed++)
        one(seed);
}

static void test_interval_joins(void **state)
{
    (void)state;
    each_seed(run, 1500);
}

static void test_window_joins(void **state)
{
    (void)state;
    each_seed(run_windows, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_interval_joins, print_last),
        cmocka_unit_test_teardown(test_window_joins, print_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
