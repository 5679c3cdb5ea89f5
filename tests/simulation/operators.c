/* Plans as jobs: user functions, and operators of our own that do what the engine must bear with. */
#include "pipeline.h"

#include "flinc/testing.h"
#include "stream/task.h"

#include <stdlib.h>

FL_ROW(Item, id, key, value, at, small, name, text);

static record record_of(const Item *item, fl_time timestamp)
{
    return (record){ .id = item->id, .key = item->key, .value = item->value, .at = item->at, .timestamp = timestamp };
}

typedef struct buffers {
    char text[TEXT_MAX], name[64];
} buffers;

/* What the strings of the item are made in is the caller's: emitting it may call others that make theirs. */
static Item item_of(const record *r, buffers *scratch)
{
    return (Item){
        .id = r->id,
        .key = r->key,
        .value = r->value,
        .at = r->at,
        .small = small_of(r->key),
        .name = name_of(r->key, scratch->name),
        .text = text_of(r->id, scratch->text),
    };
}

/* ---- source: follows a script ---- */

typedef struct script_source {
    fl__operator op;
    size_t next;
    uint64_t random;
    bool is_resting; /* this pause or yield was taken */
} script_source;

static fl_status poll_script(fl__operator *op)
{
    script_source *self = (script_source *)op;
    const node *n = op->spec->config;
    int subtask = op->ctx.subtask;
    self->random = mix(self->random + (uint64_t)subtask);
    for (size_t left = 1 + self->random % 12; left > 0; left--) {
        if (self->next == n->script_count[subtask])
            return FL_DONE;
        const action *a = &n->script[subtask][self->next];
        if (a->kind == ACTION_PAUSE || a->kind == ACTION_YIELD) {
            if (!self->is_resting) {
                self->is_resting = true;
                fl__operator_wait_until(op, fl__operator_now(op) + (a->kind == ACTION_PAUSE ? a->value : 0));
                return FL_AGAIN;
            }
            self->is_resting = false;
        } else if (a->kind == ACTION_RECORD) {
            buffers scratch;
            Item item = item_of(&a->record, &scratch);
            fl__emit(&op->out, &item, a->record.timestamp);
        } else if (a->kind == ACTION_WATERMARK) {
            fl_emit_watermark(&op->out.collector, a->value);
        } else {
            fl_mark_idle(&op->out.collector);
        }
        self->next++;
    }
    return FL_OK;
}

const fl__operator_class script_source_class = { .kind = "Script", .size = sizeof(script_source), .poll = poll_script };

/* ---- sink: checks each record, keeps it ---- */

static void note(sink *s, int subtask, const char *what, record at)
{
    if (s->subtasks[subtask].wrong)
        return;
    s->subtasks[subtask].wrong = what;
    s->subtasks[subtask].wrong_at = at;
}

static fl_status sink_process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    sink *s = op->spec->config;
    int subtask = op->ctx.subtask;
    buffers compared;
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    for (uint32_t i = 0; i < batch->count; i++) {
        const Item *item = (const Item *)fl__batch_row(batch, i);
        record r = record_of(item, timestamps ? timestamps[i] : FL_NO_TIMESTAMP);
        if (!fl_string_equal(item->text, text_of(r.id, compared.text)) ||
            !fl_string_equal(item->name, name_of(r.key, compared.name)) || item->small != small_of(r.key))
            note(s, subtask, "a damaged record", r);
        if (s->node->timely && r.timestamp <= s->subtasks[subtask].watermark)
            note(s, subtask, "a record behind its watermark", r);
        records_add(&s->subtasks[subtask].rows, r);
    }
    return FL_OK;
}

static fl_status sink_watermark(fl__operator *op, fl_time watermark)
{
    sink *s = op->spec->config;
    int subtask = op->ctx.subtask;
    if (watermark <= s->subtasks[subtask].watermark)
        note(s, subtask, "a watermark that does not rise", (record){ .timestamp = watermark });
    s->subtasks[subtask].watermark = watermark;
    return FL_OK;
}

const fl__operator_class sink_class = {
    .kind = "Check", .size = sizeof(fl__operator), .process = sink_process, .watermark = sink_watermark
};

void sink_free(sink *s)
{
    for (int i = 0; s && i < SUBTASKS_MAX; i++)
        free(s->subtasks[i].rows.items);
    free(s);
}

/* ---- an operator that is resumed in the middle of everything ---- */

