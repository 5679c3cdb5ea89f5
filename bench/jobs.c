/* The jobs, as a user would write them: public headers only. */
#include "bench.h"

#include "bare.h"
#include "generate.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef pair Pair;
FL_ROW(Pair, key, value);

typedef struct WordCount {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

typedef struct CountSum {
    int64_t count, sum;
} CountSum;
FL_ROW(CountSum, count, sum);

typedef struct Event {
    int64_t key, count;
} Event;
FL_ROW(Event, key, count);

/* ---- sources ---- */

enum { ROWS_PER_POLL = 1024 };

typedef struct generator_setting {
    uint64_t records, keys;
} generator_setting;

typedef struct generator {
    uint64_t next, end, step, keys;
    uint64_t watermark_at;
} generator;

static void generator_open(fl_context *ctx)
{
    const generator_setting *setting = fl_arg(ctx);
    generator *g = fl_self(ctx);
    g->next = (uint64_t)fl_subtask_index(ctx);
    g->step = (uint64_t)fl_parallelism(ctx);
    g->end = setting->records;
    g->keys = setting->keys;
    g->watermark_at = RECORDS_PER_WATERMARK;
}

static fl_status poll_pairs(fl_collector *out, fl_context *ctx)
{
    generator *g = fl_self(ctx);
    uint64_t i = g->next;
    for (int n = 0; n < ROWS_PER_POLL && i < g->end; n++, i += g->step) {
        pair p = pair_at(i, g->keys);
        fl_collect(out, &p);
    }
    g->next = i;
    return i < g->end ? FL_OK : FL_DONE;
}

static fl_status poll_timed_pairs(fl_collector *out, fl_context *ctx)
{
    generator *g = fl_self(ctx);
    uint64_t i = g->next;
    for (int n = 0; n < ROWS_PER_POLL && i < g->end; n++, i += g->step) {
        pair p = pair_at(i, g->keys);
        fl_collect_with_timestamp(out, &p, time_at(i));
    }
    if (i >= g->watermark_at) {
        fl_emit_watermark(out, time_at(i) - 1);
        g->watermark_at += RECORDS_PER_WATERMARK;
    }
    g->next = i;
    return i < g->end ? FL_OK : FL_DONE;
}

static fl_status poll_right_pairs(fl_collector *out, fl_context *ctx)
{
    generator *g = fl_self(ctx);
    uint64_t i = g->next;
    for (int n = 0; n < ROWS_PER_POLL && i < g->end; n++, i += g->step) {
        pair p = right_at(i, g->keys);
        fl_collect_with_timestamp(out, &p, time_at(i));
    }
    if (i >= g->watermark_at) {
        fl_emit_watermark(out, time_at(i) - 1);
        g->watermark_at += RECORDS_PER_WATERMARK;
    }
    g->next = i;
    return i < g->end ? FL_OK : FL_DONE;
}

static fl_status poll_sentences(fl_collector *out, fl_context *ctx)
{
    generator *g = fl_self(ctx);
    uint64_t i = g->next;
    for (int n = 0; n < ROWS_PER_POLL / SENTENCE_WORDS && i < g->end; n++, i += g->step) {
        const sentence *s = sentence_at(i);
        fl_string line = fl_string_of(s->text, s->length);
        fl_collect(out, &line);
    }
    g->next = i;
    return i < g->end ? FL_OK : FL_DONE;
}

/* What the thread has used; sources and sinks of one parallelism have a thread each, or share one. */
static void generator_close(fl_context *ctx)
{
    fl_accumulate_double(ctx, "source seconds", thread_now());
}

static const fl_source_class pair_source = {
    .name = "Pairs",
    .instance_size = sizeof(generator),
    .no_timestamps = true,
    .open = generator_open,
    .poll = poll_pairs,
    .close = generator_close,
};
static const fl_source_class timed_pair_source = {
    .name = "Timed pairs",
    .instance_size = sizeof(generator),
    .open = generator_open,
    .poll = poll_timed_pairs,
    .close = generator_close,
};
static const fl_source_class right_pair_source = {
    .name = "Right pairs",
    .instance_size = sizeof(generator),
    .open = generator_open,
    .poll = poll_right_pairs,
    .close = generator_close,
};
static const fl_source_class sentence_source = {
    .name = "Sentences",
    .instance_size = sizeof(generator),
    .no_timestamps = true,
    .open = generator_open,
    .poll = poll_sentences,
    .close = generator_close,
};

static generator_setting *setting_of(uint64_t records, uint64_t keys)
{
    static generator_setting setting;
    setting = (generator_setting){ records, keys };
    return &setting;
}

static fl_stream *pairs(fl_env *env, uint64_t records, uint64_t keys)
{
    return fl_poll_source(env, &pair_source, Pair, .arg = setting_of(records, keys), .parallel = true);
}

/* ---- sinks: they add up what comes, so that nothing can be left out unseen ---- */

static void add_value(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    *(uint64_t *)fl_self(ctx) += (uint64_t)((const pair *)in)->value;
}

static void add_word_count(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    *(uint64_t *)fl_self(ctx) += (uint64_t)((const WordCount *)in)->count;
}

static void add_window(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    const CountSum *w = in;
    *(uint64_t *)fl_self(ctx) += (uint64_t)(w->count * w->count + w->sum);
}

static void report_checksum(fl_context *ctx)
{
    fl_accumulate(ctx, "checksum", *(int64_t *)fl_self(ctx));
    fl_accumulate_double(ctx, "sink seconds", thread_now());
}

static void sink(fl_stream *in, fl_function add)
{
    fl_add_sink(in, add, .instance_size = sizeof(uint64_t), .close = report_checksum);
}

/* ---- jobs of throughput ---- */

static void job_sum(fl_env *env, uint64_t records, uint64_t keys)
{
    sink(fl_sum(fl_key_by(pairs(env, records, keys), "key"), "value"), add_value);
}

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_string rest = *(const fl_string *)in, word;
    while (fl_string_token(&rest, " \t", &word))
        fl_collect(out, &(WordCount){ word, 1 });
}

