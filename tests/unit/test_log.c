#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "os/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char lines[1 << 16];
static fl__mutex lock = FL__MUTEX_INIT; /* guards lines */

static void keep(void *arg, const char *line, size_t length)
{
    (void)arg;
    fl__mutex_lock(&lock);
    strncat(lines, line, length);
    fl__mutex_unlock(&lock);
}

static int begin(void **state)
{
    (void)state;
    lines[0] = 0;
    fl__log_set_level(FL__LOG_INFO);
    fl__log_set_sink(keep, NULL);
    return 0;
}

static void test_one_line_a_record(void **state)
{
    (void)state;
    fl__log(FL__LOG_WARN, "task", "two\nlines of %d", 5);
    fl__log(FL__LOG_DEBUG, "task", "not shown");
    fl__log(FL__LOG_INFO, "net", "shown");
    int year, ms;
    char rest[200];
    assert_int_equal(sscanf(lines, "%d-%*d-%*d %*d:%*d:%*d,%d %199[^\n]", &year, &ms, rest), 3);
    assert_true(year >= 2024 && ms < 1000);
    assert_string_equal(rest, "WARN  task - two\\nlines of 5");
    assert_non_null(strstr(lines, " INFO  net - shown\n"));
    assert_null(strstr(lines, "not shown"));
}

static void test_levels(void **state)
{
    (void)state;
    fl__log_level level;
    assert_true(fl__log_parse_level("Debug", &level));
    assert_int_equal(level, FL__LOG_DEBUG);
    assert_false(fl__log_parse_level("loud", &level));
    assert_true(fl__log_set_level(FL__LOG_ERROR));
    assert_false(fl__log_shows(FL__LOG_WARN));
    assert_true(fl__log_shows(FL__LOG_ERROR));
}

static void test_sometimes(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        fl__log_sometimes(3600000, FL__LOG_WARN, "gate", "late row %d", i);
    assert_non_null(strstr(lines, "late row 0\n"));
    assert_null(strstr(lines, "late row 1"));
    lines[0] = 0;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 10; j++)
            fl__log_sometimes(20, FL__LOG_WARN, "gate", "again");
        usleep(25000);
    }
    assert_non_null(strstr(lines, "again\n"));
    assert_non_null(strstr(lines, "again (and 9 more like this)\n"));
}

static void write_hundred(void *arg)
{
    for (int i = 0; i < 100; i++)
        fl__log(FL__LOG_INFO, "thread", "%s", (const char *)arg);
}

static void test_threads(void **state)
{
    (void)state;
    fl__thread threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(fl__thread_start(&threads[i], "log", write_hundred, "0123456789", NULL), FL_OK);
    for (int i = 0; i < 4; i++)
        fl__thread_join(&threads[i]);
    size_t n = 0;
    for (const char *at = lines; (at = strstr(at, "INFO  thread - 0123456789\n")) != NULL; at++)
        n++;
    assert_int_equal(n, 400);
}

/* Lines really go to standard error, and FLINC_LOG wins: seen from outside, in this program run again. */
static void test_environment(void **state)
{
    (void)state;
    static const struct {
        const char *value, *expected;
    } cases[] = { { "", "warn" }, { "debug", "debug+warn" }, { "ERROR", "" }, { "loud", "loud is none+warn" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char command[300], output[2000] = "";
        snprintf(command, sizeof command, "FLINC_LOG=%s /proc/%d/exe child 2>&1", cases[i].value, (int)getpid());
        FILE *child = popen(command, "r");
        assert_non_null(child);
        output[fread(output, 1, sizeof output - 1, child)] = 0;
        assert_int_equal(pclose(child), 0);
        assert_true((strstr(output, "a debug line") != NULL) == (strstr(cases[i].expected, "debug") != NULL));
        assert_true((strstr(output, "a warn line") != NULL) == (strstr(cases[i].expected, "warn") != NULL));
        assert_true((strstr(output, "is none") != NULL) == (strstr(cases[i].expected, "is none") != NULL));
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "child") == 0) {
        fl__log_set_level(FL__LOG_WARN);
        fl__log(FL__LOG_DEBUG, "child", "a debug line");
        fl__log(FL__LOG_WARN, "child", "a warn line");
        return 0;
    }
    unsetenv("FLINC_LOG");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_line_a_record, begin),
        cmocka_unit_test_setup(test_levels, begin),
        cmocka_unit_test_setup(test_sometimes, begin),
        cmocka_unit_test_setup(test_threads, begin),
        cmocka_unit_test_setup(test_environment, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
