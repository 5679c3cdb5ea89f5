/* Timers of one operator: two queues, event time and processing time, each in order of (time, entry), one timer per key
 * and time.
 *
 *   fresh   the newest records, as they were registered, up to 8192
 *   runs    sorted, immutable, oldest first; each with the position up to which it was fired
 *
 * A record is 16 bytes: time, reference of the key's entry, a bit that says "deleted". Registering and deleting append
 * to fresh; a full fresh is sorted into a run (radix); 16 runs of about one size at the end are merged into one. Of
 * records of the same timer the newest decides; what merges find twice vanishes, a deletion vanishes with the oldest
 * run. Firing takes the smallest head of all runs (a loser tree); fresh is made a run first when something in it may
 * be due. So a timer costs an append, a sort in cache, one merge per factor of 16, and its way through the tree.
 *
 * Why not a heap: its copy is no small part of a checkpoint, and its random accesses cost more at ten million timers.
 * Runs are counted references: a snapshot takes them and the operator goes on.
 *
 * The entry of a key counts the records that name it (fl__keyed_timer_added/gone), so that it lives as long as they do.
 *
 * One thread. */
#ifndef FL_STATE_TIMERS_H
#define FL_STATE_TIMERS_H

#include "state/keyed.h"

typedef enum fl__time_domain { FL__EVENT_TIME, FL__PROCESSING_TIME } fl__time_domain;

/* keyed: laid out with timers; must outlive them. */
fl__timers *fl__timers_new(fl__memory *memory, fl__keyed *keyed);
void fl__timers_free(fl__timers *timers); /* NULL: nothing */

/* Registers a timer of the current key. The same key and time again: still one. */
void fl__timers_register(fl__timers *timers, fl_context *ctx, fl__time_domain domain, fl_time time);
/* From now on the user's functions register none: what they ask for is ignored (BATCH mode at the end of a key, where a
 * timer that registers the next would never end; Flink's BatchExecutionInternalTimeService). */
void fl__timers_quiesce(fl__timers *timers, bool is_quiet);
/* Deletes it; nothing when there is none. */
void fl__timers_delete(fl__timers *timers, fl_context *ctx, fl__time_domain domain, fl_time time);

/* Takes the first timer with time ≤ limit; false: there is none. The caller makes the entry current
 * (fl__keyed_set_ref), says fl__keyed_timer_gone(ref), fires, and ends the call. Timers registered meanwhile with time
 * ≤ limit come too. */
bool fl__timers_pop(fl__timers *timers, fl__time_domain domain, fl_time limit, fl_time *time, uint32_t *ref);

/* Not before this time is a timer due; FL_TIME_MAX: perhaps none at all. May be too early when timers were deleted. */
fl_time fl__timers_next(fl__timers *timers, fl__time_domain domain);
/* Does the domain hold no record at all? */
bool fl__timers_is_empty(const fl__timers *timers, fl__time_domain domain);

/* All timers of a domain as they are now, for a snapshot: references to the runs. Cost: one sort of fresh. The
 * operator may go on while it is read; read and free it in any thread as long as the entries that it names are not
 * removed. */
typedef struct fl__timers_view fl__timers_view;
fl__timers_view *fl__timers_view_new(fl__timers *timers, fl__time_domain domain);
bool fl__timers_view_next(fl__timers_view *view, fl_time *time, uint32_t *ref);
void fl__timers_view_free(fl__timers_view *view);

#endif
