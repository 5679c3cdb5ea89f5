#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static fl_status io_error(fl_error *error, const char *what, const char *path, int code)
{
    fl__error_set(error, FL_ERROR_IO, "cannot %s %s: %s", what, path, strerror(code < 0 ? -code : code));
    return FL_ERROR_IO;
}

static char *duplicate(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

/* ---- one file ---- */

fl_status fl__file_open(fl__file *file, const fl__os *os, const char *path, fl__file_mode mode, fl_error *error)
{
    static const struct {
        int flags;
        const char *what;
    } modes[] = {
        [FL__FILE_READ] = { O_RDONLY, "open" },
        [FL__FILE_WRITE] = { O_WRONLY | O_CREAT | O_TRUNC, "write" },
        [FL__FILE_APPEND] = { O_WRONLY | O_CREAT | O_APPEND, "write" },
        [FL__FILE_NEW] = { O_WRONLY | O_CREAT | O_EXCL, "make" },
        [FL__FILE_SCRATCH] = { O_RDWR | O_CREAT | O_EXCL, "make the temporary file" },
    };
    *file = FL__FILE_INIT;
    int fd = os->open(os, path, modes[mode].flags);
    if (fd < 0)
        return io_error(error, modes[mode].what, path, fd);
    fl__file_info info;
    if (mode == FL__FILE_READ && os->stat_fd(os, fd, &info) == 0 && info.folder) {
        os->close(os, fd);
        return io_error(error, "read", path, EISDIR);
    }
    if (mode == FL__FILE_SCRATCH)
        (void)os->unlink(os, path); /* one that stays is only untidy */
    *file = (fl__file){ .os = os, .fd = fd, .path = duplicate(path) };
    return FL_OK;
}

void fl__file_close(fl__file *file)
{
    if (file->fd < 0)
        return;
    file->os->close(file->os, file->fd);
    free(file->path);
    *file = FL__FILE_INIT;
}

fl_status fl__file_read(fl__file *file, void *buffer, size_t size, size_t *got, fl_error *error)
{
    ssize_t n = file->os->read(file->os, file->fd, buffer, size);
    *got = n > 0 ? (size_t)n : 0;
    return n >= 0 ? FL_OK : io_error(error, "read", file->path, (int)n);
}

fl_status fl__file_pread(const fl__file *file, void *buffer, size_t size, int64_t offset, size_t *got, fl_error *error)
{
    for (*got = 0; *got < size;) {
        ssize_t n = file->os->pread(file->os, file->fd, (char *)buffer + *got, size - *got, offset + (int64_t)*got);
        if (n < 0)
            return io_error(error, "read", file->path, (int)n);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return FL_OK;
}

fl_status fl__file_write(fl__file *file, const void *data, size_t size, fl_error *error)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = file->os->write(file->os, file->fd, (const char *)data + done, size - done);
        if (n <= 0)
            return io_error(error, "write", file->path, n < 0 ? (int)n : ENOSPC);
        done += (size_t)n;
    }
    return FL_OK;
}

fl_status fl__file_sync(fl__file *file, fl_error *error)
{
    int failed = file->os->sync(file->os, file->fd);
    return failed == 0 ? FL_OK : io_error(error, "sync", file->path, failed);
}

fl_status fl__file_size(const fl__file *file, int64_t *size, fl_error *error)
{
    fl__file_info info = { 0 };
    int failed = file->os->stat_fd(file->os, file->fd, &info);
    *size = info.size;
    return failed == 0 ? FL_OK : io_error(error, "look at", file->path, failed);
}

/* ---- a whole file ---- */

fl_status fl__file_load(
    const fl__os *os, const char *path, size_t size_max, char **content, size_t *size, fl_error *error)
{
    *content = NULL;
    fl__file file;
    fl_status status = fl__file_open(&file, os, path, FL__FILE_READ, error);
    if (status != FL_OK)
        return status;
    /* Grown by what comes, not by the file's size: /proc and pipes say 0. */
    size_t capacity = 4096, length = 0, got;
    char *buffer = malloc(capacity + 1);
    if (!buffer)
        abort();
    while ((status = fl__file_read(&file, buffer + length, capacity - length, &got, error)) == FL_OK && got > 0) {
        length += got;
        if (length > size_max) {
            status = fl__error_set(error, FL_ERROR_LIMIT, "%s is larger than %zu bytes", path, size_max);
            break;
        }
        if (length == capacity) {
            char *larger = realloc(buffer, (capacity *= 2) + 1);
            if (!larger)
                abort();
            buffer = larger;
        }
    }
    fl__file_close(&file);
    if (status != FL_OK) {
        free(buffer);
        return status;
    }
    buffer[length] = 0;
    *content = buffer;
    if (size)
        *size = length;
    return FL_OK;
}

