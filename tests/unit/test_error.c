#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"

static void test_first_error_counts(void **state)
{
    (void)state;
    fl_error error = FL_ERROR_INIT;
    fl__error_context(&error, "nothing"); /* no error: nothing to put it in front of */
    assert_null(error.text);
    assert_int_equal(fl__error_set(&error, FL_ERROR_IO, "cannot read %s", "a.txt"), FL_ERROR_IO);
    assert_int_equal(fl__error_set(&error, FL_ERROR_LIMIT, "too late"), FL_ERROR_LIMIT);
    assert_int_equal(error.status, FL_ERROR_IO);
    assert_string_equal(error.text, "cannot read a.txt");
    fl__error_context(&error, "source %d", 3);
    fl__error_context(&error, "job");
    assert_string_equal(error.text, "job: source 3: cannot read a.txt");
    fl__error_release(&error);
    assert_int_equal(error.status, FL_OK);
    assert_null(error.text);
}

static void test_place_and_nobody_listening(void **state)
{
    (void)state;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__error_set_at(&error, FL_ERROR_INVALID, (fl_where){ "job.c", 12 }, "no"), FL_ERROR_INVALID);
    assert_string_equal(error.where.file, "job.c");
    assert_int_equal(error.where.line, 12);
    fl__error_release(&error);
    assert_int_equal(fl__error_set(NULL, FL_ERROR_IO, "nobody reads this"), FL_ERROR_IO);
    fl__error_context(NULL, "nor this");
}

static void test_move(void **state)
{
    (void)state;
    fl_error from = FL_ERROR_INIT, to = FL_ERROR_INIT;
    fl__error_set(&from, FL_ERROR_USER, "first");
    fl__error_move(&to, &from);
    assert_string_equal(to.text, "first");
    assert_int_equal(from.status, FL_OK);
    fl__error_set(&from, FL_ERROR_IO, "second");
    fl__error_move(&to, &from);
    assert_string_equal(to.text, "first");
    assert_null(from.text);
    fl__error_release(&to);
}

static void test_status_names(void **state)
{
    (void)state;
    static const fl_status all[] = { FL_OK, FL_AGAIN, FL_DONE, FL_CLOSED, FL_ERROR_INVALID, FL_ERROR_IO, FL_ERROR_USER,
        FL_ERROR_LIMIT, FL_ERROR_CORRUPT, FL_ERROR_CANCELLED, FL_ERROR_INTERNAL };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_memory_equal(fl_status_name(all[i]), "FL_", 3);
    assert_string_equal(fl_status_name(FL_ERROR_CORRUPT), "FL_ERROR_CORRUPT");
    assert_string_equal(fl_status_name((fl_status)9999), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_error_counts),
        cmocka_unit_test(test_place_and_nobody_listening),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
