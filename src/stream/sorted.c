#include "stream/sorted.h"

#include "base/error.h"
#include "stream/sorter.h"

enum { ROWS_PER_STEP = 1024 };

struct fl__sorted {
    fl__task *task;
    fl__sorter *sorters[2]; /* NULL: no such input, or one without a key */
    fl__batch *batches[2];  /* rows of the current key, to be processed */
    fl__layout layouts[2];
    bool is_merging;  /* all input has come */
    bool is_in_key;   /* a key has begun and not ended */
    bool is_ending;   /* its end has begun */
    bool by_time;     /* the root spills by time */
    bool is_spilling; /* its memory is used up */
    uint32_t input;   /* of the rows in batches: those of one input only */
    /* the current key, copied */
    const fl__key *key;
    fl__layout key_layout;
    uint64_t hash;
    void *key_value, *key_scratch, *other_scratch;
    char *key_heap;
    size_t key_heap_size;
};

static fl__operator *root_of(const fl__sorted *sorted)
{
    return sorted->task->operators[0];
}

/* The share of an input of the memory of the task's one sorting operator. */
static fl__sorter *new_sorter(fl__task *task, unsigned input, int64_t bytes_max)
{
    const fl__operator_spec *spec = task->operators[0]->spec;
    const fl__channel *channel = task->inputs[input].channels[0];
    return fl__sorter_new(&(fl__sorter_options){
        .spill = task->spill,
        .memory = task->memory,
        .type = spec->in[input],
        .key = spec->class->spills_by_time ? NULL : spec->key[input],
        .has_timestamps = (channel->columns & FL__COLUMN_TIMESTAMP) != 0,
        .segment_size = channel->segment_size,
        .bytes_max = bytes_max,
    });
}

static bool can_spill_by_time(const fl__task *task)
{
    return task->operators[0]->spec->class->spills_by_time &&
           (task->inputs[0].channels[0]->columns & FL__COLUMN_TIMESTAMP) != 0;
}

fl__sorted *fl__sorted_new(fl__task *task)
{
    const fl__operator_spec *spec = task->operators[0]->spec;
    uint32_t count = (spec->key[0] != NULL) + (spec->key[1] != NULL);
    if (!task->is_batch || count == 0 || !(spec->class->end_key || can_spill_by_time(task)))
        return NULL;
    fl__memory *memory = task->memory;
    fl__sorted *sorted = fl__alloc_zero(memory, sizeof *sorted);
    sorted->task = task;
    sorted->by_time = spec->class->spills_by_time;
    sorted->key = spec->key[0] ? spec->key[0] : spec->key[1];
    fl__layout_init(&sorted->key_layout, sorted->key->type);
    sorted->key_value = fl__alloc_zero(memory, sorted->key->size);
    sorted->key_scratch = fl__alloc_zero(memory, sorted->key->size);
    sorted->other_scratch = fl__alloc_zero(memory, sorted->key->size);
    for (unsigned i = 0; i < task->input_count; i++) {
        if (!spec->key[i])
            continue;
        fl__layout_init(&sorted->layouts[i], spec->in[i]);
        sorted->sorters[i] = new_sorter(task, i, task->batch_memory / count);
        const fl__channel *channel = task->inputs[i].channels[0];
        sorted->batches[i] = fl__batch_new(memory, spec->in[i], channel->columns, channel->segment_size);
    }
    return sorted;
}

void fl__sorted_free(fl__sorted *sorted)
{
    if (!sorted)
        return;
    fl__memory *memory = sorted->task->memory;
    for (int i = 0; i < 2; i++) {
        fl__sorter_free(sorted->sorters[i]);
        fl__batch_free(sorted->batches[i]);
    }
    fl__free(memory, sorted->key_value, sorted->key->size);
    fl__free(memory, sorted->key_scratch, sorted->key->size);
    fl__free(memory, sorted->other_scratch, sorted->key->size);
    fl__free(memory, sorted->key_heap, sorted->key_heap_size);
    fl__free(memory, sorted, sizeof *sorted);
}

static void fail(fl__sorted *sorted, const fl__sorter *sorter)
{
    const fl_error *error = fl__sorter_error(sorter);
    fl__task_fail(sorted->task, error->status, "%s", error->text);
}

/* Timestamps as numbers without sign, in the same order. */
static uint64_t order_of(fl_time time)
{
    return (uint64_t)time ^ UINT64_C(1) << 63;
}
static fl_time time_of(uint64_t order)
{
    return (fl_time)(order ^ UINT64_C(1) << 63);
}

/* The sorter orders by hash: here that is the timestamp, and the key's hash travels in the timestamp's place. */
static void add_by_time(fl__sorter *sorter, const fl__batch *batch)
{
    const uint64_t *hashes = fl__batch_hashes(batch);
    const int64_t *timestamps = fl__batch_timestamps(batch);
    for (uint32_t i = 0; i < batch->count; i++)
        fl__sorter_add(sorter, fl__batch_row(batch, i), order_of(timestamps[i]), (fl_time)hashes[i]);
}

