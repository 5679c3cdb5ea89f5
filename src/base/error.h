/* Failures: a status, a text for the user, and what to do about it. Filled once where the failure is seen; context is
 * put in front of the text on the way up. */
#ifndef FL_BASE_ERROR_H
#define FL_BASE_ERROR_H

#include "flinc/base.h"

#include <stdlib.h>

typedef struct fl_error {
    fl_status status; /* FL_OK: no error */
    fl_where where;   /* the user's line that caused it; file NULL when there is none */
    char *text;       /* heap; NULL when status is FL_OK */
} fl_error;

/* No error yet. */
#define FL_ERROR_INIT ((fl_error){ FL_OK, { NULL, 0 }, NULL })

/* Fills *error unless it holds one already (the first one counts). Returns status, so that one can write
 * `return fl__error_set(error, FL_ERROR_IO, "…")`. error may be NULL: only the status is passed on. */
fl_status fl__error_set(fl_error *error, fl_status status, const char *format, ...) FL_PRINTF(3, 4);
fl_status fl__error_set_at(fl_error *error, fl_status status, fl_where where, const char *format, ...) FL_PRINTF(4, 5);

/* Puts "context: " in front of the text. Nothing when there is no error. */
void fl__error_context(fl_error *error, const char *format, ...) FL_PRINTF(2, 3);

/* Moves *from into *to unless *to holds one already; *from is empty after. */
void fl__error_move(fl_error *to, fl_error *from);
void fl__error_release(fl_error *error);

/* A bug of flinc's: prints expression, place and a formatted state, aborts. On in every build. */
_Noreturn void fl__assert_failed(const char *expression, const char *file, int line, const char *function);
#define fl_assert(x) (FL_LIKELY(x) ? (void)0 : fl__assert_failed(#x, __FILE__, __LINE__, __func__))

#endif
