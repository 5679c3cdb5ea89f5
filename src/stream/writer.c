#include "stream/writer.h"

#include "base/error.h"
#include "stream/task.h"

void fl__writer_init(fl__writer *writer, fl__task *task, const fl_type *type, uint32_t columns,
    fl_partitioning partitioning, const fl__key *key, fl__channel **channels, uint32_t channel_count,
    uint32_t max_parallelism, uint64_t seed)
{
    fl_assert(channel_count > 0);
    *writer = (fl__writer){
        .task = task,
        .partitioning = partitioning,
        .key = key,
        .columns = columns,
        .lane_count = channel_count,
        .max_parallelism = max_parallelism,
        .random = fl__mix64(seed),
        .watermark = FL_TIME_MIN,
    };
    fl__layout_init(&writer->layout, type);
    writer->next =
        (uint32_t)(writer->random % channel_count); /* Flink starts its round robin at a random channel too */
    writer->lanes = fl__alloc_zero(task->memory, channel_count * sizeof *writer->lanes);
    for (uint32_t i = 0; i < channel_count; i++)
        writer->lanes[i].channel = channels[i];
    if (partitioning == FL_HASH) {
        writer->lane_of_group = fl__alloc(task->memory, max_parallelism * sizeof *writer->lane_of_group);
        for (uint32_t g = 0; g < max_parallelism; g++)
            writer->lane_of_group[g] = (uint16_t)fl__key_group_subtask(g, channel_count, max_parallelism);
    }
    if (key)
        writer->key_scratch = fl__alloc_zero(task->memory, key->size);
}

void fl__writer_release(fl__writer *writer)
{
    if (!writer->lanes)
        return;
    for (uint32_t i = 0; i < writer->lane_count; i++) {
        if (writer->lanes[i].batch)
            fl__batch_free(writer->lanes[i].batch);
    }
    fl__memory *memory = writer->task->memory;
    fl__free(memory, writer->lanes, writer->lane_count * sizeof *writer->lanes);
    fl__free(memory, writer->lane_of_group, writer->max_parallelism * sizeof *writer->lane_of_group);
    fl__free(memory, writer->hashes, writer->hashes_capacity * sizeof *writer->hashes);
    if (writer->key)
        fl__free(memory, writer->key_scratch, writer->key->size);
    writer->lanes = NULL;
}

static void lane_open(fl__writer *writer, fl__lane *lane)
{
    fl__batch *batch = fl__channel_take_batch(lane->channel);
    lane->batch = batch;
    lane->cursor = fl__batch_rows(batch);
    lane->limit = lane->cursor + (size_t)batch->capacity * batch->row_size;
    lane->hash = fl__batch_has(batch, FL__COLUMN_HASH) ? fl__batch_hashes(batch) : NULL;
    lane->timestamp = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    (void)writer;
}

static void lane_sync(fl__lane *lane)
{
    lane->batch->count = (uint32_t)((size_t)(lane->cursor - fl__batch_rows(lane->batch)) / lane->batch->row_size);
}

/* The spool of a blocking exchange could not be written. */
static void fail_channel(fl__writer *writer, const fl__channel *channel)
{
    fl__task_fail(writer->task, channel->spool->error.status, "%s", channel->spool->error.text);
}

static void send(fl__writer *writer, fl__lane *lane, fl__batch *batch)
{
    writer->rows += batch->count;
    lane->channel->rows += batch->count;
    fl__channel_push(lane->channel, (fl__event){ .kind = FL__EVENT_BATCH, .value = (int64_t)(uintptr_t)batch });
    if (FL_UNLIKELY(fl__channel_blocked(lane->channel)))
        writer->task->is_blocked = true;
    if (FL_UNLIKELY(fl__channel_failed(lane->channel) != FL_OK))
        fail_channel(writer, lane->channel);
}

static void lane_send(fl__writer *writer, fl__lane *lane)
{
    if (!lane->batch)
        return;
    lane_sync(lane);
    if (lane->batch->count == 0)
        return;
    send(writer, lane, lane->batch);
    lane->batch = NULL;
    lane->cursor = lane->limit = NULL;
}

/* A row with pointers, or a lane without room. */
static __attribute__((noinline)) void lane_append_slow(fl__writer *writer, fl__lane *lane, const char *row)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!lane->batch)
            lane_open(writer, lane);
        lane_sync(lane);
        if (fl__batch_append(lane->batch, &writer->layout, row)) {
            fl__batch *batch = lane->batch;
            lane->cursor += batch->row_size;
            size_t fits = (batch->heap_start - batch->rows_offset) / batch->row_size;
            lane->limit = fl__batch_rows(batch) + (fits < batch->capacity ? fits : batch->capacity) * batch->row_size;
            return;
        }
        if (lane->batch->count == 0)
            break;
        lane_send(writer, lane);
    }
    /* larger than a segment: a batch of its own */
    if (lane->batch)
        fl__channel_return_spare(lane->channel, lane->batch);
    size_t heap = fl__value_heap_bytes(&writer->layout, row);
    fl__batch *batch = fl__batch_new_large(lane->channel->memory, writer->layout.type, writer->columns, heap);
    bool fits = fl__batch_append(batch, &writer->layout, row);
    fl_assert(fits);
    lane->batch = batch;
    lane->cursor = lane->limit = fl__batch_rows(batch) + batch->row_size;
    lane->hash = fl__batch_has(batch, FL__COLUMN_HASH) ? fl__batch_hashes(batch) : NULL;
    lane->timestamp = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
}

