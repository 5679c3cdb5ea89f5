/* CSV, JSON and lines: what each writes and cuts, case by case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/csv.h"
#include "formats/json.h"
#include "formats/lines.h"

typedef struct {
    fl_nulls nulls;
    fl_string city;
    int32_t zip;
} Address;
FL_ROW(Address, nulls, city, zip);

typedef struct {
    int64_t id;
    fl_array tags;
    fl_map_value scores;
    Address home;
    char code[4];
} User;
FL_ROW(User, id, (tags, .element = FL_TYPE(fl_string)), (scores, .key = FL_TYPE(int32_t), .element = FL_TYPE(double)),
    (home, .row = FL_TYPE(Address)), (code, .raw = true));

typedef struct {
    fl_date date;
    fl_time_of_day time;
    fl_timestamp at;
    fl_timestamp_ltz instant;
    fl_interval_months months;
    fl_interval span;
} Times;
FL_ROW(Times, date, time, at, instant, months, span);

typedef struct {
    bool yes;
    int8_t i8;
    uint64_t u64;
    float f;
    double d;
    fl_decimal price;
    fl_bytes blob;
} Scalars;
FL_ROW(Scalars, yes, i8, u64, f, d, price, blob);

static void assert_written(fl__text *text, const char *expected)
{
    fl__text_char(text, 0);
    assert_string_equal(text->data, expected);
    text->length = 0;
}

static User some_user(void)
{
    static const fl_string tags[2] = { { .length = 1, .prefix = "a" }, { .length = 3, .prefix = "b\"c" } };
    static const uint64_t tag_nulls[1] = { 1 };
    static const int32_t keys[2] = { 7, -1 };
    static const double values[2] = { 0.5, 2 };
    return (User){
        .id = -5,
        .tags = { tags, tag_nulls, 2, 0 },
        .scores = { keys, values, NULL, 2, 0 },
        .home = { .nulls = { 2 }, .city = fl_str("Köln, am Rhein"), .zip = 50667 },
        .code = { 1, 2, 3, 4 },
    };
}

static void test_json_of_nested(void **state)
{
    (void)state;
    fl__text text = FL__TEXT_INIT;
    User user = some_user();
    fl__json_write(&text, FL_TYPE(User), &user, NULL);
    assert_written(&text, "{\"id\":-5,\"tags\":[null,\"b\\\"c\"],\"scores\":{\"7\":0.5,\"-1\":2.0},"
                          "\"home\":{\"city\":\"Köln, am Rhein\",\"zip\":null},\"code\":\"AQIDBA==\"}");
    fl__text_release(&text);
}

static void test_json_of_scalars(void **state)
{
    (void)state;
    fl__text text = FL__TEXT_INIT;
    Scalars s = { true, -128, UINT64_MAX, 0.1f, 1e10, fl_decimal_of(-1234, 10, 2), { fl_str("\x00\x01z") } };
    s.blob.s = fl_string_of("\x00\xffz", 3);
    fl__json_write(&text, FL_TYPE(Scalars), &s, NULL);
    assert_written(&text,
        "{\"yes\":true,\"i8\":-128,\"u64\":18446744073709551615,\"f\":0.1,\"d\":1.0E10,\"price\":-12.34,"
        "\"blob\":\"AP96\"}");
    double odd[] = { NAN, INFINITY, -INFINITY, -0.0, 5e-324, 1.0 / 3 };
    const char *expected[] = { "\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "-0.0", "4.9E-324", "0.3333333333333333" };
    for (int i = 0; i < 6; i++) {
        fl__json_write(&text, FL_TYPE(double), &odd[i], NULL);
        assert_written(&text, expected[i]);
    }
    fl__text_release(&text);
}

static void test_json_of_times(void **state)
{
    (void)state;
    fl__text text = FL__TEXT_INIT;
    Times t = { { 16572 }, { 36303250 }, { 1431857103000, 0, 0 }, { -1, 999999, 0 }, { 14 }, { 90000 } };
    fl__json_write(&text, FL_TYPE(Times), &t, NULL);
    assert_written(&text, "{\"date\":\"2015-05-17\",\"time\":\"10:05:03.25\",\"at\":\"2015-05-17T10:05:03\","
                          "\"instant\":\"1969-12-31T23:59:59.999999999Z\",\"months\":14,\"span\":90000}");
    fl__json_write(&text, FL_TYPE(fl_timestamp), &t.at, &(fl__json_options){ .sql_timestamps = true });
    assert_written(&text, "\"2015-05-17 10:05:03\"");
    fl_time_of_day midnight = { 0 };
    fl__json_write(&text, FL_TYPE(fl_time_of_day), &midnight, NULL);
    assert_written(&text, "\"00:00:00\"");
    fl_timestamp first = { INT64_MIN, 0, 0 };
    fl__json_write(&text, FL_TYPE(fl_timestamp), &first, NULL);
    assert_written(&text, "\"-292275055-05-16T16:47:04.192\"");
    fl__text_release(&text);
}

static void test_json_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t length;
        const char *out;
    } cases[] = {
        { "", 0, "\"\"" },
        { "a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"" },
        { "\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"" },
        { "\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"" },
        { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\"é€😀\"" },
        { "\xff", 1, "\"\xef\xbf\xbd\"" },
        { "\xc3", 1, "\"\xef\xbf\xbd\"" },
        { "\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"" },                 /* overlong */
        { "\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* a surrogate */
        { "\xf4\x90\x80\x80"
          "x",
            5, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\"" },
    };
    fl__text text = FL__TEXT_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fl__json_write_string(&text, cases[i].in, cases[i].length);
        assert_written(&text, cases[i].out);
    }
    fl__text_release(&text);
}

