/* Spools, spill files and the external sorter, below the tasks that use them: random rows, tiny budgets, full disks,
 * damaged files. */
#include <flinc.h>

#include "os/file.h"
#include "stream/sorter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    fl_string name;
    int64_t number;
    fl_string text;
} Row;
FL_ROW(Row, name, number, text);

typedef struct place {
    fl__memory memory;
    fl__arena arena;
    fl__spill spill;
    fl__key key;
    fl__layout layout;
    uint64_t random;
} place;

static void enter(place *p, const fl__os *os, const char *folders)
{
    memset(p, 0, sizeof *p);
    fl__memory_init(&p->memory, "test", NULL, 0);
    fl__arena_init(&p->arena, &p->memory);
    fl__spill_init(&p->spill, os, &p->memory, &p->arena, folders);
    const char *name = "name";
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__key_init_fields(&p->key, &p->arena, FL_TYPE(Row), &name, NULL, 1, &error), FL_OK);
    fl__layout_init(&p->layout, FL_TYPE(Row));
    p->random = 42;
}

static void leave(place *p)
{
    fl__spill_release(&p->spill);
    fl__arena_release(&p->arena);
    assert_int_equal(fl__memory_used(&p->memory), 0);
}

static uint64_t draw(place *p, uint64_t n)
{
    p->random += UINT64_C(0x9e3779b97f4a7c15);
    return fl__mix64(p->random) % n;
}

static fl__sorter *new_sorter(place *p, int64_t bytes_max, bool has_timestamps)
{
    return fl__sorter_new(&(fl__sorter_options){ .spill = &p->spill,
        .memory = &p->memory,
        .type = FL_TYPE(Row),
        .key = &p->key,
        .has_timestamps = has_timestamps,
        .segment_size = 4096,
        .bytes_max = bytes_max });
}

/* Text of up to max bytes that follows from the number. */
static fl_string text_of(int64_t number, char *buffer, size_t max)
{
    size_t length = (size_t)(fl__mix64((uint64_t)number) % (max + 1));
    for (size_t i = 0; i < length; i++)
        buffer[i] = (char)('a' + (number + (int64_t)i) % 26);
    return fl_string_of(buffer, length);
}

enum { KEYS = 200 };

/* Every row must come once, keys together, and within a key by timestamp, then by number, which is the order of
 * arrival. hash_bits: few make different keys of one hash. */
static void sort_random(uint64_t rows, int64_t bytes_max, bool has_timestamps, int hash_bits, uint32_t runs_min)
{
    place p;
    enter(&p, &fl__os_linux, NULL);
    fl__sorter *sorter = new_sorter(&p, bytes_max, has_timestamps);
    char *buffer = malloc(10000), name[64];
    for (uint64_t i = 0; i < rows; i++) {
        snprintf(name, sizeof name, "%s%d", i % 3 ? "k" : "a key of some length ", (int)draw(&p, KEYS));
        Row row = { fl_string_of(name, strlen(name)), (int64_t)i,
            text_of((int64_t)i, buffer, i % 500 == 3 ? 9999 : 30) };
        uint64_t hash = fl__key_hash(&p.key, &row.name) >> (64 - hash_bits) << (64 - hash_bits);
        fl__sorter_add(sorter, &row, hash, has_timestamps ? (fl_time)draw(&p, 50) : FL_NO_TIMESTAMP);
    }
    assert_true(fl__sorter_runs(sorter) >= runs_min);
    fl__sorter_end(sorter);
    char seen[2 * KEYS][64];
    int seen_count = 0;
    bool *was = calloc(rows + 1, sizeof *was);
    char last[64] = "";
    fl_time time = FL_TIME_MIN;
    int64_t number = -1;
    uint64_t count = 0;
    for (const fl__sorted_row *r; (r = fl__sorter_peek(sorter)) != NULL; fl__sorter_next(sorter), count++) {
        const Row *row = (const Row *)(const void *)r->row;
        assert_true(fl_string_equal(row->text, text_of(row->number, buffer, row->number % 500 == 3 ? 9999 : 30)));
        fl_string_copy(&row->name, name, sizeof name);
        if (strcmp(name, last) != 0) {
            for (int s = 0; s < seen_count; s++)
                assert_string_not_equal(seen[s], name);
            strcpy(seen[seen_count++], name);
            strcpy(last, name);
        } else {
            assert_true(r->timestamp > time || (r->timestamp == time && row->number > number));
        }
        time = r->timestamp;
        number = row->number;
        assert_false(was[number]);
        was[number] = true;
    }
    assert_int_equal(fl__sorter_error(sorter)->status, FL_OK);
    assert_int_equal(count, rows);
    assert_int_equal(fl__sorter_rows(sorter), rows);
    free(was);
    free(buffer);
    fl__sorter_free(sorter);
    leave(&p);
}

