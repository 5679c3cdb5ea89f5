/* Every source through the public API, with good input and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <zlib.h>
#include <zstd.h>

#include "collected.h"
#include "loopback.h"
#include "scratch.h"

#include "api/api.h"

typedef struct {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

/* A record with what the engine knows of it. */
static void with_time(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    char text[64];
    if (fl_timestamp_of(ctx) == FL_NO_TIMESTAMP)
        snprintf(text, sizeof text, "%" PRId64 "@-", *(const int64_t *)in);
    else
        snprintf(text, sizeof text, "%" PRId64 "@%" PRId64, *(const int64_t *)in, fl_timestamp_of(ctx));
    collect_text(text);
}

/* ---- elements, collections ---- */

static void test_elements(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    collect_all(fl_from_elements(env, int64_t, 3, 1, 2), int64_t);
    run_job(env);
    assert_string_equal(collected_text(false), "3|1|2");

    env = fl_env_new(0, NULL);
    collect_all(fl_from_elements(env, WordCount, { fl_str("to"), 1 }, { fl_str("a string of more than 12 bytes"), 2 }),
        WordCount);
    run_job(env);
    assert_string_equal(collected_text(false), "(to,1)|(a string of more than 12 bytes,2)");
}

static void test_collection_is_copied(void **state)
{
    (void)state;
    char text[] = "this text is changed later";
    WordCount rows[3000];
    for (int i = 0; i < 3000; i++)
        rows[i] = (WordCount){ fl_str(text), i };
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_stream *s = fl_from_collection(env, WordCount, rows, 3000);
    memset(text, 'x', sizeof text - 1);
    memset(rows, 0xff, sizeof rows);
    collect_all(s, WordCount, .parallelism = 1);
    run_job(env);
    assert_int_equal(collected.count, 3000);
    for (int i = 0; i < 3000; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "(this text is changed later,%d)", i);
        assert_string_equal(collected.items[i], expected);
    }
    env = fl_env_new(0, NULL);
    collect_all(fl_from_collection(env, WordCount, (WordCount *)NULL, 0), WordCount);
    run_job(env);
    assert_int_equal(collected.count, 0);
}

static void test_collection_errors(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    collect_all(fl_from_collection(env, int64_t, (int64_t[]){ 1 }, 1, .parallelism = 2), int64_t);
    run_failing(env, "test_sources.c:", "parallel");
    env = fl_env_new(0, NULL);
    collect_all(fl_from_collection(env, int64_t, (int64_t *)NULL, 5), int64_t);
    run_failing(env, "test_sources.c:", "rows is NULL");
}

/* ---- sequence ---- */

static void note_subtask(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    char text[64];
    snprintf(text, sizeof text, "%d:%" PRId64, fl_subtask_index(ctx), *(const int64_t *)in);
    collect_text(text);
}

static void test_sequence(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 3);
    fl_add_sink(fl_sequence(env, -2, 5), note_subtask);
    run_job(env);
    assert_string_equal(collected_text(true), "0:-1|0:-2|0:0|1:1|1:2|1:3|2:4|2:5");

    env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 4);
    fl_add_sink(fl_sequence(env, 7, 7), note_subtask);
    run_job(env);
    assert_string_equal(collected_text(true), "0:7");

    env = fl_env_new(0, NULL);
    fl_add_sink(fl_sequence(env, 2, 1), note_subtask);
    run_failing(env, "test_sources.c:", "fl_sequence", "above");
}

static void add_up(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    fl_accumulate(ctx, "sum", *(const int64_t *)in);
    fl_accumulate(ctx, "records", 1);
}

static void test_sequence_is_whole(void **state)
{
    (void)state;
    for (int p = 1; p <= 3; p++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set_parallelism(env, p);
        fl_add_sink(fl_rebalance(fl_sequence(env, 1, 1000000)), add_up);
        assert_int_equal(fl_execute(env, "test"), 0);
        assert_int_equal(fl_result_accumulator(env, "sum"), 500000500000);
        assert_int_equal(fl_result_accumulator(env, "records"), 1000000);
        assert_int_equal(fl_result_records_in(env), 1000000);
        fl_env_free(env);
    }
}

/* ---- generator ---- */

static void number(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    fl_collect(out, (const int64_t *)in);
}

static void number_with_time(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    const int64_t *n = in;
    fl_collect_with_timestamp(out, n, *n * 10);
}

static void failing_number(const void *in, fl_collector *out, fl_context *ctx)
{
    if (*(const int64_t *)in == 3)
        fl_fail(ctx, "three is too many");
    else
        number(in, out, ctx);
}

