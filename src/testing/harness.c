/* The operator harness: a small job of [input source(s)] → what the test builds → [capture sinks], all of whose tasks
 * are stepped by the calling thread until nobody can go on, after each thing pushed. */
#include "flinc/testing.h"

#include "cluster/job.h"
#include "os/virtual.h"
#include "testing/rows.h"

enum { SIDES_MAX = 8 };

/* What the next poll of an input does. */
typedef struct harness_input {
    enum { NOTHING, ROW, WATERMARK, IDLE, END } pending;
    const void *row;
    fl_time time; /* timestamp or watermark */
    const fl_type *type;
} harness_input;

typedef struct harness_output {
    fl_harness *harness;
    const fl_tag *tag; /* NULL: the main output */
    fl__kept_rows kept;
    bool is_idle, is_made;
    fl_time watermark;
} harness_output;

typedef struct event {
    fl_harness_kind kind;
    const harness_output *output;
    size_t row; /* index in the output's rows */
    fl_time timestamp;
} event;

struct fl_harness {
    fl_env *env;
    fl__virtual_os os;
    fl__job job;
    bool is_built, is_running; /* not ended, nothing has failed */
    harness_input inputs[2];
    unsigned input_count;
    harness_output outputs[1 + SIDES_MAX]; /* the main one first */
    unsigned output_count;
    event *events;
    size_t event_count, event_capacity, events_read;
};

/* ---- the sources ---- */

static fl_status poll_input(fl__operator *op)
{
    harness_input *input = op->spec->config;
    int what = input->pending;
    input->pending = NOTHING;
    switch (what) {
    case ROW:
        fl__operator_emit_idle(op, false);
        fl__emit(&op->out, input->row, input->time);
        break;
    case WATERMARK:
        fl__operator_emit_idle(op, false);
        fl__operator_emit_watermark(op, input->time);
        break;
    case IDLE: fl__operator_emit_idle(op, true); break;
    case END: return FL_DONE;
    }
    return FL_AGAIN;
}

static const fl__operator_class input_class = {
    .kind = "Harness Input",
    .size = sizeof(fl__operator),
    .poll = poll_input,
};

/* ---- the sinks ---- */

static void add_event(harness_output *output, fl_harness_kind kind, size_t row, fl_time timestamp)
{
    fl_harness *h = output->harness;
    if (h->event_count == h->event_capacity) {
        size_t old = h->event_capacity, capacity = old ? 2 * old : 64;
        h->events = fl__realloc(NULL, h->events, old * sizeof *h->events, capacity * sizeof *h->events);
        h->event_capacity = capacity;
    }
    h->events[h->event_count++] = (event){ .kind = kind, .output = output, .row = row, .timestamp = timestamp };
}

static void note_idleness(harness_output *output, const fl__operator *op)
{
    if (output->is_idle == op->is_idle_output || output->tag)
        return;
    output->is_idle = op->is_idle_output;
    add_event(output, output->is_idle ? FL_HARNESS_IDLE : FL_HARNESS_ACTIVE, 0, FL_NO_TIMESTAMP);
}

static fl_status capture(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    harness_output *output = op->spec->config;
    note_idleness(output, op);
    size_t first = output->kept.count;
    fl__kept_add_batch(&output->kept, batch, 0);
    for (size_t i = first; i < output->kept.count; i++)
        add_event(output, FL_HARNESS_RECORD, i, output->kept.timestamps[i]);
    return FL_OK;
}

static fl_status capture_watermark(fl__operator *op, fl_time watermark)
{
    harness_output *output = op->spec->config;
    note_idleness(output, op);
    output->watermark = watermark;
    if (!output->tag)
        add_event(output, FL_HARNESS_WATERMARK, 0, watermark);
    return FL_OK;
}

static const fl__operator_class capture_class = {
    .kind = "Harness Output",
    .size = sizeof(fl__operator),
    .process = capture,
    .watermark = capture_watermark,
};

/* ---- making it ---- */

static fl_stream *add_input(fl_harness *h, const fl_type *type, const fl_options *options)
{
    harness_input *input = &h->inputs[h->input_count++];
    input->type = type;
    return fl__add_source_operator(h->env,
        &(fl__new_operator){
            .class = &input_class, .out = type, .options = options, .config = input, .emits_timestamps = true });
}

