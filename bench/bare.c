#include "bare.h"

#include "generate.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

static void *allocate(size_t size, bool huge_pages)
{
    void *p = huge_pages ? aligned_alloc(2 << 20, (size + (2 << 20) - 1) & ~(((size_t)2 << 20) - 1)) : calloc(1, size);
    if (!p) {
        perror("bench");
        exit(1);
    }
    if (huge_pages) {
        madvise(p, size, MADV_HUGEPAGE);
        memset(p, 0, size);
    }
    return p;
}

/* ---- keyed running sum ---- */

typedef struct sum_slot {
    int64_t key; /* + 1; 0: empty */
    int64_t sum;
} sum_slot;

typedef struct sum_table {
    sum_slot *slots;
    uint64_t mask, count;
    int shift; /* the hash's upper bits are the position */
    bool huge_pages;
} sum_table;

static inline uint64_t home_of(int64_t key, int shift)
{
    return ((uint64_t)key * UINT64_C(0x9e3779b97f4a7c15)) >> shift;
}

static void sum_init(sum_table *t, int bits, bool huge_pages)
{
    *t = (sum_table){ .slots = allocate(sizeof(sum_slot) << bits, huge_pages && bits >= 17),
        .mask = (UINT64_C(1) << bits) - 1,
        .shift = 64 - bits,
        .huge_pages = huge_pages };
}

static __attribute__((noinline)) sum_slot *sum_insert(sum_table *t, int64_t key, uint64_t at)
{
    if (t->count >= (t->mask + 1) / 2) {
        sum_table old = *t;
        sum_init(t, 64 - old.shift + 1, old.huge_pages);
        for (uint64_t i = 0; i <= old.mask; i++) {
            if (!old.slots[i].key)
                continue;
            uint64_t j = home_of(old.slots[i].key - 1, t->shift);
            while (t->slots[j].key)
                j = (j + 1) & t->mask;
            t->slots[j] = old.slots[i];
        }
        t->count = old.count;
        free(old.slots);
        at = home_of(key, t->shift);
        while (t->slots[at].key)
            at = (at + 1) & t->mask;
    }
    t->count++;
    t->slots[at].key = key + 1;
    return &t->slots[at];
}

static inline sum_slot *sum_find(sum_table *t, int64_t key)
{
    for (uint64_t i = home_of(key, t->shift);; i = (i + 1) & t->mask) {
        if (t->slots[i].key == key + 1)
            return &t->slots[i];
        if (UNLIKELY(t->slots[i].key == 0))
            return sum_insert(t, key, i);
    }
}

uint64_t bare_sum(uint64_t records, uint64_t keys)
{
    sum_table t;
    sum_init(&t, 10, false);
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < records; i++) {
        pair p = pair_at(i, keys);
        sum_slot *slot = sum_find(&t, p.key);
        slot->sum += p.value;
        checksum += (uint64_t)slot->sum;
    }
    free(t.slots);
    return checksum;
}

uint64_t bare_sum_prefetched(uint64_t records, uint64_t keys)
{
    enum { BLOCK = 64 };
    sum_table t;
    sum_init(&t, 10, true);
    pair block[BLOCK];
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < records; i += BLOCK) {
        unsigned n = records - i < BLOCK ? (unsigned)(records - i) : BLOCK;
        for (unsigned j = 0; j < n; j++) {
            block[j] = pair_at(i + j, keys);
            __builtin_prefetch(&t.slots[home_of(block[j].key, t.shift)], 1);
        }
        for (unsigned j = 0; j < n; j++) {
            sum_slot *slot = sum_find(&t, block[j].key);
            slot->sum += block[j].value;
            checksum += (uint64_t)slot->sum;
        }
    }
    free(t.slots);
    return checksum;
}

/* ---- word count ---- */

/* Words of up to 16 bytes lie in the slot, padded with zeros: no second cache line, and two compares instead of a call
 * of memcmp. Longer ones have their first 8 bytes there and all of them elsewhere. */
typedef struct word_slot {
    uint64_t low, high; /* high of a long word: const char * */
    uint32_t length;    /* 0: empty */
    uint32_t hash;
    int64_t count;
} word_slot;

