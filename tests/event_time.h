/* Event time in simulated runs: sources that follow a script, and a sink that notes what it is told, in order. */
#ifndef TESTS_EVENT_TIME_H
#define TESTS_EVENT_TIME_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinc.h"
#include "flinc/testing.h"

#include "base/log.h"
#include "cluster/job.h"

/* ---- a source that follows a script ----
 * .arg is the script, one part for each subtask, with | between them:
 *   7      a record with event time 7           0:7   one of split 0
 *   +0     split 0 is added                     -0    … is finished           ~0   … is idle
 *   p200   nothing for 200 ms                   z     the source is idle      b    a batch ends here (FL_OK) */

typedef struct {
    const char *at;
    fl_time until; /* nothing before: a source may be asked earlier than it wanted */
} Script;

static void script_open(fl_context *ctx)
{
    Script *self = fl_self(ctx);
    self->at = fl_arg(ctx);
    for (int i = 0; i < fl_subtask_index(ctx) && self->at; i++) {
        self->at = strchr(self->at, '|');
        self->at += self->at != NULL;
    }
}

static fl_status script_poll(fl_collector *out, fl_context *ctx)
{
    Script *self = fl_self(ctx);
    if (fl_current_processing_time(ctx) < self->until) {
        fl_wait_until(ctx, self->until);
        return FL_AGAIN;
    }
    while (self->at && *self->at && *self->at != '|') {
        char what = *self->at;
        bool has_letter = strchr("+-~pzb", what) && (what != '-' || self->at[1] != ' ');
        char *end;
        int64_t n = strtoll(self->at + has_letter, &end, 10);
        self->at = end;
        if (!has_letter && *end == ':') {
            fl_split_choose(ctx, (uint64_t)n);
            n = strtoll(end + 1, &end, 10);
            self->at = end;
        }
        while (*self->at == ' ')
            self->at++;
        switch (has_letter ? what : 0) {
        case '+': fl_split_add(ctx, (uint64_t)n); break;
        case '-': fl_split_finish(ctx, (uint64_t)n); break;
        case '~': fl_split_mark_idle(ctx, (uint64_t)n); break;
        case 'p':
            self->until = fl_current_processing_time(ctx) + n;
            fl_wait_until(ctx, self->until);
            return FL_AGAIN;
        case 'z': fl_mark_idle(out); break;
        case 'b': return FL_OK;
        default: fl_collect(out, &n); break;
        }
    }
    return FL_DONE;
}

static const fl_source_class script_source __attribute__((unused)) = {
    .name = "Script", .instance_size = sizeof(Script), .open = script_open, .poll = script_poll, .no_timestamps = true
};

/* int64_t records: their own event time */
static inline fl_time own_time(const void *in, fl_time previous, fl_context *ctx)
{
    (void)previous, (void)ctx;
    return *(const int64_t *)in;
}

/* ---- a sink that notes ---- */

enum { NOTED_MAX = 16 };
static char noted[4096];
static struct {
    const fl__operator *op;
    bool is_idle;
} noters[NOTED_MAX];
static int noter_count;

static inline void note(const char *format, long long value)
{
    size_t length = strlen(noted);
    snprintf(noted + length, sizeof noted - length, format, value);
}

static inline void note_idleness(void)
{
    for (int i = 0; i < noter_count; i++) {
        if (noters[i].is_idle == noters[i].op->is_idle_output)
            continue;
        noters[i].is_idle = !noters[i].is_idle;
        note(noters[i].is_idle ? " idle" : " active", 0);
    }
}

static inline void note_step(void *arg, const fl__task *task, fl__step result)
{
    (void)arg, (void)task, (void)result;
    note_idleness();
}

static fl_status noter_open(fl__operator *op, fl_error *error)
{
    (void)error;
    noters[noter_count].op = op;
    noters[noter_count++].is_idle = false;
    return FL_OK;
}

static fl_status noter_process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)op, (void)input;
    note_idleness();
    for (uint32_t i = 0; i < batch->count; i++)
        note(" %lld", *(const long long *)(const void *)fl__batch_row(batch, i));
    return FL_OK;
}

static fl_status noter_watermark(fl__operator *op, fl_time watermark)
{
    (void)op;
    note_idleness();
    note(watermark == FL_TIME_MAX ? " end" : " w%lld", watermark);
    return FL_OK;
}

static const fl__operator_class noter_class = { .kind = "Note",
    .size = sizeof(fl__operator),
    .open = noter_open,
    .process = noter_process,
    .watermark = noter_watermark };

/* Notes records (int64_t), watermarks, " end", " idle" and " active" of a stream, by one subtask. */
static inline void note_all(fl_stream *s)
{
    fl_options one = { .parallelism = 1, .name = "Note", .where = FL_HERE };
    fl__add_operator(s, &(fl__new_operator){ .class = &noter_class, .options = &one });
}

/* Log lines of the last run. */
static char logged[8192] __attribute__((unused));

static inline void keep_log(void *arg, const char *line, size_t length)
{
    (void)arg;
    strncat(logged, line, length < sizeof logged - strlen(logged) - 1 ? length : 0);
}

/* Runs the job in the simulator, returns what was noted or, when it failed, the error. Frees the environment. */
static inline const char *run_noted(fl_env *env, uint64_t seed)
{
    noted[0] = 0;
    noter_count = 0;
    logged[0] = 0;
    fl__log_set_sink(keep_log, NULL);
    fl_test_simulate(env, .seed = seed);
    ((fl__simulation *)(uintptr_t)env->simulation)->step = note_step;
    if (fl_execute(env, "test") != 0)
        snprintf(noted, sizeof noted, "%s", fl_env_error(env));
    fl_env_free(env);
    fl__log_set_sink(NULL, NULL);
    return noted;
}

#endif
