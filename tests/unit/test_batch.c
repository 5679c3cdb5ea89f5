#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "data/batch.h"

typedef struct {
    int64_t key, value;
} Pair;
FL_ROW(Pair, key, value);

typedef struct {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

typedef struct {
    fl_nulls nulls;
    fl_string name;
    fl_array words;
} Sentence;
FL_ROW(Sentence, nulls, name, (words, .element = FL_TYPE(fl_string)));

typedef struct {
    char bytes[10000];
} Big;
FL_ROW(Big, (bytes, .raw = true));

static const char long_word[] = "a word of more than twelve bytes";

static fl__layout layout_of(const fl_type *type)
{
    fl__layout layout;
    fl__layout_init(&layout, type);
    return layout;
}

static void test_layouts(void **state)
{
    (void)state;
    fl__layout flat = layout_of(FL_TYPE(Pair)), strings = layout_of(FL_TYPE(WordCount)),
               general = layout_of(FL_TYPE(Sentence));
    assert_true(flat.is_flat);
    assert_false(flat.only_strings);
    assert_false(strings.is_flat);
    assert_true(strings.only_strings);
    assert_int_equal(strings.string_count, 1);
    assert_int_equal(strings.string_offsets[0], offsetof(WordCount, word));
    assert_false(general.is_flat);
    assert_false(general.only_strings);
    fl__layout scalar = layout_of(FL_TYPE(fl_string));
    assert_true(scalar.only_strings && scalar.string_count == 1 && scalar.string_offsets[0] == 0);
}

static void test_flat_rows_fill_the_segment(void **state)
{
    (void)state;
    static const struct {
        uint32_t columns, bytes;
    } cases[] = { { 0, 0 }, { FL__COLUMN_TIMESTAMP, 8 }, { FL__COLUMN_HASH, 8 }, { FL__COLUMN_KIND, 1 },
        { FL__COLUMN_TIMESTAMP | FL__COLUMN_HASH | FL__COLUMN_KIND, 17 } };
    fl__layout layout = layout_of(FL_TYPE(Pair));
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        fl__batch *batch = fl__batch_new(NULL, FL_TYPE(Pair), cases[c].columns, 32768);
        assert_int_equal(batch->size, 32768);
        assert_true(batch->capacity >= (32768 - sizeof(fl__batch) - 8) / (16 + cases[c].bytes));
        for (uint32_t i = 0; i < batch->capacity; i++) {
            assert_true(fl__batch_append(batch, &layout, &(Pair){ i, -(int64_t)i }));
            if (fl__batch_has(batch, FL__COLUMN_TIMESTAMP))
                fl__batch_timestamps(batch)[i] = i;
            if (fl__batch_has(batch, FL__COLUMN_HASH))
                fl__batch_hashes(batch)[i] = i + 1;
            if (fl__batch_has(batch, FL__COLUMN_KIND))
                fl__batch_kinds(batch)[i] = FL__DELETE;
        }
        assert_false(fl__batch_append(batch, &layout, &(Pair){ 0, 0 }));
        assert_int_equal(batch->count, batch->capacity);
        for (uint32_t i = 0; i < batch->count; i++)
            assert_int_equal(
                ((Pair *)fl__batch_row(batch, i))->value, -(int64_t)i); /* no column reaches into the rows */
        assert_true(fl__batch_check(batch, FL_TYPE(Pair), batch->size));
        fl__batch_clear(batch);
        assert_int_equal(batch->count, 0);
        fl__batch_free(batch);
    }
    fl__batch_free(NULL);
}

static void test_large_rows_get_a_larger_segment(void **state)
{
    (void)state;
    fl__batch *batch = fl__batch_new(NULL, FL_TYPE(Big), 0, 4096);
    assert_int_equal(batch->capacity, 2);
    assert_true(batch->size >= 20000);
    fl__batch_free(batch);
    assert_null(fl__batch_new_large(NULL, FL_TYPE(WordCount), 0, FL__BATCH_BYTES_MAX));
    assert_null(fl__batch_new_large(NULL, FL_TYPE(WordCount), 0, SIZE_MAX));
}

