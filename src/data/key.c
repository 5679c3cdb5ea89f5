#include "data/key.h"

#include "data/type.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t fl__hash_bytes(const void *data, size_t length)
{
    return XXH3_64bits(data, length);
}

static fl__key_class class_of(fl_kind kind)
{
    switch (kind) {
    case FL_KIND_INT64:
    case FL_KIND_UINT64:
    case FL_KIND_INTERVAL: return FL__KEY_U64;
    case FL_KIND_INT32:
    case FL_KIND_UINT32:
    case FL_KIND_DATE:
    case FL_KIND_TIME:
    case FL_KIND_INTERVAL_MONTHS: return FL__KEY_U32;
    case FL_KIND_STRING:
    case FL_KIND_BYTES: return FL__KEY_STRING;
    default: return FL__KEY_GENERIC;
    }
}

enum { PARTS_MAX = sizeof(((fl__key *)0)->parts) / sizeof(((fl__key *)0)->parts[0]) };

/* Lists the fields of a key that is a row of scalars, none of them nullable. */
static void list_parts(fl__key *key)
{
    if (key->type->kind != FL_KIND_ROW || key->type->field_count > PARTS_MAX)
        return;
    key->simple = true;
    key->part_count = key->type->field_count;
    for (uint32_t i = 0; i < key->part_count; i++) {
        const fl_field *f = fl__field_at(key->type, i);
        fl_kind kind = fl_field_kind(f);
        key->parts[i] = (struct fl__key_part){ .to = f->offset, .size = f->size, .kind = kind };
        key->simple = key->simple && kind != FL_KIND_ROW && kind != FL_KIND_NULLS;
    }
}

static fl_status init(fl__key *key, const fl_type *type, fl_error *error)
{
    if (!fl__type_is_key(type))
        return fl__error_set(error, FL_ERROR_INVALID, "%s cannot be a key: it holds arrays or maps", type->name);
    memset(key, 0, sizeof *key);
    key->type = type;
    key->class = class_of(type->kind);
    key->size = type->size;
    list_parts(key);
    return FL_OK;
}

fl_status fl__key_init_whole(fl__key *key, const fl_type *type, fl_error *error)
{
    fl_status status = init(key, type, error);
    if (status == FL_OK)
        key->in_place = true;
    return status;
}

fl_status fl__key_init_selector(
    fl__key *key, const fl_type *key_type, fl__key_selector selector, void *context, fl_error *error)
{
    fl_status status = init(key, key_type, error);
    if (status == FL_OK) {
        key->selector = selector;
        key->selector_context = context;
    }
    return status;
}

/* ---- keys of fields ---- */

/* A field that a key is made of: where it lies in the row, and where its null bit does. */
struct part {
    const fl_field *field;
    const char *name;
    uint32_t offset; /* in the row */
    uint32_t null_count;
    struct fl__null_place nulls[FL__KEY_DEPTH];
};

/* Field by index, the fl_nulls member not counted. */
static const fl_field *field_at(const fl_type *row, int index)
{
    for (uint32_t i = 0; i < row->field_count; i++)
        if (fl_field_kind(fl__field_at(row, i)) != FL_KIND_NULLS && index-- == 0)
            return fl__field_at(row, i);
    return NULL;
}

static unsigned field_total(const fl_type *row)
{
    return row->field_count - (fl__type_nulls(row) != NULL);
}

/* Notes where it stands that the field at part->offset, or a nested row on the way to it, is null. */
static fl_status find_null_bits(struct part *part, const fl_type *row, fl_error *error)
{
    const char *name = part->name;
    uint32_t base = 0;
    for (;;) {
        const fl_field *nulls = fl__type_nulls(row), *on_the_way = NULL;
        uint32_t bit = 0;
        for (uint32_t i = 0; i < row->field_count; i++) {
            const fl_field *f = fl__field_at(row, i);
            if (f == nulls)
                continue;
            if (part->offset >= base + f->offset && part->offset < base + f->offset + f->size) {
                on_the_way = f;
                break;
            }
            bit++;
        }
        if (nulls && part->null_count == FL__KEY_DEPTH)
            return fl__error_set(error, FL_ERROR_INVALID,
                "field %s cannot be a key: it lies in more than %d nullable rows; key by a selector function", name,
                FL__KEY_DEPTH - 1);
        if (nulls)
            part->nulls[part->null_count++] = (struct fl__null_place){ base + nulls->offset, bit };
        if (!on_the_way || on_the_way == part->field)
            return FL_OK;
        base += on_the_way->offset;
        row = fl__shape_of_field(on_the_way).type;
    }
}

