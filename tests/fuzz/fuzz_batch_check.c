/* A batch that came over a wire, damaged: the first two bytes choose a type and rows, the others say which bytes of the
 * segment become what (offset, value). A batch that passes the check must be safe to move and to read. */
#include <stdlib.h>

#include "data/batch.h"
#include "property/random_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENT = 1024 };

static fl__batch *make_batch(const fl_type *type, rng *r, fl__arena *arena)
{
    fl__layout layout;
    fl__layout_init(&layout, type);
    fl__batch *batch = fl__batch_new(NULL, type, rng_below(r, 8), SEGMENT);
    memset(fl__batch_rows(batch), 0, batch->size - batch->rows_offset);
    for (int i = 0; i < 4; i++) {
        if (!fl__batch_append(batch, &layout, random_value(arena, r, type)))
            break;
        if (batch->columns & FL__COLUMN_KIND)
            fl__batch_kinds(batch)[i] = FL__INSERT;
    }
    return batch;
}

/* Three bytes a change: where (u16), what. Where is spread over header, rows and the end of the heap. */
static void damage(char *segment, size_t segment_size, const uint8_t *changes, size_t size)
{
    for (; size >= 3; size -= 3, changes += 3) {
        size_t where = ((size_t)changes[0] << 8 | changes[1]) % segment_size;
        segment[where] = (char)changes[2];
    }
}

static void use(fl__batch *batch, const fl_type *type)
{
    char text[256];
    for (uint32_t i = 0; i < batch->count; i++) {
        fl_format(type, fl__batch_row(batch, i), text, sizeof text);
        fl_hash(type, fl__batch_row(batch, i));
        if (fl__batch_has(batch, FL__COLUMN_TIMESTAMP))
            text[0] = (char)fl__batch_timestamps(batch)[i];
        if (fl__batch_has(batch, FL__COLUMN_HASH))
            text[0] = (char)fl__batch_hashes(batch)[i];
        if (fl__batch_has(batch, FL__COLUMN_KIND) && fl__batch_kinds(batch)[i] > FL__DELETE)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    rng r = { (uint64_t)data[0] << 8 | data[1] };
    fl__arena arena;
    fl__arena_init(&arena, NULL);
    const fl_type *type = random_row_type(&arena, &r, 2);
    fl__batch *batch = make_batch(type, &r, &arena);
    size_t segment_size = batch->size;
    char *moved = aligned_alloc(64, (segment_size + 63) / 64 * 64);
    memcpy(moved, batch, segment_size);
    fl__batch_free(batch);
    damage(moved, segment_size, data + 2, size - 2);
    ((fl__batch *)moved)->memory = NULL;
    if (fl__batch_check((fl__batch *)moved, type, segment_size)) {
        char *again = aligned_alloc(64, (segment_size + 63) / 64 * 64);
        memcpy(again, moved, segment_size);
        memset(moved, 0xee, segment_size);
        fl__batch_rebase((fl__batch *)again, type);
        use((fl__batch *)again, type);
        if (!fl__batch_check((fl__batch *)again, type, segment_size))
            abort();
        free(again);
    }
    /* the bytes themselves as a segment */
    memset(moved, 0, segment_size);
    memcpy(moved, data + 2, size - 2 < segment_size ? size - 2 : segment_size);
    if (fl__batch_check((fl__batch *)moved, type, segment_size)) {
        fl__batch_rebase((fl__batch *)moved, type);
        use((fl__batch *)moved, type);
    }
    free(moved);
    fl__arena_release(&arena);
    return 0;
}
