/* From the chained graph to tasks: an operator object per node and subtask, channels per edge, writers and gates. */
#include "cluster/job.h"

#include "base/error.h"

#include <stdio.h>

typedef struct builder {
    fl__job *job;
    fl_env *env;
    const fl__os *os;
    fl__task **first_task;     /* by vertex id */
    fl__operator ***operators; /* by node id, by subtask */
    uint32_t segment_size, chained_segment_size, ring;
} builder;

static void *alloc(builder *b, size_t size)
{
    return fl__arena_alloc(&b->job->arena, size);
}

/* ---- counting ---- */

static bool is_pointwise(const fl__edge *edge)
{
    return edge->partitioning == FL_FORWARD || edge->partitioning == FL_RESCALE;
}

/* Does this pair of subtasks talk? Rescale: as Flink's pointwise pattern, groups of neighbours. */
static bool is_connected(const fl__edge *edge, uint32_t from, uint32_t to)
{
    if (!is_pointwise(edge))
        return true;
    uint32_t p = (uint32_t)edge->from->parallelism, q = (uint32_t)edge->to->parallelism;
    if (p <= q)
        return to * p / q == from;
    return from >= to * p / q && from < (to + 1) * p / q;
}

static uint32_t count_tasks(const fl__graph *graph)
{
    uint32_t n = 0;
    for (const fl__vertex *v = graph->vertices; v; v = v->next)
        n += (uint32_t)v->parallelism;
    return n;
}

static uint32_t count_channels(const fl__graph *graph)
{
    uint32_t n = 0;
    for (const fl__node *node = graph->nodes; node; node = node->next) {
        for (const fl__edge *e = node->in; e; e = e->next_in) {
            for (int i = 0; !e->is_chained && i < e->from->parallelism; i++) {
                for (int j = 0; j < node->parallelism; j++)
                    n += is_connected(e, (uint32_t)i, (uint32_t)j);
            }
        }
    }
    return n;
}

/* ---- operators ---- */

static fl__operator *new_operator(builder *b, const fl__node *node, fl__task *task)
{
    const fl__operator_spec *spec = &node->spec;
    fl__operator *op = alloc(b, spec->class->size);
    op->class = spec->class;
    op->spec = spec;
    op->task = task;
    op->display_name = fl__arena_printf(&b->job->arena, "%s (%d/%d)", spec->name, task->subtask + 1, task->parallelism);
    fl__memory_init(&op->memory, op->display_name, &task->account, 0);
    op->ctx = (fl_context){
        .timestamp = FL_NO_TIMESTAMP,
        .watermark = FL_TIME_MIN,
        .arg = spec->arg,
        .self = spec->instance_size ? alloc(b, spec->instance_size) : NULL,
        .subtask = task->subtask,
        .parallelism = task->parallelism,
        .max_parallelism = task->max_parallelism,
        .attempt = task->attempt,
    };
    if (spec->class->shared_size > 0)
        op->shared = task->subtask > 0 ? b->operators[spec->id][0]->shared
                                       : alloc(b, spec->class->shared_size * (size_t)task->parallelism);
    op->next_timer = FL_TIME_MAX;
    op->pending_watermark = FL_TIME_MIN;
    b->operators[spec->id][task->subtask] = op;
    return op;
}

static uint32_t chain_length(const fl__node *node)
{
    uint32_t n = 1;
    for (const fl__edge *e = node->out; e; e = e->next_out) {
        if (e->is_chained)
            n += chain_length(e->to);
    }
    return n;
}

/* knows_splits: what comes to the node is of the split that the task's source reads now */
static void add_chain(builder *b, const fl__node *node, fl__task *task, bool knows_splits)
{
    fl__operator *op = new_operator(b, node, task);
    op->hears_splits = knows_splits && node->spec.class->split;
    task->operators[task->operator_count++] = op;
    knows_splits = knows_splits && (node->is_source || node->spec.class->is_record_wise);
    for (const fl__edge *e = node->out; e; e = e->next_out) {
        if (e->is_chained)
            add_chain(b, e->to, task, knows_splits);
        else
            task->writer_count++;
    }
}

