/* Random pipelines: a plan drawn from a seed, what must come out of it (worked out naively, while it is drawn), and the
 * same plan built through the public API.
 *
 * Every record is an Item whose name, small and text follow from its key and id, so that a damaged string shows
 * wherever it arises. What a plan promises is known stream by stream:
 *
 *   keyed_order  the records of a key lie in one subtask, in the order of the reference: operators that depend on order
 * may follow timed        all records have timestamps timely       no record is behind a watermark that went before it:
 * nothing may be late in_band      one subtask, one channel: records and watermarks come exactly in the order of the
 * reference, so that even what is late is known final_only   a rolling result without an order: only its number and
 * each key's last value are known */
#ifndef SIMULATION_PIPELINE_H
#define SIMULATION_PIPELINE_H

#include <flinc.h>

#include "api/api.h"

typedef struct Item {
    int64_t id, key, value, at;
    int32_t small;
    fl_string name, text;
} Item;

enum { NODES_MAX = 24, SUBTASKS_MAX = 4, ROWS_MAX = 2500 };

/* A record of the reference. */
typedef struct record {
    int64_t id, key, value, at;
    fl_time timestamp;
    fl_time watermark; /* in_band: the one that came before it */
} record;

typedef struct records {
    record *items;
    size_t count, capacity;
} records;

typedef enum node_kind {
    NODE_SOURCE,
    NODE_WATERMARKS,
    NODE_MAP,
    NODE_FILTER,
    NODE_FLAT_MAP,
    NODE_SPLIT,     /* process with a side output, which is the next node */
    NODE_SIDE,      /* side output of the node before */
    NODE_RESUMABLE, /* an operator that stops in the middle of a batch when its output is blocked */
    NODE_ASYNC,     /* answers at once, later or too late; in order when `first` */
    NODE_CONNECT,   /* co_flat_map */
    NODE_ROLLING,
    NODE_REDUCE,
    NODE_FOLD,
    NODE_PROCESS, /* keyed, with state and timers */
    NODE_CO_PROCESS,
    NODE_WINDOW,
    NODE_INTERVAL_JOIN,
    NODE_BROADCAST, /* keyed data beside rules; what a timer emits depends on the rules up to its time */
    NODE_KINDS
} node_kind;

typedef enum edge_kind {
    EDGE_PLAIN, /* forward, or rebalance when parallelisms differ */
    EDGE_REBALANCE,
    EDGE_RESCALE,
    EDGE_SHUFFLE,
    EDGE_BROADCAST,
    EDGE_GLOBAL,
    EDGE_CUSTOM,
    EDGE_HASH, /* key_by, and then an operator that is not keyed */
    EDGE_KINDS
} edge_kind;

typedef enum key_kind { KEY_INT64, KEY_STRING, KEY_INT32, KEY_TUPLE, KEY_INDEX, KEY_SELECTOR, KEY_KINDS } key_kind;

typedef enum window_function {
    WINDOW_AGGREGATE,
    WINDOW_APPLY,
    WINDOW_SUM,
    WINDOW_REDUCE,
    WINDOW_MAX_BY,
    WINDOW_FUNCTIONS
} window_function;

/* aligned: tumbling and sliding, size and slide in ms; session: size is the gap; count: size and slide in records */
typedef enum window_shape { SHAPE_ALIGNED, SHAPE_SESSION, SHAPE_COUNT } window_shape;

/* What a source subtask does, one thing after the other. */
typedef struct action {
    enum { ACTION_RECORD, ACTION_WATERMARK, ACTION_PAUSE, ACTION_YIELD, ACTION_IDLE } kind;
    record record;
    int64_t value; /* watermark, or ms to pause */
} action;

typedef struct node {
    int number;
    node_kind kind;
    int in[3], in_count;
    edge_kind edges[3];
    key_kind key;
    int parallelism;
    fl_chaining chaining;
    uint64_t salt;
    bool keyed_order, timed, timely, in_band, final_only, is_consumed;
    bool by_order; /* what the function computes depends on the order of its input */
    int fan_out;
    fl_rolling rolling;
    bool first;
    bool with_timers;
    fl_time bucket;
    int64_t size, slide, offset, lateness;
    int64_t lower, upper; /* interval join */
    fl_join_kind join;
    window_function function;
    window_shape shape;
    bool has_late; /* the window's late records are the next node */
    int64_t disorder;
    bool is_punctuated;
    action *script[SUBTASKS_MAX];
    size_t script_count[SUBTASKS_MAX];
    records rows;
    /* its sink; sink_parallelism 0: none */
    int sink_parallelism;
    edge_kind sink_edge;
    fl_chaining sink_chaining;
    /* of the run at hand */
    fl_stream *stream;
    struct sink *sink;
} node;

typedef struct plan {
    uint64_t seed, random;
    int node_count, max_parallelism;
    bool chaining;
    node nodes[NODES_MAX];
} plan;

/* ---- what both sides compute (functions.c) ---- */

uint64_t mix(uint64_t x);
static inline int64_t mix2(int64_t a, uint64_t b)
{
    return (int64_t)(mix((uint64_t)a * 31 + b) >> 8);
}
enum { TEXT_MAX = 4096 };
fl_string text_of(int64_t id, char buffer[TEXT_MAX]);
fl_string name_of(int64_t key, char buffer[64]);
static inline int32_t small_of(int64_t key)
{
    return (int32_t)(key * 7 - 3);
}
/* The copy-th record that a function with this salt makes of one. */
record derived(const record *in, uint64_t salt, int copy);
static inline bool is_kept(int64_t id, uint64_t salt)
{
    return mix((uint64_t)id ^ salt) % 4 != 0;
}
static inline int copies_of(int64_t id, const node *n)
{
    return (int)(mix((uint64_t)id ^ n->salt) % (uint64_t)(n->fan_out + 1));
}
static inline fl_time bucket_end(fl_time timestamp, fl_time bucket)
{
    return (timestamp / bucket + 1) * bucket;
}
/* A window's content, record by record; commutative unless by_order. */
typedef struct content {
    int64_t id, value, at, count;
} content;
FL_ROW(content, id, value, at, count);
void content_add(content *c, const record *in, bool by_order);
/* What the window's function emits. */
record content_result(const content *c, int64_t key, fl_time start, fl_time end, bool has_range);

/* What an interval join makes of two records; one of them may be NULL. */
record joined(const record *left, const record *right, uint64_t salt);

/* ---- plans ---- */

void plan_draw(plan *p, uint64_t seed);
void plan_release(plan *p);
void plan_print(const plan *p);
/* Makes the environment's graph; every node's stream and sink are set. Sinks are freed by the caller. */
void plan_build(plan *p, fl_env *env);
/* Source rows in, keyed by what (for build) */
uint64_t draw(plan *p, uint64_t n);
void records_add(records *r, record one);

/* ---- operators (operators.c) ---- */

/* What came out of one node, by subtask of the sink: each written by its own task only. */
typedef struct sink {
    const node *node;
    struct {
        records rows;
        fl_time watermark;
        const char *wrong; /* first thing that must never happen */
        record wrong_at;
    } subtasks[SUBTASKS_MAX];
} sink;

extern const fl__operator_class script_source_class, sink_class, resumable_class;
void sink_free(sink *s);
fl_stream *build_node(plan *p, node *n, fl_env *env);

/* ---- faults (faults.c): bugs put in on purpose, to prove that they are found ---- */

int fault_count(void);
const char *fault_name(int fault);
/* -1: none. */
void fault_set(int fault);

#endif
