#include "state/keyed_snapshot.h"

#include "state/keyed_internal.h"

#include <stdio.h>

enum { TIMERS_PER_BLOCK = 4096, SLOT_BITS_MAX = 16 };

/* ---- schemas ---- */

void fl__schema_block_write(
    fl__buffer *out, const fl_type *key, uint32_t slot_bits, const fl__state_schema *states, size_t count)
{
    fl__schema_encode(key, out);
    fl__buffer_varint(out, slot_bits);
    fl__buffer_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        fl__block_put_text(out, states[i].name);
        fl__buffer_varint(out, (uint64_t)states[i].kind);
        fl__schema_encode(states[i].type, out);
        if (states[i].kind == FL_STATE_MAP)
            fl__schema_encode(states[i].map_key, out);
    }
}

static fl_status damaged(const fl__restored *from, fl_error *error, const char *what)
{
    return fl__blocks_corrupt(&from->blocks, error, what);
}

static fl_status read_state(
    fl__state_schema *state, const fl__restored *from, fl__reader *in, fl__arena *arena, fl_error *error)
{
    uint64_t kind;
    state->name = fl__block_get_text(in, arena);
    if (!state->name || !fl__reader_varint(in, &kind) || kind > FL_STATE_AGGREGATING)
        return damaged(from, error, "the list of states");
    state->kind = (fl_state_kind)kind;
    fl_status status = fl__schema_decode(in, arena, &state->type, error);
    if (status == FL_OK && state->kind == FL_STATE_MAP)
        status = fl__schema_decode(in, arena, &state->map_key, error);
    return status;
}

fl_status fl__schema_block_read(
    fl__schema_block *schema, const fl__restored *from, fl__reader *in, fl__arena *arena, fl_error *error)
{
    *schema = (fl__schema_block){ 0 };
    fl_status status = fl__schema_decode(in, arena, &schema->key, error);
    uint64_t slot_bits = 0, count = 0;
    if (status == FL_OK && (!fl__reader_varint(in, &slot_bits) || slot_bits > SLOT_BITS_MAX ||
                               !fl__reader_varint(in, &count) || count > FL__STATES_MAX))
        status = damaged(from, error, "the schema's head");
    schema->slot_bits = (uint32_t)slot_bits;
    for (uint64_t i = 0; i < count && status == FL_OK; i++)
        status = read_state(&schema->states[schema->count++], from, in, arena, error);
    return status;
}

bool fl__same_schema(const fl_type *a, const fl_type *b)
{
    fl__buffer bytes[2];
    fl__buffer_init(&bytes[0], NULL);
    fl__buffer_init(&bytes[1], NULL);
    fl__schema_encode(a, &bytes[0]);
    fl__schema_encode(b, &bytes[1]);
    bool same = bytes[0].size == bytes[1].size && memcmp(bytes[0].data, bytes[1].data, bytes[0].size) == 0;
    fl__buffer_release(&bytes[0]);
    fl__buffer_release(&bytes[1]);
    return same;
}

fl_status fl__schema_changed(
    const fl__restored *from, const char *what, const fl_type *now, const fl_type *then, fl_error *error)
{
    return fl__error_set(error, FL_ERROR_INVALID,
        "%s of operator \"%s\" has type %s in the program, which is not the type %s that it has in the snapshot "
        "%s; give "
        "it the type of then, or another name",
        what, from->id, now->name, then->name, from->blocks.file.path);
}

/* ---- writing ---- */

static const void *state_of(const char *entry, const fl__keyed_state *s)
{
    return entry + s->offset;
}

static void encode_list(const fl__keyed_state *s, const char *entry, fl__buffer *out)
{
    fl__list_handle list;
    memcpy(&list, state_of(entry, s), sizeof list);
    fl__buffer_varint(out, list.count);
    for (uint32_t i = 0; i < list.count; i++)
        fl__encode(s->declared->type, list.data + (size_t)i * s->layout.row_size, out);
}

