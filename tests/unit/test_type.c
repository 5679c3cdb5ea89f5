#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "data/decimal.h"
#include "data/type.h"

typedef struct {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

typedef struct {
    fl_string street;
    int32_t number;
} Address;
FL_ROW(Address, street, number);

typedef struct {
    fl_nulls nulls;
    int64_t id;
    fl_array tags;
    Address home;
    char code[8];
    fl_map_value limits;
    double score;
} User;
FL_ROW(User, nulls, id, (tags, .element = FL_TYPE(fl_string)), (home, .row = FL_TYPE(Address)), (code, .raw = true),
    (limits, .key = FL_TYPE(fl_string), .element = FL_TYPE(int)), score);

typedef struct {
    bool a;
    int8_t b;
    int16_t c;
    int32_t d;
    int64_t e;
    uint8_t f;
    uint16_t g;
    uint32_t h;
    uint64_t i;
    float j;
    double k;
    fl_decimal l;
    fl_string m;
    fl_bytes n;
    fl_date o;
    fl_time_of_day p;
    fl_timestamp q;
    fl_timestamp_ltz r;
    fl_interval_months s;
    fl_interval t;
    long u;
    long long v;
    unsigned long long w;
    int x;
} Everything;
FL_ROW(Everything, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x);

static void test_kinds_come_from_the_members(void **state)
{
    (void)state;
    const fl_type *type = FL_TYPE(Everything);
    static const fl_kind kinds[] = { FL_KIND_BOOLEAN, FL_KIND_INT8, FL_KIND_INT16, FL_KIND_INT32, FL_KIND_INT64,
        FL_KIND_UINT8, FL_KIND_UINT16, FL_KIND_UINT32, FL_KIND_UINT64, FL_KIND_FLOAT, FL_KIND_DOUBLE, FL_KIND_DECIMAL,
        FL_KIND_STRING, FL_KIND_BYTES, FL_KIND_DATE, FL_KIND_TIME, FL_KIND_TIMESTAMP, FL_KIND_TIMESTAMP_LTZ,
        FL_KIND_INTERVAL_MONTHS, FL_KIND_INTERVAL, FL_KIND_INT64, FL_KIND_INT64, FL_KIND_UINT64, FL_KIND_INT32 };
    assert_int_equal(type->field_count, sizeof kinds / sizeof *kinds);
    for (uint32_t i = 0; i < type->field_count; i++) {
        assert_int_equal(fl_field_kind(&type->fields[i]), kinds[i]);
        assert_int_equal(type->fields[i].size, type->fields[i].type->size);
    }
    assert_int_equal(type->size, sizeof(Everything));
    assert_string_equal(type->name, "Everything");
    assert_string_equal(type->fields[1].name, "b");
    assert_int_equal(FL_TYPE(int)->kind, FL_KIND_INT32);
    assert_int_equal(FL_TYPE(bool)->kind, FL_KIND_BOOLEAN);
    assert_int_equal(FL_TYPE(long)->kind, FL_KIND_INT64);
    assert_int_equal(fl_field_kind(&FL_TYPE(User)->fields[3]), FL_KIND_ROW);
    assert_int_equal(fl_field_kind(&FL_TYPE(User)->fields[4]), FL_KIND_RAW);
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__type_check(type, &error), FL_OK);
    assert_int_equal(fl__type_check(FL_TYPE(User), &error), FL_OK);
    assert_int_equal(fl__type_check(FL_TYPE(double), &error), FL_OK);
}

static void test_field_by_dotted_name(void **state)
{
    (void)state;
    uint32_t offset = 99;
    assert_ptr_equal(fl_type_field(FL_TYPE(WordCount), "count", &offset), &FL_TYPE(WordCount)->fields[1]);
    assert_int_equal(offset, offsetof(WordCount, count));
    assert_ptr_equal(fl_type_field(FL_TYPE(User), "home.number", &offset), &FL_TYPE(Address)->fields[1]);
    assert_int_equal(offset, offsetof(User, home) + offsetof(Address, number));
    assert_non_null(fl_type_field(FL_TYPE(User), "home", NULL));
    offset = 99;
    static const char *const none[] = { "", "coun", "count2", "word.x", ".", "count." };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_null(fl_type_field(FL_TYPE(WordCount), none[i], &offset));
    assert_null(fl_type_field(FL_TYPE(User), "home.", &offset));
    assert_null(fl_type_field(FL_TYPE(User), "nulls", &offset));
    assert_null(fl_type_field(FL_TYPE(int), "count", &offset));
    assert_int_equal(offset, 99);
}

