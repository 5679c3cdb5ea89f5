/* Broadcast state of one operator: named maps, of which every subtask has a copy of its own.
 *
 * It is keyed state with a single key: the maps, their log of a call, the lifetime of strings, and what a snapshot
 * reads are those of keyed.h. A snapshot walks fl__broadcast_content: one entry (none while all maps are empty), whose
 * states are the maps in the order of their declaration; read them with fl__keyed_read_map. All subtasks hold the same,
 * so one of them has to be restored into all (Flink's OperatorStateHandle.Mode.BROADCAST).
 *
 * One thread. */
#ifndef FL_STATE_BROADCAST_H
#define FL_STATE_BROADCAST_H

#include "flinc/broadcast.h"
#include "state/keyed.h"
#include "state/snapshot.h"

typedef struct fl__broadcast fl__broadcast;

/* owner: the function whose task fails when something is wrong. states: FL_BROADCAST_STATEs; must outlive it. Errors as
 * fl__keyed_new. */
fl_status fl__broadcast_new(fl__broadcast **broadcast, fl__memory *memory, const fl__function *owner,
    fl_state *const *states, size_t state_count, fl_error *error) FL_MUST_USE;
void fl__broadcast_free(fl__broadcast *broadcast); /* NULL: nothing */

/* A record of the broadcast side comes: what follows may write, until the call ends. */
void fl__broadcast_begin_call(fl__broadcast *broadcast);
void fl__broadcast_end_call(fl__broadcast *broadcast);

/* Adds the maps to the snapshot, as a section of the operator; reads them back from any one of then's subtasks. */
void fl__broadcast_snapshot(fl__broadcast *broadcast, fl__snapshot *to, fl__memory *memory);
fl_status fl__broadcast_restore(fl__broadcast *broadcast, const fl__restored *from, fl_error *error) FL_MUST_USE;

const fl__keyed *fl__broadcast_content(const fl__broadcast *broadcast);

#endif
