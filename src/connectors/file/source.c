/* fl_read_text: the lines of files. What is there when the program is built is cut into splits, split i goes to subtask
 * i mod parallelism; or files are watched (monitor.h). Reading blocks the task's thread for as long as the disk
 * takes. */
#include "api/api.h"
#include "connectors/file/lanes.h"
#include "connectors/file/monitor.h"
#include "connectors/file/splits.h"
#include "connectors/notice.h"
#include "stream/splits.h"
#include "stream/task.h"

/* A poll emits about a batch's worth, so that the task looks after its output in between. */
enum { POLL_BYTES = 32 * 1024 };

struct file_config {
    const char *path, *delimiter;
    size_t line_bytes_max;
    int64_t monitor_ms; /* 0: read once */
    const fl__split *splits;
    size_t split_count;
};

/* What the subtasks know of each other: op->shared, one each. When they share one file, none begins a split before all
 * have begun as many as it has: so they stay within two splits of each other, and so in event time, whatever the
 * threads are given of the processors. begun: written by its subtask, before it wakes the others; a subtask that waits
 * looks again between announcing its nap and taking it. */
struct reader_progress {
    _Atomic uint32_t begun;   /* splits; UINT32_MAX: there are no more */
    fl__waker *_Atomic waker; /* of the task; NULL: not open yet, then it waits for nobody */
};

struct file_source {
    fl__operator op;
    bool is_open; /* close comes without open, too: then there is nothing to close */
    bool has_lanes;
    fl__lanes lanes;
    fl__split_reader reader;
    bool is_reading;
    const fl__split *splits; /* of all subtasks: the config's, or what was left of them at a restore */
    size_t split_count, next_split, step;
    fl__arena arena; /* of restored splits */
    fl__monitor monitor;
    fl__watched *watched; /* being read */
    fl_time next_look;
};

/* ---- subtasks that read one file ---- */

static bool is_file_shared(const struct file_source *source)
{
    return source->lanes.count == 1 && source->op.ctx.parallelism > 1;
}

static void note_begun(struct file_source *source, uint32_t begun)
{
    struct reader_progress *all = (struct reader_progress *)source->op.shared;
    atomic_store(&all[source->op.ctx.subtask].begun, begun);
    for (int i = 0; i < source->op.ctx.parallelism; i++) {
        fl__waker *waker = atomic_load(&all[i].waker);
        if (waker && i != source->op.ctx.subtask)
            fl__waker_wake(waker);
    }
}

/* Takes the next split if it may. */
static bool may_begin_split(struct file_source *source)
{
    const struct reader_progress *all = (const struct reader_progress *)source->op.shared;
    uint32_t mine = atomic_load(&all[source->op.ctx.subtask].begun);
    for (int i = 0; i < source->op.ctx.parallelism; i++) {
        if (atomic_load(&all[i].begun) < mine)
            return false;
    }
    note_begun(source, mine + 1);
    return true;
}

/* ---- opening ---- */

/* Somebody behind makes watermarks by split: files are read side by side. */
static void open_lanes(struct file_source *source)
{
    fl__lanes_deal(&source->lanes, source->splits, source->split_count, source->next_split, source->step);
    source->has_lanes = true;
    if (is_file_shared(source)) {
        atomic_store(&((struct reader_progress *)source->op.shared)[source->op.ctx.subtask].waker,
            fl__operator_waker(&source->op));
        if (!source->lanes.left)
            note_begun(source, UINT32_MAX);
    }
    for (uint32_t i = 0; i < source->lanes.left; i++)
        source->lanes.heap[i]->slot = fl__split_add(&source->op, i, true);
    if (source->lanes.left)
        fl__split_choose(&source->op, source->lanes.heap[0]->slot);
}

static fl_status open_source(fl__operator *op, fl_error *error)
{
    (void)error;
    struct file_source *source = (struct file_source *)op;
    const struct file_config *config = (const struct file_config *)op->spec->config;
    source->is_open = true;
    fl__split_reader_init(&source->reader, op->task->os, config->delimiter, config->line_bytes_max, &op->memory);
    source->splits = config->splits;
    source->split_count = config->split_count;
    source->next_split = (size_t)op->ctx.subtask;
    source->step = (size_t)op->ctx.parallelism;
    fl__arena_init(&source->arena, &op->memory);
    source->next_look = FL_TIME_MIN;
    fl__monitor_init(&source->monitor, op->task->os, config->path, op->ctx.subtask, op->ctx.parallelism);
    fl__lanes_init(&source->lanes, op->task->os, config->delimiter, config->line_bytes_max, &op->memory);
    return FL_OK;
}

