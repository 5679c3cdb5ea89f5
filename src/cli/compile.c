/* The cache, in $XDG_CACHE_HOME/flinc, ~/.cache/flinc or, without a home, $TMPDIR/flinc-UID:
 *
 *     KEY.so     what the compiler made
 *     KEY.deps   "flinc 1", then a line "HASH PATH" for every file that went into it but the system's headers
 *
 * KEY hashes the source's content and path, the compiler (its path, size and time), the flags, flinc's version and the
 * ABI. An object counts when its KEY.deps is there and every file in it still has its hash: so that a changed header
 * makes a new object, and nothing needs to be preprocessed to find that out (cc -MM takes 15 ms). KEY.deps is written
 * last, and by renaming: what is there is whole. A header that newly comes to stand before another of its name is not
 * noticed. */
#include "cli/compile.h"
#include "cli/needs.h"
#include "cli/toolchain.h"
#include "flinc/base.h"
#include "os/file.h"
#include "os/process.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <xxhash.h>

#define FORMAT "flinc 1\n"
/* Files in the cache's folder, two an object, before old ones go. At 50 KiB each, 12 MiB. */
#define CACHE_FILES_MAX 256
#define SOURCE_BYTES_MAX ((size_t)64 << 20)

static const fl__os *const os = &fl__os_linux;

static char *printed(const char *format, ...) FL_PRINTF(1, 2);
static char *printed(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    return text;
}

/* ---- the command ---- */

static fl__words command(const fl__toolchain *tools, const char *source, const char *output, bool is_shared)
{
    static const char *const common[] = { "-O2", "-g", "-std=gnu17", "-Werror=implicit-function-declaration" };
    fl__words argv = { NULL, 0 };
    fl__words_append(&argv, &tools->compiler);
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        fl__words_add(&argv, common[i]);
    if (is_shared) {
        fl__words_add(&argv, "-shared");
        fl__words_add(&argv, "-fPIC");
    }
    fl__words_append(&argv, &tools->cflags);
    fl__words_add(&argv, "-o");
    fl__words_add(&argv, output);
    char *plain = printed("%s%s", source[0] == '-' ? "./" : "", source); /* not one of the compiler's options */
    fl__words_add(&argv, plain);
    free(plain);
    if (is_shared) {
        fl__words_add(&argv, "-Wl,--no-undefined"); /* a misspelt function is an error here, not when it is loaded */
    } else {
        char *rpath = printed("-Wl,-rpath,%s", tools->library_folder ? tools->library_folder : "");
        if (tools->library_folder)
            fl__words_add(&argv, rpath);
        free(rpath);
        for (size_t i = 0; i < tools->libs.count; i++) {
            if (strncmp(tools->libs.items[i], "-L", 2) == 0)
                fl__words_add(&argv, tools->libs.items[i]);
        }
        fl__words_add(&argv, "-lflinc-main"); /* gives a main to programs that have none */
    }
    fl__words_append(&argv, &tools->libs);
    fl__words_add(&argv, "-lm");
    return argv;
}

static fl_status run_compiler(fl__words *argv, const char *source, fl_error *error)
{
    int exit_code = 0;
    fl_status status = fl__process_run(argv->items, NULL, &exit_code, error);
    if (status != FL_OK) {
        fl__error_context(error, "%s is compiled with $CC, or cc", source);
        return status;
    }
    if (exit_code == 0)
        return FL_OK;
    if (exit_code > 128)
        return fl__error_set(error, FL_ERROR_INVALID, "%s was not compiled: %s was ended by signal %d", source,
            argv->items[0], exit_code - 128);
    return fl__error_set(
        error, FL_ERROR_INVALID, "%s does not compile: see the messages of %s above", source, argv->items[0]);
}

/* ---- hashes ---- */

typedef XXH3_state_t hasher;

static void add_text(hasher *h, const char *text)
{
    XXH3_128bits_update(h, text, strlen(text) + 1); /* the 0 byte keeps "a","bc" from "ab","c" */
}

static void add_words(hasher *h, const fl__words *words)
{
    for (size_t i = 0; i < words->count; i++)
        add_text(h, words->items[i]);
    add_text(h, "");
}

