/* fl_write_text, fl_write_csv, fl_write_json: rows as lines of a file, or of one file per subtask in a folder.
 *
 * A subtask writes `.NAME.inprogress` and gives it its name when its input has ended, after a sync: NAME is always
 * whole, the old one or the new one. After a failure the unfinished file stays under its dot name; the next run empties
 * it. A device or pipe (/dev/stdout, /dev/null, a fifo) is written to in place. */
#include "api/api.h"
#include "formats/csv.h"
#include "formats/row_line.h"
#include "os/file.h"
#include "os/thread.h"
#include "stream/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum { WRITE_BYTES = 64 * 1024 };

struct text_config {
    const char *path;
    fl_text_format format;
    char separator;
    bool header;
};

struct text_sink {
    fl__operator op;
    bool is_open;    /* close comes without open, too: then there is nothing to close */
    bool is_special; /* a device or pipe: nothing to rename */
    fl__text text;
    fl__file file;
    char *folder, *unfinished, *final; /* paths, from malloc */
    struct text_sink *next;            /* in the list of those that write */
    bool is_writing;
};

/* Guards making and clearing of output folders (subtasks of one sink open at the same time) and the list of the sinks
 * that write in this process: two of one path would mix in one unfinished file. */
static fl__mutex folder_mutex = FL__MUTEX_INIT;
static struct text_sink *writing;

/* ---- paths ---- */