static void add_output(fl_harness *h, fl_stream *stream, const fl_tag *tag, const fl_options *options)
{
    harness_output *output = &h->outputs[h->output_count++];
    *output = (harness_output){ .harness = h, .tag = tag, .watermark = FL_TIME_MIN };
    if (tag)
        stream = fl__side_output(stream, tag, options->where);
    if (fl__stream_failed(stream))
        return;
    if (!stream->type) {
        fl__stream_error(h->env, options->where, "fl_harness_new: build returned a sink; return the stream before it");
        return;
    }
    fl__kept_init(&output->kept, stream->type);
    output->is_made = true;
    fl__add_operator(stream, &(fl__new_operator){ .class = &capture_class, .options = options, .config = output });
}

/* The first failure becomes the environment's error. */
static void fail(fl_harness *h, fl_error *error)
{
    fl__error_move(&h->env->error, error);
    h->is_running = false;
}

static void run_job(fl_harness *h)
{
    if (fl__graph_chain(&h->env->graph) != FL_OK)
        return;
    fl__job_build(&h->job, h->env, &h->os.os);
    h->is_built = h->is_running = true;
    for (uint32_t t = 0; t < h->job.task_count && h->is_running; t++) {
        if (fl__task_open(&h->job.tasks[t]) != FL_OK)
            fail(h, &h->job.tasks[t].error);
    }
}

/* Steps all tasks until nobody can go on. */
static void settle(fl_harness *h)
{
    for (bool moved = true; moved && h->is_running;) {
        moved = false;
        for (uint32_t t = 0; t < h->job.task_count && h->is_running; t++) {
            fl__task *task = &h->job.tasks[t];
            if (task->is_done)
                continue;
            fl__step step = fl__task_step(task);
            moved |= step == FL__STEP_PROGRESS || step == FL__STEP_DONE;
            if (step == FL__STEP_DONE && task->ended_with != FL_OK)
                fail(h, &task->error);
        }
    }
    for (uint32_t t = 0; h->is_built && t < h->job.task_count; t++) {
        const fl__task *task = &h->job.tasks[t];
        for (uint32_t i = 0; i < task->operator_count; i++) {
            if (task->operators[i]->class == &capture_class)
                note_idleness(task->operators[i]->spec->config, task->operators[i]);
        }
    }
}

fl_harness *fl__harness_new(const fl_type *in, fl_harness_build build, const fl_harness_options *options)
{
    fl_harness *h = fl__alloc_zero(NULL, sizeof *h);
    h->env = fl_env_new(0, NULL);
    fl__virtual_os_init(&h->os, options->start, 0);
    const fl_options plain = { .where = options->where };
    fl_stream *first = add_input(h, in, &plain);
    fl_stream *second = options->second ? add_input(h, options->second, &plain) : NULL;
    fl_stream *built = build(first, second, options->arg);
    if (!built)
        built =
            fl__stream_error(h->env, options->where, "fl_harness_new: build returned NULL; return the stream to watch");
    add_output(h, built, NULL, &plain);
    for (size_t i = 0; i < SIDES_MAX && options->sides[i]; i++)
        add_output(h, built, options->sides[i], &plain);
    run_job(h);
    settle(h);
    return h;
}

static void close_tasks(fl_harness *h)
{
    for (uint32_t t = 0; h->is_built && t < h->job.task_count; t++) {
        fl__task *task = &h->job.tasks[t];
        fl__task_close(task);
        if (task->failed)
            fail(h, &task->error);
    }
}

void fl_harness_free(fl_harness *h)
{
    if (!h)
        return;
    close_tasks(h);
    if (h->is_built)
        fl__job_release(&h->job);
    for (unsigned i = 0; i < h->output_count; i++) {
        if (h->outputs[i].is_made)
            fl__kept_release(&h->outputs[i].kept);
    }
    fl__free(NULL, h->events, h->event_capacity * sizeof *h->events);
    fl_env_free(h->env);
    fl__free(NULL, h, sizeof *h);
}

const char *fl_harness_error(const fl_harness *h)
{
    return fl_env_error(h->env);
}

/* ---- input ---- */

static void give(fl_harness *h, unsigned number, int what, const void *row, fl_time time)
{
    if (!h->is_running)
        return;
    if (number >= h->input_count) {
        fl_error error = FL_ERROR_INIT;
        fl__error_set(
            &error, FL_ERROR_INVALID, "the harness has no second input; give .second = FL_TYPE(…) to fl_harness_new");
        fail(h, &error);
        return;
    }
    harness_input *input = &h->inputs[number];
    input->pending = what;
    input->row = row;
    input->time = time;
    settle(h);
}