static void test_equal_types(void **state)
{
    (void)state;
    const fl_field same[] = { { .name = "word", .offset = 0, .size = 16, .type = FL_TYPE(fl_string) },
        { .name = "count", .offset = 16, .size = 8, .type = FL_TYPE(long) } };
    fl_type other = { .kind = FL_KIND_ROW, .size = 24, .align = 8, .field_count = 2, .name = "Other", .fields = same };
    assert_true(fl_type_equal(FL_TYPE(WordCount), &other));
    assert_true(fl_type_equal(FL_TYPE(User), FL_TYPE(User)));
    assert_false(fl_type_equal(FL_TYPE(User), FL_TYPE(WordCount)));
    assert_false(fl_type_equal(FL_TYPE(int), FL_TYPE(uint32_t)));
    other.field_count = 1;
    assert_false(fl_type_equal(FL_TYPE(WordCount), &other));
    const fl_field renamed[] = { same[0], { .name = "total", .offset = 16, .size = 8, .type = FL_TYPE(long) } };
    const fl_field changed[] = { same[0], { .name = "count", .offset = 16, .size = 8, .type = FL_TYPE(double) } };
    other.field_count = 2;
    other.fields = renamed;
    assert_false(fl_type_equal(FL_TYPE(WordCount), &other));
    other.fields = changed;
    assert_false(fl_type_equal(FL_TYPE(WordCount), &other));
}

