/* The general path: windows of any shape, with triggers, evictors, merging and state of their own. One object per key
 * and window, as in Flink:
 *
 *   table of keys                               windows, numbered; they never move
 *   | key | first | one window inside | ───▶  | start end … next | value or list | trigger | ──▶ earlier window …
 *
 *   queues (event time, processing time): … (time, number) …
 *
 * The window inside of the key's entry is used first: nearly all keys have one window, which then lies where the
 * look-up has led anyway (a second place for it took twice the time over 100,000 keys). Its number is the entry's
 * reference with the highest bit set.
 *
 * A key's windows are a list, latest first; nearly always of one or two. A window's item in a queue is a hint (see
 * window_queue.h). With the default trigger ("implicit") a window has one item: no later than when it is due next. A
 * session that grows leaves its item alone; when that comes out too early, it is put in anew. Other triggers register
 * timers: a list per window says which ones hold, whatever the queue says.
 *
 * Semantics: Flink's WindowOperator, EvictingWindowOperator and MergingWindowSet. */
#ifndef FL_OPERATORS_WINDOW_GENERAL_H
#define FL_OPERATORS_WINDOW_GENERAL_H

#include "operators/window_internal.h"
#include "operators/window_queue.h"
#include "state/timers.h"

/* Followed by the content (at content_offset) and what the trigger remembers (at trigger_offset). */
typedef struct fl__window_object {
    fl_time start, end;
    fl_time armed;   /* implicit trigger: time of its item in the queue; FL_TIME_MIN: it has none */
    uint32_t key;    /* reference of its key's entry */
    uint32_t next;   /* the key's next window, earlier by (start, end); FL__NO_REF: none. Not in use: the next such */
    uint32_t timers; /* the first of those that the trigger registered, and of the clean-up's; FL__NO_REF: none */
    bool is_used;    /* inside of an entry: it is a window of the key */
    bool has_content;
    bool has_fired; /* implicit trigger: at maxTimestamp; what is next is the clean-up */
} fl__window_object;

typedef struct fl__window_timer {
    fl_time time;
    uint32_t next;
    uint32_t domain;
} fl__window_timer;

typedef struct fl__window_general fl__window_general;

/* The short way of a record whose key has one session, which it keeps open. entry: perhaps its key's. time: timestamp
 * or clock. False: nothing was done, the record goes the general way. */
typedef bool (*fl__window_extend)(fl__window_general *g, char *entry, const char *row, fl_time timestamp, fl_time time);

/* The windows of the record at hand. */
struct fl_windows {
    fl__window_general *g;
    fl_window_range *ranges;
    uint32_t count, capacity;
};

struct fl__window_general {
    fl__window_operator w;  /* its panes stay unused */
    fl__time_domain domain; /* in which windows end */
    fl_time time[2];        /* by domain: what has passed: the watermark, the clock - 1 */
    fl_trigger trigger;
    bool is_implicit;
    uint32_t window_size, trigger_offset, trigger_size;
    uint32_t layer_offset[FL_TRIGGER_LAYERS_MAX]; /* behind trigger_offset */

    fl__table keys;
    uint32_t first_offset;  /* in a key's entry: its latest window */
    uint32_t inside_offset; /* in a key's entry: a window; 0: there is none, windows are large */
    uint64_t empty_keys;    /* entries without windows */
    char **chunks;          /* of the other windows */
    uint32_t chunk_count, chunk_capacity;
    uint32_t window_count; /* numbers given, free ones included */
    uint32_t free_window;
    fl__window_queue queue[2];
    fl__window_timer *timers;
    uint32_t timer_count, timer_capacity, free_timer;
    uint64_t live_timers[2];

    fl__window_pane pane; /* its heap: of all that values, lists and triggers point to */
    fl_windows windows;
    fl__window_extend extend; /* NULL: none */
    uint32_t at_hand;         /* window whose trigger is being called; FL__NO_REF: none */
    bool is_quiet;            /* BATCH: the key has ended, timers are registered no more */
    bool is_merging;          /* triggers forget windows whose timers are gone already: none is to be touched */
    uint32_t *merged;         /* numbers of the windows that a record merges, latest first */
    char **merged_states;
    uint32_t merged_capacity;
    char *merged_trigger;
    char *evicted_value; /* an incremental function's value over what an evictor left */
    bool *evict;
    size_t evict_capacity;
};

enum { FL__WINDOWS_PER_CHUNK = 256 };
#define FL__WINDOW_INSIDE 0x80000000u

