#include "state/snapshot.h"

#include "base/error.h"

#include <stdio.h>

enum { OPERATORS_MAX = 4096 };
#define FL__SECTION " / " /* between an operator's id and the name of a section */

/* Bytes that are there already, as a part: so everything is written in the order in which it was added. */
typedef struct bytes_part {
    fl__snapshot_part part;
    fl__memory *memory;
    fl__buffer bytes;
    bool is_written;
} bytes_part;

struct fl__snapshot {
    fl__memory *memory;
    int64_t checkpoint;
    char **operators;
    uint32_t operator_count, operator_capacity;
    fl__snapshot_part *first, *last;
    uint64_t blocks; /* written so far */
    bool has_begun;
};

fl__snapshot *fl__snapshot_new(fl__memory *memory, int64_t checkpoint)
{
    fl__snapshot *snapshot = fl__alloc_zero(memory, sizeof *snapshot);
    snapshot->memory = memory;
    snapshot->checkpoint = checkpoint;
    return snapshot;
}

int64_t fl__snapshot_checkpoint(const fl__snapshot *snapshot)
{
    return snapshot->checkpoint;
}

const char *fl__snapshot_operator_id(const fl__snapshot *snapshot, uint32_t number)
{
    return number < snapshot->operator_count ? snapshot->operators[number] : NULL;
}

void fl__snapshot_add(fl__snapshot *snapshot, fl__snapshot_part *part)
{
    fl_assert(snapshot->operator_count > 0);
    part->next = NULL;
    part->operator_number = snapshot->operator_count - 1;
    if (snapshot->last)
        snapshot->last->next = part;
    else
        snapshot->first = part;
    snapshot->last = part;
}

static bool next_bytes(fl__snapshot_part *part, fl__buffer *out)
{
    bytes_part *self = (bytes_part *)part;
    if (self->is_written)
        return false;
    self->is_written = true;
    fl__buffer_append(out, self->bytes.data, self->bytes.size);
    return true;
}

static void release_bytes(fl__snapshot_part *part)
{
    bytes_part *self = (bytes_part *)part;
    fl__buffer_release(&self->bytes);
    fl__free(self->memory, self, sizeof *self);
}

fl__buffer *fl__snapshot_bytes(fl__snapshot *snapshot, fl__block_kind kind)
{
    bytes_part *part = fl__alloc_zero(snapshot->memory, sizeof *part);
    part->memory = snapshot->memory;
    part->part = (fl__snapshot_part){ .kind = kind, .next_block = next_bytes, .release = release_bytes };
    fl__buffer_init(&part->bytes, snapshot->memory);
    fl__snapshot_add(snapshot, &part->part);
    return &part->bytes;
}

void fl__snapshot_operator(fl__snapshot *snapshot, const char *id)
{
    fl_assert(snapshot->operator_count < OPERATORS_MAX);
    if (snapshot->operator_count == snapshot->operator_capacity) {
        uint32_t more = snapshot->operator_capacity ? 2 * snapshot->operator_capacity : 4;
        snapshot->operators = fl__realloc(snapshot->memory, snapshot->operators,
            snapshot->operator_capacity * sizeof *snapshot->operators, more * sizeof *snapshot->operators);
        snapshot->operator_capacity = more;
    }
    size_t size = strlen(id) + 1;
    snapshot->operators[snapshot->operator_count] = fl__alloc(snapshot->memory, size);
    memcpy(snapshot->operators[snapshot->operator_count++], id, size);
    fl__block_put_text(fl__snapshot_bytes(snapshot, FL__BLOCK_OPERATOR), id);
}

void fl__snapshot_section(fl__snapshot *snapshot, const char *name)
{
    char id[1024];
    fl_assert(snapshot->operator_count > 0);
    snprintf(id, sizeof id, "%s" FL__SECTION "%s", snapshot->operators[snapshot->operator_count - 1], name);
    fl__snapshot_operator(snapshot, id);
}

