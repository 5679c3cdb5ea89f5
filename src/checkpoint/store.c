#include "checkpoint/store.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

#define METADATA "_metadata"
enum { OPERATORS_MAX = 1 << 20 };

fl_status fl__store_open(
    fl__store *store, const fl__os *os, fl__memory *memory, const char *dir, const char *job_id, fl_error *error)
{
    *store = (fl__store){ .os = os, .memory = memory, .folder = fl__path_join(dir, job_id) };
    fl_status status = fl__folder_make(os, store->folder, error);
    if (status != FL_OK)
        fl__error_context(error, "folder for checkpoints (execution.checkpointing.dir)");
    return status;
}

void fl__store_release(fl__store *store)
{
    free(store->folder);
    store->folder = NULL;
}

char *fl__store_path(const fl__store *store, int64_t checkpoint, const char *name)
{
    char number[32];
    snprintf(number, sizeof number, "chk-%" PRId64, checkpoint);
    char *folder = fl__path_join(store->folder, number);
    if (!name)
        return folder;
    char *path = fl__path_join(folder, name);
    free(folder);
    return path;
}

void fl__store_drop(fl__store *store, int64_t checkpoint)
{
    char *folder = fl__store_path(store, checkpoint, NULL), *metadata = fl__path_join(folder, METADATA);
    fl_error ignored = FL_ERROR_INIT;
    fl__paths files = FL__PATHS_INIT;
    /* metadata first: half a checkpoint must not look like a whole one */
    fl_status status = fl__path_unlink(store->os, metadata, &ignored);
    if (status == FL_OK && fl__path_exists(store->os, folder))
        status = fl__folder_list(store->os, folder, false, &files, &ignored);
    for (size_t i = 0; i < files.count && status == FL_OK; i++)
        status = fl__path_unlink(store->os, files.items[i].path, &ignored);
    if (status == FL_OK && fl__path_unlink(store->os, folder, &ignored) != FL_OK)
        fl__log(FL__LOG_DEBUG, "checkpoint", "%s is left: %s", folder, ignored.text);
    fl__paths_release(&files);
    fl__error_release(&ignored);
    free(metadata);
    free(folder);
}

void fl__store_remove_folder(fl__store *store)
{
    fl_error ignored = FL_ERROR_INIT;
    if (fl__path_unlink(store->os, store->folder, &ignored) != FL_OK)
        fl__error_release(&ignored); /* others' checkpoints are in it */
}

fl_status fl__store_begin(fl__store *store, int64_t checkpoint, fl_error *error)
{
    fl__store_drop(store, checkpoint);
    char *folder = fl__store_path(store, checkpoint, NULL);
    fl_status status = fl__folder_make(store->os, folder, error);
    free(folder);
    return status;
}

/* ---- metadata ---- */

static void write_record(const fl__checkpoint_record *record, fl__buffer *out)
{
    fl__blocks_begin(out);
    size_t opened = fl__block_open(out, FL__BLOCK_JOB, 0);
    fl__block_put_int(out, record->id);
    fl__block_put_int(out, record->time);
    fl__block_put_text(out, record->job_name);
    fl__buffer_varint(out, record->operator_count);
    for (uint32_t i = 0; i < record->operator_count; i++) {
        fl__block_put_text(out, record->operators[i].id);
        fl__buffer_varint(out, record->operators[i].parallelism);
        fl__buffer_varint(out, record->operators[i].max_parallelism);
    }
    fl__block_close(out, opened);
    for (uint32_t i = 0; i < record->file_count; i++) {
        const fl__checkpoint_file *file = &record->files[i];
        opened = fl__block_open(out, FL__BLOCK_FILE, 0);
        fl__block_put_text(out, file->name);
        fl__buffer_varint(out, file->subtask);
        fl__block_put_int(out, file->size);
        fl__buffer_varint(out, file->operator_count);
        for (uint32_t o = 0; o < file->operator_count; o++)
            fl__buffer_varint(out, file->operators[o]);
        fl__block_close(out, opened);
    }
    fl__blocks_end(out, 1 + record->file_count);
}

fl_status fl__store_finish(fl__store *store, const fl__checkpoint_record *record, fl_error *error)
{
    fl__buffer bytes;
    fl__buffer_init(&bytes, store->memory);
    write_record(record, &bytes);
    char *folder = fl__store_path(store, record->id, NULL), *path = fl__path_join(folder, METADATA);
    fl_status status = fl__folder_sync(store->os, folder, error);
    if (status == FL_OK)
        status = fl__file_store(store->os, path, bytes.data, bytes.size, error);
    if (status == FL_OK)
        status = fl__folder_sync(store->os, store->folder, error);
    free(path);
    free(folder);
    fl__buffer_release(&bytes);
    return status;
}

/* ---- loading ---- */

typedef struct loading {
    fl__blocks blocks;
    fl__arena *arena;
    fl_error *error;
    const char *folder, *job_name;
    int64_t id;
    fl__operator_state *operators;
    uint32_t operator_count;
} loading;

static fl_status damaged(loading *l, const char *what)
{
    return fl__blocks_corrupt(&l->blocks, l->error, what);
}

