/* The general window path against a naive reference: sessions, global, tumbling and sliding windows, triggers,
 * evictors, over random streams with random out-of-orderness, lateness and watermarks. The reference keeps every window
 * in one array, with the numbers of its records and its timers, and searches it for everything; it is written from
 * Flink's documentation and knows nothing of how the operator stores or orders things.
 *
 * A failure prints its seed; SEED=n runs that one alone and says what it is, SEEDS=n that many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "window_harness.h"

#include <inttypes.h>

typedef struct {
    fl_string name;
    int64_t key, value, id;
} Row;
FL_ROW(Row, name, key, value, id);

/* What comes out of a window: where it is, and what depends on its records and their order. */
typedef struct {
    int64_t start, end, count, chain, sum;
    fl_string last;
} Seen;
FL_ROW(Seen, start, end, count, chain, sum, last);

static int64_t chained(int64_t chain, int64_t id)
{
    return (int64_t)((uint64_t)chain * 31 + (uint64_t)id);
}

static void see_rows(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_window_range range = fl_current_window(ctx);
    Seen seen = { .start = range.start, .end = range.end };
    fl_each(const Row *, r, in)
    {
        seen.count++;
        seen.chain = chained(seen.chain, r->id);
        seen.sum += r->value;
        seen.last = r->name;
    }
    fl_collect(out, &seen);
}

typedef struct {
    int64_t count, sum;
    fl_string most;
} Sum;
FL_ROW(Sum, count, sum, most);
static void sum_add(void *acc, const void *in, fl_context *ctx)
{
    const Row *r = in;
    Sum *s = acc;
    (void)ctx;
    s->count++;
    s->sum += r->value;
    if (fl_string_compare(r->name, s->most) > 0)
        s->most = r->name;
}
static void sum_merge(void *acc, const void *other, fl_context *ctx)
{
    const Sum *o = other;
    Sum *s = acc;
    (void)ctx;
    s->count += o->count;
    s->sum += o->sum;
    if (fl_string_compare(o->most, s->most) > 0)
        s->most = o->most;
}
FL_AGGREGATE(sum_row, Row, Sum, Sum, .add = sum_add, .merge = sum_merge);
static void see_sum(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_window_range range = fl_current_window(ctx);
    const Sum *s = fl_element(in, 0);
    fl_collect(
        out, &(Seen){ .start = range.start, .end = range.end, .count = s->count, .sum = s->sum, .last = s->most });
}

static double difference(const void *old_record, const void *new_record, fl_context *ctx)
{
    (void)ctx;
    return (double)(((const Row *)new_record)->value - ((const Row *)old_record)->value);
}

/* Windows by the record: [t, t + 5 + value mod 7). */
static void assign_by_value(const void *in, fl_windows *windows, fl_context *ctx)
{
    fl_time t = fl_timestamp_of(ctx);
    fl_assign_window(windows, t, t + 5 + ((const Row *)in)->value % 7);
}
static fl_duration gap_by_value(const void *in, fl_context *ctx)
{
    (void)ctx;
    return fl_milliseconds(1 + ((const Row *)in)->value % 9);
}

/* ---- randomness (SplitMix64) ---- */

static uint64_t random_state;
static uint64_t random_next(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static int64_t below(int64_t n)
{
    return (int64_t)(random_next() % (uint64_t)n);
}
static bool random_blocked(void)
{
    return below(3) == 0;
}

/* ---- the reference ---- */

typedef struct window {
    int64_t key;
    fl_time start, end;
    size_t *records, count;
    fl_time *timers;
    size_t timer_count;
    /* what triggers remember */
    int64_t counted;
    bool has_next, has_last;
    fl_time next;
    size_t last;
} window;

typedef struct reference {
    const fl__window_config *config;
    bool sums;    /* the function is incremental */
    bool by_time; /* windows end in event time (or by the clock, which plays its part); global ones do not end */
    fl_time lateness, time;
    Row *rows;
    fl_time *times;
    window *windows;
    size_t window_count;
    int64_t dropped;
    lines out, late;
} reference;

static fl_time last_of(const window *w)
{
    return w->end == FL_TIME_MAX ? FL_TIME_MAX : w->end - 1;
}
static fl_time gone_at(const reference *r, const window *w)
{
    return last_of(w) > FL_TIME_MAX - r->lateness ? FL_TIME_MAX : last_of(w) + r->lateness;
}

static void wake(window *w, fl_time time)
{
    for (size_t i = 0; i < w->timer_count; i++) {
        if (w->timers[i] == time)
            return;
    }
    w->timers = realloc(w->timers, (w->timer_count + 1) * sizeof *w->timers);
    w->timers[w->timer_count++] = time;
}

static void keep(window *w, const bool *evict)
{
    size_t n = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (!evict[i])
            w->records[n++] = w->records[i];
    }
    w->count = n;
}

