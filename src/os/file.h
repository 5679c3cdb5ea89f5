/* Files and folders on any fl__os. Errors are FL_ERROR_IO and name the path and the system's reason. A file belongs to
 * one thread at a time; pread may run in several. */
#ifndef FL_OS_FILE_H
#define FL_OS_FILE_H

#include "base/error.h"
#include "os/os.h"

typedef struct fl__file {
    const fl__os *os;
    int fd;     /* -1: not open */
    char *path; /* for messages */
} fl__file;

#define FL__FILE_INIT ((fl__file){ NULL, -1, NULL })

typedef enum fl__file_mode {
    FL__FILE_READ,   /* must exist */
    FL__FILE_WRITE,  /* made, or emptied */
    FL__FILE_APPEND, /* made, or written to its end */
    FL__FILE_NEW,    /* made; it is an error when it exists */
    FL__FILE_SCRATCH /* as NEW, to be written and read, by this user alone, and unlinked at once: it goes with the
                        process */
} fl__file_mode;

/* Opens path. A folder is refused at READ as it is at the others. *file is closed when this fails. */
FL_MUST_USE fl_status fl__file_open(
    fl__file *file, const fl__os *os, const char *path, fl__file_mode mode, fl_error *error);
/* Nothing when not open. What was written is in the system's hands; only fl__file_sync makes it durable. */
void fl__file_close(fl__file *file);

/* Up to size bytes from where the last read ended; *got = 0 at the end of the file. May give less than asked. */
FL_MUST_USE fl_status fl__file_read(fl__file *file, void *buffer, size_t size, size_t *got, fl_error *error);
/* From offset on; less than size only at the end of the file. */
FL_MUST_USE fl_status fl__file_pread(
    const fl__file *file, void *buffer, size_t size, int64_t offset, size_t *got, fl_error *error);
/* All of it, or an error after any part. */
FL_MUST_USE fl_status fl__file_write(fl__file *file, const void *data, size_t size, fl_error *error);
/* The content is on the disk when this returns FL_OK; the file's name is only after fl__folder_sync. */
FL_MUST_USE fl_status fl__file_sync(fl__file *file, fl_error *error);
FL_MUST_USE fl_status fl__file_size(const fl__file *file, int64_t *size, fl_error *error);

/* The whole file in one heap block with a 0 byte behind it; free() it. size may be NULL. FL_ERROR_LIMIT above
 * size_max bytes. */
FL_MUST_USE fl_status fl__file_load(
    const fl__os *os, const char *path, size_t size_max, char **content, size_t *size, fl_error *error);
/* Replaces path by content, whole or not at all: temporary name beside it, sync, rename, sync of the folder. */
FL_MUST_USE fl_status fl__file_store(
    const fl__os *os, const char *path, const void *content, size_t size, fl_error *error);

FL_MUST_USE fl_status fl__path_info(const fl__os *os, const char *path, fl__file_info *info, fl_error *error);
/* Is there anything of that name? Symbolic links are followed. */
bool fl__path_exists(const fl__os *os, const char *path);
FL_MUST_USE fl_status fl__path_rename(const fl__os *os, const char *from, const char *to, fl_error *error);
/* A file, or an empty folder; FL_OK when there is none (any more). */
FL_MUST_USE fl_status fl__path_unlink(const fl__os *os, const char *path, fl_error *error);
/* The folder and all above it that are missing. */
FL_MUST_USE fl_status fl__folder_make(const fl__os *os, const char *path, fl_error *error);
/* A folder of this user that nobody else may write to, made or found so. FL_ERROR_IO when it is somebody else's: in
 * /tmp anybody may have been there first. On the machine's own disk. */
FL_MUST_USE fl_status fl__folder_make_private(const char *path, fl_error *error);
/* Names made, renamed and removed in the folder are on the disk when this returns FL_OK. */
FL_MUST_USE fl_status fl__folder_sync(const fl__os *os, const char *path, fl_error *error);

/* "a/b" for "a" and "b" (and for "a/" and "b"); free() it. */
char *fl__path_join(const char *folder, const char *name);

/* A list of paths with what is known of them, sorted by path byte by byte, so that it is the same on every machine. */
typedef struct fl__path_entry {
    char *path;
    fl__file_info info;
} fl__path_entry;

typedef struct fl__paths {
    fl__path_entry *items;
    size_t count, capacity;
} fl__paths;

#define FL__PATHS_INIT ((fl__paths){ NULL, 0, 0 })

void fl__paths_release(fl__paths *paths);

/* Adds the files below a folder: those in it, or at any depth. No folders; symbolic links are followed, broken ones and
 * what vanishes meanwhile left out. */
FL_MUST_USE fl_status fl__folder_list(
    const fl__os *os, const char *folder, bool recursive, fl__paths *paths, fl_error *error);

/* Has the path any of the characters * ? [ ? */
bool fl__path_is_glob(const char *path);
/* Adds what a pattern names, files and folders: * and ? and [a-z] within one part of the path, and ** for any number of
 * folders. As in a shell, names that begin with a dot need one in the pattern. None: FL_OK with nothing added. */
FL_MUST_USE fl_status fl__path_glob(const fl__os *os, const char *pattern, fl__paths *paths, fl_error *error);

#endif
