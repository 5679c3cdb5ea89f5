/* Sources and sinks that a test puts in the place of the program's own, found by uid or name when the program adds
 * them. */
#ifndef FL_API_SUBSTITUTE_H
#define FL_API_SUBSTITUTE_H

#include "api/api.h"

typedef struct fl__substitution {
    const char *name; /* uid or name of the operator that it stands for */
    bool is_source;
    const fl_type *type; /* of its rows */
    fl_where where;      /* the test's line */
    const fl__operator_class *class;
    void *config;
    bool has_timestamps; /* sources */
    bool is_used;
    void (*release)(struct fl__substitution *substitution); /* by fl_env_free; NULL: nothing to do */
    struct fl__substitution *next;
} fl__substitution;

/* Adds one; the substitution must live until fl_env_free. */
void fl__substitution_add(fl_env *env, fl__substitution *substitution);
/* What is to be added instead: *instead, or what itself when no test asked for anything. type: of the source's or
 * sink's rows; another type than the test's is an error of the environment. */
const fl__new_operator *fl__substitute(
    fl_env *env, const fl__new_operator *what, const fl_type *type, bool is_source, fl__new_operator *instead);
/* An error when a substitution met no operator of the program: the test names something that is not there. */
fl_status fl__substitutions_check(fl_env *env) FL_MUST_USE;
void fl__substitutions_release(fl_env *env);

#endif
