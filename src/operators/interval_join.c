/* Interval join (Flink's IntervalJoinOperator): for each key the rows of both sides, in the order of their times.
 *
 *   a row comes:   find the range of the other side that it matches, call the function, add the row to its side
 *   a timer fires: give unmatched rows to the function (outer joins), remove what no row can match any more
 *
 * Flink registers a timer for each row. Here a key has one at a time: for its last row to go (inner joins) or its next
 * unmatched row to come out (outer joins). In between, rows that nothing can match go when their list is full. So what
 * is kept longer than necessary is at most what fills the list, and goes with the key's last row.
 *
 * Which rows match is Flink's to the letter. Rows in time have times from the watermark on; to such a row t, the rows
 * that Flink has removed are out of reach anyhow, but for one case: t is the watermark itself, and the other row lies
 * right on the bound. That one is gone, unless both times are the same and it came after the watermark, too: these are
 * counted (`fresh`). */
#include "operators/interval_join.h"

#include "data/type.h"
#include "state/keyed_snapshot.h"
#include "state/rows.h"
#include "state/timers.h"
#include "stream/task.h"

enum { LEFT, RIGHT, TIMES, OWN_STATES };
enum { PREFETCH_INDEX = 24, PREFETCH_ENTRY = 16, PREFETCH_ROWS = 8 }; /* rows ahead */

/* What else there is for a key. */
typedef struct fl__join_times {
    fl_time timer;     /* its next timer; FL_TIME_MAX: none */
    fl_time watermark; /* for which fresh counts */
    uint32_t fresh[2]; /* rows of each side whose time is that watermark and which came after it */
    uint32_t at[2];   /* where among the rows of each side the last row of the other began to match: the next is near */
    uint32_t done[2]; /* the first rows of each outer side that have matched or were given alone */
} fl__join_times;
typedef fl__join_times join_times;
FL_ROW(join_times, timer, watermark, (fresh, .raw = true), (at, .raw = true), (done, .raw = true));
static const fl__join_times new_key = { .timer = FL_TIME_MAX, .watermark = FL_TIME_MIN };

typedef struct interval_join {
    fl__operator op;
    const fl__interval_join_config *config;
    fl__keyed *keyed;
    fl__timers *timers;
    int64_t low[2], high[2]; /* a row of side s matches those of the other at its time + low[s] … + high[s] */
    uint32_t row_size[2];
    char *key_scratch;
    fl_counter *late_dropped;
    uint32_t next_row;          /* of the batch at hand: where to go on after FL_AGAIN */
    fl_time restored_watermark; /* time goes on from there; FL_TIME_MIN: from the start */
} interval_join;

/* ---- times, saturating at both ends ---- */

static fl_time plus(fl_time time, int64_t distance)
{
    fl_time sum;
    if (!__builtin_add_overflow(time, distance, &sum))
        return sum;
    return distance < 0 ? FL_TIME_MIN : FL_TIME_MAX;
}

static int64_t negative(int64_t x)
{
    return x == INT64_MIN ? INT64_MAX : -x;
}

/* The watermark at which no row of the other side can match a row of this time any more: rows behind the watermark are
 * late. Flink keeps rows with a negative upper distance until the watermark reaches their time, which makes no
 * difference to what comes out. */
static fl_time end_of(const interval_join *self, unsigned side, fl_time time)
{
    int64_t high = self->high[side];
    return plus(time, high < 0 ? high + 1 : high);
}

/* ---- life cycle ---- */

