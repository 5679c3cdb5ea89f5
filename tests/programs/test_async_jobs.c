/* Async I/O in whole jobs: answers from other threads, pools of threads, the end of input, failing and cancelling with
 * requests in flight, simulated runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "collected.h"

#include "cluster/job.h"
#include "flinc/testing.h"
#include "scratch.h"

typedef struct {
    int64_t id, answer;
    fl_string text;
} Row;
FL_ROW(Row, id, answer, text);

/* ---- a service with threads of its own: takes requests, answers them in an order of its own ---- */

enum { SERVICE_MAX = 256 };
static struct {
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    fl_async *waiting[SERVICE_MAX];
    int count, answered;
    bool is_ending, is_held; /* held: takes requests, answers none */
    pthread_t threads[3];
} service = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void answer(fl_async *request)
{
    const int64_t *in = fl_async_input(request);
    char text[64];
    snprintf(text, sizeof text, "the answer to number %" PRId64, *in);
    fl_async_complete_one(request, &(Row){ *in, *in * 3, fl_str(text) });
}

static void *serve(void *arg)
{
    uint32_t random = (uint32_t)(uintptr_t)arg;
    pthread_mutex_lock(&service.lock);
    for (;;) {
        while ((service.count == 0 || service.is_held) && !service.is_ending)
            pthread_cond_wait(&service.changed, &service.lock);
        if (service.is_ending)
            break;
        random = random * 1664525 + 1013904223;
        int i = (int)(random >> 8) % service.count;
        fl_async *request = service.waiting[i];
        service.waiting[i] = service.waiting[--service.count];
        service.answered++;
        pthread_mutex_unlock(&service.lock);
        answer(request);
        pthread_mutex_lock(&service.lock);
    }
    pthread_mutex_unlock(&service.lock);
    return NULL;
}

static void service_start(bool is_held)
{
    service.count = service.answered = 0;
    service.is_ending = false;
    service.is_held = is_held;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&service.threads[i], NULL, serve, (void *)(uintptr_t)(i + 1)), 0);
}

static void service_stop(void)
{
    pthread_mutex_lock(&service.lock);
    service.is_ending = true;
    pthread_cond_broadcast(&service.changed);
    pthread_mutex_unlock(&service.lock);
    for (int i = 0; i < 3; i++)
        pthread_join(service.threads[i], NULL);
}

static void ask_service(const void *in, fl_async *request, fl_context *ctx)
{
    (void)in, (void)ctx;
    pthread_mutex_lock(&service.lock);
    service.waiting[service.count++] = request;
    pthread_cond_broadcast(&service.changed);
    pthread_mutex_unlock(&service.lock);
}

static void check_row(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    const Row *r = in;
    char text[64];
    snprintf(text, sizeof text, "the answer to number %" PRId64, r->id);
    if (r->answer != 3 * r->id || !fl_string_equal(r->text, fl_str(text)))
        fl_fail(ctx, "%" PRId64 " came with %.*s", r->id, FL_STR(r->text));
    int64_t *next = fl_self(ctx);
    if (fl_arg(ctx) && r->id != (*next)++)
        fl_fail(ctx, "%" PRId64 " came instead of %" PRId64, r->id, *next - 1);
    fl_accumulate(ctx, "rows", 1);
    fl_accumulate(ctx, "sum", r->id);
}

enum { ROWS = 20000 };

static void check_sums(fl_env *env, int64_t rows)
{
    int status = fl_execute(env, "test");
    if (status != 0)
        fprintf(stderr, "%s\n", fl_env_error(env));
    assert_int_equal(status, 0);
    assert_int_equal(fl_result_accumulator(env, "rows"), rows);
    assert_int_equal(fl_result_accumulator(env, "sum"), rows * (rows - 1) / 2);
}

static void test_from_any_thread(void **state)
{
    (void)state;
    service_start(false);
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *answers = fl_async_ordered(fl_sequence(env, 0, ROWS - 1), ask_service, Row, .capacity = 50);
    fl_add_sink(answers, check_row, .arg = env, .instance_size = sizeof(int64_t)); /* in order */
    check_sums(env, ROWS);
    fl_env_free(env);

    env = fl_env_new(0, NULL);
    fl_stream *numbers = fl_rebalance(fl_sequence(env, 0, ROWS - 1));
    answers = fl_async_unordered(numbers, ask_service, Row, .capacity = 50, .parallelism = 2, .timeout = fl_minutes(9));
    fl_add_sink(answers, check_row, .instance_size = sizeof(int64_t));
    check_sums(env, ROWS);
    assert_int_equal(service.answered, 2 * ROWS);
    fl_env_free(env);
    service_stop();
}

