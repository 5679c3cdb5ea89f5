#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "data/key.h"

typedef struct {
    fl_string city;
    int32_t number;
} Address;
FL_ROW(Address, city, number);

typedef struct {
    int64_t id;
    fl_string name;
    int32_t age;
    double score;
    Address home;
    fl_array tags;
    char code[3];
} Person;
FL_ROW(Person, id, name, age, score, (home, .row = FL_TYPE(Address)), (tags, .element = FL_TYPE(int)),
    (code, .raw = true));

typedef struct {
    int32_t id;
    fl_nulls nulls;
    fl_string name;
} Nullable;
FL_ROW(Nullable, id, nulls, name);

static fl__arena arena;

static int setup(void **state)
{
    (void)state;
    fl__arena_init(&arena, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fl__arena_release(&arena);
    return 0;
}

static fl__key key_of(const fl_type *type, const char *a, const char *b)
{
    const char *names[] = { a, b };
    fl__key key;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__key_init_fields(&key, &arena, type, names, NULL, b ? 2 : 1, &error), FL_OK);
    return key;
}

static void test_one_field_lies_in_place(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t offset;
        fl__key_class class;
        fl_kind kind;
    } cases[] = {
        { "id", offsetof(Person, id), FL__KEY_U64, FL_KIND_INT64 },
        { "name", offsetof(Person, name), FL__KEY_STRING, FL_KIND_STRING },
        { "age", offsetof(Person, age), FL__KEY_U32, FL_KIND_INT32 },
        { "score", offsetof(Person, score), FL__KEY_GENERIC, FL_KIND_DOUBLE },
        { "home", offsetof(Person, home), FL__KEY_GENERIC, FL_KIND_ROW },
        { "home.city", offsetof(Person, home.city), FL__KEY_STRING, FL_KIND_STRING },
        { "home.number", offsetof(Person, home.number), FL__KEY_U32, FL_KIND_INT32 },
        { "code", offsetof(Person, code), FL__KEY_GENERIC, FL_KIND_RAW },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl__key key = key_of(FL_TYPE(Person), cases[i].name, NULL);
        assert_true(key.in_place);
        assert_int_equal(key.offset, cases[i].offset);
        assert_int_equal(key.class, cases[i].class);
        assert_int_equal(key.type->kind, cases[i].kind);
        assert_int_equal(key.size, key.type->size);
    }
    fl__key key;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__key_init_fields(&key, &arena, FL_TYPE(Person), NULL, (int[]){ 2 }, 1, &error), FL_OK);
    assert_int_equal(key.offset, offsetof(Person, age));
    /* fl_nulls has no index */
    assert_int_equal(fl__key_init_fields(&key, &arena, FL_TYPE(Nullable), NULL, (int[]){ 1 }, 1, &error), FL_OK);
    assert_int_equal(key.type->fields[0].type->kind, FL_KIND_STRING);
}

static void test_wrong_fields_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int index;
        const char *says;
    } cases[] = {
        { "nme", 0, "Person has no field \"nme\"; its fields are id, name, age, score, home, tags, code" },
        { "home.street", 0, "Person has no field \"home.street\"" },
        { NULL, 7, "Person has no field 7; its 7 fields are id, name" },
        { NULL, -1, "Person has no field -1" },
        { "tags", 0, "field tags of Person cannot be a key: it holds arrays or maps" },
        { NULL, 5, "field tags of Person cannot be a key" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl__key key;
        fl_error error = FL_ERROR_INIT;
        assert_int_equal(fl__key_init_fields(&key, &arena, FL_TYPE(Person), cases[i].name ? &cases[i].name : NULL,
                             &cases[i].index, 1, &error),
            FL_ERROR_INVALID);
        if (!strstr(error.text, cases[i].says))
            fail_msg("%s", error.text);
        fl__error_release(&error);
    }
    fl__key key;
    const char *names[20] = { "id" };
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__key_init_fields(&key, &arena, FL_TYPE(Person), names, NULL, 0, NULL), FL_ERROR_INVALID);
    assert_int_equal(fl__key_init_fields(&key, &arena, FL_TYPE(Person), names, NULL, 20, NULL), FL_ERROR_INVALID);
    assert_int_equal(fl__key_init_fields(&key, &arena, FL_TYPE(int64_t), names, NULL, 1, &error), FL_ERROR_INVALID);
    assert_non_null(strstr(error.text, "int64_t has no fields"));
    fl__error_release(&error);
    assert_int_equal(fl__key_init_whole(&key, FL_TYPE(Person), &error), FL_ERROR_INVALID);
    assert_non_null(strstr(error.text, "Person cannot be a key"));
    fl__error_release(&error);
}

