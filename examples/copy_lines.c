/* Lines of files into files, each exactly once, whatever happens on the way.
 *
 *     flinc run copy_lines.c -D execution.checkpointing.interval=1s -D execution.checkpointing.dir=checkpoints
 *         --input logs --output copy
 *
 * Killed, it goes on with -s and the folder below checkpoints that has the highest number. */
#include <flinc.h>

FL_JOB(copy_lines)
{
    const char *input = fl_param(env, "input", "examples/data/access_log");
    const char *output = fl_param(env, "output", "copy");
    fl_stream *lines = fl_read_text(env, input, .uid = "lines", .split_bytes = 65536);
    fl_file_sink(fl_rebalance(lines), output, FL_TEXT, .uid = "copy");
    return fl_execute(env, "Copy lines");
}
