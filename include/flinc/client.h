/* Jobs that run while the program goes on, and results that come back into it: Flink's executeAsync, JobClient,
 * collectAsync and executeAndCollect.
 *
 *     fl_results *top = fl_execute_and_collect(scores, "Scores");
 *     for (const Score *s; (s = fl_results_next(top)) != NULL && s->points > 0;)
 *         printf("%lld\n", (long long)s->points);
 *     return fl_results_close(top);        // cancels the job if it still runs
 *
 * What these functions return belongs to the environment and is never NULL; after an error it is a job that has failed,
 * with results that are empty. An environment runs one job at a time: while it does, operators cannot be added and
 * nothing else executed. One thread uses an environment and what it gave. */
#ifndef FLINC_CLIENT_H
#define FLINC_CLIENT_H

#include "flinc/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a running job ---- */

typedef struct fl_job_client fl_job_client;
typedef enum fl_job_status {
    FL_JOB_RUNNING,
    FL_JOB_CANCELLING,
    FL_JOB_FINISHED,
    FL_JOB_CANCELED,
    FL_JOB_FAILED,
} fl_job_status;
/* "RUNNING" …, as Flink's JobStatus; a static string. */
const char *fl_job_status_name(fl_job_status status);

/* As fl_execute, but returns when the job has begun to run. */
fl_job_client *fl_execute_async(fl_env *env, const char *job_name);
/* How the job is. */
fl_job_status fl_job_client_status(const fl_job_client *client);
/* Asks the job to stop: sources end, what has not fired is not emitted. Returns at once. */
void fl_job_client_cancel(fl_job_client *client);
/* Waits for the end. Returns 0, FL_ERROR_CANCELLED after fl_job_client_cancel, or what fl_execute would, with the
 * message in fl_env_error; the same each time. fl_result_… of the environment then tell of this job. */
int fl_job_client_wait(fl_job_client *client);
/* The accumulator's sum over all subtasks so far, or in the end; 0 when there is none of this name. */
int64_t fl_job_client_accumulator(const fl_job_client *client, const char *name);
double fl_job_client_accumulator_double(const fl_job_client *client, const char *name);

/* ---- results ---- */

typedef struct fl_results fl_results;

fl_results *fl__collect_async(fl_stream *in, fl_where where);
/* The stream's records will come back to the program: call it before fl_execute_async, for as many streams as you like,
 * and read them while the job runs. A job whose results are not read stands still once a few hundred KiB of them wait;
 * with several, none should be left alone. */
#define fl_collect_async(in) fl__collect_async((in), FL_HERE)

fl_results *fl__execute_and_collect(fl_stream *in, const char *job_name, fl_where where);
/* fl_collect_async and fl_execute_async in one. */
#define fl_execute_and_collect(in, job_name) fl__execute_and_collect((in), (job_name), FL_HERE)

/* The next record, of the stream's type, in the order in which one subtask got them; valid until the next call. Waits
 * for it. NULL: there are no more, or the job has failed (fl_env_error says why) or was cancelled. */
const void *fl_results_next(fl_results *results);

/* Done with the results: cancels the job if it still runs, and waits for its end. Returns 0 when it ended well or was
 * cancelled by this, else what fl_job_client_wait does. Of a job with results that are still open it only gives up its
 * own.
 */
int fl_results_close(fl_results *results);

const void *fl__execute_and_collect_up_to(
    fl_stream *in, const char *job_name, int64_t limit, size_t *count, fl_where where);
/* The first records, limit at most (≥ 1), as an array of *count rows of the stream's type, which stays until
 * fl_env_free; the job is cancelled when there are enough. NULL when there are none; after an error *count is 0 and
 * fl_env_error says why. const Score *scores = fl_execute_and_collect_up_to(stream, "Scores", 10, &count) */
#define fl_execute_and_collect_up_to(in, job_name, limit, count)                                                       \
    fl__execute_and_collect_up_to((in), (job_name), (limit), (count), FL_HERE)

#ifdef __cplusplus
}
#endif
#endif