static void test_check_names_what_is_wrong(void **state)
{
    (void)state;
    const fl_field no_element = {
        .name = "tags", .offset = 0, .size = sizeof(fl_array), .type = &fl__type_of_fl_array
    };
    const fl_field no_key = {
        .name = "map", .size = sizeof(fl_map_value), .type = &fl__type_of_fl_map_value, .element = FL_TYPE(int)
    };
    const fl_field map_of_arrays = { .name = "map",
        .size = sizeof(fl_map_value),
        .type = &fl__type_of_fl_map_value,
        .element = FL_TYPE(int),
        .key = &fl__type_of_fl_array };
    const fl_field outside = { .name = "far", .offset = 60, .size = 8, .type = FL_TYPE(int64_t) };
    const fl_field unknown = { .name = "file", .offset = 0, .size = 8 };
    const fl_field wrong_size = { .name = "n", .offset = 0, .size = 4, .type = FL_TYPE(int64_t) };
    const fl_field twice[] = { { .name = "n", .size = 4, .type = FL_TYPE(int) },
        { .name = "n", .size = 4, .type = FL_TYPE(int) } };
    const fl_field only_nulls = { .name = "nulls", .size = 8, .type = &fl__type_of_fl_nulls };
    const fl_field two_nulls[] = { only_nulls, { .name = "again", .size = 8, .type = &fl__type_of_fl_nulls },
        { .name = "n", .size = 4, .type = FL_TYPE(int) } };
    const struct {
        const fl_field *fields;
        uint32_t count;
        const char *says;
    } cases[] = {
        { &no_element, 1, "field tags of Bad: an fl_array needs its element type" },
        { &no_key, 1, "field map of Bad: an fl_map_value needs its types" },
        { &map_of_arrays, 1, "field map of Bad: a map's key must not hold arrays" },
        { &outside, 1, "field far of Bad: lies outside of the struct of 64 bytes" },
        { &unknown, 1, "field file of Bad: its C type is none that flinc knows" },
        { &wrong_size, 1, "field n of Bad: has 4 bytes" },
        { twice, 2, "Bad lists member n twice" },
        { two_nulls, 3, "2 members of type fl_nulls" },
        { &only_nulls, 1, "Bad lists no members" },
        { NULL, 0, "Bad lists no members" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const fl_type bad = { .kind = FL_KIND_ROW,
            .size = 64,
            .align = 8,
            .field_count = cases[i].count,
            .name = "Bad",
            .fields = cases[i].fields,
            .where = { "job.c", 7 } };
        fl_error error = FL_ERROR_INIT;
        assert_int_equal(fl__type_check(&bad, &error), FL_ERROR_INVALID);
        if (!strstr(error.text, cases[i].says))
            fail_msg("%s", error.text);
        assert_int_equal(error.where.line, 7);
        fl__error_release(&error);
        assert_int_equal(fl__type_check(&bad, NULL), FL_ERROR_INVALID);
    }
}

/* ---- text ---- */

static void assert_format(const fl_type *type, const void *value, const char *expected)
{
    char buffer[512];
    size_t length = fl_format(type, value, buffer, sizeof buffer);
    assert_string_equal(buffer, expected);
    assert_int_equal(length, strlen(expected));
}

/* What Java 21 prints. */
static void test_format_doubles_as_java(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        { 0.0, "0.0" },
        { -0.0, "-0.0" },
        { 1.0, "1.0" },
        { -1.5, "-1.5" },
        { 0.1, "0.1" },
        { 0.001, "0.001" },
        { 0.00123, "0.00123" },
        { 0.0009, "9.0E-4" },
        { 0.00099999, "9.9999E-4" },
        { 1e-5, "1.0E-5" },
        { 100.0, "100.0" },
        { 9999999.0, "9999999.0" },
        { 1e7, "1.0E7" },
        { 12345678.9, "1.23456789E7" },
        { 1.5e10, "1.5E10" },
        { 123456.789, "123456.789" },
        { 1.0 / 3.0, "0.3333333333333333" },
        { 2.0 / 3.0, "0.6666666666666666" },
        { 1e21, "1.0E21" },
        { 1e22, "1.0E22" },
        { 1e23, "1.0E23" },
        { 2e23, "2.0E23" },
        { 2.2250738585072014E-308, "2.2250738585072014E-308" },
        { 4.9e-324, "4.9E-324" },
        { 1.7976931348623157e308, "1.7976931348623157E308" },
        { INFINITY, "Infinity" },
        { -INFINITY, "-Infinity" },
        { NAN, "NaN" },
        { -NAN, "NaN" },
        { 35.8, "35.8" },
        { 9007199254740993.0, "9.007199254740992E15" },
        { 0x1p-44, "5.684341886080802E-14" },
        { 9.5367431640625E-7, "9.5367431640625E-7" },
        { 1.1, "1.1" },
        { 4503599627370497.0, "4.503599627370497E15" },
        { 9999999.999999998, "9999999.999999998" },
        { 1e-323, "9.9E-324" },
        { 0x1p-1074 * 3, "1.5E-323" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_format(FL_TYPE(double), &cases[i].value, cases[i].text);
    static const struct {
        float value;
        const char *text;
    } floats[] = {
        { 0.1f, "0.1" },
        { 1.0f, "1.0" },
        { 3.4028235e38f, "3.4028235E38" },
        { 1.4e-45f, "1.4E-45" },
        { 16777216.0f, "1.6777216E7" },
        { 0.33333334f, "0.33333334" },
        { 1e10f, "1.0E10" },
        { 8.5e-4f, "8.5E-4" },
        { 2.0e-3f, "0.002" },
        { 1.17549435e-38f, "1.1754944E-38" },
        { 33554432.0f, "3.3554432E7" },
        { 9.8607613e-32f, "9.8607613E-32" },
    };
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        assert_format(FL_TYPE(float), &floats[i].value, floats[i].text);
}

static int significant_digits(const char *text)
{
    int count = 0, zeros = 0;
    for (; *text && *text != 'E'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && count + zeros == 0))
            continue;
        if (*text == '0') {
            zeros++; /* counts if another digit follows */
        } else {
            count += zeros + 1;
            zeros = 0;
        }
    }
    return count;
}

