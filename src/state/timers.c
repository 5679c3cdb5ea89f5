#include "state/timers.h"

#include "base/error.h"
#include "base/log.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum {
    FRESH_FIRST = 64,
    FRESH_MAX = 8192,   /* records: 128 KiB, what the radix sort keeps in the second-level cache */
    MERGE_BITS = 4,     /* runs whose sizes agree up to a factor of 2^4 are of one class */
    MERGE_COUNT = 16,   /* so many of one class are merged; 8 took one more pass at 1e6 and 1e7 timers */
    RUNS_MAX = 256,     /* a power of two; classes × (MERGE_COUNT - 1) stays below it up to 2^64 records */
    INSERTION_MAX = 32, /* below that an insertion sort is faster */
    PREFETCH_AHEAD = 6, /* records of the same run */
    HUGE_PAGE = 2 * 1024 * 1024,
};

/* | time with the sign bit flipped 64 | entry 32 | sequence in fresh 31 | deleted 1 |: compares as an unsigned number.
 * In runs the sequence has no meaning. */
typedef unsigned __int128 record;
#define RECORD_END (~(record)0)
#define LOW_HALF ((record)UINT32_MAX)

static inline record make_record(fl_time time, uint32_t ref, bool deleted)
{
    return (record)((uint64_t)time ^ UINT64_C(1) << 63) << 64 | (record)ref << 32 | deleted;
}
static inline fl_time time_of(record r)
{
    return (fl_time)((uint64_t)(r >> 64) ^ UINT64_C(1) << 63);
}
static inline uint32_t ref_of(record r)
{
    return (uint32_t)(r >> 32);
}
static inline bool is_deletion(record r)
{
    return r & 1;
}
static inline bool is_same_timer(record a, record b)
{
    return a >> 32 == b >> 32;
}

typedef struct run {
    _Atomic uint32_t references; /* the queue's and views'; views are freed by other threads */
    fl__memory *memory;
    size_t count, capacity;
    record records[];
} run;

/* Where a reader of several runs stands. */
typedef struct cursor {
    const record *next, *end;
} cursor;

/* The smallest head of up to RUNS_MAX cursors, by a tree of losers: tree[n] is the loser at inner node n. Among
 * records of one timer the higher cursor (the newer run) comes first. */
typedef struct merge {
    uint32_t leaves; /* a power of two */
    uint32_t winner;
    cursor cursors[RUNS_MAX];
    record keys[RUNS_MAX]; /* head of the cursor, its low half replaced by the rank */
    uint8_t tree[RUNS_MAX];
} merge;

typedef struct queue {
    record *fresh;
    uint32_t fresh_count, fresh_capacity;
    fl_time fresh_first; /* lowest time in fresh; FL_TIME_MAX when empty */
    run *runs[RUNS_MAX]; /* oldest first */
    uint32_t run_count;
    bool is_merged; /* merge is about the present runs */
    merge merge;
} queue;

struct fl__timers {
    fl__memory *memory;
    fl__keyed *keyed;
    record *scratch; /* FRESH_MAX, for sorting; NULL until needed */
    queue queues[2];
    bool is_quiet; /* users register nothing now */
};

/* ---- merging ---- */

static inline void set_key(merge *m, uint32_t leaf)
{
    const cursor *c = &m->cursors[leaf];
    m->keys[leaf] = c->next == c->end ? RECORD_END : (*c->next & ~LOW_HALF) | (m->leaves - 1 - leaf);
}

static uint32_t play(merge *m, uint32_t node)
{
    if (node >= m->leaves)
        return node - m->leaves;
    uint32_t a = play(m, 2 * node), b = play(m, 2 * node + 1);
    bool b_wins = m->keys[b] < m->keys[a];
    m->tree[node] = (uint8_t)(b_wins ? a : b);
    return b_wins ? b : a;
}

/* cursors[0 … count-1] are set. */
static void merge_start(merge *m, uint32_t count)
{
    m->leaves = 1;
    while (m->leaves < count)
        m->leaves *= 2;
    for (uint32_t i = count; i < m->leaves; i++)
        m->cursors[i] = (cursor){ NULL, NULL };
    for (uint32_t i = 0; i < m->leaves; i++)
        set_key(m, i);
    m->winner = m->leaves > 1 ? play(m, 1) : 0;
}

