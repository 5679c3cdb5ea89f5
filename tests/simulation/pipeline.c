/* Plans drawn from a seed, and the naive reference: arrays, sorted and walked over. */
#include "pipeline.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t draw(plan *p, uint64_t n)
{
    p->random += UINT64_C(0x9e3779b97f4a7c15);
    return mix(p->random) % n;
}

void records_add(records *r, record one)
{
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? 2 * r->capacity : 64;
        r->items = realloc(r->items, r->capacity * sizeof *r->items);
        if (!r->items)
            abort();
    }
    r->items[r->count++] = one;
}

/* ---- sources ---- */

static void add_action(node *n, int subtask, action a)
{
    size_t count = n->script_count[subtask]++;
    if ((count & (count - 1)) == 0) {
        n->script[subtask] = realloc(n->script[subtask], (count ? 2 * count : 1) * sizeof a);
        if (!n->script[subtask])
            abort();
    }
    n->script[subtask][count] = a;
}

/* One subtask's records, with watermarks that no later record is behind (timely), or that some are behind. */
static void draw_script(plan *p, node *n, int subtask, int key_count, bool late)
{
    size_t count = draw(p, 8) == 0 ? 0 : draw(p, 60);
    record *r = calloc(count + 1, sizeof *r);
    int64_t step = (int64_t)draw(p, 20), at = 1000 + (int64_t)draw(p, 50);
    for (size_t i = 0; i < count; i++) {
        at += step ? (int64_t)draw(p, (uint64_t)(2 * step)) : 0;
        int64_t key = (int64_t)draw(p, (uint64_t)key_count);
        if (n->keyed_order) /* a key belongs to one subtask */
            key = key * n->parallelism + subtask;
        r[i] = (record){
            .id = mix2((int64_t)i * 1000 + subtask, n->salt),
            .key = key,
            .value = (int64_t)draw(p, 7),
            .at = at - (n->disorder ? (int64_t)draw(p, (uint64_t)n->disorder) : 0),
        };
        r[i].timestamp = n->timed ? r[i].at : FL_NO_TIMESTAMP;
    }
    fl_time watermark = FL_TIME_MIN, *floor = calloc(count + 1, sizeof *floor);
    floor[count] = FL_TIME_MAX - 1000;
    for (size_t i = count; i-- > 0;)
        floor[i] = r[i].at < floor[i + 1] ? r[i].at : floor[i + 1];
    bool marks = n->timed && draw(p, 4) != 0, idles = !n->timely && !n->in_band && draw(p, 3) == 0;
    int rest = (int)draw(p, 3);
    for (size_t i = 0; i < count; i++) {
        r[i].watermark = watermark;
        records_add(&n->rows, r[i]);
        add_action(n, subtask, (action){ .kind = ACTION_RECORD, .record = r[i] });
        if (marks && draw(p, 3) == 0) {
            fl_time next = late ? r[i].at - (int64_t)draw(p, 10) - 1 : i + 1 < count ? floor[i + 1] - 1 : r[i].at;
            next -= (int64_t)draw(p, 5);
            add_action(n, subtask, (action){ .kind = ACTION_WATERMARK, .value = next });
            if (next > watermark)
                watermark = next;
        }
        if (rest && draw(p, 6) == 0)
            add_action(n, subtask, (action){ .kind = ACTION_YIELD });
        if (rest == 2 && draw(p, 12) == 0)
            add_action(n, subtask, (action){ .kind = ACTION_PAUSE, .value = (int64_t)draw(p, 400) });
        if (idles && draw(p, 15) == 0)
            add_action(n, subtask, (action){ .kind = ACTION_IDLE });
    }
    /* Idle to the end. Behind it timers may be waiting while other subtasks, which time went on for, are ahead of them:
     * what they fire in the end is late for those that follow, as in Flink. */
    if (!n->timely && draw(p, 6) == 0) {
        add_action(n, subtask, (action){ .kind = ACTION_IDLE });
        add_action(n, subtask, (action){ .kind = ACTION_PAUSE, .value = 500 });
    }
    free(r);
    free(floor);
}

