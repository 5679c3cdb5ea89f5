/* fl_poll_source: a public fl_source_class as an operator. */
#include "api/api.h"
#include "stream/splits.h"
#include "stream/task.h"

/* A split that the source named, and its slot in the task. */
struct named_split {
    uint64_t name;
    uint32_t slot;
};

struct poll_source {
    fl__operator op;
    struct named_split *splits; /* those not finished, in no order */
    size_t split_count, split_capacity;
    size_t last_split; /* found last: a source stays with one for a while */
    bool is_open;
    bool is_idle;       /* fl_mark_idle was called, and no record has come since */
    uint64_t idle_rows; /* emitted when it was */
    void (*control)(fl__output *out, int event_kind, int64_t value); /* the output's own */
};

static fl_status poll_source(fl__operator *op);

/* Remembers when the source called itself idle: the next record ends that. */
static void control(fl__output *out, int event_kind, int64_t value)
{
    struct poll_source *source = (struct poll_source *)out->op;
    source->is_idle = event_kind == FL__EVENT_IDLE && value != 0;
    source->idle_rows = fl__output_rows(out);
    source->control(out, event_kind, value);
}

/* ---- splits ---- */

static struct poll_source *split_owner(fl_context *ctx, const char *call)
{
    fl__operator *op = fl__operator_of(ctx);
    if (op->class->poll == poll_source)
        return (struct poll_source *)op;
    fl_fail(ctx, "%s: %s has no splits; only poll sources (fl_poll_source) have", call, op->spec->name);
    return NULL;
}

static struct named_split *find_split(struct poll_source *source, uint64_t name)
{
    if (source->last_split < source->split_count && source->splits[source->last_split].name == name)
        return &source->splits[source->last_split];
    for (size_t i = 0; i < source->split_count; i++) {
        if (source->splits[i].name == name) {
            source->last_split = i;
            return &source->splits[i];
        }
    }
    return NULL;
}

static struct named_split *add_split(struct poll_source *source, uint64_t name)
{
    struct named_split *split = find_split(source, name);
    if (split)
        return split;
    if (source->split_count == source->split_capacity) {
        size_t old = source->split_capacity, capacity = old ? 2 * old : 8;
        source->splits = fl__realloc(
            &source->op.memory, source->splits, old * sizeof *source->splits, capacity * sizeof *source->splits);
        source->split_capacity = capacity;
    }
    split = &source->splits[source->split_count++];
    *split = (struct named_split){ name, fl__split_add(&source->op, name, false) };
    return split;
}

void fl_split_add(fl_context *ctx, uint64_t name)
{
    struct poll_source *source = split_owner(ctx, "fl_split_add");
    if (source && fl__splits_wanted(&source->op))
        add_split(source, name);
}

/* As Flink, which asks the reader to pause a split when one has run ahead, and fails if it cannot. */
static void check_alignment(struct poll_source *source, const struct named_split *split)
{
    const fl__operator *op = &source->op;
    const fl_source_class *class = (const fl_source_class *)op->spec->config;
    if (!fl__split_is_paused(op, split->slot) || class->pauses_splits ||
        op->task->alignment->spec->allows_unaligned_splits)
        return;
    fl_fail(&source->op.ctx,
        "split %llu is ahead of alignment group \"%s\", and this source reads on: let poll heed "
        "fl_split_is_paused and set "
        ".pauses_splits, or set pipeline.watermark-alignment.allow-unaligned-source-splits to true",
        (unsigned long long)split->name, op->task->alignment->spec->group);
}

void fl_split_choose(fl_context *ctx, uint64_t name)
{
    struct poll_source *source = split_owner(ctx, "fl_split_choose");
    if (!source || !fl__splits_wanted(&source->op))
        return;
    const struct named_split *split = add_split(source, name);
    check_alignment(source, split);
    fl__split_choose(&source->op, split->slot);
}

bool fl_split_is_paused(fl_context *ctx, uint64_t name)
{
    struct poll_source *source = split_owner(ctx, "fl_split_is_paused");
    if (!source || !fl__splits_wanted(&source->op))
        return false;
    const struct named_split *split = find_split(source, name);
    return split && fl__split_is_paused(&source->op, split->slot);
}

