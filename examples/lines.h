/* Where the examples read from: --input FILE (or folder, or glob); --port N of a server at --host NAME (try
 * nc -lk 9999); without either, the example's own data, relative to the top of the source tree. */
#ifndef EXAMPLES_LINES_H
#define EXAMPLES_LINES_H

#include <flinc.h>

static inline bool example_reads_socket(fl_env *env)
{
    return fl_param_has(env, "port") || fl_param_has(env, "host");
}

/* A stream of fl_string, one a line. */
static inline fl_stream *example_lines(fl_env *env, const char *own_data)
{
    if (example_reads_socket(env))
        return fl_socket_text(env, fl_param(env, "host", "localhost"), fl_param_int(env, "port", 9999));
    return fl_read_text(env, fl_param(env, "input", own_data));
}

#endif