/* Appends one row. size and flat are constants in the callers' loops. */
static inline __attribute__((always_inline)) void lane_append(
    fl__writer *writer, fl__lane *lane, const char *row, size_t size, bool flat, uint64_t hash, int64_t timestamp)
{
    if (FL_UNLIKELY(lane->cursor >= lane->limit)) {
        if (lane->batch)
            lane_send(writer, lane);
        if (!lane->batch)
            lane_open(writer, lane);
    }
    if (flat || (writer->layout.only_strings && fl__layout_all_short(&writer->layout, row))) {
        memcpy(lane->cursor, row, size);
        lane->cursor += size;
    } else {
        lane_append_slow(writer, lane, row);
    }
    if (lane->hash)
        *lane->hash++ = hash;
    if (lane->timestamp)
        *lane->timestamp++ = timestamp;
}

static const uint64_t *hashes_of(fl__writer *writer, const fl__batch *batch)
{
    if (batch->count > writer->hashes_capacity) {
        fl__memory *memory = writer->task->memory;
        fl__free(memory, writer->hashes, writer->hashes_capacity * sizeof *writer->hashes);
        writer->hashes_capacity = batch->count > 4096 ? batch->count : 4096;
        writer->hashes = fl__alloc(memory, writer->hashes_capacity * sizeof *writer->hashes);
    }
    fl__key_hash_rows(
        writer->key, fl__batch_rows(batch), batch->row_size, batch->count, writer->hashes, writer->key_scratch);
    return writer->hashes;
}

/* Makes room in every lane. Returns for how many rows there is room whatever lanes they go to. */
static uint32_t room_in_all(fl__writer *writer, uint32_t row_size)
{
    size_t room = SIZE_MAX;
    for (uint32_t l = 0; l < writer->lane_count; l++) {
        fl__lane *lane = &writer->lanes[l];
        if (lane->cursor >= lane->limit) {
            if (lane->batch)
                lane_send(writer, lane);
            if (!lane->batch)
                lane_open(writer, lane);
        }
        size_t bytes = (size_t)(lane->limit - lane->cursor);
        room = bytes < room ? bytes : room;
    }
    return (uint32_t)(room / row_size);
}

enum { FEW_LANES = 16 };

/* A run of rows for which no lane can overflow: then one counter per lane is all that changes, instead of a cursor per
 * column that the next row of the lane waits for. Returns how many rows it took: fewer than count when one has long
 * strings. size and flat are constants in the callers. */
static inline __attribute__((always_inline)) uint32_t scatter_run(fl__writer *writer, const char *row,
    const uint64_t *hashes, const int64_t *timestamps, uint32_t count, size_t size, bool flat)
{
    const uint16_t *lane_of_group = writer->lane_of_group;
    uint32_t max_parallelism = writer->max_parallelism, lane_count = writer->lane_count, i = 0;
    uint32_t taken[FEW_LANES];
    for (uint32_t l = 0; l < lane_count; l++)
        taken[l] = 0;
    for (; i < count; i++, row += size) {
        if (!flat && !fl__layout_all_short(&writer->layout, row))
            break;
        uint32_t l = lane_of_group[fl__key_group(hashes[i], max_parallelism)];
        const fl__lane *lane = &writer->lanes[l];
        uint32_t at = taken[l]++;
        memcpy(lane->cursor + at * size, row, size);
        lane->hash[at] = hashes[i];
        if (timestamps)
            lane->timestamp[at] = timestamps[i];
    }
    for (uint32_t l = 0; l < lane_count; l++) {
        fl__lane *lane = &writer->lanes[l];
        lane->cursor += taken[l] * size;
        lane->hash += taken[l];
        if (timestamps)
            lane->timestamp += taken[l];
    }
    return i;
}

static inline __attribute__((always_inline)) void scatter_hash(
    fl__writer *writer, const fl__batch *batch, size_t size, bool flat, const int64_t *timestamps)
{
    const uint64_t *hashes = hashes_of(writer, batch);
    const char *row = fl__batch_rows(batch);
    const uint16_t *lane_of_group = writer->lane_of_group;
    uint32_t max_parallelism = writer->max_parallelism, n = batch->count, i = 0;
    uint32_t columns = FL__COLUMN_HASH | (timestamps ? FL__COLUMN_TIMESTAMP : 0);
    bool in_runs =
        writer->lane_count <= FEW_LANES && writer->columns == columns && (flat || writer->layout.only_strings);
    while (i < n) {
        if (in_runs) {
            uint32_t room = room_in_all(writer, (uint32_t)size), count = n - i < room ? n - i : room, taken;
            if (timestamps)
                taken = scatter_run(writer, row, hashes + i, timestamps + i, count, size, flat);
            else
                taken = scatter_run(writer, row, hashes + i, NULL, count, size, flat);
            i += taken;
            row += taken * size;
            if (taken == count)
                continue;
        }
        fl__lane *lane = &writer->lanes[lane_of_group[fl__key_group(hashes[i], max_parallelism)]];
        lane_append(writer, lane, row, size, flat, hashes[i], timestamps ? timestamps[i] : FL_NO_TIMESTAMP);
        i++;
        row += size;
    }
}