static inline bool merge_done(const merge *m)
{
    return m->keys[m->winner] == RECORD_END;
}
static inline record merge_head(const merge *m)
{
    return *m->cursors[m->winner].next;
}
static inline void merge_advance(merge *m)
{
    uint32_t w = m->winner;
    m->cursors[w].next++;
    set_key(m, w);
    for (uint32_t node = (m->leaves + w) >> 1; node; node >>= 1) {
        uint32_t other = m->tree[node];
        bool other_wins = m->keys[other] < m->keys[w];
        m->tree[node] = (uint8_t)(other_wins ? w : other);
        w = other_wins ? other : w;
    }
    m->winner = w;
}

/* ---- runs ---- */

static run *run_new(fl__memory *memory, size_t capacity)
{
    size_t size = sizeof(run) + capacity * sizeof(record);
    run *r = fl__alloc_aligned(memory, size < HUGE_PAGE ? 64 : HUGE_PAGE, size);
    if (size >= HUGE_PAGE)
        madvise(r, size, MADV_HUGEPAGE); /* a tenth of the time went into page faults */
    atomic_init(&r->references, 1);
    r->memory = memory;
    r->count = 0;
    r->capacity = capacity;
    return r;
}

static void run_unref(run *r)
{
    /* release: what this thread read of it is done; acquire: whoever frees it sees that of all */
    if (atomic_fetch_sub_explicit(&r->references, 1, memory_order_acq_rel) == 1)
        fl__free(r->memory, r, sizeof *r + r->capacity * sizeof(record));
}

/* Gives back what duplicates left unused. */
static run *run_trim(run *r)
{
    if (r->capacity - r->count > r->capacity / 8) {
        r = fl__realloc(r->memory, r, sizeof *r + r->capacity * sizeof(record), sizeof *r + r->count * sizeof(record));
        r->capacity = r->count;
    }
    return r;
}

static inline size_t left_in(const queue *q, uint32_t i)
{
    return (size_t)(q->merge.cursors[i].end - q->merge.cursors[i].next);
}

/* The cursors are the truth about how far a run was fired; they are kept when the tree is not. */
static void remove_done_runs(queue *q)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < q->run_count; i++) {
        if (left_in(q, i) == 0) {
            run_unref(q->runs[i]);
            continue;
        }
        q->runs[kept] = q->runs[i];
        q->merge.cursors[kept++] = q->merge.cursors[i];
    }
    q->run_count = kept;
}

static void push_run(queue *q, run *r)
{
    fl_assert(q->run_count < RUNS_MAX);
    q->runs[q->run_count] = r;
    q->merge.cursors[q->run_count] = (cursor){ r->records, r->records + r->count };
    q->run_count++;
    q->is_merged = false;
}

static uint32_t class_of(size_t count)
{
    return count ? (63 - (uint32_t)__builtin_clzll(count)) / MERGE_BITS : 0;
}

/* Replaces the runs from `from` on by one. */
static void merge_runs(fl__timers *timers, queue *q, uint32_t from)
{
    merge m;
    size_t total = 0;
    uint32_t count = q->run_count - from;
    for (uint32_t i = 0; i < count; i++) {
        m.cursors[i] = q->merge.cursors[from + i];
        total += left_in(q, from + i);
    }
    merge_start(&m, count);
    run *to = run_new(timers->memory, total);
    bool is_oldest = from == 0;
    record last = RECORD_END;
    for (; !merge_done(&m); merge_advance(&m)) {
        record r = merge_head(&m);
        bool seen = is_same_timer(r, last);
        last = r;
        if (FL_UNLIKELY(seen || (is_oldest && is_deletion(r)))) {
            fl__keyed_timer_gone(timers->keyed, ref_of(r));
            continue;
        }
        to->records[to->count++] = r;
    }
    for (uint32_t i = from; i < q->run_count; i++)
        run_unref(q->runs[i]);
    q->run_count = from;
    if (to->count)
        push_run(q, run_trim(to));
    else
        run_unref(to);
    q->is_merged = false;
}

