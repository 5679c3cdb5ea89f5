/* fl__os on Linux: system calls, with their errno as a negative result. */
#include "os/os.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(const fl__os *os)
{
    (void)os;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t monotonic_ns(const fl__os *os)
{
    (void)os;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t random_u64(const fl__os *os)
{
    (void)os;
    uint64_t bits;
    ssize_t got;
    do
        got = getrandom(&bits, sizeof bits, 0);
    while (got < 0 && errno == EINTR);
    fl_assert(got == (ssize_t)sizeof bits); /* up to 256 bytes never come in part */
    return bits;
}

/* The result of a system call that a signal may interrupt. */
#define CALL(call)                                                                                                     \
    __extension__({                                                                                                    \
        __typeof__(call) result_;                                                                                      \
        do                                                                                                             \
            result_ = (call);                                                                                          \
        while (result_ < 0 && errno == EINTR);                                                                         \
        result_ < 0 ? -(__typeof__(call))errno : result_;                                                              \
    })

static int open_path(const fl__os *os, const char *path, int flags)
{
    (void)os;
    bool is_scratch = (flags & O_ACCMODE) == O_RDWR; /* nobody else's business */
    return CALL(open(path, flags | O_CLOEXEC, is_scratch ? 0600 : 0666));
}

static int close_fd(const fl__os *os, int fd)
{
    (void)os;
    return close(fd) < 0 && errno != EINTR ? -errno : 0; /* Linux has closed it even when interrupted */
}

static ssize_t read_fd(const fl__os *os, int fd, void *buffer, size_t size)
{
    (void)os;
    return CALL(read(fd, buffer, size));
}

static ssize_t pread_fd(const fl__os *os, int fd, void *buffer, size_t size, int64_t offset)
{
    (void)os;
    return CALL(pread(fd, buffer, size, offset));
}

static ssize_t write_fd(const fl__os *os, int fd, const void *data, size_t size)
{
    (void)os;
    return CALL(write(fd, data, size));
}

static int sync_fd(const fl__os *os, int fd)
{
    (void)os;
    return CALL(fsync(fd));
}

static void fill_info(fl__file_info *info, const struct stat *s)
{
    *info = (fl__file_info){
        .size = s->st_size,
        .mtime_ms = (int64_t)s->st_mtim.tv_sec * 1000 + s->st_mtim.tv_nsec / 1000000,
        .folder = S_ISDIR(s->st_mode),
        .special = !S_ISDIR(s->st_mode) && !S_ISREG(s->st_mode),
    };
}

static int stat_path(const fl__os *os, const char *path, fl__file_info *info)
{
    (void)os;
    struct stat s;
    if (stat(path, &s) < 0)
        return -errno;
    fill_info(info, &s);
    return 0;
}

static int stat_fd(const fl__os *os, int fd, fl__file_info *info)
{
    (void)os;
    struct stat s;
    if (fstat(fd, &s) < 0)
        return -errno;
    fill_info(info, &s);
    return 0;
}

static int list_folder(const fl__os *os, const char *folder, fl__os_entry_fn entry, void *arg)
{
    (void)os;
    DIR *dir = opendir(folder);
    if (!dir)
        return -errno;
    int result = 0;
    struct dirent *d;
    // cppcheck-suppress readdirCalled ; glibc's is safe for folders of one's own
    while (result == 0 && (errno = 0, d = readdir(dir)) != NULL) {
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            result = entry(arg, d->d_name);
    }
    if (result == 0 && errno != 0)
        result = -errno;
    closedir(dir);
    return result;
}

static int make_folder(const fl__os *os, const char *path)
{
    (void)os;
    return mkdir(path, 0777) < 0 ? -errno : 0;
}

static int rename_path(const fl__os *os, const char *from, const char *to)
{
    (void)os;
    return rename(from, to) < 0 ? -errno : 0;
}

static int unlink_path(const fl__os *os, const char *path)
{
    (void)os;
    return remove(path) < 0 ? -errno : 0;
}

const fl__os fl__os_linux = {
    .name = "linux",
    .now_ms = now_ms,
    .monotonic_ns = monotonic_ns,
    .random_u64 = random_u64,
    .open = open_path,
    .close = close_fd,
    .read = read_fd,
    .pread = pread_fd,
    .write = write_fd,
    .sync = sync_fd,
    .stat = stat_path,
    .stat_fd = stat_fd,
    .list = list_folder,
    .mkdir = make_folder,
    .rename = rename_path,
    .unlink = unlink_path,
};