static void test_generate(void **state)
{
    (void)state;
    for (int p = 1; p <= 3; p++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set_parallelism(env, p);
        fl_add_sink(fl_generate(env, number, int64_t, .count = 100001), add_up);
        assert_int_equal(fl_execute(env, "test"), 0);
        assert_int_equal(fl_result_accumulator(env, "records"), 100001);
        assert_int_equal(fl_result_accumulator(env, "sum"), INT64_C(100000) * 100001 / 2);
        fl_env_free(env);
    }
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_generate(env, number_with_time, int64_t, .count = 3, .timestamps = true), with_time);
    run_job(env);
    assert_string_equal(collected_text(false), "0@0|1@10|2@20");
    env = fl_env_new(0, NULL);
    fl_add_sink(fl_generate(env, number, int64_t, .count = 2), with_time);
    run_job(env);
    assert_string_equal(collected_text(false), "0@-|1@-");
}

static void test_generate_rate(void **state)
{
    (void)state;
    for (int p = 1; p <= 2; p++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set_parallelism(env, p);
        fl_add_sink(fl_generate(env, number, int64_t, .rate = 2000, .count = 401), add_up);
        assert_int_equal(fl_execute(env, "test"), 0);
        assert_int_equal(fl_result_accumulator(env, "records"), 401);
        /* the last one is due after 200 ms, whatever the machine is busy with */
        assert_in_range(fl_result_runtime_ms(env), 199, 5000);
        fl_env_free(env);
    }
}

static void test_generate_errors(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_discard(fl_generate(env, number, int64_t, .rate = -1));
    run_failing(env, "test_sources.c:", ".rate is -1");
    env = fl_env_new(0, NULL);
    fl_discard(fl_generate(env, number, int64_t, .count = -1));
    run_failing(env, "test_sources.c:", ".count is -1");
    env = fl_env_new(0, NULL);
    collect_all(fl_generate(env, failing_number, int64_t), int64_t);
    run_failing(env, "three is too many");
}

/* ---- files ---- */

static void test_read_file(void **state)
{
    (void)state;
    scratch_write("lines.txt", "one\r\n\ntwo and a half, which is longer\nlast");
    fl_env *env = fl_env_new(0, NULL);
    collect_all(fl_read_text(env, scratch("lines.txt")), fl_string);
    run_job(env);
    assert_string_equal(collected_text(false), "one||two and a half, which is longer|last");

    env = fl_env_new(0, NULL);
    collect_all(fl_read_text(env, scratch("lines.txt"), .delimiter = "l"), fl_string);
    run_job(env);
    assert_string_equal(collected_text(false), "one\r\n\ntwo and a ha|f, which is |onger\n|ast");

    scratch_write("empty.txt", "");
    env = fl_env_new(0, NULL);
    collect_all(fl_read_text(env, scratch("empty.txt")), fl_string);
    run_job(env);
    assert_int_equal(collected.count, 0);
}

