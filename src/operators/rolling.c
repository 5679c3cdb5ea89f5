/* Rolling aggregation of a keyed stream: sum, min, max, min_by, max_by, reduce and fold. One table entry per key holds
 * the result so far; each record changes it and emits it.
 *
 * An entry is [key | value], or the row alone when the key is a field of it that never changes: then the row's own
 * field serves as the key, which keeps a keyed sum of (int64, int64) at 16 bytes per entry. */
#include "operators/rolling_internal.h"

#include "base/error.h"

enum { ROW_KEY_MAX = 64 }; /* bytes of a key that may stay in its row */

#define SUM(T, N)                                                                                                      \
    static void sum_##N(void *value, const void *in)                                                                   \
    {                                                                                                                  \
        T a, b;                                                                                                        \
        memcpy(&a, value, sizeof a);                                                                                   \
        memcpy(&b, in, sizeof b);                                                                                      \
        a = (T)(a + b);                                                                                                \
        memcpy(value, &a, sizeof a);                                                                                   \
    }
#define ORDER(T, N)                                                                                                    \
    static void min_##N(void *value, const void *in)                                                                   \
    {                                                                                                                  \
        T a, b;                                                                                                        \
        memcpy(&a, value, sizeof a);                                                                                   \
        memcpy(&b, in, sizeof b);                                                                                      \
        if (b < a)                                                                                                     \
            memcpy(value, &b, sizeof b);                                                                               \
    }                                                                                                                  \
    static void max_##N(void *value, const void *in)                                                                   \
    {                                                                                                                  \
        T a, b;                                                                                                        \
        memcpy(&a, value, sizeof a);                                                                                   \
        memcpy(&b, in, sizeof b);                                                                                      \
        if (b > a)                                                                                                     \
            memcpy(value, &b, sizeof b);                                                                               \
    }
/* Signed sums wrap around as Java's do: they are added as unsigned. Minima and maxima need the sign. */
SUM(uint8_t, u8)
SUM(uint16_t, u16)
SUM(uint32_t, u32)
SUM(uint64_t, u64)
SUM(float, f32)
SUM(double, f64)
ORDER(uint8_t, u8)
ORDER(uint16_t, u16)
ORDER(uint32_t, u32)
ORDER(uint64_t, u64)
ORDER(float, f32)
ORDER(double, f64)
ORDER(int8_t, i8)
ORDER(int16_t, i16)
ORDER(int32_t, i32)
ORDER(int64_t, i64)

static fl__combine_fn pick(fl_rolling what, fl_kind kind)
{
    static const struct {
        fl_kind kind;
        fl__combine_fn f[3]; /* sum, min, max */
    } table[] = {
        { FL_KIND_INT8, { sum_u8, min_i8, max_i8 } },
        { FL_KIND_INT16, { sum_u16, min_i16, max_i16 } },
        { FL_KIND_INT32, { sum_u32, min_i32, max_i32 } },
        { FL_KIND_INT64, { sum_u64, min_i64, max_i64 } },
        { FL_KIND_UINT8, { sum_u8, min_u8, max_u8 } },
        { FL_KIND_UINT16, { sum_u16, min_u16, max_u16 } },
        { FL_KIND_UINT32, { sum_u32, min_u32, max_u32 } },
        { FL_KIND_UINT64, { sum_u64, min_u64, max_u64 } },
        { FL_KIND_FLOAT, { sum_f32, min_f32, max_f32 } },
        { FL_KIND_DOUBLE, { sum_f64, min_f64, max_f64 } },
        { FL_KIND_INTERVAL, { sum_u64, min_i64, max_i64 } },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].kind == kind)
            return table[i].f[what];
    }
    return NULL;
}

/* Can the row be its own entry? Its key field must lie in it, never change, and own the only pointers there are. */
static bool row_is_entry(const fl__operator_spec *spec, const fl__layout *layout)
{
    const fl__rolling_config *config = spec->config;
    const fl__key *key = spec->key[0];
    if (!config || !config->field || !key->in_place || config->what > FL_MAX || key->size > ROW_KEY_MAX)
        return false;
    uint32_t a = config->field_offset, b = key->offset;
    if (a < b + key->size && b < a + config->field->size)
        return false;
    return layout->is_flat || (layout->only_strings && layout->string_count == 1 && key->class == FL__KEY_STRING &&
                                  layout->string_offsets[0] == key->offset);
}

