/* Stream graph: nodes and edges as the program made them; chaining into vertices. */
#include "graph/graph.h"

#include "data/codec.h"
#include "stream/alignment.h"

#include "flinc/base.h"

#include <stdio.h>
#include <xxhash.h>

void fl__graph_init(fl__graph *graph, fl__arena *arena, fl_error *error)
{
    *graph = (fl__graph){
        .arena = arena,
        .error = error,
        .chaining_enabled = true,
        .default_parallelism = 1,
    };
    graph->nodes_end = &graph->nodes;
}

/* The program goes on building after its plan was asked for: that plan is no more. */
static void unchain(fl__graph *graph)
{
    graph->vertices = NULL;
    graph->vertex_count = 0;
}

fl__node *fl__graph_add(fl__graph *graph, const fl__operator_spec *spec)
{
    unchain(graph);
    fl__node *node = fl__arena_alloc(graph->arena, sizeof *node);
    node->spec = *spec;
    node->spec.id = ++graph->node_count;
    *graph->nodes_end = node;
    graph->nodes_end = &node->next;
    return node;
}

fl__edge *fl__graph_connect(fl__graph *graph, const fl__edge *edge)
{
    unchain(graph);
    fl__edge *e = fl__arena_memdup(graph->arena, edge, sizeof *edge);
    e->next_in = e->next_out = NULL;
    fl__edge **in = &e->to->in, **out = &e->from->out;
    while (*in)
        in = &(*in)->next_in;
    while (*out)
        out = &(*out)->next_out;
    *in = *out = e;
    return e;
}

/* ---- checks and resolution ---- */

static fl_status check_uids(fl__graph *graph)
{
    for (fl__node *a = graph->nodes; a; a = a->next) {
        for (fl__node *b = graph->nodes; a->spec.uid && b != a; b = b->next) {
            if (b->spec.uid && strcmp(a->spec.uid, b->spec.uid) == 0)
                return fl__error_set_at(graph->error, FL_ERROR_INVALID, a->spec.where,
                    "uid \"%s\" of operator %s is used already by operator %s (%s:%d); give each operator "
                    "a uid of its own",
                    a->spec.uid, a->spec.name, b->spec.name, b->spec.where.file ? b->spec.where.file : "?",
                    b->spec.where.line);
        }
    }
    return FL_OK;
}

static fl_status resolve_node(fl__graph *graph, fl__node *node)
{
    if (node->max_parallelism == 0)
        node->max_parallelism = graph->default_max_parallelism
                                    ? graph->default_max_parallelism
                                    : (int)fl__default_max_parallelism((uint32_t)node->parallelism);
    if (node->parallelism > node->max_parallelism)
        return fl__error_set_at(graph->error, FL_ERROR_INVALID, node->spec.where,
            "operator %s has parallelism %d, above its maximum of %d; lower it, or raise "
            "pipeline.max-parallelism or the operator's .max_parallelism",
            node->spec.name, node->parallelism, node->max_parallelism);
    if (!node->slot_sharing_group) {
        const char *group = NULL;
        for (fl__edge *e = node->in; e; e = e->next_in) {
            if (!group)
                group = e->from->slot_sharing_group;
            else if (strcmp(group, e->from->slot_sharing_group) != 0)
                group = "default";
        }
        node->slot_sharing_group = group ? group : "default";
    }
    return FL_OK;
}

static fl_status resolve_edge(fl__graph *graph, fl__edge *edge, bool asked)
{
    if (edge->partitioning != FL_FORWARD || edge->from->parallelism == edge->to->parallelism)
        return FL_OK;
    if (!asked) {
        edge->partitioning = FL_REBALANCE;
        return FL_OK;
    }
    return fl__error_set_at(graph->error, FL_ERROR_INVALID, edge->to->spec.where,
        "forward partitioning needs equal parallelism, but %s has %d and %s has %d; use fl_rebalance or "
        "fl_rescale",
        edge->from->spec.name, edge->from->parallelism, edge->to->spec.name, edge->to->parallelism);
}

/* ---- chaining (Flink's StreamingJobGraphGenerator.isChainable) ---- */

static bool is_chainable(const fl__graph *graph, const fl__edge *edge)
{
    const fl__node *from = edge->from, *to = edge->to;
    return graph->chaining_enabled && to->in == edge && !edge->next_in && edge->partitioning == FL_FORWARD &&
           from->parallelism == to->parallelism && strcmp(from->slot_sharing_group, to->slot_sharing_group) == 0 &&
           from->chaining != FL_CHAIN_NEVER && to->chaining == FL_CHAIN_ALWAYS;
}

static const char *own_name(fl__graph *graph, const fl__node *node)
{
    return fl__arena_printf(graph->arena, "%s%s",
        node->is_source  ? "Source: "
        : node->spec.out ? ""
                         : "Sink: ",
        node->spec.name);
}

/* "a -> b", "a -> (b, c -> d)" */
static const char *chain_name(fl__graph *graph, const fl__node *node)
{
    const char *rest = NULL;
    bool several = false;
    for (fl__edge *e = node->out; e; e = e->next_out) {
        if (!e->is_chained)
            continue;
        const char *name = chain_name(graph, e->to);
        several = rest != NULL;
        rest = rest ? fl__arena_printf(graph->arena, "%s, %s", rest, name) : name;
    }
    const char *own = own_name(graph, node);
    if (!rest)
        return own;
    return fl__arena_printf(graph->arena, several ? "%s -> (%s)" : "%s -> %s", own, rest);
}

