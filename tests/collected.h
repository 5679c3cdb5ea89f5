/* A sink for tests: keeps every record as the text that print would show. */
#ifndef TESTS_COLLECTED_H
#define TESTS_COLLECTED_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flinc.h"

static struct {
    pthread_mutex_t lock; /* guards the rest: sinks run in the threads of their tasks */
    char **items;
    size_t count;
} collected = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline void collected_clear(void)
{
    for (size_t i = 0; i < collected.count; i++)
        free(collected.items[i]);
    free(collected.items);
    collected.items = NULL;
    collected.count = 0;
}

static inline void collect_text(const char *text)
{
    pthread_mutex_lock(&collected.lock);
    if ((collected.count & (collected.count - 1)) == 0)
        collected.items = realloc(collected.items, (2 * collected.count + 1) * sizeof *collected.items);
    collected.items[collected.count++] = strdup(text);
    pthread_mutex_unlock(&collected.lock);
}

/* .arg of the sink is the type. */
static inline void collect_record(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)out;
    const fl_type *type = (const fl_type *)fl_arg(ctx);
    size_t length = fl_format(type, in, NULL, 0);
    char *text = malloc(length + 1);
    fl_format(type, in, text, length + 1);
    collect_text(text);
    free(text);
}

#define collect_all(stream, T, ...)                                                                                    \
    fl_add_sink((stream), collect_record, .arg = (void *)(uintptr_t)FL_TYPE(T), ##__VA_ARGS__)

static inline int collected_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that was collected, joined by '|'; in the order of arrival, or sorted. Valid until the next call. */
static inline const char *collected_text(bool sorted)
{
    static char *text;
    size_t length = 1;
    if (sorted && collected.count > 0)
        qsort(collected.items, collected.count, sizeof *collected.items, collected_order);
    for (size_t i = 0; i < collected.count; i++)
        length += strlen(collected.items[i]) + 1;
    free(text);
    char *end = text = malloc(length);
    *end = 0;
    for (size_t i = 0; i < collected.count; i++)
        end += sprintf(end, "%s%s", i ? "|" : "", collected.items[i]);
    return text;
}

/* Runs the job, which must succeed, and frees the environment. */
static inline void run_job(fl_env *env)
{
    collected_clear();
    int status = fl_execute(env, "test");
    if (status != 0)
        fprintf(stderr, "%s\n", fl_env_error(env));
    assert_int_equal(status, 0);
    fl_env_free(env);
}

/* Runs the job, which must fail with a message that holds all of the texts given. */
#define run_failing(env, ...) run_failing_with((env), (const char *const[]){ __VA_ARGS__, NULL })
static inline void run_failing_with(fl_env *env, const char *const *texts)
{
    collected_clear();
    assert_int_not_equal(fl_execute(env, "test"), 0);
    for (; *texts; texts++) {
        if (!strstr(fl_env_error(env), *texts))
            fprintf(stderr, "expected \"%s\" in: %s\n", *texts, fl_env_error(env));
        assert_non_null(strstr(fl_env_error(env), *texts));
    }
    fl_env_free(env);
}

#endif
