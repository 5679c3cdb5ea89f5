#include "stream/sorter.h"

#include "base/error.h"

enum {
    RADIX_BITS = 11,
    RADIX_SIZE = 1 << RADIX_BITS,
    RADIX_PASSES = 3,
    PREFIX_SHIFT = 64 - RADIX_BITS * RADIX_PASSES, /* the passes order hashes by what is above: 33 bits */
    RADIX_FROM = 256, /* fewer entries are merged: the passes' counts cost more than they save */
    INSERTION_MAX = 16,
    AHEAD = 8, /* rows are fetched into the cache so many before they are looked at: sorted, they lie anywhere */
};

/* A row that waits; the same three words that readers are given. */
typedef fl__sorted_row entry;

/* Rows of a run, in order. */
typedef struct source {
    entry head;
    bool is_over, is_memory;
    fl__batch *batch; /* of the file; NULL: not read yet */
    uint32_t next;    /* row of the batch, or entry */
    int64_t at, end;  /* in the file */
} source;

struct fl__sorter {
    fl__sorter_options options;
    fl__layout layout;
    void *key_scratch[2];
    fl__batch **batches; /* rows in memory: [0, filled] are in use, the last is open */
    uint32_t batch_count, batch_capacity, filled;
    int64_t batch_bytes;
    entry *entries, *scratch;
    size_t count, capacity; /* of entries; scratch has capacity, too */
    fl__spill_file file;
    int64_t *run_ends; /* where run i ends in the file */
    uint32_t run_count, run_capacity;
    fl__batch *out; /* a run being written */
    source *sources;
    uint32_t source_count, *tree;
    uint64_t rows;
    bool is_ended;
    fl_error error;
};

/* ---- order ---- */

/* Of the keys of two rows with one hash: nearly always the same key. */
static int compare_keys(const fl__sorter *s, const char *a, const char *b)
{
    const fl__key *key = s->options.key;
    const void *x = fl__key_of(key, a, s->key_scratch[0]), *y = fl__key_of(key, b, s->key_scratch[1]);
    return fl__key_equal(key, x, y) ? 0 : fl_compare(key->type, x, y);
}

/* Earlier arrivals are told apart by the callers. */
static inline int compare(const fl__sorter *s, const entry *a, const entry *b)
{
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (!s->options.key)
        return 0;
    int order = compare_keys(s, a->row, b->row);
    if (order)
        return order;
    return (a->timestamp > b->timestamp) - (a->timestamp < b->timestamp);
}

/* ---- sorting in memory: stable, so that equal ones stay in order of arrival ---- */

/* of_one_key: a constant in the callers; the rows need not be looked at then. */
static inline __attribute__((always_inline)) bool is_before(
    const fl__sorter *s, const entry *a, const entry *b, bool of_one_key)
{
    return of_one_key ? a->timestamp < b->timestamp : compare(s, a, b) < 0;
}

static inline __attribute__((always_inline)) void sort_by_insertion(
    const fl__sorter *s, entry *entries, size_t count, bool of_one_key)
{
    for (size_t i = 1; i < count; i++) {
        entry moved = entries[i];
        size_t to = i;
        for (; to > 0 && is_before(s, &moved, &entries[to - 1], of_one_key); to--)
            entries[to] = entries[to - 1];
        entries[to] = moved;
    }
}

/* Bottom up: short runs by insertion, then merged two by two. */
static inline __attribute__((always_inline)) void sort_by_merging(
    const fl__sorter *s, entry *entries, entry *scratch, size_t count, bool of_one_key)
{
    for (size_t from = 0; from < count; from += INSERTION_MAX)
        sort_by_insertion(s, entries + from, count - from < INSERTION_MAX ? count - from : INSERTION_MAX, of_one_key);
    for (size_t width = INSERTION_MAX; width < count; width *= 2) {
        for (size_t from = 0; from + width < count; from += 2 * width) {
            entry *left = entries + from;
            size_t n = count - from < 2 * width ? count - from : 2 * width, a = 0, b = width, to = 0;
            if (!is_before(s, &left[width], &left[width - 1], of_one_key))
                continue;
            memcpy(scratch, left, width * sizeof *left);
            while (a < width && b < n)
                left[to++] = is_before(s, &left[b], &scratch[a], of_one_key) ? left[b++] : scratch[a++];
            memcpy(left + to, scratch + a, (width - a) * sizeof *left);
        }
    }
}

/* Are the rows, which have one prefix, all of one key? Nearly always. */
static bool is_one_key(const fl__sorter *s, const entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (i + AHEAD < count)
            __builtin_prefetch(entries[i + AHEAD].row);
        if (entries[i].hash != entries[0].hash ||
            (s->options.key && compare_keys(s, entries[0].row, entries[i].row) != 0))
            return false;
    }
    return true;
}

