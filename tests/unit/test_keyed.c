/* Keyed state: what flinc/state.h promises to a user function, and what the engine gets from it. */
#include "keyed_fixture.h"

typedef struct {
    int64_t count;
    fl_string name;
} Named;
FL_ROW(Named, count, name);

static const Named start = { .count = 7, .name = { .length = 0 } };
FL_VALUE_STATE(number, int64_t);
FL_VALUE_STATE(named, Named);
FL_VALUE_STATE(other, Named);
FL_VALUE_STATE(started, Named, .initial = &start);
FL_LIST_STATE(words, fl_string);
FL_LIST_STATE(numbers, int32_t);
FL_MAP_STATE(ages, fl_string, int64_t);
FL_MAP_STATE(notes, int32_t, fl_string);

static void longest_of(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    if (((const fl_string *)in)->length > ((fl_string *)value)->length)
        memcpy(value, in, sizeof(fl_string));
}
FL_REDUCING_STATE(longest, fl_string, longest_of);

static void mean_create(void *acc, fl_context *ctx)
{
    (void)ctx;
    ((Named *)acc)->name = fl_str("a name of more than twelve bytes");
}
static void mean_add(void *acc, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Named *)acc)->count += *(const int64_t *)in;
}
static void mean_get(const void *acc, void *out, fl_context *ctx)
{
    (void)ctx;
    *(double *)out = (double)((const Named *)acc)->count + ((const Named *)acc)->name.length / 100.0;
}
FL_AGGREGATE(mean, int64_t, Named, double, .create = mean_create, .add = mean_add, .get = mean_get);
FL_AGGREGATING_STATE(mean_state, Named, mean);

#define STATES(...) (fl_state *const[]){ __VA_ARGS__ }, sizeof((fl_state *const[]){ __VA_ARGS__ }) / sizeof(fl_state *)

/* A string in memory that is gone after the call. */
static fl_string passing(const char *text)
{
    static char buffer[4][256];
    static int next;
    char *at = buffer[next++ % 4];
    snprintf(at, sizeof buffer[0], "%s", text);
    return fl_str(at);
}
static void wipe_passing(void)
{
    for (int i = 0; i < 4; i++)
        passing("################################################################");
}
static void assert_text(fl_string s, const char *text)
{
    if (!fl_string_equal(s, fl_str(text)))
        fail_msg("\"%.*s\" instead of \"%s\"", FL_STR(s), text);
}

/* ---- values ---- */

static void test_a_value_is_the_keys(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&number.state), false);
    for (int round = 1; round <= 3; round++) {
        for (int64_t k = 0; k < 1000; k++) {
            CALL(&f, k)
            assert_int_equal(*fl_value(&f.ctx, number) += k, round * k);
        }
    }
    assert_int_equal(f.keyed->table.count, 1000);
    CALL(&f, 5000)
    assert_null(fl_value_peek(&f.ctx, number));
    assert_int_equal(f.keyed->table.count, 1000);
    CALL(&f, 10)
    assert_int_equal(*fl_value_peek(&f.ctx, number), 30);
    fixture_release(&f);
}

static void test_clear_removes_the_entry(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&number.state), false);
    CALL(&f, 1)
    *fl_value(&f.ctx, number) = 3;
    CALL(&f, 1)
    {
        fl_clear(&f.ctx, number);
        assert_null(fl_value_peek(&f.ctx, number));
    }
    assert_int_equal(f.keyed->table.count, 0);
    CALL(&f, 1)
    {
        *fl_value(&f.ctx, number) = 4;
        fl_clear(&f.ctx, number);
        assert_int_equal(*fl_value(&f.ctx, number), 0);
    }
    assert_int_equal(f.keyed->table.count, 1);
    CALL(&f, 1)
    assert_int_equal(*fl_value_peek(&f.ctx, number), 0);
    fixture_release(&f);
}

