#include "operators/tag.h"

#include "data/type.h"
#include "operators/window.h"
#include "stream/task.h"

/* ---- tagged rows ---- */

static uint32_t align_up(uint32_t x, uint32_t align)
{
    return (x + align - 1) & ~(align - 1);
}

static fl_field part(const char *name, uint32_t offset, const fl_type *row)
{
    fl_field field = { .name = name, .offset = offset, .size = row->size, .type = row };
    if (row->kind == FL_KIND_ROW)
        field.row = row;
    field.raw = row->kind == FL_KIND_RAW;
    return field;
}

void fl__tagged_init(fl__tagged *tagged, fl__arena *arena, const fl_type *left, const fl_type *right)
{
    uint32_t align = left->align > right->align ? left->align : right->align;
    align = align > 8 ? align : 8;
    uint32_t at_left = align_up(sizeof(fl__tag_head), left->align ? left->align : 1);
    uint32_t at_right = align_up(at_left + left->size, right->align ? right->align : 1);
    const fl_field fields[] = {
        { .name = "side", .offset = offsetof(fl__tag_head, side), .size = 2, .type = FL_TYPE(uint16_t) },
        { .name = "left_offset", .offset = offsetof(fl__tag_head, left_offset), .size = 2, .type = FL_TYPE(uint16_t) },
        { .name = "right_offset",
            .offset = offsetof(fl__tag_head, right_offset),
            .size = 4,
            .type = FL_TYPE(uint32_t) },
        part("left", at_left, left),
        part("right", at_right, right),
    };
    fl_type *type = fl__arena_alloc(arena, sizeof *type);
    *type = (fl_type){
        .kind = FL_KIND_ROW,
        .size = align_up(at_right + right->size, align),
        .align = align,
        .field_count = sizeof fields / sizeof fields[0],
        .name = fl__arena_printf(arena, "%s or %s", left->name, right->name),
        .fields = fl__arena_memdup(arena, fields, sizeof fields),
    };
    *tagged = (fl__tagged){ .type = type, .rows = { left, right }, .offsets = { at_left, at_right } };
}

static unsigned side_of(const void *row)
{
    return ((const fl__tag_head *)row)->side;
}

static const void *content_of(const fl__tagged *tagged, const void *row)
{
    return (const char *)row + tagged->offsets[side_of(row)];
}

fl_pair fl_tagged_pair(const void *row)
{
    const fl__tag_head *head = row;
    fl_pair pair = { .left_timestamp = FL_NO_TIMESTAMP, .right_timestamp = FL_NO_TIMESTAMP };
    if (head->side)
        pair.right = (const char *)row + head->right_offset;
    else
        pair.left = (const char *)row + head->left_offset;
    return pair;
}

void fl__tagged_key(const void *row, void *key, void *context)
{
    const fl__tagged *tagged = context;
    const fl__key *own = tagged->keys[side_of(row)];
    const void *found = fl__key_of(own, content_of(tagged, row), key);
    if (found != key)
        memcpy(key, found, own->size);
}

/* ---- tagging ---- */

typedef struct tag_operator {
    fl__operator op;
    char *row; /* zeros where the other stream's rows would be */
} tag_operator;

static fl_status open(fl__operator *op, fl_error *error)
{
    (void)error;
    const fl__tag_config *config = op->spec->config;
    tag_operator *self = (tag_operator *)op;
    self->row = fl__alloc_zero(&op->memory, config->tagged->type->size);
    *(fl__tag_head *)(void *)self->row = (fl__tag_head){
        .side = (uint16_t)config->side,
        .left_offset = (uint16_t)config->tagged->offsets[0],
        .right_offset = config->tagged->offsets[1],
    };
    return FL_OK;
}

static void close(fl__operator *op)
{
    const fl__tag_config *config = op->spec->config;
    tag_operator *self = (tag_operator *)op;
    fl__free(&op->memory, self->row, config->tagged->type->size);
    self->row = NULL;
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    const fl__tag_config *config = op->spec->config;
    tag_operator *self = (tag_operator *)op;
    fl_collector *out = &op->out.collector;
    char *to = self->row + config->tagged->offsets[config->side];
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    out->timestamp = FL_NO_TIMESTAMP;
    for (uint32_t i = 0; i < batch->count; i++) {
        memcpy(to, fl__batch_row(batch, i), batch->row_size);
        if (timestamps)
            out->timestamp = timestamps[i];
        fl_collect_row(out, self->row);
    }
    return FL_OK;
}

const fl__operator_class fl__tag_class = {
    .kind = "Tag",
    .size = sizeof(tag_operator),
    .is_record_wise = true,
    .open = open,
    .process = process,
    .close = close,
};

/* ---- window functions ---- */

static const fl__joined *joined_of(const fl_context *ctx)
{
    return ((const fl__window_config *)fl__operator_of(ctx)->spec->config)->joined;
}

/* Pointers to the rows of one side; returns how many. */
static size_t pick(const fl__tagged *tagged, const fl_elements *elements, unsigned side, const void **rows)
{
    size_t count = 0;
    for (size_t i = 0; i < elements->count; i++) {
        const void *row = fl_element(elements, i);
        if (side_of(row) == side)
            rows[count++] = content_of(tagged, row);
    }
    return count;
}

/* Each left row with each right one, both in the order of arrival (Flink's JoinedStreams). */
void fl__joined_pairs(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl__joined *joined = joined_of(ctx);
    const fl_elements *elements = in;
    fl__operator *op = fl__operator_of(ctx);
    size_t bytes = elements->count * sizeof(void *);
    const void **rows = fl__alloc(&op->memory, bytes);
    size_t left_count = pick(joined->tagged, elements, 0, rows);
    size_t right_count = pick(joined->tagged, elements, 1, rows + left_count);
    fl_pair pair = { .left_timestamp = FL_NO_TIMESTAMP, .right_timestamp = FL_NO_TIMESTAMP };
    for (size_t l = 0; l < left_count && !op->task->failed; l++) {
        pair.left = rows[l];
        for (size_t r = 0; r < right_count && !op->task->failed; r++) {
            pair.right = rows[left_count + r];
            joined->function(&pair, out, ctx);
        }
    }
    fl__free(&op->memory, rows, bytes);
}

/* Both sides, each as elements: the rows of a side one after the other. */
void fl__joined_groups(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl__joined *joined = joined_of(ctx);
    const fl_elements *elements = in;
    fl__operator *op = fl__operator_of(ctx);
    fl_groups groups;
    fl_elements *sides[2] = { &groups.left, &groups.right };
    char *rows[2];
    size_t bytes[2];
    for (unsigned side = 0; side < 2; side++) {
        uint32_t size = joined->tagged->rows[side]->size;
        bytes[side] = elements->count * size;
        rows[side] = fl__alloc(&op->memory, bytes[side]);
        *sides[side] = (fl_elements){ .rows = rows[side], .row_size = size };
    }
    for (size_t i = 0; i < elements->count; i++) {
        const void *row = fl_element(elements, i);
        unsigned side = side_of(row);
        uint32_t size = sides[side]->row_size;
        memcpy(rows[side] + sides[side]->count++ * size, content_of(joined->tagged, row), size);
    }
    joined->function(&groups, out, ctx);
    for (unsigned side = 0; side < 2; side++)
        fl__free(&op->memory, rows[side], bytes[side]);
}
