/* A machine whose clock stands still until somebody moves it: time and randomness of simulated runs and of test
 * harnesses. Files are the real ones, never synced: they need not outlive a
 * real crash. */
#ifndef FL_OS_VIRTUAL_H
#define FL_OS_VIRTUAL_H

#include "os/os.h"

typedef struct fl__virtual_os {
    fl__os os; /* first: &v->os is what tasks are given */
    int64_t now_ms;
    uint64_t random; /* state of a generator: equal seeds give equal numbers */
} fl__virtual_os;

/* The clock shows now_ms; random numbers follow from the seed. */
void fl__virtual_os_init(fl__virtual_os *v, int64_t now_ms, uint64_t seed);

#endif
