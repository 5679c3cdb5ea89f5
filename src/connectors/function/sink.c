/* fl_add_sink: the user's function for every record, and its .flush when the input runs dry and at the end. */
#include "api/api.h"
#include "stream/task.h"

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    fl_function f = op->spec->function;
    const bool *failed = &op->task->failed; /* read in place: a call per record would cost as much as the function's */
    const int64_t *timestamps = fl__batch_has(batch, FL__COLUMN_TIMESTAMP) ? fl__batch_timestamps(batch) : NULL;
    FL__FOR_ROWS(batch, row, i)
    {
        op->ctx.timestamp = timestamps ? timestamps[i] : FL_NO_TIMESTAMP;
        f(row, NULL, &op->ctx);
        if (FL_UNLIKELY(*failed))
            return FL_ERROR_USER;
    }
    return FL_OK;
}

static void flush(fl__operator *op)
{
    if (op->spec->function2 && !fl__operator_failed(op))
        op->spec->function2(NULL, NULL, &op->ctx);
}

static fl_status finish(fl__operator *op)
{
    flush(op);
    return fl__operator_failed(op) ? FL_ERROR_USER : FL_OK;
}

static const fl__operator_class sink_class = {
    .kind = "Unnamed",
    .size = sizeof(fl__operator),
    .process = process,
    .finish = finish,
    .flush = flush,
};

fl_stream *fl__add_sink(fl_stream *in, fl_function f, const fl_sink_options *options)
{
    if (fl__stream_failed(in))
        return in;
    if (!f)
        return fl__stream_error(in->env, options->where, "fl_add_sink: the function is NULL");
    return fl__add_operator(in, &(fl__new_operator){
                                    .class = &sink_class,
                                    .options = (const fl_options *)options,
                                    .function = f,
                                    .function2 = options->flush,
                                });
}
