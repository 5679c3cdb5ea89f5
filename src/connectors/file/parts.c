/* fl_file_sink: rows as lines of files in a folder, exactly once: a file is a transaction.
 *
 *     .part-ID.inprogress ── pre-commit: written out, synced ── commit: renamed ──▶ part-ID */
#include "api/api.h"
#include "formats/row_line.h"
#include "os/file.h"
#include "stream/task.h"

#include <stdio.h>

enum { WRITE_BYTES = 64 * 1024 };

typedef struct Part {
    fl_string unfinished, final; /* paths */
} Part;
FL_ROW(Part, unfinished, final);

struct parts_config {
    fl_two_phase_sink sink; /* first: what the operator knows of it */
    const char *folder;
    fl_text_format format;
    char separator;
};

struct parts {
    fl__text text;
    fl__file file;            /* of the transaction that is open */
    char *unfinished, *final; /* its paths */
};

static const struct parts_config *config_of(const fl_context *ctx)
{
    return (const struct parts_config *)fl__operator_of(ctx)->spec->config;
}

static const fl__os *os_of(const fl_context *ctx)
{
    return fl__operator_of(ctx)->task->os;
}

static bool succeeded(fl_status status, fl_error *error, fl_context *ctx)
{
    if (status != FL_OK)
        fl__operator_fail(fl__operator_of(ctx), status, "%s", error->text);
    fl__error_release(error);
    return status == FL_OK;
}

/* A path of a transaction, ended by 0; free() it. */
static char *path_of(const fl_string *s)
{
    size_t length = fl_string_length(*s);
    char *path = malloc(length + 1);
    if (!path)
        abort();
    memcpy(path, fl_string_data(s), length);
    path[length] = 0;
    return path;
}

static void open_parts(fl_context *ctx)
{
    struct parts *self = fl_self(ctx);
    fl_error error = FL_ERROR_INIT;
    self->text.memory = &fl__operator_of(ctx)->memory;
    self->file = FL__FILE_INIT;
    (void)succeeded(fl__folder_make(os_of(ctx), config_of(ctx)->folder, &error), &error, ctx);
}

static void forget_paths(struct parts *self)
{
    free(self->unfinished);
    free(self->final);
    self->unfinished = self->final = NULL;
}

static void close_parts(fl_context *ctx)
{
    struct parts *self = fl_self(ctx);
    fl__file_close(&self->file);
    fl__text_release(&self->text);
    forget_paths(self);
}

static void begin_part(void *transaction, const char *id, fl_context *ctx)
{
    struct parts *self = fl_self(ctx);
    const char *folder = config_of(ctx)->folder;
    fl_error error = FL_ERROR_INIT;
    forget_paths(self);
    if (asprintf(&self->unfinished, "%s/.part-%s.inprogress", folder, id) < 0 ||
        asprintf(&self->final, "%s/part-%s", folder, id) < 0)
        abort();
    if (succeeded(fl__file_open(&self->file, os_of(ctx), self->unfinished, FL__FILE_WRITE, &error), &error, ctx))
        *(Part *)transaction = (Part){ fl_str(self->unfinished), fl_str(self->final) };
}

static void write_out(fl_context *ctx)
{
    struct parts *self = fl_self(ctx);
    fl_error error = FL_ERROR_INIT;
    if (self->text.length > 0)
        (void)succeeded(fl__file_write(&self->file, self->text.data, self->text.length, &error), &error, ctx);
    self->text.length = 0;
}

static void write_row(const void *transaction, const void *in, fl_context *ctx)
{
    (void)transaction;
    struct parts *self = fl_self(ctx);
    const struct parts_config *config = config_of(ctx);
    fl__row_line_write(&self->text, config->format, config->separator, fl__operator_of(ctx)->spec->in[0], in);
    if (self->text.length >= WRITE_BYTES)
        write_out(ctx);
}

static void pre_commit_part(void *transaction, fl_context *ctx)
{
    (void)transaction;
    struct parts *self = fl_self(ctx);
    fl_error error = FL_ERROR_INIT;
    write_out(ctx);
    if (fl__operator_failed(fl__operator_of(ctx)))
        return;
    (void)succeeded(fl__file_sync(&self->file, &error), &error, ctx);
    fl__file_close(&self->file);
}

static void commit_part(const void *transaction, fl_context *ctx)
{
    const Part *part = transaction;
    char *unfinished = path_of(&part->unfinished), *final = path_of(&part->final);
    fl_error error = FL_ERROR_INIT;
    fl_status status = FL_OK;
    if (fl__path_exists(os_of(ctx), unfinished) ||
        !fl__path_exists(os_of(ctx), final)) /* else it was committed before */
        status = fl__path_rename(os_of(ctx), unfinished, final, &error);
    if (status == FL_OK)
        status = fl__folder_sync(os_of(ctx), config_of(ctx)->folder, &error);
    (void)succeeded(status, &error, ctx);
    free(unfinished);
    free(final);
}

static void abort_part(const void *transaction, fl_context *ctx)
{
    const Part *part = transaction;
    struct parts *self = fl_self(ctx);
    char *unfinished = path_of(&part->unfinished);
    fl_error ignored = FL_ERROR_INIT;
    fl__file_close(&self->file);
    if (fl__path_unlink(os_of(ctx), unfinished, &ignored) != FL_OK)
        fl__error_release(&ignored); /* a file under a dot name is left */
    free(unfinished);
}

fl_stream *fl__file_sink(fl_stream *in, const char *folder, fl_text_format format, const fl_sink_options *options)
{
    if (fl__stream_failed(in))
        return in;
    if (!folder || !*folder)
        return fl__stream_error(in->env, options->where, "fl_file_sink: no folder given");
    if (format != FL_TEXT && format != FL_CSV && format != FL_JSON_LINES)
        return fl__stream_error(in->env, options->where,
            "fl_file_sink: %d is no format; it must be FL_TEXT, FL_CSV or FL_JSON_LINES", (int)format);
    if (options->header)
        return fl__stream_error(in->env, options->where,
            "fl_file_sink: .header is not possible: the folder's files are parts of one whole");
    struct parts_config *config = fl__env_alloc(in->env, sizeof *config);
    *config = (struct parts_config){
        .sink = {
            .name = "File Sink",
            .transaction = FL_TYPE(Part),
            .instance_size = sizeof(struct parts),
            .open = open_parts,
            .begin = begin_part,
            .write = write_row,
            .pre_commit = pre_commit_part,
            .commit = commit_part,
            .abort = abort_part,
            .close = close_parts,
        },
        .folder = fl__arena_strdup(&in->env->arena, folder),
        .format = format,
        .separator = options->separator ? options->separator : ',',
    };
    return fl__add_two_phase_sink(in, &config->sink, options);
}
