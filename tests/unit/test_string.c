#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "flinc/string.h"

/* A string whose bytes end where the allocation ends, so that the address sanitizer sees any read past them. */
static char *exact(const char *text, size_t length)
{
    char *copy = malloc(length ? length : 1);
    memcpy(copy, text, length);
    return copy;
}

static void assert_text(fl_string s, const char *expected, size_t length)
{
    assert_int_equal(fl_string_length(s), length);
    assert_memory_equal(fl_string_data(&s), expected, length);
    if (length <= FL_STRING_INLINE) {
        static const char zeros[FL_STRING_INLINE];
        assert_memory_equal(s.prefix + length, zeros, FL_STRING_INLINE - length);
    } else {
        assert_memory_equal(s.prefix, expected, 4);
    }
}

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

static void test_of_every_length(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 40; n++) {
        char *data = exact(alphabet, n);
        assert_text(fl_string_of(data, n), alphabet, n);
        free(data);
    }
    assert_text(fl_str(NULL), "", 0);
    assert_text(fl_string_of(NULL, 0), "", 0);
    assert_text(fl_str("hello"), "hello", 5);
}

static void test_slice_of_every_length(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 40; n++) {
        char *data = exact(alphabet, n);
        fl_string s = fl_string_of(data, n);
        for (size_t from = 0; from <= n; from++)
            for (size_t to = from; to <= n; to++)
                assert_text(fl_string_slice(&s, from, to), alphabet + from, to - from);
        assert_text(fl_string_slice(&s, 0, SIZE_MAX), alphabet, n);
        assert_text(fl_string_slice(&s, n + 1, n + 5), "", 0);
        assert_text(fl_string_slice(&s, 5, 3), "", 0);
        free(data);
    }
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void test_compare_and_equal_like_memcmp(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
    } texts[] = {
        { "", 0 },
        { "\0", 1 },
        { "\0\0", 2 },
        { "a", 1 },
        { "a\0", 2 },
        { "a\0b", 3 },
        { "ab", 2 },
        { "abcd", 4 },
        { "abcde", 5 },
        { "abcdefghijkl", 12 },
        { "abcdefghijkl\0", 13 },
        { "abcdefghijklm", 13 },
        { "abcdefghijkln", 13 },
        { "abcdefghijk", 11 },
        { "abc\xff", 4 },
        { "\xff", 1 },
        { "\x7f", 1 },
        { "abcdefghijklmnopqrstuvwxyz", 26 },
        { "abcdefghijklmnopqrstuvwxya", 26 },
        { "abcdefghijkm", 12 },
        { "b", 1 },
        { "\xc3\xa4\xc3\xb6\xc3\xbc", 6 },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (size_t j = 0; j < sizeof texts / sizeof *texts; j++) {
            size_t n = texts[i].length, m = texts[j].length;
            char *x = exact(texts[i].text, n), *y = exact(texts[j].text, m);
            fl_string a = fl_string_of(x, n), b = fl_string_of(y, m);
            int expected = sign(memcmp(x, y, n < m ? n : m));
            if (expected == 0)
                expected = (n > m) - (n < m);
            assert_int_equal(sign(fl_string_compare(a, b)), expected);
            assert_int_equal(fl_string_equal(a, b), expected == 0);
            if (expected == 0)
                assert_true(fl_string_hash(&a) == fl_string_hash(&b));
            free(x);
            free(y);
        }
    }
}

/* What token must do, one byte at a time. */
static size_t naive_tokens(const char *text, size_t length, const char *delimiters, size_t (*spans)[2])
{
    size_t count = 0;
    for (size_t i = 0; i < length;) {
        while (i < length && text[i] && strchr(delimiters, text[i]))
            i++;
        size_t start = i;
        while (i < length && !(text[i] && strchr(delimiters, text[i])))
            i++;
        if (i > start) {
            spans[count][0] = start;
            spans[count++][1] = i;
        }
    }
    return count;
}

