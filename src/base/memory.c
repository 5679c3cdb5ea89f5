#include "base/memory.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

/* Under the address sanitizer what is free in a slab is poisoned, so that it sees a use after fl__heap_free. */
#if defined __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ /* clang's way of saying so */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, size) __asan_poison_memory_region(p, size)
#define UNPOISON(p, size) __asan_unpoison_memory_region(p, size)
#else
#define POISON(p, size) ((void)(p), (void)(size))
#define UNPOISON(p, size) ((void)(p), (void)(size))
#endif

fl__memory fl__memory_process = { .name = "process" };

void fl__memory_init(fl__memory *memory, const char *name, fl__memory *parent, int64_t limit)
{
    memory->name = name;
    memory->parent = parent;
    memory->limit = limit;
    atomic_init(&memory->used, 0);
}

bool fl__memory_over(fl__memory *memory)
{
    for (; memory; memory = memory->parent) {
        if (memory->limit && fl__memory_used(memory) > memory->limit)
            return true;
    }
    return false;
}

static void account(fl__memory *memory, int64_t bytes)
{
    for (fl__memory *m = memory ? memory : &fl__memory_process; m; m = m->parent)
        atomic_fetch_add_explicit(&m->used, bytes, memory_order_relaxed);
}

_Noreturn static void out_of_memory(fl__memory *memory, size_t size)
{
    fprintf(stderr, "flinc: out of memory: %zu bytes for %s, which holds %lld\n", size,
        memory ? memory->name : "process", (long long)fl__memory_used(memory ? memory : &fl__memory_process));
    abort();
}

void *fl__alloc(fl__memory *memory, size_t size)
{
    void *p = malloc(size ? size : 1);
    if (!p)
        out_of_memory(memory, size);
    account(memory, (int64_t)size);
    return p;
}

void *fl__alloc_zero(fl__memory *memory, size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (!p)
        out_of_memory(memory, size);
    account(memory, (int64_t)size);
    return p;
}

void *fl__alloc_aligned(fl__memory *memory, size_t align, size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size ? size : 1) != 0)
        out_of_memory(memory, size);
    account(memory, (int64_t)size);
    return p;
}

void *fl__realloc(fl__memory *memory, void *p, size_t old_size, size_t size)
{
    void *q = realloc(p, size ? size : 1);
    if (!q)
        out_of_memory(memory, size);
    account(memory, (int64_t)size - (int64_t)(p ? old_size : 0));
    return q;
}

void fl__free(fl__memory *memory, void *p, size_t size)
{
    if (!p)
        return;
    free(p);
    account(memory, -(int64_t)size);
}

/* ---- arenas ---- */

struct fl__arena_chunk {
    fl__arena_chunk *next;
    size_t size;
    _Alignas(16) char data[];
};

void fl__arena_init(fl__arena *arena, fl__memory *memory)
{
    *arena = (fl__arena){ .memory = memory };
}

void fl__arena_release(fl__arena *arena)
{
    for (fl__arena_chunk *c = arena->chunk, *next; c; c = next) {
        next = c->next;
        fl__free(arena->memory, c, c->size);
    }
    fl__arena_init(arena, arena->memory);
}

void *fl__arena_alloc(fl__arena *arena, size_t size)
{
    size = size ? (size + 15) & ~(size_t)15 : 16;
    if ((size_t)(arena->end - arena->cursor) < size) {
        size_t data = size > 4080 ? size : 4080;
        fl__arena_chunk *c = fl__alloc_zero(arena->memory, sizeof *c + data);
        c->size = sizeof *c + data;
        c->next = arena->chunk;
        arena->chunk = c;
        arena->cursor = c->data;
        arena->end = c->data + data;
    }
    void *p = arena->cursor;
    arena->cursor += size;
    return p;
}

void *fl__arena_memdup(fl__arena *arena, const void *data, size_t size)
{
    void *p = fl__arena_alloc(arena, size);
    if (size)
        memcpy(p, data, size);
    return p;
}

char *fl__arena_strdup(fl__arena *arena, const char *text)
{
    return text ? fl__arena_memdup(arena, text, strlen(text) + 1) : NULL;
}