void fl__harness_push(fl_harness *h, unsigned input, fl_time timestamp, const void *row, size_t size)
{
    if (h->is_running && input < h->input_count && size != h->inputs[input].type->size) {
        fl_error error = FL_ERROR_INIT;
        fl__error_set(&error, FL_ERROR_INVALID,
            "the harness was given a record of %zu bytes, but its input's type %s has %u", size,
            h->inputs[input].type->name, h->inputs[input].type->size);
        fail(h, &error);
        return;
    }
    give(h, input, ROW, row, timestamp);
}

void fl_harness_watermark(fl_harness *h, fl_time watermark)
{
    give(h, 0, WATERMARK, NULL, watermark);
}

void fl_harness_watermark_second(fl_harness *h, fl_time watermark)
{
    give(h, 1, WATERMARK, NULL, watermark);
}

void fl_harness_idle(fl_harness *h)
{
    give(h, 0, IDLE, NULL, 0);
}

void fl_harness_idle_second(fl_harness *h)
{
    give(h, 1, IDLE, NULL, 0);
}

static fl_time next_deadline(const fl_harness *h)
{
    fl_time next = FL_TIME_MAX;
    for (uint32_t t = 0; t < h->job.task_count; t++) {
        const fl__task *task = &h->job.tasks[t];
        fl_time deadline = task->is_done ? FL_TIME_MAX : fl__task_deadline(task);
        if (deadline < next)
            next = deadline;
    }
    return next;
}

void fl_harness_advance(fl_harness *h, fl_duration by)
{
    fl_time until = h->os.now_ms + by.ms;
    settle(h); /* what was done from outside was done now */
    while (h->is_running) {
        fl_time next = next_deadline(h);
        if (next > until)
            break;
        if (next <= h->os.now_ms) /* due, and yet nobody took it: look again a moment later */
            next = h->os.now_ms + 1;
        h->os.now_ms = next < until ? next : until;
        settle(h);
        if (h->os.now_ms == until)
            break;
    }
    h->os.now_ms = until;
    settle(h);
}

void fl_harness_end(fl_harness *h)
{
    for (unsigned i = 0; i < h->input_count; i++)
        h->inputs[i].pending = END;
    settle(h);
    close_tasks(h);
    h->is_running = false;
}

/* ---- output ---- */

bool fl_harness_next(fl_harness *h, fl_harness_event *out)
{
    if (h->events_read == h->event_count)
        return false;
    const event *e = &h->events[h->events_read++];
    const fl__kept_rows *kept = &e->output->kept;
    *out = (fl_harness_event){
        .kind = e->kind,
        .side = e->output->tag,
        .row = e->kind == FL_HARNESS_RECORD ? kept->rows + e->row * kept->layout.row_size : NULL,
        .timestamp = e->timestamp,
    };
    return true;
}

static const void *rows_of(const harness_output *output, size_t *count)
{
    size_t n = output->is_made ? output->kept.count : 0;
    if (count)
        *count = n;
    return n ? output->kept.rows : NULL;
}

const void *fl_harness_rows(const fl_harness *h, size_t *count)
{
    return rows_of(&h->outputs[0], count);
}

const void *fl__harness_side_rows(const fl_harness *h, const fl_tag *tag, size_t *count)
{
    for (unsigned i = 1; i < h->output_count; i++) {
        if (h->outputs[i].tag == tag)
            return rows_of(&h->outputs[i], count);
    }
    if (count)
        *count = 0;
    return NULL;
}

fl_time fl_harness_output_watermark(const fl_harness *h)
{
    return h->outputs[0].watermark;
}

int64_t fl_harness_accumulator(const fl_harness *h, const char *name)
{
    if (!h->is_built)
        return 0;
    fl__job_result result;
    fl__job_summarize(&h->job, &result);
    for (uint32_t i = 0; i < result.accumulators.count; i++) {
        if (strcmp(result.accumulators.items[i].name, name) == 0)
            return result.accumulators.items[i].is_double ? (int64_t)result.accumulators.items[i].d
                                                          : result.accumulators.items[i].i;
    }
    return 0;
}
