/* Two streams as one, for windows over both (Flink's CoGroupedStreams.TaggedUnion): a row of either is put into a row
 * that has room for both, beside a tag that says which one it is. */
#ifndef FL_OPERATORS_TAG_H
#define FL_OPERATORS_TAG_H

#include "flinc/join.h"
#include "stream/operator.h"

/* What a tagged row begins with; fl_tagged_pair knows it, too. */
typedef struct fl__tag_head {
    uint16_t side;         /* 0 left, 1 right */
    uint16_t left_offset;  /* of the left row from the head's start; alignments are small */
    uint32_t right_offset; /* of the right row */
} fl__tag_head;

/* The layout of both; in the environment's arena. */
typedef struct fl__tagged {
    const fl_type *type;    /* of the tagged rows */
    const fl_type *rows[2]; /* of what is in them */
    uint32_t offsets[2];
    const fl__key *keys[2]; /* of the streams; NULL until the key is wanted */
} fl__tagged;

void fl__tagged_init(fl__tagged *tagged, fl__arena *arena, const fl_type *left, const fl_type *right);
/* A key selector over tagged rows (context: a fl__tagged with keys): the key that the row's own stream has. */
void fl__tagged_key(const void *row, void *key, void *context);

/* Tags rows: config is this. */
typedef struct fl__tag_config {
    const fl__tagged *tagged;
    unsigned side;
} fl__tag_config;
extern const fl__operator_class fl__tag_class;

/* Window functions over tagged rows (spec.function of a window operator that keeps all elements, whose
 * fl__window_config.joined is a fl__joined): they give the user's function pairs, or both sides. */
typedef struct fl__joined {
    const fl__tagged *tagged;
    fl_function function;
} fl__joined;
void fl__joined_pairs(const void *in, fl_collector *out, fl_context *ctx);
void fl__joined_groups(const void *in, fl_collector *out, fl_context *ctx);

#endif