static void run_evictor(const reference *r, window *w, bool is_after)
{
    const fl_evictor *e = &r->config->window.evictor;
    if (e->kind == FL_EVICTOR_NONE || e->is_after != is_after || w->count == 0)
        return;
    bool *evict = calloc(w->count, sizeof *evict);
    fl_time latest = FL_TIME_MIN;
    for (size_t i = 0; i < w->count; i++)
        latest = r->times[w->records[i]] > latest ? r->times[w->records[i]] : latest;
    for (size_t i = 0; i < w->count; i++) {
        const Row *row = &r->rows[w->records[i]], *last = &r->rows[w->records[w->count - 1]];
        evict[i] = e->kind == FL_EVICTOR_COUNT  ? (int64_t)(w->count - i) > e->count
                   : e->kind == FL_EVICTOR_TIME ? r->times[w->records[i]] <= latest - e->keep.ms
                                                : (double)(last->value - row->value) >= e->threshold;
    }
    keep(w, evict);
    free(evict);
}

static void give(reference *r, window *w)
{
    if (w->count == 0)
        return;
    run_evictor(r, w, false);
    Seen seen = { .start = w->start, .end = w->end, .count = (int64_t)w->count };
    fl_string most = fl_str("");
    for (size_t i = 0; i < w->count; i++) {
        const Row *row = &r->rows[w->records[i]];
        seen.chain = r->sums ? 0 : chained(seen.chain, row->id);
        seen.sum += row->value;
        seen.last = row->name;
        most = fl_string_compare(row->name, most) > 0 ? row->name : most;
    }
    if (r->sums)
        seen.last = most;
    lines_add_row(&r->out, last_of(w), FL_TYPE(Seen), &seen);
    run_evictor(r, w, true);
}

static bool purges(const reference *r)
{
    return r->config->window.trigger.layer_count > 0;
}

static void fire(reference *r, window *w)
{
    give(r, w);
    if (purges(r))
        w->count = 0;
}

static fl_trigger_kind kind_of(const reference *r)
{
    fl_trigger_kind kind = r->config->window.trigger.kind;
    if (kind == FL_TRIGGER_DEFAULT && r->config->window.assigner.kind == FL_WINDOW_GLOBAL)
        return FL_TRIGGER_NEVER;
    return kind == FL_TRIGGER_DEFAULT || kind == FL_TRIGGER_PROCESSING_TIME ? FL_TRIGGER_EVENT_TIME : kind;
}

static void schedule_next(reference *r, window *w, fl_time from)
{
    fl_time next = from + r->config->window.trigger.interval.ms;
    w->next = next < last_of(w) ? next : last_of(w);
    w->has_next = true;
    wake(w, w->next);
}

static void trigger_record(reference *r, window *w, size_t record)
{
    const fl_trigger *t = &r->config->window.trigger;
    fl_trigger_kind kind = kind_of(r);
    if (kind == FL_TRIGGER_COUNT) {
        if (++w->counted >= t->count) {
            w->counted = 0;
            fire(r, w);
        }
    } else if (kind == FL_TRIGGER_DELTA) {
        if (!w->has_last) {
            w->has_last = true;
            w->last = record;
        } else if ((double)(r->rows[record].value - r->rows[w->last].value) > t->threshold) {
            w->last = record;
            fire(r, w);
        }
    } else if (kind == FL_TRIGGER_EVENT_TIME || kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME) {
        bool by_clock = r->config->window.assigner.is_processing_time;
        if (last_of(w) <= r->time && !by_clock) {
            fire(r, w);
        } else {
            wake(w, last_of(w));
            fl_time at = r->times[record], interval = t->interval.ms;
            if (kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME && !w->has_next)
                schedule_next(r, w, at - ((at % interval) + interval) % interval);
        }
    }
    if (gone_at(r, w) != FL_TIME_MAX)
        wake(w, gone_at(r, w));
}

static void free_window(reference *r, size_t i)
{
    free(r->windows[i].records);
    free(r->windows[i].timers);
    r->windows[i] = r->windows[--r->window_count];
}