static void draw_source(plan *p, node *n)
{
    n->kind = NODE_SOURCE;
    n->parallelism = draw(p, 2) ? 1 : 1 + (int)draw(p, SUBTASKS_MAX);
    n->disorder = draw(p, 3) ? (int64_t)draw(p, 60) : 0;
    n->timed = draw(p, 4) != 0;
    bool late = n->parallelism == 1 && draw(p, 3) == 0;
    n->timely = n->timed && !late && draw(p, 8) != 0;
    n->in_band = n->parallelism == 1 && n->timed && (late || n->timely);
    n->keyed_order = n->parallelism == 1 || draw(p, 2);
    int keys = 1 + (int)draw(p, draw(p, 3) ? 5 : 40);
    for (int s = 0; s < n->parallelism; s++)
        draw_script(p, n, s, keys, late);
}

/* ---- what partitioning does to a stream ---- */

static edge_kind draw_edge(plan *p)
{
    return draw(p, 2) ? EDGE_PLAIN : (edge_kind)draw(p, EDGE_KINDS);
}

/* Do the records of a key stay in order, in one subtask? */
static bool edge_keeps_order(edge_kind edge, int from, int to)
{
    if (to == 1)
        return true;
    switch (edge) {
    case EDGE_PLAIN: return from == to;
    case EDGE_RESCALE: return to <= from;
    case EDGE_GLOBAL:
    case EDGE_CUSTOM:
    case EDGE_HASH: return true;
    default: return false;
    }
}

/* The stream as the operator behind its inputs sees it: *as gets the properties, *rows the records. */
static void read_inputs(plan *p, node *n, records *rows, bool keyed)
{
    n->timed = n->timely = n->in_band = n->keyed_order = true;
    bool multiply = false;
    for (int i = 0; i < n->in_count; i++) {
        const node *in = &p->nodes[n->in[i]];
        edge_kind edge = keyed ? EDGE_HASH : n->edges[i];
        n->timed &= in->timed;
        n->timely &= in->timely;
        n->keyed_order &=
            in->keyed_order && n->in_count == 1 && edge_keeps_order(edge, in->parallelism, n->parallelism);
        n->in_band &= in->in_band && n->in_count == 1 && in->parallelism == 1 && (keyed || n->parallelism == 1);
        for (size_t r = 0; r < in->rows.count; r++) {
            for (int copy = 0; copy < (edge == EDGE_BROADCAST ? n->parallelism : 1); copy++)
                records_add(rows, in->rows.items[r]);
        }
        multiply |= edge == EDGE_BROADCAST && n->parallelism > 1;
    }
    n->keyed_order &= !multiply;
    n->in_band &= !multiply;
}

/* ---- keyed operators: records by key, in order ---- */

typedef struct slice {
    int64_t key, start; /* start: of the window or bucket */
    size_t row;
} slice;

static int compare_slices(const void *a, const void *b)
{
    const slice *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->row < y->row ? -1 : 1;
}

static void roll(node *n, const records *in)
{
    slice *s = calloc(in->count + 1, sizeof *s);
    for (size_t i = 0; i < in->count; i++)
        s[i] = (slice){ .key = in->items[i].key, .row = i };
    qsort(s, in->count, sizeof *s, compare_slices);
    record value = { 0 };
    for (size_t i = 0; i < in->count; i++) {
        record r = in->items[s[i].row];
        bool is_first = i == 0 || s[i].key != s[i - 1].key;
        if (n->kind == NODE_FOLD && is_first)
            value = (record){ 0 };
        if (n->kind != NODE_ROLLING && (!is_first || n->kind == NODE_FOLD)) {
            if (n->by_order || n->kind == NODE_FOLD) {
                int64_t v = (int64_t)((uint64_t)value.value * 31 + (uint64_t)r.value);
                value = r;
                value.value = v;
            } else {
                value.value += r.value;
            }
        } else if (is_first) {
            value = r;
        } else {
            bool less = r.value<value.value, more = r.value> value.value, tie = !less && !more && !n->first;
            switch (n->rolling) {
            case FL_SUM: value.value += r.value; break;
            case FL_MIN: value.value = less ? r.value : value.value; break;
            case FL_MAX: value.value = more ? r.value : value.value; break;
            case FL_MIN_BY: value = less || tie ? r : value; break;
            case FL_MAX_BY: value = more || tie ? r : value; break;
            }
        }
        record out = value;
        out.timestamp = r.timestamp;
        out.watermark = r.watermark;
        records_add(&n->rows, out);
    }
    free(s);
}

