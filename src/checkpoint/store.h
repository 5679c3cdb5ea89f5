/* Checkpoints in a folder, as Flink lays them out:
 *
 *   <dir>/<job id>/chk-7/_metadata     what the checkpoint consists of; there last, and whole or not at all
 *   <dir>/<job id>/chk-7/<task>.state  a subtask's snapshot (state/block.h)
 *
 * The order of writing: each state file, synced; the folder, synced; _metadata under another name, synced, renamed, and
 * the folder synced again. A folder without _metadata is no checkpoint. */
#ifndef FL_CHECKPOINT_STORE_H
#define FL_CHECKPOINT_STORE_H

#include "base/error.h"
#include "state/snapshot.h"

typedef struct fl__store {
    const fl__os *os;
    fl__memory *memory;
    char *folder; /* <dir>/<job id> */
} fl__store;

/* One operator's line of a checkpoint. */
typedef struct fl__checkpoint_operator {
    const char *id;
    uint32_t parallelism, max_parallelism;
} fl__checkpoint_operator;

/* A state file: of one subtask, with the state of the operators whose numbers (in the list of operators) are given. */
typedef struct fl__checkpoint_file {
    const char *name; /* in the checkpoint's folder */
    uint32_t subtask;
    int64_t size;
    const uint32_t *operators;
    uint32_t operator_count;
} fl__checkpoint_file;

typedef struct fl__checkpoint_record {
    int64_t id;
    fl_time time; /* wall clock when it was triggered */
    const char *job_name;
    const fl__checkpoint_operator *operators;
    uint32_t operator_count;
    const fl__checkpoint_file *files;
    uint32_t file_count;
} fl__checkpoint_record;

/* Makes the folder. FL_ERROR_IO. */
fl_status fl__store_open(fl__store *store, const fl__os *os, fl__memory *memory, const char *dir, const char *job_id,
    fl_error *error) FL_MUST_USE;
void fl__store_release(fl__store *store);
/* The checkpoint's folder, or a file in it (name not NULL); free() it. */
char *fl__store_path(const fl__store *store, int64_t checkpoint, const char *name);
/* Makes the checkpoint's folder; an old one of that number is emptied. */
fl_status fl__store_begin(fl__store *store, int64_t checkpoint, fl_error *error) FL_MUST_USE;
/* Writes _metadata: with FL_OK the checkpoint is complete and durable. */
fl_status fl__store_finish(fl__store *store, const fl__checkpoint_record *record, fl_error *error) FL_MUST_USE;
/* Removes the checkpoint, metadata first; what cannot be removed stays. */
void fl__store_drop(fl__store *store, int64_t checkpoint);
/* Removes the folder when nothing is left in it. */
void fl__store_remove_folder(fl__store *store);

/* Reads a checkpoint: path is its folder or its _metadata. Checks that all its files are there in full length. All in
 * arena. *job_name may be NULL. */
fl_status fl__checkpoint_load(fl__state_catalog *catalog, const char **job_name, const fl__os *os, fl__memory *memory,
    fl__arena *arena, const char *path, fl_error *error) FL_MUST_USE;

#endif
