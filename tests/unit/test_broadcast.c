/* Broadcast state and the process functions that have it, through the public API. */
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

#include "state/broadcast.h"

typedef struct {
    int64_t key, value;
} Event;
FL_ROW(Event, key, value);

typedef struct {
    fl_string name;
    int64_t factor; /* 0: the rule goes */
} Rule;
FL_ROW(Rule, name, factor);

typedef struct {
    int64_t key, value;
    fl_string text;
} Result;
FL_ROW(Result, key, value, text);

FL_BROADCAST_STATE(rules, fl_string, Rule);
FL_BROADCAST_STATE(counts, int64_t, int64_t, .name = "how many rules came");
FL_BROADCAST_STATE(undeclared, int64_t, int64_t);
FL_VALUE_STATE(sum, int64_t);
FL_LIST_STATE(values, int64_t);
FL_VALUE_STATE(other, int64_t);

static fl_harness *harness;

/* All rows that came out so far, as text. */
static const char *rows_as_text(void)
{
    static char text[4096];
    size_t count, used = 0;
    text[0] = 0;
    const Result *rows = fl_harness_rows(harness, &count);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%lld %lld %.*s\n", (long long)rows[i].key,
            (long long)rows[i].value, (int)fl_string_length(rows[i].text), fl_string_data(&rows[i].text));
    return text;
}

static void push(int64_t key, int64_t value)
{
    fl_harness_push(harness, value, &(Event){ key, value });
}

static void rule(const char *name, int64_t factor)
{
    fl_harness_push_second(harness, 1, &(Rule){ fl_string_of(name, strlen(name)), factor });
}

static void expect(const char *text)
{
    assert_string_equal(fl_harness_error(harness), "");
    assert_string_equal(rows_as_text(), text);
    fl_harness_free(harness);
}

static void expect_error(const char *part)
{
    fl_harness_end(harness);
    if (!strstr(fl_harness_error(harness), part))
        fail_msg("\"%s\" does not say \"%s\"", fl_harness_error(harness), part);
    fl_harness_free(harness);
}

/* ---- reading and writing ---- */

/* Each record times each rule, in the order of the rules' names, since the map's is not said. */
static void multiply(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    size_t cursor = 0, found = 0;
    const fl_string *name;
    const Rule *r;
    int64_t product = e->value;
    while (fl_broadcast_next(ctx, rules, &cursor, &name, &r)) {
        assert_true(fl_string_equal(*name, r->name));
        product *= r->factor;
        found++;
    }
    assert_int_equal(found, fl_broadcast_count(ctx, rules));
    fl_string asked = fl_str("a rule with a name longer than a string keeps inline");
    r = fl_broadcast_get(ctx, rules, &asked);
    assert_int_equal(r != NULL, fl_broadcast_contains(ctx, rules, &asked));
    fl_collect(out, &(Result){ e->key, product, r ? r->name : fl_str("-") });
}

static void set_rule(const void *in, fl_collector *out, fl_context *ctx)
{
    const Rule *r = in;
    assert_null(fl_current_key(ctx));
    if (fl_string_equal(r->name, fl_str("clear"))) {
        fl_broadcast_clear(ctx, rules);
    } else if (r->factor == 0) {
        int64_t was = fl_broadcast_contains(ctx, rules, &r->name);
        fl_collect(out, &(Result){ 0, was, fl_str("removed") });
        assert_int_equal(fl_broadcast_remove(ctx, rules, &r->name), was);
    } else {
        const Rule *found = fl_broadcast_get(ctx, rules, &r->name);
        Rule before = found ? *found : (Rule){ 0 };
        fl_broadcast_put(ctx, rules, &r->name, r);
        if (before.factor) /* its name is still readable, until the call ends */
            fl_collect(out, &(Result){ 0, before.factor, before.name });
    }
}

