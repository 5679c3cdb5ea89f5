/* From program to plan: parallelism, chaining, names, and what is wrong with a program. */
#include <flinc.h>
#include <flinc/testing.h>

#include "api/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct Address {
    int64_t street;
    int32_t number;
} Address;
FL_ROW(Address, street, number);

typedef struct Wide {
    int64_t a, b, c, d, e, f, g, h, i;
} Wide;
FL_ROW(Wide, a, b, c, d, e, f, g, h, i);

typedef struct WideKey {
    Wide wide;
    int64_t value;
} WideKey;
FL_ROW(WideKey, (wide, .row = FL_TYPE(Wide)), value);

typedef struct Item {
    int64_t key;
    double price;
    fl_string name;
    fl_array tags;
    Address home;
} Item;
FL_ROW(Item, key, price, name, (tags, .element = FL_TYPE(int64_t)), (home, .row = FL_TYPE(Address)));

typedef struct Nullable {
    fl_nulls nulls;
    int64_t key, value;
} Nullable;
FL_ROW(Nullable, nulls, key, value);

static void pass(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect_row(out, in);
}

static bool keep(const void *in, fl_context *ctx)
{
    (void)in, (void)ctx;
    return true;
}

static int first_channel(const void *key, int channels, fl_context *ctx)
{
    (void)key, (void)channels, (void)ctx;
    return 0;
}

static void first_of(void *value, const void *in, fl_context *ctx)
{
    (void)value, (void)in, (void)ctx;
}

static fl_stream *source(fl_env *env, const char *name, int parallelism)
{
    return fl__test_source(env, FL_TYPE(Item), NULL, 0,
        &(fl_test_source_options){ .name = name, .parallelism = parallelism, .where = FL_HERE });
}

FL_OUTPUT_TAG(side, Item);

/* ---- chains ---- */

static void simple(fl_env *env)
{
    fl_stream *s = fl_filter(fl_map(source(env, "a", 0), pass, Item), keep);
    fl_test_sink(s, Item, .name = "out");
}
static void starts_chain(fl_env *env)
{
    fl_stream *s = fl_map(source(env, "a", 0), pass, Item, .chaining = FL_CHAIN_HEAD, .name = "head");
    fl_test_sink(s, Item, .name = "out");
}
static void never_chains(fl_env *env)
{
    fl_stream *s = fl_map(source(env, "a", 0), pass, Item, .chaining = FL_CHAIN_NEVER, .name = "alone");
    fl_test_sink(fl_map(s, pass, Item), Item, .name = "out");
}
static void chaining_off(fl_env *env)
{
    fl_set(env, "pipeline.operator-chaining.enabled", "false");
    simple(env);
}
static void tree(fl_env *env)
{
    fl_stream *s = fl_map(source(env, "a", 0), pass, Item);
    fl_test_sink(s, Item, .name = "one");
    fl_test_sink(fl_filter(s, keep), Item, .name = "two");
}
static void keyed(fl_env *env)
{
    fl_stream *s = fl_sum(fl_key_by(source(env, "a", 0), "key"), "price");
    fl_test_sink(s, Item, .name = "out");
}
static void other_parallelism(fl_env *env)
{
    fl_set_parallelism(env, 2);
    fl_stream *s = fl_map(source(env, "a", 1), pass, Item);
    fl_test_sink(s, Item, .name = "out", .parallelism = 1);
}
static void slot_groups(fl_env *env)
{
    fl_stream *s = fl_map(source(env, "a", 0), pass, Item, .slot_sharing_group = "blue", .name = "blue");
    s = fl_filter(s, keep, .name = "inherits");
    fl_test_sink(s, Item, .name = "out", .slot_sharing_group = "default");
}
static void unions(fl_env *env)
{
    fl_stream *s = fl_union(source(env, "a", 0), source(env, "b", 0));
    fl_test_sink(fl_map(s, pass, Item), Item, .name = "out");
}
static void union_with_itself(fl_env *env)
{
    fl_stream *a = source(env, "a", 0);
    fl_test_sink(fl_map(fl_union(a, a), pass, Item), Item, .name = "out");
}
static void rebalanced(fl_env *env)
{
    fl_test_sink(fl_map(fl_rebalance(source(env, "a", 0)), pass, Item), Item, .name = "out");
}
static void forwarded(fl_env *env)
{
    fl_test_sink(fl_map(fl_forward(source(env, "a", 0)), pass, Item), Item, .name = "out");
}
static void side_output(fl_env *env)
{
    fl_stream *s = fl_map(source(env, "a", 0), pass, Item);
    fl_test_sink(fl_side_output(s, side), Item, .name = "side");
    fl_test_sink(s, Item, .name = "main");
}

