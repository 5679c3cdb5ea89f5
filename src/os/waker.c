/* The word's life: 4n → (prepare) 4n+1 → (park with a descriptor) 4n+3 → (wake, or the owner itself) 4n+4. Who makes
 * the last step has ended the turn; a waker that did owes the owner the futex wake or the event. */
#include "os/waker.h"
#include "base/error.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void fl__waker_init(fl__waker *waker)
{
    atomic_init(&waker->word, 0);
    waker->event_fd = -1;
}

void fl__waker_release(fl__waker *waker)
{
    if (waker->event_fd >= 0)
        close(waker->event_fd);
    waker->event_fd = -1;
}

static uint32_t next_turn(uint32_t word)
{
    return (word & ~(uint32_t)3) + 4;
}

/* Ends the turn from the owner's side, if no waker has. */
static void end_turn(fl__waker *waker, uint32_t seen)
{
    /* acquire on failure: a waker ended the turn with a release RMW after publishing its work, which the owner will now
     * look for. On success nothing was said to the owner, and nothing is said: relaxed would do. */
    atomic_compare_exchange_strong_explicit(
        &waker->word, &seen, next_turn(seen), memory_order_acquire, memory_order_acquire);
}

void fl__waker_cancel(fl__waker *waker, uint32_t seen)
{
    end_turn(waker, seen);
}

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };
}

bool fl__waker_park(fl__waker *waker, uint32_t seen, int64_t timeout_ns)
{
    struct timespec t = to_timespec(timeout_ns > 0 ? timeout_ns : 0);
    /* The kernel compares the word with seen under its lock and sleeps only when they are equal: a wake between prepare
     * and here has changed it. The wait is relative, on the monotonic clock. */
    long result = syscall(SYS_futex, &waker->word, FUTEX_WAIT_PRIVATE, seen, timeout_ns >= 0 ? &t : NULL, NULL, 0);
    bool timed_out = result < 0 && errno == ETIMEDOUT;
    end_turn(waker, seen);
    return !timed_out;
}

static bool park_events(fl__waker *waker, uint32_t seen, int fd, short events, int64_t timeout_ns)
{
    if (waker->event_fd < 0) {
        waker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (waker->event_fd < 0) { /* no descriptor is left: look every ms rather than fail */
            bool cut = timeout_ns < 0 || timeout_ns > 1000000;
            return fl__waker_park(waker, seen, cut ? 1000000 : timeout_ns) || cut;
        }
    }
    uint32_t expected = seen;
    /* release: publishes event_fd to the waker that will read bit 1 (acquire, in its RMW). acquire on failure: as in
     * end_turn, a waker was here first. */
    if (!atomic_compare_exchange_strong_explicit(
            &waker->word, &expected, seen | 2, memory_order_release, memory_order_acquire))
        return true;
    struct pollfd polled[2] = { { .fd = waker->event_fd, .events = POLLIN }, { .fd = fd, .events = events } };
    struct timespec t = to_timespec(timeout_ns > 0 ? timeout_ns : 0);
    int ready = ppoll(polled, 2, timeout_ns >= 0 ? &t : NULL, NULL);
    end_turn(waker, seen | 2);
    /* A waker that has ended the turn may write its event only after this: a later park with a descriptor then returns
     * at once, once. */
    uint64_t count;
    if (ready > 0 && polled[0].revents != 0 && read(waker->event_fd, &count, sizeof count) < 0)
        fl_assert(errno == EAGAIN || errno == EINTR);
    return ready != 0;
}

bool fl__waker_park_fd(fl__waker *waker, uint32_t seen, int fd, int64_t timeout_ns)
{
    return park_events(waker, seen, fd, POLLIN | POLLRDHUP, timeout_ns);
}

bool fl__waker_park_fd_writable(fl__waker *waker, uint32_t seen, int fd, int64_t timeout_ns)
{
    return park_events(waker, seen, fd, POLLOUT, timeout_ns);
}

void fl__waker_wake_parked(fl__waker *waker)
{
    int saved = errno; /* may run in a signal handler */
    uint32_t word = atomic_load_explicit(&waker->word, memory_order_relaxed);
    while (word & 1) {
        /* release: the work before this is seen by the owner when it finds its turn ended (end_turn's acquire; under
         * the futex, the kernel's lock). acquire: event_fd, published by bit 1. */
        if (!atomic_compare_exchange_weak_explicit(
                &waker->word, &word, next_turn(word), memory_order_acq_rel, memory_order_relaxed))
            continue;
        if (word & 2) {
            uint64_t one = 1;
            ssize_t written = write(waker->event_fd, &one, sizeof one);
            fl_assert(written == (ssize_t)sizeof one || errno == EAGAIN); /* EAGAIN: 2^64 events wait already */
        } else {
            syscall(SYS_futex, &waker->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        }
        break;
    }
    errno = saved;
}