static void count_in_order(node *n, const records *in)
{
    slice *s = calloc(in->count + 1, sizeof *s);
    for (size_t i = 0; i < in->count; i++)
        s[i] = (slice){ .key = in->items[i].key, .row = i };
    qsort(s, in->count, sizeof *s, compare_slices);
    int64_t hash = 0, last_length = 0, list[5] = { 0 }, listed = 0;
    char text[TEXT_MAX];
    for (size_t i = 0; i < in->count; i++) {
        record r = in->items[s[i].row];
        if (i == 0 || s[i].key != s[i - 1].key)
            hash = last_length = listed = 0;
        hash = mix2(hash, (uint64_t)(r.id + last_length));
        last_length = (int64_t)fl_string_length(text_of(r.id, text));
        if (listed == 5)
            listed = 0;
        list[listed++] = r.value;
        r.id = hash;
        r.value = list[0] * 10 + listed;
        records_add(&n->rows, r);
    }
    free(s);
}

static void count_buckets(node *n, const records *in)
{
    slice *s = calloc(in->count + 1, sizeof *s);
    for (size_t i = 0; i < in->count; i++)
        s[i] = (slice){ .key = in->items[i].key, .start = bucket_end(in->items[i].timestamp, n->bucket), .row = i };
    qsort(s, in->count, sizeof *s, compare_slices);
    content c = { 0 };
    for (size_t i = 0; i < in->count; i++) {
        content_add(&c, &in->items[s[i].row], false);
        if (i + 1 < in->count && s[i + 1].key == s[i].key && s[i + 1].start == s[i].start)
            continue;
        records_add(&n->rows, content_result(&c, s[i].key, s[i].start - n->bucket, s[i].start + 1, true));
        c = (content){ 0 };
    }
    free(s);
}

/* ---- two streams; the first `split` records are the first one's ---- */

static fl_time join_end(const record *r, int64_t reach)
{
    fl_time end = r->timestamp + (reach < 0 ? reach + 1 : reach);
    return end > r->timestamp ? end : r->timestamp;
}

static void draw_join(plan *p, node *n, const records *in, size_t split)
{
    n->lower = (int64_t)draw(p, 41) - 30;
    n->upper = n->lower + (int64_t)draw(p, 40);
    n->join = (fl_join_kind)draw(p, 4);
    bool *matched = calloc(in->count + 1, sizeof *matched);
    for (size_t l = 0; l < split; l++) {
        for (size_t r = split; r < in->count; r++) {
            const record *left = &in->items[l], *right = &in->items[r];
            int64_t distance = right->timestamp - left->timestamp;
            if (left->key != right->key || distance < n->lower || distance > n->upper)
                continue;
            record both = joined(left, right, n->salt);
            both.timestamp = distance > 0 ? right->timestamp : left->timestamp;
            records_add(&n->rows, both);
            matched[l] = matched[r] = true;
        }
    }
    for (size_t i = 0; i < in->count; i++) {
        bool is_left = i < split;
        if (matched[i] || (n->join != FL_JOIN_FULL && n->join != (is_left ? FL_JOIN_LEFT : FL_JOIN_RIGHT)))
            continue;
        record alone = joined(is_left ? &in->items[i] : NULL, is_left ? NULL : &in->items[i], n->salt);
        alone.timestamp = join_end(&in->items[i], is_left ? n->upper : -n->lower);
        records_add(&n->rows, alone);
    }
    free(matched);
}

static void beside_rules(node *n, const records *in, size_t split)
{
    records data = { .items = in->items, .count = split };
    count_buckets(n, &data);
    for (size_t i = 0; i < n->rows.count; i++) {
        for (size_t r = split; r < in->count; r++) {
            if (in->items[r].timestamp <= n->rows.items[i].timestamp)
                n->rows.items[i].value += in->items[r].value;
        }
    }
}

/* ---- windows ---- */

/* Start of the last window that a timestamp is in, if it is in any. */
static int64_t last_start(const node *n, fl_time t)
{
    int64_t rest = (t - n->offset) % n->slide;
    return t - (rest < 0 ? rest + n->slide : rest);
}

