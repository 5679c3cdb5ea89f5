/* Windows against a naive reference: random streams with random out-of-orderness, lateness and watermarks, through
 * every kind of content, with panes combined and with a table per window. The reference keeps all records of each
 * window and key in a list and follows Flink's WindowOperator step by step.
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
    int64_t key;
    int32_t key32, value32;
    int64_t value;
    double real;
    int64_t id;
} Flat;
FL_ROW(Flat, key, key32, value32, value, real, id);

typedef struct {
    fl_string name, note;
    int64_t key;
    int32_t key32, value32;
    int64_t value;
    double real;
    int64_t id;
} Named;
FL_ROW(Named, name, note, key, key32, value32, value, real, id);

/* ---- user functions; Flat and Named differ in where the fields are ---- */

static bool named; /* which of the two the run at hand has */
static size_t row_size;

static Flat flat_of(const void *row)
{
    if (!named)
        return *(const Flat *)row;
    const Named *n = row;
    return (Flat){ n->key, n->key32, n->value32, n->value, n->real, n->id };
}

/* Depends on the order; for Named rows it makes the value point elsewhere. */
static void chain(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    if (named) {
        Named *v = value;
        const Named *i = in;
        v->value = (int64_t)((uint64_t)v->value * 31 + (uint64_t)i->value);
        v->note = i->note;
    } else {
        Flat *v = value;
        v->value = (int64_t)((uint64_t)v->value * 31 + (uint64_t)((const Flat *)in)->value);
    }
}

typedef struct {
    int64_t count, sum;
    fl_string most;
} Stat;
FL_ROW(Stat, count, sum, most);
typedef struct {
    int64_t count, sum;
} Plain;
FL_ROW(Plain, count, sum);

static void stat_fold(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    Stat *s = value;
    s->count++;
    s->sum = (int64_t)((uint64_t)s->sum * 3 + (uint64_t)flat_of(in).value);
    if (named && fl_string_compare(((const Named *)in)->note, s->most) > 0)
        s->most = ((const Named *)in)->note;
}
static void stat_add(void *acc, const void *in, fl_context *ctx)
{
    (void)ctx;
    Stat *s = acc;
    s->count++;
    s->sum += flat_of(in).value;
    if (named && fl_string_compare(((const Named *)in)->note, s->most) > 0)
        s->most = ((const Named *)in)->note;
}
static void stat_merge(void *acc, const void *other, fl_context *ctx)
{
    (void)ctx;
    Stat *s = acc;
    const Stat *o = other;
    s->count += o->count;
    s->sum += o->sum;
    if (fl_string_compare(o->most, s->most) > 0)
        s->most = o->most;
}
static void plain_create(void *acc, fl_context *ctx)
{
    (void)ctx;
    ((Plain *)acc)->sum = 1000;
}
static void plain_add(void *acc, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Plain *)acc)->count++;
    ((Plain *)acc)->sum += flat_of(in).value;
}
static void plain_get(const void *acc, void *out, fl_context *ctx)
{
    (void)ctx;
    *(int64_t *)out = ((const Plain *)acc)->count * 1000003 + ((const Plain *)acc)->sum;
}

/* What a window function sees: the window, its key, its rows in order. */
typedef struct {
    int64_t start, end, count, chain, now;
    fl_string note;
} Seen;
FL_ROW(Seen, start, end, count, chain, now, note);

static void see_rows(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_window_range range = fl_current_window(ctx);
    const fl_elements *elements = in;
    Seen seen = { range.start, range.end, (int64_t)elements->count, 0, fl_timestamp_of(ctx), fl_str("") };
    fl_each(const char *, row, in)
    {
        seen.chain = (int64_t)((uint64_t)seen.chain * 31 + (uint64_t)flat_of(row).id);
        if (named)
            seen.note = ((const Named *)(const void *)row)->note;
    }
    fl_collect(out, &seen);
}

