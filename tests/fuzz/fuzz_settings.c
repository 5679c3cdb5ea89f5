/* What users write on command lines: the first byte chooses the reader. No text may break one; what is accepted must be
 * within its bounds and read back as it was written. */
#include "base/config.h"
#include "base/flags.h"
#include "base/log.h"
#include "base/params.h"
#include "base/units.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_units(const char *text)
{
    int64_t n;
    double d;
    bool b;
    if (fl__parse_duration(text, &n) && n < 0)
        abort();
    if (fl__parse_memory(text, &n) && n < 0)
        abort();
    (void)(fl__parse_int(text, &n) && fl__parse_double(text, &d) && fl__parse_bool(text, &b));
}

static void set_option(const char *text)
{
    fl_error error = FL_ERROR_INIT;
    fl__config *config = fl__config_new();
    const char *equals = strchr(text, '=');
    if (fl__config_set_pair(config, text, &error) == FL_OK) {
        if (!equals)
            abort();
        fl__config *copy = fl__config_copy(config);
        for (int i = 0; i < FL__OPTION_COUNT; i++) {
            const char *a = fl__config_text(config, (fl__option_id)i), *b = fl__config_text(copy, (fl__option_id)i);
            if ((a == NULL) != (b == NULL) || (a && strcmp(a, b) != 0))
                abort();
        }
        fl__config_free(copy);
    } else if (!error.text) {
        abort();
    }
    fl__error_release(&error);
    fl__config_free(config);
}

/* The text's lines as argv. */
static void read_arguments(char *text)
{
    static const fl__flag table[] = { { .letters = "p", .name = "parallelism", .value = "n" }, { .name = "json" },
        { .letters = "sae", .refusal = "no" } };
    char *argv[64];
    int argc = 0;
    for (char *line = text; line && argc < 64; argc++) {
        argv[argc] = line;
        if ((line = strchr(line, '\n')))
            *line++ = 0;
    }
    fl_error error = FL_ERROR_INIT;
    fl__flags flags = { .table = table, .count = 3, .argc = argc, .argv = argv };
    const fl__flag *flag;
    const char *value;
    while (fl__flags_next(&flags, &flag, &value, &error) == FL_OK) {
        if ((flag->value != NULL) != (value != NULL) || flags.at > argc)
            abort();
    }
    fl__error_release(&error);
    fl__params *params = fl__params_new(argc, argv, &error);
    const char *name;
    for (size_t i = 0; fl__params_at(params, i, &name, &value); i++) {
        int64_t n;
        if (!*name || !fl__params_has(params, name) || (value && strcmp(fl__params_get(params, name, ""), value) != 0))
            abort();
        if (fl__params_int(params, name, 7, &n, NULL) != FL_OK && n != 7)
            abort();
    }
    fl__error_release(&error);
    fl__params_free(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    fl__log_set_level(FL__LOG_ERROR);
    char *text = malloc(size);
    if (!text)
        abort();
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    switch (data[0] % 3) {
    case 0: read_units(text); break;
    case 1: set_option(text); break;
    default: read_arguments(text); break;
    }
    free(text);
    return 0;
}
