/* src/os: waker, threads, files, sockets, on the machine itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/file.h"
#include "os/socket.h"
#include "os/thread.h"
#include "os/waker.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const fl__os *os = &fl__os_linux;

#define MS 1000000

/* ---- clock ---- */

static void test_clock(void **state)
{
    (void)state;
    int64_t a = fl__os_monotonic_ns(os), b = fl__os_monotonic_ns(os);
    assert_true(b >= a);
    assert_true(fl__os_now_ms(os) > 1600000000000);
    assert_true(fl__os_random_u64(os) != fl__os_random_u64(os));
    assert_true(fl__thread_processors() >= 1);
}

/* ---- waker ---- */

/* Tokens go round between two threads: each adds one to its cell only after the other has. A lost wake-up hangs. */
typedef struct pong {
    fl__waker wakers[2];
    _Atomic uint64_t cells[2];
    uint64_t rounds;
    int pipe_fd; /* ≥ 0: park with a descriptor that never becomes ready */
} pong;

static void wait_for(pong *p, int me, uint64_t value)
{
    while (atomic_load_explicit(&p->cells[!me], memory_order_acquire) < value) {
        uint32_t seen = fl__waker_prepare(&p->wakers[me]);
        if (atomic_load_explicit(&p->cells[!me], memory_order_acquire) >= value)
            fl__waker_cancel(&p->wakers[me], seen);
        else if (p->pipe_fd >= 0 && value % 3 == 0)
            fl__waker_park_fd(&p->wakers[me], seen, p->pipe_fd, -1);
        else
            fl__waker_park(&p->wakers[me], seen, -1);
    }
}

static void play(pong *p, int me)
{
    for (uint64_t i = 1; i <= p->rounds; i++) {
        if (me == 1)
            wait_for(p, me, i);
        atomic_store_explicit(&p->cells[me], i, memory_order_release);
        fl__waker_wake(&p->wakers[!me]);
        if (me == 0)
            wait_for(p, me, i);
    }
}

static void play_second(void *arg)
{
    play(arg, 1);
}

static void play_rounds(uint64_t rounds, int fd)
{
    pong p = { .rounds = rounds, .pipe_fd = fd };
    fl__waker_init(&p.wakers[0]);
    fl__waker_init(&p.wakers[1]);
    fl__thread thread;
    assert_int_equal(fl__thread_start(&thread, "a name longer than fifteen", play_second, &p, NULL), FL_OK);
    play(&p, 0);
    fl__thread_join(&thread);
    fl__thread_join(&thread);
    fl__waker_release(&p.wakers[0]);
    fl__waker_release(&p.wakers[1]);
}

static void test_waker_loses_nothing(void **state)
{
    (void)state;
    play_rounds(20000, -1);
}

static void test_waker_loses_nothing_with_a_descriptor(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    play_rounds(10000, fds[0]);
    close(fds[0]);
    close(fds[1]);
}

/* One consumer, two producers that never wait: most wake-ups find nobody parked. */
typedef struct flood {
    fl__waker waker;
    _Atomic uint64_t produced;
    uint64_t each;
} flood;

static void produce(void *arg)
{
    flood *f = arg;
    for (uint64_t i = 0; i < f->each; i++) {
        atomic_fetch_add_explicit(&f->produced, 1, memory_order_release);
        fl__waker_wake(&f->waker);
    }
}

static void test_waker_under_a_million_tokens(void **state)
{
    (void)state;
    flood f = { .each = 500000 };
    fl__waker_init(&f.waker);
    fl__thread threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(fl__thread_start(&threads[i], "produce", produce, &f, NULL), FL_OK);
    uint64_t seen_total = 0;
    while (seen_total < 2 * f.each) {
        uint32_t seen = fl__waker_prepare(&f.waker);
        uint64_t now = atomic_load_explicit(&f.produced, memory_order_acquire);
        if (now > seen_total)
            fl__waker_cancel(&f.waker, seen);
        else
            fl__waker_park(&f.waker, seen, -1);
        seen_total = now;
    }
    for (int i = 0; i < 2; i++)
        fl__thread_join(&threads[i]);
    assert_int_equal(seen_total, 2 * f.each);
    fl__waker_release(&f.waker);
}

