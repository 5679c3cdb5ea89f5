#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "data/codec.h"

typedef struct {
    fl_nulls nulls;
    bool yes;
    int16_t small;
    fl_string name;
    fl_string remark;
    fl_decimal price;
    fl_timestamp at;
    fl_array tags;
    fl_map_value counts;
    char code[2];
} Item;
FL_ROW(Item, nulls, yes, small, name, remark, price, at, (tags, .element = FL_TYPE(fl_string)),
    (counts, .key = FL_TYPE(int8_t), .element = FL_TYPE(int32_t)), (code, .raw = true));

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

static void test_varints(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        size_t length;
        const char *bytes;
    } cases[] = { { 0, 1, "\x00" }, { 127, 1, "\x7f" }, { 128, 2, "\x80\x01" }, { 300, 2, "\xac\x02" },
        { 16384, 3, "\x80\x80\x01" }, { UINT32_MAX, 5, "\xff\xff\xff\xff\x0f" },
        { UINT64_MAX, 10, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fl__buffer buffer;
        fl__buffer_init(&buffer, NULL);
        fl__buffer_varint(&buffer, cases[i].value);
        assert_int_equal(buffer.size, cases[i].length);
        assert_memory_equal(buffer.data, cases[i].bytes, buffer.size);
        uint64_t value = 1;
        for (size_t cut = 0; cut < buffer.size; cut++) {
            fl__reader short_reader = { buffer.data, buffer.data, buffer.data + cut };
            assert_false(fl__reader_varint(&short_reader, &value));
            assert_ptr_equal(short_reader.cursor, buffer.data);
        }
        fl__reader reader = { buffer.data, buffer.data, buffer.data + buffer.size };
        assert_true(fl__reader_varint(&reader, &value));
        assert_true(value == cases[i].value);
        assert_ptr_equal(reader.cursor, reader.end);
        fl__buffer_release(&buffer);
    }
    static const char too_large[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
                      endless[] = "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00";
    uint64_t value;
    fl__reader reader = { too_large, too_large, too_large + 10 };
    assert_false(fl__reader_varint(&reader, &value));
    reader = (fl__reader){ endless, endless, endless + 12 };
    assert_false(fl__reader_varint(&reader, &value));
    assert_null(fl__reader_bytes(&reader, 13));
    assert_ptr_equal(fl__reader_bytes(&reader, 12), endless);
}

static Item *sample(void)
{
    static fl_string tags[2];
    static int8_t keys[] = { 1, 2 };
    static int32_t values[] = { 100, 0 };
    static uint64_t second_null = 2;
    static Item item;
    tags[0] = fl_str("x");
    tags[1] = fl_str("a tag that is longer than twelve");
    item = (Item){ .yes = true,
        .small = -2,
        .name = fl_str("bolt"),
        .price = fl_decimal_of(1999, 6, 2),
        .at = { .ms = 1, .ns = 5 },
        .tags = { tags, NULL, 2, 0 },
        .counts = { keys, values, &second_null, 2, 0 },
        .code = { 'o', 'k' } };
    fl_set_null(&item.nulls, 3, true);
    return &item;
}

/* The format is for ever: what this version writes, every later one must read. */
static const unsigned char golden[] = { 0x08, 0x00,             /* 9 null bits: the fourth */
    0x01, 0xfe, 0xff, 4, 'b', 'o', 'l', 't',                    /* yes, small, name; remark is null */
    0xcf, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 2, /* price */
    1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0,                         /* at */
    2, 0, 1, 'x', 32, 'a', ' ', 't', 'a', 'g', ' ', 't', 'h', 'a', 't', ' ', 'i', 's', ' ', 'l', 'o', 'n', 'g', 'e',
    'r', ' ', 't', 'h', 'a', 'n', ' ', 't', 'w', 'e', 'l', 'v', 'e', /* tags: two, none null */
    2, 1, 0x02, 1, 2, 100, 0, 0, 0, /* counts: two, the second value null; keys, values */
    'o', 'k' };

static void test_the_format_is_for_ever(void **state)
{
    (void)state;
    fl__buffer buffer;
    fl__buffer_init(&buffer, NULL);
    fl__encode(FL_TYPE(Item), sample(), &buffer);
    assert_int_equal(buffer.size, sizeof golden);
    assert_memory_equal(buffer.data, golden, sizeof golden);
    fl__buffer_release(&buffer);
    Item back;
    fl_error error = FL_ERROR_INIT;
    fl__reader reader = { (const char *)golden, (const char *)golden, (const char *)golden + sizeof golden };
    assert_int_equal(fl__decode(FL_TYPE(Item), &reader, &arena, &back, &error), FL_OK);
    assert_int_equal(fl_compare(FL_TYPE(Item), &back, sample()), 0);
    assert_true(fl_is_null(back.nulls, 3));
    assert_int_equal(back.remark.length, 0);
}

static void test_damage_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        unsigned char value;
        const char *says;
    } cases[] = {
        { 1, 0x02, "more null bits than fields" },
        { 2, 7, "a boolean is neither 0 nor 1" },
        { 5, 200, "a string's length" },
        { 5, 127, "a string is longer than what is left" },
        { 40, 0xff, "count of elements" },
        { 41, 2, "null bits are neither there nor not" },
        { 79, 0x82, "it has more null bits" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[sizeof golden];
        memcpy(bytes, golden, sizeof bytes);
        bytes[cases[i].at] = (char)cases[i].value;
        if (cases[i].at == 5 && cases[i].value == 200)
            memset(bytes + 5, 0xff, 10);
        if (cases[i].at == 40)
            memset(bytes + 41, 0x7f, 1);
        Item back;
        fl_error error = FL_ERROR_INIT;
        fl__reader reader = { bytes, bytes, bytes + sizeof bytes };
        assert_int_equal(fl__decode(FL_TYPE(Item), &reader, &arena, &back, &error), FL_ERROR_CORRUPT);
        if (!strstr(error.text, cases[i].says) || !strstr(error.text, "at byte"))
            fail_msg("%zu: %s", cases[i].at, error.text);
        fl__error_release(&error);
    }
    for (size_t cut = 0; cut < sizeof golden; cut++) {
        char *bytes = malloc(cut + 1);
        memcpy(bytes, golden, cut);
        Item back;
        fl__reader reader = { bytes, bytes, bytes + cut };
        assert_int_equal(fl__decode(FL_TYPE(Item), &reader, &arena, &back, NULL), FL_ERROR_CORRUPT);
        free(bytes);
    }
}

