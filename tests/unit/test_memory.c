#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/memory.h"

static void test_accounts_count_up_to_the_root(void **state)
{
    (void)state;
    fl__memory job, task;
    int64_t process = fl__memory_used(&fl__memory_process);
    fl__memory_init(&job, "job", &fl__memory_process, 1000);
    fl__memory_init(&task, "task", &job, 0);
    void *p = fl__alloc(&task, 600), *q = fl__alloc_zero(&job, 300), *r = fl__alloc_aligned(&task, 256, 100);
    assert_int_equal((uintptr_t)r % 256, 0);
    assert_int_equal(fl__memory_used(&task), 700);
    assert_int_equal(fl__memory_used(&job), 1000);
    assert_int_equal(fl__memory_used(&fl__memory_process), process + 1000);
    assert_false(fl__memory_over(&task));
    p = fl__realloc(&task, p, 600, 601);
    assert_true(fl__memory_over(&task)); /* an account above is */
    assert_true(fl__memory_over(&job));
    p = fl__realloc(&task, p, 601, 50);
    assert_false(fl__memory_over(&task));
    for (int i = 0; i < 300; i++)
        assert_int_equal(((char *)q)[i], 0);
    fl__free(&task, p, 50);
    fl__free(&job, q, 300);
    fl__free(&task, r, 100);
    fl__free(&task, NULL, 1000);
    assert_int_equal(fl__memory_used(&task), 0);
    assert_int_equal(fl__memory_used(&job), 0);
    void *empty = fl__alloc(NULL, 0), *grown = fl__realloc(NULL, NULL, 0, 10);
    assert_non_null(empty);
    assert_int_equal(fl__memory_used(&fl__memory_process), process + 10);
    fl__free(NULL, empty, 0);
    fl__free(NULL, grown, 10);
    assert_int_equal(fl__memory_used(&fl__memory_process), process);
}

static void test_arena(void **state)
{
    (void)state;
    fl__memory account;
    fl__memory_init(&account, "test", NULL, 0);
    fl__arena arena;
    fl__arena_init(&arena, &account);
    fl__arena_release(&arena); /* an empty one too */
    char *blocks[200];
    for (size_t i = 0; i < 200; i++) {
        size_t size = i == 150 ? 100000 : i;
        blocks[i] = fl__arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t j = 0; j < size; j++)
            assert_int_equal(blocks[i][j], 0);
        memset(blocks[i], (int)i, size);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_equal((unsigned char)blocks[i][j], i); /* nobody wrote over it */
    assert_string_equal(fl__arena_strdup(&arena, "text"), "text");
    assert_null(fl__arena_strdup(&arena, NULL));
    assert_string_equal(fl__arena_printf(&arena, "%d %s", 5, "words"), "5 words");
    assert_memory_equal(fl__arena_memdup(&arena, "a\0b", 3), "a\0b", 3);
    assert_true(fl__memory_used(&account) > 100000);
    fl__arena_release(&arena);
    assert_int_equal(fl__memory_used(&account), 0);
    assert_non_null(fl__arena_alloc(&arena, 1)); /* usable again */
    fl__arena_release(&arena);
}

enum { CELLS = 500 };

static void test_heap_against_a_list(void **state)
{
    (void)state;
    fl__memory account;
    fl__memory_init(&account, "test", NULL, 0);
    fl__heap *heap = fl__heap_new(&account);
    struct {
        unsigned char *p;
        size_t size;
    } cells[CELLS] = { { NULL, 0 } };
    unsigned seed = 7;
    for (int round = 0; round < 50000; round++) {
        size_t i = (size_t)rand_r(&seed) % CELLS;
        if (cells[i].p) {
            for (size_t j = 0; j < cells[i].size; j++)
                assert_int_equal(cells[i].p[j], (unsigned char)i);
            fl__heap_free(heap, cells[i].p, cells[i].size);
            cells[i].p = NULL;
        } else {
            cells[i].size = (size_t)rand_r(&seed) % (rand_r(&seed) % 10 ? 100 : 3000);
            cells[i].p = fl__heap_alloc(heap, cells[i].size);
            assert_int_equal((uintptr_t)cells[i].p % 16, 0);
            memset(cells[i].p, (int)i, cells[i].size);
        }
    }
    for (size_t i = 0; i < CELLS; i++)
        if (i % 2)
            fl__heap_free(heap, cells[i].p, cells[i].size);
    assert_true(fl__heap_live(heap) > 0);
    fl__heap_free_all(heap); /* what is left goes with it */
    assert_int_equal(fl__memory_used(&account), 0);
    fl__heap_free_all(NULL);
}

static void test_heap_uses_freed_cells_again(void **state)
{
    (void)state;
    fl__memory account;
    fl__memory_init(&account, "test", NULL, 0);
    fl__heap *heap = fl__heap_new(&account);
    int64_t after_first = 0;
    for (int round = 0; round < 100; round++) {
        void *cells[100];
        for (size_t i = 0; i < 100; i++)
            cells[i] = fl__heap_alloc(heap, i * 20);
        for (size_t i = 0; i < 100; i++)
            fl__heap_free(heap, cells[i], i * 20);
        assert_int_equal(fl__heap_live(heap), 0);
        if (round == 0)
            after_first = fl__memory_used(&account);
        assert_int_equal(fl__memory_used(&account), after_first);
    }
    fl__heap_free_all(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accounts_count_up_to_the_root),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_heap_against_a_list),
        cmocka_unit_test(test_heap_uses_freed_cells_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
