/* fl_execute: from the environment to a finished job. */
#include "cluster/job.h"

#include "api/substitute.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/params.h"
#include "cluster/checkpoints.h"

#include <stdio.h>

/* `flinc info`: the program is run for its graph only. FL_DONE tells it that there are no results to speak of. */
static int plan_only(fl_env *env)
{
    fl_status status = fl__graph_chain(&env->graph);
    return status == FL_OK ? FL_DONE : (int)status;
}

/* The running job, for threads and signal handlers; paired with leave_job, between them the job stays. */
static fl__job *enter_job(fl_env *env)
{
    atomic_fetch_add(&env->job_readers, 1);
    return atomic_load(&env->running);
}

static void leave_job(fl_env *env)
{
    atomic_fetch_sub(&env->job_readers, 1);
}

/* Readers that came before the store are waited for, those that come after it see NULL. They stay for microseconds, and
 * a signal handler cannot be waited for by the thread that it interrupts: it ends first. */
static void hide_job(fl_env *env)
{
    atomic_store(&env->running, NULL);
    while (atomic_load(&env->job_readers) > 0)
        fl__thread_yield();
}

static void keep_result(fl_env *env, const fl__job *job)
{
    if (!env->result)
        env->result = fl__arena_alloc(&env->arena, sizeof *env->result);
    fl__job_summarize(job, env->result);
    for (uint32_t i = 0; i < env->result->accumulators.count; i++) {
        fl__accumulator *a = &env->result->accumulators.items[i];
        a->name = fl__arena_strdup(&env->arena, a->name);
    }
}

/* Tasks of this attempt start from the catalog, and take checkpoints. */
static void prepare_attempt(fl__job *job, fl__recovery *recovery, const fl__os *os)
{
    for (uint32_t t = 0; t < job->task_count; t++) {
        fl__task *task = &job->tasks[t];
        task->attempt = recovery->attempt;
        task->restored = recovery->has_catalog ? &recovery->catalog : NULL;
        for (uint32_t i = 0; i < task->operator_count; i++)
            task->operators[i]->ctx.attempt = recovery->attempt;
    }
    if (recovery->takes_checkpoints)
        job->checkpoints = fl__checkpoints_new(job, recovery, os);
}

/* One attempt. What is left of the job, its result, is in env; the error in *error. */
static fl_status attempt(fl_env *env, fl__recovery *recovery, const fl__os *os, fl_error *error)
{
    fl_status status = fl__recovery_prepare(recovery, error);
    if (status != FL_OK)
        return status;
    if (env->simulation)
        ((fl__simulation *)(uintptr_t)env->simulation)->restores += recovery->has_catalog;
    fl__job job;
    fl__job_build(&job, env, os);
    prepare_attempt(&job, recovery, os);
    job.started_ns = fl__os_monotonic_ns(&fl__os_linux);
    atomic_store(&env->running, &job);
    if (atomic_load(&env->cancelled))
        fl__job_cancel(&job);
    status = env->graph.is_batch ? fl__spill_check(&job.spill, &job.error) : FL_OK;
    if (status == FL_OK)
        status = env->simulation ? fl__job_run_simulated(&job, env->simulation) : fl__job_run_threads(&job);
    hide_job(env);
    fl__checkpoints_free(job.checkpoints);
    keep_result(env, &job);
    fl__error_move(error, &job.error);
    fl__job_release(&job);
    return status;
}

/* Waits before the next attempt; false: cancelled meanwhile. */
static bool wait_for_restart(fl_env *env, int64_t delay_ms)
{
    enum { LOOK_MS = 10 };
    fl__waker waker;
    fl__waker_init(&waker);
    int64_t end = fl__os_monotonic_ns(&fl__os_linux) + delay_ms * 1000000, left;
    while (!atomic_load(&env->cancelled) && (left = end - fl__os_monotonic_ns(&fl__os_linux)) > 0)
        fl__waker_park(&waker, fl__waker_prepare(&waker), left < LOOK_MS * 1000000 ? left : LOOK_MS * 1000000);
    fl__waker_release(&waker);
    return !atomic_load(&env->cancelled);
}

/* Is there to be another attempt after this failure? It has been waited for then. */
static bool try_again(fl_env *env, fl__recovery *recovery, const fl__os *os, fl_status status, fl_error *error)
{
    int64_t delay_ms = 0;
    char reason[160];
    if (error->text && strcmp(error->text, FL__KILLED) == 0) {
        recovery->attempt++;
    } else if (status == FL_OK || status == FL_ERROR_CANCELLED) {
        return false;
    } else if (!fl__recovery_again(recovery, status, fl__os_now_ms(os), &delay_ms)) {
        if (recovery->attempt > 0)
            fl__error_context(error, "%s; after %d restarts",
                fl__restart_reason(&recovery->restart, reason, sizeof reason), recovery->attempt);
        return false;
    } else {
        fl__log(FL__LOG_WARN, "job", "%s failed, restart %d in %lld ms: %s", env->job_name, recovery->attempt,
            (long long)delay_ms, error->text);
    }
    if (env->simulation)
        env->simulation->machine->now_ms += delay_ms;
    else if (!wait_for_restart(env, delay_ms))
        return false;
    fl__error_release(error);
    *error = FL_ERROR_INIT;
    return true;
}

