#include "report.h"

#include <stdlib.h>
#include <unistd.h>

/* Two digits after the point are what the targets are given in. */
static mark judge(double value, double target)
{
    return target <= 0 ? MARK_NONE : value < target + 0.005 ? MARK_REACHED : MARK_MISSED;
}

static const char *const mark_text[] = { "", "ok", "MISSED" };

row *report_row(report *r)
{
    if (r->row_count == sizeof r->rows / sizeof r->rows[0])
        abort();
    return &r->rows[r->row_count++];
}

void report_figure(report *r, figure f)
{
    if (r->figure_count == sizeof r->figures / sizeof r->figures[0])
        abort();
    r->figures[r->figure_count++] = f;
}

static double million_per_second(uint64_t records, double seconds)
{
    return seconds > 0 ? (double)records / seconds * 1e-6 : 0;
}

static const char *number_or_dash(char *text, size_t size, const char *format, double value)
{
    if (value > 0)
        snprintf(text, size, format, value);
    else
        snprintf(text, size, "-");
    return text;
}

void report_print_head(void)
{
    puts("Throughput, million records per second. bare: a C loop of one thread for the same job in the same round;\n"
         "best: with all we know of. time, cpu: flinc's over the bare loop's, and what is to be reached; thread: CPU\n"
         "time of the busier of source and sink over the bare loop's, about what time comes to when each thread has a\n"
         "core. busy: cores that others used. Elsewhere: measured on two cores by others' benches, parallelism 2.\n");
    printf("%-24s %1s %7s %6s | %7s %7s | %5s %-11s %6s %5s %-10s | %6s %5s | %s\n", "", "p", "flinc", "ns", "bare",
        "best", "time", "", "thread", "cpu", "", "MB", "busy", "elsewhere: Flink timely bare");
}

static const char *verdict(char *text, size_t size, double value, double target)
{
    if (target <= 0)
        *text = 0;
    else
        snprintf(text, size, "<=%.2f %s", target, mark_text[judge(value, target)]);
    return text;
}

void report_print_row(const row *r)
{
    char a[32], b[32], c[32], d[32], e[32], f[32];
    double wall_target = r->parallelism == 1 ? r->of->ratio_max : 0;
    double cpu_target = r->parallelism == 1 ? r->of->cpu_ratio_max : 0;
    printf("%-24s %d %7.1f %6.1f | %7.1f %7s | %5.2f %-11s %6.2f %5.2f %-10s | %6.1f %5.2f | %16s %6s %4s\n",
        r->of->title, r->parallelism, million_per_second(r->records, r->flinc.seconds),
        r->flinc.seconds * 1e9 / (double)r->records, million_per_second(r->records, r->bare.seconds),
        number_or_dash(a, sizeof a, "%.1f", million_per_second(r->records, r->best.seconds)), r->ratio,
        verdict(b, sizeof b, r->ratio, wall_target), r->thread_ratio, r->cpu_ratio,
        verdict(c, sizeof c, r->cpu_ratio, cpu_target), r->flinc.rss_mb, r->flinc.others,
        number_or_dash(d, sizeof d, "%.1f", r->of->flink), number_or_dash(e, sizeof e, "%.1f", r->of->timely),
        number_or_dash(f, sizeof f, "%.0f", r->of->bare_elsewhere));
    fflush(stdout);
}

void report_print_figures(const report *r)
{
    if (r->figure_count == 0)
        return;
    printf("\n%-58s %10s %10s  %-18s %s\n", "", "flinc", "bare", "", "elsewhere");
    for (size_t i = 0; i < r->figure_count; i++) {
        const figure *f = &r->figures[i];
        char bare[32] = "-", target[32] = "";
        if (f->bare >= 0)
            snprintf(bare, sizeof bare, "%.3f", f->bare);
        if (f->target > 0)
            snprintf(target, sizeof target, "<= %g %s", f->target,
                mark_text[f->value <= f->target * 1.0005 ? MARK_REACHED : MARK_MISSED]);
        printf("%-52s %5s %10.3f %10s  %-18s %s\n", f->what, f->unit, f->value, bare, target,
            f->elsewhere ? f->elsewhere : "");
    }
}

static void write_mark(FILE *out, const char *key, mark m)
{
    fprintf(out, ", \"%s\": %s", key, m == MARK_NONE ? "null" : m == MARK_REACHED ? "true" : "false");
}