static void test_waker_timeouts(void **state)
{
    (void)state;
    fl__waker w;
    fl__waker_init(&w);
    int64_t start = fl__os_monotonic_ns(os);
    assert_false(fl__waker_park(&w, fl__waker_prepare(&w), 5 * MS));
    assert_true(fl__os_monotonic_ns(os) - start >= 5 * MS);
    assert_false(fl__waker_park(&w, fl__waker_prepare(&w), 0));

    uint32_t seen = fl__waker_prepare(&w);
    fl__waker_wake(&w); /* between prepare and park: no sleep */
    assert_true(fl__waker_park(&w, seen, -1));

    fl__waker_wake(&w); /* nobody is parked: forgotten */
    assert_false(fl__waker_park(&w, fl__waker_prepare(&w), MS));
    fl__waker_release(&w);
}

static void test_waker_sees_a_descriptor(void **state)
{
    (void)state;
    fl__waker w;
    fl__waker_init(&w);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_false(fl__waker_park_fd(&w, fl__waker_prepare(&w), fds[0], MS));
    assert_true(fl__waker_park_fd_writable(&w, fl__waker_prepare(&w), fds[1], -1));
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_true(fl__waker_park_fd(&w, fl__waker_prepare(&w), fds[0], -1));
    uint32_t seen = fl__waker_prepare(&w);
    fl__waker_wake(&w);
    char c;
    assert_int_equal(read(fds[0], &c, 1), 1);
    assert_true(fl__waker_park_fd(&w, seen, fds[0], -1));
    close(fds[0]);
    close(fds[1]);
    fl__waker_release(&w);
}

/* ---- files ---- */

static char *folder; /* a fresh one for the files' tests */

static char *in_folder(const char *name)
{
    return fl__path_join(folder, name);
}

static int make_folder(void **state)
{
    (void)state;
    char template[] = "/tmp/flinc-test-os-XXXXXX";
    folder = strdup(mkdtemp(template));
    return folder ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    char *command = NULL;
    int failed = asprintf(&command, "rm -rf %s", folder) < 0 || system(command) != 0;
    free(command);
    free(folder);
    return failed;
}

static void store(const char *name, const char *content)
{
    char *path = in_folder(name);
    assert_int_equal(fl__file_store(os, path, content, strlen(content), NULL), FL_OK);
    free(path);
}

static void test_files_are_written_and_read(void **state)
{
    (void)state;
    char *path = in_folder("f"), *content, buffer[8];
    fl__file file;
    size_t got;
    int64_t size;
    assert_int_equal(fl__file_open(&file, os, path, FL__FILE_NEW, NULL), FL_OK);
    assert_int_equal(fl__file_write(&file, "hello ", 6, NULL), FL_OK);
    assert_int_equal(fl__file_sync(&file, NULL), FL_OK);
    fl__file_close(&file);
    fl__file_close(&file);
    assert_int_equal(fl__file_open(&file, os, path, FL__FILE_APPEND, NULL), FL_OK);
    assert_int_equal(fl__file_write(&file, "world", 5, NULL), FL_OK);
    fl__file_close(&file);

    assert_int_equal(fl__file_open(&file, os, path, FL__FILE_READ, NULL), FL_OK);
    assert_int_equal(fl__file_size(&file, &size, NULL), FL_OK);
    assert_int_equal(size, 11);
    assert_int_equal(fl__file_read(&file, buffer, 8, &got, NULL), FL_OK);
    assert_int_equal(got, 8);
    assert_memory_equal(buffer, "hello wo", 8);
    assert_int_equal(fl__file_pread(&file, buffer, 8, 6, &got, NULL), FL_OK);
    assert_int_equal(got, 5);
    assert_memory_equal(buffer, "world", 5);
    assert_int_equal(fl__file_read(&file, buffer, 8, &got, NULL), FL_OK);
    assert_int_equal(got, 3);
    assert_int_equal(fl__file_read(&file, buffer, 8, &got, NULL), FL_OK);
    assert_int_equal(got, 0);
    fl__file_close(&file);

    assert_int_equal(fl__file_load(os, path, 100, &content, &got, NULL), FL_OK);
    assert_string_equal(content, "hello world");
    assert_int_equal(got, 11);
    free(content);
    assert_int_equal(fl__path_unlink(os, path, NULL), FL_OK);
    assert_int_equal(fl__path_unlink(os, path, NULL), FL_OK);
    assert_false(fl__path_exists(os, path));
    free(path);
}