static void make_tasks(builder *b)
{
    fl__task *task = b->job->tasks;
    for (const fl__vertex *v = b->env->graph.vertices; v; v = v->next) {
        b->first_task[v->id] = task;
        for (int i = 0; i < v->parallelism; i++, task++) {
            task->name = fl__arena_printf(&b->job->arena, "%s (%d/%d)", v->name, i + 1, v->parallelism);
            task->subtask = i;
            task->parallelism = v->parallelism;
            task->max_parallelism = v->max_parallelism;
            task->os = b->os;
            fl__memory_init(&task->account, task->name, &b->job->memory, 0);
            task->memory = &task->account;
            task->job = b->job;
            task->is_batch = b->env->graph.is_batch;
            task->stage = v->stage;
            task->spill = &b->job->spill;
            task->buffer_timeout_ms = task->is_batch ? -1 : b->env->buffer_timeout_ms;
            task->record_bytes_max = b->env->record_bytes_max;
            task->watermark = FL_TIME_MIN;
            task->held_warning_ms = b->env->held_warning_ms;
            atomic_init(&task->metrics.watermark, FL_TIME_MIN);
            atomic_init(&task->metrics.input_watermark[0], FL_TIME_MIN);
            atomic_init(&task->metrics.input_watermark[1], FL_TIME_MIN);
            task->accumulators = alloc(b, sizeof *task->accumulators);
            fl__waker_init(&task->waker);
            task->operators = alloc(b, chain_length(v->root) * sizeof(fl__operator *));
            add_chain(b, v->root, task, v->root->is_source && !task->is_batch);
            task->writers = alloc(b, task->writer_count * sizeof *task->writers);
            task->writer_count = 0; /* counted up again as they are made */
        }
    }
}

/* ---- alignment ---- */

static fl__alignment_group *alignment_group(builder *b, const char *name)
{
    fl__alignment_group *group = b->job->alignment_groups;
    while (group && strcmp(group->name, name) != 0)
        group = group->next;
    if (group)
        return group;
    group = alloc(b, sizeof *group);
    group->name = name;
    for (const fl__node *node = b->env->graph.nodes; node; node = node->next) {
        if (node->spec.alignment && strcmp(node->spec.alignment->group, name) == 0)
            group->count += (uint32_t)node->parallelism;
    }
    group->members = alloc(b, group->count * sizeof *group->members);
    group->count = 0; /* counted up again as they join */
    group->next = b->job->alignment_groups;
    b->job->alignment_groups = group;
    return group;
}

static void join_group(builder *b, const fl__node *node)
{
    fl__alignment_group *group = alignment_group(b, node->spec.alignment->group);
    for (int i = 0; i < node->parallelism; i++) {
        fl__task *task = b->operators[node->spec.id][i]->task;
        fl__alignment_member *member = &group->members[group->count++];
        atomic_init(&member->watermark, FL_TIME_MIN);
        member->task_name = task->name;
        task->alignment = alloc(b, sizeof *task->alignment);
        task->alignment->spec = node->spec.alignment;
        task->alignment->group = group;
        task->alignment->member = member;
    }
}

/* ---- channels ---- */

static fl__task *task_of(builder *b, const fl__node *node, uint32_t subtask)
{
    return b->first_task[node->vertex->id] + subtask;
}

/* Of all that one subtask sends along one edge. */
static fl__spill_file *new_spill_file(builder *b)
{
    fl__spill_file *file = alloc(b, sizeof *file);
    fl__spill_file_init(file, &b->job->spill);
    fl__spill_add_file(&b->job->spill, file);
    return file;
}

/* All channels of an edge, as a matrix [from][to] with NULL where subtasks do not talk. */
static fl__channel **connect_edge(builder *b, const fl__edge *edge)
{
    uint32_t p = (uint32_t)edge->from->parallelism, q = (uint32_t)edge->to->parallelism;
    fl__channel **matrix = alloc(b, (size_t)p * q * sizeof *matrix);
    uint32_t columns =
        (edge->has_timestamps ? FL__COLUMN_TIMESTAMP : 0) | (edge->partitioning == FL_HASH ? FL__COLUMN_HASH : 0);
    for (uint32_t i = 0; i < p; i++) {
        fl__spill_file *file = edge->is_blocking ? new_spill_file(b) : NULL;
        for (uint32_t j = 0; j < q; j++) {
            if (!is_connected(edge, i, j))
                continue;
            fl__channel *channel = &b->job->channels[b->job->channel_count++];
            fl__channel_init(channel, &b->job->memory, edge->type, columns, b->segment_size, b->ring);
            channel->producer = &task_of(b, edge->from, i)->waker;
            channel->consumer = &task_of(b, edge->to, j)->waker;
            channel->from = task_of(b, edge->from, i)->name;
            channel->input = edge->input;
            if (edge->is_blocking) {
                fl__spool *spool = alloc(b, sizeof *spool);
                fl__spool_init(spool, &b->job->spill, edge->type, file);
                fl__channel_block(channel, spool);
            }
            matrix[(size_t)i * q + j] = channel;
        }
    }
    return matrix;
}

