/* This process and those it starts: running a command, being interrupted, where the program lies. */
#ifndef FL_OS_PROCESS_H
#define FL_OS_PROCESS_H

#include "base/error.h"

/* Runs a command and waits for its end.
 * argv     argv[0] is looked up in PATH; ends with NULL
 * output   NULL: the command writes where this process does; otherwise gets its standard output in a heap block, a 0
 *          byte behind it; free() it, also after an error
 * exit_code  what it exited with; 128 + the signal that killed it
 * returns FL_OK when it ran, whatever it exited with; FL_ERROR_IO when it could not be started */
FL_MUST_USE fl_status fl__process_run(char *const argv[], char **output, int *exit_code, fl_error *error);

/* Path of the running program's file; free() it. NULL when the system does not tell. */
char *fl__process_executable(void);

/* Makes the first Ctrl-C (SIGINT), SIGTERM or SIGHUP call first(arg), and the second end the process as if nobody
 * watched. first runs in a signal handler, in the thread that calls this: it may only do what is safe there. One watch
 * at a time. */
void fl__interrupt_watch(void (*first)(void *arg), void *arg);
/* Back to the system's ways. */
void fl__interrupt_unwatch(void);
/* The signal that came first; 0: none. */
int fl__interrupt_signal(void);

#endif