static void test_states_are_present_one_by_one(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int32_t), STATES(&number.state, &named.state, &numbers.state), false);
    int32_t key = 5;
    enter_call(&f, &key);
    fl_value(&f.ctx, named)->count = 1;
    assert_null(fl_value_peek(&f.ctx, number));
    leave_call(&f);
    enter_call(&f, &key);
    fl_list_add(&f.ctx, numbers, &(int32_t){ 8 });
    fl_clear(&f.ctx, named);
    assert_null(fl_value_peek(&f.ctx, named));
    leave_call(&f);
    assert_int_equal(f.keyed->table.count, 1);
    enter_call(&f, &key);
    assert_int_equal(fl_list_count(&f.ctx, numbers), 1);
    fl_clear(&f.ctx, numbers);
    fl_clear(&f.ctx, number); /* never set: nothing */
    leave_call(&f);
    assert_int_equal(f.keyed->table.count, 0);
    fixture_release(&f);
}

static void test_an_initial_value_is_copied(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&started.state), false);
    CALL(&f, 1)
    {
        assert_int_equal(fl_value(&f.ctx, started)->count, 7);
        fl_value(&f.ctx, started)->count = 8;
        fl_clear(&f.ctx, started);
        assert_int_equal(fl_value(&f.ctx, started)->count, 7);
    }
    assert_int_equal(start.count, 7);
    fixture_release(&f);
}

static void test_assigned_strings_are_adopted(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&named.state), false);
    for (int64_t k = 0; k < 100; k++) {
        CALL(&f, k)
        {
            char text[64];
            snprintf(text, sizeof text, "the name of key number %d", (int)k);
            fl_value(&f.ctx, named)->name = passing(text);
        }
        wipe_passing();
    }
    for (int64_t k = 0; k < 100; k++) {
        CALL(&f, k)
        {
            char text[64];
            snprintf(text, sizeof text, "the name of key number %d", (int)k);
            Named *n = fl_value(&f.ctx, named);
            assert_text(n->name, text);
            n->name = fl_string_slice(&n->name, 4, 30); /* part of what it was */
        }
    }
    CALL(&f, 42)
    assert_text(fl_value_peek(&f.ctx, named)->name, "name of key number 42");
    fixture_release(&f);
}

static void test_values_may_take_strings_from_each_other(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&named.state, &other.state, &notes.state, &words.state), false);
    CALL(&f, 1)
    {
        fl_value(&f.ctx, named)->name = passing("the first name, a long one");
        fl_value(&f.ctx, other)->name = passing("the second name, a long one");
        fl_map_put(&f.ctx, notes, &(int32_t){ 3 }, &(fl_string[]){ passing("a note of some length") }[0]);
        fl_list_add(&f.ctx, words, &(fl_string[]){ passing("a word of some length") }[0]);
    }
    wipe_passing();
    CALL(&f, 1)
    { /* swapped */
        Named *a = fl_value(&f.ctx, named), *b = fl_value(&f.ctx, other);
        fl_string name = a->name;
        a->name = b->name;
        b->name = name;
    }
    CALL(&f, 1)
    {
        assert_text(fl_value_peek(&f.ctx, named)->name, "the second name, a long one");
        assert_text(fl_value_peek(&f.ctx, other)->name, "the first name, a long one");
        /* passed on, the source replaced */
        fl_value(&f.ctx, other)->name = fl_value(&f.ctx, named)->name;
        fl_value(&f.ctx, named)->name = passing("the third name, a long one");
    }
    wipe_passing();
    CALL(&f, 1)
    {
        assert_text(fl_value_peek(&f.ctx, named)->name, "the third name, a long one");
        assert_text(fl_value_peek(&f.ctx, other)->name, "the second name, a long one");
        /* taken from what is removed */
        fl_value(&f.ctx, named)->name = *fl_map_get(&f.ctx, notes, &(int32_t){ 3 });
        assert_true(fl_map_remove(&f.ctx, notes, &(int32_t){ 3 }));
        fl_value(&f.ctx, other)->name = *fl_list_at(&f.ctx, words, 0);
        fl_clear(&f.ctx, words);
    }
    CALL(&f, 1)
    {
        assert_text(fl_value_peek(&f.ctx, named)->name, "a note of some length");
        assert_text(fl_value_peek(&f.ctx, other)->name, "a word of some length");
        fl_clear(&f.ctx, named);
        fl_clear(&f.ctx, other);
    }
    assert_int_equal(f.keyed->table.count, 0);
    fixture_release(&f);
}

/* ---- lists ---- */

