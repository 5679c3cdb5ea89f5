#include "state/table_snapshot.h"

#include "base/error.h"
#include "os/thread.h"

enum { PENDING, TAKEN, DONE };

typedef struct page_copy {
    const char *entries;
    const uint64_t *dead; /* as of then: the owner changes it only after the page is written */
    uint16_t group, count;
} page_copy;

/* What the owner encoded, for the writer to fetch. */
typedef struct ready_page {
    struct ready_page *next;
    fl__buffer payload;
} ready_page;

struct fl__table_snapshot {
    fl__snapshot_part part;
    fl__memory *memory;
    fl__entry_encode_fn encode;
    const void *arg;
    uint64_t label;
    uint32_t entry_size, slot_bits, page_count;
    page_copy *pages;
    _Atomic uint8_t *claims;
    uint32_t next;               /* writer: pages before it are taken by somebody */
    _Atomic uint32_t by_owner;   /* pages that the owner took */
    uint32_t fetched;            /* writer: of them */
    _Atomic uint32_t references; /* the table's and the writer's */
    fl__mutex lock;              /* guards ready */
    ready_page *ready;
};
typedef struct fl__table_snapshot table_snapshot;

static table_snapshot *of_part(fl__snapshot_part *part)
{
    return (table_snapshot *)part;
}

