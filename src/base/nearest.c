#include "base/nearest.h"

#include <stdio.h>
#include <stdlib.h>

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t fl__edit_distance(const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b), width = n + 1;
    /* Three rows of the usual table: the one being filled and the two before it (swaps look two back). */
    size_t *rows = malloc(3 * width * sizeof *rows);
    if (!rows)
        abort();
    for (size_t i = 0; i <= m; i++) {
        size_t *row = rows + i % 3 * width, *above = rows + (i + 2) % 3 * width,
               *two_above = rows + (i + 1) % 3 * width;
        for (size_t j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                row[j] = i + j;
                continue;
            }
            row[j] = min(above[j - 1] + (a[i - 1] != b[j - 1]), min(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min(row[j], two_above[j - 2] + 1);
        }
    }
    size_t distance = rows[m % 3 * width + n];
    free(rows);
    return distance;
}

void fl__nearest_init(fl__nearest *nearest, const char *wanted)
{
    *nearest = (fl__nearest){ .wanted = wanted };
}

/* Does name contain the wanted text as whole words, as parallelism.default does "parallelism"? */
static bool contains_words(const char *name, const char *wanted)
{
    const char *separators = ".-_";
    size_t length = strlen(wanted);
    for (const char *at = name; length >= 3 && (at = strstr(at, wanted)) != NULL; at++) {
        if ((at == name || strchr(separators, at[-1])) && strchr(separators, at[length]))
            return true; /* strchr finds the ending 0 byte as well */
    }
    return false;
}

void fl__nearest_offer(fl__nearest *nearest, const char *name)
{
    /* A quarter wrong is as far as a typing error goes. Words left out count little, the shorter the rest the less. */
    size_t wanted = strlen(nearest->wanted), length = strlen(name), limit = wanted / 4 < 2 ? 2 : wanted / 4;
    size_t distance;
    if (contains_words(name, nearest->wanted))
        distance = 1 + (length - wanted) / 8;
    else if (length > wanted + limit || wanted > length + limit)
        return;
    else
        distance = fl__edit_distance(nearest->wanted, name);
    if (distance > limit || distance >= wanted)
        return;
    for (size_t i = 0; i < nearest->count; i++) {
        if (strcmp(nearest->best[i].name, name) == 0)
            return;
    }
    size_t at = nearest->count;
    while (at > 0 && nearest->best[at - 1].distance > distance)
        at--;
    if (at == FL__NEAREST_MAX)
        return;
    if (nearest->count < FL__NEAREST_MAX)
        nearest->count++;
    for (size_t i = nearest->count - 1; i > at; i--)
        nearest->best[i] = nearest->best[i - 1];
    nearest->best[at].name = name;
    nearest->best[at].distance = distance;
}

char *fl__nearest_text(const fl__nearest *nearest)
{
    /* What is much farther off than the first is noise beside it. */
    size_t count = 0;
    while (count < nearest->count && nearest->best[count].distance <= 2 * nearest->best[0].distance + 1)
        count++;
    char *text = strdup(count ? "; did you mean " : "");
    for (size_t i = 0; text && i < count; i++) {
        const char *after = i + 1 == count ? "?" : i + 2 == count ? " or " : ", ";
        char *longer = NULL;
        if (asprintf(&longer, "%s%s%s", text, nearest->best[i].name, after) < 0)
            abort();
        free(text);
        text = longer;
    }
    if (!text)
        abort();
    return text;
}
