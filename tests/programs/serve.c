/* usage: serve FILE COMMAND ARG…: a TCP server on loopback for testing programs that read a socket. Picks a free port,
 * runs the command with every argument PORT replaced by it, sends FILE to the first that connects, hangs up, and exits
 * with the command's status. Nothing waits for time to pass; a command that never connects is seen when it ends. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(99);
}

static int listen_on_loopback(char *port, size_t size)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        fail("serve: listen");
    snprintf(port, size, "%d", ntohs(address.sin_port));
    return fd;
}

static void send_file(const char *path, int to)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    char buffer[65536];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0) {
        for (size_t sent = 0; sent < n;) {
            ssize_t now = send(to, buffer + sent, n - sent, MSG_NOSIGNAL);
            if (now < 0)
                fail("serve: send");
            sent += (size_t)now;
        }
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: serve FILE COMMAND ARG...\n");
        return 99;
    }
    char port[16];
    int server = listen_on_loopback(port, sizeof port), status;
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "PORT") == 0)
            argv[i] = port;
    }
    pid_t child = fork();
    if (child < 0)
        fail("serve: fork");
    if (child == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    struct pollfd ready = { .fd = server, .events = POLLIN };
    while (poll(&ready, 1, 100) == 0) {
        if (waitpid(child, &status, WNOHANG) == child) {
            fprintf(stderr, "serve: the program ended without connecting\n");
            return 98;
        }
    }
    int client = accept(server, NULL, NULL);
    if (client < 0)
        fail("serve: accept");
    send_file(argv[1], client);
    close(client);
    close(server);
    if (waitpid(child, &status, 0) < 0)
        fail("serve: wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}
