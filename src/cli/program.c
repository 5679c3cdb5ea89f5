/* The actions that take a program: run, info, build. */
#include "cli/actions.h"
#include "cli/compile.h"
#include "cluster/run.h"
#include "os/file.h"

#include <dlfcn.h>
#include <stdio.h>

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), size = strlen(end);
    return length > size && strcmp(text + length - size, end) == 0;
}

static bool is_help(const fl__flag *flag)
{
    return flag->name && strcmp(flag->name, "help") == 0;
}

/* ---- loading ---- */

static fl_status refuse(const char *path, fl_error *error)
{
    fl__file_info info;
    fl_status status = fl__path_info(&fl__os_linux, path, &info, error);
    if (status != FL_OK)
        return status;
    if (info.folder)
        return fl__error_set(error, FL_ERROR_INVALID, "%s is a folder: name a program, NAME.c or NAME.so", path);
    if (ends_with(path, ".jar"))
        return fl__error_set(error, FL_ERROR_INVALID,
            "%s is a job for Flink's Java: flinc takes programs in C, NAME.c or NAME.so", path);
    return fl__error_set(error, FL_ERROR_INVALID,
        "%s is neither NAME.c nor NAME.so; a program that `flinc build` made runs by itself", path);
}

/* Loads the program's object into this process, which registers its FL_JOBs. It is never unloaded. */
static fl_status load(const char *path, fl_error *error)
{
    char *object = NULL;
    if (ends_with(path, ".c")) {
        fl_status status = fl__compile_cached(path, &object, error);
        if (status != FL_OK)
            return status;
    } else if (!ends_with(path, ".so") || !(object = realpath(path, NULL))) {
        return refuse(path, error);
    }
    void *handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
    free(object);
    if (!handle)
        return fl__error_set(error, FL_ERROR_INVALID, "cannot load %s: %s", path, dlerror());
    // cppcheck-suppress resourceLeak ; it stays for as long as the process: its functions are the job
    return FL_OK;
}

/* ---- run and info ---- */

/* Takes the options in; FL_DONE: help was asked for. */
static fl_status read_flags(const fl__action *action, fl__flags *flags, fl__run *run, fl_error *error)
{
    const fl__flag *flag;
    const char *value;
    fl_status status;
    while ((status = fl__flags_next(flags, &flag, &value, error)) == FL_OK) {
        if (is_help(flag)) {
            fl__print_action_help(action);
            return FL_DONE;
        }
        if (!flag->letters)
            run->mode = strcmp(flag->name, "text") == 0 ? FL__PLAN_TEXT : FL__PLAN_JSON;
        else if ((status = fl__run_flag(run, flag, value, error)) != FL_OK)
            return status;
    }
    return status == FL_DONE ? FL_OK : status;
}

static int run_or_plan(const fl__action *action, int argc, char **argv, fl__run_mode mode)
{
    fl__run run;
    fl__run_init(&run, "flinc");
    run.mode = mode;
    fl__flags flags = { .table = action->flags, .count = action->flag_count, .argc = argc, .argv = argv };
    fl_error error = FL_ERROR_INIT;
    int result;
    fl_status status = read_flags(action, &flags, &run, &error);
    if (status == FL_OK && flags.at == argc)
        status =
            fl__error_set(&error, FL_ERROR_INVALID, "name a program: flinc %s %s", action->name, action->arguments);
    if (status != FL_OK) {
        result = status == FL_DONE ? 0 : fl__usage_error(action, &error);
    } else {
        const char *path = argv[flags.at];
        const fl_job_entry *entry = NULL;
        if (load(path, &error) == FL_OK && !(entry = fl__run_entry(&run, &error)))
            fl__error_context(&error, "%s", path);
        result = entry ? fl__run_job(&run, entry, argc - flags.at, argv + flags.at) : fl__run_error("flinc", &error);
    }
    fl__run_release(&run);
    return result;
}

int fl__action_run(const fl__action *action, int argc, char **argv)
{
    return run_or_plan(action, argc, argv, FL__RUN);
}

int fl__action_info(const fl__action *action, int argc, char **argv)
{
    return run_or_plan(action, argc, argv, FL__PLAN);
}

/* ---- build ---- */

typedef struct build_request {
    const char *source, *output;
    bool is_shared;
} build_request;

static fl_status read_build(const fl__action *action, int argc, char **argv, build_request *b, fl_error *error)
{
    fl__flags flags = { .table = action->flags, .count = action->flag_count, .argc = argc, .argv = argv };
    const fl__flag *flag;
    const char *value;
    fl_status status;
    /* Options may follow the file as well: nothing else does. */
    while (flags.at < argc) {
        status = fl__flags_next(&flags, &flag, &value, error);
        if (status == FL_OK && is_help(flag)) {
            fl__print_action_help(action);
            return FL_DONE;
        }
        if (status == FL_OK && flag->letters)
            b->output = value;
        else if (status == FL_OK)
            b->is_shared = true;
        else if (status != FL_DONE)
            return status;
        else if (b->source)
            return fl__error_set(
                error, FL_ERROR_INVALID, "one program at a time: %s, or %s?", b->source, argv[flags.at]);
        else
            b->source = argv[flags.at++];
    }
    if (!b->source) {
        fl__error_set(error, FL_ERROR_INVALID, "name a program: flinc build %s", action->arguments);
        return FL_ERROR_INVALID;
    }
    if (!ends_with(b->source, ".c"))
        return fl__error_set(error, FL_ERROR_INVALID, "%s is not a C file, NAME.c", b->source);
    b->is_shared = b->is_shared || (b->output && ends_with(b->output, ".so"));
    return FL_OK;
}

int fl__action_build(const fl__action *action, int argc, char **argv)
{
    build_request b = { NULL, NULL, false };
    fl_error error = FL_ERROR_INIT;
    fl_status status = read_build(action, argc, argv, &b, &error);
    if (status != FL_OK)
        return status == FL_DONE ? 0 : fl__usage_error(action, &error);
    char *name = NULL;
    if (asprintf(&name, "%.*s%s", (int)strlen(b.source) - 2, b.source, b.is_shared ? ".so" : "") < 0)
        abort();
    status = fl__compile(b.source, b.output ? b.output : name, b.is_shared, &error);
    free(name);
    return status == FL_OK ? 0 : fl__run_error("flinc", &error);
}