static void test_strings_are_copied_into_the_heap(void **state)
{
    (void)state;
    fl__layout layout = layout_of(FL_TYPE(WordCount));
    fl__batch *batch = fl__batch_new(NULL, FL_TYPE(WordCount), 0, 4096);
    char *source = malloc(sizeof long_word);
    memcpy(source, long_word, sizeof long_word);
    WordCount row = { fl_str(source), 1 }, short_row = { fl_str("short"), 2 };
    assert_int_equal(fl__value_heap_bytes(&layout, &row), sizeof long_word - 1);
    assert_int_equal(fl__value_heap_bytes(&layout, &short_row), 0);
    assert_true(fl__batch_append(batch, &layout, &row));
    assert_true(fl__batch_append(batch, &layout, &short_row));
    memset(source, 'x', sizeof long_word);
    free(source);
    const WordCount *back = (const WordCount *)fl__batch_row(batch, 0);
    assert_true(fl_string_equal(back->word, fl_str(long_word)));
    assert_true(
        back->word.bytes >= (char *)batch + batch->heap_start && back->word.bytes < (char *)batch + batch->size);
    uint32_t count = batch->count, heap_start = batch->heap_start;
    while (fl__batch_append(batch, &layout, back))
        count++;
    /* what did not fit changed nothing */
    assert_int_equal(batch->count, count);
    assert_int_equal(batch->heap_start, heap_start - (count - 2) * 32);
    assert_true(fl__batch_room(batch) < sizeof(WordCount) + 32);
    assert_true(fl__batch_check(batch, FL_TYPE(WordCount), batch->size));
    fl__batch_free(batch);
}

static void test_null_fields_are_cleared(void **state)
{
    (void)state;
    fl__layout layout = layout_of(FL_TYPE(Sentence));
    fl__batch *batch = fl__batch_new(NULL, FL_TYPE(Sentence), 0, 4096);
    Sentence row;
    memset(&row, 0xa5, sizeof row);
    row.nulls.bits = 3;
    assert_true(fl__batch_append(batch, &layout, &row));
    const Sentence *back = (const Sentence *)fl__batch_row(batch, 0), zero = { .nulls.bits = 3 };
    assert_memory_equal(back, &zero, sizeof zero);
    fl__batch_free(batch);
}

/* Each change to a good batch must be noticed. */
static void test_check_notices_damage(void **state)
{
    (void)state;
    fl__layout layout = layout_of(FL_TYPE(Sentence));
    fl__batch *batch = fl__batch_new(NULL, FL_TYPE(Sentence), FL__COLUMN_KIND, 4096);
    fl_string words[] = { fl_str("one"), fl_str(long_word), fl_str("three") };
    Sentence row = { .name = fl_str(long_word), .words = { words, NULL, 3, 0 } };
    assert_true(fl__batch_append(batch, &layout, &row));
    assert_true(fl__batch_append(batch, &layout, &row));
    fl__batch_kinds(batch)[0] = fl__batch_kinds(batch)[1] = FL__INSERT;
    const fl_type *type = FL_TYPE(Sentence);
    assert_true(fl__batch_check(batch, type, 4096));
    assert_false(fl__batch_check(batch, type, 4095));
    assert_false(fl__batch_check(batch, type, 10));
#define DAMAGED(place, value)                                                                                          \
    do {                                                                                                               \
        __typeof__(place) saved = place;                                                                               \
        place = value;                                                                                                 \
        assert_false(fl__batch_check(batch, type, 4096));                                                              \
        place = saved;                                                                                                 \
        assert_true(fl__batch_check(batch, type, 4096));                                                               \
    } while (0)
    DAMAGED(batch->size, 5000);
    DAMAGED(batch->size, 40);
    DAMAGED(batch->row_size, 8);
    DAMAGED(batch->count, batch->capacity + 1);
    DAMAGED(batch->count, UINT32_MAX);
    DAMAGED(batch->capacity, UINT32_MAX);
    DAMAGED(batch->columns, 8);
    DAMAGED(batch->columns, 0);
    DAMAGED(batch->rows_offset, 4090);
    DAMAGED(batch->kinds_offset, 0);
    DAMAGED(batch->heap_start, 4104);
    DAMAGED(batch->heap_start, 64);
    DAMAGED(batch->heap_start, 4096);
    DAMAGED(batch->base, batch->base + 8);
    DAMAGED(fl__batch_kinds(batch)[1], 4);
    Sentence *first = (Sentence *)fl__batch_row(batch, 0), *second = (Sentence *)fl__batch_row(batch, 1);
    DAMAGED(first->name.length, FL_STRING_MAX);
    DAMAGED(first->name.length, 40000);
    DAMAGED(first->name.bytes, NULL);
    DAMAGED(first->name.bytes, (const char *)batch);
    DAMAGED(first->name.bytes, second->name.bytes); /* two rows, one piece */
    DAMAGED(first->name.prefix[0], 'x');
    DAMAGED(first->words.count, 1000);
    DAMAGED(first->words.count, 0); /* an empty array points to nothing */
    DAMAGED(first->words.data, NULL);
    DAMAGED(first->words.data, (const char *)first->words.data + 1);
    DAMAGED(second->words.data, first->words.data);
    DAMAGED(first->words.nulls, (const uint64_t *)(const void *)long_word);
    fl_string *element = (fl_string *)(uintptr_t)first->words.data;
    DAMAGED(element[0].rest[7], 1); /* behind a short string's end there are zeros only */
    DAMAGED(element[1].bytes, long_word);
    fl__batch_free(batch);
}

