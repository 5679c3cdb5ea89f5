/* A batch: rows of one type in one relocatable memory segment.
 *
 *   | fl__batch | timestamps i64[cap] | hashes u64[cap] | row kinds u8[cap] | rows … →        ← … heap |
 *
 * Columns that the edge does not carry take no room. Rows grow upwards, what has variable length grows downwards from
 * the end; the batch is full when they meet or when capacity rows are in. For a type of fixed size capacity fills the
 * segment, so that only the count matters.
 *
 * A batch passes by pointer inside a process. Across processes the bytes [0, used front) and [heap, size) are sent as
 * they lie and fl__batch_rebase moves the pointers by (new address - base).
 *
 * Invariants: B1 count ≤ capacity; B2 rows_end ≤ heap_start; B3 every pointer inside a row points into this batch's
 * heap; B4 a batch in a channel or shared by several readers is not changed. */
#ifndef FL_DATA_BATCH_H
#define FL_DATA_BATCH_H

#include "base/memory.h"
#include "flinc/type.h"

enum {
    FL__COLUMN_TIMESTAMP = 1,
    FL__COLUMN_HASH = 2,
    FL__COLUMN_KIND = 4,
};

/* Row kinds of a changelog, in Flink's order (RowKind). */
enum { FL__INSERT = 0, FL__UPDATE_BEFORE = 1, FL__UPDATE_AFTER = 2, FL__DELETE = 3 };

typedef struct fl__batch {
    uint32_t size;     /* of the whole segment, this header included; bytes */
    uint32_t row_size; /* bytes */
    uint32_t count;    /* rows */
    uint32_t capacity; /* rows */
    uint32_t columns;  /* FL__COLUMN_* */
    uint32_t timestamps_offset, hashes_offset, kinds_offset, rows_offset; /* from the header's start */
    uint32_t heap_start;                                                  /* heap is [heap_start, size) */
    uint64_t base;                                                        /* address at which the pointers hold */
    /* local to the process, meaningless on the wire */
    struct fl__batch *next; /* in a free list or overflow queue; owner's */
    void *owner;            /* where it goes back to; NULL: fl__batch_free */
    fl__memory *memory;
} fl__batch;

/* Offsets are 32 bits; what is larger than this goes nowhere. */
#define FL__BATCH_BYTES_MAX ((size_t)0x7fffffff)

/* Allocates a batch of at least segment_size bytes (larger when fewer than two rows would fit). */
fl__batch *fl__batch_new(fl__memory *memory, const fl_type *type, uint32_t columns, uint32_t segment_size);
/* The same with room for heap_bytes besides one row: for a record larger than a segment. NULL when that would be more than
 * FL__BATCH_BYTES_MAX. */
fl__batch *fl__batch_new_large(fl__memory *memory, const fl_type *type, uint32_t columns, size_t heap_bytes);
void fl__batch_free(fl__batch *batch);

static inline void fl__batch_clear(fl__batch *batch)
{
    batch->count = 0;
    batch->heap_start = batch->size;
}
static inline char *fl__batch_rows(const fl__batch *batch)
{
    return (char *)(uintptr_t)batch + batch->rows_offset;
}
static inline char *fl__batch_row(const fl__batch *batch, uint32_t i)
{
    return fl__batch_rows(batch) + (size_t)i * batch->row_size;
}
/* The columns; call only for those in batch->columns. */
static inline int64_t *fl__batch_timestamps(const fl__batch *batch)
{
    return (int64_t *)((char *)(uintptr_t)batch + batch->timestamps_offset);
}
static inline uint64_t *fl__batch_hashes(const fl__batch *batch)
{
    return (uint64_t *)((char *)(uintptr_t)batch + batch->hashes_offset);
}
static inline uint8_t *fl__batch_kinds(const fl__batch *batch)
{
    return (uint8_t *)(uintptr_t)batch + batch->kinds_offset;
}
static inline bool fl__batch_has(const fl__batch *batch, uint32_t column)
{
    return (batch->columns & column) != 0;
}
/* Sanitizer builds overwrite the rows and heap of a batch that is done with, so that a user function that kept a pointer
 * into it reads garbage at once and not only when the batch is filled again. */
static inline void fl__batch_spoil(fl__batch *batch)
{
#if defined(__SANITIZE_ADDRESS__)
    memset((char *)batch + batch->rows_offset, 0xa5, batch->size - batch->rows_offset);
#else
    (void)batch;
#endif
}
/* Bytes free between rows and heap. */
static inline size_t fl__batch_room(const fl__batch *batch)
{
    return batch->heap_start - (batch->rows_offset + (size_t)batch->count * batch->row_size);
}

/* Moves all pointers of the rows from batch->base to the batch's present address. type is the rows'. */
void fl__batch_rebase(fl__batch *batch, const fl_type *type);
/* Is every offset, count and pointer inside the segment? For batches that came over a wire; false when damaged. */
bool fl__batch_check(const fl__batch *batch, const fl_type *type, size_t size);

/* What copying a row of a type takes, worked out once. A type without pointers (strings, bytes, arrays, maps, also in
 * nested rows) has is_flat. Only strings and bytes: string_offsets lists all of them; nullable_strings when some of them
 * have null bits. Anything else goes the general way. */
typedef struct fl__layout {
    const fl_type *type;
    uint32_t row_size;
    bool is_flat;
    bool only_strings;     /* not flat, and string_offsets says it all */
    bool nullable_strings; /* not flat, not only_strings; the lists say it all, null bits included */
    uint32_t string_count;
    uint32_t string_offsets[32];
    uint32_t null_offsets[32]; /* of the 64 null bits that hold the string's; FL__NEVER_NULL */
    uint8_t null_bits[32];
} fl__layout;
#define FL__NEVER_NULL UINT32_MAX
void fl__layout_init(fl__layout *layout, const fl_type *type);
/* Are all strings of a row of an only_strings layout short, so that copying its bytes copies it? */
static inline bool fl__layout_all_short(const fl__layout *layout, const char *row)
{
    for (uint32_t i = 0; i < layout->string_count; i++) {
        uint32_t length;
        memcpy(&length, row + layout->string_offsets[i], sizeof length);
        if (length > FL_STRING_INLINE)
            return false;
    }
    return true;
}

/* Bytes of heap that a copy of the value needs (0 for a flat one, or one whose strings are short), 8-aligned pieces. */
size_t fl__value_heap_bytes(const fl__layout *layout, const void *value);
/* Copies what *value points to into memory at *heap (fl__value_heap_bytes of it), moves *heap up behind it, and makes
 * the pointers in *value point there. *value is already the copy. */
void fl__value_adopt(const fl__layout *layout, void *value, char **heap);

/* Appends a copy of row; false when it does not fit (nothing changed). Columns are the caller's to set, at count-1. */
bool fl__batch_append(fl__batch *batch, const fl__layout *layout, const void *row);

/* State values own what they point to, each piece by itself in a heap: adopt copies all pieces of *value into heap,
 * drop frees them. */
void fl__value_own(const fl__layout *layout, void *value, fl__heap *heap);
void fl__value_drop(const fl__layout *layout, void *value, fl__heap *heap);
/* After a user function changed *value in place (old: its bytes before): pieces that are not the old ones are copied
 * into heap, old pieces that are no longer there are freed. A piece that points into an old piece is copied first. */
void fl__value_settle(const fl__layout *layout, void *value, const void *old, fl__heap *heap);

#endif
