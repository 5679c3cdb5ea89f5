/* fl_sequence: from … to, cut into one contiguous range per subtask as Flink's NumberSequenceIterator does (the first
 * ranges have one number more when it does not come out even). */
#include "connectors/sequence/sequence.h"

#include "api/api.h"

struct sequence_config {
    int64_t from, to;
};

/* Numbers next … next + left - 1, wrapping around: the whole range of int64 is allowed. */
struct range {
    uint64_t next, left;
};

/* One range at the start; after a restore with another parallelism those that were dealt to this subtask. */
struct sequence_source {
    fl__operator op;
    struct range *ranges;
    size_t count, capacity;
};

void fl__sequence_range(int64_t from, int64_t to, int subtask, int parallelism, int64_t *first, uint64_t *count)
{
    /* one less than there are, so that all 2^64 fit */
    uint64_t last = (uint64_t)to - (uint64_t)from, p = (uint64_t)parallelism, i = (uint64_t)subtask;
    if (last == UINT64_MAX)
        last--; /* see the header */
    uint64_t each = last / p, rest = last % p + 1;
    if (rest == p) {
        each++;
        rest = 0;
    }
    *count = each + (i < rest);
    *first = (int64_t)((uint64_t)from + i * each + (i < rest ? i : rest));
}

static void add_range(struct sequence_source *source, struct range range)
{
    if (range.left == 0)
        return;
    if (source->count == source->capacity) {
        size_t more = source->capacity ? 2 * source->capacity : 1;
        source->ranges = fl__realloc(&source->op.memory, source->ranges, source->capacity * sizeof *source->ranges,
            more * sizeof *source->ranges);
        source->capacity = more;
    }
    source->ranges[source->count++] = range;
}

static fl_status open_sequence(fl__operator *op, fl_error *error)
{
    (void)error;
    struct sequence_source *source = (struct sequence_source *)op;
    const struct sequence_config *config = (const struct sequence_config *)op->spec->config;
    int64_t first;
    uint64_t count;
    fl__sequence_range(config->from, config->to, op->ctx.subtask, op->ctx.parallelism, &first, &count);
    add_range(source, (struct range){ (uint64_t)first, count });
    return FL_OK;
}

static void close_sequence(fl__operator *op)
{
    struct sequence_source *source = (struct sequence_source *)op;
    fl__free(&op->memory, source->ranges, source->capacity * sizeof *source->ranges);
    source->ranges = NULL;
    source->count = source->capacity = 0;
}

static void snapshot_sequence(fl__operator *op, fl__snapshot *to)
{
    const struct sequence_source *source = (const struct sequence_source *)op;
    fl__buffer *out = fl__snapshot_bytes(to, FL__BLOCK_VALUES);
    fl__buffer_varint(out, source->count);
    for (size_t i = 0; i < source->count; i++) {
        fl__buffer_varint(out, source->ranges[i].next);
        fl__buffer_varint(out, source->ranges[i].left);
    }
}

static fl_status restore_sequence(fl__operator *op, fl__restored *from, fl_error *error)
{
    struct sequence_source *source = (struct sequence_source *)op;
    source->count = 0;
    fl__block block;
    fl_status status;
    while ((status = fl__restored_next(from, &block, error)) == FL_OK) {
        uint64_t count;
        bool is_whole = fl__reader_varint(&block.payload, &count);
        for (uint64_t i = 0; is_whole && i < count; i++) {
            struct range range;
            is_whole = fl__reader_varint(&block.payload, &range.next) && fl__reader_varint(&block.payload, &range.left);
            if (is_whole && fl__restored_takes(from))
                add_range(source, range);
        }
        if (!is_whole)
            return fl__blocks_corrupt(&from->blocks, error, "the ranges of a sequence");
    }
    return status == FL_DONE ? FL_OK : status;
}

/* Fills the open batch at one go; the first number goes the ordinary way, which sees to it that a batch is open. */
static fl_status poll_sequence(fl__operator *op)
{
    struct sequence_source *source = (struct sequence_source *)op;
    fl_collector *out = &op->out.collector;
    if (source->count == 0)
        return FL_DONE;
    struct range *range = &source->ranges[source->count - 1];
    int64_t first = (int64_t)range->next;
    fl_collect(out, &first);
    uint64_t next = range->next + 1, left = range->left - 1;
    size_t room = out->cursor < out->limit ? (size_t)(out->limit - out->cursor + 7) / sizeof(int64_t) : 0;
    uint64_t count = left < room ? left : room;
    if (out->timestamps) {
        for (uint64_t i = 0; i < count; i++)
            fl_collect(out, &(int64_t){ (int64_t)(next + i) });
    } else {
        int64_t *to = (int64_t *)(void *)out->cursor;
        for (uint64_t i = 0; i < count; i++)
            to[i] = (int64_t)(next + i);
        out->cursor += count * sizeof(int64_t);
    }
    *range = (struct range){ next + count, left - count };
    if (range->left == 0)
        source->count--;
    return source->count > 0 ? FL_OK : FL_DONE;
}

static const fl__operator_class sequence_class = {
    .kind = "Sequence Source",
    .size = sizeof(struct sequence_source),
    .open = open_sequence,
    .poll = poll_sequence,
    .close = close_sequence,
    .snapshot = snapshot_sequence,
    .restore = restore_sequence,
};

fl_stream *fl__sequence(fl_env *env, int64_t from, int64_t to, const fl_source_options *options)
{
    if (from > to)
        return fl__stream_error(env, options->where,
            "fl_sequence: the first number, %lld, is above the last, %lld; swap them", (long long)from, (long long)to);
    struct sequence_config *config = fl__env_alloc(env, sizeof *config);
    *config = (struct sequence_config){ from, to };
    return fl__add_source_operator(env, &(fl__new_operator){
                                            .class = &sequence_class,
                                            .out = FL_TYPE(int64_t),
                                            .options = (const fl_options *)options,
                                            .source = options,
                                            .config = config,
                                        });
}