static void test_a_large_file_is_loaded_whole(void **state)
{
    (void)state;
    size_t size = 100000, got;
    char *data = malloc(size), *content, *path = in_folder("large");
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 7);
    assert_int_equal(fl__file_store(os, path, data, size, NULL), FL_OK);
    assert_int_equal(fl__file_load(os, path, size, &content, &got, NULL), FL_OK);
    assert_int_equal(got, size);
    assert_memory_equal(content, data, size);
    free(content);
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__file_load(os, path, size - 1, &content, &got, &error), FL_ERROR_LIMIT);
    assert_non_null(strstr(error.text, "larger than 99999 bytes"));
    fl__error_release(&error);
    assert_int_equal(fl__path_unlink(os, path, NULL), FL_OK);
    free(data);
    free(path);
}

static void test_file_errors_name_path_and_reason(void **state)
{
    (void)state;
    fl_error error = FL_ERROR_INIT;
    fl__file file;
    assert_int_equal(fl__file_open(&file, os, "/nowhere/at/all", FL__FILE_READ, &error), FL_ERROR_IO);
    assert_string_equal(error.text, "cannot open /nowhere/at/all: No such file or directory");
    fl__file_close(&file);
    fl__error_release(&error);
    assert_int_equal(fl__file_open(&file, os, folder, FL__FILE_READ, &error), FL_ERROR_IO);
    assert_non_null(strstr(error.text, "Is a directory"));
    fl__error_release(&error);
    assert_int_equal(fl__file_open(&file, os, folder, FL__FILE_WRITE, &error), FL_ERROR_IO);
    fl__error_release(&error);
    assert_int_equal(fl__file_store(os, "/nowhere/f", "x", 1, &error), FL_ERROR_IO);
    fl__error_release(&error);
    assert_int_equal(fl__path_rename(os, "/nowhere/a", "/nowhere/b", &error), FL_ERROR_IO);
    assert_non_null(strstr(error.text, "/nowhere/a to /nowhere/b"));
    fl__error_release(&error);
    assert_int_equal(fl__folder_make(os, "/proc/x/y", &error), FL_ERROR_IO);
    fl__error_release(&error);
    fl__file_info info;
    assert_int_equal(fl__path_info(os, "/nowhere", &info, &error), FL_ERROR_IO);
    fl__error_release(&error);
    fl__paths paths = FL__PATHS_INIT;
    assert_int_equal(fl__folder_list(os, "/nowhere", true, &paths, &error), FL_ERROR_IO);
    assert_string_equal(error.text, "cannot read folder /nowhere: No such file or directory");
    fl__error_release(&error);
    fl__paths_release(&paths);
}

static void expect_paths(fl__paths *paths, const char *const *names)
{
    size_t n = 0;
    for (; names[n]; n++) {
        assert_true(n < paths->count);
        assert_string_equal(paths->items[n].path + strlen(folder) + 1, names[n]);
    }
    assert_int_equal(paths->count, n);
    fl__paths_release(paths);
}

