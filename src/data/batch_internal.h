/* What the files about batches share. Above all a walk over the pieces of a value: the runs of bytes that it points to,
 * outside of its struct. */
#ifndef FL_DATA_BATCH_INTERNAL_H
#define FL_DATA_BATCH_INTERNAL_H

#include "data/batch.h"
#include "data/type.h"

/* One piece. *slot is the pointer in the value (never NULL on entry, bytes > 0); the visitor may change it, the walk
 * goes on where it points then. holds_pointers: elements with pieces of their own follow. False ends the walk. */
typedef bool (*fl__piece_visitor)(void *context, const char **slot, size_t bytes, bool holds_pointers);

typedef struct fl__walk {
    fl__piece_visitor visit;
    void *context;
    ptrdiff_t shift;     /* what pointers in values are off by (batches that were moved and not rebased yet); else 0 */
    bool children_first; /* visit elements before the array that holds them, as freeing wants it */
    bool clear;          /* values are ours to write: zero what is null, so that nothing dangles there */
} fl__walk;

/* Visits all pieces of the value in the order of its fields; false when the visitor said so. Null fields and elements
 * have no pieces. */
bool fl__walk_value(const fl__walk *walk, const fl_type *type, void *value);

/* Sets columns, offsets and capacity of a batch of this many rows; returns where the rows begin (which is more than 32
 * bits hold when capacity is nonsense). */
uint64_t fl__batch_lay_out(fl__batch *batch, const fl_type *type, uint32_t columns, uint64_t capacity);

static inline size_t fl__align8(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

#endif