fl_status fl__rolling_open(fl__operator *op, fl_error *error)
{
    (void)error;
    fl__rolling_operator *self = (fl__rolling_operator *)op;
    const fl__operator_spec *spec = op->spec;
    const fl__key *key = spec->key[0];
    fl__layout_init(&self->layout, spec->out);
    self->key_in_row = row_is_entry(spec, &self->layout);
    self->value_offset = self->key_in_row ? 0 : (key->size + 7) & ~7u;
    fl__table_init(&self->table, &op->memory, key, self->value_offset + spec->out->size,
        self->key_in_row ? key->offset : 0, fl__operator_key_groups(op), 0);
    if (!self->layout.is_flat && !self->key_in_row)
        self->heap = fl__heap_new(&op->memory);
    const fl__rolling_config *config = spec->config;
    if (config && config->field && config->what <= FL_MAX)
        self->combine = pick(config->what, config->field->type->kind);
    self->is_sum64 = self->combine == sum_u64;
    self->key_scratch = fl__alloc_zero(&op->memory, key->size);
    self->old = fl__alloc_zero(&op->memory, spec->out->size);
    return FL_OK;
}

void fl__rolling_close(fl__operator *op)
{
    fl__rolling_operator *self = (fl__rolling_operator *)op;
    fl__table_release(&self->table);
    fl__heap_free_all(self->heap);
    if (self->key_scratch)
        fl__free(&op->memory, self->key_scratch, op->spec->key[0]->size);
    if (self->old)
        fl__free(&op->memory, self->old, op->spec->out->size);
}

/* The first record of a key. */
__attribute__((noinline)) void fl__rolling_start(fl__rolling_operator *self, char *entry, const char *row)
{
    char *value = entry + self->value_offset;
    if (self->key_in_row) {
        const fl__key *key = self->op.spec->key[0];
        char kept[ROW_KEY_MAX];
        fl_assert(key->size <= sizeof kept);
        memcpy(kept, value + key->offset, key->size);
        memcpy(value, row, self->layout.row_size);
        memcpy(value + key->offset, kept, key->size);
        return;
    }
    memcpy(value, row, self->layout.row_size);
    if (self->heap)
        fl__value_own(&self->layout, value, self->heap);
}

/* Where emitted rows go, in registers for the length of a batch: no user code runs in between that could look. */
typedef struct emitter {
    fl_collector *out;
    char *cursor, *limit;
    int64_t *timestamps;
    bool flat; /* rows hold no pointers */
} emitter;

static inline __attribute__((always_inline)) void emitter_load(emitter *e, fl__output *out)
{
    e->out = &out->collector;
    e->cursor = out->collector.cursor;
    e->limit = out->limit;
    e->timestamps = out->collector.timestamps;
    e->flat = out->layout.is_flat;
}

/* The batch is full, or the row has pointers. */
static __attribute__((noinline)) emitter emit_slow(emitter e, const char *value, uint32_t size, int64_t timestamp)
{
    e.out->cursor = e.cursor;
    e.out->timestamps = e.timestamps;
    e.out->timestamp = timestamp;
    fl__collect_slow(e.out, value, size);
    emitter_load(&e, fl__output_of(e.out));
    return e;
}

static inline __attribute__((always_inline)) void emit(
    emitter *e, const char *value, uint32_t size, bool is_short, int64_t timestamp)
{
    if (FL_UNLIKELY(e->cursor >= e->limit || !is_short)) {
        *e = emit_slow(*e, value, size, timestamp);
        return;
    }
    for (uint32_t i = 0; i + 8 <= size; i += 8)
        memcpy(e->cursor + i, value + i, 8);
    for (uint32_t i = size & ~7u; i < size; i++)
        e->cursor[i] = value[i];
    e->cursor += size;
    if (e->timestamps)
        *e->timestamps++ = timestamp;
}

/* A row whose candidate is not its entry: another key with the same tag, or the first of its key. */
static __attribute__((noinline)) char *find_or_start(
    fl__rolling_operator *self, uint64_t hash, const void *key, const char *row, bool *started)
{
    char *entry = fl__table_get_class(&self->table, self->table.key.class, hash, key, started);
    if (*started)
        fl__rolling_start(self, entry, row);
    return entry;
}

/* Constants in the callers, so that the loop is made for them: class of the key; is_sum64, a sum of 64-bit integers;
 * row_size; key_in_row, the only string of the row, when there is one, being the key. */
