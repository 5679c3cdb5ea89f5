#include "stream/spool.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define FRAME_MAGIC UINT64_C(0x31656d617266636e) /* "ncframe1" */
enum {
    BUFFER_BYTES = 128 * 1024, /* a write call per so many bytes: 4 batches */
    NAME_ATTEMPTS = 16,
};

typedef struct fl__frame {
    uint64_t magic, checksum; /* of what follows the frame's header */
    uint32_t size;            /* of the batch */
    uint32_t front, heap;     /* bytes that follow */
    uint32_t reserved;
} fl__frame;

/* ---- what a job shares ---- */

static const char *default_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

void fl__spill_init(fl__spill *spill, const fl__os *os, fl__memory *memory, fl__arena *arena, const char *folders)
{
    memset(spill, 0, sizeof *spill);
    spill->os = os;
    spill->memory = memory;
    spill->is_checked = folders != NULL;
    char *list = fl__arena_strdup(arena, folders ? folders : default_folder()), *rest = list;
    spill->folders = fl__arena_alloc(arena, (strlen(list) + 1) * sizeof *spill->folders);
    const char *separators = folders ? ",:|" : "\n"; /* Flink's: ',', '|' or the system's path separator */
    for (char *folder; (folder = strtok_r(rest, separators, &rest)) != NULL;) {
        folder += strspn(folder, " ");
        if (*folder)
            spill->folders[spill->folder_count++] = folder;
    }
    if (spill->folder_count == 0)
        spill->folders[spill->folder_count++] = default_folder();
}

static fl_status open_in(fl__spill *spill, const char *folder, fl__file *file, fl_error *error)
{
    fl_status status = FL_OK;
    for (int i = 0; i < NAME_ATTEMPTS; i++) {
        char name[64];
        /* The machine's randomness, in the simulator too: jobs of one seed must not meet in one name. */
        snprintf(name, sizeof name, "flinc-%016llx.spill", (unsigned long long)fl__os_random_u64(&fl__os_linux));
        char *path = fl__path_join(folder, name);
        fl__error_release(error);
        status = fl__file_open(file, spill->os, path, FL__FILE_SCRATCH, error);
        bool is_taken = status != FL_OK && fl__path_exists(spill->os, path);
        free(path);
        if (!is_taken)
            break;
    }
    if (status != FL_OK)
        fl__error_context(error, "temporary files of BATCH mode: name a folder that exists and can be written to in "
                                 "io.tmp.dirs, or raise taskmanager.memory.managed.size");
    return status;
}

fl_status fl__spill_check(fl__spill *spill, fl_error *error)
{
    for (uint32_t i = 0; spill->is_checked && i < spill->folder_count; i++) {
        fl__file file;
        if (open_in(spill, spill->folders[i], &file, error) != FL_OK)
            return error->status;
        fl__file_close(&file);
    }
    return FL_OK;
}

/* ---- a file of frames ---- */

void fl__spill_add_file(fl__spill *spill, fl__spill_file *file)
{
    file->next = spill->files;
    spill->files = file;
}

void fl__spill_release(fl__spill *spill)
{
    for (fl__spill_file *file = spill->files; file; file = file->next)
        fl__spill_file_release(file);
    spill->files = NULL;
}

void fl__spill_file_init(fl__spill_file *file, fl__spill *spill)
{
    *file = (fl__spill_file){ .spill = spill, .file = FL__FILE_INIT };
}

static void release_buffer(fl__spill_file *file)
{
    fl__free(file->spill->memory, file->buffer, file->capacity);
    file->buffer = NULL;
    file->buffered = file->capacity = 0;
}

void fl__spill_file_release(fl__spill_file *file)
{
    if (!file->spill)
        return;
    release_buffer(file);
    fl__file_close(&file->file);
}

static fl_status write_buffer(fl__spill_file *file, fl_error *error)
{
    if (file->buffered == 0)
        return FL_OK;
    size_t size = file->buffered;
    file->buffered = 0;
    if (fl__file_write(&file->file, file->buffer, size, error) != FL_OK) {
        fl__error_context(error,
            "temporary files of BATCH mode: make room, name other folders in io.tmp.dirs, or raise "
            "taskmanager.memory.managed.size");
        return error->status;
    }
    atomic_fetch_add_explicit(&file->spill->bytes_written, size, memory_order_relaxed);
    return FL_OK;
}

