#include "stream/held.h"

#include "base/log.h"
#include "stream/task.h"

#include <stdio.h>

const char *fl__held_time(fl_time watermark, char *buffer)
{
    if (watermark == FL_TIME_MIN)
        return "no watermark";
    return watermark == FL_TIME_MAX ? "the end" : fl_time_format(watermark, true, buffer);
}

const char *fl__held_span(int64_t ms, char *buffer)
{
    if (ms < 120000)
        snprintf(buffer, 48, "%lld s", (long long)(ms / 1000));
    else
        snprintf(buffer, 48, "%lld min", (long long)(ms / 60000));
    return buffer;
}

void fl__held_open(fl__task *task)
{
    task->held.rose_at = task->now;
    task->held.warn_at = task->now + task->held_warning_ms;
    atomic_store_explicit(&task->held.channel, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < task->input_count; i++) {
        for (uint32_t c = 0; c < task->inputs[i].channel_count; c++)
            task->inputs[i].channels[c]->watermark_at = task->now;
    }
}

/* The channel that is furthest behind of those that count, the one that stands longest of several; 0: none is behind
 * another. *high: how far the others are. */
static uint32_t find_holder(const fl__task *task, fl_time *high)
{
    const fl__channel *holder = NULL;
    uint32_t number = 0, found = 0;
    *high = FL_TIME_MIN;
    for (uint32_t i = 0; i < task->input_count; i++) {
        const fl__input *input = &task->inputs[i];
        for (uint32_t c = 0; c < input->channel_count; c++) {
            const fl__channel *channel = input->channels[c];
            number++;
            if (channel->is_idle || channel->watermark == FL_TIME_MAX || channel->watermark < input->watermark)
                continue;
            if (channel->watermark > *high)
                *high = channel->watermark;
            if (holder &&
                (channel->watermark > holder->watermark ||
                    (channel->watermark == holder->watermark && channel->watermark_at >= holder->watermark_at)))
                continue;
            holder = channel;
            found = number;
        }
    }
    return holder && *high > holder->watermark ? found : 0;
}

static const fl__channel *channel_by_number(const fl__task *task, uint32_t number, unsigned *input)
{
    for (*input = 0; *input < task->input_count; (*input)++) {
        if (number <= task->inputs[*input].channel_count)
            return task->inputs[*input].channels[number - 1];
        number -= task->inputs[*input].channel_count;
    }
    return NULL;
}

static void warn(const fl__task *task, uint32_t number, fl_time high)
{
    unsigned input;
    const fl__channel *channel = channel_by_number(task, number, &input);
    char at[48], others[48], span[48], which[32] = "";
    if (task->input_count > 1)
        snprintf(which, sizeof which, " (input %u)", input + 1);
    fl__log(FL__LOG_WARN, "watermark",
        "%s: event time has stood at %s for %s, held back by %s%s; other inputs have come to %s. %s", task->name,
        fl__held_time(task->watermark, at), fl__held_span(task->now - task->held.rose_at, span), channel->from, which,
        fl__held_time(high, others),
        channel->watermark == FL_TIME_MIN
            ? "It has given no watermark yet: does it have fl_watermarks, and records? With .idle_after there the "
              "others go on without it"
            : "If it may be silent for a while, give .idle_after to its fl_watermarks: the others then go on "
              "without it");
}

void fl__held_note(fl__task *task, bool has_risen)
{
    fl_time high;
    uint32_t number = find_holder(task, &high);
    unsigned input;
    const fl__channel *channel = number ? channel_by_number(task, number, &input) : NULL;
    atomic_store_explicit(&task->held.since, channel ? channel->watermark_at : FL_TIME_MAX, memory_order_relaxed);
    atomic_store_explicit(&task->held.channel, number, memory_order_relaxed);
    if (has_risen || !channel) {
        task->held.rose_at = task->now;
        task->held.warn_at = task->now + task->held_warning_ms;
        return;
    }
    if (task->held_warning_ms <= 0 || task->now < task->held.warn_at)
        return;
    warn(task, number, high);
    task->held.warn_at = task->now + 2 * (task->now - task->held.rose_at);
}

bool fl__task_held(const fl__task *task, fl__held *held)
{
    uint32_t number = atomic_load_explicit(&task->held.channel, memory_order_relaxed);
    if (number == 0)
        return false;
    const fl__channel *channel = channel_by_number(task, number, &held->input);
    held->by = channel->from;
    held->since = atomic_load_explicit(&task->held.since, memory_order_relaxed);
    held->watermark = atomic_load_explicit(&channel->watermark_seen, memory_order_relaxed);
    return true;
}