static void check_tokens(const char *text, size_t length, const char *delimiters)
{
    size_t spans[128][2], count = naive_tokens(text, length, delimiters, spans);
    char *data = exact(text, length);
    fl_string rest = fl_string_of(data, length), token;
    for (size_t i = 0; i < count; i++) {
        assert_true(fl_string_token(&rest, delimiters, &token));
        assert_text(token, text + spans[i][0], spans[i][1] - spans[i][0]);
    }
    assert_false(fl_string_token(&rest, delimiters, &token));
    assert_false(fl_string_token(&rest, delimiters, &token));
    assert_int_equal(fl_string_length(rest), 0);
    free(data);
}

static void test_token(void **state)
{
    (void)state;
    static const char *const delimiters[] = { " ", " \t", " ,;", " \t,;", " \t,;.!?", "" };
    static const char *const lines[] = {
        "",
        " ",
        "a",
        " a",
        "a ",
        "to be or not to be",
        "  to   be\tor,not;to be...",
        "                                x",
        "aVeryLongWordWithoutAnyDelimiterInsideOfIt",
        "x aVeryLongWordWithoutAnyDelimiterInsideOfIt y",
        "thirteenchars",
        "sixteencharacter",
        "seventeencharacte",
        "fifteencharacte ",
        "a b c d e f g h i j k l m n o p q",
        "one, two; three. four! five? six, seven eight nine ten eleven twelve",
    };
    for (size_t d = 0; d < sizeof delimiters / sizeof *delimiters; d++)
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
            check_tokens(lines[i], strlen(lines[i]), delimiters[d]);
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[64];
        size_t length = (size_t)rand_r(&seed) % sizeof text;
        for (size_t i = 0; i < length; i++)
            text[i] = rand_r(&seed) % (2 + round % 7) ? (char)('a' + rand_r(&seed) % 26) : " ,\t;!"[rand_r(&seed) % 5];
        check_tokens(text, length, delimiters[round % 5]);
    }
}

static void check_fields(const char *text, size_t length)
{
    char *data = exact(text, length);
    fl_string rest = fl_string_of(data, length), field;
    size_t start = 0;
    for (size_t i = 0; length > 0 && i <= length; i++) {
        if (i < length && text[i] != ',')
            continue;
        assert_true(fl_string_field(&rest, ',', &field));
        assert_text(field, text + start, i - start);
        start = i + 1;
    }
    assert_false(fl_string_field(&rest, ',', &field));
    assert_int_equal(rest.length, 0);
    assert_null(rest.bytes);
    free(data);
}

static void test_field(void **state)
{
    (void)state;
    static const char *const lines[] = { "", ",", ",,", "a", "a,", ",a", "a,b", "a,,b,", "1,sensor_1,35.8,1547718199",
        "a very long first field,a very long second field,", ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,x" };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        check_fields(lines[i], strlen(lines[i]));
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[64];
        size_t length = (size_t)rand_r(&seed) % sizeof text;
        for (size_t i = 0; i < length; i++)
            text[i] = rand_r(&seed) % (2 + round % 17) ? (char)('a' + rand_r(&seed) % 26) : ',';
        check_fields(text, length);
    }
}

static void test_find_and_ends(void **state)
{
    (void)state;
    fl_string s = fl_str("GET /index.html HTTP/1.1"), short_one = fl_str("abcabc");
    assert_int_equal(fl_string_find(&s, "/", 0), 4);
    assert_int_equal(fl_string_find(&s, "/", 5), 20);
    assert_int_equal(fl_string_find(&s, "nothing", 0), -1);
    assert_int_equal(fl_string_find(&s, "GET", 1), -1);
    assert_int_equal(fl_string_find(&s, "", 24), 24);
    assert_int_equal(fl_string_find(&s, "", 25), -1);
    assert_int_equal(fl_string_find(&short_one, "c", 3), 5);
    assert_true(fl_string_starts_with(&s, "GET "));
    assert_false(fl_string_starts_with(&s, "PUT "));
    assert_false(fl_string_starts_with(&short_one, "abcabcd"));
    assert_true(fl_string_ends_with(&s, "1.1"));
    assert_false(fl_string_ends_with(&short_one, "xabcabc"));
    assert_true(fl_string_starts_with(&short_one, ""));
    assert_true(fl_string_ends_with(&short_one, ""));
}

