/* fl_write_socket: lines to a TCP server. What is written is collected and sent when 64 KiB are full or the input runs
 * dry. A server that does not read blocks the task's thread: that is the backpressure. */
#include "api/api.h"
#include "formats/text.h"
#include "os/socket.h"
#include "os/waker.h"

enum {
    SEND_BYTES = 64 * 1024,
    CONNECT_TIMEOUT_MS = 10000,
    CANCEL_LOOK_NS = 100 * 1000 * 1000, /* how often a blocked sink looks whether the job was cancelled */
};

struct socket_config {
    const char *host;
    int port;
};

struct socket_sink {
    fl__operator op;
    bool is_open; /* close comes without open, too: then there is nothing to close */
    fl__text text;
    fl__socket socket;
    fl__waker waker;
};

static fl_status open_sink(fl__operator *op, fl_error *error)
{
    struct socket_sink *sink = (struct socket_sink *)op;
    const struct socket_config *config = (const struct socket_config *)op->spec->config;
    sink->is_open = true;
    sink->socket = FL__SOCKET_INIT;
    sink->text.memory = &op->memory;
    fl__waker_init(&sink->waker);
    fl_status status = fl__socket_connect(&sink->socket, config->host, config->port, CONNECT_TIMEOUT_MS, error);
    if (status != FL_OK)
        fl__error_context(error, "fl_write_socket needs a server that is listening");
    return status;
}

static void close_sink(fl__operator *op)
{
    struct socket_sink *sink = (struct socket_sink *)op;
    if (!sink->is_open)
        return;
    sink->is_open = false;
    fl__socket_close(&sink->socket);
    fl__waker_release(&sink->waker);
    fl__text_release(&sink->text);
}

static fl_status send_all(struct socket_sink *sink, fl_error *error)
{
    for (size_t done = 0; done < sink->text.length;) {
        size_t sent = 0;
        fl_status status =
            fl__socket_write(&sink->socket, sink->text.data + done, sink->text.length - done, &sent, error);
        done += sent;
        if (status == FL_OK)
            continue;
        if (status == FL_CLOSED)
            return fl__error_set(error, FL_ERROR_IO, "%s has closed the connection", sink->socket.peer);
        if (status != FL_AGAIN)
            return status;
        if (fl__operator_cancelled(&sink->op))
            return fl__error_set(error, FL_ERROR_CANCELLED, "cancelled while %s takes no data", sink->socket.peer);
        fl__waker_park_fd_writable(&sink->waker, fl__waker_prepare(&sink->waker), sink->socket.fd, CANCEL_LOOK_NS);
    }
    return FL_OK;
}

static fl_status write_out(struct socket_sink *sink)
{
    fl_error error = FL_ERROR_INIT;
    fl_status status = send_all(sink, &error);
    sink->text.length = 0;
    if (status != FL_OK)
        fl__operator_fail(&sink->op, status, "%s", error.text);
    fl__error_release(&error);
    return status;
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    struct socket_sink *sink = (struct socket_sink *)op;
    const fl_type *type = op->spec->in[0];
    FL__FOR_ROWS(batch, row, i)
    {
        fl__text_value(&sink->text, type, row);
        fl__text_char(&sink->text, '\n');
        if (sink->text.length >= SEND_BYTES) {
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
        (void)write_out((struct socket_sink *)op); /* a failure sticks to the operator */
}

static fl_status finish(fl__operator *op)
{
    return fl__operator_failed(op) ? FL_OK : write_out((struct socket_sink *)op);
}

static const fl__operator_class socket_sink_class = {
    .kind = "Socket Sink",
    .size = sizeof(struct socket_sink),
    .open = open_sink,
    .process = process,
    .finish = finish,
    .flush = flush,
    .close = close_sink,
};

fl_stream *fl__write_socket(fl_stream *in, const char *host, int64_t port, const fl_sink_options *options)
{
    if (fl__stream_failed(in))
        return in;
    fl_env *env = in->env;
    if (!host || !*host)
        return fl__stream_error(env, options->where, "fl_write_socket: no host given");
    if (port < 1 || port > 65535)
        return fl__stream_error(
            env, options->where, "fl_write_socket: port %lld is none; it must be 1 to 65535", (long long)port);
    struct socket_config *config = fl__env_alloc(env, sizeof *config);
    *config = (struct socket_config){ fl__arena_strdup(&env->arena, host), (int)port };
    return fl__add_operator(in, &(fl__new_operator){
                                    .class = &socket_sink_class,
                                    .options = (const fl_options *)options,
                                    .config = config,
                                });
}
