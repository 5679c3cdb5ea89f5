#include "cli/toolchain.h"
#include "os/file.h"
#include "os/process.h"

#include <ctype.h>
#include <stdio.h>

static char *duplicate(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

/* ---- words ---- */

void fl__words_add(fl__words *words, const char *text)
{
    words->items = realloc(words->items, (words->count + 2) * sizeof *words->items);
    if (!words->items)
        abort();
    words->items[words->count++] = duplicate(text);
    words->items[words->count] = NULL;
}

void fl__words_split(fl__words *words, const char *text)
{
    char *word = duplicate(text);
    while (*text) {
        while (isspace((unsigned char)*text))
            text++;
        size_t length = 0;
        for (; *text && !isspace((unsigned char)*text); text++) {
            if (*text == '\\' && text[1])
                text++;
            word[length++] = *text;
        }
        word[length] = 0;
        if (length > 0)
            fl__words_add(words, word);
    }
    free(word);
}

void fl__words_append(fl__words *words, const fl__words *more)
{
    for (size_t i = 0; i < more->count; i++)
        fl__words_add(words, more->items[i]);
}

void fl__words_release(fl__words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
    free(words->items);
    *words = (fl__words){ NULL, 0 };
}

/* ---- the pkg-config file ---- */

#define VARIABLES_MAX 32

typedef struct variables {
    char *names[VARIABLES_MAX], *values[VARIABLES_MAX];
    size_t count;
} variables;

/* text[0, length) with every ${name} replaced. */
static char *expand(const variables *v, const char *text, size_t length)
{
    char *result = NULL;
    size_t size;
    FILE *out = open_memstream(&result, &size);
    if (!out)
        abort();
    for (size_t i = 0; i < length;) {
        const char *close = text[i] == '$' && i + 1 < length && text[i + 1] == '{' ? strchr(text + i, '}') : NULL;
        if (!close) {
            fputc(text[i++], out);
            continue;
        }
        const char *name = text + i + 2;
        for (size_t j = 0; j < v->count; j++) {
            if (strlen(v->names[j]) == (size_t)(close - name) &&
                strncmp(v->names[j], name, (size_t)(close - name)) == 0)
                fputs(v->values[j], out);
        }
        i = (size_t)(close - text) + 1;
    }
    fclose(out);
    return result;
}

static void read_line(variables *v, const char *line, size_t length, const char *prefix, char **cflags, char **libs)
{
    size_t name = strcspn(line, "=: \t");
    if (name >= length)
        return;
    char separator = line[name];
    const char *text = line + name + 1;
    while (text < line + length && isblank((unsigned char)*text))
        text++;
    char *value = expand(v, text, (size_t)(line + length - text));
    if (separator == '=' && v->count < VARIABLES_MAX) {
        v->names[v->count] = strndup(line, name);
        if (prefix && strcmp(v->names[v->count], "prefix") == 0) {
            free(value);
            value = duplicate(prefix);
        }
        v->values[v->count++] = value;
        return;
    }
    char **to = strncmp(line, "Cflags:", 7) == 0 ? cflags : strncmp(line, "Libs:", 5) == 0 ? libs : NULL;
    if (to && !*to)
        *to = value;
    else
        free(value);
}

bool fl__pkgconfig_read(const char *text, const char *prefix, char **cflags, char **libs)
{
    variables v = { .count = 0 };
    *cflags = *libs = NULL;
    while (*text) {
        size_t length = strcspn(text, "\n");
        read_line(&v, text, length, prefix, cflags, libs);
        text += length + (text[length] == '\n');
    }
    for (size_t i = 0; i < v.count; i++) {
        free(v.names[i]);
        free(v.values[i]);
    }
    if (*cflags && *libs)
        return true;
    free(*cflags);
    free(*libs);
    return false;
}

/* ---- finding it ---- */

static void take_flags(fl__toolchain *tools, const char *cflags, const char *libs)
{
    fl__words_split(&tools->cflags, cflags);
    fl__words_split(&tools->libs, libs);
    for (size_t i = 0; i < tools->libs.count && !tools->library_folder; i++) {
        if (strncmp(tools->libs.items[i], "-L", 2) == 0)
            tools->library_folder = duplicate(tools->libs.items[i] + 2);
    }
}

static bool take_file(fl__toolchain *tools, const char *path, const char *prefix)
{
    char *text, *cflags, *libs;
    fl_error error = FL_ERROR_INIT;
    if (fl__file_load(&fl__os_linux, path, 1 << 16, &text, NULL, &error) != FL_OK) {
        fl__error_release(&error);
        return false;
    }
    bool good = fl__pkgconfig_read(text, prefix, &cflags, &libs);
    if (good) {
        take_flags(tools, cflags, libs);
        free(cflags);
        free(libs);
    }
    free(text);
    return good;
}

/* Below the prefix that bin/flinc is installed in. */
static bool take_installed(fl__toolchain *tools, const char *folder)
{
    static const char *const patterns[] = { "lib/*/pkgconfig/flinc.pc", "lib*/pkgconfig/flinc.pc" };
    char *prefix = fl__path_join(folder, "..");
    char *real = realpath(prefix, NULL);
    bool found = false;
    for (size_t i = 0; real && i < sizeof patterns / sizeof *patterns && !found; i++) {
        char *pattern = fl__path_join(real, patterns[i]);
        fl__paths paths = FL__PATHS_INIT;
        fl_error error = FL_ERROR_INIT;
        if (fl__path_glob(&fl__os_linux, pattern, &paths, &error) == FL_OK && paths.count > 0)
            found = take_file(tools, paths.items[0].path, real);
        fl__error_release(&error);
        fl__paths_release(&paths);
        free(pattern);
    }
    free(prefix);
    free(real);
    return found;
}

static bool take_from_pkgconfig(fl__toolchain *tools)
{
    static char *const cflags_argv[] = { "pkg-config", "--silence-errors", "--cflags", "flinc", NULL };
    static char *const libs_argv[] = { "pkg-config", "--silence-errors", "--libs", "flinc", NULL };
    char *cflags = NULL, *libs = NULL;
    int exit_code = 0;
    bool good = fl__process_run(cflags_argv, &cflags, &exit_code, NULL) == FL_OK && exit_code == 0 &&
                fl__process_run(libs_argv, &libs, &exit_code, NULL) == FL_OK && exit_code == 0;
    if (good)
        take_flags(tools, cflags, libs);
    free(cflags);
    free(libs);
    return good;
}

static void add_environment(fl__words *words, const char *name)
{
    const char *text = getenv(name);
    if (text)
        fl__words_split(words, text);
}

fl_status fl__toolchain_find(fl__toolchain *tools, fl_error *error)
{
    *tools = (fl__toolchain){ .library_folder = NULL };
    char *executable = fl__process_executable();
    bool found = false;
    if (executable) {
        char *slash = strrchr(executable, '/');
        *slash = 0;
        char *uninstalled = fl__path_join(executable, "meson-uninstalled/flinc-uninstalled.pc");
        found = take_file(tools, uninstalled, NULL) || take_installed(tools, executable);
        free(uninstalled);
        free(executable);
    }
    if (!found && !take_from_pkgconfig(tools)) {
        fl__toolchain_release(tools);
        return fl__error_set(error, FL_ERROR_INVALID,
            "cannot find flinc's headers: no flinc.pc below the folder that flinc is installed in, and pkg-config "
            "knows none; install flinc as a whole (./dev install), or set PKG_CONFIG_PATH");
    }
    add_environment(&tools->compiler, "CC");
    if (tools->compiler.count == 0)
        fl__words_add(&tools->compiler, "cc");
    add_environment(&tools->cflags, "CFLAGS");
    add_environment(&tools->libs, "LDLIBS");
    return FL_OK;
}

void fl__toolchain_release(fl__toolchain *tools)
{
    fl__words_release(&tools->compiler);
    fl__words_release(&tools->cflags);
    fl__words_release(&tools->libs);
    free(tools->library_folder);
    tools->library_folder = NULL;
}
