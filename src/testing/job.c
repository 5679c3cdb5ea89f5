/* Whole jobs under test: sources that give rows of an array, sinks that keep what comes, simulated runs. */
#include "flinc/testing.h"

#include "api/substitute.h"
#include "cluster/job.h"
#include "operators/async.h"
#include "testing/rows.h"

#include <stdio.h>

/* ---- sources ---- */

enum { POLL_ROWS = 256 };

typedef struct rows_config {
    const char *rows;
    size_t count;
    const fl_time *timestamps, *watermarks; /* or NULL */
} rows_config;

typedef struct rows_source {
    fl__operator op;
    size_t next;
} rows_source;

/* Each subtask walks over all rows, so that it emits every watermark at its place, and gives those that are its own. */
static fl_status poll_rows(fl__operator *op)
{
    rows_source *source = (rows_source *)op;
    const rows_config *config = op->spec->config;
    size_t row_size = op->spec->out->size, parallelism = (size_t)op->ctx.parallelism;
    for (int n = 0; n < POLL_ROWS && source->next < config->count && !fl__output_blocked(op); n++) {
        size_t i = source->next++;
        if (i % parallelism == (size_t)op->ctx.subtask)
            fl__emit(
                &op->out, config->rows + i * row_size, config->timestamps ? config->timestamps[i] : FL_NO_TIMESTAMP);
        if (config->watermarks && config->watermarks[i] != FL_TIME_MIN)
            fl__operator_emit_watermark(op, config->watermarks[i]);
    }
    return source->next < config->count ? FL_OK : FL_DONE;
}

static const fl__operator_class rows_source_class = {
    .kind = "Test Source",
    .size = sizeof(rows_source),
    .poll = poll_rows,
};

static void *rows_config_of(
    fl_env *env, const fl_type *type, const void *rows, size_t count, const fl_test_source_options *options)
{
    rows_config *config = fl__env_alloc(env, sizeof *config);
    config->rows = fl__copy_rows(&env->arena, type, rows, count);
    config->count = count;
    if (options->timestamps)
        config->timestamps = fl__arena_memdup(&env->arena, options->timestamps, count * sizeof *options->timestamps);
    if (options->watermarks)
        config->watermarks = fl__arena_memdup(&env->arena, options->watermarks, count * sizeof *options->watermarks);
    return config;
}

void fl__test_replace_source(fl_env *env, const char *name, const fl_type *type, const void *rows, size_t count,
    const fl_test_source_options *options)
{
    fl__substitution *s = fl__env_alloc(env, sizeof *s);
    *s = (fl__substitution){
        .name = fl__arena_strdup(&env->arena, name),
        .is_source = true,
        .type = type,
        .where = options->where,
        .class = &rows_source_class,
        .config = rows_config_of(env, type, rows, count, options),
        .has_timestamps = options->timestamps != NULL,
    };
    fl__substitution_add(env, s);
}

fl_stream *fl__test_source(
    fl_env *env, const fl_type *type, const void *rows, size_t count, const fl_test_source_options *options)
{
    return fl__add_source_operator(env, &(fl__new_operator){ .class = &rows_source_class,
                                            .out = type,
                                            .options = (const fl_options *)options,
                                            .config = rows_config_of(env, type, rows, count, options),
                                            .emits_timestamps = options->timestamps != NULL });
}

/* ---- sinks ---- */

struct fl_test_rows {
    fl__substitution substitution; /* first. Also of sinks that stand for none: it releases them */
    fl__mutex lock;                /* guards kept: subtasks of a sink run in threads of their own */
    fl__kept_rows kept;
    char *text; /* of the last difference */
};

static fl_status keep_rows(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)input;
    fl_test_rows *rows = op->spec->config;
    fl__mutex_lock(&rows->lock);
    fl__kept_add_batch(&rows->kept, batch, op->ctx.subtask);
    fl__mutex_unlock(&rows->lock);
    return FL_OK;
}

static const fl__operator_class rows_sink_class = {
    .kind = "Test Sink",
    .size = sizeof(fl__operator),
    .process = keep_rows,
};

static void release_rows(fl__substitution *substitution)
{
    fl_test_rows *rows = (fl_test_rows *)substitution;
    fl__kept_release(&rows->kept);
    fl__mutex_release(&rows->lock);
    free(rows->text);
}

fl_test_rows *fl__test_collect(fl_env *env, const char *name, const fl_type *type, fl_where where)
{
    fl_test_rows *rows = fl__env_alloc(env, sizeof *rows);
    fl__mutex_init(&rows->lock);
    fl__kept_init(&rows->kept, type);
    rows->substitution = (fl__substitution){
        .name = fl__arena_strdup(&env->arena, name),
        .type = type,
        .where = where,
        .class = &rows_sink_class,
        .config = rows,
        .release = release_rows,
    };
    fl__substitution_add(env, &rows->substitution);
    return rows;
}

