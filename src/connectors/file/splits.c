#include "connectors/file/splits.h"

/* How much is read at once past the end of a split, for the rest of its last line. */
enum { TAIL_READ_BYTES = 16 * 1024 };

/* ---- files ---- */

static bool is_hidden_name(const char *name)
{
    return *name == '.' || *name == '_';
}

/* Does a part of the path behind its first `from` bytes begin with . or _? */
static bool is_hidden(const char *path, size_t from)
{
    const char *part = path + from;
    while (*part) {
        while (*part == '/')
            part++;
        if (is_hidden_name(part))
            return true;
        part += strcspn(part, "/");
    }
    return false;
}

/* Moves what is not hidden from one list to the other. */
static void move_visible(fl__paths *from, fl__paths *to, size_t root_length)
{
    size_t kept = 0;
    for (size_t i = 0; i < from->count; i++)
        if (!is_hidden(from->items[i].path, root_length))
            kept++;
    if (to->count + kept > to->capacity) {
        to->capacity = to->count + kept;
        to->items = realloc(to->items, to->capacity * sizeof *to->items);
        if (!to->items)
            abort();
    }
    for (size_t i = 0; i < from->count; i++) {
        if (is_hidden(from->items[i].path, root_length))
            continue;
        to->items[to->count++] = from->items[i];
        from->items[i].path = NULL;
    }
    fl__paths_release(from);
}

static fl_status add_below(const fl__os *os, const char *folder, fl__paths *files, fl_error *error)
{
    fl__paths below = FL__PATHS_INIT;
    fl_status status = fl__folder_list(os, folder, true, &below, error);
    move_visible(&below, files, strlen(folder));
    return status;
}

/* A glob's own last part decides: "_*" asks for such names. */
static bool glob_hides(const char *pattern, const char *path)
{
    const char *last = strrchr(pattern, '/'), *name = strrchr(path, '/');
    return !is_hidden_name(last ? last + 1 : pattern) && is_hidden_name(name ? name + 1 : path);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const fl__path_entry *)a)->path, ((const fl__path_entry *)b)->path);
}

/* Sorts, and drops what was found twice: by itself, and below a folder that fits too. */
static void tidy(fl__paths *files)
{
    if (files->count == 0)
        return;
    qsort(files->items, files->count, sizeof *files->items, by_path);
    size_t kept = 1;
    for (size_t i = 1; i < files->count; i++) {
        if (strcmp(files->items[i].path, files->items[kept - 1].path) == 0)
            free(files->items[i].path);
        else
            files->items[kept++] = files->items[i];
    }
    files->count = kept;
}

static fl_status find_glob(const fl__os *os, const char *pattern, fl__paths *files, fl_error *error)
{
    fl__paths found = FL__PATHS_INIT;
    fl_status status = fl__path_glob(os, pattern, &found, error);
    for (size_t i = 0; i < found.count && status == FL_OK; i++) {
        fl__path_entry *entry = &found.items[i];
        if (glob_hides(pattern, entry->path))
            continue;
        if (entry->info.folder) {
            status = add_below(os, entry->path, files, error);
            continue;
        }
        fl__paths one = { malloc(sizeof *entry), 1, 1 };
        if (!one.items)
            abort();
        one.items[0] = *entry;
        entry->path = NULL;
        move_visible(&one, files, strlen(one.items[0].path));
    }
    fl__paths_release(&found);
    tidy(files);
    return status;
}

fl_status fl__files_find(const fl__os *os, const char *path, fl__paths *files, fl_error *error)
{
    /* A file may be called like a glob: what is there wins. */
    fl__file_info info;
    if (!fl__path_exists(os, path) && fl__path_is_glob(path))
        return find_glob(os, path, files, error);
    fl_status status = fl__path_info(os, path, &info, error);
    if (status != FL_OK)
        return status;
    if (info.folder)
        return add_below(os, path, files, error);
    fl__paths one = { malloc(sizeof(fl__path_entry)), 1, 1 };
    char *copy = strdup(path);
    if (!one.items || !copy)
        abort();
    one.items[0] = (fl__path_entry){ copy, info };
    move_visible(&one, files, strlen(path));
    /* cppcheck-suppress memleak ; the list has it now */
    return FL_OK;
}

