/* Random bounded programs in BATCH against the same in STREAMING: aggregations give in BATCH what STREAMING gives last
 * per key; windows, joins by hand and process functions give the same rows. Memory budgets are drawn, down to nothing,
 * so that exchanges, sorters and tables spill; some runs are simulated.
 *
 * FLINC_SEED=n repeats one program, FLINC_SEEDS=n draws so many (300). */
#include <flinc.h>
#include <flinc/testing.h>

#include "api/api.h"
#include "data/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct {
    int64_t key, value, id, at;
    fl_string name;
} Item;
FL_ROW(Item, key, value, id, at, name);

/* Results are made to rows of one type, to be compared. */
typedef struct {
    int64_t kind, key, value, id;
    fl_string name;
} Result;
FL_ROW(Result, kind, key, value, id, name);

typedef enum stateful {
    SUM,
    MIN,
    MAX,
    MIN_BY,
    MAX_BY,
    REDUCE,
    FOLD,
    PROCESS,
    CO_PROCESS,
    BROADCAST,
    WINDOW,
    SESSION,
    COUNT_WINDOW,
    JOIN,
    STATEFUL
} stateful;
static const char *const names[] = { "sum", "min", "max", "min_by", "max_by", "reduce", "fold", "process", "co_process",
    "broadcast", "window", "session", "count_window", "join" };

typedef struct program {
    uint64_t seed;
    size_t count;
    Item *rows;
    fl_time *times;
    char *names;
    bool has_times, by_name, is_mapped, is_filtered, is_rebalanced, is_united, is_sliding;
    int parallelism, source_parallelism, tail;
    stateful what;
} program;

static uint64_t state;
static uint64_t draw(uint64_t n)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    return fl__mix64(state) % n;
}

enum { NAME_MAX = 40 };

static void draw_program(program *p, uint64_t seed)
{
    state = seed * 1000003;
    *p = (program){ .seed = seed };
    p->count = (size_t)(draw(4) ? draw(3000) : draw(5));
    int64_t keys = (int64_t)(1 + (draw(2) ? draw(20) : draw(2000)));
    p->rows = calloc(p->count + 1, sizeof *p->rows);
    p->times = calloc(p->count + 1, sizeof *p->times);
    p->names = calloc(p->count + 1, NAME_MAX);
    for (size_t i = 0; i < p->count; i++) {
        int64_t key = (int64_t)draw((uint64_t)keys);
        char *name = p->names + i * NAME_MAX;
        int length = snprintf(name, NAME_MAX, key % 3 ? "k%d" : "a longer name than fits %d", (int)key);
        p->rows[i] = (Item){ key, (int64_t)draw(1000) - 500, (int64_t)i, (int64_t)(i + draw(50)),
            fl_string_of(name, (size_t)length) };
        p->times[i] = p->rows[i].at;
    }
    p->what = (stateful)draw(STATEFUL);
    p->has_times = draw(2) || p->what >= WINDOW;
    p->by_name = draw(2);
    p->is_mapped = draw(2);
    p->is_filtered = draw(2);
    p->is_rebalanced = draw(2);
    p->is_united = draw(3) == 0;
    p->is_sliding = draw(2);
    p->parallelism = 1 + (int)draw(3);
    p->source_parallelism = 1 + (int)draw(3);
    p->tail = (int)draw(3);
}

static void release_program(program *p)
{
    free(p->names);
    free(p->rows);
    free(p->times);
}

/* ---- functions ---- */

static void twice(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    Item item = *(const Item *)in;
    item.value *= 2;
    fl_collect(out, &item);
}

/* Another row: ids are what ties are broken by. */
static void renumber(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    Item item = *(const Item *)in;
    item.id += 1 << 20;
    item.value = 7 - item.value;
    fl_collect(out, &item);
}

static bool is_kept(const void *in, fl_context *ctx)
{
    (void)ctx;
    return ((const Item *)in)->id % 3 != 1;
}

static void to_result(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const Item *item = in;
    fl_collect(out, &(Result){ 1, item->key, item->value, 0, item->name });
}

static void to_whole_result(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const Item *item = in;
    fl_collect(out, &(Result){ 2, item->key, item->value, item->id, item->name });
}

static void pass_result(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect_row(out, in);
}

static void add_up(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    Item *v = value;
    const Item *i = in;
    v->value += i->value;
    v->id = v->id > i->id ? v->id : i->id;
}

static void fold_up(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    Result *v = value;
    const Item *i = in;
    v->key = i->key;
    v->value += i->value;
    v->id = v->id > i->id ? v->id : i->id;
    v->name = i->name;
}

FL_VALUE_STATE(total, int64_t);
FL_VALUE_STATE(last_name, fl_string);
FL_MAP_STATE(by_id, int64_t, int64_t);

