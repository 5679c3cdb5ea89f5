/* Window operators: what the API says to them. See docs/design/windows.md.
 *
 * A windowed stream carries a fl__window_spec (the assigner and what happens to late records); the operator behind it
 * is made with a fl__window_config: the spec and what the window keeps and gives per key. */
#ifndef FL_OPERATORS_WINDOW_H
#define FL_OPERATORS_WINDOW_H

#include "flinc/window.h"
#include "stream/operator.h"

/* What fl_window said; checked by it. In the environment's arena. */
typedef struct fl__window_spec {
    fl_window_assigner assigner;
    fl_time allowed_lateness; /* ms, ≥ 0; processing-time windows know no lateness */
    const fl_tag *late;       /* later records go there; NULL: dropped and counted */
    fl_trigger trigger;       /* FL_TRIGGER_DEFAULT: the assigner's */
    fl_evictor evictor;       /* FL_EVICTOR_NONE: none */
    bool is_all;              /* of a stream without keys: the key is a constant, the operator not parallel */
} fl__window_spec;

/* What a window keeps for each key. */
typedef enum fl__window_content {
    FL__WINDOW_ROLLING,   /* a row: sum, min, max of one field; min_by, max_by */
    FL__WINDOW_REDUCE,    /* a row, by spec.reduce */
    FL__WINDOW_FOLD,      /* a value that starts as initial, by spec.reduce */
    FL__WINDOW_AGGREGATE, /* an accumulator of spec.aggregate */
    FL__WINDOW_ELEMENTS,  /* all rows, in order of arrival */
} fl__window_content;

/* The operator's spec.config. spec.function, when there is one, gets the content's result (or all rows) as fl_elements;
 * elements always need one. */
typedef struct fl__window_config {
    fl__window_spec window;
    fl__window_content content;
    const void *initial; /* fold */
    const fl_type *type; /* of the fold's value */
    struct {
        fl_rolling what;
        bool first;           /* ties */
        uint32_t offset;      /* of the field in the row */
        const fl_type *field; /* its type */
    } rolling;
    fl_state *const *window_states; /* of the window function, by key and window; window_state_count of them */
    size_t window_state_count;
    fl_lifecycle_fn clear;           /* called when a window's time is over; NULL: nothing */
    const struct fl__joined *joined; /* windows over two streams (tag.h): what spec.function does with both */
    bool never_combine;              /* sliding windows keep a table each: for tests that compare both ways */
    bool never_aligned;              /* everything takes the general path: likewise */
} fl__window_config;

/* Aligned windows with their default trigger: time cut into panes (window.c). All others: a value per key and window
 * (window_general.c). */
extern const fl__operator_class fl__window_class, fl__window_general_class;
/* The one that a config needs. */
const fl__operator_class *fl__window_class_for(const fl__window_config *config);

/* The trigger that a spec means: the assigner's own instead of FL_TRIGGER_DEFAULT, layers kept. */
fl_trigger fl__window_trigger(const fl__window_spec *spec);
/* Can windows that it watches be merged? */
bool fl__window_trigger_can_merge(const fl_trigger *trigger);
/* Flink's name of it ("CountTrigger"), without its layers. */
const char *fl__window_trigger_name(const fl_trigger *trigger);

/* Records that came too late and went to no side output: Flink's numLateRecordsDropped. */
uint64_t fl__window_late_dropped(const fl__operator *op);

/* The windows of a timestamp, for tests and for assigners to come: writes those that contain it, latest start first, as
 * Flink assigns them; at most max of them. Returns how many there are. */
size_t fl__window_assign(const fl_window_assigner *assigner, fl_time timestamp, fl_window_range *windows, size_t max);

#endif