static void encode_map(const fl__keyed_state *s, const char *entry, fl__buffer *out)
{
    fl__map_handle map;
    memcpy(&map, state_of(entry, s), sizeof map);
    fl__buffer_varint(out, map.count);
    for (uint32_t i = 0; i < map.count; i++) {
        const char *cell = map.cells + (size_t)i * s->cell_size;
        fl__encode(s->declared->key_type, cell, out);
        fl__encode(s->declared->type, cell + s->value_offset, out);
    }
}

static void encode_entry(const void *arg, const char *entry, fl__buffer *out)
{
    const fl__keyed *keyed = arg;
    fl__encode(keyed->table.key.type, entry + keyed->table.key_offset, out);
    uint32_t present = keyed->present_offset == FL__NO_OFFSET ? 1 : 0;
    if (keyed->present_offset != FL__NO_OFFSET)
        memcpy(&present, entry + keyed->present_offset, sizeof present);
    uint64_t bits = 0;
    for (uint32_t i = 0; i < keyed->state_count; i++)
        bits |= (uint64_t)((present & keyed->states[i].bit) != 0) << i;
    fl__buffer_varint(out, bits);
    for (uint32_t i = 0; i < keyed->state_count; i++) {
        const fl__keyed_state *s = &keyed->states[i];
        if (!(bits >> i & 1))
            continue;
        if (s->kind == FL_STATE_LIST)
            encode_list(s, entry, out);
        else if (s->kind == FL_STATE_MAP)
            encode_map(s, entry, out);
        else
            fl__encode(s->declared->type, state_of(entry, s), out);
    }
}

typedef struct timers_part {
    fl__snapshot_part part;
    fl__memory *memory;
    fl__timers_view *view;
    fl__time_domain domain;
    fl__buffer scratch;
} timers_part;

static bool next_timers(fl__snapshot_part *part, fl__buffer *out)
{
    timers_part *self = (timers_part *)part;
    fl_time time, last = 0;
    uint32_t ref, count = 0;
    self->scratch.size = 0;
    while (count < TIMERS_PER_BLOCK && fl__timers_view_next(self->view, &time, &ref)) {
        fl__block_put_int(&self->scratch, (int64_t)((uint64_t)time - (uint64_t)last));
        fl__buffer_varint(&self->scratch, ref);
        last = time;
        count++;
    }
    if (!count)
        return false;
    fl__buffer_varint(out, (uint64_t)self->domain);
    fl__buffer_varint(out, count);
    fl__buffer_append(out, self->scratch.data, self->scratch.size);
    return true;
}

static void release_timers(fl__snapshot_part *part)
{
    timers_part *self = (timers_part *)part;
    fl__timers_view_free(self->view);
    fl__buffer_release(&self->scratch);
    fl__free(self->memory, self, sizeof *self);
}

static void snapshot_timers(fl__timers *timers, fl__time_domain domain, fl__snapshot *to, fl__memory *memory)
{
    if (fl__timers_is_empty(timers, domain))
        return;
    timers_part *part = fl__alloc_zero(memory, sizeof *part);
    part->part = (fl__snapshot_part){ .kind = FL__BLOCK_TIMERS, .next_block = next_timers, .release = release_timers };
    part->memory = memory;
    part->view = fl__timers_view_new(timers, domain);
    part->domain = domain;
    fl__buffer_init(&part->scratch, memory);
    fl__snapshot_add(to, &part->part);
}

void fl__keyed_snapshot(fl__keyed *keyed, fl__timers *timers, fl__snapshot *to, fl__memory *memory)
{
    fl_assert(!keyed->is_unsettled);
    fl__state_schema states[FL__STATES_MAX];
    for (uint32_t i = 0; i < keyed->state_count; i++) {
        const fl_state *declared = keyed->states[i].declared;
        states[i] = (fl__state_schema){ fl__state_name(declared), declared->kind, declared->type, declared->key_type };
    }
    fl__schema_block_write(fl__snapshot_bytes(to, FL__BLOCK_SCHEMA), keyed->table.key.type, keyed->table.slot_bits,
        states, keyed->state_count);
    fl__table_snapshot_begin(&keyed->table, to, FL__BLOCK_PAGE, memory, 0, encode_entry, keyed);
    if (!timers)
        return;
    snapshot_timers(timers, FL__EVENT_TIME, to, memory);
    snapshot_timers(timers, FL__PROCESSING_TIME, to, memory);
}

