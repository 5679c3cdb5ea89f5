/* From a program's C file to something that runs. */
#ifndef FL_CLI_COMPILE_H
#define FL_CLI_COMPILE_H

#include "base/error.h"

/* A shared object for a C file: from the cache when the file, all headers that it includes (but the system's), the
 * compiler and the flags are the same as when it was made, otherwise compiled now. Costs a millisecond in the first
 * case. The compiler's messages go to standard error.
 * object  path of the object; free() it
 * returns FL_OK; FL_ERROR_INVALID: it does not compile; FL_ERROR_IO: no compiler, no such file, no folder to write
 * to */
FL_MUST_USE fl_status fl__compile_cached(const char *source, char **object, fl_error *error);

/* Compiles to a file of the caller's choice: a shared object, or a program with a main of its own. It appears whole or
 * not at all. */
FL_MUST_USE fl_status fl__compile(const char *source, const char *output, bool is_shared, fl_error *error);

#endif
