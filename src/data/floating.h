/* Floating point as text: Java's Double.toString and Float.toString. */
#ifndef FL_DATA_FLOATING_H
#define FL_DATA_FLOATING_H

#include "flinc/base.h"

enum { FL__FLOATING_TEXT = 32 };

/* Writes the fewest digits that read back as x (of those the nearest to x), at least one behind the point: 1.0, 35.8;
 * 1.5E10 and 9.0E-4 from 1e7 up and below 1e-3; NaN, Infinity. is_float: x is a float's value, and fewer digits do.
 * buffer of ≥ FL__FLOATING_TEXT bytes, of which what lies behind the text is undefined; returns the length. */
size_t fl__floating_format(double x, bool is_float, char *buffer);

#endif