static void vertex_id(fl__graph *graph, fl__vertex *vertex)
{
    const fl__node *root = vertex->root;
    const char *text = root->spec.uid ? fl__arena_printf(graph->arena, "uid %s", root->spec.uid)
                                      : fl__arena_printf(graph->arena, "node %d of %d: %s", root->spec.id,
                                            graph->node_count, root->spec.class->kind);
    XXH128_hash_t h = XXH3_128bits(text, strlen(text));
    snprintf(vertex->hex_id, sizeof vertex->hex_id, "%016llx%016llx", (unsigned long long)h.high64,
        (unsigned long long)h.low64);
}

static void make_vertices(fl__graph *graph)
{
    fl__vertex **end = &graph->vertices;
    for (fl__node *node = graph->nodes; node; node = node->next) {
        if (node->in && node->in->is_chained) {
            node->vertex = node->in->from->vertex;
            continue;
        }
        fl__vertex *vertex = fl__arena_alloc(graph->arena, sizeof *vertex);
        vertex->id = graph->vertex_count++;
        vertex->root = node;
        vertex->parallelism = node->parallelism;
        vertex->max_parallelism = node->max_parallelism;
        vertex->slot_sharing_group = node->slot_sharing_group;
        vertex_id(graph, vertex);
        node->vertex = vertex;
        *end = vertex;
        end = &vertex->next;
    }
    for (fl__vertex *v = graph->vertices; v; v = v->next)
        v->name = chain_name(graph, v->root);
}

static bool has_sink(const fl__graph *graph)
{
    for (const fl__node *node = graph->nodes; node; node = node->next) {
        if (!node->spec.out)
            return true;
    }
    return false;
}

/* The operator must know which split its records are of, and be in the source's task, which waits. */
static const fl__edge *edge_that_unaligns(const fl__node *node)
{
    while (!node->is_source) {
        if (!node->in->is_chained || (!node->in->from->is_source && !node->in->from->spec.class->is_record_wise))
            return node->in;
        node = node->in->from;
    }
    return NULL;
}

static fl_status check_alignment(fl__graph *graph)
{
    for (const fl__node *node = graph->nodes; node; node = node->next) {
        if (!node->spec.alignment)
            continue;
        const char *group = node->spec.alignment->group;
        const fl__edge *edge = edge_that_unaligns(node);
        if (edge)
            return fl__error_set_at(graph->error, FL_ERROR_INVALID, node->spec.where,
                "alignment group \"%s\" cannot pause a source from here: %s is not chained to %s before it; put "
                "fl_watermarks right behind the source, with equal parallelism and nothing but maps, filters "
                "and process "
                "functions between",
                group, edge->to->spec.name, edge->from->spec.name);
        for (const fl__node *other = graph->nodes; other != node; other = other->next) {
            if (other->spec.alignment && other->vertex == node->vertex)
                return fl__error_set_at(graph->error, FL_ERROR_INVALID, node->spec.where,
                    "the source of this stream is in alignment group \"%s\" already (%s:%d); align it once",
                    other->spec.alignment->group, other->spec.where.file ? other->spec.where.file : "?",
                    other->spec.where.line);
        }
    }
    return FL_OK;
}

fl_status fl__graph_chain(fl__graph *graph)
{
    if (graph->error->status != FL_OK)
        return graph->error->status;
    if (graph->vertices)
        return FL_OK;
    if (!graph->nodes)
        return fl__error_set(graph->error, FL_ERROR_INVALID,
            "the job has no operators; add a source, e.g. fl_from_elements, and a sink, e.g. fl_print");
    if (!has_sink(graph))
        return fl__error_set(graph->error, FL_ERROR_INVALID,
            "the job has no sink: nothing would come out of it; add fl_print, fl_write_text, fl_add_sink or "
            "fl_discard");
    fl_status status = check_uids(graph);
    if (status == FL_OK)
        status = fl__graph_prepare_batch(graph);
    for (fl__node *node = graph->nodes; node && status == FL_OK; node = node->next) {
        status = resolve_node(graph, node);
        for (fl__edge *e = node->in; e && status == FL_OK; e = e->next_in)
            status = resolve_edge(graph, e, e->is_asked);
    }
    if (status != FL_OK)
        return status;
    fl__graph_add_combiners(graph);
    for (fl__node *node = graph->nodes; node; node = node->next) {
        for (fl__edge *e = node->in; e; e = e->next_in)
            e->is_chained = is_chainable(graph, e);
    }
    make_vertices(graph);
    status = check_alignment(graph);
    if (status != FL_OK)
        return status;
    fl__graph_plan_stages(graph);
    return FL_OK;
}

uint64_t fl__graph_fingerprint(const fl__graph *graph)
{
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    int32_t abi = FLINC_ABI;
    XXH3_64bits_update(state, &abi, sizeof abi);
    for (const fl__node *node = graph->nodes; node; node = node->next) {
        const char *kind = node->spec.class->kind;
        uint64_t type = node->spec.out ? fl__type_fingerprint(node->spec.out) : 0;
        int32_t numbers[] = { node->spec.id, node->parallelism, node->max_parallelism };
        XXH3_64bits_update(state, kind, strlen(kind));
        XXH3_64bits_update(state, numbers, sizeof numbers);
        XXH3_64bits_update(state, &type, sizeof type);
        for (const fl__edge *e = node->in; e; e = e->next_in) {
            int32_t edge[] = { e->from->spec.id, (int32_t)e->input, (int32_t)e->partitioning };
            XXH3_64bits_update(state, edge, sizeof edge);
        }
    }
    uint64_t hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return hash;
}