static void job_words(fl_env *env, uint64_t records, uint64_t keys)
{
    fl_stream *lines = fl_poll_source(
        env, &sentence_source, fl_string, .arg = setting_of(records / SENTENCE_WORDS, keys), .parallel = true);
    sink(fl_sum(fl_key_by(fl_flat_map(lines, split, WordCount), "word"), "count"), add_word_count);
}

static void window_add(void *accumulator, const void *in, fl_context *ctx)
{
    (void)ctx;
    CountSum *a = accumulator;
    a->count++;
    a->sum += ((const pair *)in)->value;
}

static void window_get(const void *accumulator, void *out, fl_context *ctx)
{
    (void)ctx;
    *(CountSum *)out = *(const CountSum *)accumulator;
}

FL_AGGREGATE(count_and_sum, Pair, CountSum, CountSum, .add = window_add, .get = window_get);

static void window_merge(void *accumulator, const void *other, fl_context *ctx)
{
    (void)ctx;
    ((CountSum *)accumulator)->count += ((const CountSum *)other)->count;
    ((CountSum *)accumulator)->sum += ((const CountSum *)other)->sum;
}

FL_AGGREGATE(
    count_and_sum_merged, Pair, CountSum, CountSum, .add = window_add, .get = window_get, .merge = window_merge);

static void job_windows(fl_env *env, uint64_t records, uint64_t keys)
{
    fl_stream *timed =
        fl_poll_source(env, &timed_pair_source, Pair, .arg = setting_of(records, keys), .parallel = true);
    fl_stream *windows = fl_window(fl_key_by(timed, "key"), fl_tumbling_event_time(fl_milliseconds(WINDOW_MS)));
    sink(fl_aggregate(windows, count_and_sum), add_window);
}

static void join(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const fl_pair *both = in;
    int64_t key = ((const pair *)both->left)->key;
    fl_collect(out, &(pair){ key, (int64_t)join_sum(key, both->left_timestamp, both->right_timestamp) });
}

static void job_join(fl_env *env, uint64_t records, uint64_t keys)
{
    fl_stream *left = fl_poll_source(env, &timed_pair_source, Pair, .arg = setting_of(records, keys), .parallel = true);
    fl_stream *right =
        fl_poll_source(env, &right_pair_source, Pair, .arg = setting_of(records, keys), .parallel = true);
    sink(fl_interval_join(fl_key_by(left, "key"), fl_key_by(right, "key"), fl_milliseconds(-JOIN_MS),
             fl_milliseconds(JOIN_MS), join, Pair),
        add_value);
}

