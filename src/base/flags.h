/* Options of a command line, by a table: `-p 4`, `-p4`, `--parallelism 4`, `--parallelism=4`. As in Flink's command
 * line they end where the first argument stands that is none; what follows is somebody else's. */
#ifndef FL_BASE_FLAGS_H
#define FL_BASE_FLAGS_H

#include "base/error.h"

typedef struct fl__flag {
    const char *letters; /* behind one dash: "p", "sae"; NULL: none */
    const char *name;    /* behind two: "parallelism"; NULL: none */
    const char *value;   /* what its value is called in the help: "n"; NULL: takes none */
    const char *text;    /* one line of help; NULL: not shown */
    const char *refusal; /* known, but not to be had: why. NULL: fine */
} fl__flag;

typedef struct fl__flags {
    const fl__flag *table;
    size_t count;
    int argc;
    char **argv;
    int at;             /* index of the next argument */
    bool leave_unknown; /* an unknown option ends the options and is no error */
} fl__flags;

/* The next option: its row, and its value (NULL when it takes none).
 * returns FL_OK; FL_DONE: argv[at] is no option, or there is none (a "--" is skipped); FL_ERROR_INVALID: unknown option
 *         (with the nearest names), value missing or too much, or refused */
FL_MUST_USE fl_status fl__flags_next(fl__flags *flags, const fl__flag **flag, const char **value, fl_error *error);

/* "-p, --parallelism <n>" into the buffer. */
void fl__flag_usage(const fl__flag *flag, char *buffer, size_t size);

#endif