static void write_hash(fl__writer *writer, const fl__batch *batch, const int64_t *timestamps)
{
    if (!writer->layout.is_flat) {
        if (batch->row_size == 24)
            scatter_hash(writer, batch, 24, false, timestamps);
        else
            scatter_hash(writer, batch, batch->row_size, false, timestamps);
        return;
    }
    switch (batch->row_size) {
    case 8: scatter_hash(writer, batch, 8, true, timestamps); break;
    case 16: scatter_hash(writer, batch, 16, true, timestamps); break;
    case 24: scatter_hash(writer, batch, 24, true, timestamps); break;
    case 32: scatter_hash(writer, batch, 32, true, timestamps); break;
    default: scatter_hash(writer, batch, batch->row_size, true, timestamps); break;
    }
}

static uint32_t custom_lane(fl__writer *writer, const char *row)
{
    const void *key = writer->key ? fl__key_of(writer->key, row, writer->key_scratch) : row;
    int lane = writer->partitioner(key, (int)writer->lane_count, writer->partitioner_context);
    if (lane < 0 || (uint32_t)lane >= writer->lane_count) {
        fl__task_fail(writer->task, FL_ERROR_USER, "the custom partitioner returned %d; it must return 0 to %u", lane,
            writer->lane_count - 1);
        return 0;
    }
    return (uint32_t)lane;
}

static uint32_t next_random(fl__writer *writer, uint32_t n)
{
    writer->random += UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(((fl__mix64(writer->random) >> 32) * n) >> 32);
}

void fl__writer_write(fl__writer *writer, const fl__batch *batch)
{
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    if (writer->partitioning == FL_HASH) {
        write_hash(writer, batch, timestamps);
        return;
    }
    const char *row = fl__batch_rows(batch);
    bool flat = writer->layout.is_flat;
    for (uint32_t i = 0; i < batch->count; i++, row += batch->row_size) {
        int64_t timestamp = timestamps ? timestamps[i] : FL_NO_TIMESTAMP;
        uint32_t lane = 0;
        switch (writer->partitioning) {
        case FL_BROADCAST:
            for (uint32_t l = 1; l < writer->lane_count; l++)
                lane_append(writer, &writer->lanes[l], row, batch->row_size, flat, 0, timestamp);
            break;
        case FL_REBALANCE:
        case FL_RESCALE:
            lane = writer->next;
            writer->next = lane + 1 == writer->lane_count ? 0 : lane + 1;
            break;
        case FL_SHUFFLE: lane = next_random(writer, writer->lane_count); break;
        case FL_CUSTOM: lane = custom_lane(writer, row); break;
        default: /* forward: there is one lane; global: the first */ break;
        }
        lane_append(writer, &writer->lanes[lane], row, batch->row_size, flat, 0, timestamp);
    }
}

void fl__writer_give(fl__writer *writer, fl__batch *batch)
{
    fl_assert(writer->lane_count == 1);
    if (writer->partitioning == FL_HASH)
        fl__key_hash_rows(writer->key, fl__batch_rows(batch), batch->row_size, batch->count, fl__batch_hashes(batch),
            writer->key_scratch);
    else if (writer->partitioning == FL_CUSTOM)
        for (uint32_t i = 0; i < batch->count; i++)
            custom_lane(writer, fl__batch_row(batch, i));
    send(writer, &writer->lanes[0], batch);
}

void fl__writer_flush(fl__writer *writer)
{
    for (uint32_t i = 0; i < writer->lane_count; i++)
        lane_send(writer, &writer->lanes[i]);
}

void fl__writer_event(fl__writer *writer, fl__event event)
{
    fl__writer_flush(writer);
    for (uint32_t i = 0; i < writer->lane_count; i++) {
        fl__lane *lane = &writer->lanes[i];
        if (event.kind == FL__EVENT_END && lane->batch) { /* was opened for rows that never came */
            fl__batch_free(lane->batch);
            lane->batch = NULL;
            lane->cursor = lane->limit = NULL;
        }
        fl__channel_push(writer->lanes[i].channel, event);
        if (fl__channel_blocked(writer->lanes[i].channel))
            writer->task->is_blocked = true;
        if (fl__channel_failed(writer->lanes[i].channel) != FL_OK)
            fail_channel(writer, writer->lanes[i].channel);
    }
}
