/* Running an FL_JOB for somebody at a command line: its entry chosen, the options of the command line applied, Ctrl-C
 * heeded, progress shown on a terminal, the outcome told. What fl_main and the flinc command have in common. */
#ifndef FL_CLUSTER_RUN_H
#define FL_CLUSTER_RUN_H

#include "base/config.h"
#include "base/flags.h"
#include "flinc/env.h"

/* The options of both, as rows of a table of flags; fl__run_flag takes them in. */
#define FL__RUN_FLAGS                                                                                                  \
    { .letters = "c", .name = "class", .value = "entry", .text = "The FL_JOB to run, when the program has several." }, \
        { .letters = "p",                                                                                              \
            .name = "parallelism",                                                                                     \
            .value = "n",                                                                                              \
            .text = "Parallelism of all operators that do not set one." },                                             \
        { .letters = "s",                                                                                              \
            .name = "fromSavepoint",                                                                                   \
            .value = "path",                                                                                           \
            .text = "The savepoint or checkpoint that the job starts from." },                                         \
    {                                                                                                                  \
        .letters = "D", .value = "key=value", .text = "Sets a configuration option; `flinc help options` lists them."  \
    }

typedef enum fl__run_mode {
    FL__RUN,       /* run it */
    FL__PLAN,      /* print the plan as `flink info` does: JSON within a frame */
    FL__PLAN_JSON, /* the JSON alone */
    FL__PLAN_TEXT  /* a picture */
} fl__run_mode;

typedef struct fl__run {
    const char *entry_name; /* of -c; NULL */
    fl__config *config;     /* of -p and -D */
    fl__run_mode mode;
    bool is_quiet;       /* say nothing about a job that has finished well */
    const char *program; /* what messages call it */
} fl__run;

void fl__run_init(fl__run *run, const char *program);
void fl__run_release(fl__run *run);

/* Takes in a row of FL__RUN_FLAGS. */
FL_MUST_USE fl_status fl__run_flag(fl__run *run, const fl__flag *flag, const char *value, fl_error *error);

/* The FL_JOB named, or the only one there is; NULL with the error: none, several, no such name, another ABI. */
const fl_job_entry *fl__run_entry(const fl__run *run, fl_error *error);

/* Runs the entry in an environment with the job's own arguments, argv[0] being no argument. Errors have been printed
 * when this returns.
 * returns the exit status: 0; 1 when the job failed or was not started; what the entry returns when it fails without an
 *         error of flinc's; 128 + the signal that cancelled the job */
int fl__run_job(const fl__run *run, const fl_job_entry *entry, int argc, char **argv);

/* "program: text" or, when the error has a place in a program, "file:line: text" to standard error. Releases *error.
 * Returns 1, an exit status. */
int fl__run_error(const char *program, fl_error *error);

#endif
