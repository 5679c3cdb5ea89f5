#include "base/config.h"
#include "base/log.h"
#include "base/nearest.h"
#include "base/units.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <strings.h>

/* ---- the table ---- */

const fl__option fl__options[FL__OPTION_COUNT] = {
#define OPTION(id, key_, type_, default_, ...)                                                                         \
    [FL__OPTION_##id] = { .key = (key_), .type = FL__##type_, .default_text = (default_), __VA_ARGS__ },
#include "base/options.inc"
#undef OPTION
};

static const char *const flink_keys[] = {
#include "base/flink_keys.inc"
};
#define FLINK_KEY_COUNT (sizeof flink_keys / sizeof *flink_keys)

/* Flink's keys that have a name of the user's in them, or stand for a whole library's configuration. */
static const char *const flink_patterns[] = {
    "metrics.reporter.?*.?*",
    "traces.reporter.?*.?*",
    "events.reporter.?*.?*",
    "external-resource.?*.?*",
    "containerized.master.env.?*",
    "containerized.taskmanager.env.?*",
    "security.delegation.token.provider.?*",
    "sql-gateway.endpoint.?*",
    "flink.hadoop.?*",
    "flink.yarn.?*",
    "fs.s3.?*",
    "fs.s3a.?*",
    "s3.?*",
    "s3a.?*",
    "fs.azure.?*",
    "fs.oss.?*",
    "fs.gs.?*",
    "gs.?*",
    "kubernetes.hadoop.?*",
};

int fl__option_find(const char *key, bool *is_former)
{
    *is_former = false;
    for (int i = 0; i < FL__OPTION_COUNT; i++) {
        if (strcmp(fl__options[i].key, key) == 0)
            return i;
    }
    *is_former = true;
    for (int i = 0; i < FL__OPTION_COUNT; i++) {
        for (int j = 0; j < FL__FORMER_MAX && fl__options[i].former[j]; j++) {
            if (strcmp(fl__options[i].former[j], key) == 0)
                return i;
        }
    }
    return -1;
}

static int by_name(const void *key, const void *name)
{
    return strcmp(key, *(const char *const *)name);
}

bool fl__option_is_flinks(const char *key)
{
    if (bsearch(key, flink_keys, FLINK_KEY_COUNT, sizeof *flink_keys, by_name))
        return true;
    for (size_t i = 0; i < sizeof flink_patterns / sizeof *flink_patterns; i++) {
        if (fnmatch(flink_patterns[i], key, 0) == 0)
            return true;
    }
    return false;
}

/* ---- values ---- */

typedef struct value {
    char *text; /* as written; NULL: not set, then the default counts */
    bool by_former;
    union {
        bool truth;
        int64_t number; /* INT, DURATION, MEMORY, ENUM */
        double real;
    };
} value;

/* A key of Flink's without meaning here. */
typedef struct spare {
    char *key, *text;
    struct spare *next;
} spare;

struct fl__config {
    value values[FL__OPTION_COUNT];
    spare *spares;
    bool warned[FL__OPTION_COUNT]; /* of a former key, or of no effect yet */
};

static char *duplicate(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

/* The index of text in choices "a|b|c"; -1: none. */
static int find_choice(const char *choices, const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    int index = 0;
    for (const char *choice = choices; choice; index++) {
        size_t size = strcspn(choice, "|");
        if (size == length && strncasecmp(choice, text, size) == 0)
            return index;
        choice = choice[size] ? choice + size + 1 : NULL;
    }
    return -1;
}

static int64_t greatest(const fl__option *option)
{
    return option->max != 0 ? option->max : INT64_MAX;
}

/* Fills the parsed part of *v. False when text is not of the option's type or out of its range. */
static bool parse_value(const fl__option *option, const char *text, value *v)
{
    bool good = true;
    v->number = 0;
    switch (option->type) {
    case FL__STRING: return true;
    case FL__BOOL: return fl__parse_bool(text, &v->truth);
    case FL__DOUBLE: return fl__parse_double(text, &v->real);
    case FL__ENUM: return (v->number = find_choice(option->choices, text)) >= 0;
    case FL__INT: good = fl__parse_int(text, &v->number); break;
    case FL__DURATION: good = fl__parse_duration(text, &v->number); break;
    case FL__MEMORY: good = fl__parse_memory(text, &v->number); break;
    }
    return good && v->number >= option->min && v->number <= greatest(option);
}

static const struct {
    const char *name;    /* in the reference; Flink's names */
    const char *example; /* what a right value looks like */
} types[] = {
    [FL__BOOL] = { "Boolean", "true or false" },
    [FL__INT] = { "Integer", "a whole number" },
    [FL__DOUBLE] = { "Double", "a number" },
    [FL__STRING] = { "String", "a text" },
    [FL__DURATION] = { "Duration", "a duration with its unit, such as 200 ms, 10 s or 1 min" },
    [FL__MEMORY] = { "MemorySize", "a size with its unit, such as 32 kb, 64 mb or 1.5 g" },
    [FL__ENUM] = { "Enum", "one of" },
};

static bool has_numbers(fl__option_type type)
{
    return type == FL__INT || type == FL__DURATION || type == FL__MEMORY;
}

/* A bound in the option's unit: "4 kb" rather than 4096. */
static void write_bound(char *to, size_t size, fl__option_type type, int64_t bound)
{
    static const char *const units[] = { "bytes", "kb", "mb", "gb" };
    size_t unit = 0;
    for (; type == FL__MEMORY && unit < 3 && bound != 0 && bound % 1024 == 0; unit++)
        bound /= 1024;
    const char *suffix = type == FL__MEMORY ? units[unit] : type == FL__DURATION ? "ms" : "";
    snprintf(to, size, "%lld%s%s", (long long)bound, *suffix ? " " : "", suffix);
}

char *fl__option_range(const fl__option *option)
{
    char *text = NULL, low[32], high[32];
    write_bound(low, sizeof low, option->type, option->min);
    write_bound(high, sizeof high, option->type, option->max);
    int length;
    if (option->type == FL__ENUM) {
        length = asprintf(&text, "one of %s", option->choices);
        for (char *p = text; length > 0 && (p = strchr(p, '|')) != NULL; p++)
            *p = ' ';
    } else if (has_numbers(option->type) && option->max != 0) {
        length = asprintf(&text, "%s, %s … %s", types[option->type].name, low, high);
    } else {
        length = asprintf(&text, "%s", types[option->type].name);
    }
    if (length < 0)
        abort();
    return text;
}

static fl_status value_error(const fl__option *option, const char *key, const char *text, fl_error *error)
{
    char low[32], high[32];
    if (option->type == FL__ENUM) {
        char *range = fl__option_range(option);
        fl__error_set(error, FL_ERROR_INVALID, "option %s: '%s' is not %s", key, text, range);
        free(range);
        return FL_ERROR_INVALID;
    }
    if (!has_numbers(option->type) || option->max == 0)
        return fl__error_set(
            error, FL_ERROR_INVALID, "option %s: '%s' is not %s", key, text, types[option->type].example);
    write_bound(low, sizeof low, option->type, option->min);
    write_bound(high, sizeof high, option->type, option->max);
    return fl__error_set(error, FL_ERROR_INVALID, "option %s: '%s' is not %s between %s and %s", key, text,
        types[option->type].example, low, high);
}

/* ---- a configuration ---- */

fl__config *fl__config_new(void)
{
    fl__config *config = calloc(1, sizeof *config);
    if (!config)
        abort();
    for (int i = 0; i < FL__OPTION_COUNT; i++) {
        const fl__option *option = &fl__options[i];
        bool good = !option->default_text || parse_value(option, option->default_text, &config->values[i]);
        fl_assert(good); /* a default in options.inc is out of its own range */
    }
    return config;
}

void fl__config_free(fl__config *config)
{
    if (!config)
        return;
    for (int i = 0; i < FL__OPTION_COUNT; i++)
        free(config->values[i].text);
    for (spare *s = config->spares; s;) {
        spare *next = s->next;
        free(s->key);
        free(s->text);
        free(s);
        s = next;
    }
    free(config);
}

static void set_spare(fl__config *config, const char *key, const char *text)
{
    spare *s = config->spares;
    while (s && strcmp(s->key, key) != 0)
        s = s->next;
    if (!s) {
        if (!(s = calloc(1, sizeof *s)))
            abort();
        s->key = duplicate(key);
        s->next = config->spares;
        config->spares = s;
    }
    free(s->text);
    s->text = duplicate(text);
}

void fl__config_merge(fl__config *config, const fl__config *from)
{
    for (int i = 0; i < FL__OPTION_COUNT; i++) {
        value *to = &config->values[i];
        if (!from->values[i].text || (from->values[i].by_former && to->text && !to->by_former))
            continue;
        free(to->text);
        *to = from->values[i];
        to->text = duplicate(to->text);
        config->warned[i] = config->warned[i] || from->warned[i];
    }
    for (const spare *s = from->spares; s; s = s->next)
        set_spare(config, s->key, s->text);
}

fl__config *fl__config_copy(const fl__config *config)
{
    fl__config *copy = fl__config_new();
    fl__config_merge(copy, config);
    return copy;
}

static fl_status unknown_key(const char *key, fl_error *error)
{
    fl__nearest nearest;
    fl__nearest_init(&nearest, key);
    for (int i = 0; i < FL__OPTION_COUNT; i++)
        fl__nearest_offer(&nearest, fl__options[i].key);
    /* Keys of Flink's would be accepted, and do nothing: offered only for a plain typing error. */
    for (size_t i = 0, length = strlen(key); i < FLINK_KEY_COUNT; i++) {
        size_t other = strlen(flink_keys[i]);
        if (other <= length + 2 && length <= other + 2 && fl__edit_distance(key, flink_keys[i]) <= 2)
            fl__nearest_offer(&nearest, flink_keys[i]);
    }
    char *hint = fl__nearest_text(&nearest);
    fl__error_set(
        error, FL_ERROR_INVALID, "there is no option '%s'%s", key, *hint ? hint : "; `flinc help options` lists them");
    free(hint);
    return FL_ERROR_INVALID;
}

/* Once per option and configuration. */
static void warn_of(fl__config *config, int id, const char *key, bool is_former)
{
    const fl__option *option = &fl__options[id];
    if (!config->warned[id] && is_former)
        fl__log(FL__LOG_WARN, "config", "option %s is now called %s", key, option->key);
    if (!config->warned[id] && option->effect == FL__NOT_YET)
        fl__log(FL__LOG_WARN, "config", "option %s has no effect in this version yet", key);
    if (option->effect == FL__NO_EFFECT)
        fl__log(FL__LOG_DEBUG, "config", "option %s has no effect: %s", key, option->text);
    config->warned[id] = config->warned[id] || is_former || option->effect == FL__NOT_YET;
}

fl_status fl__config_set(fl__config *config, const char *key, const char *text, fl_error *error)
{
    bool is_former;
    int id = fl__option_find(key, &is_former);
    if (id < 0) {
        if (!fl__option_is_flinks(key))
            return unknown_key(key, error);
        fl__log(FL__LOG_DEBUG, "config", "option %s is one of Flink's that has no meaning here", key);
        set_spare(config, key, text);
        return FL_OK;
    }
    value parsed = { .by_former = is_former };
    if (!parse_value(&fl__options[id], text, &parsed))
        return value_error(&fl__options[id], key, text, error);
    warn_of(config, id, key, is_former);
    value *to = &config->values[id];
    if (is_former && to->text && !to->by_former)
        return FL_OK; /* the present key's value wins */
    free(to->text);
    *to = parsed;
    to->text = duplicate(text);
    if (id == FL__OPTION_LOG_LEVEL) /* at once: it is a matter of the process and not of a job */
        fl__log_set_level((fl__log_level)parsed.number);
    return FL_OK;
}

/* A copy of the part of text from start to end without the blanks at both ends. */
static char *trimmed(const char *start, const char *end)
{
    while (start < end && isspace((unsigned char)*start))
        start++;
    while (end > start && isspace((unsigned char)end[-1]))
        end--;
    char *copy = strndup(start, (size_t)(end - start));
    if (!copy)
        abort();
    return copy;
}

fl_status fl__config_set_pair(fl__config *config, const char *pair, fl_error *error)
{
    const char *equals = strchr(pair, '=');
    if (!equals)
        return fl__error_set(
            error, FL_ERROR_INVALID, "'%s' sets no option: write key=value, such as parallelism.default=4", pair);
    char *key = trimmed(pair, equals), *text = trimmed(equals + 1, pair + strlen(pair));
    fl_status status = fl__config_set(config, key, text, error);
    free(key);
    free(text);
    return status;
}

const char *fl__config_get(const fl__config *config, const char *key)
{
    bool is_former;
    int id = fl__option_find(key, &is_former);
    if (id >= 0)
        return fl__config_text(config, (fl__option_id)id);
    for (const spare *s = config->spares; s; s = s->next) {
        if (strcmp(s->key, key) == 0)
            return s->text;
    }
    return NULL;
}

bool fl__config_is_set(const fl__config *config, fl__option_id id)
{
    return config->values[id].text != NULL;
}

const char *fl__config_text(const fl__config *config, fl__option_id id)
{
    return config->values[id].text ? config->values[id].text : fl__options[id].default_text;
}

bool fl__config_bool(const fl__config *config, fl__option_id id)
{
    fl_assert(fl__options[id].type == FL__BOOL);
    return config->values[id].truth;
}

int64_t fl__config_int(const fl__config *config, fl__option_id id)
{
    fl_assert(fl__options[id].type == FL__INT);
    return config->values[id].number;
}

double fl__config_double(const fl__config *config, fl__option_id id)
{
    fl_assert(fl__options[id].type == FL__DOUBLE);
    return config->values[id].real;
}

int64_t fl__config_duration_ms(const fl__config *config, fl__option_id id)
{
    fl_assert(fl__options[id].type == FL__DURATION);
    return config->values[id].number;
}

int64_t fl__config_memory(const fl__config *config, fl__option_id id)
{
    fl_assert(fl__options[id].type == FL__MEMORY);
    return config->values[id].number;
}

int fl__config_enum(const fl__config *config, fl__option_id id)
{
    fl_assert(fl__options[id].type == FL__ENUM);
    return fl__config_text(config, id) ? (int)config->values[id].number : -1;
}

void fl__config_each(const fl__config *config, void (*each)(void *arg, const char *key, const char *text), void *arg)
{
    for (int i = 0; i < FL__OPTION_COUNT; i++) {
        if (config->values[i].text)
            each(arg, fl__options[i].key, config->values[i].text);
    }
    for (const spare *s = config->spares; s; s = s->next)
        each(arg, s->key, s->text);
}

/* ---- documentation ---- */

char *fl__options_markdown(void)
{
    char *page = NULL;
    size_t size;
    FILE *out = open_memstream(&page, &size);
    if (!out)
        abort();
    fprintf(out,
        "# Configuration\n"
        "<!-- Made by `flinc help options --markdown` from src/base/options.inc. -->\n\n"
        "Options have the keys, units and defaults that they have in Flink. They are set with `-D key=value` on\n"
        "the command line, or with `fl_set(env, key, value)` in the program, which wins. Former keys work and\n"
        "give a warning. Other keys of Flink's are accepted and do nothing; any other key is an error.\n\n"
        "| Key | Default | Type | Since | |\n|---|---|---|---|---|\n");
    for (int i = 0; i < FL__OPTION_COUNT; i++) {
        const fl__option *o = &fl__options[i];
        char *range = fl__option_range(o);
        fprintf(out, "| `%s` | %s | %s | %s | ", o->key, o->default_text ? o->default_text : "(none)", range,
            o->since ? o->since : "0.1");
        if (o->effect == FL__NOT_YET)
            fprintf(out, "*Checked, without effect yet.* ");
        fprintf(out, "%s", o->text);
        for (int j = 0; j < FL__FORMER_MAX && o->former[j]; j++)
            fprintf(out, "%s `%s`", j == 0 ? " Formerly" : ",", o->former[j]);
        fprintf(out, "%s |\n", o->former[0] ? "." : "");
        free(range);
    }
    if (fclose(out) != 0)
        abort();
    return page;
}