static void add_writer(builder *b, const fl__edge *edge, fl__channel **matrix, uint32_t subtask, fl__target *target)
{
    fl__task *task = task_of(b, edge->from, subtask);
    uint32_t q = (uint32_t)edge->to->parallelism, n = 0;
    fl__channel **channels = alloc(b, q * sizeof *channels);
    for (uint32_t j = 0; j < q; j++) {
        if (matrix[(size_t)subtask * q + j])
            channels[n++] = matrix[(size_t)subtask * q + j];
    }
    fl__writer *writer = &task->writers[task->writer_count++];
    uint32_t columns = channels[0]->columns;
    fl__writer_init(writer, task, edge->type, columns, edge->partitioning, edge->key, channels, n,
        (uint32_t)edge->to->max_parallelism,
        ((uint64_t)edge->from->spec.id << 40) ^ ((uint64_t)edge->to->spec.id << 20) ^ subtask);
    if (edge->partitioner) {
        writer->partitioner = edge->partitioner;
        writer->partitioner_context = alloc(b, sizeof(fl_context));
        writer->partitioner_context->arg = edge->partitioner_arg;
        writer->partitioner_context->subtask = (int)subtask;
        writer->partitioner_context->parallelism = task->parallelism;
    }
    target->writer = writer;
}

static bool has_two_inputs(const fl__node *node)
{
    for (const fl__edge *e = node->in; e; e = e->next_in) {
        if (e->input > 0)
            return true;
    }
    return false;
}

static void add_gate(builder *b, const fl__edge *edge, fl__channel **matrix, uint32_t subtask)
{
    fl__task *task = task_of(b, edge->to, subtask);
    fl__input *input = &task->inputs[edge->input];
    uint32_t p = (uint32_t)edge->from->parallelism, q = (uint32_t)edge->to->parallelism;
    fl__channel **channels = alloc(b, (input->channel_count + p) * sizeof *channels);
    if (input->channel_count)
        memcpy(channels, input->channels, input->channel_count * sizeof *channels);
    input->channels = channels;
    input->watermark = FL_TIME_MIN;
    for (uint32_t i = 0; i < p; i++) {
        if (matrix[(size_t)i * q + subtask])
            input->channels[input->channel_count++] = matrix[(size_t)i * q + subtask];
    }
    input->comes_first |= edge->partitioning == FL_BROADCAST && has_two_inputs(edge->to);
    if (edge->input + 1 > task->input_count)
        task->input_count = edge->input + 1;
}

/* ---- outputs ---- */

static uint32_t count_targets(const fl__node *node, const fl_tag *tag)
{
    uint32_t n = 0;
    for (const fl__edge *e = node->out; e; e = e->next_out)
        n += tag ? e->tag && strcmp(e->tag->name, tag->name) == 0 : !e->tag;
    return n;
}

static fl__output *output_for(builder *b, const fl__node *node, fl__operator *op, const fl_tag *tag)
{
    fl__output *out = &op->out;
    if (tag) {
        out = fl__operator_side(op, tag);
        if (!out) {
            out = &op->side[op->side_count++];
            out->tag = tag;
        }
    }
    if (!out->targets)
        out->targets = alloc(b, count_targets(node, tag) * sizeof *out->targets);
    return out;
}

static void connect_outputs(builder *b, const fl__node *node)
{
    uint32_t edges = 0;
    for (const fl__edge *e = node->out; e; e = e->next_out)
        edges++;
    for (uint32_t i = 0; i < (uint32_t)node->parallelism; i++)
        b->operators[node->spec.id][i]->side = alloc(b, edges * sizeof(fl__output));
    for (const fl__edge *e = node->out; e; e = e->next_out) {
        fl__channel **matrix = e->is_chained ? NULL : connect_edge(b, e);
        for (uint32_t i = 0; i < (uint32_t)node->parallelism; i++) {
            fl__output *out = output_for(b, node, b->operators[node->spec.id][i], e->tag);
            fl__target *target = &out->targets[out->target_count++];
            if (e->is_chained)
                target->child = b->operators[e->to->spec.id][i];
            else
                add_writer(b, e, matrix, i, target);
        }
        for (uint32_t j = 0; matrix && j < (uint32_t)e->to->parallelism; j++)
            add_gate(b, e, matrix, j);
    }
}

static void open_outputs(builder *b, const fl__node *node)
{
    uint32_t columns = node->has_timestamps ? FL__COLUMN_TIMESTAMP : 0;
    for (uint32_t i = 0; i < (uint32_t)node->parallelism; i++) {
        fl__operator *op = b->operators[node->spec.id][i];
        fl__output_init(&op->out, op, node->spec.out, columns, b->chained_segment_size);
        for (size_t s = 0; s < op->side_count; s++)
            fl__output_init(&op->side[s], op, op->side[s].tag->type, columns, b->chained_segment_size);
    }
}