static void test_a_list_grows_and_is_replaced(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&words.state, &numbers.state), false);
    for (int i = 0; i < 1000; i++) {
        CALL(&f, i % 2)
        {
            char text[64];
            snprintf(text, sizeof text, i % 3 ? "%d" : "the long word of number %d", i);
            fl_list_add(&f.ctx, words, &(fl_string[]){ passing(text) }[0]);
            fl_list_add(&f.ctx, numbers, &i);
        }
    }
    wipe_passing();
    CALL(&f, 1)
    {
        assert_int_equal(fl_list_count(&f.ctx, words), 500);
        for (size_t i = 0; i < 500; i++) {
            char text[64];
            snprintf(text, sizeof text, (2 * i + 1) % 3 ? "%d" : "the long word of number %d", (int)(2 * i + 1));
            assert_text(*fl_list_at(&f.ctx, words, i), text);
            assert_int_equal(*fl_list_at(&f.ctx, numbers, i), 2 * i + 1);
            *fl_list_at(&f.ctx, words, i) = passing("changed, and of more than twelve bytes");
            *fl_list_at(&f.ctx, words, i) = passing("changed again, and of more than twelve bytes");
        }
    }
    wipe_passing();
    CALL(&f, 1)
    {
        for (size_t i = 0; i < 500; i++)
            assert_text(*fl_list_at(&f.ctx, words, i), "changed again, and of more than twelve bytes");
        /* an element of its own, while it grows */
        for (int i = 0; i < 100; i++)
            fl_list_add(&f.ctx, words, fl_list_at(&f.ctx, words, 3));
        fl_list_update(&f.ctx, words, fl_list_at(&f.ctx, words, 550), 50);
        assert_int_equal(fl_list_count(&f.ctx, words), 50);
    }
    CALL(&f, 1)
    {
        assert_text(*fl_list_at(&f.ctx, words, 49), "changed again, and of more than twelve bytes");
        fl_list_update(&f.ctx, words, (fl_string *)NULL, 0);
        assert_int_equal(fl_list_count(&f.ctx, words), 0);
        fl_clear(&f.ctx, numbers);
    }
    assert_int_equal(f.keyed->table.count, 1);
    fixture_release(&f);
}

/* ---- maps ---- */

static void test_a_map_finds_what_was_put(void **state)
{
    (void)state;
    enum { N = 500 };
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&ages.state), false);
    char text[64];
    for (int64_t i = 0; i < N; i++) {
        CALL(&f, 1)
        {
            snprintf(text, sizeof text, i % 2 ? "p%d" : "a person with the number %d", (int)i);
            fl_string name = fl_str(text);
            assert_false(fl_map_contains(&f.ctx, ages, &name));
            fl_map_put(&f.ctx, ages, &name, &i);
            fl_map_put(&f.ctx, ages, &name, &(int64_t){ i * 2 });
            *fl_map_get(&f.ctx, ages, &name) += 1;
            assert_int_equal(fl_map_count(&f.ctx, ages), i + 1);
        }
    }
    for (int64_t i = 0; i < N; i += 3) {
        CALL(&f, 1)
        {
            snprintf(text, sizeof text, i % 2 ? "p%d" : "a person with the number %d", (int)i);
            fl_string name = fl_str(text);
            assert_true(fl_map_remove(&f.ctx, ages, &name));
            assert_false(fl_map_remove(&f.ctx, ages, &name));
        }
    }
    for (int64_t i = 0; i < N; i++) {
        CALL(&f, 1)
        {
            snprintf(text, sizeof text, i % 2 ? "p%d" : "a person with the number %d", (int)i);
            fl_string name = fl_str(text);
            int64_t *age = fl_map_get(&f.ctx, ages, &name);
            if (i % 3 == 0)
                assert_null(age);
            else
                assert_int_equal(*age, i * 2 + 1);
        }
    }
    CALL(&f, 1)
    { /* the entry just returned may be removed */
        size_t cursor = 0, seen = 0, before = fl_map_count(&f.ctx, ages);
        const fl_string *name;
        int64_t *age;
        while (fl_map_next(&f.ctx, ages, &cursor, &name, &age)) {
            seen++;
            if (*age % 4 == 1)
                assert_true(fl_map_remove(&f.ctx, ages, name));
        }
        assert_int_equal(seen, before);
        assert_true(fl_map_count(&f.ctx, ages) < before);
        cursor = 0;
        while (fl_map_next(&f.ctx, ages, &cursor, &name, &age))
            assert_true(fl_map_remove(&f.ctx, ages, name));
        assert_true(fl_map_is_empty(&f.ctx, ages));
    }
    assert_int_equal(f.keyed->table.count, 0);
    fixture_release(&f);
}

