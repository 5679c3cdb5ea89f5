/* Keyed state of one operator: all declared states of a key lie in one entry of one table.
 *
 *   entry: | key | (present u32) | (timers u32) | state | state | …      offsets: fl__keyed_state.offset
 *
 * Value, reducing and aggregating states lie in the entry as they are; a list or a map has a handle of 16 bytes there
 * and its elements in the heap. Bit i of present says whether state i has content. An operator with a single state and
 * no timers has no present word: its entry exists exactly while the state has content. The timers word, laid out only
 * for operators with timers, counts the records of the timer queues that name this entry. An entry with nothing
 * present and no timers is removed.
 *
 * One call of a user function:
 *
 *   fl__keyed_set_key (stores only) → the function uses states → fl__keyed_end_call (settles)
 *
 * The entry is looked up at the first access (ctx->entry) and made at the first that changes something.
 *
 * Lifetime. A user function may assign a string from anywhere to a state's value. Values with pointers that were handed
 * out for writing are logged with their bytes of before; when the call ends, what changed is copied into the heap (all
 * of it) before anything old is freed: values may have taken strings from each other, from cleared states, from removed
 * elements. Memory taken out of use during a call is therefore only noted (garbage) and freed when the call ends.
 *
 * Snapshots (to come) claim pages: every change goes through fl__table_touch first; fl__keyed_next and fl__keyed_read_…
 * give the logical content by key group. One thread. */
#ifndef FL_STATE_KEYED_H
#define FL_STATE_KEYED_H

#include "flinc/state.h"
#include "state/table.h"

#define FL__STATES_MAX 32
#define FL__NO_OFFSET UINT32_MAX

typedef struct fl__keyed fl__keyed;
typedef struct fl__timers fl__timers;

/* What a user function's context leads to: state, timers, and a way to fail the task from below. */
typedef struct fl__function {
    fl__keyed *keyed;                /* NULL: the operator has no keyed state */
    fl__timers *timers;              /* NULL: none */
    struct fl__broadcast *broadcast; /* NULL: the operator has no broadcast state */
    bool is_broadcast_side;          /* a record of the broadcast side is at hand: no current key, no timers */
    void *owner;
    void (*fail)(void *owner, fl_status status,
        const char *text); /* fails the task, naming the operator; the first failure counts */
    void *scratch;         /* what calls that failed give the user to write to; zeroed */
    size_t scratch_size;
} fl__function;

void fl__function_init(
    fl__function *function, void *owner, void (*fail)(void *owner, fl_status status, const char *text));
void fl__function_release(fl__function *function);
/* Fails the task of the function that got this context. */
void fl__function_fail(const fl_context *ctx, fl_status status, const char *format, ...) FL_PRINTF(3, 4);

/* By what a state is known in messages and snapshots. */
static inline const char *fl__state_name(const fl_state *state)
{
    return state->name ? state->name : state->object_name ? state->object_name : "?";
}

/* What a list has in the entry. */
typedef struct fl__list_handle {
    char *data;
    uint32_t count, capacity; /* elements */
} fl__list_handle;

/* A declared state as it was laid out. */
typedef struct fl__keyed_state {
    const fl_state *declared;
    fl_state_kind kind;
    uint32_t offset;   /* in the entry */
    uint32_t size;     /* in the entry */
    uint32_t bit;      /* of the present word */
    bool is_flat;      /* value, element or accumulator without pointers */
    fl__layout layout; /* of it */
    /* maps */
    fl__key map_key;
    fl__layout map_key_layout;
    uint32_t cell_size, value_offset;
} fl__keyed_state;

/* A value that was handed out for writing during this call: of state, in cell (list element, map cell; 0). */
typedef struct fl__touched {
    uint32_t state, cell;
    uint32_t old; /* its bytes before: offset in keyed->old */
} fl__touched;

/* Taken out of use during this call. layout NULL: memory p of the heap; else a value whose pieces go, its bytes at
 * old. */
typedef struct fl__garbage {
    const fl__layout *layout;
    void *p;
    size_t size, old;
} fl__garbage;

