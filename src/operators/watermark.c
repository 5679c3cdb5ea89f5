/* Timestamps and watermarks (Flink's TimestampsAndWatermarksOperator): gives each record its event time and makes
 * watermarks, every auto-interval or at records. Watermarks of the input are swallowed, but for the end of time.
 *
 * Chained to a source with splits it has a generator for each of them, and the lowest of those that are not idle counts
 * (Flink's WatermarkOutputMultiplexer and CombinedWatermarkStatus); without splits there is one generator, the first.
 *
 * The interval is one of the clock. A replay reads a hundred megabytes within it, and all windows that these touch stay
 * open; so watermarks of bounded out-of-orderness are also made every so many records. Each sends on the batches that
 * are open, hence not more often: see docs/design/watermarks.md for the numbers. */
#include "operators/record.h"

#include "base/error.h"
#include "base/log.h"
#include "flinc/stream.h"
#include "stream/channel.h"
#include "stream/splits.h"
#include "stream/task.h"

enum { KIND_NONE = FL__NO_WATERMARKS, KIND_BOUNDED, KIND_CUSTOM, KIND_INGESTION = FL__INGESTION_TIME };

fl_watermark_strategy fl_bounded_out_of_orderness(fl_duration bound)
{
    return (fl_watermark_strategy){ .kind = KIND_BOUNDED, .bound = bound };
}

fl_watermark_strategy fl_monotonous_timestamps(void)
{
    return fl_bounded_out_of_orderness(fl_milliseconds(0));
}

