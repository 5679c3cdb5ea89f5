/* Types as bytes:
 *
 *   version LEB128 | length of the body LEB128 | body | xxh3 of the body, 8 bytes
 *
 * The body is one type: kind u8, then by kind
 *   row    name, count of fields LEB128, each: name, type     (name: length LEB128, bytes)
 *   array  type of the elements
 *   map    type of the keys, type of the values
 *   raw    size LEB128, align u8
 *   nulls  nothing; only as a field of a row, of which it says that fields are nullable
 *
 * That is what values mean, not how they lie in memory: sizes and offsets follow from the rules of C. */
#include "data/codec.h"

#include "data/key.h"
#include "data/type.h"

enum {
    DEPTH_MAX = 32,
    FIELDS_MAX = 64,
    NAME_BYTES_MAX = 4096,
    TYPE_BYTES_MAX = 16 * 1024 * 1024, /* a row's C struct */
};

/* ---- encode ---- */

static void encode_shape(fl__shape shape, uint32_t align, fl__buffer *out);

static void encode_type(const fl_type *type, fl__buffer *out)
{
    encode_shape(fl__shape_of(type), type->align, out);
}

static void encode_name(const char *name, fl__buffer *out)
{
    size_t length = name ? strlen(name) : 0;
    fl__buffer_varint(out, length);
    fl__buffer_append(out, name, length);
}

/* What alignment a raw member has is not known; this one puts it at the same offset and leaves the row's size as it is. */
static uint32_t raw_align(const fl_type *row, const fl_field *field)
{
    uint32_t align = row->align;
    while (align > 1 && (field->offset % align != 0 || field->size % align != 0))
        align /= 2;
    return align;
}

static void encode_row(const fl_type *row, fl__buffer *out)
{
    encode_name(row->name, out);
    fl__buffer_varint(out, row->field_count);
    for (uint32_t i = 0; i < row->field_count; i++) {
        encode_name(row->fields[i].name, out);
        encode_shape(fl__shape_of_field(&row->fields[i]), raw_align(row, &row->fields[i]), out);
    }
}

static void encode_shape(fl__shape shape, uint32_t align, fl__buffer *out)
{
    unsigned char kind = (unsigned char)shape.kind, align_byte = (unsigned char)align;
    fl__buffer_append(out, &kind, 1);
    switch (shape.kind) {
    case FL_KIND_ROW: encode_row(shape.type, out); break;
    case FL_KIND_ARRAY: encode_type(shape.type, out); break;
    case FL_KIND_MAP:
        encode_type(shape.key, out);
        encode_type(shape.type, out);
        break;
    case FL_KIND_RAW:
        fl__buffer_varint(out, shape.size);
        fl__buffer_append(out, &align_byte, 1);
        break;
    default: break;
    }
}

void fl__schema_encode(const fl_type *type, fl__buffer *out)
{
    fl__buffer body;
    fl__buffer_init(&body, out->memory);
    encode_type(type, &body);
    uint64_t checksum = fl__hash_bytes(body.data, body.size);
    fl__buffer_varint(out, FL__CODEC_VERSION);
    fl__buffer_varint(out, body.size);
    fl__buffer_append(out, body.data, body.size);
    fl__buffer_append(out, &checksum, sizeof checksum);
    fl__buffer_release(&body);
}

/* ---- decode ---- */

struct decoding {
    fl__reader *in;
    fl__arena *arena;
    fl_error *error;
};

static const fl_type *decode_type(struct decoding *d, unsigned depth, bool in_row);

/* Always NULL. */
static void *corrupt(struct decoding *d, const char *what)
{
    fl__error_set(d->error, FL_ERROR_CORRUPT, "damaged schema at byte %zu of %zu: %s",
        (size_t)(d->in->cursor - d->in->start), (size_t)(d->in->end - d->in->start), what);
    return NULL;
}

