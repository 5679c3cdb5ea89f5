/* The border to the outside: no other folder reads the clock, randomness, files, sockets or threads.
 *
 *     os.h       clock, randomness, and fl__os, the table of calls that a simulated side replaces
 *     file.h     files and folders, on top of that table
 *     waker.h    parks one thread until another has something for it
 *     thread.h   threads and mutexes
 *     socket.h   TCP
 *
 * fl__os holds what a simulated run must be able to replace: time, randomness and storage. Threads, wakers and sockets
 * are not in it: the simulator drives all tasks from one thread and never parks, and it replaces the transport above
 * sockets, where there are messages to lose and not bytes.
 *
 * A simulated side embeds an fl__os as its first member and casts back in its calls. */
#ifndef FL_OS_OS_H
#define FL_OS_OS_H

#include "flinc/base.h"

#include <sys/types.h>

typedef struct fl__os fl__os;

/* What is known of a path without opening it. */
typedef struct fl__file_info {
    int64_t size;     /* bytes */
    int64_t mtime_ms; /* last change of the content, since 1970 */
    bool folder;
    bool special; /* a device, pipe or socket: written to in place, never replaced */
} fl__file_info;

/* One entry of a folder, without "." and ".."; name is valid during the call. Any other return than 0 ends the listing
 * and comes out of it. */
typedef int (*fl__os_entry_fn)(void *arg, const char *name);

/* All calls on files give a value ≥ 0 or -errno; file.h makes fl_errors of them. Flags and modes are open(2)'s. */
struct fl__os {
    const char *name; /* "linux", for messages */
    int64_t (*now_ms)(const fl__os *os);
    int64_t (*monotonic_ns)(const fl__os *os);
    uint64_t (*random_u64)(const fl__os *os);

    int (*open)(const fl__os *os, const char *path, int flags);
    int (*close)(const fl__os *os, int fd);
    ssize_t (*read)(const fl__os *os, int fd, void *buffer, size_t size);
    ssize_t (*pread)(const fl__os *os, int fd, void *buffer, size_t size, int64_t offset);
    ssize_t (*write)(const fl__os *os, int fd, const void *data, size_t size);
    int (*sync)(const fl__os *os, int fd);
    int (*stat)(const fl__os *os, const char *path, fl__file_info *info);
    int (*stat_fd)(const fl__os *os, int fd, fl__file_info *info);
    int (*list)(const fl__os *os, const char *folder, fl__os_entry_fn entry, void *arg);
    int (*mkdir)(const fl__os *os, const char *path);
    int (*rename)(const fl__os *os, const char *from, const char *to);
    int (*unlink)(const fl__os *os, const char *path); /* a file, or an empty folder */
};

/* The machine itself. */
extern const fl__os fl__os_linux;

/* Wall clock, ms since 1970 UTC: Flink's processing time. May jump. 20 ns. */
static inline int64_t fl__os_now_ms(const fl__os *os)
{
    return os->now_ms(os);
}

/* A clock that only goes forward, ns since some moment: for measuring and for timeouts. 20 ns. */
static inline int64_t fl__os_monotonic_ns(const fl__os *os)
{
    return os->monotonic_ns(os);
}

/* 64 unpredictable bits (ids, seeds); a system call. */
static inline uint64_t fl__os_random_u64(const fl__os *os)
{
    return os->random_u64(os);
}

#endif
