/* The keyed table: what its header promises, one promise a test; random sequences are in property/test_state.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "state/table.h"

static fl__memory account;

static fl__key key_of(const fl_type *type)
{
    fl__key key;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__key_init_whole(&key, type, &error), FL_OK);
    return key;
}

/* Not inlined: gcc would look at every class of key for one that is an int64_t. */
static __attribute__((noinline)) uint64_t hash_of(const fl__key *key, const void *value)
{
    return fl__key_hash(key, value);
}

static fl__table new_table(const fl_type *type, uint32_t entry_size, uint32_t max_parallelism)
{
    fl__memory_init(&account, "test", NULL, 0);
    fl__key key = key_of(type);
    fl__table table;
    fl__table_init(&table, &account, &key, entry_size, 0, max_parallelism, 0);
    return table;
}

static void free_table(fl__table *table)
{
    fl__table_release(table);
    assert_int_equal(fl__memory_used(&account), 0);
}

static char *get(fl__table *table, int64_t key, bool *inserted)
{
    return fl__table_get(table, hash_of(&table->key, &key), &key, inserted);
}

static void test_an_entry_is_made_once_and_found_again(void **state)
{
    (void)state;
    fl__table table = new_table(FL_TYPE(int64_t), 24, 128);
    bool inserted = false;
    char *entry = get(&table, 7, &inserted);
    assert_true(inserted);
    assert_memory_equal(entry, &(int64_t){ 7 }, 8);
    assert_memory_equal(entry + 8, ((char[16]){ 0 }), 16);
    assert_ptr_equal(get(&table, 7, &inserted), entry);
    assert_false(inserted);
    int64_t other = 8;
    assert_null(fl__table_find(&table, hash_of(&table.key, &other), &other));
    assert_int_equal(table.count, 1);
    free_table(&table);
}

static void test_entries_do_not_move(void **state)
{
    (void)state;
    enum { N = 100000 };
    fl__table table = new_table(FL_TYPE(int64_t), 16, 128);
    char **entries = malloc(N * sizeof *entries);
    for (int64_t i = 0; i < N; i++)
        entries[i] = get(&table, i, NULL);
    for (int64_t i = 0; i < N; i++)
        assert_ptr_equal(get(&table, i, NULL), entries[i]);
    assert_int_equal(table.count, N);
    free(entries);
    free_table(&table);
}

static void test_a_removed_entry_is_reused_zeroed(void **state)
{
    (void)state;
    fl__table table = new_table(FL_TYPE(int64_t), 24, 1);
    char *entry = get(&table, 1, NULL);
    memset(entry + 8, 0xff, 16);
    int64_t key = 1;
    fl__table_remove(&table, hash_of(&table.key, &key), &key);
    fl__table_remove(&table, hash_of(&table.key, &key), &key); /* nothing */
    assert_int_equal(table.count, 0);
    uint64_t cursor = 0;
    assert_null(fl__table_next(&table, &cursor));
    assert_ptr_equal(get(&table, 2, NULL), entry);
    assert_memory_equal(entry + 8, ((char[16]){ 0 }), 16);
    free_table(&table);
}

static void test_a_page_holds_one_key_group(void **state)
{
    (void)state;
    enum { GROUPS = 16, N = 5000 };
    fl__table table = new_table(FL_TYPE(int64_t), 16, GROUPS);
    size_t of_group[GROUPS] = { 0 };
    for (int64_t i = 0; i < N; i++) {
        get(&table, i, NULL);
        of_group[fl__key_group(hash_of(&table.key, &i), GROUPS)]++;
    }
    for (uint32_t group = 0; group < GROUPS; group++) {
        uint64_t cursor = 0;
        uint32_t ref;
        size_t seen = 0;
        for (char *entry; (entry = fl__table_next_in_group(&table, group, &cursor, &ref)); seen++) {
            assert_int_equal(fl__key_group(hash_of(&table.key, entry), GROUPS), group);
            assert_ptr_equal(fl__table_entry(&table, ref), entry);
        }
        assert_null(fl__table_next_in_group(&table, group, &cursor, &ref));
        assert_int_equal(seen, of_group[group]);
    }
    free_table(&table);
}

static void test_long_keys_are_the_tables_own(void **state)
{
    (void)state;
    fl__table table = new_table(FL_TYPE(fl_string), 24, 128);
    char text[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "a key that is longer than twelve bytes: %d", i);
        fl_string key = fl_str(text);
        char *entry = fl__table_get(&table, hash_of(&table.key, &key), &key, NULL);
        memcpy(entry + 16, &i, sizeof i);
    }
    for (int i = 0; i < 1000; i += 2) {
        snprintf(text, sizeof text, "a key that is longer than twelve bytes: %d", i);
        fl_string key = fl_str(text);
        fl__table_remove(&table, hash_of(&table.key, &key), &key);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "a key that is longer than twelve bytes: %d", i);
        fl_string key = fl_str(text);
        char *entry = fl__table_find(&table, hash_of(&table.key, &key), &key);
        if (i % 2 == 0)
            assert_null(entry);
        else
            assert_memory_equal(entry + 16, &i, sizeof i);
    }
    free_table(&table);
}

static void test_clear_keeps_nothing_but_room(void **state)
{
    (void)state;
    fl__table table = new_table(FL_TYPE(int64_t), 16, 128);
    int64_t used = 0;
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            used = fl__memory_used(&account);
        for (int64_t i = 0; i < 20000; i++)
            get(&table, i, NULL);
        for (int64_t i = 0; i < 20000; i += 3)
            fl__table_remove(&table, hash_of(&table.key, &i), &i);
        fl__table_clear(&table);
        assert_int_equal(table.count, 0);
        uint64_t cursor = 0;
        assert_null(fl__table_next(&table, &cursor));
    }
    assert_true(fl__memory_used(&account) <= used + used / 16);
    free_table(&table);
}

static void test_an_entry_larger_than_a_page(void **state)
{
    (void)state;
    fl__table table = new_table(FL_TYPE(int64_t), 100000, 4);
    for (int64_t i = 0; i < 100; i++)
        memset(get(&table, i, NULL) + 8, (int)i, 100000 - 8);
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(get(&table, i, NULL)[99999], i);
    free_table(&table);
}

static void test_memory_per_key(void **state)
{
    (void)state;
    for (int64_t n = 100000; n < 3000000; n = n * 5 / 4) {
        fl__table table = new_table(FL_TYPE(int64_t), 16, 128);
        for (int64_t i = 0; i < n; i++)
            get(&table, i, NULL);
        double extra = (double)fl__memory_used(&account) / (double)n - 16;
        if (extra > 24)
            fail_msg("%.1f bytes per key over key and value at %lld keys", extra, (long long)n);
        free_table(&table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entry_is_made_once_and_found_again),
        cmocka_unit_test(test_entries_do_not_move),
        cmocka_unit_test(test_a_removed_entry_is_reused_zeroed),
        cmocka_unit_test(test_a_page_holds_one_key_group),
        cmocka_unit_test(test_long_keys_are_the_tables_own),
        cmocka_unit_test(test_clear_keeps_nothing_but_room),
        cmocka_unit_test(test_an_entry_larger_than_a_page),
        cmocka_unit_test(test_memory_per_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
