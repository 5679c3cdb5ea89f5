/* A folder of a test's own, with the few calls that tests of files need. Everything fails by cmocka's asserts. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_folder[64];

static inline int scratch_setup(void **state)
{
    (void)state;
    strcpy(scratch_folder, "/tmp/flinc-test-XXXXXX");
    return mkdtemp(scratch_folder) ? 0 : -1;
}

static inline int scratch_remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static inline int scratch_teardown(void **state)
{
    (void)state;
    return nftw(scratch_folder, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a name in the folder; one of 8 buffers. */
static inline const char *scratch(const char *name)
{
    static char paths[8][256];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

static inline void scratch_mkdir(const char *name)
{
    assert_int_equal(mkdir(scratch(name), 0755), 0);
}

static inline void scratch_put(const char *name, const char *mode, const void *data, size_t length)
{
    if (*mode == 'w')
        unlink(scratch(name)); /* ext4 syncs a file that is emptied and written anew */
    FILE *file = fopen(scratch(name), mode);
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static inline void scratch_write(const char *name, const char *text)
{
    scratch_put(name, "w", text, strlen(text));
}

static inline void scratch_append(const char *name, const char *text)
{
    scratch_put(name, "a", text, strlen(text));
}

/* A file's content, terminated by 0; NULL when there is none. free() it. */
static inline char *scratch_read(const char *name)
{
    FILE *file = fopen(scratch(name), "r");
    if (!file)
        return NULL;
    char *content = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&content, &length);
    for (int c; (c = getc(file)) != EOF;)
        putc(c, to);
    fclose(to);
    fclose(file);
    return content;
}

static inline void scratch_assert_content(const char *name, const char *expected)
{
    char *content = scratch_read(name);
    assert_non_null(content);
    assert_string_equal(content, expected);
    free(content);
}

#endif