static fl_stream *build_multiply(fl_stream *data, fl_stream *second, void *keyed)
{
    return fl_broadcast_process(fl_connect(keyed ? fl_key_by(data, "key") : data, fl_broadcast(second)), multiply,
        set_rule, Result, .broadcast_states = { &rules });
}

static void test_rules_are_put_replaced_removed_and_cleared(void **state)
{
    (void)state;
    for (int keyed = 0; keyed < 2; keyed++) {
        const char *name = "a rule with a name longer than a string keeps inline";
        harness = fl_harness_new(Event, build_multiply, .second = FL_TYPE(Rule), .arg = keyed ? &keyed : NULL);
        push(1, 10);
        rule("two", 2);
        push(1, 10);
        rule(name, 3);
        push(2, 10);
        rule(name, 5);
        push(2, 10);
        rule("two", 0);
        rule("two", 0);
        push(3, 10);
        rule("clear", 1);
        push(3, 10);
        expect("1 10 -\n1 20 -\n2 60 a rule with a name longer than a string keeps inline\n"
               "0 3 a rule with a name longer than a string keeps inline\n"
               "2 100 a rule with a name longer than a string keeps inline\n0 1 removed\n0 0 removed\n"
               "3 50 a rule with a name longer than a string keeps inline\n3 10 -\n");
    }
}

static void remove_while_walking(const void *in, fl_collector *out, fl_context *ctx)
{
    int64_t n = ((const Rule *)in)->factor, left = 0;
    for (int64_t i = 0; i < n; i++)
        fl_broadcast_put(ctx, counts, &i, &i);
    size_t cursor = 0;
    const int64_t *key, *value;
    while (fl_broadcast_next(ctx, counts, &cursor, &key, &value)) {
        assert_int_equal(*key, *value);
        if (*key % 3 != 0)
            assert_true(fl_broadcast_remove(ctx, counts, key));
        else
            left++;
    }
    assert_int_equal(left, (n + 2) / 3);
    assert_int_equal(fl_broadcast_count(ctx, counts), left);
    fl_collect(out, &(Result){ 0, left, fl_str("") });
}

static fl_stream *build_walk(fl_stream *data, fl_stream *second, void *arg)
{
    (void)arg;
    return fl_broadcast_process(fl_connect(data, fl_broadcast(second)), multiply, remove_while_walking, Result,
        .broadcast_states = { &rules, &counts });
}

static void test_entries_are_removed_on_a_walk(void **state)
{
    (void)state;
    harness = fl_harness_new(Event, build_walk, .second = FL_TYPE(Rule));
    rule("", 7);
    rule("", 100);
    expect("0 3 \n0 34 \n");
}

/* ---- keyed state and timers beside it ---- */

static void add_up(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    const Event *e = in;
    *fl_value(ctx, sum) += e->value;
    fl_list_add(ctx, values, &e->value);
    fl_register_event_time_timer(ctx, e->value + 100);
}

static void on_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    fl_string name = fl_str("factor");
    const Rule *r = fl_broadcast_get(ctx, rules, &name);
    fl_collect(out,
        &(Result){ *(const int64_t *)fl_current_key(ctx), *fl_value(ctx, sum) * (r ? r->factor : 1), fl_str("timer") });
}

typedef struct {
    fl_collector *out;
    int64_t by;
} Change;

static void change_key(const void *key, fl_context *ctx, void *arg)
{
    const Change *change = arg;
    assert_ptr_equal(key, fl_current_key(ctx));
    if (change->by == 0) {
        fl_clear(ctx, sum);
        return;
    }
    *fl_value(ctx, sum) *= change->by;
    int64_t all = 0;
    for (size_t i = 0; i < fl_list_count(ctx, values); i++)
        all += *fl_list_at(ctx, values, i);
    fl_collect(change->out, &(Result){ *(const int64_t *)key, *fl_value(ctx, sum) + all, fl_str("changed") });
    if (*(const int64_t *)key == 2)
        fl_clear(ctx, sum);
}

