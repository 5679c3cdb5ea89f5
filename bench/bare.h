/* The same jobs as plain C loops of one thread: what flinc is held against.
 *
 * Each makes `records` records with generate.h, does the job and returns the checksum that the job's sink must come to.
 * Nothing of flinc is in them; they allocate what they need from 0 and grow as they go, as the job must. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdint.h>

/* Keyed running sum in an open-addressing table (power of two, linear probing, multiply hash, at most half full).
 * Checksum: the sum of all running sums. */
uint64_t bare_sum(uint64_t records, uint64_t keys);
/* The same with everything we know of: look-ups prefetched a block ahead, table in huge pages. */
uint64_t bare_sum_prefetched(uint64_t records, uint64_t keys);
/* Running count per word; records counts words. Checksum: the sum of all running counts. */
uint64_t bare_words(uint64_t records, uint64_t unused);
/* Count and sum per key and window of one second. Checksum: of count² + sum over all windows and keys. */
uint64_t bare_windows(uint64_t records, uint64_t keys);
uint64_t bare_sliding(uint64_t records, uint64_t keys);
uint64_t bare_timers(uint64_t records, uint64_t keys);
/* Rows of two streams with equal keys, at most JOIN_MS apart: records of each. Checksum: the sum over all such pairs.
 */
uint64_t bare_join(uint64_t records, uint64_t keys);
/* Three maps and a filter in one loop. Checksum: the sum of what passes. */
uint64_t bare_maps(uint64_t records, uint64_t keys);
/* The sum of the values, each after a query of 1 ms that is waited for. */
uint64_t bare_look_ups(uint64_t records, uint64_t keys);
/* Generator and sum of the values: the floor of every other one. */
uint64_t bare_source(uint64_t records, uint64_t keys);

#endif
