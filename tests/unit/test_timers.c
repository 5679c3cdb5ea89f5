/* Timers: what their header promises; random sequences are in property/test_state.c. */
#include "keyed_fixture.h"

FL_VALUE_STATE(total, int64_t);
static fl_state *const states[] = { &total.state };

/* Fires everything up to limit; notes key and time as "key@time ". */
static const char *fire(fixture *f, fl__time_domain domain, fl_time limit)
{
    static char text[4096];
    size_t n = 0;
    text[0] = 0;
    fl_time time;
    uint32_t ref;
    while (fl__timers_pop(f->timers, domain, limit, &time, &ref)) {
        fl__keyed_set_ref(f->keyed, &f->ctx, ref);
        fl__keyed_timer_gone(f->keyed, ref);
        n +=
            (size_t)snprintf(text + n, sizeof text - n, "%d@%lld ", (int)*(const int64_t *)f->ctx.key, (long long)time);
        leave_call(f);
    }
    return text;
}

static void test_they_fire_in_order_of_time(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), states, 1, true);
    CALL(&f, 1)
    {
        fl_register_event_time_timer(&f.ctx, 30);
        fl_register_event_time_timer(&f.ctx, -5);
        fl_register_processing_time_timer(&f.ctx, 7);
    }
    CALL(&f, 2)
    {
        fl_register_event_time_timer(&f.ctx, 10);
        fl_register_event_time_timer(&f.ctx, 30);
        fl_register_event_time_timer(&f.ctx, FL_TIME_MAX);
        fl_register_event_time_timer(&f.ctx, FL_TIME_MIN);
    }
    assert_true(fl__timers_next(f.timers, FL__EVENT_TIME) == FL_TIME_MIN);
    assert_string_equal(fire(&f, FL__EVENT_TIME, 9), "2@-9223372036854775808 1@-5 ");
    assert_string_equal(fire(&f, FL__EVENT_TIME, 9), "");
    assert_int_equal(fl__timers_next(f.timers, FL__EVENT_TIME), 10);
    assert_string_equal(fire(&f, FL__EVENT_TIME, 30), "2@10 1@30 2@30 ");
    assert_string_equal(fire(&f, FL__EVENT_TIME, FL_TIME_MAX - 1), "");
    assert_string_equal(fire(&f, FL__EVENT_TIME, FL_TIME_MAX), "2@9223372036854775807 ");
    assert_int_equal(fl__timers_next(f.timers, FL__PROCESSING_TIME), 7);
    assert_string_equal(fire(&f, FL__PROCESSING_TIME, 7), "1@7 ");
    assert_int_equal(f.keyed->table.count, 0);
    fixture_release(&f);
}

static void test_one_timer_per_key_and_time(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), states, 1, true);
    for (int i = 0; i < 50000; i++) {
        CALL(&f, i % 3)
        fl_register_event_time_timer(&f.ctx, 5);
    }
    assert_string_equal(fire(&f, FL__EVENT_TIME, 5), "0@5 1@5 2@5 ");
    assert_true(fl__timers_is_empty(f.timers, FL__EVENT_TIME));
    assert_int_equal(f.keyed->table.count, 0);
    fixture_release(&f);
}

static void test_the_last_word_counts(void **state)
{
    (void)state;
    for (int spread = 0; spread < 2; spread++) { /* all in fresh, or in several runs */
        fixture f;
        fixture_init(&f, FL_TYPE(int64_t), states, 1, true);
        for (int64_t k = 1; k <= 4; k++) {
            CALL(&f, k)
            fl_register_event_time_timer(&f.ctx, 100);
        }
        if (spread)
            fl__timers_view_free(fl__timers_view_new(f.timers, FL__EVENT_TIME)); /* seals fresh */
        CALL(&f, 1)
        fl_delete_event_time_timer(&f.ctx, 100);
        CALL(&f, 2)
        {
            fl_delete_event_time_timer(&f.ctx, 100);
            fl_delete_event_time_timer(&f.ctx, 99);
        }
        if (spread)
            fl__timers_view_free(fl__timers_view_new(f.timers, FL__EVENT_TIME));
        CALL(&f, 2)
        fl_register_event_time_timer(&f.ctx, 100);
        CALL(&f, 9) /* has none: leaves nothing behind */
        fl_delete_event_time_timer(&f.ctx, 100);
        assert_string_equal(fire(&f, FL__EVENT_TIME, 100), "2@100 3@100 4@100 ");
        assert_int_equal(f.keyed->table.count, 0);
        fixture_release(&f);
    }
}

static void test_a_timer_keeps_its_keys_entry(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), states, 1, true);
    CALL(&f, 1)
    {
        *fl_value(&f.ctx, total) = 5;
        fl_register_event_time_timer(&f.ctx, 3);
        fl_clear(&f.ctx, total);
    }
    assert_int_equal(f.keyed->table.count, 1);
    CALL(&f, 1)
    fl_delete_event_time_timer(&f.ctx, 3);
    assert_string_equal(fire(&f, FL__EVENT_TIME, 3), "");
    assert_int_equal(f.keyed->table.count, 0);
    CALL(&f, 1)
    {
        *fl_value(&f.ctx, total) = 5;
        fl_register_event_time_timer(&f.ctx, 3);
    }
    assert_string_equal(fire(&f, FL__EVENT_TIME, 3), "1@3 ");
    CALL(&f, 1)
    assert_int_equal(*fl_value_peek(&f.ctx, total), 5);
    fixture_release(&f);
}