static void test_formatted_doubles_read_back(void **state)
{
    (void)state;
    uint64_t x = 1;
    for (int i = 0; i < 60000; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = x ^ (x >> 33);
        if (i < 2046) /* every power of two: where numbers below lie closer than above */
            bits = (uint64_t)(i + 1) << 52;
        else if (i % 2) /* magnitudes that people use */
            bits = (bits & UINT64_C(0x800fffffffffffff)) | (1000 + (bits >> 52) % 80) << 52;
        double value, back;
        memcpy(&value, &bits, sizeof value);
        if (isnan(value) || isinf(value))
            continue;
        char text[64], shorter[64];
        fl_format(FL_TYPE(double), &value, text, sizeof text);
        fl_string s = fl_str(text);
        assert_true(fl_string_to_double(&s, &back));
        assert_memory_equal(&back, &value, sizeof value);
        int digits = significant_digits(text);
        if (digits > 2) {
            snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
            assert_false(strtod(shorter, NULL) == value);
        }
    }
}

static void test_formatted_floats_read_back(void **state)
{
    (void)state;
    for (uint32_t bits = 1; bits < 0x7f800000; bits += 9973) {
        float value;
        memcpy(&value, &bits, sizeof value);
        char text[64], shorter[64];
        fl_format(FL_TYPE(float), &value, text, sizeof text);
        assert_true(strtof(text, NULL) == value);
        int digits = significant_digits(text);
        if (digits > 2) {
            snprintf(shorter, sizeof shorter, "%.*e", digits - 2, (double)value);
            assert_false(strtof(shorter, NULL) == value);
        }
    }
}

static void test_format_of_scalars(void **state)
{
    (void)state;
    assert_format(FL_TYPE(bool), &(bool){ true }, "true");
    assert_format(FL_TYPE(bool), &(bool){ false }, "false");
    assert_format(FL_TYPE(int8_t), &(int8_t){ -128 }, "-128");
    assert_format(FL_TYPE(int16_t), &(int16_t){ -32768 }, "-32768");
    assert_format(FL_TYPE(int32_t), &(int32_t){ 42 }, "42");
    assert_format(FL_TYPE(int64_t), &(int64_t){ INT64_MIN }, "-9223372036854775808");
    assert_format(FL_TYPE(uint8_t), &(uint8_t){ 255 }, "255");
    assert_format(FL_TYPE(uint16_t), &(uint16_t){ 65535 }, "65535");
    assert_format(FL_TYPE(uint32_t), &(uint32_t){ UINT32_MAX }, "4294967295");
    assert_format(FL_TYPE(uint64_t), &(uint64_t){ UINT64_MAX }, "18446744073709551615");
    fl_string s = fl_str("as it is, \"quotes\" too");
    assert_format(FL_TYPE(fl_string), &s, "as it is, \"quotes\" too");
    fl_bytes b = { fl_string_of("\x00\x1f\xff", 3) };
    assert_format(FL_TYPE(fl_bytes), &b, "001fff");
    fl_decimal d = fl_decimal_of(-12345, 10, 2);
    assert_format(FL_TYPE(fl_decimal), &d, "-123.45");
    d = fl_decimal_of(5, 10, 3);
    assert_format(FL_TYPE(fl_decimal), &d, "0.005");
    d = fl_decimal_of(0, 10, 0);
    assert_format(FL_TYPE(fl_decimal), &d, "0");
    d = fl_decimal_of(-7, 10, 0);
    assert_format(FL_TYPE(fl_decimal), &d, "-7");
}

