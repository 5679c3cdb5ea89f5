/* Checkpoints of the general path: each key's windows as they are at the barrier, encoded at once. What is written is
 * logical: queues are filled, and numbers given, anew. A late record is one after a restore as well: what has passed of
 * both kinds of time is part of the state (Flink's is not).
 *
 *   SCHEMA, PAGE   the window function's states of the key, by keyed_snapshot.h
 *   VALUES         what windows these are, text | event time, processing time that have passed (zigzag varints) |
 *                  delta triggers: schema of the records
 *   TABLE_SCHEMA   the key, and what a window keeps
 *   TABLE_PAGE     as in table_snapshot.h; an entry: key | windows varint | for each, latest first:
 *                  number varint | start, end (zigzag varints) | flags varint | content | trigger's | timers
 *     content      when there is some: value, or count varint, for each: timestamp (zigzag varint), when they are kept;
 * row trigger's    but with the default trigger: see window_trigger.c timers       likewise: count varint, for each:
 * domain varint, time (zigzag varint) section        "window states": the states by key and window, whose keys are the
 * windows' numbers of then */
#include "operators/window_general.h"
#include "state/table_restore.h"

#include <stdio.h>
#include <stdlib.h>

#define WINDOW_STATES "window states"
enum { HAS_CONTENT = 1, HAS_FIRED = 2 };
enum { PAGE_BYTES = 256 * 1024, TEXT_BYTES = 512 };

static bool keeps_lists(const fl__window_general *g)
{
    return g->w.function == &fl__window_elements;
}

static const fl_type *content_type(const fl__window_general *g)
{
    return keeps_lists(g) ? g->w.op.spec->in[0] : g->w.content_layout.type;
}

/* What has to be the same for the windows to go on: how they are laid out, and what their triggers remember. Numbers
 * (gaps, counts, intervals) may change. */
static void describe(const fl__window_general *g, char *text, size_t size)
{
    const fl_trigger *trigger = &g->trigger;
    int length =
        snprintf(text, size, "%s%s windows of %s with %s", g->w.config->window.assigner.is_merging ? "merging " : "",
            g->domain == FL__EVENT_TIME ? "event-time" : "processing-time",
            !keeps_lists(g)         ? "values"
            : g->w.keeps_timestamps ? "records that are evicted"
                                    : "records",
            fl__window_trigger_name(trigger));
    for (uint32_t i = 0; i < trigger->layer_count && (size_t)length < size; i++)
        length +=
            snprintf(text + length, size - (size_t)length, trigger->layers[i].is_timeout ? ", a timeout" : ", purging");
    if (trigger->kind == FL_TRIGGER_CUSTOM && (size_t)length < size)
        snprintf(text + length, size - (size_t)length, ", %zu bytes of state", trigger->class_of->state_size);
}

/* ---- to ---- */

static void encode_list(const fl__window_general *g, const fl__window_list *list, fl__buffer *out)
{
    const fl__window_operator *w = &g->w;
    fl__buffer_varint(out, list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        if (w->keeps_timestamps)
            fl__block_put_int(out, fl__window_list_timestamps(list)[i]);
        fl__encode(w->row_layout.type, list->rows + (size_t)i * w->row_layout.row_size, out);
    }
}

static void encode_timers(const fl__window_general *g, const fl__window_object *window, fl__buffer *out)
{
    uint64_t count = 0;
    for (uint32_t t = window->timers; t != FL__NO_REF; t = g->timers[t].next)
        count++;
    fl__buffer_varint(out, count);
    for (uint32_t t = window->timers; t != FL__NO_REF; t = g->timers[t].next) {
        fl__buffer_varint(out, g->timers[t].domain);
        fl__block_put_int(out, g->timers[t].time);
    }
}

static void encode_window(const fl__window_general *g, uint32_t number, fl__buffer *out)
{
    fl__window_object *window = fl__window_at(g, number);
    fl__buffer_varint(out, number);
    fl__block_put_int(out, window->start);
    fl__block_put_int(out, window->end);
    fl__buffer_varint(out, (window->has_content ? HAS_CONTENT : 0) | (window->has_fired ? HAS_FIRED : 0));
    if (window->has_content && keeps_lists(g))
        encode_list(g, fl__window_list_of(g, window), out);
    else if (window->has_content)
        fl__encode(g->w.content_layout.type, fl__window_content_of(g, window), out);
    if (g->is_implicit)
        return;
    fl__window_trigger_encode(g, fl__window_trigger_state(g, window), out);
    encode_timers(g, window, out);
}