typedef struct resumable {
    fl__operator op;
    uint32_t row;
    int copy;
    int watermarks, finishes;
} resumable;

static fl_status resumable_process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    resumable *self = (resumable *)op;
    const node *n = op->spec->config;
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    for (; self->row < batch->count; self->row++, self->copy = 0) {
        const Item *in = (const Item *)fl__batch_row(batch, self->row);
        record r = record_of(in, timestamps ? timestamps[self->row] : FL_NO_TIMESTAMP);
        for (int copies = copies_of(in->id, n); self->copy < copies; self->copy++) {
            if (fl__output_blocked(op))
                return FL_AGAIN;
            record d = derived(&r, n->salt, self->copy);
            buffers scratch;
            Item item = item_of(&d, &scratch);
            fl__emit(&op->out, &item, r.timestamp);
        }
    }
    self->row = 0;
    return FL_OK;
}

static fl_status resumable_watermark(fl__operator *op, fl_time watermark)
{
    (void)watermark;
    resumable *self = (resumable *)op;
    return ++self->watermarks % 3 == 0 ? FL_AGAIN : FL_OK;
}

static fl_status resumable_finish(fl__operator *op)
{
    resumable *self = (resumable *)op;
    return ++self->finishes < 3 ? FL_AGAIN : FL_OK;
}

const fl__operator_class resumable_class = {
    .kind = "Resumable",
    .size = sizeof(resumable),
    .process = resumable_process,
    .watermark = resumable_watermark,
    .finish = resumable_finish,
};

/* ---- user functions; the node is their argument ---- */

static void emit(fl_collector *out, const record *r)
{
    buffers scratch;
    Item item = item_of(r, &scratch);
    fl_collect(out, &item);
}

static void map(const void *in, fl_collector *out, fl_context *ctx)
{
    const node *n = fl_arg(ctx);
    record r = record_of(in, 0), d = derived(&r, n->salt, 0);
    emit(out, &d);
}

static bool filter(const void *in, fl_context *ctx)
{
    return is_kept(((const Item *)in)->id, ((const node *)fl_arg(ctx))->salt);
}

static void flat_map(const void *in, fl_collector *out, fl_context *ctx)
{
    const node *n = fl_arg(ctx);
    record r = record_of(in, 0);
    for (int i = 0, copies = copies_of(r.id, n); i < copies; i++) {
        record d = derived(&r, n->salt, i);
        emit(out, &d);
    }
}

enum { COPIES_MAX = 61 };

/* What the look-up for an item finds: as many rows as flat_map makes of it. Their strings lie in scratch. */
static size_t found(const void *in, const node *n, Item rows[COPIES_MAX], buffers scratch[COPIES_MAX])
{
    record r = record_of(in, 0);
    int copies = copies_of(r.id, n);
    for (int i = 0; i < copies; i++) {
        record d = derived(&r, n->salt, i);
        rows[i] = item_of(&d, &scratch[i]);
    }
    return (size_t)copies;
}

static void give(const void *in, fl_async *request, fl_context *ctx)
{
    static _Thread_local buffers scratch[COPIES_MAX];
    Item rows[COPIES_MAX];
    fl_async_complete(request, rows, found(in, fl_arg(ctx), rows, scratch));
}

/* Each time another wait, of which some are longer than the timeout. */
static void ask(const void *in, fl_async *request, fl_context *ctx)
{
    static _Thread_local buffers scratch[COPIES_MAX];
    Item rows[COPIES_MAX];
    uint64_t random = mix((uint64_t)((const Item *)in)->id ^ (uint64_t)fl_current_processing_time(ctx));
    if (random % 3 == 0)
        give(in, request, ctx);
    else
        fl_test_complete_after(
            request, fl_milliseconds((int64_t)(random >> 8) % 30), rows, found(in, fl_arg(ctx), rows, scratch));
}

static void second_map(const void *in, fl_collector *out, fl_context *ctx)
{
    const node *n = fl_arg(ctx);
    record r = record_of(in, 0), d = derived(&r, ~n->salt, 0);
    emit(out, &d);
}

FL_OUTPUT_TAG(aside, Item);
FL_OUTPUT_TAG(late, Item);

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    const node *n = fl_arg(ctx);
    if (is_kept(((const Item *)in)->id, n->salt))
        fl_collect_row(out, in);
    else
        fl_output(ctx, aside, (const Item *)in);
}

