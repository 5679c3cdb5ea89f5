/* fl_socket_text: lines from a TCP server, read without blocking by one subtask.
 *
 *     WAITING --time--> CONNECTING --connected--> CONNECTED
 *        ^                  | refused                | closed by the server, or broken
 *        +------------------+------------------------+   while connection attempts are left
 */
#include "api/api.h"
#include "connectors/notice.h"
#include "formats/lines.h"
#include "os/socket.h"

enum {
    POLL_BYTES = 32 * 1024, /* a poll emits about a batch's worth */
    CONNECT_LOOK_MS = 10,   /* a connection being made is looked at so often: tasks wait for readable only */
    RETRY_MS_DEFAULT = 500, /* Flink's */
};

struct socket_config {
    const char *host, *delimiter;
    int port, max_retries;
    int64_t retry_ms;
    size_t line_bytes_max;
};

struct socket_source {
    fl__operator op;
    bool is_open; /* close comes without open, too: then there is nothing to close */
    enum { WAITING, CONNECTING, CONNECTED } state;
    fl__socket socket;
    fl__lines lines;
    int retries; /* made so far */
    fl_time try_at;
};

static fl_status open_source(fl__operator *op, fl_error *error)
{
    (void)error;
    struct socket_source *source = (struct socket_source *)op;
    const struct socket_config *config = (const struct socket_config *)op->spec->config;
    source->is_open = true;
    source->socket = FL__SOCKET_INIT;
    source->state = WAITING;
    source->try_at = FL_TIME_MIN;
    fl__lines_init(&source->lines, config->delimiter, config->line_bytes_max, 0, &op->memory);
    return FL_OK;
}

static void close_source(fl__operator *op)
{
    struct socket_source *source = (struct socket_source *)op;
    if (!source->is_open)
        return;
    source->is_open = false;
    fl__socket_close(&source->socket);
    fl__lines_release(&source->lines);
}

/* The connection ended in order (error empty), broke, or was refused: wait for the next attempt, or end. */
static fl_status lost(struct socket_source *source, fl_error *error)
{
    fl__operator *op = &source->op;
    const struct socket_config *config = (const struct socket_config *)op->spec->config;
    fl_wait_fd(&op->ctx, -1);
    fl__socket_close(&source->socket);
    bool in_order = error->status == FL_OK;
    fl_string line;
    size_t rest = source->lines.end - source->lines.begin;
    if (in_order && fl__lines_last(&source->lines, &line))
        fl_collect(&op->out.collector, &line);
    else if (rest > 0)
        fl__notice(op, "%zu bytes of a line that was cut off are dropped", rest);
    fl__lines_reset(&source->lines, 0);
    if (config->max_retries >= 0 && source->retries >= config->max_retries) {
        if (in_order)
            return FL_DONE;
        fl__operator_fail(op, error->status, "%s; is a server listening there? (%d retries; .max_retries gives more)",
            error->text, source->retries);
        return error->status;
    }
    source->retries++;
    if (in_order)
        fl__notice(op, "%s:%d has closed the connection; trying again in %lld ms", config->host, config->port,
            (long long)config->retry_ms);
    else
        fl__notice(op, "%s; trying again in %lld ms", error->text, (long long)config->retry_ms);
    source->state = WAITING;
    source->try_at = fl__operator_now(op) + config->retry_ms;
    return FL_OK;
}

static fl_status connect_step(struct socket_source *source, fl_error *error)
{
    fl__operator *op = &source->op;
    const struct socket_config *config = (const struct socket_config *)op->spec->config;
    fl_status status = FL_OK;
    if (source->state == WAITING) {
        if (fl__operator_now(op) < source->try_at) {
            fl_wait_until(&op->ctx, source->try_at);
            return FL_AGAIN;
        }
        status = fl__socket_connect_begin(&source->socket, config->host, config->port, error);
        source->state = CONNECTING;
    }
    if (status == FL_OK)
        status = fl__socket_connect_step(&source->socket, error);
    if (status == FL_OK) {
        source->state = CONNECTED;
        fl_wait_fd(&op->ctx, source->socket.fd);
    } else if (status == FL_AGAIN) {
        fl_wait_until(&op->ctx, fl__operator_now(op) + CONNECT_LOOK_MS);
    }
    return status;
}