static void write_number(FILE *out, const char *key, bool known, double value)
{
    if (known)
        fprintf(out, ", \"%s\": %.9g", key, value);
    else
        fprintf(out, ", \"%s\": null", key);
}

static void write_row(FILE *out, const row *r)
{
    fprintf(out, "{\"case\": \"%s\", \"title\": \"%s\", \"parallelism\": %d, \"records\": %lu", r->of->name,
        r->of->title, r->parallelism, r->records);
    write_number(out, "seconds", true, r->flinc.seconds);
    write_number(out, "cpu_seconds", true, r->flinc.cpu_seconds);
    write_number(out, "rss_mb", true, r->flinc.rss_mb);
    write_number(out, "bare_seconds", true, r->bare.seconds);
    write_number(out, "bare_cpu_seconds", true, r->bare.cpu_seconds);
    write_number(out, "bare_rss_mb", true, r->bare.rss_mb);
    write_number(out, "ratio", true, r->ratio);
    write_number(out, "cpu_ratio", true, r->cpu_ratio);
    write_number(out, "busiest_thread_cpu_seconds", true, r->flinc.thread_seconds);
    write_number(out, "thread_ratio", true, r->thread_ratio);
    write_number(out, "seconds_min", true, r->seconds_min);
    write_number(out, "bare_seconds_min", true, r->bare_seconds_min);
    write_number(out, "best_bare_seconds", r->of->best != NULL, r->best.seconds);
    write_number(out, "best_ratio", r->of->best != NULL, r->best_ratio);
    write_number(out, "records_per_second", true, (double)r->records / r->flinc.seconds);
    write_number(out, "other_load_cores", true, r->flinc.others);
    write_number(out, "over_parallelism_1", r->slower_than_one > 0, r->slower_than_one);
    bool one = r->parallelism == 1;
    write_number(out, "ratio_to_reach", one && r->of->ratio_max > 0, r->of->ratio_max);
    write_number(out, "cpu_ratio_to_reach", one && r->of->cpu_ratio_max > 0, r->of->cpu_ratio_max);
    write_mark(out, "ratio_reached", one ? judge(r->ratio, r->of->ratio_max) : MARK_NONE);
    write_mark(out, "cpu_ratio_reached", one ? judge(r->cpu_ratio, r->of->cpu_ratio_max) : MARK_NONE);
    write_number(out, "flink_elsewhere", r->of->flink > 0, r->of->flink * 1e6);
    write_number(out, "timely_elsewhere", r->of->timely > 0, r->of->timely * 1e6);
    write_number(out, "bare_elsewhere", r->of->bare_elsewhere > 0, r->of->bare_elsewhere * 1e6);
    fprintf(out, ", \"checksum\": \"%lu\", \"rounds\": %d}", r->flinc.checksum, r->rounds);
}

static void write_figure(FILE *out, const figure *f)
{
    fprintf(out, "{\"case\": \"%s\", \"title\": \"%s\", \"unit\": \"%s\"", f->case_name, f->what, f->unit);
    write_number(out, "value", true, f->value);
    write_number(out, "to_reach", f->target > 0, f->target);
    write_mark(out, "reached",
        f->target <= 0                   ? MARK_NONE
        : f->value <= f->target * 1.0005 ? MARK_REACHED
                                         : MARK_MISSED);
    write_number(out, "bare", f->bare >= 0, f->bare);
    fprintf(out, "}");
}

bool report_write_json(const report *r, const char *path)
{
    char temporary[4096];
    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    FILE *out = fopen(temporary, "w");
    if (!out) {
        fprintf(stderr, "bench: cannot write %s: %m\n", temporary);
        return false;
    }
    const char *before = "[\n";
    for (size_t i = 0; i < r->row_count; i++, before = ",\n") {
        fputs(before, out);
        write_row(out, &r->rows[i]);
    }
    for (size_t i = 0; i < r->figure_count; i++, before = ",\n") {
        fputs(before, out);
        write_figure(out, &r->figures[i]);
    }
    fputs(r->row_count + r->figure_count ? "\n]\n" : "[]\n", out);
    bool ok = !ferror(out);
    ok = fclose(out) == 0 && ok && rename(temporary, path) == 0;
    if (!ok) {
        fprintf(stderr, "bench: cannot write %s: %m\n", path);
        unlink(temporary);
    }
    return ok;
}
