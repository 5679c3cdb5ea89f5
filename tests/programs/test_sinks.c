/* Every sink through the public API, with good input and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

#include "collected.h"
#include "loopback.h"
#include "scratch.h"

typedef struct {
    fl_nulls nulls;
    fl_string name;
    int64_t count;
    double mean;
} Line;
FL_ROW(Line, nulls, name, count, mean);

static fl_stream *some_lines(fl_env *env)
{
    return fl_from_elements(env, Line, { .name = fl_str("plain"), .count = 1, .mean = 0.5 },
        { .name = fl_str("with \"quotes\", and a comma"), .count = 2, .mean = 1e100 },
        { .nulls = { 5 }, .count = 3, .mean = 1 });
}

/* ---- print ---- */

/* Runs the job with standard output or error going to a file, which *content becomes. */
static void run_printing(fl_env *env, int fd, char **content)
{
    fflush(stdout);
    fflush(stderr);
    int kept = dup(fd), to = open(scratch("printed"), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(kept >= 0 && to >= 0);
    assert_int_equal(dup2(to, fd), fd);
    close(to);
    printf(fd == STDOUT_FILENO ? "printf before\n" : "");
    int status = fl_execute(env, "test");
    assert_int_equal(dup2(kept, fd), fd);
    close(kept);
    assert_int_equal(status, 0);
    fl_env_free(env);
    *content = scratch_read("printed");
}

static void assert_printed(fl_env *env, int fd, const char *expected)
{
    char *content;
    run_printing(env, fd, &content);
    assert_string_equal(content, expected);
    free(content);
}

static void test_print(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_print(some_lines(env));
    assert_printed(
        env, STDOUT_FILENO, "printf before\n(plain,1,0.5)\n(with \"quotes\", and a comma,2,1.0E100)\n(null,3,null)\n");
    env = fl_env_new(0, NULL);
    fl_print(fl_from_elements(env, int64_t, 1, 2), .prefix = "out");
    assert_printed(env, STDOUT_FILENO, "printf before\nout> 1\nout> 2\n");
    env = fl_env_new(0, NULL);
    fl_print_to_err(fl_from_elements(env, int64_t, 1, 2));
    assert_printed(env, STDERR_FILENO, "1\n2\n");
}

/* Which subtask prints a number is known from fl_sequence's ranges. */
static void test_print_parallel(void **state)
{
    (void)state;
    enum { EACH = 100000 };
    for (int with_prefix = 0; with_prefix < 2; with_prefix++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_set_parallelism(env, 2);
        fl_stream *numbers = fl_sequence(env, 0, 2 * EACH - 1);
        if (with_prefix)
            fl_print(numbers, .prefix = "p");
        else
            fl_print(numbers);
        char *content;
        run_printing(env, STDOUT_FILENO, &content);
        int64_t next[2] = { 0, EACH };
        char *rest = content;
        assert_string_equal(strsep(&rest, "\n"), "printf before");
        for (char *line; (line = strsep(&rest, "\n")) && *line;) {
            int subtask;
            int64_t n;
            assert_int_equal(sscanf(line, with_prefix ? "p:%d> %" SCNd64 : "%d> %" SCNd64, &subtask, &n), 2);
            assert_int_equal(n, next[subtask - 1]++);
        }
        assert_int_equal(next[0], EACH);
        assert_int_equal(next[1], 2 * EACH);
        free(content);
    }
}

static void test_print_to_full_disk(void **state)
{
    (void)state;
    int kept = dup(STDOUT_FILENO), full = open("/dev/full", O_WRONLY);
    assert_int_equal(dup2(full, STDOUT_FILENO), STDOUT_FILENO);
    fl_env *env = fl_env_new(0, NULL);
    fl_print(fl_sequence(env, 1, 100000));
    int status = fl_execute(env, "test");
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(full);
    assert_int_equal(status, FL_ERROR_IO);
    assert_non_null(strstr(fl_env_error(env), "cannot write to standard output: No space left on device"));
    fl_env_free(env);
}

/* ---- files ---- */

static void test_write_formats(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *lines = some_lines(env);
    fl_write_text(lines, scratch("out/deep/lines.txt")); /* the folders are made */
    fl_write_csv(lines, scratch("lines.csv"), .header = true);
    fl_write_csv(lines, scratch("lines.tsv"), .separator = '\t');
    fl_write_json(lines, scratch("lines.json"));
    fl_write_text(
        fl_from_elements(env, fl_string, fl_str("plain text, as it is \"\\"), fl_str("")), scratch("strings.txt"));
    run_job(env);
    scratch_assert_content(
        "out/deep/lines.txt", "(plain,1,0.5)\n(with \"quotes\", and a comma,2,1.0E100)\n(null,3,null)\n");
    scratch_assert_content(
        "lines.csv", "name,count,mean\nplain,1,0.5\n\"with \"\"quotes\"\", and a comma\",2,1.0E100\n,3,\n");
    scratch_assert_content("lines.tsv", "plain\t1\t0.5\n\"with \"\"quotes\"\", and a comma\"\t2\t1.0E100\n\t3\t\n");
    scratch_assert_content("lines.json",
        "{\"name\":\"plain\",\"count\":1,\"mean\":0.5}\n"
        "{\"name\":\"with \\\"quotes\\\", and a comma\",\"count\":2,\"mean\":1.0E100}\n"
        "{\"name\":null,\"count\":3,\"mean\":null}\n");
    scratch_assert_content("strings.txt", "plain text, as it is \"\\\n\n");
    assert_null(scratch_read(".lines.csv.inprogress"));
}

static void write_numbers(int64_t from, int64_t to, int parallelism, const char *name)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, parallelism);
    fl_write_text(fl_sequence(env, from, to), scratch(name));
    run_job(env);
}