typedef struct word_table {
    word_slot *slots;
    uint64_t mask, count;
} word_table;

enum { WORD_INLINE = 16 };

static inline uint64_t load(const char *bytes, size_t length)
{
    uint64_t v = 0;
    if (length >= 8)
        memcpy(&v, bytes, 8);
    else
        for (size_t i = 0; i < length; i++)
            v |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    return v;
}

static inline bool word_equal(const word_slot *slot, const word_slot *word)
{
    if (slot->low != word->low || slot->length != word->length)
        return false;
    return slot->high == word->high ||
           (word->length > WORD_INLINE &&
               memcmp((const char *)(uintptr_t)slot->high, (const char *)(uintptr_t)word->high, word->length) == 0);
}

static word_slot *word_place(word_table *t, uint32_t hash)
{
    uint64_t i = hash & t->mask;
    while (t->slots[i].length)
        i = (i + 1) & t->mask;
    return &t->slots[i];
}

static __attribute__((noinline)) word_slot *word_insert(word_table *t, const word_slot *word)
{
    if (t->count >= (t->mask + 1) / 2) {
        word_table old = *t;
        t->mask = old.mask * 2 + 1;
        t->slots = allocate((t->mask + 1) * sizeof *t->slots, false);
        for (uint64_t i = 0; i <= old.mask; i++)
            if (old.slots[i].length)
                *word_place(t, old.slots[i].hash) = old.slots[i];
        free(old.slots);
    }
    t->count++;
    word_slot *slot = word_place(t, word->hash);
    *slot = *word;
    if (word->length > WORD_INLINE) {
        char *own = malloc(word->length);
        if (!own)
            abort();
        memcpy(own, (const char *)(uintptr_t)word->high, word->length);
        slot->high = (uint64_t)(uintptr_t)own;
    }
    return slot;
}

static inline word_slot *word_find(word_table *t, const word_slot *word)
{
    for (uint64_t i = word->hash & t->mask;; i = (i + 1) & t->mask) {
        word_slot *slot = &t->slots[i];
        if (slot->hash == word->hash && word_equal(slot, word))
            return slot;
        if (UNLIKELY(!slot->length))
            return word_insert(t, word);
    }
}

/* The word at [p, p + length) as a slot, hashed. */
static inline word_slot word_of(const char *p, size_t length)
{
    word_slot word = { .low = load(p, length), .length = (uint32_t)length };
    uint64_t rest;
    if (length <= WORD_INLINE) {
        rest = word.high = length > 8 ? load(p + 8, length - 8) : 0;
    } else {
        word.high = (uint64_t)(uintptr_t)p;
        rest = 0;
        for (size_t i = 8; i < length; i++)
            rest = rest * 31 + (unsigned char)p[i];
    }
    uint64_t hash = (word.low ^ rest * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);
    word.hash = (uint32_t)(hash >> 32);
    return word;
}

uint64_t bare_words(uint64_t records, uint64_t unused)
{
    (void)unused;
    word_table t = { allocate(1024 * sizeof(word_slot), false), 1023, 0 };
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < records / SENTENCE_WORDS; i++) {
        const sentence *s = sentence_at(i);
        const char *end = s->text + s->length;
        for (const char *p = s->text;;) {
            while (p < end && (*p == ' ' || *p == '\t'))
                p++;
            if (p == end)
                break;
            const char *start = p;
            while (p < end && *p != ' ' && *p != '\t')
                p++;
            word_slot word = word_of(start, (size_t)(p - start));
            checksum += (uint64_t)++word_find(&t, &word)->count;
        }
    }
    free(t.slots);
    return checksum;
}

/* ---- windows ---- */

typedef struct pane_slot {
    int64_t key; /* + 1; 0: empty */
    int64_t count, sum;
} pane_slot;

typedef struct pane {
    pane_slot *slots;
    uint64_t mask, count;
    int shift;
} pane;

static void pane_init(pane *t, int bits)
{
    *t = (pane){
        .slots = allocate(sizeof(pane_slot) << bits, false), .mask = (UINT64_C(1) << bits) - 1, .shift = 64 - bits
    };
}

