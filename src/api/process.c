/* Process functions and the functions of connected streams. */
#include "api/api.h"
#include "operators/process.h"

fl_stream *fl__process(fl_stream *in, fl_function f, const fl_type *out, const fl_options *options)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_process", options->where))
        return in;
    if (!f)
        return fl__stream_error(in->env, options->where, "fl_process: the function is NULL");
    bool is_keyed = in->kind == FL__STREAM_KEYED;
    if (!is_keyed && !fl__stream_may_have_state(in, "fl_process", options))
        return in;
    return fl__add_operator(in, &(fl__new_operator){
                                    .class = is_keyed ? &fl__keyed_process_class : &fl__process_class,
                                    .out = out,
                                    .options = options,
                                    .function = f,
                                });
}

static bool is_broadcast(const fl_stream *s)
{
    return s->is_partitioned && s->partitioning == FL_BROADCAST;
}

static fl_stream *connected(fl_stream *in, const char *call, const char *name, fl_function f1, fl_function f2,
    const fl_type *out, const fl_options *options)
{
    if (fl__stream_failed(in))
        return in;
    if (in->kind != FL__STREAM_CONNECTED)
        return fl__stream_error(in->env, options->where, "%s needs connected streams: put fl_connect before it", call);
    if (!f1 || !f2)
        return fl__stream_error(
            in->env, options->where, "%s: the function for the %s stream is NULL", call, f1 ? "second" : "first");
    bool keyed1 = in->parts[0]->kind == FL__STREAM_KEYED, keyed2 = in->parts[1]->kind == FL__STREAM_KEYED;
    if (keyed1 != keyed2 && (options->states[0] || options->on_timer))
        return fl__stream_error(in->env, options->where,
            "%s with state or timers: only the %s stream is keyed; both must be keyed, by the same type%s", call,
            keyed1 ? "first" : "second",
            keyed1 && is_broadcast(in->parts[1]) ? ". Beside a broadcast stream take fl_broadcast_process" : "");
    bool is_keyed = keyed1 && keyed2;
    if (!is_keyed && !fl__stream_may_have_state(in, call, options))
        return in;
    return fl__add_operator(in, &(fl__new_operator){
                                    .class = is_keyed ? &fl__keyed_co_class : &fl__co_class,
                                    .out = out,
                                    .options = options,
                                    .default_name = name,
                                    .function = f1,
                                    .function2 = f2,
                                });
}

fl_stream *fl__co_map(fl_stream *in, fl_function f1, fl_function f2, const fl_type *out, const fl_options *options)
{
    return connected(in, "fl_co_map", "Co-Map", f1, f2, out, options);
}

fl_stream *fl__co_flat_map(fl_stream *in, fl_function f1, fl_function f2, const fl_type *out, const fl_options *options)
{
    return connected(in, "fl_co_flat_map", "Co-Flat Map", f1, f2, out, options);
}

fl_stream *fl__co_process(fl_stream *in, fl_function f1, fl_function f2, const fl_type *out, const fl_options *options)
{
    return connected(in, "fl_co_process", NULL, f1, f2, out, options);
}

/* ---- beside a broadcast stream ---- */

/* Says what is wrong with the streams or the options; NULL: nothing. */
static fl_stream *broadcast_error(fl_stream *in, const fl_broadcast_options *options)
{
    const fl_stream *data = in->parts[0], *rules = in->parts[1];
    if (!is_broadcast(rules))
        return fl__stream_error(in->env, options->where, "fl_broadcast_process: the second stream is not broadcast%s",
            is_broadcast(data) ? ", but the first one is: swap them, fl_connect(data, fl_broadcast(rules))"
                               : ": connect with fl_connect(data, fl_broadcast(rules))");
    if (!options->broadcast_states[0])
        return fl__stream_error(in->env, options->where,
            "fl_broadcast_process without .broadcast_states = {&…}: declare one with FL_BROADCAST_STATE, or use "
            "fl_co_process");
    if (data->kind != FL__STREAM_KEYED && (options->states[0] || options->on_timer))
        return fl__stream_error(in->env, options->where,
            "fl_broadcast_process: %s only available when the data stream is keyed: "
            "fl_connect(fl_key_by(data, \"field\"), fl_broadcast(rules))",
            options->states[0] ? ".states are" : ".on_timer: timers are");
    return NULL;
}

static fl__broadcast_config *broadcast_config(fl_env *env, const fl_broadcast_options *options)
{
    size_t count = 0, max = sizeof options->broadcast_states / sizeof options->broadcast_states[0];
    while (count < max && options->broadcast_states[count])
        count++;
    fl__broadcast_config *config = fl__env_alloc(env, sizeof *config);
    config->states = fl__arena_memdup(&env->arena, options->broadcast_states, count * sizeof(void *));
    config->state_count = count;
    return config;
}

fl_stream *fl__broadcast_process(fl_stream *in, fl_function on_data, fl_function on_broadcast, const fl_type *out,
    const fl_broadcast_options *options)
{
    if (fl__stream_failed(in))
        return in;
    if (in->kind != FL__STREAM_CONNECTED)
        return fl__stream_error(in->env, options->where,
            "fl_broadcast_process needs connected streams: put fl_connect(data, fl_broadcast(rules)) before it");
    if (!on_data || !on_broadcast)
        return fl__stream_error(in->env, options->where, "fl_broadcast_process: the function for the %s is NULL",
            on_data ? "broadcast stream" : "data stream");
    fl_stream *failed = broadcast_error(in, options);
    if (failed)
        return failed;
    bool is_keyed = in->parts[0]->kind == FL__STREAM_KEYED;
    return fl__add_operator(in, &(fl__new_operator){
                                    .class = is_keyed ? &fl__keyed_broadcast_class : &fl__broadcast_class,
                                    .out = out,
                                    .options = (const fl_options *)options,
                                    .function = on_data,
                                    .function2 = on_broadcast,
                                    .config = broadcast_config(in->env, options),
                                });
}
