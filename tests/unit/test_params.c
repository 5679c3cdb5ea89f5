#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/params.h"

#define ARGS(...) (char *[]){ __VA_ARGS__ }, (int)(sizeof(char *[]){ __VA_ARGS__ } / sizeof(char *))
#define MAKE(error, ...) make((error), ARGS(__VA_ARGS__))

static fl__params *make(fl_error *error, char **argv, int argc)
{
    return fl__params_new(argc, argv, error);
}

static void test_forms(void **state)
{
    (void)state;
    fl_error error = FL_ERROR_INIT;
    fl__params *p = MAKE(&error, "--input", "a file", "-n", "5", "--k=v=w", "--empty=", "--flag", "--below", "-3", "-x",
        "-.5e1", "--last", "1", "--last", "2", "-end");
    assert_int_equal(error.status, FL_OK);
    assert_string_equal(fl__params_get(p, "input", NULL), "a file");
    assert_string_equal(fl__params_get(p, "n", NULL), "5");
    assert_string_equal(fl__params_get(p, "k", NULL), "v=w");
    assert_string_equal(fl__params_get(p, "empty", NULL), "");
    assert_string_equal(fl__params_get(p, "flag", "x"), "");
    assert_string_equal(fl__params_get(p, "below", NULL), "-3");
    assert_string_equal(fl__params_get(p, "x", NULL), "-.5e1");
    assert_string_equal(fl__params_get(p, "last", NULL), "2");
    assert_true(fl__params_has(p, "end"));
    assert_false(fl__params_has(p, "missing"));
    assert_null(fl__params_get(p, "missing", NULL));
    assert_string_equal(fl__params_get(p, "missing", "d"), "d");

    const char *name, *text;
    size_t n = 0;
    while (fl__params_at(p, n, &name, &text))
        n++;
    assert_int_equal(n, 9);
    assert_true(fl__params_at(p, 4, &name, &text));
    assert_string_equal(name, "flag");
    assert_null(text);
    fl__params_free(p);
    fl__params_free(NULL);
}

static void test_typed(void **state)
{
    (void)state;
    fl_error error = FL_ERROR_INIT;
    fl__params *p = MAKE(NULL, "--i", "-42", "--d", "2.5", "--t", "TRUE", "--f", "false", "--flag", "--word", "abc");
    int64_t i;
    double d;
    bool b;
    assert_int_equal(fl__params_int(p, "i", 0, &i, &error), FL_OK);
    assert_int_equal(i, -42);
    assert_int_equal(fl__params_int(p, "none", 7, &i, &error), FL_OK);
    assert_int_equal(i, 7);
    assert_int_equal(fl__params_double(p, "d", 0, &d, &error), FL_OK);
    assert_true(d == 2.5);
    assert_int_equal(fl__params_double(p, "i", 0, &d, &error), FL_OK);
    assert_true(d == -42);
    assert_int_equal(fl__params_bool(p, "t", false, &b, &error), FL_OK);
    assert_true(b);
    assert_int_equal(fl__params_bool(p, "f", true, &b, &error), FL_OK);
    assert_false(b);
    assert_int_equal(fl__params_bool(p, "flag", false, &b, &error), FL_OK);
    assert_true(b);
    assert_int_equal(fl__params_bool(p, "none", true, &b, &error), FL_OK);
    assert_true(b);
    assert_int_equal(error.status, FL_OK);

    assert_int_equal(fl__params_int(p, "word", 9, &i, &error), FL_ERROR_INVALID);
    assert_string_equal(error.text, "argument --word: 'abc' is not a whole number");
    assert_int_equal(i, 9);
    fl__error_release(&error);
    assert_int_equal(fl__params_int(p, "flag", 9, &i, &error), FL_ERROR_INVALID);
    assert_string_equal(error.text, "argument --flag needs a value: a whole number");
    fl__error_release(&error);
    assert_int_equal(fl__params_double(p, "word", 1, &d, &error), FL_ERROR_INVALID);
    assert_string_equal(error.text, "argument --word: 'abc' is not a number");
    fl__error_release(&error);
    assert_int_equal(fl__params_bool(p, "word", false, &b, &error), FL_ERROR_INVALID);
    assert_string_equal(error.text, "argument --word: 'abc' is not true or false");
    fl__error_release(&error);
    fl__params_free(p);
}

static void test_what_is_wrong(void **state)
{
    (void)state;
    fl_error error = FL_ERROR_INIT;
    fl__params *p = MAKE(&error, "--a", "1", "stray", "--b", "2");
    assert_int_equal(error.status, FL_ERROR_INVALID);
    assert_string_equal(error.text, "argument 'stray' belongs to no name: write --name stray, or --name=stray");
    assert_true(fl__params_has(p, "a"));
    assert_false(fl__params_has(p, "b"));
    fl__error_release(&error);
    fl__params_free(p);

    static char *const nameless[] = { "--", "-", "--=x" };
    for (size_t i = 0; i < 3; i++) {
        p = make(&error, (char **)&nameless[i], 1);
        assert_int_equal(error.status, FL_ERROR_INVALID);
        assert_non_null(strstr(error.text, "has no name"));
        fl__error_release(&error);
        fl__params_free(p);
    }
    p = MAKE(&error, "-5");
    assert_non_null(strstr(error.text, "'-5' belongs to no name"));
    fl__error_release(&error);
    fl__params_free(p);
    p = fl__params_new(0, NULL, &error);
    assert_int_equal(error.status, FL_OK);
    fl__params_free(p);
}

static void test_arguments_nobody_asked_for(void **state)
{
    (void)state;
    fl_error error = FL_ERROR_INIT;
    fl__params *p = MAKE(&error, "--prot", "9", "--host", "h", "--quiet");
    bool quiet;
    assert_int_equal(fl__params_check_asked(p, &error), FL_ERROR_INVALID);
    assert_string_equal(error.text, "argument --prot: this job takes no arguments");
    fl__error_release(&error);
    fl__params_get(p, "host", "");
    fl__params_has(p, "port");
    fl__params_get(p, "port", "1");
    assert_int_equal(fl__params_bool(p, "quiet", false, &quiet, &error), FL_OK);
    assert_int_equal(fl__params_check_asked(p, &error), FL_ERROR_INVALID);
    assert_non_null(strstr(error.text, "argument --prot: this job takes --host, --port, --quiet"));
    assert_non_null(strstr(error.text, "port?"));
    fl__error_release(&error);
    fl__params_get(p, "prot", "");
    assert_int_equal(fl__params_check_asked(p, &error), FL_OK);
    fl__params_free(p);

    p = MAKE(&error, "--input", "x", "-p", "4");
    fl__params_get(p, "input", "");
    assert_int_equal(fl__params_check_asked(p, &error), FL_ERROR_INVALID);
    assert_non_null(strstr(error.text, "-p comes before the job's own arguments"));
    fl__error_release(&error);
    fl__params_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_typed),
        cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_arguments_nobody_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