static __attribute__((noinline)) pane_slot *pane_insert(pane *t, int64_t key, uint64_t at)
{
    if (t->count >= (t->mask + 1) / 2) {
        pane old = *t;
        pane_init(t, 64 - old.shift + 1);
        for (uint64_t i = 0; i <= old.mask; i++) {
            if (!old.slots[i].key)
                continue;
            uint64_t j = home_of(old.slots[i].key - 1, t->shift);
            while (t->slots[j].key)
                j = (j + 1) & t->mask;
            t->slots[j] = old.slots[i];
        }
        t->count = old.count;
        free(old.slots);
        at = home_of(key, t->shift);
        while (t->slots[at].key)
            at = (at + 1) & t->mask;
    }
    t->count++;
    t->slots[at].key = key + 1;
    return &t->slots[at];
}

static inline pane_slot *pane_find(pane *t, int64_t key)
{
    for (uint64_t i = home_of(key, t->shift);; i = (i + 1) & t->mask) {
        if (t->slots[i].key == key + 1)
            return &t->slots[i];
        if (UNLIKELY(t->slots[i].key == 0))
            return pane_insert(t, key, i);
    }
}

/* The window is over: its results, and an empty table. */
static uint64_t pane_fire(pane *t)
{
    uint64_t checksum = 0;
    for (uint64_t i = 0; i <= t->mask; i++)
        if (t->slots[i].key)
            checksum += (uint64_t)(t->slots[i].count * t->slots[i].count + t->slots[i].sum);
    memset(t->slots, 0, (t->mask + 1) * sizeof *t->slots);
    t->count = 0;
    return checksum;
}

uint64_t bare_windows(uint64_t records, uint64_t keys)
{
    pane t;
    pane_init(&t, 10);
    uint64_t checksum = 0;
    int64_t window_end = WINDOW_MS;
    for (uint64_t i = 0; i < records; i++) {
        pair p = pair_at(i, keys);
        int64_t time = time_at(i);
        if (UNLIKELY(time >= window_end)) {
            checksum += pane_fire(&t);
            window_end = (time / WINDOW_MS + 1) * WINDOW_MS;
        }
        pane_slot *slot = pane_find(&t, p.key);
        slot->count++;
        slot->sum += p.value;
    }
    checksum += pane_fire(&t);
    free(t.slots);
    return checksum;
}

/* ---- interval join ---- */

/* Times of one key's rows, oldest first, in a ring. */
typedef struct ring {
    int64_t *times;
    uint32_t first, count, capacity; /* a power of two */
} ring;

static void ring_add(ring *r, int64_t time)
{
    if (UNLIKELY(r->count == r->capacity)) {
        uint32_t capacity = r->capacity ? 2 * r->capacity : 4;
        int64_t *times = malloc(capacity * sizeof *times);
        if (!times)
            abort();
        for (uint32_t i = 0; i < r->count; i++)
            times[i] = r->times[(r->first + i) & (r->capacity - 1)];
        free(r->times);
        *r = (ring){ times, 0, r->count, capacity };
    }
    r->times[(r->first + r->count++) & (r->capacity - 1)] = time;
}

static void ring_trim(ring *r, int64_t before)
{
    while (r->count && r->times[r->first] < before) {
        r->first = (r->first + 1) & (r->capacity - 1);
        r->count--;
    }
}

/* Streams in step and in order: what lies in the other ring is at most JOIN_MS away. */
uint64_t bare_join(uint64_t records, uint64_t keys)
{
    ring *rings = allocate(2 * keys * sizeof *rings, false);
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < records; i++) {
        for (int side = 0; side < 2; side++) {
            int64_t key = side ? right_at(i, keys).key : pair_at(i, keys).key, time = time_at(i);
            ring *own = &rings[2 * key + side], *other = &rings[2 * key + !side];
            ring_trim(other, time - JOIN_MS);
            for (uint32_t n = 0; n < other->count; n++) {
                int64_t t = other->times[(other->first + n) & (other->capacity - 1)];
                checksum += join_sum(key, side ? t : time, side ? time : t);
            }
            ring_add(own, time);
        }
    }
    for (uint64_t i = 0; i < 2 * keys; i++)
        free(rings[i].times);
    free(rings);
    return checksum;
}

