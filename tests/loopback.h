/* A TCP server in a thread of a test: accepts connections one after the other, sends each its text and closes it, or
 * takes all that is sent. Without sleeping: it ends when it has served as many as it was told. */
#ifndef TESTS_LOOPBACK_H
#define TESTS_LOOPBACK_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct loopback {
    int fd, port;
    pthread_t thread;
    const char *const *texts; /* one a connection, NULL at the end; or NULL: takes one connection's data */
    char *received;
    size_t received_length, received_room;
    size_t close_after; /* received bytes after which the connection is closed; 0: at its end */
} loopback;

static inline int loopback_listen(int *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* A port at which nobody listens: bound until the program ends, so that nobody else gets it. */
static inline int loopback_refused_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin_port);
}

static inline void *loopback_run(void *arg)
{
    loopback *server = arg;
    if (server->texts) {
        for (const char *const *text = server->texts; *text; text++) {
            int client = accept(server->fd, NULL, NULL);
            for (size_t done = 0, length = strlen(*text); done < length;) {
                ssize_t n = send(client, *text + done, length - done, MSG_NOSIGNAL);
                if (n <= 0)
                    break;
                done += (size_t)n;
            }
            shutdown(client, SHUT_WR);
            char byte;
            while (read(client, &byte, 1) > 0) /* until the other side has closed as well */
                ;
            close(client);
        }
        return NULL;
    }
    int client = accept(server->fd, NULL, NULL);
    char buffer[4096];
    for (ssize_t n; (n = read(client, buffer, sizeof buffer)) > 0;) {
        if (server->received_length + (size_t)n >= server->received_room) {
            server->received_room = 2 * server->received_room + sizeof buffer + 1;
            server->received = realloc(server->received, server->received_room);
        }
        memcpy(server->received + server->received_length, buffer, (size_t)n);
        server->received_length += (size_t)n;
        server->received[server->received_length] = 0;
        if (server->close_after > 0 && server->received_length >= server->close_after)
            break;
    }
    close(client);
    return NULL;
}

static inline void loopback_start(loopback *server)
{
    server->fd = loopback_listen(&server->port);
    assert_int_equal(pthread_create(&server->thread, NULL, loopback_run, server), 0);
}

static inline void loopback_join(loopback *server)
{
    pthread_join(server->thread, NULL);
    close(server->fd);
}

#endif
