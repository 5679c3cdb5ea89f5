/* How a sequence is dealt out. */
#ifndef FL_CONNECTORS_SEQUENCE_SEQUENCE_H
#define FL_CONNECTORS_SEQUENCE_SEQUENCE_H

#include <stdint.h>

/* The share of subtask (0 … parallelism-1) of from … to, from ≤ to: *count numbers from *first on. The ranges of all
 * subtasks follow one another without gaps. Of all 2^64 numbers of int64_t, one more than *count can say, the
 * last is left out. */
void fl__sequence_range(int64_t from, int64_t to, int subtask, int parallelism, int64_t *first, uint64_t *count);

#endif
