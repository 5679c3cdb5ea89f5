/* flinc beside bare C loops. Each run of either side is a process of its own, so that memory, CPU time and the state of
 * the allocator are its alone; sides alternate within a round, and the figures are medians over rounds of the ratio
 * within a round: what else the machine does then falls on both. */
#include "bench.h"
#include "report.h"

#include "bare.h"
#include "generate.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS_MAX = 64 };

typedef struct options {
    int rounds;
    double scale;
    double latency_seconds;
    const char *output;
    bool checksums_only; /* print no figures: for the tests */
} options;

static const char usage[] = "usage: bench [--rounds N] [--scale X] [--output FILE] [--list] [CASE…]\n"
                            "  CASE        a case or the first letters of some (sum, latency); all by default\n"
                            "  --rounds N  how often each case runs (5)\n"
                            "  --scale X   so many times the records (1); small ones give no useful figures\n"
                            "  --output F  where the results go as JSON (bench/results.json)\n"
                            "  --check     compare the results of job and bare loop only, no figures\n";

/* ---- one side of a case, in a child process ---- */

static int run_side(const char *name, const char *side, int parallelism, uint64_t records)
{
    const bench_case *c = NULL;
    for (size_t i = 0; i < case_count; i++)
        if (strcmp(cases[i].name, name) == 0)
            c = &cases[i];
    if (!c)
        return 2;
    outcome o = { 0 };
    double machine = machine_cpu_now(), own = cpu_now(), start = wall_now();
    if (strcmp(side, "flinc") == 0) {
        if (!job_run(c, records, parallelism, &o))
            return 1;
    } else {
        sentences_make();
        double wall = wall_now(), cpu = cpu_now();
        o.checksum = (strcmp(side, "best") == 0 ? c->best : c->bare)(records, c->keys);
        o.seconds = wall_now() - wall;
        o.thread_seconds = o.cpu_seconds = cpu_now() - cpu;
        o.rss_mb = rss_peak_mb();
    }
    double spent = wall_now() - start;
    o.others = (machine_cpu_now() - machine - (cpu_now() - own)) / (spent > 0 ? spent : 1);
    printf("result %.9f %.9f %.9f %.3f %lu %.3f\n", o.seconds, o.cpu_seconds, o.thread_seconds, o.rss_mb, o.checksum,
        o.others > 0.02 ? o.others : 0); /* the machine's clock has ticks of 10 ms */
    return 0;
}

static bool run_child(const bench_case *c, const char *side, int parallelism, uint64_t records, outcome *result)
{
    char p[16], n[32], line[256];
    snprintf(p, sizeof p, "%d", parallelism);
    snprintf(n, sizeof n, "%lu", records);
    FILE *out;
    int pid = child_start((const char *[]){ "--run", c->name, side, p, n, NULL }, &out);
    bool found = false;
    while (fgets(line, sizeof line, out))
        if (sscanf(line, "result %lf %lf %lf %lf %lu %lf", &result->seconds, &result->cpu_seconds,
                &result->thread_seconds, &result->rss_mb, &result->checksum, &result->others) == 6)
            found = true;
    bool ok = child_wait(pid, out, NULL);
    if (!ok || !found)
        fprintf(stderr, "bench: %s, %s at parallelism %d gave no result\n", c->name, side, parallelism);
    return ok && found;
}

/* ---- rounds ---- */

enum { BARE, BEST, ONE, TWO, SIDES };

typedef struct rounds {
    outcome of[SIDES][ROUNDS_MAX];
    int count;
} rounds;

