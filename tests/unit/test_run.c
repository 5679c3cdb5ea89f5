/* The status line's text, the run's choice of an entry, fl_main from inside, processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster/progress.h"
#include "cluster/run.h"
#include "os/process.h"
#include "os/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void test_text(void **state)
{
    (void)state;
    static const struct {
        fl__progress before, now;
        const char *text;
    } cases[] = {
        { { .watermark = FL_TIME_MIN }, { .watermark = FL_TIME_MIN }, "0:00   0 records in (0/s)   0 out (0/s)" },
        { { .records_in = 1000, .records_out = 10 },
            { .records_in = 3500, .records_out = 12, .elapsed_ms = 75000, .watermark = 998500 },
            "1:15   3.50 K records in (12.5 K/s)   12 out (10/s)   watermark 1.5 s behind" },
        { { .records_in = 0 },
            { .records_in = 1234567890, .records_out = 999499, .elapsed_ms = 3600000, .watermark = -86400000 },
            "60:00   1.23 G records in (6.17 G/s)   999 K out (5.00 M/s)   watermark 1969-12-31 00:00:00" },
        { { .records_in = 0 },
            { .records_in = 5, .watermark = FL_TIME_MAX, .held_by = "Source: a (2/4)", .held_ms = 9999 },
            "0:00   5 records in (25/s)   0 out (0/s)" },
        { { .stage_count = 3 }, { .watermark = FL_TIME_MIN, .stage = 1, .stage_count = 3 },
            "0:00   stage 2 of 3   0 records in (0/s)   0 out (0/s)" },
        { { .records_in = 0 }, { .watermark = 998500, .held_by = "Source: a (2/4)", .held_ms = 2460000 },
            "0:00   0 records in (0/s)   0 out (0/s)   watermark 1.5 s behind   held back by Source: a (2/4) "
            "for 41 min" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = fl__progress_text(&cases[i].now, &cases[i].before, 200, 1000000);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static void test_processes(void **state)
{
    (void)state;
    char *output;
    int code;
    fl_error error = FL_ERROR_INIT;
    char *echo[] = { "sh", "-c", "printf 'a b\\n'; exit 3", NULL };
    assert_int_equal(fl__process_run(echo, &output, &code, &error), FL_OK);
    assert_string_equal(output, "a b\n");
    assert_int_equal(code, 3);
    free(output);
    char *much[] = { "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x", NULL };
    assert_int_equal(fl__process_run(much, &output, &code, &error), FL_OK);
    assert_int_equal(strlen(output), 100000);
    assert_int_equal(code, 0);
    free(output);
    char *killed[] = { "sh", "-c", "kill -9 $$", NULL };
    assert_int_equal(fl__process_run(killed, NULL, &code, &error), FL_OK);
    assert_int_equal(code, 128 + 9);
    char *missing[] = { "no-such-program-here", NULL };
    assert_int_equal(fl__process_run(missing, &output, &code, &error), FL_ERROR_IO);
    assert_string_equal(error.text, "cannot run no-such-program-here: No such file or directory");
    free(output);
    fl__error_release(&error);
    char *self = fl__process_executable();
    assert_non_null(strstr(self, "unit_run"));
    free(self);
}

/* Standard error of a test is no terminal: nothing is shown, and asking costs nothing. */
static void test_no_terminal(void **state)
{
    (void)state;
    setenv("TERM", "dumb", 1);
    assert_false(fl__terminal_is(STDERR_FILENO));
    fl__terminal_clear(STDERR_FILENO);
    assert_false(atomic_load(&fl__terminal_has_status));
}

/* ---- fl_main and the entries of a program that has two ---- */

static int runs_of_one, runs_of_two;
static int64_t to_of_two;
static char parallelism_of_two[16];

FL_JOB(one)
{
    (void)env;
    runs_of_one++;
    return 7;
}

FL_JOB(two)
{
    runs_of_two++;
    to_of_two = fl_param_int(env, "to", 1);
    snprintf(parallelism_of_two, sizeof parallelism_of_two, "%s", fl_get_option(env, "parallelism.default"));
    fl_discard(fl_sequence(env, 1, to_of_two));
    return fl_execute(env, "Two");
}

static int run_main(char *const *argv)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    return fl_main(argc, (char **)argv);
}
#define MAIN(...) run_main((char *const[]){ "program", __VA_ARGS__ __VA_OPT__(, ) NULL })

static void test_main_chooses_and_configures(void **state)
{
    (void)state;
    assert_int_equal(MAIN("-c", "one"), 7);
    assert_int_equal(MAIN("-c", "two", "-p", "3", "--to", "4"), 0);
    assert_int_equal(runs_of_one, 1);
    assert_int_equal(runs_of_two, 1);
    assert_int_equal(to_of_two, 4);
    assert_string_equal(parallelism_of_two, "3");
    assert_int_equal(MAIN("-Dparallelism.default=2", "-c", "two", "--to", "1"), 0);
    assert_string_equal(parallelism_of_two, "2");
    assert_int_equal(MAIN(), 1);                            /* which of them? */
    assert_int_equal(MAIN("-c", "three"), 1);               /* there is none */
    assert_int_equal(MAIN("-p", "0", "-c", "two"), 1);      /* not a parallelism */
    assert_int_equal(MAIN("-c", "two", "--to", "many"), 1); /* not a number */
    assert_int_equal(MAIN("-c", "two", "--too", "1"), 1);   /* nobody asked for it */
    assert_int_equal(runs_of_one, 1);
}

static void test_entries(void **state)
{
    (void)state;
    fl__run run;
    fl_error error = FL_ERROR_INIT;
    fl__run_init(&run, "test");
    assert_null(fl__run_entry(&run, &error));
    assert_string_equal(error.text, "there are several FL_JOBs: choose one with -c (one, two)");
    fl__error_release(&error);
    run.entry_name = "tow";
    assert_null(fl__run_entry(&run, &error));
    assert_string_equal(error.text, "there is no FL_JOB(tow); did you mean two? (there is: one, two)");
    fl__error_release(&error);
    run.entry_name = "one";
    assert_string_equal(fl__run_entry(&run, &error)->name, "one");
    fl__run_release(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_no_terminal),
        cmocka_unit_test(test_main_chooses_and_configures),
        cmocka_unit_test(test_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
