/* Strings. The loops that programs spend their time in (token, field, slice) read 16 bytes at a time, but never a byte
 * outside of the string: bytes behind it may be another page, and the address sanitizer sees through to the bounds. */
#include "flinc/string.h"

#include "data/key.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Where the empty last field of a line stands, so that it differs from no field (length 0 and bytes NULL). */
static const char empty_field[1];

static inline uint32_t load_u32(const char *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline uint64_t load_u64(const char *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* The two words of a string: length and prefix; the rest or the pointer. */
static inline fl_string from_words(uint64_t low, uint64_t high)
{
    fl_string s;
    memcpy(&s, &low, 8);
    memcpy((char *)&s + 8, &high, 8);
    return s;
}

/* length bytes at p, of which 12 can be read whatever length is; length ≤ 12. */
static inline fl_string short_of_readable(const char *p, size_t length)
{
    static const struct {
        uint64_t low, high;
    } masks[FL_STRING_INLINE + 1] = {
#define LOW(n) ((n) >= 4 ? UINT64_C(0xffffffff) << 32 : ((UINT64_C(1) << (8 * ((n) & 3))) - 1) << 32)
#define HIGH(n) ((n) >= 12 ? ~UINT64_C(0) : (n) <= 4 ? 0 : (UINT64_C(1) << (8 * (((n) - 4) & 7))) - 1)
#define MASK(n) { LOW(n), HIGH(n) }
        MASK(0), MASK(1), MASK(2), MASK(3), MASK(4), MASK(5), MASK(6), MASK(7), MASK(8), MASK(9), MASK(10), MASK(11),
        MASK(12)
    };
    return from_words(length | (((uint64_t)load_u32(p) << 32) & masks[length].low), load_u64(p + 4) & masks[length].high);
}

/* length bytes at p, followed by `behind` more that can be read. */
static inline fl_string slice_of(const char *p, size_t length, size_t behind)
{
    if (length <= FL_STRING_INLINE && length + behind >= FL_STRING_INLINE)
        return short_of_readable(p, length);
    return fl_string_of(p, length);
}

bool fl__string_equal_long(const fl_string *a, const fl_string *b)
{
    return memcmp(a->bytes, b->bytes, a->length) == 0; /* lengths are equal */
}

int fl_string_compare(fl_string a, fl_string b)
{
    uint32_t x, y;
    memcpy(&x, a.prefix, 4);
    memcpy(&y, b.prefix, 4);
    if (x != y)
        return __builtin_bswap32(x) < __builtin_bswap32(y) ? -1 : 1;
    if (a.length <= FL_STRING_INLINE && b.length <= FL_STRING_INLINE) {
        uint64_t u = __builtin_bswap64(load_u64(a.rest)), v = __builtin_bswap64(load_u64(b.rest));
        if (u != v)
            return u < v ? -1 : 1;
    } else {
        size_t common = a.length < b.length ? a.length : b.length;
        int c = common > 4 ? memcmp(fl_string_data(&a) + 4, fl_string_data(&b) + 4, common - 4) : 0;
        if (c != 0)
            return c;
    }
    return (a.length > b.length) - (a.length < b.length);
}

fl_string fl_string_slice(const fl_string *s, size_t from, size_t to)
{
    size_t length = s->length;
    if (to > length)
        to = length;
    if (from >= to)
        return fl_string_of(NULL, 0);
    return slice_of(fl_string_data(s) + from, to - from, length - to);
}

/* ---- scanning ---- */

/* Makes *s what is left of it from byte `from` on. */
static inline void advance(fl_string *s, const char *data, size_t length, size_t from)
{
    size_t left = length - from;
    if (FL_LIKELY(left > FL_STRING_INLINE)) {
        *s = from_words((uint32_t)left | ((uint64_t)load_u32(data + from) << 32), (uint64_t)(uintptr_t)(data + from));
    } else {
        char bytes[FL_STRING_INLINE]; /* data may lie in *s */
        memcpy(bytes, data + from, left);
        *s = fl_string_of(bytes, left);
    }
}

/* Set of up to 256 bytes, and the ways to find the first byte in or not in it. */
typedef struct byte_set {
    unsigned count; /* ≤ 4: first[]; more: bits */
    char first[4];
    uint64_t bits[4];
} byte_set;

static inline bool in_bits(const byte_set *set, char c)
{
    return (set->bits[(unsigned char)c >> 6] >> ((unsigned char)c & 63)) & 1;
}

static inline byte_set byte_set_of(const char *delimiters)
{
    byte_set set;
    unsigned n = 0;
    while (n < 4 && delimiters[n]) {
        set.first[n] = delimiters[n];
        n++;
    }
    for (unsigned i = n; i < 4; i++)
        set.first[i] = n ? set.first[0] : 0; /* with no delimiter at all, count says so */
    set.count = n;
    if (FL_UNLIKELY(n == 4 && delimiters[4])) {
        memset(set.bits, 0, sizeof set.bits);
        for (const char *d = delimiters; *d; d++) {
            set.bits[(unsigned char)*d >> 6] |= UINT64_C(1) << ((unsigned char)*d & 63);
            set.count = 5;
        }
    }
    return set;
}

#ifdef __SSE2__
/* Which of the 16 bytes at p are in the set: bit i for byte i. */
static inline unsigned match_16(const byte_set *set, const char *p)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i hit = _mm_cmpeq_epi8(x, _mm_set1_epi8(set->first[0]));
    if (set->count > 1)
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(x, _mm_set1_epi8(set->first[1])));
    if (FL_UNLIKELY(set->count > 2)) {
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(x, _mm_set1_epi8(set->first[2])));
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(x, _mm_set1_epi8(set->first[3])));
    }
    return (unsigned)_mm_movemask_epi8(hit);
}
#endif