#define NAMES(...)                                                                                                     \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        __VA_ARGS__ __VA_OPT__(, ) NULL                                                                                \
    }

static void test_folders_are_listed_and_globbed(void **state)
{
    (void)state;
    char *sub = in_folder("g/one/two"), *g = in_folder("g"), *loop = in_folder("g/one/loop");
    assert_int_equal(fl__folder_make(os, sub, NULL), FL_OK);
    assert_int_equal(fl__folder_make(os, sub, NULL), FL_OK);
    store("g/b.txt", "b");
    store("g/a.txt", "a");
    store("g/.hidden.txt", "h");
    store("g/one/c.txt", "c");
    store("g/one/two/d.txt", "d");
    store("g/one/two/e.log", "eee");

    fl__paths paths = FL__PATHS_INIT;
    assert_int_equal(fl__folder_list(os, g, false, &paths, NULL), FL_OK);
    expect_paths(&paths, NAMES("g/.hidden.txt", "g/a.txt", "g/b.txt"));
    assert_int_equal(fl__folder_list(os, g, true, &paths, NULL), FL_OK);
    assert_int_equal(paths.items[5].info.size, 3);
    assert_true(paths.items[5].info.mtime_ms > 1600000000000);
    expect_paths(
        &paths, NAMES("g/.hidden.txt", "g/a.txt", "g/b.txt", "g/one/c.txt", "g/one/two/d.txt", "g/one/two/e.log"));

    const struct {
        const char *pattern;
        const char *const *found;
    } cases[] = {
        { "g/*.txt", NAMES("g/a.txt", "g/b.txt") },
        { "g/.*.txt", NAMES("g/.hidden.txt") },
        { "g/[b-z].txt", NAMES("g/b.txt") },
        { "g/?.txt", NAMES("g/a.txt", "g/b.txt") },
        { "g/*/*.txt", NAMES("g/one/c.txt") },
        { "g/o*/t*/*", NAMES("g/one/two/d.txt", "g/one/two/e.log") },
        { "g/**/*.txt", NAMES("g/a.txt", "g/b.txt", "g/one/c.txt", "g/one/two/d.txt") },
        { "g/**/two/**/d.txt", NAMES("g/one/two/d.txt") },
        { "g/one/**", NAMES("g/one/c.txt", "g/one/two", "g/one/two/d.txt", "g/one/two/e.log") },
        { "g/a.txt", NAMES("g/a.txt") },
        { "g/a.txt/*", NAMES() },
        { "g/*.none", NAMES() },
        { "none/*.txt", NAMES() },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *pattern = in_folder(cases[i].pattern);
        assert_int_equal(fl__path_glob(os, pattern, &paths, NULL), FL_OK);
        expect_paths(&paths, cases[i].found);
        free(pattern);
    }
    assert_true(fl__path_is_glob("a*"));
    assert_false(fl__path_is_glob("a.txt"));

    assert_int_equal(symlink("..", loop), 0);
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__folder_list(os, g, true, &paths, &error), FL_ERROR_IO);
    fl__error_release(&error);
    fl__paths_release(&paths);
    free(loop);
    free(sub);
    free(g);
}

/* ---- every call failing in turn ---- */

/* The machine, but for the call that brings left to 0. */
typedef struct failing {
    fl__os os;
    int left;
} failing;

static bool fails(const fl__os *self)
{
    failing *f = (failing *)(uintptr_t)self;
    return f->left-- == 0;
}

