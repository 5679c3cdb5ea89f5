/* usage: simulate [SEEDS=n] [FROM=n] [SEED=n] [FAULT=n|all]
 *
 * Runs random pipelines, each under several schedules of the simulated executor, and compares what comes out with a
 * naive reference. SEEDS=1000 FROM=0 by default; SEED=n runs one, with its plan and a trace of its steps. FAULT: with a
 * bug put in on purpose, which some seed must find (exit status 0 when it does). Ends with `N passed, N failed`. */
#include "pipeline.h"

#include "cluster/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct outcome {
    uint64_t trace, steps;
    uint64_t output;  /* hash over all records, in order of arrival */
    char wrong[1024]; /* "" when all is as it must be */
} outcome;

/* ---- comparing ---- */

static int compare_records(const void *a, const void *b)
{
    const record *x = a, *y = b;
#define BY(field)                                                                                                      \
    if (x->field != y->field)                                                                                          \
        return x->field < y->field ? -1 : 1;
    BY(key)
    BY(id)
    BY(value)
    BY(at)
    BY(timestamp)
    return 0;
#undef BY
}

typedef struct by_key {
    const record *r;
    size_t index;
} by_key;

static int compare_by_key(const void *a, const void *b)
{
    const by_key *x = a, *y = b;
    if (x->r->key != y->r->key)
        return x->r->key < y->r->key ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static by_key *sort_by_key(const records *rows)
{
    by_key *sorted = calloc(rows->count + 1, sizeof *sorted);
    for (size_t i = 0; i < rows->count; i++)
        sorted[i] = (by_key){ &rows->items[i], i };
    qsort(sorted, rows->count, sizeof *sorted, compare_by_key);
    return sorted;
}

static void complain(outcome *o, const node *n, const char *what, const record *got, const record *expected)
{
    if (o->wrong[0])
        return;
    int at = snprintf(o->wrong, sizeof o->wrong, "node [%d]: %s", n->number, what);
    const record *both[] = { got, expected };
    for (int i = 0; i < 2; i++) {
        if (both[i] && at < (int)sizeof o->wrong)
            at += snprintf(o->wrong + at, sizeof o->wrong - (size_t)at,
                "; %s key %lld id %lld value %lld at %lld timestamp %lld", i ? "expected" : "got",
                (long long)both[i]->key, (long long)both[i]->id, (long long)both[i]->value, (long long)both[i]->at,
                (long long)both[i]->timestamp);
    }
}

static void check_count(outcome *o, const node *n, size_t got, size_t expected)
{
    if (got == expected)
        return;
    char text[80];
    snprintf(text, sizeof text, "%zu records instead of %zu", got, expected);
    complain(o, n, text, NULL, NULL);
}

static void check_bag(outcome *o, const node *n, const records *got, const records *expected)
{
    records a = { 0 }, b = { 0 };
    for (size_t i = 0; i < got->count; i++)
        records_add(&a, got->items[i]);
    for (size_t i = 0; i < expected->count; i++)
        records_add(&b, expected->items[i]);
    if (a.count)
        qsort(a.items, a.count, sizeof *a.items, compare_records);
    if (b.count)
        qsort(b.items, b.count, sizeof *b.items, compare_records);
    for (size_t i = 0; i < a.count || i < b.count; i++) {
        if (i < a.count && i < b.count && compare_records(&a.items[i], &b.items[i]) == 0)
            continue;
        complain(
            o, n, "other records came than must", i < a.count ? &a.items[i] : NULL, i < b.count ? &b.items[i] : NULL);
        break;
    }
    check_count(o, n, got->count, expected->count);
    free(a.items);
    free(b.items);
}

static void check_order(outcome *o, const node *n, const records *got, const records *expected)
{
    by_key *a = sort_by_key(got), *b = sort_by_key(expected);
    for (size_t i = 0; i < got->count && i < expected->count; i++) {
        if (compare_records(a[i].r, b[i].r) != 0) {
            complain(o, n, "records of a key in another order", a[i].r, b[i].r);
            break;
        }
    }
    free(a);
    free(b);
}

/* Each key's number of results, and its last value. */
static void check_final(outcome *o, const node *n, const records *got, const records *expected)
{
    by_key *a = sort_by_key(got), *b = sort_by_key(expected);
    check_count(o, n, got->count, expected->count);
    for (size_t i = 0; i < got->count && !o->wrong[0]; i++) {
        bool is_last = i + 1 == got->count || a[i + 1].r->key != a[i].r->key;
        bool must_be_last = i + 1 == expected->count || b[i + 1].r->key != b[i].r->key;
        if (a[i].r->key != b[i].r->key || is_last != must_be_last)
            complain(o, n, "other keys", a[i].r, b[i].r);
        else if (is_last && a[i].r->value != b[i].r->value)
            complain(o, n, "another final value", a[i].r, b[i].r);
    }
    free(a);
    free(b);
}

static bool keeps_order(const node *n)
{
    if (!n->keyed_order)
        return false;
    if (n->sink_parallelism == 1)
        return true;
    switch (n->sink_edge) {
    case EDGE_PLAIN: return n->parallelism == n->sink_parallelism;
    case EDGE_RESCALE: return n->sink_parallelism <= n->parallelism;
    case EDGE_GLOBAL:
    case EDGE_CUSTOM:
    case EDGE_HASH: return true;
    default: return false;
    }
}

static void check_node(outcome *o, const node *n)
{
    records got = { 0 }, expected = { 0 };
    int copies = n->sink_edge == EDGE_BROADCAST ? n->sink_parallelism : 1;
    for (int s = 0; s < n->sink_parallelism; s++) {
        if (n->sink->subtasks[s].wrong)
            complain(o, n, n->sink->subtasks[s].wrong, &n->sink->subtasks[s].wrong_at, NULL);
        if (n->sink->subtasks[s].watermark != FL_TIME_MAX)
            complain(o, n, "a subtask that did not see the end of time", NULL, NULL);
        for (size_t i = 0; i < n->sink->subtasks[s].rows.count; i++) {
            const record *r = &n->sink->subtasks[s].rows.items[i];
            records_add(&got, *r);
            o->output = mix(o->output ^ (uint64_t)r->id) + mix((uint64_t)r->value) + (uint64_t)s;
        }
    }
    for (size_t i = 0; i < n->rows.count; i++) {
        for (int c = 0; c < copies; c++)
            records_add(&expected, n->rows.items[i]);
    }
    if (n->final_only) {
        check_final(o, n, &got, &expected);
    } else {
        check_bag(o, n, &got, &expected);
        if (keeps_order(n) && !o->wrong[0])
            check_order(o, n, &got, &expected);
    }
    free(got.items);
    free(expected.items);
}

/* ---- running ---- */

static void print_step(void *arg, const fl__task *task, fl__step step)
{
    static const char *const names[] = { "progress", "idle", "blocked", "done" };
    (void)arg;
    printf("%8lld ms  %-8s  %s  in %llu\n", (long long)task->now, names[step], task->name,
        (unsigned long long)atomic_load(&task->metrics.rows_in));
}

static outcome run(plan *p, fl__simulation *simulation)
{
    outcome o = { 0 };
    fl_env *env = fl_env_new(0, NULL);
    plan_build(p, env);
    env->simulation = simulation;
    int status = fl_execute(env, "simulation");
    if (status != FL_OK)
        snprintf(o.wrong, sizeof o.wrong, "%s: %s", fl_status_name((fl_status)status), fl_env_error(env));
    for (int i = 0; i < p->node_count; i++) {
        node *n = &p->nodes[i];
        if (n->sink && status == FL_OK)
            check_node(&o, n);
        sink_free(n->sink);
        n->sink = NULL;
    }
    if (simulation) {
        o.trace = simulation->trace;
        o.steps = simulation->steps;
    }
    fl_env_free(env);
    return o;
}

static fl__simulation schedule(uint64_t seed, unsigned which, bool verbose)
{
    uint64_t h = mix(seed ^ mix(which + 1));
    static const uint32_t capacities[] = { 2, 1, 4, 0 }, segments[] = { 256, 512, 1024, 0 };
    return (fl__simulation){
        .seed = h,
        .start_ms = 1000000,
        .channel_capacity = capacities[which == 0 ? h % 2 : (h >> 8) % 4],
        .segment_size = segments[which == 0 ? 0 : (h >> 16) % 4],
        .step = verbose ? print_step : NULL,
    };
}

/* One plan: a schedule twice, another one once, now and then with threads. What is wrong, or "". */
static void run_seed(uint64_t seed, bool verbose, char *wrong, size_t size)
{
    static plan p; /* large */
    plan_draw(&p, seed);
    if (verbose)
        plan_print(&p);
    fl__simulation first = schedule(seed, 0, verbose), again = schedule(seed, 0, false),
                   other = schedule(seed, 1, false);
    outcome a = run(&p, &first), b = run(&p, &again), c = run(&p, &other), d = { 0 };
    if (seed % 8 == 0)
        d = run(&p, NULL);
    wrong[0] = 0;
    if (a.wrong[0])
        snprintf(wrong, size, "%s", a.wrong);
    else if (a.trace != b.trace || a.output != b.output)
        snprintf(wrong, size,
            "the same schedule gave two runs: %llu steps and %llu, traces %llx and %llx, outputs %llx and %llx",
            (unsigned long long)a.steps, (unsigned long long)b.steps, (unsigned long long)a.trace,
            (unsigned long long)b.trace, (unsigned long long)a.output, (unsigned long long)b.output);
    else if (b.wrong[0] || c.wrong[0])
        snprintf(wrong, size, "second schedule: %s", b.wrong[0] ? b.wrong : c.wrong);
    else if (d.wrong[0])
        snprintf(wrong, size, "with threads: %s", d.wrong);
    plan_release(&p);
}

/* ---- command line ---- */

static bool number(const char *argument, const char *name, uint64_t *value)
{
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0 || argument[length] != '=')
        return false;
    char *end;
    *value = strtoull(argument + length + 1, &end, 10);
    if (*end || end == argument + length + 1) {
        fprintf(stderr, "simulate: %s is no number\n", argument);
        exit(2);
    }
    return true;
}