/* Every line once, whatever the parallelism and the size of the splits. */
static void test_read_in_splits(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    FILE *file = fopen(scratch("many.txt"), "w");
    for (int i = 0; i < LINES; i++)
        fprintf(file, "%d %.*s\n", i, i % 97,
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    fclose(file);
    static const size_t sizes[] = { 0, 100, 4096, 50000 };
    for (int p = 1; p <= 3; p++) {
        for (int s = 0; s < 4; s++) {
            fl_env *env = fl_env_new(0, NULL);
            fl_set_parallelism(env, p);
            collect_all(fl_read_text(env, scratch("many.txt"), .split_bytes = sizes[s]), fl_string);
            run_job(env);
            assert_int_equal(collected.count, LINES);
            bool *seen = calloc(LINES, sizeof *seen);
            for (size_t i = 0; i < LINES; i++) {
                int n = atoi(collected.items[i]);
                assert_false(seen[n]);
                seen[n] = true;
                assert_int_equal(strlen(strchr(collected.items[i], ' ') + 1), n % 97);
            }
            free(seen);
        }
    }
}

static void test_read_folder(void **state)
{
    (void)state;
    scratch_mkdir("logs");
    scratch_mkdir("logs/older");
    scratch_write("logs/b.log", "b\n");
    scratch_write("logs/a.log", "a1\na2");
    scratch_write("logs/older/c.log", "c\n");
    scratch_write("logs/_SUCCESS", "no\n");
    scratch_write("logs/.b.log.swp", "no\n");
    gzFile gz = gzopen(scratch("logs/d.log.gz"), "w");
    gzputs(gz, "d1\nd2\n");
    gzclose(gz);
    char packed[100];
    scratch_put("logs/e.log", "w", packed, ZSTD_compress(packed, sizeof packed, "e1\ne2", 5, 1));
    static const struct {
        const char *path, *expected;
    } cases[] = {
        { "logs", "a1|a2|b|c|d1|d2|e1|e2" },
        { "logs/", "a1|a2|b|c|d1|d2|e1|e2" },
        { "logs/*.log", "a1|a2|b|e1|e2" },
        { "logs/[ab].log", "a1|a2|b" },
        { "l*/older", "c" },
        { "logs/**", "a1|a2|b|c|d1|d2|e1|e2" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int p = 1; p <= 2; p++) {
            fl_env *env = fl_env_new(0, NULL);
            fl_set_parallelism(env, p);
            collect_all(fl_read_text(env, scratch(cases[i].path)), fl_string);
            run_job(env);
            assert_string_equal(collected_text(true), cases[i].expected);
        }
    }
}

static void test_read_errors(void **state)
{
    (void)state;
    scratch_write("file", "x\n");
    assert_int_equal(symlink("nowhere", scratch("broken-link")), 0);
    scratch_mkdir("nothing-in-it");
    static const struct {
        const char *path, *expected;
    } cases[] = {
        { "missing", "missing: No such file or directory" },
        { "broken-link", "broken-link: No such file or directory" },
        { "file/below", "file/below: Not a directory" },
        { "no*match", "no file is called or lies below" },
        { "nothing-in-it", "no file is called or lies below" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_discard(fl_read_text(env, scratch(cases[i].path)));
        run_failing(env, "test_sources.c:", cases[i].expected, "the path must name");
    }
    fl_env *env = fl_env_new(0, NULL);
    fl_discard(fl_read_text(env, ""));
    run_failing(env, "no path given");
    env = fl_env_new(0, NULL);
    fl_discard(fl_read_text(env, scratch("file"), .delimiter = ""));
    run_failing(env, ".delimiter is empty");

    scratch_write("long-line", "ok\nthis one is too long\n");
    env = fl_env_new(0, NULL);
    fl_discard(fl_read_text(env, scratch("long-line"), .line_bytes_max = 10));
    run_failing(env, "long-line: the line that begins at byte 3 is longer than 10 bytes", ".line_bytes_max");
    scratch_write("bad.gz", "this is no gzip");
    env = fl_env_new(0, NULL);
    fl_discard(fl_read_text(env, scratch("bad.gz")));
    run_failing(env, "bad.gz: damaged gzip data");
    scratch_put("cut.gz", "w", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b", 11);
    env = fl_env_new(0, NULL);
    fl_discard(fl_read_text(env, scratch("cut.gz")));
    run_failing(env, "cut.gz: the gzip data is cut off: the file ends at byte 11");
}

static void test_long_record(void **state)
{
    (void)state;
    enum { LENGTH = 3000000 };
    char *text = malloc(LENGTH + 3);
    memset(text, 'y', LENGTH);
    memcpy(text + LENGTH, "\nz", 3);
    scratch_write("long-record", text);
    fl_env *env = fl_env_new(0, NULL);
    collect_all(fl_rebalance(fl_read_text(env, scratch("long-record"))), fl_string);
    run_job(env);
    assert_int_equal(collected.count, 2);
    assert_int_equal(strlen(collected.items[0]), LENGTH);
    assert_string_equal(collected.items[1], "z");
    free(text);
}

static void *write_fifo(void *path)
{
    FILE *fifo = fopen(path, "w");
    fputs("from a pipe\nand no end", fifo);
    fclose(fifo);
    return NULL;
}

static void test_read_fifo(void **state)
{
    (void)state;
    char path[256];
    strcpy(path, scratch("in.fifo"));
    assert_int_equal(mkfifo(path, 0600), 0);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_fifo, path), 0);
    fl_env *env = fl_env_new(0, NULL);
    collect_all(fl_read_text(env, path), fl_string);
    run_job(env);
    pthread_join(writer, NULL);
    assert_string_equal(collected_text(false), "from a pipe|and no end");
}

/* Each line that arrives makes the test write more; the last one ends the job. */
static void grow(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    const fl_string *line = in;
    char text[64];
    collect_text(fl_string_copy(line, text, sizeof text));
    if (strcmp(text, "first") == 0)
        scratch_append("growing/a", "second\nthi");
    else if (strcmp(text, "second") == 0)
        scratch_append("growing/a", "rd\n");
    else if (strcmp(text, "third") == 0)
        scratch_write("growing/b", "other\n");
    else
        fl__env_cancel((fl_env *)fl_arg(ctx));
}

static void test_monitor(void **state)
{
    (void)state;
    scratch_mkdir("growing");
    scratch_write("growing/a", "first\n");
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_read_text(env, scratch("growing"), .monitor_every = fl_milliseconds(5)), grow, .arg = env);
    collected_clear();
    assert_int_equal(fl_execute(env, "test"), FL_ERROR_CANCELLED);
    assert_string_equal(collected_text(false), "first|second|third|other");
    fl_env_free(env);
    env = fl_env_new(0, NULL);
    fl_discard(fl_read_text(env, scratch("missing"), .monitor_every = fl_milliseconds(5)));
    run_failing(env, "No such file or directory");
}