static window *add_window(reference *r, int64_t key, fl_time start, fl_time end)
{
    r->windows = realloc(r->windows, (r->window_count + 1) * sizeof *r->windows);
    window *w = &r->windows[r->window_count++];
    *w = (window){ .key = key, .start = start, .end = end };
    return w;
}

/* One window of all those of the key that [start, end) touches; an old one's timers and trigger go into it. */
static window *merged_window(reference *r, int64_t key, fl_time start, fl_time end)
{
    window all = { .key = key, .start = start, .end = end };
    size_t touched = 0;
    bool same = false;
    fl_time watermark = r->time;
    for (fl_time after = FL_TIME_MIN;;) {
        size_t next = SIZE_MAX; /* the earliest of those that were not looked at */
        for (size_t i = 0; i < r->window_count; i++) {
            window *w = &r->windows[i];
            if (w->key == key && w->start <= end && w->end >= start && w->start > after &&
                (next == SIZE_MAX || w->start < r->windows[next].start))
                next = i;
        }
        if (next == SIZE_MAX)
            break;
        window *w = &r->windows[next];
        after = w->start;
        touched++;
        same = w->start <= start && w->end >= end;
        if (same)
            return w;
        all.start = w->start < all.start ? w->start : all.start;
        all.end = w->end > all.end ? w->end : all.end;
        all.records = realloc(all.records, (all.count + w->count) * sizeof *all.records + 1);
        if (w->count)
            memcpy(all.records + all.count, w->records, w->count * sizeof *all.records);
        all.count += w->count;
        all.counted += w->counted;
        if (w->has_next && (!all.has_next || w->next < all.next)) {
            all.has_next = true;
            all.next = w->next;
        }
        free_window(r, next);
    }
    if (touched == 0 && r->config->window.assigner.is_processing_time == false && gone_at(r, &all) <= watermark)
        return NULL;
    window *w = add_window(r, key, start, end);
    *w = all;
    if (w->has_next)
        wake(w, w->next);
    if (touched && last_of(w) > watermark &&
        (kind_of(r) == FL_TRIGGER_EVENT_TIME || kind_of(r) == FL_TRIGGER_CONTINUOUS_EVENT_TIME))
        wake(w, last_of(w));
    return w;
}

static void put(reference *r, window *w, size_t record)
{
    w->records = realloc(w->records, (w->count + 1) * sizeof *w->records);
    w->records[w->count++] = record;
    trigger_record(r, w, record);
}

static bool into_window(reference *r, size_t record, fl_time start, fl_time end)
{
    int64_t key = r->rows[record].key;
    window probe = { .start = start, .end = end };
    bool is_event_time = !r->config->window.assigner.is_processing_time;
    if (r->config->window.assigner.is_merging) {
        window *w = merged_window(r, key, start, end);
        if (w)
            put(r, w, record);
        return w != NULL;
    }
    if (is_event_time && r->by_time && gone_at(r, &probe) <= r->time)
        return false;
    window *w = NULL;
    for (size_t i = 0; i < r->window_count; i++) {
        if (r->windows[i].key == key && r->windows[i].start == start && r->windows[i].end == end)
            w = &r->windows[i];
    }
    put(r, w ? w : add_window(r, key, start, end), record);
    return true;
}

static void reference_record(reference *r, size_t record, fl_time time)
{
    const fl_window_assigner *a = &r->config->window.assigner;
    bool taken = false;
    r->times[record] = time;
    switch (a->kind) {
    case FL_WINDOW_SESSION:
        taken = into_window(r, record, time, time + (a->gap ? 1 + r->rows[record].value % 9 : a->size.ms));
        break;
    case FL_WINDOW_CUSTOM: taken = into_window(r, record, time, time + 5 + r->rows[record].value % 7); break;
    case FL_WINDOW_GLOBAL: taken = into_window(r, record, FL_TIME_MIN, FL_TIME_MAX); break;
    default: {
        fl_time slide = a->slide.ms, size = a->size.ms, rest = (time % slide + slide) % slide;
        for (fl_time start = time - rest; start > time - size; start -= slide)
            taken |= into_window(r, record, start, start + size);
    }
    }
    if (!taken && !a->is_processing_time && time + r->lateness <= r->time) {
        lines_add_row(&r->late, time, FL_TYPE(Row), &r->rows[record]);
        r->dropped++;
    }
}

