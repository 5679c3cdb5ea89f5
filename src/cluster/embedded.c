/* The embedded executor: one thread per task, parked while there is nothing to do. */
#include "cluster/job.h"

#include "base/error.h"

#include <stdio.h>

void fl__job_cancel(fl__job *job)
{
    atomic_store(&job->is_cancelled, true);
    for (uint32_t t = 0; t < job->task_count; t++)
        fl__task_cancel(&job->tasks[t]);
}

/* The first failure is the job's; being cancelled because of it is none. */
static void report(fl__job *job, fl__task *task)
{
    fl__mutex_lock(&job->lock);
    bool is_consequence = task->ended_with == FL_ERROR_CANCELLED && job->error.status != FL_OK;
    if (!is_consequence)
        fl__error_move(&job->error, &task->error);
    fl__mutex_unlock(&job->lock);
    if (task->ended_with != FL_ERROR_CANCELLED)
        fl__job_cancel(job);
}

/* How long to park, ns; -1: until woken. */
static int64_t park_time(const fl__task *task)
{
    fl_time deadline = fl__task_deadline(task);
    if (deadline == FL_TIME_MAX)
        return -1;
    int64_t ms = deadline - fl__os_now_ms(task->os);
    if (ms <= 0)
        return 0;
    /* The clock has ms: half of one more, so that it has really turned. A day at most: clocks jump. */
    return (ms > 86400000 ? 86400000 : ms) * 1000000 - 400000;
}

static void park(fl__task *task, uint32_t seen)
{
    int64_t ns = park_time(task);
    if (task->operators[0]->class->poll && task->wait_fd >= 0 && task->stalled_since == FL_TIME_MAX)
        fl__waker_park_fd(&task->waker, seen, task->wait_fd, ns);
    else
        fl__waker_park(&task->waker, seen, ns);
}

static void run(fl__task *task)
{
    if (fl__task_open(task) != FL_OK) {
        task->ended_with = task->error.status;
        return;
    }
    for (;;) {
        fl__step step = fl__task_step(task);
        if (step == FL__STEP_PROGRESS)
            continue;
        if (step == FL__STEP_DONE)
            break;
        /* Announce the nap, then look once more: what came between the last step and the announcement woke nobody. */
        uint32_t seen = fl__waker_prepare(&task->waker);
        step = fl__task_step(task);
        if (step == FL__STEP_PROGRESS || step == FL__STEP_DONE) {
            fl__waker_cancel(&task->waker, seen);
            if (step == FL__STEP_DONE)
                break;
            continue;
        }
        park(task, seen);
    }
}

static void run_thread(void *arg)
{
    fl__task *task = arg;
    run(task);
    fl__task_close(task);
    if (task->failed && task->ended_with == FL_OK)
        task->ended_with = task->error.status; /* close failed */
    if (task->ended_with != FL_OK)
        report(task->job, task);
}

static const char *thread_name(const fl__task *task, char *buffer, size_t size)
{
    const char *name = task->name;
    if (strncmp(name, "Source: ", 8) == 0)
        name += 8;
    snprintf(buffer, size, "%.11s/%d", name, task->subtask + 1);
    return buffer;
}

/* Runs the tasks of a stage to their end. */
static void run_stage(fl__job *job, int stage)
{
    uint32_t started = 0;
    atomic_store(&job->stage, stage);
    fl__thread_block_signals(true); /* task threads leave signals to the program's own thread */
    for (uint32_t t = 0; t < job->task_count; t++) {
        char name[32];
        fl_error error = FL_ERROR_INIT;
        fl__task *task = &job->tasks[t];
        if (task->stage != stage)
            continue;
        if (fl__thread_start(&job->threads[started], thread_name(task, name, sizeof name), run_thread, task, &error) !=
            FL_OK) {
            fl__error_context(&error, "thread %u of %u for task %s", t + 1, job->task_count, task->name);
            fl__mutex_lock(&job->lock);
            fl__error_move(&job->error, &error);
            fl__mutex_unlock(&job->lock);
            fl__job_cancel(job);
            break;
        }
        started++;
    }
    fl__thread_block_signals(false);
    for (uint32_t t = 0; t < started; t++)
        fl__thread_join(&job->threads[t]);
}

fl_status fl__job_run_threads(fl__job *job)
{
    job->threads = fl__arena_alloc(&job->arena, job->task_count * sizeof *job->threads);
    for (int stage = 0; stage < job->stage_count && job->error.status == FL_OK; stage++)
        run_stage(job, stage);
    return job->error.status;
}

static void add_accumulators(fl__accumulators *to, const fl__accumulators *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const fl__accumulator *a = &from->items[i];
        uint32_t at = 0;
        while (at < to->count && strcmp(to->items[at].name, a->name) != 0)
            at++;
        if (at == sizeof to->items / sizeof to->items[0])
            return;
        if (at == to->count)
            to->items[to->count++] = (fl__accumulator){ .name = a->name, .is_double = a->is_double };
        to->items[at].i += a->i;
        to->items[at].d += a->d;
    }
}

void fl__job_summarize(const fl__job *job, fl__job_result *result)
{
    memset(result, 0, sizeof *result);
    for (uint32_t t = 0; t < job->task_count; t++) {
        const fl__task *task = &job->tasks[t];
        add_accumulators(&result->accumulators, task->accumulators);
        for (uint32_t i = 0; i < task->operator_count; i++) {
            const fl__operator *op = task->operators[i];
            if (op->class->poll)
                result->records_in += (int64_t)fl__output_rows(&op->out);
            else if (!op->spec->out)
                result->records_out += (int64_t)op->rows_in;
        }
    }
}
