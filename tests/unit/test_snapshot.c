/* Snapshots of keyed state and timers: what comes back is what was there at the barrier, whatever happened since. */
#include "keyed_fixture.h"
#include "scratch.h"

#include "state/keyed_snapshot.h"

typedef struct Visit {
    fl_string page;
    int64_t at;
} Visit;
FL_ROW(Visit, page, at);

FL_VALUE_STATE(total, int64_t);
FL_VALUE_STATE(last, Visit);
FL_LIST_STATE(visits, Visit);
FL_MAP_STATE(counts, fl_string, int32_t);
static fl_state *const all[] = { &total.state, &last.state, &visits.state, &counts.state };
static fl_state *const fewer[] = { &counts.state, &total.state };

/* Another program's idea of the same state. */
static fl_state total_as_text = { .object_name = "total", .type = NULL };

static char path[256];

/* Writes all that is left of the snapshot into the file. */
static void write_file(fixture *f, fl__snapshot *snapshot, const char *to)
{
    fl__buffer bytes;
    fl__buffer_init(&bytes, &f->account);
    while (fl__snapshot_write(snapshot, &bytes) == FL_OK)
        ;
    fl__snapshot_free(snapshot);
    fl_error error = FL_ERROR_INIT;
    if (fl__file_store(&fl__os_linux, to, bytes.data, bytes.size, &error) != FL_OK)
        fail_msg("%s", error.text);
    fl__buffer_release(&bytes);
}

static fl__snapshot *take(fixture *f)
{
    fl__snapshot *snapshot = fl__snapshot_new(&f->account, 1);
    fl__snapshot_operator(snapshot, "another");
    *(char *)fl__buffer_extend(fl__snapshot_bytes(snapshot, FL__BLOCK_VALUES), 1) = 'x';
    fl__snapshot_operator(snapshot, "the operator");
    fl__keyed_snapshot(f->keyed, f->timers, snapshot, &f->account);
    return snapshot;
}

static fl_status restore_part(fixture *f, uint32_t subtask, uint32_t parallelism, fl_error *error)
{
    fl__state_file file = { path, 0 };
    fl__restored from = {
        .memory = &f->account,
        .os = &fl__os_linux,
        .id = "the operator",
        .files = &file,
        .file_count = 1,
        .subtask = subtask,
        .parallelism = parallelism,
        .max_parallelism = 128,
        .old_parallelism = 1,
    };
    fl_status status = fl__keyed_restore(f->keyed, f->timers, &f->ctx, &from, error);
    fl__restored_close(&from);
    return status;
}

static void fill(fixture *f, int64_t keys)
{
    for (int64_t k = 0; k < keys; k++) {
        char text[64]; /* state takes strings over when the call ends */
        fl_string page = fl_string_of(text, (size_t)snprintf(text, sizeof text, "/pages/number/%d", (int)k));
        CALL(f, k)
        {
            *fl_value(&f->ctx, total) = 10 * k;
            fl_value(&f->ctx, last)->page = page;
            for (int64_t i = 0; i < k % 4; i++)
                fl_list_add(&f->ctx, visits, &(Visit){ page, i });
            if (k % 3 == 0)
                fl_map_put(&f->ctx, counts, &page, &(int32_t){ (int32_t)k });
            if (k % 2)
                fl_register_event_time_timer(&f->ctx, 1000 - k);
            if (k % 5 == 0)
                fl_register_processing_time_timer(&f->ctx, k);
        }
    }
}

/* What fill left of key k; owned: the key must be there. */
static void check_key(fixture *f, int64_t key, bool owned)
{
    CALL(f, key)
    {
        const int64_t *sum = fl_value_peek(&f->ctx, total);
        assert_int_equal(sum != NULL, owned);
        assert_int_equal(fl_list_count(&f->ctx, visits), owned ? key % 4 : 0);
        if (!owned)
            continue;
        assert_int_equal(*sum, 10 * key);
        char text[64];
        fl_string page = fl_string_of(text, (size_t)snprintf(text, sizeof text, "/pages/number/%d", (int)key));
        assert_true(fl_string_equal(fl_value_peek(&f->ctx, last)->page, page));
        for (int64_t i = 0; i < key % 4; i++) {
            assert_int_equal(fl_list_at(&f->ctx, visits, (size_t)i)->at, i);
            assert_true(fl_string_equal(fl_list_at(&f->ctx, visits, (size_t)i)->page, page));
        }
        const int32_t *count = fl_map_get(&f->ctx, counts, &page);
        assert_int_equal(count != NULL, key % 3 == 0);
        if (count)
            assert_int_equal(*count, key);
    }
}

