/* Windowed streams: what fl_reduce, fl_fold, fl_aggregate and fl_sum … become when their input is a windowed stream
 * (in->kind is FL__STREAM_WINDOWED; the caller has checked that and fl__stream_failed). Each checks its arguments,
 * records what is wrong with the user's line, and adds the window operator. */
#ifndef FL_API_WINDOW_INTERNAL_H
#define FL_API_WINDOW_INTERNAL_H

#include "api/api.h"
#include "operators/window.h"

fl_stream *fl__window_reduce(fl_stream *in, fl_reduce_fn f, const fl_options *options);
/* initial: one value of type out, copied. */
fl_stream *fl__window_fold(
    fl_stream *in, const void *initial, fl_reduce_fn f, const fl_type *out, const fl_options *options);
fl_stream *fl__window_aggregate(fl_stream *in, const fl_aggregate_fn *f, const fl_options *options);
/* field: a name, or NULL: index counts. first: min_by and max_by keep the first record on ties. */
fl_stream *fl__window_rolling(
    fl_stream *in, fl_rolling what, const char *field, int index, bool first, const fl_options *options);

/* What is wrong with the parts of a window (window_parts.c): a failed stream; NULL: nothing. */
fl_stream *fl__window_assigner_error(fl_env *env, fl_where where, const fl_window_assigner *assigner);
fl_stream *fl__window_trigger_error(fl_env *env, fl_where where, const fl__window_spec *spec);
fl_stream *fl__window_evictor_error(fl_env *env, fl_where where, const fl_evictor *evictor);
/* Flink's name of the assigner ("TumblingEventTimeWindows"). */
const char *fl__window_assigner_name(const fl_window_assigner *assigner);

#endif