static void test_sorter(void **state)
{
    (void)state;
    sort_random(0, 1 << 20, true, 64, 0);
    sort_random(1, 0, true, 64, 0);
    sort_random(5000, 64 << 20, true, 64, 0);
    sort_random(5000, 64 << 20, false, 64, 0);
    sort_random(5000, 64 << 20, true, 3, 0);
    sort_random(5000, 0, true, 64, 20);
    sort_random(5000, 0, false, 3, 20);
    sort_random(20000, 200000, true, 64, 5);
    sort_random(20000, 200000, false, 20, 5);
}

/* ---- spools ---- */

static fl__batch *batch_of(place *p, int64_t number)
{
    fl__batch *batch = fl__batch_new(&p->memory, FL_TYPE(Row), FL__COLUMN_HASH, 4096);
    char buffer[64];
    while (batch->count < 20) {
        Row row = { fl_string_of("name", 4), number, text_of(number, buffer, 60) };
        assert_true(fl__batch_append(batch, &p->layout, &row));
        fl__batch_hashes(batch)[batch->count - 1] = (uint64_t)number++;
    }
    return batch;
}

static void check_batch(const fl__batch *batch, int64_t number)
{
    char buffer[64];
    assert_int_equal(batch->count, 20);
    for (uint32_t i = 0; i < batch->count; i++, number++) {
        const Row *row = (const Row *)(const void *)fl__batch_row(batch, i);
        assert_int_equal(row->number, number);
        assert_int_equal(fl__batch_hashes(batch)[i], number);
        assert_true(fl_string_equal(row->text, text_of(number, buffer, 60)));
    }
}

static void test_spool(void **state)
{
    (void)state;
    static const int64_t budgets[] = { 0, 3 * 4096, 1 << 20 };
    for (size_t b = 0; b < 3; b++) {
        place p;
        enter(&p, &fl__os_linux, NULL);
        p.spill.spool_bytes_max = budgets[b];
        fl__spool spool;
        fl__spill_file file;
        fl__spill_file_init(&file, &p.spill);
        fl__spill_add_file(&p.spill, &file);
        fl__spool_init(&spool, &p.spill, FL_TYPE(Row), &file);
        for (int i = 0; i < 50; i++) {
            fl__batch *batch = batch_of(&p, i * 20);
            bool is_kept = fl__spool_add(&spool, batch);
            assert_int_equal(is_kept, (i + 1) * 4096 <= budgets[b]);
            if (!is_kept)
                fl__batch_free(batch);
        }
        fl__spool_end(&spool);
        assert_int_equal(atomic_load(&p.spill.bytes_written) > 0, b < 2);
        int n = 0;
        for (fl__batch *batch; n < 40 && (batch = fl__spool_next(&spool)) != NULL; n++) {
            check_batch(batch, n * 20);
            fl__spool_give_back(&spool, batch);
        }
        assert_int_equal(n, 40); /* the rest goes with the spool */
        fl__spool_release(&spool);
        assert_int_equal(atomic_load(&p.spill.spool_used), 0);
        leave(&p);
    }
}

/* Two of one sender: their frames lie among each other in one file. */
static void test_shared_file(void **state)
{
    (void)state;
    place p;
    enter(&p, &fl__os_linux, NULL);
    fl__spill_file file;
    fl__spill_file_init(&file, &p.spill);
    fl__spill_add_file(&p.spill, &file);
    fl__spool spools[2];
    for (int s = 0; s < 2; s++)
        fl__spool_init(&spools[s], &p.spill, FL_TYPE(Row), &file);
    for (int i = 0; i < 60; i++) {
        fl__batch *batch = batch_of(&p, i * 20);
        assert_false(fl__spool_add(&spools[i % 3 == 0], batch));
        fl__batch_free(batch);
    }
    for (int s = 0; s < 2; s++)
        fl__spool_end(&spools[s]);
    for (int i = 0; i < 60; i++) {
        fl__batch *batch = fl__spool_next(&spools[i % 3 == 0]);
        check_batch(batch, i * 20);
        fl__spool_give_back(&spools[i % 3 == 0], batch);
    }
    for (int s = 0; s < 2; s++) {
        assert_null(fl__spool_next(&spools[s]));
        assert_int_equal(spools[s].error.status, FL_OK);
        fl__spool_release(&spools[s]);
    }
    leave(&p);
}

/* ---- disks ---- */

typedef struct bad_os {
    fl__os os;
    int64_t writable; /* bytes; then the disk is full */
    bool flips;       /* a bit of what is read is wrong */
} bad_os;

