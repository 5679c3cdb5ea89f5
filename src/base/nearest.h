/* "Did you mean …": the names that a mistyped one is nearest to. Offer all there are, then ask for the text. */
#ifndef FL_BASE_NEAREST_H
#define FL_BASE_NEAREST_H

#include "flinc/base.h"

#define FL__NEAREST_MAX 3

typedef struct fl__nearest {
    const char *wanted;
    struct {
        const char *name;
        size_t distance;
    } best[FL__NEAREST_MAX]; /* nearest first */
    size_t count;
} fl__nearest;

void fl__nearest_init(fl__nearest *nearest, const char *wanted);
/* name must stay as long as *nearest is used. */
void fl__nearest_offer(fl__nearest *nearest, const char *name);
/* "; did you mean a?", "; did you mean a, b or c?", or "" when nothing is near. free() it. */
char *fl__nearest_text(const fl__nearest *nearest);

/* Insertions, deletions, replacements and swaps of neighbours that lead from a to b. O(|a| |b|). */
size_t fl__edit_distance(const char *a, const char *b);

#endif