/* Half of the memory is the operator's, half the sorter's. */
static bool is_over_budget(const fl__sorted *sorted)
{
    return fl__memory_used(&root_of(sorted)->memory) > sorted->task->batch_memory / 2;
}

bool fl__sorted_take(fl__sorted *sorted, unsigned input, const fl__batch *batch)
{
    fl__sorter *sorter = sorted->sorters[input];
    if (!sorter)
        return false;
    if (sorted->by_time && !sorted->is_spilling && !is_over_budget(sorted))
        return false;
    sorted->is_spilling = true;
    if (sorted->by_time)
        add_by_time(sorter, batch);
    else
        fl__sorter_add_batch(sorter, batch);
    if (FL_UNLIKELY(fl__sorter_error(sorter)->status != FL_OK))
        fail(sorted, sorter);
    return true;
}

/* ---- keys ---- */

static const void *key_of(const fl__sorted *sorted, unsigned input, const fl__sorted_row *row)
{
    return fl__key_of(root_of(sorted)->spec->key[input], row->row, sorted->key_scratch);
}

static bool is_current(const fl__sorted *sorted, unsigned input, const fl__sorted_row *row)
{
    return row->hash == sorted->hash && fl__key_equal(sorted->key, sorted->key_value, key_of(sorted, input, row));
}

/* Copies the key: its row is gone when the sorter moves on. */
static void begin_key(fl__sorted *sorted, unsigned input, const fl__sorted_row *row)
{
    const void *key = key_of(sorted, input, row);
    memcpy(sorted->key_value, key, sorted->key->size);
    size_t bytes = sorted->key_layout.is_flat ? 0 : fl__value_heap_bytes(&sorted->key_layout, key);
    if (bytes > sorted->key_heap_size) {
        fl__free(sorted->task->memory, sorted->key_heap, sorted->key_heap_size);
        sorted->key_heap = fl__alloc(sorted->task->memory, bytes);
        sorted->key_heap_size = bytes;
    }
    char *heap = sorted->key_heap;
    if (!sorted->key_layout.is_flat)
        fl__value_adopt(&sorted->key_layout, sorted->key_value, &heap);
    sorted->hash = row->hash;
    sorted->is_in_key = true;
}

/* Which input's next row comes first: by key, then timestamp, then input. -1: both have ended. */
static int first_input(const fl__sorted *sorted)
{
    const fl__sorted_row *a = sorted->sorters[0] ? fl__sorter_peek(sorted->sorters[0]) : NULL;
    const fl__sorted_row *b = sorted->sorters[1] ? fl__sorter_peek(sorted->sorters[1]) : NULL;
    if (!a || !b)
        return a ? 0 : b ? 1 : -1;
    if (a->hash != b->hash)
        return a->hash < b->hash ? 0 : 1;
    /* the current key goes on where one of the rows has it */
    bool a_goes_on = sorted->is_in_key && is_current(sorted, 0, a),
         b_goes_on = sorted->is_in_key && is_current(sorted, 1, b);
    if (a_goes_on != b_goes_on)
        return a_goes_on ? 0 : 1;
    const fl__operator_spec *spec = root_of(sorted)->spec;
    const void *y = fl__key_of(spec->key[1], b->row, sorted->other_scratch);
    int order = fl_compare(sorted->key->type, key_of(sorted, 0, a), y);
    if (order)
        return order < 0 ? 0 : 1;
    return b->timestamp < a->timestamp ? 1 : 0;
}

/* ---- handing on ---- */

/* Gives the collected rows to the root. FL_AGAIN: it was stopped in the middle, the batch stays. */
static fl_status flush(fl__sorted *sorted)
{
    fl__operator *root = root_of(sorted);
    fl__batch *batch = sorted->batches[sorted->input];
    if (!batch || batch->count == 0)
        return FL_OK;
    if (!fl__batch_has(batch, FL__COLUMN_TIMESTAMP))
        root->ctx.timestamp = root->out.collector.timestamp = FL_NO_TIMESTAMP;
    fl_status status = root->class->process(root, sorted->input, batch);
    if (status == FL_AGAIN && !sorted->task->failed)
        return FL_AGAIN;
    fl__batch_spoil(batch);
    fl__batch_clear(batch);
    return FL_OK;
}

static fl_status end_key(fl__sorted *sorted)
{
    fl_status status = flush(sorted);
    if (status != FL_OK)
        return status;
    sorted->is_ending = true;
    fl__operator *root = root_of(sorted);
    status = root->class->end_key(root);
    if (status == FL_AGAIN && !sorted->task->failed)
        return FL_AGAIN;
    sorted->is_ending = sorted->is_in_key = false;
    return FL_OK;
}