/* Attempts until one ends well or nobody wants another. */
static fl_status run(fl_env *env)
{
    fl__virtual_os machine;
    const fl__os *os = &fl__os_linux;
    fl__recovery recovery;
    fl_error error = FL_ERROR_INIT;
    if (env->simulation) {
        fl__virtual_os_init(&machine, env->simulation->start_ms, env->simulation->seed);
        fl__simulation *simulation = (fl__simulation *)(uintptr_t)env->simulation;
        simulation->machine = &machine;
        simulation->random = simulation->seed;
        simulation->trace = simulation->steps = simulation->kills = simulation->restores = 0;
        os = &machine.os;
    }
    int64_t started_ns = fl__os_monotonic_ns(&fl__os_linux);
    if (env->observer)
        env->observer->started(env->observer, env);
    fl_status status = fl__recovery_init(&recovery, env, os, env->graph.is_batch, &error);
    if (status == FL_OK) {
        do {
            status = attempt(env, &recovery, os, &error);
        } while (try_again(env, &recovery, os, status, &error));
    }
    fl__recovery_release(&recovery, status);
    if (env->result)
        env->result->runtime_ms = (fl__os_monotonic_ns(&fl__os_linux) - started_ns) / 1000000;
    if (status != FL_OK)
        fl__error_move(&env->error, &error);
    fl__error_release(&error);
    if (env->observer)
        env->observer->ended(env->observer, env, status);
    env->is_executed = true;
    return status;
}

int fl_execute(fl_env *env, const char *job_name)
{
    const char *configured = fl__config_text(env->config, FL__OPTION_PIPELINE_NAME);
    env->job_name = fl__arena_strdup(&env->arena, configured ? configured
                                                  : job_name ? job_name
                                                             : "Flink Streaming Job");
    /* A mistyped argument is an error: run with the default, the job would do something else than what was asked. */
    if (env->error.status == FL_OK && fl__params_check_asked(env->params, &env->error) != FL_OK)
        return (int)env->error.status;
    if (env->error.status == FL_OK && fl__substitutions_check(env) != FL_OK)
        return (int)env->error.status;
    if (env->plan_only)
        return plan_only(env);
    if (fl__graph_chain(&env->graph) != FL_OK)
        return (int)env->error.status;
    return (int)run(env);
}

void fl__env_cancel(fl_env *env)
{
    atomic_store(&env->cancelled, 1);
    fl__job *job = enter_job(env);
    if (job)
        fl__job_cancel(job);
    leave_job(env);
}

static void find_held(const fl__task *task, fl_time now, fl__progress *progress)
{
    fl__held held;
    if (!fl__task_held(task, &held) || now - held.since <= progress->held_ms)
        return;
    snprintf(progress->held_by, sizeof progress->held_by, "%s", held.by);
    progress->held_ms = now - held.since;
}

static void measure(const fl__job *job, fl__progress *progress)
{
    fl_time now = fl__os_now_ms(&fl__os_linux);
    progress->is_running = true;
    progress->elapsed_ms = (fl__os_monotonic_ns(&fl__os_linux) - job->started_ns) / 1000000;
    progress->stage = atomic_load_explicit(&job->stage, memory_order_relaxed);
    progress->stage_count = job->stage_count;
    fl_time low = FL_TIME_MAX;
    for (uint32_t t = 0; t < job->task_count; t++) {
        const fl__task *task = &job->tasks[t];
        find_held(task, now, progress);
        if (task->operators[0]->class->poll)
            progress->records_in += (int64_t)atomic_load_explicit(&task->metrics.rows_in, memory_order_relaxed);
        if (task->writer_count)
            continue;
        progress->records_out += (int64_t)atomic_load_explicit(&task->metrics.rows_out, memory_order_relaxed);
        fl_time watermark = atomic_load_explicit(&task->metrics.watermark, memory_order_relaxed);
        if (watermark < low)
            low = watermark;
    }
    progress->watermark = low == FL_TIME_MAX ? FL_TIME_MIN : low;
}

void fl__env_progress(fl_env *env, fl__progress *progress)
{
    *progress = (fl__progress){ .watermark = FL_TIME_MIN };
    fl__job *job = enter_job(env);
    if (job)
        measure(job, progress);
    leave_job(env);
}

int64_t fl_result_runtime_ms(const fl_env *env)
{
    return env->result ? env->result->runtime_ms : 0;
}

int64_t fl_result_records_in(const fl_env *env)
{
    return env->result ? env->result->records_in : 0;
}

int64_t fl_result_records_out(const fl_env *env)
{
    return env->result ? env->result->records_out : 0;
}

static const fl__accumulator *find(const fl_env *env, const char *name)
{
    for (uint32_t i = 0; env->result && i < env->result->accumulators.count; i++) {
        if (strcmp(env->result->accumulators.items[i].name, name) == 0)
            return &env->result->accumulators.items[i];
    }
    return NULL;
}

int64_t fl_result_accumulator(const fl_env *env, const char *name)
{
    const fl__accumulator *a = find(env, name);
    return !a ? 0 : a->is_double ? (int64_t)a->d : a->i;
}

double fl_result_accumulator_double(const fl_env *env, const char *name)
{
    const fl__accumulator *a = find(env, name);
    return !a ? 0 : a->is_double ? a->d : (double)a->i;
}

void fl__env_accumulators(
    const fl_env *env, void (*f)(const char *name, bool is_double, int64_t i, double d, void *arg), void *arg)
{
    for (uint32_t i = 0; env->result && i < env->result->accumulators.count; i++) {
        const fl__accumulator *a = &env->result->accumulators.items[i];
        f(a->name, a->is_double, a->i, a->d, arg);
    }
}
