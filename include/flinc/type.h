/* Type descriptors: what the engine knows of a C struct.
 *
 *     typedef struct { fl_string word; int64_t count; } WordCount;
 *     FL_ROW(WordCount, word, count);
 *
 * makes FL_TYPE(WordCount), with a kind derived from each member's C type. A member that needs more than its C type
 * says is put in parentheses with designated initialisers of fl_field:
 *
 *     typedef struct { fl_nulls nulls; int64_t id; fl_array tags; Address home; char code[8]; } User;
 *     FL_ROW(User, nulls, id, (tags, .element = FL_TYPE(fl_string)), (home, .row = FL_TYPE(Address)),
 *            (code, .raw = true));
 *
 * A row with a member of type fl_nulls has nullable fields: bit i stands for the row's i-th field, not counting the
 * fl_nulls itself. fl_is_null / fl_set_null by field index.
 *
 * FL_TYPE(T) also takes the scalar types: bool, int8_t … uint64_t, int, long, float, double, fl_string, fl_bytes,
 * fl_decimal, fl_date, fl_time_of_day, fl_timestamp, fl_timestamp_ltz, fl_interval_months, fl_interval.
 *
 * Descriptors are immutable and live as long as the program (or the job's shared object). */
#ifndef FLINC_TYPE_H
#define FLINC_TYPE_H

#include "flinc/string.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fl_kind {
    FL_KIND_NONE = 0,
    FL_KIND_BOOLEAN = 1,
    FL_KIND_INT8 = 2,
    FL_KIND_INT16 = 3,
    FL_KIND_INT32 = 4,
    FL_KIND_INT64 = 5,
    FL_KIND_UINT8 = 6,
    FL_KIND_UINT16 = 7,
    FL_KIND_UINT32 = 8,
    FL_KIND_UINT64 = 9,
    FL_KIND_FLOAT = 10,
    FL_KIND_DOUBLE = 11,
    FL_KIND_DECIMAL = 12,
    FL_KIND_STRING = 13,
    FL_KIND_BYTES = 14,
    FL_KIND_DATE = 15,
    FL_KIND_TIME = 16,
    FL_KIND_TIMESTAMP = 17,
    FL_KIND_TIMESTAMP_LTZ = 18,
    FL_KIND_INTERVAL_MONTHS = 19,
    FL_KIND_INTERVAL = 20,
    FL_KIND_ARRAY = 21,
    FL_KIND_MAP = 22,
    FL_KIND_ROW = 23,
    FL_KIND_RAW = 24,   /* bytes of a fixed size without meaning to flinc: copied, hashed and compared as they are */
    FL_KIND_NULLS = 25, /* the null bits of a row; never a type of its own */
    FL_KIND_COUNT
} fl_kind;

/* 128-bit unscaled value × 10^-scale; precision ≤ 38, scale ≤ precision. Compares and hashes by value (1.0 = 1.00). */
typedef struct fl_decimal {
    uint64_t low;
    int64_t high;
    uint8_t precision, scale;
    uint8_t unused[6]; /* zero */
} fl_decimal;

typedef struct fl_date { /* days since 1970-01-01 */
    int32_t days;
} fl_date;

typedef struct fl_time_of_day { /* milliseconds since midnight, 0..86399999 */
    int32_t ms;
} fl_time_of_day;

typedef struct fl_timestamp { /* without time zone: ms since 1970-01-01 00:00:00 on the wall, plus 0..999999 ns */
    int64_t ms;
    int32_t ns;
    int32_t unused; /* zero */
} fl_timestamp;

typedef struct fl_timestamp_ltz { /* an instant: ms since the epoch in UTC, plus 0..999999 ns */
    int64_t ms;
    int32_t ns;
    int32_t unused; /* zero */
} fl_timestamp_ltz;

typedef struct fl_interval_months { /* year-month interval */
    int32_t months;
} fl_interval_months;

typedef struct fl_interval { /* day-time interval */
    int64_t ms;
} fl_interval;

/* count elements of the field's element type, one after the other in C layout. nulls: NULL (no element is null) or one
 * bit per element, bit i of nulls[i / 64]. Borrowed like a long string. */
typedef struct fl_array {
    const void *data;
    const uint64_t *nulls;
    uint32_t count;
    uint32_t unused; /* zero */
} fl_array;

/* Two arrays of the same count; keys are unique and never null. Order has no meaning: equal maps may differ in it. */
typedef struct fl_map_value {
    const void *keys;
    const void *values;
    const uint64_t *nulls; /* of the values; as in fl_array */
    uint32_t count;
    uint32_t unused; /* zero */
} fl_map_value;