/* What a window emits for these records, in order of arrival. */
static record window_result(
    const node *n, const records *in, const size_t *rows, size_t count, int64_t start, int64_t end)
{
    record value = in->items[rows[0]];
    content c = { 0 };
    content_add(&c, &value, n->by_order);
    for (size_t i = 1; i < count; i++) {
        const record *r = &in->items[rows[i]];
        content_add(&c, r, n->by_order);
        if (n->function == WINDOW_SUM) {
            value.value += r->value;
        } else if (n->function == WINDOW_MAX_BY && r->value > value.value) {
            value = *r;
        } else if (n->function == WINDOW_REDUCE) {
            int64_t v = (int64_t)((uint64_t)value.value * 31 + (uint64_t)r->value);
            value = *r;
            value.value = v;
        }
    }
    if (n->function <= WINDOW_APPLY)
        value = content_result(&c, value.key, start, end, n->function == WINDOW_APPLY);
    value.timestamp = end == FL_TIME_MAX ? FL_TIME_MAX : end - 1;
    return value;
}

/* Nothing is late: each window once. */
static void windows_once(node *n, const records *in)
{
    slice *s = NULL;
    size_t count = 0, capacity = 0;
    for (size_t i = 0; i < in->count; i++) {
        fl_time t = in->items[i].timestamp;
        for (int64_t start = last_start(n, t); start > t - n->size; start -= n->slide) {
            if (count == capacity) {
                capacity = capacity ? 2 * capacity : 64;
                s = realloc(s, capacity * sizeof *s);
                if (!s)
                    abort();
            }
            s[count++] = (slice){ .key = in->items[i].key, .start = start, .row = i };
        }
    }
    if (count)
        qsort(s, count, sizeof *s, compare_slices);
    size_t *rows = calloc(in->count + 1, sizeof *rows), held = 0;
    for (size_t i = 0; i < count; i++) {
        rows[held++] = s[i].row;
        if (i + 1 < count && s[i + 1].key == s[i].key && s[i + 1].start == s[i].start)
            continue;
        records_add(&n->rows, window_result(n, in, rows, held, s[i].start, s[i].start + n->size));
        held = 0;
    }
    free(rows);
    free(s);
}

/* Nothing is late: a key's timestamps in order, cut where two are more than the gap apart. */
static void sessions_once(node *n, const records *in)
{
    slice *s = calloc(in->count + 1, sizeof *s);
    for (size_t i = 0; i < in->count; i++)
        s[i] = (slice){ .key = in->items[i].key, .start = in->items[i].timestamp, .row = i };
    qsort(s, in->count, sizeof *s, compare_slices);
    size_t *rows = calloc(in->count + 1, sizeof *rows), held = 0;
    for (size_t i = 0, first = 0; i < in->count; i++) {
        rows[held++] = s[i].row;
        if (i + 1 < in->count && s[i + 1].key == s[i].key && s[i + 1].start <= s[i].start + n->size)
            continue;
        records_add(&n->rows, window_result(n, in, rows, held, s[first].start, s[i].start + n->size));
        first = i + 1;
        held = 0;
    }
    free(rows);
    free(s);
}

/* Are two neighbours of a key exactly the gap apart? Whether the first one's session has fired before the second one
 * comes is then a matter of chance. */
static bool has_doubtful_gap(const records *in, int64_t gap)
{
    bool found = false;
    slice *s = calloc(in->count + 1, sizeof *s);
    for (size_t i = 0; i < in->count; i++)
        s[i] = (slice){ .key = in->items[i].key, .start = in->items[i].timestamp, .row = i };
    qsort(s, in->count, sizeof *s, compare_slices);
    for (size_t i = 1; i < in->count; i++)
        found |= s[i].key == s[i - 1].key && s[i].start - s[i - 1].start == gap;
    free(s);
    return found;
}

/* Every slide records of a key the last size of them. */
static void count_windows(node *n, const records *in)
{
    slice *s = calloc(in->count + 1, sizeof *s);
    for (size_t i = 0; i < in->count; i++)
        s[i] = (slice){ .key = in->items[i].key, .row = i };
    qsort(s, in->count, sizeof *s, compare_slices);
    size_t *rows = calloc(in->count + 1, sizeof *rows), held = 0;
    for (size_t i = 0; i < in->count; i++) {
        if (i && s[i].key != s[i - 1].key)
            held = 0;
        rows[held++] = s[i].row;
        if (held % (size_t)n->slide)
            continue;
        size_t seen = held < (size_t)n->size ? held : (size_t)n->size;
        records_add(&n->rows, window_result(n, in, rows + held - seen, seen, FL_TIME_MIN, FL_TIME_MAX));
    }
    free(rows);
    free(s);
}

