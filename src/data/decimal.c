#include "data/decimal.h"

static fl_decimal make(fl__int128 unscaled, uint8_t precision, uint8_t scale)
{
    fl_decimal d;
    memset(&d, 0, sizeof d);
    d.low = (uint64_t)unscaled;
    d.high = (int64_t)(uint64_t)((fl__uint128)unscaled >> 64);
    d.precision = precision;
    d.scale = scale;
    return d;
}

fl_decimal fl_decimal_of(int64_t unscaled, uint8_t precision, uint8_t scale)
{
    return make(unscaled, precision, scale);
}

int fl__decimal_compare(const fl_decimal *a, const fl_decimal *b)
{
    fl__int128 x = fl__decimal_unscaled(a), y = fl__decimal_unscaled(b);
    if (x == 0 || y == 0 || (x < 0) != (y < 0))
        return (x > y) - (x < y);
    /* Same sign: bring the coarser one to the finer scale. What overflows 128 bits is farther from zero than the other. */
    for (unsigned s = a->scale; s < b->scale; s++)
        if (__builtin_mul_overflow(x, 10, &x))
            return y < 0 ? -1 : 1;
    for (unsigned s = b->scale; s < a->scale; s++)
        if (__builtin_mul_overflow(y, 10, &y))
            return x < 0 ? 1 : -1;
    return (x > y) - (x < y);
}

fl_decimal fl__decimal_normal(const fl_decimal *d)
{
    fl__int128 x = fl__decimal_unscaled(d);
    uint8_t scale = d->scale;
    if (x == 0)
        scale = 0;
    while (scale > 0 && x % 10 == 0) {
        x /= 10;
        scale--;
    }
    return make(x, FL__DECIMAL_PRECISION_MAX, scale);
}

size_t fl__decimal_format(const fl_decimal *d, char *buffer)
{
    char digits[48] = { 0 };
    unsigned count = 0;
    fl__int128 x = fl__decimal_unscaled(d);
    fl__uint128 rest = x < 0 ? -(fl__uint128)x : (fl__uint128)x;
    while (rest > 0) {
        digits[count++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    char *p = buffer;
    if (x < 0)
        *p++ = '-';
    unsigned position = count > (unsigned)d->scale + 1 ? count : (unsigned)d->scale + 1;
    while (position-- > 0) {
        *p++ = position < count ? digits[position] : '0';
        if (position == d->scale && position > 0)
            *p++ = '.';
    }
    return (size_t)(p - buffer);
}

/* 10^38 < 2^127. */
static fl__int128 power_of_ten(unsigned n)
{
    fl__int128 x = 1;
    while (n-- > 0)
        x *= 10;
    return x;
}

double fl_decimal_to_double(fl_decimal d)
{
    char buffer[FL__DECIMAL_TEXT];
    double value = 0;
    size_t length = fl__decimal_format(&d, buffer);
    fl_string text = fl_string_of(buffer, length);
    fl_string_to_double(&text, &value); /* rounds correctly, and is fast for what fits 53 bits */
    return value;
}

bool fl_decimal_from_string(const fl_string *s, uint8_t precision, uint8_t scale, fl_decimal *out)
{
    if (precision < 1 || precision > FL__DECIMAL_PRECISION_MAX || scale > precision)
        return false;
    const char *p = fl_string_data(s), *end = p + s->length;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    /* One digit list without leading zeros; exponent says where the point stands. */
    char digits[64];
    int64_t count = 0, point = 0;
    bool any = false, after_point = false;
    for (; p < end; p++) {
        if (*p == '.' && !after_point) {
            after_point = true;
            continue;
        }
        if (*p < '0' || *p > '9')
            break;
        any = true;
        if (count == 0 && *p == '0') {
            point -= after_point;
            continue;
        }
        if (count < (int64_t)sizeof digits)
            digits[count] = (char)(*p - '0');
        count++;
        point += !after_point;
    }
    if (!any)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        bool minus = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        if (p == end)
            return false;
        int64_t exponent = 0;
        for (; p < end && *p >= '0' && *p <= '9'; p++)
            exponent = exponent < INT32_MAX ? exponent * 10 + (*p - '0') : exponent;
        point += minus ? -exponent : exponent;
    }
    if (p != end)
        return false;
    /* point: digits before the decimal point; needed: those and scale more. */
    int64_t needed = count == 0 ? 0 : point + scale;
    if (needed > FL__DECIMAL_PRECISION_MAX)
        return false;
    fl__int128 x = 0;
    for (int64_t i = 0; i < needed; i++)
        x = x * 10 + (i < count ? digits[i] : 0);
    if (needed >= 0 && needed < count && digits[needed] >= 5) /* half up, as BigDecimal's HALF_UP in Flink's casts */
        x++;
    if (x >= power_of_ten(precision))
        return false;
    *out = make(negative ? -x : x, precision, scale);
    return true;
}
