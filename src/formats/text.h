/* A text that grows: what the writers of this folder append to. One thread at a time.
 *
 *     fl__text text = FL__TEXT_INIT;          // no allocation yet
 *     fl__text_append(&text, data, length);   // …
 *     text.length = 0;                        // used up; the memory stays
 *     fl__text_release(&text);
 */
#ifndef FL_FORMATS_TEXT_H
#define FL_FORMATS_TEXT_H

#include "base/memory.h"
#include "flinc/type.h"

typedef struct fl__text {
    char *data; /* not terminated by 0 */
    size_t length, capacity;
    fl__memory *memory; /* account; NULL: the process' */
} fl__text;

#define FL__TEXT_INIT ((fl__text){ NULL, 0, 0, NULL })

void fl__text_grow(fl__text *text, size_t room);
void fl__text_release(fl__text *text);

/* Room for so many bytes behind what is there; returns where they go. Add to length what was written. */
static inline char *fl__text_reserve(fl__text *text, size_t room)
{
    if (FL_UNLIKELY(text->capacity - text->length < room))
        fl__text_grow(text, room);
    return text->data + text->length;
}

static inline void fl__text_append(fl__text *text, const char *data, size_t length)
{
    char *to = fl__text_reserve(text, length);
    if (length > 0)
        memcpy(to, data, length);
    text->length += length;
}

static inline void fl__text_char(fl__text *text, char c)
{
    *fl__text_reserve(text, 1) = c;
    text->length++;
}

void fl__text_int(fl__text *text, int64_t value);
void fl__text_uint(fl__text *text, uint64_t value);
/* A value of the type as fl_format writes it: what print shows. */
void fl__text_value(fl__text *text, const fl_type *type, const void *value);

#endif
