/* Where records come from. */
#ifndef FLINC_SOURCE_H
#define FLINC_SOURCE_H

#include "flinc/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fl_source_options {
    FL__COMMON_OPTIONS
    fl_lifecycle_fn cancel;    /* custom: tells run to return; called from another thread */
    bool parallel;             /* custom: may run with parallelism > 1 (else it is 1) */
    double rate;               /* generator: records per second over all subtasks; 0: as fast as possible */
    int64_t count;             /* generator: records over all subtasks; 0: without end */
    const char *delimiter;     /* text: default "\n" (a "\r" before it is cut off) */
    int max_retries;           /* socket: new connections after one that ended or failed; -1: for ever; 0: none */
    fl_duration retry_every;   /* socket: default 500 ms */
    fl_duration monitor_every; /* files: look for new files and appended lines so often; 0: read once and end */
    size_t line_bytes_max;     /* text: a longer line is an error; default 16 MiB, at most 1 GiB */
    size_t split_bytes;        /* files: larger ones are read in splits of about so many bytes; default 4 MiB */
    bool bounded;              /* custom, poll: it ends by itself: may run in BATCH mode */
    bool timestamps;           /* generator: f sets them, by fl_collect_with_timestamp; without it records carry none */
    /* event time, as in fl_watermarks right behind the source */
    fl_watermark_strategy watermarks;
    const char *timestamp;
    fl_timestamp_fn timestamp_function;
    fl_duration idle_after;
} fl_source_options;
#define FL__SOURCE(...) (&(const fl_source_options){ .where = FL_HERE, ##__VA_ARGS__ })

fl_stream *fl__from_collection(
    fl_env *env, const fl_type *type, const void *rows, size_t count, const fl_source_options *options);
/* The rows of an array (copied now, with what they point to), in order, by one subtask. */
#define fl_from_collection(env, T, rows, count, ...)                                                                   \
    fl__from_collection((env), FL_TYPE(T), (const T *)(rows), (count), FL__SOURCE(__VA_ARGS__))
/* fl_from_elements(env, int64_t, 1, 2, 3); rows as compound literals: (WordCount){…}. */
#define fl_from_elements(env, T, ...)                                                                                  \
    fl__from_collection(                                                                                               \
        (env), FL_TYPE(T), (const T[]){ __VA_ARGS__ }, sizeof((const T[]){ __VA_ARGS__ }) / sizeof(T), FL__SOURCE())

fl_stream *fl__sequence(fl_env *env, int64_t from, int64_t to, const fl_source_options *options);
/* int64_t from … to, both included, split over the subtasks. */
#define fl_sequence(env, from, to, ...) fl__sequence((env), (from), (to), FL__SOURCE(__VA_ARGS__))

fl_stream *fl__generate(fl_env *env, fl_function f, const fl_type *type, const fl_source_options *options);
/* Calls f with in = const int64_t *, the record's number 0, 1, 2 … (each number in one subtask), which collects one
 * record: .rate and .count bound it. */
#define fl_generate(env, f, T, ...) fl__generate((env), (f), FL_TYPE(T), FL__SOURCE(__VA_ARGS__))

fl_stream *fl__socket_text(fl_env *env, const char *host, int64_t port, const fl_source_options *options);
/* Lines (fl_string) from a TCP server; one subtask. The end of the connection is the end of input, unless
 * .max_retries. */
#define fl_socket_text(env, host, port, ...) fl__socket_text((env), (host), (port), FL__SOURCE(__VA_ARGS__))

fl_stream *fl__read_text(fl_env *env, const char *path, const fl_source_options *options);
/* Lines (fl_string) of a file, of all files of a folder (recursively; names that start with . or _ are left out), or of
 * a glob. Large files are split over the subtasks at line ends; .gz and .zst are unpacked (one subtask each). */
#define fl_read_text(env, path, ...) fl__read_text((env), (path), FL__SOURCE(__VA_ARGS__))

fl_stream *fl__add_source(fl_env *env, fl_function run, const fl_type *type, const fl_source_options *options);
/* A source function: run is called once per subtask in a thread of its own, may block, collects, and returns at the end
 * of its input or when fl_running(ctx) is false. fl_collect blocks under backpressure. */
#define fl_add_source(env, run, T, ...) fl__add_source((env), (run), FL_TYPE(T), FL__SOURCE(__VA_ARGS__))

/* ---- poll sources: for connectors ---- */

/* A source that is asked for records by the task's thread and never blocks. Splits are dealt out by the coordinator
 * (fl__enumerate of one subtask in the embedded mode): split i goes to subtask i mod parallelism unless they are
 * pulled. */
typedef struct fl_source_class {
    const char *name;
    size_t instance_size; /* self: zeroed, one per subtask */
    /* fl_arg(ctx) is .arg, fl_self(ctx) the instance. Failures: fl_fail(ctx, …). */
    void (*open)(fl_context *ctx);
    /* Collects some records (a batch's worth at most, when that is possible) and says FL_OK: more at once; FL_AGAIN:
     * nothing now, call again when the descriptor given by fl_wait_fd is readable or at fl_wait_until; FL_DONE: the
     * end. */
    fl_status (*poll)(fl_collector *out, fl_context *ctx);
    void (*close)(fl_context *ctx);
    bool pauses_splits; /* poll leaves splits alone while fl_split_is_paused says so */
    bool
        no_timestamps; /* records carry none, whatever is collected: saves 8 bytes and a nanosecond each per operator */
} fl_source_class;
void fl_wait_fd(fl_context *ctx, int fd);             /* -1: none */
void fl_wait_until(fl_context *ctx, fl_time time_ms); /* on the processing-time clock; FL_TIME_MAX: none */

/* Splits: what the source reads of several parts (partitions, files, shards), each with an event time of its own. When
 * watermarks are made behind the source (.watermarks, or fl_watermarks chained to it with nothing between but maps,
 * filters and process functions), each split has its own generator and idleness, and the lowest of those that are not
 * idle counts: it does not matter in which order they are read. A split is any number that the source likes. For open
 * and poll of poll sources; elsewhere they fail the task. */
void fl_split_add(fl_context *ctx, uint64_t split);       /* holds the watermark back from now on, until it ends */
void fl_split_choose(fl_context *ctx, uint64_t split);    /* what is collected from now on is of it; adds it if new */
void fl_split_mark_idle(fl_context *ctx, uint64_t split); /* nothing comes of it for a while: until its next record */
void fl_split_finish(fl_context *ctx, uint64_t split);    /* nothing will come of it: it holds nothing back any more */
/* Is the split too far ahead of the source's alignment group? Then collect nothing of it now; wait for other splits, or
 * with fl_wait_until. A source with several splits that does not heed this (.pauses_splits) cannot be aligned, unless
 * pipeline.watermark-alignment.allow-unaligned-source-splits is set. */
bool fl_split_is_paused(fl_context *ctx, uint64_t split);

fl_stream *fl__poll_source(
    fl_env *env, const fl_source_class *source, const fl_type *type, const fl_source_options *options);
#define fl_poll_source(env, source, T, ...) fl__poll_source((env), (source), FL_TYPE(T), FL__SOURCE(__VA_ARGS__))

#ifdef __cplusplus
}
#endif
#endif