static bool run_round(const bench_case *c, uint64_t records, outcome *const sides[SIDES])
{
    if (!run_child(c, "bare", 1, records, sides[BARE]) || !run_child(c, "flinc", 1, records, sides[ONE]) ||
        (c->best && !run_child(c, "best", 1, records, sides[BEST])) || !run_child(c, "flinc", 2, records, sides[TWO]))
        return false;
    uint64_t right = sides[BARE]->checksum;
    if (sides[ONE]->checksum != right || sides[TWO]->checksum != right || (c->best && sides[BEST]->checksum != right)) {
        fprintf(stderr,
            "bench: %s gives different results: bare loop %lu, best %lu, flinc %lu at parallelism 1, %lu at 2\n",
            c->name, right, c->best ? sides[BEST]->checksum : right, sides[ONE]->checksum, sides[TWO]->checksum);
        return false;
    }
    return true;
}

/* Rounds in which others took more than a tenth of a core say little: up to as many again are run in their place. */
static bool run_rounds(const bench_case *c, uint64_t records, int wanted, rounds *r)
{
    int attempts = 0, spoilt = 0;
    r->count = 0;
    while (r->count < wanted) {
        outcome *sides[SIDES];
        double others = 0;
        for (int s = 0; s < SIDES; s++)
            sides[s] = &r->of[s][r->count];
        if (!run_round(c, records, sides))
            return false;
        for (int s = 0; s < SIDES; s++)
            if (s != BEST && sides[s]->others > others)
                others = sides[s]->others;
        attempts++;
        if (others > 0.1 && wanted > 1 && spoilt < wanted && attempts < 2 * wanted)
            spoilt++;
        else
            r->count++;
    }
    return true;
}

static double median_of(const rounds *r, int side, size_t member)
{
    double values[ROUNDS_MAX];
    for (int i = 0; i < r->count; i++)
        memcpy(&values[i], (const char *)&r->of[side][i] + member, sizeof(double));
    return median(values, (size_t)r->count);
}

static double median_ratio(const rounds *r, int over, int under, size_t member)
{
    double values[ROUNDS_MAX];
    for (int i = 0; i < r->count; i++) {
        double a, b;
        memcpy(&a, (const char *)&r->of[over][i] + member, sizeof a);
        memcpy(&b, (const char *)&r->of[under][i] + member, sizeof b);
        values[i] = b > 0 ? a / b : 0;
    }
    return median(values, (size_t)r->count);
}

static double fastest(const rounds *r, int side)
{
    double seconds = r->of[side][0].seconds;
    for (int i = 1; i < r->count; i++)
        if (r->of[side][i].seconds < seconds)
            seconds = r->of[side][i].seconds;
    return seconds;
}

static outcome median_outcome(const rounds *r, int side)
{
    return (outcome){
        .seconds = median_of(r, side, offsetof(outcome, seconds)),
        .cpu_seconds = median_of(r, side, offsetof(outcome, cpu_seconds)),
        .thread_seconds = median_of(r, side, offsetof(outcome, thread_seconds)),
        .rss_mb = median_of(r, side, offsetof(outcome, rss_mb)),
        .others = median_of(r, side, offsetof(outcome, others)),
        .checksum = r->of[side][0].checksum,
    };
}

static bool run_case(const bench_case *c, const options *o, report *into)
{
    static rounds r;
    uint64_t records = (uint64_t)((double)c->records * o->scale);
    records = records / 1000 * 1000;
    if (records < 1000)
        records = 1000;
    if (!run_rounds(c, records, o->rounds, &r))
        return false;
    if (o->checksums_only) {
        printf("%s: %lu records, checksum %lu\n", c->name, records, r.of[BARE][0].checksum);
        return true;
    }
    for (int p = 1; p <= 2; p++) {
        int side = p == 1 ? ONE : TWO;
        row *line = report_row(into);
        *line = (row){
            .of = c,
            .parallelism = p,
            .records = records,
            .flinc = median_outcome(&r, side),
            .bare = median_outcome(&r, BARE),
            .ratio = median_ratio(&r, side, BARE, offsetof(outcome, seconds)),
            .cpu_ratio = median_ratio(&r, side, BARE, offsetof(outcome, cpu_seconds)),
            .thread_ratio = median_ratio(&r, side, BARE, offsetof(outcome, thread_seconds)),
            .seconds_min = fastest(&r, side),
            .bare_seconds_min = fastest(&r, BARE),
            .rounds = r.count,
        };
        if (c->best) {
            line->best = median_outcome(&r, BEST);
            line->best_ratio = median_ratio(&r, side, BEST, offsetof(outcome, seconds));
        }
        if (p == 2)
            line->slower_than_one = median_ratio(&r, TWO, ONE, offsetof(outcome, seconds));
        report_print_row(line);
    }
    return true;
}

