/* Drives one window operator without a job: batches and watermarks in, rows with timestamps out as text. The operator
 * runs inside a task that has no channels; what it collects is caught at its outputs. */
#ifndef WINDOW_HARNESS_H
#define WINDOW_HARNESS_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "operators/window.h"
#include "stream/task.h"

typedef struct lines {
    char **at;
    size_t count, capacity;
} lines;

static inline void lines_add(lines *l, const char *text)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 16;
        l->at = realloc(l->at, l->capacity * sizeof *l->at);
    }
    l->at[l->count++] = strdup(text);
}

static inline void lines_clear(lines *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->at[i]);
    l->count = 0;
}

static inline void lines_release(lines *l)
{
    lines_clear(l);
    free(l->at);
    *l = (lines){ 0 };
}

/* "timestamp row" */
static inline void lines_add_row(lines *l, fl_time timestamp, const fl_type *type, const void *row)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%lld ", (long long)timestamp);
    fl_format(type, row, text + n, sizeof text - (size_t)n);
    lines_add(l, text);
}

typedef struct harness {
    fl__task task;
    fl__memory memory;
    fl__arena arena;
    fl_error error;
    fl__key key;
    fl__operator_spec spec;
    fl__window_config config;
    fl__operator *op;
    fl__output side;
    fl__batch *batch;
    fl__layout layout;
    lines out, late;
    size_t pauses; /* how often the operator said FL_AGAIN */
} harness;

static harness *harness_at_hand; /* the outputs' callback has no other way to it */

static inline void harness_catch(fl__output *out, const void *row, size_t size)
{
    harness *h = harness_at_hand;
    fl_assert(size == out->collector.row_size);
    if (out == &h->op->out)
        lines_add_row(&h->out, out->collector.timestamp, h->spec.out, row);
    else
        lines_add_row(&h->late, out->collector.timestamp, h->spec.in[0], row);
}

/* Before: h zeroed; h->config and h->spec's in[0], out and functions set. keys: fields of in[0], up to NULL. */
static inline void harness_open(harness *h, const char *const *keys)
{
    size_t n = 0;
    while (keys[n])
        n++;
    fl__memory_init(&h->memory, "harness", NULL, 0);
    fl__arena_init(&h->arena, &h->memory);
    if (!h->key.selector) {
        fl_status status = fl__key_init_fields(&h->key, &h->arena, h->spec.in[0], keys, NULL, n, &h->error);
        fl_assert(status == FL_OK);
    }
    h->spec.class = fl__window_class_for(&h->config);
    h->spec.name = "windows";
    h->spec.key[0] = &h->key;
    h->spec.config = &h->config;
    h->spec.has_timestamps = true;
    h->task.memory = &h->memory;
    h->task.name = "windows (1/1)";
    h->op = fl__alloc_zero(&h->memory, h->spec.class->size);
    h->op->class = h->spec.class;
    h->op->spec = &h->spec;
    h->op->task = &h->task;
    h->op->ctx.watermark = FL_TIME_MIN;
    h->op->ctx.parallelism = 1;
    fl__memory_init(&h->op->memory, "operator", &h->memory, 0);
    h->op->out.collector.row_size = h->spec.out->size;
    h->op->out.op = h->op;
    h->op->out.slow = harness_catch; /* cursor and limit are NULL: every row goes there */
    if (h->config.window.late) {
        h->side.tag = h->config.window.late;
        h->side.op = h->op;
        h->side.collector.row_size = h->spec.in[0]->size;
        h->side.slow = harness_catch;
        h->op->side = &h->side;
        h->op->side_count = 1;
    }
    fl__layout_init(&h->layout, h->spec.in[0]);
    h->batch = fl__batch_new(&h->memory, h->spec.in[0], FL__COLUMN_TIMESTAMP | FL__COLUMN_HASH, 32 * 1024);
    harness_at_hand = h;
    fl_status status = h->op->class->open(h->op, &h->error);
    fl_assert(status == FL_OK);
}

/* Puts a row into the open batch. */
static inline void harness_row(harness *h, const void *row, fl_time timestamp)
{
    bool fits = fl__batch_append(h->batch, &h->layout, row);
    fl_assert(fits);
    uint32_t i = h->batch->count - 1;
    char scratch[256];
    fl__batch_timestamps(h->batch)[i] = timestamp;
    fl__batch_hashes(h->batch)[i] = fl__key_hash(&h->key, fl__key_of(&h->key, fl__batch_row(h->batch, i), scratch));
}

/* Processes the open batch; what it held is wiped, so that a pointer into it that was kept is found. */
static inline fl_status harness_flush(harness *h)
{
    harness_at_hand = h;
    fl_status status = h->op->class->process(h->op, 0, h->batch);
    memset(fl__batch_rows(h->batch), 0xa5, h->batch->size - h->batch->rows_offset);
    fl__batch_clear(h->batch);
    return status;
}

static inline fl_status harness_push(harness *h, const void *row, fl_time timestamp)
{
    harness_row(h, row, timestamp);
    return harness_flush(h);
}

/* blocked: says for each call whether the output is blocked; NULL: never. */
static inline fl_status harness_watermark(harness *h, fl_time watermark, bool (*blocked)(void))
{
    harness_at_hand = h;
    h->op->ctx.watermark = watermark;
    fl_status status;
    do {
        h->task.is_blocked = blocked && blocked();
        status = h->op->class->watermark(h->op, watermark);
        h->pauses += status == FL_AGAIN;
    } while (status == FL_AGAIN);
    h->task.is_blocked = false;
    return status;
}

static inline fl_status harness_clock(harness *h, fl_time now)
{
    harness_at_hand = h;
    h->task.now = now;
    return now >= h->op->next_timer ? h->op->class->timers(h->op, now) : FL_OK;
}

static inline void harness_close(harness *h)
{
    h->op->class->close(h->op);
    fl_assert(fl__memory_used(&h->op->memory) == 0);
    for (fl__user_counter *c = h->op->counters, *next; c; c = next) {
        next = c->next;
        fl__free(&h->memory, c, sizeof *c);
    }
    fl__free(&h->memory, h->op, h->spec.class->size);
    fl__batch_free(h->batch);
    fl__arena_release(&h->arena);
    fl_assert(fl__memory_used(&h->memory) == 0);
    lines_release(&h->out);
    lines_release(&h->late);
    fl__error_release(&h->error);
    fl__error_release(&h->task.error);
}

#endif
