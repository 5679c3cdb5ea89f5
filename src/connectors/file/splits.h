/* Which files a path names, how they are cut into splits, and how the lines of a split are read.
 *
 * A split is a range of bytes of a file; the lines that begin in it are its own. A line begins at 0 and behind each
 * delimiter. So a split reads on past its end until its last line is over, and begins, unless at 0, by looking for the
 * first delimiter that ends at or after its start. Each line of a file belongs to exactly one split, wherever the cuts
 * are.
 *
 *     bytes    aaa\nbbbbbbb\ncc\ndd
 *     splits   [0,7)    [7,14)     [14,..)
 *     lines    aaa bbb… | cc        | dd          (cc begins at 12, dd at 15)
 *
 * Packed files and those with a delimiter that may overlap itself are one split. */
#ifndef FL_CONNECTORS_FILE_SPLITS_H
#define FL_CONNECTORS_FILE_SPLITS_H

#include "connectors/file/unpack.h"
#include "formats/lines.h"

enum { FL__SPLIT_BYTES = 4 * 1024 * 1024 };

typedef struct fl__split {
    const char *path;   /* borrowed from the list of files */
    int64_t start, end; /* bytes; end INT64_MAX: up to the file's end */
    bool is_whole;      /* the file from its first byte on, perhaps packed */
    int64_t resume;     /* lines that begin before this byte were taken already; 0: none were */
} fl__split;

typedef struct fl__splits {
    fl__split *items;
    size_t count, capacity;
} fl__splits;

/* Adds the files that path names: itself; those in a folder and below, but for names that begin with . or _; what a
 * glob fits, and what lies below folders that it fits. Sorted by path. Fails when there is no such file or folder, or
 * it cannot be read; a glob that fits nothing adds nothing. */
FL_MUST_USE fl_status fl__files_find(const fl__os *os, const char *path, fl__paths *files, fl_error *error);

/* Cuts the files into splits of split_bytes (the last of a file up to half as much again), in the order of the files.
 * Reads the first bytes of the large ones, to see whether they are packed. */
FL_MUST_USE fl_status fl__splits_make(fl__splits *splits, const fl__os *os, const fl__paths *files,
    const char *delimiter, int64_t split_bytes, fl_error *error);
void fl__splits_release(fl__splits *splits);

/* Reads the lines of one split after the other. */
typedef struct fl__split_reader {
    const fl__os *os;
    fl__lines lines;
    fl__unpack *unpack; /* of a whole file; made at the first */
    fl__file file;      /* of a part of one */
    const char *path;
    int64_t at, end; /* next byte to read; end of the split */
    bool is_whole, is_skipping, at_end, leaves_last;
} fl__split_reader;

/* delimiter is borrowed. */
void fl__split_reader_init(
    fl__split_reader *reader, const fl__os *os, const char *delimiter, size_t line_bytes_max, fl__memory *memory);
void fl__split_reader_release(fl__split_reader *reader);
FL_MUST_USE fl_status fl__split_reader_open(fl__split_reader *reader, const fl__split *split, fl_error *error);
/* Opens a file that grows at a byte where a line begins; its last line without a delimiter is left. */
FL_MUST_USE fl_status fl__split_reader_open_tail(
    fl__split_reader *reader, const char *path, int64_t start, fl_error *error);
/* Reads the rest of a split, from fl__split_reader_offset of the reader that had begun it on. A packed file is unpacked
 * once more up to there. */
FL_MUST_USE fl_status fl__split_reader_resume(
    fl__split_reader *reader, const fl__split *split, int64_t at, fl_error *error);
/* FL_OK: *line, valid until the next call; FL_DONE: the split has no more lines; or an error that names file and
 * byte. */
FL_MUST_USE fl_status fl__split_reader_next(fl__split_reader *reader, fl_string *line, fl_error *error);
/* Where the first line begins that was not taken. */
static inline int64_t fl__split_reader_offset(const fl__split_reader *reader)
{
    return reader->lines.offset;
}

#endif