static void reduce_ordered(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    Item *v = value;
    const Item *i = in;
    v->value = (int64_t)((uint64_t)v->value * 31 + (uint64_t)i->value);
    v->id = i->id;
    v->at = i->at;
    v->text = i->text;
}

static void reduce_any(void *value, const void *in, fl_context *ctx)
{
    (void)ctx;
    ((Item *)value)->value += ((const Item *)in)->value;
}

static void fold(void *value, const void *in, fl_context *ctx)
{
    reduce_ordered(value, in, ctx);
    Item *v = value;
    const Item *i = in;
    v->key = i->key;
    v->small = i->small;
    v->name = i->name;
}

static void select_key(const void *in, void *key, fl_context *ctx)
{
    (void)ctx;
    *(int64_t *)key = ((const Item *)in)->key * 2 + 1;
}

static int partition(const void *key, int channels, fl_context *ctx)
{
    (void)ctx;
    return (int)(*(const int64_t *)key % channels);
}

typedef struct Progress {
    int64_t count, hash;
    fl_string last;
} Progress;
FL_ROW(Progress, count, hash, last);

FL_VALUE_STATE(progress, Progress);
FL_MAP_STATE(buckets, int64_t, content);
FL_LIST_STATE(seen, int64_t);

/* Counts in order when the order is known; adds up per bucket of event time, which a timer emits. */
static void process(const void *in, fl_collector *out, fl_context *ctx, int64_t weight)
{
    const node *n = fl_arg(ctx);
    const Item *item = in;
    record r = record_of(item, fl_timestamp_of(ctx));
    r.value *= weight;
    if (n->by_order) {
        Progress *p = fl_value(ctx, progress);
        int64_t last_length = (int64_t)fl_string_length(p->last);
        p->count++;
        p->hash = mix2(p->hash, (uint64_t)(r.id + last_length));
        p->last = item->text;
        if (fl_list_count(ctx, seen) == 5)
            fl_list_update(ctx, seen, (int64_t *)NULL, 0);
        fl_list_add(ctx, seen, &r.value);
        r.id = p->hash;
        r.value = *fl_list_at(ctx, seen, 0) * 10 + (int64_t)fl_list_count(ctx, seen);
        emit(out, &r);
    }
    if (n->with_timers) {
        int64_t end = bucket_end(fl_timestamp_of(ctx), n->bucket);
        record plain = record_of(item, fl_timestamp_of(ctx));
        plain.value *= weight;
        content *c = fl_map_get(ctx, buckets, &end);
        if (c) {
            content_add(c, &plain, false);
        } else {
            content fresh = { 0 };
            content_add(&fresh, &plain, false);
            fl_map_put(ctx, buckets, &end, &fresh);
        }
        fl_register_event_time_timer(ctx, end);
        fl_register_processing_time_timer(ctx, fl_current_processing_time(ctx) + 7);
    }
}

static void process_first(const void *in, fl_collector *out, fl_context *ctx)
{
    process(in, out, ctx, 1);
}

static void process_second(const void *in, fl_collector *out, fl_context *ctx)
{
    process(in, out, ctx, 3);
}

/* The key as an Item's: the selector's and the others' differ. */
static int64_t key_behind(const node *n, const fl_context *ctx)
{
    const void *key = fl_current_key(ctx);
    fl_string name;
    switch (n->key) {
    case KEY_INT64:
    case KEY_INDEX:
    case KEY_TUPLE: return *(const int64_t *)key;
    case KEY_INT32: return (*(const int32_t *)key + 3) / 7;
    case KEY_SELECTOR: return (*(const int64_t *)key - 1) / 2;
    default:
        name = *(const fl_string *)key;
        fl_string rest = fl_string_slice(&name, fl_string_data(&name)[1] == 'e' ? 11 : 1, fl_string_length(name)),
                  number;
        int64_t n_behind = 0;
        bool is_number = fl_string_token(&rest, " ", &number) && fl_string_to_int(&number, &n_behind);
        fl_assert(is_number);
        return n_behind;
    }
}

static void on_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_timer *timer = in;
    const node *n = fl_arg(ctx);
    if (timer->is_processing_time) {
        fl_accumulate(ctx, "processing-time timers", 1);
        return;
    }
    const content *c = fl_map_get(ctx, buckets, &timer->time);
    if (!c) {
        fl_fail(ctx, "a timer fired twice, or the state it needs is gone");
        return;
    }
    record r = content_result(c, key_behind(n, ctx), timer->time - n->bucket, timer->time + 1, true);
    fl_map_remove(ctx, buckets, &timer->time);
    emit(out, &r);
}

