#include "cluster/run.h"
#include "api/api.h"
#include "api/registry.h"
#include "base/nearest.h"
#include "cluster/job.h"
#include "cluster/progress.h"
#include "os/os.h"
#include "os/process.h"

#include <stdio.h>

void fl__run_init(fl__run *run, const char *program)
{
    *run = (fl__run){ .config = fl__config_new(), .program = program };
}

void fl__run_release(fl__run *run)
{
    fl__config_free(run->config);
}

int fl__run_error(const char *program, fl_error *error)
{
    fflush(stdout);
    if (error->where.file)
        fprintf(stderr, "%s:%d: %s\n", error->where.file, error->where.line, error->text);
    else
        fprintf(stderr, "%s: %s\n", program, error->text);
    fl__error_release(error);
    return 1;
}

/* ---- options ---- */

fl_status fl__run_flag(fl__run *run, const fl__flag *flag, const char *value, fl_error *error)
{
    switch (flag->letters[0]) {
    case 'c': run->entry_name = value; return FL_OK;
    case 'p':
        if (fl__config_set(run->config, "parallelism.default", value, error) == FL_OK)
            return FL_OK;
        fl__error_release(error);
        return fl__error_set(error, FL_ERROR_INVALID, "option -p: '%s' is not a whole number between 1 and %d", value,
            (int)fl__options[FL__OPTION_PARALLELISM_DEFAULT].max);
    case 's': return fl__config_set(run->config, "execution.state-recovery.path", value, error);
    default:
        if (fl__config_set_pair(run->config, value, error) == FL_OK)
            return FL_OK;
        fl__error_context(error, "-D");
        return FL_ERROR_INVALID;
    }
}

/* ---- the entry ---- */

/* The entries in the order of the program, where registration puts the newest first; NULL past the last. */
static const fl_job_entry *entry_at(size_t index)
{
    size_t count = 0;
    for (const fl_job_entry *e = fl__jobs(); e; e = e->next)
        count++;
    const fl_job_entry *e = index < count ? fl__jobs() : NULL;
    for (size_t i = count - 1; e && i > index; i--)
        e = e->next;
    return e;
}

static const fl_job_entry *no_such_entry(const fl__run *run, fl_error *error)
{
    char *names = NULL;
    size_t size;
    FILE *out = open_memstream(&names, &size);
    if (!out)
        abort();
    fl__nearest nearest;
    fl__nearest_init(&nearest, run->entry_name ? run->entry_name : "");
    const fl_job_entry *entry;
    for (size_t i = 0; (entry = entry_at(i)) != NULL; i++) {
        fprintf(out, "%s%s", i == 0 ? "" : ", ", entry->name);
        fl__nearest_offer(&nearest, entry->name);
    }
    fclose(out);
    char *hint = fl__nearest_text(&nearest);
    if (run->entry_name)
        fl__error_set(error, FL_ERROR_INVALID, "there is no FL_JOB(%s)%s (there is: %s)", run->entry_name, hint, names);
    else
        fl__error_set(error, FL_ERROR_INVALID, "there are several FL_JOBs: choose one with -c (%s)", names);
    free(names);
    free(hint);
    return NULL;
}

const fl_job_entry *fl__run_entry(const fl__run *run, fl_error *error)
{
    const fl_job_entry *entry = entry_at(0);
    if (!entry) {
        fl__error_set(error, FL_ERROR_INVALID,
            "there is no FL_JOB in it: FL_JOB(name) { … return fl_execute(env, \"Name\"); } is where a job begins");
        return NULL;
    }
    if (!run->entry_name && entry_at(1))
        return no_such_entry(run, error);
    for (size_t i = 0; run->entry_name && entry && strcmp(entry->name, run->entry_name) != 0;)
        entry = entry_at(++i);
    if (!entry)
        return no_such_entry(run, error);
    if (entry->abi != FLINC_ABI) {
        fl__error_set(error, FL_ERROR_INVALID,
            "it was built with flinc headers of ABI %d, and this flinc has %d: build it again", entry->abi, FLINC_ABI);
        return NULL;
    }
    return entry;
}

/* ---- the run ---- */