static fl_status open(fl__operator *op, fl_error *error)
{
    interval_join *self = (interval_join *)op;
    const fl__interval_join_config *config = self->config = op->spec->config;
    self->restored_watermark = FL_TIME_MIN;
    self->low[LEFT] = config->lower;
    self->high[LEFT] = config->upper;
    self->low[RIGHT] = negative(config->upper);
    self->high[RIGHT] = negative(config->lower);
    for (unsigned side = 0; side < 2; side++)
        self->row_size[side] = op->spec->in[side]->size;
    self->late_dropped = fl_metric_counter(&op->ctx, "numLateRecordsDropped");
    fl__keyed_options options = {
        .memory = &op->memory,
        .key = op->spec->key[0],
        .states = config->states,
        .state_count = config->state_count,
        .with_timers = true,
        .max_parallelism = fl__operator_key_groups(op),
    };
    fl_status status = fl__keyed_new(&self->keyed, &options, error);
    if (status != FL_OK)
        return status;
    self->timers = fl__timers_new(&op->memory, self->keyed);
    self->key_scratch = fl__alloc_zero(&op->memory, op->spec->key[0]->size);
    /* the function has states but no timers: those are the operator's */
    op->function.keyed = self->keyed;
    op->ctx.state_offsets = self->keyed->offsets;
    return FL_OK;
}

static void close(fl__operator *op)
{
    interval_join *self = (interval_join *)op;
    op->function.keyed = NULL;
    op->ctx.state_offsets = NULL;
    fl__timers_free(self->timers);
    fl__keyed_free(self->keyed);
    if (self->key_scratch)
        fl__free(&op->memory, self->key_scratch, op->spec->key[0]->size);
    self->timers = NULL;
    self->keyed = NULL;
    self->key_scratch = NULL;
}

static void leave(fl__operator *op)
{
    op->ctx.key = NULL;
    op->ctx.entry = NULL;
}

/* ---- the function ---- */

static void call(interval_join *self, const fl_pair *pair, fl_time timestamp)
{
    fl__operator *op = &self->op;
    fl_context *ctx = &op->ctx;
    ctx->timestamp = op->out.collector.timestamp = timestamp;
    if (FL_LIKELY(op->spec->state_count == 0)) {
        op->spec->function(pair, &op->out.collector, ctx);
        return;
    }
    /* Its states are those of the key's entry, which stays while rows do: settled after each call, without a second
     * look-up. */
    uint32_t ref = self->keyed->ref;
    op->spec->function(pair, &op->out.collector, ctx);
    fl__keyed_end_call(self->keyed, ctx);
    fl__keyed_set_ref(self->keyed, ctx, ref);
}

static fl_pair make_pair(unsigned side, const void *row, fl_time time, const void *other, fl_time other_time)
{
    if (side == LEFT)
        return (fl_pair){ row, other, time, other_time };
    return (fl_pair){ other, row, other_time, time };
}

static bool is_matched(const interval_join *self, unsigned side, const char *kept)
{
    fl_assert(self->config->is_outer[side]);
    return kept[self->config->matched_offset[side]] != 0;
}

/* A row that nothing will match. The caller's key is current. */
static void call_alone(interval_join *self, unsigned side, const void *row, fl_time time)
{
    fl_time end = end_of(self, side, time);
    fl_pair pair = make_pair(side, row, time, NULL, FL_NO_TIMESTAMP);
    call(self, &pair, end > time ? end : time);
}

/* ---- removing ---- */

static fl__rows rows_of(const interval_join *self, unsigned side)
{
    return fl__rows_of(self->keyed, self->op.ctx.entry, side);
}