static int fail_open(const fl__os *self, const char *path, int flags)
{
    return fails(self) ? -EIO : os->open(os, path, flags);
}
static ssize_t fail_read(const fl__os *self, int fd, void *buffer, size_t size)
{
    return fails(self) ? -EIO : os->read(os, fd, buffer, size);
}
static ssize_t fail_write(const fl__os *self, int fd, const void *data, size_t size)
{
    return fails(self) ? -ENOSPC : os->write(os, fd, data, size > 3 ? 3 : size); /* and never all at once */
}
static int fail_sync(const fl__os *self, int fd)
{
    return fails(self) ? -EIO : os->sync(os, fd);
}
static int fail_stat(const fl__os *self, const char *path, fl__file_info *info)
{
    return fails(self) ? -EACCES : os->stat(os, path, info);
}
static int fail_list(const fl__os *self, const char *path, fl__os_entry_fn entry, void *arg)
{
    return fails(self) ? -EACCES : os->list(os, path, entry, arg);
}
static int fail_mkdir(const fl__os *self, const char *path)
{
    return fails(self) ? -EACCES : os->mkdir(os, path);
}
static int fail_rename(const fl__os *self, const char *from, const char *to)
{
    return fails(self) ? -EXDEV : os->rename(os, from, to);
}

static fl_status store_there(const fl__os *self, fl_error *error)
{
    char *path = in_folder("n/stored");
    fl_status status = fl__file_store(self, path, "new content", 11, error);
    free(path);
    return status;
}

static fl_status load_there(const fl__os *self, fl_error *error)
{
    char *path = in_folder("n/stored"), *content = NULL;
    fl_status status = fl__file_load(self, path, 100, &content, NULL, error);
    assert_true((status == FL_OK) == (content != NULL));
    free(content);
    free(path);
    return status;
}

static fl_status list_there(const fl__os *self, fl_error *error)
{
    fl__paths paths = FL__PATHS_INIT;
    char *path = in_folder("n");
    fl_status status = fl__folder_list(self, path, true, &paths, error);
    fl__paths_release(&paths);
    free(path);
    return status;
}

static fl_status make_there(const fl__os *self, fl_error *error)
{
    char *path = in_folder("n/deep/er");
    fl_status status = fl__folder_make(self, path, error);
    free(path);
    return status;
}

static void test_each_call_may_fail(void **state)
{
    (void)state;
    fl_status (*const cases[])(const fl__os *, fl_error *) = { make_there, store_there, load_there, list_there };
    char *parent = in_folder("n"), *stored = in_folder("n/stored");
    assert_int_equal(fl__folder_make(os, parent, NULL), FL_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl_status status = FL_ERROR_IO;
        int n = 0;
        for (bool has_failed = true; has_failed; n++) {
            failing f = { .os = fl__os_linux, .left = n };
            f.os.open = fail_open;
            f.os.read = fail_read;
            f.os.write = fail_write;
            f.os.sync = fail_sync;
            f.os.stat = fail_stat;
            f.os.list = fail_list;
            f.os.mkdir = fail_mkdir;
            f.os.rename = fail_rename;
            fl_error error = FL_ERROR_INIT;
            if (cases[i] == store_there)
                store("n/stored", "old");
            status = cases[i](&f.os, &error);
            has_failed = f.left < 0;
            /* A failure has a text; what is stored is old or new and nothing lies beside it. */
            assert_true((status == FL_OK) == (error.text == NULL));
            fl__error_release(&error);
            if (cases[i] == store_there) {
                fl__paths paths = FL__PATHS_INIT;
                char *content;
                assert_int_equal(fl__folder_list(os, parent, false, &paths, NULL), FL_OK);
                assert_int_equal(paths.count, 1);
                fl__paths_release(&paths);
                assert_int_equal(fl__file_load(os, stored, 100, &content, NULL, NULL), FL_OK);
                assert_true(strcmp(content, "old") == 0 || strcmp(content, "new content") == 0);
                assert_true(status != FL_OK || strcmp(content, "new content") == 0);
                free(content);
            }
        }
        assert_int_equal(status, FL_OK);
        assert_true(n >= 2);
    }
    free(parent);
    free(stored);
}

/* ---- sockets ---- */