static void close_source(fl__operator *op)
{
    struct file_source *source = (struct file_source *)op;
    if (!source->is_open)
        return;
    source->is_open = false;
    fl__split_reader_release(&source->reader);
    fl__arena_release(&source->arena);
    fl__lanes_release(&source->lanes);
    fl__monitor_release(&source->monitor);
}

/* Emits lines until a poll's share of *left bytes is used: FL_OK; FL_DONE: the split is over. */
static fl_status emit_lines(struct file_source *source, size_t *left, fl_error *error)
{
    fl_collector *out = &source->op.out.collector;
    fl_string line;
    fl_status status;
    while ((status = fl__split_reader_next(&source->reader, &line, error)) == FL_OK) {
        fl_collect(out, &line);
        size_t bytes = sizeof line + line.length;
        if (bytes >= *left) {
            *left = 0;
            return FL_OK;
        }
        *left -= bytes;
    }
    return status;
}

static fl_status poll_splits(fl__operator *op, fl_error *error)
{
    struct file_source *source = (struct file_source *)op;
    for (size_t left = POLL_BYTES; left > 0;) {
        if (!source->is_reading) {
            if (source->next_split >= source->split_count)
                return FL_DONE;
            fl_status status = fl__split_reader_open(&source->reader, &source->splits[source->next_split], error);
            if (status != FL_OK)
                return status;
            source->next_split += source->step;
            source->is_reading = true;
        }
        fl_status status = emit_lines(source, &left, error);
        if (status == FL_DONE)
            source->is_reading = false;
        else if (status != FL_OK)
            return status;
    }
    return FL_OK;
}

/* Emits lines of the first lane: a poll's worth, or one of a lane of which nothing is known yet. */
static fl_status emit_lane(struct file_source *source, const fl__file_lane *lane, fl_error *error)
{
    fl_collector *out = &source->op.out.collector;
    fl_string line;
    size_t left = lane->is_seen || source->lanes.left == 1 ? POLL_BYTES : 1;
    fl_status status;
    while ((status = fl__lanes_next(&source->lanes, source->splits, &line, error)) == FL_OK) {
        fl_collect(out, &line);
        size_t bytes = sizeof line + line.length;
        if (bytes >= left)
            return FL_OK;
        left -= bytes;
    }
    return status;
}

/* One turn of the lane that is furthest behind. */
static fl_status poll_lanes(fl__operator *op, fl_error *error)
{
    struct file_source *source = (struct file_source *)op;
    fl__lanes *lanes = &source->lanes;
    fl__file_lane *lane = fl__lanes_first(lanes);
    if (!lane)
        return FL_DONE;
    if (fl__lanes_begins_split(lanes) && is_file_shared(source) && !may_begin_split(source))
        return FL_AGAIN;
    fl_status status = emit_lane(source, lane, error);
    if (status != FL_OK && status != FL_DONE)
        return status;
    bool is_finished = status == FL_DONE && !fl__lanes_begins_split(lanes);
    if (!is_finished && lanes->left == 1)
        return FL_OK;
    fl__split_choose(op, lane->slot); /* sends on what it has given: only then is its watermark known */
    if (is_finished) {
        fl__lanes_finished(lanes);
        fl__split_finish(op, lane->slot);
        if (is_file_shared(source))
            note_begun(source, UINT32_MAX);
    } else {
        fl__lanes_moved(lanes, fl__split_watermark(op, lane->slot));
    }
    lane = fl__lanes_first(lanes);
    if (lane)
        fl__split_choose(op, lane->slot);
    return lane ? FL_OK : FL_DONE;
}

