/* Files of snapshots: blocks, each with its length and checksum, so that what was torn, cut or changed is found.
 *
 *   file:   "flincsnp" | version u32 | 0 u32 | block | block | … | block of kind END
 *   block:  xxh3 of the rest u64 | payload bytes u64 | kind u16 | operator u16 | 0 u32 | payload
 *
 * Numbers are little-endian. A file without its END block is not complete. docs/design/checkpoints.md says what the
 * payloads hold. */
#ifndef FL_STATE_BLOCK_H
#define FL_STATE_BLOCK_H

#include "data/codec.h"
#include "os/file.h"

enum { FL__BLOCKS_VERSION = 1 };

typedef enum fl__block_kind {
    FL__BLOCK_END,      /* how many blocks come before it, varint */
    FL__BLOCK_OPERATOR, /* its number in this file is the block's operator; payload: its id */
    FL__BLOCK_SCHEMA,   /* of keyed state: what the pages' entries hold */
    FL__BLOCK_PAGE,     /* entries of one key group */
    FL__BLOCK_TIMERS,
    FL__BLOCK_TABLE_SCHEMA, /* the same of tables that an operator keeps beside keyed state */
    FL__BLOCK_TABLE_PAGE,
    FL__BLOCK_VALUES, /* an operator's own: sources' positions, sinks' transactions */
    FL__BLOCK_JOB,    /* metadata files: the checkpoint */
    FL__BLOCK_FILE,   /* metadata files: one file of state */
    FL__BLOCK_KINDS,
} fl__block_kind;

/* ---- writing ---- */

void fl__blocks_begin(fl__buffer *out);
/* Room for a block's head; the payload is appended to the buffer after it, then fl__block_close completes the head.
 * Returns what close needs. */
size_t fl__block_open(fl__buffer *out, fl__block_kind kind, uint32_t operator_number);
void fl__block_close(fl__buffer *out, size_t opened);
void fl__blocks_end(fl__buffer *out, uint64_t blocks_before);

/* ---- reading ---- */

typedef struct fl__block {
    fl__block_kind kind;
    uint32_t operator_number;
    fl__reader payload; /* valid until the next block is read */
} fl__block;

typedef struct fl__blocks {
    fl__memory *memory;
    fl__file file;
    int64_t offset, size;
    uint64_t count; /* blocks so far */
    fl__buffer buffer;
    bool is_ended;
} fl__blocks;

/* Opens the file and checks its head. Close it whatever this returned. */
fl_status fl__blocks_open(
    fl__blocks *blocks, fl__memory *memory, const fl__os *os, const char *path, fl_error *error) FL_MUST_USE;
void fl__blocks_close(fl__blocks *blocks);
/* The next block; FL_DONE after the last one. FL_ERROR_CORRUPT names file, block and offset. */
fl_status fl__blocks_next(fl__blocks *blocks, fl__block *block, fl_error *error) FL_MUST_USE;

/* A damaged payload: "what" in block n of the file. */
fl_status fl__blocks_corrupt(const fl__blocks *blocks, fl_error *error, const char *what);

/* Text in a payload: length varint, bytes. */
void fl__block_put_text(fl__buffer *out, const char *text);
/* In arena; NULL: damaged. */
char *fl__block_get_text(fl__reader *in, fl__arena *arena);
/* Signed numbers in a payload. */
static inline void fl__block_put_int(fl__buffer *out, int64_t value)
{
    fl__buffer_varint(out, (uint64_t)value << 1 ^ (0 - (uint64_t)(value < 0)));
}
static inline bool fl__block_get_int(fl__reader *in, int64_t *value)
{
    uint64_t u;
    if (!fl__reader_varint(in, &u))
        return false;
    *value = (int64_t)(u >> 1 ^ (0 - (u & 1)));
    return true;
}

#endif