/* Running totals: the pane that begins is added, the one that ends taken off. */
static void totals_change(pane *totals, const pane *by, int64_t sign)
{
    for (uint64_t i = 0; i <= by->mask; i++) {
        if (!by->slots[i].key)
            continue;
        pane_slot *slot = pane_find(totals, by->slots[i].key - 1);
        slot->count += sign * by->slots[i].count;
        slot->sum += sign * by->slots[i].sum;
    }
}

static uint64_t sliding_fire(pane *totals, pane *panes, int64_t slide)
{
    uint64_t checksum = 0;
    totals_change(totals, &panes[slide % SLIDES], 1);
    for (uint64_t i = 0; i <= totals->mask; i++)
        if (totals->slots[i].count)
            checksum += (uint64_t)(totals->slots[i].count * totals->slots[i].count + totals->slots[i].sum);
    pane *oldest = &panes[(slide + 1) % SLIDES];
    totals_change(totals, oldest, -1);
    memset(oldest->slots, 0, (oldest->mask + 1) * sizeof *oldest->slots);
    oldest->count = 0;
    return checksum;
}

uint64_t bare_sliding(uint64_t records, uint64_t keys)
{
    pane totals, panes[SLIDES];
    pane_init(&totals, 10);
    for (int i = 0; i < SLIDES; i++)
        pane_init(&panes[i], 10);
    uint64_t checksum = 0;
    int64_t slide = 0;
    for (uint64_t i = 0; i < records; i++) {
        pair p = pair_at(i, keys);
        if (UNLIKELY(time_at(i) / WINDOW_MS != slide))
            checksum += sliding_fire(&totals, panes, slide++);
        pane_slot *slot = pane_find(&panes[slide % SLIDES], p.key);
        slot->count++;
        slot->sum += p.value;
    }
    for (int i = 0; i < SLIDES; i++)
        checksum += sliding_fire(&totals, panes, slide++);
    free(totals.slots);
    for (int i = 0; i < SLIDES; i++)
        free(panes[i].slots);
    return checksum;
}

/* ---- one state and one timer a record ---- */

typedef struct timer {
    int64_t time, key;
} timer;

/* All timers are as long: a ring in the order of their times is a queue. One timer per key and time. */
uint64_t bare_timers(uint64_t records, uint64_t keys)
{
    enum { QUEUE = 1 << 22 };
    pane t;
    pane_init(&t, 10);
    timer *queue = allocate(QUEUE * sizeof *queue, false);
    uint64_t head = 0, tail = 0, fired = 0;
    for (uint64_t i = 0; i < records; i++) {
        pair p = pair_at(i, keys);
        int64_t time = time_at(i) + TIMER_MS;
        pane_slot *slot = pane_find(&t, p.key);
        slot->count++;
        if (slot->sum != time) { /* of the key's newest timer */
            slot->sum = time;
            queue[head++ & (QUEUE - 1)] = (timer){ time, p.key };
        }
        if (UNLIKELY(i % RECORDS_PER_WATERMARK == 0)) {
            for (; tail < head && queue[tail & (QUEUE - 1)].time < time_at(i); tail++)
                fired += pane_find(&t, queue[tail & (QUEUE - 1)].key)->count > 0;
        }
    }
    for (; tail < head; tail++)
        fired += pane_find(&t, queue[tail & (QUEUE - 1)].key)->count > 0;
    free(t.slots);
    free(queue);
    return fired;
}

/* ---- stateless ---- */

uint64_t bare_maps(uint64_t records, uint64_t keys)
{
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < records; i++) {
        pair p = pair_at(i, keys);
        p.value = map_third(p.key, map_second(map_first(p.value)));
        if (keep(p.value))
            checksum += (uint64_t)p.value;
    }
    return checksum;
}

uint64_t bare_source(uint64_t records, uint64_t keys)
{
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < records; i++)
        checksum += (uint64_t)pair_at(i, keys).value;
    return checksum;
}

uint64_t bare_look_ups(uint64_t records, uint64_t keys)
{
    uint64_t checksum = 0;
    struct timespec ms = { .tv_nsec = 1000000 };
    for (uint64_t i = 0; i < records; i++) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, NULL);
        checksum += (uint64_t)pair_at(i, keys).value;
    }
    return checksum;
}
