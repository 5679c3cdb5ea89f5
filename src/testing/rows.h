/* Rows that are kept: an array of deep copies with timestamps, for test sinks and the harness. */
#ifndef FL_TESTING_ROWS_H
#define FL_TESTING_ROWS_H

#include "data/batch.h"

typedef struct fl__kept_rows {
    fl__layout layout;
    fl__arena heap; /* what rows point to */
    char *rows;     /* count of them, one after the other */
    fl_time *timestamps;
    int *subtasks;
    size_t count, capacity;
} fl__kept_rows;

void fl__kept_init(fl__kept_rows *kept, const fl_type *type);
void fl__kept_release(fl__kept_rows *kept);
void fl__kept_add(fl__kept_rows *kept, const void *row, fl_time timestamp, int subtask);
/* All rows of a batch. */
void fl__kept_add_batch(fl__kept_rows *kept, const fl__batch *batch, int subtask);

/* Deep copies of an array of rows, in arena. */
void *fl__copy_rows(fl__arena *arena, const fl_type *type, const void *rows, size_t count);

#endif