/* Null bits of up to 64 fields. */
typedef struct fl_nulls {
    uint64_t bits;
} fl_nulls;

typedef struct fl_type fl_type;

/* A member of a row. */
typedef struct fl_field {
    const char *name;
    uint32_t offset;     /* in the struct, bytes */
    uint32_t size;       /* sizeof the member */
    const fl_type *type; /* never NULL in a finished descriptor, but for FL_KIND_NULLS */
    /* set by the annotated form of FL_ROW */
    const fl_type *element; /* of an fl_array; the value type of an fl_map_value */
    const fl_type *key;     /* of an fl_map_value */
    const fl_type *row;     /* a nested row */
    bool raw;               /* plain bytes of this size */
} fl_field;

struct fl_type {
    fl_kind kind;
    uint32_t size; /* sizeof the C type; for a row a multiple of align */
    uint32_t align;
    uint32_t field_count; /* rows only; fl_nulls members included */
    const char *name;     /* "WordCount", "int64_t" */
    const fl_field *fields;
    fl_where where; /* of FL_ROW, for messages */
};

/* FL_TYPE(T): the descriptor of a scalar type or of a row made by FL_ROW. */
#define FL_TYPE(T) (&fl__type_of_##T)

/* The layout tool finds another one each time. */
/* clang-format off */
#define FL__SCALARS(X) \
    X(bool, BOOLEAN) X(int8_t, INT8) X(int16_t, INT16) X(int32_t, INT32) \
    X(int64_t, INT64) X(uint8_t, UINT8) X(uint16_t, UINT16) X(uint32_t, UINT32) \
    X(uint64_t, UINT64) X(float, FLOAT) X(double, DOUBLE) X(fl_decimal, DECIMAL) \
    X(fl_string, STRING) X(fl_bytes, BYTES) X(fl_date, DATE) X(fl_time_of_day, TIME) \
    X(fl_timestamp, TIMESTAMP) X(fl_timestamp_ltz, TIMESTAMP_LTZ) \
    X(fl_interval_months, INTERVAL_MONTHS) X(fl_interval, INTERVAL)
/* clang-format on */

#define FL__DECLARE_SCALAR(T, K) extern const fl_type fl__type_of_##T;
FL__SCALARS(FL__DECLARE_SCALAR)
extern const fl_type fl__type_of_fl_array, fl__type_of_fl_map_value, fl__type_of_fl_nulls, fl__type_of_raw;
/* Other spellings of the same types; FL_TYPE(int) and so on come out here. */
#define fl__type_of__Bool fl__type_of_bool
#define fl__type_of_int fl__type_of_int32_t
#define fl__type_of_long fl__type_of_int64_t
#define fl__type_of_fl_time fl__type_of_int64_t

#define FL__SCALAR_ASSOCIATION(T, K)                                                                                   \
    T:                                                                                                                 \
    &fl__type_of_##T,
#define FL__GENERIC_TYPES                                                                                              \
    FL__SCALARS(FL__SCALAR_ASSOCIATION)                                                                                \
    long long : &fl__type_of_int64_t,                                                                                  \
                unsigned long long : &fl__type_of_uint64_t,                                                            \
                                     fl_array : &fl__type_of_fl_array,                                                 \
                                                fl_map_value : &fl__type_of_fl_map_value,                              \
                                                               fl_nulls : &fl__type_of_fl_nulls

#define FL__FIELD(T, f) FL__FIELD_PICK(FL__IS_PAREN(f))(T, f),
#define FL__FIELD_PICK(p) FL__FIELD_PICK_(p)
#define FL__FIELD_PICK_(p) FL__FIELD_##p
#define FL__FIELD_0(T, m)                                                                                              \
    {                                                                                                                  \
        .name = #m, .offset = offsetof(T, m), .size = sizeof(((T *)0)->m),                                             \
        .type = _Generic(((T *)0)->m, FL__GENERIC_TYPES)                                                               \
    }
#define FL__FIELD_1(T, f) FL__FIELD_LONG(T, FL__UNPAREN f)
#define FL__UNPAREN(...) __VA_ARGS__
#define FL__FIELD_LONG(...) FL__FIELD_LONG_(__VA_ARGS__)
#define FL__FIELD_LONG_(T, m, ...)                                                                                     \
    {                                                                                                                  \
        .name = #m, .offset = offsetof(T, m), .size = sizeof(((T *)0)->m),                                             \
        .type = _Generic(((T *)0)->m, FL__GENERIC_TYPES, default                                                       \
                         : (const fl_type *)0),                                                                        \
        __VA_ARGS__                                                                                                    \
    }
