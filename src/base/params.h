/* A job's own arguments, as Flink's ParameterTool reads them:
 *
 *     --name value    -name value    --name=value    --flag
 *
 * A name followed by another name, or by nothing, is a flag. A negative number is a value, not a name. Of two arguments
 * of one name the later counts. Names that were asked for are remembered, so that a mistyped one can be told. One
 * thread. */
#ifndef FL_BASE_PARAMS_H
#define FL_BASE_PARAMS_H

#include "base/error.h"

typedef struct fl__params fl__params;

/* argv    argc texts, without the program's name; copied
 * returns the arguments, never NULL. One that belongs to no name, and an empty name, is FL_ERROR_INVALID in *error;
 *         what comes before it is in the result. */
fl__params *fl__params_new(int argc, char *const *argv, fl_error *error);
void fl__params_free(fl__params *params); /* NULL: nothing */

bool fl__params_has(fl__params *params, const char *name);
/* Its text; default_value when it is missing; "" for a flag. */
const char *fl__params_get(fl__params *params, const char *name, const char *default_value);

/* The same as a number or truth in *value. FL_ERROR_INVALID when it is none; *value is the default then. A flag is
 * true, and no number. */
FL_MUST_USE fl_status fl__params_int(
    fl__params *params, const char *name, int64_t default_value, int64_t *value, fl_error *error);
FL_MUST_USE fl_status fl__params_double(
    fl__params *params, const char *name, double default_value, double *value, fl_error *error);
FL_MUST_USE fl_status fl__params_bool(
    fl__params *params, const char *name, bool default_value, bool *value, fl_error *error);

/* Has every argument been asked for by one of the calls above? FL_ERROR_INVALID names the first that has not, and those
 * that were asked for. */
FL_MUST_USE fl_status fl__params_check_asked(const fl__params *params, fl_error *error);

/* All of them, by index: name and text (NULL: a flag). False past the last. */
bool fl__params_at(const fl__params *params, size_t index, const char **name, const char **text);

#endif
