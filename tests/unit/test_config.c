/* src/base: options, configurations, their units, and the nearest names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/config.h"
#include "base/log.h"
#include "base/nearest.h"
#include "base/units.h"

#include <stdio.h>

/* ---- what is logged ---- */

static char logged[10000];

static void keep_log(void *arg, const char *line, size_t length)
{
    (void)arg;
    strncat(logged, line, length);
}

static int begin(void **state)
{
    (void)state;
    logged[0] = 0;
    fl__log_set_level(FL__LOG_DEBUG);
    fl__log_set_sink(keep_log, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fl__log_set_sink(NULL, NULL);
    return 0;
}

static size_t count_in_log(const char *text)
{
    size_t n = 0;
    for (const char *at = logged; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

/* ---- units ---- */

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        { "200 ms", 200 },
        { "0", 0 },
        { "15", 15 },
        { " 15 ", 15 },
        { "10s", 10000 },
        { "1 min", 60000 },
        { "1m", 60000 },
        { "2 minutes", 120000 },
        { "2 Hours", 7200000 },
        { "1 hour", 3600000 },
        { "1d", 86400000 },
        { "3 days", 259200000 },
        { "5 secs", 5000 },
        { "7 millis", 7 },
        { "7 milliseconds", 7 },
        { "1 us", 1 },
        { "1 µs", 1 },
        { "1001 micros", 2 },
        { "2000000 nanoseconds", 2 },
        { "2000001 ns", 3 },
        { "0 ns", 0 },
        { "PT1M30.5S", 90500 },
        { "P1DT2H", 93600000 },
        { "pt0.0001s", 1 },
        { "9223372036854775807 ms", INT64_MAX },
        { "9223372036854775807 s", -1 },
        { "", -1 },
        { "ms", -1 },
        { "-1 ms", -1 },
        { "1.5 s", -1 },
        { "1 w", -1 },
        { "1 mss", -1 },
        { "1 s x", -1 },
        { "P", -1 },
        { "PT", -1 },
        { "PT1", -1 },
        { "P1H", -1 },
        { "PT1S1M", -1 },
        { "PT-1S", -1 },
        { "99999999999999999999", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = -1;
        bool good = fl__parse_duration(cases[i].text, &ms);
        if (good != (cases[i].ms >= 0) || ms != cases[i].ms)
            fail_msg("'%s' gave %d, %lld", cases[i].text, good, (long long)ms);
    }
}

static void test_memory_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes; /* -1: refused */
    } cases[] = {
        { "32kb", 32768 },
        { "32 KB", 32768 },
        { "64 mb", 64 << 20 },
        { "1.5g", 1610612736 },
        { "5", 5 },
        { "5 b", 5 },
        { "5 bytes", 5 },
        { "1 k", 1024 },
        { "2 kibibytes", 2048 },
        { "1m", 1 << 20 },
        { "1 tebibytes", (int64_t)1 << 40 },
        { "0.5 kb", 512 },
        { "1.0009765625 kb", 1025 },
        { "8388607 tb", INT64_C(8388607) << 40 },
        { "8388608 tb", -1 },
        { "", -1 },
        { "kb", -1 },
        { "-1", -1 },
        { "1 byte", -1 },
        { "1 gib", -1 },
        { "1e3", -1 },
        { "1.", -1 },
        { "1 kb x", -1 },
        { "99999999999999999999", -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t bytes = -1;
        bool good = fl__parse_memory(cases[i].text, &bytes);
        if (good != (cases[i].bytes >= 0) || bytes != cases[i].bytes)
            fail_msg("'%s' gave %d, %lld", cases[i].text, good, (long long)bytes);
    }
}

static void test_numbers_and_truth(void **state)
{
    (void)state;
    int64_t n = 0;
    double d = 0;
    bool b = false;
    assert_true(fl__parse_int(" -17 ", &n));
    assert_int_equal(n, -17);
    assert_true(fl__parse_int("+4", &n));
    assert_false(fl__parse_int("4.0", &n));
    assert_false(fl__parse_int("", &n));
    assert_false(fl__parse_int("9223372036854775808", &n));
    assert_int_equal(n, 4);
    assert_true(fl__parse_double("-2.5e3 ", &d));
    assert_true(d == -2500);
    assert_false(fl__parse_double("nan", &d));
    assert_false(fl__parse_double("1x", &d));
    assert_true(fl__parse_bool(" TRUE ", &b));
    assert_true(b);
    assert_true(fl__parse_bool("False", &b));
    assert_false(b);
    assert_false(fl__parse_bool("yes", &b));
    assert_false(fl__parse_bool("truee", &b));
}

/* ---- configurations ---- */

static void test_defaults_are_flinks(void **state)
{
    (void)state;
    fl__config *c = fl__config_new();
    assert_int_equal(fl__config_int(c, FL__OPTION_PARALLELISM_DEFAULT), 1);
    assert_int_equal(fl__config_int(c, FL__OPTION_PIPELINE_MAX_PARALLELISM), -1);
    assert_int_equal(fl__config_duration_ms(c, FL__OPTION_PIPELINE_AUTO_WATERMARK_INTERVAL), 200);
    assert_int_equal(fl__config_duration_ms(c, FL__OPTION_EXECUTION_BUFFER_TIMEOUT), 100);
    assert_int_equal(fl__config_memory(c, FL__OPTION_SEGMENT_SIZE), 32768);
    assert_int_equal(fl__config_memory(c, FL__OPTION_RECORD_BYTES_MAX), 64 << 20);
    assert_true(fl__config_bool(c, FL__OPTION_PIPELINE_OPERATOR_CHAINING));
    assert_int_equal(fl__config_enum(c, FL__OPTION_EXECUTION_RUNTIME_MODE), 0);
    assert_int_equal(fl__config_enum(c, FL__OPTION_RESTART_STRATEGY), -1);
    assert_null(fl__config_text(c, FL__OPTION_PIPELINE_NAME));
    assert_string_equal(fl__config_get(c, "rest.port"), "8081");
    assert_string_equal(fl__config_get(c, "execution.buffer-timeout"), "100 ms");
    assert_null(fl__config_get(c, "no.such.key"));
    assert_null(fl__config_get(c, "env.java.home"));
    assert_false(fl__config_is_set(c, FL__OPTION_PARALLELISM_DEFAULT));
    fl__config_free(c);
    fl__config_free(NULL);
}

static void set(fl__config *c, const char *pair)
{
    fl_error error = FL_ERROR_INIT;
    if (fl__config_set_pair(c, pair, &error) != FL_OK)
        fail_msg("%s", error.text);
}

static void test_setting(void **state)
{
    (void)state;
    fl__config *c = fl__config_new();
    set(c, " parallelism.default = 4 ");
    assert_int_equal(fl__config_int(c, FL__OPTION_PARALLELISM_DEFAULT), 4);
    assert_string_equal(fl__config_get(c, "parallelism.default"), "4");
    assert_true(fl__config_is_set(c, FL__OPTION_PARALLELISM_DEFAULT));
    set(c, "parallelism.default=8");
    assert_int_equal(fl__config_int(c, FL__OPTION_PARALLELISM_DEFAULT), 8);
    set(c, "execution.runtime-mode= batch");
    assert_int_equal(fl__config_enum(c, FL__OPTION_EXECUTION_RUNTIME_MODE), 1);
    set(c, "pipeline.name=a=b");
    assert_string_equal(fl__config_text(c, FL__OPTION_PIPELINE_NAME), "a=b");
    set(c, "restart-strategy.type=fixed-delay");
    assert_int_equal(fl__config_enum(c, FL__OPTION_RESTART_STRATEGY), 3);
    set(c, "rest.port=8082");
    assert_int_equal(count_in_log("rest.port has no effect in this version yet"), 1);
    set(c, "pipeline.object-reuse=true");
    assert_int_equal(count_in_log("DEBUG config - option pipeline.object-reuse has no effect"), 1);

    fl__config *copy = fl__config_copy(c);
    set(c, "parallelism.default=1");
    assert_int_equal(fl__config_int(copy, FL__OPTION_PARALLELISM_DEFAULT), 8);
    fl__config_free(copy);
    fl__config_free(c);
}

static void test_former_keys(void **state)
{
    (void)state;
    fl__config *c = fl__config_new();
    set(c, "execution.buffer-timeout=5 ms");
    set(c, "execution.buffer-timeout=6 ms");
    assert_int_equal(fl__config_duration_ms(c, FL__OPTION_EXECUTION_BUFFER_TIMEOUT), 6);
    assert_string_equal(fl__config_get(c, "execution.buffer-timeout.interval"), "6 ms");
    assert_int_equal(
        count_in_log("WARN  config - option execution.buffer-timeout is now called execution.buffer-timeout.interval"),
        1);
    set(c, "execution.buffer-timeout.interval=7 ms");
    set(c, "execution.buffer-timeout=8 ms");
    assert_int_equal(fl__config_duration_ms(c, FL__OPTION_EXECUTION_BUFFER_TIMEOUT), 7);

    fl__config *over = fl__config_new();
    set(over, "execution.buffer-timeout=9 ms");
    fl__config_merge(c, over);
    assert_int_equal(fl__config_duration_ms(c, FL__OPTION_EXECUTION_BUFFER_TIMEOUT), 7);
    set(over, "execution.buffer-timeout.interval=10 ms");
    fl__config_merge(c, over);
    assert_int_equal(fl__config_duration_ms(c, FL__OPTION_EXECUTION_BUFFER_TIMEOUT), 10);
    fl__config_free(over);
    fl__config_free(c);
}

static size_t found;
static void find_keys(void *arg, const char *key, const char *value)
{
    (void)arg;
    found += strcmp(key, "env.java.opts.all") == 0 && strcmp(value, "-Xss1m") == 0;
    found += strcmp(key, "rest.port") == 0 && strcmp(value, "0") == 0;
}

static void test_keys_of_flinks_are_accepted(void **state)
{
    (void)state;
    fl__config *c = fl__config_new();
    set(c, "env.java.opts.all=-Xss1g");
    set(c, "env.java.opts.all=-Xss1m");
    set(c, "metrics.reporter.prom.factory.class=x");
    set(c, "taskmanager.memory.process.size=1728m");
    set(c, "rest.port=0");
    assert_string_equal(fl__config_get(c, "env.java.opts.all"), "-Xss1m");
    assert_int_equal(count_in_log("DEBUG config - option env.java.opts.all is one of Flink's"), 2);
    fl__config *copy = fl__config_copy(c);
    fl__config_each(copy, find_keys, NULL);
    assert_int_equal(found, 2);
    fl__config_free(copy);
    fl__config_free(c);
    assert_true(fl__option_is_flinks("external-resource.gpu.amount"));
    assert_false(fl__option_is_flinks("metrics.reporter..class"));
    assert_false(fl__option_is_flinks("taskmanager.foo"));
}

static void test_wrong_settings_say_what_is_right(void **state)
{
    (void)state;
    static const struct {
        const char *pair, *text;
    } cases[] = {
        { "parallelism.default=abc", "option parallelism.default: 'abc' is not a whole number between 1 and 32768" },
        { "parallelism.default=0", "option parallelism.default: '0' is not a whole number between 1 and 32768" },
        { "pipeline.auto-watermark-interval=1 parsec",
            "option pipeline.auto-watermark-interval: '1 parsec' is not a duration with its unit, such as 200 ms, 10 s "
            "or 1 min" },
        { "taskmanager.memory.segment-size=1kb",
            "option taskmanager.memory.segment-size: '1kb' is not a size with its unit, such as 32 kb, 64 mb or 1.5 g "
            "between 4 kb and 1 gb" },
        { "pipeline.operator-chaining=maybe", "option pipeline.operator-chaining: 'maybe' is not true or false" },
        { "execution.runtime-mode=slow",
            "option execution.runtime-mode: 'slow' is not one of STREAMING BATCH AUTOMATIC" },
        { "execution.runtime-mode=BAT",
            "option execution.runtime-mode: 'BAT' is not one of STREAMING BATCH AUTOMATIC" },
        { "paralelism.default=4", "there is no option 'paralelism.default'; did you mean parallelism.default?" },
        { "parallelism=4", "there is no option 'parallelism'; did you mean parallelism.default or " },
        { "taskmanager.memory.proces.size=1g",
            "there is no option 'taskmanager.memory.proces.size'; did you mean taskmanager.memory.process.size?" },
        { "what.is.this=1", "there is no option 'what.is.this'; `flinc help options` lists them" },
        { "parallelism.default",
            "'parallelism.default' sets no option: write key=value, such as parallelism.default=4" },
        { "=4", "there is no option ''" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl__config *c = fl__config_new();
        fl_error error = FL_ERROR_INIT;
        assert_int_equal(fl__config_set_pair(c, cases[i].pair, &error), FL_ERROR_INVALID);
        if (strncmp(error.text, cases[i].text, strlen(cases[i].text)) != 0)
            fail_msg("%s: %s", cases[i].pair, error.text);
        fl__error_release(&error);
        assert_int_equal(fl__config_int(c, FL__OPTION_PARALLELISM_DEFAULT), 1);
        fl__config_free(c);
    }
}

/* ---- the table ---- */

static void test_the_table_is_sound(void **state)
{
    (void)state;
    for (int i = 0; i < FL__OPTION_COUNT; i++) {
        const fl__option *o = &fl__options[i];
        bool is_former;
        assert_int_equal(fl__option_find(o->key, &is_former), i); /* no key twice */
        assert_false(is_former);
        assert_non_null(o->text);
        assert_true(o->text[strlen(o->text) - 1] == '.');
        assert_true(strncmp(o->key, "flinc.", 6) == 0 || fl__option_is_flinks(o->key));
        for (int j = 0; j < FL__FORMER_MAX && o->former[j]; j++) {
            assert_int_equal(fl__option_find(o->former[j], &is_former), i);
            assert_true(is_former);
            assert_true(fl__option_is_flinks(o->former[j]));
        }
        assert_true((o->type == FL__ENUM) == (o->choices != NULL));
    }
    bool is_former;
    assert_int_equal(fl__option_find("no", &is_former), -1);
}

static void test_every_key_of_the_list_is_found(void **state)
{
    (void)state;
    static const char *const keys[] = {
#include "base/flink_keys.inc"
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        assert_true(fl__option_is_flinks(keys[i]));
        assert_true(i == 0 || strcmp(keys[i - 1], keys[i]) < 0);
    }
}

static void test_reference_page(void **state)
{
    (void)state;
    char *page = fl__options_markdown();
    for (int i = 0; i < FL__OPTION_COUNT; i++) {
        char *cell = NULL;
        assert_true(asprintf(&cell, "| `%s` |", fl__options[i].key) > 0);
        assert_non_null(strstr(page, cell));
        free(cell);
    }
    assert_non_null(strstr(page, "| `parallelism.default` | 1 | Integer, 1 … 32768 | 0.1 | Parallelism of"));
    assert_non_null(strstr(page, "MemorySize, 4 kb … 1 gb"));
    free(page);
}

static void test_edit_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = { { "", "", 0 }, { "a", "", 1 }, { "", "abc", 3 }, { "kitten", "sitting", 3 }, { "ab", "ba", 1 },
        { "abc", "abc", 0 }, { "flinc", "flnic", 1 }, { "abcd", "acbe", 2 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(fl__edit_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(fl__edit_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = { "run", "build", "info", "version", "help" };
    static const struct {
        const char *wanted, *text;
    } cases[] = { { "buidl", "; did you mean build?" }, { "rn", "; did you mean run?" }, { "xyzzy", "" }, { "r", "" },
        { "versions", "; did you mean version?" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl__nearest nearest;
        fl__nearest_init(&nearest, cases[i].wanted);
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            fl__nearest_offer(&nearest, names[j]);
        char *text = fl__nearest_text(&nearest);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
    fl__nearest four;
    fl__nearest_init(&four, "abcdef");
    fl__nearest_offer(&four, "abcdxx");
    fl__nearest_offer(&four, "abcdeg");
    fl__nearest_offer(&four, "abcdyy");
    fl__nearest_offer(&four, "abcdzz");
    fl__nearest_offer(&four, "abcdef2");
    char *text = fl__nearest_text(&four);
    assert_string_equal(text, "; did you mean abcdeg, abcdef2 or abcdxx?");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_memory_sizes),
        cmocka_unit_test(test_numbers_and_truth),
        cmocka_unit_test(test_defaults_are_flinks),
        cmocka_unit_test_setup_teardown(test_setting, begin, end),
        cmocka_unit_test_setup_teardown(test_former_keys, begin, end),
        cmocka_unit_test_setup_teardown(test_keys_of_flinks_are_accepted, begin, end),
        cmocka_unit_test(test_wrong_settings_say_what_is_right),
        cmocka_unit_test(test_the_table_is_sound),
        cmocka_unit_test(test_every_key_of_the_list_is_found),
        cmocka_unit_test(test_reference_page),
        cmocka_unit_test(test_edit_distance),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
