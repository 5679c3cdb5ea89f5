/* The files that one subtask reads, in the order of their event time.
 *
 * Read one after the other, the second of two logs of the same day would be late as a whole: the watermark is at the
 * end of the first by then. So each file is a lane, with the subtask's splits of it in order, and a split (in the sense
 * of stream/splits.h) of its own: the watermark is that of the lane that is furthest behind, and that lane is read
 * next. Logs that follow each other are read one after the other all the same, but for the first line of each.
 *
 *     web1.log  1 3 4 8           one after the other:  1 3 4 8 2 2 5 7   late: 2 2 5 7
 *     web2.log  2 2 5 7           as lanes:             1 2 2 3 4 5 8 7   (a poll's worth where there is one number)
 *
 * OPEN_MAX readers are kept open, of the lanes that are furthest behind; the others are taken up again where they
 * were. */
#ifndef FL_CONNECTORS_FILE_LANES_H
#define FL_CONNECTORS_FILE_LANES_H

#include "connectors/file/splits.h"

typedef struct fl__file_lane {
    size_t next, end; /* splits next, next + step … < end are to be begun */
    size_t step;
    fl__split_reader *reader; /* NULL: closed */
    bool is_begun;            /* in the middle of the split before next: at byte `at`, when closed */
    bool is_seen;             /* a line was taken: its event time may be known */
    int64_t at;
    uint32_t slot;     /* of its split in the task */
    fl_time watermark; /* by which it stands in the heap */
    uint32_t number;   /* ties: in the order of the files */
} fl__file_lane;

typedef struct fl__lanes {
    fl__file_lane *items;
    fl__file_lane **heap; /* the one furthest behind first; finished lanes are gone from it */
    uint32_t count, left; /* lanes; those in the heap */
    uint32_t open;        /* readers */
    const fl__os *os;
    const char *delimiter;
    size_t line_bytes_max;
    fl__memory *memory;
} fl__lanes;

/* The lanes of a subtask: splits subtask, subtask + parallelism … of all, which stay the caller's. */
void fl__lanes_init(
    fl__lanes *lanes, const fl__os *os, const char *delimiter, size_t line_bytes_max, fl__memory *memory);
void fl__lanes_deal(fl__lanes *lanes, const fl__split *splits, size_t count, size_t subtask, size_t parallelism);
void fl__lanes_release(fl__lanes *lanes);
/* The lane to read from now; NULL: all are finished. */
static inline fl__file_lane *fl__lanes_first(const fl__lanes *lanes)
{
    return lanes->left ? lanes->heap[0] : NULL;
}
/* Is the first lane between two splits, and has a next one? */
static inline bool fl__lanes_begins_split(const fl__lanes *lanes)
{
    return !lanes->heap[0]->is_begun && lanes->heap[0]->next < lanes->heap[0]->end;
}
/* The next line of the first lane's split, which is begun when none is: FL_OK, FL_DONE: the split is over, or there is
 * none, or an error. */
FL_MUST_USE fl_status fl__lanes_next(fl__lanes *lanes, const fl__split *splits, fl_string *line, fl_error *error);
/* The first lane has come to this watermark: puts it where it belongs. */
void fl__lanes_moved(fl__lanes *lanes, fl_time watermark);
/* The first lane is finished: forgets it. */
void fl__lanes_finished(fl__lanes *lanes);

#endif