/* A range of equal prefixes. */
static void sort_range(const fl__sorter *s, entry *entries, entry *scratch, size_t count)
{
    if (!is_one_key(s, entries, count)) {
        sort_by_merging(s, entries, scratch, count, false);
        return;
    }
    if (!s->options.key || !s->options.has_timestamps)
        return; /* the order of arrival */
    size_t i = 1;
    while (i < count && entries[i].timestamp >= entries[i - 1].timestamp)
        i++;
    if (i < count)
        sort_by_merging(s, entries, scratch, count, true);
}

/* One pass by RADIX_BITS bits of the hash, from one array to the other. */
static void scatter(const entry *from, entry *to, size_t count, unsigned shift)
{
    uint32_t counts[RADIX_SIZE] = { 0 };
    for (size_t i = 0; i < count; i++)
        counts[from[i].hash >> shift & (RADIX_SIZE - 1)]++;
    uint32_t at = 0;
    for (int b = 0; b < RADIX_SIZE; b++) {
        uint32_t n = counts[b];
        counts[b] = at;
        at += n;
    }
    for (size_t i = 0; i < count; i++)
        to[counts[from[i].hash >> shift & (RADIX_SIZE - 1)]++] = from[i];
}

static void sort(fl__sorter *s)
{
    if (s->count < RADIX_FROM) {
        sort_by_merging(s, s->entries, s->scratch, s->count, false);
        return;
    }
    for (int pass = 0; pass < RADIX_PASSES; pass++) {
        scatter(s->entries, s->scratch, s->count, (unsigned)(PREFIX_SHIFT + pass * RADIX_BITS));
        entry *sorted = s->scratch;
        s->scratch = s->entries;
        s->entries = sorted;
    }
    for (size_t from = 0, to; from < s->count; from = to) {
        uint64_t prefix = s->entries[from].hash >> PREFIX_SHIFT;
        for (to = from + 1; to < s->count && s->entries[to].hash >> PREFIX_SHIFT == prefix;)
            to++;
        if (to - from > 1)
            sort_range(s, s->entries + from, s->scratch, to - from);
    }
}

/* ---- rows in memory ---- */

fl__sorter *fl__sorter_new(const fl__sorter_options *options)
{
    fl__sorter *s = fl__alloc_zero(options->memory, sizeof *s);
    s->options = *options;
    s->error = FL_ERROR_INIT;
    fl__layout_init(&s->layout, options->type);
    for (int i = 0; i < 2 && options->key; i++)
        s->key_scratch[i] = fl__alloc_zero(options->memory, options->key->size);
    fl__spill_file_init(&s->file, options->spill);
    return s;
}

static void release_memory(fl__sorter *s)
{
    fl__memory *memory = s->options.memory;
    for (uint32_t i = 0; i < s->batch_count; i++)
        fl__batch_free(s->batches[i]);
    fl__free(memory, s->batches, s->batch_capacity * sizeof *s->batches);
    fl__free(memory, s->entries, s->capacity * sizeof *s->entries);
    fl__free(memory, s->scratch, s->capacity * sizeof *s->scratch);
}

void fl__sorter_free(fl__sorter *s)
{
    if (!s)
        return;
    fl__memory *memory = s->options.memory;
    release_memory(s);
    for (int i = 0; i < 2 && s->options.key; i++)
        fl__free(memory, s->key_scratch[i], s->options.key->size);
    for (uint32_t i = 0; i < s->source_count; i++)
        fl__batch_free(s->sources[i].batch);
    if (s->sources) {
        fl__free(memory, s->sources, (s->run_count + 1) * sizeof *s->sources);
        fl__free(memory, s->tree, (s->run_count + 1) * sizeof *s->tree);
    }
    fl__free(memory, s->run_ends, s->run_capacity * sizeof *s->run_ends);
    fl__batch_free(s->out);
    fl__spill_file_release(&s->file);
    fl__error_release(&s->error);
    fl__free(memory, s, sizeof *s);
}

static void grow_entries(fl__sorter *s)
{
    size_t capacity = s->capacity ? s->capacity * 2 : 1024;
    s->entries =
        fl__realloc(s->options.memory, s->entries, s->capacity * sizeof *s->entries, capacity * sizeof *s->entries);
    fl__free(s->options.memory, s->scratch, s->capacity * sizeof *s->scratch);
    s->scratch = fl__alloc(s->options.memory, capacity * sizeof *s->scratch);
    s->capacity = capacity;
}