/* ---- sockets ---- */

static void test_socket(void **state)
{
    (void)state;
    loopback server = { .texts = (const char *const[]){ "one\r\ntwo\n\nlast", NULL } };
    loopback_start(&server);
    fl_env *env = fl_env_new(0, NULL);
    collect_all(fl_socket_text(env, "localhost", server.port), fl_string);
    run_job(env);
    loopback_join(&server);
    assert_string_equal(collected_text(false), "one|two||last");

    server = (loopback){ .texts = (const char *const[]){ "a--b-c--", NULL } };
    loopback_start(&server);
    env = fl_env_new(0, NULL);
    collect_all(fl_socket_text(env, "127.0.0.1", server.port, .delimiter = "--"), fl_string);
    run_job(env);
    loopback_join(&server);
    assert_string_equal(collected_text(false), "a|b-c");
}

static void test_socket_much(void **state)
{
    (void)state;
    enum { LINES = 200000 };
    char *text = malloc(LINES * 8 + 1), *end = text;
    for (int i = 0; i < LINES; i++)
        end += sprintf(end, "%06d\n", i);
    loopback server = { .texts = (const char *const[]){ text, NULL } };
    loopback_start(&server);
    fl_env *env = fl_env_new(0, NULL);
    collect_all(fl_socket_text(env, "127.0.0.1", server.port), fl_string);
    run_job(env);
    loopback_join(&server);
    assert_int_equal(collected.count, LINES);
    for (int i = 0; i < LINES; i++)
        assert_int_equal(atoi(collected.items[i]), i);
    free(text);
}

static void test_socket_retries(void **state)
{
    (void)state;
    loopback server = { .texts = (const char *const[]){ "a\nb", "c\n", "", NULL } };
    loopback_start(&server);
    fl_env *env = fl_env_new(0, NULL);
    collect_all(
        fl_socket_text(env, "127.0.0.1", server.port, .max_retries = 2, .retry_every = fl_milliseconds(1)), fl_string);
    run_job(env);
    loopback_join(&server);
    assert_string_equal(collected_text(false), "a|b|c");
}

static void test_socket_errors(void **state)
{
    (void)state;
    char expected[64];
    int port = loopback_refused_port();
    snprintf(expected, sizeof expected, "127.0.0.1:%d", port);
    fl_env *env = fl_env_new(0, NULL);
    fl_discard(fl_socket_text(env, "127.0.0.1", port));
    run_failing(env, expected, "Connection refused", "is a server listening there?");
    env = fl_env_new(0, NULL);
    fl_discard(fl_socket_text(env, "127.0.0.1", port, .max_retries = 3, .retry_every = fl_milliseconds(1)));
    run_failing(env, expected, "Connection refused", "3 retries");
    env = fl_env_new(0, NULL);
    fl_discard(fl_socket_text(env, "127.0.0.1", 65536));
    run_failing(env, "test_sources.c:", "port 65536");
    env = fl_env_new(0, NULL);
    fl_discard(fl_socket_text(env, "", 1));
    run_failing(env, "no host");
    env = fl_env_new(0, NULL);
    fl_discard(fl_socket_text(env, "h", 1, .max_retries = -2));
    run_failing(env, ".max_retries is -2");

    loopback server = { .texts = (const char *const[]){ "ok\nthis one is too long\n", NULL } };
    loopback_start(&server);
    env = fl_env_new(0, NULL);
    fl_discard(fl_socket_text(env, "127.0.0.1", server.port, .line_bytes_max = 10));
    run_failing(env, "a line of more than 10 bytes", ".line_bytes_max");
    loopback_join(&server);
}

/* ---- poll sources ---- */

typedef struct {
    int step;
} Ticks;

