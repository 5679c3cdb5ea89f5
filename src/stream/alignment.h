/* Watermark alignment (Flink's WatermarkStrategy.withWatermarkAlignment, SourceOperator, SourceCoordinator): sources of
 * a group that are too far ahead in event time are not polled until the others have come nearer.
 *
 *     every member   says how far it is: its watermark; nothing before the first; the end of time while it is idle and
 *                    when it has ended
 *     every interval each member looks at all of them: lowest + its drift is as far as it may go until the next look
 *     before a poll  a member whose own watermark is beyond that waits for the next look
 *
 * In Flink the members send their watermarks to a coordinator, which announces the limit; here the tasks share the
 * group. Nobody is woken: who waits looks again after the interval by itself, so an end or an idle source can leave
 * nobody waiting for ever, under virtual time neither.
 *
 * Threads: `watermark` of a member is written by its task alone and read by all, relaxed: a value that is a moment old
 * lets a source go on, or wait, a moment longer. Everything else is the task's or constant. */
#ifndef FL_STREAM_ALIGNMENT_H
#define FL_STREAM_ALIGNMENT_H

#include "stream/operator.h"

#include <stdatomic.h>

/* What a program asked for; in the graph. */
typedef struct fl__alignment_spec {
    const char *group;
    int64_t max_drift_ms, interval_ms; /* ≥ 0, ≥ 1 */
    bool allows_unaligned_splits;      /* pipeline.watermark-alignment.allow-unaligned-source-splits */
} fl__alignment_spec;

typedef struct fl__alignment_member {
    _Atomic fl_time watermark; /* FL_TIME_MIN: it has said nothing yet */
    const char *task_name;
} fl__alignment_member;

typedef struct fl__alignment_group {
    const char *name;
    fl__alignment_member *members;
    uint32_t count;
    struct fl__alignment_group *next;
} fl__alignment_group;

/* A task's part in it; NULL in tasks without. */
typedef struct fl__alignment {
    const fl__alignment_spec *spec;
    const fl__alignment_group *group;
    fl__alignment_member *member;
    fl_time watermark;   /* of the task */
    fl_time allowed;     /* it may go as far as this; FL_TIME_MAX: no limit */
    fl_time next_update; /* processing time */
    fl_time waits_since; /* processing time; FL_TIME_MAX: it does not wait */
    fl_time warn_at;
} fl__alignment;

void fl__alignment_open(fl__alignment *alignment, fl_time now);
/* The task's watermark has risen, or it is idle or active again. */
void fl__alignment_report(fl__alignment *alignment, fl_time watermark, bool is_idle);
/* Nothing will come any more. */
void fl__alignment_end(fl__alignment *alignment);
/* Looks at the group when it is time to. Must the task wait, until alignment->next_update? */
bool fl__alignment_waits(fl__alignment *alignment, fl_time now);
/* Is a split that is so far too far? */
static inline bool fl__alignment_pauses(const fl__alignment *alignment, fl_time split_watermark)
{
    return split_watermark > alignment->allowed;
}
/* The member that is furthest behind, for messages; NULL: nobody has said anything, or all have ended. */
const fl__alignment_member *fl__alignment_last(const fl__alignment_group *group);

#endif
