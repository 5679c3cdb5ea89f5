/* Who gets which record: six numbers, dealt out to two subtasks in one way after the other.
 *
 *     flinc run examples/partitioning.c [--all]
 *
 * With --all also the ways whose outcome is not the same every time, or is flinc's business: rebalance, shuffle,
 * key_by. */
#include <flinc.h>

typedef struct {
    fl_string how;
    int64_t number;
    int32_t subtask;
} Seen;
FL_ROW(Seen, how, number, subtask);

static void tell(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_collect(out, &(Seen){ fl_str(fl_arg(ctx)), *(const int64_t *)in, fl_subtask_index(ctx) });
}

static int odd_ones_to_the_first(const void *key, int channels, fl_context *ctx)
{
    return *(const int64_t *)key % 2 ? 0 : channels - 1;
}

static void itself(const void *in, void *key, fl_context *ctx)
{
    *(int64_t *)key = *(const int64_t *)in;
}

static void show(fl_stream *partitioned, const char *how)
{
    fl_print(fl_map(partitioned, tell, Seen, .arg = (void *)(uintptr_t)how), .parallelism = 1);
}

FL_JOB(partitioning)
{
    fl_set_parallelism(env, 2);
    fl_stream *numbers = fl_sequence(env, 1, 6, .parallelism = 1);
    show(fl_broadcast(numbers), "broadcast");
    show(fl_global(numbers), "global");
    show(fl_partition_custom(numbers, odd_ones_to_the_first, NULL), "custom");
    if (fl_param_bool(env, "all", false)) {
        show(fl_rebalance(numbers), "rebalance");
        show(fl_shuffle(numbers), "shuffle");
        show(fl_key_by_function(numbers, itself, int64_t), "key_by");
    }
    return fl_execute(env, "Partitioning");
}