static const struct {
    const char *name;
    void (*build)(fl_env *env);
    const char *vertices[5]; /* name ×parallelism */
} chains[] = {
    { "simple", simple, { "Source: a -> Map -> Filter -> Sink: out ×1" } },
    { "start_new_chain", starts_chain, { "Source: a ×1", "head -> Sink: out ×1" } },
    { "disable_chaining", never_chains, { "Source: a ×1", "alone ×1", "Map -> Sink: out ×1" } },
    { "chaining off", chaining_off, { "Source: a ×1", "Map ×1", "Filter ×1", "Sink: out ×1" } },
    { "a tree", tree, { "Source: a -> Map -> (Sink: one, Filter -> Sink: two) ×1" } },
    { "hash", keyed, { "Source: a ×1", "Keyed Sum(price) -> Sink: out ×1" } },
    { "parallelism differs", other_parallelism, { "Source: a ×1", "Map ×2", "Sink: out ×1" } },
    { "slot sharing groups", slot_groups, { "Source: a ×1", "blue -> inherits ×1", "Sink: out ×1" } },
    { "union", unions, { "Source: a ×1", "Source: b ×1", "Map -> Sink: out ×1" } },
    { "union with itself", union_with_itself, { "Source: a ×1", "Map -> Sink: out ×1" } },
    { "rebalance", rebalanced, { "Source: a ×1", "Map -> Sink: out ×1" } },
    { "forward", forwarded, { "Source: a -> Map -> Sink: out ×1" } },
    { "side output", side_output, { "Source: a -> Map -> (Sink: side, Sink: main) ×1" } },
};

static void test_chains(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        fl_env *env = fl_env_new(0, NULL);
        chains[i].build(env);
        assert_int_equal(fl__graph_chain(&env->graph), FL_OK);
        size_t n = 0;
        for (const fl__vertex *v = env->graph.vertices; v; v = v->next, n++) {
            char line[256];
            snprintf(line, sizeof line, "%s ×%d", v->name, v->parallelism);
            if (!chains[i].vertices[n] || strcmp(line, chains[i].vertices[n]) != 0)
                fail_msg("%s: vertex %zu is %s, not %s", chains[i].name, n, line, chains[i].vertices[n]);
            assert_int_equal(strlen(v->hex_id), 32);
        }
        assert_null(chains[i].vertices[n]);
        assert_int_equal(fl_execute(env, chains[i].name), 0); /* and it runs */
        fl_env_free(env);
    }
}

static void test_plan(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set(env, "pipeline.name", "The plan");
    keyed(env);
    char *text = fl_plan_text(env), *json = fl_plan_json(env);
    assert_non_null(strstr(text, "2 vertices, 2 tasks"));
    assert_non_null(strstr(text, "Keyed Sum(price) -> Sink: out"));
    assert_non_null(strstr(text, "HASH from [1]"));
    assert_non_null(strstr(json, "\"ship_strategy\": \"HASH\""));
    assert_non_null(strstr(json, "\"pact\": \"Data Sink\""));
    free(text);
    free(json);
    /* a program that prints its plan half way goes on building */
    fl_test_sink(fl_map(source(env, "b", 0), pass, Item), Item, .name = "more");
    text = fl_plan_text(env);
    assert_non_null(strstr(text, "Source: b -> Map -> Sink: more"));
    free(text);
    assert_int_equal(fl_execute(env, "x"), 0);
    fl_env_free(env);

    env = fl_env_new(0, NULL);
    assert_null(fl_plan_text(env));
    assert_null(fl_plan_json(env));
    assert_true(strlen(fl_env_error(env)) > 0);
    fl_env_free(env);
}