/* ---- cuts ---- */

static void add(fl__splits *splits, const char *path, int64_t start, int64_t end, bool is_whole)
{
    if (splits->count == splits->capacity) {
        size_t capacity = splits->capacity ? splits->capacity * 2 : 16;
        splits->items = fl__realloc(
            NULL, splits->items, splits->capacity * sizeof *splits->items, capacity * sizeof *splits->items);
        splits->capacity = capacity;
    }
    splits->items[splits->count++] = (fl__split){ .path = path, .start = start, .end = end, .is_whole = is_whole };
}

void fl__splits_release(fl__splits *splits)
{
    if (splits->items)
        fl__free(NULL, splits->items, splits->capacity * sizeof *splits->items);
    *splits = (fl__splits){ NULL, 0, 0 };
}

static fl_status look_inside(const fl__os *os, const char *path, fl__packing *packing, fl_error *error)
{
    char head[4];
    size_t got;
    fl__file file;
    fl_status status = fl__file_open(&file, os, path, FL__FILE_READ, error);
    if (status != FL_OK)
        return status;
    status = fl__file_pread(&file, head, sizeof head, 0, &got, error);
    if (status == FL_OK)
        *packing = fl__packing_of(path, head, got);
    fl__file_close(&file);
    return status;
}

fl_status fl__splits_make(fl__splits *splits, const fl__os *os, const fl__paths *files, const char *delimiter,
    int64_t split_bytes, fl_error *error)
{
    fl_assert(split_bytes > 0);
    bool local = fl__delimiter_is_local(delimiter);
    for (size_t i = 0; i < files->count; i++) {
        const char *path = files->items[i].path;
        int64_t size = files->items[i].info.size;
        /* As in Hadoop: no split for a little rest. */
        int64_t whole_max = split_bytes + split_bytes / 2;
        fl__packing packing = FL__PLAIN;
        if (size > whole_max && local) {
            fl_status status = look_inside(os, path, &packing, error);
            if (status != FL_OK)
                return status;
        }
        if (size <= whole_max || !local || packing != FL__PLAIN) {
            add(splits, path, 0, INT64_MAX, true);
            continue;
        }
        int64_t start = 0;
        for (; size - start > whole_max; start += split_bytes)
            add(splits, path, start, start + split_bytes, false);
        add(splits, path, start, INT64_MAX, false);
    }
    return FL_OK;
}

/* ---- lines ---- */

void fl__split_reader_init(
    fl__split_reader *reader, const fl__os *os, const char *delimiter, size_t line_bytes_max, fl__memory *memory)
{
    memset(reader, 0, sizeof *reader);
    reader->os = os;
    reader->file = FL__FILE_INIT;
    fl__lines_init(&reader->lines, delimiter, line_bytes_max, 0, memory);
}

void fl__split_reader_release(fl__split_reader *reader)
{
    fl__lines_release(&reader->lines);
    fl__file_close(&reader->file);
    fl__unpack_free(reader->unpack);
    reader->unpack = NULL;
}

/* At the split's first line. */
static fl_status open_split(fl__split_reader *reader, const fl__split *split, fl_error *error)
{
    reader->path = split->path;
    reader->end = split->end;
    reader->is_whole = split->is_whole;
    reader->at_end = reader->leaves_last = false;
    fl__file_close(&reader->file);
    if (split->is_whole) {
        reader->is_skipping = false;
        reader->at = 0;
        fl__lines_reset(&reader->lines, 0);
        if (!reader->unpack)
            reader->unpack = fl__unpack_new();
        return fl__unpack_open(reader->unpack, reader->os, split->path, error);
    }
    /* A delimiter that ends right at the start begins so many bytes before. */
    int64_t back = (int64_t)reader->lines.delimiter_length;
    reader->is_skipping = split->start > 0;
    reader->at = split->start > back ? split->start - back : 0;
    fl__lines_reset(&reader->lines, reader->at);
    return fl__file_open(&reader->file, reader->os, split->path, FL__FILE_READ, error);
}