/* How many of the first rows nothing can match any more: those whose end is before `time`. */
static uint32_t count_gone(const interval_join *self, const fl__rows *rows, unsigned side, fl_time time)
{
    uint32_t low = 0, high = rows->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (end_of(self, side, fl__rows_time(rows, middle)) < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void remove_first(interval_join *self, fl__join_times *times, unsigned side, uint32_t n)
{
    fl__rows_remove_first(self->keyed, &self->op.ctx, side, n);
    times->at[side] = times->at[side] > n ? times->at[side] - n : 0;
    times->done[side] = times->done[side] > n ? times->done[side] - n : 0;
}

/* Makes room in a full list, if there are rows enough that can go. */
static void make_room(interval_join *self, fl__join_times *times, unsigned side)
{
    fl__rows rows = rows_of(self, side);
    uint32_t gone = count_gone(self, &rows, side, self->op.ctx.watermark);
    if (gone > rows.count / 4)
        remove_first(self, times, side, gone);
}

/* ---- a row ---- */

/* Made with the first row of a key. */
static fl__join_times *times_of_key(interval_join *self)
{
    return fl__value(&self->op.ctx, self->config->states[TIMES]);
}

/* The key's timer is to fire at this time at the latest. */
static void wake_at(interval_join *self, fl__join_times *times, fl_time time)
{
    if (times->timer != FL_TIME_MAX && time >= times->timer)
        return;
    fl__timers_register(self->timers, &self->op.ctx, FL__EVENT_TIME, time);
    times->timer = time;
}

/* A row at the watermark: the first of rows [i, …) that Flink would still have. */
static uint32_t skip_gone(
    const interval_join *self, const fl__join_times *times, const fl__rows *rows, unsigned side, uint32_t i)
{
    fl_time watermark = self->op.ctx.watermark;
    uint32_t first = i;
    while (i < rows->count && end_of(self, side, fl__rows_time(rows, i)) <= watermark)
        i++;
    uint32_t fresh = self->high[side] == 0 && times->watermark == watermark ? times->fresh[side] : 0;
    return i - first > fresh ? i - fresh : first;
}

/* Calls the function for all rows of the other side that match; true when there were any. */
static bool match(interval_join *self, fl__join_times *times, unsigned side, const void *row, fl_time time)
{
    unsigned other = 1 - side;
    fl__rows rows = rows_of(self, other);
    fl_time last = plus(time, self->high[side]);
    uint32_t i = fl__rows_find(&rows, 0, times->at[other], plus(time, self->low[side])), first;
    times->at[other] = i;
    if (FL_UNLIKELY(time == self->op.ctx.watermark))
        i = skip_gone(self, times, &rows, other, i);
    for (first = i; i < rows.count && !self->op.task->failed; i++) {
        char *kept = fl__rows_at(&rows, i);
        fl_time other_time = fl__rows_time(&rows, i);
        if (other_time > last)
            break;
        if (self->config->is_outer[other])
            kept[self->config->matched_offset[other]] = 1;
        fl_pair pair = make_pair(side, row, time, kept + self->config->row_offset[other], other_time);
        call(self, &pair, time > other_time ? time : other_time);
    }
    return i > first;
}

static void count_fresh(fl__join_times *times, unsigned side, fl_time watermark)
{
    if (times->watermark != watermark) {
        times->watermark = watermark;
        times->fresh[LEFT] = times->fresh[RIGHT] = 0;
    }
    times->fresh[side]++;
}

/* A row of an outer side was added. */
static void note_outer(const interval_join *self, fl__join_times *times, unsigned side, char *kept, bool found)
{
    fl__rows rows = rows_of(self, side);
    uint32_t i = (uint32_t)((size_t)(kept - rows.data) / rows.size);
    kept[self->config->matched_offset[side]] = found;
    if (i < times->done[side])
        times->done[side] = i;
}

static void add_row(interval_join *self, unsigned side, const void *row, fl_time time)
{
    const fl__interval_join_config *config = self->config;
    fl_context *ctx = &self->op.ctx;
    fl__join_times *times = times_of_key(self);
    bool found = match(self, times, side, row, time), waits = config->is_outer[side] && !found;
    fl_time end = end_of(self, side, time);
    if (self->high[side] < 0 && end <= ctx->watermark) { /* nothing to come can match it */
        if (waits)
            call_alone(self, side, row, time);
        if (times->timer == FL_TIME_MAX)
            wake_at(self, times, ctx->watermark); /* nothing else would remove the key */
        return;
    }
    if (FL_UNLIKELY(fl__rows_is_full(self->keyed, ctx->entry, side)))
        make_room(self, times, side);
    char *kept = fl__rows_add(self->keyed, ctx, side, time, config->row_offset[side], row, self->row_size[side]);
    if (config->is_outer[side])
        note_outer(self, times, side, kept, found);
    if (FL_UNLIKELY(time == ctx->watermark))
        count_fresh(times, side, time);
    if (waits || times->timer == FL_TIME_MAX)
        wake_at(self, times, end);
}

static void late(interval_join *self, unsigned side, const void *row, fl_time time)
{
    const fl_tag *tag = self->config->late[side];
    if (!tag) {
        self->late_dropped->value++;
        return;
    }
    fl__output *out = fl__operator_side(&self->op, tag);
    if (out)
        fl__emit(out, row, time);
}

static fl_status no_timestamp(interval_join *self, unsigned side)
{
    return fl__operator_fail(&self->op, FL_ERROR_USER,
        "a record of the %s stream has no timestamp, and an interval join works in event time: put "
        "fl_watermarks(stream, …, .timestamp = \"field\") before the join",
        side == LEFT ? "left" : "right");
}

/* Three steps, each on what the one before it brought: index, entry, and the rows around the place where the row goes
 * and where it looks. hashes: of the `left` rows from the current one on. */
static void prefetch(interval_join *self, unsigned side, const uint64_t *hashes, uint32_t left)
{
    fl__keyed *keyed = self->keyed;
    if (PREFETCH_INDEX < left)
        fl__table_prefetch(&keyed->table, hashes[PREFETCH_INDEX]);
    if (PREFETCH_ENTRY < left)
        fl__table_prefetch_entry(&keyed->table, hashes[PREFETCH_ENTRY]);
    const char *entry = PREFETCH_ROWS < left ? fl__table_candidate(&keyed->table, hashes[PREFETCH_ROWS]) : NULL;
    if (!entry)
        return;
    const fl__join_times *times = (const void *)(entry + keyed->states[TIMES].offset);
    fl__rows own = fl__rows_of(keyed, entry, side), other = fl__rows_of(keyed, entry, 1 - side);
    fl__rows_prefetch(&own, own.count);
    fl__rows_prefetch(&other, times->at[1 - side]);
}

static fl_status process(fl__operator *op, unsigned side, const fl__batch *batch)
{
    interval_join *self = (interval_join *)op;
    fl__keyed *keyed = self->keyed;
    fl_context *ctx = &op->ctx;
    if (!fl__batch_has(batch, FL__COLUMN_TIMESTAMP))
        return batch->count ? no_timestamp(self, side) : FL_OK;
    const bool *failed = &op->task->failed;
    const fl__key *key = op->spec->key[side];
    const uint64_t *hashes = fl__batch_hashes(batch);
    const fl_time *timestamps = fl__batch_timestamps(batch);
    bool large = fl__keyed_is_large(keyed);
    uint32_t n = batch->count;
    for (uint32_t i = self->next_row; i < n && !*failed; i++) {
        const char *row = fl__batch_row(batch, i);
        if (fl__output_blocked(op)) {
            self->next_row = i;
            leave(op);
            return FL_AGAIN;
        }
        if (large)
            prefetch(self, side, hashes + i, n - i);
        if (timestamps[i] < ctx->watermark) {
            if (timestamps[i] == FL_NO_TIMESTAMP)
                return no_timestamp(self, side);
            late(self, side, row, timestamps[i]);
            continue;
        }
        if (FL_UNLIKELY(timestamps[i] == FL_NO_TIMESTAMP))
            return no_timestamp(self, side);
        fl__keyed_set_key(keyed, ctx, hashes[i], fl__key_of(key, row, self->key_scratch));
        add_row(self, side, row, timestamps[i]);
        fl__keyed_end_call(keyed, ctx);
    }
    self->next_row = 0;
    leave(op);
    return FL_OK;
}

/* ---- timers ---- */

/* Gives the rows of one outer side that end at `time` or before and matched nothing to the function. Returns the end of
 * the first one that still waits; FL_TIME_MAX, *waits unchanged: none does. */
static fl_time give_unmatched(interval_join *self, fl__join_times *times, unsigned side, fl_time time, bool *waits)
{
    fl__rows rows = rows_of(self, side);
    for (; times->done[side] < rows.count && !self->op.task->failed; times->done[side]++) {
        char *kept = fl__rows_at(&rows, times->done[side]);
        if (is_matched(self, side, kept))
            continue;
        fl_time row_time = fl__rows_time(&rows, times->done[side]), end = end_of(self, side, row_time);
        if (end > time) {
            *waits = true;
            return end;
        }
        kept[self->config->matched_offset[side]] = 1;
        call_alone(self, side, kept + self->config->row_offset[side], row_time);
    }
    return FL_TIME_MAX;
}

/* The end of the key's last row; FL_TIME_MIN: it has none. */
static fl_time last_end(const interval_join *self)
{
    fl_time last = FL_TIME_MIN;
    for (unsigned side = 0; side < 2; side++) {
        fl__rows rows = rows_of(self, side);
        fl_time end = rows.count ? end_of(self, side, fl__rows_time(&rows, rows.count - 1)) : FL_TIME_MIN;
        last = end > last ? end : last;
    }
    return last;
}

static void remove_key(interval_join *self)
{
    fl_context *ctx = &self->op.ctx;
    fl__rows_clear(self->keyed, ctx, LEFT);
    fl__rows_clear(self->keyed, ctx, RIGHT);
    fl__state_clear(ctx, self->config->states[TIMES]);
}

/* The timer of the current key. time: what it was registered for. Outer rows come out in the order of time, over all
 * keys: what ends later, though the watermark has passed it, waits for a timer of its own. */
static void on_timer(interval_join *self, fl_time time)
{
    const fl__interval_join_config *config = self->config;
    if (!fl__value_peek(&self->op.ctx, config->states[TIMES]))
        return; /* all is gone already */
    fl__join_times *times = times_of_key(self);
    if (time < times->timer)
        return; /* it was wanted once; the key has another one */
    times->timer = FL_TIME_MAX;
    bool waits = false;
    fl_time next = FL_TIME_MAX;
    for (unsigned side = 0; side < 2; side++) {
        fl_time end = config->is_outer[side] ? give_unmatched(self, times, side, time, &waits) : FL_TIME_MAX;
        next = end < next ? end : next;
    }
    if (!waits)
        next = last_end(self);
    if (waits || next > self->op.ctx.watermark)
        wake_at(self, times, next);
    else
        remove_key(self);
}

/* Fires what is due, one key a time. FL_AGAIN: nothing is half done. */
static fl_status watermark(fl__operator *op, fl_time limit)
{
    interval_join *self = (interval_join *)op;
    fl_status status = FL_OK;
    if (FL_UNLIKELY(limit < self->restored_watermark)) {
        op->ctx.watermark = self->restored_watermark; /* what was late before is late now */
        return FL_OK;
    }
    while (!op->task->failed) {
        if (fl__output_blocked(op)) {
            status = FL_AGAIN;
            break;
        }
        fl_time time;
        uint32_t ref;
        if (!fl__timers_pop(self->timers, FL__EVENT_TIME, limit, &time, &ref))
            break;
        fl__keyed_set_ref(self->keyed, &op->ctx, ref);
        fl__keyed_timer_gone(self->keyed, ref);
        on_timer(self, time);
        fl__keyed_end_call(self->keyed, &op->ctx);
    }
    leave(op);
    return status;
}

/* BATCH mode: everything of the key comes out and goes, the function's states too. */
static fl_status end_key(fl__operator *op)
{
    interval_join *self = (interval_join *)op;
    op->ctx.watermark = FL_TIME_MAX;
    fl_status status = watermark(op, FL_TIME_MAX);
    if (status == FL_AGAIN)
        return status;
    op->ctx.watermark = FL_TIME_MIN;
    fl__keyed_clear(self->keyed, &op->ctx);
    return status;
}

/* ---- checkpoints ---- */

/* Rows and times are states of the key, and its timer one of the operator's: all that is missing is how far time is.
 * Lists come back in their order, so J1 and what counts rows hold. */
static void snapshot(fl__operator *op, fl__snapshot *to)
{
    interval_join *self = (interval_join *)op;
    fl__block_put_int(fl__snapshot_bytes(to, FL__BLOCK_VALUES), op->ctx.watermark);
    fl__keyed_snapshot(self->keyed, self->timers, to, op->task->account.parent);
}

/* All subtasks have seen the same watermarks before the barrier. */
static fl_status restore_watermark(interval_join *self, fl__restored *from, fl_error *error)
{
    fl__block block;
    fl_status status;
    while ((status = fl__restored_next(from, &block, error)) == FL_OK) {
        int64_t time;
        if (block.kind != FL__BLOCK_VALUES)
            continue;
        if (!fl__block_get_int(&block.payload, &time))
            return fl__blocks_corrupt(&from->blocks, error, "the join's time");
        self->restored_watermark = time > self->restored_watermark ? time : self->restored_watermark;
    }
    self->op.ctx.watermark = self->restored_watermark;
    return status == FL_DONE ? FL_OK : status;
}

static fl_status restore(fl__operator *op, fl__restored *from, fl_error *error)
{
    interval_join *self = (interval_join *)op;
    fl_status status = restore_watermark(self, from, error);
    if (status != FL_OK)
        return status;
    fl__restored_rewind(from);
    return fl__keyed_restore(self->keyed, self->timers, &op->ctx, from, error);
}

const fl__operator_class fl__interval_join_class = {
    .kind = "Interval Join",
    .size = sizeof(interval_join),
    .is_keyed = true,
    .sets_timestamps = true,
    .open = open,
    .process = process,
    .watermark = watermark,
    .close = close,
    .end_key = end_key,
    .holds_rows = true,
    .snapshot = snapshot,
    .restore = restore,
};

/* ---- states ---- */

/* {time, row} and, for outer joins, whether it has matched. */
static const fl_type *type_of_kept(
    fl__arena *arena, const fl_type *row, bool is_outer, uint32_t *row_offset, uint32_t *matched_offset)
{
    uint32_t align = row->align > 8 ? row->align : 8;
    *row_offset = align;
    *matched_offset = *row_offset + row->size;
    fl_field fields[] = {
        { .name = "time", .size = 8, .type = FL_TYPE(int64_t) },
        { .name = "row", .offset = *row_offset, .size = row->size, .type = row },
        { .name = "matched", .offset = *matched_offset, .size = 1, .type = FL_TYPE(bool) },
    };
    if (row->kind == FL_KIND_ROW)
        fields[1].row = row;
    fields[1].raw = row->kind == FL_KIND_RAW;
    fl_type *type = fl__arena_alloc(arena, sizeof *type);
    *type = (fl_type){
        .kind = FL_KIND_ROW,
        .size = (*matched_offset + is_outer + align - 1) & ~(align - 1),
        .align = align,
        .field_count = is_outer ? 3 : 2,
        .name = row->name,
        .fields = fl__arena_memdup(arena, fields, sizeof fields),
    };
    return type;
}

void fl__interval_join_init(
    fl__interval_join_config *config, fl__arena *arena, const fl_type *const rows[2], const void *const *user)
{
    size_t users = 0;
    while (users < 16 && user[users])
        users++;
    fl_state own[OWN_STATES] = {
        [LEFT] = { .name = "interval join: left", .kind = FL_STATE_LIST },
        [RIGHT] = { .name = "interval join: right", .kind = FL_STATE_LIST },
        [TIMES] = { .name = "interval join: times",
            .kind = FL_STATE_VALUE,
            .type = FL_TYPE(join_times),
            .initial = &new_key },
    };
    for (unsigned side = 0; side < 2; side++)
        own[side].type = type_of_kept(
            arena, rows[side], config->is_outer[side], &config->row_offset[side], &config->matched_offset[side]);
    fl_state *kept = fl__arena_memdup(arena, own, sizeof own);
    config->state_count = OWN_STATES + users;
    config->states = fl__arena_alloc(arena, config->state_count * sizeof(fl_state *));
    for (size_t i = 0; i < config->state_count; i++)
        config->states[i] = i < OWN_STATES ? &kept[i] : (fl_state *)(uintptr_t)user[i - OWN_STATES];
}
