/* BATCH mode in the graph: whether a job runs in it (Flink's StreamGraphGenerator.shouldExecuteInBatchMode), what takes
 * the operators' places, combiners, and stages. See docs/design/batch.md. */
#include "graph/graph.h"

/* ---- the mode ---- */

static const fl__node *unbounded_source(const fl__graph *graph)
{
    for (const fl__node *node = graph->nodes; node; node = node->next) {
        if (node->is_unbounded)
            return node;
    }
    return NULL;
}

static const fl__node *streaming_only(const fl__graph *graph)
{
    for (const fl__node *node = graph->nodes; node; node = node->next) {
        if (node->spec.class->not_in_batch)
            return node;
    }
    return NULL;
}

static fl_status check(fl__graph *graph)
{
    const fl__node *node = unbounded_source(graph);
    if (node)
        return fl__error_set_at(graph->error, FL_ERROR_INVALID, node->spec.where,
            "execution.runtime-mode is BATCH, but source %s may never end: BATCH needs bounded sources; bound it (a "
            "generator by .count, a source function or poll source by .bounded = true), or run the job in STREAMING or "
            "AUTOMATIC mode",
            node->spec.name);
    node = streaming_only(graph);
    if (node)
        return fl__error_set_at(graph->error, FL_ERROR_INVALID, node->spec.where,
            "execution.runtime-mode is BATCH, but %s cannot run in it: %s; run the job in STREAMING or AUTOMATIC mode",
            node->spec.name, node->spec.class->not_in_batch);
    return FL_OK;
}

static void put_classes(fl__graph *graph)
{
    for (fl__node *node = graph->nodes; node; node = node->next) {
        const fl__batch_variants *variants = node->spec.class->batch;
        if (variants)
            node->spec.class =
                variants->needs_order && variants->needs_order(&node->spec) ? variants->sorted : variants->class;
    }
}

fl_status fl__graph_prepare_batch(fl__graph *graph)
{
    graph->is_batch =
        graph->mode == FL_BATCH || (graph->mode == FL_AUTOMATIC && !unbounded_source(graph) && !streaming_only(graph));
    if (!graph->is_batch && graph->is_planned)
        return fl__error_set(graph->error, FL_ERROR_INVALID,
            "execution.runtime-mode was changed after a plan for BATCH had been made; set it before fl_plan_json, "
            "fl_plan_text and fl_execute");
    if (!graph->is_batch)
        return FL_OK;
    if (check(graph) != FL_OK)
        return graph->error->status;
    put_classes(graph);
    graph->is_planned = true;
    return FL_OK;
}

/* ---- combiners ---- */

/* A combiner is worth it in the sender's chain only: as a task of its own it would add an exchange. */
static bool wants_combiner(const fl__graph *graph, const fl__edge *edge)
{
    const fl__node *from = edge->from;
    return edge->partitioning == FL_HASH && edge->to->spec.class->combiner && !from->spec.class->is_combiner &&
           graph->chaining_enabled && from->chaining != FL_CHAIN_NEVER;
}

static void unlink_out(fl__edge *edge)
{
    fl__edge **at = &edge->from->out;
    while (*at != edge)
        at = &(*at)->next_out;
    *at = edge->next_out;
    edge->next_out = NULL;
}

static void add_combiner(fl__graph *graph, fl__edge *edge)
{
    fl__node *from = edge->from;
    const fl__node *to = edge->to;
    fl__operator_spec spec = to->spec;
    spec.class = to->spec.class->combiner;
    spec.name = fl__arena_printf(graph->arena, "Combine(%s)", to->spec.name);
    spec.uid = NULL;
    spec.has_timestamps = edge->has_timestamps;
    fl__node *node = fl__graph_add(graph, &spec);
    node->is_parallel = true;
    node->parallelism = from->parallelism;
    node->max_parallelism = from->max_parallelism;
    node->slot_sharing_group = from->slot_sharing_group;
    node->has_timestamps = edge->has_timestamps;
    unlink_out(edge);
    fl__edge forward = *edge;
    forward.to = node;
    forward.partitioning = FL_FORWARD;
    forward.key = NULL;
    forward.input = 0;
    fl__graph_connect(graph, &forward);
    edge->from = node;
    edge->tag = NULL;
    node->out = edge;
}

void fl__graph_add_combiners(fl__graph *graph)
{
    if (!graph->is_batch)
        return;
    for (fl__node *node = graph->nodes; node; node = node->next) {
        for (fl__edge *e = node->in; e; e = e->next_in) {
            if (wants_combiner(graph, e))
                add_combiner(graph, e);
        }
    }
}

/* ---- stages ---- */

/* An operator that reads one side before the other must not share its pace with the senders of both: one that feeds
 * both would wait for ever. */
static bool has_broadcast_side(const fl__graph *graph)
{
    for (const fl__node *node = graph->nodes; node; node = node->next) {
        bool any = false, two = false;
        for (const fl__edge *e = node->in; e; e = e->next_in) {
            any |= e->partitioning == FL_BROADCAST;
            two |= e->input == 1;
        }
        if (any && two)
            return true;
    }
    return false;
}

/* The stage after the latest of those that send to the vertex. */
static bool raise_stage(fl__vertex *vertex)
{
    bool is_raised = false;
    for (const fl__edge *e = vertex->root->in; e; e = e->next_in) {
        int stage = e->from->vertex->stage + (e->is_blocking ? 1 : 0);
        if (stage > vertex->stage) {
            vertex->stage = stage;
            is_raised = true;
        }
    }
    return is_raised;
}

void fl__graph_plan_stages(fl__graph *graph)
{
    bool is_blocking = graph->is_batch && (!graph->is_pipelined || has_broadcast_side(graph));
    for (fl__node *node = graph->nodes; node; node = node->next) {
        for (fl__edge *e = node->in; e; e = e->next_in)
            e->is_blocking = is_blocking && !e->is_chained;
    }
    graph->stage_count = 1;
    bool any = is_blocking;
    while (any) {
        any = false;
        for (fl__vertex *v = graph->vertices; v; v = v->next) {
            any |= raise_stage(v);
            if (v->stage + 1 > graph->stage_count)
                graph->stage_count = v->stage + 1;
        }
    }
}
