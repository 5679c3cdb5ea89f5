/* A job from files to files, in which the N-th call to the system fails, for every N: it says which path and why, what
 * has its final name is whole, and the next run comes to the whole result whatever was left behind. Reads and writes of
 * a few bytes each change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <zlib.h>

#include "scratch.h"

#include "cluster/job.h"

enum { LINES = 400 }; /* per file */

/* ---- a system that fails ---- */

typedef struct faulty_os {
    fl__os os;                 /* first */
    _Atomic int64_t countdown; /* the call that brings it to 0 fails */
    int code;
    bool is_short;                /* reads and writes give some bytes only */
    _Atomic(const char *) failed; /* what did */
} faulty_os;

static bool fails(const fl__os *os, const char *call, int *result)
{
    faulty_os *f = (faulty_os *)(uintptr_t)os;
    if (atomic_fetch_sub(&f->countdown, 1) != 1)
        return false;
    atomic_store(&f->failed, call);
    *result = -f->code;
    return true;
}

static size_t some(const fl__os *os, size_t size)
{
    return ((const faulty_os *)os)->is_short && size > 7 ? 7 : size;
}

/* Fails, or does what Linux does. */
#define PASS(name, ...)                                                                                                \
    do {                                                                                                               \
        int result_;                                                                                                   \
        if (fails(os, #name, &result_))                                                                                \
            return result_;                                                                                            \
        return fl__os_linux.name(&fl__os_linux, __VA_ARGS__);                                                          \
    } while (0)

static int open_file(const fl__os *os, const char *path, int flags)
{
    PASS(open, path, flags);
}

static ssize_t read_file(const fl__os *os, int fd, void *to, size_t size)
{
    PASS(read, fd, to, some(os, size));
}

static ssize_t pread_file(const fl__os *os, int fd, void *to, size_t size, int64_t at)
{
    PASS(pread, fd, to, some(os, size), at);
}

static ssize_t write_file(const fl__os *os, int fd, const void *data, size_t size)
{
    PASS(write, fd, data, some(os, size));
}

static int stat_path(const fl__os *os, const char *path, fl__file_info *info)
{
    PASS(stat, path, info);
}

static int stat_file(const fl__os *os, int fd, fl__file_info *info)
{
    PASS(stat_fd, fd, info);
}

static int list_folder(const fl__os *os, const char *folder, fl__os_entry_fn entry, void *arg)
{
    PASS(list, folder, entry, arg);
}

static int make_folder(const fl__os *os, const char *path)
{
    PASS(mkdir, path);
}

static int rename_path(const fl__os *os, const char *from, const char *to)
{
    PASS(rename, from, to);
}

static int unlink_path(const fl__os *os, const char *path)
{
    PASS(unlink, path);
}

/* The power will not go off: a real sync would only make the test slow. */
static int sync_file(const fl__os *os, int fd)
{
    (void)fd;
    int result;
    return fails(os, "sync", &result) ? result : 0;
}

static int close_file(const fl__os *os, int fd)
{
    int result, closed = fl__os_linux.close(&fl__os_linux, fd); /* it is closed whatever is said */
    return fails(os, "close", &result) ? result : closed;
}

static void init_faulty(faulty_os *f, int64_t nth, int code)
{
    *f = (faulty_os){ .os = fl__os_linux, .countdown = nth, .code = code };
    f->os.name = "faulty";
    f->os.open = open_file;
    f->os.close = close_file;
    f->os.read = read_file;
    f->os.pread = pread_file;
    f->os.write = write_file;
    f->os.sync = sync_file;
    f->os.stat = stat_path;
    f->os.stat_fd = stat_file;
    f->os.list = list_folder;
    f->os.mkdir = make_folder;
    f->os.rename = rename_path;
    f->os.unlink = unlink_path;
}

/* ---- the job: all lines of a folder, one file of it packed, into a file or a folder of parts ---- */

static void write_input(void)
{
    char *text = NULL;
    size_t size;
    scratch_mkdir("in");
    for (int file = 0; file < 3; file++) {
        FILE *out = open_memstream(&text, &size);
        for (int i = 0; i < LINES; i++)
            fprintf(out, "line %05d of all that there are\n", file * LINES + i);
        fclose(out);
        if (file < 2) {
            scratch_put(file ? "in/b.txt" : "in/a.txt", "w", text, size);
        } else {
            gzFile packed = gzopen(scratch("in/c.txt.gz"), "w");
            assert_int_equal(gzwrite(packed, text, (unsigned)size), size);
            assert_int_equal(gzclose(packed), Z_OK);
        }
        free(text);
    }
}

/* What the job said; NULL: it ended well. free() it. */
static char *run(const fl__os *os, int parallelism)
{
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, parallelism);
    fl_write_text(fl_read_text(env, scratch("in"), .split_bytes = 4096), scratch("out"));
    assert_int_equal(fl__graph_chain(&env->graph), FL_OK);
    fl__job job;
    fl__job_build(&job, env, os);
    char *said = NULL;
    if (fl__job_run_threads(&job) != FL_OK) {
        assert_non_null(job.error.text);
        said = strdup(job.error.text);
    }
    fl__job_release(&job);
    fl_env_free(env);
    return said;
}

/* Which lines are in the file, each once and whole. False: there is no such file. */
static bool note_lines(const char *name, bool seen[3 * LINES])
{
    char *text = scratch_read(name);
    for (char *line = text; line && *line; line = strchr(line, '\n') + 1) {
        int number = -1, length = 0;
        assert_non_null(strchr(line, '\n'));
        sscanf(line, "line %5d of all that there are%n", &number, &length);
        assert_true(length > 0 && line[length] == '\n' && number >= 0 && number < 3 * LINES);
        assert_false(seen[number]);
        seen[number] = true;
    }
    free(text);
    return text != NULL;
}

static int count_lines(int parallelism, bool *is_there)
{
    bool seen[3 * LINES] = { false };
    int count = 0;
    *is_there = parallelism == 1 ? note_lines("out", seen) : note_lines("out/1", seen) && note_lines("out/2", seen);
    for (int i = 0; i < 3 * LINES; i++)
        count += seen[i];
    return count;
}

static void clear_output(void)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf %s %s", scratch("out"), scratch(".out.inprogress"));
    assert_int_equal(system(command), 0);
}