static fl_status load_job(loading *l, fl__reader *in)
{
    int64_t time;
    uint64_t count;
    if (l->operators || !fl__block_get_int(in, &l->id) || !fl__block_get_int(in, &time))
        return damaged(l, "the checkpoint's number");
    l->job_name = fl__block_get_text(in, l->arena);
    if (!l->job_name || !fl__reader_varint(in, &count) || count > OPERATORS_MAX)
        return damaged(l, "the job's name");
    l->operators = fl__arena_alloc(l->arena, (count + 1) * sizeof *l->operators);
    for (; l->operator_count < count; l->operator_count++) {
        uint64_t parallelism, max_parallelism;
        char *id = fl__block_get_text(in, l->arena);
        if (!id || !fl__reader_varint(in, &parallelism) || !fl__reader_varint(in, &max_parallelism) ||
            parallelism < 1 || parallelism > max_parallelism || max_parallelism > FL__MAX_PARALLELISM)
            return damaged(l, "the list of operators");
        l->operators[l->operator_count] = (fl__operator_state){
            .id = id, .parallelism = (uint32_t)parallelism, .max_parallelism = (uint32_t)max_parallelism
        };
    }
    return FL_OK;
}

static fl_status add_file(loading *l, uint64_t number, fl__state_file file)
{
    if (number >= l->operator_count)
        return damaged(l, "an operator's number");
    fl__operator_state *op = &l->operators[number];
    if (file.subtask >= op->parallelism || op->file_count == op->parallelism)
        return damaged(l, "a subtask's number");
    if (!op->files)
        op->files = fl__arena_alloc(l->arena, op->parallelism * sizeof *op->files);
    ((fl__state_file *)(uintptr_t)op->files)[op->file_count++] = file;
    return FL_OK;
}

static fl_status check_size(loading *l, const fl__os *os, const char *path, int64_t size)
{
    fl__file_info info;
    fl_status status = fl__path_info(os, path, &info, l->error);
    if (status == FL_OK && info.size != size)
        status = fl__error_set(l->error, FL_ERROR_CORRUPT,
            "%s has %" PRId64 " bytes; when the checkpoint was taken it had %" PRId64, path, info.size, size);
    return status;
}

static fl_status load_file(loading *l, const fl__os *os, fl__reader *in)
{
    uint64_t subtask, count, number;
    int64_t size;
    char *name = fl__block_get_text(in, l->arena);
    if (!l->operators || !name || strchr(name, '/') || !fl__reader_varint(in, &subtask) ||
        subtask >= FL__MAX_PARALLELISM || !fl__block_get_int(in, &size) || !fl__reader_varint(in, &count))
        return damaged(l, "a file's line");
    char *path = fl__path_join(l->folder, name);
    fl__state_file file = { fl__arena_strdup(l->arena, path), (uint32_t)subtask };
    free(path);
    fl_status status = check_size(l, os, file.path, size);
    for (uint64_t i = 0; i < count && status == FL_OK; i++)
        status = fl__reader_varint(in, &number) ? add_file(l, number, file) : damaged(l, "a file's operators");
    return status;
}

static fl_status load_blocks(loading *l, const fl__os *os)
{
    fl__block block;
    fl_status status;
    while ((status = fl__blocks_next(&l->blocks, &block, l->error)) == FL_OK) {
        if (block.kind == FL__BLOCK_JOB)
            status = load_job(l, &block.payload);
        else if (block.kind == FL__BLOCK_FILE)
            status = load_file(l, os, &block.payload);
        if (status != FL_OK)
            return status;
    }
    if (status == FL_DONE && !l->operators)
        return fl__error_set(l->error, FL_ERROR_CORRUPT, "%s is the metadata of no checkpoint", l->blocks.file.path);
    return status == FL_DONE ? FL_OK : status;
}

fl_status fl__checkpoint_load(fl__state_catalog *catalog, const char **job_name, const fl__os *os, fl__memory *memory,
    fl__arena *arena, const char *path, fl_error *error)
{
    fl__file_info info;
    fl_status status = fl__path_info(os, path, &info, error);
    if (status != FL_OK)
        return status;
    char *metadata = info.folder ? fl__path_join(path, METADATA) : strdup(path);
    if (!metadata)
        abort();
    char *folder = fl__arena_strdup(arena, metadata), *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    loading l = { .arena = arena, .error = error, .folder = slash ? folder : "." };
    status = fl__blocks_open(&l.blocks, memory, os, metadata, error);
    if (status == FL_OK)
        status = load_blocks(&l, os);
    fl__blocks_close(&l.blocks);
    if (status != FL_OK && info.folder && !fl__path_exists(os, metadata))
        fl__error_context(error, "%s is no complete checkpoint or savepoint", path);
    free(metadata);
    if (status != FL_OK)
        return status;
    *catalog = (fl__state_catalog){
        .os = os, .checkpoint = l.id, .operators = l.operators, .operator_count = l.operator_count
    };
    if (job_name)
        *job_name = l.job_name;
    return FL_OK;
}