static void test_changed_map_values_move_with_their_cells(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&notes.state), false);
    CALL(&f, 1)
    {
        for (int32_t i = 0; i < 40; i++)
            fl_map_put(&f.ctx, notes, &i, &(fl_string[]){ passing("what it was before the change") }[0]);
    }
    CALL(&f, 1)
    {
        for (int32_t i = 0; i < 40; i++)
            *fl_map_get(&f.ctx, notes, &i) = passing("what it is after the change");
        for (int32_t i = 0; i < 39; i++) /* the last one moves up again and again */
            assert_true(fl_map_remove(&f.ctx, notes, &i));
    }
    wipe_passing();
    CALL(&f, 1)
    assert_text(*fl_map_get(&f.ctx, notes, &(int32_t){ 39 }), "what it is after the change");
    fixture_release(&f);
}

/* ---- reducing, aggregating ---- */

static void test_combined_values_are_copied_at_once(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&longest.state, &mean_state.state), false);
    CALL(&f, 1)
    {
        fl_string word;
        double out = -1;
        assert_false(fl_get(&f.ctx, longest, &word));
        assert_false(fl_get(&f.ctx, mean_state, &out));
        assert_true(out == -1);
        for (int i = 1; i < 60; i++) {
            char text[64];
            memset(text, 'a' + i % 26, (size_t)i);
            word = fl_string_of(text, (size_t)i);
            fl_add(&f.ctx, longest, &word);
            memset(text, '#', sizeof text);
            fl_add(&f.ctx, mean_state, &(int64_t){ i });
        }
        assert_true(fl_get(&f.ctx, longest, &word));
        assert_int_equal(word.length, 59);
        assert_int_equal(fl_string_data(&word)[58], 'a' + 59 % 26);
    }
    CALL(&f, 1)
    {
        double out;
        assert_true(fl_get(&f.ctx, mean_state, &out));
        assert_true(out == 59 * 30 + 0.32);
        fl_clear(&f.ctx, mean_state);
        fl_clear(&f.ctx, longest);
        assert_false(fl_get(&f.ctx, mean_state, &out));
    }
    assert_int_equal(f.keyed->table.count, 0);
    fixture_release(&f);
}

/* ---- misuse ---- */

static void expect_failure(fixture *f, const char *part)
{
    if (!strstr(f->failure, part))
        fail_msg("\"%s\" does not say \"%s\"", f->failure, part);
    f->failure[0] = 0;
}

static void test_misuse_fails_with_the_states_name(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&number.state, &words.state, &ages.state, &longest.state), false);
    int64_t key = 1;
    enter_call(&f, &key);
    fl_value(&f.ctx, other)->count = 5; /* there is something to write to */
    expect_failure(&f, "\"other\", which the operator does not declare");
    fl__value(&f.ctx, &words.state);
    expect_failure(&f, "fl_value does not work on state \"words\", which is a list state");
    fl__list_add(&f.ctx, &words.state, &key, 8);
    expect_failure(&f, "\"words\" with elements of 8 bytes; it holds fl_string of 16");
    fl_list_at(&f.ctx, words, 3)->length = 0;
    expect_failure(&f, "fl_list_at 3 of state \"words\", which has 0 elements");
    fl__map_get(&f.ctx, &ages.state, &key, 8);
    expect_failure(&f, "a key of 8 bytes; its keys are fl_string of 16");
    fl_add(&f.ctx, longest, &(int64_t){ 1 });
    expect_failure(&f, "fl_add to state \"longest\" with 8 bytes");
    fl_register_event_time_timer(&f.ctx, 1);
    expect_failure(&f, "the operator has no .on_timer");
    leave_call(&f);
    fl_value_peek(&f.ctx, number);
    expect_failure(&f, "\"number\" outside a record or timer");
    f.function.keyed = NULL;
    fl_clear(&f.ctx, number);
    expect_failure(&f, "the stream is not keyed");
    fl_delete_processing_time_timer(&f.ctx, 1);
    expect_failure(&f, "timers are only available on keyed streams");
    fixture_release(&f);
}

