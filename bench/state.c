/* What the keyed table and the timer queues cost, in ns of CPU time per operation: build/bench/state [keys|timers].
 * For profiling, not a case of `./dev bench`. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "state/timers.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint64_t random_state = 88172645463325252u;
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

enum { BATCH = 1024, AHEAD = 16 };

static double sum_over_keys(uint64_t keys, uint64_t operations, bool prefetch, double *bytes)
{
    fl__memory account;
    fl__memory_init(&account, "bench", NULL, 0);
    fl__key key = { .type = FL_TYPE(int64_t), .class = FL__KEY_U64, .in_place = true, .size = 8 };
    fl__table table;
    fl__table_init(&table, &account, &key, 16, 0, 128, 0);
    for (uint64_t i = 0; i < keys; i++)
        fl__table_get(&table, fl__key_hash_u64(&i), &i, NULL);
    *bytes = (double)fl__memory_used(&account) / (double)keys;
    uint64_t batch[BATCH], hashes[BATCH];
    double seconds = 0;
    for (uint64_t done = 0; done < operations; done += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            batch[i] = (uint64_t)(((unsigned __int128)next_random() * keys) >> 64);
            hashes[i] = fl__key_hash_u64(&batch[i]);
        }
        double start = now();
        for (int i = 0; i < BATCH; i++) {
            if (prefetch) {
                if (i + AHEAD < BATCH)
                    fl__table_prefetch(&table, hashes[i + AHEAD]);
                if (i + AHEAD / 2 < BATCH)
                    fl__table_prefetch_entry(&table, hashes[i + AHEAD / 2]);
            }
            uint32_t ref = fl__table_find_class(&table, FL__KEY_U64, hashes[i], &batch[i], true, NULL);
            *(int64_t *)(void *)(fl__table_entry(&table, ref) + 8) += 1;
            fl__table_touch(&table, ref);
        }
        seconds += now() - start;
    }
    fl__table_release(&table);
    return seconds / (double)operations * 1e9;
}

FL_VALUE_STATE(total, int64_t);

static double value_state(uint64_t keys, uint64_t operations)
{
    fl__key key = { .type = FL_TYPE(int64_t), .class = FL__KEY_U64, .in_place = true, .size = 8 };
    fl_state *states[] = { &total.state };
    fl__keyed *keyed;
    fl__keyed_options options = { .key = &key, .states = states, .state_count = 1, .max_parallelism = 128 };
    if (fl__keyed_new(&keyed, &options, NULL) != FL_OK)
        abort();
    fl__function function = { .keyed = keyed };
    fl_context ctx = { .function = &function, .state_offsets = keyed->offsets };
    uint64_t batch[BATCH], hashes[BATCH];
    double seconds = 0;
    for (uint64_t done = 0; done < operations + keys; done += BATCH) {
        for (int i = 0; i < BATCH; i++) {
            batch[i] = done < keys ? done + (unsigned)i : (uint64_t)(((unsigned __int128)next_random() * keys) >> 64);
            hashes[i] = fl__key_hash_u64(&batch[i]);
        }
        double start = now();
        bool prefetch = fl__keyed_is_large(keyed);
        for (int i = 0; i < BATCH; i++) {
            if (prefetch) {
                if (i + AHEAD < BATCH)
                    fl__table_prefetch(&keyed->table, hashes[i + AHEAD]);
                if (i + AHEAD / 2 < BATCH)
                    fl__table_prefetch_entry(&keyed->table, hashes[i + AHEAD / 2]);
            }
            fl__keyed_set_key(keyed, &ctx, hashes[i], &batch[i]);
            *fl_value(&ctx, total) += 1;
            fl__keyed_end_call(keyed, &ctx);
        }
        if (done >= keys)
            seconds += now() - start;
    }
    fl__keyed_free(keyed);
    return seconds / (double)operations * 1e9;
}

/* Timers spread over a minute or so are registered, then all of them fire. Lookups of the keys do not count when
 * registering; firing includes reading the key's state. */
