/* A table's entries as they are at one moment, written later by somebody else while the table's own thread goes on.
 *
 * At the moment itself only the list of pages is copied (24 bytes for 16 KiB of entries). Then the writer and the
 * table's thread race for pages:
 *
 *   page:  PENDING → (writer) TAKEN → encodes it → DONE
 *                  → (owner, about to change it: fl__table_touch) TAKEN → encodes it into a buffer → DONE
 *
 * so each page is encoded once, as it was. The owner waits only for a page that the writer is just encoding.
 *
 * Payload of a block: label varint | first reference of the page varint | key group varint | entries varint |
 * for each: slot varint, what encode wrote. Label: whatever the owner tells its tables apart by (a window's pane).
 *
 * Threads: begin, touch and finish by the table's own; the rest by the writer. Who reads an entry's memory has taken
 * its page, and whoever changes it has done so before: the exchange on the page's claim orders the two. */
#ifndef FL_STATE_TABLE_SNAPSHOT_H
#define FL_STATE_TABLE_SNAPSHOT_H

#include "state/snapshot.h"
#include "state/table.h"

/* Appends an entry's content, key included; called by either thread, for different pages at the same time: it must only
 * read what arg leads to. */
typedef void (*fl__entry_encode_fn)(const void *arg, const char *entry, fl__buffer *out);

/* Promises the table's present content to the snapshot. An earlier promise of the table that is not kept yet is kept
 * first. kind: of the blocks, usually FL__BLOCK_PAGE. memory: an account that outlives both. Cost: pages × 24 bytes. */
void fl__table_snapshot_begin(fl__table *table, fl__snapshot *to, fl__block_kind kind, fl__memory *memory,
    uint64_t label, fl__entry_encode_fn encode, const void *arg);

/* Keeps the rest of the promise at once: before the table goes. Nothing when there is none. */
void fl__table_snapshot_finish(fl__table *table);

/* Reads such a block: head first, then entry by entry. */
typedef struct fl__table_block {
    uint64_t label, first_ref, group, entries; /* entries: still to be read */
} fl__table_block;
bool fl__table_block_read(fl__table_block *block, fl__reader *in);
/* The next entry's reference of then; the payload then stands at what encode wrote. False: none left, or damaged
 * (entries > 0). */
bool fl__table_block_next(fl__table_block *block, fl__reader *in, uint32_t *ref);

#endif
