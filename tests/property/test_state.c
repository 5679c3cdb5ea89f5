/* Keyed table, keyed state and timers against naive models, with random sequences from seeds. */
#include "keyed_fixture.h"

enum { SEEDS = 60 };

static uint64_t random_state;
static uint64_t next_random(void)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    return fl__mix64(random_state);
}
static uint32_t below(uint32_t n)
{
    return (uint32_t)(next_random() % n);
}

/* ---- the table ---- */

typedef struct {
    int32_t a;
    fl_string b;
} Pair;
FL_ROW(Pair, a, b);

enum { DOMAIN = 3000, TEXT_MAX = 40 };

typedef union any_key {
    uint64_t u64;
    uint32_t u32;
    fl_string string;
    Pair pair;
} any_key;

static char texts[DOMAIN][TEXT_MAX];

static any_key key_number(const fl_type *type, uint32_t i)
{
    any_key key;
    memset(&key, 0, sizeof key);
    if (type == FL_TYPE(uint64_t))
        key.u64 = i % 2 ? i : (uint64_t)i << 40;
    else if (type == FL_TYPE(uint32_t))
        key.u32 = i * 65537;
    else if (type == FL_TYPE(fl_string))
        key.string = fl_str(texts[i]);
    else
        key.pair = (Pair){ (int32_t)(i % 7), fl_str(texts[i]) };
    return key;
}

static void table_against_model(const fl_type *type, uint64_t seed)
{
    random_state = seed;
    for (uint32_t i = 0; i < DOMAIN; i++)
        snprintf(texts[i], TEXT_MAX, i % 3 ? "%u" : "a key with a long text, number %u", i);
    fl__memory account;
    fl__memory_init(&account, "test", NULL, 0);
    fl__key key;
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__key_init_whole(&key, type, &error), FL_OK);
    fl__table table;
    uint32_t value_offset = (key.size + 7) & ~7u, groups = below(2) ? 128 : 1 + below(20);
    fl__table_init(&table, &account, &key, value_offset + 8, 0, groups, below(2) ? below(5000) : 0);
    static int64_t model[DOMAIN]; /* 0: not there */
    memset(model, 0, sizeof model);
    uint32_t live = 0, domain = 1 + below(DOMAIN), insert_share = 20 + below(75);
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = below(domain);
        any_key k = key_number(type, i);
        uint64_t hash = fixture_hash(&key, &k);
        if (below(100) < insert_share) {
            bool inserted;
            char *entry = fl__table_get(&table, hash, &k, &inserted);
            int64_t value;
            memcpy(&value, entry + value_offset, 8);
            assert_int_equal(inserted, model[i] == 0);
            assert_int_equal(value, model[i]);
            live += inserted;
            model[i] = value + 1 + below(100);
            memcpy(entry + value_offset, &model[i], 8);
        } else if (below(3)) {
            fl__table_remove(&table, hash, &k);
            live -= model[i] != 0;
            model[i] = 0;
        } else {
            char *entry = fl__table_find(&table, hash, &k);
            assert_int_equal(entry != NULL, model[i] != 0);
            if (entry)
                assert_memory_equal(entry + value_offset, &model[i], 8);
        }
        assert_int_equal(table.count, live);
        if (below(10000) == 0) {
            fl__table_clear(&table);
            memset(model, 0, sizeof model);
            live = 0;
        }
    }
    int64_t sum = 0, walked = 0, grouped = 0;
    for (uint32_t i = 0; i < DOMAIN; i++)
        sum += model[i];
    uint64_t cursor = 0;
    uint32_t seen = 0;
    for (char *entry; (entry = fl__table_next(&table, &cursor)); seen++) {
        int64_t value;
        memcpy(&value, entry + value_offset, 8);
        walked += value;
        assert_ptr_equal(fl__table_entry(&table, fl__table_cursor_ref(&table, cursor)), entry);
    }
    assert_int_equal(seen, live);
    assert_int_equal(walked, sum);
    for (uint32_t group = 0; group < groups; group++) {
        cursor = 0;
        for (char *entry; (entry = fl__table_next_in_group(&table, group, &cursor, NULL));) {
            int64_t value;
            memcpy(&value, entry + value_offset, 8);
            grouped += value;
            assert_int_equal(fl__key_group(fixture_hash(&key, entry), groups), group);
        }
    }
    assert_int_equal(grouped, sum);
    fl__table_release(&table);
    assert_int_equal(fl__memory_used(&account), 0);
}

