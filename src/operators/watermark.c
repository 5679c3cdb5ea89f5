/* Timestamps and watermarks (Flink's TimestampsAndWatermarksOperator): gives each record its event time and makes
 * watermarks, every auto-interval or at records. Watermarks of the input are swallowed, but for the end of time. */
#include "operators/record.h"

#include "base/error.h"
#include "flinc/stream.h"
#include "stream/task.h"

enum { KIND_NONE, KIND_BOUNDED, KIND_CUSTOM };

fl_watermark_strategy fl_bounded_out_of_orderness(fl_duration bound)
{
    return (fl_watermark_strategy){ .kind = KIND_BOUNDED, .bound = bound };
}

fl_watermark_strategy fl_monotonous_timestamps(void)
{
    return fl_bounded_out_of_orderness(fl_milliseconds(0));
}

fl_watermark_strategy fl_no_watermarks(void)
{
    return (fl_watermark_strategy){ .kind = KIND_NONE };
}

fl_watermark_strategy fl_punctuated_watermarks(
    void (*on_event)(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx))
{
    return (fl_watermark_strategy){ .kind = KIND_CUSTOM, .on_event = on_event };
}

fl_watermark_strategy fl_custom_watermarks(
    void (*on_event)(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx),
    fl_time (*on_periodic)(fl_context *ctx))
{
    return (fl_watermark_strategy){ .kind = KIND_CUSTOM, .on_event = on_event, .on_periodic = on_periodic };
}

typedef struct watermark_operator {
    fl__operator op;
    fl_time highest;       /* timestamp seen */
    fl_time next_periodic; /* processing time */
    fl_time active_until;  /* processing time; idle after */
    bool is_silent;        /* BATCH mode: timestamps only */
} watermark_operator;

static void set_timer(watermark_operator *self, fl_time now)
{
    const fl__watermark_config *config = self->op.spec->config;
    bool is_periodic = config->strategy.kind == KIND_BOUNDED || config->strategy.on_periodic;
    self->next_periodic = is_periodic && config->interval_ms > 0 ? now + config->interval_ms : FL_TIME_MAX;
    fl_time timer = self->next_periodic;
    if (config->idle_after.ms > 0 && !self->op.is_idle_output && self->active_until < timer)
        timer = self->active_until;
    fl__operator_set_timer(&self->op, timer);
}

static fl_status open(fl__operator *op, fl_error *error)
{
    (void)error;
    watermark_operator *self = (watermark_operator *)op;
    const fl__watermark_config *config = op->spec->config;
    self->highest = FL_TIME_MIN;
    self->active_until = fl__operator_now(op) + config->idle_after.ms;
    self->is_silent = op->task->is_batch; /* the generator is not asked at all, as in Flink */
    if (self->is_silent)
        return FL_OK;
    set_timer(self, fl__operator_now(op));
    return FL_OK;
}

static inline fl_time timestamp_of(const fl__watermark_config *config, const char *row)
{
    const char *at = row + config->field_offset;
    int64_t t;
    int32_t narrow;
    switch (config->field->type->kind) {
    case FL_KIND_INT32:
    case FL_KIND_UINT32: memcpy(&narrow, at, sizeof narrow); return narrow;
    default: /* int64, or a timestamp, which begins with its milliseconds */ memcpy(&t, at, sizeof t); return t;
    }
}

static fl_time bounded(const watermark_operator *self)
{
    const fl__watermark_config *config = self->op.spec->config;
    fl_time watermark;
    if (self->highest == FL_TIME_MIN ||
        __builtin_sub_overflow(self->highest, config->strategy.bound.ms + 1, &watermark))
        return FL_TIME_MIN;
    return watermark;
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    watermark_operator *self = (watermark_operator *)op;
    const fl__watermark_config *config = op->spec->config;
    if (config->idle_after.ms > 0 && !self->is_silent) {
        self->active_until = fl__operator_now(op) + config->idle_after.ms;
        if (op->is_idle_output) {
            fl__operator_emit_idle(op, false);
            set_timer(self, fl__operator_now(op));
        }
    }
    fl_collector *out = &op->out.collector;
    const int64_t *previous = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    fl_time highest = self->highest;
    for (uint32_t i = 0, n = batch->count; i < n; i++, row += batch->row_size) {
        fl_time before = previous ? previous[i] : FL_NO_TIMESTAMP, t = before;
        if (config->field) {
            t = timestamp_of(config, row);
        } else if (config->function) {
            op->ctx.timestamp = before;
            t = config->function(row, before, &op->ctx);
        }
        if (t > highest)
            highest = t;
        out->timestamp = t;
        fl_collect_row(out, row);
        if (config->strategy.on_event && !self->is_silent) {
            op->ctx.timestamp = t;
            config->strategy.on_event(row, t, out, &op->ctx);
            if (fl__operator_failed(op))
                break;
        }
    }
    self->highest = highest;
    return FL_OK;
}

static fl_status timers(fl__operator *op, fl_time now)
{
    watermark_operator *self = (watermark_operator *)op;
    const fl__watermark_config *config = op->spec->config;
    if (now >= self->next_periodic) {
        fl_time watermark = config->strategy.on_periodic ? config->strategy.on_periodic(&op->ctx) : bounded(self);
        if (watermark != FL_TIME_MIN)
            fl__operator_emit_watermark(op, watermark);
    }
    if (config->idle_after.ms > 0 && now >= self->active_until)
        fl__operator_emit_idle(op, true);
    set_timer(self, now);
    return FL_OK;
}

static fl_status watermark(fl__operator *op, fl_time value)
{
    if (value == FL_TIME_MAX)
        fl__operator_emit_watermark(op, value);
    return FL_OK;
}

const fl__operator_class fl__watermark_class = {
    .kind = "Timestamps/Watermarks",
    .size = sizeof(watermark_operator),
    .sets_timestamps = true,
    .makes_watermarks = true,
    .open = open,
    .process = process,
    .watermark = watermark,
    .timers = timers,
};