/* ---- a pool of threads for functions that block ---- */

typedef struct connection {
    int64_t served;
    bool is_open;
} connection;

static _Atomic int open_connections, most_connections;

static void connect_thread(fl_context *ctx)
{
    connection *c = fl_self(ctx);
    assert_false(c->is_open);
    c->is_open = true;
    int now = atomic_fetch_add(&open_connections, 1) + 1, most = atomic_load(&most_connections);
    while (now > most && !atomic_compare_exchange_weak(&most_connections, &most, now))
        ;
    fl_accumulate(ctx, "connected", 1);
}

static void disconnect_thread(fl_context *ctx)
{
    connection *c = fl_self(ctx);
    assert_true(c->is_open);
    fl_accumulate(ctx, "served", c->served);
    atomic_fetch_sub(&open_connections, 1);
}

static void query(const void *in, fl_async *request, fl_context *ctx)
{
    connection *c = fl_self(ctx);
    assert_true(c->is_open);
    assert_int_equal(*(const int64_t *)fl_current_key(ctx), *(const int64_t *)in);
    c->served++;
    answer(request);
}

static void identity(const void *in, void *key, fl_context *ctx)
{
    (void)ctx;
    memcpy(key, in, sizeof(int64_t));
}

static void test_threads(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *keyed = fl_key_by_function(fl_sequence(env, 0, ROWS - 1), identity, int64_t);
    fl_stream *answers = fl_async_unordered(keyed, query, Row, .threads = 4, .thread_size = sizeof(connection),
        .thread_open = connect_thread, .thread_close = disconnect_thread, .parallelism = 1);
    fl_add_sink(answers, check_row, .instance_size = sizeof(int64_t), .parallelism = 1);
    check_sums(env, ROWS);
    assert_int_equal(fl_result_accumulator(env, "connected"), 4);
    assert_int_equal(fl_result_accumulator(env, "served"), ROWS);
    assert_int_equal(open_connections, 0);
    assert_int_equal(most_connections, 4);
    fl_env_free(env);
}

static void refuse_thread(fl_context *ctx)
{
    fl_fail(ctx, "cannot connect to %s", "nowhere:3306");
}

static void answer_never(const void *in, fl_async *request, fl_context *ctx)
{
    (void)in, (void)request, (void)ctx;
}

static void fail_in_query(const void *in, fl_async *request, fl_context *ctx)
{
    if (*(const int64_t *)in == 100)
        fl_fail(ctx, "the table is gone");
    else
        answer(request);
}

static void test_threads_fail(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_discard(fl_async_ordered(
        fl_sequence(env, 0, 999), answer_never, Row, .threads = 2, .name = "look-up", .thread_open = refuse_thread));
    run_failing(env, "test_async_jobs.c:", "look-up (1/1): the request for ", "cannot connect to nowhere:3306");

    env = fl_env_new(0, NULL);
    fl_discard(fl_async_ordered(fl_sequence(env, 0, 999), fail_in_query, Row, .threads = 2, .name = "look-up"));
    run_failing(env, "look-up (1/1): the request for 100 failed: the table is gone");
}

/* A thread is still at work, and others wait in the queue, when the job fails: it is waited for, its answer is lost. */
static sem_t entered, go_on;

static void work_long(const void *in, fl_async *request, fl_context *ctx)
{
    (void)ctx;
    if (*(const int64_t *)in == 0) {
        sem_post(&entered);
        sem_wait(&go_on);
    }
    answer(request);
}

static void fail_while_working(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    sem_wait(&entered);
    fl_fail(ctx, "the sink fails");
    sem_post(&go_on);
}

static void test_threads_end_early(void **state)
{
    (void)state;
    sem_init(&entered, 0, 0);
    sem_init(&go_on, 0, 0);
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *numbers = fl_sequence(env, 0, 999);
    fl_discard(fl_async_ordered(numbers, work_long, Row, .threads = 1));
    fl_add_sink(fl_rebalance(numbers), fail_while_working, .parallelism = 1);
    run_failing(env, "the sink fails");
}