static inline __attribute__((always_inline)) void roll(fl__rolling_operator *self, const fl__batch *batch,
    fl__key_class class, bool is_sum64, uint32_t row_size, bool key_in_row)
{
    fl__operator *op = &self->op;
    const fl__rolling_config *config = op->spec->config;
    const fl__key *key = op->spec->key[0];
    fl__table *table = &self->table;
    const uint64_t *hashes = fl__batch_hashes(batch);
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    uint32_t n = batch->count, field = config->field_offset;
    uint32_t value_offset = key_in_row ? 0 : self->value_offset, key_offset = key_in_row ? key->offset : 0;
    fl__combine_fn combine = self->combine;
    bool is_pair = is_sum64 && key_in_row && class == FL__KEY_U64 && row_size == 16; /* {key, sum} or {sum, key} */
    char *candidates[FL__TABLE_BLOCK];
    emitter e;
    emitter_load(&e, &op->out);
    for (uint32_t block = 0; block < n; block += FL__TABLE_BLOCK) {
        uint32_t count = n - block < FL__TABLE_BLOCK ? n - block : FL__TABLE_BLOCK;
        fl__table_candidates(table, hashes + block, count, n - block, fl__table_is_large(table), candidates);
        for (uint32_t i = 0; i < count; i++, row += row_size) {
            const void *k = key_in_row ? row + key_offset : fl__key_of(key, row, self->key_scratch);
            char *entry = candidates[i];
            bool started = false;
            if (FL_UNLIKELY(!entry || !fl__key_equal_class(key, class, entry + key_offset, k)))
                entry = find_or_start(self, hashes[block + i], k, row, &started);
            char *value = entry + value_offset;
            if (is_pair && FL_LIKELY(!started && e.cursor < e.limit)) {
                /* key and sum, both in registers: nothing is read back from the entry */
                uint64_t the_key, sum, addend;
                memcpy(&sum, value + field, 8);
                memcpy(&addend, row + field, 8);
                sum += addend;
                memcpy(value + field, &sum, 8);
                memcpy(&the_key, k, 8);
                memcpy(e.cursor + key_offset, &the_key, 8);
                memcpy(e.cursor + field, &sum, 8);
                e.cursor += 16;
                if (e.timestamps)
                    *e.timestamps++ = timestamps ? timestamps[block + i] : FL_NO_TIMESTAMP;
                continue;
            }
            if (FL_UNLIKELY(started)) {
                /* the value is the row */
            } else if (is_sum64) {
                uint64_t a, b;
                memcpy(&a, value + field, 8);
                memcpy(&b, row + field, 8);
                a += b;
                memcpy(value + field, &a, 8);
            } else {
                combine(value + field, row + field);
            }
            bool is_short =
                e.flat || (key_in_row && class == FL__KEY_STRING && ((const fl_string *)k)->length <= FL_STRING_INLINE);
            emit(&e, value, row_size, is_short, timestamps ? timestamps[block + i] : FL_NO_TIMESTAMP);
        }
    }
    e.out->cursor = e.cursor;
    e.out->timestamps = e.timestamps;
}

/* The shapes that most programs have get loops of their own. */
static inline __attribute__((always_inline)) void roll_class(
    fl__rolling_operator *self, const fl__batch *batch, fl__key_class class)
{
    bool is_sum64 = self->is_sum64;
    if (is_sum64 && self->key_in_row && batch->row_size == 16 && class != FL__KEY_STRING)
        roll(self, batch, class, true, 16, true);
    else if (is_sum64 && self->key_in_row && batch->row_size == 24)
        roll(self, batch, class, true, 24, true);
    else if (self->key_in_row)
        roll(self, batch, class, false, batch->row_size, true);
    else
        roll(self, batch, class, false, batch->row_size, false);
}

void fl__rolling_replace(fl__rolling_operator *self, char *entry, const char *row)
{
    const fl__rolling_config *config = self->op.spec->config;
    char *value = entry + self->value_offset;
    int order = fl_compare(config->order, row + config->order_offset, value + config->order_offset);
    if (config->what == FL_MAX_BY)
        order = -order;
    if (order > 0 || (order == 0 && config->first))
        return;
    if (self->heap)
        fl__value_drop(&self->layout, value, self->heap);
    fl__rolling_start(self, entry, row);
}

