/* Reads a file from its first byte to its last, unpacked: plain, gzip (several members one after the other too) or
 * zstd (several frames). What it is shows in its first bytes; a name that ends in .gz or .zst demands it. A file that
 * is cut off or damaged is an error that names it and the byte of the packed file.
 *
 * One thread. Memory: one read buffer, plus what zlib (40 KiB) and zstd (the frame's window, ≤ 128 MiB) take. */
#ifndef FL_CONNECTORS_FILE_UNPACK_H
#define FL_CONNECTORS_FILE_UNPACK_H

#include "os/file.h"

typedef enum fl__packing { FL__PLAIN, FL__GZIP, FL__ZSTD } fl__packing;

/* What a file of this name that begins with these bytes is. */
fl__packing fl__packing_of(const char *path, const void *head, size_t length);

typedef struct fl__unpack fl__unpack;
fl__unpack *fl__unpack_new(void);
void fl__unpack_free(fl__unpack *unpack);
/* Opens path; what was open before is closed. */
FL_MUST_USE fl_status fl__unpack_open(fl__unpack *unpack, const fl__os *os, const char *path, fl_error *error);
void fl__unpack_close(fl__unpack *unpack);
/* FL_OK: *got ≥ 1 unpacked bytes; FL_DONE: the end; FL_ERROR_IO, FL_ERROR_CORRUPT. room ≥ 1. */
FL_MUST_USE fl_status fl__unpack_read(fl__unpack *unpack, char *to, size_t room, size_t *got, fl_error *error);

#endif
