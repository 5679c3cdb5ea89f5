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

typedef unsigned __int128 uint128;

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

static inline uint128 load_u128(const char *p)
{
    uint128 x;
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

/* Stores both words as one: a token is copied next, as one, and after two stores that copy waits for the cache. */
static inline void put(fl_string *to, fl_string s)
{
#ifdef __SSE2__
    _mm_storeu_si128((__m128i *)(void *)to,
        _mm_set_epi64x((long long)load_u64((const char *)&s + 8), (long long)load_u64((const char *)&s)));
#else
    *to = s;
#endif
}

static inline fl_string empty_string(void)
{
    return from_words(0, 0);
}

static inline fl_string long_string(const char *data, size_t length)
{
    return from_words((uint32_t)length | (uint64_t)load_u32(data) << 32, (uint64_t)(uintptr_t)data);
}

/* The first length ≤ 12 bytes of a window of 16. A table, because shifting a mask in takes longer. */
static inline fl_string short_string(uint128 window, size_t length)
{
    static const struct {
        uint64_t low, high;
    } masks[FL_STRING_INLINE + 1] = {
#define LOW(n) ((n) >= 4 ? UINT64_C(0xffffffff) << 32 : ((UINT64_C(1) << (8 * ((n)&3))) - 1) << 32)
#define HIGH(n) ((n) >= 12 ? ~UINT64_C(0) : (n) <= 4 ? 0 : (UINT64_C(1) << (8 * (((n)-4) & 7))) - 1)
#define MASK(n) { LOW(n), HIGH(n) }
        MASK(0), MASK(1), MASK(2), MASK(3), MASK(4), MASK(5), MASK(6), MASK(7), MASK(8), MASK(9), MASK(10), MASK(11),
        MASK(12)
    };
    return from_words(
        (((uint64_t)window << 32) & masks[length].low) | length, (uint64_t)(window >> 32) & masks[length].high);
}

/* length bytes at p, followed by `behind` more that can be read. */
static inline fl_string slice_of(const char *p, size_t length, size_t behind)
{
    if (length > FL_STRING_INLINE)
        return long_string(p, length);
    return length + behind >= 16 ? short_string(load_u128(p), length) : fl_string_of(p, length);
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

/* ---- scanning ----
 *
 * Bytes are looked at through windows of 16. A string of 16 bytes and more has one in memory; of a shorter one it is made
 * of what can be read, filled up with zeros. What is cut out of a window is shifted and masked, never copied: memcpy of
 * a few bytes costs more than all the rest. */

/* The bytes to look for: two of them, maybe the same (the usual case, kept in registers), or a list. */
typedef struct byte_set {
    char first, second;
    const char *list; /* NULL: the two */
} byte_set;

#ifdef __SSE2__
/* Which of the window's bytes are in the set: bit i for byte i. */
static inline __attribute__((always_inline)) unsigned match_vector(byte_set set, __m128i window)
{
    __m128i hits;
    if (!set.list) {
        hits = _mm_or_si128(
            _mm_cmpeq_epi8(window, _mm_set1_epi8(set.first)), _mm_cmpeq_epi8(window, _mm_set1_epi8(set.second)));
    } else {
        hits = _mm_setzero_si128();
        for (const char *c = set.list; *c; c++)
            hits = _mm_or_si128(hits, _mm_cmpeq_epi8(window, _mm_set1_epi8(*c)));
    }
    return (unsigned)_mm_movemask_epi8(hits);
}

static inline __attribute__((always_inline)) unsigned match_16(byte_set set, const char *p)
{
    return match_vector(set, _mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline __attribute__((always_inline)) unsigned match_window(byte_set set, uint128 window)
{
    return match_vector(set, _mm_set_epi64x((long long)(uint64_t)(window >> 64), (long long)(uint64_t)window));
}
#else
static inline unsigned match_16(byte_set set, const char *p)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < 16; i++) {
        bool hit = set.list ? p[i] != 0 && strchr(set.list, p[i]) : p[i] == set.first || p[i] == set.second;
        mask |= (unsigned)hit << i;
    }
    return mask;
}

static inline unsigned match_window(byte_set set, uint128 window)
{
    char bytes[16];
    memcpy(bytes, &window, sizeof bytes);
    return match_16(set, bytes);
}
#endif

/* All bytes of a string of less than 16, zeros behind them. */
static inline uint128 window_of(const fl_string *s)
{
    if (s->length <= FL_STRING_INLINE)
        return load_u128((const char *)s) >> 32;
    uint128 low = load_u64(s->bytes), high = load_u64(s->bytes + s->length - 8);
    return low | (high >> (8 * (16 - s->length))) << 64;
}

/* First byte at or after from that is (wanted) or is not in the set; length when there is none. length ≥ 16. */
static inline size_t scan(byte_set set, const char *data, size_t length, size_t from, bool wanted)
{
    const unsigned flip = wanted ? 0 : 0xffff;
    for (; length - from >= 16; from += 16) {
        unsigned mask = match_16(set, data + from) ^ flip;
        if (mask)
            return from + (unsigned)__builtin_ctz(mask);
    }
    if (from == length)
        return length;
    /* the last window overlaps what was seen */
    unsigned mask = (match_16(set, data + length - 16) ^ flip) >> (16 - (length - from));
    return mask ? from + (unsigned)__builtin_ctz(mask) : length;
}

/* What is left of a string of 16 bytes and more behind its first `from`. */
static inline fl_string remainder_of(const char *data, size_t length, size_t from)
{
    size_t left = length - from;
    if (FL_LIKELY(left > FL_STRING_INLINE))
        return long_string(data + from, left);
    return left == 0 ? empty_string() : short_string(load_u128(data + length - 16) >> (8 * (16 - left)), left);
}

/* The same for a shorter one, of which the window is at hand. */
static inline fl_string remainder_of_window(const fl_string *s, uint128 window, size_t from)
{
    size_t left = s->length - from;
    if (left > FL_STRING_INLINE)
        return long_string(s->bytes + from, left);
    return left == 0 ? empty_string() : short_string(window >> (8 * from), left);
}

/* A token in a string of less than 16 bytes. */
static __attribute__((noinline)) bool take_short_token(
    fl_string *rest, char first, char second, const char *list, fl_string *token)
{
    const byte_set set = { first, second, list };
    unsigned length = rest->length, valid = (1u << length) - 1;
    uint128 window = window_of(rest);
    unsigned mask = match_window(set, window), others = ~mask & valid;
    if (!others) {
        *rest = empty_string();
        return false;
    }
    unsigned start = (unsigned)__builtin_ctz(others);
    unsigned end = (unsigned)__builtin_ctz(((mask & valid) | 1u << length) & ~0u << start);
    put(token, end - start > FL_STRING_INLINE ? long_string(rest->bytes + start, end - start)
                                              : short_string(window >> (8 * start), end - start));
    *rest = remainder_of_window(rest, window, end + (end < length));
    return true;
}

/* A token that lies behind more than 16 delimiters, or is longer than a window. */
static __attribute__((noinline)) bool take_long_token(
    fl_string *rest, char first, char second, const char *list, fl_string *token)
{
    const byte_set set = { first, second, list };
    const char *data = rest->bytes;
    size_t length = rest->length, start = scan(set, data, length, 0, false);
    if (start == length) {
        *rest = empty_string();
        return false;
    }
    size_t end = scan(set, data, length, start, true);
    *token = slice_of(data + start, end - start, length - end);
    *rest = remainder_of(data, length, end + (end < length));
    return true;
}

static inline __attribute__((always_inline)) bool take_token(fl_string *rest, byte_set set, fl_string *token)
{
    size_t length = rest->length;
    if (FL_UNLIKELY(length < 16))
        return take_short_token(rest, set.first, set.second, set.list, token);
    const char *data = rest->bytes;
    unsigned mask = match_16(set, data), start = 0, after = mask;
    if (FL_UNLIKELY(mask & 1)) {
        start = (unsigned)__builtin_ctz(~mask); /* ≤ 16: above the 16 bits are ones */
        after &= ~0u << start;
    }
    if (FL_UNLIKELY(!after))
        return take_long_token(rest, set.first, set.second, set.list, token);
    unsigned end = (unsigned)__builtin_ctz(after);
    data += start;
    end -= start;
    put(token, end > FL_STRING_INLINE ? long_string(data, end) : slice_of(data, end, length - start - end));
    *rest = remainder_of(data, length - start, end + 1);
    return true;
}

bool fl__string_token_of_two(fl_string *rest, char first, char second, fl_string *token)
{
    return take_token(rest, (byte_set){ first, second, NULL }, token);
}

bool fl__string_token_of_list(fl_string *rest, const char *delimiters, fl_string *token)
{
    return take_token(rest, (byte_set){ 0, 0, delimiters }, token);
}

bool fl_string_field(fl_string *rest, char separator, fl_string *field)
{
    const byte_set set = { separator, separator, NULL };
    size_t length = rest->length, end;
    if (FL_UNLIKELY(length < 16)) {
        if (length == 0 && !rest->bytes)
            return false;
        uint128 window = length == 0 ? 0 : window_of(rest);
        end = (unsigned)__builtin_ctz(match_window(set, window) | 1u << length);
        end = end < length ? end : length;
        put(field, end > FL_STRING_INLINE ? long_string(rest->bytes, end) : short_string(window, end));
        *rest = end == length ? empty_string() : remainder_of_window(rest, window, end + 1);
    } else {
        const char *data = rest->bytes;
        unsigned mask = match_16(set, data);
        end = FL_LIKELY(mask) ? (unsigned)__builtin_ctz(mask) : scan(set, data, length, 16, true);
        put(field, end > FL_STRING_INLINE ? long_string(data, end) : short_string(load_u128(data), end));
        *rest = end == length ? empty_string() : remainder_of(data, length, end + 1);
    }
    if (end < length && rest->length == 0)
        rest->bytes = empty_field;
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
    static const double powers[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
        1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
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
