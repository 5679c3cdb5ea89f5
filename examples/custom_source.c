/* A source function of one's own: says "spark flink" once a second, whose words are counted.
 *
 *     flinc run examples/custom_source.c [--every MILLISECONDS] [--count N] [--sources N]
 *
 * Runs until Ctrl-C unless --count tells each source when to stop. A source has a thread of its own and may block. */
#include <flinc.h>
#include <unistd.h>

typedef struct {
    int64_t every_ms, count;
} Pace;

typedef struct {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

/* In short pieces, so that Ctrl-C need not wait for the whole. */
static void wait_ms(int64_t ms, fl_context *ctx)
{
    for (; ms > 0 && fl_running(ctx); ms -= 20)
        usleep((useconds_t)(1000 * (ms < 20 ? ms : 20)));
}

static void speak(const void *in, fl_collector *out, fl_context *ctx)
{
    const Pace *pace = fl_arg(ctx);
    fl_string line = fl_str("spark flink");
    for (int64_t said = 0; fl_running(ctx) && (pace->count == 0 || said < pace->count); said++) {
        fl_collect(out, &line);
        wait_ms(pace->every_ms, ctx);
    }
}

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, word;
    while (fl_string_token(&rest, " ", &word))
        fl_collect(out, &(WordCount){ word, 1 });
}

FL_JOB(custom_source)
{
    static Pace pace; /* depends on the arguments alone, so that every run of the entry sets it alike */
    pace = (Pace){ fl_param_int(env, "every", 1000), fl_param_int(env, "count", 0) };
    fl_stream *lines = fl_add_source(env, speak, fl_string, .arg = &pace, .name = "Speak", .parallel = true,
        .parallelism = (int)fl_param_int(env, "sources", 1));
    fl_print(fl_sum(fl_key_by(fl_flat_map(lines, split, WordCount), "word"), "count"));
    return fl_execute(env, "Custom source");
}