typedef struct window {
    int64_t key, start;
    bool fired;
    size_t *rows, count;
} window;

static window *find_window(window **all, size_t *count, int64_t key, int64_t start, size_t rows_max)
{
    for (size_t i = 0; i < *count; i++) {
        if ((*all)[i].key == key && (*all)[i].start == start)
            return &(*all)[i];
    }
    *all = realloc(*all, (*count + 1) * sizeof **all);
    (*all)[*count] = (window){ .key = key, .start = start, .rows = calloc(rows_max, sizeof(size_t)) };
    return &(*all)[(*count)++];
}

/* Records and watermarks one by one: fires when a watermark passes a window's end, again for each late record that is
 * allowed; what is later goes to the side. */
static void windows_in_band(node *n, const records *in, records *late)
{
    window *all = NULL;
    size_t count = 0;
    fl_time watermark = FL_TIME_MIN;
    for (size_t i = 0; i <= in->count; i++) {
        fl_time now = i < in->count ? in->items[i].watermark : FL_TIME_MAX;
        for (size_t w = 0; w < count && now > watermark; w++) {
            if (all[w].fired || all[w].start + n->size - 1 > now)
                continue;
            all[w].fired = true;
            records_add(
                &n->rows, window_result(n, in, all[w].rows, all[w].count, all[w].start, all[w].start + n->size));
        }
        watermark = now;
        if (i == in->count)
            break;
        const record *r = &in->items[i];
        bool is_skipped = true;
        for (int64_t start = last_start(n, r->timestamp); start > r->timestamp - n->size; start -= n->slide) {
            fl_time last = start + n->size - 1;
            if (watermark != FL_TIME_MIN && last + n->lateness <= watermark)
                continue;
            is_skipped = false;
            window *w = find_window(&all, &count, r->key, start, in->count);
            w->rows[w->count++] = i;
            if (last <= watermark) {
                w->fired = true;
                records_add(&n->rows, window_result(n, in, w->rows, w->count, start, last + 1));
            }
        }
        if (is_skipped && watermark != FL_TIME_MIN && r->timestamp + n->lateness <= watermark)
            records_add(late, *r);
    }
    for (size_t w = 0; w < count; w++)
        free(all[w].rows);
    free(all);
}

/* ---- drawing operators ---- */

static void each_record(node *n, const records *in)
{
    for (size_t i = 0; i < in->count; i++) {
        const record *r = &in->items[i];
        int copies = 1;
        if (n->kind == NODE_FLAT_MAP || n->kind == NODE_RESUMABLE || n->kind == NODE_ASYNC)
            copies = copies_of(r->id, n);
        else if (n->kind == NODE_FILTER || n->kind == NODE_SPLIT)
            copies = is_kept(r->id, n->salt);
        for (int c = 0; c < copies; c++)
            records_add(&n->rows, n->kind == NODE_FILTER || n->kind == NODE_SPLIT ? *r : derived(r, n->salt, c));
    }
}

/* A second output of the node before: the records that it does not keep, or its late ones. */
static node *add_side(plan *p, const node *of)
{
    node *side = &p->nodes[p->node_count];
    *side = (node){ .number = p->node_count++, .kind = NODE_SIDE, .in = { of->number }, .in_count = 1 };
    side->parallelism = of->parallelism;
    side->timed = of->timed;
    side->keyed_order = of->keyed_order;
    return side;
}

static void draw_split(plan *p, node *n, const records *in)
{
    each_record(n, in);
    node *side = add_side(p, n);
    side->timely = n->timely;
    side->in_band = n->in_band;
    for (size_t i = 0; i < in->count; i++) {
        if (!is_kept(in->items[i].id, n->salt))
            records_add(&side->rows, in->items[i]);
    }
}

static void draw_connect(plan *p, node *n)
{
    for (int i = 0; i < 2; i++) {
        const node *in = &p->nodes[n->in[i]];
        for (size_t r = 0; r < in->rows.count; r++) {
            for (int c = 0; c < (n->edges[i] == EDGE_BROADCAST ? n->parallelism : 1); c++)
                records_add(&n->rows, derived(&in->rows.items[r], i ? ~n->salt : n->salt, 0));
        }
    }
    n->keyed_order = n->in_band = false;
}