/* The only thread is held up by the first record: time limits run out for that one and for those in the queue, which
 * are then not asked for at all. The thread goes on when all has come out. */
static _Atomic int asked_in_thread;

static void work_until_told(const void *in, fl_async *request, fl_context *ctx)
{
    (void)ctx;
    atomic_fetch_add(&asked_in_thread, 1);
    int64_t n = *(const int64_t *)in;
    sem_wait(&go_on);
    assert_int_equal(*(const int64_t *)in, n); /* it stays, although others have answered */
    assert_ptr_equal(fl_async_input(request), in);
    answer(request);
}

static void answer_instead(const void *in, fl_async *request, fl_context *ctx)
{
    (void)ctx;
    fl_async_complete_one(request, &(Row){ *(const int64_t *)in, -1, fl_str("too late") });
}

static void let_go_on(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    assert_int_equal(((const Row *)in)->answer, -1);
    int64_t *count = fl_self(ctx);
    if (++*count == 30)
        sem_post(&go_on);
}

static void test_threads_time_out(void **state)
{
    (void)state;
    atomic_store(&asked_in_thread, 0);
    sem_init(&go_on, 0, 0);
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *answers = fl_async_unordered(fl_sequence(env, 0, 29), work_until_told, Row, .threads = 1, .capacity = 10,
        .timeout = fl_milliseconds(20), .on_timeout = answer_instead);
    fl_add_sink(answers, let_go_on, .instance_size = sizeof(int64_t));
    run_job(env);
    assert_int_equal(asked_in_thread, 1);
}

/* ---- the job ends with requests in flight ---- */

static void fail_when_full(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out;
    for (int count = 0; count < 10 && fl_running(ctx);) {
        pthread_mutex_lock(&service.lock);
        count = service.count;
        pthread_mutex_unlock(&service.lock);
    }
    fl_fail(ctx, "the sink fails");
}

static void release_service(void)
{
    pthread_mutex_lock(&service.lock);
    service.is_held = false;
    pthread_cond_broadcast(&service.changed);
    pthread_mutex_unlock(&service.lock);
}

static void test_answers_after_failure(void **state)
{
    (void)state;
    service_start(true);
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *numbers = fl_sequence(env, 0, 999);
    fl_discard(fl_async_unordered(numbers, ask_service, Row, .capacity = 10));
    fl_add_sink(fl_rebalance(numbers), fail_when_full, .parallelism = 1);
    run_failing(env, "the sink fails");
    assert_int_equal(service.count, 10);
    release_service(); /* the environment is gone: the answers, records included, find nobody */
    while (true) {
        pthread_mutex_lock(&service.lock);
        int answered = service.answered;
        pthread_mutex_unlock(&service.lock);
        if (answered == 10)
            break;
        sched_yield();
    }
    service_stop();
}

/* ---- the end of input ---- */

static void fail_once(const void *in, fl_async *request, fl_context *ctx)
{
    (void)in;
    int64_t *calls = fl_self(ctx);
    if (++*calls == 1)
        fl_async_fail(request, "not yet");
    else if (*calls == 2)
        answer(request);
    else
        fl_async_fail(request, "once too often");
}

/* What waits for another attempt when the input ends gets it at once (Flink's endInput): an hour is not waited for. */
static void test_end_hurries_retries(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *answers = fl_async_ordered(fl_sequence(env, 0, 0), fail_once, Row, .timeout = fl_hours(2),
        .retry = fl_retry_fixed_delay(5, fl_hours(1)), .retry_if_error = fl_retry_if_failed,
        .instance_size = sizeof(int64_t));
    fl_add_sink(answers, check_row, .instance_size = sizeof(int64_t));
    check_sums(env, 1);
    fl_env_free(env);
}

static void answer_with(const void *in, fl_async *request, fl_context *ctx)
{
    (void)in, (void)ctx;
    fl_async_complete_none(request);
}

static void test_end_waits_for_timeouts(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_stream *answers = fl_async_ordered(
        fl_sequence(env, 0, 9), answer_never, Row, .timeout = fl_milliseconds(20), .on_timeout = answer_with);
    collect_all(answers, Row);
    run_job(env);
    assert_string_equal(collected_text(false), "");
}

/* ---- simulated ---- */

typedef struct {
    int64_t id;
    fl_time at;
} Event;
FL_ROW(Event, id, at);

