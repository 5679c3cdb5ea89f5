#include "data/type.h"

#define DEFINE_SCALAR(T, K)                                                                                            \
    const fl_type fl__type_of_##T = { .kind = FL_KIND_##K, .size = sizeof(T), .align = _Alignof(T), .name = #T };
FL__SCALARS(DEFINE_SCALAR)

const fl_type fl__type_of_fl_array = {
    .kind = FL_KIND_ARRAY, .size = sizeof(fl_array), .align = _Alignof(fl_array), .name = "fl_array"
};
const fl_type fl__type_of_fl_map_value = {
    .kind = FL_KIND_MAP, .size = sizeof(fl_map_value), .align = _Alignof(fl_map_value), .name = "fl_map_value"
};
const fl_type fl__type_of_fl_nulls = {
    .kind = FL_KIND_NULLS, .size = sizeof(fl_nulls), .align = _Alignof(fl_nulls), .name = "fl_nulls"
};
const fl_type fl__type_of_raw = { .kind = FL_KIND_RAW, .size = 0, .align = 1, .name = "raw" };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "batches and codecs are little-endian as they lie in memory");
_Static_assert(sizeof(bool) == 1 && sizeof(float) == 4 && sizeof(double) == 8, "C types as the codec writes them");

static bool shape_equal(fl__shape a, fl__shape b);

static bool type_equal_or_missing(const fl_type *a, const fl_type *b)
{
    return a && b ? fl_type_equal(a, b) : a == b;
}

static bool shape_equal(fl__shape a, fl__shape b)
{
    return a.kind == b.kind && a.size == b.size && type_equal_or_missing(a.type, b.type) &&
           type_equal_or_missing(a.key, b.key);
}

bool fl_type_equal(const fl_type *a, const fl_type *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->size != b->size)
        return false;
    if (a->kind != FL_KIND_ROW)
        return a->field_count == b->field_count &&
               (a->field_count == 0 || shape_equal(fl__shape_of(a), fl__shape_of(b)));
    if (a->field_count != b->field_count)
        return false;
    for (uint32_t i = 0; i < a->field_count; i++) {
        const fl_field *f = fl__field_at(a, i), *g = fl__field_at(b, i);
        if (f->offset != g->offset || strcmp(f->name, g->name) != 0 ||
            !shape_equal(fl__shape_of_field(f), fl__shape_of_field(g)))
            return false;
    }
    return true;
}

const fl_field *fl_type_field(const fl_type *type, const char *name, uint32_t *offset)
{
    uint32_t sum = 0;
    for (;;) {
        if (type->kind != FL_KIND_ROW)
            return NULL;
        const char *dot = strchr(name, '.');
        size_t length = dot ? (size_t)(dot - name) : strlen(name);
        const fl_field *found = NULL;
        for (uint32_t i = 0; i < type->field_count && !found; i++) {
            const fl_field *f = fl__field_at(type, i);
            if (strncmp(f->name, name, length) == 0 && f->name[length] == 0 && fl_field_kind(f) != FL_KIND_NULLS)
                found = f;
        }
        if (!found)
            return NULL;
        sum += found->offset;
        if (!dot) {
            if (offset)
                *offset = sum;
            return found;
        }
        fl__shape shape = fl__shape_of_field(found);
        if (shape.kind != FL_KIND_ROW)
            return NULL;
        type = shape.type;
        name = dot + 1;
    }
}

static bool shape_is_flat(fl__shape shape)
{
    switch (shape.kind) {
    case FL_KIND_STRING:
    case FL_KIND_BYTES:
    case FL_KIND_ARRAY:
    case FL_KIND_MAP: return false;
    case FL_KIND_ROW: break;
    default: return true;
    }
    for (uint32_t i = 0; i < shape.type->field_count; i++)
        if (!shape_is_flat(fl__shape_of_field(fl__field_at(shape.type, i))))
            return false;
    return true;
}

bool fl__type_is_flat(const fl_type *type)
{
    return shape_is_flat(fl__shape_of(type));
}

static bool shape_is_key(fl__shape shape)
{
    if (shape.kind != FL_KIND_ROW)
        return shape.kind != FL_KIND_ARRAY && shape.kind != FL_KIND_MAP && shape.kind != FL_KIND_NONE;
    for (uint32_t i = 0; i < shape.type->field_count; i++)
        if (!shape_is_key(fl__shape_of_field(fl__field_at(shape.type, i))))
            return false;
    return true;
}

bool fl__type_is_key(const fl_type *type)
{
    return shape_is_key(fl__shape_of(type));
}

const char *fl__type_field_names(fl__arena *arena, const fl_type *row)
{
    char *names = NULL;
    for (uint32_t i = 0; i < row->field_count; i++) {
        if (fl_field_kind(fl__field_at(row, i)) == FL_KIND_NULLS)
            continue;
        names = names ? fl__arena_printf(arena, "%s, %s", names, row->fields[i].name)
                      : fl__arena_strdup(arena, row->fields[i].name);
    }
    return names ? names : "none";
}

