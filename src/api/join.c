/* Joins of two keyed streams. */
#include "flinc/join.h"

#include "api/api.h"
#include "operators/interval_join.h"

#include <inttypes.h>

bool fl__stream_has_timestamps(const fl_stream *s)
{
    for (size_t i = 0; i < s->part_count; i++) {
        if (!fl__stream_has_timestamps(s->parts[i]))
            return false;
    }
    return s->part_count || s->node->has_timestamps;
}

/* What every join asks of its inputs. NULL: nothing is wrong; else the error. */
static fl_stream *inputs_error(fl_stream *left, fl_stream *right, const char *call, fl_where where)
{
    if (fl__stream_failed(left))
        return left;
    if (fl__stream_failed(right))
        return right;
    if (left->env != right->env)
        return fl__stream_error(left->env, where, "%s: the streams belong to different environments", call);
    if (left->kind != FL__STREAM_KEYED || right->kind != FL__STREAM_KEYED)
        return fl__stream_error(left->env, where,
            "%s: the %s stream is not keyed: put fl_key_by(stream, \"field\") before it", call,
            left->kind != FL__STREAM_KEYED ? "left" : "right");
    if (!fl_type_equal(left->key->type, right->key->type))
        return fl__stream_error(left->env, where,
            "%s: the left stream is keyed by %s, the right one by %s; both must be keyed by the same type", call,
            left->key->type->name, right->key->type->name);
    return NULL;
}

static fl_stream *late_tag_error(fl_stream *in, const fl_tag *tag, const char *side, fl_where where)
{
    if (!tag || fl_type_equal(tag->type, in->type))
        return NULL;
    return fl__stream_error(in->env, where,
        "fl_interval_join: the %s late side output \"%s\" has type %s, but the stream is of %s", side, tag->name,
        tag->type->name, in->type->name);
}

static fl_stream *interval_error(fl_stream *left, fl_stream *right, int64_t lower, int64_t upper, fl_function f,
    const fl_interval_join_options *options)
{
    fl_where where = options->where;
    fl_stream *failed = inputs_error(left, right, "fl_interval_join", where);
    if (failed)
        return failed;
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
    failed = late_tag_error(left, options->left_late, "left", where);
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
    fl_stream *failed = interval_error(left, right, lower.ms, upper.ms, f, options);
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
