/* TCP. All sockets are non-blocking; wait for them with fl__waker_park_fd. Errors are FL_ERROR_IO and name the other
 * side as host:port. One thread at a time. */
#ifndef FL_OS_SOCKET_H
#define FL_OS_SOCKET_H

#include "base/error.h"

typedef struct fl__socket {
    int fd;                            /* -1: not open */
    char *peer;                        /* "host:port", for messages */
    struct addrinfo *addresses, *next; /* while connecting: what is left to be tried */
    int last_errno;
} fl__socket;

#define FL__SOCKET_INIT ((fl__socket){ .fd = -1 })

/* Begins to connect. The name is looked up here, which may block (a numeric address and localhost do not).
 * port    1 … 65535
 * returns FL_OK: go on with fl__socket_connect_step; FL_ERROR_IO: no such host */
FL_MUST_USE fl_status fl__socket_connect_begin(fl__socket *s, const char *host, int port, fl_error *error);
/* Call it first at once, then whenever the descriptor is writable. Tries the host's addresses in turn.
 * returns FL_OK: connected; FL_AGAIN: wait until s->fd is writable (it may be another one than before); FL_ERROR_IO:
 *         no address answered, *s is closed */
FL_MUST_USE fl_status fl__socket_connect_step(fl__socket *s, fl_error *error);
/* Both, waiting for at most timeout_ms for each address. Blocks: for threads that may. */
FL_MUST_USE fl_status fl__socket_connect(fl__socket *s, const char *host, int port, int timeout_ms, fl_error *error);

/* Listens on 127.0.0.1, on *port or, when that is 0, on a free one, which *port then holds. */
FL_MUST_USE fl_status fl__socket_listen(fl__socket *s, int *port, fl_error *error);
/* FL_OK with a connection in *client; FL_AGAIN: none waits. */
FL_MUST_USE fl_status fl__socket_accept(fl__socket *s, fl__socket *client, fl_error *error);

/* FL_OK with *got ≥ 1 bytes; FL_AGAIN: none there, wait until readable; FL_DONE: the other side has ended in order. */
FL_MUST_USE fl_status fl__socket_read(fl__socket *s, void *buffer, size_t size, size_t *got, fl_error *error);
/* FL_OK with *sent ≥ 1 bytes, maybe less than size; FL_AGAIN: no room, wait until writable; FL_CLOSED: the other side
 * is gone. size ≥ 1. No SIGPIPE. */
FL_MUST_USE fl_status fl__socket_write(fl__socket *s, const void *data, size_t size, size_t *sent, fl_error *error);

/* Nothing when not open. */
void fl__socket_close(fl__socket *s);

#endif
