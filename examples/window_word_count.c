/* How often each word was said, every five seconds. Lines are a time and what was said:
 *
 *     12:00:03 to be or not to be
 *
 *     flinc run examples/window_word_count.c [--input FILE | --port N] [--window SECONDS]
 *
 * Two ways to the same counts: a window function that is given all the words of a window ("apply"), and a reduce
 * function that combines them as they come ("reduce"): its windows keep one record a word, so prefer it. */
#include "lines.h"

typedef struct {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

typedef struct {
    fl_string text;
    int64_t at;
} Said;
FL_ROW(Said, text, at);

static void parse(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, time;
    fl_time_of_day at;
    if (fl_string_token(&rest, " ", &time) && fl_time_of_day_parse(&time, &at))
        fl_collect(out, &(Said){ rest, at.ms });
    else
        fl_accumulate(ctx, "malformed", 1);
}

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = ((const Said *)in)->text, word;
    while (fl_string_token(&rest, " ", &word))
        fl_collect(out, &(WordCount){ word, 1 });
}

static void count_all(const void *in, fl_collector *out, fl_context *ctx)
{
    WordCount total = { 0 };
    fl_each(const WordCount *, said, in)
    {
        total.word = said->word;
        total.count += said->count;
    }
    fl_collect(out, &total);
}

static void add(void *value, const void *in, fl_context *ctx)
{
    ((WordCount *)value)->count += ((const WordCount *)in)->count;
}

FL_JOB(window_word_count)
{
    fl_stream *said = fl_flat_map(example_lines(env, "examples/data/said.txt"), parse, Said, .name = "Parse");
    said = fl_watermarks(said, fl_monotonous_timestamps(), .timestamp = "at");
    fl_stream *words = fl_flat_map(said, split, WordCount, .name = "Split");
    fl_stream *windows =
        fl_window(fl_key_by(words, "word"), fl_tumbling_event_time(fl_seconds(fl_param_int(env, "window", 5))));
    fl_print(fl_window_apply(windows, count_all, WordCount), .prefix = "apply");
    fl_print(fl_reduce(windows, add), .prefix = "reduce");
    return fl_execute(env, "Window word count");
}