static void answer_later(const void *in, fl_async *request, fl_context *ctx)
{
    (void)ctx;
    const Event *e = in;
    int64_t delay = (e->id * 7919) % 23;
    if (delay == 0)
        fl_async_complete(request, e, 1);
    else
        fl_test_complete_after(request, fl_milliseconds(delay), e, 1);
}

static void watch_marks(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    const Event *e = in;
    /* never across a watermark: event n came between the watermarks of n - 1 and n */
    if (fl_timestamp_of(ctx) != e->at || e->at <= fl_current_watermark(ctx))
        fl_fail(ctx, "%" PRId64 " came too late", e->id);
    fl_accumulate(ctx, "rows", 1);
    fl_accumulate(ctx, "sum", e->id);
}

static uint64_t simulate(uint64_t seed, bool is_ordered, int capacity, fl_time *waited)
{
    enum { EVENTS = 500 };
    Event events[EVENTS];
    fl_time at[EVENTS], marks[EVENTS];
    for (int i = 0; i < EVENTS; i++) {
        events[i] = (Event){ i, at[i] = 10 * i };
        marks[i] = i % 5 == 0 ? at[i] : FL_TIME_MIN;
    }
    fl_env *env = fl_env_new(0, NULL);
    fl_test_simulate(env, .seed = seed, .channel_capacity = 2, .segment_bytes = 256);
    fl_stream *in = fl_test_source(env, Event, events, EVENTS, .timestamps = at, .watermarks = marks);
    const fl_async_options options = { .capacity = capacity, .timeout = fl_seconds(5), .where = FL_HERE };
    fl_stream *answers = fl__async(in, is_ordered, answer_later, FL_TYPE(Event), &options);
    fl_add_sink(fl_rebalance(answers), watch_marks, .parallelism = 1);
    check_sums(env, EVENTS);
    *waited = fl_result_runtime_ms(env);
    uint64_t trace = fl_test_trace(env);
    fl_env_free(env);
    return trace;
}

static void test_simulated(void **state)
{
    (void)state;
    fl_time waited;
    for (int ordered = 0; ordered < 2; ordered++) {
        for (int capacity = 1; capacity <= 64; capacity *= 8) {
            uint64_t trace = simulate(42, ordered, capacity, &waited);
            assert_int_equal(trace, simulate(42, ordered, capacity, &waited));
            assert_int_not_equal(trace, simulate(43, ordered, capacity, &waited));
        }
    }
}

static void test_simulated_threads(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_test_simulate(env, .seed = 1);
    fl_stream *keyed = fl_key_by_function(fl_sequence(env, 0, 99), identity, int64_t);
    fl_stream *answers = fl_async_ordered(keyed, query, Row, .threads = 4, .thread_size = sizeof(connection),
        .thread_open = connect_thread, .thread_close = disconnect_thread);
    fl_add_sink(answers, check_row, .arg = env, .instance_size = sizeof(int64_t));
    check_sums(env, 100);
    assert_int_equal(fl_result_accumulator(env, "connected"), 1);
    assert_int_equal(fl_result_accumulator(env, "served"), 100);
    fl_env_free(env);

    env = fl_env_new(0, NULL);
    fl_test_simulate(env, .seed = 1);
    fl_discard(fl_async_ordered(fl_sequence(env, 0, 999), fail_in_query, Row, .threads = 2, .name = "look-up"));
    run_failing(env, "look-up (1/1): the request for 100 failed: the table is gone");
}

/* Nobody answers, and there is no time limit: the simulator says so and does not wait for ever. */
static void test_simulated_stuck(void **state)
{
    (void)state;
    fl_env *env = fl_env_new(0, NULL);
    fl_test_simulate(env, .seed = 1);
    fl_discard(fl_async_ordered(fl_sequence(env, 0, 9), answer_never, Row));
    run_failing(env, "no task can go on");
}

/* ---- checkpoints ---- */

enum { KEYS = 7, NUMBERS = 2000 };
static int64_t highest_count[KEYS], sum_at_highest[KEYS];

typedef struct Count {
    int64_t key, count, sum;
} Count;
FL_ROW(Count, key, count, sum);
FL_VALUE_STATE(counted, Count);

static void key_of(const void *in, void *key, fl_context *ctx)
{
    (void)ctx;
    *(int64_t *)key = ((const Row *)in)->id % KEYS;
}