/* An empty batch in which a row with so many bytes of heap finds room. */
static fl__batch *new_batch(const fl__sorter *s, size_t heap, uint32_t columns)
{
    if (heap && heap + s->layout.row_size > s->options.segment_size / 2)
        return fl__batch_new_large(s->options.memory, s->options.type, columns, heap);
    return fl__batch_new(s->options.memory, s->options.type, columns, s->options.segment_size);
}

/* Opens the next batch for a row that did not fit the last one. */
static fl__batch *open_batch(fl__sorter *s, const void *row)
{
    size_t heap = fl__value_heap_bytes(&s->layout, row);
    if (s->filled + 1 < s->batch_count && fl__batch_room(s->batches[s->filled + 1]) >= heap + s->layout.row_size)
        return s->batches[++s->filled];
    if (s->batch_count == s->batch_capacity) {
        uint32_t capacity = s->batch_capacity ? s->batch_capacity * 2 : 16;
        s->batches = fl__realloc(
            s->options.memory, s->batches, s->batch_capacity * sizeof *s->batches, capacity * sizeof *s->batches);
        s->batch_capacity = capacity;
    }
    fl__batch *batch = new_batch(s, heap, 0);
    s->batch_bytes += batch->size;
    /* behind the open one; those that wait for use stay behind it */
    uint32_t at = s->batch_count ? s->filled + 1 : 0;
    memmove(&s->batches[at + 1], &s->batches[at], (s->batch_count - at) * sizeof *s->batches);
    s->batches[at] = batch;
    s->batch_count++;
    s->filled = at;
    return batch;
}

/* ---- runs ---- */

static void flush_out(fl__sorter *s)
{
    if (s->out->count && s->error.status == FL_OK && fl__spill_file_append(&s->file, s->out, &s->error) != FL_OK)
        fl__spill_file_release(&s->file);
    fl__batch_clear(s->out);
}

static void write_row(fl__sorter *s, const entry *e)
{
    uint32_t columns = FL__COLUMN_HASH | (s->options.has_timestamps ? FL__COLUMN_TIMESTAMP : 0);
    if (!s->out)
        s->out = new_batch(s, 0, columns);
    if (!fl__batch_append(s->out, &s->layout, e->row)) {
        flush_out(s);
        if (!fl__batch_append(s->out, &s->layout, e->row)) {
            fl__batch_free(s->out);
            s->out = new_batch(s, fl__value_heap_bytes(&s->layout, e->row), columns);
            bool fits = fl__batch_append(s->out, &s->layout, e->row);
            fl_assert(fits);
        }
    }
    uint32_t at = s->out->count - 1;
    fl__batch_hashes(s->out)[at] = e->hash;
    if (s->options.has_timestamps)
        fl__batch_timestamps(s->out)[at] = e->timestamp;
}

/* Sorts what is in memory and writes it to the file. */
static void write_run(fl__sorter *s)
{
    sort(s);
    for (size_t i = 0; i < s->count && s->error.status == FL_OK; i++) {
        if (i + AHEAD < s->count)
            __builtin_prefetch(s->entries[i + AHEAD].row);
        write_row(s, &s->entries[i]);
    }
    if (s->out)
        flush_out(s);
    if (s->run_count == s->run_capacity) {
        uint32_t capacity = s->run_capacity ? s->run_capacity * 2 : 16;
        s->run_ends = fl__realloc(
            s->options.memory, s->run_ends, s->run_capacity * sizeof *s->run_ends, capacity * sizeof *s->run_ends);
        s->run_capacity = capacity;
    }
    s->run_ends[s->run_count++] = s->file.size;
    s->count = 0;
    for (uint32_t i = 0; i <= s->filled && i < s->batch_count; i++)
        fl__batch_clear(s->batches[i]);
    s->filled = 0;
}

/* Would it have to grow past its memory for one more row? */
static bool is_full(const fl__sorter *s)
{
    bool has_batch = s->filled + 1 < s->batch_count, has_entry = s->count < s->capacity;
    int64_t bytes = s->batch_bytes + (has_batch ? 0 : s->options.segment_size);
    bytes += (int64_t)(2 * s->capacity * (has_entry ? 1 : 2) * sizeof(entry));
    return (!has_batch || !has_entry) && bytes > s->options.bytes_max;
}

void fl__sorter_add(fl__sorter *s, const void *row, uint64_t hash, fl_time timestamp)
{
    fl_assert(!s->is_ended);
    fl__batch *batch = s->batch_count ? s->batches[s->filled] : NULL;
    bool is_in = batch && s->count < s->capacity && fl__batch_append(batch, &s->layout, row);
    if (FL_UNLIKELY(!is_in)) {
        if (s->count && is_full(s))
            write_run(s);
        if (s->count == s->capacity)
            grow_entries(s);
        batch = s->batch_count ? s->batches[s->filled] : NULL;
        if (!batch || !fl__batch_append(batch, &s->layout, row)) {
            batch = open_batch(s, row);
            bool fits = fl__batch_append(batch, &s->layout, row);
            fl_assert(fits);
        }
    }
    s->entries[s->count++] = (entry){ hash, timestamp, fl__batch_row(batch, batch->count - 1) };
    s->rows++;
}