static fl_status open_file(fl__spill_file *file, fl_error *error)
{
    fl__spill *spill = file->spill;
    uint32_t next = atomic_fetch_add_explicit(&spill->next_folder, 1, memory_order_relaxed);
    return open_in(spill, spill->folders[next % spill->folder_count], &file->file, error);
}

/* Where the next bytes go. */
static char *reserve(fl__spill_file *file, size_t bytes)
{
    if (file->buffered + bytes > file->capacity) {
        size_t capacity = file->buffered + bytes > BUFFER_BYTES ? file->buffered + bytes : BUFFER_BYTES;
        file->buffer = fl__realloc(file->spill->memory, file->buffer, file->capacity, capacity);
        file->capacity = capacity;
    }
    char *to = file->buffer + file->buffered;
    file->buffered += bytes;
    return to;
}

static uint64_t checksum_of(const void *front, size_t front_bytes, const void *heap, size_t heap_bytes)
{
    return XXH3_64bits_withSeed(heap, heap_bytes, XXH3_64bits(front, front_bytes));
}

fl_status fl__spill_file_append(fl__spill_file *file, const fl__batch *batch, fl_error *error)
{
    if (file->file.fd < 0 && open_file(file, error) != FL_OK)
        return error->status;
    fl__frame frame = {
        .magic = FRAME_MAGIC,
        .size = batch->size,
        .front = batch->rows_offset + batch->count * batch->row_size,
        .heap = batch->size - batch->heap_start,
    };
    size_t bytes = sizeof frame + frame.front + frame.heap;
    if (file->buffered + bytes > BUFFER_BYTES && write_buffer(file, error) != FL_OK)
        return error->status;
    char *to = reserve(file, bytes);
    memcpy(to + sizeof frame, batch, frame.front);
    memcpy(to + sizeof frame + frame.front, (const char *)batch + batch->heap_start, frame.heap);
    frame.checksum = checksum_of(to + sizeof frame, frame.front, to + sizeof frame + frame.front, frame.heap);
    memcpy(to, &frame, sizeof frame);
    file->size += (int64_t)bytes;
    return FL_OK;
}

fl_status fl__spill_file_flush(fl__spill_file *file, fl_error *error)
{
    fl_status status = write_buffer(file, error);
    release_buffer(file);
    return status;
}

static fl_status damaged(const fl__spill_file *file, int64_t offset, const char *what, fl_error *error)
{
    return fl__error_set(error, FL_ERROR_CORRUPT,
        "temporary file %s, frame at byte %lld: %s; the disk or its file system is damaged: name another folder in "
        "io.tmp.dirs",
        file->file.path, (long long)offset, what);
}

static bool frame_is_sane(const fl__frame *frame)
{
    return frame->magic == FRAME_MAGIC && frame->size <= FL__BATCH_BYTES_MAX && frame->front >= sizeof(fl__batch) &&
           frame->front <= frame->size && frame->heap <= frame->size - frame->front;
}

static fl__batch *batch_of(fl__memory *memory, fl__batch *old, uint32_t size)
{
    if (old && old->size == size)
        return old;
    fl__batch_free(old);
    fl__batch *batch = fl__alloc_aligned(memory, 64, size);
    batch->size = size;
    batch->memory = memory;
    return batch;
}

fl_status fl__spill_file_read(
    const fl__spill_file *file, int64_t *offset, const fl_type *type, fl__batch **batch, fl_error *error)
{
    fl__memory *memory = file->spill->memory;
    fl__frame frame;
    size_t got;
    if (fl__file_pread(&file->file, &frame, sizeof frame, *offset, &got, error) != FL_OK)
        return error->status;
    if (got != sizeof frame || !frame_is_sane(&frame))
        return damaged(file, *offset, "its header is not what was written", error);
    fl__batch *to = *batch = batch_of(memory, *batch, frame.size);
    char *heap = (char *)to + frame.size - frame.heap;
    size_t got_heap = 0;
    int64_t at = *offset + (int64_t)sizeof frame;
    fl_status status = fl__file_pread(&file->file, to, frame.front, at, &got, error);
    if (status == FL_OK && frame.heap)
        status = fl__file_pread(&file->file, heap, frame.heap, at + frame.front, &got_heap, error);
    bool is_whole = got == frame.front && got_heap == frame.heap &&
                    checksum_of(to, frame.front, heap, frame.heap) == frame.checksum;
    to->size = frame.size; /* what was read may be anything */
    to->memory = memory;
    to->next = NULL;
    to->owner = NULL;
    if (status != FL_OK)
        return status;
    if (!is_whole)
        return damaged(file, *offset, "its content is not what was written", error);
    fl__batch_rebase(to, type);
    *offset = at + frame.front + frame.heap;
    return FL_OK;
}

