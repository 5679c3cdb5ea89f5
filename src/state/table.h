/* The keyed table: one entry per key, found with one probe.
 *
 *   index: one u64 per slot, open addressing, linear probing, at most 13/16 full
 *          | low 32 bits of the hash | reference + 1 (0: empty) |
 *   reference: page number << slot_bits | slot in the page
 *   page: entries one after the other; a page holds entries of one key group only; they grow from
 *         8 entries up to 16 KiB
 *
 * Position and tag are both taken from the hash's low half (its upper half chose key group and subtask), so that
 * growing the index touches no entry. Entries never move: pointers to them hold until the entry is removed. Within an
 * entry the key comes at key_offset, the rest is the user's: zeroed when the entry is made. Removed entries are
 * reused; until then their first 4 bytes link them.
 *
 * Pages are the unit of snapshots (table_snapshot.h): `changed` is set when an entry was handed out for writing since
 * the last one; a page that a snapshot still needs is written out before it changes.
 *
 * Measured: see docs/performance.md (keyed sum). One thread. */
#ifndef FL_STATE_TABLE_H
#define FL_STATE_TABLE_H

#include "data/key.h"

typedef struct fl__page {
    char *entries;
    uint16_t group;    /* key group */
    uint16_t capacity; /* entries */
    uint16_t count;    /* slots used so far, removed ones included */
    uint8_t changed;
    uint32_t previous; /* page of the same group that was opened before this one, number + 1; 0: none */
    uint64_t *dead;    /* bit per slot: removed; NULL until the first removal */
} fl__page;

/* Where a key group's new entries go. */
typedef struct fl__page_group {
    uint32_t open_page; /* number + 1; 0: none yet */
    uint32_t free_ref;  /* first removed entry, reference + 1; the next one's is in its first 4 bytes */
} fl__page_group;

typedef struct fl__table {
    fl__memory *memory;
    fl__key key;         /* how the entries' keys hash and compare; in_place etc. do not matter here */
    uint32_t entry_size; /* bytes, a multiple of 8 */
    uint32_t key_offset;
    uint32_t max_parallelism; /* key groups are told apart by it; 0: all entries are of group 0 */
    uint32_t slot_bits;
    uint32_t page_entries_max;
    uint64_t *slots;
    uint64_t mask;  /* slots - 1 */
    uint64_t count; /* live entries */
    uint64_t grow_at;
    fl__page *pages;
    uint32_t page_count, page_capacity;
    fl__page_group *groups; /* by key group */
    uint32_t group_count;
    struct fl__table_chunk *chunks;       /* what pages are cut from, newest first */
    struct fl__table_chunk *spare_chunks; /* of the rounds before fl__table_clear */
    char *chunk_cursor, *chunk_end;
    size_t chunk_bytes; /* of all of them */
    fl__layout key_layout;
    fl__heap *heap;                      /* owns long keys; NULL for flat keys */
    struct fl__table_snapshot *snapshot; /* that pages are still promised to; NULL: none */
} fl__table;

/* key: the type and class of the keys (copied). entry_size: all of the entry, key included. max_parallelism: see above.
 * expected: entries to make room for, 0 for the smallest. */
void fl__table_init(fl__table *table, fl__memory *memory, const fl__key *key, uint32_t entry_size, uint32_t key_offset,
    uint32_t max_parallelism, uint64_t expected);
void fl__table_release(fl__table *table);
/* Removes all entries but keeps the memory of index and pages for reuse. */
void fl__table_clear(fl__table *table);

static inline char *fl__table_entry(const fl__table *table, uint32_t ref)
{
    return table->pages[ref >> table->slot_bits].entries +
           (size_t)(ref & ((1u << table->slot_bits) - 1)) * table->entry_size;
}
#define FL__NO_REF UINT32_MAX

/* Slow paths of the inline functions. */
void fl__table_claim(fl__table *table, uint32_t page);
uint32_t fl__table_insert(fl__table *table, uint64_t hash, const void *key, uint64_t position);

/* Says that an entry's content changes; call before writing. */
static inline void fl__table_touch(fl__table *table, uint32_t ref)
{
    uint32_t page = ref >> table->slot_bits;
    table->pages[page].changed = 1;
    if (FL_UNLIKELY(table->snapshot))
        fl__table_claim(table, page);
}

static inline void fl__table_prefetch(const fl__table *table, uint64_t hash)
{
    __builtin_prefetch(&table->slots[(uint32_t)hash & table->mask]);
}
/* The second step of a prefetch: the entry that the first matching tag points to. The index line should be there. */
static inline void fl__table_prefetch_entry(const fl__table *table, uint64_t hash)
{
    for (uint64_t i = (uint32_t)hash & table->mask;; i = (i + 1) & table->mask) {
        uint64_t slot = table->slots[i];
        if ((uint32_t)slot == 0)
            return;
        if (slot >> 32 == (uint32_t)hash) {
            const char *entry = fl__table_entry(table, (uint32_t)slot - 1);
            __builtin_prefetch(entry);
            __builtin_prefetch(entry + table->entry_size - 1);
            return;
        }
    }
}
/* The entry with the first matching tag, its key not compared; NULL: none. For a third step: what the entry points to.
 */