char *fl__arena_printf(fl__arena *arena, const char *format, ...)
{
    fl_assert(format);
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    fl_assert(n >= 0);
    char *text = fl__arena_alloc(arena, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

/* ---- heap: 16-byte size classes cut from slabs; a freed cell holds the next free one ---- */

/* Slabs double from the first, which has room for a cell of the largest class, up to the largest: a window's table with
 * a key or two has a heap of its own, and there may be a hundred thousand of them. */
enum {
    HEAP_CLASS_BYTES = 16,
    HEAP_CLASSES = 64,
    HEAP_SLAB_BYTES_FIRST = HEAP_CLASSES * HEAP_CLASS_BYTES,
    HEAP_SLAB_BYTES_MAX = 16 * 1024,
};

struct fl__heap {
    fl__memory *memory;
    fl__arena_chunk *slabs;
    char *cursor, *end;
    size_t live;
    void *free_cells[HEAP_CLASSES + 1];
    struct heap_large {
        struct heap_large *next, *previous;
    } large; /* ring of the allocations past the largest class */
};

fl__heap *fl__heap_new(fl__memory *memory)
{
    fl__heap *heap = fl__alloc_zero(memory, sizeof *heap);
    heap->memory = memory;
    heap->large.next = heap->large.previous = &heap->large;
    return heap;
}

/* The large header needs the size to be freed all at once. */
typedef struct large_cell {
    struct heap_large link;
    size_t size;
    size_t unused; /* keeps data aligned to 16 */
} large_cell;

void fl__heap_free_all(fl__heap *heap)
{
    if (!heap)
        return;
    for (struct heap_large *l = heap->large.next, *next; l != &heap->large; l = next) {
        next = l->next;
        fl__free(heap->memory, l, ((large_cell *)l)->size);
    }
    for (fl__arena_chunk *c = heap->slabs, *next; c; c = next) {
        next = c->next;
        UNPOISON(c, c->size);
        fl__free(heap->memory, c, c->size);
    }
    fl__free(heap->memory, heap, sizeof *heap);
}

/* The class of a size: its number of 16-byte units, 1 at least. */
static inline size_t class_of(size_t size)
{
    return size ? (size + HEAP_CLASS_BYTES - 1) / HEAP_CLASS_BYTES : 1;
}

static void push_free_cell(fl__heap *heap, void *cell, size_t class)
{
    memcpy(cell, &heap->free_cells[class], sizeof(void *));
    heap->free_cells[class] = cell;
    POISON(cell, class * HEAP_CLASS_BYTES);
}

static void *alloc_large(fl__heap *heap, size_t size)
{
    large_cell *cell = fl__alloc(heap->memory, sizeof *cell + size);
    cell->size = sizeof *cell + size;
    cell->link.next = heap->large.next;
    cell->link.previous = &heap->large;
    cell->link.next->previous = &cell->link;
    heap->large.next = &cell->link;
    return cell + 1;
}

static void new_slab(fl__heap *heap)
{
    size_t rest = (size_t)(heap->end - heap->cursor) / HEAP_CLASS_BYTES;
    if (rest) { /* the old slab's rest becomes a free cell of its class */
        UNPOISON(heap->cursor, rest * HEAP_CLASS_BYTES);
        push_free_cell(heap, heap->cursor, rest);
    }
    size_t bytes = !heap->slabs ? HEAP_SLAB_BYTES_FIRST : 2 * (heap->slabs->size - sizeof *heap->slabs);
    if (bytes > HEAP_SLAB_BYTES_MAX)
        bytes = HEAP_SLAB_BYTES_MAX;
    fl__arena_chunk *slab = fl__alloc(heap->memory, sizeof *slab + bytes);
    slab->size = sizeof *slab + bytes;
    slab->next = heap->slabs;
    heap->slabs = slab;
    heap->cursor = slab->data;
    heap->end = slab->data + bytes;
    POISON(slab->data, bytes);
}

void *fl__heap_alloc(fl__heap *heap, size_t size)
{
    size_t class = class_of(size), bytes = class * HEAP_CLASS_BYTES;
    heap->live += bytes;
    if (class > HEAP_CLASSES)
        return alloc_large(heap, size);
    void *p = heap->free_cells[class];
    if (p) {
        UNPOISON(p, bytes);
        memcpy(&heap->free_cells[class], p, sizeof(void *));
    } else {
        if ((size_t)(heap->end - heap->cursor) < bytes)
            new_slab(heap);
        p = heap->cursor;
        heap->cursor += bytes;
        UNPOISON(p, bytes);
    }
#ifdef __SANITIZE_ADDRESS__
    POISON((char *)p + size, bytes - size); /* what was not asked for */
#endif
    return p;
}

void fl__heap_free(fl__heap *heap, void *p, size_t size)
{
    if (!p)
        return;
    size_t class = class_of(size), bytes = class * HEAP_CLASS_BYTES;
    fl_assert(heap->live >= bytes);
    heap->live -= bytes;
    if (class > HEAP_CLASSES) {
        large_cell *cell = (large_cell *)p - 1;
        fl_assert(cell->size == sizeof *cell + size);
        cell->link.previous->next = cell->link.next;
        cell->link.next->previous = cell->link.previous;
        fl__free(heap->memory, cell, cell->size);
        return;
    }
    UNPOISON(p, bytes);
    push_free_cell(heap, p, class);
}

size_t fl__heap_live(const fl__heap *heap)
{
    return heap->live;
}