static void write_hash(char to[33], XXH128_hash_t hash)
{
    snprintf(to, 33, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}

static fl_status hash_file(const char *path, char to[33], fl_error *error)
{
    char *content;
    size_t size;
    fl_status status = fl__file_load(os, path, SOURCE_BYTES_MAX, &content, &size, error);
    if (status != FL_OK)
        return status;
    write_hash(to, XXH3_128bits(content, size));
    free(content);
    return FL_OK;
}

/* The file that a command's name stands for, its size and time: another compiler gives another key. */
static void add_program(hasher *h, const char *name)
{
    const char *path = strchr(name, '/') ? "" : getenv("PATH");
    while (path) {
        size_t length = strcspn(path, ":");
        char *file = length > 0 ? printed("%.*s/%s", (int)length, path, name) : printed("%s", name);
        fl__file_info info;
        if (os->stat(os, file, &info) == 0 && !info.folder) {
            add_text(h, file);
            XXH3_128bits_update(h, &info.size, sizeof info.size);
            XXH3_128bits_update(h, &info.mtime_ms, sizeof info.mtime_ms);
            free(file);
            return;
        }
        free(file);
        path = path[length] ? path + length + 1 : NULL;
    }
}

static fl_status make_key(const fl__toolchain *tools, const char *source, char key[33], fl_error *error)
{
    char content[33], *real = realpath(source, NULL);
    fl_status status = hash_file(source, content, error);
    hasher *h = XXH3_createState();
    if (!h)
        abort();
    XXH3_128bits_reset(h);
    add_text(h, FORMAT FLINC_VERSION);
    XXH3_128bits_update(h, &(int){ FLINC_ABI }, sizeof(int));
    add_words(h, &tools->compiler);
    add_program(h, tools->compiler.items[0]);
    add_words(h, &tools->cflags);
    add_words(h, &tools->libs);
    add_text(h, source); /* __FILE__, and the folder that "x.h" is looked for in */
    add_text(h, real ? real : "");
    add_text(h, status == FL_OK ? content : "");
    write_hash(key, XXH3_128bits_digest(h));
    XXH3_freeState(h);
    free(real);
    return status;
}

/* ---- what went into an object ---- */

/* Are all files of a KEY.deps as they were? */
static bool is_fresh(const char *deps_path)
{
    char *text, now[33];
    fl_error error = FL_ERROR_INIT;
    bool fresh = fl__file_load(os, deps_path, SOURCE_BYTES_MAX, &text, NULL, &error) == FL_OK;
    if (!fresh) {
        fl__error_release(&error);
        return false;
    }
    fresh = strncmp(text, FORMAT, strlen(FORMAT)) == 0;
    for (char *line = text + strlen(FORMAT); fresh && *line;) {
        char *end = strchr(line, '\n');
        fresh = end && end - line > 33;
        if (!fresh)
            break;
        *end = 0;
        fresh = hash_file(line + 33, now, &error) == FL_OK && strncmp(now, line, 32) == 0;
        line = end + 1;
    }
    fl__error_release(&error);
    free(text);
    return fresh;
}

/* The next word of a make rule, in place: "\ " is a blank, "$$" a dollar, "\" before a line's end nothing. NULL: the
 * end. */
static char *next_word(char **at)
{
    char *from = *at;
    while (isspace((unsigned char)*from) || (*from == '\\' && from[1] == '\n'))
        from++;
    char *word = from, *to = from;
    while (*from && !isspace((unsigned char)*from) && !(*from == '\\' && from[1] == '\n')) {
        if ((*from == '\\' && (from[1] == ' ' || from[1] == '#')) || (*from == '$' && from[1] == '$'))
            from++;
        *to++ = *from++;
    }
    *at = *from ? from + 1 : from;
    *to = 0;
    return to > word ? word : NULL;
}

/* KEY.deps from the compiler's -MMD file. NULL when a file is newer than the compilation: it may not be what was
 * compiled. */
static char *make_deps(char *rule, int64_t started_ms)
{
    char *text = NULL, *at = strstr(rule, ": "), *word;
    size_t size;
    bool good = at != NULL;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    fputs(FORMAT, out);
    if (at)
        at += 2;
    while (good && (word = next_word(&at)) != NULL) {
        char hash[33], *real = realpath(word, NULL);
        fl_error error = FL_ERROR_INIT;
        fl__file_info info = { 0 };
        good = real && !strchr(real, '\n') && hash_file(real, hash, &error) == FL_OK &&
               os->stat(os, real, &info) == 0 && info.mtime_ms < started_ms;
        if (good)
            fprintf(out, "%s %s\n", hash, real);
        fl__error_release(&error);
        free(real);
    }
    fclose(out);
    if (good)
        return text;
    free(text);
    return NULL;
}

/* ---- the folder ---- */

static fl_status cache_folder(char **folder, fl_error *error)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    *folder = xdg && xdg[0] == '/'     ? printed("%s/flinc", xdg)
              : home && home[0] == '/' ? printed("%s/.cache/flinc", home)
                                       : NULL;
    if (*folder && fl__folder_make(os, *folder, NULL) == FL_OK && access(*folder, W_OK) == 0)
        return FL_OK;
    free(*folder);
    const char *tmp = getenv("TMPDIR");
    *folder = printed("%s/flinc-%u", tmp && tmp[0] == '/' ? tmp : "/tmp", (unsigned)getuid());
    fl_status status = fl__folder_make_private(*folder, error);
    if (status != FL_OK) {
        free(*folder);
        *folder = NULL;
    }
    return status;
}