static void draw_count_window(plan *p, node *n, const records *in)
{
    n->shape = SHAPE_COUNT;
    n->size = 1 + (int64_t)draw(p, 6);
    n->slide = draw(p, 2) ? n->size : 1 + (int64_t)draw(p, 6);
    n->function = (window_function)draw(p, WINDOW_FUNCTIONS);
    n->by_order = n->function == WINDOW_APPLY;
    count_windows(n, in);
    n->keyed_order = n->in_band = false;
    n->timed = n->timely = false; /* results have the last timestamp of all */
}

static void draw_session(plan *p, node *n, const records *in)
{
    n->shape = SHAPE_SESSION;
    n->size = 1 + (int64_t)draw(p, 30);
    while (has_doubtful_gap(in, n->size))
        n->size++;
    n->function = (window_function)draw(p, WINDOW_SUM);
    sessions_once(n, in);
    n->keyed_order = n->in_band = false;
}

static void draw_window(plan *p, node *n, const records *in)
{
    uint64_t shape = draw(p, 4);
    if (shape == 0 && n->keyed_order) {
        draw_count_window(p, n, in);
        return;
    }
    if (shape == 1 && n->timely) {
        draw_session(p, n, in);
        return;
    }
    n->slide = 5 + (int64_t)draw(p, 100);
    n->size = draw(p, 2)        ? n->slide
              : draw(p, 6) == 0 ? 1 + (int64_t)draw(p, (uint64_t)n->slide)
                                : n->slide * (int64_t)(1 + draw(p, 3)) + (int64_t)draw(p, 2) * (int64_t)draw(p, 20);
    n->offset = draw(p, 3) ? 0 : (int64_t)draw(p, (uint64_t)n->slide);
    n->function = (window_function)draw(p, n->keyed_order ? WINDOW_FUNCTIONS : WINDOW_SUM);
    n->by_order = n->keyed_order && n->function == WINDOW_APPLY;
    bool exact = n->in_band;
    n->keyed_order = n->in_band = false;
    if (!exact) {
        n->lateness = draw(p, 3) ? 0 : (int64_t)draw(p, 50);
        windows_once(n, in);
        return;
    }
    n->lateness = draw(p, 2) ? 0 : (int64_t)draw(p, 60);
    n->has_late = true;
    n->timely = false;
    node *side = add_side(p, n);
    side->keyed_order = true;
    side->timely = false;
    windows_in_band(n, in, &side->rows);
}

static bool is_keyed(node_kind kind)
{
    return kind >= NODE_ROLLING;
}

static void fill(plan *p, node *n, const records *in)
{
    switch (n->kind) {
    case NODE_SPLIT: draw_split(p, n, in); break;
    case NODE_CONNECT: draw_connect(p, n); break;
    case NODE_ROLLING:
    case NODE_REDUCE:
        n->by_order = n->keyed_order;
        n->final_only = !n->keyed_order;
        if (n->final_only)
            n->rolling = (fl_rolling)draw(p, 3);
        roll(n, in);
        break;
    case NODE_FOLD: roll(n, in); break;
    case NODE_PROCESS:
    case NODE_CO_PROCESS:
        n->by_order = n->keyed_order;
        n->with_timers = n->timely && (!n->by_order || draw(p, 2));
        if (n->by_order)
            count_in_order(n, in);
        if (n->with_timers)
            count_buckets(n, in);
        n->keyed_order &= !n->with_timers;
        break;
    case NODE_WINDOW: draw_window(p, n, in); break;
    case NODE_ASYNC:
        each_record(n, in);
        n->keyed_order &= n->first;
        n->in_band &= n->first;
        break;
    case NODE_INTERVAL_JOIN:
        draw_join(p, n, in, p->nodes[n->in[0]].rows.count);
        n->keyed_order = false;
        break;
    case NODE_BROADCAST:
        beside_rules(n, in, p->nodes[n->in[0]].rows.count);
        n->keyed_order = false;
        break;
    default: each_record(n, in); break;
    }
    if (is_keyed(n->kind)) /* the reference goes through it key by key */
        n->in_band = false;
}

