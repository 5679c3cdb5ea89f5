#include "state/table.h"

#include "base/error.h"
#include "state/table_snapshot.h"

#include <sys/mman.h>

enum {
    PAGE_BYTES = 16 * 1024,
    PAGE_ENTRIES_FIRST = 8,
    PAGE_ENTRIES_MAX = 2048,
    SLOTS_MIN = 16,
    SLOTS_SMALL = 16384,      /* 128 KiB */
    CHUNK_BYTES_FIRST = 1024, /* and twice that, and so on, up to: */
    CHUNK_BYTES_STEP = 4 * 1024,
    HUGE_PAGE = 2 * 1024 * 1024,
    HUGE_FROM = 8, /* chunks are huge pages when the table has this many times as much already */
};

/* A small index is kept at most a quarter full: that halves mispredicted probes, and what it takes is little. For a
 * large one memory counts: over key and value it is bounded by three shares: the index, at most 13/16 and so at least
 * 13/32 full (9.8 to 19.7 bytes a key); pages, which grow by a quarter; chunks, which grow by a sixteenth of all there
 * is, or by huge pages once these are an eighth of it. Doubling pages and chunks took 47 bytes a key at 1e5 keys. */
static uint64_t slots_used_max(uint64_t slots)
{
    return slots <= SLOTS_SMALL ? slots / 4 : slots / 16 * 13;
}

typedef struct fl__table_chunk {
    struct fl__table_chunk *next;
    size_t size;
    _Alignas(64) char data[];
} fl__table_chunk;

/* Large memory is aligned to huge pages and asks for them: at a million keys half of the
 * probe's time were TLB misses. */
static void *alloc_large(fl__memory *memory, size_t size)
{
    if (size < HUGE_PAGE)
        return fl__alloc_aligned(memory, 64, size);
    void *p = fl__alloc_aligned(memory, HUGE_PAGE, size);
    madvise(p, size, MADV_HUGEPAGE);
    return p;
}

static void set_slots(fl__table *table, uint64_t slots)
{
    table->slots = alloc_large(table->memory, slots * sizeof *table->slots);
    memset(table->slots, 0, slots * sizeof *table->slots);
    table->mask = slots - 1;
    table->grow_at = slots_used_max(slots);
}

void fl__table_init(fl__table *table, fl__memory *memory, const fl__key *key, uint32_t entry_size, uint32_t key_offset,
    uint32_t max_parallelism, uint64_t expected)
{
    fl_assert(entry_size > 0 && key_offset + key->size <= entry_size);
    *table = (fl__table){
        .memory = memory,
        .key = *key,
        .entry_size = (entry_size + 7) & ~7u,
        .key_offset = key_offset,
        .max_parallelism = max_parallelism,
        .group_count = max_parallelism ? max_parallelism : 1,
    };
    uint32_t max = PAGE_BYTES / table->entry_size;
    if (max < PAGE_ENTRIES_FIRST)
        max = PAGE_ENTRIES_FIRST;
    table->page_entries_max = max > PAGE_ENTRIES_MAX ? PAGE_ENTRIES_MAX : max;
    table->slot_bits = 32 - (uint32_t)__builtin_clz(table->page_entries_max - 1);
    table->groups = fl__alloc_zero(memory, table->group_count * sizeof *table->groups);
    uint64_t slots = SLOTS_MIN;
    while (slots_used_max(slots) <= expected)
        slots *= 2;
    set_slots(table, slots);
    fl__layout_init(&table->key_layout, key->type);
    if (!table->key_layout.is_flat)
        table->heap = fl__heap_new(memory);
}

static void release_dead(fl__table *table)
{
    for (uint32_t p = 0; p < table->page_count; p++) {
        if (table->pages[p].dead)
            fl__free(table->memory, table->pages[p].dead, (table->pages[p].capacity + 63u) / 64 * 8);
    }
}

static void free_chunks(fl__table *table, fl__table_chunk *first)
{
    for (fl__table_chunk *c = first, *next; c; c = next) {
        next = c->next;
        fl__free(table->memory, c, c->size);
    }
}

void fl__table_release(fl__table *table)
{
    if (!table->slots)
        return;
    fl__table_snapshot_finish(table);
    release_dead(table);
    free_chunks(table, table->chunks);
    free_chunks(table, table->spare_chunks);
    fl__free(table->memory, table->slots, (table->mask + 1) * sizeof *table->slots);
    fl__free(table->memory, table->groups, table->group_count * sizeof *table->groups);
    fl__free(table->memory, table->pages, table->page_capacity * sizeof *table->pages);
    fl__heap_free_all(table->heap);
    *table = (fl__table){ 0 };
}