static void encode_key(const fl__window_general *g, const char *entry, uint32_t first, fl__buffer *out)
{
    uint64_t count = 0;
    for (uint32_t n = first; n != FL__NO_REF; n = fl__window_at(g, n)->next)
        count++;
    fl__encode(g->w.op.spec->key[0]->type, entry + g->keys.key_offset, out);
    fl__buffer_varint(out, count);
    for (uint32_t n = first; n != FL__NO_REF; n = fl__window_at(g, n)->next)
        encode_window(g, n, out);
}

static void put_page(fl__snapshot *to, fl__buffer *entries, uint64_t count)
{
    fl__buffer *out = fl__snapshot_bytes(to, FL__BLOCK_TABLE_PAGE);
    const uint64_t head[] = { 0, 0, 0, count }; /* label, first reference, key group: of no use here */
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++)
        fl__buffer_varint(out, head[i]);
    fl__buffer_append(out, entries->data, entries->size);
    entries->size = 0;
}

static void put_windows(fl__window_general *g, fl__snapshot *to)
{
    fl__buffer entries;
    fl__buffer_init(&entries, &g->w.op.memory);
    uint64_t cursor = 0, count = 0;
    for (const char *entry; (entry = fl__table_next(&g->keys, &cursor)) != NULL;) {
        uint32_t first;
        memcpy(&first, entry + g->first_offset, sizeof first);
        if (first == FL__NO_REF)
            continue;
        fl__buffer_varint(&entries, count++);
        encode_key(g, entry, first, &entries);
        if (entries.size < PAGE_BYTES)
            continue;
        put_page(to, &entries, count);
        count = 0;
    }
    if (count)
        put_page(to, &entries, count);
    fl__buffer_release(&entries);
}

void fl__window_general_snapshot(fl__operator *op, fl__snapshot *to)
{
    fl__window_general *g = fl__window_general_of(op);
    fl__memory *memory = op->task->account.parent;
    if (g->w.keyed)
        fl__keyed_snapshot(g->w.keyed, NULL, to, memory);
    char text[TEXT_BYTES];
    describe(g, text, sizeof text);
    fl__buffer *values = fl__snapshot_bytes(to, FL__BLOCK_VALUES);
    fl__block_put_text(values, text);
    fl__block_put_int(values, g->time[FL__EVENT_TIME]);
    fl__block_put_int(values, g->time[FL__PROCESSING_TIME]);
    if (g->trigger.kind == FL_TRIGGER_DELTA)
        fl__schema_encode(op->spec->in[0], values);
    const fl__state_schema content = {
        .name = "window", .kind = keeps_lists(g) ? FL_STATE_LIST : FL_STATE_VALUE, .type = content_type(g)
    };
    fl__schema_block_write(fl__snapshot_bytes(to, FL__BLOCK_TABLE_SCHEMA), op->spec->key[0]->type, 0, &content, 1);
    put_windows(g, to);
    if (!g->w.window_keyed)
        return;
    fl__snapshot_section(to, WINDOW_STATES);
    fl__keyed_snapshot(g->w.window_keyed, NULL, to, memory);
}

/* ---- and back ---- */

/* A window's number in a file, and the one that it has now. */
typedef struct renumbered {
    uint64_t file, then;
    uint32_t now;
} renumbered;

typedef struct restoring {
    fl__window_general *g;
    fl__table_restore table;
    uint32_t file; /* whose VALUES were read last */
    void *row;     /* scratch */
    renumbered *numbers;
    size_t number_count, number_capacity;
} restoring;

static fl_status damaged(const restoring *r, fl_error *error, const char *what)
{
    return fl__blocks_corrupt(&r->table.from->blocks, error, what);
}

static void remember(restoring *r, uint64_t then, uint32_t now)
{
    if (!r->g->w.window_keyed)
        return;
    if (r->number_count == r->number_capacity) {
        size_t capacity = r->number_capacity ? 2 * r->number_capacity : 256;
        r->numbers = fl__realloc(
            r->table.from->memory, r->numbers, r->number_capacity * sizeof *r->numbers, capacity * sizeof *r->numbers);
        r->number_capacity = capacity;
    }
    r->numbers[r->number_count++] = (renumbered){ r->table.from->next_file, then, now };
}