/* min_by, max_by: the whole row is replaced. */
static void roll_by(fl__rolling_operator *self, const fl__batch *batch)
{
    fl__operator *op = &self->op;
    const fl__key *key = op->spec->key[0];
    fl_collector *out = &op->out.collector;
    const uint64_t *hashes = fl__batch_hashes(batch);
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    for (uint32_t i = 0, n = batch->count; i < n; i++, row += batch->row_size) {
        bool inserted;
        const void *k = fl__key_of(key, row, self->key_scratch);
        uint32_t ref = fl__table_find_class(&self->table, self->table.key.class, hashes[i], k, true, &inserted);
        char *entry = fl__table_entry(&self->table, ref), *value = entry + self->value_offset;
        fl__table_touch(&self->table, ref);
        if (inserted)
            fl__rolling_start(self, entry, row);
        else
            fl__rolling_replace(self, entry, row);
        if (timestamps)
            out->timestamp = timestamps[i];
        fl_collect_row(out, value);
    }
}

static fl_status rolling(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    fl__rolling_operator *self = (fl__rolling_operator *)op;
    const fl__rolling_config *config = op->spec->config;
    if (config->what > FL_MAX) {
        roll_by(self, batch);
        return FL_OK;
    }
    switch (self->table.key.class) {
    case FL__KEY_U64: roll_class(self, batch, FL__KEY_U64); break;
    case FL__KEY_U32: roll_class(self, batch, FL__KEY_U32); break;
    case FL__KEY_STRING: roll_class(self, batch, FL__KEY_STRING); break;
    case FL__KEY_GENERIC: roll_class(self, batch, FL__KEY_GENERIC); break;
    }
    return FL_OK;
}

/* reduce and fold: the user's function combines. */
static fl_status combine_by_user(fl__operator *op, const fl__batch *batch, bool is_fold)
{
    fl__rolling_operator *self = (fl__rolling_operator *)op;
    const fl__rolling_config *config = op->spec->config;
    const fl__key *key = op->spec->key[0];
    fl__table *table = &self->table;
    fl_collector *out = &op->out.collector;
    const bool *failed = &op->task->failed;
    const uint64_t *hashes = fl__batch_hashes(batch);
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    uint32_t n = batch->count;
    char *candidates[FL__TABLE_BLOCK];
    for (uint32_t i = 0; i < n && !*failed; i++, row += batch->row_size) {
        uint32_t in_block = i % FL__TABLE_BLOCK;
        if (in_block == 0)
            fl__table_candidates(table, hashes + i, n - i < FL__TABLE_BLOCK ? n - i : FL__TABLE_BLOCK, n - i,
                fl__table_is_large(table), candidates);
        const void *k = fl__key_of(key, row, self->key_scratch);
        char *entry = candidates[in_block];
        bool inserted = false;
        if (FL_UNLIKELY(!entry || !fl__key_equal(key, entry + table->key_offset, k)))
            entry = fl__table_get_class(table, table->key.class, hashes[i], k, &inserted);
        char *value = entry + self->value_offset;
        if (timestamps)
            op->ctx.timestamp = out->timestamp = timestamps[i];
        op->ctx.key = k;
        if (inserted)
            fl__rolling_start(self, entry, is_fold ? config->initial : row);
        if (!inserted || is_fold) {
            fl__rolling_call(self, value, row);
        }
        fl_collect_row(out, value);
    }
    op->ctx.key = NULL;
    return FL_OK;
}

static fl_status reduce(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    return combine_by_user(op, batch, false);
}

static fl_status fold(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    return combine_by_user(op, batch, true);
}

#define ROLLING_CLASS(k, p, b)                                                                                         \
    {                                                                                                                  \
        .kind = k, .size = sizeof(fl__rolling_operator), .is_keyed = true, .open = fl__rolling_open, .process = p,     \
        .close = fl__rolling_close, .snapshot = fl__rolling_snapshot, .restore = fl__rolling_restore, .batch = &(b)    \
    }
const fl__operator_class fl__rolling_class = ROLLING_CLASS("Keyed Aggregation", rolling, fl__rolling_batch);
const fl__operator_class fl__reduce_class = ROLLING_CLASS("Keyed Reduce", reduce, fl__reduce_batch);
const fl__operator_class fl__fold_class = ROLLING_CLASS("Keyed Fold", fold, fl__fold_batch);
