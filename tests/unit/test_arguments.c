/* A job's arguments as a program sees them: what it never asks for is an error of fl_execute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "flinc.h"

static void test_mistyped_argument(void **state)
{
    (void)state;
    char *argv[] = { (char *)"job", (char *)"--prot", (char *)"9999" };
    fl_env *env = fl_env_new(3, argv);
    assert_int_equal(fl_param_int(env, "port", 1), 1);
    assert_int_equal(fl_execute(env, "Job"), FL_ERROR_INVALID);
    assert_non_null(strstr(fl_env_error(env), "--prot"));
    assert_non_null(strstr(fl_env_error(env), "--port"));
    fl_env_free(env);
}

static void test_first_error_counts(void **state)
{
    (void)state;
    char *argv[] = { (char *)"job", (char *)"--port", (char *)"many", (char *)"--other", (char *)"x" };
    fl_env *env = fl_env_new(5, argv);
    assert_int_equal(fl_param_int(env, "port", 1), 1);
    assert_int_equal(fl_execute(env, "Job"), FL_ERROR_INVALID);
    assert_non_null(strstr(fl_env_error(env), "'many' is not a whole number"));
    fl_env_free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistyped_argument),
        cmocka_unit_test(test_first_error_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
