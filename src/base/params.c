#include "base/params.h"
#include "base/units.h"

#include <ctype.h>
#include <stdio.h>

typedef struct param {
    char *name, *text; /* text NULL: a flag */
} param;

struct fl__params {
    param *items;
    size_t count;
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
    free(params->items);
    free(params);
}

bool fl__params_has(const fl__params *params, const char *name)
{
    return find(params, name) != NULL;
}

const char *fl__params_get(const fl__params *params, const char *name, const char *default_value)
{
    const param *p = find(params, name);
    return !p ? default_value : p->text ? p->text : "";
}

static fl_status wrong(const param *p, const char *wanted, fl_error *error)
{
    if (!p->text)
        return fl__error_set(error, FL_ERROR_INVALID, "argument --%s needs a value: %s", p->name, wanted);
    return fl__error_set(error, FL_ERROR_INVALID, "argument --%s: '%s' is not %s", p->name, p->text, wanted);
}

fl_status fl__params_int(
    const fl__params *params, const char *name, int64_t default_value, int64_t *value, fl_error *error)
{
    const param *p = find(params, name);
    *value = default_value;
    if (!p || (p->text && fl__parse_int(p->text, value)))
        return FL_OK;
    return wrong(p, "a whole number", error);
}

fl_status fl__params_double(
    const fl__params *params, const char *name, double default_value, double *value, fl_error *error)
{
    const param *p = find(params, name);
    *value = default_value;
    if (!p || (p->text && fl__parse_double(p->text, value)))
        return FL_OK;
    return wrong(p, "a number", error);
}

fl_status fl__params_bool(const fl__params *params, const char *name, bool default_value, bool *value, fl_error *error)
{
    const param *p = find(params, name);
    *value = p && !p->text ? true : default_value;
    bool truth;
    if (!p || !p->text)
        return FL_OK;
    if (!fl__parse_bool(p->text, &truth))
        return wrong(p, "true or false", error);
    *value = truth;
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