/* All subtasks have seen the same watermarks before the barrier. */
static fl_status restore_values(fl__table_restore *table, fl__reader *in, fl_error *error)
{
    restoring *r = table->arg;
    fl__window_general *g = r->g;
    char now[TEXT_BYTES];
    describe(g, now, sizeof now);
    const char *then = fl__block_get_text(in, &table->scratch);
    int64_t time[2];
    if (!then || !fl__block_get_int(in, &time[FL__EVENT_TIME]) || !fl__block_get_int(in, &time[FL__PROCESSING_TIME]))
        return damaged(r, error, "the windows' head");
    if (strcmp(now, then) != 0)
        return fl__error_set(error, FL_ERROR_INVALID,
            "operator \"%s\" has %s in the program, but %s in the snapshot %s; make it as it was then, or give "
            "it another "
            ".uid, so that it starts without windows",
            table->from->id, now, then, table->from->blocks.file.path);
    if (g->trigger.kind == FL_TRIGGER_DELTA) {
        const fl_type *type;
        fl_status status = fl__schema_decode(in, &table->scratch, &type, error);
        if (status != FL_OK)
            return status;
        if (!fl__same_schema(g->w.op.spec->in[0], type))
            return fl__schema_changed(table->from, "the record of the trigger", g->w.op.spec->in[0], type, error);
    }
    for (unsigned domain = 0; domain < 2; domain++)
        g->time[domain] = time[domain] > g->time[domain] ? time[domain] : g->time[domain];
    r->file = table->from->next_file;
    return FL_OK;
}

/* window NULL: read over it. */
static fl_status restore_list(restoring *r, fl__window_object *window, fl__reader *in, fl_error *error)
{
    fl__window_operator *w = &r->g->w;
    uint64_t count;
    if (!fl__reader_varint(in, &count) || count >= UINT32_MAX / 2)
        return damaged(r, error, "a window's number of records");
    for (uint64_t i = 0; i < count; i++) {
        fl_time timestamp = FL_NO_TIMESTAMP;
        if (w->keeps_timestamps && !fl__block_get_int(in, &timestamp))
            return damaged(r, error, "a record's timestamp");
        fl_status status = fl__decode(w->row_layout.type, in, &r->table.scratch, r->row, error);
        if (status != FL_OK)
            return status;
        if (window)
            fl__window_list_add(w, r->g->pane.heap, fl__window_list_of(r->g, window), r->row, timestamp);
    }
    return FL_OK;
}

static fl_status restore_content(restoring *r, fl__window_object *window, fl__reader *in, fl_error *error)
{
    fl__window_general *g = r->g;
    if (window)
        window->has_content = true;
    if (keeps_lists(g))
        return restore_list(r, window, in, error);
    fl_status status = fl__decode(r->table.type, in, &r->table.scratch, g->w.content_scratch, error);
    if (status != FL_OK || !window)
        return status;
    char *content = fl__window_content_of(g, window);
    memcpy(content, g->w.content_scratch, g->w.content_layout.row_size);
    if (!g->w.content_layout.is_flat)
        fl__value_own(&g->w.content_layout, content, g->pane.heap);
    return FL_OK;
}

/* number FL__NO_REF: read over it. */
static fl_status restore_timers(restoring *r, uint32_t number, fl__reader *in, fl_error *error)
{
    fl__window_general *g = r->g;
    uint64_t count, domain;
    int64_t time;
    if (!fl__reader_varint(in, &count))
        return damaged(r, error, "a window's number of timers");
    for (; count > 0; count--) {
        if (!fl__reader_varint(in, &domain) || domain > FL__PROCESSING_TIME || !fl__block_get_int(in, &time))
            return damaged(r, error, "a window's timers");
        if (number != FL__NO_REF)
            fl__window_register(g, number, (fl__time_domain)domain, time);
    }
    if (number == FL__NO_REF)
        return FL_OK;
    /* the allowed lateness may be another one now */
    fl_time cleanup = fl__window_cleanup_time(g, fl__window_at(g, number)->end);
    if (cleanup != FL_TIME_MAX)
        fl__window_register(g, number, g->domain, cleanup);
    return FL_OK;
}

/* Does a window come where it may, behind the later one (invariant W6)? */
static bool is_in_order(const fl__window_general *g, const fl__window_object *later, fl_window_range range)
{
    if (g->w.config->window.assigner.is_merging)
        return range.end < later->start;
    return range.start != later->start ? range.start < later->start : range.end < later->end;
}

/* The next window of the key, earlier than *later (NULL: its latest), which it replaces. key FL__NO_REF: another
 * subtask's. */