/* The key is the entry's own while a timer fires: removing the entry ends its life only after the call. */
static void test_long_keys_while_firing(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(fl_string), states, 1, true);
    for (int i = 0; i < 200; i++) {
        char text[64];
        snprintf(text, sizeof text, "the key of number %d", i % 50);
        fl_string key = fl_str(text);
        enter_call(&f, &key);
        *fl_value(&f.ctx, total) += 1;
        fl_register_event_time_timer(&f.ctx, i % 50);
        leave_call(&f);
    }
    fl_time time;
    uint32_t ref;
    for (int i = 0; i < 50; i++) {
        assert_true(fl__timers_pop(f.timers, FL__EVENT_TIME, 1000, &time, &ref));
        fl__keyed_set_ref(f.keyed, &f.ctx, ref);
        fl__keyed_timer_gone(f.keyed, ref);
        assert_int_equal(*fl_value_peek(&f.ctx, total), 4);
        fl_clear(&f.ctx, total);
        assert_null(fl_value_peek(&f.ctx, total));
        char text[64];
        snprintf(text, sizeof text, "the key of number %d", (int)time);
        assert_true(fl_string_equal(*(const fl_string *)fl_current_key(&f.ctx), fl_str(text)));
        leave_call(&f);
        assert_int_equal(f.keyed->table.count, 49 - i);
    }
    fixture_release(&f);
}

static void test_timers_registered_while_firing(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), states, 1, true);
    for (int64_t k = 0; k < 3; k++) {
        CALL(&f, k)
        fl_register_event_time_timer(&f.ctx, k);
    }
    fl_time time, last = -1;
    uint32_t ref, fired = 0;
    while (fl__timers_pop(f.timers, FL__EVENT_TIME, 3000, &time, &ref)) {
        assert_true(time >= last);
        last = time;
        fl__keyed_set_ref(f.keyed, &f.ctx, ref);
        fl__keyed_timer_gone(f.keyed, ref);
        fl_register_event_time_timer(&f.ctx, time + 3); /* every 3 ms for ever */
        leave_call(&f);
        fired++;
    }
    assert_int_equal(fired, 3001);
    assert_int_equal(fl__timers_next(f.timers, FL__EVENT_TIME), 3001);
    fixture_release(&f);
}

static void test_a_view_stays_as_it_was(void **state)
{
    (void)state;
    enum { N = 30000 };
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), states, 1, true);
    for (int64_t i = 0; i < N; i++) {
        CALL(&f, i % 100)
        {
            fl_register_event_time_timer(&f.ctx, i * 7919 % N);
            *fl_value(&f.ctx, total) = 1; /* entries stay */
        }
    }
    fl__timers_view *view = fl__timers_view_new(f.timers, FL__EVENT_TIME);
    fl_time time;
    uint32_t ref;
    for (int i = 0; i < N / 2; i++) {
        assert_true(fl__timers_pop(f.timers, FL__EVENT_TIME, FL_TIME_MAX, &time, &ref));
        fl__keyed_timer_gone(f.keyed, ref);
    }
    for (int64_t i = 0; i < N; i++) {
        CALL(&f, 1)
        fl_register_event_time_timer(&f.ctx, i);
    }
    fl_time expected = 0;
    for (; fl__timers_view_next(view, &time, &ref); expected++)
        assert_int_equal(time, expected);
    assert_int_equal(expected, N);
    fl__timers_view_free(view);
    fixture_release(&f);
}

static void test_memory_per_timer(void **state)
{
    (void)state;
    enum { N = 1000000 };
    fixture f;
    fixture_init(&f, FL_TYPE(int64_t), states, 1, true);
    for (int64_t k = 0; k < 1000; k++) {
        CALL(&f, k)
        *fl_value(&f.ctx, total) = 1;
    }
    int64_t before = fl__memory_used(&f.account);
    for (int64_t i = 0; i < N; i++) {
        CALL(&f, i % 1000)
        fl_register_event_time_timer(&f.ctx, i * 7919 % 1000003);
    }
    double bytes = (double)(fl__memory_used(&f.account) - before) / N;
    if (bytes > 24)
        fail_msg("%.1f bytes per timer", bytes);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_they_fire_in_order_of_time),
        cmocka_unit_test(test_one_timer_per_key_and_time),
        cmocka_unit_test(test_the_last_word_counts),
        cmocka_unit_test(test_a_timer_keeps_its_keys_entry),
        cmocka_unit_test(test_long_keys_while_firing),
        cmocka_unit_test(test_timers_registered_while_firing),
        cmocka_unit_test(test_a_view_stays_as_it_was),
        cmocka_unit_test(test_memory_per_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