static uint64_t fingerprint(void (*build)(fl_env *env), int parallelism)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, parallelism);
    build(env);
    assert_int_equal(fl__graph_chain(&env->graph), FL_OK);
    uint64_t hash = fl__graph_fingerprint(&env->graph);
    fl_env_free(env);
    return hash;
}

static void test_fingerprint(void **state)
{
    (void)state;
    assert_true(fingerprint(simple, 1) == fingerprint(simple, 1));
    assert_true(fingerprint(simple, 1) != fingerprint(simple, 2));
    assert_true(fingerprint(simple, 1) != fingerprint(keyed, 1));
    assert_true(fingerprint(forwarded, 1) != fingerprint(rebalanced, 1));
}

/* ---- parallelism ---- */

static int parallelism_of(fl_env *env, const char *name)
{
    for (const fl__node *node = env->graph.nodes; node; node = node->next) {
        if (strcmp(node->spec.name, name) == 0)
            return node->parallelism;
    }
    return -1;
}

static void test_parallelism_levels(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *s = fl_map(source(env, "a", 0), pass, Item, .name = "default");
    fl_set(env, "parallelism.default", "3");
    s = fl_map(s, pass, Item, .name = "configured");
    fl_set_parallelism(env, 5);
    s = fl_map(s, pass, Item, .name = "environment");
    fl_set(env, "parallelism.default", "4"); /* below the environment's */
    s = fl_map(s, pass, Item, .name = "still environment");
    s = fl_map(s, pass, Item, .name = "operator", .parallelism = 2);
    fl_test_sink(s, Item);
    assert_int_equal(parallelism_of(env, "default"), 1);
    assert_int_equal(parallelism_of(env, "configured"), 3);
    assert_int_equal(parallelism_of(env, "environment"), 5);
    assert_int_equal(parallelism_of(env, "still environment"), 5);
    assert_int_equal(parallelism_of(env, "operator"), 2);
    assert_int_equal(fl_execute(env, "levels"), 0);
    fl_env_free(env);
}