/* ---- figures that come from several rows ---- */

static const row *find_row(const report *r, const char *name, int parallelism)
{
    for (size_t i = 0; i < r->row_count; i++)
        if (strcmp(r->rows[i].of->name, name) == 0 && r->rows[i].parallelism == parallelism)
            return &r->rows[i];
    return NULL;
}

static double ns(const row *r, bool of_cpu)
{
    return (of_cpu ? r->flinc.cpu_seconds : r->flinc.seconds) * 1e9 / (double)r->records;
}

static void derive_figures(report *r)
{
    const row *maps = find_row(r, "maps", 1), *none = find_row(r, "maps_none", 1);
    const row *exchange = find_row(r, "maps_exchange", 1), *unchained = find_row(r, "maps_unchained", 1);
    const row *words = find_row(r, "words", 1), *words2 = find_row(r, "words", 2);
    for (size_t i = 0; i < r->row_count; i++)
        if (r->rows[i].slower_than_one > 0 && r->rows[i].of->ratio_max > 0)
            report_figure(r, (figure){ .case_name = r->rows[i].of->name,
                                 .what = r->rows[i].of->title,
                                 .unit = "p2/p1",
                                 .value = r->rows[i].slower_than_one,
                                 .target = 1,
                                 .bare = -1 });
    if (maps && none)
        report_figure(r, (figure){ .case_name = "chained_operator",
                             .what = "a chained map or filter, per record",
                             .unit = "ns",
                             .value = (ns(maps, true) - ns(none, true)) / 4,
                             .target = 3,
                             .bare = -1 });
    if (exchange)
        report_figure(r, (figure){ .case_name = "exchange",
                             .what = "source and sink in two threads, per 16-byte record",
                             .unit = "ns",
                             .value = ns(exchange, false),
                             .target = 6,
                             .bare = -1 });
    if (exchange)
        report_figure(r, (figure){ .case_name = "exchange_thread",
                             .what = "  CPU time of the busier of the two",
                             .unit = "ns",
                             .value = exchange->flinc.thread_seconds * 1e9 / (double)exchange->records,
                             .target = 6,
                             .bare = -1 });
    if (exchange && none)
        report_figure(r, (figure){ .case_name = "exchange_cpu",
                             .what = "  CPU time on both sides that the exchange adds",
                             .unit = "ns",
                             .value = ns(exchange, true) - ns(none, true),
                             .bare = -1 });
    if (unchained && maps)
        report_figure(r, (figure){ .case_name = "exchange_cpu_chain",
                             .what = "  the same from maps unchained, per exchange",
                             .unit = "ns",
                             .value = (ns(unchained, true) - ns(maps, true)) / 5,
                             .bare = -1 });
    if (words)
        report_figure(r, (figure){ .case_name = "memory",
                             .what = "resident, word count of 1e4 words",
                             .unit = "MB",
                             .value = words->flinc.rss_mb,
                             .target = 15,
                             .bare = words->bare.rss_mb,
                             .elsewhere = "Flink 1500" });
    if (words2)
        report_figure(r, (figure){ .case_name = "memory_2",
                             .what = "  at parallelism 2",
                             .unit = "MB",
                             .value = words2->flinc.rss_mb,
                             .target = 15,
                             .bare = words2->bare.rss_mb });
}