static void test_write_replaces(void **state)
{
    (void)state;
    write_numbers(1, 2, 1, "result");
    scratch_assert_content("result", "1\n2\n");
    write_numbers(3, 3, 1, "result");
    scratch_assert_content("result", "3\n");
    write_numbers(1, 6, 3, "result"); /* a folder in place of the file */
    scratch_assert_content("result/1", "1\n2\n");
    scratch_assert_content("result/2", "3\n4\n");
    scratch_assert_content("result/3", "5\n6\n");
    write_numbers(7, 8, 2, "result/"); /* the third part is gone */
    scratch_assert_content("result/1", "7\n");
    scratch_assert_content("result/2", "8\n");
    assert_int_not_equal(access(scratch("result/3"), F_OK), 0);
    write_numbers(9, 9, 1, "result"); /* a file in place of the folder */
    scratch_assert_content("result", "9\n");
    write_numbers(1, 1, 2, "parts"); /* a subtask without rows has an empty file */
    scratch_assert_content("parts/1", "1\n");
    scratch_assert_content("parts/2", "");
}

static void fail_late(const void *in, fl_collector *out, fl_context *ctx)
{
    if (*(const int64_t *)in == 50000)
        fl_fail(ctx, "fifty thousand");
    fl_collect_row(out, in);
}

static void test_write_fails_whole(void **state)
{
    (void)state;
    scratch_write("kept", "the old result\n");
    fl_env *env = fl_env_new(0, NULL);
    fl_write_text(fl_map(fl_sequence(env, 1, 100000), fail_late, int64_t), scratch("kept"));
    run_failing(env, "fifty thousand");
    scratch_assert_content("kept", "the old result\n");
    env = fl_env_new(0, NULL);
    fl_write_text(fl_map(fl_sequence(env, 1, 100000), fail_late, int64_t), scratch("never"));
    run_failing(env, "fifty thousand");
    assert_int_not_equal(access(scratch("never"), F_OK), 0);
}

