/* Bugs put in on purpose: the linker sends some of the engine's calls through here (--wrap), where a fault that is set
 * does them wrong. Each stands for a class of mistakes; `simulate FAULT=n` must find it. */
#include "pipeline.h"

#include "stream/channel.h"
#include "stream/task.h"
#include "stream/writer.h"

#include <time.h>

enum { DROP_OVERDRAFT, SWAP_OVERDRAFT, EARLY_WATERMARK, NO_FLUSH, WRONG_LANE, WRONG_HASH, TWICE, CLOCK, FAULTS };
static const char *const names[] = {
    [DROP_OVERDRAFT] = "a batch that finds no credit is dropped",
    [SWAP_OVERDRAFT] = "batches in the overdraft change places",
    [EARLY_WATERMARK] = "a watermark is ahead of the channel that it comes from",
    [NO_FLUSH] = "a watermark overtakes the open batches",
    [WRONG_LANE] = "some records go to another subtask than their key's",
    [WRONG_HASH] = "a key hashes in two ways",
    [TWICE] = "a batch that goes into a full channel is sent twice",
    [CLOCK] = "round robin starts from the wall clock",
};
static int active = -1;
static uint64_t calls;

int fault_count(void)
{
    return FAULTS;
}

const char *fault_name(int fault)
{
    return names[fault];
}

void fault_set(int fault)
{
    active = fault;
    calls = 0;
}

void __real_fl__channel_push(fl__channel *channel, fl__event event);
void __wrap_fl__channel_push(fl__channel *channel, fl__event event);
void __wrap_fl__channel_push(fl__channel *channel, fl__event event)
{
    bool blocked = fl__channel_blocked(channel);
    if (active == DROP_OVERDRAFT && blocked && event.kind == FL__EVENT_BATCH) {
        fl__batch_free((fl__batch *)(uintptr_t)event.value);
        return;
    }
    if (active == TWICE && blocked && event.kind == FL__EVENT_BATCH) {
        const fl__batch *batch = (const fl__batch *)(uintptr_t)event.value;
        fl__layout layout;
        fl__layout_init(&layout, channel->type);
        fl__batch *copy = fl__batch_new_large(channel->memory, channel->type, channel->columns, TEXT_MAX);
        if (batch->count && fl__batch_append(copy, &layout, fl__batch_row(batch, 0))) {
            copy->count = 1;
            if (fl__batch_has(copy, FL__COLUMN_HASH))
                fl__batch_hashes(copy)[0] = fl__batch_hashes(batch)[0];
            if (fl__batch_has(copy, FL__COLUMN_TIMESTAMP))
                fl__batch_timestamps(copy)[0] = fl__batch_timestamps(batch)[0];
            __real_fl__channel_push(channel, (fl__event){ .kind = FL__EVENT_BATCH, .value = (int64_t)(uintptr_t)copy });
        } else {
            fl__batch_free(copy);
        }
    }
    __real_fl__channel_push(channel, event);
    if (active == SWAP_OVERDRAFT && channel->overdraft_count - channel->overdraft_first >= 2) {
        fl__event *last = &channel->overdraft[channel->overdraft_count - 1], *before = last - 1;
        if (last->kind == FL__EVENT_BATCH && before->kind == FL__EVENT_BATCH) {
            fl__event kept = *last;
            *last = *before;
            *before = kept;
        }
    }
}

void __real_fl__writer_event(fl__writer *writer, fl__event event);
void __wrap_fl__writer_event(fl__writer *writer, fl__event event);
void __wrap_fl__writer_event(fl__writer *writer, fl__event event)
{
    if (active == NO_FLUSH && event.kind == FL__EVENT_WATERMARK && event.value != FL_TIME_MAX) {
        for (uint32_t i = 0; i < writer->lane_count; i++) {
            fl__channel_push(writer->lanes[i].channel, event);
            if (fl__channel_blocked(writer->lanes[i].channel))
                writer->task->is_blocked = true;
        }
        return;
    }
    __real_fl__writer_event(writer, event);
}

void __real_fl__writer_write(fl__writer *writer, const fl__batch *batch);
void __wrap_fl__writer_write(fl__writer *writer, const fl__batch *batch);
void __wrap_fl__writer_write(fl__writer *writer, const fl__batch *batch)
{
    if (active == WRONG_LANE && writer->partitioning == FL_HASH && ++calls % 7 == 0) {
        for (uint32_t g = 0; g < writer->max_parallelism; g++)
            writer->lane_of_group[g] = (uint16_t)((writer->lane_of_group[g] + 1u) % writer->lane_count);
    }
    if (active == CLOCK && writer->partitioning == FL_REBALANCE) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        writer->next = (uint32_t)(now.tv_nsec / 16) % writer->lane_count;
    }
    __real_fl__writer_write(writer, batch);
}

void __real_fl__key_hash_rows(
    const fl__key *key, const char *rows, size_t row_size, uint32_t count, uint64_t *hashes, void *scratch);
void __wrap_fl__key_hash_rows(
    const fl__key *key, const char *rows, size_t row_size, uint32_t count, uint64_t *hashes, void *scratch);
void __wrap_fl__key_hash_rows(
    const fl__key *key, const char *rows, size_t row_size, uint32_t count, uint64_t *hashes, void *scratch)
{
    __real_fl__key_hash_rows(key, rows, row_size, count, hashes, scratch);
    if (active == WRONG_HASH && count > 1)
        hashes[count - 1] ^= 1;
}

bool __real_fl__channel_pop(fl__channel *channel, fl__event *event);
bool __wrap_fl__channel_pop(fl__channel *channel, fl__event *event);
bool __wrap_fl__channel_pop(fl__channel *channel, fl__event *event)
{
    if (!__real_fl__channel_pop(channel, event))
        return false;
    if (active == EARLY_WATERMARK && event->kind == FL__EVENT_WATERMARK && event->value != FL_TIME_MAX)
        event->value += 40;
    return true;
}