/* The newest runs that are not larger than the newest's class: merged when they are enough. */
static void merge_classes(fl__timers *timers, queue *q)
{
    while (q->run_count >= MERGE_COUNT) {
        uint32_t class = class_of(left_in(q, q->run_count - 1)), from = q->run_count;
        while (from > 0 && class_of(left_in(q, from - 1)) <= class)
            from--;
        if (q->run_count - from < MERGE_COUNT)
            return;
        merge_runs(timers, q, from);
    }
}

/* ---- fresh ---- */

static void insertion_sort(record *a, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        record r = a[i];
        uint32_t j = i;
        for (; j > 0 && a[j - 1] > r; j--)
            a[j] = a[j - 1];
        a[j] = r;
    }
}

static inline uint32_t digit(record r, unsigned byte)
{
    return (uint32_t)(r >> (8 * byte)) & 0xff;
}

/* Byte by byte from the lowest, only those that differ; the sequence needs no sorting, since each pass keeps the
 * order. */
static void radix_sort(record *a, record *scratch, uint32_t n)
{
    record differ = 0;
    bool is_sorted = true;
    for (uint32_t i = 1; i < n; i++) {
        differ |= a[i] ^ a[0];
        is_sorted &= a[i - 1] <= a[i];
    }
    if (is_sorted)
        return;
    record *from = a, *to = scratch;
    for (unsigned byte = 4; byte < sizeof(record); byte++) {
        if (!digit(differ, byte))
            continue;
        uint32_t starts[256] = { 0 };
        for (uint32_t i = 0; i < n; i++)
            starts[digit(from[i], byte)]++;
        for (uint32_t d = 0, sum = 0; d < 256; d++) {
            uint32_t here = starts[d];
            starts[d] = sum;
            sum += here;
        }
        for (uint32_t i = 0; i < n; i++)
            to[starts[digit(from[i], byte)]++] = from[i];
        record *t = from;
        from = to;
        to = t;
    }
    if (from != a)
        memcpy(a, from, n * sizeof *a);
}

/* Makes a run of fresh. */
static void seal(fl__timers *timers, queue *q)
{
    uint32_t n = q->fresh_count, kept = 0;
    if (n == 0)
        return;
    record *a = q->fresh;
    if (n <= INSERTION_MAX) {
        insertion_sort(a, n);
    } else {
        if (!timers->scratch)
            timers->scratch = fl__alloc(timers->memory, FRESH_MAX * sizeof(record));
        radix_sort(a, timers->scratch, n);
    }
    remove_done_runs(q);
    q->is_merged = false;
    q->fresh_count = 0;
    q->fresh_first = FL_TIME_MAX;
    run *r = run_new(timers->memory, n);
    for (uint32_t i = 0; i < n; i++) {
        bool is_newest = i + 1 == n || !is_same_timer(a[i], a[i + 1]);
        if (!is_newest || (q->run_count == 0 && is_deletion(a[i])))
            fl__keyed_timer_gone(timers->keyed, ref_of(a[i]));
        else
            r->records[kept++] = a[i];
    }
    r->count = kept;
    if (!kept) {
        run_unref(r);
        return;
    }
    push_run(q, run_trim(r));
    merge_classes(timers, q);
}

static void append(fl__timers *timers, queue *q, fl_time time, uint32_t ref, bool deleted)
{
    if (FL_UNLIKELY(q->fresh_count == q->fresh_capacity)) {
        if (q->fresh_count == FRESH_MAX) {
            seal(timers, q);
        } else {
            uint32_t more = q->fresh_capacity ? q->fresh_capacity * 2 : FRESH_FIRST;
            q->fresh = fl__realloc(timers->memory, q->fresh, q->fresh_capacity * sizeof(record), more * sizeof(record));
            q->fresh_capacity = more;
        }
    }
    if (time < q->fresh_first || q->fresh_count == 0)
        q->fresh_first = time;
    q->fresh[q->fresh_count] = make_record(time, ref, deleted) | (record)q->fresh_count << 1;
    q->fresh_count++;
}

/* ---- the service ---- */

fl__timers *fl__timers_new(fl__memory *memory, fl__keyed *keyed)
{
    fl_assert(keyed->timers_offset != FL__NO_OFFSET);
    fl__timers *timers = fl__alloc_zero(memory, sizeof *timers);
    timers->memory = memory;
    timers->keyed = keyed;
    timers->queues[0].fresh_first = timers->queues[1].fresh_first = FL_TIME_MAX;
    return timers;
}

