/* Joins of two keyed streams. */
#include "flinc/join.h"

#include "api/api.h"
#include "base/error.h"
#include "operators/interval_join.h"
#include "operators/tag.h"
#include "operators/window.h"

#include <inttypes.h>

bool fl__stream_has_timestamps(const fl_stream *s)
{
    for (size_t i = 0; i < s->part_count; i++) {
        if (!fl__stream_has_timestamps(s->parts[i]))
            return false;
    }
    return s->part_count || s->node->has_timestamps;
}

/* What every join asks of its inputs; true: *failed is what the join returns. */
static bool are_inputs_wrong(fl_stream *left, fl_stream *right, const char *call, fl_where where, fl_stream **failed)
{
    if (fl__stream_failed(left) || fl__stream_failed(right)) {
        *failed = fl__stream_failed(left) ? left : right;
        return true;
    }
    if (left->env != right->env)
        *failed = fl__stream_error(left->env, where, "%s: the streams belong to different environments", call);
    else if (left->kind != FL__STREAM_KEYED || right->kind != FL__STREAM_KEYED)
        *failed = fl__stream_error(left->env, where,
            "%s: the %s stream is not keyed: put fl_key_by(stream, \"field\") before it", call,
            left->kind != FL__STREAM_KEYED ? "left" : "right");
    else if (!fl_type_equal(left->key->type, right->key->type))
        *failed = fl__stream_error(left->env, where,
            "%s: the left stream is keyed by %s, the right one by %s; both must be keyed by the same type", call,
            left->key->type->name, right->key->type->name);
    else
        return false;
    return true;
}

static fl_stream *late_tag_error(fl_stream *in, const fl_tag *tag, const char *side, fl_where where)
{
    if (!tag || fl_type_equal(tag->type, in->type))
        return NULL;
    return fl__stream_error(in->env, where,
        "fl_interval_join: the %s late side output \"%s\" has type %s, but the stream is of %s", side, tag->name,
        tag->type->name, in->type->name);
}

/* What is wrong with the rest of an interval join; NULL: nothing. */
static fl_stream *interval_error(fl_stream *left, fl_stream *right, int64_t lower, int64_t upper, fl_function f,
    const fl_interval_join_options *options)
{
    fl_where where = options->where;
    fl_env *env = left->env;
    if (!f)
        return fl__stream_error(env, where, "fl_interval_join: the function is NULL");
    if (lower > upper)
        return fl__stream_error(env, where,
            "fl_interval_join: the lower bound, %" PRId64 " ms, is above the upper bound, %" PRId64
            " ms; the right time must lie between left time + lower and left time + upper",
            lower, upper);
    if ((unsigned)options->kind > FL_JOIN_FULL)
        return fl__stream_error(env, where,
            "fl_interval_join: unknown kind %d; use FL_JOIN_INNER, FL_JOIN_LEFT, FL_JOIN_RIGHT or FL_JOIN_FULL",
            (int)options->kind);
    if (options->on_timer)
        return fl__stream_error(env, where,
            "fl_interval_join: a join function has no timers; .on_timer belongs to fl_process and fl_co_process");
    bool left_timed = fl__stream_has_timestamps(left);
    if (!left_timed || !fl__stream_has_timestamps(right))
        return fl__stream_error(env, where,
            "fl_interval_join: the %s stream has no timestamps, and an interval join works in event time: put "
            "fl_watermarks(stream, …, .timestamp = \"field\") before fl_key_by",
            left_timed ? "right" : "left");
    fl_stream *failed = late_tag_error(left, options->left_late, "left", where);
    return failed ? failed : late_tag_error(right, options->right_late, "right", where);
}

/* Bounds are used with either sign; at the ends of time nothing lies beyond them. */
static int64_t bound(int64_t ms)
{
    return ms < -INT64_MAX ? -INT64_MAX : ms;
}

fl_stream *fl__interval_join(fl_stream *left, fl_stream *right, fl_duration lower, fl_duration upper, fl_function f,
    const fl_type *out, const fl_interval_join_options *options)
{
    fl_stream *failed;
    if (are_inputs_wrong(left, right, "fl_interval_join", options->where, &failed))
        return failed;
    failed = interval_error(left, right, lower.ms, upper.ms, f, options);
    if (failed)
        return failed;
    fl_env *env = left->env;
    fl__interval_join_config *config = fl__env_alloc(env, sizeof *config);
    *config = (fl__interval_join_config){
        .lower = bound(lower.ms) + (options->lower_exclusive && lower.ms < INT64_MAX),
        .upper = bound(upper.ms) - (options->upper_exclusive && upper.ms > -INT64_MAX),
        .is_outer = { options->kind == FL_JOIN_LEFT || options->kind == FL_JOIN_FULL,
            options->kind == FL_JOIN_RIGHT || options->kind == FL_JOIN_FULL },
        .late = { options->left_late, options->right_late },
    };
    fl__interval_join_init(config, &env->arena, (const fl_type *const[]){ left->type, right->type }, options->states);
    return fl__add_operator(fl__stream_connected(left, right), &(fl__new_operator){
                                                                   .class = &fl__interval_join_class,
                                                                   .out = out,
                                                                   .options = (const fl_options *)options,
                                                                   .function = f,
                                                                   .config = config,
                                                               });
}