static fl_status restore_window(restoring *r, uint32_t key, fl__window_object **later, fl__reader *in, fl_error *error)
{
    fl__window_general *g = r->g;
    uint64_t then, flags;
    fl_window_range range;
    if (!fl__reader_varint(in, &then) || !fl__block_get_int(in, &range.start) || !fl__block_get_int(in, &range.end) ||
        !fl__reader_varint(in, &flags) || flags > (HAS_CONTENT | HAS_FIRED) || range.end <= range.start ||
        (*later && !is_in_order(g, *later, range)))
        return damaged(r, error, "a window");
    uint32_t number = FL__NO_REF;
    fl__window_object *window = NULL;
    if (key != FL__NO_REF) {
        number = fl__window_make(g, key, *later ? &(*later)->next : fl__window_first(g, key), range);
        *later = window = fl__window_at(g, number);
        window->has_fired = (flags & HAS_FIRED) != 0;
        remember(r, then, number);
    }
    fl_status status = flags & HAS_CONTENT ? restore_content(r, window, in, error) : FL_OK;
    if (status == FL_OK && !g->is_implicit)
        status = fl__window_trigger_decode(
            g, window ? fl__window_trigger_state(g, window) : NULL, r->table.from, in, &r->table.scratch, error);
    if (status == FL_OK && !g->is_implicit)
        status = restore_timers(r, number, in, error);
    if (status == FL_OK && g->is_implicit && window)
        fl__window_arm(g, number);
    return status;
}

static fl_status restore_entry(fl__table_restore *table, uint64_t label, uint64_t hash, const void *key, bool is_ours,
    fl__reader *in, fl_error *error)
{
    restoring *r = table->arg;
    fl__window_general *g = r->g;
    uint64_t count;
    (void)label;
    if (r->file != table->from->next_file)
        return damaged(r, error, "it comes before the windows' head");
    if (!fl__reader_varint(in, &count) || count == 0)
        return damaged(r, error, "a key's number of windows");
    uint32_t ref = is_ours ? fl__window_find_key(g, hash, key, true) : FL__NO_REF;
    if (ref != FL__NO_REF && *fl__window_first(g, ref) != FL__NO_REF)
        return damaged(r, error, "it has a key that came before");
    fl__window_object *later = NULL;
    fl_status status = FL_OK;
    for (; count > 0 && status == FL_OK; count--)
        status = restore_window(r, ref, &later, in, error);
    return status;
}

/* ---- states by key and window ---- */

static int compare_numbers(const void *a, const void *b)
{
    const renumbered *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->then < y->then ? -1 : x->then > y->then;
}

/* Of windows that are another subtask's, or no more, nothing is taken. */
static bool renumber(void *arg, const fl__restored *from, void *key)
{
    const restoring *r = arg;
    int64_t number;
    memcpy(&number, key, sizeof number);
    renumbered wanted = { .file = from->next_file, .then = (uint64_t)number };
    const renumbered *found =
        r->number_count ? bsearch(&wanted, r->numbers, r->number_count, sizeof wanted, compare_numbers) : NULL;
    if (!found)
        return false;
    number = found->now;
    memcpy(key, &number, sizeof number);
    return true;
}

static fl_status restore_window_states(restoring *r, fl_error *error)
{
    fl__window_operator *w = &r->g->w;
    char id[1024];
    if (r->number_count)
        qsort(r->numbers, r->number_count, sizeof *r->numbers, compare_numbers);
    fl__restored section = fl__restored_section(r->table.from, WINDOW_STATES, id, sizeof id);
    fl_status status = fl__keyed_restore_as(w->window_keyed, &w->window_ctx, &section, renumber, r, error);
    fl__restored_close(&section);
    return status;
}

fl_status fl__window_general_restore(fl__operator *op, fl__restored *from, fl_error *error)
{
    fl__window_general *g = fl__window_general_of(op);
    fl_status status = FL_OK;
    if (g->w.keyed) {
        status = fl__keyed_restore(g->w.keyed, NULL, &op->ctx, from, error);
        fl__restored_rewind(from);
    }
    restoring r = {
        .g = g,
        .table = {
            .from = from,
            .key = op->spec->key[0],
            .what = "what the window keeps",
            .type = content_type(g),
            .entry = restore_entry,
            .values = restore_values,
        },
        .file = UINT32_MAX,
        .row = fl__alloc_zero(from->memory, g->w.row_layout.row_size),
    };
    r.table.arg = &r;
    if (status == FL_OK)
        status = fl__table_restore_run(&r.table, error);
    if (status == FL_OK && g->w.window_keyed)
        status = restore_window_states(&r, error);
    fl__free(from->memory, r.row, g->w.row_layout.row_size);
    fl__free(from->memory, r.numbers, r.number_capacity * sizeof *r.numbers);
    if (status != FL_OK)
        return status;
    op->ctx.watermark = g->time[FL__EVENT_TIME];
    fl__window_general_set_timer(g);
    return FL_OK;
}