static int oldest_first(const void *a, const void *b)
{
    int64_t x = ((const fl__path_entry *)a)->info.mtime_ms, y = ((const fl__path_entry *)b)->info.mtime_ms;
    return (x > y) - (x < y);
}

/* Drops the older half when there are too many. */
static void prune(const char *folder)
{
    fl__paths paths = FL__PATHS_INIT;
    fl_error error = FL_ERROR_INIT;
    if (fl__folder_list(os, folder, false, &paths, &error) == FL_OK && paths.count > CACHE_FILES_MAX) {
        qsort(paths.items, paths.count, sizeof *paths.items, oldest_first);
        for (size_t i = 0; i < paths.count - CACHE_FILES_MAX / 2; i++)
            os->unlink(os, paths.items[i].path);
    }
    fl__error_release(&error);
    fl__paths_release(&paths);
}

/* Compiles source to object and deps; temporary: a free name in the same folder. */
static fl_status compile_into(const fl__toolchain *tools, const char *source, const char *temporary, const char *object,
    const char *deps, fl_error *error)
{
    int64_t started_ms = fl__os_now_ms(os);
    char *rule_path = printed("%s.d", temporary), *rule = NULL, *text = NULL;
    fl__words argv = command(tools, source, temporary, true);
    fl__words_add(&argv, "-MMD");
    fl__words_add(&argv, "-MF");
    fl__words_add(&argv, rule_path);
    fl_status status = run_compiler(&argv, source, error);
    if (status == FL_OK)
        status = fl__file_load(os, rule_path, SOURCE_BYTES_MAX, &rule, NULL, error);
    if (status == FL_OK) {
        os->unlink(os, deps); /* of an object that is about to be replaced */
        status = fl__path_rename(os, temporary, object, error);
    }
    if (status == FL_OK && (text = make_deps(rule, started_ms)) != NULL)
        status = fl__file_store(os, deps, text, strlen(text), error);
    os->unlink(os, rule_path);
    os->unlink(os, temporary);
    fl__words_release(&argv);
    free(rule_path);
    free(rule);
    free(text);
    return status;
}

fl_status fl__compile_cached(const char *source, char **object, fl_error *error)
{
    *object = NULL;
    fl__toolchain tools;
    char key[33], *folder = NULL;
    fl_status status = fl__toolchain_find(&tools, error);
    if (status != FL_OK)
        return status;
    status = fl__needs_add(&tools, source, error);
    if (status == FL_OK)
        status = make_key(&tools, source, key, error);
    if (status == FL_OK)
        status = cache_folder(&folder, error);
    if (status == FL_OK) {
        char *deps = printed("%s/%s.deps", folder, key);
        char *temporary = printed("%s/tmp-%016llx", folder, (unsigned long long)fl__os_random_u64(os));
        *object = printed("%s/%s.so", folder, key);
        if (!fl__path_exists(os, *object) || !is_fresh(deps)) {
            prune(folder);
            status = compile_into(&tools, source, temporary, *object, deps, error);
        }
        free(deps);
        free(temporary);
    }
    if (status != FL_OK) {
        free(*object);
        *object = NULL;
    }
    free(folder);
    fl__toolchain_release(&tools);
    return status;
}

fl_status fl__compile(const char *source, const char *output, bool is_shared, fl_error *error)
{
    fl__toolchain tools;
    fl__file_info info;
    fl_status status = fl__path_info(os, source, &info, error);
    const char *slash = strrchr(output, '/');
    if (status == FL_OK && slash && slash > output) {
        char *folder = printed("%.*s", (int)(slash - output), output);
        status = fl__path_info(os, folder, &info, error);
        free(folder);
    }
    if (status != FL_OK || (status = fl__toolchain_find(&tools, error)) != FL_OK)
        return status;
    status = fl__needs_add(&tools, source, error);
    if (status != FL_OK) {
        fl__toolchain_release(&tools);
        return status;
    }
    char *temporary = printed("%s.%08x.tmp", output, (unsigned)fl__os_random_u64(os));
    fl__words argv = command(&tools, source, temporary, is_shared);
    status = run_compiler(&argv, source, error);
    if (status == FL_OK)
        status = fl__path_rename(os, temporary, output, error);
    os->unlink(os, temporary);
    fl__words_release(&argv);
    free(temporary);
    fl__toolchain_release(&tools);
    return status;
}
