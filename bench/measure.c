/* Clocks, memory and child processes. */
#include "bench.h"

#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double wall_now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

double cpu_now(void)
{
    return seconds_of(CLOCK_PROCESS_CPUTIME_ID);
}

double thread_now(void)
{
    return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

/* VmHWM, not ru_maxrss: that one also counts the image before exec. */
double rss_peak_mb(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    double kb = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb / 1024;
}

double machine_cpu_now(void)
{
    double user = 0, nice = 0, system = 0, idle, wait, irq = 0, softirq = 0, steal = 0;
    FILE *f = fopen("/proc/stat", "r");
    if (!f)
        return 0;
    if (fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal) !=
        8)
        user = 0;
    fclose(f);
    return (user + nice + system + irq + softirq + steal) / (double)sysconf(_SC_CLK_TCK);
}

int child_start(const char *const *arguments, FILE **out)
{
    const char *argv[16] = { "bench" };
    for (int i = 0; arguments[i]; i++)
        argv[i + 1] = arguments[i];
    int ends[2], pid;
    if (pipe(ends)) {
        perror("bench: pipe");
        exit(1);
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    int problem = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (problem) {
        fprintf(stderr, "bench: cannot start a child process: %s\n", strerror(problem));
        exit(1);
    }
    *out = fdopen(ends[0], "r");
    return pid;
}

bool child_wait(int pid, FILE *out, double *cpu_seconds)
{
    int status;
    struct rusage usage;
    fclose(out);
    if (wait4(pid, &status, 0, &usage) != pid)
        return false;
    if (cpu_seconds)
        *cpu_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    if (WIFSIGNALED(status))
        fprintf(stderr, "bench: a child process was killed by signal %d (%s)\n", WTERMSIG(status),
            strsignal(WTERMSIG(status)));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, compare);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}