/* NULL after saying that there is no such split, or when nobody wants to know. */
static struct named_split *known_split(struct poll_source *source, const char *call, uint64_t name)
{
    if (!source || !fl__splits_wanted(&source->op))
        return NULL;
    struct named_split *split = find_split(source, name);
    if (!split)
        fl_fail(&source->op.ctx, "%s: there is no split %llu; it was never added, or is finished", call,
            (unsigned long long)name);
    return split;
}

void fl_split_mark_idle(fl_context *ctx, uint64_t name)
{
    struct poll_source *source = split_owner(ctx, "fl_split_mark_idle");
    const struct named_split *split = known_split(source, "fl_split_mark_idle", name);
    if (split)
        fl__split_idle(&source->op, split->slot);
}

void fl_split_finish(fl_context *ctx, uint64_t name)
{
    struct poll_source *source = split_owner(ctx, "fl_split_finish");
    struct named_split *split = known_split(source, "fl_split_finish", name);
    if (!split)
        return;
    fl__split_finish(&source->op, split->slot);
    *split = source->splits[--source->split_count];
}

/* ---- the operator ---- */

static fl_status open_source(fl__operator *op, fl_error *error)
{
    (void)error;
    struct poll_source *source = (struct poll_source *)op;
    const fl_source_class *class = (const fl_source_class *)op->spec->config;
    source->control = op->out.control;
    op->out.control = control;
    source->is_open = true;
    if (class->open)
        class->open(&op->ctx); /* fails by fl_fail, which sticks to the task */
    return FL_OK;
}

static fl_status poll_source(fl__operator *op)
{
    struct poll_source *source = (struct poll_source *)op;
    const fl_source_class *class = (const fl_source_class *)op->spec->config;
    fl_status status = class->poll(&op->out.collector, &op->ctx);
    if (fl__operator_failed(op))
        return FL_ERROR_USER;
    if (source->is_idle && fl__output_rows(&op->out) > source->idle_rows) {
        source->is_idle = false;
        fl__operator_emit_idle(op, false);
    }
    if (status == FL_OK || status == FL_AGAIN || status == FL_DONE)
        return status;
    return fl__operator_fail(op, FL_ERROR_USER,
        "poll of source %s returned %s; it must return FL_OK, FL_AGAIN or FL_DONE, and report failures by fl_fail",
        class->name ? class->name : op->spec->name, fl_status_name(status));
}

static void close_source(fl__operator *op)
{
    struct poll_source *source = (struct poll_source *)op;
    const fl_source_class *class = (const fl_source_class *)op->spec->config;
    if (source->is_open && class->close)
        class->close(&op->ctx);
    source->is_open = false;
    fl__free(&op->memory, source->splits, source->split_capacity * sizeof *source->splits);
    source->splits = NULL;
    source->split_count = source->split_capacity = 0;
}

static const fl__operator_class poll_source_class = {
    .kind = "Poll Source",
    .size = sizeof(struct poll_source),
    .open = open_source,
    .poll = poll_source,
    .close = close_source,
};

fl_stream *fl__poll_source(
    fl_env *env, const fl_source_class *source, const fl_type *type, const fl_source_options *options)
{
    if (!source || !source->poll)
        return fl__stream_error(env, options->where, "fl_poll_source: the source has no poll function");
    fl_source_class *config = fl__arena_memdup(&env->arena, source, sizeof *source);
    fl_options own;
    memcpy(&own, options, sizeof own); /* the common options come first */
    if (source->instance_size > 0)
        own.instance_size = source->instance_size;
    return fl__add_source_operator(env, &(fl__new_operator){
                                            .class = &poll_source_class,
                                            .out = type,
                                            .options = &own,
                                            .source = options,
                                            .default_name = source->name,
                                            .config = config,
                                            .emits_timestamps = !source->no_timestamps,
                                            .is_unbounded = !options->bounded,
                                        });
}
