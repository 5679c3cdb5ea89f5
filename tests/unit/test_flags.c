#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/flags.h"

#include <stdio.h>

static const fl__flag table[] = {
    { .letters = "c", .name = "class", .value = "entry", .text = "The entry." },
    { .letters = "p", .name = "parallelism", .value = "n", .text = "How many." },
    { .letters = "D", .value = "key=value", .text = "An option." },
    { .letters = "sae", .name = "shutdown", .text = "A word of letters." },
    { .name = "json", .text = "Long only." },
    { .letters = "d", .name = "detached", .refusal = "not here" },
};

/* Reads all options; writes "p=4 D=k=v json" and what is left, "| x y". */
static void read_all(char *const *argv, int argc, bool leave_unknown, char *to, size_t size, fl_error *error)
{
    fl__flags flags = { .table = table,
        .count = sizeof table / sizeof *table,
        .argc = argc,
        .argv = (char **)argv,
        .leave_unknown = leave_unknown };
    const fl__flag *flag;
    const char *value;
    *to = 0;
    while (fl__flags_next(&flags, &flag, &value, error) == FL_OK) {
        size_t n = strlen(to);
        snprintf(to + n, size - n, "%s%s%s ", flag->letters ? flag->letters : flag->name, value ? "=" : "",
            value ? value : "");
    }
    strncat(to, "|", size - strlen(to) - 1);
    for (; flags.at < argc; flags.at++) {
        size_t n = strlen(to);
        snprintf(to + n, size - n, " %s", argv[flags.at]);
    }
}

#define READ(leave, ...)                                                                                               \
    read_all((char *[]){ __VA_ARGS__ }, (int)(sizeof(char *[]){ __VA_ARGS__ } / sizeof(char *)), (leave), text,        \
        sizeof text, &error)

static void test_forms(void **state)
{
    (void)state;
    char text[500];
    fl_error error = FL_ERROR_INIT;
    READ(false, "-p", "4", "-c", "job", "file.c", "-p", "5");
    assert_string_equal(text, "p=4 c=job | file.c -p 5");
    READ(false, "-p4", "--parallelism=5", "--parallelism", "6", "-parallelism", "7", "-p=8");
    assert_string_equal(text, "p=4 p=5 p=6 p=7 p=8 |");
    READ(false, "-Da=b", "-D", "c=d=e", "--json", "-sae");
    assert_string_equal(text, "D=a=b D=c=d=e json sae |");
    READ(false, "-class", "x", "--", "-p", "3");
    assert_string_equal(text, "c=x | -p 3");
    READ(false, "-p", "-3", "-");
    assert_string_equal(text, "p=-3 | -");
    READ(true, "-p", "1", "--input", "f");
    assert_string_equal(text, "p=1 | --input f");
    read_all(NULL, 0, false, text, sizeof text, &error);
    assert_string_equal(text, "|");
    assert_int_equal(error.status, FL_OK);
}

static void test_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *argument, *text;
    } cases[] = {
        { "--paralelism", "there is no option --paralelism; did you mean --parallelism?" },
        { "-x", "there is no option -x" },
        { "-p", "option -p needs a value: -p, --parallelism <n>" },
        { "-D", "option -D needs a value: -D <key=value>" },
        { "--json=yes", "option --json=yes takes no value" },
        { "-d", "option -d: not here" },
        { "--detached", "option --detached: not here" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[500];
        fl_error error = FL_ERROR_INIT;
        read_all((char *const *)&cases[i].argument, 1, false, text, sizeof text, &error);
        assert_int_equal(error.status, FL_ERROR_INVALID);
        assert_string_equal(error.text, cases[i].text);
        fl__error_release(&error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
