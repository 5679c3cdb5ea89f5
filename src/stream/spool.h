/* Rows that wait: in memory while the job's budget lasts, then in temporary files.
 *
 *   spill        what all of a job share: folders, budget, counts
 *   spill file   frames, one a batch, written in order, read in any; unlinked at once, so that a crash leaves nothing
 *   spool        a queue of batches that is filled first and emptied after: what a blocking exchange puts between two
 *                stages, per pair of subtasks. Once one of its batches went to the file all later ones do. The spools
 * of one sender share a file, so that open files are as many as senders; each knows where its frames are.
 *
 * A batch is relocatable and is written as it lies, its unused middle left out:
 *
 *   frame: | fl__frame: magic, checksum, size, front, heap | header, columns, rows: front bytes | heap bytes |
 *
 * Threads: a spool and a file have one writer, then (after the writer's end is known by other means) one reader; pread
 * needs no position, so that a file of several runs may have several readers of one thread. Budget and counts are
 * atomic. */
#ifndef FL_STREAM_SPOOL_H
#define FL_STREAM_SPOOL_H

#include "data/batch.h"
#include "os/file.h"

typedef struct fl__spill {
    const fl__os *os;
    fl__memory *memory;   /* account of buffers and of what is read back */
    const char **folders; /* as in io.tmp.dirs */
    uint32_t folder_count;
    bool is_checked;            /* folders were named by the user */
    int64_t spool_bytes_max;    /* of all spools, in memory */
    _Atomic int64_t spool_used; /* of it */
    _Atomic uint32_t next_folder;
    _Atomic uint64_t bytes_written; /* to files so far */
    struct fl__spill_file *files;   /* that fl__spill_release releases */
} fl__spill;

/* folders: io.tmp.dirs, NULL: TMPDIR or /tmp; arena holds the copies. */
void fl__spill_init(fl__spill *spill, const fl__os *os, fl__memory *memory, fl__arena *arena, const char *folders);
/* Releases the files that were added. */
void fl__spill_release(fl__spill *spill);
/* Can temporary files be made in each of the folders that the user named? Makes one. The text names option and folder.
 */
fl_status fl__spill_check(fl__spill *spill, fl_error *error) FL_MUST_USE;

/* ---- a file of frames ---- */

typedef struct fl__spill_file {
    fl__spill *spill;
    fl__file file; /* not open before the first frame */
    int64_t size;  /* bytes appended, those in the buffer included */
    char *buffer;
    size_t buffered, capacity;
    struct fl__spill_file *next; /* of the spill's */
} fl__spill_file;

void fl__spill_file_init(fl__spill_file *file, fl__spill *spill);
/* From now on the file goes with the spill. Before the job runs. */
void fl__spill_add_file(fl__spill *spill, fl__spill_file *file);
void fl__spill_file_release(fl__spill_file *file); /* twice: nothing */
/* Appends a batch, which stays the caller's. Buffered: fl__spill_file_flush before reading. FL_ERROR_IO: the text says
 * which folder is full or cannot be written to, and what to do. */
fl_status fl__spill_file_append(fl__spill_file *file, const fl__batch *batch, fl_error *error) FL_MUST_USE;
fl_status fl__spill_file_flush(fl__spill_file *file, fl_error *error) FL_MUST_USE;
/* Reads the frame at *offset, moves *offset behind it. *batch: NULL or one from an earlier call, which is used again or
 * freed. FL_ERROR_CORRUPT names file and offset. */
fl_status fl__spill_file_read(
    const fl__spill_file *file, int64_t *offset, const fl_type *type, fl__batch **batch, fl_error *error) FL_MUST_USE;

/* ---- a queue ---- */

typedef struct fl__spool {
    fl__spill *spill;
    const fl_type *type;
    fl__batch *first, *last; /* in memory, by next */
    bool is_spilling;
    fl__spill_file *file; /* the sender's */
    int64_t *frames;      /* where in it */
    uint32_t frame_count, frame_capacity, frame_next;
    fl__batch *spare; /* a batch that was read from the file, to be filled again */
    uint64_t rows;
    fl_error error; /* the first failure of either side */
} fl__spool;

/* file: may be shared by spools with the same writer; the caller's, released after the spools. */
void fl__spool_init(fl__spool *spool, fl__spill *spill, const fl_type *type, fl__spill_file *file);
void fl__spool_release(fl__spool *spool);
/* Adds a batch. True: it is the spool's now; false: it was written out and is the caller's again (or spool->error is
 * set). */
bool fl__spool_add(fl__spool *spool, fl__batch *batch);
/* The writer's end. */
void fl__spool_end(fl__spool *spool);
/* The next batch, the caller's until fl__spool_give_back; NULL: that was all, or spool->error is set. */
fl__batch *fl__spool_next(fl__spool *spool);
void fl__spool_give_back(fl__spool *spool, fl__batch *batch);

#endif
