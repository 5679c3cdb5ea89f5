/* The state of one subtask at one barrier, on its way into a file, and on its way back.
 *
 * At the barrier each operator of the task adds what it has: small things as bytes (a source's position, a schema),
 * large ones as parts: promises that somebody else calls in later, while the task goes on. The task then gives the
 * snapshot away; whoever has it calls fl__snapshot_write until it is done. A part whose owner wants to change what was
 * promised makes its share of it first (table_snapshot.h).
 *
 * Ids of operators: .uid, or what the graph makes of the operator's place. */
#ifndef FL_STATE_SNAPSHOT_H
#define FL_STATE_SNAPSHOT_H

#include "data/key.h"
#include "state/block.h"

typedef struct fl__snapshot fl__snapshot;

/* Embedded in what a part needs. */
typedef struct fl__snapshot_part fl__snapshot_part;
struct fl__snapshot_part {
    fl__snapshot_part *next;
    fl__block_kind kind;
    uint32_t operator_number;
    /* Appends the payload of one block; false: there was nothing left, and nothing was appended. Any thread, one at a
     * time. */
    bool (*next_block)(fl__snapshot_part *part, fl__buffer *out);
    /* Written, or given up. The thread that wrote. */
    void (*release)(fl__snapshot_part *part);
};

/* ---- the task's side ---- */

fl__snapshot *fl__snapshot_new(fl__memory *memory, int64_t checkpoint);
/* What is added from now on belongs to this operator. id is copied. */
void fl__snapshot_operator(fl__snapshot *snapshot, const char *id);
/* What is added from now on is another part of the operator added last: several keyed states, each with its schema. */
void fl__snapshot_section(fl__snapshot *snapshot, const char *name);
/* A block whose payload the caller appends to what this returns, before the next call. */
fl__buffer *fl__snapshot_bytes(fl__snapshot *snapshot, fl__block_kind kind);
void fl__snapshot_add(fl__snapshot *snapshot, fl__snapshot_part *part);
int64_t fl__snapshot_checkpoint(const fl__snapshot *snapshot);
/* The n-th operator's id; NULL past the last. */
const char *fl__snapshot_operator_id(const fl__snapshot *snapshot, uint32_t number);

/* ---- the writer's side ---- */

/* Appends some more of the file to out. FL_OK: there is more; FL_DONE: that was all. Any thread, one at a time. */
fl_status fl__snapshot_write(fl__snapshot *snapshot, fl__buffer *out) FL_MUST_USE;
/* Written or not. NULL: nothing. */
void fl__snapshot_free(fl__snapshot *snapshot);

/* ---- restoring ---- */

/* A file of an earlier snapshot that has something of the operator. */
typedef struct fl__state_file {
    const char *path;
    uint32_t subtask; /* whose it was */
} fl__state_file;

/* What a checkpoint has of one operator. */
typedef struct fl__operator_state {
    const char *id;
    uint32_t parallelism, max_parallelism; /* of then */
    const fl__state_file *files;
    uint32_t file_count;
} fl__operator_state;

/* A checkpoint to start from. */
typedef struct fl__state_catalog {
    const fl__os *os;
    int64_t checkpoint;
    const fl__operator_state *operators;
    uint32_t operator_count;
} fl__state_catalog;
/* NULL: it has nothing of that operator. */
const fl__operator_state *fl__state_catalog_find(const fl__state_catalog *catalog, const char *id);

/* What an operator finds of earlier: blocks one after the other, of all files that may concern this subtask. */
typedef struct fl__restored {
    fl__memory *memory;
    const fl__os *os;
    const char *id; /* the operator's */
    const fl__state_file *files;
    uint32_t file_count;
    uint32_t subtask, parallelism, max_parallelism; /* now */
    uint32_t old_parallelism;
    int64_t checkpoint;
    /* reading */
    uint32_t next_file, old_subtask;
    uint32_t number; /* of the operator in the file; UINT32_MAX: not come by yet */
    bool is_open;
    fl__blocks blocks;
} fl__restored;

/* The next block of the operator; FL_DONE: none is left. */
fl_status fl__restored_next(fl__restored *restored, fl__block *block, fl_error *error) FL_MUST_USE;
void fl__restored_close(fl__restored *restored);
/* From the first block again. */
void fl__restored_rewind(fl__restored *restored);
/* A reader of the operator's section of that name; close it. id: memory for its id, valid as long as it. */
fl__restored fl__restored_section(const fl__restored *restored, const char *name, char *id, size_t size);
/* Is a key of this hash this subtask's now? */
static inline bool fl__restored_owns(const fl__restored *r, uint64_t hash)
{
    uint32_t group = fl__key_group(hash, r->max_parallelism);
    return fl__key_group_subtask(group, r->parallelism, r->max_parallelism) == r->subtask;
}
/* Is the state of this old subtask, which cannot be divided, this subtask's now? They are dealt out in turn. */
static inline bool fl__restored_takes(const fl__restored *r)
{
    return r->old_subtask % r->parallelism == r->subtask;
}

#endif