/* A timer came: what the trigger says, then the window's end. */
static void timer(reference *r, size_t i, fl_time time)
{
    window *w = &r->windows[i];
    fl_trigger_kind kind = kind_of(r);
    bool is_timed = kind == FL_TRIGGER_EVENT_TIME || kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME;
    if (is_timed && time == last_of(w)) {
        fire(r, w);
    } else if (kind == FL_TRIGGER_CONTINUOUS_EVENT_TIME && w->has_next && w->next == time) {
        w->has_next = false;
        if (r->time != FL_TIME_MAX || last_of(w) != FL_TIME_MAX) {
            schedule_next(r, w, time);
            fire(r, w);
        }
    }
    if (time == gone_at(r, w) && time != FL_TIME_MAX)
        free_window(r, i);
}

static void reference_time(reference *r, fl_time time)
{
    r->time = time;
    for (;;) {
        size_t first = SIZE_MAX, at = 0;
        for (size_t i = 0; i < r->window_count; i++) {
            for (size_t t = 0; t < r->windows[i].timer_count; t++) {
                fl_time due = r->windows[i].timers[t];
                if (due <= time && (first == SIZE_MAX || due < r->windows[first].timers[at])) {
                    first = i;
                    at = t;
                }
            }
        }
        if (first == SIZE_MAX)
            return;
        window *w = &r->windows[first];
        fl_time due = w->timers[at];
        w->timers[at] = w->timers[--w->timer_count];
        timer(r, first, due);
    }
}