void fl__sorter_add_batch(fl__sorter *s, const fl__batch *batch)
{
    const uint64_t *hashes = fl__batch_hashes(batch);
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    for (uint32_t i = 0; i < batch->count; i++, row += batch->row_size)
        fl__sorter_add(s, row, hashes[i], timestamps ? timestamps[i] : FL_NO_TIMESTAMP);
}

/* ---- merging ---- */

/* The source's next row, from memory or from the file. */
static void advance(fl__sorter *s, source *from)
{
    if (from->is_memory) {
        from->is_over = from->next == s->count;
        if (from->is_over)
            return;
        from->head = s->entries[from->next++];
        if (from->next + AHEAD < s->count)
            __builtin_prefetch(s->entries[from->next + AHEAD].row);
        return;
    }
    if (!from->batch || from->next == from->batch->count) {
        from->next = 0;
        from->is_over = from->at == from->end ||
                        fl__spill_file_read(&s->file, &from->at, s->options.type, &from->batch, &s->error) != FL_OK;
        if (from->is_over)
            return;
    }
    uint32_t i = from->next++;
    from->head = (entry){
        .hash = fl__batch_hashes(from->batch)[i],
        .timestamp = s->options.has_timestamps ? fl__batch_timestamps(from->batch)[i] : FL_NO_TIMESTAMP,
        .row = fl__batch_row(from->batch, i),
    };
}

/* Does source a come before b? Of equal rows the one of the earlier run does: it arrived before. */
static bool comes_before(const fl__sorter *s, uint32_t a, uint32_t b)
{
    const source *x = &s->sources[a], *y = &s->sources[b];
    if (x->is_over || y->is_over)
        return !x->is_over || (y->is_over && a < b);
    int order = compare(s, &x->head, &y->head);
    return order ? order < 0 : a < b;
}

/* A tree of losers: tree[0] is the winner, tree[n] the loser at inner node n, leaves are sources. */
static uint32_t build_tree(fl__sorter *s, uint32_t node)
{
    if (node >= s->source_count)
        return node - s->source_count;
    uint32_t a = build_tree(s, 2 * node), b = build_tree(s, 2 * node + 1);
    bool a_wins = comes_before(s, a, b);
    s->tree[node] = a_wins ? b : a;
    return a_wins ? a : b;
}

void fl__sorter_end(fl__sorter *s)
{
    fl_assert(!s->is_ended);
    s->is_ended = true;
    sort(s);
    if (s->run_count && s->error.status == FL_OK && fl__spill_file_flush(&s->file, &s->error) != FL_OK)
        fl__spill_file_release(&s->file);
    uint32_t n = s->run_count + 1;
    s->sources = fl__alloc_zero(s->options.memory, n * sizeof *s->sources);
    s->tree = fl__alloc_zero(s->options.memory, n * sizeof *s->tree);
    s->source_count = n;
    for (uint32_t i = 0; i < n; i++) {
        source *from = &s->sources[i];
        from->is_memory = i == s->run_count;
        from->at = i ? s->run_ends[i - 1] : 0;
        from->end = from->is_memory ? from->at : s->run_ends[i];
        from->is_over = s->error.status != FL_OK;
        if (!from->is_over)
            advance(s, from);
    }
    s->tree[0] = n > 1 ? build_tree(s, 1) : 0;
}

const fl__sorted_row *fl__sorter_peek(const fl__sorter *s)
{
    const source *from = &s->sources[s->tree[0]];
    return s->error.status != FL_OK || from->is_over ? NULL : &from->head;
}

void fl__sorter_next(fl__sorter *s)
{
    uint32_t winner = s->tree[0];
    advance(s, &s->sources[winner]);
    for (uint32_t node = (winner + s->source_count) / 2; node > 0; node /= 2) {
        uint32_t other = s->tree[node];
        if (comes_before(s, other, winner)) {
            s->tree[node] = winner;
            winner = other;
        }
    }
    s->tree[0] = winner;
}

const fl_error *fl__sorter_error(const fl__sorter *s)
{
    return &s->error;
}

uint64_t fl__sorter_rows(const fl__sorter *s)
{
    return s->rows;
}

uint32_t fl__sorter_runs(const fl__sorter *s)
{
    return s->run_count;
}