/* A limit of the size of files stands for a full disk: the system refuses in the middle of the file. */
static void test_write_to_full_disk(void **state)
{
    (void)state;
    struct rlimit usual, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    small = usual;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    fl_env *env = fl_env_new(0, NULL);
    fl_write_text(fl_sequence(env, 1, 1000000), scratch("too-large"));
    int status = fl_execute(env, "test");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, FL_ERROR_IO);
    assert_non_null(strstr(fl_env_error(env), "too-large.inprogress: File too large"));
    assert_non_null(strstr(fl_env_error(env), "too-large was not written"));
    fl_env_free(env);
    assert_int_not_equal(access(scratch("too-large"), F_OK), 0);
}

static void test_write_errors(void **state)
{
    (void)state;
    scratch_write("file", "");
    scratch_mkdir("foreign");
    scratch_write("foreign/1", "1\n");
    scratch_write("foreign/notes", "mine\n");
    static const struct {
        const char *path, *expected;
    } cases[] = {
        { "file/below", "file: Not a directory" },
        { "file/far/below", "Not a directory" },
        { "foreign", "foreign is a folder with files that were not written by such a sink (notes)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fl_env *env = fl_env_new(0, NULL);
        fl_write_csv(fl_sequence(env, 1, 10), scratch(cases[i].path));
        run_failing(env, "test_sinks.c:", "fl_write_csv(", cases[i].expected);
    }
    scratch_assert_content("foreign/1", "1\n");
    fl_env *env = fl_env_new(0, NULL);
    fl_write_text(fl_sequence(env, 1, 10), "");
    run_failing(env, "fl_write_text: no path given");
    env = fl_env_new(0, NULL);
    fl_write_csv(fl_sequence(env, 1, 10), scratch("x"), .separator = 'x');
    run_failing(env, "'x' cannot separate fields");
    assert_int_not_equal(access(scratch("x"), F_OK), 0);
}

static void test_write_twice(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *numbers = fl_sequence(env, 1, 10);
    fl_write_text(numbers, scratch("twice"), .name = "A");
    fl_write_text(numbers, scratch("twice"), .name = "B");
    run_failing(env, "twice is being written by", "already", "a path of its own");
    assert_int_not_equal(access(scratch("twice"), F_OK), 0);
    write_numbers(1, 1, 1, "twice"); /* nothing is left of it in the process */
}

/* What is no file is written to in place and not replaced. */
static void *read_fifo(void *path)
{
    static char content[64];
    FILE *fifo = fopen(path, "r");
    content[fread(content, 1, sizeof content - 1, fifo)] = 0;
    fclose(fifo);
    return content;
}

static void test_write_to_fifo(void **state)
{
    (void)state;
    struct stat info;
    char path[256];
    strcpy(path, scratch("fifo"));
    assert_int_equal(mkfifo(path, 0600), 0);
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_fifo, path), 0);
    write_numbers(1, 3, 1, "fifo");
    void *content;
    pthread_join(reader, &content);
    assert_string_equal(content, "1\n2\n3\n");
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_write_text(fl_sequence(env, 1, 10), path);
    run_failing(env, "fifo is a device or pipe", ".parallelism = 1");
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
}

/* ---- sockets ---- */

static void test_write_socket(void **state)
{
    (void)state;
    loopback server = { 0 };
    loopback_start(&server);
    fl_env *env = fl_env_new(0, NULL);
    fl_write_socket(some_lines(env), "localhost", server.port);
    run_job(env);
    loopback_join(&server);
    assert_string_equal(server.received, "(plain,1,0.5)\n(with \"quotes\", and a comma,2,1.0E100)\n(null,3,null)\n");
    free(server.received);

    server = (loopback){ 0 }; /* more than fits the socket's buffers */
    loopback_start(&server);
    env = fl_env_new(0, NULL);
    fl_write_socket(fl_sequence(env, 1000000, 1999999), "127.0.0.1", server.port);
    run_job(env);
    loopback_join(&server);
    assert_int_equal(server.received_length, 8000000);
    for (int i = 0; i < 1000000; i++) {
        char line[16];
        snprintf(line, sizeof line, "%d\n", 1000000 + i);
        assert_memory_equal(server.received + 8 * (size_t)i, line, 8);
    }
    free(server.received);
}