static inline fl__window_general *fl__window_general_of(fl__operator *op)
{
    return (fl__window_general *)op;
}
static inline fl__window_object *fl__window_at(const fl__window_general *g, uint32_t number)
{
    if (FL_LIKELY(number & FL__WINDOW_INSIDE))
        return (fl__window_object *)(void *)(fl__table_entry(&g->keys, number & ~FL__WINDOW_INSIDE) + g->inside_offset);
    return (fl__window_object *)(void *)(g->chunks[number / FL__WINDOWS_PER_CHUNK] +
                                         (size_t)(number % FL__WINDOWS_PER_CHUNK) * g->window_size);
}
static inline char *fl__window_content_of(const fl__window_general *g, fl__window_object *window)
{
    return (char *)window + g->w.content_offset;
}
static inline fl__window_list *fl__window_list_of(const fl__window_general *g, fl__window_object *window)
{
    return (fl__window_list *)(void *)((char *)window + g->w.content_offset);
}
static inline char *fl__window_trigger_state(const fl__window_general *g, fl__window_object *window)
{
    return (char *)window + g->trigger_offset;
}
static inline const char *fl__window_key_of(const fl__window_general *g, const fl__window_object *window)
{
    return fl__table_entry(&g->keys, window->key) + g->keys.key_offset;
}
/* Flink's maxTimestamp; a window whose end lies past the end of time ends with the input. */
static inline fl_time fl__window_max_timestamp(fl_time end)
{
    return end == FL_TIME_MAX ? FL_TIME_MAX : end - 1;
}
/* From when on the window is gone (WindowOperator#cleanupTime); FL_TIME_MAX: never. */
static inline fl_time fl__window_cleanup_time(const fl__window_general *g, fl_time end)
{
    return fl__saturating_add(fl__window_max_timestamp(end), g->w.allowed_lateness);
}
/* The context's key while functions run that have no business with the window function's states. */
static inline const void *fl__window_shown_key(const fl__window_general *g, const fl__window_object *window)
{
    return g->w.keyed ? NULL : fl__window_key_of(g, window);
}

/* ---- windows of keys (window_general.c) ---- */

/* The reference of the key's entry; FL__NO_REF: there is none. insert: it is made then, without windows. */
uint32_t fl__window_find_key(fl__window_general *g, uint64_t hash, const void *key, bool insert);
/* The link to the latest window of a key. */
uint32_t *fl__window_first(const fl__window_general *g, uint32_t key);
/* A window of the key, put in at its place in the list; its number. */
uint32_t fl__window_make(fl__window_general *g, uint32_t key, uint32_t *link, fl_window_range range);
/* Implicit trigger: sees to it that the window is looked at when it is due next. */
void fl__window_arm(fl__window_general *g, uint32_t number);
/* Tells the task when the clock is to be looked at. */
void fl__window_general_set_timer(fl__window_general *g);

/* ---- checkpoints (window_general_snapshot.c) ---- */

void fl__window_general_snapshot(fl__operator *op, fl__snapshot *to);
fl_status fl__window_general_restore(fl__operator *op, fl__restored *from, fl_error *error);

/* ---- triggers (window_trigger.c) ---- */

/* Bytes that the trigger remembers per window; sets layer_offset. */
uint32_t fl__window_trigger_layout(fl__window_general *g);
/* A record was added to the window. */
fl_trigger_result fl__window_trigger_element(fl__window_general *g, uint32_t number, const void *row);
/* A timer of the window came. */
fl_trigger_result fl__window_trigger_time(fl__window_general *g, uint32_t number, fl__time_domain domain, fl_time time);
/* The window is now what several windows were: count trigger states, earliest window first. Its own state is zeroed, it
 * has no timers. */
void fl__window_trigger_merge(fl__window_general *g, uint32_t number, char *const *merged, uint32_t count);
/* Forgets everything about the window. state: the window's, or that of one merged into it. */
void fl__window_trigger_clear(fl__window_general *g, uint32_t number, char *state);

/* What the trigger remembers of a window, for a snapshot, and back; timers are not in it. state NULL: read over it. */
void fl__window_trigger_encode(const fl__window_general *g, char *state, fl__buffer *out);
fl_status fl__window_trigger_decode(fl__window_general *g, char *state, const fl__restored *from, fl__reader *in,
    fl__arena *scratch, fl_error *error) FL_MUST_USE;

void fl__window_register(fl__window_general *g, uint32_t number, fl__time_domain domain, fl_time time);
void fl__window_unregister(fl__window_general *g, uint32_t number, fl__time_domain domain, fl_time time);
/* Takes the timer out of the window's list; false: it does not hold any more. */
bool fl__window_take_timer(fl__window_general *g, fl__window_object *window, fl__time_domain domain, fl_time time);
/* Frees a list of timers. */
void fl__window_drop_timers(fl__window_general *g, uint32_t first);

/* ---- sessions (window_session.c) ---- */

/* The short way that these windows have; NULL: none. */
fl__window_extend fl__window_session_extend(const fl__window_general *g);

/* ---- evictors (window_evictor.c) ---- */

/* Evicts, gives the window's result, evicts. The window is at hand. */
void fl__window_evict_and_emit(fl__window_general *g, fl__window_object *window);

#endif