void fl__table_clear(fl__table *table)
{
    fl__table_snapshot_finish(table);
    release_dead(table);
    /* all of them serve the next round; the oldest, which are the smallest, first */
    for (fl__table_chunk *c = table->chunks, *next; c; c = next) {
        next = c->next;
        c->next = table->spare_chunks;
        table->spare_chunks = c;
    }
    table->chunks = NULL;
    table->chunk_cursor = table->chunk_end = NULL;
    table->page_count = 0;
    memset(table->groups, 0, table->group_count * sizeof *table->groups);
    memset(table->slots, 0, (table->mask + 1) * sizeof *table->slots);
    table->count = 0;
    if (table->heap) {
        fl__heap_free_all(table->heap);
        table->heap = fl__heap_new(table->memory);
    }
}

static size_t chunk_size(const fl__table *table)
{
    if (table->chunk_bytes >= (size_t)HUGE_FROM * HUGE_PAGE)
        return HUGE_PAGE;
    /* Small at first: windows keep a table each, and most of those may have a key or two. */
    if (table->chunk_bytes < CHUNK_BYTES_STEP)
        return table->chunk_bytes ? table->chunk_bytes : CHUNK_BYTES_FIRST;
    return (table->chunk_bytes / 16 + CHUNK_BYTES_STEP - 1) / CHUNK_BYTES_STEP * CHUNK_BYTES_STEP;
}

/* The chunk that serves next: a spare one, or a new one. */
static fl__table_chunk *next_chunk(fl__table *table, size_t bytes)
{
    fl__table_chunk *c;
    while ((c = table->spare_chunks)) {
        table->spare_chunks = c->next;
        if (c->size >= bytes + sizeof *c)
            return c;
        c->next = table->chunks; /* too small: for a later round */
        table->chunks = c;
    }
    size_t size = chunk_size(table);
    if (size < bytes + sizeof *c)
        size = bytes + sizeof *c;
    c = alloc_large(table->memory, size);
    c->size = size;
    table->chunk_bytes += size;
    return c;
}

static char *cut(fl__table *table, size_t bytes)
{
    if ((size_t)(table->chunk_end - table->chunk_cursor) < bytes) {
        fl__table_chunk *c = next_chunk(table, bytes);
        c->next = table->chunks;
        table->chunks = c;
        table->chunk_cursor = c->data;
        table->chunk_end = (char *)c + c->size;
    }
    char *p = table->chunk_cursor;
    table->chunk_cursor += bytes;
    return p;
}

static void open_page(fl__table *table, uint32_t group)
{
    if (table->page_count == table->page_capacity) {
        uint32_t capacity = table->page_capacity ? table->page_capacity * 2 : 4;
        table->pages = fl__realloc(
            table->memory, table->pages, table->page_capacity * sizeof *table->pages, capacity * sizeof *table->pages);
        table->page_capacity = capacity;
    }
    fl_assert(table->page_count < (UINT32_C(1) << (32 - table->slot_bits)) - 1);
    uint32_t last = table->groups[group].open_page;
    uint32_t capacity = last ? table->pages[last - 1].capacity : 0;
    capacity += capacity / 4 > PAGE_ENTRIES_FIRST ? capacity / 4 : PAGE_ENTRIES_FIRST;
    if (capacity > table->page_entries_max)
        capacity = table->page_entries_max;
    size_t bytes = ((size_t)capacity * table->entry_size + 63) & ~(size_t)63;
    table->pages[table->page_count] = (fl__page){
        .entries = cut(table, bytes),
        .group = (uint16_t)group,
        .capacity = (uint16_t)capacity,
        .previous = last,
    };
    table->groups[group].open_page = ++table->page_count;
}

/* A new entry of the group, not zeroed. */
static uint32_t take_entry(fl__table *table, uint32_t group)
{
    fl__page_group *g = &table->groups[group];
    if (g->free_ref) {
        uint32_t ref = g->free_ref - 1;
        fl__table_touch(table, ref);
        memcpy(&g->free_ref, fl__table_entry(table, ref), sizeof g->free_ref);
        uint32_t slot = ref & ((1u << table->slot_bits) - 1);
        table->pages[ref >> table->slot_bits].dead[slot / 64] &= ~(UINT64_C(1) << slot % 64);
        return ref;
    }
    if (!g->open_page || table->pages[g->open_page - 1].count == table->pages[g->open_page - 1].capacity)
        open_page(table, group);
    fl__page *page = &table->pages[g->open_page - 1];
    return ((g->open_page - 1) << table->slot_bits) | page->count++;
}

static void grow(fl__table *table)
{
    uint64_t old_slots = table->mask + 1, *old = table->slots;
    fl_assert(old_slots <= UINT64_C(1) << 31);
    set_slots(table, old_slots * 2);
    for (uint64_t i = 0; i < old_slots; i++) {
        if ((uint32_t)old[i] == 0)
            continue;
        uint64_t j = (old[i] >> 32) & table->mask;
        while ((uint32_t)table->slots[j] != 0)
            j = (j + 1) & table->mask;
        table->slots[j] = old[i];
    }
    fl__free(table->memory, old, old_slots * sizeof *old);
}

