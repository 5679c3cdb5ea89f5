/* Lists of paths: folders walked, patterns expanded. On fl__os's calls and not on glob(3) and fts(3), so that they see
 * a simulated disk as well. */
#include "os/file.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>

/* Deeper than any folder should lie; ends a loop made by symbolic links. */
#define DEPTH_MAX 64

/* ---- the list ---- */

static void add(fl__paths *paths, char *path, const fl__file_info *info)
{
    if (paths->count == paths->capacity) {
        paths->capacity = paths->capacity ? 2 * paths->capacity : 16;
        paths->items = realloc(paths->items, paths->capacity * sizeof *paths->items);
        if (!paths->items)
            abort();
    }
    paths->items[paths->count++] = (fl__path_entry){ .path = path, .info = *info };
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const fl__path_entry *)a)->path, ((const fl__path_entry *)b)->path);
}

/* Sorts, and drops what ** found twice. */
static void tidy(fl__paths *paths)
{
    if (paths->count == 0)
        return;
    qsort(paths->items, paths->count, sizeof *paths->items, by_path);
    size_t kept = 1;
    for (size_t i = 1; i < paths->count; i++) {
        if (strcmp(paths->items[i].path, paths->items[kept - 1].path) == 0)
            free(paths->items[i].path);
        else
            paths->items[kept++] = paths->items[i];
    }
    paths->count = kept;
}

void fl__paths_release(fl__paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->items[i].path);
    free(paths->items);
    *paths = FL__PATHS_INIT;
}

/* ---- names in one folder ---- */

typedef struct names {
    char **items;
    size_t count, capacity;
} names;

static int keep_name(void *arg, const char *name)
{
    names *n = arg;
    if (n->count == n->capacity) {
        n->capacity = n->capacity ? 2 * n->capacity : 16;
        n->items = realloc(n->items, n->capacity * sizeof *n->items);
        if (!n->items)
            abort();
    }
    if (!(n->items[n->count++] = strdup(name)))
        abort();
    return 0;
}

static void release_names(names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->items[i]);
    free(n->items);
}

/* ---- walking ---- */

static fl_status walk(const fl__os *os, const char *folder, int depth, fl__paths *paths, fl_error *error)
{
    names found = { NULL, 0, 0 };
    int failed = os->list(os, folder, keep_name, &found);
    fl_status status = FL_OK;
    /* A folder that vanished below the one asked for is no failure. */
    if (failed != 0 && !(failed == -ENOENT && depth > 1))
        status = fl__error_set(error, FL_ERROR_IO, "cannot read folder %s: %s", folder, strerror(-failed));
    for (size_t i = 0; i < found.count && status == FL_OK; i++) {
        char *path = fl__path_join(folder, found.items[i]);
        fl__file_info info;
        if (os->stat(os, path, &info) != 0) {
            free(path);
        } else if (!info.folder) {
            add(paths, path, &info);
        } else {
            if (depth >= DEPTH_MAX)
                status = fl__error_set(error, FL_ERROR_IO,
                    "cannot read folder %s: more than %d folders deep; is a symbolic link leading back up?", path,
                    DEPTH_MAX);
            else if (depth > 0)
                status = walk(os, path, depth + 1, paths, error);
            free(path);
        }
    }
    release_names(&found);
    return status;
}

fl_status fl__folder_list(const fl__os *os, const char *folder, bool recursive, fl__paths *paths, fl_error *error)
{
    fl_status status = walk(os, folder, recursive ? 1 : 0, paths, error);
    tidy(paths);
    return status;
}

/* ---- patterns ---- */

bool fl__path_is_glob(const char *path)
{
    return strpbrk(path, "*?[") != NULL;
}

/* One step of a pattern: base is what is expanded already ("" or ends with '/'), rest what is left of the pattern. */
static fl_status expand(
    const fl__os *os, const char *base, const char *rest, int depth, fl__paths *paths, fl_error *error);

/* base + name taken for one part of the pattern; rest is what follows that part. */
static fl_status descend(const fl__os *os, const char *base, const char *name, const char *rest, int depth,
    fl__paths *paths, fl_error *error)
{
    char *path = NULL;
    if (asprintf(&path, "%s%s", base, name) < 0)
        abort();
    fl__file_info info;
    fl_status status = FL_OK;
    if (os->stat(os, path, &info) != 0) {
        free(path);
    } else if (*rest == 0) {
        add(paths, path, &info);
    } else {
        if (info.folder) {
            char *next = fl__path_join(path, "");
            status = expand(os, next, rest, depth + 1, paths, error);
            free(next);
        }
        free(path);
    }
    return status;
}

static fl_status expand(
    const fl__os *os, const char *base, const char *rest, int depth, fl__paths *paths, fl_error *error)
{
    while (*rest == '/')
        rest++;
    if (*rest == 0 || depth > DEPTH_MAX)
        return FL_OK;
    size_t length = strcspn(rest, "/");
    char *part = strndup(rest, length);
    if (!part)
        abort();
    const char *after = rest + length;
    bool any_depth = strcmp(part, "**") == 0;
    names found = { NULL, 0, 0 };
    fl_status status = FL_OK;
    if (any_depth) /* no folder at all */
        status = *after ? expand(os, base, after, depth, paths, error) : FL_OK;
    if (!fl__path_is_glob(part)) {
        status = descend(os, base, part, after, depth, paths, error);
    } else {
        int failed = os->list(os, *base ? base : ".", keep_name, &found);
        if (failed != 0 && failed != -ENOENT && failed != -ENOTDIR)
            status =
                fl__error_set(error, FL_ERROR_IO, "cannot read folder %s: %s", *base ? base : ".", strerror(-failed));
    }
    for (size_t i = 0; i < found.count && status == FL_OK; i++) {
        if (any_depth && found.items[i][0] != '.') {
            status = descend(os, base, found.items[i], *after ? rest : "", depth, paths, error);
            if (status == FL_OK && !*after)
                status = descend(os, base, found.items[i], rest, depth, paths, error);
        } else if (!any_depth && fnmatch(part, found.items[i], FNM_PERIOD) == 0) {
            status = descend(os, base, found.items[i], after, depth, paths, error);
        }
    }
    release_names(&found);
    free(part);
    return status;
}

fl_status fl__path_glob(const fl__os *os, const char *pattern, fl__paths *paths, fl_error *error)
{
    fl_status status = expand(os, *pattern == '/' ? "/" : "", pattern, 0, paths, error);
    tidy(paths);
    return status;
}