static void change_all(const void *in, fl_collector *out, fl_context *ctx)
{
    const Rule *r = in;
    fl_broadcast_put(ctx, rules, &r->name, r);
    fl_apply_to_keyed_state(ctx, sum, change_key, (&(Change){ out, r->factor }));
    assert_null(fl_current_key(ctx));
}

static fl_stream *build_apply(fl_stream *data, fl_stream *second, void *arg)
{
    (void)arg;
    return fl_broadcast_process(fl_connect(fl_key_by(data, "key"), fl_broadcast(second)), add_up, change_all, Result,
        .broadcast_states = { &rules }, .states = { &sum, &values }, .on_timer = on_timer);
}

static void test_the_broadcast_side_changes_the_state_of_all_keys(void **state)
{
    (void)state;
    harness = fl_harness_new(Event, build_apply, .second = FL_TYPE(Rule));
    push(1, 10);
    push(1, 5);
    push(2, 7);
    rule("factor", 3); /* 1: 45 + 15; 2: 21 + 7, cleared */
    push(3, 1);
    rule("other", 2); /* 1: 90 + 15; 3: 2 + 1; not 2, whose sum is gone */
    fl_harness_watermark(harness, 105);
    fl_harness_watermark_second(harness, 105); /* timers of 1 at 105, of 3 at 101 */
    rule("all go", 0);
    fl_harness_end(harness);
    expect("1 60 changed\n2 28 changed\n1 105 changed\n3 3 changed\n3 6 timer\n1 270 timer\n2 0 timer\n1 0 timer\n");
}

static void test_the_walk_over_the_keys_meets_all_of_them(void **state)
{
    (void)state;
    harness = fl_harness_new(Event, build_apply, .second = FL_TYPE(Rule));
    for (int64_t i = 0; i < 3000; i++)
        push(i + 10, 1);
    rule("factor", 2);
    size_t count;
    const Result *rows = fl_harness_rows(harness, &count);
    int64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += rows[i].value;
    assert_int_equal(count, 3000);
    assert_int_equal(total, 3 * 3000);
    rule("none left", 0);
    rule("factor", 1);
    fl_harness_rows(harness, &count);
    assert_int_equal(count, 3000);
    fl_harness_free(harness);
}

/* ---- every subtask has the same ---- */

enum { RULES = 300 };

static void make_rule(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    char name[32];
    int length = snprintf(name, sizeof name, "rule number %lld", (long long)*(const int64_t *)in % 100);
    fl_collect(out, &(Rule){ fl_string_of(name, (size_t)length), 1 + *(const int64_t *)in });
}

static void keep_rule(const void *in, fl_collector *out, fl_context *ctx)
{
    const Rule *r = in;
    fl_broadcast_put(ctx, rules, &r->name, r);
    int64_t *seen = fl_self(ctx);
    if (++*seen < RULES)
        return;
    size_t cursor = 0;
    const fl_string *name;
    const Rule *found;
    int64_t all = 0;
    while (fl_broadcast_next(ctx, rules, &cursor, &name, &found))
        all += found->factor;
    fl_collect(out, &(Result){ (int64_t)fl_broadcast_count(ctx, rules), all, fl_str("") });
}

static void ignore(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    (void)ctx;
}

static void make_event(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect(out, &(Event){ *(const int64_t *)in % 10, 1 });
}

static void test_every_subtask_sees_every_rule(void **state)
{
    (void)state;
    for (int p = 1; p <= 4; p++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_test_simulate(env, .seed = (uint64_t)p);
        fl_stream *data = fl_key_by(fl_generate(env, make_event, Event, .count = 1000), "key");
        fl_stream *second = fl_generate(env, make_rule, Rule, .count = RULES, .parallelism = 1);
        fl_stream *s = fl_broadcast_process(fl_connect(data, fl_broadcast(second)), ignore, keep_rule, Result,
            .broadcast_states = { &rules }, .instance_size = sizeof(int64_t), .parallelism = p);
        fl_test_rows *rows = fl_test_sink(s, Result);
        assert_int_equal(fl_execute(env, "test"), FL_OK);
        Result expected[4];
        for (int i = 0; i < p; i++)
            expected[i] = (Result){ 100, 200 * 100 + 101 * 50, fl_str("") };
        assert_null(fl_test_difference(rows, expected, (size_t)p, FL_TEST_ANY_ORDER));
        fl_env_free(env);
    }
}