static int64_t count_timers(fixture *f, fl__time_domain domain, int64_t *sum)
{
    int64_t n = 0;
    fl_time time;
    uint32_t ref;
    *sum = 0;
    while (fl__timers_pop(f->timers, domain, FL_TIME_MAX, &time, &ref)) {
        fl__keyed_set_ref(f->keyed, &f->ctx, ref);
        fl__keyed_timer_gone(f->keyed, ref);
        int64_t key = *(const int64_t *)f->ctx.key;
        assert_int_equal(time, domain == FL__EVENT_TIME ? 1000 - key : key);
        *sum += key;
        n++;
        leave_call(f);
    }
    return n;
}

enum { KEYS = 700 };

static void test_everything_comes_back(void **state)
{
    (void)state;
    fixture f, g;
    fixture_init(&f, FL_TYPE(int64_t), all, 4, true);
    fill(&f, KEYS);
    write_file(&f, take(&f), path);
    fixture_init(&g, FL_TYPE(int64_t), all, 4, true);
    fl_error error = FL_ERROR_INIT;
    if (restore_part(&g, 0, 1, &error) != FL_OK)
        fail_msg("%s", error.text);
    assert_int_equal(g.keyed->table.count, KEYS);
    for (int64_t k = 0; k < KEYS; k++)
        check_key(&g, k, true);
    int64_t sum;
    assert_int_equal(count_timers(&g, FL__EVENT_TIME, &sum), KEYS / 2);
    assert_int_equal(sum, KEYS / 2 * (KEYS / 2));
    assert_int_equal(count_timers(&g, FL__PROCESSING_TIME, &sum), KEYS / 5);
    fixture_release(&f);
    fixture_release(&g);
}

/* The writer gets its turns in between: some pages are written by it, some by the owner who wants to change them. */
static void test_what_happens_after_the_barrier_is_not_in_it(void **state)
{
    (void)state;
    fixture f, g;
    fixture_init(&f, FL_TYPE(int64_t), all, 4, true);
    fill(&f, KEYS);
    fl__snapshot *snapshot = take(&f);
    fl__buffer bytes;
    fl__buffer_init(&bytes, &f.account);
    for (int64_t k = 0; k < KEYS; k++) {
        if (k % 9 == 0)
            assert_int_equal(fl__snapshot_write(snapshot, &bytes), FL_OK);
        CALL(&f, (k * 37) % KEYS)
        {
            if (k % 3 == 0) {
                *fl_value(&f.ctx, total) += 1;
                fl_value(&f.ctx, last)->page = fl_str("somewhere quite different, far from here");
                fl_list_add(&f.ctx, visits, &(Visit){ fl_str("one more"), 99 });
            } else if (k % 3 == 1) {
                fl_clear(&f.ctx, total);
                fl_clear(&f.ctx, last);
                fl_clear(&f.ctx, visits);
                fl_clear(&f.ctx, counts);
                fl_delete_event_time_timer(&f.ctx, 1000 - key_);
            }
        }
        CALL(&f, KEYS + k)
        {
            *fl_value(&f.ctx, total) = -1; /* takes the places of removed ones */
        }
    }
    int64_t sum;
    count_timers(&f, FL__PROCESSING_TIME, &sum);
    fl_status status;
    while ((status = fl__snapshot_write(snapshot, &bytes)) == FL_OK)
        ;
    assert_int_equal(status, FL_DONE);
    fl__snapshot_free(snapshot);
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__file_store(&fl__os_linux, path, bytes.data, bytes.size, &error), FL_OK);
    fl__buffer_release(&bytes);
    fixture_init(&g, FL_TYPE(int64_t), all, 4, true);
    if (restore_part(&g, 0, 1, &error) != FL_OK)
        fail_msg("%s", error.text);
    assert_int_equal(g.keyed->table.count, KEYS);
    for (int64_t k = 0; k < KEYS; k++)
        check_key(&g, k, true);
    assert_int_equal(count_timers(&g, FL__EVENT_TIME, &sum), KEYS / 2);
    fixture_release(&f);
    fixture_release(&g);
}

