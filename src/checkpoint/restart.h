/* What happens after a failure: Flink's restart strategies, as arithmetic on times. */
#ifndef FL_CHECKPOINT_RESTART_H
#define FL_CHECKPOINT_RESTART_H

#include "base/config.h"
#include "base/memory.h"

typedef enum fl__restart_kind {
    FL__RESTART_NONE,
    FL__RESTART_FIXED_DELAY,
    FL__RESTART_FAILURE_RATE,
    FL__RESTART_EXPONENTIAL_DELAY,
} fl__restart_kind;

typedef struct fl__restart {
    fl__restart_kind kind;
    int64_t attempts; /* fixed delay; exponential delay: before the backoff is reset; INT64_MAX: no end */
    int64_t delay_ms; /* fixed delay, failure rate */
    int64_t failures_max, interval_ms;    /* failure rate */
    int64_t initial_ms, max_ms, reset_ms; /* exponential delay */
    double multiplier, jitter;
    /* so far */
    int64_t failures;
    double backoff_ms;
    fl_time last_restart; /* when the job was started again */
    fl_time recent[64];   /* failure rate: the newest failures, a ring */
    uint64_t random;
} fl__restart;

/* From restart-strategy.*; when none is set: exponential delay if the job takes checkpoints, else none (Flink 2). */
void fl__restart_init(fl__restart *restart, const fl__config *config, bool takes_checkpoints, uint64_t seed);

/* The job failed at now: *delay_ms until it is to be started again, or false: it is not. */
bool fl__restart_after(fl__restart *restart, fl_time now, int64_t *delay_ms);

/* Why fl__restart_after said no, for the job's error: "restart-strategy.type is none", "…after 3 restarts …". */
const char *fl__restart_reason(const fl__restart *restart, char *buffer, size_t size);

#endif
