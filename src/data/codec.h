/* The binary codec: a versioned, self-checked byte form of values, for files and for the wire of foreign processes.
 * Between operators nothing is encoded.
 *
 * A schema (fl__schema_encode) describes a type by itself: kinds, names, nesting. A value is encoded field by field in
 * schema order: fixed-size kinds little-endian, lengths as LEB128, strings as length + bytes, null bits first. */
#ifndef FL_DATA_CODEC_H
#define FL_DATA_CODEC_H

#include "base/error.h"
#include "data/batch.h"

#define FL__CODEC_VERSION 1

/* Growing byte buffer. */
typedef struct fl__buffer {
    char *data;
    size_t size, capacity;
    fl__memory *memory;
} fl__buffer;
void fl__buffer_init(fl__buffer *buffer, fl__memory *memory);
void fl__buffer_release(fl__buffer *buffer);
void *fl__buffer_extend(fl__buffer *buffer, size_t bytes); /* where to write them */
void fl__buffer_append(fl__buffer *buffer, const void *data, size_t bytes);
void fl__buffer_varint(fl__buffer *buffer, uint64_t value); /* LEB128 */

/* Bytes still to be read; every read is bounds-checked. */
typedef struct fl__reader {
    const char *start, *cursor, *end;
} fl__reader;
bool fl__reader_varint(fl__reader *reader, uint64_t *value);
const void *fl__reader_bytes(fl__reader *reader, size_t bytes); /* NULL: not that many left */

/* Appends the value. */
void fl__encode(const fl_type *type, const void *value, fl__buffer *out);
/* Reads one value into *value (type->size bytes); variable-length pieces point into arena. FL_ERROR_CORRUPT with the
 * offset when the bytes are damaged or end early. */
fl_status fl__decode(const fl_type *type, fl__reader *in, fl__arena *arena, void *value, fl_error *error) FL_MUST_USE;

/* The schema of a type, with codec version and a checksum; decode makes a type with the same C layout rules in arena
 * (offsets as a C compiler would lay the members out in order). */
void fl__schema_encode(const fl_type *type, fl__buffer *out);
fl_status fl__schema_decode(fl__reader *in, fl__arena *arena, const fl_type **type, fl_error *error) FL_MUST_USE;
/* 64-bit fingerprint of the layout (kinds, offsets, sizes, names): equal types, equal fingerprints. */
uint64_t fl__type_fingerprint(const fl_type *type);

#endif