static void expect_refused(fl_state *const *states, size_t count, const char *part)
{
    fl__key key;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__key_init_whole(&key, FL_TYPE(int64_t), &error), FL_OK);
    fl__keyed *keyed;
    fl__keyed_options options = { .key = &key, .states = states, .state_count = count, .max_parallelism = 1 };
    assert_int_equal(fl__keyed_new(&keyed, &options, &error), FL_ERROR_INVALID);
    assert_null(keyed);
    if (!strstr(error.text, part))
        fail_msg("\"%s\" does not say \"%s\"", error.text, part);
    fl__error_release(&error);
}

typedef struct {
    fl_array list;
} Listed;
FL_ROW(Listed, (list, .element = FL_TYPE(int64_t)));

static void test_wrong_declarations_are_refused(void **state)
{
    (void)state;
    FL_VALUE_STATE(twin, int32_t, .name = "number");
    FL_REDUCING_STATE(nothing, int64_t, NULL);
    FL_MAP_STATE(by_list, Listed, int64_t);
    expect_refused(STATES(&number.state, &named.state, &number.state), "\"number\" is listed twice");
    expect_refused(STATES(&number.state, &twin.state), "two states are named \"number\"");
    expect_refused(STATES(&nothing.state), "\"nothing\" has no reduce function");
    expect_refused(STATES(&by_list.state), "by_list");
}

/* ---- what the engine gets ---- */

static void test_memory_of_one_value_per_key(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&number.state), false);
    int64_t check_at = 100000;
    for (int64_t k = 0; k < 2000000; k++) {
        CALL(&f, k)
        *fl_value(&f.ctx, number) = k;
        if (k + 1 == check_at) {
            double extra = (double)fl__memory_used(&f.account) / (double)check_at - 16;
            if (extra > 24)
                fail_msg("%.1f bytes per key over key and value at %lld keys", extra, (long long)check_at);
            check_at = check_at * 11 / 10;
        }
    }
    fixture_release(&f);
}

static void test_no_memory_is_taken_in_the_steady_state(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&number.state, &named.state, &longest.state, &mean_state.state), false);
    int64_t used = 0;
    for (int round = 0; round < 20; round++) {
        for (int64_t k = 0; k < 100; k++) {
            CALL(&f, k)
            {
                ++*fl_value(&f.ctx, number);
                fl_value(&f.ctx, named)->name = passing(round % 2 ? "a name of this length" : "a name of that length");
                fl_add(&f.ctx, longest, &(fl_string[]){ passing("a word of that length") }[0]);
                fl_add(&f.ctx, mean_state, &k);
            }
        }
        if (round == 1)
            used = fl__memory_used(&f.account);
    }
    assert_int_equal(fl__memory_used(&f.account), used);
    fixture_release(&f);
}

typedef struct {
    _Alignas(64) char bytes[64];
} Wide;
FL_ROW(Wide, (bytes, .raw = true));
FL_VALUE_STATE(tiny, int8_t);
FL_VALUE_STATE(small, int16_t);
FL_VALUE_STATE(wide, Wide);
FL_VALUE_STATE(middle, int32_t);

