/* Iterations: a stream that part of what is made of it goes back into. */
#include "api/api.h"
#include "operators/iteration.h"

#include <inttypes.h>

fl_stream *fl__iterate(fl_stream *in, fl_duration max_wait, const fl_options *options)
{
    if (fl__stream_failed(in) || fl__stream_is_wrong_kind(in, "fl_iterate", options->where))
        return in;
    fl_env *env = in->env;
    if (max_wait.ms < 0)
        return fl__stream_error(env, options->where,
            "fl_iterate: the waiting time is %" PRId64 " ms; it must not be negative (0: until nothing goes around any "
            "more)",
            max_wait.ms);
    if (options->states[0] || options->on_timer)
        return fl__stream_error(env, options->where,
            "fl_iterate has no function: .states and .on_timer belong to the operators in the loop");
    fl__iteration *it = fl__env_alloc(env, sizeof *it);
    it->type = in->type;
    it->max_wait = max_wait.ms;
    fl_options own = *options;
    if (!own.parallelism)
        own.parallelism = in->part_count ? env->graph.default_parallelism : in->node->parallelism;
    it->parallelism = own.parallelism;
    bool has_timestamps = fl__stream_has_timestamps(in);
    fl_stream *entry = fl__add_operator(
        in, &(fl__new_operator){ .class = &fl__iteration_entry_class, .out = in->type, .options = &own, .config = it });
    own.uid = NULL;
    fl_stream *head = fl__add_source_operator(env, &(fl__new_operator){ .class = &fl__iteration_head_class,
                                                       .out = in->type,
                                                       .options = &own,
                                                       .default_name = "Iteration Head",
                                                       .config = it,
                                                       .emits_timestamps = has_timestamps });
    if (fl__stream_failed(head))
        return head;
    fl__iteration_init(it, &env->arena, &env->memory);
    fl_stream *parts[] = { entry, head };
    fl_stream *s = fl__union(options->where, parts, 2);
    s->iteration = it;
    return s;
}

fl_stream *fl__close_with(fl_stream *iteration, fl_stream *feedback, const fl_options *options)
{
    if (fl__stream_failed(iteration))
        return iteration;
    if (fl__stream_failed(feedback) || fl__stream_is_wrong_kind(feedback, "fl_close_with", options->where))
        return feedback;
    fl_env *env = iteration->env;
    fl__iteration *it = iteration->iteration;
    fl_where where = options->where;
    if (!it)
        return fl__stream_error(env, where,
            "fl_close_with: the first stream is no iteration; it takes what fl_iterate returned, and the stream that "
            "goes back into it");
    if (it->is_closed)
        return fl__stream_error(env, where,
            "fl_close_with: the iteration is closed already; several streams go back as one: fl_close_with(iteration, "
            "fl_union(a, b))");
    if (feedback->env != env)
        return fl__stream_error(env, where, "fl_close_with: the streams belong to different environments");
    if (!fl_type_equal(feedback->type, it->type))
        return fl__stream_error(env, where,
            "fl_close_with: the feedback is of type %s, but the iteration is of %s; map it to that type",
            feedback->type->name, it->type->name);
    bool is_plain = !feedback->part_count && !feedback->is_partitioned;
    if (is_plain && feedback->node->parallelism != it->parallelism)
        return fl__stream_error(env, where,
            "fl_close_with: the feedback has parallelism %d, the iteration %d; give %s .parallelism = %d, or put "
            "fl_rebalance before",
            feedback->node->parallelism, it->parallelism, feedback->node->spec.name, it->parallelism);
    fl_options own = *options;
    own.parallelism = it->parallelism;
    it->is_closed = true;
    return fl__add_operator(
        feedback, &(fl__new_operator){ .class = &fl__iteration_tail_class, .options = &own, .config = it });
}