static void test_flat_values_need_no_heap(void **state)
{
    (void)state;
    fl__layout layout = layout_of(FL_TYPE(Pair));
    Pair pair = { 1, 2 }, old = { 1, 1 };
    assert_int_equal(fl__value_heap_bytes(&layout, &pair), 0);
    fl__value_own(&layout, &pair, NULL);
    fl__value_settle(&layout, &pair, &old, NULL);
    fl__value_adopt(&layout, &pair, NULL);
    fl__value_drop(&layout, &pair, NULL);
    assert_int_equal(pair.value, 2);
}

static void test_settle_keeps_what_stays(void **state)
{
    (void)state;
    fl__layout layout = layout_of(FL_TYPE(WordCount));
    fl__heap *heap = fl__heap_new(NULL);
    WordCount value = { fl_str(long_word), 1 }, old;
    fl__value_own(&layout, &value, heap);
    const char *piece = value.word.bytes;
    old = value;
    value.count++;
    fl__value_settle(&layout, &value, &old, heap);
    assert_ptr_equal(value.word.bytes, piece);
    /* a slice of its own string: copied before the old one goes */
    old = value;
    value.word = fl_string_slice(&value.word, 2, 30);
    fl__value_settle(&layout, &value, &old, heap);
    assert_true(fl_string_equal(value.word, fl_string_of(long_word + 2, 28)));
    assert_ptr_not_equal(value.word.bytes, piece + 2);
    assert_int_equal(fl__heap_live(heap), 32);
    old = value;
    value.word = fl_str("short");
    fl__value_settle(&layout, &value, &old, heap);
    assert_int_equal(fl__heap_live(heap), 0);
    fl__heap_free_all(heap);
}

/* More pieces than settling keeps on the stack. */
static void test_settle_of_many_pieces(void **state)
{
    (void)state;
    enum { N = 300 };
    fl__layout layout = layout_of(FL_TYPE(Sentence));
    fl__heap *heap = fl__heap_new(NULL);
    fl_string words[N];
    for (int i = 0; i < N; i++)
        words[i] = fl_string_of(long_word, 13 + (size_t)i % 15);
    Sentence value = { .name = fl_str(long_word), .words = { words, NULL, N, 0 } }, old = { .nulls.bits = 0 };
    fl__value_settle(&layout, &value, &old, heap);
    old = value;
    value.words.count = N - 1; /* all strings stay, the array and the last string do not */
    fl__value_settle(&layout, &value, &old, heap);
    const fl_string *kept = (const fl_string *)value.words.data;
    for (int i = 0; i < N - 1; i++)
        assert_true(fl_string_equal(kept[i], words[i]));
    fl__value_drop(&layout, &value, heap);
    assert_int_equal(fl__heap_live(heap), 0);
    fl__heap_free_all(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_flat_rows_fill_the_segment),
        cmocka_unit_test(test_large_rows_get_a_larger_segment),
        cmocka_unit_test(test_strings_are_copied_into_the_heap),
        cmocka_unit_test(test_null_fields_are_cleared),
        cmocka_unit_test(test_check_notices_damage),
        cmocka_unit_test(test_flat_values_need_no_heap),
        cmocka_unit_test(test_settle_keeps_what_stays),
        cmocka_unit_test(test_settle_of_many_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
