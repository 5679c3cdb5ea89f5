/* Counts the words of a text, whatever their case; lines without words are filtered out first.
 *
 *     flinc run examples/word_count_file.c --input FILE [--output FILE.csv]
 *
 * FILE may be a folder, a glob, or packed with gzip or zstd. Without --output the counts are printed. */
#include "lines.h"
#include <ctype.h>

typedef struct {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

static bool has_text(const void *in, fl_context *ctx)
{
    return fl_string_length(fl_string_trim(in)) > 0;
}

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, word;
    while (fl_string_token(&rest, " \t.,;:!?\"()", &word)) {
        char lower[64];
        size_t length = fl_string_length(word) < sizeof lower ? fl_string_length(word) : sizeof lower;
        for (size_t i = 0; i < length; i++)
            lower[i] = (char)tolower((unsigned char)fl_string_data(&word)[i]);
        fl_collect(out, &(WordCount){ fl_string_of(lower, length), 1 });
    }
}

FL_JOB(word_count_file)
{
    fl_stream *lines = fl_filter(example_lines(env, "examples/data/words.txt"), has_text);
    fl_stream *words = fl_flat_map(lines, split, WordCount);
    fl_stream *counts = fl_sum(fl_key_by(words, "word"), "count");
    const char *output = fl_param(env, "output", NULL);
    if (output)
        fl_write_csv(counts, output, .parallelism = 1, .header = true);
    else
        fl_print(counts);
    return fl_execute(env, "File word count");
}
