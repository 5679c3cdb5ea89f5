/* Interval join: what the API says to the operator. */
#ifndef FL_OPERATORS_INTERVAL_JOIN_H
#define FL_OPERATORS_INTERVAL_JOIN_H

#include "flinc/join.h"
#include "stream/operator.h"

/* The operator's spec.config; spec.states are the user's. In the environment's arena. */
typedef struct fl__interval_join_config {
    int64_t lower, upper;       /* inclusive; lower > upper: nothing matches */
    bool is_outer[2];           /* rows of this side that match nothing come, too */
    const fl_tag *late[2];      /* NULL: late rows are dropped and counted */
    uint32_t row_offset[2];     /* of the row in what is kept of it */
    uint32_t matched_offset[2]; /* outer sides only */
    fl_state **states;          /* rows of the left side, of the right, times, then the user's */
    size_t state_count;
} fl__interval_join_config;

/* Makes the states that the operator keeps rows in; is_outer is set before. user: the states of the function, up to
 * NULL or 16. */
void fl__interval_join_init(
    fl__interval_join_config *config, fl__arena *arena, const fl_type *const rows[2], const void *const *user);

extern const fl__operator_class fl__interval_join_class;

#endif
