/* Keyed state without a task: a context, a key, and where failures go. */
#ifndef TEST_KEYED_FIXTURE_H
#define TEST_KEYED_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "state/timers.h"

typedef struct fixture {
    fl__memory account;
    fl__key key;
    fl__keyed *keyed;
    fl__timers *timers;
    fl__function function;
    fl_context ctx;
    char failure[1024];
} fixture;

static void note_failure(void *owner, fl_status status, const char *text)
{
    fixture *f = owner;
    assert_true(status >= FL_ERROR_INVALID);
    if (!f->failure[0])
        snprintf(f->failure, sizeof f->failure, "%s", text);
}

static inline void fixture_init(
    fixture *f, const fl_type *key_type, fl_state *const *states, size_t count, bool with_timers)
{
    memset(f, 0, sizeof *f);
    fl__memory_init(&f->account, "test", NULL, 0);
    fl_error error = FL_ERROR_INIT;
    assert_int_equal(fl__key_init_whole(&f->key, key_type, &error), FL_OK);
    fl__keyed_options options = {
        .memory = &f->account,
        .key = &f->key,
        .states = states,
        .state_count = count,
        .with_timers = with_timers,
        .max_parallelism = 128,
    };
    if (fl__keyed_new(&f->keyed, &options, &error) != FL_OK)
        fail_msg("%s", error.text);
    fl__function_init(&f->function, f, note_failure);
    f->function.keyed = f->keyed;
    if (with_timers)
        f->timers = f->function.timers = fl__timers_new(&f->account, f->keyed);
    f->ctx = (fl_context){ .function = &f->function, .state_offsets = f->keyed->offsets, .max_parallelism = 128 };
}

static inline void fixture_release(fixture *f)
{
    fl__timers_free(f->timers);
    fl__keyed_free(f->keyed);
    fl__function_release(&f->function);
    assert_int_equal(fl__memory_used(&f->account), 0);
}

/* Not inlined: gcc would look at every class of key for the one that this is not. */
static __attribute__((noinline, unused)) uint64_t fixture_hash(const fl__key *key, const void *value)
{
    return fl__key_hash(key, value);
}

/* The call for a record of this key begins; key must stay until leave_call. */
static inline void enter_call(fixture *f, const void *key)
{
    fl__keyed_set_key(f->keyed, &f->ctx, fixture_hash(&f->key, key), key);
}

static inline void leave_call(fixture *f)
{
    fl__keyed_end_call(f->keyed, &f->ctx);
    f->ctx.key = NULL;
    f->ctx.entry = NULL;
    if (f->failure[0])
        fail_msg("%s", f->failure);
}

/* The same around a block: CALL(&f, 7) { … } */
#define CALL(f, k) for (int64_t key_ = (k), once_ = (enter_call((f), &key_), 1); once_; once_ = (leave_call(f), 0))

#endif
