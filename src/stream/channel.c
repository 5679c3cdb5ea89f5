#include "stream/channel.h"

#include "base/error.h"

void fl__channel_init(fl__channel *channel, fl__memory *memory, const fl_type *type, uint32_t columns,
    uint32_t segment_size, uint32_t capacity)
{
    fl_assert(capacity && (capacity & (capacity - 1)) == 0);
    memset(channel, 0, sizeof *channel);
    channel->memory = memory;
    channel->type = type;
    channel->columns = columns;
    channel->segment_size = segment_size;
    channel->capacity = capacity;
    channel->ring = fl__alloc_zero(memory, capacity * sizeof *channel->ring);
    channel->return_capacity = capacity;
    channel->returned = fl__alloc_zero(memory, capacity * sizeof *channel->returned);
    channel->watermark = FL_TIME_MIN;
    atomic_init(&channel->watermark_seen, FL_TIME_MIN);
}

void fl__channel_block(fl__channel *channel, fl__spool *spool)
{
    channel->spool = spool;
}

static void release_event(fl__event event)
{
    if (event.kind == FL__EVENT_BATCH)
        fl__batch_free((fl__batch *)(uintptr_t)event.value);
}

void fl__channel_release(fl__channel *channel)
{
    if (!channel->ring)
        return;
    uint32_t head = atomic_load(&channel->head), tail = atomic_load(&channel->tail);
    for (; tail != head; tail++)
        release_event(channel->ring[tail & (channel->capacity - 1)]);
    for (uint32_t i = channel->overdraft_first; i < channel->overdraft_count; i++)
        release_event(channel->overdraft[i]);
    uint32_t back_head = atomic_load(&channel->return_head), back_tail = atomic_load(&channel->return_tail);
    for (; back_tail != back_head; back_tail++)
        fl__batch_free(channel->returned[back_tail & (channel->return_capacity - 1)]);
    if (channel->spare)
        fl__batch_free(channel->spare);
    if (channel->spool)
        fl__spool_release(channel->spool);
    fl__free(channel->memory, channel->ring, channel->capacity * sizeof *channel->ring);
    fl__free(channel->memory, channel->returned, channel->return_capacity * sizeof *channel->returned);
    fl__free(channel->memory, channel->overdraft, channel->overdraft_capacity * sizeof *channel->overdraft);
    channel->ring = NULL;
}

/* Release on head publishes the event (and the batch behind it) to the consumer's acquire in pop. */
static bool try_push(fl__channel *channel, fl__event event)
{
    uint32_t head = atomic_load_explicit(&channel->head, memory_order_relaxed);
    if (head - channel->tail_seen == channel->capacity) {
        channel->tail_seen = atomic_load_explicit(&channel->tail, memory_order_acquire);
        if (head - channel->tail_seen == channel->capacity)
            return false;
    }
    channel->ring[head & (channel->capacity - 1)] = event;
    atomic_store_explicit(&channel->head, head + 1, memory_order_release);
    return true;
}

/* Watermarks and idleness say nothing to somebody who gets everything at once. */
static void push_blocking(fl__channel *channel, fl__event event)
{
    if (event.kind == FL__EVENT_END) {
        fl__spool_end(channel->spool);
        fl__batch_free(channel->spare); /* the consumer has a long life still */
        channel->spare = NULL;
    }
    if (event.kind != FL__EVENT_BATCH)
        return;
    fl__batch *batch = (fl__batch *)(uintptr_t)event.value;
    if (!fl__spool_add(channel->spool, batch))
        fl__channel_return_spare(channel, batch);
}

static bool pop_blocking(fl__channel *channel, fl__event *event)
{
    if (channel->is_ended)
        return false;
    fl__batch *batch = fl__spool_next(channel->spool);
    *event = batch ? (fl__event){ .kind = FL__EVENT_BATCH, .value = (int64_t)(uintptr_t)batch }
                   : (fl__event){ .kind = FL__EVENT_END };
    return true;
}

void fl__channel_push(fl__channel *channel, fl__event event)
{
    if (FL_UNLIKELY(channel->spool != NULL)) {
        push_blocking(channel, event);
        return;
    }
    if (!fl__channel_blocked(channel) && try_push(channel, event)) {
        if (channel->consumer)
            fl__waker_wake(channel->consumer);
        return;
    }
    if (channel->overdraft_first == channel->overdraft_count)
        channel->overdraft_first = channel->overdraft_count = 0;
    if (channel->overdraft_count == channel->overdraft_capacity) {
        uint32_t capacity = channel->overdraft_capacity ? channel->overdraft_capacity * 2 : 8;
        channel->overdraft = fl__realloc(channel->memory, channel->overdraft,
            channel->overdraft_capacity * sizeof *channel->overdraft, capacity * sizeof *channel->overdraft);
        channel->overdraft_capacity = capacity;
    }
    channel->overdraft[channel->overdraft_count++] = event;
}

