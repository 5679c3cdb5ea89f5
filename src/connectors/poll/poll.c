/* fl_poll_source: a public fl_source_class as an operator. */
#include "api/api.h"
#include "stream/task.h"

struct poll_source {
    fl__operator op;
    bool is_open;
    bool is_idle;       /* fl_mark_idle was called, and no record has come since */
    uint64_t idle_rows; /* emitted when it was */
    void (*control)(fl__output *out, int event_kind, int64_t value); /* the output's own */
};

/* Remembers when the source called itself idle: the next record ends that. */
static void control(fl__output *out, int event_kind, int64_t value)
{
    struct poll_source *source = (struct poll_source *)out->op;
    source->is_idle = event_kind == FL__EVENT_IDLE && value != 0;
    source->idle_rows = fl__output_rows(out);
    source->control(out, event_kind, value);
}

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
                                            .default_name = source->name,
                                            .config = config,
                                            .emits_timestamps = !source->no_timestamps,
                                            .is_unbounded = !options->bounded,
                                        });
}