static unsigned match_slow(const byte_set *set, const char *p, size_t length)
{
    unsigned mask = 0;
    for (size_t i = 0; i < length; i++) {
        bool hit = set->count > 4 ? in_bits(set, p[i]) : false;
        for (unsigned d = 0; d < 4 && d < set->count && set->count <= 4; d++)
            hit |= p[i] == set->first[d];
        mask |= (unsigned)hit << i;
    }
    return mask;
}

/* Which of the first min(16, length) bytes at p are in the set. before: bytes readable before p. */
static inline unsigned match(const byte_set *set, const char *p, size_t length, size_t before)
{
#ifdef __SSE2__
    if (FL_LIKELY(set->count - 1 < 4)) {
        if (FL_LIKELY(length >= 16))
            return match_16(set, p);
        if (length + before >= 16)
            return match_16(set, p + length - 16) >> (16 - length);
        char bytes[16] = { 0 };
        memcpy(bytes, p, length);
        return match_16(set, bytes) & ((1u << length) - 1);
    }
#else
    (void)before;
#endif
    return match_slow(set, p, length < 16 ? length : 16);
}

/* First byte at or after from that is (wanted) or is not in the set; length when there is none. */
static inline size_t scan(const byte_set *set, const char *data, size_t length, size_t from, bool wanted)
{
    while (from < length) {
        size_t n = length - from < 16 ? length - from : 16;
        unsigned mask = match(set, data + from, length - from, from);
        if (!wanted)
            mask = ~mask & ((1u << n) - 1);
        if (mask)
            return from + (unsigned)__builtin_ctz(mask);
        from += n;
    }
    return length;
}

bool fl_string_token(fl_string *rest, const char *delimiters, fl_string *token)
{
    const byte_set set = byte_set_of(delimiters);
    const char *data = fl_string_data(rest);
    size_t length = rest->length, start, end;
#ifdef __SSE2__
    /* The usual case in one load: delimiters and token end within 16 bytes. */
    if (FL_LIKELY(length >= 16 && set.count - 1 < 4)) {
        unsigned mask = match_16(&set, data), others = ~mask & 0xffff;
        if (FL_LIKELY(others)) {
            start = (unsigned)__builtin_ctz(others);
            unsigned after = mask & (~0u << start);
            end = FL_LIKELY(after) ? (unsigned)__builtin_ctz(after) : scan(&set, data, length, 16, true);
            goto found;
        }
    }
#endif
    start = scan(&set, data, length, 0, false);
    if (start == length) {
        *rest = fl_string_of(NULL, 0);
        return false;
    }
    end = scan(&set, data, length, start + 1, true);
#ifdef __SSE2__
found:
#endif
    *token = slice_of(data + start, end - start, length - end);
    advance(rest, data, length, end + (end < length));
    return true;
}

bool fl_string_field(fl_string *rest, char separator, fl_string *field)
{
    size_t length = rest->length;
    if (length == 0 && !rest->bytes)
        return false;
    const byte_set set = { .count = 1, .first = { separator, separator, separator, separator } };
    const char *data = fl_string_data(rest);
    size_t end = scan(&set, data, length, 0, true);
    *field = slice_of(data, end, length - end);
    if (end == length) {
        *rest = fl_string_of(NULL, 0);
    } else {
        advance(rest, data, length, end + 1);
        if (rest->length == 0)
            rest->bytes = empty_field;
    }
    return true;
}

