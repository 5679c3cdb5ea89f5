#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Everything that comes out of fd, until its end. */
static char *read_all(int fd)
{
    size_t length = 0, capacity = 1024;
    char *text = malloc(capacity);
    if (!text)
        abort();
    for (;;) {
        ssize_t n = read(fd, text + length, capacity - length - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        length += (size_t)n;
        if (length + 1 == capacity) {
            char *larger = realloc(text, capacity *= 2);
            if (!larger)
                abort();
            text = larger;
        }
    }
    text[length] = 0;
    return text;
}

fl_status fl__process_run(char *const argv[], char **output, int *exit_code, fl_error *error)
{
    int pipe_fds[2] = { -1, -1 };
    if (output)
        *output = NULL;
    if (output && pipe2(pipe_fds, O_CLOEXEC) < 0)
        return fl__error_set(error, FL_ERROR_IO, "cannot run %s: %s", argv[0], strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (output)
        posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
    pid_t pid;
    int failed = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (output) {
        close(pipe_fds[1]);
        if (failed == 0)
            *output = read_all(pipe_fds[0]);
        close(pipe_fds[0]);
    }
    if (failed != 0)
        return fl__error_set(error, FL_ERROR_IO, "cannot run %s: %s", argv[0], strerror(failed));
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return FL_OK;
}

char *fl__process_executable(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path);
    return length > 0 && length < (ssize_t)sizeof path ? strndup(path, (size_t)length) : NULL;
}

/* ---- interruption ---- */

static const int watched[] = { SIGINT, SIGTERM, SIGHUP };
#define WATCHED (sizeof watched / sizeof *watched)

static struct sigaction before[WATCHED];
static void (*interrupted)(void *arg);
static void *interrupted_arg;
static volatile sig_atomic_t first_signal;

static void handle(int signal_number)
{
    if (first_signal != 0) {
        /* As if nobody watched. The signal is blocked while this handler runs, and ends the process right after. */
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    first_signal = signal_number;
    interrupted(interrupted_arg);
}

void fl__interrupt_watch(void (*first)(void *arg), void *arg)
{
    interrupted = first;
    interrupted_arg = arg;
    first_signal = 0;
    struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < WATCHED; i++)
        sigaddset(&action.sa_mask, watched[i]); /* one at a time */
    for (size_t i = 0; i < WATCHED; i++) {
        sigaction(watched[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN) /* nohup, a background job: keep it ignored */
            sigaction(watched[i], &action, NULL);
    }
}

void fl__interrupt_unwatch(void)
{
    for (size_t i = 0; i < WATCHED; i++)
        sigaction(watched[i], &before[i], NULL);
}

int fl__interrupt_signal(void)
{
    return first_signal;
}
