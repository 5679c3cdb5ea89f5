/* A channel: batches and control events from one subtask to another, in order.
 *
 * A bounded ring with one producer (the sending task) and one consumer (the receiving task); used-up batches go back
 * through a second ring, so that in steady state nothing is allocated and the memory stays warm. What does not fit the
 * ring goes to the producer's overdraft, an unbounded queue that is counted and makes the task take no more input until
 * it drained: a channel never refuses.
 *
 * A blocking channel (BATCH mode) has a spool in the ring's place: the consumer's task starts when the producer's has
 * ended, so that nobody waits and nobody is woken. Of control events only the end matters there.
 *
 * Across processes the same ring is emptied and filled by the network's threads.
 *
 * Invariants: C1 order: nothing enters the ring while the overdraft is not empty. C2 capacity is a power of two. C3 the
 * producer alone writes head and the overdraft, the consumer alone writes tail; the return ring the other way round. */
#ifndef FL_STREAM_CHANNEL_H
#define FL_STREAM_CHANNEL_H

#include "data/batch.h"
#include "os/waker.h"
#include "stream/spool.h"

typedef enum fl__event_kind {
    FL__EVENT_BATCH,     /* value: fl__batch *, owned by who holds the event */
    FL__EVENT_WATERMARK, /* value: fl_time */
    FL__EVENT_IDLE,      /* value: 1 idle, 0 active again */
    FL__EVENT_BARRIER,   /* value: the checkpoint's number; what came before it belongs to it */
    FL__EVENT_END,       /* nothing follows */
} fl__event_kind;

typedef struct fl__event {
    int64_t value;
    fl__event_kind kind;
} fl__event;

enum { FL__RETURN_RING = 4 };

typedef struct fl__channel {
    /* set once */
    fl__event *ring;
    uint32_t capacity;
    fl__batch **returned;
    uint32_t return_capacity;
    const fl_type *type;
    uint32_t columns;
    uint32_t segment_size;
    fl__memory *memory;
    fl__spool *spool;               /* NULL: not blocking */
    fl__waker *producer, *consumer; /* of the two tasks; woken on progress. NULL: nobody parks */
    const char *from;               /* the producing task's name */

    /* producer's side */
    _Alignas(64) _Atomic uint32_t head; /* events ever pushed into the ring */
    uint32_t tail_seen;
    _Atomic uint32_t return_tail; /* batches ever taken back */
    fl__event *overdraft;         /* queue: [overdraft_first, overdraft_count) */
    uint32_t overdraft_first, overdraft_count, overdraft_capacity;
    fl__batch *spare;    /* one batch kept at hand */
    uint32_t batch_size; /* of the batches in circulation: larger ones, made for one record, are not kept */
    bool idle;           /* last idleness sent */
    uint64_t rows;       /* sent so far */

    /* consumer's side */
    _Alignas(64) _Atomic uint32_t tail; /* events ever popped */
    uint32_t head_seen;
    _Atomic uint32_t return_head;   /* batches ever given back */
    fl_time watermark;              /* highest received */
    fl_time watermark_at;           /* processing time: when it was received */
    _Atomic int64_t watermark_seen; /* the same for others to look at */
    bool is_idle, is_ended;
    bool is_held;    /* its barrier has come, those of other channels have not: nothing is taken from it */
    int64_t barrier; /* newest checkpoint whose barrier has come */
    unsigned input;  /* of the consuming task */

    /* either side writes, rarely */
    _Alignas(64) _Atomic uint32_t producer_waits; /* the producer found the ring full: wake it when it is half empty */
} fl__channel;

/* capacity: events in the ring, a power of two. */
void fl__channel_init(fl__channel *channel, fl__memory *memory, const fl_type *type, uint32_t columns,
    uint32_t segment_size, uint32_t capacity);
/* Makes it a blocking one; spool: empty, released by fl__channel_release. Before any use. */
void fl__channel_block(fl__channel *channel, fl__spool *spool);
void fl__channel_release(fl__channel *channel);
/* What went wrong with the spool; FL_OK without one. Either side's thread. */
static inline fl_status fl__channel_failed(const fl__channel *channel)
{
    return channel->spool ? channel->spool->error.status : FL_OK;
}

/* ---- producer's thread ---- */

/* Sends an event; a batch is the channel's after. Never refuses; fl__channel_blocked tells when to stop. Wakes the
 * consumer. */
void fl__channel_push(fl__channel *channel, fl__event event);
/* Moves the overdraft into the ring as far as it goes. True when it is empty. */
bool fl__channel_drain(fl__channel *channel);
/* Is there anything in the overdraft (so that the producing task must stop)? */
static inline bool fl__channel_blocked(const fl__channel *channel)
{
    return channel->overdraft_first != channel->overdraft_count;
}
/* An empty batch for this channel: one that came back, or a new one. */
fl__batch *fl__channel_take_batch(fl__channel *channel);
/* Puts a batch that take_batch gave, and that was not sent, back. */
void fl__channel_return_spare(fl__channel *channel, fl__batch *batch);

/* ---- consumer's thread ---- */

/* The next event; false when there is none now. */
bool fl__channel_pop(fl__channel *channel, fl__event *event);
bool fl__channel_is_empty(fl__channel *channel);
/* Gives a used-up batch back. */
void fl__channel_return(fl__channel *channel, fl__batch *batch);

#endif