static void test_base64(void **state)
{
    (void)state;
    static const char *cases[][2] = { { "", "\"\"" }, { "f", "\"Zg==\"" }, { "fo", "\"Zm8=\"" }, { "foo", "\"Zm9v\"" },
        { "foobar", "\"Zm9vYmFy\"" }, { "a longer one than 12", "\"YSBsb25nZXIgb25lIHRoYW4gMTI=\"" } };
    fl__text text = FL__TEXT_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fl_bytes bytes = { fl_str(cases[i][0]) };
        fl__json_write(&text, FL_TYPE(fl_bytes), &bytes, NULL);
        assert_written(&text, cases[i][1]);
    }
    fl__text_release(&text);
}

static void test_csv(void **state)
{
    (void)state;
    fl__text text = FL__TEXT_INIT;
    User user = some_user();
    fl__csv_write_header(&text, FL_TYPE(User), ';');
    fl__csv_write(&text, FL_TYPE(User), &user, ';');
    assert_written(&text, "id;tags;scores;home;code\n"
                          "-5;\"[null,\"\"b\\\"\"c\"\"]\";\"{\"\"7\"\":0.5,\"\"-1\"\":2.0}\";"
                          "\"{\"\"city\"\":\"\"Köln, am Rhein\"\",\"\"zip\"\":null}\";AQIDBA==\n");
    Address address = { .nulls = { 1 }, .zip = 3 };
    fl__csv_write(&text, FL_TYPE(Address), &address, ',');
    assert_written(&text, ",3\n");
    address.nulls.bits = 2;
    fl__csv_write(&text, FL_TYPE(Address), &address, ',');
    assert_written(&text, "\"\",\n");
    address.city = fl_str("two\nlines");
    fl__csv_write(&text, FL_TYPE(Address), &address, '\t');
    assert_written(&text, "\"two\nlines\"\t\n");
    Times t = { { 16572 }, { 36303250 }, { 1431857103000, 0, 0 }, { 0, 0, 0 }, { 14 }, { 90000 } };
    fl__csv_write(&text, FL_TYPE(Times), &t, ',');
    assert_written(&text, "2015-05-17,10:05:03.25,2015-05-17 10:05:03,1970-01-01 00:00:00Z,14,90000\n");
    fl__csv_write(&text, FL_TYPE(Times), &t, ':');
    assert_written(&text, "2015-05-17:\"10:05:03.25\":\"2015-05-17 10:05:03\":\"1970-01-01 00:00:00Z\":14:90000\n");
    double d = 2.5;
    fl__csv_write_header(&text, FL_TYPE(double), ',');
    fl__csv_write(&text, FL_TYPE(double), &d, ',');
    assert_written(&text, "double\n2.5\n");
    fl__text_release(&text);
}