static void test_damaged_counts_ask_for_no_memory(void **state)
{
    (void)state;
    fl__memory account;
    fl__memory_init(&account, "test", NULL, 0);
    fl__arena small;
    fl__arena_init(&small, &account);
    static const char bytes[] = "\xff\xff\xff\xff\x0f\x00"; /* 2^32 - 1 strings */
    const fl_field element = { .name = "element", .size = 16, .type = FL_TYPE(fl_string) };
    fl_type array = fl__type_of_fl_array;
    array.field_count = 1;
    array.fields = &element;
    fl_array value;
    fl__reader reader = { bytes, bytes, bytes + 6 };
    assert_int_equal(fl__decode(&array, &reader, &small, &value, NULL), FL_ERROR_CORRUPT);
    assert_true(fl__memory_used(&account) < 10000);
    fl__arena_release(&small);
}

static fl__buffer schema_of(const fl_type *type)
{
    fl__buffer buffer;
    fl__buffer_init(&buffer, NULL);
    fl__schema_encode(type, &buffer);
    return buffer;
}

static void test_schema_of_a_row(void **state)
{
    (void)state;
    fl__buffer buffer = schema_of(FL_TYPE(Item));
    const fl_type *type;
    fl_error error = FL_ERROR_INIT;
    fl__reader reader = { buffer.data, buffer.data, buffer.data + buffer.size };
    assert_int_equal(fl__schema_decode(&reader, &arena, &type, &error), FL_OK);
    assert_true(fl_type_equal(type, FL_TYPE(Item)));
    assert_string_equal(type->name, "Item");
    assert_int_equal(type->size, sizeof(Item));
    assert_true(fl__type_fingerprint(type) == fl__type_fingerprint(FL_TYPE(Item)));
    /* a later version is refused by its number, not as damage */
    buffer.data[0] = 2;
    reader.cursor = buffer.data;
    assert_int_equal(fl__schema_decode(&reader, &arena, &type, &error), FL_ERROR_CORRUPT);
    assert_non_null(strstr(error.text, "schema of version 2; this flinc reads version 1"));
    assert_null(type);
    fl__error_release(&error);
    buffer.data[0] = 1;
    buffer.data[buffer.size / 2] ^= 1;
    reader.cursor = buffer.data;
    assert_int_equal(fl__schema_decode(&reader, &arena, &type, &error), FL_ERROR_CORRUPT);
    assert_non_null(strstr(error.text, "checksum"));
    fl__error_release(&error);
    fl__buffer_release(&buffer);
}

