/* What stands below fl_read_text: packed files, lists of files, and files that are watched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <zlib.h>
#include <zstd.h>

#include "scratch.h"

#include "connectors/file/monitor.h"
#include "connectors/file/splits.h"

/* ---- packing ---- */

static size_t gzip(const char *text, size_t length, char *to, size_t room)
{
    z_stream z = { 0 };
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)length;
    z.next_out = (Bytef *)to;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

static size_t zstd(const char *text, size_t length, char *to, size_t room)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1); /* as the zstd program does */
    size_t n = ZSTD_compress2(context, to, room, text, length);
    assert_false(ZSTD_isError(n));
    ZSTD_freeCCtx(context);
    return n;
}

/* Unpacks a file in reads of `room` bytes; NULL and the error's text in *error when that fails. */
static char *unpack(const char *name, size_t room, size_t *length, char *error_text)
{
    fl__unpack *u = fl__unpack_new();
    fl_error error = FL_ERROR_INIT;
    char *all = malloc(1 << 22);
    *length = 0;
    fl_status status = fl__unpack_open(u, &fl__os_linux, scratch(name), &error);
    for (size_t got; status == FL_OK; *length += got)
        status = fl__unpack_read(u, all + *length, room, &got, &error);
    fl__unpack_free(u);
    snprintf(error_text, 512, "%s", error.text ? error.text : "");
    assert_int_equal(status == FL_DONE, error.text == NULL);
    fl__error_release(&error);
    if (status == FL_DONE)
        return all;
    free(all);
    return NULL;
}

static void assert_unpacks(const char *name, const char *text, size_t length)
{
    char error[512];
    for (size_t room = 1; room < 1 << 21; room = room * 37 + 1) {
        size_t got;
        if (room < 64 && length > 100000)
            continue;
        char *all = unpack(name, room, &got, error);
        assert_string_equal(error, "");
        assert_int_equal(got, length);
        assert_memory_equal(all, text, length);
        free(all);
    }
}

static char *long_text(size_t length)
{
    char *text = malloc(length);
    uint32_t r = 1;
    for (size_t i = 0; i < length; i++) {
        r = r * 1664525 + 1013904223;
        text[i] = i % 61 == 60 ? '\n' : (char)(' ' + (r >> 25) % 90);
    }
    return text;
}

static void test_unpack(void **state)
{
    (void)state;
    enum { LENGTH = 1000000, ROOM = 1 << 21 };
    char *text = long_text(LENGTH), *packed = malloc(ROOM);
    scratch_put("plain", "w", text, LENGTH);
    assert_unpacks("plain", text, LENGTH);
    scratch_put("three", "w", "abc", 3);
    assert_unpacks("three", "abc", 3);
    scratch_put("none", "w", "", 0);
    assert_unpacks("none", "", 0);

    static size_t (*const packers[])(const char *, size_t, char *, size_t) = { gzip, zstd };
    for (int i = 0; i < 2; i++) {
        size_t half = packers[i](text, LENGTH / 2, packed, ROOM);
        size_t all = half + packers[i](text + LENGTH / 2, LENGTH / 2, packed + half, ROOM - half);
        /* the name does not say what it is; two members */
        scratch_put("packed", "w", packed, all);
        assert_unpacks("packed", text, LENGTH);
        /* a member with nothing in it */
        size_t empty = packers[i]("", 0, packed, ROOM);
        scratch_put("packed", "w", packed, empty);
        scratch_put("packed", "a", packed, empty);
        assert_unpacks("packed", "", 0);
    }
    size_t n = gzip("padded", 6, packed, ROOM);
    memset(packed + n, 0, 1000);
    scratch_put("padded.gz", "w", packed, n + 1000);
    assert_unpacks("padded.gz", "padded", 6);
    free(text);
    free(packed);
}

static void test_unpack_damaged(void **state)
{
    (void)state;
    enum { LENGTH = 100000, ROOM = 1 << 20 };
    char *text = long_text(LENGTH), *packed = malloc(ROOM), error[512], expected[512];
    size_t got;
    static size_t (*const packers[])(const char *, size_t, char *, size_t) = { gzip, zstd };
    static const char *const names[] = { "cut.gz", "cut.zst" };
    for (int i = 0; i < 2; i++) {
        size_t n = packers[i](text, LENGTH, packed, ROOM);
        for (size_t cut = 0; cut < n; cut += cut < 20 || cut > n - 20 ? 1 : n / 50) {
            scratch_put(names[i], "w", packed, cut);
            assert_null(unpack(names[i], 4096, &got, error));
            snprintf(expected, sizeof expected, "cannot unpack %s: the %s data is cut off: the file ends at byte %zu",
                scratch(names[i]), i ? "zstd" : "gzip", cut);
            assert_memory_equal(error, expected, strlen(expected));
        }
        packed[n / 2] ^= 0x55;
        packed[n / 2 + 1] ^= 0x55;
        scratch_put(names[i], "w", packed, n);
        assert_null(unpack(names[i], 4096, &got, error));
        assert_non_null(strstr(error, "damaged"));
    }
    /* called packed, and is not */
    scratch_write("text.gz", "no gzip at all\n");
    assert_null(unpack("text.gz", 4096, &got, error));
    assert_non_null(strstr(error, "text.gz: damaged gzip data"));
    scratch_write("text.zst", "no zstd at all\n");
    assert_null(unpack("text.zst", 4096, &got, error));
    assert_non_null(strstr(error, "text.zst: damaged zstd data"));
    free(text);
    free(packed);
}