static char *parent_of(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    char *parent = length == 0 ? strdup(".") : strndup(path, length);
    if (!parent)
        abort();
    return parent;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Does a subtask write under this name, finished or not? Gives its number. */
static bool is_part_name(const char *name, long *number)
{
    size_t dot = *name == '.', digits = strspn(name + dot, "0123456789");
    if (digits == 0 || digits > 6 || name[dot] == '0')
        return false;
    *number = strtol(name + dot, NULL, 10);
    const char *rest = name + dot + digits;
    return dot ? strcmp(rest, ".inprogress") == 0 : *rest == 0;
}

struct clearing {
    const char *folder;
    const fl__os *os;
    long above;       /* parts with higher numbers go */
    char foreign[64]; /* a name that is none of ours */
    fl_error *error;
};

static int look_at_entry(void *arg, const char *name)
{
    struct clearing *clearing = (struct clearing *)arg;
    long number;
    if (!is_part_name(name, &number)) {
        snprintf(clearing->foreign, sizeof clearing->foreign, "%s", name);
        return 1;
    }
    return 0;
}

static int clear_entry(void *arg, const char *name)
{
    struct clearing *clearing = (struct clearing *)arg;
    long number;
    if (!is_part_name(name, &number) || number <= clearing->above)
        return 0;
    char *path = fl__path_join(clearing->folder, name);
    fl_status status = fl__path_unlink(clearing->os, path, clearing->error);
    free(path);
    return status == FL_OK ? 0 : (int)status;
}

/* Removes the parts of earlier runs with more subtasks. */
static fl_status clear_parts(const fl__os *os, const char *folder, long above, fl_error *error)
{
    struct clearing clearing = { .folder = folder, .os = os, .above = above, .error = error };
    int result = os->list(os, folder, clear_entry, &clearing);
    if (result < 0)
        return fl__error_set(error, FL_ERROR_IO, "cannot read folder %s: %s", folder, strerror(-result));
    return (fl_status)result;
}

/* A folder at path is ours to write to or replace when only parts lie in it. */
static fl_status check_folder(const fl__os *os, const char *path, fl_error *error)
{
    struct clearing clearing = { .folder = path, .os = os };
    int result = os->list(os, path, look_at_entry, &clearing);
    if (result < 0)
        return fl__error_set(error, FL_ERROR_IO, "cannot read folder %s: %s", path, strerror(-result));
    if (result > 0)
        return fl__error_set(error, FL_ERROR_INVALID,
            "%s is a folder with files that were not written by such a sink (%s); name another path or remove it", path,
            clearing.foreign);
    return FL_OK;
}

/* ---- open ---- */

/* The folder for the parts: made, or what is there. */
static fl_status make_folder(const fl__os *os, const char *path, fl_error *error)
{
    fl__file_info info;
    if (os->stat(os, path, &info) == 0) {
        if (info.folder)
            return check_folder(os, path, error);
        fl_status status = fl__path_unlink(os, path, error); /* the file of an earlier run with one subtask */
        if (status != FL_OK)
            return status;
    }
    return fl__folder_make(os, path, error);
}

static char *join(const char *folder, const char *before, const char *name, const char *after)
{
    char *file = NULL;
    if (asprintf(&file, "%s%s%s", before, name, after) < 0)
        abort();
    char *path = fl__path_join(folder, file);
    free(file);
    return path;
}

static fl_status enlist(struct text_sink *sink, fl_error *error)
{
    for (const struct text_sink *other = writing; other; other = other->next)
        if (strcmp(other->final, sink->final) == 0)
            return fl__error_set(error, FL_ERROR_INVALID,
                "%s is being written by %s already; give each sink a path of its own, or fl_union their streams",
                sink->final, other->op.display_name);
    sink->next = writing;
    sink->is_writing = true;
    writing = sink;
    return FL_OK;
}

static void strike_off(struct text_sink *sink)
{
    fl__mutex_lock(&folder_mutex);
    for (struct text_sink **at = &writing; *at && sink->is_writing; at = &(*at)->next) {
        if (*at == sink) {
            *at = sink->next;
            break;
        }
    }
    sink->is_writing = false;
    fl__mutex_unlock(&folder_mutex);
}

static fl_status open_special(struct text_sink *sink, fl_error *error)
{
    const struct text_config *config = (const struct text_config *)sink->op.spec->config;
    if (sink->op.ctx.parallelism > 1)
        return fl__error_set(error, FL_ERROR_INVALID,
            "%s is a device or pipe, to which one subtask at most may write; add .parallelism = 1", config->path);
    return fl__file_open(&sink->file, sink->op.task->os, config->path, FL__FILE_APPEND, error);
}

static fl_status open_file(struct text_sink *sink, fl_error *error)
{
    const fl__os *os = sink->op.task->os;
    fl__mutex_lock(&folder_mutex);
    fl_status status = enlist(sink, error);
    if (status == FL_OK)
        status = sink->op.ctx.parallelism > 1 ? make_folder(os, sink->folder, error)
                                              : fl__folder_make(os, sink->folder, error);
    fl__mutex_unlock(&folder_mutex);
    return status == FL_OK ? fl__file_open(&sink->file, os, sink->unfinished, FL__FILE_WRITE, error) : status;
}

static fl_status open_sink(fl__operator *op, fl_error *error)
{
    struct text_sink *sink = (struct text_sink *)op;
    const struct text_config *config = (const struct text_config *)op->spec->config;
    sink->is_open = true;
    sink->text.memory = &op->memory;
    sink->file = FL__FILE_INIT;
    char number[16];
    snprintf(number, sizeof number, "%d", op->ctx.subtask + 1);
    bool is_parallel = op->ctx.parallelism > 1;
    const char *name = is_parallel ? number : name_of(config->path);
    if (is_parallel)
        sink->folder = strdup(config->path);
    else
        sink->folder = parent_of(config->path);
    if (!sink->folder)
        abort();
    sink->unfinished = join(sink->folder, ".", name, ".inprogress");
    sink->final = join(sink->folder, "", name, "");

    fl__file_info info;
    sink->is_special = op->task->os->stat(op->task->os, config->path, &info) == 0 && info.special;
    fl_status status = sink->is_special ? open_special(sink, error) : open_file(sink, error);
    if (status == FL_OK && config->format == FL_CSV && config->header)
        fl__csv_write_header(&sink->text, op->spec->in[0], config->separator);
    return status;
}

static void close_sink(fl__operator *op)
{
    struct text_sink *sink = (struct text_sink *)op;
    if (!sink->is_open)
        return;
    sink->is_open = false;
    strike_off(sink);
    fl__file_close(&sink->file);
    fl__text_release(&sink->text);
    free(sink->folder);
    free(sink->unfinished);
    free(sink->final);
}

/* ---- rows ---- */

static fl_status write_out(struct text_sink *sink)
{
    fl_error error = FL_ERROR_INIT;
    if (sink->text.length == 0)
        return FL_OK;
    fl_status status = fl__file_write(&sink->file, sink->text.data, sink->text.length, &error);
    sink->text.length = 0;
    if (status != FL_OK)
        fl__operator_fail(&sink->op, status, "%s; %s was not written", error.text, sink->final);
    fl__error_release(&error);
    return status;
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    struct text_sink *sink = (struct text_sink *)op;
    const struct text_config *config = (const struct text_config *)op->spec->config;
    const fl_type *type = op->spec->in[0];
    FL__FOR_ROWS(batch, row, i)
    {
        fl__row_line_write(&sink->text, config->format, config->separator, type, row);
        if (sink->text.length >= WRITE_BYTES) {
            fl_status status = write_out(sink);
            if (status != FL_OK)
                return status;
        }
    }
    return FL_OK;
}

static void flush(fl__operator *op)
{
    if (!fl__operator_failed(op))
        (void)write_out((struct text_sink *)op); /* a failure sticks to the operator */
}

/* ---- the end ---- */

/* A folder of parts may stand where a file is to be: the result of an earlier, parallel run. */
static fl_status make_way(const fl__os *os, const char *path, fl_error *error)
{
    fl__file_info info;
    if (os->stat(os, path, &info) != 0 || !info.folder)
        return FL_OK;
    fl_status status = check_folder(os, path, error);
    if (status == FL_OK)
        status = clear_parts(os, path, 0, error);
    return status == FL_OK ? fl__path_unlink(os, path, error) : status;
}

static fl_status give_name(struct text_sink *sink, fl_error *error)
{
    const fl__os *os = sink->op.task->os;
    fl_status status = fl__file_sync(&sink->file, error);
    fl__file_close(&sink->file);
    if (status == FL_OK && sink->op.ctx.parallelism == 1)
        status = make_way(os, sink->final, error);
    if (status == FL_OK)
        status = fl__path_rename(os, sink->unfinished, sink->final, error);
    if (status == FL_OK && sink->op.ctx.parallelism > 1 && sink->op.ctx.subtask == 0)
        status = clear_parts(os, sink->folder, sink->op.ctx.parallelism, error);
    if (status == FL_OK)
        status = fl__folder_sync(os, sink->folder, error);
    return status;
}

static fl_status finish(fl__operator *op)
{
    struct text_sink *sink = (struct text_sink *)op;
    if (fl__operator_failed(op))
        return FL_OK;
    fl_status status = write_out(sink);
    if (status != FL_OK)
        return status;
    if (sink->is_special)
        return FL_OK;
    fl_error error = FL_ERROR_INIT;
    status = give_name(sink, &error);
    if (status != FL_OK)
        fl__operator_fail(op, status, "%s; what was written lies in %s", error.text, sink->unfinished);
    fl__error_release(&error);
    return status;
}

static const fl__operator_class text_sink_class = {
    .kind = "Unnamed",
    .size = sizeof(struct text_sink),
    .open = open_sink,
    .process = process,
    .finish = finish,
    .flush = flush,
    .close = close_sink,
};

/* ---- the graph ---- */

/* Can files be made in the folder, or, when it does not exist yet, in the nearest one above that does? */
static fl_status check_writable(const fl__os *os, const char *path, fl_error *error)
{
    fl__file_info info;
    char *folder = parent_of(path);
    while (os->stat(os, folder, &info) == -ENOENT && strcmp(folder, "/") != 0 && strcmp(folder, ".") != 0) {
        char *up = parent_of(folder);
        free(folder);
        folder = up;
    }
    /* A file without a name: nothing is left behind. File systems without such files are believed to be writable. */
    int fd = os->open(os, folder, O_TMPFILE | O_WRONLY);
    fl_status status = FL_OK;
    if (fd >= 0)
        os->close(os, fd);
    else if (fd != -EOPNOTSUPP && fd != -EISDIR)
        status = fl__error_set(error, FL_ERROR_IO, "cannot write into %s: %s", folder, strerror(-fd));
    free(folder);
    return status;
}

static fl_status check_target(const fl__os *os, const char *path, fl_error *error)
{
    fl__file_info info;
    if (os->stat(os, path, &info) == 0 && info.special)
        return FL_OK;
    fl_status status = check_writable(os, path, error);
    if (status == FL_OK && os->stat(os, path, &info) == 0 && info.folder)
        status = check_folder(os, path, error);
    return status;
}

static const char *const call_names[] = { "fl_write_text", "fl_write_csv", "fl_write_json" };

fl_stream *fl__write_text(fl_stream *in, const char *path, fl_text_format format, const fl_sink_options *options)
{
    if (fl__stream_failed(in))
        return in;
    fl_env *env = in->env;
    const char *call = call_names[format];
    char separator = options->separator ? options->separator : ',';
    if (!path || !*path)
        return fl__stream_error(env, options->where, "%s: no path given; name the file to write", call);
    if (!fl__csv_is_separator(separator))
        return fl__stream_error(
            env, options->where, "%s: '%c' cannot separate fields; take one like , ; | or a tab", call, separator);
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    struct text_config *config = fl__env_alloc(env, sizeof *config);
    *config = (struct text_config){
        .path = fl__arena_printf(&env->arena, "%.*s", (int)length, path),
        .format = format,
        .separator = separator,
        .header = options->header,
    };
    fl_error error = FL_ERROR_INIT;
    if (check_target(&fl__os_linux, config->path, &error) != FL_OK) {
        fl_stream *failed = fl__stream_error(env, options->where,
            "%s(\"%s\"): %s; the path must lie in a folder that can be written", call, path, error.text);
        fl__error_release(&error);
        return failed;
    }
    return fl__add_operator(in, &(fl__new_operator){
                                    .class = &text_sink_class,
                                    .options = (const fl_options *)options,
                                    .config = config,
                                });
}