static void add_to_state(const void *in, fl_context *ctx)
{
    const Item *item = in;
    *(int64_t *)fl_value(ctx, total) += item->value;
    *(fl_string *)fl_value(ctx, last_name) = item->name;
    fl_map_put(ctx, by_id, &item->id, &item->value);
    fl_register_event_time_timer(ctx, INT64_C(1) << 40); /* after everything */
}

static void process(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    add_to_state(in, ctx);
}

static void process_second(const void *in, fl_collector *out, fl_context *ctx)
{
    Item item = *(const Item *)in;
    (void)out;
    item.id += 1000000;
    add_to_state(&item, ctx);
}

static void emit_state(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    fl_string name = *(fl_string *)fl_value(ctx, last_name);
    fl_collect(out, &(Result){ 3, (int64_t)fl_map_count(ctx, by_id), *(int64_t *)fl_value(ctx, total), 0, name });
    fl_clear(ctx, total);
}

static void ignore(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out, (void)ctx;
}

static void see_window(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_elements *elements = in;
    fl_window_range range = fl_current_window(ctx);
    Result r = { .kind = range.start, .id = (int64_t)elements->count };
    fl_each(const Item *, item, elements)
    {
        r.key = item->key;
        r.value += item->value;
        r.name = item->name;
    }
    fl_collect(out, &r);
}

/* Which rows are in it depends on the order. */
static void see_count(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const fl_elements *elements = in;
    const Item *item = (const Item *)(const void *)elements->rows;
    fl_collect(out, &(Result){ 5, item->key, 0, (int64_t)elements->count, item->name });
}

static void see_pair(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const fl_pair *pair = in;
    const Item *left = pair->left, *right = pair->right;
    int64_t right_id = right ? right->id : -1;
    fl_collect(out, &(Result){ left->id, left->key, left->value, right_id, left->name });
}

/* ---- building ---- */

static fl_stream *source(fl_env *env, const program *p)
{
    return p->has_times ? fl_test_source(env, Item, p->rows, p->count, .timestamps = p->times,
                              .parallelism = p->source_parallelism)
                        : fl_test_source(env, Item, p->rows, p->count, .parallelism = p->source_parallelism);
}

static fl_stream *keyed(const program *p, fl_stream *in)
{
    return p->by_name ? fl_key_by(in, "name") : fl_key_by(in, "key");
}

static fl_stream *add_stateful(fl_env *env, const program *p, fl_stream *in)
{
    fl_stream *k = keyed(p, in);
    Result nothing = { .kind = 4, .name = fl_str("") };
    switch (p->what) {
    case SUM: return fl_map(fl_sum(k, "value"), to_result, Result);
    case MIN: return fl_map(fl_min(k, "value"), to_result, Result);
    case MAX: return fl_map(fl_max(k, "value"), to_result, Result);
    case MIN_BY: return fl_map(fl_min_by(k, "id"), to_whole_result, Result);
    case MAX_BY: return fl_map(fl_max_by(k, "id"), to_whole_result, Result);
    case REDUCE: return fl_map(fl_reduce(k, add_up), to_whole_result, Result);
    case FOLD: return fl_fold(k, &nothing, fold_up, Result);
    case PROCESS:
        return fl_process(k, process, Result, .states = { &total, &last_name, &by_id }, .on_timer = emit_state);
    case CO_PROCESS:
        return fl_co_process(fl_connect(k, keyed(p, source(env, p))), process, process_second, Result,
            .states = { &total, &last_name, &by_id }, .on_timer = emit_state);
    case BROADCAST:
        return fl_co_flat_map(fl_connect(fl_rebalance(fl_map(in, to_result, Result)), fl_broadcast(source(env, p))),
            pass_result, ignore, Result);
    case SESSION: return fl_window_apply(fl_window(k, fl_session_event_time(fl_milliseconds(20))), see_window, Result);
    case COUNT_WINDOW: return fl_window_apply(fl_count_window(k, 3), see_count, Result);
    case JOIN: {
        fl_stream *right = fl_watermarks(source(env, p), fl_bounded_out_of_orderness(fl_hours(1)), .timestamp = "at");
        return fl_interval_join(k, keyed(p, right), fl_milliseconds(-20), fl_milliseconds(10), see_pair, Result,
            .kind = p->is_sliding ? FL_JOIN_LEFT : FL_JOIN_INNER);
    }
    default:
        return fl_window_apply(
            fl_window(k, p->is_sliding ? fl_sliding_event_time(fl_milliseconds(200), fl_milliseconds(60))
                                       : fl_tumbling_event_time(fl_milliseconds(100))),
            see_window, Result);
    }
}

