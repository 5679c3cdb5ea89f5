/* fl_discard: takes everything and keeps nothing. */
#include "api/api.h"

static fl_status process(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)op, (void)input, (void)batch;
    return FL_OK;
}

static const fl__operator_class discard_class = {
    .kind = "Discard",
    .size = sizeof(fl__operator),
    .process = process,
};

fl_stream *fl__discard(fl_stream *in, const fl_sink_options *options)
{
    if (fl__stream_failed(in))
        return in;
    return fl__add_operator(in, &(fl__new_operator){
                                    .class = &discard_class,
                                    .options = (const fl_options *)options,
                                });
}