static void test_each_subtask_takes_its_keys(void **state)
{
    (void)state;
    fixture f, g;
    fixture_init(&f, FL_TYPE(int64_t), all, 4, true);
    fill(&f, KEYS);
    write_file(&f, take(&f), path);
    uint64_t found = 0;
    int64_t timers = 0, sum;
    for (uint32_t subtask = 0; subtask < 3; subtask++) {
        fixture_init(&g, FL_TYPE(int64_t), all, 4, true);
        fl_error error = FL_ERROR_INIT;
        assert_int_equal(restore_part(&g, subtask, 3, &error), FL_OK);
        found += g.keyed->table.count;
        for (int64_t k = 0; k < KEYS; k++) {
            uint32_t group = fl__key_group(fixture_hash(&g.key, &k), 128);
            check_key(&g, k, fl__key_group_subtask(group, 3, 128) == subtask);
        }
        timers += count_timers(&g, FL__EVENT_TIME, &sum);
        fixture_release(&g);
    }
    assert_int_equal(found, KEYS);
    assert_int_equal(timers, KEYS / 2);
    fixture_release(&f);
}

static void test_states_may_come_and_go(void **state)
{
    (void)state;
    fixture f, g;
    fixture_init(&f, FL_TYPE(int64_t), all, 4, false);
    for (int64_t k = 0; k < 10; k++) {
        CALL(&f, k)
        {
            *fl_value(&f.ctx, total) = k;
            fl_list_add(&f.ctx, visits, &(Visit){ fl_str("a page with a name that is long"), k });
        }
    }
    write_file(&f, take(&f), path);
    fixture_init(&g, FL_TYPE(int64_t), fewer, 2, true);
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(restore_part(&g, 0, 1, &error), FL_OK);
    for (int64_t k = 0; k < 10; k++) {
        CALL(&g, k)
        {
            assert_int_equal(*fl_value_peek(&g.ctx, total), k);
            assert_int_equal(fl_map_count(&g.ctx, counts), 0);
        }
    }
    fixture_release(&f);
    fixture_release(&g);
}

static void expect_refused(fixture *g, const char *part)
{
    fl_error error = FL_ERROR_INIT;
    assert_int_not_equal(restore_part(g, 0, 1, &error), FL_OK);
    if (!strstr(error.text, part))
        fail_msg("\"%s\" is not in: %s", part, error.text);
    fl__error_release(&error);
    fixture_release(g);
}

static void test_what_does_not_fit_is_named(void **state)
{
    (void)state;
    fixture f, g;
    fixture_init(&f, FL_TYPE(int64_t), all, 4, true);
    fill(&f, 10);
    write_file(&f, take(&f), path);
    fixture_init(&g, FL_TYPE(int32_t), all, 4, true);
    expect_refused(&g, "the key of operator \"the operator\" has type int32_t");
    total_as_text.type = FL_TYPE(fl_string);
    fl_state *const changed[] = { &total_as_text };
    fixture_init(&g, FL_TYPE(int64_t), changed, 1, true);
    expect_refused(&g, "state \"total\" of operator \"the operator\" has type fl_string");
    fixture_init(&g, FL_TYPE(int64_t), all, 4, false);
    expect_refused(&g, "had timers in the snapshot");
    fixture_release(&f);
}

/* Every byte changed, and every length: an error that names the file, or (in unused bits) what was there. */
static void test_damage_is_found(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), all, 4, true);
    fill(&f, 20);
    write_file(&f, take(&f), path);
    char *content;
    size_t size;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__file_load(&fl__os_linux, path, 1 << 20, &content, &size, &error), FL_OK);
    for (size_t i = 0; i < 2 * size; i += size < 2000 ? 1 : 7) {
        bool is_cut = i >= size;
        if (!is_cut)
            content[i] = (char)(content[i] ^ (1 << i % 8));
        assert_int_equal(fl__file_store(&fl__os_linux, path, content, is_cut ? i - size : size, &error), FL_OK);
        fixture g;
        fixture_init(&g, FL_TYPE(int64_t), all, 4, true);
        expect_refused(&g, path);
        if (!is_cut)
            content[i] = (char)(content[i] ^ (1 << i % 8));
    }
    free(content);
    fixture_release(&f);
}

static int setup(void **state)
{
    int failed = scratch_setup(state);
    snprintf(path, sizeof path, "%s", scratch("state"));
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_comes_back),
        cmocka_unit_test(test_what_happens_after_the_barrier_is_not_in_it),
        cmocka_unit_test(test_each_subtask_takes_its_keys),
        cmocka_unit_test(test_states_may_come_and_go),
        cmocka_unit_test(test_what_does_not_fit_is_named),
        cmocka_unit_test(test_damage_is_found),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
