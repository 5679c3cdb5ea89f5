/* Why does event time stand still? Which input holds a task's watermark back, and since when: for the log, the metrics
 * and the status line. An input that is silent without being called idle stops every window behind it, and nothing else
 * shows it. */
#ifndef FL_STREAM_HELD_H
#define FL_STREAM_HELD_H

#include "stream/operator.h"

#include <stdatomic.h>

typedef struct fl__held {
    const char *by;    /* the task on the other side of the channel: "Source: a -> Map (2/4)" */
    unsigned input;    /* from 0 */
    fl_time watermark; /* of the channel; FL_TIME_MIN: it has had none yet */
    fl_time since;     /* processing time: since it said that */
} fl__held;

/* Written by the task, read by anybody, each relaxed: a look may mix two moments, which a display can bear. */
typedef struct fl__held_state {
    _Atomic uint32_t channel; /* number over both inputs, + 1; 0: nothing holds the task back */
    _Atomic int64_t since;
    /* the task's own */
    fl_time rose_at; /* processing time: when the task's watermark last rose */
    fl_time warn_at; /* nothing is logged before this */
} fl__held_state;

void fl__held_open(fl__task *task);
/* A watermark or idleness has come to an input of the task; has_risen: and raised the task's own. Logs what holds event
 * time back when that has taken flinc.watermark.held-warning while others went on, and again after twice as long. */
void fl__held_note(fl__task *task, bool has_risen);
/* What holds the task back now; false: nothing. Any thread, while the job runs. */
bool fl__task_held(const fl__task *task, fl__held *held);

/* "2015-05-17 10:05:03", "no watermark" or "the end"; buffer of 48 bytes. */
const char *fl__held_time(fl_time watermark, char *buffer);
/* "41 min", "35 s"; buffer of 48 bytes. */
const char *fl__held_span(int64_t ms, char *buffer);

#endif