static void register_and_fire(
    uint64_t wanted, uint64_t keys, bool in_order, double *registering, double *firing, double *bytes)
{
    fl__memory account;
    fl__memory_init(&account, "bench", NULL, 0);
    fl__key key = { .type = FL_TYPE(int64_t), .class = FL__KEY_U64, .in_place = true, .size = 8 };
    fl_state *states[] = { &total.state };
    fl__keyed *keyed;
    fl__keyed_options options = {
        .memory = &account, .key = &key, .states = states, .state_count = 1, .with_timers = true, .max_parallelism = 128
    };
    if (fl__keyed_new(&keyed, &options, NULL) != FL_OK)
        abort();
    fl__timers *timers = fl__timers_new(&account, keyed);
    fl__function function = { .keyed = keyed, .timers = timers };
    fl_context ctx = { .function = &function, .state_offsets = keyed->offsets };
    for (uint64_t i = 0; i < keys; i++) {
        fl__keyed_set_key(keyed, &ctx, fl__key_hash_u64(&i), &i);
        *fl_value(&ctx, total) = 1;
        fl__keyed_end_call(keyed, &ctx);
    }
    int64_t before = fl__memory_used(&account);
    uint32_t refs[BATCH];
    int64_t times[BATCH];
    double seconds = 0, n = (double)wanted;
    for (uint64_t done = 0; done < wanted; done += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            uint64_t k = (done + i) * UINT64_C(0x9e3779b97f4a7c15) % keys;
            fl__keyed_set_key(keyed, &ctx, fl__key_hash_u64(&k), &k);
            *fl_value(&ctx, total) += 1;
            refs[i] = keyed->ref;
            times[i] = in_order ? (int64_t)((done + i) / 100) : (int64_t)(next_random() % (wanted / 100 + 1));
        }
        double start = now();
        for (int i = 0; i < BATCH; i++) {
            keyed->ref = refs[i];
            ctx.entry = fl__table_entry(&keyed->table, refs[i]);
            fl_register_event_time_timer(&ctx, times[i]);
            fl__keyed_end_call(keyed, &ctx);
        }
        seconds += now() - start;
    }
    *registering = seconds / n * 1e9;
    *bytes = (double)(fl__memory_used(&account) - before) / n;
    double start = now();
    uint64_t fired = 0;
    fl_time time, last = FL_TIME_MIN;
    uint32_t ref;
    while (fl__timers_pop(timers, FL__EVENT_TIME, FL_TIME_MAX, &time, &ref)) {
        fl__keyed_set_ref(keyed, &ctx, ref);
        fl__keyed_timer_gone(keyed, ref);
        *fl_value(&ctx, total) += 1;
        fl__keyed_end_call(keyed, &ctx);
        if (time < last)
            abort();
        last = time;
        fired++;
    }
    *firing = (now() - start) / n * 1e9;
    fl__timers_free(timers);
    fl__keyed_free(keyed);
}

typedef struct item {
    int64_t time;
    uint64_t ref;
} item;

/* The same by a binary heap, without keys, state or duplicates. */
static double bare_heap(uint64_t wanted, bool in_order)
{
    item *heap = malloc((wanted + 1) * sizeof *heap);
    double start = now();
    for (uint64_t n = 1; n <= wanted; n++) {
        item x = { in_order ? (int64_t)(n / 100) : (int64_t)(next_random() % (wanted / 100 + 1)), n };
        uint64_t i = n;
        for (; i > 1 && x.time < heap[i / 2].time; i /= 2)
            heap[i] = heap[i / 2];
        heap[i] = x;
    }
    for (uint64_t n = wanted; n > 0; n--) {
        item x = heap[n];
        uint64_t i = 1;
        for (uint64_t j; (j = 2 * i) < n; i = j) {
            j += j + 1 < n && heap[j + 1].time < heap[j].time;
            if (x.time <= heap[j].time)
                break;
            heap[i] = heap[j];
        }
        heap[i] = x;
    }
    double ns = (now() - start) / (double)wanted * 1e9;
    free(heap);
    return ns;
}

static double lower(double a, double b)
{
    return a < b ? a : b;
}

/* The best of three rounds. */
static void report_timers(uint64_t wanted, uint64_t keys, bool in_order)
{
    double registering = 1e9, firing = 1e9, heap = 1e9, bytes = 0;
    for (int round = 0; round < 3; round++) {
        double r, f;
        register_and_fire(wanted, keys, in_order, &r, &f, &bytes);
        registering = lower(registering, r);
        firing = lower(firing, f);
        heap = lower(heap, bare_heap(wanted, in_order));
    }
    printf("timers, %.0e on %.0e keys, %-8s register %5.1f ns + fire %5.1f ns = %5.1f ns; a bare heap %5.1f ns; "
           "%.1f bytes\n",
        (double)wanted, (double)keys, in_order ? "in order" : "random", registering, firing, registering + firing, heap,
        bytes);
}

int main(int argc, char **argv)
{
    bool all = argc < 2, keyed = all || strcmp(argv[1], "keys") == 0, timed = all || strcmp(argv[1], "timers") == 0;
    for (uint64_t keys = 1000; keyed && keys <= 10000000; keys *= keys < 1000000 ? 1000 : 10) {
        double bytes;
        for (int prefetch = 0; prefetch < 2; prefetch++) {
            double ns = sum_over_keys(keys, 20000000, prefetch, &bytes);
            printf("find + add, %8llu keys, %-14s %5.1f ns, %.1f bytes per key over key and value\n",
                (unsigned long long)keys, prefetch ? "prefetching" : "no prefetching", ns, bytes - 16);
        }
        printf("fl_value,   %8llu keys, as operators do %5.1f ns\n", (unsigned long long)keys,
            value_state(keys, 20000000));
    }
    for (uint64_t timers = 1000000; timed && timers <= 10000000; timers *= 10) {
        for (int in_order = 0; in_order < 2; in_order++)
            report_timers(timers, timers / 10, in_order);
        report_timers(timers, timers, false);
    }
    return 0;
}
