#include "connectors/file/monitor.h"

void fl__monitor_init(fl__monitor *monitor, const fl__os *os, const char *pattern, int subtask, int parallelism)
{
    memset(monitor, 0, sizeof *monitor);
    monitor->os = os;
    monitor->pattern = pattern;
    monitor->subtask = subtask;
    monitor->parallelism = parallelism;
}

void fl__monitor_release(fl__monitor *monitor)
{
    for (size_t i = 0; i < monitor->count; i++)
        free(monitor->files[i].path);
    free(monitor->files);
    monitor->files = NULL;
    monitor->count = monitor->next = 0;
}

static bool is_mine(const fl__monitor *monitor, const char *path)
{
    fl_string s = fl_str(path);
    return (int)(fl_string_hash(&s) % (uint64_t)monitor->parallelism) == monitor->subtask;
}

void fl__monitor_remember(fl__monitor *monitor, const char *path, int64_t offset, bool is_packed, bool is_done)
{
    if (!is_mine(monitor, path))
        return;
    fl__watched *files = realloc(monitor->files, (monitor->count + 1) * sizeof *files);
    char *copy = strdup(path);
    if (!files || !copy)
        abort();
    size_t at = monitor->count++;
    for (; at > 0 && strcmp(files[at - 1].path, path) > 0; at--)
        files[at] = files[at - 1];
    files[at] =
        (fl__watched){ .path = copy, .offset = offset, .seen = offset, .is_packed = is_packed, .is_done = is_done };
    monitor->files = files;
}

/* Opens the file for its first bytes; false when it cannot be read (any more): then it is left for the next look. */
static bool learn_kind(fl__monitor *monitor, fl__watched *file)
{
    char head[4];
    size_t got = 0;
    fl__file f;
    if (fl__file_open(&f, monitor->os, file->path, FL__FILE_READ, NULL) != FL_OK)
        return false;
    bool ok = fl__file_pread(&f, head, sizeof head, 0, &got, NULL) == FL_OK;
    fl__file_close(&f);
    file->is_packed = fl__packing_of(file->path, head, got) != FL__PLAIN;
    /* one that is shorter than the magic numbers may still become packed */
    file->is_known_kind = ok && got == sizeof head;
    return ok;
}

static void judge(fl__monitor *monitor, fl__watched *file, const fl__file_info *info)
{
    bool is_unchanged = file->size == info->size && file->mtime_ms == info->mtime_ms;
    file->size = info->size;
    file->mtime_ms = info->mtime_ms;
    file->is_due = file->was_shortened = false;
    if (info->size == 0 || (!file->is_known_kind && !learn_kind(monitor, file)))
        return;
    if (file->is_packed) {
        file->is_due = !file->is_done && is_unchanged;
        return;
    }
    if (info->size < file->offset) {
        file->offset = file->seen = 0;
        file->was_shortened = true;
    }
    file->is_due = info->size > file->seen;
}

fl_status fl__monitor_look(fl__monitor *monitor, fl_error *error)
{
    fl__paths found = FL__PATHS_INIT;
    fl_status status = fl__files_find(monitor->os, monitor->pattern, &found, error);
    if (status != FL_OK) {
        fl__paths_release(&found);
        return status;
    }
    fl__watched *files = calloc(found.count + 1, sizeof *files);
    if (!files)
        abort();
    size_t count = 0, old = 0;
    for (size_t i = 0; i < found.count; i++) {
        char *path = found.items[i].path;
        if (!is_mine(monitor, path))
            continue;
        while (old < monitor->count && strcmp(monitor->files[old].path, path) < 0)
            free(monitor->files[old++].path);
        fl__watched *file = &files[count++];
        if (old < monitor->count && strcmp(monitor->files[old].path, path) == 0) {
            *file = monitor->files[old++];
        } else {
            file->path = path;
            found.items[i].path = NULL;
        }
        judge(monitor, file, &found.items[i].info);
    }
    while (old < monitor->count)
        free(monitor->files[old++].path);
    free(monitor->files);
    monitor->files = files;
    monitor->count = count;
    monitor->next = 0;
    fl__paths_release(&found);
    return FL_OK;
}

fl__watched *fl__monitor_next(fl__monitor *monitor)
{
    while (monitor->next < monitor->count) {
        fl__watched *file = &monitor->files[monitor->next++];
        if (file->is_due)
            return file;
    }
    return NULL;
}

void fl__monitor_was_read(fl__watched *file, int64_t offset, int64_t seen)
{
    file->is_due = false;
    file->is_done = file->is_packed;
    file->offset = offset;
    file->seen = seen;
}
