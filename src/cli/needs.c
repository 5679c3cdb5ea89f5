#include "cli/needs.h"
#include "os/file.h"
#include "os/process.h"

#include <stdio.h>

#define SOURCE_BYTES_MAX ((size_t)64 << 20)
#define PACKAGES "flinc-pkg-config:"
#define LIBS "flinc-libs:"

typedef struct place {
    const char *source;
    int line;
} place;

/* The flags of a package; NULL: pkg-config does not know it, or is not there. */
static char *flags_of(const char *package, const char *which)
{
    char *argv[] = { "pkg-config", "--silence-errors", (char *)(uintptr_t)which, (char *)(uintptr_t)package, NULL };
    char *flags = NULL;
    int exit_code = 0;
    if (fl__process_run(argv, &flags, &exit_code, NULL) == FL_OK && exit_code == 0)
        return flags;
    free(flags);
    return NULL;
}

static fl_status add_package(fl__toolchain *tools, char *name, place at, fl_error *error)
{
    size_t length = strlen(name);
    bool is_optional = name[length - 1] == '?';
    if (is_optional)
        name[length - 1] = 0;
    char *cflags = flags_of(name, "--cflags"), *libs = cflags ? flags_of(name, "--libs") : NULL;
    bool found = cflags && libs;
    if (found) {
        fl__words_split(&tools->cflags, cflags);
        fl__words_split(&tools->libs, libs);
    }
    free(cflags);
    free(libs);
    if (found || is_optional)
        return FL_OK;
    return fl__error_set_at(error, FL_ERROR_INVALID, (fl_where){ at.source, at.line },
        "pkg-config does not find the package %s; install its development files (and pkg-config), set PKG_CONFIG_PATH, "
        "or write %s? if the program can do without",
        name, name);
}

static fl_status add_packages(fl__toolchain *tools, const char *names, place at, fl_error *error)
{
    fl__words words = { NULL, 0 };
    fl__words_split(&words, names);
    fl_status status = FL_OK;
    for (size_t i = 0; i < words.count && status == FL_OK; i++) {
        if (strcmp(words.items[i], "*/") != 0)
            status = add_package(tools, words.items[i], at, error);
    }
    fl__words_release(&words);
    return status;
}

static void add_libs(fl__toolchain *tools, const char *text)
{
    fl__words words = { NULL, 0 };
    fl__words_split(&words, text);
    for (size_t i = 0; i < words.count; i++) {
        if (strcmp(words.items[i], "*/") != 0)
            fl__words_add(&tools->libs, words.items[i]);
    }
    fl__words_release(&words);
}

fl_status fl__needs_add(fl__toolchain *tools, const char *source, fl_error *error)
{
    char *text;
    fl_status status = fl__file_load(&fl__os_linux, source, SOURCE_BYTES_MAX, &text, NULL, error);
    if (status != FL_OK)
        return status;
    place at = { source, 0 };
    for (char *line = text, *end; line && status == FL_OK; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        at.line++;
        line += strspn(line, " \t/*");
        if (strncmp(line, PACKAGES, strlen(PACKAGES)) == 0)
            status = add_packages(tools, line + strlen(PACKAGES), at, error);
        else if (strncmp(line, LIBS, strlen(LIBS)) == 0)
            add_libs(tools, line + strlen(LIBS));
    }
    free(text);
    return status;
}