/* As java.time prints them. */
static void test_format_of_times(void **state)
{
    (void)state;
    static const struct {
        int32_t days;
        const char *text;
    } dates[] = { { 0, "1970-01-01" }, { -1, "1969-12-31" }, { 16572, "2015-05-17" }, { 11016, "2000-02-29" },
        { 11017, "2000-03-01" }, { -719528, "0000-01-01" }, { -719529, "-0001-12-31" }, { 2932896, "9999-12-31" },
        { 2932897, "+10000-01-01" }, { -25509, "1900-02-28" }, { -25508, "1900-03-01" } };
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++)
        assert_format(FL_TYPE(fl_date), &(fl_date){ dates[i].days }, dates[i].text);
    assert_format(FL_TYPE(fl_time_of_day), &(fl_time_of_day){ 0 }, "00:00");
    assert_format(FL_TYPE(fl_time_of_day), &(fl_time_of_day){ 36303000 }, "10:05:03");
    assert_format(FL_TYPE(fl_time_of_day), &(fl_time_of_day){ 36303250 }, "10:05:03.250");
    assert_format(FL_TYPE(fl_time_of_day), &(fl_time_of_day){ 86399999 }, "23:59:59.999");
    const int64_t ms = INT64_C(1431857103000); /* 2015-05-17 10:05:03 */
    assert_format(FL_TYPE(fl_timestamp), &((fl_timestamp){ .ms = ms }), "2015-05-17T10:05:03");
    assert_format(FL_TYPE(fl_timestamp), &((fl_timestamp){ .ms = ms - 3000 }), "2015-05-17T10:05");
    assert_format(FL_TYPE(fl_timestamp), &((fl_timestamp){ .ms = ms + 7 }), "2015-05-17T10:05:03.007");
    assert_format(FL_TYPE(fl_timestamp), &((fl_timestamp){ .ms = ms, .ns = 1000 }), "2015-05-17T10:05:03.000001");
    assert_format(FL_TYPE(fl_timestamp), &((fl_timestamp){ .ms = ms, .ns = 1 }), "2015-05-17T10:05:03.000000001");
    assert_format(FL_TYPE(fl_timestamp), &((fl_timestamp){ .ms = -1 }), "1969-12-31T23:59:59.999");
    assert_format(FL_TYPE(fl_timestamp_ltz), &((fl_timestamp_ltz){ .ms = ms - 3000 }), "2015-05-17T10:05:00Z");
    assert_format(FL_TYPE(fl_interval_months), &(fl_interval_months){ 14 }, "P1Y2M");
    assert_format(FL_TYPE(fl_interval_months), &(fl_interval_months){ -1 }, "P-1M");
    assert_format(FL_TYPE(fl_interval_months), &(fl_interval_months){ 0 }, "P0D");
    assert_format(FL_TYPE(fl_interval), &(fl_interval){ 0 }, "PT0S");
    assert_format(FL_TYPE(fl_interval), &(fl_interval){ 5400500 }, "PT1H30M0.5S");
    assert_format(FL_TYPE(fl_interval), &(fl_interval){ -90000 }, "PT-1M-30S");
    assert_format(FL_TYPE(fl_interval), &(fl_interval){ 90000000 }, "PT25H");
    char buffer[32];
    assert_string_equal(fl_time_format(ms, false, buffer), "2015-05-17 10:05:03");
    assert_string_equal(fl_time_format(ms + 25, true, buffer), "2015-05-17 10:05:03.025");
    assert_string_equal(fl_time_format(-1, true, buffer), "1969-12-31 23:59:59.999");
    assert_string_equal(fl_time_format(FL_TIME_MIN, true, buffer), "-292275055-05-16 16:47:04.192");
    assert_string_equal(fl_time_format(FL_TIME_MAX, true, buffer), "+292278994-08-17 07:12:55.807");
}

static void test_format_of_rows(void **state)
{
    (void)state;
    WordCount wc = { fl_str("hello"), 3 };
    assert_format(FL_TYPE(WordCount), &wc, "(hello,3)");
    fl_string tags[] = { fl_str("a"), fl_str("b"), fl_str("c") }, keys[] = { fl_str("k"), fl_str("k2") };
    int32_t values[] = { 1, 2 };
    uint64_t second = 2;
    User user = { .id = 7,
        .tags = { tags, &second, 3, 0 },
        .home = { fl_str("Main St"), 5 },
        .code = "ABCDEFG",
        .limits = { keys, values, NULL, 2, 0 },
        .score = 1.5 };
    assert_format(FL_TYPE(User), &user, "(7,[a, null, c],(Main St,5),4142434445464700,{k=1, k2=2},1.5)");
    fl_set_null(&user.nulls, 0, true);
    fl_set_null(&user.nulls, 2, true);
    assert_true(fl_is_null(user.nulls, 2));
    user.tags.count = 0;
    user.limits.nulls = &second;
    assert_format(FL_TYPE(User), &user, "(null,[],null,4142434445464700,{k=1, k2=null},1.5)");
    char small[4];
    assert_int_equal(fl_format(FL_TYPE(WordCount), &wc, small, sizeof small), 9);
    assert_string_equal(small, "(he");
    assert_int_equal(fl_format(FL_TYPE(WordCount), &wc, NULL, 0), 9);
}

/* ---- decimals and dates from text ---- */

