/* map, flat_map, filter: loops over a batch that call the user's function by pointer. */
#include "operators/record.h"

#include "base/error.h"
#include "stream/task.h"

static fl_status call_each(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    const bool *failed = &op->task->failed;
    fl_function f = op->spec->function;
    fl_collector *out = &op->out.collector;
    const char *row = fl__batch_rows(batch);
    uint32_t n = batch->count, size = batch->row_size;
    if (fl__batch_has(batch, FL__COLUMN_TIMESTAMP)) {
        const int64_t *timestamps = fl__batch_timestamps(batch);
        for (uint32_t i = 0; i < n && !*failed; i++, row += size) {
            op->ctx.timestamp = out->timestamp = timestamps[i];
            f(row, out, &op->ctx);
        }
    } else {
        for (uint32_t i = 0; i < n && !*failed; i++, row += size)
            f(row, out, &op->ctx);
    }
    return FL_OK;
}

/* size is a constant in the callers for the usual rows: kept ones are copied without a call. */
static inline __attribute__((always_inline)) void filter_rows(fl__operator *op, const fl__batch *batch, uint32_t size)
{
    const bool *failed = &op->task->failed;
    fl_filter_fn keep = op->spec->filter;
    fl_collector *out = &op->out.collector;
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    const char *row = fl__batch_rows(batch);
    for (uint32_t i = 0, n = batch->count; i < n && !*failed; i++, row += size) {
        if (timestamps)
            op->ctx.timestamp = out->timestamp = timestamps[i];
        if (keep(row, &op->ctx))
            fl__collect(out, row, size);
    }
}

static fl_status filter(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    switch (batch->row_size) {
    case 8: filter_rows(op, batch, 8); break;
    case 16: filter_rows(op, batch, 16); break;
    case 24: filter_rows(op, batch, 24); break;
    case 32: filter_rows(op, batch, 32); break;
    default: filter_rows(op, batch, batch->row_size); break;
    }
    return FL_OK;
}

/* What they emit is of the record that they are given. */
#define RECORD_WISE .size = sizeof(fl__operator), .is_record_wise = true

const fl__operator_class fl__map_class = { .kind = "Map", .process = call_each, RECORD_WISE };
const fl__operator_class fl__flat_map_class = { .kind = "Flat Map", .process = call_each, RECORD_WISE };
const fl__operator_class fl__filter_class = { .kind = "Filter", .process = filter, RECORD_WISE };
