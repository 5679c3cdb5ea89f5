/* The window operator by itself, without a task around it: 1 s tumbling event-time windows over 10,000 keys, beside a
 * bare loop with a hash table per window. Both read the same batches, which fit the cache, so that what is measured is
 * the work on windows. Then the general path: the same windows by it, count windows, and sessions over 100,000 keys,
 * each of which has a record every 100 ms on average, drawn anew for every batch (and outside of the time measured).
 *
 *     window_operator [MILLIONS_OF_RECORDS [KEYS]]
 *     window_operator MILLIONS_OF_RECORDS KEYS TEXT     only those with TEXT in their names */
#include "operators/window.h"
#include "stream/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
    int64_t key, value;
} Row;
FL_ROW(Row, key, value);
typedef struct {
    fl_string key;
    int64_t value;
} Word;
FL_ROW(Word, key, value);
typedef struct {
    int64_t count, sum;
} Stat;
FL_ROW(Stat, count, sum);

static void stat_add(void *acc, const void *in, fl_context *ctx)
{
    (void)ctx;
    Stat *s = acc;
    s->count++;
    s->sum += ((const Row *)in)->value;
}
static void stat_merge(void *acc, const void *other, fl_context *ctx)
{
    (void)ctx;
    ((Stat *)acc)->count += ((const Stat *)other)->count;
    ((Stat *)acc)->sum += ((const Stat *)other)->sum;
}
FL_AGGREGATE(stat, Row, Stat, Stat, .add = stat_add);
FL_AGGREGATE(stat_mergeable, Row, Stat, Stat, .add = stat_add, .merge = stat_merge);

enum { BATCHES = 16, RECORDS_PER_MS = 1000, REPEATS = 5 };

static int64_t records = 10000000, keys = 10000;
static int64_t checksum, results;
static const char *filter;
static fl__memory memory;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others run on this machine too */
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What comes out is added up, as a consumer would read it. */
static char out_rows[64 * 1024];
static uint32_t out_field;
static void drain(fl__output *out, const void *row, size_t size)
{
    size_t n = (size_t)(out->collector.cursor - out_rows) / size;
    for (size_t i = 0; i < n; i++) {
        int64_t v;
        memcpy(&v, out_rows + i * size + out_field, sizeof v);
        checksum += v;
    }
    results += (int64_t)n;
    out->collector.cursor = out_rows;
    if (row) {
        memcpy(out->collector.cursor, row, size);
        out->collector.cursor += size;
    }
}

static fl__batch *batches[BATCHES];

static void make_batches(const fl_type *type, const fl__key *key)
{
    fl__layout layout;
    fl__layout_init(&layout, type);
    uint64_t x = 1;
    for (int b = 0; b < BATCHES; b++) {
        if (batches[b])
            fl__batch_free(batches[b]);
        batches[b] = fl__batch_new(&memory, type, FL__COLUMN_TIMESTAMP | FL__COLUMN_HASH, 32 * 1024);
        for (bool fits = true; fits && batches[b]->count < 1000;) {
            int64_t k = (int64_t)(fl__mix64(x++) % (uint64_t)keys);
            char text[16];
            snprintf(text, sizeof text, "k%d", (int)k);
            Word word = { fl_str(text), 1 };
            Row row = { k, 1 };
            const void *r = type == FL_TYPE(Row) ? (const void *)&row : &word;
            fits = fl__batch_append(batches[b], &layout, r);
            if (fits)
                fl__batch_hashes(batches[b])[batches[b]->count - 1] = fl__key_hash(key, (const char *)r + key->offset);
        }
    }
}

static void set_timestamps(fl__batch *batch, int64_t first)
{
    int64_t *t = fl__batch_timestamps(batch);
    for (uint32_t i = 0; i < batch->count; i++)
        t[i] = (first + i) / RECORDS_PER_MS;
}