/* Opens the next file that has grown. FL_AGAIN: none; FL_OK with source->watched NULL: it vanished meanwhile. */
static fl_status open_watched(struct file_source *source, fl_error *error)
{
    fl__watched *file = fl__monitor_next(&source->monitor);
    if (!file)
        return FL_AGAIN;
    if (file->was_shortened)
        fl__notice(&source->op, "%s has become shorter: it is read from its start", file->path);
    fl_error failure = FL_ERROR_INIT;
    fl_status status =
        file->is_packed
            ? fl__split_reader_open(&source->reader,
                  &(fl__split){ .path = file->path, .end = INT64_MAX, .is_whole = true, .resume = file->offset },
                  &failure)
            : fl__split_reader_open_tail(&source->reader, file->path, file->offset, &failure);
    if (status == FL_OK) {
        source->watched = file;
        fl__split_choose(&source->op, file->slot);
    } else if (!fl__path_exists(source->monitor.os, file->path)) {
        status = FL_OK;
        fl__split_finish(&source->op, file->slot);
        fl__error_release(&failure);
    }
    fl__error_move(error, &failure);
    return status;
}

/* What has grown between two looks holds the watermark back until it was read: one of the files does not make the lines
 * of the others late. Then it is finished, as in Flink's FileSource: a log that was rotated away never grows again. */
static void add_due(struct file_source *source)
{
    for (size_t i = 0; i < source->monitor.count; i++) {
        if (source->monitor.files[i].is_due)
            source->monitor.files[i].slot = fl__split_add(&source->op, i, true);
    }
}

static fl_status poll_watched(fl__operator *op, fl_error *error)
{
    struct file_source *source = (struct file_source *)op;
    const struct file_config *config = (const struct file_config *)op->spec->config;
    for (size_t left = POLL_BYTES; left > 0;) {
        fl_status status = source->watched ? emit_lines(source, &left, error) : open_watched(source, error);
        if (status == FL_DONE) {
            fl__monitor_was_read(source->watched, fl__split_reader_offset(&source->reader), source->reader.at);
            fl__split_finish(op, source->watched->slot);
            source->watched = NULL;
            continue;
        }
        if (status == FL_AGAIN) {
            fl_time now = fl__operator_now(op);
            if (now < source->next_look) {
                fl_wait_until(&op->ctx, source->next_look);
                return FL_AGAIN;
            }
            source->next_look = now + config->monitor_ms;
            status = fl__monitor_look(&source->monitor, error);
            add_due(source);
        }
        if (status != FL_OK)
            return status;
    }
    return FL_OK;
}

static fl_status poll_source(fl__operator *op)
{
    struct file_source *source = (struct file_source *)op;
    const struct file_config *config = (const struct file_config *)op->spec->config;
    fl_error error = FL_ERROR_INIT;
    if (!source->has_lanes && config->monitor_ms == 0 && fl__splits_wanted(op))
        open_lanes(source);
    fl_status status = config->monitor_ms > 0 ? poll_watched(op, &error)
                       : source->has_lanes    ? poll_lanes(op, &error)
                                              : poll_splits(op, &error);
    if (status >= FL_ERROR_INVALID)
        fl__operator_fail(op, status, "%s", error.text);
    fl__error_release(&error);
    return status;
}

/* ---- checkpoints: what is left to be read ---- */

static void put_split(fl__buffer *out, const fl__split *split, int64_t resume)
{
    fl__block_put_text(out, split->path);
    fl__block_put_int(out, split->start);
    fl__block_put_int(out, split->end);
    fl__buffer_varint(out, split->is_whole);
    fl__block_put_int(out, resume);
}

static void put_splits(const struct file_source *source, fl__buffer *out)
{
    if (source->is_reading)
        put_split(out, &source->splits[source->next_split - source->step], fl__split_reader_offset(&source->reader));
    for (size_t i = source->next_split; i < source->split_count; i += source->step)
        put_split(out, &source->splits[i], source->splits[i].resume);
}

/* File by file, so that the restored splits make the same lanes. */
static void put_lanes(const struct file_source *source, fl__buffer *out)
{
    const fl__lanes *lanes = &source->lanes;
    for (uint32_t l = 0; l < lanes->count; l++) {
        const fl__file_lane *lane = &lanes->items[l];
        if (lane->is_begun)
            put_split(out, &source->splits[lane->next - lane->step],
                lane->reader ? fl__split_reader_offset(lane->reader) : lane->at);
        for (size_t i = lane->next; lane->step && i < lane->end; i += lane->step)
            put_split(out, &source->splits[i], source->splits[i].resume);
    }
}