fl_watermark_strategy fl_ingestion_time(void)
{
    return (fl_watermark_strategy){ .kind = KIND_INGESTION };
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

fl_watermark_strategy fl_watermark_alignment(
    fl_watermark_strategy strategy, const char *group, fl_duration max_drift, fl_duration update_interval)
{
    strategy.alignment_group = group ? group : "";
    strategy.max_drift = max_drift;
    strategy.update_interval = update_interval;
    return strategy;
}

fl_watermark_strategy fl_custom_watermarks(
    void (*on_event)(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx),
    fl_time (*on_periodic)(fl_context *ctx))
{
    return (fl_watermark_strategy){ .kind = KIND_CUSTOM, .on_event = on_event, .on_periodic = on_periodic };
}

/* What makes the watermarks of one split. */
typedef struct generator {
    fl_time highest;      /* timestamp seen */
    fl_time watermark;    /* said last */
    fl_time active_until; /* on the clock of fl__operator_active_now; idle after */
    void *self;           /* what fl_self is for the strategy's functions */
    bool is_used, is_idle;
    bool is_waiting; /* never idle: its source has not come to it yet */
} generator;

typedef struct watermark_operator {
    fl__operator op;
    generator *generators; /* the first without a split, then a slot each */
    uint32_t count, used;
    uint32_t current;
    void *own_self;        /* what the task opened and closes: the first one's */
    fl_time next_periodic; /* processing time */
    uint64_t rows_then;    /* rows_in at the last watermark made */
    bool is_silent;        /* BATCH mode: timestamps only */
    fl_time rose_at;       /* processing time: when what the splits say together last rose */
    fl_time warn_at;
} watermark_operator;

static const fl__watermark_config *config_of(const watermark_operator *self)
{
    return self->op.spec->config;
}

/* ---- generators ---- */

static void stop_using(watermark_operator *self, generator *g)
{
    self->used -= g->is_used;
    g->is_used = false;
}

static void use(watermark_operator *self, generator *g)
{
    void *instance = g->self;
    self->used += !g->is_used;
    *g = (generator){
        .highest = FL_TIME_MIN,
        .watermark = FL_TIME_MIN,
        .active_until = fl__operator_active_now(&self->op) + config_of(self)->idle_after.ms,
        .self = instance,
        .is_used = true,
    };
}

/* Room for so many; new ones are not in use. */
static void grow(watermark_operator *self, uint32_t count)
{
    if (count <= self->count)
        return;
    uint32_t more = count < 2 * self->count ? 2 * self->count : count;
    self->generators =
        fl__realloc(&self->op.memory, self->generators, self->count * sizeof(generator), more * sizeof(generator));
    memset(self->generators + self->count, 0, (more - self->count) * sizeof(generator));
    self->count = more;
}

/* A generator per split means an object per split for functions that keep something in fl_self: opened with the split,
 * closed with it. */
static void open_instance(watermark_operator *self, generator *g)
{
    const fl__operator_spec *spec = self->op.spec;
    if (!spec->instance_size)
        return;
    g->self = fl__alloc_zero(&self->op.memory, spec->instance_size);
    self->op.ctx.self = g->self;
    if (spec->open)
        spec->open(&self->op.ctx);
    self->op.ctx.self = self->own_self;
}

static void close_instance(watermark_operator *self, generator *g)
{
    const fl__operator_spec *spec = self->op.spec;
    if (!g->self || g->self == self->own_self)
        return;
    self->op.ctx.self = g->self;
    if (spec->close)
        spec->close(&self->op.ctx);
    self->op.ctx.self = self->own_self;
    fl__free(&self->op.memory, g->self, spec->instance_size);
    g->self = NULL;
}

static fl_time bounded(const watermark_operator *self, const generator *g)
{
    fl_time watermark;
    if (g->highest == FL_TIME_MIN ||
        __builtin_sub_overflow(g->highest, config_of(self)->strategy.bound.ms, &watermark) || watermark == FL_TIME_MIN)
        return FL_TIME_MIN;
    return watermark - 1;
}

/* The clock, but never back (Flink's IngestionTimeAssigner). */
static fl_time ingestion_time(const watermark_operator *self, generator *g)
{
    fl_time now = fl__operator_now(&self->op);
    if (now > g->highest)
        g->highest = now;
    return g->highest;
}

static void report(watermark_operator *self, uint32_t i)
{
    if (i > 0)
        fl__split_report(&self->op, i - 1, self->generators[i].watermark);
}

/* A split that holds the others back is named in the log, as an input is (stream/held.h). */
static void note_held(watermark_operator *self, const generator *last, fl_time high, bool has_risen)
{
    const fl__task *task = self->op.task;
    fl_time now = fl__operator_now(&self->op);
    if (has_risen || last->is_waiting || high <= last->watermark || last == self->generators) {
        self->rose_at = now;
        self->warn_at = now + task->held_warning_ms;
        return;
    }
    if (task->held_warning_ms <= 0 || now < self->warn_at)
        return;
    self->warn_at = now + 2 * (now - self->rose_at);
    char at[48], others[48], span[48];
    fl__log(FL__LOG_WARN, "watermark",
        "%s: event time has stood at %s for %s, held back by split %llu of its source; others have come to %s. If a "
        "split may be silent for a while, give .idle_after to the fl_watermarks: the others then go on without it",
        self->op.display_name, fl__held_time(last->watermark, at), fl__held_span(now - self->rose_at, span),
        (unsigned long long)fl__split_get(&self->op, (uint32_t)(last - self->generators) - 1)->name,
        fl__held_time(high, others));
}

/* Says to those behind what the generators say together. When all are idle, time stays where it is. */
static void combine(watermark_operator *self)
{
    fl_time low = FL_TIME_MAX, high = FL_TIME_MIN;
    const generator *last = NULL;
    for (uint32_t i = 0; i < self->count; i++) {
        const generator *g = &self->generators[i];
        if (!g->is_used || g->is_idle)
            continue;
        if (g->watermark > high)
            high = g->watermark;
        if (last && g->watermark >= low)
            continue;
        low = g->watermark;
        last = g;
    }
    bool is_any_active = last != NULL;
    if (last && self->used > 1)
        note_held(self, last, high, low > self->op.out.watermark);
    if (self->op.is_idle_output == is_any_active)
        fl__operator_emit_idle(&self->op, !is_any_active);
    if (self->op.spec->alignment && self->op.task->alignment)
        fl__alignment_report(self->op.task->alignment, is_any_active ? low : FL_TIME_MIN, !is_any_active);
    if (is_any_active && low != FL_TIME_MIN)
        fl__operator_emit_watermark(&self->op, low);
}

/* Asks all generators for their watermarks. */
static void make_watermarks(watermark_operator *self)
{
    const fl__watermark_config *config = config_of(self);
    fl_context *ctx = &self->op.ctx;
    self->rows_then = self->op.rows_in;
    for (uint32_t i = 0; i < self->count; i++) {
        generator *g = &self->generators[i];
        if (!g->is_used || g->is_idle)
            continue;
        fl_time watermark = FL_TIME_MIN;
        if (config->strategy.on_periodic) {
            ctx->self = g->self;
            watermark = config->strategy.on_periodic(ctx);
        } else if (config->strategy.kind == KIND_BOUNDED) {
            watermark = bounded(self, g);
        } else if (config->strategy.kind == KIND_INGESTION) {
            watermark = ingestion_time(self, g) - 1; /* another record of this millisecond may come */
        }
        if (watermark > g->watermark) {
            g->watermark = watermark;
            report(self, i);
        }
    }
    ctx->self = self->own_self;
    combine(self);
}

/* ---- idleness and the clock ---- */

static void set_timer(watermark_operator *self)
{
    fl_time timer = self->next_periodic;
    int64_t stalled = fl__operator_now(&self->op) - fl__operator_active_now(&self->op);
    for (uint32_t i = 0; config_of(self)->idle_after.ms > 0 && i < self->count; i++) {
        const generator *g = &self->generators[i];
        if (g->is_used && !g->is_idle && !g->is_waiting && g->active_until + stalled < timer)
            timer = g->active_until + stalled;
    }
    fl__operator_set_timer(&self->op, timer);
}

static void find_idle(watermark_operator *self)
{
    fl_time now = fl__operator_active_now(&self->op);
    bool is_any_new = false;
    for (uint32_t i = 0; i < self->count; i++) {
        generator *g = &self->generators[i];
        if (!g->is_used || g->is_idle || g->is_waiting || now < g->active_until)
            continue;
        if (i > 0 && fl__split_is_paused(&self->op, i - 1)) { /* its source is told not to read it */
            g->active_until = now + config_of(self)->idle_after.ms;
            continue;
        }
        g->is_idle = is_any_new = true;
    }
    if (is_any_new)
        combine(self);
}

static void next_interval(watermark_operator *self, fl_time now)
{
    const fl__watermark_config *config = config_of(self);
    bool is_periodic = config->strategy.kind == KIND_BOUNDED || config->strategy.kind == KIND_INGESTION ||
                       config->strategy.on_periodic;
    self->next_periodic = is_periodic && config->interval_ms > 0 ? now + config->interval_ms : FL_TIME_MAX;
}

static fl_status timers(fl__operator *op, fl_time now)
{
    watermark_operator *self = (watermark_operator *)op;
    if (now >= self->next_periodic) {
        make_watermarks(self);
        next_interval(self, now);
    }
    if (config_of(self)->idle_after.ms > 0)
        find_idle(self);
    set_timer(self);
    return FL_OK;
}

/* The current generator's input has something. */
static void note_activity(watermark_operator *self, generator *g)
{
    const fl__watermark_config *config = config_of(self);
    if (!g->is_used) /* records of no split at a source that has some */
        use(self, g);
    if (config->idle_after.ms > 0)
        g->active_until = fl__operator_active_now(&self->op) + config->idle_after.ms;
    if (self->op.is_idle_output) {
        fl__operator_emit_idle(&self->op, false);
        if (self->op.spec->alignment && self->op.task->alignment)
            fl__alignment_report(self->op.task->alignment, FL_TIME_MIN, false);
    }
    if (!g->is_idle)
        return;
    g->is_idle = false;
    set_timer(self);
}

/* What the strategy's on_event says. */
static void control(fl__output *out, int kind, int64_t value)
{
    watermark_operator *self = (watermark_operator *)out->op;
    generator *g = &self->generators[self->current];
    g->is_idle = kind == FL__EVENT_IDLE && value != 0;
    if (kind == FL__EVENT_WATERMARK && value > g->watermark) {
        g->watermark = value;
        report(self, self->current);
    }
    combine(self);
}

/* ---- splits ---- */

static void split(fl__operator *op, enum fl__split_event event, uint32_t slot)
{
    watermark_operator *self = (watermark_operator *)op;
    uint32_t i = slot == FL__NO_SPLIT ? 0 : slot + 1;
    grow(self, i + 1);
    generator *g = &self->generators[i];
    switch (event) {
    case FL__SPLIT_ADDED:
        if (self->generators[0].highest == FL_TIME_MIN && self->generators[0].watermark == FL_TIME_MIN)
            stop_using(self, &self->generators[0]); /* nothing came without a split, perhaps nothing will */
        use(self, g);
        g->is_waiting = fl__split_get(op, slot)->is_waiting;
        open_instance(self, g);
        set_timer(self);
        break;
    case FL__SPLIT_CHOSEN: self->current = i; break;
    case FL__SPLIT_FINISHED:
        close_instance(self, g);
        stop_using(self, g);
        if (self->used == 0) { /* until the next one: it says nothing, but may become idle */
            use(self, &self->generators[0]);
            self->generators[0].is_idle = op->is_idle_output;
            set_timer(self);
        }
        break;
    case FL__SPLIT_IDLE:
        g->is_idle = true;
        combine(self);
        break;
    }
}

/* ---- records ---- */

static inline fl_time timestamp_of(const fl__watermark_config *config, const char *row)
{
    enum { DAY_MS = 86400000 };
    const char *at = row + config->field_offset;
    int64_t t;
    if (FL_UNLIKELY(config->is_date)) {
        int32_t days;
        memcpy(&days, at, sizeof days);
        return (int64_t)days * DAY_MS;
    }
    memcpy(&t, at, sizeof t); /* an int64, or a timestamp, which begins with its milliseconds */
    return t;
}

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    watermark_operator *self = (watermark_operator *)op;
    const fl__watermark_config *config = op->spec->config;
    generator *g = &self->generators[self->current];
    if (!self->is_silent && (config->idle_after.ms > 0 || g->is_idle || op->is_idle_output || !g->is_used))
        note_activity(self, g);
    fl_collector *out = &op->out.collector;
    const int64_t *previous = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    fl_time highest = g->highest;
    op->ctx.self = g->self;
    bool is_ingestion = config->strategy.kind == KIND_INGESTION;
    fl_time ingested = is_ingestion ? ingestion_time(self, g) : FL_NO_TIMESTAMP;
    if (ingested > highest)
        highest = ingested;
    for (uint32_t i = 0, n = batch->count; i < n; i++, row += batch->row_size) {
        fl_time before = previous ? previous[i] : FL_NO_TIMESTAMP, t = before;
        if (config->field) {
            t = timestamp_of(config, row);
        } else if (config->function) {
            op->ctx.timestamp = before;
            t = config->function(row, before, &op->ctx);
        } else if (is_ingestion) {
            t = ingested;
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
    op->ctx.self = self->own_self;
    g->highest = highest;
    if (config->strategy.kind != KIND_BOUNDED || config->interval_ms == 0 || self->is_silent)
        return FL_OK;
    if (self->current > 0)
        fl__split_report(op, self->current - 1, bounded(self, g));
    if (config->every_rows && op->rows_in - self->rows_then >= config->every_rows)
        make_watermarks(self);
    return FL_OK;
}

/* ---- the operator ---- */

static fl_status open(fl__operator *op, fl_error *error)
{
    (void)error;
    watermark_operator *self = (watermark_operator *)op;
    self->own_self = op->ctx.self;
    self->current = 0;
    self->rows_then = 0;
    op->out.control = control;
    grow(self, 1);
    self->generators[0].self = self->own_self;
    use(self, &self->generators[0]);
    self->is_silent = op->task->is_batch; /* the generator is not asked at all, as in Flink */
    if (self->is_silent)
        return FL_OK;
    self->rose_at = fl__operator_now(op);
    self->warn_at = self->rose_at + op->task->held_warning_ms;
    next_interval(self, fl__operator_now(op));
    set_timer(self);
    return FL_OK;
}

static void close(fl__operator *op)
{
    watermark_operator *self = (watermark_operator *)op;
    for (uint32_t i = 0; i < self->count; i++)
        close_instance(self, &self->generators[i]);
    fl__free(&op->memory, self->generators, self->count * sizeof(generator));
    self->generators = NULL;
    self->count = self->used = 0;
}

static fl_status watermark(fl__operator *op, fl_time value)
{
    if (value == FL_TIME_MAX)
        fl__operator_emit_watermark(op, value);
    return FL_OK;
}

#define COMMON                                                                                                         \
    .kind = "Timestamps/Watermarks", .size = sizeof(watermark_operator), .sets_timestamps = true,                      \
    .makes_watermarks = true, .is_record_wise = true, .open = open, .process = process, .watermark = watermark,        \
    .timers = timers, .close = close

const fl__operator_class fl__watermark_class = { COMMON, .split = split };
/* fl_no_watermarks: timestamps only. */
const fl__operator_class fl__timestamps_class = { COMMON };