/* New keys for a batch of Rows. */
static void draw_keys(fl__batch *batch, const fl__key *key)
{
    static uint64_t x = 1;
    Row *rows = (Row *)(void *)fl__batch_rows(batch);
    for (uint32_t i = 0; i < batch->count; i++) {
        rows[i].key = (int64_t)(fl__mix64(x++) % (uint64_t)keys);
        fl__batch_hashes(batch)[i] = fl__key_hash(key, &rows[i].key);
    }
}

static int64_t peak;

static double once(fl__window_config config, const fl_type *in, const fl_aggregate_fn *aggregate, const fl_type *out)
{
    static fl__task task;
    fl__key key;
    fl__arena arena;
    fl_error error = FL_ERROR_INIT;
    fl__arena_init(&arena, &memory);
    if (fl__key_init_fields(&key, &arena, in, (const char *const[]){ "key" }, NULL, 1, &error) != FL_OK)
        abort();
    make_batches(in, &key);
    fl__operator_spec spec = { .class = fl__window_class_for(&config),
        .name = "windows",
        .in = { in },
        .out = out,
        .key = { &key },
        .aggregate = aggregate,
        .config = &config,
        .has_timestamps = true };
    fl__operator *op = fl__alloc_zero(&memory, spec.class->size);
    op->class = spec.class;
    op->spec = &spec;
    op->task = &task;
    fl__memory_init(&op->memory, "operator", &memory, 0);
    op->out.collector = (fl_collector){ .cursor = out_rows, .limit = out_rows + 32 * 1024, .row_size = out->size };
    op->out.slow = drain;
    op->out.op = op;
    out_field = out == FL_TYPE(Stat) ? offsetof(Stat, sum)
                : in == FL_TYPE(Row) ? offsetof(Row, value)
                                     : offsetof(Word, value);
    checksum = results = 0;
    if (spec.class->open(op, &error) != FL_OK)
        abort();
    bool draws = config.window.assigner.kind == FL_WINDOW_SESSION;
    double elapsed = 0;
    int64_t done = 0;
    peak = 0;
    for (int b = 0; done < records; b = (b + 1) % BATCHES) {
        set_timestamps(batches[b], done);
        if (draws)
            draw_keys(batches[b], &key);
        double start = seconds();
        spec.class->process(op, 0, batches[b]);
        done += batches[b]->count;
        fl_time watermark = done / RECORDS_PER_MS - 1;
        if (watermark / 200 != (watermark - 1) / 200 || (draws && watermark % 5 == 0)) {
            op->ctx.watermark = watermark;
            int64_t used = fl__memory_used(&op->memory);
            peak = used > peak ? used : peak;
            spec.class->watermark(op, watermark);
        }
        elapsed += seconds() - start;
    }
    double start = seconds();
    spec.class->watermark(op, FL_TIME_MAX);
    drain(&op->out, NULL, out->size);
    double ns = (elapsed + seconds() - start) * 1e9 / (double)done;
    spec.class->close(op);
    fl__free(&memory, op, spec.class->size);
    fl__arena_release(&arena);
    return ns;
}

static void run(const char *name, fl__window_config config, const fl_type *in, const fl_aggregate_fn *aggregate,
    const fl_type *out, double bare)
{
    if (!strstr(name, filter))
        return;
    double ns = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double t = once(config, in, aggregate, out);
        ns = t < ns ? t : ns;
    }
    printf("%-34s %6.1f ns/record", name, ns);
    if (bare > 0)
        printf("  %5.2f x bare", ns / bare);
    printf("  %8.1f KiB at most, %lld results, sum %lld of %lld\n", (double)peak / 1024, (long long)results,
        (long long)checksum, (long long)records);
}