int64_t fl_string_find(const fl_string *s, const char *needle, size_t from)
{
    if (from > s->length)
        return -1;
    const char *data = fl_string_data(s);
    const char *found = memmem(data + from, s->length - from, needle, strlen(needle));
    return found ? found - data : -1;
}

bool fl_string_starts_with(const fl_string *s, const char *prefix)
{
    size_t length = strlen(prefix);
    return length <= s->length && memcmp(fl_string_data(s), prefix, length) == 0;
}

bool fl_string_ends_with(const fl_string *s, const char *suffix)
{
    size_t length = strlen(suffix);
    return length <= s->length && memcmp(fl_string_data(s) + s->length - length, suffix, length) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

fl_string fl_string_trim(const fl_string *s)
{
    const char *data = fl_string_data(s);
    size_t from = 0, to = s->length;
    while (from < to && is_space(data[from]))
        from++;
    while (from < to && is_space(data[to - 1]))
        to--;
    return fl_string_slice(s, from, to);
}

const char *fl_string_copy(const fl_string *s, char *buffer, size_t size)
{
    if (size > 0) {
        size_t n = s->length < size - 1 ? s->length : size - 1;
        memcpy(buffer, fl_string_data(s), n);
        buffer[n] = 0;
    }
    return buffer;
}

uint64_t fl_string_hash(const fl_string *s)
{
    return fl__key_hash_string(s);
}

/* ---- numbers ---- */

bool fl_string_to_int(const fl_string *s, int64_t *out)
{
    const char *p = fl_string_data(s), *end = p + s->length;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end)
        return false;
    uint64_t x = 0;
    const char *safe = end - p > 18 ? p + 18 : end; /* 18 digits cannot overflow */
    for (; p < safe; p++) {
        unsigned digit = (unsigned)(unsigned char)*p - '0';
        if (digit > 9)
            return false;
        x = x * 10 + digit;
    }
    uint64_t limit = (uint64_t)INT64_MAX + negative;
    for (; p < end; p++) {
        unsigned digit = (unsigned)(unsigned char)*p - '0';
        if (digit > 9 || __builtin_mul_overflow(x, 10, &x) || __builtin_add_overflow(x, digit, &x) || x > limit)
            return false;
    }
    *out = (int64_t)(negative ? 0 - x : x);
    return true;
}

/* strtod of the C locale, whatever the program has set; the text must be terminated by 0. */
static double parse_double(const char *text, char **end)
{
    static locale_t c_locale;
    locale_t locale = __atomic_load_n(&c_locale, __ATOMIC_ACQUIRE);
    if (!locale) {
        locale_t made = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        /* Two threads may come here at once: the first one's stays. */
        if (__atomic_compare_exchange_n(&c_locale, &locale, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            locale = made;
        else
            freelocale(made);
    }
    return strtod_l(text, end, locale);
}

/* At most 19 digits and a power of ten up to 22: both are exact doubles, and so one operation rounds correctly
 * (Clinger 1990). False when the text is anything else. */
static bool parse_simple_double(const char *p, const char *end, double *out)
{
    static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    uint64_t x = 0;
    int digits = 0, exponent = 0;
    bool point = false;
    for (; p < end; p++) {
        if (*p >= '0' && *p <= '9') {
            if (++digits > 18)
                return false;
            x = x * 10 + (uint64_t)(*p - '0');
            exponent -= point;
        } else if (*p == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (digits == 0 || x > (UINT64_C(1) << 53))
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        bool minus = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        int written = 0, n = 0;
        for (; p < end && *p >= '0' && *p <= '9' && n < 4; p++, n++)
            written = written * 10 + (*p - '0');
        if (n == 0)
            return false;
        exponent += minus ? -written : written;
    }
    if (p != end || exponent < -22 || exponent > 22)
        return false;
    double value = exponent < 0 ? (double)x / powers[-exponent] : (double)x * powers[exponent];
    *out = negative ? -value : value;
    return true;
}

bool fl_string_to_double(const fl_string *s, double *out)
{
    const char *data = fl_string_data(s);
    size_t length = s->length;
    if (length == 0 || is_space(data[0]) || memchr(data, 'x', length) || memchr(data, 'X', length) ||
        memchr(data, 0, length))
        return false;
    if (parse_simple_double(data, data + length, out))
        return true;
    char stack[128], *text = length < sizeof stack ? stack : fl__alloc(NULL, length + 1), *end;
    fl_string_copy(s, text, length + 1);
    int saved = errno;
    errno = 0;
    double value = parse_double(text, &end);
    bool ok = end == text + length && !(errno == ERANGE && fabs(value) == HUGE_VAL);
    errno = saved;
    if (text != stack)
        fl__free(NULL, text, length + 1);
    if (ok)
        *out = value;
    return ok;
}