static ssize_t bad_write(const fl__os *os, int fd, const void *data, size_t size)
{
    bad_os *bad = (bad_os *)(uintptr_t)os;
    bad->writable -= (int64_t)size;
    return bad->writable < 0 ? -ENOSPC : fl__os_linux.write(&fl__os_linux, fd, data, size);
}

static ssize_t bad_pread(const fl__os *os, int fd, void *buffer, size_t size, int64_t offset)
{
    ssize_t n = fl__os_linux.pread(&fl__os_linux, fd, buffer, size, offset);
    if (((const bad_os *)os)->flips && n > 100)
        ((char *)buffer)[n / 2] ^= 4;
    return n;
}

static bad_os new_bad_os(void)
{
    bad_os bad = { .os = fl__os_linux, .writable = INT64_MAX };
    bad.os.write = bad_write;
    bad.os.pread = bad_pread;
    return bad;
}

static void test_full_disk(void **state)
{
    (void)state;
    bad_os bad = new_bad_os();
    place p;
    enter(&p, &bad.os, NULL);
    bad.writable = 300000;
    fl__sorter *sorter = new_sorter(&p, 0, false);
    fl__spool spool;
    fl__spill_file file;
    fl__spill_file_init(&file, &p.spill);
    fl__spill_add_file(&p.spill, &file);
    fl__spool_init(&spool, &p.spill, FL_TYPE(Row), &file);
    for (int i = 0; i < 20000; i++)
        fl__sorter_add(sorter, &(Row){ fl_string_of("k", 1), i, fl_string_of("text", 4) }, (uint64_t)i, 0);
    fl__sorter_end(sorter);
    assert_null(fl__sorter_peek(sorter));
    assert_int_equal(fl__sorter_error(sorter)->status, FL_ERROR_IO);
    assert_non_null(strstr(fl__sorter_error(sorter)->text, "No space left on device"));
    assert_non_null(strstr(fl__sorter_error(sorter)->text, "io.tmp.dirs"));
    for (int i = 0; i < 100; i++) {
        fl__batch *batch = batch_of(&p, i);
        assert_false(fl__spool_add(&spool, batch));
        fl__batch_free(batch);
    }
    fl__spool_end(&spool);
    assert_int_equal(spool.error.status, FL_ERROR_IO);
    assert_null(fl__spool_next(&spool));
    fl__spool_release(&spool);
    fl__sorter_free(sorter);
    leave(&p);
}

static void test_damage(void **state)
{
    (void)state;
    bad_os bad = new_bad_os();
    place p;
    enter(&p, &bad.os, NULL);
    fl__spool spool;
    fl__spill_file file;
    fl__spill_file_init(&file, &p.spill);
    fl__spill_add_file(&p.spill, &file);
    fl__spool_init(&spool, &p.spill, FL_TYPE(Row), &file);
    for (int i = 0; i < 5; i++) {
        fl__batch *batch = batch_of(&p, i * 20);
        assert_false(fl__spool_add(&spool, batch));
        fl__batch_free(batch);
    }
    fl__spool_end(&spool);
    fl__batch *batch = fl__spool_next(&spool);
    check_batch(batch, 0);
    fl__spool_give_back(&spool, batch);
    bad.flips = true;
    assert_null(fl__spool_next(&spool));
    assert_int_equal(spool.error.status, FL_ERROR_CORRUPT);
    assert_non_null(strstr(spool.error.text, "frame at byte"));
    fl__spool_release(&spool);
    leave(&p);
}

static void test_folders(void **state)
{
    (void)state;
    place p;
    enter(&p, &fl__os_linux, "/tmp, /var/tmp:/tmp");
    assert_int_equal(p.spill.folder_count, 3);
    assert_string_equal(p.spill.folders[1], "/var/tmp");
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__spill_check(&p.spill, &error), FL_OK);
    leave(&p);
    enter(&p, &fl__os_linux, "/nowhere");
    assert_int_equal(fl__spill_check(&p.spill, &error), FL_ERROR_IO);
    assert_non_null(strstr(error.text, "/nowhere"));
    fl__error_release(&error);
    fl__spool spool; /* and when the check was left out */
    fl__spill_file file;
    fl__spill_file_init(&file, &p.spill);
    fl__spill_add_file(&p.spill, &file);
    fl__spool_init(&spool, &p.spill, FL_TYPE(Row), &file);
    fl__batch *batch = batch_of(&p, 0);
    assert_false(fl__spool_add(&spool, batch));
    fl__batch_free(batch);
    assert_int_equal(spool.error.status, FL_ERROR_IO);
    fl__spool_release(&spool);
    leave(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorter),
        cmocka_unit_test(test_spool),
        cmocka_unit_test(test_shared_file),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
