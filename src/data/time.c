#include "data/time.h"

enum { MS_PER_DAY = 86400000 };

struct civil {
    int64_t year;
    unsigned month, day;
};

/* Years are counted from March, so that the leap day is a year's last and months have lengths of one formula; the
 * calendar repeats every 400 years = 146097 days. 719468 days lie between 0000-03-01 and 1970-01-01. */
static struct civil civil_of_days(int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned day_of_era = (unsigned)(days - era * 146097);
    unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * day_of_year + 2) / 153;
    struct civil c;
    c.day = day_of_year - (153 * month + 2) / 5 + 1;
    c.month = month < 10 ? month + 3 : month - 9;
    c.year = era * 400 + year_of_era + (c.month <= 2);
    return c;
}

static int64_t days_of_civil(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* ---- text ---- */

static char *put_digits(char *p, uint64_t value, unsigned width)
{
    char digits[20];
    unsigned n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (; width > n; width--)
        *p++ = '0';
    while (n > 0)
        *p++ = digits[--n];
    return p;
}

size_t fl__date_format(int64_t days, char *buffer)
{
    struct civil c = civil_of_days(days);
    char *p = buffer;
    if (c.year < 0)
        *p++ = '-';
    else if (c.year > 9999)
        *p++ = '+';
    p = put_digits(p, (uint64_t)(c.year < 0 ? -c.year : c.year), 4);
    *p++ = '-';
    p = put_digits(p, c.month, 2);
    *p++ = '-';
    p = put_digits(p, c.day, 2);
    return (size_t)(p - buffer);
}

/* Fractions have 3, 6 or 9 digits, as many as needed. */
static char *put_fraction(char *p, uint32_t ns)
{
    if (ns == 0)
        return p;
    *p++ = '.';
    if (ns % 1000000 == 0)
        return put_digits(p, ns / 1000000, 3);
    if (ns % 1000 == 0)
        return put_digits(p, ns / 1000, 6);
    return put_digits(p, ns, 9);
}

static char *put_time(char *p, uint32_t ms, uint32_t ns, bool with_seconds)
{
    uint32_t seconds = ms / 1000;
    uint32_t fraction = ms % 1000 * 1000000 + ns;
    p = put_digits(p, seconds / 3600, 2);
    *p++ = ':';
    p = put_digits(p, seconds / 60 % 60, 2);
    if (with_seconds || seconds % 60 || fraction) {
        *p++ = ':';
        p = put_digits(p, seconds % 60, 2);
        p = put_fraction(p, fraction);
    }
    return p;
}

/* Values out of range (nothing makes them, damaged input could) must not overrun the buffer. */
static uint32_t clip(int64_t value, uint32_t end)
{
    return value < 0 ? 0 : value >= end ? end - 1 : (uint32_t)value;
}

size_t fl__time_of_day_format(int32_t ms, int32_t ns, char *buffer)
{
    return (size_t)(put_time(buffer, clip(ms, MS_PER_DAY), clip(ns, 1000000), false) - buffer);
}

/* Divides down: -1 ms is the last of the day before. */
static int64_t split_days(int64_t ms, uint32_t *ms_of_day)
{
    int64_t days = ms / MS_PER_DAY, rest = ms % MS_PER_DAY;
    if (rest < 0) {
        rest += MS_PER_DAY;
        days--;
    }
    *ms_of_day = (uint32_t)rest;
    return days;
}

static char *put_date_time(char *p, int64_t ms, int32_t ns, char between, bool with_seconds)
{
    uint32_t ms_of_day;
    p += fl__date_format(split_days(ms, &ms_of_day), p);
    *p++ = between;
    return put_time(p, ms_of_day, clip(ns, 1000000), with_seconds);
}

size_t fl__timestamp_format(int64_t ms, int32_t ns, char *buffer)
{
    return (size_t)(put_date_time(buffer, ms, ns, 'T', false) - buffer);
}

size_t fl__instant_format(int64_t ms, int32_t ns, char *buffer)
{
    char *p = put_date_time(buffer, ms, ns, 'T', true);
    *p++ = 'Z';
    return (size_t)(p - buffer);
}

static char *put_signed(char *p, int64_t value, char unit)
{
    if (value == 0)
        return p;
    if (value < 0)
        *p++ = '-';
    p = put_digits(p, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
    *p++ = unit;
    return p;
}

size_t fl__period_format(int32_t months, char *buffer)
{
    char *p = buffer;
    *p++ = 'P';
    p = put_signed(p, months / 12, 'Y');
    p = put_signed(p, months % 12, 'M');
    if (months == 0) {
        *p++ = '0';
        *p++ = 'D';
    }
    return (size_t)(p - buffer);
}

size_t fl__duration_format(int64_t ms, char *buffer)
{
    char *p = buffer;
    *p++ = 'P';
    *p++ = 'T';
    p = put_signed(p, ms / 3600000, 'H');
    p = put_signed(p, ms / 60000 % 60, 'M');
    int64_t rest = ms % 60000;
    if (rest != 0 || ms == 0) {
        uint32_t magnitude = (uint32_t)(rest < 0 ? -rest : rest);
        if (rest < 0)
            *p++ = '-';
        p = put_digits(p, magnitude / 1000, 1);
        if (magnitude % 1000) { /* without trailing zeros, other than times of day */
            *p++ = '.';
            p = put_digits(p, magnitude % 1000, 3);
            while (p[-1] == '0')
                p--;
        }
        *p++ = 'S';
    }
    return (size_t)(p - buffer);
}

const char *fl_time_format(fl_time time, bool with_ms, char *buffer)
{
    uint32_t ms_of_day;
    int64_t days = split_days(time, &ms_of_day);
    char *p = buffer + fl__date_format(days, buffer);
    *p++ = ' ';
    p = put_time(p, ms_of_day / 1000 * 1000, 0, true);
    if (with_ms) {
        *p++ = '.';
        p = put_digits(p, ms_of_day % 1000, 3);
    }
    *p = 0;
    return buffer;
}

/* ---- parsing ---- */

struct text {
    const char *p, *end;
};

static bool take(struct text *t, char c)
{
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

/* min..max digits. */
static bool take_digits(struct text *t, unsigned min, unsigned max, uint32_t *value)
{
    unsigned n = 0;
    uint32_t x = 0;
    for (; n < max && t->p < t->end && *t->p >= '0' && *t->p <= '9'; n++, t->p++)
        x = x * 10 + (uint32_t)(*t->p - '0');
    *value = x;
    return n >= min;
}

static bool take_date(struct text *t, int64_t *days)
{
    static const unsigned char lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool negative = take(t, '-');
    if (!negative)
        take(t, '+');
    uint32_t year, month, day;
    if (!take_digits(t, 4, 9, &year) || !take(t, '-') || !take_digits(t, 2, 2, &month) || !take(t, '-') ||
        !take_digits(t, 2, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > lengths[month - 1])
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month == 2 && day == 29 && !leap)
        return false;
    *days = days_of_civil(negative ? -(int64_t)year : (int64_t)year, month, day);
    return true;
}

/* HH:MM, HH:MM:SS, and a fraction of 1 to 9 digits. */
static bool take_time(struct text *t, uint32_t *ms, uint32_t *ns)
{
    uint32_t hour, minute, second = 0, fraction = 0;
    if (!take_digits(t, 2, 2, &hour) || !take(t, ':') || !take_digits(t, 2, 2, &minute))
        return false;
    if (take(t, ':')) {
        if (!take_digits(t, 2, 2, &second))
            return false;
        if (take(t, '.')) {
            const char *start = t->p;
            if (!take_digits(t, 1, 9, &fraction))
                return false;
            for (long n = t->p - start; n < 9; n++)
                fraction *= 10;
        }
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ms = ((hour * 60 + minute) * 60 + second) * 1000 + fraction / 1000000;
    *ns = fraction % 1000000;
    return true;
}

static struct text text_of(const fl_string *s)
{
    const char *data = fl_string_data(s);
    return (struct text){ data, data + s->length };
}

bool fl_date_parse(const fl_string *s, fl_date *out)
{
    struct text t = text_of(s);
    int64_t days;
    if (!take_date(&t, &days) || t.p != t.end || days != (int32_t)days)
        return false;
    out->days = (int32_t)days;
    return true;
}

bool fl_time_of_day_parse(const fl_string *s, fl_time_of_day *out)
{
    struct text t = text_of(s);
    uint32_t ms, ns;
    if (!take_time(&t, &ms, &ns) || t.p != t.end)
        return false;
    out->ms = (int32_t)ms;
    return true;
}

bool fl_timestamp_parse(const fl_string *s, fl_timestamp *out)
{
    struct text t = text_of(s);
    int64_t days, ms;
    uint32_t ms_of_day, ns;
    if (!take_date(&t, &days) || !(take(&t, 'T') || take(&t, ' ')) || !take_time(&t, &ms_of_day, &ns) || t.p != t.end)
        return false;
    if (__builtin_mul_overflow(days, (int64_t)MS_PER_DAY, &ms) || __builtin_add_overflow(ms, (int64_t)ms_of_day, &ms))
        return false;
    *out = (fl_timestamp){ .ms = ms, .ns = (int32_t)ns };
    return true;
}
