/* fl_async_ordered and fl_async_unordered: their options checked. */
#include "api/api.h"
#include "operators/async.h"

enum { CAPACITY = 100, CAPACITY_MAX = 1 << 20, THREADS_MAX = 1024 }; /* 100: AsyncDataStream's */

fl_retry fl_retry_fixed_delay(int attempts, fl_duration delay)
{
    return (fl_retry){ .is_set = true, .attempts = attempts, .delay = delay, .delay_max = delay, .multiplier = 1 };
}

fl_retry fl_retry_exponential_backoff(int attempts, fl_duration initial, fl_duration max, double multiplier)
{
    return (
        fl_retry){ .is_set = true, .attempts = attempts, .delay = initial, .delay_max = max, .multiplier = multiplier };
}

bool fl_retry_if_empty(const void *rows, size_t count)
{
    (void)rows;
    return count == 0;
}

bool fl_retry_if_failed(const char *error)
{
    return error != NULL;
}

#define WRONG(...) (fl__stream_error(env, options->where, __VA_ARGS__), false)

static bool check_retry(fl_env *env, const char *call, const fl_async_options *options)
{
    const fl_retry *retry = &options->retry;
    if (!retry->is_set) {
        if (options->retry_if_result || options->retry_if_error)
            return WRONG("%s: .retry_if_%s without .retry: say how often by fl_retry_fixed_delay or "
                         "fl_retry_exponential_backoff",
                call, options->retry_if_result ? "result" : "error");
        return true;
    }
    if (retry->attempts < 1)
        return WRONG("%s: .retry is to make %d attempts after the first; it must be 1 or more", call, retry->attempts);
    if (retry->delay.ms < 1)
        return WRONG("%s: .retry waits %lld ms before another attempt; it must be 1 ms or more", call,
            (long long)retry->delay.ms);
    if (retry->delay_max.ms < retry->delay.ms)
        return WRONG("%s: .retry waits at most %lld ms, but %lld ms before the first further attempt; the maximum must "
                     "not be below that",
            call, (long long)retry->delay_max.ms, (long long)retry->delay.ms);
    if (!(retry->multiplier >= 1))
        return WRONG("%s: .retry multiplies the delay by %g; it must be 1 or more", call, retry->multiplier);
    if (!options->retry_if_result && !options->retry_if_error)
        return WRONG("%s: .retry without .retry_if_result or .retry_if_error never tries again; for failures: "
                     ".retry_if_error = fl_retry_if_failed",
            call);
    if (options->timeout.ms == 0)
        return WRONG("%s: .retry needs a .timeout, which covers all attempts together", call);
    return true;
}

static bool check_threads(fl_env *env, const char *call, const fl_async_options *options)
{
    if (options->threads < 0 || options->threads > THREADS_MAX)
        return WRONG("%s: .threads is %d; it must be 1 to %d, or 0 for none", call, options->threads, THREADS_MAX);
    if (options->threads == 0 && (options->thread_open || options->thread_close || options->thread_size > 0))
        return WRONG("%s: .thread_%s without .threads: say how many", call,
            options->thread_open    ? "open"
            : options->thread_close ? "close"
                                    : "size");
    return true;
}

static bool check(fl_env *env, const char *call, const fl_async_options *options)
{
    if (options->timeout.ms < 0)
        return WRONG(
            "%s: .timeout is %lld ms; it must not be negative (0: none)", call, (long long)options->timeout.ms);
    if (options->capacity < 0 || options->capacity > CAPACITY_MAX)
        return WRONG("%s: .capacity is %d; it must be 1 to %d requests in flight, or 0 for %d", call, options->capacity,
            CAPACITY_MAX, CAPACITY);
    if (options->on_timeout && options->timeout.ms == 0)
        return WRONG("%s: .on_timeout without .timeout is never called; say after how long", call);
    if (options->states[0] || options->on_timer)
        return WRONG("%s: an async function has no %s: answers come when other keys have their turn; put fl_process "
                     "before or behind it",
            call, options->states[0] ? "states" : "timers");
    return check_retry(env, call, options) && check_threads(env, call, options);
}

fl_stream *fl__async(fl_stream *in, bool is_ordered, fl_async_fn f, const fl_type *out, const fl_async_options *options)
{
    const char *call = is_ordered ? "fl_async_ordered" : "fl_async_unordered";
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, call, options->where))
        return in;
    if (!f)
        return fl__stream_error(in->env, options->where, "%s: the function is NULL", call);
    if (!check(in->env, call, options))
        return in;
    fl__async_config *config = fl__env_alloc(in->env, sizeof *config);
    *config = (fl__async_config){
        .invoke = f,
        .on_timeout = options->on_timeout,
        .is_ordered = is_ordered,
        .timeout_ms = options->timeout.ms,
        .capacity = options->capacity ? (uint32_t)options->capacity : CAPACITY,
        .retry = options->retry,
        .retry_if_result = options->retry_if_result,
        .retry_if_error = options->retry_if_error,
        .threads = (uint32_t)options->threads,
        .thread_size = options->thread_size,
        .thread_open = options->thread_open,
        .thread_close = options->thread_close,
    };
    fl_options common;
    memcpy(&common, options, sizeof common); /* the common options come first */
    /* Only a task's root may leave a batch in the middle and wait: see docs/design/async.md. */
    if (common.chaining == FL_CHAIN_ALWAYS)
        common.chaining = FL_CHAIN_HEAD;
    return fl__add_operator(
        in, &(fl__new_operator){ .class = &fl__async_class, .out = out, .options = &common, .config = config });
}
