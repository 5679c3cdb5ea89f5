#include "cluster/recovery.h"

#include "base/config.h"
#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

static void read_coordination(fl__recovery *r, const fl__config *config)
{
    r->coordination = (fl__coordinator_config){
        .interval_ms = fl__config_duration_ms(config, FL__OPTION_CHECKPOINT_INTERVAL),
        .min_pause_ms = fl__config_duration_ms(config, FL__OPTION_CHECKPOINT_MIN_PAUSE),
        .timeout_ms = fl__config_duration_ms(config, FL__OPTION_CHECKPOINT_TIMEOUT),
        .tolerable = fl__config_int(config, FL__OPTION_CHECKPOINT_TOLERABLE),
        .max_pending = (uint32_t)fl__config_int(config, FL__OPTION_CHECKPOINT_MAX_CONCURRENT),
    };
    r->is_at_least_once = fl__config_enum(config, FL__OPTION_CHECKPOINT_MODE) == 1;
    r->retained_max = fl__config_int(config, FL__OPTION_CHECKPOINT_RETAINED);
    r->retention = fl__config_enum(config, FL__OPTION_CHECKPOINT_RETENTION);
    r->takes_checkpoints = r->coordination.interval_ms > 0;
}

static fl_status open_store(fl__recovery *r, fl_error *error)
{
    const char *dir = fl__config_text(r->env->config, FL__OPTION_CHECKPOINT_DIR);
    char job_id[40];
    /* The machine's randomness, in the simulator too: jobs of one seed must not meet in one folder. */
    snprintf(job_id, sizeof job_id, "%016" PRIx64 "%016" PRIx64, fl__os_random_u64(&fl__os_linux),
        fl__os_random_u64(&fl__os_linux));
    if (dir && strncmp(dir, "file://", 7) == 0)
        dir += 7;
    if (dir)
        return fl__store_open(&r->store, r->os, r->memory, dir, job_id, error);
    const char *tmp = getenv("TMPDIR");
    char name[64];
    snprintf(name, sizeof name, "flinc-checkpoints-%s", job_id);
    r->temporary = fl__path_join(tmp && *tmp ? tmp : "/tmp", name);
    return fl__store_open(&r->store, r->os, r->memory, r->temporary, job_id, error);
}

fl_status fl__recovery_init(fl__recovery *r, fl_env *env, const fl__os *os, bool is_batch, fl_error *error)
{
    *r = (fl__recovery){ .env = env, .os = os, .memory = &env->memory, .next_id = 1 };
    fl__arena_init(&r->arena, r->memory);
    read_coordination(r, env->config);
    r->takes_checkpoints &= !is_batch;
    r->start = fl__config_text(env->config, FL__OPTION_STATE_RECOVERY_PATH);
    if (r->start && strncmp(r->start, "file://", 7) == 0)
        r->start += 7;
    fl__restart_init(&r->restart, env->config, r->takes_checkpoints, fl__os_random_u64(os));
    return r->takes_checkpoints ? open_store(r, error) : FL_OK;
}

static bool keeps(const fl__recovery *r, fl_status ended)
{
    if (r->temporary || ended == FL_OK)
        return false;
    return ended == FL_ERROR_CANCELLED ? r->retention == 2 : r->retention >= 1;
}

void fl__recovery_release(fl__recovery *r, fl_status ended)
{
    if (r->store.folder) {
        for (size_t i = 0; i < r->complete_count; i++) {
            if (!keeps(r, ended))
                fl__store_drop(&r->store, r->complete[i]);
        }
        if (keeps(r, ended) && r->complete_count > 0) {
            char *path = fl__store_path(&r->store, r->complete[r->complete_count - 1], NULL);
            fl__log(FL__LOG_WARN, "checkpoint", "the newest checkpoint is kept: %s", path);
            free(path);
        }
        fl__store_remove_folder(&r->store);
        fl__store_release(&r->store);
    }
    if (r->temporary) {
        fl_error ignored = FL_ERROR_INIT;
        if (fl__path_unlink(r->os, r->temporary, &ignored) != FL_OK)
            fl__error_release(&ignored);
        free(r->temporary);
    }
    free(r->complete);
    fl__arena_release(&r->arena);
}

static fl_status load(fl__recovery *r, const char *path, fl_error *error)
{
    fl__arena_release(&r->arena);
    fl__arena_init(&r->arena, r->memory);
    fl_status status = fl__checkpoint_load(&r->catalog, NULL, r->os, r->memory, &r->arena, path, error);
    r->has_catalog = status == FL_OK;
    if (r->has_catalog && r->catalog.checkpoint >= r->next_id)
        r->next_id = r->catalog.checkpoint + 1;
    return status;
}

fl_status fl__recovery_prepare(fl__recovery *r, fl_error *error)
{
    r->has_catalog = false;
    while (r->complete_count > 0) {
        fl_error damage = FL_ERROR_INIT;
        char *path = fl__store_path(&r->store, r->complete[r->complete_count - 1], NULL);
        fl_status status = load(r, path, &damage);
        if (status == FL_OK) {
            free(path);
            return FL_OK;
        }
        fl__log(FL__LOG_WARN, "checkpoint", "checkpoint %s cannot be used, the one before it is taken: %s", path,
            damage.text);
        fl__error_release(&damage);
        free(path);
        r->complete_count--;
    }
    if (!r->start)
        return FL_OK;
    fl_status status = load(r, r->start, error);
    if (status != FL_OK)
        fl__error_context(error, "the state to start from (execution.state-recovery.path)");
    return status;
}

size_t fl__recovery_completed(fl__recovery *r, int64_t checkpoint, int64_t **drop)
{
    r->complete = realloc(r->complete, (r->complete_count + 1) * sizeof *r->complete);
    if (!r->complete)
        abort();
    r->complete[r->complete_count++] = checkpoint;
    *drop = NULL;
    if ((int64_t)r->complete_count <= r->retained_max)
        return 0;
    size_t count = r->complete_count - (size_t)r->retained_max;
    *drop = malloc(count * sizeof **drop);
    if (!*drop)
        abort();
    memcpy(*drop, r->complete, count * sizeof **drop);
    r->complete_count -= count;
    memmove(r->complete, r->complete + count, r->complete_count * sizeof *r->complete);
    return count;
}

bool fl__recovery_again(fl__recovery *r, fl_status failed, fl_time now, int64_t *delay_ms)
{
    if (failed == FL_OK || failed == FL_ERROR_CANCELLED)
        return false;
    if (!fl__restart_after(&r->restart, now, delay_ms))
        return false;
    r->attempt++;
    return true;
}