static void wait_ready(fl__socket *s, bool writable)
{
    fl__waker w;
    fl__waker_init(&w);
    bool ready = writable ? fl__waker_park_fd_writable(&w, fl__waker_prepare(&w), s->fd, 5000 * (int64_t)MS)
                          : fl__waker_park_fd(&w, fl__waker_prepare(&w), s->fd, 5000 * (int64_t)MS);
    assert_true(ready);
    fl__waker_release(&w);
}

static void test_sockets(void **state)
{
    (void)state;
    fl__socket server, client, served;
    int port = 0;
    assert_int_equal(fl__socket_listen(&server, &port, NULL), FL_OK);
    assert_true(port > 0);
    assert_int_equal(fl__socket_accept(&server, &served, NULL), FL_AGAIN);
    /* localhost may mean ::1 first, where nobody listens. */
    assert_int_equal(fl__socket_connect(&client, "localhost", port, 5000, NULL), FL_OK);
    wait_ready(&server, false);
    assert_int_equal(fl__socket_accept(&server, &served, NULL), FL_OK);

    char buffer[64];
    size_t n;
    assert_int_equal(fl__socket_read(&client, buffer, sizeof buffer, &n, NULL), FL_AGAIN);
    assert_int_equal(fl__socket_write(&served, "hello", 5, &n, NULL), FL_OK);
    assert_int_equal(n, 5);
    wait_ready(&client, false);
    assert_int_equal(fl__socket_read(&client, buffer, sizeof buffer, &n, NULL), FL_OK);
    assert_int_equal(n, 5);

    static char block[1 << 16];
    fl_status status;
    while ((status = fl__socket_write(&client, block, sizeof block, &n, NULL)) == FL_OK)
        continue;
    assert_int_equal(status, FL_AGAIN);
    fl__socket_close(&served); /* with unread data: a reset */
    wait_ready(&client, true);
    while ((status = fl__socket_write(&client, block, sizeof block, &n, NULL)) == FL_OK || status == FL_AGAIN)
        continue;
    assert_int_equal(status, FL_CLOSED);
    fl__socket_close(&client);

    assert_int_equal(fl__socket_connect(&client, "127.0.0.1", port, 5000, NULL), FL_OK);
    wait_ready(&server, false);
    assert_int_equal(fl__socket_accept(&server, &served, NULL), FL_OK);
    fl__socket_close(&served);
    wait_ready(&client, false);
    assert_int_equal(fl__socket_read(&client, buffer, sizeof buffer, &n, NULL), FL_DONE);
    fl__socket_close(&client);
    fl__socket_close(&client);
    fl__socket_close(&server);

    fl_error error = FL_ERROR_INIT;
    char expected[100];
    assert_int_equal(fl__socket_connect(&client, "127.0.0.1", port, 5000, &error), FL_ERROR_IO);
    snprintf(expected, sizeof expected, "cannot connect to 127.0.0.1:%d: Connection refused", port);
    assert_string_equal(error.text, expected);
    fl__error_release(&error);
    assert_int_equal(fl__socket_connect(&client, "localhost", 70000, 5000, &error), FL_ERROR_INVALID);
    fl__error_release(&error);
    assert_int_equal(fl__socket_connect(&client, "no.such.host.invalid", 1, 5000, &error), FL_ERROR_IO);
    assert_non_null(strstr(error.text, "cannot find host no.such.host.invalid"));
    fl__error_release(&error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_waker_loses_nothing),
        cmocka_unit_test(test_waker_loses_nothing_with_a_descriptor),
        cmocka_unit_test(test_waker_under_a_million_tokens),
        cmocka_unit_test(test_waker_timeouts),
        cmocka_unit_test(test_waker_sees_a_descriptor),
        cmocka_unit_test(test_files_are_written_and_read),
        cmocka_unit_test(test_a_large_file_is_loaded_whole),
        cmocka_unit_test(test_file_errors_name_path_and_reason),
        cmocka_unit_test(test_folders_are_listed_and_globbed),
        cmocka_unit_test(test_each_call_may_fail),
        cmocka_unit_test(test_sockets),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