static void job_sliding(fl_env *env, uint64_t records, uint64_t keys)
{
    fl_stream *timed =
        fl_poll_source(env, &timed_pair_source, Pair, .arg = setting_of(records, keys), .parallel = true);
    fl_window_assigner sliding = fl_sliding_event_time(fl_milliseconds(SLIDES * WINDOW_MS), fl_milliseconds(WINDOW_MS));
    sink(fl_aggregate(fl_window(fl_key_by(timed, "key"), sliding), count_and_sum_merged), add_window);
}

FL_VALUE_STATE(times_seen, int64_t);

static void set_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    ++*fl_value(ctx, times_seen);
    fl_register_event_time_timer(ctx, fl_timestamp_of(ctx) + TIMER_MS);
}

static void on_timer(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    fl_collect(out, &(pair){ *(const int64_t *)fl_current_key(ctx), *fl_value(ctx, times_seen) > 0 });
}

static void job_timers(fl_env *env, uint64_t records, uint64_t keys)
{
    fl_stream *timed =
        fl_poll_source(env, &timed_pair_source, Pair, .arg = setting_of(records, keys), .parallel = true);
    sink(fl_process(fl_key_by(timed, "key"), set_timer, Pair, .states = { &times_seen }, .on_timer = on_timer),
        add_value);
}

static void first(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const pair *p = in;
    fl_collect(out, &(pair){ p->key, map_first(p->value) });
}

static void second(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const pair *p = in;
    fl_collect(out, &(pair){ p->key, map_second(p->value) });
}

static void third(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const pair *p = in;
    fl_collect(out, &(pair){ p->key, map_third(p->key, p->value) });
}

static bool is_kept(const void *in, fl_context *ctx)
{
    (void)ctx;
    return keep(((const pair *)in)->value);
}

static void job_maps(fl_env *env, uint64_t records, uint64_t keys)
{
    fl_stream *s = fl_map(pairs(env, records, keys), first, Pair);
    s = fl_map(fl_map(s, second, Pair), third, Pair);
    sink(fl_filter(s, is_kept), add_value);
}

static void job_source(fl_env *env, uint64_t records, uint64_t keys)
{
    sink(pairs(env, records, keys), add_value);
}

static void job_async_now(fl_env *env, uint64_t records, uint64_t keys)
{
    sink(async_now(pairs(env, records, keys)), add_value);
}

static void job_look_ups(fl_env *env, uint64_t records, uint64_t keys)
{
    sink(async_look_ups(pairs(env, records, keys)), add_value);
}

static void job_look_ups_in_threads(fl_env *env, uint64_t records, uint64_t keys)
{
    sink(async_look_ups_in_threads(pairs(env, records, keys)), add_value);
}

/* clang-format off */
#define M * UINT64_C(1000000)
const bench_case cases[] = {
    /* name, title, records, keys, bare, best,
     * job, unchained, targets: ratio, CPU ratio; elsewhere: Flink, timely, bare */
    { "sum_1e3", "keyed sum, 1e3 keys", 200 M, 1000, bare_sum, bare_sum_prefetched,
      job_sum, false, 1.15, 2.2, 7.0, 66, 84 },
    { "sum_1e6", "keyed sum, 1e6 keys", 30 M, 1000000, bare_sum, bare_sum_prefetched,
      job_sum, false, 1.0, 2.2, 1.0, 15.6, 27 },
    { "words", "word count, 1e4 words", 30 M, WORDS, bare_words, NULL, job_words, false, 1.25, 2.2, 5.1, 11, 42 },
    { "windows", "1 s windows, 1e4 keys", 150 M, WINDOW_KEYS, bare_windows, NULL,
      job_windows, false, 1.3, 2.2, 3.0, 0, 105 },
    { "join", "interval join, per two rows", 15 M, WINDOW_KEYS, bare_join, NULL,
      job_join, false, 0, 0, 0, 0, 0 },
    { "async_now", "async, answered at once", 20 M, 1000, bare_source, NULL, job_async_now, false, 0, 0, 0, 0, 0 },
    { "look_ups", "look-ups of 1 ms, 100 at once", 3000, 1000, bare_look_ups, NULL,
      job_look_ups, false, 0.02, 0, 0, 0, 0 },
    { "look_ups_threads", "the same in 100 threads", 3000, 1000, bare_look_ups, NULL,
      job_look_ups_in_threads, false, 0, 0, 0, 0, 0 },
    { "windows_1e6", "1 s windows, 1e6 keys", 20 M, 1000000, bare_windows, NULL,
      job_windows, false, 1.3, 0, 0, 0, 0 },
    { "sliding", "60 s / 1 s windows, 1e4 keys", 100 M, WINDOW_KEYS, bare_sliding, NULL,
      job_sliding, false, 0, 0, 0, 0, 0 },
    { "timers", "a state and a timer each, 1e5 keys", 20 M, 100000, bare_timers, NULL,
      job_timers, false, 0, 0, 0, 0, 0 },
    { "maps", "3 maps and a filter", 300 M, 1000, bare_maps, NULL, job_maps, false, 0, 0, 16, 0, 0 },
    { "maps_unchained", "the same unchained", 100 M, 1000, bare_maps, NULL, job_maps, true, 0, 0, 5, 0, 0 },
    { "maps_none", "source and sink only", 300 M, 1000, bare_source, NULL, job_source, false, 0, 0, 0, 0, 0 },
    { "maps_exchange", "source | sink, unchained", 150 M, 1000, bare_source, NULL, job_source, true, 0, 0, 0, 0, 0 },
};
/* clang-format on */
const size_t case_count = sizeof cases / sizeof cases[0];