/* Flink's defaults: the next power of two of one and a half times the parallelism, from 128 to 32768. */
static void test_max_parallelism(void **state)
{
    (void)state;
    static const struct {
        int parallelism, max;
    } cases[] = { { 1, 128 }, { 85, 128 }, { 86, 256 }, { 170, 256 }, { 172, 512 }, { 1000, 2048 }, { 30000, 32768 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set_parallelism(env, cases[i].parallelism);
        simple(env);
        assert_int_equal(fl__graph_chain(&env->graph), FL_OK);
        assert_int_equal(env->graph.nodes->max_parallelism, cases[i].max);
        fl_env_free(env);
    }
    fl_env *env = fl_env_new(0, NULL);
    fl_set(env, "pipeline.max-parallelism", "64");
    fl_stream *s = fl_map(source(env, "a", 0), pass, Item, .max_parallelism = 16);
    fl_test_sink(s, Item, .max_parallelism = 32);
    assert_int_equal(fl__graph_chain(&env->graph), FL_OK);
    assert_int_equal(env->graph.nodes->max_parallelism, 64);
    assert_int_equal(env->graph.nodes->next->max_parallelism, 16);
    fl_env_free(env);
    env = fl_env_new(0, NULL);
    fl_set(env, "pipeline.max-parallelism", "64");
    fl_set_max_parallelism(env, 96);
    simple(env);
    assert_int_equal(fl__graph_chain(&env->graph), FL_OK);
    assert_int_equal(env->graph.nodes->max_parallelism, 96);
    fl_env_free(env);
}

/* ---- what is wrong ---- */

#define BAD(name, ...)                                                                                                 \
    static int name(fl_env *env)                                                                                       \
    {                                                                                                                  \
        __VA_ARGS__;                                                                                                   \
        return __LINE__;                                                                                               \
    }

/* One line each: the errors name it. */
/* clang-format off */
BAD(unknown_field, fl_test_sink(fl_sum(fl_key_by(source(env, "a", 0), "key"), "prize"), Item))
BAD(unknown_key, fl_test_sink(fl_sum(fl_key_by(source(env, "a", 0), "kez"), "price"), Item))
BAD(index_out_of_range, fl_test_sink(fl_rolling_index(fl_key_by(source(env, "a", 0), "key"), FL_SUM, 7, true), Item))
BAD(key_index_out_of_range, fl_test_sink(fl_sum(fl_key_by_index(source(env, "a", 0), 5), "price"), Item))
BAD(negative_index, fl_test_sink(fl_sum(fl_key_by_index(source(env, "a", 0), -1), "price"), Item))
BAD(array_key, fl_test_sink(fl_sum(fl_key_by(source(env, "a", 0), "tags"), "price"), Item))
BAD(sum_of_string, fl_test_sink(fl_sum(fl_key_by(source(env, "a", 0), "key"), "name"), Item))
BAD(not_keyed, fl_test_sink(fl_sum(source(env, "a", 0), "price"), Item))
BAD(reduce_not_keyed, fl_test_sink(fl_reduce(source(env, "a", 0), first_of), Item))
BAD(union_types, fl_test_sink(fl_union(source(env, "a", 0), fl_map(source(env, "b", 0), pass, Address)), Item))
BAD(connect_keys, fl_stream *a = source(env, "a", 0); fl_connect(fl_key_by(a, "key"), fl_key_by(a, "name")))
BAD(sink_type, fl_test_sink(source(env, "a", 0), Address))
BAD(no_sink, fl_map(source(env, "a", 0), pass, Item); return 0)
BAD(no_operators, (void)env; return 0)
BAD(same_uid, fl_test_sink(fl_map(source(env, "twin", 0), pass, Item, .uid = "twin"), Item, .uid = "twin"))
BAD(above_max, fl_test_sink(fl_map(source(env, "a", 0), pass, Item, .parallelism = 9, .max_parallelism = 8), Item))
BAD(negative_parallelism, fl_test_sink(fl_map(source(env, "a", 0), pass, Item, .parallelism = -1), Item))
BAD(parallelism_zero, fl_set_parallelism(env, 0))
BAD(parallelism_too_high, fl_set_parallelism(env, 32769))
BAD(max_too_high, fl_set_max_parallelism(env, 32769))
BAD(max_of_operator, fl_test_sink(fl_map(source(env, "a", 0), pass, Item, .max_parallelism = 40000), Item))
BAD(forward_differs, fl_test_sink(fl_map(fl_forward(source(env, "a", 2)), pass, Item, .parallelism = 3), Item))
BAD(null_map, fl_test_sink(fl_map(source(env, "a", 0), NULL, Item), Item))
BAD(null_filter, fl_test_sink(fl_filter(source(env, "a", 0), NULL), Item))
BAD(null_reduce, fl_test_sink(fl_reduce(fl_key_by(source(env, "a", 0), "key"), NULL), Item))
BAD(null_selector, fl_test_sink(fl_sum(fl_key_by_function(source(env, "a", 0), NULL, int64_t), "price"), Item))
/* One line each: that line must be in the message. */
#define PARTITION_BY(...) fl_test_sink(fl_partition_custom_by(source(env, "a", 0), __VA_ARGS__), Item)
#define GROUP(...) fl_slot_sharing_group(env, "g", __VA_ARGS__)
BAD(partition_fields, PARTITION_BY(first_channel, NULL, "key", "kez"))
BAD(partition_null, fl_test_sink(fl_partition_custom_by(source(env, "a", 0), NULL, NULL, "key", "name"), Item))
BAD(slot_no_name, fl_slot_sharing_group(env, ""))
BAD(slot_no_heap, fl_slot_sharing_group(env, "g", .cpu_cores = 1))
BAD(slot_no_cores, fl_slot_sharing_group(env, "g", .managed_memory = "1g"))
BAD(slot_negative, fl_slot_sharing_group(env, "g", .cpu_cores = -1, .heap_memory = "1g"))
BAD(slot_size, fl_slot_sharing_group(env, "g", .cpu_cores = 1, .heap_memory = "much"))
BAD(slot_twice, GROUP(.cpu_cores = 1, .heap_memory = "1g"); GROUP(.cpu_cores = 2, .heap_memory = "1g"))
BAD(null_partitioner, fl_test_sink(fl_partition_custom(source(env, "a", 0), NULL, "key"), Item))
BAD(partition_field, fl_test_sink(fl_partition_custom(source(env, "a", 0), first_channel, "kez"), Item))
BAD(time_field, fl_test_sink(fl_watermarks(source(env, "a", 0), fl_monotonous_timestamps(), .timestamp = "name"), Item))
BAD(no_time_field, fl_test_sink(fl_watermarks(source(env, "a", 0), fl_no_watermarks(), .timestamp = "at"), Item))
BAD(negative_bound, fl_test_sink(fl_watermarks(source(env, "a", 0), fl_bounded_out_of_orderness(fl_seconds(-1))), Item))
BAD(unknown_option, fl_set(env, "pipeline.nam", "x"))
BAD(bad_option, fl_set(env, "parallelism.default", "two"))
BAD(scalar_field, fl_test_sink(fl_sum(fl_key_by(fl_map(source(env, "a", 0), pass, int64_t), "key"), "price"), int64_t))
BAD(max_by_nothing, fl_test_sink(fl_max_by(fl_key_by(source(env, "a", 0), "key"), NULL), Item))
BAD(connected_map, fl_stream *a = source(env, "a", 0); fl_test_sink(fl_map(fl_connect(a, a), pass, Item), Item))
/* clang-format on */

static const struct {
    const char *name;
    int (*build)(fl_env *env);
    const char *says, *cure;
} bad[] = {
    { "unknown field", unknown_field, "no field \"prize\"", "key, price, name" },
    { "unknown key", unknown_key, "kez", "key, price, name" },
    { "index out of range", index_out_of_range, "index 7", "key, price, name" },
    { "key index out of range", key_index_out_of_range, "no field 5", "key, price, name" },
    { "negative index", negative_index, "no field -1", "key, price, name" },
    { "array as key", array_key, "tags", "key" },
    { "sum of a string", sum_of_string, "field name of Item is no number", "fl_reduce" },
    { "not keyed", not_keyed, "fl_sum needs a keyed", "fl_key_by" },
    { "reduce, not keyed", reduce_not_keyed, "fl_reduce needs a keyed", "fl_key_by" },
    { "union of two types", union_types, "stream 2 is of type Address, the first one of Item", "fl_connect" },
    { "connect of two key types", connect_keys, "keyed by int64_t, the second by fl_string", "same type" },
    { "sink of another type", sink_type, "of type Item, not Address", "" },
    { "no sink", no_sink, "no sink", "fl_print" },
    { "empty job", no_operators, "no operators", "fl_from_elements" },
    { "uid twice", same_uid, "\"twin\"", "uid of its own" },
    { "parallelism above max", above_max, "parallelism 9, above its maximum of 8", "raise" },
    { "negative parallelism", negative_parallelism, "parallelism of Map is -1", "1 to 32768" },
    { "parallelism 0", parallelism_zero, "parallelism is 0", "1 to 32768" },
    { "parallelism 32769", parallelism_too_high, "32769", "1 to 32768" },
    { "max parallelism 32769", max_too_high, "32769", "1 to 32768" },
    { "operator's max parallelism", max_of_operator, "40000", "1 to 32768" },
    { "forward of 2 to 3", forward_differs, "Map has 3", "fl_rebalance" },
    { "NULL map", null_map, "fl_map: the function is NULL", "" },
    { "NULL filter", null_filter, "fl_filter: the function is NULL", "" },
    { "NULL reduce", null_reduce, "fl_reduce: the function is NULL", "" },
    { "NULL selector", null_selector, "NULL", "" },
    { "NULL partitioner", null_partitioner, "NULL", "" },
    { "partition fields", partition_fields, "fl_partition_custom: Item has no field \"kez\"", "key, price, name" },
    { "NULL partitioner by fields", partition_null, "fl_partition_custom: the partitioner is NULL", "" },
    { "group without a name", slot_no_name, "the group has no name", "" },
    { "group without heap", slot_no_heap, "group \"g\" needs both .cpu_cores and .heap_memory", "above 0" },
    { "group without cores", slot_no_cores, "needs both .cpu_cores and .heap_memory", "above 0" },
    { "group of negative cores", slot_negative, "needs both .cpu_cores and .heap_memory", "above 0" },
    { "group of no size", slot_size, ".heap_memory is \"much\"", "512m" },
    { "group twice", slot_twice, "group \"g\" was given other resources before", "test_graph.c" },
    { "partition field", partition_field, "kez", "key, price, name" },
    { "time in a string", time_field, "field name of Item holds no time", "int64_t" },
    { "no time field", no_time_field, "no field \"at\"", "key, price, name" },
    { "negative bound", negative_bound, "-1000 ms", "not be negative" },
    { "unknown option", unknown_option, "pipeline.nam", "pipeline.name" },
    { "bad option", bad_option, "two", "parallelism.default" },
    { "field of a scalar", scalar_field, "int64_t", "" },
    { "max_by of nothing", max_by_nothing, "index -1", "key, price, name" },
    { "map of connected streams", connected_map, "fl_map: connected streams", "fl_co_map" },
};

static void test_bad_programs(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fl_env *env = fl_env_new(0, NULL);
        int line = bad[i].build(env), status = fl_execute(env, bad[i].name);
        const char *error = fl_env_error(env);
        char place[64] = "";
        if (line)
            snprintf(place, sizeof place, "test_graph.c:%d: ", line);
        if (status != FL_ERROR_INVALID || !strstr(error, bad[i].says) || !strstr(error, bad[i].cure) ||
            !strstr(error, place)) {
            print_message("%s: status %d, \"%s\" does not say \"%s\", \"%s\" or %s\n", bad[i].name, status, error,
                bad[i].says, bad[i].cure, place);
            wrong++;
        }
        fl_env_free(env);
    }
    assert_int_equal(wrong, 0);
}