static void test_table(void **state)
{
    (void)state;
    const fl_type *types[] = { FL_TYPE(uint64_t), FL_TYPE(uint32_t), FL_TYPE(fl_string), FL_TYPE(Pair) };
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        table_against_model(types[seed % 4], seed);
}

/* ---- keyed state ---- */

FL_VALUE_STATE(value_a, Pair);
FL_VALUE_STATE(value_b, Pair);
FL_LIST_STATE(list, fl_string);
FL_MAP_STATE(map, fl_string, fl_string);

enum { KEYS = 8, LIST_MAX = 60, MAP_KEYS = 40 };
typedef struct model_text {
    char text[TEXT_MAX]; /* "" is a text too */
} model_text;
typedef struct model {
    bool has[2];
    model_text value[2];
    size_t count;
    model_text list[LIST_MAX];
    bool has_key[MAP_KEYS];
    model_text map[MAP_KEYS];
} model;

static char volatile_texts[16][TEXT_MAX]; /* overwritten after every call */
static fl_string random_text(model_text *copy)
{
    static unsigned next;
    char *at = volatile_texts[next++ % 16];
    snprintf(at, TEXT_MAX, below(3) ? "the text of number %u" : "%u", below(1000000));
    snprintf(copy->text, TEXT_MAX, "%s", at);
    return fl_str(at);
}
static void assert_is(fl_string s, const model_text *m)
{
    if (!fl_string_equal(s, fl_str(m->text)))
        fail_msg("\"%.*s\" instead of \"%s\"", FL_STR(s), m->text);
}

static fl_string map_key(uint32_t i, char *buffer)
{
    snprintf(buffer, TEXT_MAX, i % 2 ? "%u" : "a map key, number %u", i);
    return fl_str(buffer);
}

static void check_key(fixture *f, model *m)
{
    fl_context *ctx = &f->ctx;
    for (int v = 0; v < 2; v++) {
        const Pair *p = v ? fl_value_peek(ctx, value_b) : fl_value_peek(ctx, value_a);
        assert_int_equal(p != NULL, m->has[v]);
        if (p)
            assert_is(p->b, &m->value[v]);
    }
    assert_int_equal(fl_list_count(ctx, list), m->count);
    for (size_t i = 0; i < m->count; i++)
        assert_is(*fl_list_at(ctx, list, i), &m->list[i]);
    size_t in_map = 0;
    for (uint32_t i = 0; i < MAP_KEYS; i++) {
        char buffer[TEXT_MAX];
        fl_string k = map_key(i, buffer), *value = fl_map_get(ctx, map, &k);
        assert_int_equal(value != NULL, m->has_key[i]);
        if (value)
            assert_is(*value, &m->map[i]);
        in_map += m->has_key[i];
    }
    assert_int_equal(fl_map_count(ctx, map), in_map);
}

