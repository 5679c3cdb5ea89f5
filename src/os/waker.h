/* Parks one thread until another has something for it; no wake-up is lost and none is paid for while nobody is parked.
 *
 *     the owner, with nothing to do            any other thread
 *     seen = fl__waker_prepare(w)              publish the work (a release store, or under a lock)
 *     look at every input once more            fl__waker_wake(w)
 *     work there: fl__waker_cancel(w, seen)
 *     else:       fl__waker_park(w, seen, …)
 *
 * After park, whatever it returned, the owner looks at its inputs: wake-ups may be spurious, and several may melt into
 * one. One thread owns a waker; only prepare, cancel and the parks are its alone. */
#ifndef FL_OS_WAKER_H
#define FL_OS_WAKER_H

#include "flinc/base.h"

#include <stdatomic.h>

typedef struct fl__waker {
    /* bit 0: the owner is parked, or about to; bit 1: in poll, not on the futex; above: counts the turns. */
    _Atomic uint32_t word;
    /* Made by the owner at the first park with a descriptor; -1 before. Published to wakers by bit 1. */
    int event_fd;
} fl__waker;

void fl__waker_init(fl__waker *waker);
/* Nobody may be waking it any more. */
void fl__waker_release(fl__waker *waker);

/* Announces that the owner is about to park. What it returns goes to exactly one of cancel and the parks. */
static inline uint32_t fl__waker_prepare(fl__waker *waker)
{
    /* Dekker, owner's half: bit 0 is set before the inputs are read again (this RMW, and the fence that it is on x86 or
     * the explicit one elsewhere). Either that reading finds the work, or the waker's half finds bit 0. */
    uint32_t seen = atomic_fetch_or_explicit(&waker->word, 1, memory_order_seq_cst) | 1;
#ifndef __SANITIZE_THREAD__
    atomic_thread_fence(memory_order_seq_cst);
#endif
    return seen;
}

/* There was work after all. */
void fl__waker_cancel(fl__waker *waker, uint32_t seen);

/* Sleeps until a wake after prepare, or for timeout_ns (-1: no limit; 0: not at all). True: woken, or spuriously so;
 * false: the time was up. */
bool fl__waker_park(fl__waker *waker, uint32_t seen, int64_t timeout_ns);

/* The same, also woken when fd is readable (closed and broken count) or writable. */
bool fl__waker_park_fd(fl__waker *waker, uint32_t seen, int fd, int64_t timeout_ns);
bool fl__waker_park_fd_writable(fl__waker *waker, uint32_t seen, int fd, int64_t timeout_ns);

void fl__waker_wake_parked(fl__waker *waker);

/* Wakes the owner if it is parked or about to be. Any thread, signal handlers too. A fence and a load when it is not:
 * 5 ns; a system call when it is. */
static inline void fl__waker_wake(fl__waker *waker)
{
#ifdef __SANITIZE_THREAD__
    /* The sanitizer knows no fences. An RMW of the same word does as well: it stands before or after the owner's RMW in
     * prepare; before, the owner's one reads from it and sees the work; after, this one sees bit 0. */
    if (atomic_fetch_add_explicit(&waker->word, 0, memory_order_seq_cst) & 1)
        fl__waker_wake_parked(waker);
#else
    /* Dekker, waker's half: the work is published before bit 0 is read. An RMW would do without the fence, but takes
     * the owner's cache line away at each record batch although it hardly ever sleeps under load. */
    atomic_thread_fence(memory_order_seq_cst);
    if (FL_UNLIKELY(atomic_load_explicit(&waker->word, memory_order_relaxed) & 1))
        fl__waker_wake_parked(waker);
#endif
}

#endif