/* In BATCH mode the rules come first, all of them (as in Flink: keyed data waits until it is sorted). */
static void count_rules(const void *in, fl_collector *out, fl_context *ctx)
{
    const Event *e = in;
    *fl_value(ctx, sum) += e->value;
    fl_collect(out, &(Result){ e->key, (int64_t)fl_broadcast_count(ctx, rules), fl_str("") });
}

static void just_keep(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    fl_broadcast_put(ctx, rules, &((const Rule *)in)->name, (const Rule *)in);
}

static void test_in_batch_mode_rules_come_first(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set(env, "execution.runtime-mode", "BATCH");
    fl_stream *data = fl_key_by(fl_generate(env, make_event, Event, .count = 50), "key");
    fl_stream *second = fl_generate(env, make_rule, Rule, .count = RULES);
    fl_stream *s = fl_broadcast_process(fl_connect(data, fl_broadcast(second)), count_rules, just_keep, Result,
        .broadcast_states = { &rules }, .states = { &sum }, .parallelism = 2);
    fl_test_rows *rows = fl_test_sink(s, Result);
    if (fl_execute(env, "test") != FL_OK)
        fail_msg("%s", fl_env_error(env));
    size_t count;
    const Result *results = fl_test_get(rows, &count);
    assert_int_equal(count, 50);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(results[i].value, 100);
    fl_env_free(env);
}

/* ---- misuse ---- */

static void write_from_data(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    const Event *e = in;
    fl_broadcast_put(ctx, counts, &e->key, &e->value);
}
static void remove_from_data(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    assert_false(fl_broadcast_remove(ctx, counts, &((const Event *)in)->key));
}
static void clear_in_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    fl_broadcast_clear(ctx, counts);
}
static void set_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    fl_register_event_time_timer(ctx, 5);
}
static void use_keyed_state(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    *fl_value(ctx, sum) = 1;
}
static void use_undeclared(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    int64_t key = 1;
    assert_null(fl_broadcast_get(ctx, undeclared, &key));
    assert_int_equal(fl_broadcast_count(ctx, undeclared), 0);
}
static void use_wrong_key_size(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    int32_t key = 1;
    fl_broadcast_get(ctx, counts, &key);
}
static void use_wrong_value_size(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    int64_t key = 1;
    int32_t value = 1;
    fl_broadcast_put(ctx, counts, &key, &value);
}
static void nothing(const void *key, fl_context *ctx, void *arg)
{
    (void)key;
    (void)ctx;
    (void)arg;
}
static void set_timer_for_key(const void *key, fl_context *ctx, void *arg)
{
    (void)key;
    (void)arg;
    fl_register_event_time_timer(ctx, 5);
}
static void apply_within(const void *key, fl_context *ctx, void *arg)
{
    (void)key;
    (void)arg;
    fl_apply_to_keyed_state(ctx, sum, nothing, NULL);
}
static void apply_and_set_timers(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    fl_apply_to_keyed_state(ctx, sum, set_timer_for_key, NULL);
}
static void apply_twice(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    fl_apply_to_keyed_state(ctx, sum, apply_within, NULL);
}
static void apply_to_undeclared(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    fl_apply_to_keyed_state(ctx, other, nothing, NULL);
}
static void apply_null(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    fl_apply_to_keyed_state(ctx, sum, NULL, NULL);
}
static void apply_from_data(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    fl_apply_to_keyed_state(ctx, sum, nothing, NULL);
}

typedef struct {
    fl_function data, rule, timer;
} Functions;

