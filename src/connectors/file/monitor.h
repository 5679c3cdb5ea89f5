/* Watches files for a source that never ends: which of them have grown, and from where they are to be read on.
 *
 * Every subtask looks for itself and takes the files whose path's hash is its own, so that a file always has the same
 * reader and nothing needs to be dealt out. A file is known by its path; its entry says up to where its lines were
 * taken. A line is taken when its delimiter is there. A file that has become shorter was written anew: it is read from
 * the start. A packed file is read once, whole, when two looks in a row have found it unchanged: it may be still being
 * written. */
#ifndef FL_CONNECTORS_FILE_MONITOR_H
#define FL_CONNECTORS_FILE_MONITOR_H

#include "connectors/file/splits.h"

typedef struct fl__watched {
    char *path;
    int64_t size, mtime_ms; /* at the last look */
    int64_t seen;           /* bytes that were looked at when it was read last */
    int64_t offset;         /* where the first line begins that was not taken */
    bool is_due;            /* to be read now */
    bool is_packed, is_known_kind, is_done;
    bool was_shortened; /* since the last look: for a notice */
    uint32_t slot;      /* while it is due: of its split in the task (the source's) */
} fl__watched;

typedef struct fl__monitor {
    const fl__os *os;
    const char *pattern;
    int subtask, parallelism;
    fl__watched *files; /* sorted by path */
    size_t count;
    size_t next; /* files before it were visited since the last look */
} fl__monitor;

void fl__monitor_init(fl__monitor *monitor, const fl__os *os, const char *pattern, int subtask, int parallelism);
void fl__monitor_release(fl__monitor *monitor);
/* Takes up a file where an earlier monitor had come to, if it is this subtask's. Before the first look. */
void fl__monitor_remember(fl__monitor *monitor, const char *path, int64_t offset, bool is_packed, bool is_done);
/* Looks again. */
FL_MUST_USE fl_status fl__monitor_look(fl__monitor *monitor, fl_error *error);
/* The next file that is to be read: from ->offset on, or whole when ->is_packed; NULL: no more until the next look. */
fl__watched *fl__monitor_next(fl__monitor *monitor);
/* It was read: lines up to offset were taken, bytes up to seen looked at. */
void fl__monitor_was_read(fl__watched *file, int64_t offset, int64_t seen);

#endif