static fl_status find_part(
    struct part *part, fl__arena *arena, const fl_type *row, const char *name, int index, fl_error *error)
{
    memset(part, 0, sizeof *part);
    if (row->kind != FL_KIND_ROW)
        return fl__error_set(error, FL_ERROR_INVALID,
            "%s has no fields to key by; key by the whole value or a selector function", row->name);
    if (name) {
        part->field = fl_type_field(row, name, &part->offset);
        if (!part->field)
            return fl__error_set(error, FL_ERROR_INVALID, "%s has no field \"%s\"; its fields are %s", row->name, name,
                fl__type_field_names(arena, row));
    } else {
        part->field = field_at(row, index);
        if (!part->field)
            return fl__error_set(error, FL_ERROR_INVALID, "%s has no field %d; its %u fields are %s, counted from 0",
                row->name, index, field_total(row), fl__type_field_names(arena, row));
        part->offset = part->field->offset;
    }
    part->name = name ? name : part->field->name;
    fl__shape shape = fl__shape_of_field(part->field);
    if (shape.kind == FL_KIND_ARRAY || shape.kind == FL_KIND_MAP ||
        (shape.kind == FL_KIND_ROW && !fl__type_is_key(shape.type)))
        return fl__error_set(error, FL_ERROR_INVALID,
            "field %s of %s cannot be a key: it holds arrays or maps; key by a selector function", part->name,
            row->name);
    return find_null_bits(part, row, error);
}

/* The type of one field by itself. */
static const fl_type *type_of_field(fl__arena *arena, const fl_field *field)
{
    fl__shape shape = fl__shape_of_field(field);
    if (shape.kind == FL_KIND_ROW)
        return shape.type;
    if (shape.kind != FL_KIND_RAW)
        return field->type;
    fl_type *type = fl__arena_alloc(arena, sizeof *type);
    *type = (fl_type){ .kind = FL_KIND_RAW, .size = field->size, .align = 1, .name = "raw" };
    return type;
}

static uint32_t align_up(uint32_t n, uint32_t align)
{
    return (n + align - 1) & ~(align - 1);
}

/* The tuple of the parts, laid out as a C compiler would; null bits, when there are any, come last, so that the key
 * starts as the user's struct of the same fields. */
static const fl_type *tuple_type(fl__arena *arena, const struct part *parts, size_t count, bool nullable)
{
    fl_type *tuple = fl__arena_alloc(arena, sizeof *tuple);
    fl_field *fields = fl__arena_alloc(arena, (count + 1) * sizeof *fields);
    uint32_t offset = 0, align = 1;
    for (size_t i = 0; i < count; i++) {
        fields[i] = *parts[i].field;
        fields[i].name = fl__arena_strdup(arena, parts[i].name);
        uint32_t field_align = type_of_field(arena, parts[i].field)->align;
        offset = align_up(offset, field_align);
        fields[i].offset = offset;
        offset += fields[i].size;
        align = field_align > align ? field_align : align;
    }
    if (nullable) {
        align = align > 8 ? align : 8;
        offset = align_up(offset, 8);
        fields[count] = (fl_field){ .name = "nulls", .offset = offset, .size = 8, .type = &fl__type_of_fl_nulls };
        offset += 8;
    }
    *tuple = (fl_type){
        .kind = FL_KIND_ROW,
        .size = align_up(offset, align),
        .align = align,
        .field_count = (uint32_t)count + nullable,
        .name = "key",
        .fields = fields,
    };
    return tuple;
}

/* Do the parts lie in the row as they do in the tuple? */
static bool lies_in_place(const fl_type *tuple, const fl_type *row, const struct part *parts, size_t count)
{
    uint32_t start = parts[0].offset;
    for (size_t i = 0; i < count; i++)
        if (parts[i].offset - start != tuple->fields[i].offset || parts[i].offset < start)
            return false;
    return start % tuple->align == 0 && start + tuple->size <= row->size;
}