static void unref(table_snapshot *s)
{
    /* release: this side is done with it; acquire: who frees it sees what both did */
    if (atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    fl__memory *memory = s->memory;
    for (ready_page *r = s->ready, *next; r; r = next) {
        next = r->next;
        fl__buffer_release(&r->payload);
        fl__free(memory, r, sizeof *r);
    }
    fl__mutex_release(&s->lock);
    fl__free(memory, s->pages, s->page_count * sizeof *s->pages);
    fl__free(memory, (void *)(uintptr_t)s->claims, s->page_count);
    fl__free(memory, s, sizeof *s);
}

static bool is_dead(const page_copy *page, uint32_t slot)
{
    return page->dead && (page->dead[slot / 64] >> slot % 64 & 1);
}

static void encode_page(const table_snapshot *s, uint32_t number, fl__buffer *out)
{
    const page_copy *page = &s->pages[number];
    uint32_t live = 0;
    for (uint32_t i = 0; i < page->count; i++)
        live += !is_dead(page, i);
    fl__buffer_varint(out, s->label);
    fl__buffer_varint(out, (uint64_t)number << s->slot_bits);
    fl__buffer_varint(out, page->group);
    fl__buffer_varint(out, live);
    for (uint32_t i = 0; i < page->count; i++) {
        if (is_dead(page, i))
            continue;
        fl__buffer_varint(out, i);
        s->encode(s->arg, page->entries + (size_t)i * s->entry_size, out);
    }
}

static bool take(table_snapshot *s, uint32_t number)
{
    uint8_t expected = PENDING;
    /* release: the owner's count of what it took is seen by a writer that finds the page taken */
    return atomic_compare_exchange_strong_explicit(
        &s->claims[number], &expected, TAKEN, memory_order_acq_rel, memory_order_acquire);
}

/* ---- the writer's side ---- */

static bool fetch(table_snapshot *s, fl__buffer *out)
{
    fl__mutex_lock(&s->lock);
    ready_page *r = s->ready;
    if (r)
        s->ready = r->next;
    fl__mutex_unlock(&s->lock);
    if (!r)
        return false;
    s->fetched++;
    fl__buffer_append(out, r->payload.data, r->payload.size);
    fl__buffer_release(&r->payload);
    fl__free(s->memory, r, sizeof *r);
    return true;
}

static bool next_block(fl__snapshot_part *part, fl__buffer *out)
{
    table_snapshot *s = of_part(part);
    if (fetch(s, out))
        return true;
    while (s->next < s->page_count) {
        uint32_t number = s->next++;
        if (!take(s, number))
            continue;
        encode_page(s, number, out);
        /* release: the reads of the page come before the owner's writes */
        atomic_store_explicit(&s->claims[number], DONE, memory_order_release);
        return true;
    }
    /* all pages are taken; one of the owner's may not be here yet */
    while (s->fetched < atomic_load_explicit(&s->by_owner, memory_order_acquire)) {
        if (fetch(s, out))
            return true;
        fl__thread_yield();
    }
    return false;
}

static void release(fl__snapshot_part *part)
{
    table_snapshot *s = of_part(part);
    /* given up in the middle: nobody needs what the owner would still encode */
    for (; s->next < s->page_count; s->next++) {
        if (take(s, s->next))
            atomic_store_explicit(&s->claims[s->next], DONE, memory_order_release);
    }
    unref(s);
}

/* ---- the owner's side ---- */

static void encode_for_writer(table_snapshot *s, uint32_t number)
{
    ready_page *r = fl__alloc(s->memory, sizeof *r);
    fl__buffer_init(&r->payload, s->memory);
    encode_page(s, number, &r->payload);
    fl__mutex_lock(&s->lock);
    r->next = s->ready;
    s->ready = r;
    fl__mutex_unlock(&s->lock);
    atomic_store_explicit(&s->claims[number], DONE, memory_order_release);
}

void fl__table_claim(fl__table *table, uint32_t number)
{
    table_snapshot *s = table->snapshot;
    if (!s)
        return;
    if (atomic_load_explicit(&s->references, memory_order_acquire) == 1) { /* all is written */
        table->snapshot = NULL;
        unref(s);
        return;
    }
    if (number >= s->page_count)
        return; /* opened since */
    if (atomic_load_explicit(&s->claims[number], memory_order_acquire) == DONE)
        return;
    /* counted before it is taken: a writer that finds all pages taken knows how many it has to wait for */
    atomic_fetch_add_explicit(&s->by_owner, 1, memory_order_acq_rel);
    if (take(s, number)) {
        encode_for_writer(s, number);
        return;
    }
    atomic_fetch_sub_explicit(&s->by_owner, 1, memory_order_acq_rel);
    while (atomic_load_explicit(&s->claims[number], memory_order_acquire) != DONE)
        fl__thread_yield(); /* the writer has it, 16 KiB of entries */
}

void fl__table_snapshot_finish(fl__table *table)
{
    table_snapshot *s = table->snapshot;
    if (!s)
        return;
    for (uint32_t i = 0; table->snapshot && i < s->page_count; i++)
        fl__table_claim(table, i);
    if (table->snapshot) {
        table->snapshot = NULL;
        unref(s);
    }
}

void fl__table_snapshot_begin(fl__table *table, fl__snapshot *to, fl__block_kind kind, fl__memory *memory,
    uint64_t label, fl__entry_encode_fn encode, const void *arg)
{
    fl__table_snapshot_finish(table);
    if (table->count == 0)
        return;
    table_snapshot *s = fl__alloc_zero(memory, sizeof *s);
    *s = (table_snapshot){
        .part = { .kind = kind, .next_block = next_block, .release = release },
        .memory = memory,
        .encode = encode,
        .arg = arg,
        .label = label,
        .entry_size = table->entry_size,
        .slot_bits = table->slot_bits,
        .page_count = table->page_count,
    };
    s->pages = fl__alloc(memory, s->page_count * sizeof *s->pages);
    s->claims = fl__alloc_zero(memory, s->page_count);
    for (uint32_t i = 0; i < s->page_count; i++) {
        fl__page *page = &table->pages[i];
        s->pages[i] = (page_copy){ page->entries, page->dead, page->group, page->count };
        page->changed = 0;
    }
    fl__mutex_init(&s->lock);
    atomic_init(&s->references, 2);
    table->snapshot = s;
    fl__snapshot_add(to, &s->part);
}

/* ---- reading ---- */

bool fl__table_block_read(fl__table_block *block, fl__reader *in)
{
    return fl__reader_varint(in, &block->label) && fl__reader_varint(in, &block->first_ref) &&
           fl__reader_varint(in, &block->group) && fl__reader_varint(in, &block->entries) &&
           block->first_ref < FL__NO_REF && block->group < FL__MAX_PARALLELISM;
}

bool fl__table_block_next(fl__table_block *block, fl__reader *in, uint32_t *ref)
{
    uint64_t slot;
    if (block->entries == 0 || !fl__reader_varint(in, &slot) || slot + block->first_ref >= FL__NO_REF)
        return false;
    block->entries--;
    *ref = (uint32_t)(block->first_ref + slot);
    return true;
}