static int seek_fault(int fault, uint64_t from, uint64_t seeds)
{
    char wrong[2048];
    fault_set(fault);
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        run_seed(seed, false, wrong, sizeof wrong);
        if (wrong[0]) {
            printf(
                "fault %d (%s): found by seed %llu: %s\n", fault, fault_name(fault), (unsigned long long)seed, wrong);
            return 0;
        }
    }
    printf("fault %d (%s): NOT FOUND by %llu seeds\n", fault, fault_name(fault), (unsigned long long)seeds);
    return 1;
}

int main(int argc, char **argv)
{
    uint64_t seeds = 1000, from = 0, seed = 0, fault = 0;
    bool one = false, faulty = false, all = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "FAULT=all") == 0) {
            faulty = all = true;
        } else if (number(argv[i], "SEED", &seed)) {
            one = true;
        } else if (number(argv[i], "FAULT", &fault)) {
            faulty = true;
        } else if (!number(argv[i], "SEEDS", &seeds) && !number(argv[i], "FROM", &from)) {
            fprintf(stderr, "usage: simulate [SEEDS=n] [FROM=n] [SEED=n] [FAULT=n|all]\n");
            return 2;
        }
    }
    if (faulty && fault >= (uint64_t)fault_count()) {
        fprintf(stderr, "simulate: there are the faults 0 to %d\n", fault_count() - 1);
        return 2;
    }
    uint64_t passed = 0, failed = 0;
    if (faulty && !one) {
        for (int f = all ? 0 : (int)fault; f < (all ? fault_count() : (int)fault + 1); f++)
            seek_fault(f, from, seeds) == 0 ? passed++ : failed++;
        printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
        return failed ? 1 : 0;
    }
    if (faulty)
        fault_set((int)fault);
    if (one) {
        from = seed;
        seeds = 1;
    }
    bool is_terminal = isatty(STDERR_FILENO);
    for (uint64_t s = from; s < from + seeds; s++) {
        char wrong[2048];
        run_seed(s, one, wrong, sizeof wrong);
        if (wrong[0]) {
            failed++;
            printf("%sseed %llu: %s\n", is_terminal && !one ? "\r\033[K" : "", (unsigned long long)s, wrong);
        } else {
            passed++;
        }
        if (is_terminal && !one && s % 16 == 0)
            fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " seeds", s - from + 1, seeds);
    }
    if (is_terminal && !one)
        fprintf(stderr, "\r\033[K");
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed ? 1 : 0;
}
