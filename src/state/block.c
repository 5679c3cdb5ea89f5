#include "state/block.h"

#include "data/key.h"

#include <inttypes.h>

typedef struct head {
    uint64_t checksum;
    uint64_t size;
    uint16_t kind;
    uint16_t operator_number;
    uint32_t zero;
} head;
enum { CHECKED_FROM = offsetof(head, size), FILE_HEAD = 16 };
static const char magic[8] = "flincsnp";

/* ---- writing ---- */

void fl__blocks_begin(fl__buffer *out)
{
    uint32_t rest[2] = { FL__BLOCKS_VERSION, 0 };
    fl__buffer_append(out, magic, sizeof magic);
    fl__buffer_append(out, rest, sizeof rest);
}

size_t fl__block_open(fl__buffer *out, fl__block_kind kind, uint32_t operator_number)
{
    fl_assert(operator_number <= UINT16_MAX);
    size_t opened = out->size;
    head h = { .kind = (uint16_t)kind, .operator_number = (uint16_t)operator_number };
    fl__buffer_append(out, &h, sizeof h);
    return opened;
}

void fl__block_close(fl__buffer *out, size_t opened)
{
    head h;
    memcpy(&h, out->data + opened, sizeof h);
    h.size = out->size - opened - sizeof h;
    memcpy(out->data + opened, &h, sizeof h);
    h.checksum = fl__hash_bytes(out->data + opened + CHECKED_FROM, out->size - opened - CHECKED_FROM);
    memcpy(out->data + opened, &h, sizeof h);
}

void fl__blocks_end(fl__buffer *out, uint64_t blocks_before)
{
    size_t opened = fl__block_open(out, FL__BLOCK_END, 0);
    fl__buffer_varint(out, blocks_before);
    fl__block_close(out, opened);
}

void fl__block_put_text(fl__buffer *out, const char *text)
{
    size_t length = strlen(text);
    fl__buffer_varint(out, length);
    fl__buffer_append(out, text, length);
}

char *fl__block_get_text(fl__reader *in, fl__arena *arena)
{
    uint64_t length;
    const void *bytes = fl__reader_varint(in, &length) ? fl__reader_bytes(in, length) : NULL;
    if (!bytes || memchr(bytes, 0, length))
        return NULL;
    char *text = fl__arena_alloc(arena, length + 1);
    memcpy(text, bytes, length);
    return text;
}

/* ---- reading ---- */

fl_status fl__blocks_corrupt(const fl__blocks *blocks, fl_error *error, const char *what)
{
    return fl__error_set(error, FL_ERROR_CORRUPT,
        "%s: block %" PRIu64 ", which ends at byte %" PRId64 ", is damaged: %s", blocks->file.path, blocks->count,
        blocks->offset, what);
}

/* Bytes at the cursor; all of them or an error. */
static fl_status read_bytes(fl__blocks *blocks, void *to, size_t size, fl_error *error)
{
    size_t done = 0;
    while (done < size) {
        size_t got;
        fl_status status =
            fl__file_pread(&blocks->file, (char *)to + done, size - done, blocks->offset + (int64_t)done, &got, error);
        if (status != FL_OK)
            return status;
        if (got == 0)
            return fl__error_set(error, FL_ERROR_CORRUPT,
                "%s: the file ends at byte %" PRId64 ", in the middle of block %" PRIu64, blocks->file.path,
                blocks->offset + (int64_t)done, blocks->count + 1);
        done += got;
    }
    blocks->offset += (int64_t)size;
    return FL_OK;
}

fl_status fl__blocks_open(fl__blocks *blocks, fl__memory *memory, const fl__os *os, const char *path, fl_error *error)
{
    *blocks = (fl__blocks){ .memory = memory, .file = FL__FILE_INIT };
    fl__buffer_init(&blocks->buffer, memory);
    fl_status status = fl__file_open(&blocks->file, os, path, FL__FILE_READ, error);
    if (status == FL_OK)
        status = fl__file_size(&blocks->file, &blocks->size, error);
    char start[FILE_HEAD];
    if (status == FL_OK)
        status = read_bytes(blocks, start, sizeof start, error);
    if (status != FL_OK)
        return status;
    if (memcmp(start, magic, sizeof magic) != 0)
        return fl__error_set(
            error, FL_ERROR_CORRUPT, "%s is no snapshot of flinc: it does not begin with \"%.8s\"", path, magic);
    uint32_t version, zero;
    memcpy(&version, start + sizeof magic, sizeof version);
    memcpy(&zero, start + sizeof magic + sizeof version, sizeof zero);
    if (zero != 0)
        return fl__error_set(error, FL_ERROR_CORRUPT, "%s is damaged in its first %d bytes", path, FILE_HEAD);
    if (version != FL__BLOCKS_VERSION)
        return fl__error_set(error, FL_ERROR_CORRUPT,
            "%s was written in version %u of the format; this flinc reads version %u", path, version,
            FL__BLOCKS_VERSION);
    return FL_OK;
}

void fl__blocks_close(fl__blocks *blocks)
{
    fl__file_close(&blocks->file);
    fl__buffer_release(&blocks->buffer);
}

static fl_status check_end(fl__blocks *blocks, fl__reader payload, fl_error *error)
{
    uint64_t before;
    blocks->is_ended = true;
    if (!fl__reader_varint(&payload, &before) || before != blocks->count - 1)
        return fl__blocks_corrupt(blocks, error, "its count of blocks is wrong");
    if (blocks->offset != blocks->size)
        return fl__blocks_corrupt(blocks, error, "it is the last one, but more bytes follow");
    return FL_DONE;
}

fl_status fl__blocks_next(fl__blocks *blocks, fl__block *block, fl_error *error)
{
    if (blocks->is_ended)
        return FL_DONE;
    head h;
    fl_status status = read_bytes(blocks, &h, sizeof h, error);
    if (status != FL_OK)
        return status;
    blocks->count++;
    if (h.size > (uint64_t)(blocks->size - blocks->offset))
        return fl__blocks_corrupt(blocks, error, "it says that it is longer than the file");
    blocks->buffer.size = 0;
    char *bytes = fl__buffer_extend(&blocks->buffer, sizeof h - CHECKED_FROM + h.size);
    memcpy(bytes, (const char *)&h + CHECKED_FROM, sizeof h - CHECKED_FROM);
    char *payload = bytes + sizeof h - CHECKED_FROM;
    status = read_bytes(blocks, payload, h.size, error);
    if (status != FL_OK)
        return status;
    if (fl__hash_bytes(bytes, sizeof h - CHECKED_FROM + h.size) != h.checksum)
        return fl__blocks_corrupt(blocks, error, "its checksum is wrong");
    if (h.kind >= FL__BLOCK_KINDS || h.zero != 0)
        return fl__blocks_corrupt(blocks, error, "its kind is unknown");
    *block = (fl__block){ .kind = (fl__block_kind)h.kind,
        .operator_number = h.operator_number,
        .payload = { payload, payload, payload + h.size } };
    return h.kind == FL__BLOCK_END ? check_end(blocks, block->payload, error) : FL_OK;
}