static void test_every_state_has_a_place_of_its_own(void **state)
{
    (void)state;
    fl_state *const all[] = { &tiny.state, &number.state, &small.state, &wide.state, &words.state, &middle.state,
        &named.state };
    const fl_type *keys[] = { FL_TYPE(bool), FL_TYPE(int16_t), FL_TYPE(int32_t), FL_TYPE(int64_t), FL_TYPE(fl_string),
        FL_TYPE(Named) };
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        for (size_t count = 0; count <= sizeof all / sizeof all[0]; count++) {
            for (int with_timers = count == 0; with_timers < 2; with_timers++) {
                fixture f;
                fixture_init(&f, keys[k], all, count, with_timers);
                const fl__keyed *keyed = f.keyed;
                uint32_t size = keyed->table.entry_size;
                char *used = calloc(1, size);
                memset(used, 1, keys[k]->size);
                for (size_t s = 0; s < count + 2; s++) {
                    uint32_t at = s < count    ? keyed->states[s].offset
                                  : s == count ? keyed->present_offset
                                               : keyed->timers_offset;
                    uint32_t bytes = s < count ? keyed->states[s].size : 4;
                    uint32_t align = s < count && all[s]->kind == FL_STATE_VALUE ? all[s]->type->align
                                     : s < count                                 ? 8
                                                                                 : 4;
                    if (at == FL__NO_OFFSET)
                        continue;
                    assert_int_equal(at % align, 0);
                    assert_int_equal(size % align, 0);
                    assert_true(at >= 4 && at + bytes <= size);
                    for (uint32_t i = at; i < at + bytes; i++) {
                        assert_int_equal(used[i], 0);
                        used[i] = 1;
                    }
                }
                assert_int_equal(keyed->present_offset == FL__NO_OFFSET, count == 1 && !with_timers);
                assert_int_equal(keyed->timers_offset == FL__NO_OFFSET, !with_timers);
                free(used);
                fixture_release(&f);
            }
        }
    }
}

static void test_all_content_can_be_read_by_key_group(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), STATES(&number.state, &words.state, &notes.state), false);
    enum { N = 1000 };
    for (int64_t k = 0; k < N; k++) {
        CALL(&f, k)
        {
            if (k % 2)
                *fl_value(&f.ctx, number) = k;
            for (int64_t i = 0; i < k % 4; i++)
                fl_list_add(&f.ctx, words, &(fl_string[]){ passing("a word of some length") }[0]);
            for (int32_t i = 0; i < k % 20; i++)
                fl_map_put(&f.ctx, notes, &i, &(fl_string[]){ passing("a note of some length") }[0]);
        }
    }
    bool seen[N] = { false };
    for (uint32_t group = 0; group < 128; group++) {
        uint64_t cursor = 0;
        fl__keyed_entry entry;
        while (fl__keyed_next(f.keyed, group, &cursor, &entry)) {
            int64_t k;
            memcpy(&k, entry.key, sizeof k);
            assert_false(seen[k]);
            seen[k] = true;
            assert_int_equal(fl__key_group(fixture_hash(&f.key, &k), 128), group);
            const int64_t *value = fl__keyed_read_value(f.keyed, &entry, 0);
            if (k % 2)
                assert_int_equal(*value, k);
            else
                assert_null(value);
            const void *elements;
            assert_int_equal(fl__keyed_read_list(f.keyed, &entry, 1, &elements), k % 4);
            if (k % 4)
                assert_text(*(const fl_string *)elements, "a word of some length");
            size_t c = 0, count = 0;
            const void *note_key, *note;
            for (; fl__keyed_read_map(f.keyed, &entry, 2, &c, &note_key, &note); count++)
                assert_text(*(const fl_string *)note, "a note of some length");
            assert_int_equal(count, k % 20);
        }
    }
    for (int64_t k = 0; k < N; k++)
        assert_int_equal(seen[k], k % 20 || k % 4 || k % 2);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_is_the_keys),
        cmocka_unit_test(test_clear_removes_the_entry),
        cmocka_unit_test(test_states_are_present_one_by_one),
        cmocka_unit_test(test_an_initial_value_is_copied),
        cmocka_unit_test(test_assigned_strings_are_adopted),
        cmocka_unit_test(test_values_may_take_strings_from_each_other),
        cmocka_unit_test(test_a_list_grows_and_is_replaced),
        cmocka_unit_test(test_a_map_finds_what_was_put),
        cmocka_unit_test(test_changed_map_values_move_with_their_cells),
        cmocka_unit_test(test_combined_values_are_copied_at_once),
        cmocka_unit_test(test_misuse_fails_with_the_states_name),
        cmocka_unit_test(test_wrong_declarations_are_refused),
        cmocka_unit_test(test_every_state_has_a_place_of_its_own),
        cmocka_unit_test(test_memory_of_one_value_per_key),
        cmocka_unit_test(test_no_memory_is_taken_in_the_steady_state),
        cmocka_unit_test(test_all_content_can_be_read_by_key_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