fl_status fl__key_init_fields(fl__key *key, fl__arena *arena, const fl_type *row_type, const char *const *names,
    const int *indexes, size_t count, fl_error *error)
{
    struct part parts[PARTS_MAX];
    if (count == 0 || count > PARTS_MAX)
        return fl__error_set(
            error, FL_ERROR_INVALID, "a key is made of 1 to %d fields, not %zu", (int)PARTS_MAX, count);
    bool nullable = false;
    for (size_t i = 0; i < count; i++) {
        fl_status status =
            find_part(&parts[i], arena, row_type, names ? names[i] : NULL, names ? 0 : indexes[i], error);
        if (status != FL_OK)
            return status;
        nullable |= parts[i].null_count > 0;
    }
    if (count == 1 && !nullable) {
        fl_status status = init(key, type_of_field(arena, parts[0].field), error);
        key->in_place = true;
        key->offset = parts[0].offset;
        return status;
    }
    const fl_type *tuple = tuple_type(arena, parts, count, nullable);
    fl_status status = init(key, tuple, error);
    if (status != FL_OK)
        return status;
    if (!nullable && lies_in_place(tuple, row_type, parts, count)) {
        key->in_place = true;
        key->offset = parts[0].offset;
        return FL_OK;
    }
    key->part_count = (uint32_t)count; /* the null bits are no part */
    for (size_t i = 0; i < count; i++) {
        struct fl__key_part *part = &key->parts[i];
        part->from = parts[i].offset;
        part->to = tuple->fields[i].offset;
        part->size = tuple->fields[i].size;
        part->null_count = parts[i].null_count;
        memcpy(part->nulls, parts[i].nulls, sizeof part->nulls);
    }
    key->nullable = nullable;
    key->nulls_to = nullable ? tuple->fields[count].offset : 0;
    return FL_OK;
}

void fl__key_extract_nulls(const fl__key *key, const void *row, void *scratch)
{
    uint64_t nulls = 0;
    for (uint32_t i = 0; i < key->part_count; i++) {
        const struct fl__key_part *part = &key->parts[i];
        bool is_null = false;
        for (uint32_t n = 0; n < part->null_count && !is_null; n++) {
            uint64_t bits;
            memcpy(&bits, (const char *)row + part->nulls[n].from, sizeof bits);
            is_null = (bits >> part->nulls[n].bit) & 1;
        }
        if (is_null) {
            nulls |= UINT64_C(1) << i;
            memset((char *)scratch + part->to, 0, part->size);
        }
    }
    memcpy((char *)scratch + key->nulls_to, &nulls, sizeof nulls);
}

/* ---- hashing ---- */

void fl__key_hash_rows(
    const fl__key *key, const char *rows, size_t row_size, uint32_t count, uint64_t *hashes, void *scratch)
{
    if (!key->in_place) {
        for (uint32_t i = 0; i < count; i++, rows += row_size)
            hashes[i] = fl__key_hash(key, fl__key_of(key, rows, scratch));
        return;
    }
    rows += key->offset;
    switch (key->class) {
    case FL__KEY_U64:
        for (uint32_t i = 0; i < count; i++, rows += row_size)
            hashes[i] = fl__key_hash_u64(rows);
        break;
    case FL__KEY_U32:
        for (uint32_t i = 0; i < count; i++, rows += row_size)
            hashes[i] = fl__key_hash_u32(rows);
        break;
    case FL__KEY_STRING:
        for (uint32_t i = 0; i < count; i++, rows += row_size)
            hashes[i] = fl__key_hash_string(rows);
        break;
    case FL__KEY_GENERIC:
        for (uint32_t i = 0; i < count; i++, rows += row_size)
            hashes[i] = fl__key_hash_generic(key, rows);
        break;
    }
}

uint32_t fl__default_max_parallelism(uint32_t parallelism)
{
    uint64_t wanted = (uint64_t)parallelism + parallelism / 2, power = 128;
    while (power < wanted && power < FL__MAX_PARALLELISM)
        power *= 2;
    return (uint32_t)power;
}