static const char *decode_name(struct decoding *d)
{
    uint64_t length;
    if (!fl__reader_varint(d->in, &length) || length > NAME_BYTES_MAX)
        return corrupt(d, "a name's length is no number or too large");
    const char *bytes = fl__reader_bytes(d->in, length);
    if (!bytes)
        return corrupt(d, "a name ends early");
    if (memchr(bytes, 0, length))
        return corrupt(d, "a name holds a zero byte");
    char *name = fl__arena_alloc(d->arena, length + 1);
    memcpy(name, bytes, length);
    return name;
}

static const fl_type *scalar_type(unsigned kind)
{
#define SCALAR(T, K) [FL_KIND_##K] = &fl__type_of_##T,
    static const fl_type *const types[FL_KIND_COUNT] = { FL__SCALARS(SCALAR)[FL_KIND_NULLS] = &fl__type_of_fl_nulls };
    return kind < FL_KIND_COUNT ? types[kind] : NULL;
}

static uint64_t align_up(uint64_t n, uint64_t align)
{
    return (n + align - 1) & ~(align - 1);
}

static const fl_type *decode_row(struct decoding *d, unsigned depth)
{
    uint64_t count;
    const char *name = decode_name(d);
    if (!name)
        return NULL;
    if (!fl__reader_varint(d->in, &count) || count == 0 || count > FIELDS_MAX)
        return corrupt(d, "a row's count of fields is none of 1 to 64");
    fl_field *fields = fl__arena_alloc(d->arena, count * sizeof *fields);
    uint64_t offset = 0, align = 1;
    for (uint64_t i = 0; i < count; i++) {
        fl_field *f = &fields[i];
        f->name = decode_name(d);
        f->type = f->name ? decode_type(d, depth, true) : NULL;
        if (!f->type)
            return NULL;
        offset = align_up(offset, f->type->align);
        f->offset = (uint32_t)offset;
        f->size = f->type->size;
        f->raw = f->type->kind == FL_KIND_RAW;
        f->row = f->type->kind == FL_KIND_ROW ? f->type : NULL;
        offset += f->size;
        align = f->type->align > align ? f->type->align : align;
        if (offset > TYPE_BYTES_MAX)
            return corrupt(d, "a row is larger than 16 MiB");
    }
    fl_type *type = fl__arena_alloc(d->arena, sizeof *type);
    *type = (fl_type){ .kind = FL_KIND_ROW,
        .size = (uint32_t)align_up(offset, align),
        .align = (uint32_t)align,
        .field_count = (uint32_t)count,
        .name = name,
        .fields = fields };
    return type;
}

/* An array's or a map's type: its parts are its fields. */
static const fl_type *decode_container(struct decoding *d, fl_kind kind, unsigned depth)
{
    bool is_map = kind == FL_KIND_MAP;
    uint32_t count = is_map ? 2 : 1;
    fl_field *fields = fl__arena_alloc(d->arena, count * sizeof *fields);
    for (uint32_t i = 0; i < count; i++) {
        fields[i].type = decode_type(d, depth, false);
        if (!fields[i].type)
            return NULL;
        fields[i].name = is_map && i == 0 ? "key" : is_map ? "value" : "element";
        fields[i].size = fields[i].type->size;
    }
    fl_type *type = fl__arena_alloc(d->arena, sizeof *type);
    *type = is_map ? fl__type_of_fl_map_value : fl__type_of_fl_array;
    type->field_count = count;
    type->fields = fields;
    return type;
}

static const fl_type *decode_raw(struct decoding *d)
{
    uint64_t size;
    if (!fl__reader_varint(d->in, &size) || size == 0 || size > TYPE_BYTES_MAX)
        return corrupt(d, "the size of raw bytes is none");
    const unsigned char *align = fl__reader_bytes(d->in, 1);
    if (!align || *align == 0 || *align > 64 || (*align & (*align - 1)) != 0 || size % *align != 0)
        return corrupt(d, "the alignment of raw bytes is none");
    fl_type *type = fl__arena_alloc(d->arena, sizeof *type);
    *type = fl__type_of_raw;
    type->size = (uint32_t)size;
    type->align = *align;
    return type;
}