static void expect_whole(int parallelism)
{
    bool is_there;
    assert_int_equal(count_lines(parallelism, &is_there), 3 * LINES);
    assert_true(is_there);
}

/* Fails the nth call; false when there was none of that number. */
static bool fail_one(int64_t nth, int code, int parallelism, int *reported)
{
    faulty_os f;
    init_faulty(&f, nth, code);
    char *said = run(&f.os, parallelism);
    const char *call = atomic_load(&f.failed);
    if (!said) { /* nothing failed, or nothing that matters (a close after a sync, say): then all is there */
        expect_whole(parallelism);
    } else {
        ++*reported;
        if (!call || !strstr(said, scratch_folder) || !strstr(said, strerror(code)))
            fail_msg("call %d (%s) failed, and the job said: %s", (int)nth, call ? call : "none", said);
        bool is_there;
        int lines = count_lines(parallelism, &is_there);
        if (parallelism == 1 && is_there)
            assert_int_equal(lines, 3 * LINES); /* what has its name is whole */
    }
    free(said);
    return call != NULL;
}

static void fail_each(int code, int parallelism)
{
    int reported = 0;
    int64_t nth = 0;
    bool is_over = false;
    while (!is_over) {
        clear_output();
        is_over = !fail_one(++nth, code, parallelism, &reported);
        faulty_os good;
        init_faulty(&good, -1, EIO);
        char *said = run(&good.os, parallelism); /* on what was left behind */
        if (said)
            fail_msg("after call %d had failed, the next run said: %s", (int)nth, said);
        expect_whole(parallelism);
    }
    assert_true(nth > 10);
    assert_true(reported > 10);
}

static void test_every_call_fails(void **state)
{
    (void)state;
    fail_each(EIO, 1);
    fail_each(EIO, 2);
}

static void test_the_disk_is_full(void **state)
{
    (void)state;
    fail_each(ENOSPC, 1);
}

static void test_little_at_a_time(void **state)
{
    (void)state;
    for (int parallelism = 1; parallelism <= 2; parallelism++) {
        clear_output();
        faulty_os f;
        init_faulty(&f, -1, EIO);
        f.is_short = true;
        char *said = run(&f.os, parallelism);
        assert_null(said);
        expect_whole(parallelism);
    }
}

static int setup(void **state)
{
    int result = scratch_setup(state);
    write_input();
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_the_disk_is_full),
        cmocka_unit_test(test_little_at_a_time),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