static void put_watched(const struct file_source *source, fl__buffer *out)
{
    for (size_t i = 0; i < source->monitor.count; i++) {
        const fl__watched *file = &source->monitor.files[i];
        int64_t offset = file == source->watched ? fl__split_reader_offset(&source->reader) : file->offset;
        fl__block_put_text(out, file->path);
        fl__block_put_int(out, offset);
        fl__buffer_varint(out, file->is_packed);
        fl__buffer_varint(out, file->is_done);
    }
}

static void snapshot_source(fl__operator *op, fl__snapshot *to)
{
    const struct file_source *source = (const struct file_source *)op;
    const struct file_config *config = (const struct file_config *)op->spec->config;
    fl__buffer *out = fl__snapshot_bytes(to, FL__BLOCK_VALUES);
    if (config->monitor_ms > 0)
        put_watched(source, out);
    else if (source->has_lanes)
        put_lanes(source, out);
    else
        put_splits(source, out);
}

static bool get_watched(struct file_source *source, fl__reader *in)
{
    int64_t offset;
    uint64_t is_packed, is_done;
    char *path = fl__block_get_text(in, &source->arena);
    if (!path || !fl__block_get_int(in, &offset) || !fl__reader_varint(in, &is_packed) ||
        !fl__reader_varint(in, &is_done))
        return false;
    fl__monitor_remember(&source->monitor, path, offset, is_packed != 0, is_done != 0);
    return true;
}

/* Takes in a split of any subtask of then. */
static bool get_split(struct file_source *source, fl__reader *in, fl__split **splits, size_t *capacity)
{
    fl__split split = { .path = fl__block_get_text(in, &source->arena) };
    uint64_t is_whole;
    if (!split.path || !fl__block_get_int(in, &split.start) || !fl__block_get_int(in, &split.end) ||
        !fl__reader_varint(in, &is_whole) || !fl__block_get_int(in, &split.resume) || split.start < 0 ||
        split.resume < 0)
        return false;
    split.is_whole = is_whole != 0;
    if (source->split_count == *capacity) {
        size_t more = *capacity ? 2 * *capacity : 16;
        fl__split *grown = fl__arena_alloc(&source->arena, more * sizeof *grown);
        if (*splits)
            memcpy(grown, *splits, *capacity * sizeof *grown);
        *splits = grown;
        *capacity = more;
    }
    fl_assert(*splits);
    (*splits)[source->split_count++] = split;
    return true;
}

static int compare_splits(const void *a, const void *b)
{
    const fl__split *x = (const fl__split *)a, *y = (const fl__split *)b;
    int order = strcmp(x->path, y->path);
    return order ? order : x->start < y->start ? -1 : x->start > y->start;
}

/* Deals what is left to the subtasks of now as the files were dealt at first, in their order and byte after byte: a
 * subtask that went back in a file would make its lines late, and all must agree on how many files there are. */
static void deal_again(struct file_source *source, fl__split *splits)
{
    if (!splits)
        return; /* nothing is left */
    if (source->split_count > 0)
        qsort(splits, source->split_count, sizeof *splits, compare_splits);
    for (size_t i = 1; i < source->split_count; i++) {
        if (strcmp(splits[i].path, splits[i - 1].path) == 0)
            splits[i].path = splits[i - 1].path; /* lanes tell files apart by their address */
    }
    source->splits = splits;
    source->next_split = (size_t)source->op.ctx.subtask;
    source->step = (size_t)source->op.ctx.parallelism;
}

static fl_status restore_source(fl__operator *op, fl__restored *from, fl_error *error)
{
    struct file_source *source = (struct file_source *)op;
    const struct file_config *config = (const struct file_config *)op->spec->config;
    fl__split *splits = NULL;
    size_t capacity = 0;
    source->split_count = 0;
    fl__block block;
    fl_status status;
    while ((status = fl__restored_next(from, &block, error)) == FL_OK) {
        fl__reader *in = &block.payload;
        while (in->cursor < in->end) {
            if (config->monitor_ms > 0 ? !get_watched(source, in) : !get_split(source, in, &splits, &capacity))
                return fl__blocks_corrupt(&from->blocks, error, "the files that are left to be read");
        }
    }
    deal_again(source, splits);
    return status == FL_DONE ? FL_OK : status;
}

