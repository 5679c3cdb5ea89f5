/* Broadcast state: what every subtask of an operator knows alike (rules, patterns, settings), beside a stream of data.
 *
 *     FL_BROADCAST_STATE(rules, int64_t, Rule);             // several are possible; each a map from K to V
 *
 *     static void on_data(const void *in, fl_collector *out, fl_context *ctx)
 *     {
 *         const Rule *rule = fl_broadcast_get(ctx, rules, &((const Reading *)in)->kind);      // read-only
 *         …
 *     }
 *     static void on_rule(const void *in, fl_collector *out, fl_context *ctx)
 *     {
 *         const Rule *rule = in;
 *         fl_broadcast_put(ctx, rules, &rule->kind, rule);
 *     }
 *     …
 *     fl_broadcast_process(fl_connect(fl_key_by(readings, "id"), fl_broadcast(rule_stream)), on_data, on_rule, Alert,
 *                          .broadcast_states = { &rules }, .states = { &last }, .on_timer = on_timer)
 *
 * Each subtask has a copy of its own. All copies are equal only if on_rule does the same everywhere: it must not depend
 * on the subtask, on the clock, or on the order in which records of several broadcasting subtasks arrive. The data side
 * may read only, so that what one subtask's data say cannot make its copy differ.
 *
 * Follows Flink's BroadcastProcessFunction and KeyedBroadcastProcessFunction. */
#ifndef FLINC_BROADCAST_H
#define FLINC_BROADCAST_H

#include "flinc/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A map from keys of type K to values of type V, at file scope. .name = "…" as for other states: unique among the
 * operator's broadcast states. */
#define FL_BROADCAST_STATE(object, K, V, ...)                                                                          \
    static struct {                                                                                                    \
        fl_state broadcast;                                                                                            \
        V of[0];                                                                                                       \
        K of_key[0];                                                                                                   \
    } object __attribute__((unused)) = { .broadcast = { .object_name = #object,                                        \
                                             .kind = FL_STATE_MAP,                                                     \
                                             .type = FL_TYPE(V),                                                       \
                                             .key_type = FL_TYPE(K),                                                   \
                                             ##__VA_ARGS__ } }

/* ---- on both sides, and in on_timer: reading. Pointers are valid during the call, until an entry is put or
 * removed. ---- */

const void *fl__broadcast_get(fl_context *ctx, fl_state *state, const void *key, size_t key_size);
size_t fl__broadcast_count(fl_context *ctx, fl_state *state);
bool fl__broadcast_next(fl_context *ctx, fl_state *state, size_t *cursor, const void **key, const void **value);
/* The value of this key (a pointer to a K), or NULL when there is none. */
#define fl_broadcast_get(ctx, object, key)                                                                             \
    ((const __typeof__((object).of[0]) *)fl__broadcast_get((ctx), &(object).broadcast, (key), sizeof *(key)))
#define fl_broadcast_contains(ctx, object, key)                                                                        \
    (fl__broadcast_get((ctx), &(object).broadcast, (key), sizeof *(key)) != NULL)
/* Number of entries. */
#define fl_broadcast_count(ctx, object) fl__broadcast_count((ctx), &(object).broadcast)
/* Walks the entries, in no particular order: size_t c = 0; while (fl_broadcast_next(ctx, rules, &c, &key, &value)) …
 * key: const K *, value: const V *. On the broadcast side the entry just returned may be put or removed, nothing else.
 */
#define fl_broadcast_next(ctx, object, cursor, key_out, value_out)                                                     \
    fl__broadcast_next((ctx), &(object).broadcast, (cursor), (const void **)(key_out), (const void **)(value_out))

/* ---- on the broadcast side only: elsewhere these fail the task ---- */

void fl__broadcast_put(
    fl_context *ctx, fl_state *state, const void *key, size_t key_size, const void *value, size_t size);
bool fl__broadcast_remove(fl_context *ctx, fl_state *state, const void *key, size_t key_size);
void fl__broadcast_clear(fl_context *ctx, fl_state *state);
/* Copies key and value (pointers to a K and a V) into the map, in place of what the key had. */
#define fl_broadcast_put(ctx, object, key, ...)                                                                        \
    fl__broadcast_put((ctx), &(object).broadcast, (key), sizeof *(key), (__VA_ARGS__), sizeof *(__VA_ARGS__))
/* Removes the key; false when it was not there. */
#define fl_broadcast_remove(ctx, object, key) fl__broadcast_remove((ctx), &(object).broadcast, (key), sizeof *(key))
/* Removes all entries. */
#define fl_broadcast_clear(ctx, object) fl__broadcast_clear((ctx), &(object).broadcast)

/* What fl_apply_to_keyed_state calls: key is the current key, and all keyed state of the operator is this key's, to
 * read, change and clear. Timers cannot be registered here. */
typedef void (*fl_keyed_state_fn)(const void *key, fl_context *ctx, void *arg);
void fl__apply_to_keyed_state(fl_context *ctx, fl_state *state, fl_keyed_state_fn f, void *arg);
/* Calls f for each key of this subtask for which the keyed state object has content, in no particular order. Behind a
 * keyed data stream only. Cost: a walk over all keys. */
#define fl_apply_to_keyed_state(ctx, object, f, arg) fl__apply_to_keyed_state((ctx), &(object).state, (f), (arg))

/* ---- the operator ---- */

typedef struct fl_broadcast_options {
    FL__COMMON_OPTIONS                    /* .states, .on_timer: of the data side, when it is keyed */
        const void *broadcast_states[16]; /* the broadcast states the function uses: {&rules, &limits} */
} fl_broadcast_options;
fl_stream *fl__broadcast_process(fl_stream *in, fl_function on_data, fl_function on_broadcast, const fl_type *out,
    const fl_broadcast_options *options);
/* in is fl_connect(data, fl_broadcast(rules)). on_data sees each record of the data stream: key, keyed state and timers
 * when that is keyed, broadcast state to read. on_broadcast sees, in every subtask, each record of the other: broadcast
 * state to read and write, no current key. on_timer reads broadcast state, too. */
#define fl_broadcast_process(in, on_data, on_broadcast, Out, ...)                                                      \
    fl__broadcast_process((in), (on_data), (on_broadcast), FL_TYPE(Out),                                               \
        &(const fl_broadcast_options){ .where = FL_HERE, ##__VA_ARGS__ })

#ifdef __cplusplus
}
#endif
#endif
