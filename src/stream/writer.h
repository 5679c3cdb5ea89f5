/* A writer: one outgoing edge of a task; scatters rows over the channels of the receiving subtasks.
 *
 * Each channel has an open batch (a lane). A row is copied once, with its timestamp and, on keyed edges, the hash of
 * its key, which is computed here and nowhere else. With a single channel the operator's own batch is handed over
 * instead of copied (fl__writer_give). */
#ifndef FL_STREAM_WRITER_H
#define FL_STREAM_WRITER_H

#include "stream/channel.h"
#include "stream/operator.h"

/* One channel's open batch, taken apart for the scatter loops. */
typedef struct fl__lane {
    char *cursor, *limit; /* limit: no row fits at cursor ≥ limit */
    uint64_t *hash;       /* next; NULL without the column */
    int64_t *timestamp;   /* next; NULL without the column */
    fl__batch *batch;     /* NULL: none open */
    fl__channel *channel;
} fl__lane;

struct fl__writer {
    fl__task *task;
    fl_partitioning partitioning;
    const fl__key *key;
    fl_partition_fn partitioner;
    fl_context *partitioner_context;
    fl__layout layout;
    uint32_t columns;
    uint32_t lane_count;
    fl__lane *lanes;
    uint16_t *lane_of_group; /* hash: by key group */
    uint32_t max_parallelism;
    uint32_t next;    /* rebalance, rescale: the next lane */
    uint64_t random;  /* shuffle */
    uint64_t *hashes; /* scratch for a batch */
    uint32_t hashes_capacity;
    void *key_scratch;
    uint64_t rows;
    fl_time watermark;
};

/* channels: those that this subtask may write to (rescale: its group), in the order of the receiving subtasks. */
void fl__writer_init(fl__writer *writer, fl__task *task, const fl_type *type, uint32_t columns,
    fl_partitioning partitioning, const fl__key *key, fl__channel **channels, uint32_t channel_count,
    uint32_t max_parallelism, uint64_t seed);
void fl__writer_release(fl__writer *writer);
/* Copies the rows of a batch into the lanes; full lanes are sent. */
void fl__writer_write(fl__writer *writer, const fl__batch *batch);
/* Single channel: sends the batch itself (it is the channel's after). */
void fl__writer_give(fl__writer *writer, fl__batch *batch);
/* Sends all lanes that hold rows. */
void fl__writer_flush(fl__writer *writer);
/* Flushes, then sends the event to every channel. */
void fl__writer_event(fl__writer *writer, fl__event event);

#endif
