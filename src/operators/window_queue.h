/* When windows are due: a queue of (time, window) for one time domain, in which time only goes on.
 *
 * A radix heap (Ahuja, Mehlhorn, Orlin and Tarjan 1990): an item lies in the bucket of the highest bit in which its
 * time differs from the last one taken, bucket 0 being "due". Taking opens the lowest bucket and spreads its items over
 * those below. An item moves down at most once a bit, in sequential writes: for sessions of 100,000 keys that is a few
 * nanoseconds an item, where a binary heap misses the cache at every level. Items of one time come out in the order in
 * which they were put in.
 *
 * Items are hints: who puts one in checks when it comes out whether it still means something. So nothing is ever taken
 * from the middle; fl__window_queue_sweep throws away what means nothing when there is too much of it. One thread. */
#ifndef FL_OPERATORS_WINDOW_QUEUE_H
#define FL_OPERATORS_WINDOW_QUEUE_H

#include "base/memory.h"

typedef struct fl__window_due {
    fl_time time;
    uint32_t window;
    uint32_t key; /* the reference of the window's key: tells what to fetch before the window is there */
} fl__window_due;

typedef struct fl__window_queue {
    fl__memory *memory;
    struct fl__window_bucket {
        fl__window_due *items;
        uint32_t count, capacity;
        fl_time earliest;
    } buckets[65];
    uint64_t used[2]; /* bit per bucket that holds something */
    uint32_t first;   /* of bucket 0: taken already */
    fl_time last;     /* all of bucket 0 are due at it, or were when they were put in */
    uint64_t count;
} fl__window_queue;

void fl__window_queue_init(fl__window_queue *queue, fl__memory *memory);
/* As after init; memory is kept. */
void fl__window_queue_clear(fl__window_queue *queue);
void fl__window_queue_release(fl__window_queue *queue);
/* A time before the last one taken counts as that one. */
void fl__window_queue_put(fl__window_queue *queue, fl_time time, uint32_t window, uint32_t key);
/* Takes the earliest with time ≤ limit; false: there is none. Limits must not fall. */
bool fl__window_queue_take(fl__window_queue *queue, fl_time limit, fl__window_due *due);
/* The earliest time in it; FL_TIME_MAX when it is empty. */
fl_time fl__window_queue_next(const fl__window_queue *queue);
/* Keeps those that is_live confirms. */
void fl__window_queue_sweep(
    fl__window_queue *queue, bool (*is_live)(void *context, const fl__window_due *due), void *context);

#endif