/* ---- two streams ---- */

static void join_pair(const void *in, fl_collector *out, fl_context *ctx)
{
    const node *n = fl_arg(ctx);
    const fl_pair *pair = in;
    record left = { 0 }, right = { 0 };
    if (pair->left)
        left = record_of(pair->left, pair->left_timestamp);
    if (pair->right)
        right = record_of(pair->right, pair->right_timestamp);
    record r = joined(pair->left ? &left : NULL, pair->right ? &right : NULL, n->salt);
    emit(out, &r);
}

/* The rules' values by their event time. */
FL_BROADCAST_STATE(rules, int64_t, int64_t);

static void on_rule(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    int64_t at = fl_timestamp_of(ctx);
    const int64_t *before = fl_broadcast_get(ctx, rules, &at);
    int64_t sum = (before ? *before : 0) + ((const Item *)in)->value;
    fl_broadcast_put(ctx, rules, &at, &sum);
}

static void beside_rules(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    record r = record_of(in, fl_timestamp_of(ctx));
    int64_t end = bucket_end(fl_timestamp_of(ctx), ((const node *)fl_arg(ctx))->bucket);
    const content *c = fl_map_get(ctx, buckets, &end);
    content sum = { 0 };
    if (c)
        sum = *c;
    content_add(&sum, &r, false);
    fl_map_put(ctx, buckets, &end, &sum);
    fl_register_event_time_timer(ctx, end);
}

static void on_rule_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_timer *timer = in;
    const node *n = fl_arg(ctx);
    const content *c = fl_map_get(ctx, buckets, &timer->time);
    if (!c) {
        fl_fail(ctx, "a timer fired twice, or the state it needs is gone");
        return;
    }
    record r = content_result(c, key_behind(n, ctx), timer->time - n->bucket, timer->time + 1, true);
    fl_map_remove(ctx, buckets, &timer->time);
    size_t cursor = 0;
    const int64_t *at, *value;
    while (fl_broadcast_next(ctx, rules, &cursor, &at, &value))
        r.value += *at <= timer->time ? *value : 0;
    emit(out, &r);
}

/* ---- windows ---- */

typedef struct Accumulator {
    content content;
    int64_t key;
} Accumulator;
FL_ROW(Accumulator, (content, .row = FL_TYPE(content)), key);

static void accumulate(void *acc, const void *in, fl_context *ctx)
{
    (void)ctx;
    Accumulator *a = acc;
    record r = record_of(in, 0);
    content_add(&a->content, &r, false);
    a->key = r.key;
}

static void merge(void *acc, const void *other, fl_context *ctx)
{
    (void)ctx;
    Accumulator *a = acc;
    const Accumulator *b = other;
    a->content.id ^= b->content.id;
    a->content.value += b->content.value;
    a->content.at += b->content.at;
    a->content.count += b->content.count;
    a->key = b->key;
}

static void result(const void *acc, void *out, fl_context *ctx)
{
    (void)ctx;
    const Accumulator *a = acc;
    record r = content_result(&a->content, a->key, 0, 0, false);
    static _Thread_local buffers scratch; /* must outlive the call; nothing is emitted in between */
    *(Item *)out = item_of(&r, &scratch);
}
FL_AGGREGATE(summary, Item, Accumulator, Item, .add = accumulate, .get = result, .merge = merge);
/* Without merge: panes cannot be combined, each window keeps its own. */
FL_AGGREGATE(summary_apart, Item, Accumulator, Item, .add = accumulate, .get = result);

static void apply(const void *in, fl_collector *out, fl_context *ctx)
{
    const node *n = fl_arg(ctx);
    content c = { 0 };
    int64_t key = 0;
    fl_each(const Item *, item, in)
    {
        record r = record_of(item, 0);
        content_add(&c, &r, n->by_order);
        key = r.key;
    }
    fl_window_range range = fl_current_window(ctx);
    record r = content_result(&c, key, range.start, range.end, true);
    emit(out, &r);
}

