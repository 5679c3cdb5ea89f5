/* Reading back tables that operators keep themselves: rolling aggregations, window panes. Their blocks are a
 * TABLE_SCHEMA (as keyed_snapshot.h has it), TABLE_PAGEs whose entries begin with the key, and perhaps VALUES. */
#ifndef FL_STATE_TABLE_RESTORE_H
#define FL_STATE_TABLE_RESTORE_H

#include "state/keyed_snapshot.h"

typedef struct fl__table_restore {
    fl__restored *from;
    const fl__key *key;
    const char *what;    /* "the aggregate": for messages */
    const fl_type *type; /* of the one state that is expected */
    void *arg;
    /* An entry of this subtask: its key, and in at what comes behind it. Pieces of what is decoded go to scratch.
     * is_ours false: read over it. */
    fl_status (*entry)(struct fl__table_restore *r, uint64_t label, uint64_t hash, const void *key, bool is_ours,
        fl__reader *in, fl_error *error);
    /* A block of VALUES; NULL: there are none. */
    fl_status (*values)(struct fl__table_restore *r, fl__reader *in, fl_error *error);
    fl__arena scratch;
} fl__table_restore;

/* FL_OK, or what went wrong; type or key changed is FL_ERROR_INVALID. The first members are set by the caller. */
fl_status fl__table_restore_run(fl__table_restore *r, fl_error *error) FL_MUST_USE;

#endif