static void see_stat(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_window_range range = fl_current_window(ctx);
    const Stat *s = fl_element(in, 0);
    fl_collect(out, &(Seen){ range.start, range.end, s->count, s->sum, fl_timestamp_of(ctx), s->most });
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

typedef enum what {
    SUM,
    SUM32,
    SUM_REAL,
    MIN,
    MAX,
    MIN_BY,
    MAX_BY,
    REDUCE,
    FOLD,
    AGGREGATE,
    AGGREGATE_MERGE,
    AGGREGATE_PLAIN,
    APPLY,
    AGGREGATE_APPLY,
    WHAT_COUNT
} what;

typedef struct bucket {
    fl_time start;
    char key[80];
    bool fired;
    size_t *records, count;
} bucket;

typedef struct reference {
    what what;
    bool first;
    fl_window_assigner assigner;
    fl_time lateness, watermark;
    char *records; /* rows */
    size_t record_count;
    bucket *buckets;
    size_t bucket_count;
    int64_t dropped;
    lines out, late;
    const fl_type *in, *result;
} reference;

static fl_time floor_to(fl_time t, fl_time step, fl_time offset)
{
    fl_time n = (t - offset) % step;
    return t - (n < 0 ? n + step : n);
}

/* The result of a list of records, by definition. */
static void emit(reference *r, const bucket *b)
{
    fl_time max = b->start + r->assigner.size.ms - 1;
    union {
        Flat flat;
        Named named;
        Stat stat;
        Seen seen;
        int64_t number;
    } v;
    memset(&v, 0, sizeof v);
    const char *rows = r->records;
    if (r->what <= REDUCE) {
        memcpy(&v, rows + b->records[0] * row_size, row_size);
        int64_t *value = named ? &v.named.value : &v.flat.value;
        int32_t *value32 = named ? &v.named.value32 : &v.flat.value32;
        double *real = named ? &v.named.real : &v.flat.real;
        for (size_t i = 1; i < b->count; i++) {
            const char *row = rows + b->records[i] * row_size;
            Flat f = flat_of(row);
            switch (r->what) {
            case SUM: *value += f.value; break;
            case SUM32: *value32 += f.value32; break;
            case SUM_REAL: *real += f.real; break;
            case MIN: *value = f.value < *value ? f.value : *value; break;
            case MAX: *value = f.value > *value ? f.value : *value; break;
            case MIN_BY:
                if (f.value < *value || (f.value == *value && !r->first))
                    memcpy(&v, row, row_size);
                break;
            case MAX_BY:
                if (f.value > *value || (f.value == *value && !r->first))
                    memcpy(&v, row, row_size);
                break;
            default: chain(&v, row, NULL); break;
            }
        }
    } else if (r->what == FOLD || r->what == AGGREGATE || r->what == AGGREGATE_MERGE || r->what == AGGREGATE_APPLY) {
        if (r->what == FOLD)
            v.stat.sum = 7;
        for (size_t i = 0; i < b->count; i++)
            (r->what == FOLD ? stat_fold : stat_add)(&v.stat, rows + b->records[i] * row_size, NULL);
        if (r->what == AGGREGATE_APPLY) {
            Stat s = v.stat;
            v.seen = (Seen){ b->start, max + 1, s.count, s.sum, max, s.most };
        }
    } else if (r->what == AGGREGATE_PLAIN) {
        Plain p = { 0, 1000 };
        for (size_t i = 0; i < b->count; i++)
            plain_add(&p, rows + b->records[i] * row_size, NULL);
        plain_get(&p, &v.number, NULL);
    } else {
        v.seen = (Seen){ b->start, max + 1, (int64_t)b->count, 0, max, fl_str("") };
        for (size_t i = 0; i < b->count; i++) {
            const char *row = rows + b->records[i] * row_size;
            v.seen.chain = (int64_t)((uint64_t)v.seen.chain * 31 + (uint64_t)flat_of(row).id);
            if (named)
                v.seen.note = ((const Named *)(const void *)row)->note;
        }
    }
    lines_add_row(&r->out, max, r->result, &v);
}

static bucket *get_bucket(reference *r, fl_time start, const char *key)
{
    for (size_t i = 0; i < r->bucket_count; i++) {
        if (r->buckets[i].start == start && strcmp(r->buckets[i].key, key) == 0)
            return &r->buckets[i];
    }
    r->buckets = realloc(r->buckets, (r->bucket_count + 1) * sizeof *r->buckets);
    bucket *b = &r->buckets[r->bucket_count++];
    memset(b, 0, sizeof *b);
    b->start = start;
    snprintf(b->key, sizeof b->key, "%s", key);
    return b;
}

static void reference_record(reference *r, size_t record, fl_time timestamp, const char *key)
{
    bool event_time = !r->assigner.is_processing_time, skipped = true;
    fl_time size = r->assigner.size.ms, slide = r->assigner.slide.ms;
    for (fl_time start = floor_to(timestamp, slide, r->assigner.offset.ms); start > timestamp - size; start -= slide) {
        fl_time max = start + size - 1;
        if (event_time && max + r->lateness <= r->watermark)
            continue;
        skipped = false;
        bucket *b = get_bucket(r, start, key);
        b->records = realloc(b->records, (b->count + 1) * sizeof *b->records);
        b->records[b->count++] = record;
        if (event_time && max <= r->watermark) {
            b->fired = true; /* fires with each record; its timer has gone by */
            emit(r, b);
        }
    }
    if (skipped && event_time && timestamp + r->lateness <= r->watermark) {
        lines_add_row(&r->late, timestamp, r->in, r->records + record * row_size);
        r->dropped++;
    }
}

/* time: the watermark, or the clock - 1. */
static void reference_time(reference *r, fl_time time)
{
    fl_time size = r->assigner.size.ms;
    r->watermark = time;
    for (;;) {
        bucket *next = NULL;
        for (size_t i = 0; i < r->bucket_count; i++) {
            bucket *b = &r->buckets[i];
            if (!b->fired && b->start + size - 1 <= time && (!next || b->start < next->start))
                next = b;
        }
        if (!next)
            break;
        next->fired = true;
        emit(r, next);
    }
    for (size_t i = r->bucket_count; i-- > 0;) {
        fl_time cleanup = r->buckets[i].start + size - 1;
        if ((time == FL_TIME_MAX ? cleanup : cleanup + r->lateness) <= time) {
            free(r->buckets[i].records);
            r->buckets[i] = r->buckets[--r->bucket_count];
        }
    }
}

/* ---- one run ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static fl_time time_of(const char *line)
{
    return strtoll(line, NULL, 10);
}

static void expect_same(uint64_t seed, lines *got, lines *want, bool in_order, const char *where)
{
    if (!in_order) {
        for (size_t i = 1; i < got->count; i++) {
            if (time_of(got->at[i]) < time_of(got->at[i - 1])) {
                printf(
                    "# seed %" PRIu64 ": windows fired out of order: %s after %s\n", seed, got->at[i], got->at[i - 1]);
                fail();
            }
        }
        if (got->count)
            qsort(got->at, got->count, sizeof *got->at, by_text);
        if (want->count)
            qsort(want->at, want->count, sizeof *want->at, by_text);
    }
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

static void select_key(const void *row, void *key, void *context)
{
    (void)context;
    *(int64_t *)key = flat_of(row).key % 3;
}

FL_OUTPUT_TAG(late_flat, Flat);
FL_OUTPUT_TAG(late_named, Named);
FL_AGGREGATE(stat_flat, Flat, Stat, Stat, .add = stat_add);
FL_AGGREGATE(stat_flat_merge, Flat, Stat, Stat, .add = stat_add, .merge = stat_merge);
FL_AGGREGATE(plain_flat, Flat, Plain, int64_t, .create = plain_create, .add = plain_add, .get = plain_get);

static const char *const key_fields[][3] = { { "key" }, { "key32" }, { "key", "key32" }, { "key32", "key" }, { "name" },
    { "name", "key" } };

static void set_content(harness *h, reference *r)
{
    static const struct {
        fl_rolling what;
        const char *field;
    } rolling[] = { [SUM] = { FL_SUM, "value" },
        [SUM32] = { FL_SUM, "value32" },
        [SUM_REAL] = { FL_SUM, "real" },
        [MIN] = { FL_MIN, "value" },
        [MAX] = { FL_MAX, "value" },
        [MIN_BY] = { FL_MIN_BY, "value" },
        [MAX_BY] = { FL_MAX_BY, "value" } };
    static const Stat initial = { .sum = 7 };
    fl__window_config *c = &h->config;
    h->spec.out = r->in;
    if (r->what <= MAX_BY) {
        c->content = FL__WINDOW_ROLLING;
        c->rolling.what = rolling[r->what].what;
        c->rolling.first = r->first;
        c->rolling.field = fl_type_field(r->in, rolling[r->what].field, &c->rolling.offset)->type;
    } else if (r->what == REDUCE) {
        c->content = FL__WINDOW_REDUCE;
        h->spec.reduce = chain;
    } else if (r->what == FOLD) {
        c->content = FL__WINDOW_FOLD;
        c->initial = &initial;
        c->type = h->spec.out = FL_TYPE(Stat);
        h->spec.reduce = stat_fold;
    } else if (r->what == APPLY) {
        c->content = FL__WINDOW_ELEMENTS;
        h->spec.function = see_rows;
        h->spec.out = FL_TYPE(Seen);
    } else {
        c->content = FL__WINDOW_AGGREGATE;
        h->spec.aggregate = r->what == AGGREGATE         ? &stat_flat
                            : r->what == AGGREGATE_PLAIN ? &plain_flat
                                                         : &stat_flat_merge;
        h->spec.out = h->spec.aggregate->out;
        if (r->what == AGGREGATE_APPLY) {
            h->spec.function = see_stat;
            h->spec.out = FL_TYPE(Seen);
        }
    }
    r->result = h->spec.out;
}

static size_t pauses, results, late_records;

static void run(uint64_t seed)
{
    random_state = seed;
    harness h;
    memset(&h, 0, sizeof h);
    reference r;
    memset(&r, 0, sizeof r);
    named = below(2);
    row_size = named ? sizeof(Named) : sizeof(Flat);
    static const int64_t sizes[] = { 1, 2, 3, 5, 7, 10, 12, 30, 100 };
    int64_t size = sizes[below(9)], slide = below(2) ? size : sizes[below(9)];
    fl_window_assigner *a = &h.config.window.assigner;
    *a = (fl_window_assigner){ .kind = slide == size ? FL_WINDOW_TUMBLING : FL_WINDOW_SLIDING,
        .is_processing_time = below(4) == 0,
        .size = { size },
        .slide = { slide },
        .offset = { below(2 * slide - 1) - slide + 1 } };
    h.config.window.allowed_lateness = below(2) ? 0 : below(40);
    h.config.never_combine = below(3) == 0;
    h.config.never_aligned = below(3) == 0;
    bool side = below(2);
    if (side)
        h.config.window.late = named ? &late_named.tag : &late_flat.tag;
    h.spec.in[0] = named ? FL_TYPE(Named) : FL_TYPE(Flat);
    r.in = h.spec.in[0];
    r.what = (what)below(WHAT_COUNT);
    r.first = below(2);
    r.assigner = *a;
    r.lateness = a->is_processing_time ? 0 : h.config.window.allowed_lateness;
    r.watermark = FL_TIME_MIN;
    set_content(&h, &r);
    const char *const *keys = key_fields[below(named ? 6 : 4)];
    if (below(6) == 0) {
        fl_status status = fl__key_init_selector(&h.key, FL_TYPE(int64_t), select_key, NULL, &h.error);
        fl_assert(status == FL_OK);
    }
    harness_open(&h, keys);
    if (getenv("SEED"))
        printf("# seed %" PRIu64 ": %s, size %" PRId64 ", slide %" PRId64 ", offset %" PRId64 ", lateness %" PRId64
               ", content %d, key %s%s%s\n",
            seed, a->is_processing_time ? "processing time" : "event time", size, slide, a->offset.ms, r.lateness,
            (int)r.what, h.key.selector ? "selected" : keys[0], named ? ", named" : "",
            h.config.never_aligned   ? ", general path"
            : h.config.never_combine ? ", never combined"
                                     : "");

    size_t records = (size_t)below(300) + 1;
    int64_t key_count = below(5) == 0 ? 100 : 1 + below(8), disorder = 1 + below(60);
    fl_time clock = below(2000) - 1000;
    r.records = calloc(records, row_size);
    char *texts = calloc(records, 128);
    while (r.record_count < records) {
        size_t batch = (size_t)below(20) + 1;
        for (; batch > 0 && r.record_count < records; batch--) {
            size_t n = r.record_count++;
            char *row = r.records + n * row_size, *text = texts + n * 128;
            int64_t k = below(key_count);
            Flat f = { k, (int32_t)(k % 5), (int32_t)below(100), below(20) - 10, (double)below(64), (int64_t)n };
            if (named) {
                snprintf(text, 64, k % 2 ? "k%d" : "a rather long name of the key number %d", (int)k);
                snprintf(text + 64, 64, below(2) ? "n%d" : "note %d that does not fit into the string", (int)below(50));
                *(Named *)(void *)row =
                    (Named){ fl_str(text), fl_str(text + 64), f.key, f.key32, f.value32, f.value, f.real, f.id };
            } else {
                *(Flat *)(void *)row = f;
            }
            clock += below(4);
            fl_time timestamp = a->is_processing_time ? h.task.now : clock - below(disorder);
            harness_row(&h, row, timestamp);
            char key[80], scratch[256];
            fl_format(h.key.type, fl__key_of(&h.key, row, scratch), key, sizeof key);
            reference_record(&r, n, timestamp, key);
        }
        fl_status status = harness_flush(&h);
        fl_assert(status == FL_OK);
        results += h.out.count;
        late_records += h.late.count;
        expect_same(seed, &h.out, &r.out, true, "after a batch");
        if (side)
            expect_same(seed, &h.late, &r.late, true, "side output");
        if (a->is_processing_time) {
            clock += below(20);
            reference_time(&r, clock - 1);
            status = harness_clock(&h, clock);
        } else if (below(2)) {
            fl_time watermark = clock - below(disorder + 10);
            if (watermark > r.watermark) {
                reference_time(&r, watermark);
                status = harness_watermark(&h, watermark, random_blocked);
            }
        }
        fl_assert(status == FL_OK);
        results += h.out.count;
        expect_same(seed, &h.out, &r.out, false, "when time rose");
    }
    if (!a->is_processing_time)
        reference_time(&r, FL_TIME_MAX);
    fl_status status = harness_watermark(&h, FL_TIME_MAX, random_blocked);
    fl_assert(status == FL_OK);
    results += h.out.count;
    expect_same(seed, &h.out, &r.out, false, "at the end");
    if (fl__window_late_dropped(h.op) != (side ? 0 : (uint64_t)r.dropped)) {
        printf("# seed %" PRIu64 ": dropped %" PRIu64 ", want %" PRId64 "\n", seed, fl__window_late_dropped(h.op),
            r.dropped);
        fail();
    }
    pauses += h.pauses;
    harness_close(&h);
    for (size_t i = 0; i < r.bucket_count; i++)
        free(r.buckets[i].records);
    free(r.buckets);
    free(r.records);
    free(texts);
    lines_release(&r.out);
    lines_release(&r.late);
}

static void test_random_streams(void **state)
{
    (void)state;
    const char *only = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, seeds = only ? 1 : many ? strtoull(many, NULL, 10) : 2000;
    for (uint64_t seed = first; seed < first + seeds; seed++)
        run(seed);
    printf("# %" PRIu64 " streams: %zu results, %zu late records, %zu pauses\n", seeds, results, late_records, pauses);
    if (seeds >= 1000) /* else the streams hardly test anything */
        assert_true(results > 100000 && late_records > 1000 && pauses > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