static fl_stream *window_of(node *n, fl_stream *keyed)
{
    if (n->shape == SHAPE_SESSION)
        return fl_window(keyed, fl_session_event_time(fl_milliseconds(n->size)));
    if (n->shape == SHAPE_COUNT && n->size == n->slide)
        return fl_count_window(keyed, n->size);
    if (n->shape == SHAPE_COUNT)
        return fl_sliding_count_window(keyed, n->size, n->slide);
    fl_window_assigner assigner = n->slide == n->size
                                      ? fl_tumbling_event_time(fl_milliseconds(n->size))
                                      : fl_sliding_event_time(fl_milliseconds(n->size), fl_milliseconds(n->slide));
    if (n->offset)
        assigner = fl_window_offset(assigner, fl_milliseconds(n->offset));
    return fl_window(
        keyed, assigner, .allowed_lateness = fl_milliseconds(n->lateness), .late = n->has_late ? &late : NULL);
}

static fl_stream *build_window(node *n, fl_stream *keyed)
{
    fl_stream *w = window_of(n, keyed);
    int p = n->parallelism;
    switch (n->function) {
    case WINDOW_SUM: return fl_sum(w, "value", .parallelism = p, .chaining = n->chaining);
    case WINDOW_MAX_BY: return fl_max_by(w, "value", .parallelism = p, .chaining = n->chaining);
    case WINDOW_REDUCE: return fl_reduce(w, reduce_ordered, .parallelism = p, .chaining = n->chaining);
    case WINDOW_APPLY: return fl_window_apply(w, apply, Item, .arg = n, .parallelism = p, .chaining = n->chaining);
    default:
        return n->salt % 2 || n->shape == SHAPE_SESSION
                   ? fl_aggregate(w, summary, .parallelism = p, .chaining = n->chaining)
                   : fl_aggregate(w, summary_apart, .parallelism = p, .chaining = n->chaining);
    }
}

/* ---- building ---- */

static fl_stream *key_by(fl_stream *s, key_kind key)
{
    switch (key) {
    case KEY_STRING: return fl_key_by(s, "name");
    case KEY_INT32: return fl_key_by(s, "small");
    case KEY_TUPLE: return fl_key_by(s, "key", "name");
    case KEY_INDEX: return fl_key_by_index(s, 1);
    case KEY_SELECTOR: return fl_key_by_function(s, select_key, int64_t);
    default: return fl_key_by(s, "key");
    }
}

static fl_stream *through(fl_stream *s, edge_kind edge)
{
    switch (edge) {
    case EDGE_REBALANCE: return fl_rebalance(s);
    case EDGE_RESCALE: return fl_rescale(s);
    case EDGE_SHUFFLE: return fl_shuffle(s);
    case EDGE_BROADCAST: return fl_broadcast(s);
    case EDGE_GLOBAL: return fl_global(s);
    case EDGE_CUSTOM: return fl_partition_custom(s, partition, "key");
    case EDGE_HASH: return fl_key_by(s, "key");
    default: return s;
    }
}

static fl_stream *input(plan *p, const node *n, int i)
{
    return through(p->nodes[n->in[i]].stream, n->edges[i]);
}

static fl_stream *all_inputs(plan *p, const node *n)
{
    fl_stream *parts[3];
    for (int i = 0; i < n->in_count; i++)
        parts[i] = input(p, n, i);
    return n->in_count == 1 ? parts[0] : fl__union(FL_HERE, parts, (size_t)n->in_count);
}

static void on_event(const void *in, fl_time timestamp, fl_collector *out, fl_context *ctx)
{
    const node *n = fl_arg(ctx);
    if (is_kept(((const Item *)in)->id, n->salt))
        fl_emit_watermark(out, timestamp - n->disorder - 1);
}

#define OPTIONS .parallelism = n->parallelism, .chaining = n->chaining, .arg = n
#define ASYNC_OPTIONS OPTIONS, .capacity = 1 + (int)(n->salt % 20), .timeout = fl_milliseconds(20), .on_timeout = give

