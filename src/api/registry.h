/* The FL_JOBs of this process. */
#ifndef FL_API_REGISTRY_H
#define FL_API_REGISTRY_H

#include "flinc/env.h"

/* The newest first; NULL: none. Entries of a shared object go with it. */
fl_job_entry *fl__jobs(void);

#endif