/* ---- one run ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void expect_same(uint64_t seed, lines *got, lines *want, bool in_order, const char *where)
{
    if (!in_order && got->count)
        qsort(got->at, got->count, sizeof *got->at, by_text);
    if (!in_order && want->count)
        qsort(want->at, want->count, sizeof *want->at, by_text);
    for (size_t i = 0; i < got->count || i < want->count; i++) {
        const char *g = i < got->count ? got->at[i] : "(nothing)", *w = i < want->count ? want->at[i] : "(nothing)";
        if (strcmp(g, w) != 0) {
            printf("# seed %" PRIu64 ": %s, line %zu: got %s, want %s\n", seed, where, i, g, w);
            fail();
        }
    }
    lines_clear(got);
    lines_clear(want);
}

FL_OUTPUT_TAG(late_tag, Row);

static fl_window_assigner random_assigner(void)
{
    fl_duration gap = fl_milliseconds(1 + below(20)), slide = fl_milliseconds(1 + below(12));
    switch (below(9)) {
    case 0: return fl_global_windows();
    case 1: return fl_session_event_time_dynamic(gap_by_value);
    case 2: return fl_session_processing_time(gap);
    case 3: return fl_custom_windows(assign_by_value, false);
    case 4: return fl_merging_windows(fl_custom_windows(assign_by_value, false));
    case 5: return fl_tumbling_event_time(gap);
    case 6: return fl_sliding_event_time(gap, slide);
    default: return fl_session_event_time(gap);
    }
}

static void choose_parts(fl__window_spec *spec)
{
    fl_trigger *t = &spec->trigger;
    bool merges = spec->assigner.is_merging, by_clock = spec->assigner.is_processing_time;
    bool is_global = spec->assigner.kind == FL_WINDOW_GLOBAL;
    switch (below(by_clock && !is_global ? 3 : 8)) {
    case 0: break;
    case 1: *t = by_clock ? (fl_trigger){ 0 } : fl_event_time_trigger(); break;
    case 2:
    case 3: *t = fl_count_trigger(1 + below(5)); break;
    case 4: *t = merges ? fl_count_trigger(3) : fl_delta_trigger((double)below(10), difference); break;
    case 5: *t = merges ? (fl_trigger){ 0 } : fl_never_trigger(); break;
    default: *t = fl_continuous_event_time_trigger(fl_milliseconds(1 + below(10))); break;
    }
    if (below(3) == 0)
        *t = fl_purging_trigger(*t);
    switch (below(6)) {
    case 0: spec->evictor = fl_count_evictor(1 + below(5)); break;
    case 1: spec->evictor = fl_time_evictor(fl_milliseconds(1 + below(20))); break;
    case 2: spec->evictor = fl_delta_evictor((double)below(15) - 5, difference); break;
    default: break;
    }
    if (below(2))
        spec->evictor = fl_evict_after(spec->evictor);
    if (by_clock)
        return;
    spec->allowed_lateness = below(2) ? 0 : below(40);
    spec->late = below(2) ? &late_tag.tag : NULL;
}

static size_t results, late_records, pauses;

static void run(uint64_t seed)
{
    random_state = seed;
    harness h;
    memset(&h, 0, sizeof h);
    reference r;
    memset(&r, 0, sizeof r);
    fl__window_spec *spec = &h.config.window;
    spec->assigner = random_assigner();
    choose_parts(spec);
    bool by_clock = spec->assigner.is_processing_time && spec->assigner.kind != FL_WINDOW_GLOBAL;
    h.config.never_aligned = true;
    h.spec.in[0] = FL_TYPE(Row);
    h.spec.out = FL_TYPE(Seen);
    /* an evictor may leave nothing: an aggregate then has a result of its own, which the list's reference has not */
    r.sums = below(2) && spec->evictor.kind == FL_EVICTOR_NONE;
    h.config.content = r.sums ? FL__WINDOW_AGGREGATE : FL__WINDOW_ELEMENTS;
    h.spec.aggregate = r.sums ? &sum_row : NULL;
    h.spec.function = r.sums ? see_sum : see_rows;
    r.config = &h.config;
    r.by_time = spec->assigner.kind != FL_WINDOW_GLOBAL;
    r.lateness = spec->allowed_lateness;
    r.time = FL_TIME_MIN;
    harness_open(&h, (const char *const[]){ "key", NULL });
    if (getenv("SEED"))
        printf("# seed %" PRIu64 ": assigner %d, size %" PRId64
               ", trigger %d, layers %u, evictor %d%s, lateness %" PRId64 "%s%s\n",
            seed, (int)spec->assigner.kind, spec->assigner.size.ms, (int)spec->trigger.kind,
            (unsigned)spec->trigger.layer_count, (int)spec->evictor.kind, spec->evictor.is_after ? " after" : "",
            r.lateness, by_clock ? ", by the clock" : "", r.sums ? ", sums" : "");
    size_t records = (size_t)below(250) + 1, n = 0;
    int64_t key_count = below(5) == 0 ? 60 : 1 + below(6), disorder = 1 + below(50), pace = 1 + below(8);
    fl_time clock = 1000 + below(1000);
    r.rows = calloc(records, sizeof *r.rows);
    r.times = calloc(records, sizeof *r.times);
    char(*names)[48] = calloc(records, sizeof *names);
    h.task.now = clock;
    while (n < records) {
        for (int64_t batch = below(20) + 1; batch > 0 && n < records; batch--, n++) {
            snprintf(names[n], sizeof names[n], below(2) ? "n%d" : "name %d that does not fit into the string",
                (int)below(50));
            r.rows[n] = (Row){ fl_str(names[n]), below(key_count), below(30), (int64_t)n };
            clock += by_clock ? 0 : below(pace);
            fl_time timestamp = by_clock ? h.task.now : clock - below(disorder);
            harness_row(&h, &r.rows[n], timestamp);
            reference_record(&r, n, timestamp);
        }
        fl_status status = harness_flush(&h);
        fl_assert(status == FL_OK);
        results += h.out.count;
        late_records += h.late.count;
        expect_same(seed, &h.out, &r.out, true, "after a batch");
        if (spec->late)
            expect_same(seed, &h.late, &r.late, true, "side output");
        if (by_clock) {
            clock += below(12);
            reference_time(&r, clock - 1);
            status = harness_clock(&h, clock);
        } else if (below(2)) {
            fl_time watermark = clock - below(disorder + 10);
            if (watermark > r.time) {
                reference_time(&r, watermark);
                status = harness_watermark(&h, watermark, random_blocked);
            }
        }
        fl_assert(status == FL_OK);
        results += h.out.count;
        expect_same(seed, &h.out, &r.out, false, "when time rose");
    }
    if (!by_clock)
        reference_time(&r, FL_TIME_MAX);
    fl_status status = harness_watermark(&h, FL_TIME_MAX, random_blocked);
    fl_assert(status == FL_OK);
    results += h.out.count;
    expect_same(seed, &h.out, &r.out, false, "at the end");
    if (fl__window_late_dropped(h.op) != (spec->late ? 0 : (uint64_t)r.dropped)) {
        printf("# seed %" PRIu64 ": dropped %" PRIu64 ", want %" PRId64 "\n", seed, fl__window_late_dropped(h.op),
            r.dropped);
        fail();
    }
    pauses += h.pauses;
    harness_close(&h);
    while (r.window_count)
        free_window(&r, 0);
    free(r.windows);
    free(r.rows);
    free(r.times);
    free(names);
    lines_release(&r.out);
    lines_release(&r.late);
}