/* The folder a path lies in; free() it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return duplicate(".");
    char *folder = duplicate(path);
    folder[slash == path ? 1 : slash - path] = 0;
    return folder;
}

fl_status fl__file_store(const fl__os *os, const char *path, const void *content, size_t size, fl_error *error)
{
    char *temporary = NULL, *folder = folder_of(path);
    if (asprintf(&temporary, "%s.%016llx.tmp", path, (unsigned long long)fl__os_random_u64(os)) < 0)
        abort();
    fl__file file;
    fl_status status = fl__file_open(&file, os, temporary, FL__FILE_NEW, error);
    if (status == FL_OK) {
        status = fl__file_write(&file, content, size, error);
        if (status == FL_OK)
            status = fl__file_sync(&file, error);
        fl__file_close(&file);
        if (status == FL_OK)
            status = fl__path_rename(os, temporary, path, error);
        if (status == FL_OK)
            status = fl__folder_sync(os, folder, error);
        else
            os->unlink(os, temporary);
    }
    free(temporary);
    free(folder);
    return status;
}

/* ---- names ---- */

fl_status fl__path_info(const fl__os *os, const char *path, fl__file_info *info, fl_error *error)
{
    int failed = os->stat(os, path, info);
    return failed == 0 ? FL_OK : io_error(error, "open", path, failed);
}

bool fl__path_exists(const fl__os *os, const char *path)
{
    fl__file_info info;
    return os->stat(os, path, &info) == 0;
}

fl_status fl__path_rename(const fl__os *os, const char *from, const char *to, fl_error *error)
{
    int failed = os->rename(os, from, to);
    if (failed == 0)
        return FL_OK;
    return fl__error_set(error, FL_ERROR_IO, "cannot rename %s to %s: %s", from, to, strerror(-failed));
}

fl_status fl__path_unlink(const fl__os *os, const char *path, fl_error *error)
{
    int failed = os->unlink(os, path);
    return failed == 0 || failed == -ENOENT ? FL_OK : io_error(error, "remove", path, failed);
}

fl_status fl__folder_make(const fl__os *os, const char *path, fl_error *error)
{
    char *part = duplicate(path);
    int failed = 0;
    for (char *p = part + 1; failed == 0; p++) {
        if (*p != '/' && *p != 0)
            continue;
        char end = *p;
        *p = 0;
        failed = os->mkdir(os, part);
        fl__file_info info;
        int unseen = failed != 0 ? os->stat(os, part, &info) : -1;
        /* Exists, or may not be made but is there all the same (a read-only file system says EROFS). */
        if (failed != 0 && unseen == 0)
            failed = info.folder ? 0 : -ENOTDIR;
        else if (failed == -EEXIST)
            failed = unseen; /* which is the reason */
        *p = end;
        if (end == 0)
            break;
    }
    free(part);
    return failed == 0 ? FL_OK : io_error(error, "make folder", path, failed);
}

fl_status fl__folder_make_private(const char *path, fl_error *error)
{
    struct stat s;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return io_error(error, "make folder", path, errno);
    if (lstat(path, &s) < 0)
        return io_error(error, "open", path, errno);
    if (!S_ISDIR(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & (S_IWGRP | S_IWOTH)))
        return fl__error_set(
            error, FL_ERROR_IO, "%s is not a folder that only this user may write to: remove it", path);
    return FL_OK;
}

fl_status fl__folder_sync(const fl__os *os, const char *path, fl_error *error)
{
    int fd = os->open(os, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return io_error(error, "sync folder", path, fd);
    int failed = os->sync(os, fd);
    os->close(os, fd);
    return failed == 0 ? FL_OK : io_error(error, "sync folder", path, failed);
}

char *fl__path_join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", folder, length > 0 && folder[length - 1] != '/' ? "/" : "", name) < 0)
        abort();
    return path;
}
