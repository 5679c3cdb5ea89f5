/* The average of every two values of a key, kept in a value state: a count window by hand.
 *
 *     flinc run examples/count_window_average.c
 */
#include <flinc.h>

typedef struct {
    int64_t key, value;
} Pair;
FL_ROW(Pair, key, value);

typedef struct {
    int64_t count, sum;
} Average;
FL_ROW(Average, count, sum);
FL_VALUE_STATE(average, Average);

static void average_of_two(const void *in, fl_collector *out, fl_context *ctx)
{
    const Pair *pair = in;
    Average *a = fl_value(ctx, average); /* this key's; zeros at first */
    a->sum += pair->value;
    if (++a->count == 2) {
        fl_collect(out, &(Pair){ pair->key, a->sum / a->count });
        fl_clear(ctx, average);
    }
}

FL_JOB(count_window_average)
{
    fl_stream *pairs =
        fl_from_elements(env, Pair, { 1, 3 }, { 1, 5 }, { 2, 10 }, { 1, 7 }, { 1, 4 }, { 2, 30 }, { 1, 2 });
    fl_print(fl_process(fl_key_by(pairs, "key"), average_of_two, Pair, .states = { &average }));
    return fl_execute(env, "Average of every two");
}
