/* Threads and mutexes. A mutex says beside it what it guards. */
#ifndef FL_OS_THREAD_H
#define FL_OS_THREAD_H

#include "base/error.h"

#include <pthread.h>

typedef struct fl__thread {
    pthread_t id;
    bool running; /* started and not yet joined */
} fl__thread;

typedef void (*fl__thread_fn)(void *arg);

/* Starts run(arg) in a thread of its own.
 * name    shown by ps and gdb; what is past 15 bytes is cut off
 * returns FL_OK; FL_ERROR_LIMIT when the system has no thread left */
FL_MUST_USE fl_status fl__thread_start(
    fl__thread *thread, const char *name, fl__thread_fn run, void *arg, fl_error *error);

/* Waits for its end. Nothing when it was never started or is joined already. */
void fl__thread_join(fl__thread *thread);

/* Blocks (or unblocks) the signals that end a program (INT, TERM, HUP) in the calling thread and those it starts. */
void fl__thread_block_signals(bool block);

/* Lets others run. */
void fl__thread_yield(void);

/* Processors this process may run on, ≥ 1. */
int fl__thread_processors(void);

typedef pthread_mutex_t fl__mutex;
#define FL__MUTEX_INIT PTHREAD_MUTEX_INITIALIZER

static inline void fl__mutex_init(fl__mutex *mutex)
{
    pthread_mutex_init(mutex, NULL);
}
static inline void fl__mutex_release(fl__mutex *mutex)
{
    pthread_mutex_destroy(mutex);
}
static inline void fl__mutex_lock(fl__mutex *mutex)
{
    int failed = pthread_mutex_lock(mutex);
    fl_assert(failed == 0);
}
static inline void fl__mutex_unlock(fl__mutex *mutex)
{
    int failed = pthread_mutex_unlock(mutex);
    fl_assert(failed == 0);
}

#endif