/* ---- restoring ---- */

typedef struct restoring {
    fl__keyed *keyed;
    fl__timers *timers;
    fl_context *ctx;
    fl__restored *from;
    fl_error *error;
    fl__key_translate_fn translate; /* NULL: keys are what they are */
    void *translate_arg;
    fl__arena arena; /* schema of the current file */
    fl__arena scratch;
    fl__schema_block schema;
    int32_t state_of[FL__STATES_MAX]; /* by the snapshot's number: the state of now, -1: it has none */
    uint32_t file;                    /* that schema and references are of */
    uint32_t **refs;                  /* by page of then, by slot: reference of now */
    uint32_t page_count;
    void *key;       /* scratch */
    void *values[2]; /* scratch of the largest type */
    size_t values_size;
} restoring;

static void forget_refs(restoring *r)
{
    for (uint32_t i = 0; i < r->page_count; i++) {
        if (r->refs[i])
            fl__free(r->from->memory, r->refs[i], sizeof(uint32_t) << r->schema.slot_bits);
    }
    fl__free(r->from->memory, r->refs, r->page_count * sizeof *r->refs);
    r->refs = NULL;
    r->page_count = 0;
}

static fl_status match_states(restoring *r)
{
    const fl__keyed *keyed = r->keyed;
    if (!fl__same_schema(keyed->table.key.type, r->schema.key))
        return fl__schema_changed(r->from, "the key", keyed->table.key.type, r->schema.key, r->error);
    for (uint32_t i = 0; i < r->schema.count; i++) {
        const fl__state_schema *then = &r->schema.states[i];
        r->state_of[i] = -1;
        for (uint32_t j = 0; j < keyed->state_count; j++) {
            const fl_state *now = keyed->states[j].declared;
            if (strcmp(fl__state_name(now), then->name) != 0)
                continue;
            char what[128];
            snprintf(what, sizeof what, "state \"%s\"", then->name);
            if (now->kind != then->kind || !fl__same_schema(now->type, then->type))
                return fl__schema_changed(r->from, what, now->type, then->type, r->error);
            if (now->kind == FL_STATE_MAP && !fl__same_schema(now->key_type, then->map_key))
                return fl__schema_changed(r->from, what, now->key_type, then->map_key, r->error);
            r->state_of[i] = (int32_t)j;
        }
    }
    return FL_OK;
}

static void make_room(restoring *r, const fl_type *type)
{
    if (type->size <= r->values_size)
        return;
    for (int i = 0; i < 2; i++)
        r->values[i] = fl__realloc(r->from->memory, r->values[i], r->values_size, type->size);
    r->values_size = type->size;
}

static fl_status restore_schema(restoring *r, fl__reader *in)
{
    forget_refs(r);
    fl__arena_release(&r->arena);
    fl__arena_init(&r->arena, r->from->memory);
    fl_status status = fl__schema_block_read(&r->schema, r->from, in, &r->arena, r->error);
    if (status == FL_OK)
        status = match_states(r);
    if (status != FL_OK)
        return status;
    for (uint32_t i = 0; i < r->schema.count; i++) {
        const fl__state_schema *s = &r->schema.states[i];
        const fl_type *now = r->state_of[i] < 0 ? NULL : r->keyed->states[r->state_of[i]].declared->type;
        make_room(r, s->type);
        if (s->map_key)
            make_room(r, s->map_key);
        if (now)
            make_room(r, now);
    }
    return FL_OK;
}

/* A value of then into *value: of the type of now when there is one. */
static fl_status read_value(restoring *r, fl__reader *in, const fl_type *then, const fl_type *now, void *value)
{
    return fl__decode(now ? now : then, in, &r->scratch, value, r->error);
}

