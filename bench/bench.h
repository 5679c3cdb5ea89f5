/* flinc beside bare C loops: what the parts of the bench know of each other. See README.md. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <flinc.h>

#include <stdio.h>

/* What one run of a case gave. */
typedef struct outcome {
    double seconds;        /* wall time of the loop, or of fl_execute */
    double cpu_seconds;    /* of all threads, in the same time */
    double thread_seconds; /* CPU time of the busiest thread; the bare loop has but one */
    double rss_mb;         /* highest of the process so far */
    uint64_t checksum;
    double others; /* cores that other processes used meanwhile */
} outcome;

/* A case of throughput: one job and its bare loops. */
typedef struct bench_case {
    const char *name;
    const char *title;
    uint64_t records; /* at scale 1; enough for 0.7 seconds of the fastest side */
    uint64_t keys;
    uint64_t (*bare)(uint64_t records, uint64_t keys);
    uint64_t (*best)(uint64_t records, uint64_t keys); /* the bare loop with everything we know of; NULL: the same */
    void (*job)(fl_env *env, uint64_t records, uint64_t keys); /* builds the graph */
    bool is_unchained;                                         /* pipeline.operator-chaining.enabled=false */
    double ratio_max;     /* to reach at parallelism 1: wall time over the bare loop's; 0: no target */
    double cpu_ratio_max; /* CPU time over the bare loop's */
    /* Measured elsewhere on two cores, million records per second; 0: unknown. */
    double flink, timely, bare_elsewhere;
} bench_case;

extern const bench_case cases[];
extern const size_t case_count;

/* Runs the case's job in this process. False with a message on stderr when it failed. */
bool job_run(const bench_case *c, uint64_t records, int parallelism, outcome *result);

/* The jobs of the other measurements. They run in a child process until their input ends or they are killed. */
int job_latency(int source_port, int sink_port);
int job_first_record(void);
int job_idle(int port);
/* What the latency job does, as a bare loop: one thread, blocking reads. */
int bare_latency(int source_port, int sink_port);

/* ---- async.c: what asks for each pair, and passes it on when the answer comes ---- */

fl_stream *async_now(fl_stream *pairs);      /* answered within the function */
fl_stream *async_look_ups(fl_stream *pairs); /* by a service that takes 1 ms, 100 at once */
fl_stream *async_look_ups_in_threads(fl_stream *pairs);

/* ---- measure.c ---- */

double wall_now(void);   /* CLOCK_MONOTONIC, seconds */
double cpu_now(void);    /* of this process */
double thread_now(void); /* CPU time of this thread */
double rss_peak_mb(void);
/* CPU seconds that all processes of the machine used so far. */
double machine_cpu_now(void);

/* Starts this program again with these arguments (NULL ends them); its standard output can be read from *out. */
int child_start(const char *const *arguments, FILE **out);
/* Waits for its end: true when it exited with 0. *cpu_seconds: what it used; may be NULL. */
bool child_wait(int pid, FILE *out, double *cpu_seconds);

double median(double *values, size_t count); /* sorts them */

/* ---- latency.c ---- */

typedef struct latency {
    double p50_ms, p99_ms, p999_ms, max_ms;
    double cpu;       /* cores that the job used */
    uint64_t records; /* measured ones */
    double rate;      /* events per second that were really sent */
} latency;

/* Starts the job (or the bare loop), sends events at this rate for some seconds and looks how long each takes to come
 * out. False with a message when it does not work. */
bool latency_measure(bool is_bare, double rate, double seconds, latency *result);

/* Milliseconds from the start of a process to the first record in its sink; is_bare: to the first line of a main that
 * does nothing else. */
bool first_record_measure(bool is_bare, double *ms, double *total_ms);
/* CPU time that a job on a silent socket uses per second of wall time, %. */
bool idle_measure(double seconds, double *percent);

#endif