/* ---- partitioning and keys by several fields ---- */

typedef struct {
    int64_t street;
    fl_string name;
} StreetAndName;

static int by_street_and_name(const void *key, int channels, fl_context *ctx)
{
    const StreetAndName *k = key;
    assert_ptr_equal(fl_arg(ctx), &side);
    return (int)((k->street + (int64_t)fl_string_length(k->name)) % channels);
}

static int by_number(const void *key, int channels, fl_context *ctx)
{
    (void)ctx;
    return *(const int32_t *)key % channels;
}

static void test_custom_partitioning_by_fields(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    Item items[] = { { .name = fl_str("ab"), .home = { 1, 2 } }, { .name = fl_str("abc"), .home = { 1, 0 } },
        { .name = fl_str("a name that is not short"), .home = { 0, 1 } } };
    fl_stream *in = fl_test_source(env, Item, items, 3);
    fl_stream *several =
        fl_partition_custom_by(in, by_street_and_name, (void *)(uintptr_t)&side, "home.street", "name");
    fl_test_rows *a = fl_test_sink(several, Item, .parallelism = 3);
    fl_test_rows *b = fl_test_sink(fl_partition_custom(in, by_number, "home.number"), Item, .parallelism = 3);
    assert_int_equal(fl_execute(env, "custom"), 0);
    size_t count;
    const Item *rows = fl_test_get(a, &count);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fl_test_subtask(a, i), (rows[i].home.street + (int64_t)fl_string_length(rows[i].name)) % 3);
    rows = fl_test_get(b, &count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fl_test_subtask(b, i), rows[i].home.number % 3);
    fl_env_free(env);
}

