#include "cluster/checkpoints.h"

#include "base/error.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

enum { WRITE_BYTES = 256 * 1024, FILE_NAME = 32 };

/* What the writer has to do. */
typedef struct fl__writing {
    struct fl__writing *next;
    int64_t checkpoint;
    fl__snapshot *snapshot; /* NULL: remove the checkpoint */
    uint32_t task;
} writing;

typedef enum message_kind { WRITTEN, DECLINED, WAITS, ENDED } message_kind;

typedef struct fl__message {
    struct fl__message *next;
    message_kind kind;
    uint32_t task;
    bool is_in_order; /* ENDED */
    int64_t checkpoint, size;
    uint32_t *operators; /* WRITTEN: numbers in the list of all */
    uint32_t operator_count;
    char *reason; /* DECLINED */
} message;

/* The files of a pending checkpoint. */
typedef struct pending_files {
    int64_t checkpoint; /* 0: free */
    fl_time time;
    fl__checkpoint_file *files; /* by the order of writing; task_count of them at most */
    uint32_t count;
} pending_files;

struct fl__checkpoints {
    fl__checkpoint_listener listener; /* first */
    fl__job *job;
    fl__recovery *recovery;
    const fl__os *os;
    fl__memory *memory;
    fl__coordinator coordinator;
    fl__checkpoint_operator *operators; /* all of the job that have state */
    uint32_t operator_count;
    uint32_t running;
    pending_files pending[FL__PENDING_MAX];

    fl__mutex lock; /* guards the following */
    writing *first_writing, *last_writing;
    message *first_message, *last_message;
    int64_t live[FL__PENDING_MAX]; /* pending checkpoints: snapshots of others are given up */

    fl__waker waker, writer_waker;
    /* the writer's own */
    writing *current;
    fl__file file;
    fl__buffer buffer;
    int64_t written;
};

/* ---- the queues ---- */

static void send(fl__checkpoints *c, message *m)
{
    fl__mutex_lock(&c->lock);
    if (c->last_message)
        c->last_message->next = m;
    else
        c->first_message = m;
    c->last_message = m;
    fl__mutex_unlock(&c->lock);
    fl__waker_wake(&c->waker);
}

static message *new_message(fl__checkpoints *c, message_kind kind, uint32_t task, int64_t checkpoint)
{
    message *m = fl__alloc_zero(c->memory, sizeof *m);
    m->kind = kind;
    m->task = task;
    m->checkpoint = checkpoint;
    return m;
}

static void free_message(fl__checkpoints *c, message *m)
{
    free(m->reason);
    fl__free(c->memory, m->operators, m->operator_count * sizeof *m->operators);
    fl__free(c->memory, m, sizeof *m);
}

static message *receive(fl__checkpoints *c)
{
    fl__mutex_lock(&c->lock);
    message *m = c->first_message;
    if (m) {
        c->first_message = m->next;
        if (!m->next)
            c->last_message = NULL;
    }
    fl__mutex_unlock(&c->lock);
    return m;
}

/* False: the checkpoint is not pending any more, and the snapshot still the caller's. */
static bool give_to_writer(fl__checkpoints *c, int64_t checkpoint, fl__snapshot *snapshot, uint32_t task)
{
    writing *w = fl__alloc_zero(c->memory, sizeof *w);
    *w = (writing){ .checkpoint = checkpoint, .snapshot = snapshot, .task = task };
    fl__mutex_lock(&c->lock);
    bool is_live = snapshot == NULL;
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++)
        is_live |= c->live[i] == checkpoint;
    if (is_live) {
        if (c->last_writing)
            c->last_writing->next = w;
        else
            c->first_writing = w;
        c->last_writing = w;
    }
    fl__mutex_unlock(&c->lock);
    if (is_live)
        fl__waker_wake(&c->writer_waker);
    else
        fl__free(c->memory, w, sizeof *w);
    return is_live;
}

