/* Any file content, any split size: the splits' lines, one after the other, are exactly the file's lines. And the
 * ranges of a sequence cover it without gaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "scratch.h"

#include "connectors/file/splits.h"
#include "connectors/sequence/sequence.h"

static uint64_t random_state = 42;

static uint64_t next_random(void)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The lines as the naive reader has them, each followed by a byte that occurs nowhere else. */
static size_t naive(const char *data, size_t length, const char *delimiter, char *to)
{
    char *end = to;
    size_t width = strlen(delimiter);
    for (size_t start = 0; start < length;) {
        size_t at = start;
        while (at + width <= length && memcmp(data + at, delimiter, width) != 0)
            at++;
        bool found = at + width <= length;
        size_t stop = found ? at : length, bytes = stop - start;
        if (strcmp(delimiter, "\n") == 0 && bytes > 0 && data[stop - 1] == '\r')
            bytes--;
        memcpy(end, data + start, bytes);
        end += bytes;
        *end++ = '|';
        start = found ? at + width : length;
    }
    return (size_t)(end - to);
}

static size_t by_splits(const char *delimiter, int64_t split_bytes, char *to, size_t *splits_read)
{
    fl__paths files = FL__PATHS_INIT;
    fl__splits splits = { NULL, 0, 0 };
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__files_find(&fl__os_linux, scratch("file"), &files, &error), FL_OK);
    assert_int_equal(fl__splits_make(&splits, &fl__os_linux, &files, delimiter, split_bytes, &error), FL_OK);
    fl__split_reader reader;
    fl__split_reader_init(&reader, &fl__os_linux, delimiter, 0, NULL);
    char *end = to;
    for (size_t i = 0; i < splits.count; i++) {
        fl_string line;
        fl_status status;
        assert_int_equal(fl__split_reader_open(&reader, &splits.items[i], &error), FL_OK);
        while ((status = fl__split_reader_next(&reader, &line, &error)) == FL_OK) {
            memcpy(end, fl_string_data(&line), line.length);
            end += line.length;
            *end++ = '|';
        }
        assert_int_equal(status, FL_DONE);
    }
    *splits_read = splits.count;
    fl__split_reader_release(&reader);
    fl__splits_release(&splits);
    fl__paths_release(&files);
    return (size_t)(end - to);
}

static void test_splits(void **state)
{
    (void)state;
    static const char *const delimiters[] = { "\n", "\r\n", "ab", "abc", "\n\n", "aba" };
    static const char alphabet[] = "abc\r\nx";
    enum { LENGTH_MAX = 400 };
    char data[LENGTH_MAX], expected[2 * LENGTH_MAX], result[2 * LENGTH_MAX];
    size_t splits_all = 0;
    for (int round = 0; round < 20000; round++) {
        size_t length = next_random() % LENGTH_MAX, letters = 1 + next_random() % (sizeof alphabet - 1);
        for (size_t i = 0; i < length; i++)
            data[i] = next_random() % 8 == 0 ? '\n' : alphabet[next_random() % letters];
        scratch_put("file", "w", data, length);
        const char *delimiter = delimiters[next_random() % 6];
        size_t splits, n = naive(data, length, delimiter, expected);
        int64_t split_bytes = 1 + (int64_t)(next_random() % (next_random() % 2 ? 10 : 200));
        size_t got = by_splits(delimiter, split_bytes, result, &splits);
        assert_int_equal(got, n);
        assert_memory_equal(result, expected, n);
        splits_all += splits;
    }
    assert_true(splits_all > 100000);
}

/* Lines of all lengths around the size of a read. */
static void test_long_lines(void **state)
{
    (void)state;
    enum { SIZE = 4 * FL__LINES_READ_BYTES };
    char *data = malloc(SIZE), *expected = malloc(2 * SIZE), *result = malloc(2 * SIZE);
    for (int round = 0; round < 30; round++) {
        memset(data, 'x', SIZE);
        uint64_t gap = 1 + next_random() % (round % 2 ? 300 : SIZE);
        for (uint64_t i = next_random() % gap; i < SIZE; i += 1 + next_random() % (2 * gap))
            data[i] = '\n';
        scratch_put("file", "w", data, SIZE);
        size_t splits, n = naive(data, SIZE, "\n", expected);
        size_t got = by_splits("\n", 1 + (int64_t)(next_random() % SIZE) + 1000, result, &splits);
        assert_int_equal(got, n);
        assert_memory_equal(result, expected, n);
    }
    free(data);
    free(expected);
    free(result);
}

static void test_sequence_ranges(void **state)
{
    (void)state;
    for (int round = 0; round < 200000; round++) {
        int parallelism = 1 + (int)(next_random() % 20);
        int64_t from = (int64_t)next_random() >> (next_random() % 64), to = from;
        uint64_t more = next_random() >> (next_random() % 64);
        if (more <= (uint64_t)INT64_MAX - (uint64_t)from)
            to = (int64_t)((uint64_t)from + more);
        if (to < from)
            continue;
        uint64_t next = (uint64_t)from, least = UINT64_MAX, most = 0;
        for (int i = 0; i < parallelism; i++) {
            int64_t first;
            uint64_t count;
            fl__sequence_range(from, to, i, parallelism, &first, &count);
            assert_true((uint64_t)first == next);
            next += count;
            least = count < least ? count : least;
            most = count > most ? count : most;
        }
        assert_true(next == (uint64_t)to + 1);
        assert_true(most - least <= 1);
    }
    int64_t first;
    uint64_t count;
    fl__sequence_range(INT64_MIN, INT64_MAX, 0, 1, &first, &count);
    assert_true(first == INT64_MIN && count == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_sequence_ranges),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