/* The same by hand: open addressing, one table for the window at hand. */
static double bare_once(bool with_hash)
{
    typedef struct {
        int64_t key, count, sum;
    } entry;
    fl__key key;
    fl__arena arena;
    fl_error error = FL_ERROR_INIT;
    fl__arena_init(&arena, &memory);
    if (fl__key_init_fields(&key, &arena, FL_TYPE(Row), (const char *const[]){ "key" }, NULL, 1, &error) != FL_OK)
        abort();
    make_batches(FL_TYPE(Row), &key);
    uint64_t slots = 64;
    while (slots < (uint64_t)keys * 3 / 2)
        slots *= 2;
    entry *table = calloc(slots, sizeof *table);
    Stat *out = malloc(sizeof *out * 2048);
    checksum = results = 0;
    double start = seconds();
    int64_t done = 0, end = 1000, n_out = 0;
    for (int b = 0; done < records; b = (b + 1) % BATCHES) {
        fl__batch *batch = batches[b];
        set_timestamps(batch, done);
        const int64_t *t = fl__batch_timestamps(batch);
        const uint64_t *hashes = fl__batch_hashes(batch);
        const Row *rows = (const Row *)(const void *)fl__batch_rows(batch);
        for (uint32_t i = 0; i < batch->count; i++) {
            if (t[i] >= end) {
                for (uint64_t s = 0; s < slots; s++) {
                    if (!table[s].count)
                        continue;
                    out[n_out++] = (Stat){ table[s].count, table[s].sum };
                    if (n_out == 2048) {
                        for (int64_t k = 0; k < n_out; k++)
                            checksum += out[k].sum;
                        results += n_out;
                        n_out = 0;
                    }
                }
                memset(table, 0, slots * sizeof *table);
                end += 1000;
            }
            uint64_t s = (with_hash ? hashes[i] : fl__mix64((uint64_t)rows[i].key)) & (slots - 1);
            while (table[s].count && table[s].key != rows[i].key)
                s = (s + 1) & (slots - 1);
            table[s].key = rows[i].key;
            table[s].count++;
            table[s].sum += rows[i].value;
        }
        done += batch->count;
    }
    double ns = (seconds() - start) * 1e9 / (double)done;
    results += n_out;
    free(table);
    free(out);
    fl__arena_release(&arena);
    return ns;
}

static double bare(bool with_hash)
{
    double ns = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double t = bare_once(with_hash);
        ns = t < ns ? t : ns;
    }
    printf("%-34s %6.1f ns/record\n", with_hash ? "bare loop, hashes given" : "bare loop", ns);
    return ns;
}

/* Sessions by hand: one per key, in open addressing, given when the key's next record comes too late for it; nothing
 * looks at those whose key stays silent. What is left is waiting for memory. */
static void bare_sessions(int64_t gap)
{
    typedef struct {
        int64_t key, start, end, count, sum;
    } session;
    fl__key key;
    fl__arena arena;
    fl_error error = FL_ERROR_INIT;
    fl__arena_init(&arena, &memory);
    if (fl__key_init_fields(&key, &arena, FL_TYPE(Row), (const char *const[]){ "key" }, NULL, 1, &error) != FL_OK)
        abort();
    make_batches(FL_TYPE(Row), &key);
    uint64_t slots = 64;
    while (slots < (uint64_t)keys * 3 / 2)
        slots *= 2;
    double best = 1e9;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        session *table = calloc(slots, sizeof *table);
        double elapsed = 0;
        int64_t done = 0;
        results = checksum = 0;
        for (int b = 0; done < records; b = (b + 1) % BATCHES) {
            fl__batch *batch = batches[b];
            set_timestamps(batch, done);
            draw_keys(batch, &key);
            const int64_t *t = fl__batch_timestamps(batch);
            const uint64_t *hashes = fl__batch_hashes(batch);
            const Row *rows = (const Row *)(const void *)fl__batch_rows(batch);
            double start = seconds();
            for (uint32_t i = 0; i < batch->count; i++) {
                uint64_t s = hashes[i] & (slots - 1);
                while (table[s].count && table[s].key != rows[i].key)
                    s = (s + 1) & (slots - 1);
                session *at = &table[s];
                if (at->count && t[i] > at->end) {
                    checksum += at->sum;
                    results++;
                    at->count = 0;
                }
                if (at->count == 0)
                    *at = (session){ rows[i].key, t[i], 0, 0, 0 };
                at->end = t[i] + gap;
                at->count++;
                at->sum += rows[i].value;
            }
            elapsed += seconds() - start;
            done += batch->count;
        }
        free(table);
        best = elapsed * 1e9 / (double)done < best ? elapsed * 1e9 / (double)done : best;
    }
    printf("bare sessions, gap %-4d ms           %5.1f ns/record\n", (int)gap, best);
    fl__arena_release(&arena);
}

