/* A service that takes a millisecond for each query, however many are under way, and jobs that ask it. */
#include "bench.h"

#include "generate.h"

#include <pthread.h>
#include <time.h>

typedef pair Pair;
FL_ROW(Pair, key, value);

enum { IN_FLIGHT = 100, QUEUE = 128 }; /* QUEUE: a power of two, more than IN_FLIGHT */

/* ---- answered at once: what the operator itself costs ---- */

static void answer_now(const void *in, fl_async *request, fl_context *ctx)
{
    (void)ctx;
    fl_async_complete(request, (const Pair *)in, 1);
}

fl_stream *async_now(fl_stream *pairs)
{
    return fl_async_ordered(pairs, answer_now, Pair, .timeout = fl_minutes(1), .capacity = IN_FLIGHT);
}

/* ---- a service with a thread of its own ---- */

typedef struct service {
    pthread_t thread;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    struct {
        fl_async *request;
        struct timespec due;
    } queue[QUEUE];
    unsigned head, tail;
    bool is_ending;
} service;

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static void *serve(void *arg)
{
    service *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->is_ending) {
        if (s->head == s->tail) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        struct timespec due = s->queue[s->head % QUEUE].due, now;
        pthread_mutex_unlock(&s->lock);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        pthread_mutex_lock(&s->lock);
        fl_async *answered[QUEUE];
        unsigned count = 0;
        while (s->head != s->tail && !is_before(&now, &s->queue[s->head % QUEUE].due))
            answered[count++] = s->queue[s->head++ % QUEUE].request;
        pthread_mutex_unlock(&s->lock);
        for (unsigned i = 0; i < count; i++)
            fl_async_complete(answered[i], (const Pair *)fl_async_input(answered[i]), 1);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void open_service(fl_context *ctx)
{
    service *s = fl_self(ctx);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (pthread_create(&s->thread, NULL, serve, s) != 0)
        fl_fail(ctx, "no thread for the service");
}

static void close_service(fl_context *ctx)
{
    service *s = fl_self(ctx);
    pthread_mutex_lock(&s->lock);
    s->is_ending = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
}

static void ask_service(const void *in, fl_async *request, fl_context *ctx)
{
    (void)in;
    service *s = fl_self(ctx);
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    due.tv_nsec += 1000000;
    due.tv_sec += due.tv_nsec / 1000000000;
    due.tv_nsec %= 1000000000;
    pthread_mutex_lock(&s->lock);
    s->queue[s->tail % QUEUE].request = request;
    s->queue[s->tail % QUEUE].due = due;
    if (s->tail++ == s->head)
        pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

fl_stream *async_look_ups(fl_stream *pairs)
{
    return fl_async_unordered(pairs, ask_service, Pair, .timeout = fl_minutes(1), .capacity = IN_FLIGHT,
        .instance_size = sizeof(service), .open = open_service, .close = close_service);
}

/* ---- a client library that blocks, in a thread for each request in flight ---- */

static void query(const void *in, fl_async *request, fl_context *ctx)
{
    (void)ctx;
    struct timespec ms = { .tv_nsec = 1000000 };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, NULL);
    fl_async_complete(request, (const Pair *)in, 1);
}

fl_stream *async_look_ups_in_threads(fl_stream *pairs)
{
    return fl_async_unordered(
        pairs, query, Pair, .timeout = fl_minutes(1), .capacity = IN_FLIGHT, .threads = IN_FLIGHT);
}