static void test_decimal_from_string(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t precision, scale;
        const char *expected; /* NULL: false */
    } cases[] = {
        { "0", 1, 0, "0" },
        { "123.45", 5, 2, "123.45" },
        { "-123.45", 5, 2, "-123.45" },
        { "+1", 3, 2, "1.00" },
        { ".5", 2, 1, "0.5" },
        { "5.", 2, 1, "5.0" },
        { "1.005", 5, 2, "1.01" },
        { "1.0049999", 5, 2, "1.00" },
        { "-1.005", 5, 2, "-1.01" },
        { "0.004", 3, 2, "0.00" },
        { "0.005", 3, 2, "0.01" },
        { "999.99", 5, 2, "999.99" },
        { "999.995", 5, 2, NULL },
        { "1000", 5, 2, NULL },
        { "1e3", 4, 0, "1000" },
        { "1.5E-2", 4, 3, "0.015" },
        { "12345678901234567890123456789012345678", 38, 0, "12345678901234567890123456789012345678" },
        { "99999999999999999999999999999999999999", 38, 0, "99999999999999999999999999999999999999" },
        { "-99999999999999999999999999999999999999", 38, 0, "-99999999999999999999999999999999999999" },
        { "100000000000000000000000000000000000000", 38, 0, NULL },
        { "0.00000000000000000000000000000000000001", 38, 38, "0.00000000000000000000000000000000000001" },
        { "00000000000000000000000000000000000000000000000000000000001", 1, 0, "1" },
        { "1.0000000000000000000000000000000000000000000000000000000000000000000000000001", 2, 1, "1.0" },
        { "0e999999999999999999", 2, 1, "0.0" },
        { "1e999999999999999999", 38, 0, NULL },
        { "1e-999999999999999999", 38, 2, "0.00" },
        { "", 5, 2, NULL },
        { "-", 5, 2, NULL },
        { ".", 5, 2, NULL },
        { "1.2.3", 5, 2, NULL },
        { " 1", 5, 2, NULL },
        { "1 ", 5, 2, NULL },
        { "1e", 5, 2, NULL },
        { "e5", 5, 2, NULL },
        { "abc", 5, 2, NULL },
        { "1e+", 5, 2, NULL },
        { "1", 0, 0, NULL },
        { "1", 39, 0, NULL },
        { "1", 3, 4, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_decimal d;
        fl_string s = fl_str(cases[i].text);
        bool ok = fl_decimal_from_string(&s, cases[i].precision, cases[i].scale, &d);
        if (ok != (cases[i].expected != NULL))
            fail_msg("%s", cases[i].text);
        if (ok) {
            assert_format(FL_TYPE(fl_decimal), &d, cases[i].expected);
            assert_int_equal(d.precision, cases[i].precision);
            assert_int_equal(d.scale, cases[i].scale);
        }
    }
}

static void test_decimal_to_double(void **state)
{
    (void)state;
    static const char *const texts[] = { "0", "0.1", "-0.1", "123.456", "35.8",
        "99999999999999999999999999999999999999", "0.00000000000000000000000000000000000001", "1.1",
        "3.141592653589793238462643383279502884", "9007199254740993", "0.30000000000000004",
        "12345678901234567890.123456789" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fl_string s = fl_str(texts[i]);
        const char *point = strchr(texts[i], '.');
        fl_decimal d;
        assert_true(fl_decimal_from_string(&s, 38, point ? (uint8_t)strlen(point + 1) : 0, &d));
        assert_true(fl_decimal_to_double(d) == strtod(texts[i], NULL));
    }
    unsigned seed = 3;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        fl_decimal d = fl_decimal_of(rand_r(&seed) - RAND_MAX / 2, 38, (uint8_t)(rand_r(&seed) % 39));
        d.low *= (uint64_t)rand_r(&seed) + 1;
        d.high = rand_r(&seed) % 2 ? (int64_t)rand_r(&seed) * rand_r(&seed) : (int64_t)d.low < 0 ? -1 : 0;
        text[fl__decimal_format(&d, text)] = 0;
        assert_true(fl_decimal_to_double(d) == strtod(text, NULL));
    }
}