struct fl__keyed {
    fl__table table;
    fl__memory *memory;
    fl__heap *heap; /* of the values; NULL when all are flat */
    uint64_t hash;  /* of the current key, while it is not looked up */
    uint32_t ref;   /* of the current entry, during a call that has looked it up; else FL__NO_REF */
    uint32_t present_offset, timers_offset; /* FL__NO_OFFSET: not laid out */
    bool is_unsettled;                      /* the call's end has something to do */
    bool maybe_empty;
    bool is_gone; /* without a present word: the current entry's state has no content; the call's end removes it */
    uint32_t id_count, *offsets; /* by fl_state.id: (index + 1) << 26 | offset; 0: not one of these */
    uint32_t state_count;
    fl__keyed_state *states;
    uint32_t touched_count, touched_capacity;
    fl__touched *touched;
    uint32_t *touched_index; /* by (state, cell), once there are many; open addressing, position + 1 */
    uint32_t touched_slots;
    uint32_t garbage_count, garbage_capacity;
    fl__garbage *garbage;
    char *old;
    size_t old_size, old_capacity;
};

typedef struct fl__keyed_options {
    fl__memory *memory;      /* account */
    const fl__key *key;      /* type and class of the keys */
    fl_state *const *states; /* must outlive the keyed state */
    size_t state_count;
    bool with_timers;
    uint32_t max_parallelism;
} fl__keyed_options;

/* FL_ERROR_INVALID: a state listed twice, two of one name, a map whose key cannot be hashed, a missing function, more
 * than FL__STATES_MAX: the text names the state. Gives every state its process-wide id. Any thread. */
fl_status fl__keyed_new(fl__keyed **keyed, const fl__keyed_options *options, fl_error *error) FL_MUST_USE;
void fl__keyed_free(fl__keyed *keyed); /* NULL: nothing */

/* The record's key: what state and timers mean from now on. key: in the record or in scratch memory; must stay until
 * fl__keyed_end_call. */
static inline void fl__keyed_set_key(fl__keyed *keyed, fl_context *ctx, uint64_t hash, const void *key)
{
    ctx->key = key;
    ctx->entry = NULL;
    keyed->hash = hash;
    keyed->ref = FL__NO_REF;
}
/* The same for the key of an entry. */
void fl__keyed_set_ref(fl__keyed *keyed, fl_context *ctx, uint32_t ref);

void fl__keyed_settle(fl__keyed *keyed, fl_context *ctx);
/* The user function returned: adopts what it assigned, removes the entry when nothing is left in it. */
static inline void fl__keyed_end_call(fl__keyed *keyed, fl_context *ctx)
{
    if (keyed->is_unsettled)
        fl__keyed_settle(keyed, ctx);
    keyed->ref = FL__NO_REF;
}
/* Clears all states of all keys, which have no timers. Between calls. Cost: the table's pages. */
void fl__keyed_clear(fl__keyed *keyed, fl_context *ctx);
/* Are the keys so many that a batch's loop should prefetch? */
static inline bool fl__keyed_is_large(const fl__keyed *keyed)
{
    return fl__table_is_large(&keyed->table);
}

/* ---- for timers ---- */

/* The current key's entry (made when missing) gets one more timer record. Returns its reference. */
uint32_t fl__keyed_timer_added(fl__keyed *keyed, fl_context *ctx);
/* The current key's entry, FL__NO_REF when it has no timer. */
uint32_t fl__keyed_timer_entry(fl__keyed *keyed, fl_context *ctx);
/* One timer record of the entry is gone: the entry too when it was the last and nothing is present (at the end of the
 * call when it is the current one). */
void fl__keyed_timer_gone(fl__keyed *keyed, uint32_t ref);

/* ---- reading everything: snapshots, savepoints, apply-to-all-keys. Between calls of user functions. ---- */

typedef struct fl__keyed_entry {
    const void *key;
    const char *data; /* for fl__keyed_read_… */
    uint32_t ref;
} fl__keyed_entry;

/* Walks the entries of a key group: uint64_t c = 0; while (fl__keyed_next(keyed, group, &c, &entry)) … */
bool fl__keyed_next(const fl__keyed *keyed, uint32_t group, uint64_t *cursor, fl__keyed_entry *entry);
bool fl__keyed_read_has(const fl__keyed *keyed, const fl__keyed_entry *entry, uint32_t state);
/* Value, reducing: the value; aggregating: the accumulator. NULL: none. */
const void *fl__keyed_read_value(const fl__keyed *keyed, const fl__keyed_entry *entry, uint32_t state);
size_t fl__keyed_read_list(const fl__keyed *keyed, const fl__keyed_entry *entry, uint32_t state, const void **elements);
/* size_t c = 0; while (fl__keyed_read_map(…, &c, &key, &value)) … */
bool fl__keyed_read_map(const fl__keyed *keyed, const fl__keyed_entry *entry, uint32_t state, size_t *cursor,
    const void **key, const void **value);

#endif