/* ---- writing ---- */

fl_status fl__snapshot_write(fl__snapshot *snapshot, fl__buffer *out)
{
    if (!snapshot->has_begun) {
        snapshot->has_begun = true;
        fl__blocks_begin(out);
    }
    fl__snapshot_part *part = snapshot->first;
    if (!part) {
        fl__blocks_end(out, snapshot->blocks);
        return FL_DONE;
    }
    size_t opened = fl__block_open(out, part->kind, part->operator_number);
    if (part->next_block(part, out)) {
        fl__block_close(out, opened);
        snapshot->blocks++;
        return FL_OK;
    }
    out->size = opened;
    snapshot->first = part->next;
    if (!snapshot->first)
        snapshot->last = NULL;
    part->release(part);
    return FL_OK;
}

void fl__snapshot_free(fl__snapshot *snapshot)
{
    if (!snapshot)
        return;
    for (fl__snapshot_part *part = snapshot->first, *next; part; part = next) {
        next = part->next;
        part->release(part);
    }
    for (uint32_t i = 0; i < snapshot->operator_count; i++)
        fl__free(snapshot->memory, snapshot->operators[i], strlen(snapshot->operators[i]) + 1);
    fl__free(snapshot->memory, snapshot->operators, snapshot->operator_capacity * sizeof *snapshot->operators);
    fl__free(snapshot->memory, snapshot, sizeof *snapshot);
}

/* ---- restoring ---- */

const fl__operator_state *fl__state_catalog_find(const fl__state_catalog *catalog, const char *id)
{
    for (uint32_t i = 0; i < catalog->operator_count; i++) {
        if (strcmp(catalog->operators[i].id, id) == 0)
            return &catalog->operators[i];
    }
    return NULL;
}

static void close_file(fl__restored *r)
{
    if (r->is_open)
        fl__blocks_close(&r->blocks);
    r->is_open = false;
}

static fl_status open_file(fl__restored *r, fl_error *error)
{
    const fl__state_file *file = &r->files[r->next_file++];
    r->old_subtask = file->subtask;
    r->number = UINT32_MAX;
    r->is_open = true;
    return fl__blocks_open(&r->blocks, r->memory, r->os, file->path, error);
}

/* Is this the operator's name block? */
static fl_status look_at_operator(fl__restored *r, fl__block *block, fl_error *error)
{
    uint64_t length;
    fl__reader in = block->payload;
    const char *id = fl__reader_varint(&in, &length) ? fl__reader_bytes(&in, length) : NULL;
    if (!id)
        return fl__blocks_corrupt(&r->blocks, error, "the operator's id does not fit");
    if (length == strlen(r->id) && memcmp(id, r->id, length) == 0)
        r->number = block->operator_number;
    return FL_OK;
}

fl_status fl__restored_next(fl__restored *r, fl__block *block, fl_error *error)
{
    for (;;) {
        fl_status status = FL_OK;
        if (!r->is_open) {
            if (r->next_file == r->file_count)
                return FL_DONE;
            status = open_file(r, error);
        }
        if (status == FL_OK)
            status = fl__blocks_next(&r->blocks, block, error);
        if (status == FL_DONE)
            close_file(r);
        else if (status != FL_OK)
            return status;
        else if (block->kind == FL__BLOCK_OPERATOR)
            status = look_at_operator(r, block, error);
        else if (block->operator_number == r->number)
            return FL_OK;
        if (status != FL_OK && status != FL_DONE)
            return status;
    }
}

void fl__restored_close(fl__restored *r)
{
    close_file(r);
}

void fl__restored_rewind(fl__restored *r)
{
    close_file(r);
    r->next_file = 0;
}

fl__restored fl__restored_section(const fl__restored *r, const char *name, char *id, size_t size)
{
    fl__restored section = *r;
    snprintf(id, size, "%s" FL__SECTION "%s", r->id, name);
    section.id = id;
    section.next_file = 0;
    section.is_open = false;
    return section;
}
