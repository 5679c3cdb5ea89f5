/* The terminal: a status line at its bottom that output does not run into.
 *
 * A status line is written to standard error. Whoever writes to a terminal meanwhile calls fl__terminal_clear first, so
 * that the text starts at the beginning of an empty line; the next fl__terminal_status puts the line back. */
#ifndef FL_OS_TERMINAL_H
#define FL_OS_TERMINAL_H

#include "flinc/base.h"

#include <stdatomic.h>

/* Is descriptor fd (1: standard output, 2: standard error) a terminal that can move its cursor? */
bool fl__terminal_is(int fd);

/* Shows text, cut to the terminal's width, in place of the last one. Any thread. */
void fl__terminal_status(const char *text);

extern _Atomic bool fl__terminal_has_status;
void fl__terminal_erase(int fd);

/* Before writing to fd (1 or 2): removes the status line if there is one and fd is a terminal. One load when there is
 * none. Any thread. */
static inline void fl__terminal_clear(int fd)
{
    /* relaxed: a line that shows up between this and the write costs a mixed line on a screen, no more. */
    if (FL_UNLIKELY(atomic_load_explicit(&fl__terminal_has_status, memory_order_relaxed)))
        fl__terminal_erase(fd);
}

#endif