fl_stream *build_node(plan *p, node *n, fl_env *env)
{
    static Item start; /* of folds: a text that is not inline */
    start = (Item){ .text = fl_str("a text that a fold starts with, longer than a string keeps inline") };
    fl_options own = { OPTIONS, .where = FL_HERE };
    switch (n->kind) {
    case NODE_SOURCE:
        return fl__add_source_operator(env, &(fl__new_operator){ .class = &script_source_class,
                                                .out = FL_TYPE(Item),
                                                .options = &own,
                                                .config = n,
                                                .emits_timestamps = n->timed });
    case NODE_WATERMARKS:
        return fl_watermarks(all_inputs(p, n),
            n->is_punctuated ? fl_punctuated_watermarks(on_event)
                             : fl_bounded_out_of_orderness(fl_milliseconds(n->disorder)),
            .timestamp = "at", OPTIONS);
    case NODE_MAP: return fl_map(all_inputs(p, n), map, Item, OPTIONS);
    case NODE_FILTER: return fl_filter(all_inputs(p, n), filter, OPTIONS);
    case NODE_FLAT_MAP: return fl_flat_map(all_inputs(p, n), flat_map, Item, OPTIONS);
    case NODE_SPLIT: return fl_process(all_inputs(p, n), split, Item, OPTIONS);
    case NODE_SIDE:
        return p->nodes[n->in[0]].kind == NODE_WINDOW ? fl_side_output(p->nodes[n->in[0]].stream, late)
                                                      : fl_side_output(p->nodes[n->in[0]].stream, aside);
    case NODE_ASYNC:
        if (n->first)
            return fl_async_ordered(all_inputs(p, n), ask, Item, ASYNC_OPTIONS);
        return fl_async_unordered(all_inputs(p, n), ask, Item, ASYNC_OPTIONS);
    case NODE_RESUMABLE:
        return fl__add_operator(all_inputs(p, n),
            &(fl__new_operator){ .class = &resumable_class, .out = FL_TYPE(Item), .options = &own, .config = n });
    case NODE_CONNECT:
        return fl_co_flat_map(fl_connect(input(p, n, 0), input(p, n, 1)), map, second_map, Item, OPTIONS);
    case NODE_ROLLING: return fl__rolling(key_by(all_inputs(p, n), n->key), n->rolling, "value", -1, n->first, &own);
    case NODE_REDUCE:
        return n->by_order ? fl_reduce(key_by(all_inputs(p, n), n->key), reduce_ordered, OPTIONS)
                           : fl_reduce(key_by(all_inputs(p, n), n->key), reduce_any, OPTIONS);
    case NODE_FOLD: return fl_fold(key_by(all_inputs(p, n), n->key), &start, fold, Item, OPTIONS);
    case NODE_PROCESS:
        return fl_process(key_by(all_inputs(p, n), n->key), process_first, Item, OPTIONS,
            .states = { &progress, &buckets, &seen }, .on_timer = on_timer);
    case NODE_CO_PROCESS:
        return fl_co_process(fl_connect(key_by(input(p, n, 0), n->key), key_by(input(p, n, 1), n->key)), process_first,
            process_second, Item, OPTIONS, .states = { &progress, &buckets, &seen }, .on_timer = on_timer);
    case NODE_INTERVAL_JOIN:
        return fl_interval_join(key_by(input(p, n, 0), n->key), key_by(input(p, n, 1), n->key),
            fl_milliseconds(n->lower), fl_milliseconds(n->upper), join_pair, Item, OPTIONS, .kind = n->join);
    case NODE_BROADCAST:
        return fl_broadcast_process(fl_connect(key_by(input(p, n, 0), n->key), fl_broadcast(input(p, n, 1))),
            beside_rules, on_rule, Item, OPTIONS, .states = { &buckets }, .broadcast_states = { &rules },
            .on_timer = on_rule_timer);
    case NODE_WINDOW: return build_window(n, key_by(all_inputs(p, n), n->key));
    default: abort();
    }
}

void plan_build(plan *p, fl_env *env)
{
    fl_set_max_parallelism(env, p->max_parallelism);
    fl_set(env, "pipeline.operator-chaining.enabled", p->chaining ? "true" : "false");
    for (int i = 0; i < p->node_count; i++) {
        node *n = &p->nodes[i];
        n->stream = build_node(p, n, env);
        n->sink = NULL;
        if (!n->sink_parallelism)
            continue;
        n->sink = calloc(1, sizeof *n->sink);
        n->sink->node = n;
        for (int s = 0; s < SUBTASKS_MAX; s++)
            n->sink->subtasks[s].watermark = FL_TIME_MIN;
        fl_options options = { .parallelism = n->sink_parallelism, .chaining = n->sink_chaining, .where = FL_HERE };
        fl__add_operator(through(n->stream, n->sink_edge),
            &(fl__new_operator){ .class = &sink_class, .options = &options, .config = n->sink });
    }
}