#define FL__IS_PAREN(x) FL__PAREN_CHECK(FL__PAREN_PROBE x)
#define FL__PAREN_PROBE(...) ~, 1
#define FL__PAREN_CHECK(...) FL__PAREN_SECOND(__VA_ARGS__, 0, 0)
#define FL__PAREN_SECOND(a, b, ...) b

/* One line a row type; at file scope, after the struct. Members that are not listed are not carried over by codecs and
 * not compared, hashed or printed (but copied with the struct: they must hold no pointers). A member whose C type flinc
 * does not know, and that has no annotation, is a compile error in the _Generic above. At most 64 members. */
#define FL_ROW(T, ...)                                                                                                 \
    static const fl_field fl__fields_of_##T[] = { FL__EACH(FL__FIELD, T, __VA_ARGS__) };                               \
    static const fl_type fl__type_of_##T __attribute__((unused)) = { .kind = FL_KIND_ROW,                              \
        .size = sizeof(T),                                                                                             \
        .align = _Alignof(T),                                                                                          \
        .field_count = sizeof fl__fields_of_##T / sizeof fl__fields_of_##T[0],                                         \
        .name = #T,                                                                                                    \
        .fields = fl__fields_of_##T,                                                                                   \
        .where = { __FILE__, __LINE__ } }

/* Is the row's i-th field (not counting the fl_nulls member) null? */
static inline bool fl_is_null(fl_nulls nulls, unsigned field)
{
    return (nulls.bits >> field) & 1;
}
static inline void fl_set_null(fl_nulls *nulls, unsigned field, bool null)
{
    nulls->bits = (nulls->bits & ~((uint64_t)1 << field)) | ((uint64_t)null << field);
}

/* The kind of a field: FL_KIND_ROW for a nested row, FL_KIND_RAW for plain bytes, else its C type's. */
static inline fl_kind fl_field_kind(const fl_field *field)
{
    return field->row ? FL_KIND_ROW : field->raw ? FL_KIND_RAW : field->type ? field->type->kind : FL_KIND_NONE;
}

/* Same layout and meaning: kinds, field names, offsets, nested types. The names of the row types do not count. */
bool fl_type_equal(const fl_type *a, const fl_type *b);

/* The field of this name; "a.b" goes into nested rows: then *offset is the sum of the offsets (may be NULL). NULL when
 * there is none. */
const fl_field *fl_type_field(const fl_type *type, const char *name, uint32_t *offset);

/* Compares two values of the type: negative, 0, positive. Rows field by field in order; nulls first; NaN after all
 * other numbers and equal to itself, -0.0 equal to 0.0; arrays by elements, then count; maps by sorted keys. */
int fl_compare(const fl_type *type, const void *a, const void *b);

/* 64-bit hash that agrees with fl_compare; the same in every process of the same flinc version. */
uint64_t fl_hash(const fl_type *type, const void *value);

/* Writes the value as text, as Flink prints it: a row's fields in order, separated by commas, in parentheses, like a
 * Flink tuple: (hello,3); null as null. Like snprintf: at most size-1 bytes and a 0, returns the length it would have.
 */
size_t fl_format(const fl_type *type, const void *value, char *buffer, size_t size);

/* Decimal from and to text and double; false when it does not fit precision (≤ 38). */
bool fl_decimal_from_string(const fl_string *s, uint8_t precision, uint8_t scale, fl_decimal *out);
fl_decimal fl_decimal_of(int64_t unscaled, uint8_t precision, uint8_t scale);
double fl_decimal_to_double(fl_decimal d);

/* Dates and times from ISO text ("2015-05-17", "10:05:03.250", "2015-05-17 10:05:03" with ' ' or 'T'); false when it is
 * none. */
bool fl_date_parse(const fl_string *s, fl_date *out);
bool fl_time_of_day_parse(const fl_string *s, fl_time_of_day *out);
bool fl_timestamp_parse(const fl_string *s, fl_timestamp *out);
/* ms since the epoch in UTC as "YYYY-MM-DD HH:MM:SS" or with ".mmm" when with_ms; buffer of ≥ 32 bytes; returns it. */
const char *fl_time_format(fl_time time, bool with_ms, char *buffer);

#ifdef __cplusplus
}
#endif
#endif