/* Emits lines until *left bytes are used up or all there is was read: FL_OK, FL_AGAIN, FL_DONE (closed), or an
 * error. */
static fl_status read_lines(struct socket_source *source, size_t *left, fl_error *error)
{
    fl_collector *out = &source->op.out.collector;
    while (*left > 0) {
        fl_string line;
        fl_status status = fl__lines_next(&source->lines, &line);
        if (status == FL_OK) {
            size_t bytes = sizeof line + line.length;
            *left -= bytes < *left ? bytes : *left;
            fl_collect(out, &line);
            continue;
        }
        if (status == FL_ERROR_LIMIT)
            return fl__error_set(error, status,
                "%s sends a line of more than %zu bytes; raise .line_bytes_max, or correct .delimiter if lines end in "
                "another way",
                source->socket.peer, source->lines.line_bytes_max);
        size_t room, got = 0;
        char *to = fl__lines_space(&source->lines, &room);
        status = fl__socket_read(&source->socket, to, room, &got, error);
        if (status != FL_OK)
            return status;
        fl__lines_added(&source->lines, got);
    }
    return FL_OK;
}

static fl_status poll_source(fl__operator *op)
{
    struct socket_source *source = (struct socket_source *)op;
    fl_error error = FL_ERROR_INIT;
    fl_status status = FL_OK;
    for (size_t left = POLL_BYTES; left > 0 && status == FL_OK;) {
        status = source->state == CONNECTED ? read_lines(source, &left, &error) : connect_step(source, &error);
        if (status == FL_ERROR_LIMIT) /* will not go away by itself */
            fl__operator_fail(op, status, "%s", error.text);
        else if (status != FL_OK && status != FL_AGAIN)
            status = lost(source, &error);
        fl__error_release(&error);
    }
    return status;
}

static const fl__operator_class socket_source_class = {
    .kind = "Socket Stream",
    .size = sizeof(struct socket_source),
    .open = open_source,
    .poll = poll_source,
    .close = close_source,
};

fl_stream *fl__socket_text(fl_env *env, const char *host, int64_t port, const fl_source_options *options)
{
    enum { LINE_BYTES_LIMIT = 1 << 30 }; /* a line has to fit a batch */
    const char *delimiter = options->delimiter ? options->delimiter : "\n";
    if (!host || !*host)
        return fl__stream_error(env, options->where, "fl_socket_text: no host given");
    if (port < 1 || port > 65535)
        return fl__stream_error(
            env, options->where, "fl_socket_text: port %lld is none; it must be 1 to 65535", (long long)port);
    if (!*delimiter)
        return fl__stream_error(env, options->where, "fl_socket_text: .delimiter is empty; leave it out for lines");
    if (options->max_retries < -1 || options->retry_every.ms < 0)
        return fl__stream_error(env, options->where,
            "fl_socket_text: .max_retries is %d, .retry_every %lld ms; at least -1 (for ever) and 0 are possible",
            options->max_retries, (long long)options->retry_every.ms);
    if (options->line_bytes_max > LINE_BYTES_LIMIT)
        return fl__stream_error(env, options->where, "fl_socket_text: .line_bytes_max is %zu; at most %d is possible",
            options->line_bytes_max, LINE_BYTES_LIMIT);
    struct socket_config *config = fl__env_alloc(env, sizeof *config);
    *config = (struct socket_config){
        .host = fl__arena_strdup(&env->arena, host),
        .delimiter = fl__arena_strdup(&env->arena, delimiter),
        .port = (int)port,
        .max_retries = options->max_retries,
        .retry_ms = options->retry_every.ms ? options->retry_every.ms : RETRY_MS_DEFAULT,
        .line_bytes_max = options->line_bytes_max,
    };
    return fl__add_source_operator(env, &(fl__new_operator){
                                            .class = &socket_source_class,
                                            .out = FL_TYPE(fl_string),
                                            .options = (const fl_options *)options,
                                            .source = options,
                                            .config = config,
                                            .not_parallel = true,
                                            .is_unbounded = true,
                                        });
}