static void general_path(fl__window_config sum, fl__window_config aggregate, double b)
{
    const fl_window_assigner second = fl_tumbling_event_time(fl_seconds(1));
    sum.window.assigner = aggregate.window.assigner = second;
    sum.never_aligned = aggregate.never_aligned = true;
    run("aggregate, 1 s, general path", aggregate, FL_TYPE(Row), &stat, FL_TYPE(Stat), b);
    run("sum, 1 s, general path", sum, FL_TYPE(Row), NULL, FL_TYPE(Row), b);
    sum.window.assigner = fl_global_windows();
    sum.window.trigger = fl_purging_trigger(fl_count_trigger(5));
    run("sum, count windows of 5", sum, FL_TYPE(Row), NULL, FL_TYPE(Row), b);
    sum.window.trigger = (fl_trigger){ 0 };
    keys = 100000;
    static const int64_t gaps[] = { 1000, 200, 50 };
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        char name[64];
        sum.window.assigner = aggregate.window.assigner = fl_session_event_time(fl_milliseconds(gaps[i]));
        bare_sessions(gaps[i]);
        snprintf(name, sizeof name, "aggregate, sessions, gap %d ms", (int)gaps[i]);
        run(name, aggregate, FL_TYPE(Row), &stat_mergeable, FL_TYPE(Stat), 0);
        snprintf(name, sizeof name, "sum, sessions, gap %d ms", (int)gaps[i]);
        run(name, sum, FL_TYPE(Row), NULL, FL_TYPE(Row), 0);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        records = strtoll(argv[1], NULL, 10) * 1000000;
    if (argc > 2)
        keys = strtoll(argv[2], NULL, 10);
    fl__memory_init(&memory, "bench", NULL, 0);
    double b = bare(false);
    bare(true);
    const fl_window_assigner second = fl_tumbling_event_time(fl_seconds(1));
    const fl_window_assigner sliding = fl_sliding_event_time(fl_seconds(60), fl_seconds(1));
    fl__window_config sum = { .window = { .assigner = second },
        .content = FL__WINDOW_ROLLING,
        .rolling = { .what = FL_SUM, .first = true, .offset = offsetof(Row, value), .field = FL_TYPE(int64_t) } };
    fl__window_config aggregate = { .window = { .assigner = second }, .content = FL__WINDOW_AGGREGATE };
    filter = argc > 3 ? argv[3] : "";
    run("aggregate {count, sum}, 1 s", aggregate, FL_TYPE(Row), &stat, FL_TYPE(Stat), b);
    run("sum, 1 s", sum, FL_TYPE(Row), NULL, FL_TYPE(Row), b);
    sum.rolling.offset = offsetof(Word, value);
    run("sum by string, 1 s", sum, FL_TYPE(Word), NULL, FL_TYPE(Word), b);
    sum.rolling.offset = offsetof(Row, value);
    sum.window.assigner = aggregate.window.assigner = sliding;
    run("aggregate, 60 s / 1 s, panes", aggregate, FL_TYPE(Row), &stat_mergeable, FL_TYPE(Stat), b);
    run("sum, 60 s / 1 s, panes", sum, FL_TYPE(Row), NULL, FL_TYPE(Row), b);
    records /= 20;
    run("aggregate, 60 s / 1 s, 60 tables", aggregate, FL_TYPE(Row), &stat, FL_TYPE(Stat), b);
    records *= 20;
    general_path(sum, aggregate, b);
    for (int i = 0; i < BATCHES; i++)
        fl__batch_free(batches[i]);
    return 0;
}