/* One random access; strings also pass from one state to another. */
static void access(fixture *f, model *m)
{
    fl_context *ctx = &f->ctx;
    int v = (int)below(2);
    char buffer[TEXT_MAX];
    uint32_t i = below(MAP_KEYS);
    fl_string k = map_key(i, buffer), text;
    switch (below(14)) {
    case 0:
    case 1:
        text = random_text(&m->value[v]);
        (v ? fl_value(ctx, value_b) : fl_value(ctx, value_a))->b = text;
        m->has[v] = true;
        break;
    case 2: { /* swap */
        Pair *a = fl_value(ctx, value_a), *b = fl_value(ctx, value_b), t = *a;
        *a = *b;
        *b = t;
        if (!m->has[0])
            m->value[0].text[0] = 0;
        if (!m->has[1])
            m->value[1].text[0] = 0;
        model_text mt = m->value[0];
        m->value[0] = m->value[1];
        m->value[1] = mt;
        m->has[0] = m->has[1] = true;
        break;
    }
    case 3:
        if (v)
            fl_clear(ctx, value_b);
        else
            fl_clear(ctx, value_a);
        m->has[v] = false;
        break;
    case 4:
    case 5:
        if (m->count == LIST_MAX)
            break;
        text = random_text(&m->list[m->count++]);
        fl_list_add(ctx, list, &text);
        break;
    case 6: /* an element into a value, replaced itself */
        if (!m->count)
            break;
        i = below((uint32_t)m->count);
        fl_value(ctx, value_a)->b = *fl_list_at(ctx, list, i);
        m->has[0] = true;
        m->value[0] = m->list[i];
        text = random_text(&m->list[i]);
        *fl_list_at(ctx, list, i) = text;
        break;
    case 7:
        if (!m->count)
            break;
        fl_list_update(ctx, list, fl_list_at(ctx, list, m->count / 2), m->count - m->count / 2);
        memmove(m->list, m->list + m->count / 2, (m->count - m->count / 2) * sizeof m->list[0]);
        m->count -= m->count / 2;
        break;
    case 8:
        if (below(4))
            break;
        fl_clear(ctx, list);
        m->count = 0;
        break;
    case 9:
    case 10:
        text = random_text(&m->map[i]);
        fl_map_put(ctx, map, &k, &text);
        m->has_key[i] = true;
        break;
    case 11: { /* out of the map into a value, and gone from the map */
        fl_string *value = fl_map_get(ctx, map, &k);
        if (!value)
            break;
        fl_value(ctx, value_b)->b = *value;
        m->has[1] = true;
        m->value[1] = m->map[i];
        assert_true(fl_map_remove(ctx, map, &k));
        m->has_key[i] = false;
        break;
    }
    case 12: {
        fl_string *value = fl_map_get(ctx, map, &k);
        if (value)
            *value = random_text(&m->map[i]);
        break;
    }
    default: /* remove some of them on a walk */
        if (below(3) == 0) {
            size_t cursor = 0;
            const fl_string *key;
            fl_string *value;
            while (fl_map_next(ctx, map, &cursor, &key, &value)) {
                for (uint32_t j = 0; j < MAP_KEYS; j++) {
                    fl_string candidate = map_key(j, buffer);
                    if (j % 5 == i % 5 && m->has_key[j] && fl_string_equal(candidate, *key)) {
                        assert_true(fl_map_remove(ctx, map, key));
                        m->has_key[j] = false;
                        break;
                    }
                }
            }
        }
        break;
    }
}

static bool is_empty_model(const model *m)
{
    bool any = m->has[0] || m->has[1] || m->count;
    for (int i = 0; i < MAP_KEYS; i++)
        any |= m->has_key[i];
    return !any;
}

static void test_keyed_state(void **state)
{
    (void)state;
    fl_state *const states[] = { &value_a.state, &list.state, &value_b.state, &map.state };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        random_state = seed;
        fixture f;
        fixture_init(&f, FL_TYPE(int64_t), states, 4, false);
        static model models[KEYS];
        memset(models, 0, sizeof models);
        for (int step = 0; step < 3000; step++) {
            int64_t k = below(KEYS);
            enter_call(&f, &k);
            check_key(&f, &models[k]);
            for (uint32_t n = below(6); n > 0; n--)
                access(&f, &models[k]);
            if (below(2))
                check_key(&f, &models[k]);
            leave_call(&f);
            memset(volatile_texts, '#', sizeof volatile_texts);
            size_t live = 0;
            for (int i = 0; i < KEYS; i++)
                live += !is_empty_model(&models[i]);
            assert_int_equal(f.keyed->table.count, live);
        }
        fixture_release(&f);
    }
}

/* ---- timers ---- */

/* The model: a bit per key and time. */
enum { TIMER_KEYS = 50, TIMES = 400 };

typedef struct timer_model {
    bool is_set[TIMER_KEYS][TIMES];
} timer_model;

static void random_timer_calls(fixture *f, timer_model *m, uint32_t k, fl_time from, fl_time to, bool in_order)
{
    for (uint32_t n = below(4); n > 0; n--) {
        fl_time t = in_order ? from + below(5) : from + (fl_time)below((uint32_t)(to - from));
        if (t >= TIMES)
            continue;
        if (below(4)) {
            fl_register_event_time_timer(&f->ctx, t);
            m->is_set[k][t] = true;
        } else {
            fl_delete_event_time_timer(&f->ctx, t);
            m->is_set[k][t] = false;
        }
    }
}