static void test_decimals_compare_by_value(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        uint8_t a_scale;
        const char *b;
        uint8_t b_scale;
        int order;
    } cases[] = {
        { "1", 0, "1.00", 2, 0 },
        { "100", 0, "100.000", 3, 0 },
        { "0", 0, "0.00", 2, 0 },
        { "1", 0, "1.01", 2, -1 },
        { "-1", 0, "-1.01", 2, 1 },
        { "-1", 0, "1", 2, -1 },
        { "0", 5, "-1", 0, 1 },
        { "99999999999999999999999999999999999999", 0, "0.99", 38, 1 },
        { "-99999999999999999999999999999999999999", 0, "0.5", 38, -1 },
        { "-99999999999999999999999999999999999999", 0, "-0.5", 38, -1 },
        { "-0.5", 38, "-99999999999999999999999999999999999999", 0, 1 },
        { "0.5", 38, "99999999999999999999999999999999999999", 0, -1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_decimal a, b;
        fl_string s = fl_str(cases[i].a), t = fl_str(cases[i].b);
        assert_true(fl_decimal_from_string(&s, 38, cases[i].a_scale, &a));
        assert_true(fl_decimal_from_string(&t, 38, cases[i].b_scale, &b));
        assert_int_equal(fl_compare(FL_TYPE(fl_decimal), &a, &b), cases[i].order);
        assert_int_equal(fl_compare(FL_TYPE(fl_decimal), &b, &a), -cases[i].order);
        if (cases[i].order == 0)
            assert_true(fl_hash(FL_TYPE(fl_decimal), &a) == fl_hash(FL_TYPE(fl_decimal), &b));
    }
}

static void test_parse_times(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected; /* as printed; NULL: false */
    } dates[] = { { "2015-05-17", "2015-05-17" }, { "1970-01-01", "1970-01-01" }, { "2000-02-29", "2000-02-29" },
        { "1900-02-29", NULL }, { "2015-02-29", NULL }, { "2015-13-01", NULL }, { "2015-00-01", NULL },
        { "2015-01-00", NULL }, { "2015-04-31", NULL }, { "-0001-12-31", "-0001-12-31" },
        { "+10000-01-01", "+10000-01-01" }, { "0000-01-01", "0000-01-01" }, { "15-05-17", NULL }, { "2015-5-17", NULL },
        { "2015/05/17", NULL }, { "2015-05-17 ", NULL }, { "", NULL }, { "2015-05-17T", NULL },
        { "999999999-01-01", NULL }, { "-5877641-06-23", "-5877641-06-23" } };
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        fl_string s = fl_str(dates[i].text);
        fl_date date;
        assert_int_equal(fl_date_parse(&s, &date), dates[i].expected != NULL);
        if (dates[i].expected)
            assert_format(FL_TYPE(fl_date), &date, dates[i].expected);
    }
    static const struct {
        const char *text, *expected;
    } times[] = { { "10:05", "10:05" }, { "10:05:03", "10:05:03" }, { "10:05:03.250", "10:05:03.250" },
        { "10:05:03.2", "10:05:03.200" }, { "23:59:59.999999999", "23:59:59.999" }, { "24:00", NULL },
        { "10:60", NULL }, { "10:05:60", NULL }, { "1:05", NULL }, { "10:05:03.", NULL },
        { "10:05:03.1234567890", NULL }, { "10:05:03Z", NULL }, { "", NULL }, { "10:", NULL } };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        fl_string s = fl_str(times[i].text);
        fl_time_of_day time;
        assert_int_equal(fl_time_of_day_parse(&s, &time), times[i].expected != NULL);
        if (times[i].expected)
            assert_format(FL_TYPE(fl_time_of_day), &time, times[i].expected);
    }
    static const struct {
        const char *text, *expected;
    } stamps[] = { { "2015-05-17 10:05:03", "2015-05-17T10:05:03" }, { "2015-05-17T10:05", "2015-05-17T10:05" },
        { "2015-05-17T10:05:03.123456789", "2015-05-17T10:05:03.123456789" }, { "2015-05-17", NULL },
        { "2015-05-17t10:05", NULL }, { "2015-05-17 10:05:03Z", NULL }, { "999999999-12-31 23:59:59.999", NULL },
        { "1969-12-31 23:59:59.5", "1969-12-31T23:59:59.500" } };
    for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
        fl_string s = fl_str(stamps[i].text);
        fl_timestamp stamp;
        assert_int_equal(fl_timestamp_parse(&s, &stamp), stamps[i].expected != NULL);
        if (stamps[i].expected)
            assert_format(FL_TYPE(fl_timestamp), &stamp, stamps[i].expected);
    }
}

