/* The status line of a running job: records read and written, their rates, how far the watermark is behind. */
#ifndef FL_CLUSTER_PROGRESS_H
#define FL_CLUSTER_PROGRESS_H

#include "api/api.h"
#include "os/thread.h"
#include "os/waker.h"

typedef struct fl__progress_line {
    fl_env *env;
    fl__thread thread;
    fl__waker waker;
    _Atomic bool is_over;
} fl__progress_line;

/* Shows the line five times a second from the second second on, when standard error is a terminal; otherwise
 * nothing. */
void fl__progress_line_start(fl__progress_line *line, fl_env *env);
/* Removes it. */
void fl__progress_line_stop(fl__progress_line *line);

/* The text: rates come from the progress seen before, interval_ms ago. now_ms: wall clock. free() it. */
char *fl__progress_text(const fl__progress *now, const fl__progress *before, int64_t interval_ms, int64_t now_ms);

#endif