static void test_unpack_missing(void **state)
{
    (void)state;
    char error[512];
    size_t got;
    assert_null(unpack("nothing-here", 10, &got, error));
    assert_non_null(strstr(error, "No such file or directory"));
}

/* ---- lists of files ---- */

static void assert_found(const char *pattern, const char *expected)
{
    fl__paths files = FL__PATHS_INIT;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__files_find(&fl__os_linux, scratch(pattern), &files, &error), FL_OK);
    char all[1024] = "", *end = all;
    for (size_t i = 0; i < files.count; i++)
        end += sprintf(end, "%s ", files.items[i].path + strlen(scratch_folder) + 1);
    assert_string_equal(all, expected);
    fl__paths_release(&files);
}

static void test_find(void **state)
{
    (void)state;
    scratch_mkdir("in");
    scratch_mkdir("in/b");
    scratch_mkdir("in/b/.hidden");
    scratch_mkdir("in/_temporary");
    for (const char *const *name = (const char *const[]){ "in/a.log", "in/.a.log", "in/_SUCCESS", "in/b/c.log",
             "in/b/_d.log", "in/b/.hidden/e.log", "in/_temporary/f.log", "in/z[1].log", NULL };
         *name; name++)
        scratch_write(*name, "x\n");
    assert_found("in/a.log", "in/a.log ");
    assert_found("in/_SUCCESS", "in/_SUCCESS ");
    assert_found("in/.a.log", "in/.a.log ");
    assert_found("in", "in/a.log in/b/c.log in/z[1].log ");
    assert_found("in/*.log", "in/a.log in/z[1].log ");
    assert_found("in/_*", "in/_SUCCESS in/_temporary/f.log ");
    assert_found("i?/*", "in/a.log in/b/c.log in/z[1].log ");
    assert_found("in/z[1].log", "in/z[1].log ");
    assert_found("in/nothing*", "");

    fl__paths files = FL__PATHS_INIT;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__files_find(&fl__os_linux, scratch("in/nothing"), &files, &error), FL_ERROR_IO);
    assert_non_null(strstr(error.text, "in/nothing: No such file or directory"));
    fl__error_release(&error);
    assert_int_equal(symlink("nowhere", scratch("dangling")), 0);
    assert_int_equal(fl__files_find(&fl__os_linux, scratch("dangling"), &files, &error), FL_ERROR_IO);
    fl__error_release(&error);
    assert_int_equal(fl__files_find(&fl__os_linux, scratch("in/a.log/b"), &files, &error), FL_ERROR_IO);
    assert_non_null(strstr(error.text, "Not a directory"));
    fl__error_release(&error);
}

static void test_cuts(void **state)
{
    (void)state;
    fl__paths files = FL__PATHS_INIT;
    fl_error error = FL_ERROR_INIT;
    char data[1000];
    memset(data, 'x', sizeof data);
    scratch_put("cuts-a", "w", data, 150);
    scratch_put("cuts-b", "w", data, 151);
    data[0] = 0x1f, data[1] = (char)0x8b;
    scratch_put("cuts-c", "w", data, 1000);
    assert_int_equal(fl__files_find(&fl__os_linux, scratch("cuts-*"), &files, &error), FL_OK);
    fl__splits splits = { NULL, 0, 0 };
    assert_int_equal(fl__splits_make(&splits, &fl__os_linux, &files, "\n", 100, &error), FL_OK);
    assert_int_equal(splits.count, 4);
    static const int64_t expected[][3] = { { 0, INT64_MAX, 1 }, { 0, 100, 0 }, { 100, INT64_MAX, 0 },
        { 0, INT64_MAX, 1 } };
    for (int i = 0; i < 4; i++) {
        assert_int_equal(splits.items[i].start, expected[i][0]);
        assert_int_equal(splits.items[i].end, expected[i][1]);
        assert_int_equal(splits.items[i].is_whole, expected[i][2]);
    }
    fl__splits_release(&splits);
    assert_int_equal(fl__splits_make(&splits, &fl__os_linux, &files, "\n\n", 100, &error), FL_OK);
    assert_int_equal(splits.count, 3);
    fl__splits_release(&splits);
    fl__paths_release(&files);
}

