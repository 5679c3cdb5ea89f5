/* Keyed state and timers as blocks of a snapshot, and back. What is written is logical: key and named states, each with
 * its schema, so that another layout, parallelism or program version can read it.
 *
 *   SCHEMA   key schema | slot bits varint | states varint | for each: name, kind varint, schema, map: schema of keys
 *   PAGE     table_snapshot.h; an entry: key | bits of the states that have content, varint | their contents
 *            value, reducing, aggregating: the value; list: count varint, elements; map: count varint, (key, value)…
 *   TIMERS   domain varint | count varint | for each: time - the last one's (zigzag varint), reference varint
 *
 * Timers name entries by reference, as they do in memory: writing them needs no look at the keys, and reading needs
 * only a map from references of then to those of now. */
#ifndef FL_STATE_KEYED_SNAPSHOT_H
#define FL_STATE_KEYED_SNAPSHOT_H

#include "state/table_snapshot.h"
#include "state/timers.h"

/* timers: NULL when there are none. memory: an account that outlives the snapshot. Between calls of user functions.
 * Cost: the list of pages, and a sort of at most 8192 timers. */
void fl__keyed_snapshot(fl__keyed *keyed, fl__timers *timers, fl__snapshot *to, fl__memory *memory);

/* Fills empty keyed state with what is the subtask's now. States that were added since are empty, those that are gone
 * are left out. ctx: the operator's, its function set. FL_ERROR_INVALID: a state or the key has another type now, or
 * there are timers and the operator has none; FL_ERROR_CORRUPT; FL_ERROR_IO. */
fl_status fl__keyed_restore(
    fl__keyed *keyed, fl__timers *timers, fl_context *ctx, fl__restored *from, fl_error *error) FL_MUST_USE;

/* The same for keyed state whose keys mean something to the operator alone (numbers of its windows), and are others
 * now. translate: writes the key of now over that of then, of the file that is being read; false: it is not this
 * subtask's. */
typedef bool (*fl__key_translate_fn)(void *arg, const fl__restored *from, void *key);
fl_status fl__keyed_restore_as(fl__keyed *keyed, fl_context *ctx, fl__restored *from, fl__key_translate_fn translate,
    void *arg, fl_error *error) FL_MUST_USE;

/* ---- schemas, for operators that keep tables of their own ---- */

typedef struct fl__state_schema {
    const char *name;
    fl_state_kind kind;
    const fl_type *type;
    const fl_type *map_key; /* NULL but for maps */
} fl__state_schema;

void fl__schema_block_write(
    fl__buffer *out, const fl_type *key, uint32_t slot_bits, const fl__state_schema *states, size_t count);

typedef struct fl__schema_block {
    const fl_type *key;
    uint32_t slot_bits;
    uint32_t count;
    fl__state_schema states[FL__STATES_MAX];
} fl__schema_block;
/* Types and names in arena. */
fl_status fl__schema_block_read(
    fl__schema_block *schema, const fl__restored *from, fl__reader *in, fl__arena *arena, fl_error *error) FL_MUST_USE;
/* Do values of the two types mean the same: names, kinds, nesting? Offsets do not matter. */
bool fl__same_schema(const fl_type *a, const fl_type *b);
/* "the key" or "state …" has type `now`, but the snapshot `then`. */
fl_status fl__schema_changed(
    const fl__restored *from, const char *what, const fl_type *now, const fl_type *then, fl_error *error);

#endif