typedef struct watch {
    fl__observer observer; /* first: cast back */
    const fl__run *run;
    fl__progress_line line;
    char job_id[33];
    bool has_run;
} watch;

static void job_started(fl__observer *observer, fl_env *env)
{
    watch *w = (watch *)observer;
    w->has_run = true;
    snprintf(w->job_id, sizeof w->job_id, "%016llx%016llx", (unsigned long long)fl__os_random_u64(&fl__os_linux),
        (unsigned long long)fl__os_random_u64(&fl__os_linux));
    if (!w->run->is_quiet)
        fprintf(stderr, "Job has been submitted with JobID %s\n", w->job_id);
    fl__progress_line_start(&w->line, env);
}

static void print_accumulator(const char *name, bool is_double, int64_t i, double d, void *arg)
{
    bool *any = arg;
    if (!*any)
        fprintf(stderr, "Accumulator Results: \n");
    *any = true;
    if (is_double)
        fprintf(stderr, "- %s (double): %.17g\n", name, d);
    else
        fprintf(stderr, "- %s (int64): %lld\n", name, (long long)i);
}

/* The lines that Flink's command line prints, to standard error: standard output is the print sink's. */
static void job_ended(fl__observer *observer, fl_env *env, fl_status status)
{
    watch *w = (watch *)observer;
    fl__progress_line_stop(&w->line);
    bool is_cancelled = status == FL_ERROR_CANCELLED, any = false;
    if (is_cancelled)
        fprintf(stderr, "Job with JobID %s was cancelled after %lld ms: %lld records read, %lld written.\n", w->job_id,
            (long long)fl_result_runtime_ms(env), (long long)fl_result_records_in(env),
            (long long)fl_result_records_out(env));
    if (status == FL_OK && !w->run->is_quiet)
        fprintf(stderr, "Program execution finished\nJob with JobID %s has finished.\nJob Runtime: %lld ms\n",
            w->job_id, (long long)fl_result_runtime_ms(env));
    if (is_cancelled || (status == FL_OK && !w->run->is_quiet))
        fl__env_accumulators(env, print_accumulator, &any);
}

static void cancel(void *env)
{
    fl__env_cancel(env);
}

static int print_plan(const fl__run *run, fl_env *env)
{
    char *plan = run->mode == FL__PLAN_TEXT ? fl_plan_text(env) : fl_plan_json(env);
    if (!plan)
        return fl__run_error(run->program, &env->error);
    if (run->mode == FL__PLAN)
        printf("----------------------- Execution Plan -----------------------\n%s\n"
               "--------------------------------------------------------------\n\nNo description provided.\n",
            plan);
    else
        printf("%s%s", plan, *plan && plan[strlen(plan) - 1] == '\n' ? "" : "\n");
    free(plan);
    return 0;
}

/* What the entry's end means, as an exit status. */
static int conclude(const fl__run *run, fl_env *env, const watch *w, int result)
{
    if (w->has_run && env->error.status == FL_ERROR_CANCELLED && fl__interrupt_signal() != 0)
        return 128 + fl__interrupt_signal();
    if (env->error.status != FL_OK)
        return fl__run_error(run->program, &env->error);
    bool has_plan = run->mode != FL__RUN && env->job_name; /* result is then not 0, for nothing was run */
    if (result != 0 && !has_plan)
        return result > 0 && result < 256 ? result : 1;
    if (env->job_name)
        return run->mode == FL__RUN ? 0 : print_plan(run, env);
    fl_error error = FL_ERROR_INIT;
    fl__error_set(
        &error, FL_ERROR_INVALID, "the program ended without a job: did it forget fl_execute(env, \"Name\")?");
    return fl__run_error(run->program, &error);
}

int fl__run_job(const fl__run *run, const fl_job_entry *entry, int argc, char **argv)
{
    fl_env *env = fl_env_new(argc, argv);
    watch w = { .observer = { job_started, job_ended }, .run = run };
    fl__env_configure(env, run->config);
    env->plan_only = run->mode != FL__RUN;
    env->observer = &w.observer;
    fl__interrupt_watch(cancel, env);
    int result = entry->run(env);
    fl__env_wait(env);
    fl__interrupt_unwatch();
    result = conclude(run, env, &w, result);
    fl_env_free(env);
    return result;
}