static fl_stream *build_misuse(fl_stream *data, fl_stream *second, void *arg)
{
    const Functions *f = arg;
    return fl_broadcast_process(fl_connect(fl_key_by(data, "key"), fl_broadcast(second)), f->data, f->rule, Result,
        .broadcast_states = { &rules, &counts }, .states = { &sum }, .on_timer = f->timer, .name = "mine");
}

static void test_misuse_while_running_says_what_and_where(void **state)
{
    (void)state;
    const struct {
        Functions f;
        const char *message;
    } cases[] = {
        { { write_from_data, ignore, on_timer },
            "mine (1/1): fl_broadcast_put of broadcast state \"how many rules came\" outside the function of the "
            "broadcast side: there it is read-only" },
        { { remove_from_data, ignore, on_timer }, "fl_broadcast_remove of broadcast state \"how many rules came\"" },
        { { set_timer, ignore, clear_in_timer }, "fl_broadcast_clear of broadcast state \"how many rules came\"" },
        { { add_up, ignore, on_timer }, "state \"values\", which the operator does not declare" },
        { { ignore, set_timer, on_timer },
            "fl_register_event_time_timer on the broadcast side: timers belong to a key" },
        { { ignore, use_keyed_state, on_timer },
            "fl_value of state \"sum\" on the broadcast side, where there is no current key" },
        { { use_undeclared, ignore, on_timer },
            "fl_broadcast_get of broadcast state \"undeclared\", which the operator does not declare" },
        { { ignore, use_undeclared, on_timer }, "add it to .broadcast_states" },
        { { use_wrong_key_size, ignore, on_timer }, "with a key of 4 bytes; its keys are int64_t of 8" },
        { { ignore, use_wrong_value_size, on_timer }, "with a value of 4 bytes; it holds int64_t of 8" },
        { { use_keyed_state, apply_and_set_timers, on_timer }, "timers belong to a key; register them where" },
        { { use_keyed_state, apply_twice, on_timer }, "one walk over the keys at a time" },
        { { use_keyed_state, apply_to_undeclared, on_timer }, "state \"other\", which the operator does not declare" },
        { { use_keyed_state, apply_null, on_timer }, "state \"sum\": the function is NULL" },
        { { apply_from_data, ignore, on_timer }, "outside the function of the broadcast side" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Functions f = cases[i].f;
        harness = fl_harness_new(Event, build_misuse, .second = FL_TYPE(Rule), .arg = &f);
        push(1, 1);
        rule("x", 1);
        fl_harness_watermark(harness, 1000);
        fl_harness_watermark_second(harness, 1000);
        expect_error(cases[i].message);
    }
}

static fl_stream *map_with_broadcast_state(fl_stream *data, fl_stream *second, void *arg)
{
    (void)second;
    (void)arg;
    return fl_map(data, use_undeclared, Event);
}

static void test_other_functions_have_no_broadcast_state(void **state)
{
    (void)state;
    harness = fl_harness_new(Event, map_with_broadcast_state);
    push(1, 1);
    expect_error("no other function has broadcast state");
}

static void expect_build_error(fl_env *env, const char *part)
{
    assert_int_equal(fl_execute(env, "test"), FL_ERROR_INVALID);
    if (!strstr(fl_env_error(env), part) || !strstr(fl_env_error(env), "test_broadcast.c:"))
        fail_msg("\"%s\" does not say \"%s\" and where", fl_env_error(env), part);
    fl_env_free(env);
}

static void test_misuse_while_building_says_what_and_where(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_stream *data = fl_from_elements(env, Event, (Event){ 1, 1 });
        fl_stream *keyed = fl_key_by(data, "key"), *second = fl_from_elements(env, Rule, (Rule){ .factor = 1 });
        fl_stream *both = fl_connect(keyed, fl_broadcast(second));
        const char *message = NULL;
        switch (i) {
        case 0:
            fl_broadcast_process(fl_connect(keyed, second), ignore, ignore, Result, .broadcast_states = { &rules });
            message = "the second stream is not broadcast: connect with fl_connect(data, fl_broadcast(rules))";
            break;
        case 1:
            fl_broadcast_process(
                fl_connect(fl_broadcast(second), data), ignore, ignore, Result, .broadcast_states = { &rules });
            message = "but the first one is: swap them";
            break;
        case 2:
            fl_broadcast_process(both, ignore, ignore, Result);
            message = "without .broadcast_states";
            break;
        case 3:
            fl_broadcast_process(fl_connect(data, fl_broadcast(second)), ignore, ignore, Result,
                .broadcast_states = { &rules }, .states = { &sum });
            message = ".states are only available when the data stream is keyed";
            break;
        case 4:
            fl_broadcast_process(fl_connect(data, fl_broadcast(second)), ignore, ignore, Result,
                .broadcast_states = { &rules }, .on_timer = ignore);
            message = "timers are only available when the data stream is keyed";
            break;
        case 5:
            fl_broadcast_process(both, ignore, NULL, Result, .broadcast_states = { &rules });
            message = "the function for the broadcast stream is NULL";
            break;
        case 6:
            fl_broadcast_process(data, ignore, ignore, Result, .broadcast_states = { &rules });
            message = "fl_broadcast_process needs connected streams";
            break;
        default:
            fl_discard(fl_broadcast_process(both, ignore, ignore, Result, .broadcast_states = { &rules, &rules }));
            message = "broadcast state: state \"rules\" is listed twice";
        }
        expect_build_error(env, message);
    }
}

