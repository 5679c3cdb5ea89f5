/* Inside of the public API: what streams and the environment are, and how operators, sources and sinks of other folders
 * add themselves to the graph. */
#ifndef FL_API_API_H
#define FL_API_API_H

#include "flinc.h"
#include "graph/graph.h"

typedef enum fl__stream_kind {
    FL__STREAM_PLAIN,
    FL__STREAM_KEYED,
    FL__STREAM_WINDOWED, /* keyed, with windows */
    FL__STREAM_CONNECTED,
    FL__STREAM_SINK, /* nothing can follow */
} fl__stream_kind;

struct fl_stream {
    fl_env *env;
    fl__stream_kind kind;
    const fl_type *type; /* of the rows; of the first stream when connected */
    fl__node *node;      /* who makes them; NULL when the graph has failed or for unions */
    const fl_tag *tag;   /* side output of it */
    fl_partitioning partitioning;
    bool is_partitioned; /* partitioning was asked for; else forward, or rebalance when parallelisms differ */
    const fl__key *key;  /* keyed, windowed: by what; custom partitioning: the partitioner's key */
    fl_partition_fn partitioner;
    void *partitioner_arg;
    const void *window; /* windowed: the operators' const fl__window_spec * (operators/window.h), in the env's arena */
    fl_stream *const *parts; /* union: its members; connected: the two */
    size_t part_count;
    struct fl__iteration *iteration; /* fl_iterate made it; NULL */
};

struct fl_env {
    fl__memory memory;
    fl__arena arena; /* graph, streams, copies of options: until fl_env_free */
    fl_error error;  /* sticky */
    fl__graph graph;
    struct fl__config *config; /* base/config.h */
    struct fl__params *params; /* base/params.h */
    const char *job_name;
    struct fl__job *_Atomic running; /* cluster/: the job being executed; NULL */
    struct fl__job_result *result;
    char *error_text;
    _Atomic int cancelled;
    _Atomic int job_readers;                 /* threads and signal handlers that look at `running` now */
    bool is_executed;                        /* the graph was run: the next operator begins a new one */
    const struct fl__simulation *simulation; /* run by one thread from a seed; NULL */
    struct fl_results *open_results;         /* of fl_collect_async, not executed yet */
    struct fl_job_client *client;            /* of the job that runs in the background; NULL */
    struct fl__at_free *at_free;             /* called by fl_env_free, the last one first */
    struct fl__substitution *substitutions;  /* test kit: sources and sinks put in from outside */
    int64_t auto_watermark_interval_ms, buffer_timeout_ms, record_bytes_max;
    int64_t managed_memory;  /* bytes; BATCH */
    const char *tmp_folders; /* io.tmp.dirs; NULL: not set */
    uint32_t segment_size;
    uint64_t watermark_records;
    int64_t held_warning_ms;                                       /* flinc.watermark.held-warning */
    bool parallelism_set, max_parallelism_set, buffer_timeout_set; /* by the program: they win over the configuration */
    bool plan_only;                /* fl_execute stops at the finished graph (flinc info) */
    struct fl__observer *observer; /* is told of runs; NULL */
    void *executor_data;
};

/* Told by fl_execute, in its thread, when a job begins to run and when it has ended and its result is there. */
typedef struct fl__observer {
    void (*started)(struct fl__observer *observer, fl_env *env);
    void (*ended)(struct fl__observer *observer, fl_env *env, fl_status status);
} fl__observer;

/* Sets what is set in config, as the command line does before the program has its say. */
void fl__env_configure(fl_env *env, const struct fl__config *config);

/* The rest of a spec is filled in from the options: name, uid, arg, instance size, open, close, states, on_timer,
 * where. */
typedef struct fl__new_operator {
    const fl__operator_class *class;
    const fl_type *out;        /* NULL: a sink */
    const fl_options *options; /* the common ones, which come first in every options struct; may be NULL */
    const char *default_name;  /* NULL: class->kind */
    fl_function function, function2;
    fl_filter_fn filter;
    fl_reduce_fn reduce;
    const fl_aggregate_fn *aggregate;
    void *config;                    /* the operator kind's own, in the env's arena */
    bool not_parallel;               /* sources, sinks: parallelism 1 unless asked for; more is an error */
    bool emits_timestamps;           /* sources: rows have timestamps */
    bool is_unbounded;               /* sources: may never end: not for BATCH mode */
    const fl_source_options *source; /* sources: event time that was asked for with the source; NULL: none */
} fl__new_operator;

/* Adds an operator behind a stream (plain, keyed, windowed, union, connected: edges are made accordingly). Never NULL:
 * after an error it returns a stream of a failed graph. */
fl_stream *fl__add_operator(fl_stream *in, const fl__new_operator *what);
/* Adds a source. */
fl_stream *fl__add_source_operator(fl_env *env, const fl__new_operator *what);

/* Records the first error of building the graph, with the user's line. Returns a stream of a failed graph. */
fl_stream *fl__stream_error(fl_env *env, fl_where where, const char *format, ...) FL_PRINTF(3, 4);
/* True when s is NULL or its graph has failed: callers return s at once. */
bool fl__stream_failed(const fl_stream *s);
/* Only a plain or keyed stream goes into most transformations; true after recording what to call instead. */
bool fl__stream_is_wrong_kind(fl_stream *in, const char *call, fl_where where);
/* States and timers need a keyed stream: false after recording that they were given on one that is not. */
bool fl__stream_may_have_state(fl_stream *in, const char *call, const fl_options *options);
/* The field of this name (or index, when name is NULL) in the rows of a stream; NULL after recording what is wrong. */
const fl_field *fl__api_field(
    fl_stream *in, const char *call, const char *name, int index, uint32_t *offset, fl_where where);
/* Two streams as the inputs of one operator, without any check. */
fl_stream *fl__stream_connected(fl_stream *first, fl_stream *second);
/* Do all records of the stream carry timestamps, as far as the graph can tell? */
bool fl__stream_has_timestamps(const fl_stream *s);
/* A copy of *s in the arena. */
fl_stream *fl__stream_copy(const fl_stream *s);
/* Begins a new graph, after the last one was executed; configuration stays. */
void fl__env_new_graph(fl_env *env);
void *fl__env_alloc(fl_env *env, size_t size);
/* fl_env_free calls f(arg) before anything else goes; the last one registered first. */
void fl__env_at_free(fl_env *env, void (*f)(void *arg), void *arg);

/* Cancels the running job: async-signal-safe. fl_execute returns FL_ERROR_CANCELLED. */
void fl__env_cancel(fl_env *env);
/* What a running job has done so far; any thread. */
typedef struct fl__progress {
    int64_t records_in, records_out; /* of sources, to sinks */
    fl_time watermark;               /* lowest of all sinks; FL_TIME_MIN: none */
    char held_by[96];                /* what has held a task's watermark back the longest; empty: nothing does */
    int64_t held_ms;
    int64_t elapsed_ms;
    int stage, stage_count; /* BATCH: the one that runs, from 0; 0 and 1 else */
    bool is_running;
} fl__progress;
void fl__env_progress(fl_env *env, fl__progress *progress);
/* Totals of the last or running job's accumulators: calls f for each. */
void fl__env_accumulators(
    const fl_env *env, void (*f)(const char *name, bool is_double, int64_t i, double d, void *arg), void *arg);

#endif