static inline const char *fl__table_candidate(const fl__table *table, uint64_t hash)
{
    for (uint64_t i = (uint32_t)hash & table->mask;; i = (i + 1) & table->mask) {
        uint64_t slot = table->slots[i];
        if ((uint32_t)slot == 0)
            return NULL;
        if (slot >> 32 == (uint32_t)hash)
            return fl__table_entry(table, (uint32_t)slot - 1);
    }
}
/* Look-ups by the block: first the candidates of all rows of a block, whose loads do not wait for each other, then the
 * work on each. candidates[i] is the entry with the first matching tag, marked as changed, its key not compared yet;
 * NULL when there is none: then go through fl__table_find_class, as after a comparison that fails. hashes: of count
 * rows, ahead of them up to `left` in all. Compared with one look-up after the other a keyed sum over 1e3 keys takes a
 * third less, over 1e6 keys two thirds. */
enum { FL__TABLE_BLOCK = 32 };
static inline __attribute__((always_inline)) void fl__table_candidates(
    fl__table *table, const uint64_t *hashes, uint32_t count, uint32_t left, bool is_large, char **candidates)
{
    const uint64_t *slots = table->slots;
    fl__page *pages = table->pages;
    bool is_claiming = table->snapshot != NULL;
    uint64_t mask = table->mask;
    uint32_t slot_bits = table->slot_bits, slot_mask = (1u << slot_bits) - 1, entry_size = table->entry_size;
    if (is_large) {
        uint32_t ahead = left - count < FL__TABLE_BLOCK ? left - count : FL__TABLE_BLOCK;
        for (uint32_t i = 0; i < ahead; i++)
            __builtin_prefetch(&slots[(uint32_t)hashes[count + i] & mask]);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tag = (uint32_t)hashes[i];
        uint64_t at = tag & mask, slot = slots[at];
        while (slot >> 32 != tag && (uint32_t)slot != 0)
            slot = slots[at = (at + 1) & mask];
        if (FL_UNLIKELY((uint32_t)slot == 0)) {
            candidates[i] = NULL;
            continue;
        }
        uint32_t ref = (uint32_t)slot - 1;
        fl__page *page = &pages[ref >> slot_bits];
        page->changed = 1;
        if (FL_UNLIKELY(is_claiming))
            fl__table_claim(table, ref >> slot_bits);
        candidates[i] = page->entries + (size_t)(ref & slot_mask) * entry_size;
        if (is_large)
            __builtin_prefetch(candidates[i], 1);
    }
}

/* Is prefetching worth its instructions? Not while the table fits the caches. */
static inline bool fl__table_is_large(const fl__table *table)
{
    return table->count * (table->entry_size + 12u) > 256u * 1024u;
}

/* The reference of the key's entry; made (zeroed but for the key) when missing and insert. FL__NO_REF: none.
 * class: table->key.class, as a constant where the caller can, so that the comparison is inlined. */
static inline __attribute__((always_inline)) uint32_t fl__table_find_class(
    fl__table *table, fl__key_class class, uint64_t hash, const void *key, bool insert, bool *inserted)
{
    uint64_t tag = (uint32_t)hash;
    for (uint64_t i = tag & table->mask;; i = (i + 1) & table->mask) {
        uint64_t slot = table->slots[i];
        if ((uint32_t)slot == 0) {
            if (!insert)
                return FL__NO_REF;
            if (inserted)
                *inserted = true;
            return fl__table_insert(table, hash, key, i);
        }
        if (slot >> 32 == tag) {
            uint32_t ref = (uint32_t)slot - 1;
            const char *k = fl__table_entry(table, ref) + table->key_offset;
            if (fl__key_equal_class(&table->key, class, k, key)) {
                if (inserted)
                    *inserted = false;
                return ref;
            }
        }
    }
}
/* The entry, made when missing and marked as changed. */
static inline __attribute__((always_inline)) char *fl__table_get_class(
    fl__table *table, fl__key_class class, uint64_t hash, const void *key, bool *inserted)
{
    uint32_t ref = fl__table_find_class(table, class, hash, key, true, inserted);
    fl__table_touch(table, ref);
    return fl__table_entry(table, ref);
}
/* The same with the class looked up. Returns the entry, or NULL. */
static inline char *fl__table_find(fl__table *table, uint64_t hash, const void *key)
{
    uint32_t ref = fl__table_find_class(table, table->key.class, hash, key, false, NULL);
    return ref == FL__NO_REF ? NULL : fl__table_entry(table, ref);
}
static inline char *fl__table_get(fl__table *table, uint64_t hash, const void *key, bool *inserted)
{
    return fl__table_get_class(table, table->key.class, hash, key, inserted);
}
/* Removes the entry (its values must have been dropped already); its memory is reused. */
void fl__table_remove(fl__table *table, uint64_t hash, const void *key);

/* Walks all live entries, in page order: uint64_t c = 0; while ((entry = fl__table_next(t, &c))) … The order depends
 * only on the order of insertions and removals. Inserting during a walk: new entries may or may not come. Removing the
 * entry just returned is allowed. */
char *fl__table_next(const fl__table *table, uint64_t *cursor);
/* The reference of the entry that fl__table_next returned last. */
uint32_t fl__table_cursor_ref(const fl__table *table, uint64_t cursor);
/* The same for one key group, its newest page first. *ref (may be NULL) is the entry's reference. Cost: the group's
 * pages only. */
char *fl__table_next_in_group(const fl__table *table, uint32_t group, uint64_t *cursor, uint32_t *ref);

#endif
