/* fl_main: what the main of a program does that brings only its FL_JOB. */
#include "cluster/run.h"

static const fl__flag flags_table[] = { FL__RUN_FLAGS };

int fl_main(int argc, char **argv)
{
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    fl__run run;
    fl__run_init(&run, argc == 0 ? "flinc" : slash ? slash + 1 : argv[0]);
    run.is_quiet = true;
    fl__flags flags = { .table = flags_table,
        .count = sizeof flags_table / sizeof *flags_table,
        .argc = argc,
        .argv = argv,
        .at = argc > 0 ? 1 : 0,
        .leave_unknown = true };
    const fl__flag *flag;
    const char *value;
    fl_error error = FL_ERROR_INIT;
    fl_status status;
    while ((status = fl__flags_next(&flags, &flag, &value, &error)) == FL_OK) {
        if ((status = fl__run_flag(&run, flag, value, &error)) != FL_OK)
            break;
    }
    int result = 1;
    const fl_job_entry *entry = status == FL_DONE ? fl__run_entry(&run, &error) : NULL;
    if (entry) /* the last argument taken stands where the program's name would */
        result = fl__run_job(&run, entry, argc - flags.at + 1, argv + flags.at - 1);
    else
        fl__run_error(run.program, &error);
    fl__run_release(&run);
    return result;
}