static void ticks_open(fl_context *ctx)
{
    assert_int_equal(((Ticks *)fl_self(ctx))->step, 0);
    if (fl_arg(ctx))
        fl_fail(ctx, "refused to open");
}

static fl_status ticks_poll(fl_collector *out, fl_context *ctx)
{
    Ticks *self = fl_self(ctx);
    int64_t n = self->step++;
    switch (n) {
    case 0: fl_collect_with_timestamp(out, &n, 100); return FL_OK;
    case 1: fl_wait_until(ctx, fl_current_processing_time(ctx) + 2); return FL_AGAIN;
    case 2:
        fl_emit_watermark(out, 100);
        fl_mark_idle(out);
        fl_wait_until(ctx, fl_current_processing_time(ctx) + 2);
        return FL_AGAIN;
    case 3: fl_collect(out, &n); return FL_OK;
    default: return FL_DONE;
    }
}

static void ticks_close(fl_context *ctx)
{
    Ticks *self = fl_self(ctx);
    char text[32];
    snprintf(text, sizeof text, "closed after %d", self->step);
    collect_text(text);
}

static fl_status wrong_poll(fl_collector *out, fl_context *ctx)
{
    (void)out, (void)ctx;
    return FL_ERROR_IO;
}

static void test_poll_source(void **state)
{
    (void)state;
    static const fl_source_class ticks = {
        .name = "Ticks", .instance_size = sizeof(Ticks), .open = ticks_open, .poll = ticks_poll, .close = ticks_close
    };
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_poll_source(env, &ticks, int64_t), with_time);
    run_job(env);
    assert_string_equal(collected_text(false), "0@100|3@-|closed after 5");
    fl_source_class timeless = ticks;
    timeless.no_timestamps = true;
    env = fl_env_new(0, NULL);
    fl_add_sink(fl_poll_source(env, &timeless, int64_t), with_time);
    run_job(env);
    assert_string_equal(collected_text(false), "0@-|3@-|closed after 5");
    env = fl_env_new(0, NULL);
    fl_add_sink(fl_poll_source(env, &ticks, int64_t, .arg = env), with_time);
    run_failing(env, "refused to open");
    assert_string_equal(collected_text(false), "closed after 0");
    static const fl_source_class wrong = { .name = "Wrong", .poll = wrong_poll };
    env = fl_env_new(0, NULL);
    fl_discard(fl_poll_source(env, &wrong, int64_t));
    run_failing(env, "poll of source Wrong returned FL_ERROR_IO");
}

/* Waits for a pipe to become readable; the sink writes to it. */
static int pipe_fds[2];

static fl_status pipe_poll(fl_collector *out, fl_context *ctx)
{
    char byte;
    fl_wait_fd(ctx, pipe_fds[0]);
    ssize_t n = read(pipe_fds[0], &byte, 1);
    if (n < 0)
        return FL_AGAIN;
    if (n == 0)
        return FL_DONE;
    int64_t value = (unsigned char)byte;
    fl_collect(out, &value);
    return FL_AGAIN;
}

static void count_down(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out, (void)ctx;
    char byte = (char)(*(const int64_t *)in - 1);
    collect_text("tick");
    if (byte == 0)
        close(pipe_fds[1]);
    else
        assert_int_equal(write(pipe_fds[1], &byte, 1), 1);
}

static void test_poll_source_waits_for_fd(void **state)
{
    (void)state;
    assert_int_equal(pipe2(pipe_fds, O_NONBLOCK | O_CLOEXEC), 0);
    assert_int_equal(write(pipe_fds[1], "\5", 1), 1);
    static const fl_source_class source = { .poll = pipe_poll };
    fl_env *env = fl_env_new(0, NULL);
    fl_add_sink(fl_rebalance(fl_poll_source(env, &source, int64_t)), count_down);
    run_job(env);
    assert_string_equal(collected_text(false), "tick|tick|tick|tick|tick");
    close(pipe_fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_collection_is_copied),
        cmocka_unit_test(test_collection_errors),
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_sequence_is_whole),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_generate_rate),
        cmocka_unit_test(test_generate_errors),
        cmocka_unit_test(test_read_file),
        cmocka_unit_test(test_read_in_splits),
        cmocka_unit_test(test_read_folder),
        cmocka_unit_test(test_read_errors),
        cmocka_unit_test(test_long_record),
        cmocka_unit_test(test_read_fifo),
        cmocka_unit_test(test_monitor),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_socket_much),
        cmocka_unit_test(test_socket_retries),
        cmocka_unit_test(test_socket_errors),
        cmocka_unit_test(test_poll_source),
        cmocka_unit_test(test_poll_source_waits_for_fd),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
