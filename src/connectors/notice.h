/* What a connector tells the operator of the job while it goes on: a lost connection, a file that shrank. */
#ifndef FL_CONNECTORS_NOTICE_H
#define FL_CONNECTORS_NOTICE_H

#include "base/log.h"
#include "stream/operator.h"

/* A warning in the log with the operator's name and subtask in front. Any thread. */
#define fl__notice(op, format, ...)                                                                                    \
    fl__log(FL__LOG_WARN, "connector", "%s (%d/%d): " format, (op)->spec->name, (op)->ctx.subtask + 1,                 \
        (op)->ctx.parallelism, ##__VA_ARGS__)

#endif