/* Sums by keys of mixed kinds, at any parallelism, beside ones worked out by hand. */
static void test_keys_of_several_fields(void **state)
{
    (void)state;
    enum { ROWS = 600 };
    static Item items[ROWS];
    static const char *const names[] = { "a", "b", "a name that is longer than what fits inline", "b" };
    int64_t expected[4 * 5] = { 0 };
    for (int i = 0; i < ROWS; i++) {
        items[i] = (Item){ .key = 1, .name = fl_str(names[i % 4]), .home = { i % 5, 1 } };
        expected[(i % 4 == 3 ? 1 : i % 4) * 5 + i % 5]++;
    }
    for (int p = 1; p <= 3; p++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_stream *keyed = fl_key_by(fl_test_source(env, Item, items, ROWS), "name", "home.street", "home.number");
        fl_test_rows *sums = fl_test_sink(fl_sum(keyed, "key", .parallelism = p), Item);
        assert_int_equal(fl_execute(env, "keys"), 0);
        int64_t highest[4 * 5] = { 0 };
        size_t count;
        const Item *rows = fl_test_get(sums, &count);
        assert_int_equal(count, ROWS);
        for (size_t i = 0; i < count; i++) {
            int name = rows[i].name.length > 12 ? 2 : fl_string_equal(rows[i].name, fl_str("b"));
            int64_t *h = &highest[name * 5 + rows[i].home.street];
            *h = rows[i].key > *h ? rows[i].key : *h;
        }
        assert_memory_equal(highest, expected, sizeof expected);
        fl_env_free(env);
    }
}

