/* Sorts rows by (key, timestamp, arrival), with files when they are more than the memory given: what BATCH mode puts
 * before operators that want their input key by key (Flink's SortingDataInput).
 *
 *   add …      rows are copied into batches, with an entry each: hash of the key, timestamp, pointer
 *   full       entries are sorted and written to the file as a run; batches are used again
 *   end        the last rows stay in memory as the newest run; all runs are merged by a tree of losers
 *   peek/next  the rows in order
 *
 * Keys are in the order of their hashes (equal ones in that of fl_compare): equal keys meet, which is all that is
 * asked for. One merge whatever the number of runs: each takes the memory of a segment while it is read.
 *
 * One thread. Errors (FL_ERROR_IO, FL_ERROR_CORRUPT) stick in fl__sorter_error, after which nothing more comes. */
#ifndef FL_STREAM_SORTER_H
#define FL_STREAM_SORTER_H

#include "data/key.h"
#include "stream/spool.h"

typedef struct fl__sorter fl__sorter;

typedef struct fl__sorter_options {
    fl__spill *spill;
    fl__memory *memory; /* account */
    const fl_type *type;
    const fl__key *key;  /* NULL: the hashes alone decide, then arrival */
    bool has_timestamps; /* of the rows that are added */
    uint32_t segment_size;
    int64_t bytes_max; /* of rows and entries in memory; at least a segment is used */
} fl__sorter_options;

/* A row in order; valid until the next fl__sorter_next. */
typedef struct fl__sorted_row {
    uint64_t hash;
    fl_time timestamp; /* FL_NO_TIMESTAMP without */
    const char *row;
} fl__sorted_row;

fl__sorter *fl__sorter_new(const fl__sorter_options *options);
void fl__sorter_free(fl__sorter *sorter); /* NULL: nothing */
/* Copies a row. */
void fl__sorter_add(fl__sorter *sorter, const void *row, uint64_t hash, fl_time timestamp);
/* Copies the rows of a batch that carries hashes. */
void fl__sorter_add_batch(fl__sorter *sorter, const fl__batch *batch);
/* All rows are there: sorts and merges. Once. */
void fl__sorter_end(fl__sorter *sorter);
/* The first row that was not taken; NULL: that was all. */
const fl__sorted_row *fl__sorter_peek(const fl__sorter *sorter);
void fl__sorter_next(fl__sorter *sorter);
/* FL_OK, or the first failure. */
const fl_error *fl__sorter_error(const fl__sorter *sorter);
/* How many rows were added; how many runs went to the file. */
uint64_t fl__sorter_rows(const fl__sorter *sorter);
uint32_t fl__sorter_runs(const fl__sorter *sorter);

#endif