static void test_schemas_that_make_no_sense(void **state)
{
    (void)state;
#define BODY(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof text - 1                                                                                          \
    }
    static const struct {
        const char *body;
        size_t size;
    } bodies[] = {
        BODY(""), BODY("\x00"), BODY("\x1a"), BODY("\xff"), BODY("\x19"), /* kinds that are none; nulls by itself */
        BODY("\x15"), BODY("\x16\x05"), BODY("\x15\x19"), /* array of nothing, map without values, array of nulls */
        BODY("\x17\x01R\x00"), BODY("\x17\x01R\x41"),     /* rows of 0 and 65 fields */
        BODY("\x17\x01R\x01\x01"
             "f"),
        BODY("\x17\x01R\x01\x01"
             "f\x19"), /* field without type; nulls only */
        BODY("\x17\x01R\x02\x01"
             "f\x05\x01"
             "f\x05"),
        BODY("\x17\x01R\x01\x01\x00\x05"), /* twice; zero byte in a name */
        BODY("\x17\x01R\x01\x00\x05"),     /* no name */
        BODY("\x18\x00\x01"), BODY("\x18\x08\x03"), BODY("\x18\x08\x00"), BODY("\x18\x07\x08"),
        BODY("\x18\x08"), /* raw */
        BODY("\x18\xff\xff\xff\xff\x0f\x01"), BODY("\x05\x05"),
        BODY("\x16\x15\x05\x05"), /* huge, left over, array as key */
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        fl__buffer buffer;
        fl__buffer_init(&buffer, NULL);
        uint64_t checksum = fl_hash(
            &(const fl_type){ .kind = FL_KIND_RAW, .size = (uint32_t)bodies[i].size, .align = 1 }, bodies[i].body);
        fl__buffer_varint(&buffer, 1);
        fl__buffer_varint(&buffer, bodies[i].size);
        fl__buffer_append(&buffer, bodies[i].body, bodies[i].size);
        fl__buffer_append(&buffer, &checksum, 8);
        const fl_type *type;
        fl_error error = FL_ERROR_INIT;
        fl__reader reader = { buffer.data, buffer.data, buffer.data + buffer.size };
        assert_int_equal(fl__schema_decode(&reader, &arena, &type, &error), FL_ERROR_CORRUPT);
        if (!strstr(error.text, "damaged schema") || strstr(error.text, "checksum"))
            fail_msg("%zu: %s", i, error.text);
        fl__error_release(&error);
        fl__buffer_release(&buffer);
    }
}

static void test_deep_types_are_refused(void **state)
{
    (void)state;
    char body[200];
    memset(body, FL_KIND_ARRAY, sizeof body);
    body[sizeof body - 1] = FL_KIND_INT8;
    uint64_t checksum = fl_hash(&(const fl_type){ .kind = FL_KIND_RAW, .size = sizeof body, .align = 1 }, body);
    fl__buffer buffer;
    fl__buffer_init(&buffer, NULL);
    fl__buffer_varint(&buffer, 1);
    fl__buffer_varint(&buffer, sizeof body);
    fl__buffer_append(&buffer, body, sizeof body);
    fl__buffer_append(&buffer, &checksum, 8);
    const fl_type *type;
    fl_error error = FL_ERROR_INIT;
    fl__reader reader = { buffer.data, buffer.data, buffer.data + buffer.size };
    assert_int_equal(fl__schema_decode(&reader, &arena, &type, &error), FL_ERROR_CORRUPT);
    assert_non_null(strstr(error.text, "too deep"));
    fl__error_release(&error);
    fl__buffer_release(&buffer);
}

static void test_buffer_grows(void **state)
{
    (void)state;
    fl__memory account;
    fl__memory_init(&account, "test", NULL, 0);
    fl__buffer buffer;
    fl__buffer_init(&buffer, &account);
    for (uint32_t i = 0; i < 100000; i++)
        fl__buffer_append(&buffer, &i, sizeof i);
    fl__buffer_append(&buffer, NULL, 0);
    assert_int_equal(buffer.size, 400000);
    for (uint32_t i = 0; i < 100000; i++)
        assert_memory_equal(buffer.data + (size_t)i * 4, &i, 4);
    fl__buffer_release(&buffer);
    assert_int_equal(fl__memory_used(&account), 0);
    assert_null(buffer.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varints),
        cmocka_unit_test_setup_teardown(test_the_format_is_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_named_with_its_place, setup, teardown),
        cmocka_unit_test(test_damaged_counts_ask_for_no_memory),
        cmocka_unit_test_setup_teardown(test_schema_of_a_row, setup, teardown),
        cmocka_unit_test_setup_teardown(test_schemas_that_make_no_sense, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_types_are_refused, setup, teardown),
        cmocka_unit_test(test_buffer_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