void fl__timers_free(fl__timers *timers)
{
    if (!timers)
        return;
    for (int d = 0; d < 2; d++) {
        queue *q = &timers->queues[d];
        fl__free(timers->memory, q->fresh, q->fresh_capacity * sizeof(record));
        for (uint32_t i = 0; i < q->run_count; i++)
            run_unref(q->runs[i]);
    }
    if (timers->scratch)
        fl__free(timers->memory, timers->scratch, FRESH_MAX * sizeof(record));
    fl__free(timers->memory, timers, sizeof *timers);
}

void fl__timers_quiesce(fl__timers *timers, bool is_quiet)
{
    timers->is_quiet = is_quiet;
}

void fl__timers_register(fl__timers *timers, fl_context *ctx, fl__time_domain domain, fl_time time)
{
    uint32_t ref = fl__keyed_timer_added(timers->keyed, ctx);
    append(timers, &timers->queues[domain], time, ref, false);
}

void fl__timers_delete(fl__timers *timers, fl_context *ctx, fl__time_domain domain, fl_time time)
{
    queue *q = &timers->queues[domain];
    if (fl__keyed_timer_entry(timers->keyed, ctx) == FL__NO_REF || fl__timers_is_empty(timers, domain))
        return; /* nothing to delete */
    uint32_t ref = fl__keyed_timer_added(timers->keyed, ctx);
    append(timers, q, time, ref, true);
}

static void start_merge(queue *q)
{
    if (q->is_merged)
        return;
    remove_done_runs(q);
    merge_start(&q->merge, q->run_count);
    q->is_merged = true;
}

static inline void advance(fl__timers *timers, queue *q)
{
    const cursor *c = &q->merge.cursors[q->merge.winner];
    if (c->end - c->next > PREFETCH_AHEAD)
        __builtin_prefetch(fl__table_entry(&timers->keyed->table, ref_of(c->next[PREFETCH_AHEAD])));
    merge_advance(&q->merge);
}

bool fl__timers_pop(fl__timers *timers, fl__time_domain domain, fl_time limit, fl_time *time, uint32_t *ref)
{
    queue *q = &timers->queues[domain];
    for (;;) {
        start_merge(q);
        bool none = merge_done(&q->merge);
        record r = none ? RECORD_END : merge_head(&q->merge);
        fl_time first = none ? FL_TIME_MAX : time_of(r);
        if (q->fresh_count && q->fresh_first <= limit && q->fresh_first <= first) {
            seal(timers, q);
            continue;
        }
        if (none || first > limit)
            return false;
        /* the newest record of this timer decides; the older ones are gone with it */
        advance(timers, q);
        while (!merge_done(&q->merge) && is_same_timer(merge_head(&q->merge), r)) {
            advance(timers, q);
            fl__keyed_timer_gone(timers->keyed, ref_of(r));
        }
        if (is_deletion(r)) {
            fl__keyed_timer_gone(timers->keyed, ref_of(r));
            continue;
        }
        *time = first;
        *ref = ref_of(r);
        return true;
    }
}

fl_time fl__timers_next(fl__timers *timers, fl__time_domain domain)
{
    queue *q = &timers->queues[domain];
    start_merge(q);
    fl_time first = merge_done(&q->merge) ? FL_TIME_MAX : time_of(merge_head(&q->merge));
    return q->fresh_count && q->fresh_first < first ? q->fresh_first : first;
}

bool fl__timers_is_empty(const fl__timers *timers, fl__time_domain domain)
{
    const queue *q = &timers->queues[domain];
    if (q->fresh_count)
        return false;
    for (uint32_t i = 0; i < q->run_count; i++) {
        if (left_in(q, i))
            return false;
    }
    return true;
}

/* ---- views ---- */

struct fl__timers_view {
    fl__memory *memory;
    uint32_t run_count;
    run *runs[RUNS_MAX];
    record last;
    merge merge;
};

fl__timers_view *fl__timers_view_new(fl__timers *timers, fl__time_domain domain)
{
    queue *q = &timers->queues[domain];
    seal(timers, q);
    fl__timers_view *view = fl__alloc_zero(timers->memory, sizeof *view);
    view->memory = timers->memory;
    view->run_count = q->run_count;
    view->last = RECORD_END;
    for (uint32_t i = 0; i < q->run_count; i++) {
        view->runs[i] = q->runs[i];
        atomic_fetch_add_explicit(&q->runs[i]->references, 1, memory_order_relaxed);
        view->merge.cursors[i] = q->merge.cursors[i];
    }
    merge_start(&view->merge, view->run_count);
    return view;
}