static void name(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)ctx;
    char text[64];
    snprintf(text, sizeof text, "the number that is %" PRId64, *(const int64_t *)in);
    fl_collect(out, &(Row){ *(const int64_t *)in, 0, fl_str(text) });
}

static void find_later(const void *in, fl_async *request, fl_context *ctx)
{
    const Row *r = in;
    int64_t delay = (r->id * 7919 + fl_current_processing_time(ctx)) % 9;
    if (fl_timestamp_of(ctx) != r->id)
        fl_fail(ctx, "%" PRId64 " has the time %" PRId64, r->id, fl_timestamp_of(ctx));
    if (delay == 0)
        fl_async_complete(request, r, 1);
    else
        fl_test_complete_after(request, fl_milliseconds(delay), r, 1);
}

static void count(const void *in, fl_collector *out, fl_context *ctx)
{
    const Row *r = in;
    char text[64];
    snprintf(text, sizeof text, "the number that is %" PRId64, r->id);
    if (!fl_string_equal(r->text, fl_str(text)) || fl_current_watermark(ctx) >= r->id)
        fl_fail(ctx, "%.*s came as %" PRId64 ", behind %" PRId64, FL_STR(r->text), r->id, fl_current_watermark(ctx));
    Count *c = fl_value(ctx, counted);
    c->key = *(const int64_t *)fl_current_key(ctx);
    c->count++;
    c->sum += r->id;
    fl_collect(out, c);
}

static void note(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out, (void)ctx;
    const Count *c = in;
    if (c->count > highest_count[c->key]) {
        highest_count[c->key] = c->count;
        sum_at_highest[c->key] = c->sum;
    }
}

/* What is in flight at a checkpoint is asked for again: each number is counted once. */
static void run_killed(uint64_t seed, bool is_ordered, uint32_t *restores)
{
    memset(highest_count, 0, sizeof highest_count);
    memset(sum_at_highest, 0, sizeof sum_at_highest);
    fl_env *env = fl_env_new(0, NULL);
    fl_set_parallelism(env, 1 + (int)(seed % 3));
    fl_set(env, "execution.checkpointing.interval", "3 ms");
    fl_set(env, "pipeline.auto-watermark-interval", "1 ms");
    fl_stream *numbers = fl_watermarks(
        fl_map(fl_sequence(env, 1, NUMBERS), name, Row), fl_bounded_out_of_orderness(fl_seconds(9)), .timestamp = "id");
    const fl_async_options options = { .capacity = 1 + (int)(seed % 12), .where = FL_HERE };
    fl_stream *found = fl__async(numbers, is_ordered, find_later, FL_TYPE(Row), &options);
    fl_stream *counts = fl_process(fl_key_by_function(found, key_of, int64_t), count, Count, .states = { &counted });
    fl_add_sink(counts, note);
    fl__simulation simulation = { .seed = seed, .channel_capacity = 2, .segment_size = 256, .kill_every = 2500 };
    env->simulation = &simulation;
    if (fl_execute(env, "killed") != 0)
        fail_msg("seed %d: %s", (int)seed, fl_env_error(env));
    *restores += simulation.restores;
    fl_env_free(env);
    for (int64_t k = 0; k < KEYS; k++) {
        int64_t n = 0, sum = 0;
        for (int64_t i = 1; i <= NUMBERS; i++) {
            n += i % KEYS == k;
            sum += i % KEYS == k ? i : 0;
        }
        if (highest_count[k] != n || sum_at_highest[k] != sum)
            fail_msg("seed %d: key %d came %d times instead of %d, sum %d of %d", (int)seed, (int)k,
                (int)highest_count[k], (int)n, (int)sum_at_highest[k], (int)sum);
    }
}

static void test_killed_jobs(void **state)
{
    (void)state;
    uint32_t restores = 0;
    for (uint64_t seed = 1; seed <= 40; seed++)
        run_killed(seed, seed % 2, &restores);
    assert_true(restores > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_any_thread),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_threads_fail),
        cmocka_unit_test(test_threads_end_early),
        cmocka_unit_test(test_threads_time_out),
        cmocka_unit_test(test_answers_after_failure),
        cmocka_unit_test(test_end_hurries_retries),
        cmocka_unit_test(test_end_waits_for_timeouts),
        cmocka_unit_test(test_simulated),
        cmocka_unit_test(test_simulated_threads),
        cmocka_unit_test(test_simulated_stuck),
        cmocka_unit_test(test_killed_jobs),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