static fl_status restore_elements(restoring *r, fl__reader *in, const fl__state_schema *then, const fl_state *now)
{
    uint64_t count;
    if (!fl__reader_varint(in, &count))
        return damaged(r->from, r->error, "a count of elements");
    const fl_type *map_key = now ? now->key_type : NULL, *type = now ? now->type : NULL;
    for (uint64_t i = 0; i < count; i++) {
        fl_status status = FL_OK;
        if (then->kind == FL_STATE_MAP)
            status = read_value(r, in, then->map_key, map_key, r->values[1]);
        if (status == FL_OK)
            status = read_value(r, in, then->type, type, r->values[0]);
        if (status != FL_OK)
            return status;
        fl_state *state = (fl_state *)(uintptr_t)now;
        if (state && then->kind == FL_STATE_MAP)
            fl__map_put(r->ctx, state, r->values[1], map_key->size, r->values[0], type->size);
        else if (state)
            fl__list_add(r->ctx, state, r->values[0], type->size);
    }
    return FL_OK;
}

static fl_status restore_state(restoring *r, fl__reader *in, uint32_t number, bool is_ours)
{
    const fl__state_schema *then = &r->schema.states[number];
    const fl__keyed_state *s = r->state_of[number] < 0 ? NULL : &r->keyed->states[r->state_of[number]];
    if (!is_ours)
        s = NULL;
    if (then->kind == FL_STATE_LIST || then->kind == FL_STATE_MAP)
        return restore_elements(r, in, then, s ? s->declared : NULL);
    fl_status status = read_value(r, in, then->type, s ? s->declared->type : NULL, r->values[0]);
    if (status != FL_OK || !s)
        return status;
    bool is_new;
    char *data = fl__keyed_ensure(r->keyed, r->ctx, s, &is_new);
    memcpy(data, r->values[0], s->size);
    if (!s->is_flat)
        fl__value_own(&s->layout, data, r->keyed->heap);
    return FL_OK;
}

static void remember_ref(restoring *r, uint32_t then, uint32_t now)
{
    uint32_t page = then >> r->schema.slot_bits, slot = then & ((1u << r->schema.slot_bits) - 1);
    if (page >= r->page_count) {
        uint32_t more = page + page / 2 + 16;
        r->refs =
            fl__realloc(r->from->memory, r->refs, r->page_count * sizeof *r->refs, (size_t)more * sizeof *r->refs);
        memset(r->refs + r->page_count, 0, (more - r->page_count) * sizeof *r->refs);
        r->page_count = more;
    }
    if (!r->refs[page]) {
        r->refs[page] = fl__alloc(r->from->memory, sizeof(uint32_t) << r->schema.slot_bits);
        memset(r->refs[page], 0xff, sizeof(uint32_t) << r->schema.slot_bits);
    }
    r->refs[page][slot] = now;
}

static fl_status restore_entry(restoring *r, fl__reader *in, uint32_t ref)
{
    if (r->scratch.chunk) /* of what has variable length */
        fl__arena_release(&r->scratch);
    void *key = r->key;
    fl_status status = fl__decode(r->keyed->table.key.type, in, &r->scratch, key, r->error);
    uint64_t bits;
    if (status == FL_OK && (!fl__reader_varint(in, &bits) || (r->schema.count < 64 && bits >> r->schema.count)))
        status = damaged(r->from, r->error, "an entry's head");
    if (status != FL_OK)
        return status;
    bool is_known = !r->translate || r->translate(r->translate_arg, r->from, key), is_new;
    uint64_t hash = fl__key_hash(&r->keyed->table.key, key);
    bool is_ours = r->translate ? is_known : fl__restored_owns(r->from, hash);
    fl__keyed_set_key(r->keyed, r->ctx, hash, key);
    for (uint32_t i = 0; i < r->schema.count && status == FL_OK; i++) {
        if (bits >> i & 1)
            status = restore_state(r, in, i, is_ours);
    }
    if (status == FL_OK && is_ours && r->timers) {
        fl__keyed_make(r->keyed, r->ctx, &is_new);
        remember_ref(r, ref, r->keyed->ref);
    }
    fl__keyed_end_call(r->keyed, r->ctx);
    r->ctx->key = r->ctx->entry = NULL;
    return status;
}

