/* One accounting allocator. Every byte that rows, state and network take is counted in an account; accounts form a tree
 * (process → job → task). An allocation that the system refuses aborts the process with a message: a worker's abort is
 * a task failure. Limits are checked by those who can do something about them (fl__memory_over).
 *
 * Arenas: memory that goes all at once (a graph, a plan, a batch of work). */
#ifndef FL_BASE_MEMORY_H
#define FL_BASE_MEMORY_H

#include "flinc/base.h"

#include <stdatomic.h>

typedef struct fl__memory {
    const char *name;
    struct fl__memory *parent; /* NULL at the root */
    _Atomic int64_t used;      /* bytes, children's included */
    int64_t limit;             /* bytes; 0: none */
} fl__memory;

/* The process' account: parent of all. */
extern fl__memory fl__memory_process;

void fl__memory_init(fl__memory *memory, const char *name, fl__memory *parent, int64_t limit);
static inline int64_t fl__memory_used(fl__memory *memory)
{
    return atomic_load_explicit(&memory->used, memory_order_relaxed);
}
/* Is this account or one above it past its limit? */
bool fl__memory_over(fl__memory *memory);

/* size bytes (0 gives a unique pointer), aligned to 16 (alloc) or to align (a power of two). Never NULL. The account
 * may be NULL: the process' own. Free with the same size and account. Any thread. */
void *fl__alloc(fl__memory *memory, size_t size);
void *fl__alloc_zero(fl__memory *memory, size_t size);
void *fl__alloc_aligned(fl__memory *memory, size_t align, size_t size);
void *fl__realloc(fl__memory *memory, void *p, size_t old_size, size_t size);
void fl__free(fl__memory *memory, void *p, size_t size);

typedef struct fl__arena_chunk fl__arena_chunk;
typedef struct fl__arena {
    fl__memory *memory;
    fl__arena_chunk *chunk; /* newest first */
    char *cursor, *end;
} fl__arena;

void fl__arena_init(fl__arena *arena, fl__memory *memory);
void fl__arena_release(fl__arena *arena);
/* Zeroed, aligned to 16, never NULL. */
void *fl__arena_alloc(fl__arena *arena, size_t size);
char *fl__arena_strdup(fl__arena *arena, const char *text); /* NULL gives NULL */
char *fl__arena_printf(fl__arena *arena, const char *format, ...) FL_PRINTF(2, 3);
void *fl__arena_memdup(fl__arena *arena, const void *data, size_t size);

/* A heap of variable-length values for state: size classes of 16 bytes up to 1 KiB from slabs, above that the system.
 * One thread. Everything goes with fl__heap_release. */
typedef struct fl__heap fl__heap;
fl__heap *fl__heap_new(fl__memory *memory);
void fl__heap_free_all(fl__heap *heap); /* the heap too */
void *fl__heap_alloc(fl__heap *heap, size_t size);
void fl__heap_free(fl__heap *heap, void *p, size_t size); /* the size asked for; p NULL: nothing */
/* Bytes allocated and not freed, in whole size classes. */
size_t fl__heap_live(const fl__heap *heap);

#endif
