#include "formats/lines.h"

#include "base/error.h"

void fl__lines_init(fl__lines *lines, const char *delimiter, size_t line_bytes_max, int64_t offset, fl__memory *memory)
{
    fl_assert(delimiter && *delimiter);
    memset(lines, 0, sizeof *lines);
    lines->delimiter = delimiter;
    lines->delimiter_length = strlen(delimiter);
    lines->strips_cr = strcmp(delimiter, "\n") == 0;
    lines->line_bytes_max = line_bytes_max ? line_bytes_max : FL__LINE_BYTES_MAX_DEFAULT;
    lines->offset = offset;
    lines->memory = memory;
}

void fl__lines_release(fl__lines *lines)
{
    if (lines->buffer)
        fl__free(lines->memory, lines->buffer, lines->capacity);
    lines->buffer = NULL;
    lines->capacity = lines->begin = lines->end = lines->searched = 0;
}

void fl__lines_reset(fl__lines *lines, int64_t offset)
{
    lines->begin = lines->end = lines->searched = 0;
    lines->offset = offset;
}

char *fl__lines_space(fl__lines *lines, size_t *room)
{
    size_t left = lines->end - lines->begin;
    if (lines->begin > 0) {
        /* what is left is the beginning of one line: seldom much */
        memmove(lines->buffer, lines->buffer + lines->begin, left);
        lines->searched -= lines->begin;
        lines->begin = 0;
        lines->end = left;
    }
    if (lines->capacity - left < FL__LINES_READ_BYTES / 2) {
        size_t capacity = lines->capacity ? lines->capacity * 2 : FL__LINES_READ_BYTES;
        lines->buffer = fl__realloc(lines->memory, lines->buffer, lines->capacity, capacity);
        lines->capacity = capacity;
    }
    *room = lines->capacity - left;
    return lines->buffer + left;
}

/* The first delimiter at or after searched; NULL when there is none, and searched is moved on. */
static char *find(fl__lines *lines)
{
    if (lines->searched == lines->end)
        return NULL;
    char *from = lines->buffer + lines->searched;
    size_t length = lines->end - lines->searched, whole = lines->delimiter_length;
    char *at = whole == 1 ? memchr(from, lines->delimiter[0], length) : memmem(from, length, lines->delimiter, whole);
    if (!at) {
        /* the last bytes may be the beginning of one */
        size_t safe = length < whole ? 0 : length - (whole - 1);
        lines->searched += safe;
    }
    return at;
}

static void take_up_to(fl__lines *lines, size_t position)
{
    lines->offset += (int64_t)(position - lines->begin);
    lines->begin = position;
    if (lines->searched < position)
        lines->searched = position;
}

static fl_string cut(const fl__lines *lines, size_t end)
{
    const char *start = lines->buffer + lines->begin;
    size_t length = end - lines->begin;
    if (lines->strips_cr && length > 0 && start[length - 1] == '\r')
        length--;
    return fl_string_of(start, length);
}

fl_status fl__lines_next(fl__lines *lines, fl_string *line)
{
    char *at = find(lines);
    size_t end = at ? (size_t)(at - lines->buffer) : lines->searched;
    if (FL_UNLIKELY(end - lines->begin > lines->line_bytes_max)) {
        /* a "\r" that is cut off does not count; without the delimiter nobody knows yet */
        if (!at ? end - lines->begin > lines->line_bytes_max + 1 : cut(lines, end).length > lines->line_bytes_max)
            return FL_ERROR_LIMIT;
    }
    if (!at)
        return FL_AGAIN;
    *line = cut(lines, end);
    take_up_to(lines, end + lines->delimiter_length);
    return FL_OK;
}

bool fl__lines_last(fl__lines *lines, fl_string *line)
{
    if (lines->begin == lines->end)
        return false;
    *line = cut(lines, lines->end);
    take_up_to(lines, lines->end);
    return true;
}

fl_status fl__lines_skip(fl__lines *lines)
{
    char *at = find(lines);
    take_up_to(lines, at ? (size_t)(at - lines->buffer) + lines->delimiter_length : lines->searched);
    return at ? FL_OK : FL_AGAIN;
}

bool fl__delimiter_is_local(const char *delimiter)
{
    size_t length = strlen(delimiter);
    for (size_t border = 1; border < length; border++)
        if (memcmp(delimiter, delimiter + length - border, border) == 0)
            return false;
    return true;
}
