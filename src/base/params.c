#include "base/params.h"
#include "base/nearest.h"
#include "base/units.h"

#include <ctype.h>
#include <stdio.h>

typedef struct param {
    char *name, *text; /* text NULL: a flag */
} param;

struct fl__params {
    param *items;
    size_t count;
    char **asked; /* names, each once, in the order of the questions */
    size_t asked_count;
};

static char *duplicate(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

static param *find(const fl__params *params, const char *name)
{
    for (size_t i = 0; i < params->count; i++) {
        if (strcmp(params->items[i].name, name) == 0)
            return &params->items[i];
    }
    return NULL;
}

static bool was_asked(const fl__params *params, const char *name)
{
    for (size_t i = 0; i < params->asked_count; i++) {
        if (strcmp(params->asked[i], name) == 0)
            return true;
    }
    return false;
}

/* The program's question: the argument, or NULL. */
static const param *ask(fl__params *params, const char *name)
{
    if (!was_asked(params, name)) {
        params->asked = realloc(params->asked, (params->asked_count + 1) * sizeof *params->asked);
        if (!params->asked)
            abort();
        params->asked[params->asked_count++] = duplicate(name);
    }
    return find(params, name);
}

/* name is given away. */
static void add(fl__params *params, char *name, const char *text)
{
    param *p = find(params, name);
    if (p) {
        free(name);
        free(p->text);
    } else {
        params->items = realloc(params->items, (params->count + 1) * sizeof *params->items);
        if (!params->items)
            abort();
        p = &params->items[params->count++];
        p->name = name;
    }
    p->text = text ? duplicate(text) : NULL;
}

/* "-5" and "-.5e3" are numbers, "-inf" and "-p" names. */
static bool is_negative_number(const char *text)
{
    char *end;
    if (text[0] != '-' || !(isdigit((unsigned char)text[1]) || (text[1] == '.' && isdigit((unsigned char)text[2]))))
        return false;
    strtod(text, &end);
    return *end == 0;
}

static bool is_name(const char *text)
{
    return text[0] == '-' && !is_negative_number(text);
}

fl__params *fl__params_new(int argc, char *const *argv, fl_error *error)
{
    fl__params *params = calloc(1, sizeof *params);
    if (!params)
        abort();
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i];
        if (!is_name(argument)) {
            fl__error_set(error, FL_ERROR_INVALID, "argument '%s' belongs to no name: write --name %s, or --name=%s",
                argument, argument, argument);
            return params;
        }
        const char *name = argument + (argument[1] == '-' ? 2 : 1);
        size_t length = strcspn(name, "=");
        if (length == 0) {
            fl__error_set(error, FL_ERROR_INVALID, "argument '%s' has no name: write --name value", argument);
            return params;
        }
        char *copy = strndup(name, length);
        if (!copy)
            abort();
        const char *text = NULL;
        if (name[length] == '=')
            text = name + length + 1;
        else if (i + 1 < argc && !is_name(argv[i + 1]))
            text = argv[++i];
        add(params, copy, text);
    }
    return params;
}

void fl__params_free(fl__params *params)
{
    if (!params)
        return;
    for (size_t i = 0; i < params->count; i++) {
        free(params->items[i].name);
        free(params->items[i].text);
    }
    for (size_t i = 0; i < params->asked_count; i++)
        free(params->asked[i]);
    free(params->asked);
    free(params->items);
    free(params);
}

bool fl__params_has(fl__params *params, const char *name)
{
    return ask(params, name) != NULL;
}

const char *fl__params_get(fl__params *params, const char *name, const char *default_value)
{
    const param *p = ask(params, name);
    return !p ? default_value : p->text ? p->text : "";
}

static fl_status wrong(const param *p, const char *wanted, fl_error *error)
{
    if (!p->text)
        return fl__error_set(error, FL_ERROR_INVALID, "argument --%s needs a value: %s", p->name, wanted);
    return fl__error_set(error, FL_ERROR_INVALID, "argument --%s: '%s' is not %s", p->name, p->text, wanted);
}

fl_status fl__params_int(fl__params *params, const char *name, int64_t default_value, int64_t *value, fl_error *error)
{
    const param *p = ask(params, name);
    *value = default_value;
    if (!p || (p->text && fl__parse_int(p->text, value)))
        return FL_OK;
    return wrong(p, "a whole number", error);
}

fl_status fl__params_double(fl__params *params, const char *name, double default_value, double *value, fl_error *error)
{
    const param *p = ask(params, name);
    *value = default_value;
    if (!p || (p->text && fl__parse_double(p->text, value)))
        return FL_OK;
    return wrong(p, "a number", error);
}

fl_status fl__params_bool(fl__params *params, const char *name, bool default_value, bool *value, fl_error *error)
{
    const param *p = ask(params, name);
    *value = p && !p->text ? true : default_value;
    bool truth;
    if (!p || !p->text)
        return FL_OK;
    if (!fl__parse_bool(p->text, &truth))
        return wrong(p, "true or false", error);
    *value = truth;
    return FL_OK;
}

fl_status fl__params_check_asked(const fl__params *params, fl_error *error)
{
    for (size_t i = 0; i < params->count; i++) {
        const char *name = params->items[i].name;
        if (was_asked(params, name))
            continue;
        if (strcmp(name, "p") == 0 || strcmp(name, "c") == 0 || strcmp(name, "D") == 0)
            return fl__error_set(error, FL_ERROR_INVALID,
                "argument -%s: this job has no such argument; as an option of flinc's, -%s comes before the job's own "
                "arguments",
                name, name);
        fl__nearest nearest;
        fl__nearest_init(&nearest, name);
        char list[512] = "";
        for (size_t j = 0; j < params->asked_count; j++) {
            fl__nearest_offer(&nearest, params->asked[j]);
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s--%s", j ? ", " : "", params->asked[j]);
        }
        char *hint = fl__nearest_text(&nearest);
        fl_status status =
            params->asked_count == 0
                ? fl__error_set(error, FL_ERROR_INVALID, "argument --%s: this job takes no arguments", name)
                : fl__error_set(error, FL_ERROR_INVALID, "argument --%s: this job takes %s%s", name, list, hint);
        free(hint);
        return status;
    }
    return FL_OK;
}

bool fl__params_at(const fl__params *params, size_t index, const char **name, const char **text)
{
    if (index >= params->count)
        return false;
    *name = params->items[index].name;
    *text = params->items[index].text;
    return true;
}
