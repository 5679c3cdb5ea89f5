/* The flinc command: finds the action, which does the rest. */
#include "cli/actions.h"
#include "base/nearest.h"
#include "cluster/run.h"

#include <errno.h>
#include <stdio.h>

#define NO_CLUSTER "this version runs jobs in its own process; clusters are still to come"

static const fl__flag run_flags[] = {
    FL__RUN_FLAGS,
    { .letters = "h", .name = "help", .text = "Shows this." },
    { .letters = "d", .name = "detached", .refusal = NO_CLUSTER },
    { .letters = "m", .name = "jobmanager", .value = "host:port", .refusal = NO_CLUSTER },
    { .letters = "t", .name = "target", .value = "target", .refusal = NO_CLUSTER },
    { .letters = "sae", .name = "shutdownOnAttachedExit", .refusal = NO_CLUSTER },
    { .letters = "n", .name = "allowNonRestoredState", .refusal = "savepoints are still to come" },
    { .letters = "cm", .name = "claimMode", .value = "mode", .refusal = "savepoints are still to come" },
    { .letters = "rm", .name = "restoreMode", .value = "mode", .refusal = "savepoints are still to come" },
    { .letters = "z", .name = "zookeeperNamespace", .value = "name", .refusal = NO_CLUSTER },
    { .letters = "C",
        .name = "classpath",
        .value = "url",
        .refusal = "a C program has no class path; libraries go into LDLIBS, headers into CFLAGS" },
};

static const fl__flag info_flags[] = {
    FL__RUN_FLAGS,
    { .name = "json", .text = "Prints the JSON alone, without the frame around it." },
    { .name = "text", .text = "Prints a picture instead of JSON." },
    { .letters = "h", .name = "help", .text = "Shows this." },
};

static const fl__flag build_flags[] = {
    { .letters = "o",
        .name = "output",
        .value = "file",
        .text = "The file to make; by default the program's name without .c, or with .so for .c." },
    { .name = "shared", .text = "Makes a shared object for `flinc run`, not a program; implied by -o NAME.so." },
    { .letters = "h", .name = "help", .text = "Shows this." },
};

static const fl__flag help_flags[] = {
    { .letters = "h", .name = "help", .text = "Shows this." },
};

#define FLAGS(table) .flags = (table), .flag_count = sizeof(table) / sizeof *(table)

const fl__action fl__actions[] = {
    { "run", "<program.c|program.so> [arguments]", "Compiles a program if need be, and runs it.",
        "A .c file is compiled with $CC (or cc), $CFLAGS and $LDLIBS; the result is kept in the cache folder and used\n"
        "again for as long as the file, the headers it includes and the compiler are the same. What follows the\n"
        "program are the job's own arguments. Ctrl-C cancels the job in order and prints what was processed; the\n"
        "second ends it at once.",
        FLAGS(run_flags), .run = fl__action_run, .takes_program = true },
    { "info", "<program.c|program.so> [arguments]", "Prints a program's execution plan, without running it.",
        "By default as JSON in the frame that Flink's `info` prints.", FLAGS(info_flags), .run = fl__action_info,
        .takes_program = true },
    { "build", "<program.c>", "Compiles a program.",
        "By default to a program that runs by itself; with --shared to an object for `flinc run`.", FLAGS(build_flags),
        .run = fl__action_build, .takes_program = true },
    { "version", "", "Prints the version.", NULL, FLAGS(help_flags), .run = fl__action_version },
    { "help", "[action|options|completion]", "Explains the actions, or one of them.",
        "help options [--markdown|--keys]   lists the configuration options\n"
        "help completion bash|zsh           prints the completion script of a shell",
        FLAGS(help_flags), .run = fl__action_help },
};
const size_t fl__action_count = sizeof fl__actions / sizeof *fl__actions;

/* Actions of Flink's that are not there yet, so that nobody looks for a typing error. */
static const char *const later_actions[] = { "run-application", "list", "stop", "cancel", "savepoint", "checkpoint",
    "modify" };

const fl__action *fl__action_find(const char *name)
{
    for (size_t i = 0; i < fl__action_count; i++) {
        if (strcmp(fl__actions[i].name, name) == 0)
            return &fl__actions[i];
    }
    return NULL;
}

int fl__usage_error(const fl__action *action, fl_error *error)
{
    fprintf(stderr, "flinc %s: %s\nflinc %s --help explains the action.\n", action->name, error->text, action->name);
    fl__error_release(error);
    return 1;
}

static int no_such_action(const char *name)
{
    for (size_t i = 0; i < sizeof later_actions / sizeof *later_actions; i++) {
        if (strcmp(later_actions[i], name) == 0) {
            fprintf(stderr, "flinc %s: %s\n", name, NO_CLUSTER);
            return 1;
        }
    }
    fl__nearest nearest;
    fl__nearest_init(&nearest, name);
    for (size_t i = 0; i < fl__action_count; i++)
        fl__nearest_offer(&nearest, fl__actions[i].name);
    char *hint = fl__nearest_text(&nearest);
    size_t length = strlen(name);
    bool is_program = length > 2 && (strcmp(name + length - 2, ".c") == 0 || strcmp(name + length - 2, "so") == 0);
    if (is_program)
        fprintf(stderr, "flinc: what to do with %s? `flinc run %s` runs it\n", name, name);
    else
        fprintf(stderr, "flinc: there is no action '%s'%s\nflinc help lists them.\n", name, hint);
    free(hint);
    return 1;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        fprintf(stderr, "flinc: say what to do: flinc <action> [options] [arguments]\nflinc help lists the actions.\n");
        return 1;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-v") == 0)
        name = "version";
    const fl__action *action = fl__action_find(name);
    if (!action)
        return no_such_action(name);
    int result = action->run(action, argc - 2, argv + 2);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "flinc: cannot write to standard output: %s\n", strerror(errno));
        return 1;
    }
    return result;
}