static void set_live(fl__checkpoints *c, int64_t from, int64_t to)
{
    fl__mutex_lock(&c->lock);
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++) {
        if (c->live[i] == from) {
            c->live[i] = to;
            break;
        }
    }
    fl__mutex_unlock(&c->lock);
}

/* ---- what tasks say ---- */

static void on_taken(fl__checkpoint_listener *listener, fl__task *task, fl__snapshot *snapshot)
{
    fl__checkpoints *c = (fl__checkpoints *)listener;
    if (!give_to_writer(c, fl__snapshot_checkpoint(snapshot), snapshot, (uint32_t)(task - c->job->tasks)))
        fl__snapshot_free(snapshot);
}

static void decline(fl__checkpoints *c, uint32_t task, int64_t checkpoint, const char *reason)
{
    message *m = new_message(c, DECLINED, task, checkpoint);
    m->reason = strdup(reason);
    if (!m->reason)
        abort();
    send(c, m);
}

static void on_declined(fl__checkpoint_listener *listener, fl__task *task, int64_t checkpoint, const char *reason)
{
    fl__checkpoints *c = (fl__checkpoints *)listener;
    decline(c, (uint32_t)(task - c->job->tasks), checkpoint, reason);
}

static void on_waits(fl__checkpoint_listener *listener, fl__task *task)
{
    fl__checkpoints *c = (fl__checkpoints *)listener;
    send(c, new_message(c, WAITS, (uint32_t)(task - c->job->tasks), 0));
}

void fl__checkpoints_task_ended(fl__checkpoints *c, const fl__task *task)
{
    message *m = new_message(c, ENDED, (uint32_t)(task - c->job->tasks), 0);
    m->is_in_order = task->ended_with == FL_OK;
    send(c, m);
}

/* ---- life ---- */

static uint32_t find_operator(const fl__checkpoints *c, const char *id)
{
    uint32_t i = 0;
    while (i < c->operator_count && strcmp(c->operators[i].id, id) != 0)
        i++;
    return i;
}

static void list_operators(fl__checkpoints *c)
{
    fl__job *job = c->job;
    uint32_t n = 0;
    for (uint32_t t = 0; t < job->task_count; t++)
        n += job->tasks[t].operator_count;
    c->operators = fl__arena_alloc(&job->arena, (n + 1) * sizeof *c->operators);
    for (uint32_t t = 0; t < job->task_count; t++) {
        for (uint32_t i = 0; i < job->tasks[t].operator_count; i++) {
            const fl__operator *op = job->tasks[t].operators[i];
            char id[512];
            if (!op->class->snapshot || find_operator(c, fl__operator_state_id(op, id, sizeof id)) < c->operator_count)
                continue;
            c->operators[c->operator_count++] = (fl__checkpoint_operator){ fl__arena_strdup(&job->arena, id),
                (uint32_t)op->ctx.parallelism, (uint32_t)op->ctx.max_parallelism };
        }
    }
}

fl__checkpoints *fl__checkpoints_new(fl__job *job, fl__recovery *recovery, const fl__os *os)
{
    fl__checkpoints *c = fl__alloc_aligned(&job->memory, 64, sizeof *c);
    memset(c, 0, sizeof *c);
    c->listener = (fl__checkpoint_listener){ .taken = on_taken, .waits = on_waits, .declined = on_declined };
    c->job = job;
    c->recovery = recovery;
    c->os = os;
    c->memory = &job->memory;
    c->file = FL__FILE_INIT;
    c->running = job->task_count;
    fl__mutex_init(&c->lock);
    fl__waker_init(&c->waker);
    fl__waker_init(&c->writer_waker);
    fl__buffer_init(&c->buffer, c->memory);
    list_operators(c);
    bool *is_source = fl__arena_alloc(&job->arena, job->task_count + 1);
    for (uint32_t t = 0; t < job->task_count; t++) {
        fl__task *task = &job->tasks[t];
        is_source[t] = task->operators[0]->class->poll != NULL;
        task->checkpoints.listener = &c->listener;
        task->checkpoints.is_at_least_once = recovery->is_at_least_once;
    }
    fl__coordinator_init(&c->coordinator, c->memory, &recovery->coordination, is_source, job->task_count,
        recovery->next_id, fl__os_now_ms(os));
    return c;
}