/* Events per channel: at least Flink's two exclusive buffers, more when there are few channels, so that a fast producer
 * and a fast consumer do not wait for each other. */
static uint32_t ring_size(uint32_t channels)
{
    return channels <= 64 ? 16 : channels <= 1024 ? 8 : 4;
}

/* Half of the managed memory is for rows between stages, half for the operators of the stage with the most of them that
 * hold rows. */
static void share_memory(builder *b)
{
    fl__job *job = b->job;
    int64_t half = b->env->managed_memory / 2;
    uint32_t most = 1;
    for (int stage = 0; stage < job->stage_count; stage++) {
        uint32_t n = 0;
        for (uint32_t t = 0; t < job->task_count; t++) {
            const fl__task *task = &job->tasks[t];
            for (uint32_t i = 0; i < task->operator_count && task->stage == stage; i++)
                n += task->operators[i]->class->holds_rows;
        }
        most = n > most ? n : most;
    }
    job->spill.spool_bytes_max = half;
    for (uint32_t t = 0; t < job->task_count; t++)
        job->tasks[t].batch_memory = half / most;
}

void fl__job_build(fl__job *job, fl_env *env, const fl__os *os)
{
    memset(job, 0, sizeof *job);
    job->env = env;
    fl__memory_init(&job->memory, "job", &env->memory, 0);
    fl__arena_init(&job->arena, &job->memory);
    fl__mutex_init(&job->lock);
    const fl__graph *graph = &env->graph;
    builder b = { .job = job, .env = env, .os = os };
    const fl__simulation *simulation = env->simulation;
    uint32_t channels = count_channels(graph);
    b.segment_size = simulation && simulation->segment_size ? simulation->segment_size : env->segment_size;
    /* Between chained operators a batch that stays in the first-level cache is faster than a full segment. */
    b.chained_segment_size = b.segment_size < 8 * 1024 ? b.segment_size : 8 * 1024;
    b.ring = simulation && simulation->channel_capacity ? simulation->channel_capacity : ring_size(channels);
    job->task_count = count_tasks(graph);
    job->tasks = fl__alloc_aligned(&job->memory, 64, job->task_count * sizeof *job->tasks);
    memset(job->tasks, 0, job->task_count * sizeof *job->tasks);
    job->channels = fl__alloc_aligned(&job->memory, 64, (channels ? channels : 1) * sizeof *job->channels);
    job->stage_count = graph->stage_count;
    fl__spill_init(&job->spill, os, &job->memory, &job->arena, env->tmp_folders);
    b.first_task = alloc(&b, (size_t)graph->vertex_count * sizeof *b.first_task);
    b.operators = alloc(&b, ((size_t)graph->node_count + 1) * sizeof *b.operators);
    for (const fl__node *node = graph->nodes; node; node = node->next)
        b.operators[node->spec.id] = alloc(&b, (size_t)node->parallelism * sizeof(fl__operator *));
    make_tasks(&b);
    if (graph->is_batch)
        share_memory(&b);
    for (const fl__node *node = graph->nodes; node; node = node->next) {
        if (node->spec.alignment && !graph->is_batch)
            join_group(&b, node);
    }
    for (const fl__node *node = graph->nodes; node; node = node->next)
        connect_outputs(&b, node);
    fl_assert(job->channel_count == channels);
    for (const fl__node *node = graph->nodes; node; node = node->next)
        open_outputs(&b, node);
}

static void release_operator(fl__operator *op)
{
    fl__output_release(&op->out);
    for (size_t s = 0; s < op->side_count; s++)
        fl__output_release(&op->side[s]);
    for (fl__user_counter *c = op->counters, *next; c; c = next) {
        next = c->next;
        fl__free(op->task->memory, c, sizeof *c);
    }
}

void fl__job_release(fl__job *job)
{
    for (uint32_t t = 0; t < job->task_count; t++) {
        fl__task *task = &job->tasks[t];
        if (task->pending_batch)
            fl__batch_free(task->pending_batch);
        for (uint32_t i = 0; i < task->operator_count; i++)
            release_operator(task->operators[i]);
        for (uint32_t w = 0; w < task->writer_count; w++)
            fl__writer_release(&task->writers[w]);
        fl__error_release(&task->error);
        fl__waker_release(&task->waker);
    }
    uint32_t channels = job->channel_count;
    for (uint32_t c = 0; c < channels; c++)
        fl__channel_release(&job->channels[c]);
    fl__spill_release(&job->spill);
    fl__free(&job->memory, job->channels, (channels ? channels : 1) * sizeof *job->channels);
    fl__free(&job->memory, job->tasks, job->task_count * sizeof *job->tasks);
    fl__arena_release(&job->arena);
    fl__mutex_release(&job->lock);
    fl__error_release(&job->error);
}