/* ---- check ---- */

enum { DEPTH_MAX = 32 };

static fl_status check_type(const fl_type *type, bool is_element, unsigned depth, fl_error *error);

static fl_status check_shape(fl__shape shape, unsigned depth, fl_error *error)
{
    switch (shape.kind) {
    case FL_KIND_ARRAY:
        if (!shape.type)
            return fl__error_set(error, FL_ERROR_INVALID,
                "an fl_array needs its element type: list the member as (name, .element = FL_TYPE(…))");
        return check_type(shape.type, true, depth, error);
    case FL_KIND_MAP:
        if (!shape.type || !shape.key)
            return fl__error_set(error, FL_ERROR_INVALID,
                "an fl_map_value needs its types: list the member as (name, .key = FL_TYPE(…), .element = FL_TYPE(…))");
        if (!fl__type_is_key(shape.key))
            return fl__error_set(error, FL_ERROR_INVALID, "a map's key must not hold arrays or maps");
        if (check_type(shape.key, true, depth, error) != FL_OK)
            return FL_ERROR_INVALID;
        return check_type(shape.type, true, depth, error);
    case FL_KIND_ROW: return check_type(shape.type, false, depth, error);
    case FL_KIND_RAW:
        if (shape.size == 0)
            return fl__error_set(error, FL_ERROR_INVALID, "raw bytes need a size");
        return FL_OK;
    default: return FL_OK;
    }
}

static fl_status check_field(const fl_type *row, const fl_field *field, unsigned depth, fl_error *error)
{
    fl__shape shape = fl__shape_of_field(field);
    fl_status status = FL_OK;
    if (!field->name || !*field->name)
        status = fl__error_set(error, FL_ERROR_INVALID, "a member has no name");
    else if ((uint64_t)field->offset + field->size > row->size)
        status = fl__error_set(error, FL_ERROR_INVALID, "lies outside of the struct of %u bytes", row->size);
    else if (shape.kind <= FL_KIND_NONE || shape.kind >= FL_KIND_COUNT)
        status = fl__error_set(error, FL_ERROR_INVALID,
            "its C type is none that flinc knows: annotate the member with .row = FL_TYPE(…) or .raw = true");
    else if (shape.kind == FL_KIND_ROW ? shape.type->kind != FL_KIND_ROW || shape.type->size != field->size
                                       : shape.kind != FL_KIND_RAW && shape.size != field->size)
        status = fl__error_set(error, FL_ERROR_INVALID, "has %u bytes, its type another size", field->size);
    else
        status = check_shape(shape, depth, error);
    if (status != FL_OK)
        fl__error_context(error, "field %s of %s", field->name ? field->name : "?", row->name ? row->name : "a row");
    return status;
}

static fl_status check_type(const fl_type *type, bool is_element, unsigned depth, fl_error *error)
{
    if (depth == 0)
        return fl__error_set(error, FL_ERROR_INVALID, "types are nested more than %d levels deep", DEPTH_MAX);
    if (type->kind <= FL_KIND_NONE || type->kind >= FL_KIND_NULLS)
        return fl__error_set(error, FL_ERROR_INVALID, "%s is no type of a value", type->name ? type->name : "this");
    if (type->align == 0 || type->align > (is_element ? 8 : 64) || (type->align & (type->align - 1)) != 0)
        return fl__error_set(error, FL_ERROR_INVALID, "%s is aligned to %u bytes; %s",
            type->name ? type->name : "a type", type->align,
            is_element ? "elements of arrays and maps at most to 8" : "at most 64 work");
    if (type->kind != FL_KIND_ROW)
        return check_shape(fl__shape_of(type), depth - 1, error);
    if (type->field_count == 0 || (type->field_count == 1 && fl__type_nulls(type)))
        return fl__error_set(error, FL_ERROR_INVALID, "%s lists no members", type->name);
    if (type->field_count > 64)
        return fl__error_set(
            error, FL_ERROR_INVALID, "%s lists %u members; at most 64 work", type->name, type->field_count);
    unsigned nulls = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const fl_field *f = fl__field_at(type, i);
        if (check_field(type, f, depth - 1, error) != FL_OK)
            return FL_ERROR_INVALID;
        nulls += fl_field_kind(f) == FL_KIND_NULLS;
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(type->fields[j].name, f->name) == 0)
                return fl__error_set(error, FL_ERROR_INVALID, "%s lists member %s twice", type->name, f->name);
    }
    if (nulls > 1)
        return fl__error_set(
            error, FL_ERROR_INVALID, "%s has %u members of type fl_nulls; one is enough", type->name, nulls);
    return FL_OK;
}

fl_status fl__type_check(const fl_type *type, fl_error *error)
{
    fl_error own = FL_ERROR_INIT;
    fl_status status = check_type(type, false, DEPTH_MAX, &own);
    own.where = type->where;
    if (status != FL_OK && error)
        fl__error_move(error, &own);
    else
        fl__error_release(&own);
    return status;
}
