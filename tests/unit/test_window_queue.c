/* The queue of windows that are due, against an array that is searched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "operators/window_queue.h"

#include <stdlib.h>

enum { ITEMS = 4000 };

static uint64_t random_state = 1;
static uint64_t random_next(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

typedef struct naive {
    fl__window_due items[ITEMS]; /* in the order in which they were put in */
    size_t count;
} naive;

/* The earliest, of one time the first. Times before floor count as floor. */
static size_t earliest(const naive *n, fl_time floor)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < n->count; i++) {
        fl_time time = n->items[i].time < floor ? floor : n->items[i].time;
        fl_time than = best == SIZE_MAX ? 0 : n->items[best].time < floor ? floor : n->items[best].time;
        if (best == SIZE_MAX || time < than)
            best = i;
    }
    return best;
}

static void remove_at(naive *n, size_t i)
{
    for (n->count--; i < n->count; i++)
        n->items[i] = n->items[i + 1];
}

static bool is_even(void *context, const fl__window_due *due)
{
    (void)context;
    return due->window % 2 == 0;
}

static void run(fl_time start, uint64_t span)
{
    fl__memory memory;
    fl__memory_init(&memory, "queue", NULL, 0);
    fl__window_queue queue;
    fl__window_queue_init(&queue, &memory);
    naive *n = calloc(1, sizeof *n);
    fl_time limit = start, last = FL_TIME_MIN;
    uint32_t number = 0;
    for (int round = 0; round < 60; round++) {
        for (uint64_t k = random_next() % 60; k > 0 && n->count < ITEMS; k--) {
            fl__window_due due = { (fl_time)((uint64_t)limit + random_next() % span), number++, 7 };
            if (due.time < limit) /* wrapped around */
                due.time = FL_TIME_MAX;
            if (random_next() % 20 == 0)
                due.time = start; /* long ago */
            fl__window_queue_put(&queue, due.time, due.window, due.key);
            n->items[n->count++] = due;
        }
        if (round % 10 == 9) {
            fl__window_queue_sweep(&queue, is_even, NULL);
            for (size_t i = n->count; i-- > 0;) {
                if (n->items[i].window % 2)
                    remove_at(n, i);
            }
        }
        fl_time next = (fl_time)((uint64_t)limit + random_next() % (span / 4));
        limit = next < limit ? FL_TIME_MAX : next;
        fl__window_due got;
        while (fl__window_queue_take(&queue, limit, &got)) {
            size_t i = earliest(n, last);
            assert_true(i != SIZE_MAX);
            assert_true(got.window == n->items[i].window && got.time == n->items[i].time && got.key == 7);
            last = got.time > last ? got.time : last;
            remove_at(n, i);
        }
        for (size_t i = 0; i < n->count; i++)
            assert_true(n->items[i].time > limit);
        assert_int_equal(queue.count, n->count);
        size_t i = earliest(n, last);
        assert_int_equal(fl__window_queue_next(&queue), i == SIZE_MAX ? FL_TIME_MAX : n->items[i].time);
    }
    fl__window_queue_clear(&queue);
    assert_int_equal(fl__window_queue_next(&queue), FL_TIME_MAX);
    fl__window_queue_release(&queue);
    assert_int_equal(fl__memory_used(&memory), 0);
    free(n);
}

static void test_in_order_of_time(void **state)
{
    (void)state;
    static const struct {
        fl_time start;
        uint64_t span;
    } cases[] = { { 0, 1000 }, { -500, 1000 }, { 1577836800000, 100000 }, { FL_TIME_MIN, UINT64_C(1) << 58 },
        { FL_TIME_MAX - 5000, 1000 }, { -3, 8 }, { FL_TIME_MIN + 1, 64 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int repeat = 0; repeat < 20; repeat++)
            run(cases[i].start, cases[i].span);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
