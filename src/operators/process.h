/* Process functions, and what else needs keyed state or two inputs. */
#ifndef FL_OPERATORS_PROCESS_H
#define FL_OPERATORS_PROCESS_H

#include "stream/operator.h"

/* Not keyed: no state, no timers. */
extern const fl__operator_class fl__process_class, fl__co_class;
/* Behind key_by: the key's states and timers, of spec.states and spec.on_timer. */
extern const fl__operator_class fl__keyed_process_class, fl__keyed_co_class;
/* map, flat_map and filter with keyed state (Flink's rich functions behind key_by). */
extern const fl__operator_class fl__keyed_map_class, fl__keyed_flat_map_class, fl__keyed_filter_class;

/* Process functions beside a broadcast stream, which is the second input: config is this. Of the keyed one only the
 * first input has a key. */
typedef struct fl__broadcast_config {
    fl_state *const *states;
    size_t state_count;
} fl__broadcast_config;
extern const fl__operator_class fl__broadcast_class, fl__keyed_broadcast_class;

#endif