/* A row larger than the batch gets one of its own. */
static void append_large(fl__sorted *sorted, unsigned input, const fl__sorted_row *row)
{
    fl__batch *usual = sorted->batches[input];
    const fl__layout *layout = &sorted->layouts[input];
    fl__batch *batch =
        fl__batch_new_large(sorted->task->memory, layout->type, usual->columns, fl__value_heap_bytes(layout, row->row));
    bool fits = fl__batch_append(batch, layout, row->row);
    fl_assert(fits);
    fl__batch_free(usual);
    sorted->batches[input] = batch;
}

/* Adds the row to the batch of its input; FL_AGAIN: nothing was done, for an older one must go first and cannot. */
static fl_status append(fl__sorted *sorted, unsigned input, const fl__sorted_row *row)
{
    fl_status status = FL_OK;
    if (input != sorted->input && (status = flush(sorted)) != FL_OK)
        return status;
    sorted->input = input;
    const fl__layout *layout = &sorted->layouts[input];
    if (!fl__batch_append(sorted->batches[input], layout, row->row)) {
        if ((status = flush(sorted)) != FL_OK)
            return status;
        if (!fl__batch_append(sorted->batches[input], layout, row->row))
            append_large(sorted, input, row);
    }
    fl__batch *batch = sorted->batches[input];
    uint32_t at = batch->count - 1;
    fl__batch_hashes(batch)[at] = row->hash;
    if (fl__batch_has(batch, FL__COLUMN_TIMESTAMP))
        fl__batch_timestamps(batch)[at] = row->timestamp;
    return FL_OK;
}

static void start_merging(fl__sorted *sorted)
{
    sorted->is_merging = true;
    for (int i = 0; i < 2; i++) {
        if (sorted->sorters[i])
            fl__sorter_end(sorted->sorters[i]);
    }
}

static bool has_failed(fl__sorted *sorted)
{
    for (int i = 0; i < 2; i++) {
        if (sorted->sorters[i] && fl__sorter_error(sorted->sorters[i])->status != FL_OK)
            fail(sorted, sorted->sorters[i]);
    }
    return sorted->task->failed;
}

/* Time has come to where the next row is: what ended before is of no more use. False: the root was stopped in the
 * middle; the task goes on with that. */
static bool let_time_pass(fl__sorted *sorted, fl_time time)
{
    fl__operator *root = root_of(sorted);
    if (time > FL_TIME_MIN && time - 1 > root->ctx.watermark)
        fl__operator_deliver_watermark(root, time - 1);
    return root->pending_watermark == FL_TIME_MIN;
}

static fl_status step_by_time(fl__sorted *sorted)
{
    fl__sorter *sorter = sorted->sorters[0];
    const fl__sorted_row *row;
    for (int n = 0; n < ROWS_PER_STEP && !has_failed(sorted); n++) {
        if (!(row = fl__sorter_peek(sorter)))
            break;
        fl__sorted_row real = { (uint64_t)row->timestamp, time_of(row->hash), row->row };
        if (append(sorted, 0, &real) != FL_OK)
            return FL_AGAIN;
        fl__sorter_next(sorter);
    }
    if (has_failed(sorted))
        return FL_ERROR_USER;
    if (flush(sorted) == FL_AGAIN)
        return FL_AGAIN;
    row = fl__sorter_peek(sorter);
    if (!row)
        return has_failed(sorted) ? FL_ERROR_USER : FL_DONE;
    return let_time_pass(sorted, time_of(row->hash)) ? FL_OK : FL_AGAIN;
}

fl_status fl__sorted_step(fl__sorted *sorted)
{
    if (!sorted->is_merging)
        start_merging(sorted);
    if (sorted->by_time)
        return step_by_time(sorted);
    for (int n = 0; n < ROWS_PER_STEP && !has_failed(sorted); n++) {
        if (sorted->is_ending && end_key(sorted) != FL_OK)
            return FL_AGAIN;
        int input = first_input(sorted);
        if (input < 0 && sorted->is_in_key && end_key(sorted) != FL_OK)
            return FL_AGAIN;
        if (input < 0)
            return has_failed(sorted) ? FL_ERROR_USER : FL_DONE;
        const fl__sorted_row *row = fl__sorter_peek(sorted->sorters[input]);
        if (sorted->is_in_key && !is_current(sorted, (unsigned)input, row) && end_key(sorted) != FL_OK)
            return FL_AGAIN;
        if (!sorted->is_in_key)
            begin_key(sorted, (unsigned)input, row);
        if (append(sorted, (unsigned)input, row) != FL_OK)
            return FL_AGAIN;
        fl__sorter_next(sorted->sorters[input]);
    }
    return FL_OK;
}
