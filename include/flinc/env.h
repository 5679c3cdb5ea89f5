/* The environment: configuration, arguments, execution, and what a job gave back. */
#ifndef FLINC_ENV_H
#define FLINC_ENV_H

#include "flinc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fl_env fl_env;

/* A job's entry. FL_JOB(word_count) { … return fl_execute(env, "Word count"); } defines int word_count(fl_env *env) and
 * registers it, so that `flinc run` finds it (-c NAME when a file has several). The entry may run more than once
 * (client, every worker): it must depend on its arguments and configuration only. */
typedef int (*fl_job_fn)(fl_env *env);
typedef struct fl_job_entry {
    const char *name;
    fl_job_fn run;
    fl_where where;
    int abi;
    struct fl_job_entry *next;
} fl_job_entry;
void fl__job_register(fl_job_entry *entry);
#define FL_JOB(job_name)                                                                                               \
    int job_name(fl_env *env);                                                                                         \
    static fl_job_entry fl__job_entry_##job_name = { #job_name, job_name, { __FILE__, __LINE__ }, FLINC_ABI, NULL };   \
    __attribute__((constructor)) static void fl__job_register_##job_name(void)                                         \
    {                                                                                                                  \
        fl__job_register(&fl__job_entry_##job_name);                                                                   \
    }                                                                                                                  \
    int job_name(fl_env *env)

/* What a main needs: runs the program's FL_JOB (or the one named by -c) with these arguments; returns its exit status.
 * Link with -lflinc-main to get `int main` that does just this. Options before the job's own arguments: -c NAME, -p N,
 * -D key=value. */
int fl_main(int argc, char **argv);

/* An environment of one's own, without fl_main. argv[0], the program's name, is skipped; (0, NULL): no arguments. Free
 * it with fl_env_free. */
fl_env *fl_env_new(int argc, char **argv);
void fl_env_free(fl_env *env);

/* Sets a configuration option by its Flink key: fl_set(env, "parallelism.default", "4"). Unknown keys and values out of
 * range stick as an error to the environment. Options given on the command line (-D, -p) win over the program's only
 * where Flink's do: the program's setting counts. */
void fl__set(fl_env *env, const char *key, const char *value, fl_where where);
#define fl_set(env, key, value) fl__set((env), (key), (value), FL_HERE)
/* The option's value as text (its default when not set); NULL for an unknown key. Valid until the next fl_set of it. */
const char *fl_get_option(const fl_env *env, const char *key);

/* Default parallelism of the operators that follow (environment level, above -p and parallelism.default). n ≥ 1. */
void fl__set_parallelism(fl_env *env, int n, fl_where where);
#define fl_set_parallelism(env, n) fl__set_parallelism((env), (n), FL_HERE)
/* Number of key groups; 1 … 32768, at least the parallelism. Default: from the parallelism, as in Flink, ≥ 128. */
void fl__set_max_parallelism(fl_env *env, int n, fl_where where);
#define fl_set_max_parallelism(env, n) fl__set_max_parallelism((env), (n), FL_HERE)
/* How a job runs (execution.runtime-mode). FL_STREAMING: results as they change. FL_BATCH: bounded sources only, final
 * results: one per key, event time ends once, timers and windows fire at the end of each key, tasks run in stages; see
 * "Batch execution" in docs/concepts.md. FL_AUTOMATIC: FL_BATCH when all sources are bounded. */
typedef enum fl_runtime_mode { FL_STREAMING, FL_BATCH, FL_AUTOMATIC } fl_runtime_mode;
void fl__set_runtime_mode(fl_env *env, fl_runtime_mode mode, fl_where where);
#define fl_set_runtime_mode(env, mode) fl__set_runtime_mode((env), (mode), FL_HERE)
/* What a slot of this group offers, for each subtask of each operator in it (.slot_sharing_group of operators): Flink's
 * SlotSharingGroup. Once one of them is given, cores and heap are needed. Kept in the plan; a job in one process takes
 * what it needs. Memory as text: "512m". fl_slot_sharing_group(env, "models", .cpu_cores = 2, .heap_memory = "1g") */
typedef struct fl_slot_resources {
    double cpu_cores;
    const char *heap_memory, *off_heap_memory, *managed_memory;
} fl_slot_resources;
void fl__slot_sharing_group(fl_env *env, const char *name, fl_where where, const fl_slot_resources *resources);
#define fl_slot_sharing_group(env, name, ...)                                                                          \
    fl__slot_sharing_group((env), (name), FL_HERE, &(const fl_slot_resources){ __VA_ARGS__ })
/* How long a batch that is not full may wait, ms; 0: every record goes at once; -1: only full batches. Default 100, but
 * a task without input flushes at once. */
void fl_set_buffer_timeout(fl_env *env, int64_t ms);

/* Job arguments as in Flink's ParameterTool: --name value, -name value, --name=value; a name followed by another name
 * is a flag. The default is returned when the argument is missing; one that is no number sticks as an error. So does
 * one that the program has not asked for when it comes to fl_execute: ask for all before. */
const char *fl_param(fl_env *env, const char *name, const char *default_value);
int64_t fl_param_int(fl_env *env, const char *name, int64_t default_value);
double fl_param_double(fl_env *env, const char *name, double default_value);
bool fl_param_bool(fl_env *env, const char *name, bool default_value);
bool fl_param_has(fl_env *env, const char *name);

/* Runs the job and waits for its end. Returns 0, or an fl_status ≥ 16; the message is in fl_env_error. What sticks to
 * the environment from building the graph comes out here, before anything runs. When only the plan is wanted (flinc
 * info), nothing runs and FL_DONE is returned: a program that has something to say about results checks for 0. */
int fl_execute(fl_env *env, const char *job_name);

/* The error that stopped the building or the run, "" when there is none: place of the program, what, what to do. */
const char *fl_env_error(const fl_env *env);

/* What the last fl_execute gave back. */
int64_t fl_result_runtime_ms(const fl_env *env);
int64_t fl_result_accumulator(const fl_env *env, const char *name); /* 0 when there is none */
double fl_result_accumulator_double(const fl_env *env, const char *name);
/* Records that all sources emitted / all sinks took. */
int64_t fl_result_records_in(const fl_env *env);
int64_t fl_result_records_out(const fl_env *env);

/* The execution plan: Flink's JSON (as of `flink info`), or a picture in text. Free it with free(). NULL with the error
 * in fl_env_error. */
char *fl_plan_json(fl_env *env);
char *fl_plan_text(fl_env *env);

#ifdef __cplusplus
}
#endif
#endif
