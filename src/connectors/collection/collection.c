/* fl_from_collection, fl_from_elements: rows that were copied when the program was built, in order, by one subtask. */
#include "api/api.h"
#include "data/type.h"

enum { POLL_ROWS = 2048 };

struct collection_config {
    const char *rows; /* count of them, one after the other as in the program's array, with what they point to */
    size_t count;
};

struct collection_source {
    fl__operator op;
    size_t next;
};

static fl_status poll_collection(fl__operator *op)
{
    struct collection_source *source = (struct collection_source *)op;
    const struct collection_config *config = (const struct collection_config *)op->spec->config;
    fl_collector *out = &op->out.collector;
    size_t row_size = op->spec->out->size, end = config->count;
    if (end - source->next > POLL_ROWS)
        end = source->next + POLL_ROWS;
    for (; source->next < end; source->next++)
        fl_collect_row(out, config->rows + source->next * row_size);
    return source->next < config->count ? FL_OK : FL_DONE;
}

static void snapshot_collection(fl__operator *op, fl__snapshot *to)
{
    fl__buffer_varint(fl__snapshot_bytes(to, FL__BLOCK_VALUES), ((struct collection_source *)op)->next);
}

static fl_status restore_collection(fl__operator *op, fl__restored *from, fl_error *error)
{
    struct collection_source *source = (struct collection_source *)op;
    const struct collection_config *config = (const struct collection_config *)op->spec->config;
    source->next = config->count; /* a subtask that had ended left nothing */
    fl__block block;
    fl_status status;
    while ((status = fl__restored_next(from, &block, error)) == FL_OK) {
        uint64_t next;
        if (!fl__reader_varint(&block.payload, &next))
            return fl__blocks_corrupt(&from->blocks, error, "the position in a collection");
        if (next > config->count)
            return fl__error_set(error, FL_ERROR_INVALID,
                "the snapshot was taken after row %llu of this collection, which has %zu rows now",
                (unsigned long long)next, config->count);
        source->next = (size_t)next;
    }
    return status == FL_DONE ? FL_OK : status;
}

static const fl__operator_class collection_class = {
    .kind = "Collection Source",
    .size = sizeof(struct collection_source),
    .poll = poll_collection,
    .snapshot = snapshot_collection,
    .restore = restore_collection,
};

static char *copy_rows(fl_env *env, const fl_type *type, const void *rows, size_t count)
{
    char *copy = fl__env_alloc(env, count * type->size + 1);
    if (count > 0)
        memcpy(copy, rows, count * type->size);
    fl__layout layout;
    fl__layout_init(&layout, type);
    if (layout.is_flat)
        return copy;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += fl__value_heap_bytes(&layout, copy + i * type->size);
    char *heap = fl__env_alloc(env, bytes + 1);
    for (size_t i = 0; i < count; i++)
        fl__value_adopt(&layout, copy + i * type->size, &heap);
    return copy;
}

fl_stream *fl__from_collection(
    fl_env *env, const fl_type *type, const void *rows, size_t count, const fl_source_options *options)
{
    if (!rows && count > 0)
        return fl__stream_error(env, options->where, "fl_from_collection: rows is NULL, but count is %zu", count);
    fl_error error = FL_ERROR_INIT;
    if (fl__type_check(type, &error) != FL_OK) {
        fl_stream *failed = fl__stream_error(env, options->where, "fl_from_collection: %s", error.text);
        fl__error_release(&error);
        return failed;
    }
    struct collection_config *config = fl__env_alloc(env, sizeof *config);
    config->rows = copy_rows(env, type, rows, count);
    config->count = count;
    return fl__add_source_operator(env, &(fl__new_operator){
                                            .class = &collection_class,
                                            .out = type,
                                            .options = (const fl_options *)options,
                                            .source = options,
                                            .config = config,
                                            .not_parallel = true,
                                        });
}