bool fl__timers_view_next(fl__timers_view *view, fl_time *time, uint32_t *ref)
{
    while (!merge_done(&view->merge)) {
        record r = merge_head(&view->merge);
        bool counts = !is_same_timer(r, view->last) && !is_deletion(r);
        view->last = r;
        merge_advance(&view->merge);
        if (counts) {
            *time = time_of(r);
            *ref = ref_of(r);
            return true;
        }
    }
    return false;
}

void fl__timers_view_free(fl__timers_view *view)
{
    if (!view)
        return;
    for (uint32_t i = 0; i < view->run_count; i++)
        run_unref(view->runs[i]);
    fl__free(view->memory, view, sizeof *view);
}

/* ---- public ---- */

/* The timers behind a public call, or NULL after failing the task. */
static fl__timers *find_timers(fl_context *ctx, const char *call)
{
    fl__function *f = ctx->function;
    if (FL_LIKELY(f && f->timers && ctx->key && !f->is_broadcast_side))
        return f->timers;
    if (f && f->is_broadcast_side)
        fl__function_fail(ctx, FL_ERROR_USER,
            "%s on the broadcast side: timers belong to a key; register them where the keyed records are handled",
            call);
    else if (f && f->timers)
        fl__function_fail(ctx, FL_ERROR_USER,
            "%s outside a record or timer: there is no current key (open and close cannot use timers)", call);
    else if (ctx->key)
        fl__function_fail(ctx, FL_ERROR_USER, "%s, but the operator has no .on_timer to call", call);
    else
        fl__function_fail(
            ctx, FL_ERROR_USER, "%s: timers are only available on keyed streams: use fl_key_by before it", call);
    return NULL;
}

static bool is_ignored(const fl__timers *timers, fl_time time)
{
    if (timers->is_quiet)
        fl__log_sometimes(60000, FL__LOG_WARN, "state",
            "a timer for %lld that a timer registered is ignored: in BATCH mode a key has ended when its timers fire",
            (long long)time);
    return timers->is_quiet;
}

/* A time reckoned from the timestamp of a record that has none: the timer would fire at once, or in no time. */
static bool is_reckoned_from_nothing(fl_context *ctx, fl_time time)
{
    if (FL_LIKELY(ctx->timestamp != FL_NO_TIMESTAMP || time > FL_NO_TIMESTAMP / 2))
        return false;
    fl__function_fail(ctx, FL_ERROR_USER,
        "fl_register_event_time_timer: %lld is no time: the record has no timestamp to reckon from. Assign "
        "timestamps before "
        "fl_key_by, for instance with fl_watermarks(stream, fl_bounded_out_of_orderness(fl_seconds(2)), .timestamp = "
        "\"at\")",
        (long long)time);
    return true;
}

void fl_register_event_time_timer(fl_context *ctx, fl_time time)
{
    fl__timers *timers = find_timers(ctx, "fl_register_event_time_timer");
    if (timers && !is_ignored(timers, time) && !is_reckoned_from_nothing(ctx, time))
        fl__timers_register(timers, ctx, FL__EVENT_TIME, time);
}

void fl_register_processing_time_timer(fl_context *ctx, fl_time time)
{
    fl__timers *timers = find_timers(ctx, "fl_register_processing_time_timer");
    if (timers && !is_ignored(timers, time))
        fl__timers_register(timers, ctx, FL__PROCESSING_TIME, time);
}

void fl_delete_event_time_timer(fl_context *ctx, fl_time time)
{
    fl__timers *timers = find_timers(ctx, "fl_delete_event_time_timer");
    if (timers)
        fl__timers_delete(timers, ctx, FL__EVENT_TIME, time);
}

void fl_delete_processing_time_timer(fl_context *ctx, fl_time time)
{
    fl__timers *timers = find_timers(ctx, "fl_delete_processing_time_timer");
    if (timers)
        fl__timers_delete(timers, ctx, FL__PROCESSING_TIME, time);
}