/* Can an operator of this kind follow, so that what comes out is known? */
static bool fits(const plan *p, const node *n, size_t rows)
{
    (void)p;
    switch (n->kind) {
    case NODE_FLAT_MAP:
    case NODE_RESUMABLE:
    case NODE_ASYNC: return rows < ROWS_MAX / 4;
    case NODE_FOLD: return n->keyed_order;
    case NODE_PROCESS:
    case NODE_CO_PROCESS: return n->keyed_order || n->timely;
    case NODE_INTERVAL_JOIN: return n->timed && n->timely && rows < 500;
    case NODE_BROADCAST: return n->timed && n->timely;
    case NODE_WINDOW: return n->timed && (n->timely || n->in_band) && rows < 600;
    default: return true;
    }
}

static int draw_input(plan *p)
{
    for (int tries = 0; tries < 50; tries++) {
        int i = (int)draw(p, (uint64_t)p->node_count);
        if (!p->nodes[i].final_only && p->nodes[i].rows.count <= ROWS_MAX &&
            (!p->nodes[i].is_consumed || draw(p, 4) == 0))
            return i;
    }
    return 0;
}

static bool draw_operator(plan *p)
{
    node n = { .number = p->node_count,
        .kind = (node_kind)(NODE_MAP + draw(p, NODE_KINDS - NODE_MAP)),
        .salt = draw(p, 1 << 30) };
    if (n.kind == NODE_SIDE)
        return false;
    bool two =
        n.kind == NODE_CONNECT || n.kind == NODE_CO_PROCESS || n.kind == NODE_INTERVAL_JOIN || n.kind == NODE_BROADCAST;
    bool keyed = is_keyed(n.kind);
    n.in_count = two ? 2 : draw(p, 5) == 0 ? 2 + (int)draw(p, 2) : 1;
    n.parallelism = 1 + (int)draw(p, SUBTASKS_MAX);
    n.key = (key_kind)draw(p, KEY_KINDS);
    n.chaining = draw(p, 4) ? FL_CHAIN_ALWAYS : (fl_chaining)draw(p, 3);
    n.rolling = (fl_rolling)draw(p, 5);
    n.first = draw(p, 2);
    n.fan_out = draw(p, 10) == 0 ? 60 : (int)draw(p, 4);
    n.bucket = 10 + (int64_t)draw(p, 100);
    for (int i = 0; i < n.in_count; i++) {
        n.in[i] = draw_input(p);
        n.edges[i] = keyed ? EDGE_PLAIN : draw_edge(p);
        if (draw(p, 2) && i == 0)
            n.parallelism = p->nodes[n.in[0]].parallelism;
    }
    if (n.kind == NODE_RESUMABLE) /* only the head of a task can stop half way */
        n.chaining = FL_CHAIN_HEAD;
    if (n.kind == NODE_ROLLING && n.rolling <= FL_MAX)
        n.first = true;
    records in = { 0 };
    read_inputs(p, &n, &in, keyed);
    if (n.kind == NODE_CO_PROCESS) {
        for (size_t r = p->nodes[n.in[0]].rows.count; r < in.count; r++)
            in.items[r].value *= 3;
        n.keyed_order = false;
    }
    bool is_known = in.count <= ROWS_MAX && fits(p, &n, in.count);
    if (is_known) {
        node *added = &p->nodes[p->node_count++];
        *added = n;
        fill(p, added, &in);
        for (int i = 0; i < n.in_count; i++)
            p->nodes[n.in[i]].is_consumed = true;
    }
    free(in.items);
    return is_known;
}

/* Behind a source whose records carry their time: assigns it. */
static void draw_watermarks(plan *p, int source)
{
    node *n = &p->nodes[p->node_count];
    const node *in = &p->nodes[source];
    *n = (node){
        .number = p->node_count++, .kind = NODE_WATERMARKS, .in = { source }, .in_count = 1, .salt = draw(p, 1 << 30)
    };
    n->parallelism = in->parallelism;
    n->chaining = draw(p, 4) ? FL_CHAIN_ALWAYS : FL_CHAIN_HEAD;
    n->is_punctuated = draw(p, 2);
    n->keyed_order = in->keyed_order;
    n->timed = true;
    bool late = in->parallelism == 1 && n->is_punctuated && draw(p, 3) == 0;
    n->timely = !late;
    n->in_band = in->parallelism == 1 && n->is_punctuated;
    n->disorder = late ? in->disorder / 3 : in->disorder;
    fl_time watermark = FL_TIME_MIN;
    for (size_t i = 0; i < in->rows.count; i++) {
        record r = in->rows.items[i];
        r.timestamp = r.at;
        r.watermark = watermark;
        records_add(&n->rows, r);
        if (is_kept(r.id, n->salt) && r.at - n->disorder - 1 > watermark)
            watermark = r.at - n->disorder - 1;
    }
    p->nodes[source].is_consumed = true;
}

