/* The actions of the flinc command: one table, from which dispatch, help and completion come. */
#ifndef FL_CLI_ACTIONS_H
#define FL_CLI_ACTIONS_H

#include "base/flags.h"

typedef struct fl__action {
    const char *name;
    const char *arguments; /* what follows its options, for the help: "<program.c|program.so> [arguments]" */
    const char *summary;   /* one line */
    const char *text;      /* more, for `flinc help ACTION` */
    const fl__flag *flags;
    size_t flag_count;
    int (*run)(const struct fl__action *action, int argc, char **argv); /* argv: behind the action's name */
    bool takes_program; /* its first argument is a file to complete, .c or .so */
} fl__action;

extern const fl__action fl__actions[];
extern const size_t fl__action_count;

const fl__action *fl__action_find(const char *name); /* NULL: none */

int fl__action_run(const fl__action *action, int argc, char **argv);
int fl__action_build(const fl__action *action, int argc, char **argv);
int fl__action_info(const fl__action *action, int argc, char **argv);
int fl__action_version(const fl__action *action, int argc, char **argv);
int fl__action_help(const fl__action *action, int argc, char **argv);

/* Prints the error as "flinc run: …" with a pointer to the help; returns 1. */
int fl__usage_error(const fl__action *action, fl_error *error);
/* The help of one action, of all. */
void fl__print_action_help(const fl__action *action);
void fl__print_help(void);

#endif