/* ---- latency, start, idleness ---- */

static bool run_latency(const char *name, double rate, const options *o, report *into)
{
    enum { VALUES = 5 };
    double of[2][VALUES][ROUNDS_MAX];
    for (int i = 0; i < o->rounds; i++) {
        for (int bare = 0; bare < 2; bare++) {
            latency l;
            if (!latency_measure(bare, rate, o->latency_seconds, &l))
                return false;
            const double values[VALUES] = { l.p50_ms, l.p99_ms, l.p999_ms, l.max_ms, l.cpu };
            for (int v = 0; v < VALUES; v++)
                of[bare][v][i] = values[v];
        }
    }
    static const char *const what[VALUES] = { "p50", "p99", "p99.9", "max", "CPU, cores" };
    static const double targets[VALUES] = { 0.1, 0.5, 0, 0, 0 };
    static const char *const elsewhere[VALUES] = { "Flink 49; 0.23 flushing at once",
        "Flink 100; 1.7 flushing at once" };
    for (int v = 0; v < VALUES && !o->checksums_only; v++) {
        char *title = NULL;
        if (asprintf(&title, "latency at %.0f events/s, %s", rate, what[v]) < 0)
            abort();
        report_figure(into, (figure){ .case_name = name,
                                .what = title,
                                .unit = v == 4 ? "" : "ms",
                                .value = median(of[0][v], (size_t)o->rounds),
                                .target = targets[v],
                                .bare = median(of[1][v], (size_t)o->rounds),
                                .elsewhere = elsewhere[v] });
    }
    return true;
}

static bool run_latency_1000(const options *o, report *r)
{
    return run_latency("latency_1000", 1000, o, r);
}

static bool run_latency_50000(const options *o, report *r)
{
    return run_latency("latency_50000", 50000, o, r);
}

static bool run_start(const options *o, report *r)
{
    enum { STARTS = 21 };
    double first[STARTS], total[STARTS], bare_first[STARTS], bare_total[STARTS];
    for (int i = 0; i < STARTS; i++)
        if (!first_record_measure(false, &first[i], &total[i]) ||
            !first_record_measure(true, &bare_first[i], &bare_total[i]))
            return false;
    if (o->checksums_only)
        return true;
    report_figure(r, (figure){ .case_name = "start",
                         .what = "start of a built program to its first record",
                         .unit = "ms",
                         .value = median(first, STARTS),
                         .target = 30,
                         .bare = median(bare_first, STARTS) });
    report_figure(r, (figure){ .case_name = "start_to_end",
                         .what = "a tiny word count, start to end",
                         .unit = "ms",
                         .value = median(total, STARTS),
                         .bare = median(bare_total, STARTS),
                         .elsewhere = "Flink 3000" });
    return true;
}

static bool run_idle(const options *o, report *r)
{
    double percent;
    if (!idle_measure(o->latency_seconds > 1 ? 1 : o->latency_seconds, &percent))
        return false;
    if (!o->checksums_only)
        report_figure(r, (figure){ .case_name = "idle",
                             .what = "CPU of a job on a silent socket",
                             .unit = "%",
                             .value = percent,
                             .target = 0.1,
                             .bare = -1 });
    return true;
}

static const struct other_case {
    const char *name, *title;
    bool (*run)(const options *, report *);
} other_cases[] = {
    { "latency_1000", "latency over sockets at 1,000 events/s", run_latency_1000 },
    { "latency_50000", "latency over sockets at 50,000 events/s", run_latency_50000 },
    { "start", "start of a program to its first record", run_start },
    { "idle", "CPU time while nothing arrives", run_idle },
};
static const size_t other_count = sizeof other_cases / sizeof other_cases[0];

/* ---- main ---- */

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = optind; i < argc; i++)
        if (strncmp(name, argv[i], strlen(argv[i])) == 0)
            return true;
    return optind == argc;
}