static void test_tuples(void **state)
{
    (void)state;
    Person p = { .id = 7, .name = fl_str("a name that is not short"), .age = 30, .home = { fl_str("Berlin"), 5 } };
    struct {
        fl_string city;
        int64_t id;
    } scratch;
    fl__key key = key_of(FL_TYPE(Person), "home.city", "id");
    assert_false(key.in_place);
    assert_int_equal(key.size, sizeof scratch);
    assert_ptr_equal(fl__key_of(&key, &p, &scratch), &scratch);
    assert_true(fl_string_equal(scratch.city, fl_str("Berlin")));
    assert_int_equal(scratch.id, 7);
    char text[64];
    fl_format(key.type, &scratch, text, sizeof text);
    assert_string_equal(text, "(Berlin,7)");
    assert_string_equal(key.type->fields[0].name, "home.city");
    /* fields that lie in the row as in the tuple are not copied */
    key = key_of(FL_TYPE(Person), "id", "name");
    assert_true(key.in_place);
    assert_ptr_equal(fl__key_of(&key, &p, &scratch), &p);
    key = key_of(FL_TYPE(Person), "age", "home.number");
    assert_false(key.in_place);
    int32_t numbers[2];
    assert_ptr_equal(fl__key_of(&key, &p, numbers), numbers);
    assert_int_equal(numbers[0], 30);
    assert_int_equal(numbers[1], 5);
}

static void test_null_is_a_key_of_its_own(void **state)
{
    (void)state;
    struct {
        fl_string name;
        fl_nulls nulls;
    } a, b;
    fl__key key = key_of(FL_TYPE(Nullable), "name", NULL);
    assert_false(key.in_place);
    assert_int_equal(key.size, sizeof a);
    Nullable empty = { .name = fl_str("") }, null = { .nulls.bits = 2, .name = fl_str("garbage") },
             null2 = { .nulls.bits = 3 };
    fl__key_of(&key, &empty, &a);
    fl__key_of(&key, &null, &b);
    assert_false(fl__key_equal(&key, &a, &b));
    assert_true(fl__key_hash(&key, &a) != fl__key_hash(&key, &b));
    fl__key_of(&key, &null2, &a);
    assert_true(fl__key_equal(&key, &a, &b));
    assert_true(fl__key_hash(&key, &a) == fl__key_hash(&key, &b));
}

/* A row within a row, either of which, and the field too, may be null: then the key is. */
typedef struct {
    fl_nulls nulls;
    fl_string street;
    int32_t number;
} Place;
FL_ROW(Place, nulls, street, number);
typedef struct {
    int64_t id;
    fl_nulls nulls;
    Place at;
} Shop;
FL_ROW(Shop, id, nulls, (at, .row = FL_TYPE(Place)));
typedef struct {
    fl_nulls nulls;
    Shop shop;
    double sum;
} Sale;
FL_ROW(Sale, nulls, (shop, .row = FL_TYPE(Shop)), sum);

static void test_null_anywhere_on_the_way(void **state)
{
    (void)state;
    struct {
        int32_t number;
        int64_t id;
        fl_nulls nulls;
    } keys[6];
    fl__key key = key_of(FL_TYPE(Sale), "shop.at.number", "shop.id");
    assert_int_equal(key.size, sizeof keys[0]);
    Sale sales[] = {
        { .shop = { .id = 1, .at = { .number = 5 } } },
        { .shop = { .id = 1, .at = { .number = 0 } } },
        { .shop = { .id = 1, .at = { .number = 5, .nulls.bits = 2 } } }, /* the number */
        { .shop = { .id = 1, .at = { .number = 5 }, .nulls.bits = 2 } }, /* the place */
        { .shop = { .id = 1, .at = { .number = 5 } }, .nulls.bits = 1 }, /* the shop, its id too */
        { .shop = { .id = 9, .at = { .number = 9 } }, .nulls.bits = 1 },
    };
    static const char *const texts[] = { "(5,1)", "(0,1)", "(null,1)", "(null,1)", "(null,null)", "(null,null)" };
    for (int i = 0; i < 6; i++) {
        char text[64];
        memset(&keys[i], 0xa5, sizeof keys[i]);
        fl__key_of(&key, &sales[i], &keys[i]);
        fl_format(key.type, &keys[i], text, sizeof text);
        assert_string_equal(text, texts[i]);
        for (int j = 0; j <= i; j++) {
            bool is_same = strcmp(texts[i], texts[j]) == 0;
            assert_int_equal(fl__key_equal(&key, &keys[i], &keys[j]), is_same);
            assert_int_equal(fl__key_hash(&key, &keys[i]) == fl__key_hash(&key, &keys[j]), is_same);
        }
    }
}

static void age_of(const void *row, void *key, void *context)
{
    *(int32_t *)key = ((const Person *)row)->age / *(int *)context;
}