static void draw_sinks(plan *p)
{
    for (int i = 0; i < p->node_count; i++) {
        node *n = &p->nodes[i];
        if (n->is_consumed && draw(p, 4))
            continue;
        n->sink_parallelism = n->final_only ? 1 : draw(p, 2) ? n->parallelism : 1 + (int)draw(p, SUBTASKS_MAX);
        n->sink_edge = n->final_only ? EDGE_PLAIN : draw_edge(p);
        n->sink_chaining = draw(p, 3) ? FL_CHAIN_ALWAYS : FL_CHAIN_HEAD;
    }
}

void plan_draw(plan *p, uint64_t seed)
{
    memset(p, 0, sizeof *p);
    p->seed = seed;
    p->random = mix(seed);
    p->chaining = draw(p, 5) != 0;
    p->max_parallelism = draw(p, 2) ? 128 : SUBTASKS_MAX + (int)draw(p, 200);
    for (int sources = 1 + (int)draw(p, 3); sources > 0; sources--) {
        node *n = &p->nodes[p->node_count];
        n->number = p->node_count++;
        n->salt = draw(p, 1 << 30);
        n->chaining = draw(p, 4) ? FL_CHAIN_ALWAYS : FL_CHAIN_NEVER;
        draw_source(p, n);
        if (draw(p, 2))
            draw_watermarks(p, n->number);
    }
    for (int operators = 1 + (int)draw(p, 9); operators > 0 && p->node_count < NODES_MAX - 2; operators--)
        draw_operator(p);
    draw_sinks(p);
}

void plan_release(plan *p)
{
    for (int i = 0; i < p->node_count; i++) {
        free(p->nodes[i].rows.items);
        for (int s = 0; s < SUBTASKS_MAX; s++)
            free(p->nodes[i].script[s]);
    }
}

void plan_print(const plan *p)
{
    static const char *const kinds[] = { "source", "watermarks", "map", "filter", "flat_map", "split", "side output",
        "resumable", "async", "co_flat_map", "rolling", "reduce", "fold", "process", "co_process", "window",
        "interval join", "broadcast process" };
    static const char *const edges[] = { "", " rebalance", " rescale", " shuffle", " broadcast", " global", " custom",
        " hash" };
    static const char *const functions[] = { "aggregate", "apply", "sum", "reduce", "max_by" };
    printf("seed %llu: %d nodes, chaining %s, max parallelism %d\n", (unsigned long long)p->seed, p->node_count,
        p->chaining ? "on" : "off", p->max_parallelism);
    for (int i = 0; i < p->node_count; i++) {
        const node *n = &p->nodes[i];
        printf("  [%d] %s ×%d", i, kinds[n->kind], n->parallelism);
        for (int k = 0; k < n->in_count; k++)
            printf("%s[%d]%s", k ? ", " : " <- ", n->in[k], edges[n->edges[k]]);
        if (n->kind == NODE_WINDOW && n->shape != SHAPE_ALIGNED)
            printf("; %s over %s of %lld, %lld", functions[n->function],
                n->shape == SHAPE_COUNT ? "count windows" : "sessions", (long long)n->size, (long long)n->slide);
        else if (n->kind == NODE_WINDOW)
            printf("; %s over %lld every %lld, offset %lld, lateness %lld", functions[n->function], (long long)n->size,
                (long long)n->slide, (long long)n->offset, (long long)n->lateness);
        if (n->kind == NODE_INTERVAL_JOIN)
            printf("; from %lld to %lld, kind %d", (long long)n->lower, (long long)n->upper, (int)n->join);
        printf("; %zu records%s%s%s%s%s%s", n->rows.count, n->keyed_order ? ", keyed order" : "",
            n->timed ? ", timed" : "", n->timely ? ", timely" : "", n->in_band ? ", in band" : "",
            n->final_only ? ", final only" : "", n->with_timers ? ", timers" : "");
        if (n->sink_parallelism)
            printf("; sink ×%d%s", n->sink_parallelism, edges[n->sink_edge]);
        putchar('\n');
    }
}
