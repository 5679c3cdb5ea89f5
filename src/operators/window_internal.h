/* Inside of the window operators: time cut into panes, and what the two kinds of content (window_pane.c, window_list.c)
 * give to those that use them: windows made of panes (window.c) and the general path (window_general.h). */
#ifndef FL_OPERATORS_WINDOW_INTERNAL_H
#define FL_OPERATORS_WINDOW_INTERNAL_H

#include "operators/window.h"
#include "state/keyed.h"
#include "stream/task.h"

typedef struct fl__window_operator fl__window_operator;

/* How time is cut, worked out once from an assigner. Windows are numbered along the time line: window w is
 * [w·slide + offset, w·slide + offset + size). Edges of windows cut time into panes:
 *
 *   slide divides size (tumbling too): a pane per slide          | 0 | 1 | 2 | 3 | 4 |      window 1 = panes 1 … 3
 *   else: two per slide, cut at size mod slide                   |0|1 |2|3 |4|5 |6|7 |      window 1 = panes 2 … 6
 *   slide > size (sampling): the second one is in no window      |0|1     |2|3     |        window 1 = pane 2
 *
 * ("Paired windows", Krishnamurthy, Wu and Franklin 2006: at most two panes a slide, where panes of gcd(size, slide)
 * would be thousands for 10 s and 9.999 s.) */
typedef struct fl__window_grid {
    int64_t size, slide, offset; /* 0 ≤ offset < slide */
    int64_t rest;                /* size mod slide: where the second pane of a slide begins; 0: there is none */
    int64_t panes_per_slide;     /* 1 or 2 */
    int64_t panes_per_window;
} fl__window_grid;

/* A slice of time and what it holds by key: of a pane, or, when contents cannot be combined, of a whole window. */
typedef struct fl__window_pane {
    int64_t number; /* of the pane or window */
    fl__table table;
    fl__heap *heap; /* owns what entries point to, when the table has none of its own; NULL: entries are flat */
    struct fl__window_pane *next_free;
} fl__window_pane;

/* What a window keeps by key. */
typedef struct fl__window_function {
    /* Sets entry layout (fl__window_operator's "set by open"). */
    void (*open)(fl__window_operator *w);
    /* Adds rows [from, to) of the batch to the pane. */
    void (*add)(fl__window_operator *w, fl__window_pane *pane, const fl__batch *batch, uint32_t from, uint32_t to);
    /* Combines the other pane's entry of the same key into entry, which is a shallow copy of the earlier pane's: what
     * it points to is borrowed. Only called when can_combine. */
    void (*combine)(fl__window_operator *w, char *entry, const char *other);
    /* Emits the entry's result for the window at hand. */
    void (*emit)(fl__window_operator *w, const char *entry);
} fl__window_function;
extern const fl__window_function fl__window_incremental; /* window_pane.c */
extern const fl__window_function fl__window_elements;    /* window_list.c */

/* The rows at hand: where consecutive timestamps fall into the same pane nothing has to be looked up. */
typedef struct fl__window_run {
    fl_time low;                             /* timestamps t with t - low < span are of this pane */
    uint64_t span;                           /* 0: no run */
    int64_t pane, first_window, last_window; /* the windows with this pane; none when first > last */
    bool is_open;                            /* none of the windows has fired */
    fl__window_pane *table;                  /* the pane's own, when it is known */
} fl__window_run;

struct fl__window_operator {
    fl__operator op;
    const fl__window_config *config;
    const fl__window_function *function;
    fl__window_grid grid;
    bool is_processing_time;
    bool is_combining; /* a table per pane, windows combine them; else a table per window */
    fl_time allowed_lateness;
    fl__keyed *keyed; /* states of the window function, across windows; NULL: it has none */
    fl_time time;     /* windows with maxTimestamp ≤ time have fired: the watermark, or the clock - 1 */

    /* set by function->open */
    uint32_t entry_size, content_offset, key_offset;
    uint32_t order_offset; /* of the u64 that tells which record came first; 0: entries have none */
    bool owns_pieces;      /* contents point to memory of their own: panes need a heap */
    bool keeps_timestamps; /* lists do */
    fl__key_class class;   /* FL__KEY_GENERIC when the key has to be extracted */
    void (*add)(fl__window_operator *w, fl__window_pane *pane, const fl__batch *batch, uint32_t from, uint32_t to);

    /* general path: one row into one value */
    void (*add_value)(fl__window_operator *w, fl__window_pane *pane, char *value, const char *row);

    fl__window_pane **panes; /* live ones, ascending numbers */
    size_t pane_count, pane_capacity;
    fl__window_pane *free; /* cleared, for reuse */
    size_t free_count;
    uint64_t expected; /* entries of the last table dropped */
    fl__window_run run;
    int64_t next_window; /* those before have fired, or fire with each late record */
    uint64_t order;      /* records so far */

