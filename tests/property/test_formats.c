/* Every string comes back: from JSON through jansson, from CSV through a reader written from RFC 4180. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>

#include "formats/csv.h"
#include "formats/json.h"

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 63));
        to[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63));
    to[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Any Unicode text, with the characters that need care more often than others. */
static size_t random_text(char *to, size_t characters)
{
    static const char special[] = "\"\\,;\n\r\t\b\f/ \x7f";
    char *end = to;
    for (size_t i = 0; i < characters; i++) {
        uint32_t c;
        switch (next_random() % 5) {
        case 0: c = (uint32_t)special[next_random() % (sizeof special - 1)]; break;
        case 1: c = (uint32_t)(next_random() % 0x20); break;
        case 2: c = (uint32_t)(next_random() % 0x110000); break;
        default: c = 'a' + (uint32_t)(next_random() % 26); break;
        }
        if (c >= 0xd800 && c < 0xe000)
            c = 0xe000; /* surrogates are no characters */
        end += put_utf8(end, c);
    }
    return (size_t)(end - to);
}

static void test_json_strings(void **state)
{
    (void)state;
    char in[4 * 64];
    fl__text text = FL__TEXT_INIT;
    for (int i = 0; i < 200000; i++) {
        size_t length = random_text(in, next_random() % 64);
        fl__json_write_string(&text, in, length);
        for (size_t k = 0; k < text.length; k++)
            assert_true((unsigned char)text.data[k] >= 0x20);
        json_t *value = json_loadb(text.data, text.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        assert_int_equal(json_string_length(value), length);
        assert_memory_equal(json_string_value(value), in, length);
        json_decref(value);
        text.length = 0;
    }
    fl__text_release(&text);
}

/* Any bytes give JSON that a strict reader takes. */
static void test_json_any_bytes(void **state)
{
    (void)state;
    char in[32];
    fl__text text = FL__TEXT_INIT;
    for (int i = 0; i < 200000; i++) {
        size_t length = next_random() % sizeof in;
        for (size_t k = 0; k < length; k++)
            in[k] = (char)(next_random() % 3 ? next_random() : 0xc0 + next_random() % 0x40);
        fl__json_write_string(&text, in, length);
        json_t *value = json_loadb(text.data, text.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        json_decref(value);
        text.length = 0;
    }
    fl__text_release(&text);
}

static void test_json_doubles(void **state)
{
    (void)state;
    fl__text text = FL__TEXT_INIT;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = next_random();
        double in;
        memcpy(&in, &bits, sizeof in);
        if (in - in != 0)
            continue;
        fl__json_write(&text, FL_TYPE(double), &in, NULL);
        json_t *value = json_loadb(text.data, text.length, JSON_DECODE_ANY, NULL);
        assert_true(json_is_real(value));
        double out = json_real_value(value);
        assert_memory_equal(&in, &out, sizeof in);
        json_decref(value);
        text.length = 0;
    }
    fl__text_release(&text);
}

typedef struct {
    fl_nulls nulls;
    fl_string a, b, c;
} Three;
FL_ROW(Three, nulls, a, b, c);

/* Reads a CSV file's next field: false at its end. *quoted tells "" from nothing; *last: a line end followed. */
static bool read_field(
    const char **p, const char *end, char separator, char *to, size_t *length, bool *quoted, bool *last)
{
    const char *s = *p;
    *length = 0;
    *quoted = s < end && *s == '"';
    if (s == end)
        return false;
    if (*quoted) {
        for (s++; s < end; s++) {
            if (*s == '"') {
                if (s + 1 < end && s[1] == '"')
                    s++;
                else
                    break;
            }
            to[(*length)++] = *s;
        }
        assert_true(s < end);
        s++;
    } else {
        while (s < end && *s != separator && *s != '\n') {
            assert_true(*s != '"' && *s != '\r');
            to[(*length)++] = *s++;
        }
    }
    assert_true(s < end && (*s == separator || *s == '\n'));
    *last = *s == '\n';
    *p = s + 1;
    return true;
}

static void test_csv_rows(void **state)
{
    (void)state;
    enum { ROWS = 50 };
    static char in[ROWS][3][4 * 20], out[4 * 20];
    fl__text text = FL__TEXT_INIT;
    for (int round = 0; round < 2000; round++) {
        char separator = ",;\t|"[next_random() % 4];
        Three rows[ROWS];
        for (int i = 0; i < ROWS; i++) {
            fl_string *fields[3] = { &rows[i].a, &rows[i].b, &rows[i].c };
            rows[i].nulls.bits = next_random() & next_random() & 7;
            for (int k = 0; k < 3; k++)
                *fields[k] = fl_string_of(in[i][k], random_text(in[i][k], next_random() % 20));
            fl__csv_write(&text, FL_TYPE(Three), &rows[i], separator);
        }
        const char *p = text.data, *end = text.data + text.length;
        for (int i = 0; i < ROWS; i++) {
            const fl_string fields[3] = { rows[i].a, rows[i].b, rows[i].c };
            for (int k = 0; k < 3; k++) {
                size_t length;
                bool quoted, last;
                assert_true(read_field(&p, end, separator, out, &length, &quoted, &last));
                assert_int_equal(last, k == 2);
                bool is_null = length == 0 && !quoted;
                assert_int_equal(is_null, (rows[i].nulls.bits >> k) & 1);
                if (!is_null) {
                    assert_int_equal(length, fields[k].length);
                    assert_memory_equal(out, fl_string_data(&fields[k]), length);
                }
            }
        }
        assert_ptr_equal(p, end);
        text.length = 0;
    }
    fl__text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_strings),
        cmocka_unit_test(test_json_any_bytes),
        cmocka_unit_test(test_json_doubles),
        cmocka_unit_test(test_csv_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
