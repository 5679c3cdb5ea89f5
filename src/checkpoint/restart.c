#include "checkpoint/restart.h"

#include "base/error.h"
#include "data/key.h"

#include <stdio.h>

enum { RECENT = sizeof((fl__restart *)0)->recent / sizeof((fl__restart *)0)->recent[0] };

/* The option's choices come in pairs of spellings, but for "none|off|disable". */
static fl__restart_kind kind_of(int choice, bool takes_checkpoints)
{
    if (choice < 0)
        return takes_checkpoints ? FL__RESTART_EXPONENTIAL_DELAY : FL__RESTART_NONE;
    if (choice < 3)
        return FL__RESTART_NONE;
    return (fl__restart_kind)(FL__RESTART_FIXED_DELAY + (choice - 3) / 2);
}

void fl__restart_init(fl__restart *r, const fl__config *config, bool takes_checkpoints, uint64_t seed)
{
    *r = (fl__restart){ .random = seed, .last_restart = FL_TIME_MIN };
    r->kind = kind_of(fl__config_enum(config, FL__OPTION_RESTART_STRATEGY), takes_checkpoints);
    switch (r->kind) {
    case FL__RESTART_NONE: break;
    case FL__RESTART_FIXED_DELAY:
        r->attempts = fl__config_int(config, FL__OPTION_RESTART_FIXED_ATTEMPTS);
        r->delay_ms = fl__config_duration_ms(config, FL__OPTION_RESTART_FIXED_DELAY);
        break;
    case FL__RESTART_FAILURE_RATE:
        r->failures_max = fl__config_int(config, FL__OPTION_RESTART_RATE_MAX);
        r->interval_ms = fl__config_duration_ms(config, FL__OPTION_RESTART_RATE_INTERVAL);
        r->delay_ms = fl__config_duration_ms(config, FL__OPTION_RESTART_RATE_DELAY);
        break;
    case FL__RESTART_EXPONENTIAL_DELAY: {
        const char *attempts = fl__config_text(config, FL__OPTION_RESTART_EXPONENTIAL_ATTEMPTS);
        r->attempts = attempts ? fl__config_int(config, FL__OPTION_RESTART_EXPONENTIAL_ATTEMPTS) : INT64_MAX;
        r->initial_ms = fl__config_duration_ms(config, FL__OPTION_RESTART_EXPONENTIAL_INITIAL);
        r->max_ms = fl__config_duration_ms(config, FL__OPTION_RESTART_EXPONENTIAL_MAX);
        r->reset_ms = fl__config_duration_ms(config, FL__OPTION_RESTART_EXPONENTIAL_RESET);
        r->multiplier = fl__config_double(config, FL__OPTION_RESTART_EXPONENTIAL_MULTIPLIER);
        r->jitter = fl__config_double(config, FL__OPTION_RESTART_EXPONENTIAL_JITTER);
        r->backoff_ms = (double)r->initial_ms;
        break;
    }
    }
}

/* As Flink's FailureRateRestartBackoffTimeStrategy: the failures before this one within the interval count. */
static bool rate_allows(fl__restart *r, fl_time now)
{
    int64_t limit = r->failures_max < RECENT ? r->failures_max : RECENT, counted = 0;
    for (int64_t i = 1; i <= limit && i <= r->failures; i++)
        counted += now - r->recent[(r->failures - i) % RECENT] <= r->interval_ms;
    r->recent[r->failures % RECENT] = now;
    r->failures++;
    return counted < limit;
}

/* A factor of 1 - jitter … 1 + jitter. */
static double draw_jitter(fl__restart *r)
{
    r->random += UINT64_C(0x9e3779b97f4a7c15);
    double unit = (double)(fl__mix64(r->random) >> 11) / (double)(UINT64_C(1) << 53);
    return 1 + r->jitter * (2 * unit - 1);
}

/* As Flink's ExponentialDelayRestartBackoffTimeStrategy: a job that ran long enough begins anew. */
static bool backoff_allows(fl__restart *r, fl_time now, int64_t *delay_ms)
{
    if (r->last_restart != FL_TIME_MIN && now - r->last_restart >= r->reset_ms) {
        r->backoff_ms = (double)r->initial_ms;
        r->failures = 0;
    }
    if (r->failures >= r->attempts)
        return false;
    r->failures++;
    double delay = r->backoff_ms * draw_jitter(r);
    *delay_ms = delay < (double)r->max_ms ? (int64_t)delay : r->max_ms;
    r->backoff_ms = r->backoff_ms * r->multiplier;
    if (r->backoff_ms > (double)r->max_ms)
        r->backoff_ms = (double)r->max_ms;
    r->last_restart = now + *delay_ms;
    return true;
}

bool fl__restart_after(fl__restart *r, fl_time now, int64_t *delay_ms)
{
    *delay_ms = r->delay_ms;
    switch (r->kind) {
    case FL__RESTART_NONE: return false;
    case FL__RESTART_FIXED_DELAY: return r->failures++ < r->attempts;
    case FL__RESTART_FAILURE_RATE: return rate_allows(r, now);
    case FL__RESTART_EXPONENTIAL_DELAY: return backoff_allows(r, now, delay_ms);
    }
    return false;
}

const char *fl__restart_reason(const fl__restart *r, char *buffer, size_t size)
{
    switch (r->kind) {
    case FL__RESTART_NONE: snprintf(buffer, size, "no restart strategy is set (restart-strategy.type)"); break;
    case FL__RESTART_FIXED_DELAY:
        snprintf(buffer, size, "the %lld restarts of restart-strategy.fixed-delay.attempts are used up",
            (long long)r->attempts);
        break;
    case FL__RESTART_FAILURE_RATE:
        snprintf(buffer, size, "more than %lld failures within %lld ms (restart-strategy.failure-rate)",
            (long long)r->failures_max, (long long)r->interval_ms);
        break;
    case FL__RESTART_EXPONENTIAL_DELAY:
        snprintf(buffer, size,
            "the %lld restarts of restart-strategy.exponential-delay.attempts-before-reset-backoff are used up",
            (long long)r->attempts);
        break;
    }
    return buffer;
}
