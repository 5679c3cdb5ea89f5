/* Floating point as text. Most numbers that programs print lie between 1e-4 and 1e16: there the shortest text is worked
 * out exactly in integers of 128 bits, in some tens of nanoseconds. The others are found by trying: print with n digits,
 * read back, compare. */
#include "data/floating.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef unsigned __int128 uint128;

/* A number as digits d.ddd × 10^exponent. */
struct digits {
    char digits[20];
    int count, exponent;
};

static void strip_zeros(struct digits *d, int least)
{
    while (d->count > least && d->digits[d->count - 1] == '0')
        d->count--;
}

/* ---- exact, in integers ---- */

/* x = mantissa × 2^-shift; false when x is out of the range for which the arithmetic below fits 128 bits. */
static bool split(double x, bool is_float, uint64_t *mantissa, int *shift)
{
    int exponent, bits = is_float ? 24 : 53;
    double fraction = frexp(x, &exponent); /* 0.5 ≤ fraction < 1 */
    *mantissa = (uint64_t)ldexp(fraction, bits);
    *shift = bits - exponent;
    return x >= 1e-4 && *shift >= 1;
}

static const uint64_t powers_of_ten[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
    10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000,
    100000000000000000, 1000000000000000000 };

/* All numbers between low = (m - 1/2)/2^s and high = (m + 1/2)/2^s read back as x = m/2^s; the ends too when m is even.
 * Below a power of two numbers lie closer: there low = (m - 1/4)/2^s. Scaled by 10^k so that x has 17 (a float: 9) digits
 * or one more, there are whole numbers between them; digits are dropped from the right as long as that stays so. */
static bool shortest_exact(double x, bool is_float, struct digits *out)
{
    uint64_t m;
    int s;
    if (!split(x, is_float, &m, &s))
        return false;
    int magnitude = (int)floor(log10(x) - 1e-9); /* floor of the logarithm, or one less */
    int k = (is_float ? 8 : 16) - magnitude;
    if (k < 0 || k > 21)
        return false;
    uint128 scale = k > 18 ? (uint128)powers_of_ten[18] * powers_of_ten[k - 18] : powers_of_ten[k];
    bool power_of_two = (m & (m - 1)) == 0, ends_count = m % 2 == 0;
    uint128 low4 = (4 * m - (power_of_two ? 1 : 2)) * scale, high4 = (4 * m + 2) * scale; /* 55 + 70 bits */
    uint128 below_point = ((uint128)1 << (s + 2)) - 1;
    uint64_t low = (uint64_t)(low4 >> (s + 2)) + ((low4 & below_point) != 0 || !ends_count);
    uint64_t high = (uint64_t)(high4 >> (s + 2)) - ((high4 & below_point) == 0 && !ends_count);
    int dropped = 0;
    while (high / 10 >= 10 && (low + 9) / 10 <= high / 10) { /* two digits stay, as Java has it */
        low = (low + 9) / 10;
        high /= 10;
        dropped++;
    }
    /* of the numbers that are left the nearest to x */
    uint128 exact = m * scale, step = (uint128)powers_of_ten[dropped] << s;
    uint64_t nearest = (uint64_t)(exact >> s) / powers_of_ten[dropped];
    uint128 rest = exact - nearest * step;
    nearest += rest > step - rest || (rest == step - rest && nearest % 2 == 1);
    nearest = nearest < low ? low : nearest > high ? high : nearest;
    char reversed[24];
    int count = 0;
    for (; nearest > 0; nearest /= 10)
        reversed[count++] = (char)('0' + nearest % 10);
    for (int i = 0; i < count; i++)
        out->digits[i] = reversed[count - 1 - i];
    out->count = count;
    out->exponent = count - 1 + dropped - k;
    strip_zeros(out, 2);
    return true;
}

/* ---- by trial ---- */

/* The number rounded to `count` significant digits. */
static void round_to(double x, int count, struct digits *out)
{
    char text[40];
    snprintf(text, sizeof text, "%.*e", count - 1, x);
    out->count = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') /* the point is another character in other locales */
            out->digits[out->count++] = *p;
    out->exponent = atoi(p + 1);
}

static double value_of(const struct digits *d, bool is_float)
{
    char text[40];
    snprintf(text, sizeof text, "%.*se%d", d->count, d->digits, d->exponent - d->count + 1);
    return is_float ? (double)strtof(text, NULL) : strtod(text, NULL);
}

/* Adds one unit in the last place. */
static void next_up(struct digits *d)
{
    int i = d->count - 1;
    while (i >= 0 && d->digits[i] == '9')
        d->digits[i--] = '0';
    if (i >= 0) {
        d->digits[i]++;
    } else {
        d->digits[0] = '1';
        d->exponent++;
    }
}

/* The same for any number, by trying: about 1 µs. */
static void shortest_by_trial(double x, bool is_float, struct digits *out)
{
    int last = is_float ? 9 : 17, from = is_float ? 6 : 15;
    /* Any 15 (6) digits survive in a normal number: what is shorter shows there as trailing zeros. */
    if (x < (is_float ? 0x1p-126 : 0x1p-1022))
        from = 2;
    /* Below a power of two numbers lie closer, so that the nearest text may fail where the one above does not. */
    int unused;
    bool power_of_two = frexp(x, &unused) == 0.5;
    for (int count = from; count <= last; count++) {
        round_to(x, count, out);
        bool found = count == last || value_of(out, is_float) == x;
        if (!found && power_of_two) {
            next_up(out);
            found = value_of(out, is_float) == x;
        }
        if (found)
            break;
    }
    strip_zeros(out, 2);
}

/* ---- text ---- */

static size_t put_scientific(const struct digits *d, char *buffer)
{
    char *p = buffer;
    *p++ = d->digits[0];
    *p++ = '.';
    memcpy(p, d->digits + 1, (size_t)d->count - 1);
    p += d->count - 1;
    return (size_t)(p - buffer) + (size_t)sprintf(p, "E%d", d->exponent);
}

static size_t put_plain(struct digits *d, char *buffer)
{
    char *p = buffer;
    strip_zeros(d, 1); /* two digits were wanted to choose the nearest; here a zero at the end is not printed */
    if (d->exponent < 0) {
        memcpy(p, "0.00", (size_t)(1 - d->exponent)); /* not below 1e-3 */
        p += 1 - d->exponent;
        memcpy(p, d->digits, (size_t)d->count);
        return (size_t)(p - buffer) + (size_t)d->count;
    }
    int whole = d->exponent + 1;
    for (int i = 0; i < whole; i++)
        *p++ = i < d->count ? d->digits[i] : '0';
    *p++ = '.';
    for (int i = whole; i < d->count; i++)
        *p++ = d->digits[i];
    if (d->count <= whole)
        *p++ = '0';
    return (size_t)(p - buffer);
}

size_t fl__floating_format(double x, bool is_float, char *buffer)
{
    char *p = buffer;
    if (x != x)
        return (size_t)(stpcpy(p, "NaN") - buffer);
    if (signbit(x)) {
        *p++ = '-';
        x = -x;
    }
    struct digits d = { .digits = "0", .count = 1 };
    if (isinf(x))
        return (size_t)(stpcpy(p, "Infinity") - buffer);
    if (x != 0 && !shortest_exact(x, is_float, &d))
        shortest_by_trial(x, is_float, &d);
    size_t length = d.exponent >= 7 || d.exponent < -3 ? put_scientific(&d, p) : put_plain(&d, p);
    return (size_t)(p - buffer) + length;
}
