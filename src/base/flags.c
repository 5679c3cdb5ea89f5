#include "base/flags.h"
#include "base/nearest.h"

#include <stdio.h>

/* Does argument (without its dashes) mean this name, maybe with "=value"? Then the rest behind the name. */
static const char *behind_name(const char *argument, const char *name)
{
    size_t length = name ? strlen(name) : 0;
    if (!name || strncmp(argument, name, length) != 0 || (argument[length] != 0 && argument[length] != '='))
        return NULL;
    return argument + length;
}

/* Fills *rest with what is written together with the option: "" or "=value" or, for -p4, "4". */
static const fl__flag *find(const fl__flags *flags, const char *argument, const char **rest)
{
    bool is_long = argument[1] == '-';
    const char *text = argument + (is_long ? 2 : 1);
    for (size_t i = 0; i < flags->count; i++) {
        const fl__flag *f = &flags->table[i];
        if ((*rest = behind_name(text, f->name)) || (!is_long && (*rest = behind_name(text, f->letters))))
            return f;
    }
    for (size_t i = 0; i < flags->count && !is_long; i++) {
        const fl__flag *f = &flags->table[i];
        if (f->letters && !f->letters[1] && f->value && text[0] == f->letters[0]) {
            *rest = text + 1;
            return f;
        }
    }
    return NULL;
}

static fl_status unknown(const fl__flags *flags, const char *argument, fl_error *error)
{
    fl__nearest nearest;
    fl__nearest_init(&nearest, argument + strspn(argument, "-"));
    for (size_t i = 0; i < flags->count; i++) {
        if (flags->table[i].name && !flags->table[i].refusal)
            fl__nearest_offer(&nearest, flags->table[i].name);
    }
    char *hint = fl__nearest_text(&nearest);
    fl__error_set(error, FL_ERROR_INVALID, "there is no option %s%s%s", argument, *hint ? "; did you mean --" : "",
        *hint ? hint + strlen("; did you mean ") : "");
    free(hint);
    return FL_ERROR_INVALID;
}

fl_status fl__flags_next(fl__flags *flags, const fl__flag **flag, const char **value, fl_error *error)
{
    const char *argument = flags->at < flags->argc ? flags->argv[flags->at] : "", *rest;
    *value = NULL;
    if (strcmp(argument, "--") == 0)
        flags->at++;
    if (argument[0] != '-' || argument[1] == 0 || strcmp(argument, "--") == 0)
        return FL_DONE;
    const fl__flag *f = find(flags, argument, &rest);
    if (!f)
        return flags->leave_unknown ? FL_DONE : unknown(flags, argument, error);
    flags->at++;
    *flag = f;
    if (f->refusal)
        return fl__error_set(error, FL_ERROR_INVALID, "option %s: %s", argument, f->refusal);
    if (!f->value) {
        if (*rest)
            return fl__error_set(error, FL_ERROR_INVALID, "option %s takes no value", argument);
        return FL_OK;
    }
    if (*rest) {
        *value = rest + (*rest == '=');
    } else if (flags->at < flags->argc) {
        *value = flags->argv[flags->at++];
    } else {
        char usage[100];
        fl__flag_usage(f, usage, sizeof usage);
        return fl__error_set(error, FL_ERROR_INVALID, "option %s needs a value: %s", argument, usage);
    }
    return FL_OK;
}

void fl__flag_usage(const fl__flag *flag, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s%s%s%s%s%s%s%s", flag->letters ? "-" : "", flag->letters ? flag->letters : "",
        flag->letters && flag->name ? ", " : "", flag->name ? "--" : "", flag->name ? flag->name : "",
        flag->value ? " <" : "", flag->value ? flag->value : "", flag->value ? ">" : "");
}