/* ---- windows over both: a stream of tagged rows, and a window function that tells them apart ---- */

/* The rows of one side, tagged where they come from: chained to what makes them. */
static fl_stream *tag(fl_stream *in, const fl__tagged *tagged, unsigned side, fl_where where)
{
    fl_stream *plain = fl__stream_copy(in);
    plain->kind = FL__STREAM_PLAIN;
    plain->key = NULL;
    plain->is_partitioned = false;
    plain->partitioning = FL_FORWARD;
    fl__tag_config *config = fl__env_alloc(in->env, sizeof *config);
    *config = (fl__tag_config){ .tagged = tagged, .side = side };
    fl_options options = { .where = where };
    if (!in->part_count)
        options.parallelism = in->node->parallelism;
    return fl__add_operator(plain, &(fl__new_operator){
                                       .class = &fl__tag_class,
                                       .out = tagged->type,
                                       .options = &options,
                                       .default_name = side ? "Tag right" : "Tag left",
                                       .config = config,
                                   });
}

/* Both streams as one, keyed as they were. */
static fl_stream *tagged_union(fl_stream *left, fl_stream *right, fl__tagged *tagged, fl_where where)
{
    fl_env *env = left->env;
    fl__tagged_init(tagged, &env->arena, left->type, right->type);
    tagged->keys[0] = left->key;
    tagged->keys[1] = right->key;
    fl_stream *sides[] = { tag(left, tagged, 0, where), tag(right, tagged, 1, where) };
    fl_stream *both = fl__union(where, sides, 2);
    if (fl__stream_failed(both))
        return both;
    fl__key *key = fl__env_alloc(env, sizeof *key);
    fl_error error = FL_ERROR_INIT;
    fl_status status = fl__key_init_selector(key, left->key->type, fl__tagged_key, tagged, &error);
    fl_assert(status == FL_OK); /* it is the key of both streams */
    both->kind = FL__STREAM_KEYED;
    both->partitioning = FL_HASH;
    both->is_partitioned = true;
    both->key = key;
    return both;
}

static fl_stream *join_windows(fl_stream *left, fl_stream *right, fl_window_assigner assigner, fl_function f,
    const fl_type *out, const fl_window_join_options *options, const char *call, fl_function wrapper)
{
    fl_where where = options->where;
    fl_stream *failed;
    if (are_inputs_wrong(left, right, call, where, &failed))
        return failed;
    fl_env *env = left->env;
    if (!f)
        return fl__stream_error(env, where, "%s: the function is NULL", call);
    if (!assigner.is_processing_time && assigner.kind != FL_WINDOW_GLOBAL) {
        bool left_timed = fl__stream_has_timestamps(left);
        if (!left_timed || !fl__stream_has_timestamps(right))
            return fl__stream_error(env, where,
                "%s: the %s stream has no timestamps, and the windows are of event time: put fl_watermarks(stream, …, "
                ".timestamp = \"field\") before fl_key_by, or take windows of processing time",
                call, left_timed ? "right" : "left");
    }
    fl__tagged *tagged = fl__env_alloc(env, sizeof *tagged);
    fl__joined *joined = fl__env_alloc(env, sizeof *joined);
    *joined = (fl__joined){ .tagged = tagged, .function = f };
    fl_window_options window = {
        .where = where,
        .allowed_lateness = options->allowed_lateness,
        .trigger = options->trigger,
        .evictor = options->evictor,
    };
    fl_window_function_options function = { .clear = options->clear };
    memcpy(&function, options, sizeof(fl_options));
    memcpy(function.window_states, options->window_states, sizeof function.window_states);
    fl_stream *both = tagged_union(left, right, tagged, where);
    fl_stream *s = fl__window_apply(fl__window(both, assigner, &window), wrapper, out, &function);
    if (!fl__stream_failed(s))
        ((fl__window_config *)s->node->spec.config)->joined = joined;
    return s;
}

fl_stream *fl__window_join(fl_stream *left, fl_stream *right, fl_window_assigner assigner, fl_function f,
    const fl_type *out, const fl_window_join_options *options)
{
    return join_windows(left, right, assigner, f, out, options, "fl_window_join", fl__joined_pairs);
}

fl_stream *fl__co_group(fl_stream *left, fl_stream *right, fl_window_assigner assigner, fl_function f,
    const fl_type *out, const fl_window_join_options *options)
{
    return join_windows(left, right, assigner, f, out, options, "fl_co_group", fl__joined_groups);
}