    /* firing, to be gone on with after FL_AGAIN */
    bool is_firing;
    int64_t firing;            /* window */
    fl__window_pane *contents; /* its table: a live pane or `combined` */
    uint64_t cursor;
    fl__window_pane *combined; /* of several panes: scratch, borrows from them */

    fl_window_range range; /* of the window at hand */
    fl_time max_timestamp;
    /* states by key and window, of functions that have them: the general path only */
    fl__keyed *window_keyed; /* NULL: none */
    fl_context window_ctx;   /* whose key is the number of the window at hand */
    fl__function window_function;
    int64_t window_number;
    fl__layout content_layout, row_layout;
    void *key_scratch, *content_scratch, *result;
    size_t result_size;
    char *late_entry;
    fl_counter *late_dropped; /* the metric numLateRecordsDropped */
};

static inline fl__window_operator *fl__window_of(fl__operator *op)
{
    return (fl__window_operator *)op;
}

/* The table's heap for what contents point to. */
static inline fl__heap *fl__window_heap(const fl__window_pane *pane)
{
    return pane->table.heap ? pane->table.heap : pane->heap;
}

static inline int64_t fl__saturate(__int128 x)
{
    return x > INT64_MAX ? INT64_MAX : x < INT64_MIN ? INT64_MIN : (int64_t)x;
}

/* Gives a result to the window function, or emits it. key: of the key type. */
void fl__window_pass_on(fl__window_operator *w, const void *rows, size_t count, uint32_t row_size, const void *key);
/* A record that no window took: counted or to the side output when it is late; dropped silently when it is not (there
 * was no window for it). */
void fl__window_nowhere(fl__window_operator *w, const fl__batch *batch, uint32_t i, fl_time watermark);
/* The pane of this number, made when missing. Its pointer holds until it is dropped. */
fl__window_pane *fl__window_get_pane(fl__window_operator *w, int64_t number);
/* Processing time: when the first window with records ends. */
void fl__window_set_timer(fl__window_operator *w);
/* window_snapshot.c */
void fl__window_snapshot(fl__operator *op, fl__snapshot *to);
fl_status fl__window_restore(fl__operator *op, fl__restored *from, fl_error *error);
/* Fails the task: a record has no timestamp. */
fl_status fl__window_no_timestamp(fl__operator *op);
/* What both operators open and release: layouts, scratch memory, states of the window function. */
fl_status fl__window_open(fl__window_operator *w, fl_error *error) FL_MUST_USE;
void fl__window_close(fl__window_operator *w);

void fl__window_grid_init(fl__window_grid *grid, const fl_window_assigner *assigner);
/* As fl__window_assign. */
size_t fl__window_grid_assign(const fl__window_grid *grid, fl_time timestamp, fl_window_range *windows, size_t max);

static inline int64_t fl__saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}

/* ---- one incremental value (window_pane.c); what it points to lies in the pane's heap ---- */

/* Sets content_layout, add_value and the scratch memory that the following need. */
void fl__window_values_open(fl__window_operator *w);
/* A new value. True when the row is in it already. row NULL: without any (aggregate and fold only). */
bool fl__window_value_start(fl__window_operator *w, fl__window_pane *pane, char *value, const char *row);
/* Combines other, which goes, into value. */
void fl__window_value_merge(fl__window_operator *w, fl__window_pane *pane, char *value, char *other);
void fl__window_value_emit(fl__window_operator *w, const char *value, const void *key);
void fl__window_value_drop(fl__window_operator *w, fl__window_pane *pane, char *value);

/* ---- all rows of a window (window_list.c) ---- */

/* In order of arrival. One piece of the heap: | timestamps, when they are kept | rows | */
typedef struct fl__window_list {
    char *rows;
    uint32_t count, capacity;
} fl__window_list;

void fl__window_list_add(
    fl__window_operator *w, fl__heap *heap, fl__window_list *list, const char *row, fl_time timestamp);
/* Appends the rows of other, which is empty afterwards. */
void fl__window_list_merge(fl__window_operator *w, fl__heap *heap, fl__window_list *list, fl__window_list *other);
void fl__window_list_drop(fl__window_operator *w, fl__heap *heap, fl__window_list *list);
/* Removes the rows marked in evict. */
void fl__window_list_evict(fl__window_operator *w, fl__heap *heap, fl__window_list *list, const bool *evict);
/* When w->keeps_timestamps. */
static inline fl_time *fl__window_list_timestamps(const fl__window_list *list)
{
    return (fl_time *)(void *)(list->rows - (size_t)list->capacity * sizeof(fl_time));
}

#endif