static const fl__operator_class file_source_class = {
    .kind = "Custom File Source", /* Flink's name of what readTextFile makes */
    .size = sizeof(struct file_source),
    .shared_size = sizeof(struct reader_progress),
    .open = open_source,
    .poll = poll_source,
    .close = close_source,
    .snapshot = snapshot_source,
    .restore = restore_source,
};

/* Finds and cuts the files now, so that a wrong path is an error before anything runs. */
static fl_status prepare(fl_env *env, struct file_config *config, int64_t split_bytes, fl_error *error)
{
    fl__paths files = FL__PATHS_INIT;
    fl__splits splits = { NULL, 0, 0 };
    fl_status status = fl__files_find(&fl__os_linux, config->path, &files, error);
    if (status == FL_OK && files.count == 0 && config->monitor_ms == 0)
        status = fl__error_set(error, FL_ERROR_IO,
            "no file is called or lies below %s (names that begin with . or _ do not count)", config->path);
    if (status == FL_OK && config->monitor_ms == 0)
        status = fl__splits_make(&splits, &fl__os_linux, &files, config->delimiter, split_bytes, error);
    if (status == FL_OK && splits.count > 0) {
        fl__split *copy = fl__env_alloc(env, splits.count * sizeof *copy);
        const char *last = NULL, *last_copy = NULL;
        for (size_t i = 0; i < splits.count; i++) {
            if (splits.items[i].path != last) {
                last = splits.items[i].path;
                last_copy = fl__arena_strdup(&env->arena, last);
            }
            copy[i] = splits.items[i];
            copy[i].path = last_copy;
        }
        config->splits = copy;
        config->split_count = splits.count;
    }
    fl__splits_release(&splits);
    fl__paths_release(&files);
    return status;
}

fl_stream *fl__read_text(fl_env *env, const char *path, const fl_source_options *options)
{
    enum { LINE_BYTES_LIMIT = 1 << 30 }; /* a line has to fit a batch */
    const char *delimiter = options->delimiter ? options->delimiter : "\n";
    if (!path || !*path)
        return fl__stream_error(env, options->where, "fl_read_text: no path given; name a file, a folder or a glob");
    if (!*delimiter)
        return fl__stream_error(env, options->where, "fl_read_text: .delimiter is empty; leave it out for lines");
    if (options->line_bytes_max > LINE_BYTES_LIMIT)
        return fl__stream_error(env, options->where, "fl_read_text: .line_bytes_max is %zu; at most %d is possible",
            options->line_bytes_max, LINE_BYTES_LIMIT);
    if (options->monitor_every.ms < 0)
        return fl__stream_error(env, options->where, "fl_read_text: .monitor_every is negative");
    struct file_config *config = fl__env_alloc(env, sizeof *config);
    *config = (struct file_config){
        .path = fl__arena_strdup(&env->arena, path),
        .delimiter = fl__arena_strdup(&env->arena, delimiter),
        .line_bytes_max = options->line_bytes_max,
        .monitor_ms = options->monitor_every.ms,
    };
    fl_error error = FL_ERROR_INIT;
    int64_t split_bytes = options->split_bytes ? (int64_t)options->split_bytes : FL__SPLIT_BYTES;
    if (prepare(env, config, split_bytes, &error) != FL_OK) {
        fl_stream *failed = fl__stream_error(env, options->where,
            "fl_read_text(\"%s\"): %s; the path must name a file, a folder or a glob of files that can be read", path,
            error.text);
        fl__error_release(&error);
        return failed;
    }
    return fl__add_source_operator(env, &(fl__new_operator){
                                            .class = &file_source_class,
                                            .out = FL_TYPE(fl_string),
                                            .options = (const fl_options *)options,
                                            .source = options,
                                            .config = config,
                                            .is_unbounded = options->monitor_every.ms > 0,
                                        });
}
