/* The table on the screen and results.json. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench.h"

typedef enum mark { MARK_NONE, MARK_REACHED, MARK_MISSED } mark;

/* A line of the first table: a case at one parallelism, medians over the rounds. */
typedef struct row {
    const bench_case *of;
    int parallelism;
    uint64_t records;
    outcome flinc, bare, best;
    double ratio, cpu_ratio, best_ratio;
    double thread_ratio;    /* CPU time of the busiest thread over the bare loop's: ratio, had each thread a core */
    double slower_than_one; /* parallelism 2: its time over that of parallelism 1; else 0 */
    double seconds_min, bare_seconds_min; /* of the fastest round of either side: what a busy machine distorts least */
    int rounds;
} row;

/* A line of the second table: anything else, in one unit, with a target or none. */
typedef struct figure {
    const char *case_name, *what, *unit;
    double value, target; /* value ≤ target; target 0: none */
    double bare;          /* the same of a bare program; < 0: none */
    const char *elsewhere;
} figure;

typedef struct report {
    row rows[64];
    size_t row_count;
    figure figures[64];
    size_t figure_count;
} report;

/* Room for one more. */
row *report_row(report *r);
void report_figure(report *r, figure f);

void report_print_head(void);
void report_print_row(const row *r);
void report_print_figures(const report *r);
/* Replaces the file at once. False with a message when it cannot be written. */
bool report_write_json(const report *r, const char *path);

#endif