static void free_writing(fl__checkpoints *c, writing *w)
{
    fl__snapshot_free(w->snapshot);
    fl__free(c->memory, w, sizeof *w);
}

static void forget_pending(fl__checkpoints *c, pending_files *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        fl__free(c->memory, (void *)(uintptr_t)p->files[i].name, FILE_NAME);
        fl__free(c->memory, (void *)(uintptr_t)p->files[i].operators,
            p->files[i].operator_count * sizeof *p->files[i].operators);
    }
    fl__free(c->memory, p->files, c->job->task_count * sizeof *p->files);
    set_live(c, p->checkpoint, 0);
    *p = (pending_files){ 0 };
}

void fl__checkpoints_free(fl__checkpoints *c)
{
    if (!c)
        return;
    fl__file_close(&c->file);
    if (c->current)
        free_writing(c, c->current);
    for (writing *w = c->first_writing, *next; w; w = next) {
        next = w->next;
        if (!w->snapshot)
            fl__store_drop(&c->recovery->store, w->checkpoint);
        free_writing(c, w);
    }
    for (message *m; (m = receive(c));)
        free_message(c, m);
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++) {
        if (!c->pending[i].checkpoint)
            continue;
        fl__store_drop(&c->recovery->store, c->pending[i].checkpoint);
        forget_pending(c, &c->pending[i]);
    }
    c->recovery->next_id = c->coordinator.next_id;
    fl__coordinator_release(&c->coordinator);
    fl__buffer_release(&c->buffer);
    fl__waker_release(&c->waker);
    fl__waker_release(&c->writer_waker);
    fl__mutex_release(&c->lock);
    fl__free(c->memory, c, sizeof *c);
}

fl__waker *fl__checkpoints_writer(fl__checkpoints *c)
{
    return &c->writer_waker;
}

fl__waker *fl__checkpoints_waker(fl__checkpoints *c)
{
    return &c->waker;
}

uint32_t fl__checkpoints_running(const fl__checkpoints *c)
{
    return c->running;
}

/* ---- the writer ---- */

static void file_name(char *name, uint32_t task)
{
    snprintf(name, FILE_NAME, "%u.state", task);
}

static bool next_writing(fl__checkpoints *c)
{
    fl__mutex_lock(&c->lock);
    writing *w = c->first_writing;
    if (w) {
        c->first_writing = w->next;
        if (!w->next)
            c->last_writing = NULL;
    }
    c->current = w;
    fl__mutex_unlock(&c->lock);
    return w != NULL;
}

bool fl__checkpoints_is_writing(fl__checkpoints *c)
{
    fl__mutex_lock(&c->lock);
    bool is_writing = c->current || c->first_writing;
    fl__mutex_unlock(&c->lock);
    return is_writing;
}

static void report_written(fl__checkpoints *c, const writing *w)
{
    message *m = new_message(c, WRITTEN, w->task, w->checkpoint);
    m->size = c->written;
    while (fl__snapshot_operator_id(w->snapshot, m->operator_count))
        m->operator_count++;
    m->operators = fl__alloc(c->memory, m->operator_count * sizeof *m->operators);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->operator_count; i++) {
        uint32_t number = find_operator(c, fl__snapshot_operator_id(w->snapshot, i));
        if (number < c->operator_count) /* else a section of the one before */
            m->operators[kept++] = number;
    }
    m->operators =
        fl__realloc(c->memory, m->operators, m->operator_count * sizeof *m->operators, kept * sizeof *m->operators);
    m->operator_count = kept;
    send(c, m);
}

