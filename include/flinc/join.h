/* Joins of two keyed streams.
 *
 *     fl_interval_join(fl_key_by(orders, "id"), fl_key_by(payments, "order"), fl_seconds(0), fl_minutes(15), pay, Paid)
 *
 * A join function is given a const fl_pair * as in, and emits what it makes of it:
 *
 *     static void pay(const void *in, fl_collector *out, fl_context *ctx)
 *     {
 *         const fl_pair *pair = in;
 *         const Order *order = pair->left;
 *         const Payment *payment = pair->right;
 *         …
 *     } */
#ifndef FLINC_JOIN_H
#define FLINC_JOIN_H

#include "flinc/stream.h"
#include "flinc/window.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Two rows that belong together; valid during the call. NULL: an outer join found none on that side. */
typedef struct fl_pair {
    const void *left, *right;
    fl_time left_timestamp, right_timestamp; /* FL_NO_TIMESTAMP for a missing side, and in window joins */
} fl_pair;

typedef enum fl_join_kind {
    FL_JOIN_INNER = 0,
    FL_JOIN_LEFT,  /* a left row without any match comes once, with right NULL */
    FL_JOIN_RIGHT, /* a right row without any match comes once, with left NULL */
    FL_JOIN_FULL,  /* both */
} fl_join_kind;

typedef struct fl_interval_join_options {
    FL__COMMON_OPTIONS
    bool lower_exclusive, upper_exclusive; /* a time right on the bound does not match */
    const void *left_late, *right_late;    /* &tag: late rows of this side go there instead of being dropped */
    fl_join_kind kind;                     /* outer joins are flinc's own */
} fl_interval_join_options;
fl_stream *fl__interval_join(fl_stream *left, fl_stream *right, fl_duration lower, fl_duration upper, fl_function f,
    const fl_type *out, const fl_interval_join_options *options);
/* Calls f for each pair of rows of one key with left time + lower ≤ right time ≤ left time + upper. Bounds may be
 * negative; lower ≤ upper. Both streams are keyed by the same type, and have timestamps: event time only.
 *
 * What f emits has the greater timestamp of the two. A row behind the watermark is late: dropped and counted
 * (numLateRecordsDropped), or sent to its side's late output. Rows are kept until the watermark says that nothing can
 * match them any more. In outer joins a row without any match is then given to f, alone; what f emits has that time as
 * its timestamp (the row's own when that is greater), so that it is never late.
 *
 * Rows of one key arrive at f as Flink's IntervalJoinOperator finds them: each row when it comes, with all matching
 * rows of the other side that came before it, these in the order of their times. f may have .states of the key, no
 * timers. */
#define fl_interval_join(left, right, lower, upper, f, Out, ...)                                                       \
    fl__interval_join((left), (right), (lower), (upper), (f), FL_TYPE(Out),                                            \
        &(const fl_interval_join_options){ .where = FL_HERE, ##__VA_ARGS__ })

/* ---- windows over both ---- */

/* What a co-group function gets as in: all records of one key and window, each side in the order of arrival. Either may
 * be empty, not both. fl_each(const Order *, order, &groups->left) { … } */
typedef struct fl_groups {
    fl_elements left, right;
} fl_groups;

typedef struct fl_window_join_options {
    FL__COMMON_OPTIONS                /* .states: the key's, whatever the window */
        fl_duration allowed_lateness; /* as in fl_window */
    fl_trigger trigger;
    fl_evictor evictor;
    const void *window_states[8]; /* as in fl_window_apply */
    fl_lifecycle_fn clear;
} fl_window_join_options;
fl_stream *fl__window_join(fl_stream *left, fl_stream *right, fl_window_assigner assigner, fl_function f,
    const fl_type *out, const fl_window_join_options *options);
fl_stream *fl__co_group(fl_stream *left, fl_stream *right, fl_window_assigner assigner, fl_function f,
    const fl_type *out, const fl_window_join_options *options);
/* Joins the records of each key and window: when a window fires, f gets each pair of a left and a right record of it
 * (in: const fl_pair *). Both streams are keyed by the same type. Any assigner, trigger and evictor of fl_window, with
 * its rules for what is late (late records are dropped and counted) and for the results' timestamps. A session, a count
 * or an evictor counts the records of both sides, as in Flink. */
#define fl_window_join(left, right, assigner, f, Out, ...)                                                             \
    fl__window_join((left), (right), (assigner), (f), FL_TYPE(Out),                                                    \
        &(const fl_window_join_options){ .where = FL_HERE, ##__VA_ARGS__ })
/* The same with both sides at once (in: const fl_groups *): outer joins, or whatever both together give. */
#define fl_co_group(left, right, assigner, f, Out, ...)                                                                \
    fl__co_group((left), (right), (assigner), (f), FL_TYPE(Out),                                                       \
        &(const fl_window_join_options){ .where = FL_HERE, ##__VA_ARGS__ })

/* For functions of assigners, triggers and evictors of such windows, whose records may be of either side: which one it
 * is and where; the other is NULL. record: what the function is given, or an element of what it is given. */
fl_pair fl_tagged_pair(const void *record);

#ifdef __cplusplus
}
#endif
#endif
