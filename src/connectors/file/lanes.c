#include "connectors/file/lanes.h"

/* Each has a buffer of 256 KiB and a descriptor. */
enum { OPEN_MAX = 32 };

void fl__lanes_init(
    fl__lanes *lanes, const fl__os *os, const char *delimiter, size_t line_bytes_max, fl__memory *memory)
{
    *lanes = (fl__lanes){ .os = os, .delimiter = delimiter, .line_bytes_max = line_bytes_max, .memory = memory };
}

void fl__lanes_deal(fl__lanes *lanes, const fl__split *splits, size_t count, size_t subtask, size_t parallelism)
{
    uint32_t files = 0;
    for (size_t i = 0; i < count; i++)
        files += i == 0 || splits[i].path != splits[i - 1].path;
    lanes->items = fl__alloc_zero(lanes->memory, files * sizeof *lanes->items);
    lanes->heap = fl__alloc_zero(lanes->memory, files * sizeof *lanes->heap);
    lanes->count = files;
    size_t file = 0;
    for (size_t first = 0, end; first < count; first = end, file++) {
        for (end = first + 1; end < count && splits[end].path == splits[first].path;)
            end++;
        size_t next = first + (subtask + parallelism - first % parallelism) % parallelism;
        if (next >= end)
            continue;
        fl__file_lane *lane = &lanes->items[file];
        *lane = (fl__file_lane){
            .next = next,
            .end = end,
            .step = parallelism,
            .watermark = FL_TIME_MIN,
            .number = lanes->left,
        };
        lanes->heap[lanes->left++] = lane;
    }
}

static void close_reader(fl__lanes *lanes, fl__file_lane *lane)
{
    if (!lane->reader)
        return;
    fl__split_reader_release(lane->reader);
    fl__free(lanes->memory, lane->reader, sizeof *lane->reader);
    lane->reader = NULL;
    lanes->open--;
}

void fl__lanes_release(fl__lanes *lanes)
{
    for (uint32_t i = 0; i < lanes->count; i++)
        close_reader(lanes, &lanes->items[i]);
    fl__free(lanes->memory, lanes->items, lanes->count * sizeof *lanes->items);
    fl__free(lanes->memory, lanes->heap, lanes->count * sizeof *lanes->heap);
    lanes->items = NULL;
    lanes->heap = NULL;
    lanes->count = lanes->left = 0;
}

/* ---- the heap ---- */

static bool is_before(const fl__file_lane *a, const fl__file_lane *b)
{
    return a->watermark != b->watermark ? a->watermark < b->watermark : a->number < b->number;
}

static void sink_first(fl__lanes *lanes)
{
    fl__file_lane **heap = lanes->heap, *lane = heap[0];
    uint32_t at = 0;
    for (uint32_t child; (child = 2 * at + 1) < lanes->left; at = child) {
        if (child + 1 < lanes->left && is_before(heap[child + 1], heap[child]))
            child++;
        if (!is_before(heap[child], lane))
            break;
        heap[at] = heap[child];
    }
    heap[at] = lane;
}

void fl__lanes_moved(fl__lanes *lanes, fl_time watermark)
{
    lanes->heap[0]->watermark = watermark;
    sink_first(lanes);
}

void fl__lanes_finished(fl__lanes *lanes)
{
    close_reader(lanes, lanes->heap[0]);
    lanes->heap[0] = lanes->heap[--lanes->left];
    if (lanes->left)
        sink_first(lanes);
}

/* ---- readers ---- */

/* Closes the reader that will be wanted last. */
static void make_room(fl__lanes *lanes)
{
    fl__file_lane *last = NULL;
    for (uint32_t i = 1; i < lanes->left; i++) {
        fl__file_lane *lane = lanes->heap[i];
        if (lane->reader && (!last || is_before(last, lane)))
            last = lane;
    }
    if (!last)
        return;
    last->at = fl__split_reader_offset(last->reader);
    close_reader(lanes, last);
}

static void add_reader(fl__lanes *lanes, fl__file_lane *lane)
{
    if (lanes->open >= OPEN_MAX)
        make_room(lanes);
    lane->reader = fl__alloc_zero(lanes->memory, sizeof *lane->reader);
    fl__split_reader_init(lane->reader, lanes->os, lanes->delimiter, lanes->line_bytes_max, lanes->memory);
    lanes->open++;
}

static fl_status take_up(fl__lanes *lanes, fl__file_lane *lane, const fl__split *splits, fl_error *error)
{
    add_reader(lanes, lane);
    return fl__split_reader_resume(lane->reader, &splits[lane->next - lane->step], lane->at, error);
}

static fl_status begin_split(fl__lanes *lanes, fl__file_lane *lane, const fl__split *splits, fl_error *error)
{
    if (lane->next >= lane->end)
        return FL_DONE;
    if (!lane->reader)
        add_reader(lanes, lane);
    const fl__split *split = &splits[lane->next];
    lane->next += lane->step;
    lane->is_begun = true;
    return fl__split_reader_open(lane->reader, split, error);
}

fl_status fl__lanes_next(fl__lanes *lanes, const fl__split *splits, fl_string *line, fl_error *error)
{
    fl__file_lane *lane = lanes->heap[0];
    fl_status status = FL_OK;
    if (!lane->is_begun)
        status = begin_split(lanes, lane, splits, error);
    else if (!lane->reader)
        status = take_up(lanes, lane, splits, error);
    if (status == FL_OK)
        status = fl__split_reader_next(lane->reader, line, error);
    if (status == FL_DONE)
        lane->is_begun = false;
    else
        lane->is_seen = true;
    return status;
}
