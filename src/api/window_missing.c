/* Until the window operators are in: what a windowed stream's aggregations answer. Weak, so that theirs win. */
#include "api/window_internal.h"
#include "data/codec.h"

#define MISSING __attribute__((weak))

MISSING fl_stream *fl__window_reduce(fl_stream *in, fl_reduce_fn f, const fl_options *options)
{
    (void)f;
    return fl__stream_error(in->env, options->where, "windows are not built in");
}
MISSING fl_stream *fl__window_fold(fl_stream *in, const void *initial, fl_reduce_fn f, const fl_type *out,
    const fl_options *options)
{
    (void)initial, (void)f, (void)out;
    return fl__stream_error(in->env, options->where, "windows are not built in");
}
MISSING fl_stream *fl__window_aggregate(fl_stream *in, const fl_aggregate_fn *f, const fl_options *options)
{
    (void)f;
    return fl__stream_error(in->env, options->where, "windows are not built in");
}
MISSING fl_stream *fl__window_rolling(fl_stream *in, fl_rolling what, const char *field, int index, bool first,
    const fl_options *options)
{
    (void)what, (void)field, (void)index, (void)first;
    return fl__stream_error(in->env, options->where, "windows are not built in");
}

MISSING uint64_t fl__type_fingerprint(const fl_type *type)
{
    return type->size;
}