bool fl__channel_drain(fl__channel *channel)
{
    bool moved = false;
    while (fl__channel_blocked(channel) && try_push(channel, channel->overdraft[channel->overdraft_first])) {
        channel->overdraft_first++;
        moved = true;
    }
    if (moved && channel->consumer)
        fl__waker_wake(channel->consumer);
    if (!fl__channel_blocked(channel))
        return true;
    /* The store is sequentially consistent with the consumer's load of the flag after its store of tail (in pop):
     * either it sees the flag and wakes us, or the check below sees its new tail. */
    atomic_store(&channel->producer_waits, 1);
    uint32_t head = atomic_load_explicit(&channel->head, memory_order_relaxed);
    channel->tail_seen = atomic_load(&channel->tail);
    if (head - channel->tail_seen <= channel->capacity / 2) {
        atomic_store(&channel->producer_waits, 0);
        return fl__channel_drain(channel);
    }
    return false;
}

fl__batch *fl__channel_take_batch(fl__channel *channel)
{
    fl__batch *batch = channel->spare;
    if (batch) {
        channel->spare = NULL;
        return batch;
    }
    uint32_t tail = atomic_load_explicit(&channel->return_tail, memory_order_relaxed);
    while (tail != atomic_load_explicit(&channel->return_head, memory_order_acquire)) {
        batch = channel->returned[tail & (channel->return_capacity - 1)];
        atomic_store_explicit(&channel->return_tail, ++tail, memory_order_release);
        if (batch->size == channel->batch_size) {
            fl__batch_clear(batch);
            return batch;
        }
        fl__batch_free(batch); /* was made for one large record */
    }
    batch = fl__batch_new(channel->memory, channel->type, channel->columns, channel->segment_size);
    channel->batch_size = batch->size;
    return batch;
}

void fl__channel_return_spare(fl__channel *channel, fl__batch *batch)
{
    if (channel->spare || batch->size != channel->batch_size) {
        fl__batch_free(batch);
        return;
    }
    fl__batch_clear(batch);
    channel->spare = batch;
}

bool fl__channel_is_empty(fl__channel *channel)
{
    if (channel->spool)
        return channel->is_ended;
    uint32_t tail = atomic_load_explicit(&channel->tail, memory_order_relaxed);
    if (tail != channel->head_seen)
        return false;
    channel->head_seen = atomic_load_explicit(&channel->head, memory_order_acquire);
    return tail == channel->head_seen;
}

bool fl__channel_pop(fl__channel *channel, fl__event *event)
{
    if (FL_UNLIKELY(channel->spool != NULL))
        return pop_blocking(channel, event);
    if (fl__channel_is_empty(channel))
        return false;
    uint32_t tail = atomic_load_explicit(&channel->tail, memory_order_relaxed);
    *event = channel->ring[tail & (channel->capacity - 1)];
    /* sequentially consistent: ordered before the look at producer_waits, see fl__channel_drain */
    atomic_store(&channel->tail, tail + 1);
    if (atomic_load(&channel->producer_waits) && channel->producer &&
        atomic_load_explicit(&channel->head, memory_order_relaxed) - (tail + 1) <= channel->capacity / 2) {
        atomic_store(&channel->producer_waits, 0);
        fl__waker_wake(channel->producer);
    }
    return true;
}

void fl__channel_return(fl__channel *channel, fl__batch *batch)
{
    if (channel->spool) {
        fl__spool_give_back(channel->spool, batch);
        return;
    }
    uint32_t head = atomic_load_explicit(&channel->return_head, memory_order_relaxed);
    /* what the ring does not hold is freed: the pool stays bounded */
    if (head - atomic_load_explicit(&channel->return_tail, memory_order_acquire) == channel->return_capacity) {
        fl__batch_free(batch);
        return;
    }
    fl__batch_spoil(batch);
    channel->returned[head & (channel->return_capacity - 1)] = batch;
    atomic_store_explicit(&channel->return_head, head + 1, memory_order_release);
}
