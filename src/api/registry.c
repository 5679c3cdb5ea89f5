/* The FL_JOBs of this process: registered by constructors of programs and of loaded shared objects. */
#include "api/registry.h"

static fl_job_entry *first_job;

void fl__job_register(fl_job_entry *entry)
{
    entry->next = first_job;
    first_job = entry;
}

fl_job_entry *fl__jobs(void)
{
    return first_job;
}
