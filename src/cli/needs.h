/* What a program says of the libraries it needs, in lines of comments in its C file:
 *
 *     flinc-pkg-config: sqlite3 libmariadb?
 *     flinc-libs: -lm
 *
 * The first gives names of pkg-config packages, whose flags are used to compile and to link; the program can do without
 * those that end in '?' (it asks by __has_include). The second gives words for the linker. A line begins with one of
 * the two names after blanks, '/' and '*'. */
#ifndef FL_CLI_NEEDS_H
#define FL_CLI_NEEDS_H

#include "cli/toolchain.h"

/* Adds what the C file asks for to the flags. Starts pkg-config twice for each package; nothing without such lines.
 * returns FL_OK; FL_ERROR_INVALID: a package is missing, with the line that names it; FL_ERROR_IO: no such file */
FL_MUST_USE fl_status fl__needs_add(fl__toolchain *tools, const char *source, fl_error *error);

#endif
