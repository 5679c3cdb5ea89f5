#include "state/table_restore.h"

#include "base/error.h"

static fl_status read_schema(fl__table_restore *r, fl__reader *in, fl_error *error)
{
    fl__schema_block schema;
    fl__arena arena;
    fl__arena_init(&arena, r->from->memory);
    fl_status status = fl__schema_block_read(&schema, r->from, in, &arena, error);
    if (status == FL_OK && schema.count != 1)
        status = fl__blocks_corrupt(&r->from->blocks, error, "the number of states");
    if (status == FL_OK && !fl__same_schema(r->key->type, schema.key))
        status = fl__schema_changed(r->from, "the key", r->key->type, schema.key, error);
    if (status == FL_OK && !fl__same_schema(r->type, schema.states[0].type))
        status = fl__schema_changed(r->from, r->what, r->type, schema.states[0].type, error);
    fl__arena_release(&arena);
    return status;
}

static fl_status read_page(fl__table_restore *r, void *key, fl__reader *in, fl_error *error)
{
    fl__table_block block;
    uint32_t ref;
    if (!fl__table_block_read(&block, in))
        return fl__blocks_corrupt(&r->from->blocks, error, "the page's head");
    while (fl__table_block_next(&block, in, &ref)) {
        if (r->scratch.chunk)
            fl__arena_release(&r->scratch);
        fl_status status = fl__decode(r->key->type, in, &r->scratch, key, error);
        if (status != FL_OK)
            return status;
        uint64_t hash = fl__key_hash(r->key, key);
        status = r->entry(r, block.label, hash, key, fl__restored_owns(r->from, hash), in, error);
        if (status != FL_OK)
            return status;
    }
    return block.entries || in->cursor != in->end ? fl__blocks_corrupt(&r->from->blocks, error, "its entries") : FL_OK;
}

static fl_status read_block(fl__table_restore *r, void *key, fl__block *block, fl_error *error)
{
    switch (block->kind) {
    case FL__BLOCK_TABLE_SCHEMA: return read_schema(r, &block->payload, error);
    case FL__BLOCK_TABLE_PAGE: return read_page(r, key, &block->payload, error);
    case FL__BLOCK_VALUES: return r->values ? r->values(r, &block->payload, error) : FL_OK;
    default: return FL_OK;
    }
}

fl_status fl__table_restore_run(fl__table_restore *r, fl_error *error)
{
    fl__arena_init(&r->scratch, r->from->memory);
    void *key = fl__alloc_zero(r->from->memory, r->key->type->size);
    fl__block block;
    fl_status status;
    while ((status = fl__restored_next(r->from, &block, error)) == FL_OK) {
        status = read_block(r, key, &block, error);
        if (status != FL_OK)
            break;
    }
    fl__free(r->from->memory, key, r->key->type->size);
    fl__arena_release(&r->scratch);
    return status == FL_DONE ? FL_OK : status;
}