static void test_csv_separators(void **state)
{
    (void)state;
    for (const char *p = ",;|\t:# "; *p; p++)
        assert_true(fl__csv_is_separator(*p));
    for (const char *p = "\"\r\na0Z_.+-\xc3"; *p; p++)
        assert_false(fl__csv_is_separator(*p));
    assert_false(fl__csv_is_separator(0));
}

/* ---- lines ---- */

/* Feeds the input in pieces of a size and joins the lines with '|'. */
static char *cut(const char *input, const char *delimiter, size_t piece, size_t max)
{
    static char result[512];
    char *end = result;
    fl__lines lines;
    fl_string line;
    fl__lines_init(&lines, delimiter, max, 0, NULL);
    size_t length = strlen(input), at = 0;
    fl_status status;
    *end = 0;
    for (;;) {
        while ((status = fl__lines_next(&lines, &line)) == FL_OK)
            end += sprintf(end, "%.*s|", FL_STR(line));
        if (status != FL_AGAIN) {
            sprintf(end, "%s at %d", fl_status_name(status), (int)lines.offset);
            break;
        }
        if (at == length) {
            if (fl__lines_last(&lines, &line))
                sprintf(end, "%.*s.", FL_STR(line));
            break;
        }
        size_t room, n = length - at < piece ? length - at : piece;
        char *to = fl__lines_space(&lines, &room);
        assert_true(room >= n);
        memcpy(to, input + at, n);
        fl__lines_added(&lines, n);
        at += n;
    }
    fl__lines_release(&lines);
    return result;
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *input, *delimiter;
        size_t max;
        const char *expected;
    } cases[] = {
        { "", "\n", 0, "" },
        { "a", "\n", 0, "a." },
        { "a\n", "\n", 0, "a|" },
        { "a\r\nb\rc\r\n\r\n\nd\r", "\n", 0, "a|b\rc|||d." },
        { "a\r\nb\r\n", "\r\n", 0, "a|b|" },
        { "a--b---c-", "--", 0, "a|b|-c-." },
        { "xENDyENxEND", "END", 0, "x|yENx|" },
        { "a long line of more than twelve bytes\nb\n", "\n", 0, "a long line of more than twelve bytes|b|" },
        { "1234\n12345\n", "\n", 4, "1234|FL_ERROR_LIMIT at 5" },
        { "1234\r\n1234", "\n", 4, "1234|1234." },
        { "123456789", "\n", 4, "FL_ERROR_LIMIT at 0" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece < 12; piece++)
            assert_string_equal(cut(cases[i].input, cases[i].delimiter, piece, cases[i].max), cases[i].expected);
}

static void test_lines_grow(void **state)
{
    (void)state;
    size_t length = 3 * FL__LINES_READ_BYTES + 17, room;
    fl__lines lines;
    fl_string line;
    fl__lines_init(&lines, "\n", 0, 100, NULL);
    for (size_t at = 0; at < length;) {
        char *to = fl__lines_space(&lines, &room);
        size_t n = length - at < room ? length - at : room;
        memset(to, 'x', n);
        fl__lines_added(&lines, n);
        assert_int_equal(fl__lines_next(&lines, &line), FL_AGAIN);
        at += n;
    }
    fl__lines_space(&lines, &room)[0] = '\n';
    fl__lines_added(&lines, 1);
    assert_int_equal(fl__lines_next(&lines, &line), FL_OK);
    assert_int_equal(fl_string_length(line), length);
    assert_int_equal(lines.offset, 100 + length + 1);
    assert_false(fl__lines_last(&lines, &line));
    fl__lines_release(&lines);
}

static void test_local_delimiters(void **state)
{
    (void)state;
    assert_true(fl__delimiter_is_local("\n"));
    assert_true(fl__delimiter_is_local("\r\n"));
    assert_true(fl__delimiter_is_local("ab"));
    assert_false(fl__delimiter_is_local("\n\n"));
    assert_false(fl__delimiter_is_local("aba"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_of_nested),
        cmocka_unit_test(test_json_of_scalars),
        cmocka_unit_test(test_json_of_times),
        cmocka_unit_test(test_json_escapes),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_csv_separators),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lines_grow),
        cmocka_unit_test(test_local_delimiters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
