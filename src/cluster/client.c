/* Jobs in the background of the program: fl_execute_async and the results that come back (include/flinc/client.h).
 *
 * One thread per job starts the tasks' threads and waits for them, as fl_execute does in the caller's; everything that
 * touches the environment (its error, its results) happens in the caller's thread, in wait. */
#include "flinc/client.h"

#include "cluster/job.h"
#include "connectors/results/results.h"

#include <stdio.h>

struct fl_job_client {
    fl_env *env;
    fl__execution execution;
    fl__thread thread;
    fl_results *results;
    _Atomic int status; /* fl_job_status; written by the thread when the job is over, by cancel before */
    bool is_begun;      /* there is a job, and it is not concluded */
    bool is_cancelled;  /* by the program */
    int outcome;        /* of wait, when concluded */
};

const char *fl_job_status_name(fl_job_status status)
{
    static const char *const names[] = { "RUNNING", "CANCELLING", "FINISHED", "CANCELED", "FAILED" };
    return status <= FL_JOB_FAILED ? names[status] : "?";
}

static void run(void *arg)
{
    fl_job_client *client = arg;
    fl__execution_run(&client->execution);
    fl_status status = client->execution.status;
    atomic_store(&client->status, status == FL_OK                ? FL_JOB_FINISHED
                                  : status == FL_ERROR_CANCELLED ? FL_JOB_CANCELED
                                                                 : FL_JOB_FAILED);
    for (fl_results *r = client->results; r; r = r->next)
        fl__results_end(r); /* after a failure it is the end only now: there may have been another attempt */
}

/* The program frees its environment, or ends without having waited. */
static void abandon(void *arg)
{
    fl_job_client *client = arg;
    fl_job_client_cancel(client);
    (void)fl_job_client_wait(client);
}

void fl__env_wait(fl_env *env)
{
    fl_job_client *client = env->client;
    if (!client)
        return;
    for (const fl_results *r = client->results; r; r = r->next) {
        if (!r->is_closed)
            fl_job_client_cancel(client);
    }
    (void)fl_job_client_wait(client);
}

static void start(fl_job_client *client)
{
    fl_env *env = client->env;
    fl_error error = FL_ERROR_INIT;
    fl__execution_begin(&client->execution, env);
    client->is_begun = true;
    env->client = client;
    fl__env_at_free(env, abandon, client);
    fl__thread_block_signals(true); /* they are for the program's thread */
    fl_status status = fl__thread_start(&client->thread, "job", run, client, &error);
    fl__thread_block_signals(false);
    if (status == FL_OK)
        return;
    fl__error_move(&client->execution.error, &error);
    client->execution.status = status;
    atomic_store(&client->status, FL_JOB_FAILED);
    for (fl_results *r = client->results; r; r = r->next)
        fl__results_end(r);
}

fl_job_client *fl_execute_async(fl_env *env, const char *job_name)
{
    fl_job_client *client = fl__env_alloc(env, sizeof *client);
    client->env = env;
    client->results = env->open_results;
    env->open_results = NULL;
    for (fl_results *r = client->results; r; r = r->next)
        r->client = client;
    client->outcome = fl__execution_prepare(env, job_name);
    if (client->outcome == FL_OK) {
        start(client);
        return client;
    }
    atomic_store(&client->status, client->outcome == FL_DONE ? FL_JOB_FINISHED : FL_JOB_FAILED);
    for (fl_results *r = client->results; r; r = r->next)
        fl__results_end(r);
    return client;
}

fl_job_status fl_job_client_status(const fl_job_client *client)
{
    return (fl_job_status)atomic_load(&client->status);
}

void fl_job_client_cancel(fl_job_client *client)
{
    int running = FL_JOB_RUNNING;
    if (!client->is_begun || !atomic_compare_exchange_strong(&client->status, &running, FL_JOB_CANCELLING))
        return;
    client->is_cancelled = true;
    fl__execution_cancel(&client->execution);
}

int fl_job_client_wait(fl_job_client *client)
{
    if (!client->is_begun)
        return client->outcome;
    fl__thread_join(&client->thread);
    client->is_begun = false;
    client->env->client = NULL;
    client->outcome = fl__execution_end(&client->execution);
    return client->outcome;
}

int64_t fl_job_client_accumulator(const fl_job_client *client, const char *name)
{
    fl__accumulator sum = { .name = name };
    if (!client->is_begun)
        return fl_result_accumulator(client->env, name);
    fl__execution_accumulator(&client->execution, name, &sum);
    return sum.is_double ? (int64_t)sum.d : sum.i;
}

double fl_job_client_accumulator_double(const fl_job_client *client, const char *name)
{
    fl__accumulator sum = { .name = name };
    if (!client->is_begun)
        return fl_result_accumulator_double(client->env, name);
    fl__execution_accumulator(&client->execution, name, &sum);
    return sum.is_double ? sum.d : (double)sum.i;
}

/* ---- results ---- */

static bool is_only_one_open(const fl_results *results)
{
    for (const fl_results *r = results->client->results; r; r = r->next) {
        if (r != results && !r->is_closed)
            return false;
    }
    return true;
}

const void *fl_results_next(fl_results *results)
{
    fl_job_client *client = results->client;
    if (!client) /* the graph has failed, or was not executed: nothing would ever come */
        return NULL;
    const void *row = fl__results_read(results);
    if (row)
        return row;
    fl__results_give_up(results); /* a restart would bring them again */
    /* the job's error is known when all of it has ended; with other results that wait to be read it may not end */
    if (is_only_one_open(results))
        (void)fl_job_client_wait(client);
    return NULL;
}

int fl_results_close(fl_results *results)
{
    fl_job_client *client = results->client;
    if (!client)
        return results->env->error.status;
    bool is_last = is_only_one_open(results);
    if (is_last)
        fl_job_client_cancel(client);
    fl__results_give_up(results);
    if (!is_last)
        return FL_OK;
    int outcome = fl_job_client_wait(client);
    return outcome == FL_ERROR_CANCELLED && client->is_cancelled ? FL_OK : outcome;
}

fl_results *fl__execute_and_collect(fl_stream *in, const char *job_name, fl_where where)
{
    fl_env *env = in->env;
    fl_results *results = fl__collect_async(in, where);
    (void)fl_execute_async(env, job_name);
    return results;
}

const void *fl__execute_and_collect_up_to(
    fl_stream *in, const char *job_name, int64_t limit, size_t *count, fl_where where)
{
    *count = 0;
    if (limit < 1) {
        fl__stream_error(
            in->env, where, "fl_execute_and_collect_up_to: the limit is %lld; it must be at least 1", (long long)limit);
        return NULL;
    }
    fl_results *results = fl__execute_and_collect(in, job_name, where);
    const fl__layout *layout = &results->layout;
    size_t size = layout->row_size, capacity = 0;
    char *rows = NULL;
    for (const void *row; *count < (size_t)limit && (row = fl_results_next(results)) != NULL; (*count)++) {
        if (*count == capacity) {
            size_t more = capacity ? 2 * capacity : 64;
            rows = fl__realloc(NULL, rows, capacity * size, more * size);
            capacity = more;
        }
        char *copy = memcpy(rows + *count * size, row, size);
        char *heap = fl__env_alloc(results->env, fl__value_heap_bytes(layout, copy));
        fl__value_adopt(layout, copy, &heap);
    }
    if (fl_results_close(results) != FL_OK)
        *count = 0;
    const void *kept = *count ? fl__arena_memdup(&results->env->arena, rows, *count * size) : NULL;
    fl__free(NULL, rows, capacity * size);
    return kept;
}
