#include "generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

sentence sentences[SENTENCES];

/* How long words are, in turn: near to English (5.2 letters on average). */
static const unsigned char lengths[] = { 3, 4, 2, 5, 6, 3, 7, 4, 5, 8, 3, 4, 6, 2, 9, 5, 7, 4, 3, 10, 4, 5, 6, 3, 14, 4,
    5, 3, 6, 4, 11, 5 };

/* Distinct words: the number in base 26 makes the end, so that two of one length differ. */
static unsigned spell(char *word, unsigned number)
{
    unsigned length = lengths[number % sizeof lengths];
    if (length < 3)
        length = number < 26 * 26 ? 2 : 3;
    for (unsigned i = 0, rest = number; i < length; i++) {
        word[length - 1 - i] = i < 3 ? (char)('a' + rest % 26) : (char)('a' + random_at(number * 16 + i) % 26);
        rest /= 26;
    }
    return length;
}

void sentences_make(void)
{
    static char *text;
    if (text)
        return;
    char *cursor = text = malloc((size_t)SENTENCES * SENTENCE_WORDS * 16);
    if (!text)
        abort();
    for (unsigned s = 0, slot = 0; s < SENTENCES; s++) {
        sentences[s].text = cursor;
        for (unsigned w = 0; w < SENTENCE_WORDS; w++, slot++) {
            unsigned number = slot < WORDS ? slot * 7919 % WORDS : (unsigned)(random_at(slot) % WORDS);
            if (w > 0)
                *cursor++ = ' ';
            cursor += spell(cursor, number);
        }
        sentences[s].length = (uint32_t)(cursor - sentences[s].text);
    }
}