/* One step of the current snapshot. FL_OK: there is more. */
static fl_status write_step(fl__checkpoints *c, fl_error *error)
{
    writing *w = c->current;
    if (c->file.fd < 0) {
        char name[FILE_NAME];
        file_name(name, w->task);
        char *path = fl__store_path(&c->recovery->store, w->checkpoint, name);
        fl_status status = fl__file_open(&c->file, c->os, path, FL__FILE_WRITE, error);
        free(path);
        c->written = 0;
        if (status != FL_OK)
            return status;
    }
    fl_status status = FL_OK;
    while (status == FL_OK && c->buffer.size < WRITE_BYTES)
        status = fl__snapshot_write(w->snapshot, &c->buffer);
    fl_status put = fl__file_write(&c->file, c->buffer.data, c->buffer.size, error);
    c->written += (int64_t)c->buffer.size;
    c->buffer.size = 0;
    if (put == FL_OK && status == FL_DONE)
        put = fl__file_sync(&c->file, error);
    return put == FL_OK ? status : put;
}

bool fl__checkpoints_write_some(fl__checkpoints *c)
{
    if (!c->current && !next_writing(c))
        return false;
    writing *w = c->current;
    fl_error error = FL_ERROR_INIT;
    fl_status status = FL_DONE;
    if (w->snapshot)
        status = write_step(c, &error);
    else
        fl__store_drop(&c->recovery->store, w->checkpoint);
    if (status == FL_OK)
        return true;
    if (w->snapshot && status == FL_DONE)
        report_written(c, w);
    else if (w->snapshot)
        decline(c, w->task, w->checkpoint, error.text);
    fl__error_release(&error);
    fl__file_close(&c->file);
    c->buffer.size = 0;
    free_writing(c, w);
    c->current = NULL;
    return true;
}

/* ---- coordination ---- */

static pending_files *find_pending(fl__checkpoints *c, int64_t checkpoint)
{
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++) {
        if (c->pending[i].checkpoint == checkpoint)
            return &c->pending[i];
    }
    return NULL;
}

static void take_written(fl__checkpoints *c, message *m)
{
    pending_files *p = find_pending(c, m->checkpoint);
    if (!p)
        return;
    fl__checkpoint_file *file = &p->files[p->count++];
    char *name = fl__alloc(c->memory, FILE_NAME);
    file_name(name, m->task);
    *file = (fl__checkpoint_file){ .name = name,
        .subtask = (uint32_t)c->job->tasks[m->task].subtask,
        .size = m->size,
        .operators = m->operators,
        .operator_count = m->operator_count };
    m->operators = NULL;
    m->operator_count = 0;
    fl__coordinator_acknowledged(&c->coordinator, m->checkpoint, m->task);
}

/* All that sent to the task has ended, perhaps before it knew of a checkpoint: no barrier will come. */
static void ask_for_pending(fl__checkpoints *c, uint32_t task)
{
    int64_t newest = 0;
    for (uint32_t i = 0; i < FL__PENDING_MAX; i++)
        newest = c->pending[i].checkpoint > newest ? c->pending[i].checkpoint : newest;
    if (newest)
        fl__task_request_checkpoint(&c->job->tasks[task], newest);
}

static void take_message(fl__checkpoints *c, message *m, fl_time now)
{
    switch (m->kind) {
    case WRITTEN: take_written(c, m); break;
    case DECLINED:
        fl__log(FL__LOG_WARN, "checkpoint", "checkpoint %" PRId64 ", %s: %s", m->checkpoint,
            c->job->tasks[m->task].name, m->reason);
        fl__coordinator_declined(&c->coordinator, m->checkpoint, m->reason, now);
        break;
    case WAITS:
        fl__coordinator_waits(&c->coordinator, m->task);
        ask_for_pending(c, m->task);
        break;
    case ENDED:
        c->running--;
        if (m->is_in_order)
            fl__coordinator_ended(&c->coordinator, m->task);
        break;
    }
    free_message(c, m);
}

