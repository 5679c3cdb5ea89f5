#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#define STATUS_NAME(s)                                                                                                 \
    case s: return #s

const char *fl_status_name(fl_status status)
{
    switch (status) {
        STATUS_NAME(FL_OK);
        STATUS_NAME(FL_AGAIN);
        STATUS_NAME(FL_DONE);
        STATUS_NAME(FL_CLOSED);
        STATUS_NAME(FL_ERROR_INVALID);
        STATUS_NAME(FL_ERROR_IO);
        STATUS_NAME(FL_ERROR_USER);
        STATUS_NAME(FL_ERROR_LIMIT);
        STATUS_NAME(FL_ERROR_CORRUPT);
        STATUS_NAME(FL_ERROR_CANCELLED);
        STATUS_NAME(FL_ERROR_INTERNAL);
    }
    return "unknown status";
}

static void fill(fl_error *error, fl_status status, fl_where where, const char *format, va_list args)
{
    if (!error || error->status != FL_OK)
        return;
    error->status = status;
    error->where = where;
    if (vasprintf(&error->text, format, args) < 0)
        abort();
}

fl_status fl__error_set(fl_error *error, fl_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(error, status, (fl_where){ NULL, 0 }, format, args);
    va_end(args);
    return status;
}

fl_status fl__error_set_at(fl_error *error, fl_status status, fl_where where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(error, status, where, format, args);
    va_end(args);
    return status;
}

void fl__error_context(fl_error *error, const char *format, ...)
{
    if (!error || error->status == FL_OK)
        return;
    va_list args;
    va_start(args, format);
    char *context = NULL, *text = NULL;
    if (vasprintf(&context, format, args) < 0 || asprintf(&text, "%s: %s", context, error->text) < 0)
        abort();
    va_end(args);
    free(context);
    free(error->text);
    error->text = text;
}

void fl__error_move(fl_error *to, fl_error *from)
{
    if (to->status == FL_OK)
        *to = *from;
    else
        free(from->text);
    *from = FL_ERROR_INIT;
}

void fl__error_release(fl_error *error)
{
    free(error->text);
    *error = FL_ERROR_INIT;
}

_Noreturn void fl__assert_failed(const char *expression, const char *file, int line, const char *function)
{
    fprintf(stderr, "flinc: bug: %s does not hold, in %s (%s:%d)\n", expression, function, file, line);
    abort();
}
