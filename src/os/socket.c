#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static fl_status connect_error(fl__socket *s, int code, fl_error *error)
{
    fl__error_set(error, FL_ERROR_IO, "cannot connect to %s: %s", s->peer, strerror(code));
    fl__socket_close(s);
    return FL_ERROR_IO;
}

fl_status fl__socket_connect_begin(fl__socket *s, const char *host, int port, fl_error *error)
{
    *s = FL__SOCKET_INIT;
    if (port < 1 || port > 65535)
        return fl__error_set(error, FL_ERROR_INVALID, "port %d of host %s is not between 1 and 65535", port, host);
    if (asprintf(&s->peer, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port) < 0)
        abort();
    char service[8];
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
    int failed = getaddrinfo(host, service, &hints, &s->addresses);
    if (failed != 0) {
        s->addresses = NULL;
        fl__error_set(error, FL_ERROR_IO, "cannot find host %s: %s", host,
            failed == EAI_SYSTEM ? strerror(errno) : gai_strerror(failed));
        fl__socket_close(s);
        return FL_ERROR_IO;
    }
    s->next = s->addresses;
    s->last_errno = EHOSTUNREACH;
    return FL_OK;
}

/* The bare descriptor goes; peer and addresses stay for the next try. */
static void drop_descriptor(fl__socket *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static fl_status connected(fl__socket *s)
{
    int on = 1;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* batches are whole messages already */
    freeaddrinfo(s->addresses);
    s->addresses = s->next = NULL;
    return FL_OK;
}

/* Is the connection that the descriptor stands for made? FL_CLOSED: refused. */
static fl_status outcome(fl__socket *s)
{
    struct pollfd polled = { .fd = s->fd, .events = POLLOUT };
    if (poll(&polled, 1, 0) <= 0)
        return FL_AGAIN;
    int code = 0;
    socklen_t size = sizeof code;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
        code = errno;
    if (code == 0)
        return FL_OK;
    s->last_errno = code;
    return FL_CLOSED;
}

fl_status fl__socket_connect_step(fl__socket *s, fl_error *error)
{
    for (;;) {
        if (s->fd >= 0) {
            fl_status status = outcome(s);
            if (status == FL_OK)
                return connected(s);
            if (status == FL_AGAIN)
                return FL_AGAIN;
            drop_descriptor(s);
        }
        if (!s->next)
            return connect_error(s, s->last_errno, error);
        struct addrinfo *a = s->next;
        s->next = a->ai_next;
        s->fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
        if (s->fd < 0) {
            s->last_errno = errno;
            continue;
        }
        if (connect(s->fd, a->ai_addr, a->ai_addrlen) == 0)
            return connected(s);
        if (errno == EINPROGRESS || errno == EINTR)
            continue; /* look at its outcome, which may be there already */
        s->last_errno = errno;
        drop_descriptor(s);
    }
}

fl_status fl__socket_connect(fl__socket *s, const char *host, int port, int timeout_ms, fl_error *error)
{
    fl_status status = fl__socket_connect_begin(s, host, port, error);
    if (status != FL_OK)
        return status;
    while ((status = fl__socket_connect_step(s, error)) == FL_AGAIN) {
        struct pollfd polled = { .fd = s->fd, .events = POLLOUT };
        if (poll(&polled, 1, timeout_ms) == 0) {
            s->last_errno = ETIMEDOUT;
            drop_descriptor(s);
        }
    }
    return status;
}

fl_status fl__socket_listen(fl__socket *s, int *port, fl_error *error)
{
    *s = FL__SOCKET_INIT;
    if (asprintf(&s->peer, "127.0.0.1:%d", *port) < 0)
        abort();
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    };
    socklen_t size = sizeof address;
    int on = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(s->fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(s->fd, 128) < 0 ||
        getsockname(s->fd, (struct sockaddr *)&address, &size) < 0) {
        fl__error_set(error, FL_ERROR_IO, "cannot listen on %s: %s", s->peer, strerror(errno));
        fl__socket_close(s);
        return FL_ERROR_IO;
    }
    *port = ntohs(address.sin_port);
    return FL_OK;
}

fl_status fl__socket_accept(fl__socket *s, fl__socket *client, fl_error *error)
{
    struct sockaddr_in address = { 0 };
    socklen_t size = sizeof address;
    int fd;
    *client = FL__SOCKET_INIT;
    do
        fd = accept4(s->fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ECONNABORTED)
            return FL_AGAIN;
        return fl__error_set(error, FL_ERROR_IO, "cannot accept on %s: %s", s->peer, strerror(errno));
    }
    client->fd = fd;
    char host[INET_ADDRSTRLEN] = "?";
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    if (asprintf(&client->peer, "%s:%d", host, ntohs(address.sin_port)) < 0)
        abort();
    return connected(client);
}

fl_status fl__socket_read(fl__socket *s, void *buffer, size_t size, size_t *got, fl_error *error)
{
    ssize_t n;
    do
        n = recv(s->fd, buffer, size, 0);
    while (n < 0 && errno == EINTR);
    *got = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return FL_OK;
    if (n == 0)
        return FL_DONE;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return FL_AGAIN;
    return fl__error_set(error, FL_ERROR_IO, "cannot read from %s: %s", s->peer, strerror(errno));
}

fl_status fl__socket_write(fl__socket *s, const void *data, size_t size, size_t *sent, fl_error *error)
{
    fl_assert(size > 0);
    ssize_t n;
    do
        n = send(s->fd, data, size, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    *sent = n > 0 ? (size_t)n : 0;
    if (n >= 0)
        return FL_OK;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return FL_AGAIN;
    if (errno == EPIPE || errno == ECONNRESET)
        return FL_CLOSED;
    return fl__error_set(error, FL_ERROR_IO, "cannot write to %s: %s", s->peer, strerror(errno));
}

void fl__socket_close(fl__socket *s)
{
    drop_descriptor(s);
    if (s->addresses)
        freeaddrinfo(s->addresses);
    free(s->peer);
    *s = FL__SOCKET_INIT;
}