/* Unpacks the file up to byte at, and forgets it. */
static fl_status skip_packed(fl__split_reader *reader, int64_t at, fl_error *error)
{
    fl_status status = FL_OK;
    for (int64_t left = at; left > 0 && status == FL_OK;) {
        size_t room, got = 0;
        char *to = fl__lines_space(&reader->lines, &room);
        status = fl__unpack_read(reader->unpack, to, left < (int64_t)room ? (size_t)left : room, &got, error);
        left -= (int64_t)got;
    }
    return status == FL_DONE ? FL_OK : status; /* shorter than it was: nothing is left of it */
}

fl_status fl__split_reader_resume(fl__split_reader *reader, const fl__split *split, int64_t at, fl_error *error)
{
    fl_status status = open_split(reader, split, error);
    if (status == FL_OK && split->is_whole)
        status = skip_packed(reader, at, error);
    reader->is_skipping = false;
    reader->at = at;
    fl__lines_reset(&reader->lines, at);
    return status;
}

fl_status fl__split_reader_open(fl__split_reader *reader, const fl__split *split, fl_error *error)
{
    return split->resume ? fl__split_reader_resume(reader, split, split->resume, error)
                         : open_split(reader, split, error);
}

fl_status fl__split_reader_open_tail(fl__split_reader *reader, const char *path, int64_t start, fl_error *error)
{
    fl_status status =
        fl__split_reader_resume(reader, &(fl__split){ .path = path, .start = start, .end = INT64_MAX }, start, error);
    reader->leaves_last = true;
    return status;
}

static fl_status fill(fl__split_reader *reader, fl_error *error)
{
    size_t room, got = 0;
    char *to = fl__lines_space(&reader->lines, &room);
    fl_status status;
    if (reader->is_whole) {
        status = fl__unpack_read(reader->unpack, to, room, &got, error);
        reader->at_end = status == FL_DONE;
        if (status == FL_DONE)
            status = FL_OK;
    } else {
        int64_t left = reader->end - reader->at, want = left > 0 ? left : TAIL_READ_BYTES;
        if (want < (int64_t)room)
            room = (size_t)want;
        status = fl__file_pread(&reader->file, to, room, reader->at, &got, error);
        reader->at_end = got < room;
    }
    reader->at += (int64_t)got;
    fl__lines_added(&reader->lines, got);
    return status;
}

static fl_status too_long(const fl__split_reader *reader, fl_error *error)
{
    return fl__error_set(error, FL_ERROR_LIMIT,
        "%s: the line that begins at byte %lld is longer than %zu bytes; raise .line_bytes_max, or correct .delimiter "
        "if lines end in another way",
        reader->path, (long long)reader->lines.offset, reader->lines.line_bytes_max);
}

fl_status fl__split_reader_next(fl__split_reader *reader, fl_string *line, fl_error *error)
{
    for (;;) {
        fl_status status;
        if (FL_UNLIKELY(reader->is_skipping)) {
            status = fl__lines_skip(&reader->lines);
            if (status == FL_OK) {
                reader->is_skipping = false;
                continue;
            }
            /* any delimiter that is still to come ends behind the split */
            if (reader->at >= reader->end || reader->at_end)
                return FL_DONE;
        } else {
            if (reader->lines.offset >= reader->end)
                return FL_DONE;
            status = fl__lines_next(&reader->lines, line);
            if (FL_LIKELY(status == FL_OK))
                return FL_OK;
            if (status != FL_AGAIN)
                return too_long(reader, error);
            if (reader->at_end)
                return !reader->leaves_last && fl__lines_last(&reader->lines, line) ? FL_OK : FL_DONE;
        }
        status = fill(reader, error);
        if (status != FL_OK)
            return status;
    }
}