static void trigger(fl__checkpoints *c, int64_t checkpoint, fl_time now)
{
    fl_error error = FL_ERROR_INIT;
    if (fl__store_begin(&c->recovery->store, checkpoint, &error) != FL_OK) {
        fl__log(FL__LOG_WARN, "checkpoint", "checkpoint %" PRId64 ": %s", checkpoint, error.text);
        fl__coordinator_declined(&c->coordinator, checkpoint, error.text, now);
        fl__error_release(&error);
        return;
    }
    pending_files *p = find_pending(c, 0);
    fl_assert(p);
    *p = (pending_files){ .checkpoint = checkpoint, .time = now };
    p->files = fl__alloc_zero(c->memory, c->job->task_count * sizeof *p->files);
    set_live(c, 0, checkpoint);
    for (uint32_t t = 0; t < c->job->task_count; t++) {
        if (fl__coordinator_asks(&c->coordinator, t))
            fl__task_request_checkpoint(&c->job->tasks[t], checkpoint);
    }
}

static void store(fl__checkpoints *c, int64_t checkpoint, fl_time now)
{
    pending_files *p = find_pending(c, checkpoint);
    fl_assert(p);
    const fl__checkpoint_record record = {
        .id = checkpoint,
        .time = p->time,
        .job_name = c->job->env->job_name,
        .operators = c->operators,
        .operator_count = c->operator_count,
        .files = p->files,
        .file_count = p->count,
    };
    fl_error error = FL_ERROR_INIT;
    if (fl__store_finish(&c->recovery->store, &record, &error) != FL_OK) {
        fl__log(FL__LOG_WARN, "checkpoint", "checkpoint %" PRId64 ": %s", checkpoint, error.text);
        fl__coordinator_stored(&c->coordinator, checkpoint, error.text, now);
        fl__error_release(&error);
        return;
    }
    forget_pending(c, p);
    fl__coordinator_stored(&c->coordinator, checkpoint, NULL, now);
    int64_t *drop;
    size_t count = fl__recovery_completed(c->recovery, checkpoint, &drop);
    for (size_t i = 0; i < count; i++)
        give_to_writer(c, drop[i], NULL, 0);
    free(drop);
}

static void fail_job(fl__checkpoints *c, const char *reason)
{
    fl__mutex_lock(&c->job->lock);
    fl__error_set(&c->job->error, FL_ERROR_IO, "%s", reason);
    fl__mutex_unlock(&c->job->lock);
    fl__job_cancel(c->job);
}

static void act(fl__checkpoints *c, const fl__coordinator_action *action, fl_time now)
{
    switch (action->what) {
    case FL__COORDINATE_TRIGGER: trigger(c, action->checkpoint, now); break;
    case FL__COORDINATE_STORE: store(c, action->checkpoint, now); break;
    case FL__COORDINATE_COMPLETE:
        for (uint32_t t = 0; t < c->job->task_count; t++)
            fl__task_complete_checkpoint(&c->job->tasks[t], action->checkpoint);
        break;
    case FL__COORDINATE_ABORT: {
        pending_files *p = find_pending(c, action->checkpoint);
        if (p)
            forget_pending(c, p);
        give_to_writer(c, action->checkpoint, NULL, 0);
        break;
    }
    case FL__COORDINATE_FAIL: fail_job(c, action->reason); break;
    }
}

bool fl__checkpoints_coordinate(fl__checkpoints *c, fl_time now)
{
    message *m = receive(c);
    if (m) {
        take_message(c, m, now);
        return true;
    }
    fl__coordinator_action action;
    if (!fl__coordinator_next(&c->coordinator, now, &action))
        return false;
    act(c, &action, now);
    return true;
}

fl_time fl__checkpoints_deadline(const fl__checkpoints *c)
{
    return fl__coordinator_deadline(&c->coordinator);
}
