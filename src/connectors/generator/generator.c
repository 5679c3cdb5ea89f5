/* fl_generate: calls the user's function with numbers. Number i goes to subtask i mod parallelism.
 *
 * With a rate, record i of the job is due at start + i / rate: each subtask emits what is due and sleeps until the next
 * one is, a clock's millisecond at the least. Time that was lost (backpressure, a clock set forward) is made up for,
 * but never more than a second of it at once. */
#include "api/api.h"
#include "stream/task.h"

#include <math.h>

enum {
    POLL_RECORDS = 1024,   /* at most so many calls a poll: the task looks after its output in between */
    BACKLOG_MS_MAX = 1000, /* lost time beyond this is lost */
};

struct generator_config {
    double rate;   /* records per ms over all subtasks; 0: no bound */
    int64_t count; /* over all subtasks; INT64_MAX: no end */
};

/* The numbers next, next + step, … */
struct progression {
    int64_t next, step;
};

/* One progression at the start; after a restore with another parallelism those that were dealt to this subtask. */
struct generator_source {
    fl__operator op;
    struct progression *progressions, *current; /* current: the one with the lowest next */
    size_t count, capacity;
    fl_time start, last; /* of the pacing; last: the clock at the last poll */
    bool started;
};

static void add_progression(struct generator_source *source, struct progression progression)
{
    if (source->count == source->capacity) {
        size_t more = source->capacity ? 2 * source->capacity : 1;
        source->progressions = fl__realloc(&source->op.memory, source->progressions,
            source->capacity * sizeof *source->progressions, more * sizeof *source->progressions);
        source->capacity = more;
    }
    source->progressions[source->count++] = progression;
}

static void choose(struct generator_source *source)
{
    source->current = source->progressions;
    for (size_t i = 1; i < source->count; i++) {
        if (source->progressions[i].next < source->current->next)
            source->current = &source->progressions[i];
    }
}

static fl_status open_generator(fl__operator *op, fl_error *error)
{
    (void)error;
    struct generator_source *source = (struct generator_source *)op;
    add_progression(source, (struct progression){ op->ctx.subtask, op->ctx.parallelism });
    choose(source);
    return FL_OK;
}

static void close_generator(fl__operator *op)
{
    struct generator_source *source = (struct generator_source *)op;
    fl__free(&op->memory, source->progressions, source->capacity * sizeof *source->progressions);
    source->progressions = source->current = NULL;
    source->count = source->capacity = 0;
}

/* Numbers below this may be emitted now. */
static int64_t due(struct generator_source *source, double rate)
{
    fl_time now = fl__operator_now(&source->op);
    if (!source->started) {
        source->started = true;
        source->last = now;
        source->start = now - (fl_time)((double)(source->current->next - source->op.ctx.subtask) / rate);
    }
    if (now < source->last)
        source->start -= source->last - now; /* the clock was set back: go on as if it had stood still */
    source->last = now;
    double next_due = (double)source->start + (double)source->current->next / rate;
    if ((double)now - next_due > BACKLOG_MS_MAX)
        source->start += (fl_time)((double)now - next_due) - BACKLOG_MS_MAX;
    double numbers = floor((double)(now - source->start) * rate) + 1;
    return numbers < 9e18 ? (int64_t)numbers : INT64_MAX;
}

static fl_status poll_generator(fl__operator *op)
{
    struct generator_source *source = (struct generator_source *)op;
    const struct generator_config *config = (const struct generator_config *)op->spec->config;
    fl_function f = op->spec->function;
    fl_collector *out = &op->out.collector;
    const bool *failed = &op->task->failed;
    int64_t end = config->count;
    if (source->count == 0)
        return FL_DONE;
    if (config->rate > 0) {
        int64_t now_due = due(source, config->rate);
        end = now_due < end ? now_due : end;
    }
    out->timestamp = FL_NO_TIMESTAMP;
    for (int calls = 0; source->current->next < end && calls < POLL_RECORDS; calls++) {
        int64_t number = source->current->next;
        source->current->next += source->current->step;
        if (FL_UNLIKELY(source->count > 1))
            choose(source);
        f(&number, out, &op->ctx);
        if (FL_UNLIKELY(*failed))
            return FL_ERROR_USER;
    }
    if (source->current->next >= config->count)
        return FL_DONE;
    if (source->current->next < end)
        return FL_OK;
    /* never now: rounding may have put the due time on this side of the clock */
    fl_time next_due = source->start + (fl_time)ceil((double)source->current->next / config->rate);
    fl_wait_until(&op->ctx, next_due > source->last ? next_due : source->last + 1);
    return FL_AGAIN;
}

static void snapshot_generator(fl__operator *op, fl__snapshot *to)
{
    const struct generator_source *source = (const struct generator_source *)op;
    fl__buffer *out = fl__snapshot_bytes(to, FL__BLOCK_VALUES);
    fl__buffer_varint(out, source->count);
    for (size_t i = 0; i < source->count; i++) {
        fl__block_put_int(out, source->progressions[i].next);
        fl__block_put_int(out, source->progressions[i].step);
    }
}

static fl_status restore_generator(fl__operator *op, fl__restored *from, fl_error *error)
{
    struct generator_source *source = (struct generator_source *)op;
    source->count = 0;
    fl__block block;
    fl_status status;
    while ((status = fl__restored_next(from, &block, error)) == FL_OK) {
        uint64_t count;
        bool is_whole = fl__reader_varint(&block.payload, &count);
        for (uint64_t i = 0; is_whole && i < count; i++) {
            struct progression p;
            is_whole = fl__block_get_int(&block.payload, &p.next) && fl__block_get_int(&block.payload, &p.step) &&
                       p.next >= 0 && p.step > 0;
            if (is_whole && fl__restored_takes(from))
                add_progression(source, p);
        }
        if (!is_whole)
            return fl__blocks_corrupt(&from->blocks, error, "the numbers of a generator");
    }
    choose(source);
    return status == FL_DONE ? FL_OK : status;
}

static const fl__operator_class generator_class = {
    .kind = "Data Generator",
    .size = sizeof(struct generator_source),
    .open = open_generator,
    .poll = poll_generator,
    .close = close_generator,
    .snapshot = snapshot_generator,
    .restore = restore_generator,
};

fl_stream *fl__generate(fl_env *env, fl_function f, const fl_type *type, const fl_source_options *options)
{
    if (!f)
        return fl__stream_error(env, options->where, "fl_generate: the function is NULL");
    if (!(options->rate >= 0) || isinf(options->rate))
        return fl__stream_error(env, options->where,
            "fl_generate: .rate is %g; give records per second, or leave it out for as fast as possible",
            options->rate);
    if (options->count < 0)
        return fl__stream_error(env, options->where,
            "fl_generate: .count is %lld; give a number of records, or leave it out for no end",
            (long long)options->count);
    struct generator_config *config = fl__env_alloc(env, sizeof *config);
    config->rate = options->rate / 1000;
    config->count = options->count ? options->count : INT64_MAX;
    return fl__add_source_operator(env, &(fl__new_operator){
                                            .class = &generator_class,
                                            .out = type,
                                            .options = (const fl_options *)options,
                                            .source = options,
                                            .function = f,
                                            .config = config,
                                            .emits_timestamps = options->timestamps,
                                            .is_unbounded = options->count == 0,
                                        });
}
