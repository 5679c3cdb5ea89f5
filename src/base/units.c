#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

static const char *skip_blanks(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static bool at_end(const char *text)
{
    return *skip_blanks(text) == 0;
}

bool fl__parse_int(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (end == text || errno == ERANGE || !at_end(end))
        return false;
    *value = n;
    return true;
}

bool fl__parse_double(const char *text, double *value)
{
    char *end;
    double n = strtod(text, &end);
    if (end == text || !isfinite(n) || !at_end(end))
        return false;
    *value = n;
    return true;
}

/* Is text this word, blanks at its ends aside? */
static bool is_word(const char *text, const char *word)
{
    text = skip_blanks(text);
    size_t length = strlen(word);
    return strncasecmp(text, word, length) == 0 && at_end(text + length);
}

bool fl__parse_bool(const char *text, bool *value)
{
    *value = is_word(text, "true");
    return *value || is_word(text, "false");
}

/* ---- durations ---- */

static const struct {
    const char *name;
    bool plural;
    int64_t factor, divisor; /* to ms */
} duration_units[] = {
    { "", false, 1, 1 },
    { "ms", false, 1, 1 },
    { "milli", true, 1, 1 },
    { "millisecond", true, 1, 1 },
    { "s", false, 1000, 1 },
    { "sec", true, 1000, 1 },
    { "second", true, 1000, 1 },
    { "m", false, 60000, 1 },
    { "min", false, 60000, 1 },
    { "minute", true, 60000, 1 },
    { "h", false, 3600000, 1 },
    { "hour", true, 3600000, 1 },
    { "d", false, 86400000, 1 },
    { "day", true, 86400000, 1 },
    { "us", false, 1, 1000 },
    { "µs", false, 1, 1000 },
    { "micro", true, 1, 1000 },
    { "microsecond", true, 1, 1000 },
    { "ns", false, 1, 1000000 },
    { "nano", true, 1, 1000000 },
    { "nanosecond", true, 1, 1000000 },
};

/* PnDTnHnMn.nS, every part optional but one. */
static bool parse_iso_duration(const char *text, int64_t *ms)
{
    static const struct {
        char letter;
        bool in_time;
        double factor;
    } parts[] = { { 'D', false, 86400000 }, { 'H', true, 3600000 }, { 'M', true, 60000 }, { 'S', true, 1000 } };
    double total = 0;
    bool in_time = false, any = false;
    size_t part = 0, count = sizeof parts / sizeof *parts;
    for (text++; *text && !isspace((unsigned char)*text);) {
        if (toupper((unsigned char)*text) == 'T' && !in_time) {
            in_time = true;
            text++;
            continue;
        }
        char *end;
        double n = strtod(text, &end);
        if (end == text || !(isdigit((unsigned char)*text)))
            return false;
        while (part < count && !(parts[part].letter == toupper((unsigned char)*end) && parts[part].in_time == in_time))
            part++;
        if (part == count)
            return false;
        total += n * parts[part++].factor;
        any = true;
        text = end + 1;
    }
    if (!any || !at_end(text) || total >= 9.2e18)
        return false;
    *ms = (int64_t)ceil(total);
    return true;
}

bool fl__parse_duration(const char *text, int64_t *ms)
{
    text = skip_blanks(text);
    if (toupper((unsigned char)*text) == 'P')
        return parse_iso_duration(text, ms);
    if (!isdigit((unsigned char)*text))
        return false;
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno == ERANGE)
        return false;
    for (size_t i = 0; i < sizeof duration_units / sizeof *duration_units; i++) {
        const char *name = duration_units[i].name;
        const char *unit = skip_blanks(end);
        size_t length = strlen(name);
        if (strncasecmp(unit, name, length) != 0)
            continue;
        if (!at_end(unit + length) && !(duration_units[i].plural && is_word(unit + length, "s")))
            continue;
        if (n > INT64_MAX / duration_units[i].factor)
            return false;
        int64_t divisor = duration_units[i].divisor;
        *ms = n * duration_units[i].factor / divisor + (n * duration_units[i].factor % divisor != 0);
        return true;
    }
    return false;
}

/* ---- memory ---- */

static const struct {
    const char *name;
    int shift;
} memory_units[] = {
    { "", 0 },
    { "b", 0 },
    { "bytes", 0 },
    { "k", 10 },
    { "kb", 10 },
    { "kibibytes", 10 },
    { "m", 20 },
    { "mb", 20 },
    { "mebibytes", 20 },
    { "g", 30 },
    { "gb", 30 },
    { "gibibytes", 30 },
    { "t", 40 },
    { "tb", 40 },
    { "tebibytes", 40 },
};

bool fl__parse_memory(const char *text, int64_t *bytes)
{
    text = skip_blanks(text);
    if (!isdigit((unsigned char)*text))
        return false;
    /* Not strtod: it would take "1e3", and lose digits of whole numbers. */
    char *end;
    errno = 0;
    long long whole = strtoll(text, &end, 10);
    if (errno == ERANGE)
        return false;
    double fraction = 0, place = 0.1;
    if (*end == '.' && isdigit((unsigned char)end[1])) {
        for (end++; isdigit((unsigned char)*end); end++, place /= 10)
            fraction += (*end - '0') * place;
    }
    for (size_t i = 0; i < sizeof memory_units / sizeof *memory_units; i++) {
        if (!is_word(end, memory_units[i].name))
            continue;
        int shift = memory_units[i].shift;
        if (whole > INT64_MAX >> shift)
            return false;
        int64_t rest = (int64_t)llround(fraction * (double)((int64_t)1 << shift));
        *bytes = (int64_t)((uint64_t)whole << shift);
        if (*bytes > INT64_MAX - rest)
            return false;
        *bytes += rest;
        return true;
    }
    return false;
}
