/* Type descriptors, as the library's inside sees them: one view for fields and types alike. */
#ifndef FL_DATA_TYPE_H
#define FL_DATA_TYPE_H

#include "base/error.h"
#include "base/memory.h"
#include "flinc/type.h"

/* What a walk over values needs to know of a place: a field, an element, or a whole value. */
typedef struct fl__shape {
    fl_kind kind;
    uint32_t size;
    const fl_type *type; /* ROW: the row's type; ARRAY: the elements'; MAP: the values'; else NULL */
    const fl_type *key;  /* MAP: the keys' */
} fl__shape;

/* The shape of a value of this type. Types of kind ARRAY and MAP carry their elements as fields: {element} and
 * {key, value}; so that arrays of arrays can be said. */
static inline fl__shape fl__shape_of(const fl_type *type)
{
    fl_assert(type); /* an array without .element comes here when nobody called fl__type_check */
    fl__shape shape = { type->kind, type->size, NULL, NULL };
    if (type->kind == FL_KIND_ROW) {
        shape.type = type;
    } else if (type->kind == FL_KIND_ARRAY && type->field_count == 1) {
        shape.type = type->fields[0].type;
    } else if (type->kind == FL_KIND_MAP && type->field_count == 2) {
        shape.key = type->fields[0].type;
        shape.type = type->fields[1].type;
    }
    return shape;
}

static inline fl__shape fl__shape_of_field(const fl_field *field)
{
    fl_assert(field);
    if (field->row)
        return (fl__shape){ FL_KIND_ROW, field->size, field->row, NULL };
    if (field->raw)
        return (fl__shape){ FL_KIND_RAW, field->size, NULL, NULL };
    if (!field->type)
        return (fl__shape){ FL_KIND_NONE, field->size, NULL, NULL };
    fl__shape shape = fl__shape_of(field->type);
    if (field->element)
        shape.type = field->element;
    if (field->key)
        shape.key = field->key;
    return shape;
}

/* Member i of a row. A finished row has fields, which static analysis cannot know. */
static inline const fl_field *fl__field_at(const fl_type *row, uint32_t i)
{
    const fl_field *field = &row->fields[i];
    if (!field)
        __builtin_unreachable();
    return field;
}

/* The fl_nulls member of a row; NULL when no field is nullable. */
static inline const fl_field *fl__type_nulls(const fl_type *row)
{
    fl_assert(row);
    for (uint32_t i = 0; i < row->field_count; i++)
        if (fl_field_kind(fl__field_at(row, i)) == FL_KIND_NULLS)
            return fl__field_at(row, i);
    return NULL;
}

/* The null bits of a row value; 0 when no field is nullable. */
static inline uint64_t fl__row_nulls(const fl_field *nulls, const void *row)
{
    uint64_t bits = 0;
    if (nulls)
        memcpy(&bits, (const char *)row + nulls->offset, sizeof bits);
    return bits;
}

static inline bool fl__bit(const uint64_t *bits, uint32_t i)
{
    return bits && ((bits[i / 64] >> (i % 64)) & 1);
}

/* Are there no pointers in values of this type? */
bool fl__type_is_flat(const fl_type *type);

/* Is the descriptor complete and of a form that flinc can carry? For descriptors that a program made: arrays have
 * elements, maps have hashable keys, members lie inside the struct, at most 64 of them, one fl_nulls, alignment ≤ 8 in
 * elements. FL_ERROR_INVALID names type and member, with the line of its FL_ROW. Cost: O(size of the description). */
fl_status fl__type_check(const fl_type *type, fl_error *error) FL_MUST_USE;

/* Can values be keys: no arrays and maps in them? */
bool fl__type_is_key(const fl_type *type);

/* The field names of a row, "a, b, c", for messages; in arena. */
const char *fl__type_field_names(fl__arena *arena, const fl_type *row);

#endif
