/* Strings and bytes as 16-byte values.
 *
 *   length ≤ 12   | length u32 | up to 12 bytes, padded with zeros        |
 *   length > 12   | length u32 | first 4 bytes | pointer to all the bytes |
 *
 * Two short strings are equal when their 16 bytes are; most comparisons of long ones end at the prefix.
 * A string of more than 12 bytes borrows its bytes: what a user function gets is valid during the call, what it
 * collects or assigns to state is copied by the engine. Copying the struct copies no bytes.
 * Content is UTF-8 by convention; no function here changes or checks the encoding. Length ≤ FL_STRING_MAX bytes. */
#ifndef FLINC_STRING_H
#define FLINC_STRING_H

#include "flinc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FL_STRING_INLINE 12
#define FL_STRING_MAX ((uint32_t)0x7fffffff)

typedef struct fl_string {
    uint32_t length; /* bytes */
    char prefix[4];
    union {
        char rest[8];
        const char *bytes; /* all the bytes, the prefix included; not terminated by 0 */
    };
} fl_string;

/* Same layout, another type: bytes without an encoding. */
typedef struct fl_bytes {
    fl_string s;
} fl_bytes;

_Static_assert(sizeof(fl_string) == 16, "fl_string is 16 bytes");

/* The number of bytes. */
static inline size_t fl_string_length(fl_string s)
{
    return s.length;
}

/* A pointer to the bytes (not terminated); valid as long as *s is neither moved nor changed. */
static inline const char *fl_string_data(const fl_string *s)
{
    return s->length <= FL_STRING_INLINE ? (const char *)s + offsetof(fl_string, prefix) : s->bytes;
}

/* A string of these bytes. Short ones are copied into the value, longer ones borrow data. length ≤ FL_STRING_MAX; data
 * may be NULL when length is 0. */
static inline fl_string fl_string_of(const char *data, size_t length)
{
    /* Loads of fixed size that overlap, instead of a call of memcpy: low is the prefix, high the rest or the pointer.
     */
    uint32_t low = 0, tail;
    uint64_t high = 0;
    if (length > FL_STRING_INLINE) {
        memcpy(&low, data, 4);
        high = (uint64_t)(uintptr_t)data;
    } else if (length >= 4) {
        memcpy(&low, data, 4);
        memcpy(&tail, data + length - 4, 4);
        if (length >= 8) {
            uint32_t middle;
            memcpy(&middle, data + 4, 4);
            high = middle | ((uint64_t)tail >> (8 * (12 - length))) << 32;
        } else {
            high = (uint64_t)tail >> (8 * (8 - length));
        }
    } else if (length > 0) {
        low = (uint32_t)(unsigned char)data[0] | (uint32_t)(unsigned char)data[length >> 1] << (8 * (length >> 1)) |
              (uint32_t)(unsigned char)data[length - 1] << (8 * (length - 1));
    }
    /* By words, as it will be read: narrower stores would hold up the copy that follows. */
    fl_string s;
    uint64_t first = (uint32_t)length | (uint64_t)low << 32;
    memcpy((char *)&s, &first, 8);
    memcpy((char *)&s + 8, &high, 8);
    return s;
}

/* A string of a C string (NULL gives the empty string). */
static inline fl_string fl_str(const char *text)
{
    return fl_string_of(text, text ? strlen(text) : 0);
}

bool fl__string_equal_long(const fl_string *a, const fl_string *b);

/* Same bytes? */
static inline bool fl_string_equal(fl_string a, fl_string b)
{
    uint64_t a0, b0, a1, b1;
    memcpy(&a0, &a, 8);
    memcpy(&b0, &b, 8);
    if (a0 != b0)
        return false;
    memcpy(&a1, (char *)&a + 8, 8);
    memcpy(&b1, (char *)&b + 8, 8);
    return a1 == b1 || (a.length > FL_STRING_INLINE && fl__string_equal_long(&a, &b));
}

/* Order by bytes (unsigned), as memcmp: negative, 0, positive. A prefix comes before the longer string. */
int fl_string_compare(fl_string a, fl_string b);

/* Bytes [from, to), bounds clipped to the string; borrows what s borrows. s by pointer: a short slice of a long
 * string is inline, a slice of a short string is inline too. */
fl_string fl_string_slice(const fl_string *s, size_t from, size_t to);

bool fl__string_token_of_two(fl_string *rest, char first, char second, fl_string *token);
bool fl__string_token_of_list(fl_string *rest, const char *delimiters, fl_string *token);

/* Takes the next token from the front of *rest: skips bytes that are in delimiters, then takes all bytes up to the next
 * delimiter or the end; that delimiter is removed too. With no delimiters at all the rest is one token. False when
 * nothing but delimiters was left. A short *rest (≤ 12 bytes) works too. */
static inline bool fl_string_token(fl_string *rest, const char *delimiters, fl_string *token)
{
    if (FL_LIKELY(delimiters[0] && !(delimiters[1] && delimiters[2]))) /* known when compiled, for a literal */
        return fl__string_token_of_two(rest, delimiters[0], delimiters[1] ? delimiters[1] : delimiters[0], token);
    return fl__string_token_of_list(rest, delimiters, token);
}

/* Takes the next field from the front of *rest, up to the separator (which is removed); empty fields count, as in CSV
 * without quotes: "a,,b," has four. An empty line has none. False when no field is left; *rest must start as the whole
 * line. After the last field *rest has length 0 and bytes NULL; as long as an empty last field is left, length 0 and
 * bytes not NULL. */
bool fl_string_field(fl_string *rest, char separator, fl_string *field);

/* Position of the first byte / substring at or after from; -1 when there is none. */
int64_t fl_string_find(const fl_string *s, const char *needle, size_t from);
bool fl_string_starts_with(const fl_string *s, const char *prefix);
bool fl_string_ends_with(const fl_string *s, const char *suffix);
/* Without white space (space, \t, \r, \n, \v, \f) at both ends. */
fl_string fl_string_trim(const fl_string *s);

/* Numbers: the whole string must be one (no white space around); false and *out unchanged when it is not or is out of
 * range. fl_string_to_double takes what strtod takes, except hexadecimal. */
bool fl_string_to_int(const fl_string *s, int64_t *out);
bool fl_string_to_double(const fl_string *s, double *out);

/* 64-bit hash of the content; the same in every process and version of flinc. */
uint64_t fl_string_hash(const fl_string *s);

/* Copies at most size-1 bytes and a 0 into buffer; returns buffer. For printf: "%.*s" with FL_STR(s). */
const char *fl_string_copy(const fl_string *s, char *buffer, size_t size);
#define FL_STR(s) (int)fl_string_length(s), fl_string_data(&(s))

#ifdef __cplusplus
}
#endif
#endif
