/* From program to plan: the stream graph (a node per operator, as the program wrote it), the job graph (nodes chained
 * into vertices), the execution graph (a vertex per parallelism). Immutable once built; running state lives in tasks.
 */
#ifndef FL_GRAPH_GRAPH_H
#define FL_GRAPH_GRAPH_H

#include "base/error.h"
#include "base/memory.h"
#include "flinc/env.h"
#include "stream/operator.h"

typedef struct fl__node fl__node;

/* An edge of the stream graph. */
typedef struct fl__edge {
    fl__node *from, *to;
    const fl_tag *tag; /* of the side output read; NULL: main output */
    unsigned input;    /* of `to`: 0 or 1 */
    fl_partitioning partitioning;
    const fl__key *key; /* FL_HASH: by this; FL_CUSTOM: the key the partitioner gets, or NULL for the whole record */
    fl_partition_fn partitioner;
    void *partitioner_arg;
    const fl_type *type; /* of the rows */
    bool has_timestamps;
    bool is_asked;    /* the program asked for this partitioning */
    bool is_chained;  /* decided by fl__graph_chain */
    bool is_blocking; /* BATCH: `to` starts when `from` has ended; rows wait in between */
    struct fl__edge *next_in, *next_out;
} fl__edge;

struct fl__node {
    fl__operator_spec spec; /* what its operators are made from */
    bool is_source;
    bool is_unbounded;    /* source: may never end */
    bool is_parallel;     /* false: parallelism is 1 whatever is asked for by default */
    int parallelism;      /* 0 until resolved */
    bool parallelism_set; /* by the operator itself */
    int max_parallelism;  /* 0 until resolved */
    fl_chaining chaining;
    const char *slot_sharing_group; /* NULL until resolved */
    bool has_timestamps;            /* does what it emits carry timestamps */
    fl__edge *in, *out;             /* lists, in the order of the program */
    struct fl__vertex *vertex;
    fl__node *next;
};

/* A vertex of the job graph: a chain (tree) of nodes run by one task per subtask. */
typedef struct fl__vertex {
    int id; /* from 0, sources first (topological) */
    fl__node *root;
    int parallelism, max_parallelism;
    const char *name; /* "Source: a -> Map -> Sink: b", as Flink names chains */
    const char *slot_sharing_group;
    int stage;       /* BATCH: tasks of stage n start when all of stage n - 1 have ended; else 0 */
    char hex_id[33]; /* 32 hex digits: from uid or position, the same in every process */
    struct fl__vertex *next;
} fl__vertex;

/* What the program asked for slots of a group. */
typedef struct fl__slot_group {
    const char *name;
    double cpu_cores;
    int64_t heap_bytes, off_heap_bytes, managed_bytes;
    fl_where where;
    struct fl__slot_group *next;
} fl__slot_group;

typedef struct fl__graph {
    fl__arena *arena;
    fl__node *nodes, **nodes_end;
    int node_count;
    fl__vertex *vertices; /* after fl__graph_chain */
    int vertex_count;
    fl__slot_group *slot_groups; /* those with resources, in the order of the program */
    fl_error *error;             /* sticky: the environment's */
    bool chaining_enabled;
    fl_runtime_mode mode;                             /* as asked for */
    bool is_pipelined;                                /* BATCH without blocking exchanges */
    bool is_batch;                                    /* decided by fl__graph_chain */
    bool is_planned;                                  /* for is_batch: nodes were changed for it */
    int stage_count;                                  /* ≥ 1 after fl__graph_chain */
    int default_parallelism, default_max_parallelism; /* max 0: from the parallelism */
} fl__graph;

void fl__graph_init(fl__graph *graph, fl__arena *arena, fl_error *error);
/* A new node: copies spec, id and name given. */
fl__node *fl__graph_add(fl__graph *graph, const fl__operator_spec *spec);
/* An edge; copied into both lists. */
fl__edge *fl__graph_connect(fl__graph *graph, const fl__edge *edge);
/* Checks the graph (uids unique, parallelism ≤ max, forward edges of equal parallelism, no sink: error), resolves
 * parallelism and slot groups, and chains nodes into vertices as Flink's StreamingJobGraphGenerator does: forward edge,
 * equal parallelism, one input, same slot sharing group, neither side says no, chaining enabled. */
fl_status fl__graph_chain(fl__graph *graph) FL_MUST_USE;
/* The two halves of it that concern BATCH mode. Before parallelisms are resolved: is the job to run in BATCH? Checks
 * that it can, and puts the operators' batch classes in place. */
fl_status fl__graph_prepare_batch(fl__graph *graph) FL_MUST_USE;
/* Between resolution and chaining: puts combiners before the keyed exchanges of aggregations. */
void fl__graph_add_combiners(fl__graph *graph);
/* After chaining: decides which edges block, and the stages of the vertices. */
void fl__graph_plan_stages(fl__graph *graph);
/* 64-bit fingerprint: node ids, kinds, type layouts, partitioning, ABI. */
uint64_t fl__graph_fingerprint(const fl__graph *graph);
char *fl__graph_json(const fl__graph *graph, const char *job_name); /* free() */
char *fl__graph_text(const fl__graph *graph, const char *job_name);

#endif
