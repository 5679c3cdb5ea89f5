/* fl_print and fl_print_to_err. Each subtask collects whole lines and writes them when 64 KiB are full or its input
 * runs dry, under one lock for the process, so that lines of different subtasks never mix. */
#include "api/api.h"
#include "formats/text.h"
#include "os/os.h"
#include "os/terminal.h"
#include "os/thread.h"
#include "os/waker.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { WRITE_BYTES = 64 * 1024 };

struct print_config {
    bool to_stderr;
    const char *prefix; /* or NULL */
};

struct print_sink {
    fl__operator op;
    fl__text text;
    char *before; /* of each line; "" without; from malloc */
    size_t before_length;
};

/* Guards the two standard streams: whoever holds it writes whole lines. */
static fl__mutex standard_mutex = FL__MUTEX_INIT;

static fl_status open_print(fl__operator *op, fl_error *error)
{
    (void)error;
    struct print_sink *sink = (struct print_sink *)op;
    const struct print_config *config = (const struct print_config *)op->spec->config;
    const char *prefix = config->prefix ? config->prefix : "";
    int length;
    if (op->ctx.parallelism > 1)
        length = asprintf(&sink->before, "%s%s%d> ", prefix, *prefix ? ":" : "", op->ctx.subtask + 1);
    else
        length = asprintf(&sink->before, "%s%s", prefix, *prefix ? "> " : "");
    if (length < 0)
        abort();
    sink->before_length = (size_t)length;
    sink->text.memory = &op->memory;
    return FL_OK;
}

static void close_print(fl__operator *op)
{
    struct print_sink *sink = (struct print_sink *)op;
    free(sink->before);
    fl__text_release(&sink->text);
}

/* A terminal or pipe may have been made non-blocking by whoever shares it. */
static void wait_writable(int fd)
{
    fl__waker waker;
    fl__waker_init(&waker);
    fl__waker_park_fd_writable(&waker, fl__waker_prepare(&waker), fd, -1);
    fl__waker_release(&waker);
}

/* 0 or an errno. */
static int write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = fl__os_linux.write(&fl__os_linux, fd, data, length);
        if (n == -EAGAIN) {
            wait_writable(fd);
            continue;
        }
        if (n < 0)
            return (int)-n;
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

static fl_status write_out(struct print_sink *sink)
{
    const struct print_config *config = (const struct print_config *)sink->op.spec->config;
    if (sink->text.length == 0)
        return FL_OK;
    fl__mutex_lock(&standard_mutex);
    fl__terminal_clear(config->to_stderr ? STDERR_FILENO : STDOUT_FILENO);
    fflush(config->to_stderr ? stderr : stdout); /* what the program printed before comes before */
    int failed = write_all(config->to_stderr ? STDERR_FILENO : STDOUT_FILENO, sink->text.data, sink->text.length);
    fl__mutex_unlock(&standard_mutex);
    sink->text.length = 0;
    if (failed == 0)
        return FL_OK;
    return fl__operator_fail(&sink->op, FL_ERROR_IO, "cannot write to standard %s: %s",
        config->to_stderr ? "error" : "output", strerror(failed));
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    struct print_sink *sink = (struct print_sink *)op;
    const fl_type *type = op->spec->in[0];
    FL__FOR_ROWS(batch, row, i)
    {
        fl__text_append(&sink->text, sink->before, sink->before_length);
        fl__text_value(&sink->text, type, row);
        fl__text_char(&sink->text, '\n');
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
        (void)write_out((struct print_sink *)op); /* a failure sticks to the operator */
}

static fl_status finish(fl__operator *op)
{
    return write_out((struct print_sink *)op);
}

static const fl__operator_class print_class = {
    .kind = "Print to Std. Out",
    .size = sizeof(struct print_sink),
    .open = open_print,
    .process = process,
    .finish = finish,
    .flush = flush,
    .close = close_print,
};

fl_stream *fl__print(fl_stream *in, bool to_stderr, const fl_sink_options *options)
{
    if (fl__stream_failed(in))
        return in;
    struct print_config *config = fl__env_alloc(in->env, sizeof *config);
    config->to_stderr = to_stderr;
    config->prefix = fl__arena_strdup(&in->env->arena, options->prefix);
    return fl__add_operator(in, &(fl__new_operator){
                                    .class = &print_class,
                                    .default_name = to_stderr ? "Print to Std. Err" : NULL,
                                    .options = (const fl_options *)options,
                                    .config = config,
                                });
}
