/* The simulated executor: one thread steps all tasks in an order drawn from a seed, under virtual time. The same seed
 * gives the same steps: whatever breaks that is a bug. */
#include "cluster/job.h"

#include "base/error.h"
#include "os/virtual.h"

static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return fl__mix64(*state);
}

/* Nobody can go on: move the clock to the next deadline. False when there is none. */
static bool advance_clock(fl__job *job, fl__virtual_os *os)
{
    fl_time deadline = FL_TIME_MAX;
    for (uint32_t t = 0; t < job->task_count; t++) {
        if (job->tasks[t].is_done || !job->tasks[t].is_opened)
            continue;
        fl_time d = fl__task_deadline(&job->tasks[t]);
        if (d < deadline)
            deadline = d;
    }
    if (deadline == FL_TIME_MAX)
        return false;
    os->now_ms = deadline > os->now_ms ? deadline : os->now_ms + 1;
    return true;
}

static void finish_task(fl__job *job, fl__task *task)
{
    if (task->ended_with == FL_OK)
        return;
    bool is_first = job->error.status == FL_OK;
    if (is_first)
        fl__error_move(&job->error, &task->error);
    if (is_first)
        fl__job_cancel(job);
}

static fl_status open_stage(fl__job *job, int stage)
{
    for (uint32_t t = 0; t < job->task_count; t++) {
        if (job->tasks[t].stage == stage && fl__task_open(&job->tasks[t]) != FL_OK) {
            fl__error_move(&job->error, &job->tasks[t].error);
            return job->error.status;
        }
    }
    return FL_OK;
}

/* A blocked task moves what it can of its overdraft and stays blocked: those behind it have work since, and nobody saw
 * progress. Returns how many are no longer stuck. */
static uint32_t find_work(fl__job *job, bool *is_stuck)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < job->task_count; t++) {
        if (job->tasks[t].is_opened && !job->tasks[t].is_done && is_stuck[t] && fl__task_has_work(&job->tasks[t])) {
            is_stuck[t] = false;
            n++;
        }
    }
    return n;
}

/* Steps the tasks of a stage to their end. */
static fl_status step_stage(fl__job *job, int stage, fl__simulation *sim, fl__virtual_os *os, uint64_t *random)
{
    uint32_t left = 0, stuck = 0;
    bool *is_stuck = fl__arena_alloc(&job->arena, job->task_count * sizeof *is_stuck);
    for (uint32_t t = 0; t < job->task_count; t++)
        left += job->tasks[t].stage == stage;
    while (left) {
        uint32_t t = (uint32_t)(next_random(random) % job->task_count);
        while (job->tasks[t].stage != stage || job->tasks[t].is_done || is_stuck[t])
            t = t + 1 == job->task_count ? 0 : t + 1;
        fl__task *task = &job->tasks[t];
        fl__step step = fl__task_step(task);
        sim->steps++;
        if (sim->step)
            sim->step(sim->arg, task, step);
        sim->trace = fl__mix64(sim->trace ^ ((uint64_t)t << 8 | (uint64_t)step));
        if (step == FL__STEP_DONE) {
            left--;
            finish_task(job, task);
        }
        if (step == FL__STEP_PROGRESS || step == FL__STEP_DONE) {
            memset(is_stuck, 0, job->task_count * sizeof *is_stuck);
            stuck = 0;
        } else {
            is_stuck[t] = true;
            stuck++;
        }
        if (left && stuck == left)
            stuck -= find_work(job, is_stuck);
        if (left && stuck == left) {
            if (!advance_clock(job, os))
                return fl__error_set(&job->error, FL_ERROR_INTERNAL,
                    "simulation, seed %llu: no task can go on and no timer is set after %llu steps",
                    (unsigned long long)sim->seed, (unsigned long long)sim->steps);
            memset(is_stuck, 0, job->task_count * sizeof *is_stuck);
            stuck = 0;
        }
    }
    return job->error.status;
}

fl_status fl__job_run_simulated(fl__job *job, const fl__simulation *simulation)
{
    fl__simulation *sim = (fl__simulation *)(uintptr_t)simulation;
    fl__virtual_os os;
    fl__virtual_os_init(&os, sim->start_ms, sim->seed);
    for (uint32_t t = 0; t < job->task_count; t++)
        job->tasks[t].os = &os.os;
    sim->trace = sim->steps = 0;
    uint64_t random = sim->seed;
    fl_status status = FL_OK;
    for (int stage = 0; stage < job->stage_count && status == FL_OK; stage++) {
        atomic_store(&job->stage, stage);
        status = open_stage(job, stage);
        if (status == FL_OK)
            status = step_stage(job, stage, sim, &os, &random);
    }
    for (uint32_t t = 0; t < job->task_count; t++) {
        fl__task_close(&job->tasks[t]);
        job->tasks[t].os = &fl__os_linux;
        if (job->tasks[t].failed && status == FL_OK) { /* close failed */
            status = job->tasks[t].error.status;
            fl__error_move(&job->error, &job->tasks[t].error);
        }
    }
    return status;
}