/* Every day of 800 years is printed and read back, in order. */
static void test_calendar_has_no_gaps(void **state)
{
    (void)state;
    char previous[16] = "";
    for (int32_t days = -146097; days < 146097; days++) {
        char text[16];
        fl_format(FL_TYPE(fl_date), &(fl_date){ days }, text, sizeof text);
        assert_true(strcmp(previous, text) < 0);
        memcpy(previous, text, sizeof text);
        fl_string s = fl_str(text);
        fl_date back;
        assert_true(fl_date_parse(&s, &back));
        assert_int_equal(back.days, days);
    }
}

/* ---- order ---- */

static void test_order_of_special_values(void **state)
{
    (void)state;
    double doubles[] = { -INFINITY, -1, -0.0, 1, INFINITY, NAN }, zero = 0.0, other_nan = -NAN;
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 6; j++)
            assert_int_equal(fl_compare(FL_TYPE(double), &doubles[i], &doubles[j]), (i > j) - (i < j));
    assert_int_equal(fl_compare(FL_TYPE(double), &zero, &doubles[2]), 0);
    assert_true(fl_hash(FL_TYPE(double), &zero) == fl_hash(FL_TYPE(double), &doubles[2]));
    assert_true(fl_hash(FL_TYPE(double), &other_nan) == fl_hash(FL_TYPE(double), &doubles[5]));
    User a = { .id = 1 }, b = { .id = 2 };
    assert_true(fl_compare(FL_TYPE(User), &a, &b) < 0);
    fl_set_null(&b.nulls, 0, true);
    assert_true(fl_compare(FL_TYPE(User), &a, &b) > 0); /* nulls first */
    fl_set_null(&a.nulls, 0, true);
    assert_int_equal(fl_compare(FL_TYPE(User), &a, &b), 0); /* and what lies beneath does not count */
    assert_true(fl_hash(FL_TYPE(User), &a) == fl_hash(FL_TYPE(User), &b));
}

static void test_maps_compare_in_any_order(void **state)
{
    (void)state;
    enum { N = 100 }; /* more than what fits on the stack */
    fl_string keys[N], mixed_keys[N];
    int32_t values[N], mixed_values[N];
    char names[N][24];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "a rather long key %d", i);
        keys[i] = fl_str(names[i]);
        values[i] = i;
    }
    for (int i = 0; i < N; i++) {
        mixed_keys[i] = keys[i * 37 % N];
        mixed_values[i] = values[i * 37 % N];
    }
    User a = { .limits = { keys, values, NULL, N, 0 } }, b = { .limits = { mixed_keys, mixed_values, NULL, N, 0 } };
    assert_int_equal(fl_compare(FL_TYPE(User), &a, &b), 0);
    assert_true(fl_hash(FL_TYPE(User), &a) == fl_hash(FL_TYPE(User), &b));
    mixed_values[3]++;
    assert_true(fl_compare(FL_TYPE(User), &a, &b) < 0);
    mixed_values[3]--;
    b.limits.count--;
    assert_int_not_equal(fl_compare(FL_TYPE(User), &a, &b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_come_from_the_members),
        cmocka_unit_test(test_field_by_dotted_name),
        cmocka_unit_test(test_equal_types),
        cmocka_unit_test(test_check_names_what_is_wrong),
        cmocka_unit_test(test_format_doubles_as_java),
        cmocka_unit_test(test_formatted_doubles_read_back),
        cmocka_unit_test(test_formatted_floats_read_back),
        cmocka_unit_test(test_format_of_scalars),
        cmocka_unit_test(test_format_of_times),
        cmocka_unit_test(test_format_of_rows),
        cmocka_unit_test(test_decimal_from_string),
        cmocka_unit_test(test_decimal_to_double),
        cmocka_unit_test(test_decimals_compare_by_value),
        cmocka_unit_test(test_parse_times),
        cmocka_unit_test(test_calendar_has_no_gaps),
        cmocka_unit_test(test_order_of_special_values),
        cmocka_unit_test(test_maps_compare_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
