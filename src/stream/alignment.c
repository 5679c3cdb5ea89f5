#include "stream/alignment.h"

#include "base/error.h"

void fl__alignment_open(fl__alignment *alignment, fl_time now)
{
    alignment->watermark = FL_TIME_MIN;
    alignment->allowed = FL_TIME_MAX;
    alignment->next_update = now + alignment->spec->interval_ms;
    alignment->waits_since = FL_TIME_MAX;
    atomic_store_explicit(&alignment->member->watermark, FL_TIME_MIN, memory_order_relaxed);
}

void fl__alignment_report(fl__alignment *alignment, fl_time watermark, bool is_idle)
{
    if (watermark > alignment->watermark)
        alignment->watermark = watermark;
    atomic_store_explicit(
        &alignment->member->watermark, is_idle ? FL_TIME_MAX : alignment->watermark, memory_order_relaxed);
}

void fl__alignment_end(fl__alignment *alignment)
{
    atomic_store_explicit(&alignment->member->watermark, FL_TIME_MAX, memory_order_relaxed);
}

const fl__alignment_member *fl__alignment_last(const fl__alignment_group *group)
{
    const fl__alignment_member *last = NULL;
    fl_time low = FL_TIME_MAX;
    for (uint32_t i = 0; i < group->count; i++) {
        fl_time watermark = atomic_load_explicit(&group->members[i].watermark, memory_order_relaxed);
        if (watermark == FL_TIME_MIN || watermark >= low)
            continue;
        low = watermark;
        last = &group->members[i];
    }
    return last;
}

static void look(fl__alignment *alignment)
{
    const fl__alignment_member *last = fl__alignment_last(alignment->group);
    fl_time low = last ? atomic_load_explicit(&last->watermark, memory_order_relaxed) : FL_TIME_MAX;
    if (__builtin_add_overflow(low, alignment->spec->max_drift_ms, &alignment->allowed))
        alignment->allowed = FL_TIME_MAX;
}

bool fl__alignment_waits(fl__alignment *alignment, fl_time now)
{
    if (now >= alignment->next_update) {
        look(alignment);
        alignment->next_update = now + alignment->spec->interval_ms;
    }
    return alignment->watermark > alignment->allowed;
}