static void test_selector(void **state)
{
    (void)state;
    fl__key key;
    fl_error error = FL_ERROR_INIT;
    int decade = 10;
    assert_int_equal(fl__key_init_selector(&key, FL_TYPE(int), age_of, &decade, &error), FL_OK);
    assert_int_equal(key.class, FL__KEY_U32);
    Person people[3] = { { .age = 31 }, { .age = 39 }, { .age = 40 } };
    int32_t scratch, three = 3;
    uint64_t hashes[3];
    assert_int_equal(*(const int32_t *)fl__key_of(&key, people, &scratch), 3);
    fl__key_hash_rows(&key, (const char *)people, sizeof *people, 3, hashes, &scratch);
    assert_true(hashes[0] == hashes[1] && hashes[1] != hashes[2]);
    assert_true(hashes[0] == fl_hash(FL_TYPE(int), &three));
    assert_int_equal(fl__key_init_selector(&key, &fl__type_of_fl_array, age_of, NULL, NULL), FL_ERROR_INVALID);
}

static void test_hash_by_class_and_by_type_agree(void **state)
{
    (void)state;
    static const fl_type *const types[] = {
#define TYPE(T, K) FL_TYPE(T),
        FL__SCALARS(TYPE)
    };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        fl__key key;
        assert_int_equal(fl__key_init_whole(&key, types[t], NULL), FL_OK);
        union {
            char bytes[32];
            fl_string string;
        } values[4] = { { { 0 } }, { { 0 } }, { { 0 } }, { { 0 } } };
        for (int i = 0; i < 4; i++) {
            values[i].bytes[0] = (char)(i % 2);
            if (types[t]->kind == FL_KIND_STRING || types[t]->kind == FL_KIND_BYTES)
                values[i].string = fl_string_of("some bytes, short and long", (size_t)i * 8);
        }
        uint64_t hashes[4];
        char scratch[32];
        fl__key_hash_rows(&key, values[0].bytes, sizeof values[0], 4, hashes, scratch);
        for (int i = 0; i < 4; i++) {
            assert_true(hashes[i] == fl_hash(types[t], &values[i]));
            assert_true(hashes[i] == fl__key_hash(&key, &values[i]));
            assert_true(fl__key_equal(&key, &values[i], &values[i]));
        }
        assert_true(hashes[0] != hashes[1]);
    }
    fl_string s = fl_str("some bytes that need the heap");
    assert_true(fl_string_hash(&s) == fl_hash(FL_TYPE(fl_string), &s));
    assert_true(fl_string_hash(&s) == fl__hash_bytes(s.bytes, s.length));
}

/* Hashes are written into snapshots' key groups: they must never change. */
static void test_hashes_stay_what_they_are(void **state)
{
    (void)state;
    fl_string a = fl_str("hello"), b = fl_str("a string of more than twelve bytes");
    assert_true(fl_hash(FL_TYPE(int64_t), &(int64_t){ 42 }) == UINT64_C(0x63eb4d090e3c46f3));
    assert_true(fl_hash(FL_TYPE(fl_string), &a) == UINT64_C(0xfc92e5dc4ea6bb32));
    assert_true(fl_hash(FL_TYPE(fl_string), &b) == UINT64_C(0x00381b753d262840));
    assert_true(fl_hash(FL_TYPE(Address), &((Address){ a, 42 })) == UINT64_C(0x2539af9f261f7d05));
}

static void test_key_groups(void **state)
{
    (void)state;
    /* as Flink's KeyGroupRangeAssignment.computeDefaultMaxParallelism */
    static const uint32_t expected[][2] = { { 1, 128 }, { 2, 128 }, { 85, 128 }, { 86, 256 }, { 128, 256 },
        { 170, 256 }, { 171, 256 }, { 172, 512 }, { 1000, 2048 }, { 21845, 32768 }, { 21846, 32768 }, { 32768, 32768 },
        { UINT32_MAX, 32768 } };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(fl__default_max_parallelism(expected[i][0]), expected[i][1]);
    uint32_t counts[128] = { 0 };
    for (int64_t k = 0; k < 128000; k++) {
        uint32_t group = fl__key_group(fl__key_hash_u64(&k), 128);
        assert_true(group < 128);
        counts[group]++;
    }
    for (int i = 0; i < 128; i++)
        assert_true(counts[i] > 800 && counts[i] < 1200);
    for (uint32_t parallelism = 1; parallelism <= 128; parallelism++) {
        uint32_t last = 0;
        for (uint32_t group = 0; group < 128; group++) {
            uint32_t subtask = fl__key_group_subtask(group, parallelism, 128);
            assert_true(subtask == last || subtask == last + 1);
            last = subtask;
        }
        assert_int_equal(last, parallelism - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_field_lies_in_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_fields_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tuples, setup, teardown),
        cmocka_unit_test_setup_teardown(test_null_is_a_key_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_null_anywhere_on_the_way, setup, teardown),
        cmocka_unit_test(test_selector),
        cmocka_unit_test(test_hash_by_class_and_by_type_agree),
        cmocka_unit_test(test_hashes_stay_what_they_are),
        cmocka_unit_test(test_key_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
