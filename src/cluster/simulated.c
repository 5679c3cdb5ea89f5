/* The simulated executor: one thread steps all tasks in an order drawn from a seed, under virtual time. The same seed
 * gives the same steps: whatever breaks that is a bug. */
#include "cluster/job.h"

#include "base/error.h"
#include "cluster/checkpoints.h"
#include "os/virtual.h"

static uint64_t next_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    return fl__mix64(*state);
}

/* Nobody can go on: move the clock to the next deadline. False when there is none. */
static bool advance_clock(fl__job *job, fl__virtual_os *os)
{
    fl_time deadline = job->checkpoints ? fl__checkpoints_deadline(job->checkpoints) : FL_TIME_MAX;
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

/* What is stepped, and who of them has nothing to do. */
typedef struct stepping {
    fl__job *job;
    fl__simulation *sim;
    int stage;
    uint32_t left, stuck; /* tasks of the stage that have not ended; of them without work */
    bool *is_stuck;
} stepping;

static void unstick(stepping *s)
{
    memset(s->is_stuck, 0, s->job->task_count * sizeof *s->is_stuck);
    s->stuck = 0;
}

static void step_task(stepping *s, uint32_t t)
{
    fl__simulation *sim = s->sim;
    fl__task *task = &s->job->tasks[t];
    fl__step step = fl__task_step(task);
    sim->steps++;
    if (sim->step)
        sim->step(sim->arg, task, step);
    sim->trace = fl__mix64(sim->trace ^ ((uint64_t)t << 8 | (uint64_t)step));
    if (step == FL__STEP_DONE) {
        s->left--;
        finish_task(s->job, task);
        if (s->job->checkpoints)
            fl__checkpoints_task_ended(s->job->checkpoints, task);
    }
    if (step == FL__STEP_PROGRESS || step == FL__STEP_DONE) {
        unstick(s);
    } else {
        s->is_stuck[t] = true;
        s->stuck++;
    }
}

/* A turn of the checkpoints' writer or coordinator. */
static bool step_checkpoints(stepping *s, bool is_writer)
{
    fl__checkpoints *c = s->job->checkpoints;
    bool did = is_writer ? fl__checkpoints_write_some(c) : fl__checkpoints_coordinate(c, s->sim->machine->now_ms);
    s->sim->steps++;
    s->sim->trace = fl__mix64(s->sim->trace ^ ((is_writer ? UINT64_C(0x200) : 0) | (uint64_t)did));
    if (did)
        unstick(s); /* a task may have been asked for something */
    return did;
}

/* Steps the tasks of a stage to their end. */
static fl_status step_stage(fl__job *job, int stage, fl__simulation *sim)
{
    enum { CHECKPOINTS_EVERY = 4 };
    stepping s = { .job = job, .sim = sim, .stage = stage };
    s.is_stuck = fl__arena_alloc(&job->arena, job->task_count * sizeof *s.is_stuck);
    for (uint32_t t = 0; t < job->task_count; t++)
        s.left += job->tasks[t].stage == stage;
    while (s.left) {
        uint64_t random = next_random(&sim->random);
        if (sim->kill_every && (random >> 32) % sim->kill_every == 0) {
            sim->kills++;
            return fl__error_set(&job->error, FL_ERROR_INTERNAL, FL__KILLED);
        }
        if (sim->stop_at && sim->steps >= sim->stop_at)
            return fl__error_set(&job->error, FL_ERROR_USER, "stopped by the simulation");
        if (job->checkpoints && (random >> 16) % CHECKPOINTS_EVERY == 0) {
            step_checkpoints(&s, random >> 24 & 1);
            sim->machine->now_ms += (random >> 25 & 7) == 0; /* or a job that is always busy would take none */
            continue;
        }
        uint32_t t = (uint32_t)(random % job->task_count);
        while (job->tasks[t].stage != stage || job->tasks[t].is_done || s.is_stuck[t])
            t = t + 1 == job->task_count ? 0 : t + 1;
        step_task(&s, t);
        if (s.left && s.stuck == s.left)
            s.stuck -= find_work(job, s.is_stuck);
        if (s.left && s.stuck == s.left && job->checkpoints &&
            (step_checkpoints(&s, false) || step_checkpoints(&s, true)))
            continue;
        if (s.left && s.stuck == s.left) {
            if (!advance_clock(job, sim->machine))
                return fl__error_set(&job->error, FL_ERROR_INTERNAL,
                    "simulation, seed %llu: no task can go on and no timer is set after %llu steps",
                    (unsigned long long)sim->seed, (unsigned long long)sim->steps);
            unstick(&s);
        }
    }
    return job->error.status;
}

fl_status fl__job_run_simulated(fl__job *job, const fl__simulation *simulation)
{
    fl__simulation *sim = (fl__simulation *)(uintptr_t)simulation;
    fl_status status = FL_OK;
    for (int stage = 0; stage < job->stage_count && status == FL_OK; stage++) {
        atomic_store(&job->stage, stage);
        status = open_stage(job, stage);
        if (status == FL_OK)
            status = step_stage(job, stage, sim);
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