/* Fires what is due; all that the model has, and in order. While firing, more is registered and deleted. */
static void advance(fixture *f, timer_model *m, fl_time limit)
{
    fl_time time, last = -1;
    uint32_t ref;
    while (fl__timers_pop(f->timers, FL__EVENT_TIME, limit, &time, &ref)) {
        assert_true(time <= limit);
        fl__keyed_set_ref(f->keyed, &f->ctx, ref);
        fl__keyed_timer_gone(f->keyed, ref);
        int64_t k;
        memcpy(&k, f->ctx.key, sizeof k);
        assert_true(m->is_set[k][time]);
        m->is_set[k][time] = false;
        for (fl_time t = 0; t < time && t > last; t++) {
            for (int i = 0; i < TIMER_KEYS; i++)
                assert_false(m->is_set[i][t]); /* nothing earlier is left */
        }
        last = time;
        if (below(4) == 0)
            random_timer_calls(f, m, (uint32_t)k, time, limit + 20 < TIMES ? limit + 20 : TIMES, false);
        leave_call(f);
    }
    for (fl_time t = 0; t <= limit; t++) {
        for (int i = 0; i < TIMER_KEYS; i++)
            assert_false(m->is_set[i][t]);
    }
}

static void check_timers(fixture *f, const timer_model *m)
{
    size_t wanted = 0, seen = 0;
    fl_time first = FL_TIME_MAX;
    bool has_timer[TIMER_KEYS] = { false };
    for (int i = 0; i < TIMER_KEYS; i++) {
        for (int t = 0; t < TIMES; t++) {
            if (m->is_set[i][t]) {
                wanted++;
                has_timer[i] = true;
                if (t < first)
                    first = t;
            }
        }
    }
    assert_true(fl__timers_next(f->timers, FL__EVENT_TIME) <= first);
    fl__timers_view *view = fl__timers_view_new(f->timers, FL__EVENT_TIME);
    fl_time time, last = FL_TIME_MIN;
    for (uint32_t ref; fl__timers_view_next(view, &time, &ref); seen++) {
        int64_t k;
        memcpy(&k, fl__table_entry(&f->keyed->table, ref), sizeof k);
        assert_true(m->is_set[k][time]);
        assert_true(time >= last);
        last = time;
    }
    fl__timers_view_free(view);
    assert_int_equal(seen, wanted);
    for (int64_t i = 0; i < TIMER_KEYS; i++) {
        if (has_timer[i])
            assert_non_null(fl__table_find(&f->keyed->table, fixture_hash(&f->key, &i), &i));
    }
}

static void test_timers(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        random_state = seed;
        fixture f;
        fixture_init(&f, FL_TYPE(int64_t), NULL, 0, true);
        static timer_model m;
        memset(&m, 0, sizeof m);
        uint32_t calls = 1 + below(2000);
        bool in_order = below(2);
        for (fl_time now = 0; now < TIMES - 1;) {
            for (uint32_t n = 0; n < calls; n++) {
                int64_t k = below(TIMER_KEYS);
                enter_call(&f, &k);
                random_timer_calls(&f, &m, (uint32_t)k, now, TIMES, in_order);
                leave_call(&f);
            }
            if (below(3) == 0)
                check_timers(&f, &m);
            now += 1 + below(60);
            if (now >= TIMES)
                now = TIMES - 1;
            advance(&f, &m, now);
        }
        assert_true(
            fl__timers_is_empty(f.timers, FL__EVENT_TIME) || fl__timers_next(f.timers, FL__EVENT_TIME) < FL_TIME_MAX);
        fl_time time;
        uint32_t ref;
        assert_false(fl__timers_pop(f.timers, FL__EVENT_TIME, FL_TIME_MAX, &time, &ref));
        assert_true(fl__timers_is_empty(f.timers, FL__EVENT_TIME));
        assert_int_equal(f.keyed->table.count, 0); /* no timer keeps an entry */
        fixture_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_keyed_state),
        cmocka_unit_test(test_timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