/* Every argument names something? */
static bool are_known(int argc, char **argv)
{
    for (int a = optind; a < argc; a++) {
        bool found = false;
        for (size_t i = 0; i < case_count; i++)
            found |= strncmp(cases[i].name, argv[a], strlen(argv[a])) == 0;
        for (size_t i = 0; i < other_count; i++)
            found |= strncmp(other_cases[i].name, argv[a], strlen(argv[a])) == 0;
        if (!found) {
            fprintf(stderr, "bench: there is no case '%s'; --list shows them\n", argv[a]);
            return false;
        }
    }
    return true;
}

static void list_cases(void)
{
    for (size_t i = 0; i < case_count; i++)
        printf("%-16s %s\n", cases[i].name, cases[i].title);
    for (size_t i = 0; i < other_count; i++)
        printf("%-16s %s\n", other_cases[i].name, other_cases[i].title);
}

/* What child processes are started with; -1: this is none. */
static int run_as_child(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (argc == 6 && strcmp(what, "--run") == 0)
        return run_side(argv[2], argv[3], atoi(argv[4]), strtoull(argv[5], NULL, 10));
    if (argc == 4 && strcmp(what, "--latency") == 0)
        return job_latency(atoi(argv[2]), atoi(argv[3]));
    if (argc == 4 && strcmp(what, "--bare-latency") == 0)
        return bare_latency(atoi(argv[2]), atoi(argv[3]));
    if (argc == 3 && strcmp(what, "--idle") == 0)
        return job_idle(atoi(argv[2]));
    if (argc == 2 && strcmp(what, "--first") == 0)
        return job_first_record();
    if (argc == 2 && strcmp(what, "--bare-first") == 0)
        return printf("first %.9f\n", wall_now()) < 0;
    return -1;
}

/* 0, or the exit status after a message. */
static int read_options(int argc, char **argv, options *o)
{
    static const struct option long_options[] = { { "rounds", 1, NULL, 'r' }, { "scale", 1, NULL, 's' },
        { "output", 1, NULL, 'o' }, { "list", 0, NULL, 'l' }, { "check", 0, NULL, 'c' }, { "help", 0, NULL, 'h' },
        { 0 } };
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (c) {
        case 'r': o->rounds = atoi(optarg); break;
        case 's': o->scale = atof(optarg); break;
        case 'o': o->output = optarg; break;
        case 'c': o->checksums_only = true; break;
        case 'l': list_cases(); exit(0);
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); return 2;
        }
    }
    if (o->rounds < 1 || o->rounds > ROUNDS_MAX || !(o->scale > 0)) {
        fprintf(stderr, "bench: --rounds takes 1 to %d, --scale a number above 0\n", ROUNDS_MAX);
        return 2;
    }
    o->latency_seconds = 3 * (o->scale < 1 ? o->scale : 1) + 0.6; /* the first half second does not count */
    return 0;
}

int main(int argc, char **argv)
{
    int status = run_as_child(argc, argv);
    if (status >= 0)
        return status;
    options o = { .rounds = 5, .scale = 1, .output = "bench/results.json" };
    if ((status = read_options(argc, argv, &o)) != 0)
        return status;
    if (!are_known(argc, argv))
        return 2;
    static report r;
    bool any = false;
    for (size_t i = 0; i < case_count; i++) {
        if (!is_wanted(cases[i].name, argc, argv))
            continue;
        if (!any && !o.checksums_only)
            report_print_head();
        any = true;
        if (!run_case(&cases[i], &o, &r))
            status = 1;
    }
    derive_figures(&r);
    for (size_t i = 0; i < other_count; i++)
        if (is_wanted(other_cases[i].name, argc, argv) && !other_cases[i].run(&o, &r))
            status = 1;
    if (o.checksums_only)
        return status;
    report_print_figures(&r);
    if (!report_write_json(&r, o.output))
        status = 1;
    return status;
}
