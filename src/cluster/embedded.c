/* The embedded executor: one thread per task, parked while there is nothing to do. */
#include "cluster/job.h"

#include "base/error.h"
#include "cluster/checkpoints.h"

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
    fl__job *job = task->job;
    if (job->checkpoints)
        fl__checkpoints_task_ended(job->checkpoints, task);
}

/* ---- checkpoints ---- */

typedef struct writer_thread {
    fl__checkpoints *checkpoints;
    _Atomic bool is_stopped;
} writer_thread;

static void run_writer(void *arg)
{
    writer_thread *self = arg;
    fl__waker *waker = fl__checkpoints_writer(self->checkpoints);
    while (!atomic_load(&self->is_stopped)) {
        if (fl__checkpoints_write_some(self->checkpoints))
            continue;
        uint32_t seen = fl__waker_prepare(waker);
        if (fl__checkpoints_is_writing(self->checkpoints) || atomic_load(&self->is_stopped))
            fl__waker_cancel(waker, seen);
        else
            fl__waker_park(waker, seen, -1);
    }
}

/* In the thread that runs the job, until all tasks have ended. */
static void coordinate(fl__job *job)
{
    fl__checkpoints *c = job->checkpoints;
    fl__waker *waker = fl__checkpoints_waker(c);
    const fl__os *os = job->tasks[0].os;
    while (fl__checkpoints_running(c) > 0) {
        if (fl__checkpoints_coordinate(c, fl__os_now_ms(os)))
            continue;
        uint32_t seen = fl__waker_prepare(waker);
        fl_time now = fl__os_now_ms(os), deadline = fl__checkpoints_deadline(c);
        if (fl__checkpoints_coordinate(c, now))
            fl__waker_cancel(waker, seen);
        else
            fl__waker_park(waker, seen, deadline == FL_TIME_MAX ? -1 : (deadline > now ? deadline - now : 0) * 1000000);
    }
}

static void run_checkpoints(fl__job *job)
{
    writer_thread writer = { .checkpoints = job->checkpoints };
    fl__thread thread = { 0 };
    fl_error error = FL_ERROR_INIT;
    fl__thread_block_signals(true);
    fl_status status = fl__thread_start(&thread, "checkpoints", run_writer, &writer, &error);
    fl__thread_block_signals(false);
    if (status != FL_OK) {
        fl__mutex_lock(&job->lock);
        fl__error_move(&job->error, &error);
        fl__mutex_unlock(&job->lock);
        fl__job_cancel(job);
    }
    coordinate(job);
    atomic_store(&writer.is_stopped, true);
    fl__waker_wake(fl__checkpoints_writer(job->checkpoints));
    fl__thread_join(&thread);
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
    if (job->checkpoints) {
        for (uint32_t t = started; t < job->task_count; t++)
            fl__checkpoints_task_ended(job->checkpoints, &job->tasks[t]);
        run_checkpoints(job);
    }
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

/* Nobody else writes to. */
static void add_accumulator(fl__accumulator *to, const fl__accumulator *from)
{
    atomic_store_explicit(&to->i, to->i + from->i, memory_order_relaxed);
    atomic_store_explicit(&to->d, to->d + from->d, memory_order_relaxed);
}

void fl__job_accumulator(const fl__job *job, const char *name, fl__accumulator *sum)
{
    for (uint32_t t = 0; t < job->task_count; t++) {
        const fl__accumulators *all = job->tasks[t].accumulators;
        uint32_t count = atomic_load_explicit(&all->count, memory_order_acquire);
        for (uint32_t i = 0; i < count; i++) {
            const fl__accumulator *a = &all->items[i];
            if (strcmp(a->name, name) != 0)
                continue;
            sum->is_double = a->is_double;
            add_accumulator(sum, a);
        }
    }
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
        add_accumulator(&to->items[at], a);
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
