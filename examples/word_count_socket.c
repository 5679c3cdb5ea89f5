/* Counts the words that arrive on a socket; prints a word's new count whenever it comes.
 *
 *     nc -lk 9999                                         in one terminal, then type
 *     flinc run examples/word_count_socket.c --port 9999  in another
 */
#include <flinc.h>

typedef struct {
    fl_string word;
    int64_t count;
} WordCount;
FL_ROW(WordCount, word, count);

static void split(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, word;
    while (fl_string_token(&rest, " \t", &word))
        fl_collect(out, &(WordCount){ word, 1 });
}

FL_JOB(word_count_socket)
{
    fl_stream *lines = fl_socket_text(env, fl_param(env, "host", "localhost"), fl_param_int(env, "port", 9999));
    fl_stream *words = fl_flat_map(lines, split, WordCount);
    fl_print(fl_sum(fl_key_by(words, "word"), "count"));
    return fl_execute(env, "Socket word count");
}