/* ---- slot sharing groups ---- */

static void test_slot_groups(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_slot_sharing_group(env, "models", .cpu_cores = 1.5, .heap_memory = "512m", .managed_memory = "1g");
    fl_slot_sharing_group(env, "models", .cpu_cores = 1.5, .heap_memory = "512 mb", .managed_memory = "1024m");
    fl_slot_sharing_group(env, "plain"); /* resources unknown */
    fl_test_sink(fl_map(source(env, "a", 0), pass, Item, .slot_sharing_group = "models"), Item);
    char *text = fl_plan_text(env);
    assert_non_null(text);
    assert_non_null(strstr(text, "  in group models\n"));
    assert_non_null(strstr(text, "  slots of group models: 1.5 cores, 512 MiB heap, 1.02e+03 MiB managed\n"));
    assert_null(strstr(text, "plain"));
    free(text);
    fl_env_free(env);
}

/* A key may be any field that hashes, however large: a nested row, a nullable field. */
static void test_odd_keys(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    const Item *rows;
    Item items[] = { { .key = 1, .home = { 7, 1 } }, { .key = 2, .home = { 7, 2 } }, { .key = 4, .home = { 7, 1 } } };
    fl_stream *in = fl_test_source(env, Item, items, 3);
    fl_test_rows *by_row = fl_test_sink(fl_sum(fl_key_by(in, "home"), "key"), Item);
    fl_test_rows *by_nested = fl_test_sink(fl_sum(fl_key_by(in, "home.street"), "key"), Item);
    fl_test_rows *largest = fl_test_sink(fl_max_by(fl_key_by(in, "home.street"), "home"), Item);
    Nullable nulls[] = { { .key = 0, .value = 1 }, { .nulls = { 1 }, .value = 10 }, { .key = 0, .value = 2 },
        { .nulls = { 1 }, .value = 20 } };
    fl_test_rows *nullable =
        fl_test_sink(fl_sum(fl_key_by(fl_test_source(env, Nullable, nulls, 4), "key"), "value"), Nullable);
    WideKey wide[] = { { { .i = 1 }, 3 }, { { .i = 2 }, 4 }, { { .i = 1 }, 5 } };
    fl_test_rows *by_wide =
        fl_test_sink(fl_sum(fl_key_by(fl_test_source(env, WideKey, wide, 3), "wide"), "value"), WideKey);
    int64_t tags[] = { 5, 7 };
    Item tagged[] = { { .key = 1, .tags = { .data = tags, .count = 1 } },
        { .key = 2, .tags = { .data = tags, .count = 2 } }, { .key = 3, .tags = { .data = tags + 1, .count = 1 } } };
    in = fl_test_source(env, Item, tagged, 3);
    fl_test_rows *first = fl_test_sink(fl_min_by(fl_key_by(in, "price"), "tags"), Item);
    assert_int_equal(fl_execute(env, "odd keys"), 0);
    const WideKey *w = fl_test_get(by_wide, NULL);
    assert_int_equal(w[2].value, 8);
    rows = fl_test_get(first, NULL);
    assert_int_equal(rows[2].key, 1);
    assert_int_equal(rows[2].tags.count, 1);
    rows = fl_test_get(by_row, NULL);
    assert_int_equal(rows[2].key, 5);
    rows = fl_test_get(by_nested, NULL);
    assert_int_equal(rows[2].key, 7);
    rows = fl_test_get(largest, NULL);
    assert_int_equal(rows[2].key, 2);
    const Nullable *n = fl_test_get(nullable, NULL);
    assert_int_equal(n[2].value, 3);
    assert_int_equal(n[3].value, 30);
    fl_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_parallelism_levels),
        cmocka_unit_test(test_max_parallelism),
        cmocka_unit_test(test_bad_programs),
        cmocka_unit_test(test_odd_keys),
        cmocka_unit_test(test_custom_partitioning_by_fields),
        cmocka_unit_test(test_keys_of_several_fields),
        cmocka_unit_test(test_slot_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