static const fl_type *decode_type(struct decoding *d, unsigned depth, bool in_row)
{
    const unsigned char *kind = fl__reader_bytes(d->in, 1);
    if (!kind)
        return corrupt(d, "it ends early");
    if (depth == 0)
        return corrupt(d, "types are nested too deep");
    switch (*kind) {
    case FL_KIND_ROW: return decode_row(d, depth - 1);
    case FL_KIND_ARRAY:
    case FL_KIND_MAP: return decode_container(d, (fl_kind)*kind, depth - 1);
    case FL_KIND_RAW: return decode_raw(d);
    default: break;
    }
    const fl_type *type = *kind == FL_KIND_NULLS && !in_row ? NULL : scalar_type(*kind);
    return type ? type : corrupt(d, "a kind that this version does not know");
}

/* Reads what stands around the body; *body is then what decode_type reads. */
static bool open_body(struct decoding *d, fl__reader *in, fl__reader *body)
{
    uint64_t version, length, checksum;
    if (!fl__reader_varint(in, &version))
        return corrupt(d, "its version is no number");
    if (version != FL__CODEC_VERSION) {
        fl__error_set(d->error, FL_ERROR_CORRUPT, "schema of version %llu; this flinc reads version %d",
            (unsigned long long)version, FL__CODEC_VERSION);
        return false;
    }
    if (!fl__reader_varint(in, &length) || length > (size_t)(in->end - in->cursor) ||
        (size_t)(in->end - in->cursor) - length < sizeof checksum)
        return corrupt(d, "it is longer than what is left");
    memcpy(&checksum, in->cursor + length, sizeof checksum);
    if (fl__hash_bytes(in->cursor, length) != checksum)
        return corrupt(d, "its checksum does not hold");
    *body = (fl__reader){ in->start, in->cursor, in->cursor + length };
    in->cursor += length + sizeof checksum;
    return true;
}

fl_status fl__schema_decode(fl__reader *in, fl__arena *arena, const fl_type **type, fl_error *error)
{
    fl_error own = FL_ERROR_INIT;
    struct decoding d = { in, arena, &own };
    fl__reader body;
    *type = NULL;
    if (open_body(&d, in, &body)) {
        d.in = &body;
        *type = decode_type(&d, DEPTH_MAX, false);
        if (*type && body.cursor != body.end)
            *type = corrupt(&d, "bytes are left behind the type");
        if (*type && fl__type_check(*type, &own) != FL_OK) {
            own.status = FL_ERROR_CORRUPT;
            fl__error_context(&own, "damaged schema");
            *type = NULL;
        }
    }
    if (error)
        fl__error_move(error, &own);
    else
        fl__error_release(&own);
    return *type ? FL_OK : FL_ERROR_CORRUPT;
}

/* ---- fingerprint ---- */

static uint64_t fold(uint64_t hash, uint64_t x)
{
    return fl__mix64(hash * UINT64_C(0x9fb21c651e98df25) + x + 1);
}

static uint64_t fold_shape(uint64_t hash, fl__shape shape)
{
    hash = fold(fold(hash, shape.kind), shape.size);
    if (shape.kind == FL_KIND_ROW) {
        hash = fold(hash, shape.type->field_count);
        for (uint32_t i = 0; i < shape.type->field_count; i++) {
            const fl_field *f = fl__field_at(shape.type, i);
            hash = fold(hash, fl__hash_bytes(f->name, strlen(f->name)));
            hash = fold(hash, f->offset);
            hash = fold_shape(hash, fl__shape_of_field(f));
        }
        return hash;
    }
    if (shape.key)
        hash = fold_shape(hash, fl__shape_of(shape.key));
    return shape.type ? fold_shape(hash, fl__shape_of(shape.type)) : hash;
}

uint64_t fl__type_fingerprint(const fl_type *type)
{
    return fold_shape(FL__CODEC_VERSION, fl__shape_of(type));
}
