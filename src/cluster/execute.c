/* fl_execute: from the environment to a finished job. */
#include "cluster/job.h"

#include "api/substitute.h"
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/params.h"
#include "cluster/checkpoints.h"

#include <stdio.h>

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

static void keep_result(fl__execution *x, const fl__job *job)
{
    fl__job_summarize(job, &x->result);
    for (uint32_t i = 0; i < x->result.accumulators.count; i++) {
        fl__accumulator *a = &x->result.accumulators.items[i];
        a->name = fl__arena_strdup(&x->arena, a->name);
    }
}

static bool is_cancelled(const fl__execution *x)
{
    return atomic_load(&x->env->cancelled) || atomic_load(&x->is_cancelled);
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

/* State that would be lost is an error, and not found out by a wrong result. */
static fl_status check_operators(const fl__graph *graph, fl_error *error)
{
    for (const fl__node *node = graph->nodes; node; node = node->next) {
        const fl__operator_spec *spec = &node->spec;
        if (spec->class->not_in_checkpoints)
            return fl__error_set_at(error, FL_ERROR_INVALID, spec->where,
                "%s cannot be part of a checkpoint yet: %s; leave execution.checkpointing.interval out", spec->name,
                spec->class->not_in_checkpoints);
    }
    return FL_OK;
}

/* One attempt. What is left of the job, its result, is in x; the error in *error. */
static fl_status attempt(fl__execution *x, fl__recovery *recovery, const fl__os *os, fl_error *error)
{
    fl_env *env = x->env;
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
    if (is_cancelled(x))
        fl__job_cancel(&job);
    status = env->graph.is_batch ? fl__spill_check(&job.spill, &job.error) : FL_OK;
    if (status == FL_OK)
        status = env->simulation ? fl__job_run_simulated(&job, env->simulation) : fl__job_run_threads(&job);
    hide_job(env);
    fl__checkpoints_free(job.checkpoints);
    keep_result(x, &job);
    fl__error_move(error, &job.error);
    fl__job_release(&job);
    return status;
}

/* Waits before the next attempt; false: cancelled meanwhile. */
static bool wait_for_restart(const fl__execution *x, int64_t delay_ms)
{
    enum { LOOK_MS = 10 };
    fl__waker waker;
    fl__waker_init(&waker);
    int64_t end = fl__os_monotonic_ns(&fl__os_linux) + delay_ms * 1000000, left;
    while (!is_cancelled(x) && (left = end - fl__os_monotonic_ns(&fl__os_linux)) > 0)
        fl__waker_park(&waker, fl__waker_prepare(&waker), left < LOOK_MS * 1000000 ? left : LOOK_MS * 1000000);
    fl__waker_release(&waker);
    return !is_cancelled(x);
}

/* Is there to be another attempt after this failure? It has been waited for then. */
static bool try_again(
    const fl__execution *x, fl__recovery *recovery, const fl__os *os, fl_status status, fl_error *error)
{
    const fl_env *env = x->env;
    int64_t delay_ms = 0;
    char reason[160];
    if (error->text && strcmp(error->text, FL__KILLED) == 0) {
        recovery->attempt++;
    } else if (status == FL_OK || status == FL_ERROR_CANCELLED || status == FL_ERROR_INVALID) {
        return false; /* what is wrong with a program or its settings is wrong with the next attempt, too */
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
    else if (!wait_for_restart(x, delay_ms))
        return false;
    fl__error_release(error);
    *error = FL_ERROR_INIT;
    return true;
}

void fl__execution_run(fl__execution *x)
{
    fl_env *env = x->env;
    fl__virtual_os machine;
    const fl__os *os = &fl__os_linux;
    fl__recovery recovery;
    if (env->simulation) {
        fl__virtual_os_init(&machine, env->simulation->start_ms, env->simulation->seed);
        fl__simulation *simulation = (fl__simulation *)(uintptr_t)env->simulation;
        simulation->machine = &machine;
        simulation->random = simulation->seed;
        simulation->trace = simulation->steps = simulation->kills = simulation->restores = 0;
        os = &machine.os;
    }
    int64_t started_ns = fl__os_monotonic_ns(&fl__os_linux);
    x->status = fl__recovery_init(&recovery, env, os, env->graph.is_batch, &x->error);
    if (x->status == FL_OK && recovery.takes_checkpoints)
        x->status = check_operators(&env->graph, &x->error);
    if (x->status == FL_OK) {
        do {
            x->status = attempt(x, &recovery, os, &x->error);
        } while (try_again(x, &recovery, os, x->status, &x->error));
    }
    fl__recovery_release(&recovery, x->status);
    x->result.runtime_ms = (fl__os_monotonic_ns(&fl__os_linux) - started_ns) / 1000000;
}

int fl__execution_prepare(fl_env *env, const char *job_name)
{
    if (env->client)
        return (int)fl__error_set(&env->error, FL_ERROR_INVALID,
            "job \"%s\" of this environment is still running; wait for it with fl_job_client_wait, or close its "
            "results with "
            "fl_results_close, before the next one is executed",
            env->job_name);
    const char *configured = fl__config_text(env->config, FL__OPTION_PIPELINE_NAME);
    env->job_name = fl__arena_strdup(&env->arena, configured ? configured
                                                  : job_name ? job_name
                                                             : "Flink Streaming Job");
    /* A mistyped argument is an error: run with the default, the job would do something else than what was asked. */
    if (env->error.status == FL_OK && fl__params_check_asked(env->params, &env->error) != FL_OK)
        return (int)env->error.status;
    if (env->error.status == FL_OK && fl__substitutions_check(env) != FL_OK)
        return (int)env->error.status;
    if (fl__graph_chain(&env->graph) != FL_OK)
        return (int)env->error.status;
    /* `flinc info`: the program is run for its graph only. FL_DONE tells it that there are no results to speak of. */
    return env->plan_only ? FL_DONE : FL_OK;
}

void fl__execution_begin(fl__execution *x, fl_env *env)
{
    *x = (fl__execution){ .env = env, .error = FL_ERROR_INIT };
    fl__arena_init(&x->arena, &env->memory);
    if (env->observer)
        env->observer->started(env->observer, env);
}

int fl__execution_end(fl__execution *x)
{
    fl_env *env = x->env;
    if (!env->result)
        env->result = fl__arena_alloc(&env->arena, sizeof *env->result);
    *env->result = x->result;
    for (uint32_t i = 0; i < env->result->accumulators.count; i++) {
        fl__accumulator *a = &env->result->accumulators.items[i];
        a->name = fl__arena_strdup(&env->arena, a->name);
    }
    fl__arena_release(&x->arena);
    bool is_asked = x->status == FL_ERROR_CANCELLED && atomic_load(&x->is_cancelled) && !atomic_load(&env->cancelled);
    if (x->status != FL_OK && !is_asked)
        fl__error_move(&env->error, &x->error);
    fl__error_release(&x->error);
    if (env->observer)
        env->observer->ended(env->observer, env, x->status);
    env->is_executed = true;
    return (int)x->status;
}

void fl__execution_cancel(fl__execution *x)
{
    atomic_store(&x->is_cancelled, true);
    fl__job *job = enter_job(x->env);
    if (job)
        fl__job_cancel(job);
    leave_job(x->env);
}

void fl__execution_accumulator(const fl__execution *x, const char *name, fl__accumulator *sum)
{
    const fl__job *job = enter_job(x->env);
    if (job)
        fl__job_accumulator(job, name, sum);
    leave_job(x->env);
}

int fl_execute(fl_env *env, const char *job_name)
{
    if (env->open_results && !env->plan_only && env->error.status == FL_OK)
        return (int)fl__error_set(&env->error, FL_ERROR_INVALID,
            "fl_execute waits for the job's end, and nobody would read the results of fl_collect_async meanwhile; use "
            "fl_execute_async");
    int outcome = fl__execution_prepare(env, job_name);
    if (outcome != FL_OK)
        return outcome;
    fl__execution x;
    fl__execution_begin(&x, env);
    fl__execution_run(&x);
    return fl__execution_end(&x);
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
