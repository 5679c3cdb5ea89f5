/* What outlives one attempt to run a job: where its checkpoints are, which are complete, what the next attempt starts
 * from, and whether there is a next one. */
#ifndef FL_CLUSTER_RECOVERY_H
#define FL_CLUSTER_RECOVERY_H

#include "api/api.h"
#include "checkpoint/coordinator.h"
#include "checkpoint/restart.h"
#include "checkpoint/store.h"

typedef struct fl__recovery {
    fl_env *env;
    const fl__os *os;
    fl__memory *memory;
    bool takes_checkpoints;
    bool is_at_least_once;
    fl__coordinator_config coordination;
    fl__store store;
    char *temporary;   /* the folder of the store, when none was configured */
    const char *start; /* savepoint or checkpoint that the first attempt starts from; NULL */
    int64_t next_id;
    int64_t *complete; /* retained ones, oldest first */
    size_t complete_count;
    int64_t retained_max;
    int retention; /* of FL__OPTION_CHECKPOINT_RETENTION */
    fl__restart restart;
    int attempt;     /* 0 the first time */
    fl__arena arena; /* of the catalog */
    fl__state_catalog catalog;
    bool has_catalog; /* the attempt starts from it */
} fl__recovery;

/* Reads the environment's configuration, makes the folder for checkpoints. is_bounded_batch: BATCH takes none. */
fl_status fl__recovery_init(
    fl__recovery *recovery, fl_env *env, const fl__os *os, bool is_batch, fl_error *error) FL_MUST_USE;
/* The job has ended for good: keeps or removes checkpoints as configured. */
void fl__recovery_release(fl__recovery *recovery, fl_status ended);
/* Before an attempt: loads what it starts from. A checkpoint that is damaged is left out with a warning, and the one
 * before it taken. */
fl_status fl__recovery_prepare(fl__recovery *recovery, fl_error *error) FL_MUST_USE;
/* A checkpoint is complete: retains it. *drop: ids that are not needed any more, free(); returns how many. */
size_t fl__recovery_completed(fl__recovery *recovery, int64_t checkpoint, int64_t **drop);
/* The attempt failed: waits for *delay_ms and tries again, or false. */
bool fl__recovery_again(fl__recovery *recovery, fl_status failed, fl_time now, int64_t *delay_ms);

#endif