static fl_status restore_page(restoring *r, fl__reader *in)
{
    fl__table_block block;
    if (!fl__table_block_read(&block, in))
        return damaged(r->from, r->error, "the page's head");
    if (block.first_ref >> r->schema.slot_bits > FL__NO_REF >> r->schema.slot_bits)
        return damaged(r->from, r->error, "the page's number");
    uint32_t ref;
    while (fl__table_block_next(&block, in, &ref)) {
        fl_status status = restore_entry(r, in, ref);
        if (status != FL_OK)
            return status;
    }
    return block.entries || in->cursor != in->end ? damaged(r->from, r->error, "its entries") : FL_OK;
}

static fl_status restore_timers(restoring *r, fl__reader *in)
{
    uint64_t domain, count, ref;
    if (!fl__reader_varint(in, &domain) || domain > FL__PROCESSING_TIME || !fl__reader_varint(in, &count))
        return damaged(r->from, r->error, "the timers' head");
    if (!r->timers)
        return fl__error_set(r->error, FL_ERROR_INVALID,
            "operator \"%s\" had timers in the snapshot %s, but has no .on_timer in the program", r->from->id,
            r->from->blocks.file.path);
    int64_t time = 0, step;
    for (uint64_t i = 0; i < count; i++) {
        if (!fl__block_get_int(in, &step) || !fl__reader_varint(in, &ref))
            return damaged(r->from, r->error, "its timers");
        time = (int64_t)((uint64_t)time + (uint64_t)step);
        uint64_t page = ref >> r->schema.slot_bits;
        uint32_t slot = ref & ((1u << r->schema.slot_bits) - 1);
        uint32_t now = page < r->page_count && r->refs[page] ? r->refs[page][slot] : FL__NO_REF;
        if (now == FL__NO_REF)
            continue; /* of a key that is another subtask's now */
        fl__keyed_set_ref(r->keyed, r->ctx, now);
        fl__timers_register(r->timers, r->ctx, (fl__time_domain)domain, time);
        fl__keyed_end_call(r->keyed, r->ctx);
    }
    r->ctx->key = r->ctx->entry = NULL;
    return in->cursor != in->end ? damaged(r->from, r->error, "its timers") : FL_OK;
}

static fl_status restore_block(restoring *r, fl__block *block)
{
    bool has_schema = r->schema.key && r->file == r->from->next_file;
    if (block->kind == FL__BLOCK_SCHEMA) {
        r->file = r->from->next_file;
        return restore_schema(r, &block->payload);
    }
    if (block->kind != FL__BLOCK_PAGE && block->kind != FL__BLOCK_TIMERS)
        return FL_OK;
    if (!has_schema)
        return damaged(r->from, r->error, "it comes before its schema");
    return block->kind == FL__BLOCK_PAGE ? restore_page(r, &block->payload) : restore_timers(r, &block->payload);
}

static fl_status run(restoring *r)
{
    fl__restored *from = r->from;
    const uint32_t key_size = r->keyed->table.key.size;
    r->key = fl__alloc_zero(from->memory, key_size);
    fl__arena_init(&r->arena, from->memory);
    fl__arena_init(&r->scratch, from->memory);
    fl__block block;
    fl_status status;
    while ((status = fl__restored_next(from, &block, r->error)) == FL_OK) {
        status = restore_block(r, &block);
        if (status != FL_OK)
            break;
    }
    forget_refs(r);
    for (int i = 0; i < 2; i++)
        fl__free(from->memory, r->values[i], r->values_size);
    fl__free(from->memory, r->key, key_size);
    fl__arena_release(&r->scratch);
    fl__arena_release(&r->arena);
    return status == FL_DONE ? FL_OK : status;
}

fl_status fl__keyed_restore(fl__keyed *keyed, fl__timers *timers, fl_context *ctx, fl__restored *from, fl_error *error)
{
    restoring r = { .keyed = keyed, .timers = timers, .ctx = ctx, .from = from, .error = error };
    return run(&r);
}

fl_status fl__keyed_restore_as(
    fl__keyed *keyed, fl_context *ctx, fl__restored *from, fl__key_translate_fn translate, void *arg, fl_error *error)
{
    restoring r = {
        .keyed = keyed, .ctx = ctx, .from = from, .error = error, .translate = translate, .translate_arg = arg
    };
    return run(&r);
}
