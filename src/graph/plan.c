/* The execution plan for people and tools: Flink's JSON as `flink info` prints it, and a picture in text. */
#include "graph/graph.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const strategy_names[] = {
    [FL_FORWARD] = "FORWARD",
    [FL_HASH] = "HASH",
    [FL_REBALANCE] = "REBALANCE",
    [FL_RESCALE] = "RESCALE",
    [FL_SHUFFLE] = "SHUFFLE",
    [FL_BROADCAST] = "BROADCAST",
    [FL_GLOBAL] = "GLOBAL",
    [FL_CUSTOM] = "CUSTOM",
};

static json_t *node_json(const fl__node *node)
{
    const char *pact = node->is_source ? "Data Source" : node->spec.out ? "Operator" : "Data Sink";
    char label[256];
    snprintf(label, sizeof label, "%s%s",
        node->is_source  ? "Source: "
        : node->spec.out ? ""
                         : "Sink: ",
        node->spec.name);
    json_t *json = json_pack("{s:i, s:s, s:s, s:s, s:i}", "id", node->spec.id, "type", label, "pact", pact, "contents",
        label, "parallelism", node->parallelism);
    if (node->in) {
        json_t *predecessors = json_array();
        for (const fl__edge *e = node->in; e; e = e->next_in)
            json_array_append_new(
                predecessors, json_pack("{s:i, s:s, s:s}", "id", e->from->spec.id, "ship_strategy",
                                  strategy_names[e->partitioning], "side", e->input ? "first" : "second"));
        json_object_set_new(json, "predecessors", predecessors);
    }
    return json;
}

char *fl__graph_json(const fl__graph *graph, const char *job_name)
{
    (void)job_name;
    json_t *nodes = json_array();
    for (const fl__node *node = graph->nodes; node; node = node->next)
        json_array_append_new(nodes, node_json(node));
    json_t *plan = json_pack("{s:o}", "nodes", nodes);
    char *text = json_dumps(plan, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    json_decref(plan);
    return text;
}

static void write_memory(FILE *out, int64_t bytes, const char *what)
{
    if (bytes > 0)
        fprintf(out, ", %.3g MiB %s", (double)bytes / (1 << 20), what);
}

/* One line a vertex, with what comes into it:
 *
 *   Word count: 2 vertices, 3 tasks
 *   [1] Source: Socket Stream -> Flat Map   ×1
 *        └─HASH(word)→
 *   [2] Keyed Aggregation -> Sink: Print     ×2 */
char *fl__graph_text(const fl__graph *graph, const char *job_name)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    int tasks = 0;
    for (const fl__vertex *v = graph->vertices; v; v = v->next)
        tasks += v->parallelism;
    fprintf(out, "%s: %d %s, %d %s\n", job_name ? job_name : "Flink Streaming Job", graph->vertex_count,
        graph->vertex_count == 1 ? "vertex" : "vertices", tasks, tasks == 1 ? "task" : "tasks");
    for (const fl__vertex *v = graph->vertices; v; v = v->next) {
        for (const fl__edge *e = v->root->in; e; e = e->next_in) {
            fprintf(out, "      ↓ %s from [%d]", strategy_names[e->partitioning], e->from->vertex->id + 1);
            if (e->tag)
                fprintf(out, " side output %s", e->tag->name);
            if (e->to->in != e || e->next_in)
                fprintf(out, ", input %u", e->input + 1);
            fputc('\n', out);
        }
        fprintf(out, "  [%d] %s  ×%d", v->id + 1, v->name, v->parallelism);
        if (strcmp(v->slot_sharing_group, "default") != 0)
            fprintf(out, "  in group %s", v->slot_sharing_group);
        if (graph->stage_count > 1)
            fprintf(out, "  stage %d", v->stage + 1);
        fputc('\n', out);
    }
    for (const fl__slot_group *group = graph->slot_groups; group; group = group->next) {
        fprintf(out, "  slots of group %s: %g cores", group->name, group->cpu_cores);
        write_memory(out, group->heap_bytes, "heap");
        write_memory(out, group->off_heap_bytes, "off-heap");
        write_memory(out, group->managed_bytes, "managed");
        fputc('\n', out);
    }
    fclose(out);
    return text;
}
