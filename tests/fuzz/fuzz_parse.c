/* Any text to the parsers of numbers and times, and to what cuts strings. What parses must print, and parse again to
 * the same value. */
#include <math.h>
#include <stdlib.h>

#include "flinc/type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x)                                                                                                     \
    do {                                                                                                               \
        if (!(x))                                                                                                      \
            abort();                                                                                                   \
    } while (0)

static fl_string print(const fl_type *type, const void *value, char *buffer, size_t size)
{
    size_t length = fl_format(type, value, buffer, size);
    require(length < size);
    return fl_string_of(buffer, length);
}

static void parse_numbers(const fl_string *s)
{
    char text[512];
    int64_t n, n_again;
    if (fl_string_to_int(s, &n)) {
        fl_string t = print(FL_TYPE(int64_t), &n, text, sizeof text);
        require(fl_string_to_int(&t, &n_again) && n == n_again);
    }
    double x, x_again;
    if (fl_string_to_double(s, &x) && x == x) {
        fl_string t = print(FL_TYPE(double), &x, text, sizeof text);
        require(fl_string_to_double(&t, &x_again) && x == x_again && signbit(x) == signbit(x_again));
    }
    static const uint8_t forms[][2] = { { 38, 0 }, { 38, 38 }, { 10, 2 }, { 1, 1 }, { 20, 10 } };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        fl_decimal d, again;
        if (fl_decimal_from_string(s, forms[i][0], forms[i][1], &d)) {
            fl_string t = print(FL_TYPE(fl_decimal), &d, text, sizeof text);
            require(fl_decimal_from_string(&t, forms[i][0], forms[i][1], &again));
            require(memcmp(&d, &again, sizeof d) == 0);
            fl_decimal_to_double(d);
        }
    }
}

static void parse_times(const fl_string *s)
{
    char text[64];
    fl_date date, date_again;
    if (fl_date_parse(s, &date)) {
        fl_string t = print(FL_TYPE(fl_date), &date, text, sizeof text);
        require(fl_date_parse(&t, &date_again) && date.days == date_again.days);
    }
    fl_time_of_day time, time_again;
    if (fl_time_of_day_parse(s, &time)) {
        fl_string t = print(FL_TYPE(fl_time_of_day), &time, text, sizeof text);
        require(fl_time_of_day_parse(&t, &time_again) && time.ms == time_again.ms);
    }
    fl_timestamp stamp, stamp_again;
    if (fl_timestamp_parse(s, &stamp)) {
        fl_string t = print(FL_TYPE(fl_timestamp), &stamp, text, sizeof text);
        require(fl_timestamp_parse(&t, &stamp_again) && memcmp(&stamp, &stamp_again, sizeof stamp) == 0);
    }
}

static void cut(const fl_string *s)
{
    fl_string rest = *s, part;
    size_t length = 0, count = 0;
    while (fl_string_field(&rest, ',', &part)) {
        length += fl_string_length(part);
        count++;
    }
    require(s->length == 0 ? count == 0 : length + count - 1 == s->length);
    static const char *const delimiters[] = { " ", " \t", ",; \t", ",; \t\n" };
    for (size_t i = 0; i < 4; i++) {
        rest = *s;
        while (fl_string_token(&rest, delimiters[i], &part))
            require(part.length > 0);
    }
    part = fl_string_trim(s);
    require(fl_string_find(s, "needle", 0) < (int64_t)s->length);
    require(fl_string_compare(part, part) == 0 && fl_string_equal(part, part));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fl_string s = fl_string_of((const char *)data, size);
    parse_numbers(&s);
    parse_times(&s);
    cut(&s);
    return 0;
}