static void test_write_socket_errors(void **state)
{
    (void)state;
    int port = loopback_refused_port();
    char expected[32];
    snprintf(expected, sizeof expected, "127.0.0.1:%d", port);
    fl_env *env = fl_env_new(0, NULL);
    fl_write_socket(fl_sequence(env, 1, 10), "127.0.0.1", port);
    run_failing(env, expected, "Connection refused", "needs a server that is listening");
    env = fl_env_new(0, NULL);
    fl_write_socket(fl_sequence(env, 1, 10), "127.0.0.1", 0);
    run_failing(env, "test_sinks.c:", "port 0");

    loopback server = { .close_after = 100000 };
    loopback_start(&server);
    snprintf(expected, sizeof expected, "127.0.0.1:%d", server.port);
    env = fl_env_new(0, NULL);
    fl_write_socket(fl_sequence(env, 1, INT64_MAX), "127.0.0.1", server.port);
    run_failing(env, expected);
    loopback_join(&server);
    free(server.received);
}

/* ---- functions ---- */

typedef struct {
    int64_t buffered, flushed;
} Buffer;

static void buffer_row(const void *in, fl_collector *out, fl_context *ctx)
{
    assert_null(out);
    Buffer *buffer = fl_self(ctx);
    if (*(const int64_t *)in < 0)
        fl_fail(ctx, "negative");
    buffer->buffered++;
}

static void flush_rows(const void *in, fl_collector *out, fl_context *ctx)
{
    assert_null(in);
    assert_null(out);
    Buffer *buffer = fl_self(ctx);
    fl_accumulate(ctx, "flushed", buffer->buffered);
    buffer->buffered = 0;
}

static void check_flushed(fl_context *ctx)
{
    if (((Buffer *)fl_self(ctx))->buffered != 0)
        fl_accumulate(ctx, "lost", 1);
}

static void test_sink_function(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 2);
    fl_add_sink(fl_sequence(env, 1, 100000), buffer_row, .flush = flush_rows, .close = check_flushed,
        .instance_size = sizeof(Buffer));
    assert_int_equal(fl_execute(env, "test"), 0);
    assert_int_equal(fl_result_accumulator(env, "flushed"), 100000);
    assert_int_equal(fl_result_accumulator(env, "lost"), 0);
    assert_int_equal(fl_result_records_out(env), 100000);
    fl_env_free(env);
    env = fl_env_new(0, NULL);
    fl_add_sink(fl_sequence(env, -1, 10), buffer_row, .instance_size = sizeof(Buffer), .name = "Buffer");
    run_failing(env, "Buffer (1/1): negative");
    env = fl_env_new(0, NULL);
    fl__add_sink(fl_sequence(env, 1, 10), NULL, FL__SINK());
    run_failing(env, "fl_add_sink: the function is NULL");
}

static void test_discard(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_discard(fl_sequence(env, 1, 100000));
    assert_int_equal(fl_execute(env, "test"), 0);
    assert_int_equal(fl_result_records_out(env), 100000);
    fl_env_free(env);
}

/* What comes behind a call that failed is harmless; the first error counts. */
static void test_sinks_of_failed_streams(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *failed = fl_sequence(env, 2, 1);
    fl_print(failed);
    fl_write_json(failed, "");
    fl_write_socket(failed, "", 0);
    fl_add_sink(failed, buffer_row);
    fl_discard(failed);
    run_failing(env, "fl_sequence");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_print_parallel),
        cmocka_unit_test(test_print_to_full_disk),
        cmocka_unit_test(test_write_formats),
        cmocka_unit_test(test_write_replaces),
        cmocka_unit_test(test_write_fails_whole),
        cmocka_unit_test(test_write_to_full_disk),
        cmocka_unit_test(test_write_errors),
        cmocka_unit_test(test_write_twice),
        cmocka_unit_test(test_write_to_fifo),
        cmocka_unit_test(test_write_socket),
        cmocka_unit_test(test_write_socket_errors),
        cmocka_unit_test(test_sink_function),
        cmocka_unit_test(test_discard),
        cmocka_unit_test(test_sinks_of_failed_streams),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
