/* The compiler and the flags that flinc's headers and library need: those of its pkg-config file, so that `flinc run
 * x.c` compiles just what `cc x.c $(pkg-config --cflags --libs flinc)` does. The file is read here and not by
 * pkg-config: that takes 5 ms, and works where pkg-config is not installed.
 *
 * Looked for, in this order: beside an uninstalled flinc in the build folder; below the prefix that flinc is installed
 * in, wherever that was moved to; by pkg-config. */
#ifndef FL_CLI_TOOLCHAIN_H
#define FL_CLI_TOOLCHAIN_H

#include "base/error.h"

/* A growing argv; texts are its own. */
typedef struct fl__words {
    char **items; /* count texts, then NULL */
    size_t count;
} fl__words;

void fl__words_add(fl__words *words, const char *text);
/* Splits at blanks; a backslash takes the next character as it is. */
void fl__words_split(fl__words *words, const char *text);
void fl__words_append(fl__words *words, const fl__words *more);
void fl__words_release(fl__words *words);

typedef struct fl__toolchain {
    fl__words compiler;   /* $CC, or cc; may have arguments of its own ("ccache gcc") */
    fl__words cflags;     /* -I…, then $CFLAGS */
    fl__words libs;       /* -L…, -lflinc, then $LDLIBS */
    char *library_folder; /* where libflinc.so lies, for an rpath; NULL: the system finds it */
} fl__toolchain;

FL_MUST_USE fl_status fl__toolchain_find(fl__toolchain *tools, fl_error *error);
void fl__toolchain_release(fl__toolchain *tools);

/* The values of Cflags and Libs in the text of a pkg-config file, variables replaced; prefix: instead of the file's
 * own, NULL: that. free() both. False when it has none of the two. */
bool fl__pkgconfig_read(const char *text, const char *prefix, char **cflags, char **libs);

#endif