static void test_random_streams(void **state)
{
    (void)state;
    const char *only = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, seeds = only ? 1 : many ? strtoull(many, NULL, 10) : 3000;
    for (uint64_t seed = first; seed < first + seeds; seed++)
        run(seed);
    printf("# %" PRIu64 " streams: %zu results, %zu late records, %zu pauses\n", seeds, results, late_records, pauses);
    if (seeds >= 1000) /* else the streams hardly test anything */
        assert_true(results > 100000 && late_records > 1000 && pauses > 1000);
}

static void open_sums(harness *h, fl_window_assigner assigner, fl_trigger trigger)
{
    memset(h, 0, sizeof *h);
    h->config.window.assigner = assigner;
    h->config.window.trigger = trigger;
    h->config.content = FL__WINDOW_AGGREGATE;
    h->spec.in[0] = FL_TYPE(Row);
    h->spec.out = FL_TYPE(Sum);
    h->spec.aggregate = &sum_row;
    harness_open(h, (const char *const[]){ "key", NULL });
}

/* Keys that end leave nothing behind, neither those that come once nor those that come again and again. */
static void test_keys_come_and_go(void **state)
{
    (void)state;
    enum { RECORDS = 60000 };
    harness h;
    open_sums(&h, fl_session_event_time(fl_milliseconds(10)), (fl_trigger){ 0 });
    size_t count = 0;
    int64_t most = 0;
    for (int64_t i = 0; i < RECORDS; i++) {
        int64_t key = i % 3 ? 1000000 + i : i / 3 % 500; /* every 1,500 ms again */
        fl_status status = harness_push(&h, &(Row){ fl_str("a name that does not fit into the string"), key, 1, i }, i);
        fl_assert(status == FL_OK);
        if (i % 100 == 99) {
            status = harness_watermark(&h, i - 20, NULL);
            fl_assert(status == FL_OK);
        }
        int64_t used = fl__memory_used(&h.op->memory);
        most = used > most ? used : most;
        for (size_t n = 0; n < h.out.count; n++)
            assert_non_null(strstr(h.out.at[n], "(1,1,"));
        count += h.out.count;
        lines_clear(&h.out);
    }
    fl_status status = harness_watermark(&h, FL_TIME_MAX, NULL);
    fl_assert(status == FL_OK);
    assert_int_equal(count + h.out.count, RECORDS);
    if (most > 700 * 1024)
        fail_msg("%d keys of which 150 are there at once take %d KiB", RECORDS, (int)(most / 1024));
    harness_close(&h);
}

/* Count windows over ever new keys leave nothing behind when they are purged. */
static void test_purged_windows_without_end_go(void **state)
{
    (void)state;
    harness h;
    open_sums(&h, fl_global_windows(), fl_purging_trigger(fl_count_trigger(2)));
    int64_t most = 0;
    for (int64_t i = 0; i < 60000; i++) {
        fl_status status = harness_push(&h, &(Row){ fl_str("a"), i / 2, i % 2, i }, FL_NO_TIMESTAMP);
        fl_assert(status == FL_OK);
        assert_int_equal(h.out.count, i % 2);
        lines_clear(&h.out);
        int64_t used = fl__memory_used(&h.op->memory);
        most = used > most ? used : most;
    }
    if (most > 700 * 1024)
        fail_msg("count windows of 30,000 keys, one after the other, take %d KiB", (int)(most / 1024));
    harness_close(&h);
}

/* A timer that is deleted and registered again with every record leaves nothing behind. */
static void test_deleted_timers_go(void **state)
{
    (void)state;
    harness h;
    open_sums(&h, fl_global_windows(),
        fl_processing_time_timeout_trigger(fl_count_trigger(INT64_MAX), fl_seconds(3600), true, false));
    int64_t most = 0;
    for (int64_t i = 0; i < 100000; i++) {
        h.task.now = 1000 + i / 10;
        fl_status status = harness_push(&h, &(Row){ fl_str("a"), i % 7, 1, i }, FL_NO_TIMESTAMP);
        fl_assert(status == FL_OK);
        int64_t used = fl__memory_used(&h.op->memory);
        most = used > most ? used : most;
    }
    assert_int_equal(h.out.count, 0);
    if (most > 200 * 1024)
        fail_msg("7 timers take %d KiB", (int)(most / 1024));
    fl_status status = harness_clock(&h, h.task.now + 3600 * 1000 + 1);
    fl_assert(status == FL_OK);
    assert_int_equal(h.out.count, 7);
    harness_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_streams),
        cmocka_unit_test(test_keys_come_and_go),
        cmocka_unit_test(test_purged_windows_without_end_go),
        cmocka_unit_test(test_deleted_timers_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