fl_test_rows *fl__test_sink(fl_stream *in, const fl_type *type, const fl_options *options)
{
    fl_test_rows *rows = fl__test_collect(in->env, "", type, options->where);
    rows->substitution.is_used = true;
    if (!fl__stream_failed(in) && !fl_type_equal(in->type, type))
        fl__stream_error(
            in->env, options->where, "fl_test_sink: the stream is of type %s, not %s", in->type->name, type->name);
    fl__add_operator(in, &(fl__new_operator){ .class = &rows_sink_class, .options = options, .config = rows });
    return rows;
}

const void *fl_test_get(const fl_test_rows *rows, size_t *count)
{
    if (count)
        *count = rows->kept.count;
    return rows->kept.count ? rows->kept.rows : NULL;
}

fl_time fl_test_timestamp(const fl_test_rows *rows, size_t i)
{
    return i < rows->kept.count ? rows->kept.timestamps[i] : FL_NO_TIMESTAMP;
}

int fl_test_subtask(const fl_test_rows *rows, size_t i)
{
    return i < rows->kept.count ? rows->kept.subtasks[i] : -1;
}

static int compare_rows(const void *a, const void *b, void *type)
{
    const char *const *left = a, *const *right = b;
    int order = fl_compare(type, *left, *right);
    return order ? order : *left < *right ? -1 : *left > *right;
}

/* Pointers to the rows of an array, sorted; rows that compare equal stay in order. free() it. */
static const char **sorted(const fl_type *type, const char *rows, size_t count)
{
    const char **order = malloc((count + 1) * sizeof *order);
    if (!order)
        abort();
    for (size_t i = 0; i < count; i++)
        order[i] = rows + i * type->size;
    qsort_r(order, count, sizeof *order, compare_rows, (void *)(uintptr_t)type);
    return order;
}

void fl_test_sort(fl_test_rows *rows)
{
    fl__kept_rows *kept = &rows->kept;
    const char **order = sorted(kept->layout.type, kept->rows, kept->count);
    fl__kept_rows fresh;
    fl__kept_init(&fresh, kept->layout.type);
    for (size_t i = 0; i < kept->count; i++) {
        size_t at = (size_t)(order[i] - kept->rows) / kept->layout.row_size;
        fl__kept_add(&fresh, order[i], kept->timestamps[at], kept->subtasks[at]);
    }
    free(order);
    fl__kept_release(kept);
    *kept = fresh;
}

static const char *say(fl_test_rows *rows, size_t index, const void *row, const void *instead)
{
    char one[1024] = "", other[1024] = "";
    const fl_type *type = rows->kept.layout.type;
    if (row)
        fl_format(type, row, one, sizeof one);
    if (instead)
        fl_format(type, instead, other, sizeof other);
    free(rows->text);
    int n = !instead ? asprintf(&rows->text, "%s came, but was not expected", one)
            : !row   ? asprintf(&rows->text, "%s is missing", other)
                     : asprintf(&rows->text, "row %zu is %s instead of %s", index, one, other);
    if (n < 0)
        abort();
    return rows->text;
}

const char *fl__test_difference(
    fl_test_rows *rows, const void *expected, size_t count, size_t row_size, fl_test_order order)
{
    const fl__kept_rows *kept = &rows->kept;
    const fl_type *type = kept->layout.type;
    fl_assert(row_size == type->size);
    bool is_any = order == FL_TEST_ANY_ORDER;
    const char **left = is_any ? sorted(type, kept->rows, kept->count) : NULL;
    const char **right = is_any ? sorted(type, expected, count) : NULL;
    const char *result = NULL;
    for (size_t i = 0; !result && (i < kept->count || i < count); i++) {
        const char *row = i >= kept->count ? NULL : is_any ? left[i] : kept->rows + i * row_size;
        const char *instead = i >= count ? NULL : is_any ? right[i] : (const char *)expected + i * row_size;
        int difference = row && instead ? fl_compare(type, row, instead) : row ? -1 : 1;
        if (difference == 0)
            continue;
        if (is_any && difference < 0) /* sorted: nothing expected is as small as this */
            instead = NULL;
        else if (is_any)
            row = NULL;
        result = say(rows, i, row, instead);
    }
    free(left);
    free(right);
    return result;
}

/* ---- async functions ---- */

void fl__test_complete_after(fl_async *request, fl_duration delay, const void *rows, size_t count, size_t row_size)
{
    fl__async_complete_after(request, delay.ms, rows, count, row_size);
}

/* ---- simulated runs ---- */

void fl__test_simulate(fl_env *env, fl_test_simulation simulation)
{
    fl__simulation *s = fl__env_alloc(env, sizeof *s);
    *s = (fl__simulation){
        .seed = simulation.seed,
        .start_ms = simulation.start,
        .channel_capacity = (uint32_t)simulation.channel_capacity,
        .segment_size = (uint32_t)simulation.segment_bytes,
    };
    env->simulation = s;
}

uint64_t fl_test_trace(const fl_env *env)
{
    return env->simulation ? env->simulation->trace : 0;
}