static bool succeeded(fl_env *env, int status)
{
    if (status != 0)
        fprintf(stderr, "bench: the job failed: %s\n", fl_env_error(env));
    return status == 0;
}

bool job_run(const bench_case *c, uint64_t records, int parallelism, outcome *result)
{
    sentences_make();
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, parallelism);
    if (c->is_unchained)
        fl_set(env, "pipeline.operator-chaining.enabled", "false");
    c->job(env, records, c->keys);
    double wall = wall_now(), cpu = cpu_now();
    bool ok = succeeded(env, fl_execute(env, c->name));
    result->seconds = wall_now() - wall;
    result->cpu_seconds = cpu_now() - cpu;
    double source = fl_result_accumulator_double(env, "source seconds");
    double sinks = fl_result_accumulator_double(env, "sink seconds");
    result->thread_seconds = (source > sinks ? source : sinks) / parallelism;
    result->rss_mb = rss_peak_mb();
    result->checksum = (uint64_t)fl_result_accumulator(env, "checksum");
    fl_env_free(env);
    return ok;
}

/* ---- jobs of the other measurements ---- */

static void parse_key(const void *in, fl_collector *out, fl_context *ctx)
{
    int64_t key;
    if (!fl_string_to_int(in, &key)) {
        fl_fail(ctx, "not a number: %.*s", FL_STR(*(const fl_string *)in));
        return;
    }
    fl_collect(out, &(Event){ key, 1 });
}

int job_latency(int source_port, int sink_port)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 1);
    fl_stream *events = fl_map(fl_socket_text(env, "127.0.0.1", source_port), parse_key, Event);
    fl_write_socket(fl_sum(fl_key_by(events, "key"), "count"), "127.0.0.1", sink_port);
    bool ok = succeeded(env, fl_execute(env, "latency"));
    fl_env_free(env);
    return !ok;
}

static void note_first(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in;
    (void)out;
    bool *seen = fl_self(ctx);
    if (*seen)
        return;
    *seen = true;
    printf("first %.9f\n", wall_now());
    fflush(stdout);
}

/* The tiny word count. */
int job_first_record(void)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    const char *const text[] = { "to be or not to be", "that is the question", "whether it is nobler in the mind" };
    fl_string lines[3];
    for (int i = 0; i < 3; i++)
        lines[i] = fl_str(text[i]);
    fl_stream *words = fl_flat_map(fl_from_collection(env, fl_string, lines, 3), split, WordCount);
    fl_add_sink(fl_sum(fl_key_by(words, "word"), "count"), note_first, .instance_size = sizeof(bool));
    bool ok = succeeded(env, fl_execute(env, "first record"));
    fl_env_free(env);
    return !ok;
}

int job_idle(int port)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_stream *words = fl_flat_map(fl_socket_text(env, "127.0.0.1", port), split, WordCount);
    fl_discard(fl_sum(fl_key_by(words, "word"), "count"));
    bool ok = succeeded(env, fl_execute(env, "idle"));
    fl_env_free(env);
    return !ok;
}
