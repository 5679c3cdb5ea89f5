/* The records of every case, made from their number alone: the bare loop and the job make the same ones, and a job's
 * subtask s of p makes the numbers s, s + p, s + 2p …, so that the records do not depend on the parallelism either. */
#ifndef BENCH_GENERATE_H
#define BENCH_GENERATE_H

#include <stdint.h>

enum {
    SENTENCES = 4096, /* a power of two; 270 KB of text */
    SENTENCE_WORDS = 10,
    WORDS = 10000,
    WINDOW_KEYS = 10000,
    WINDOW_MS = 1000,
    SLIDES = 60, /* windows that a record of the sliding case is in */
    TIMER_MS = 1000,
    JOIN_MS = 5,
    RECORDS_PER_MS = 1000, /* of event time */
    RECORDS_PER_WATERMARK = 100000,
};

typedef struct pair {
    int64_t key, value;
} pair;

/* SplitMix64 (Steele, Lea and Flood, 2014) at position i. */
static inline uint64_t random_at(uint64_t i)
{
    uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A key of 0 … keys-1, and a value that depends on the key: then the sum of all running sums is the same whatever the
 * order in which parallel sources meet. */
static inline pair pair_at(uint64_t i, uint64_t keys)
{
    int64_t key = (int64_t)(((random_at(i) >> 32) * keys) >> 32);
    return (pair){ key, (key & 15) + 1 };
}

/* The second stream of a join: as many records of the same keys, drawn otherwise. */
static inline pair right_at(uint64_t i, uint64_t keys)
{
    return pair_at(i + (UINT64_C(1) << 40), keys);
}
/* What a pair adds to the checksum; the values depend on the key, so the times come in. */
static inline uint64_t join_sum(int64_t key, int64_t left_time, int64_t right_time)
{
    return (uint64_t)(key + left_time * 3 + right_time * 5);
}

/* Event time of record i, ms: advances evenly. */
static inline int64_t time_at(uint64_t i)
{
    return (int64_t)(i / RECORDS_PER_MS);
}

/* The sentences: words of 2 to 14 letters (3 % longer than a string that needs no heap), each word somewhere. Made once
 * per process, before the clock starts. */
typedef struct sentence {
    const char *text;
    uint32_t length;
} sentence;
extern sentence sentences[SENTENCES];
void sentences_make(void);

static inline const sentence *sentence_at(uint64_t i)
{
    return &sentences[random_at(i) & (SENTENCES - 1)];
}

/* The three maps and the filter. */
static inline int64_t map_first(int64_t v)
{
    return v + 7;
}
static inline int64_t map_second(int64_t v)
{
    return v * 3;
}
static inline int64_t map_third(int64_t key, int64_t v)
{
    return v ^ key;
}
static inline int keep(int64_t v)
{
    return (v & 7) != 0;
}

#endif
