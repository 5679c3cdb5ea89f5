/* Cuts a flow of bytes into lines: text sources feed what they read and take lines out.
 *
 *     while ((status = fl__lines_next(&lines, &line)) == FL_AGAIN) {
 *         to = fl__lines_space(&lines, &room);
 *         fl__lines_added(&lines, read(…, to, room));      // at the end: fl__lines_last
 *     }
 *
 * A line ends at the delimiter, which is not part of it; with "\n" a "\r" before it is cut off too. Lines borrow from
 * the buffer until the next fl__lines_space. The buffer holds one read and grows with the longest line, at most to
 * line_bytes_max and a read more. Each byte is searched once, however many reads a line takes. */
#ifndef FL_FORMATS_LINES_H
#define FL_FORMATS_LINES_H

#include "base/memory.h"
#include "flinc/string.h"

enum {
    FL__LINES_READ_BYTES = 256 * 1024, /* what one read should ask for: a large copy, yet inside the L2 cache */
    FL__LINE_BYTES_MAX_DEFAULT = 16 * 1024 * 1024,
};

typedef struct fl__lines {
    char *buffer;
    size_t capacity;
    size_t begin, end; /* bytes [begin, end) are not taken yet */
    size_t searched;   /* no delimiter begins in [begin, searched) */
    int64_t offset;    /* of begin in the flow */
    const char *delimiter;
    size_t delimiter_length; /* ≥ 1 */
    bool strips_cr;
    size_t line_bytes_max;
    fl__memory *memory;
} fl__lines;

/* delimiter: borrowed, not empty; line_bytes_max 0: the default; offset: of the first byte, for messages and splits. */
void fl__lines_init(fl__lines *lines, const char *delimiter, size_t line_bytes_max, int64_t offset, fl__memory *memory);
void fl__lines_release(fl__lines *lines);
/* Forgets what is in the buffer and goes on at another place. */
void fl__lines_reset(fl__lines *lines, int64_t offset);

/* Where the next bytes go; *room ≥ FL__LINES_READ_BYTES / 2. Lines taken before are invalid after this. */
char *fl__lines_space(fl__lines *lines, size_t *room);
static inline void fl__lines_added(fl__lines *lines, size_t bytes)
{
    lines->end += bytes;
}

/* Takes the next line: FL_OK; FL_AGAIN: no whole line is there, add bytes; FL_ERROR_LIMIT: it is longer than
 * line_bytes_max (no message set; lines->offset says where it begins). */
fl_status fl__lines_next(fl__lines *lines, fl_string *line);
/* After fl__lines_next said FL_AGAIN and nothing more will come: the line without a delimiter. False when nothing is
 * left. */
bool fl__lines_last(fl__lines *lines, fl_string *line);
/* Drops everything up to and with the next delimiter: FL_OK; FL_AGAIN: not there yet, what cannot begin one is
 * dropped. */
fl_status fl__lines_skip(fl__lines *lines);

/* Can a delimiter be found from any place inside a flow? Not when it may overlap itself ("\n\n"): which of the
 * overlapping ones count depends on what stands before. */
bool fl__delimiter_is_local(const char *delimiter);

#endif
