/* Inside of the aggregations of keyed streams: what the rolling ones (rolling.c) and the final ones of BATCH mode
 * (rolling_batch.c) share. */
#ifndef FL_OPERATORS_ROLLING_INTERNAL_H
#define FL_OPERATORS_ROLLING_INTERNAL_H

#include "operators/record.h"
#include "state/table.h"
#include "stream/task.h"

typedef void (*fl__combine_fn)(void *value, const void *in);

/* An entry of the table is [key | value], or the row alone: see rolling.c. */
typedef struct fl__rolling_operator {
    fl__operator op;
    fl__table table;
    fl__layout layout;      /* of the value */
    uint32_t value_offset;  /* in the entry */
    bool key_in_row;        /* the value is the whole entry */
    bool is_sum64;          /* combine is a sum of 64-bit integers */
    fl__combine_fn combine; /* sum, min, max of one field; NULL: min_by, max_by, or the user's function */
    fl__heap *heap;         /* owns what values point to; NULL when flat */
    void *key_scratch, *old;
} fl__rolling_operator;

fl_status fl__rolling_open(fl__operator *op, fl_error *error);
void fl__rolling_close(fl__operator *op);
/* rolling_snapshot.c */
void fl__rolling_snapshot(fl__operator *op, fl__snapshot *to);
fl_status fl__rolling_restore(fl__operator *op, fl__restored *from, fl_error *error);
/* The first value of a new entry: a row, or what a fold starts from. */
void fl__rolling_start(fl__rolling_operator *self, char *entry, const char *row);
/* min_by, max_by: the row takes the value's place if it wins. */
void fl__rolling_replace(fl__rolling_operator *self, char *entry, const char *row);
/* Calls the user's reduce or fold function; ctx.key and ctx.timestamp are set. */
static inline void fl__rolling_call(fl__rolling_operator *self, char *value, const char *row)
{
    fl__operator *op = &self->op;
    if (self->heap)
        memcpy(self->old, value, op->spec->out->size);
    op->spec->reduce(value, row, &op->ctx);
    if (self->heap)
        fl__value_settle(&self->layout, value, self->old, self->heap);
}

extern const fl__batch_variants fl__rolling_batch, fl__reduce_batch, fl__fold_batch; /* rolling_batch.c */

#endif