static void test_too_long(void **state)
{
    (void)state;
    scratch_write("long", "short\n123456789\nshort\n");
    fl__split_reader reader;
    fl_error error = FL_ERROR_INIT;
    fl_string line;
    fl__split_reader_init(&reader, &fl__os_linux, "\n", 8, NULL);
    assert_int_equal(fl__split_reader_open(
                         &reader, &(fl__split){ .path = scratch("long"), .end = INT64_MAX, .is_whole = true }, &error),
        FL_OK);
    assert_int_equal(fl__split_reader_next(&reader, &line, &error), FL_OK);
    assert_int_equal(fl__split_reader_next(&reader, &line, &error), FL_ERROR_LIMIT);
    assert_non_null(strstr(error.text, "/long: the line that begins at byte 6 is longer than 8 bytes"));
    fl__error_release(&error);
    fl__split_reader_release(&reader);
}

/* ---- watching ---- */

/* Looks once and reads what is due; "name:line,line name:…". */
static const char *look(fl__monitor *monitor, fl__split_reader *reader)
{
    static char result[1024];
    char *end = result;
    *end = 0;
    fl_error error = FL_ERROR_INIT;
    fl_string line;
    assert_int_equal(fl__monitor_look(monitor, &error), FL_OK);
    for (fl__watched *file; (file = fl__monitor_next(monitor));) {
        fl_status status = file->is_packed
                               ? fl__split_reader_open(reader,
                                     &(fl__split){ .path = file->path, .end = INT64_MAX, .is_whole = true }, &error)
                               : fl__split_reader_open_tail(reader, file->path, file->offset, &error);
        assert_int_equal(status, FL_OK);
        end += sprintf(end, "%s:", strrchr(file->path, '/') + 1);
        while ((status = fl__split_reader_next(reader, &line, &error)) == FL_OK)
            end += sprintf(end, "%.*s,", FL_STR(line));
        assert_int_equal(status, FL_DONE);
        end += sprintf(end, " ");
        fl__monitor_was_read(file, fl__split_reader_offset(reader), reader->at);
    }
    return result;
}

static void test_watch(void **state)
{
    (void)state;
    fl__monitor monitor;
    fl__split_reader reader;
    scratch_mkdir("watch");
    char folder[256];
    strcpy(folder, scratch("watch"));
    fl__monitor_init(&monitor, &fl__os_linux, folder, 0, 1);
    fl__split_reader_init(&reader, &fl__os_linux, "\n", 0, NULL);
    assert_string_equal(look(&monitor, &reader), "");
    scratch_write("watch/b", "one\ntwo\nthr");
    scratch_write("watch/_c", "no\n");
    assert_string_equal(look(&monitor, &reader), "b:one,two, ");
    assert_string_equal(look(&monitor, &reader), "");
    scratch_append("watch/b", "ee\n");
    scratch_write("watch/a", "new\n");
    assert_string_equal(look(&monitor, &reader), "a:new, b:three, ");
    assert_string_equal(look(&monitor, &reader), "");
    scratch_write("watch/b", "anew\n"); /* shorter: written again */
    scratch_write("watch/e", "");
    assert_string_equal(look(&monitor, &reader), "b:anew, ");
    assert_int_equal(unlink(scratch("watch/b")), 0);
    assert_string_equal(look(&monitor, &reader), "");
    scratch_write("watch/b", "again\n");
    assert_string_equal(look(&monitor, &reader), "b:again, ");
    /* packed: once it has stopped to grow */
    char packed[200];
    size_t n = gzip("packed\nlines", 12, packed, sizeof packed);
    scratch_put("watch/p.gz", "w", packed, n / 2);
    assert_string_equal(look(&monitor, &reader), "");
    scratch_put("watch/p.gz", "a", packed + n / 2, n - n / 2);
    assert_string_equal(look(&monitor, &reader), "");
    assert_string_equal(look(&monitor, &reader), "p.gz:packed,lines, ");
    assert_string_equal(look(&monitor, &reader), "");
    fl__monitor_release(&monitor);
    fl__split_reader_release(&reader);
}

/* Each file has exactly one reader, whatever the parallelism. */
static void test_watch_shares(void **state)
{
    (void)state;
    scratch_mkdir("shares");
    char folder[256], name[32];
    strcpy(folder, scratch("shares"));
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "shares/%d", i);
        scratch_write(name, "x\n");
    }
    for (int parallelism = 1; parallelism <= 5; parallelism++) {
        size_t sum = 0;
        for (int subtask = 0; subtask < parallelism; subtask++) {
            fl__monitor monitor;
            fl_error error = FL_ERROR_INIT;
            fl__monitor_init(&monitor, &fl__os_linux, folder, subtask, parallelism);
            assert_int_equal(fl__monitor_look(&monitor, &error), FL_OK);
            sum += monitor.count;
            assert_true(monitor.count > 0);
            fl__monitor_release(&monitor);
        }
        assert_int_equal(sum, 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpack),
        cmocka_unit_test(test_unpack_damaged),
        cmocka_unit_test(test_unpack_missing),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_watch_shares),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