static void test_trim_and_copy(void **state)
{
    (void)state;
    static const char *const cases[][2] = { { "", "" }, { " \t\r\n\v\f", "" }, { " a ", "a" },
        { "\ta long text with spaces inside \r\n", "a long text with spaces inside" }, { "none", "none" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_string s = fl_str(cases[i][0]);
        assert_text(fl_string_trim(&s), cases[i][1], strlen(cases[i][1]));
    }
    char buffer[8];
    fl_string s = fl_str("a longer string");
    assert_string_equal(fl_string_copy(&s, buffer, sizeof buffer), "a longe");
    s = fl_str("short");
    assert_string_equal(fl_string_copy(&s, buffer, sizeof buffer), "short");
    assert_string_equal(fl_string_copy(&s, buffer, 1), "");
    char text[32];
    snprintf(text, sizeof text, "<%.*s>", FL_STR(s));
    assert_string_equal(text, "<short>");
}

static void test_to_int(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "+7", true, 7 },
        { "42", true, 42 },
        { "-42", true, -42 },
        { "000000000000000000000000000001", true, 1 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775809", false, 0 },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { "+", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1.0", false, 0 },
        { "0x10", false, 0 },
        { "12a", false, 0 },
        { "--1", false, 0 },
        { "1234567890123456789a", false, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_string s = fl_str(cases[i].text);
        int64_t value = 77;
        assert_int_equal(fl_string_to_int(&s, &value), cases[i].ok);
        assert_true(value == (cases[i].ok ? cases[i].value : 77));
    }
}

static void test_to_double(void **state)
{
    (void)state;
    static const char long_small[] = "0.000000000000000000000000000000000000000000000000000000"
                                     "000000000000000000000000000000000000000000000000000000001";
    static const char *const good[] = { "0", "-0", "1", "1.5", ".5", "5.", "1e3", "1E-3", "+2.25", "123456789012345678",
        "1234567890123456789012345678901234567890", "1e22", "1e23", "9007199254740993", "1.7976931348623157e308",
        "4.9e-324", "1e-400", "3.141592653589793238462643383279502884197", "0.1", "2.2250738585072011e-308", "inf",
        "-Infinity", "35.8", long_small };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fl_string s = fl_str(good[i]);
        double value = 77, expected = strtod(good[i], NULL);
        assert_true(fl_string_to_double(&s, &value));
        assert_memory_equal(&value, &expected, sizeof value);
    }
    static const char *const bad[] = { "", " 1", "1 ", "abc", "1e", "1e+", "0x10", "0X1p3", "1.2.3", "1e999", "-1e999",
        ".", "--1", "1,5" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fl_string s = fl_str(bad[i]);
        double value = 77;
        assert_false(fl_string_to_double(&s, &value));
        assert_true(value == 77);
    }
    fl_string s = fl_str("NaN");
    double value = 0;
    assert_true(fl_string_to_double(&s, &value));
    assert_true(isnan(value));
    s = fl_string_of("1\0", 2);
    assert_false(fl_string_to_double(&s, &value));
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[48];
        snprintf(text, sizeof text, "%d.%0*de%d", rand_r(&seed) % 100000 - 50000, rand_r(&seed) % 14 + 1,
            rand_r(&seed) % 10000000, rand_r(&seed) % 60 - 30);
        double expected = strtod(text, NULL);
        s = fl_str(text);
        assert_true(fl_string_to_double(&s, &value));
        assert_memory_equal(&value, &expected, sizeof value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_every_length),
        cmocka_unit_test(test_slice_of_every_length),
        cmocka_unit_test(test_compare_and_equal_like_memcmp),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_field),
        cmocka_unit_test(test_find_and_ends),
        cmocka_unit_test(test_trim_and_copy),
        cmocka_unit_test(test_to_int),
        cmocka_unit_test(test_to_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
