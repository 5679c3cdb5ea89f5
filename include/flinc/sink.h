/* Where records go. A sink returns its stream handle only for naming errors; nothing can follow it. */
#ifndef FLINC_SINK_H
#define FLINC_SINK_H

#include "flinc/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fl_sink_options {
    FL__COMMON_OPTIONS
    const char *prefix; /* print: put before each line ("prefix:2> …") */
    char separator;     /* csv: default ',' */
    bool header;        /* csv: first line with the field names */
    fl_function flush;  /* custom: called when the input runs dry, before a checkpoint, and at the end; in NULL */
} fl_sink_options;
#define FL__SINK(...) (&(const fl_sink_options){ .where = FL_HERE, ##__VA_ARGS__ })

fl_stream *fl__print(fl_stream *in, bool to_stderr, const fl_sink_options *options);
/* One line a record to standard output, as fl_format writes it; with "2> " in front when the sink is parallel (subtask
 * numbers from 1). Lines never mix. */
#define fl_print(in, ...) fl__print((in), false, FL__SINK(__VA_ARGS__))
#define fl_print_to_err(in, ...) fl__print((in), true, FL__SINK(__VA_ARGS__))

typedef enum fl_text_format { FL_TEXT, FL_CSV, FL_JSON_LINES } fl_text_format;
fl_stream *fl__write_text(fl_stream *in, const char *path, fl_text_format format, const fl_sink_options *options);
/* A file (parallelism 1) or a folder with one file per subtask, named 1, 2, …; replaced when they exist, complete or
 * (after a failure) left under a name that starts with a dot. */
#define fl_write_text(in, path, ...) fl__write_text((in), (path), FL_TEXT, FL__SINK(__VA_ARGS__))
#define fl_write_csv(in, path, ...) fl__write_text((in), (path), FL_CSV, FL__SINK(__VA_ARGS__))
#define fl_write_json(in, path, ...) fl__write_text((in), (path), FL_JSON_LINES, FL__SINK(__VA_ARGS__))

fl_stream *fl__write_socket(fl_stream *in, const char *host, int64_t port, const fl_sink_options *options);
/* Lines to a TCP server, which must be listening. */
#define fl_write_socket(in, host, port, ...) fl__write_socket((in), (host), (port), FL__SINK(__VA_ARGS__))

fl_stream *fl__add_sink(fl_stream *in, fl_function f, const fl_sink_options *options);
/* A sink function: f(in, NULL, ctx) for every record. */
#define fl_add_sink(in, f, ...) fl__add_sink((in), (f), FL__SINK(__VA_ARGS__))

/* ---- exactly once ---- */

/* A sink that writes in transactions (Flink's TwoPhaseCommitSinkFunction): what came between two checkpoints is one
 * transaction, and it is committed when the checkpoint at its end is complete. After a failure what was prepared is
 * committed, and what was not comes again.
 *
 *     begin ─ write … write ─ pre_commit │ checkpoint │ commit
 *
 * A transaction is a row of the type given: what is needed to commit or abort it from another process. Strings in it
 * may borrow from anywhere. Connections, open files and the like belong in the instance, fl_self(ctx). Without
 * checkpoints everything is one transaction, committed at the end. Failures: fl_fail(ctx, …). */
typedef struct fl_two_phase_sink {
    const char *name;
    const fl_type *transaction;
    size_t instance_size; /* self: zeroed, one per subtask */
    void (*open)(fl_context *ctx);
    /* Before the first record of a transaction. *transaction is zeroed. id: letters, digits and dashes, of this
     * transaction alone; one of this id may have been begun before a failure: then it is begun anew. */
    void (*begin)(void *transaction, const char *id, fl_context *ctx);
    void (*write)(const void *transaction, const void *in, fl_context *ctx);
    /* No more records: whatever happens from now on, commit must be able to succeed. */
    void (*pre_commit)(void *transaction, fl_context *ctx);
    /* May be called again for a transaction that is committed already: then it does nothing. */
    void (*commit)(const void *transaction, fl_context *ctx);
    /* The job ends, or fails, in the middle of it. */
    void (*abort)(const void *transaction, fl_context *ctx);
    void (*close)(fl_context *ctx);
} fl_two_phase_sink;

fl_stream *fl__add_two_phase_sink(fl_stream *in, const fl_two_phase_sink *sink, const fl_sink_options *options);
#define fl_add_two_phase_sink(in, sink, ...) fl__add_two_phase_sink((in), (sink), FL__SINK(__VA_ARGS__))

fl_stream *fl__file_sink(fl_stream *in, const char *folder, fl_text_format format, const fl_sink_options *options);
/* Lines in files of a folder, exactly once (Flink's FileSink, rolling on checkpoints): part-RUN-SUBTASK-N holds what
 * came between two checkpoints and has its name when the second is complete; before that it is called
 * .part-RUN-SUBTASK-N.inprogress. RUN is another one in each job that starts from nothing: files that are there stay.
 */
#define fl_file_sink(in, folder, format, ...) fl__file_sink((in), (folder), (format), FL__SINK(__VA_ARGS__))

fl_stream *fl__discard(fl_stream *in, const fl_sink_options *options);
#define fl_discard(in, ...) fl__discard((in), FL__SINK(__VA_ARGS__))

#ifdef __cplusplus
}
#endif
#endif