/* ---- a queue ---- */

void fl__spool_init(fl__spool *spool, fl__spill *spill, const fl_type *type, fl__spill_file *file)
{
    *spool = (fl__spool){ .spill = spill, .type = type, .file = file, .error = FL_ERROR_INIT };
}

static void free_batch(fl__spool *spool, fl__batch *batch)
{
    atomic_fetch_sub_explicit(&spool->spill->spool_used, batch->size, memory_order_relaxed);
    fl__batch_free(batch);
}

void fl__spool_release(fl__spool *spool)
{
    for (fl__batch *batch = spool->first, *next; batch; batch = next) {
        next = batch->next;
        free_batch(spool, batch);
    }
    spool->first = spool->last = NULL;
    fl__batch_free(spool->spare);
    spool->spare = NULL;
    fl__free(spool->spill->memory, spool->frames, spool->frame_capacity * sizeof *spool->frames);
    spool->frames = NULL;
    spool->frame_capacity = 0;
    fl__error_release(&spool->error);
}

/* Takes size bytes out of the budget; false: there are not as many. */
static bool take_budget(fl__spill *spill, int64_t size)
{
    if (atomic_fetch_add_explicit(&spill->spool_used, size, memory_order_relaxed) + size <= spill->spool_bytes_max)
        return true;
    atomic_fetch_sub_explicit(&spill->spool_used, size, memory_order_relaxed);
    return false;
}

static void write_out(fl__spool *spool, const fl__batch *batch)
{
    if (spool->frame_count == spool->frame_capacity) {
        uint32_t capacity = spool->frame_capacity ? spool->frame_capacity * 2 : 16;
        spool->frames = fl__realloc(spool->spill->memory, spool->frames, spool->frame_capacity * sizeof *spool->frames,
            capacity * sizeof *spool->frames);
        spool->frame_capacity = capacity;
    }
    spool->frames[spool->frame_count++] = spool->file->size;
    (void)!fl__spill_file_append(spool->file, batch, &spool->error); /* sticks in error */
}

bool fl__spool_add(fl__spool *spool, fl__batch *batch)
{
    spool->rows += batch->count;
    if (!spool->is_spilling && take_budget(spool->spill, batch->size)) {
        batch->next = NULL;
        *(spool->last ? &spool->last->next : &spool->first) = batch;
        spool->last = batch;
        return true;
    }
    spool->is_spilling = true;
    if (spool->error.status == FL_OK)
        write_out(spool, batch);
    return false;
}

void fl__spool_end(fl__spool *spool)
{
    if (spool->is_spilling && spool->error.status == FL_OK)
        (void)!fl__spill_file_flush(spool->file, &spool->error); /* the first of those that share it; sticks */
}

fl__batch *fl__spool_next(fl__spool *spool)
{
    fl__batch *batch = spool->first;
    if (batch) {
        spool->first = batch->next;
        if (!spool->first)
            spool->last = NULL;
        return batch;
    }
    if (spool->error.status != FL_OK || spool->frame_next == spool->frame_count)
        return NULL;
    batch = spool->spare;
    spool->spare = NULL;
    int64_t at = spool->frames[spool->frame_next++];
    fl_status status = fl__spill_file_read(spool->file, &at, spool->type, &batch, &spool->error);
    if (batch)
        batch->owner = spool; /* came from the file */
    if (status == FL_OK)
        return batch;
    fl__batch_free(batch);
    return NULL;
}

void fl__spool_give_back(fl__spool *spool, fl__batch *batch)
{
    if (batch->owner != spool) {
        free_batch(spool, batch);
        return;
    }
    if (spool->spare) {
        fl__batch_free(batch);
        return;
    }
    fl__batch_spoil(batch);
    spool->spare = batch;
}
