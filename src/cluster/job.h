/* A job in this process: the execution graph as tasks and channels, made from a chained graph, and the two ways to run
 * them: a thread per task (embedded), or one thread that steps all of them in an order drawn from a seed (simulated).
 */
#ifndef FL_CLUSTER_JOB_H
#define FL_CLUSTER_JOB_H

#include "api/api.h"
#include "os/thread.h"
#include "os/virtual.h"
#include "stream/task.h"

typedef struct fl__job {
    fl_env *env;
    fl__memory memory; /* all of the job's batches, channels and state */
    fl__arena arena;   /* tasks, operators, writers */
    fl__task *tasks;
    uint32_t task_count;
    fl__channel *channels;
    uint32_t channel_count;
    int stage_count;   /* 1 but in BATCH mode; tasks of a stage start when those of the one before have ended */
    _Atomic int stage; /* the one that runs */
    struct fl__checkpoints *checkpoints; /* of this attempt; NULL: it takes none */
    fl__spill spill;                     /* BATCH: where rows wait between stages and while they are sorted */
    fl__thread *threads;
    fl__alignment_group *alignment_groups;
    fl__mutex lock; /* guards error */
    fl_error error; /* the first failure */
    int64_t started_ns;
    _Atomic bool is_cancelled;
} fl__job;

/* Totals, kept after the job is gone. */
typedef struct fl__job_result {
    int64_t runtime_ms;
    int64_t records_in, records_out;
    fl__accumulators accumulators;
} fl__job_result;

/* Makes tasks and channels from env->graph, which is chained. os: clock and files of the tasks. */
void fl__job_build(fl__job *job, fl_env *env, const fl__os *os);
void fl__job_release(fl__job *job);
/* Run to the end; FL_OK or what job->error says. */
fl_status fl__job_run_threads(fl__job *job) FL_MUST_USE;
fl_status fl__job_run_simulated(fl__job *job, const struct fl__simulation *simulation) FL_MUST_USE;
/* Any thread, signal handlers. */
void fl__job_cancel(fl__job *job);
void fl__job_summarize(const fl__job *job, fl__job_result *result);
/* Adds up the accumulator of this name over the tasks of a running job; nothing when there is none. Any thread. */
void fl__job_accumulator(const fl__job *job, const char *name, fl__accumulator *sum);

/* The program's entry has returned: a job that it left running is waited for; one whose results would then wait to be
 * read is cancelled. */
void fl__env_wait(fl_env *env);

/* fl_execute in parts, so that a job can run in the background. */
typedef struct fl__execution {
    fl_env *env;
    fl__arena arena;       /* what result points to */
    fl__job_result result; /* of the last attempt */
    fl_error error;        /* of the last one */
    fl_status status;
    _Atomic bool is_cancelled; /* by the program */
} fl__execution;

/* FL_OK; FL_DONE: only the plan is wanted; else what env->error says. */
int fl__execution_prepare(fl_env *env, const char *job_name);
void fl__execution_begin(fl__execution *x, fl_env *env);
/* Attempts until one ends well or nobody wants another. Any thread: touches nothing of the environment's that its
 * thread may change meanwhile. */
void fl__execution_run(fl__execution *x);
/* Any thread, while it runs. */
void fl__execution_cancel(fl__execution *x);
/* The accumulator's sum over the tasks of the attempt that runs. */
void fl__execution_accumulator(const fl__execution *x, const char *name, fl__accumulator *sum);
/* Gives the environment what is left of the job, in the environment's thread. Returns x->status. */
int fl__execution_end(fl__execution *x);

/* What a simulated kill leaves as the job's error: it is restarted whatever the strategy. */
#define FL__KILLED "killed by the simulation"

/* A simulated run: the order of the steps comes from the seed, time is virtual and only moves when nobody can do
 * anything else. */
typedef struct fl__simulation {
    uint64_t seed;
    int64_t start_ms;          /* virtual wall clock at the start */
    uint64_t trace;            /* out: hash over (task, result) of all steps; equal for equal seeds */
    uint64_t steps;            /* out */
    uint32_t channel_capacity; /* 0: as usual; small ones make backpressure */
    uint32_t segment_size;     /* 0: as usual */
    uint32_t kill_every;       /* kills the job at a step in about so many, and restarts it; 0: never */
    uint64_t stop_at;          /* fails the job at this step; 0: never */
    uint32_t kills, restores;  /* out; restores: attempts that started from a checkpoint */
    uint64_t random;           /* out: goes on from attempt to attempt */
    fl__virtual_os *machine;   /* clock of all attempts; set by fl_execute */
    void (*step)(void *arg, const fl__task *task, fl__step result); /* sees every step; NULL: nobody does */
    void *arg;
} fl__simulation;

#endif