uint32_t fl__table_insert(fl__table *table, uint64_t hash, const void *key, uint64_t position)
{
    if (table->count >= table->grow_at) {
        grow(table);
        position = (uint32_t)hash & table->mask;
        while ((uint32_t)table->slots[position] != 0)
            position = (position + 1) & table->mask;
    }
    uint32_t ref = take_entry(table, table->max_parallelism ? fl__key_group(hash, table->max_parallelism) : 0);
    char *entry = fl__table_entry(table, ref);
    memset(entry, 0, table->entry_size);
    memcpy(entry + table->key_offset, key, table->key.size);
    if (table->heap)
        fl__value_own(&table->key_layout, entry + table->key_offset, table->heap);
    table->slots[position] = (uint64_t)(uint32_t)hash << 32 | (ref + 1);
    table->count++;
    fl__table_touch(table, ref);
    return ref;
}

void fl__table_remove(fl__table *table, uint64_t hash, const void *key)
{
    uint64_t tag = (uint32_t)hash, i = tag & table->mask;
    uint32_t ref = FL__NO_REF;
    for (;; i = (i + 1) & table->mask) {
        uint64_t slot = table->slots[i];
        if ((uint32_t)slot == 0)
            return;
        ref = (uint32_t)slot - 1;
        if (slot >> 32 == tag && fl__key_equal(&table->key, fl__table_entry(table, ref) + table->key_offset, key))
            break;
    }
    /* backward shift: what follows moves up unless it is at or before its home */
    uint64_t hole = i;
    for (uint64_t j = (i + 1) & table->mask; (uint32_t)table->slots[j] != 0; j = (j + 1) & table->mask) {
        uint64_t home = (table->slots[j] >> 32) & table->mask;
        if (((j - home) & table->mask) >= ((j - hole) & table->mask)) {
            table->slots[hole] = table->slots[j];
            hole = j;
        }
    }
    table->slots[hole] = 0;
    table->count--;
    fl__table_touch(table, ref);
    char *entry = fl__table_entry(table, ref);
    if (table->heap)
        fl__value_drop(&table->key_layout, entry + table->key_offset, table->heap);
    fl__page *page = &table->pages[ref >> table->slot_bits];
    if (!page->dead)
        page->dead = fl__alloc_zero(table->memory, (page->capacity + 63u) / 64 * 8);
    uint32_t slot = ref & ((1u << table->slot_bits) - 1);
    page->dead[slot / 64] |= UINT64_C(1) << slot % 64;
    memcpy(entry, &table->groups[page->group].free_ref, sizeof(uint32_t));
    table->groups[page->group].free_ref = ref + 1;
}

/* cursor: page number << 32 | next slot */
char *fl__table_next(const fl__table *table, uint64_t *cursor)
{
    uint32_t page = (uint32_t)(*cursor >> 32), slot = (uint32_t)*cursor;
    for (; page < table->page_count; page++, slot = 0) {
        const fl__page *p = &table->pages[page];
        for (; slot < p->count; slot++) {
            if (p->dead && (p->dead[slot / 64] >> slot % 64 & 1))
                continue;
            *cursor = (uint64_t)page << 32 | (slot + 1);
            return p->entries + (size_t)slot * table->entry_size;
        }
    }
    *cursor = (uint64_t)page << 32;
    return NULL;
}

uint32_t fl__table_cursor_ref(const fl__table *table, uint64_t cursor)
{
    return (uint32_t)(cursor >> 32) << table->slot_bits | ((uint32_t)cursor - 1);
}

/* cursor: 0 at the start, then page number + 1 << 32 | next slot, UINT64_MAX at the end */
char *fl__table_next_in_group(const fl__table *table, uint32_t group, uint64_t *cursor, uint32_t *ref)
{
    fl_assert(group < table->group_count);
    if (*cursor == UINT64_MAX)
        return NULL;
    uint32_t page = (uint32_t)(*cursor >> 32), slot = (uint32_t)*cursor;
    if (!page)
        page = table->groups[group].open_page;
    for (; page; page = table->pages[page - 1].previous, slot = 0) {
        const fl__page *p = &table->pages[page - 1];
        for (; slot < p->count; slot++) {
            if (p->dead && (p->dead[slot / 64] >> slot % 64 & 1))
                continue;
            *cursor = (uint64_t)page << 32 | (slot + 1);
            if (ref)
                *ref = (page - 1) << table->slot_bits | slot;
            return p->entries + (size_t)slot * table->entry_size;
        }
    }
    *cursor = UINT64_MAX;
    return NULL;
}
