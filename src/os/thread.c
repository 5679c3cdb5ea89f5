#include "os/thread.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

typedef struct start {
    fl__thread_fn run;
    void *arg;
    char name[16];
} start;

static void *enter(void *arg)
{
    start s = *(start *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), s.name);
    s.run(s.arg);
    return NULL;
}

fl_status fl__thread_start(fl__thread *thread, const char *name, fl__thread_fn run, void *arg, fl_error *error)
{
    start *s = malloc(sizeof *s);
    if (!s)
        abort();
    s->run = run;
    s->arg = arg;
    snprintf(s->name, sizeof s->name, "%s", name);
    int failed = pthread_create(&thread->id, NULL, enter, s);
    thread->running = failed == 0;
    if (failed != 0) {
        free(s);
        return fl__error_set(error, FL_ERROR_LIMIT,
            "cannot start thread %s: %s; lower the parallelism, or raise the limit of threads (ulimit -u)", name,
            strerror(failed));
    }
    return FL_OK;
}

void fl__thread_join(fl__thread *thread)
{
    if (!thread->running)
        return;
    int failed = pthread_join(thread->id, NULL);
    fl_assert(failed == 0);
    thread->running = false;
}

void fl__thread_block_signals(bool block)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

int fl__thread_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? n : 1;
}

void fl__thread_yield(void)
{
    sched_yield();
}
