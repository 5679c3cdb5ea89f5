/* Decimals, the part that the library keeps to itself. */
#ifndef FL_DATA_DECIMAL_H
#define FL_DATA_DECIMAL_H

#include "flinc/type.h"

#define FL__DECIMAL_PRECISION_MAX 38

typedef __int128 fl__int128;
typedef unsigned __int128 fl__uint128;

static inline fl__int128 fl__decimal_unscaled(const fl_decimal *d)
{
    return (fl__int128)(((fl__uint128)(uint64_t)d->high << 64) | d->low);
}

/* By value: 1.0 and 1.00 are equal. */
int fl__decimal_compare(const fl_decimal *a, const fl_decimal *b);
/* The same value with the smallest scale ≥ 0 and precision 38: equal values, equal bytes. */
fl_decimal fl__decimal_normal(const fl_decimal *d);

/* Writes it without exponent, as BigDecimal.toPlainString does; buffer of ≥ FL__DECIMAL_TEXT bytes; returns the length. */
enum { FL__DECIMAL_TEXT = 320 };
size_t fl__decimal_format(const fl_decimal *d, char *buffer);

#endif