/* ---- what a snapshot will read ---- */

static void fail_test(void *owner, fl_status status, const char *text)
{
    (void)owner;
    (void)status;
    fail_msg("%s", text);
}

static void test_the_content_can_be_walked(void **state)
{
    (void)state;
    fl__memory memory;
    fl__memory_init(&memory, "test", NULL, 0);
    fl__function owner;
    fl__function_init(&owner, NULL, fail_test);
    fl_context ctx = { .function = &owner };
    fl_state *const states[] = { &rules.broadcast, &counts.broadcast };
    fl__broadcast *b;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__broadcast_new(&b, &memory, &owner, states, 2, &error), FL_OK);
    owner.broadcast = b;
    const fl__keyed *content = fl__broadcast_content(b);
    uint64_t cursor = 0;
    fl__keyed_entry entry;
    assert_false(fl__keyed_next(content, 0, &cursor, &entry));
    fl__broadcast_begin_call(b);
    for (int64_t i = 0; i < 20; i++)
        fl_broadcast_put(&ctx, counts, &i, &i);
    fl__broadcast_end_call(b);
    cursor = 0;
    assert_true(fl__keyed_next(content, 0, &cursor, &entry));
    assert_false(fl__keyed_read_has(content, &entry, 0));
    size_t c = 0;
    const void *key, *value;
    int64_t found = 0;
    while (fl__keyed_read_map(content, &entry, 1, &c, &key, &value))
        found += *(const int64_t *)value;
    assert_int_equal(found, 190);
    assert_false(fl__keyed_next(content, 0, &cursor, &entry));
    fl__broadcast_free(b);
    assert_int_equal(memory.used, 0);
    fl__function_release(&owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_are_put_replaced_removed_and_cleared),
        cmocka_unit_test(test_entries_are_removed_on_a_walk),
        cmocka_unit_test(test_the_broadcast_side_changes_the_state_of_all_keys),
        cmocka_unit_test(test_the_walk_over_the_keys_meets_all_of_them),
        cmocka_unit_test(test_every_subtask_sees_every_rule),
        cmocka_unit_test(test_in_batch_mode_rules_come_first),
        cmocka_unit_test(test_misuse_while_running_says_what_and_where),
        cmocka_unit_test(test_other_functions_have_no_broadcast_state),
        cmocka_unit_test(test_misuse_while_building_says_what_and_where),
        cmocka_unit_test(test_the_content_can_be_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