static fl_test_rows *build(fl_env *env, const program *p)
{
    fl_stream *s = source(env, p);
    if (p->is_united)
        s = fl_union(s, fl_map(source(env, p), renumber, Item));
    if (p->is_rebalanced)
        s = fl_rebalance(s);
    if (p->is_mapped)
        s = fl_map(s, twice, Item);
    if (p->is_filtered)
        s = fl_filter(s, is_kept);
    if (p->what >= WINDOW)
        s = fl_watermarks(s, fl_bounded_out_of_orderness(fl_hours(1)), .timestamp = "at");
    s = add_stateful(env, p, s);
    if (p->tail && p->what >= PROCESS)
        s = fl_map(p->tail == 1 ? fl_rebalance(s) : s, pass_result, Result);
    return fl_test_sink(s, Result);
}

/* ---- running ---- */

/* Keeps the last row per key of those that came in order. */
static size_t last_per_key(const program *p, Result *rows, size_t count)
{
    size_t kept = 0;
    for (size_t i = count; i-- > 0;) {
        size_t k = count - kept;
        for (; k < count; k++) {
            if (p->by_name ? fl_string_equal(rows[k].name, rows[i].name) : rows[k].key == rows[i].key)
                break;
        }
        if (k == count)
            rows[count - ++kept] = rows[i];
    }
    memmove(rows, rows + count - kept, kept * sizeof *rows);
    return kept;
}

static void execute(fl_env *env, const program *p, const char *mode)
{
    if (fl_execute(env, "job") != 0)
        fail_msg("FLINC_SEED=%llu, %s: %s", (unsigned long long)p->seed, mode, fl_env_error(env));
}

static void configure(fl_env *env, const program *p)
{
    static const char *const budgets[] = { "1 b", "40 kb", "300 kb", "512 mb" };
    fl_set_runtime_mode(env, draw(2) ? FL_BATCH : FL_AUTOMATIC);
    fl_set_parallelism(env, p->parallelism);
    fl_set(env, "taskmanager.memory.managed.size", budgets[draw(4)]);
    fl_set(env, "taskmanager.memory.segment-size", draw(2) ? "4 kb" : "32 kb");
    fl_set(env, "execution.batch-shuffle-mode", draw(3) ? "ALL_EXCHANGES_BLOCKING" : "ALL_EXCHANGES_PIPELINED");
    fl_set(env, "pipeline.operator-chaining.enabled", draw(4) ? "true" : "false");
    if (draw(3) == 0)
        fl_test_simulate(env, .seed = p->seed, .channel_capacity = draw(2) ? 2 : 0);
}

/* One seed, one run: simulated ones are made twice. */
static void check_trace(const program *p, fl_env *env, uint64_t random)
{
    fl_env *again = fl_env_new(0, NULL);
    state = random;
    configure(again, p);
    build(again, p);
    execute(again, p, "BATCH again");
    if (fl_test_trace(env) != fl_test_trace(again))
        fail_msg("FLINC_SEED=%llu: two simulated runs differ", (unsigned long long)p->seed);
    fl_env_free(again);
}

/* Some fields are of whichever row came first: they are not compared. */
static void forget(const program *p, Result *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (p->what == SUM || p->what == MIN || p->what == MAX || p->what == REDUCE)
            rows[i].id = p->what == REDUCE ? rows[i].id : 0;
    }
}

static void check_seed(uint64_t seed)
{
    program p;
    draw_program(&p, seed);
    fl_env *streaming = fl_env_new(0, NULL), *batch = fl_env_new(0, NULL);
    fl_set_parallelism(streaming, p.parallelism);
    fl_test_rows *expected = build(streaming, &p);
    execute(streaming, &p, "STREAMING");
    uint64_t random = state;
    configure(batch, &p);
    fl_test_rows *got = build(batch, &p);
    execute(batch, &p, "BATCH");
    assert_true(batch->graph.is_batch);
    if (batch->simulation)
        check_trace(&p, batch, random);
    size_t count;
    const Result *rows = fl_test_get(expected, &count);
    Result *copy = malloc((count + 1) * sizeof *copy);
    if (count)
        memcpy(copy, rows, count * sizeof *copy);
    if (p.what < PROCESS)
        count = last_per_key(&p, copy, count);
    forget(&p, copy, count);
    const char *difference = fl_test_difference(got, copy, count, FL_TEST_ANY_ORDER);
    if (difference)
        fail_msg("FLINC_SEED=%llu: %s of %zu rows: BATCH differs from STREAMING: %s", (unsigned long long)seed,
            names[p.what], p.count, difference);
    free(copy);
    fl_env_free(streaming);
    fl_env_free(batch);
    release_program(&p);
}

static void test_batch_is_streaming_at_the_end(void **unused)
{
    (void)unused;
    const char *one = getenv("FLINC_SEED"), *all = getenv("FLINC_SEEDS");
    uint64_t from = one ? strtoull(one, NULL, 10) : 1, n = one ? 1 : all ? strtoull(all, NULL, 10) : 300;
    for (uint64_t seed = from; seed < from + n; seed++)
        check_seed(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_batch_is_streaming_at_the_end) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
