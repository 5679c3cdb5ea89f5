#include "operators/window_queue.h"

#include "base/error.h"

enum { BUCKET_FIRST = 16, BUCKET_KEPT = 1 << 12 }; /* items: of a new bucket; what an emptied one may keep room for */

void fl__window_queue_init(fl__window_queue *queue, fl__memory *memory)
{
    *queue = (fl__window_queue){ .memory = memory, .last = FL_TIME_MIN };
}

static void release_bucket(fl__window_queue *queue, struct fl__window_bucket *bucket)
{
    fl__free(queue->memory, bucket->items, bucket->capacity * sizeof *bucket->items);
    *bucket = (struct fl__window_bucket){ 0 };
}

void fl__window_queue_clear(fl__window_queue *queue)
{
    for (unsigned b = 0; b < 65; b++)
        queue->buckets[b].count = 0;
    queue->used[0] = queue->used[1] = 0;
    queue->count = 0;
    queue->first = 0;
    queue->last = FL_TIME_MIN;
}

void fl__window_queue_release(fl__window_queue *queue)
{
    for (unsigned b = 0; b < 65; b++)
        release_bucket(queue, &queue->buckets[b]);
}

/* Bucket b holds the times whose highest bit that differs from last is bit b - 1; times order as unsigned numbers once
 * their sign bit is turned, which no difference sees. */
static inline unsigned bucket_of(fl_time last, fl_time time)
{
    return time <= last ? 0 : 64 - (unsigned)__builtin_clzll((uint64_t)time ^ (uint64_t)last);
}

static void put(fl__window_queue *queue, unsigned b, const fl__window_due *due)
{
    struct fl__window_bucket *bucket = &queue->buckets[b];
    if (bucket->count == bucket->capacity) {
        fl_assert(bucket->capacity < UINT32_MAX / 2);
        uint32_t capacity = bucket->capacity ? bucket->capacity * 2 : BUCKET_FIRST;
        bucket->items = fl__realloc(
            queue->memory, bucket->items, bucket->capacity * sizeof *bucket->items, capacity * sizeof *bucket->items);
        bucket->capacity = capacity;
    }
    if (bucket->count == 0 || due->time < bucket->earliest)
        bucket->earliest = due->time;
    bucket->items[bucket->count++] = *due;
    queue->used[b / 64] |= UINT64_C(1) << b % 64;
}

void fl__window_queue_put(fl__window_queue *queue, fl_time time, uint32_t window, uint32_t key)
{
    put(queue, bucket_of(queue->last, time), &(fl__window_due){ time, window, key });
    queue->count++;
}

static void empty(fl__window_queue *queue, unsigned b)
{
    struct fl__window_bucket *bucket = &queue->buckets[b];
    bucket->count = 0;
    queue->used[b / 64] &= ~(UINT64_C(1) << b % 64);
    if (bucket->capacity > BUCKET_KEPT)
        release_bucket(queue, bucket);
}

/* The lowest bucket with something in it; 65: none. */
static unsigned lowest(const fl__window_queue *queue)
{
    return queue->used[0] ? (unsigned)__builtin_ctzll(queue->used[0]) : queue->used[1] ? 64 : 65;
}

/* Spreads a bucket over the lower ones; its earliest time is the last one from now on. */
static void open_bucket(fl__window_queue *queue, unsigned b)
{
    struct fl__window_bucket *bucket = &queue->buckets[b];
    queue->last = bucket->earliest;
    queue->first = 0;
    for (uint32_t i = 0; i < bucket->count; i++) {
        unsigned to = bucket_of(queue->last, bucket->items[i].time);
        fl_assert(to < b);
        put(queue, to, &bucket->items[i]);
    }
    empty(queue, b);
}

bool fl__window_queue_take(fl__window_queue *queue, fl_time limit, fl__window_due *due)
{
    for (;;) {
        unsigned b = lowest(queue);
        if (b == 65)
            return false;
        struct fl__window_bucket *bucket = &queue->buckets[b];
        if (b == 0) {
            *due = bucket->items[queue->first++];
            queue->count--;
            if (queue->first == bucket->count) {
                queue->first = 0;
                empty(queue, 0);
            }
            return true;
        }
        if (bucket->earliest > limit)
            return false;
        open_bucket(queue, b);
    }
}

fl_time fl__window_queue_next(const fl__window_queue *queue)
{
    unsigned b = lowest(queue);
    return b == 65 ? FL_TIME_MAX : b == 0 ? queue->last : queue->buckets[b].earliest;
}

void fl__window_queue_sweep(
    fl__window_queue *queue, bool (*is_live)(void *context, const fl__window_due *due), void *context)
{
    for (unsigned b = 0; b < 65; b++) {
        struct fl__window_bucket *bucket = &queue->buckets[b];
        uint32_t from = b == 0 ? queue->first : 0, kept = 0;
        fl_time earliest = FL_TIME_MAX;
        for (uint32_t i = from; i < bucket->count; i++) {
            fl__window_due due = bucket->items[i];
            if (!is_live(context, &due))
                continue;
            bucket->items[kept++] = due;
            earliest = due.time < earliest ? due.time : earliest;
        }
        queue->count -= bucket->count - from - kept;
        if (b == 0)
            queue->first = 0;
        bucket->count = kept;
        bucket->earliest = earliest;
        if (kept == 0)
            empty(queue, b);
    }
}
