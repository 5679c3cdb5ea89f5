/* Keyed state: declared once at file scope, named to the operator by .states = {&average, …}, laid out in one entry per
 * key before the first record comes; one look-up per record serves all of them.
 *
 *     FL_VALUE_STATE(average, Average);
 *     …
 *     Average *a = fl_value(ctx, average);      // this key's, zeroed at first use; changes are kept
 *
 * Lifetime: assigning a string (array, map, row) from in to a state value is enough; when the function returns, the
 * engine copies what has variable length into the state's own heap and frees what it replaced. Pointers got from state
 * are valid during the call.
 *
 * All calls work on the current key; outside a keyed function they fail the task. A state that was not listed in
 * .states fails the task with its name. */
#ifndef FLINC_STATE_H
#define FLINC_STATE_H

#include "flinc/function.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fl_state_kind {
    FL_STATE_VALUE,
    FL_STATE_LIST,
    FL_STATE_MAP,
    FL_STATE_REDUCING,
    FL_STATE_AGGREGATING,
} fl_state_kind;

/* An aggregate function (Flink's AggregateFunction): an accumulator that values are added to and a result that is read
 * from it. create NULL: a zeroed accumulator. merge is needed by session windows only. */
typedef struct fl_aggregate_fn {
    const fl_type *in, *acc, *out;
    void (*create)(void *acc, fl_context *ctx);
    void (*add)(void *acc, const void *in, fl_context *ctx);
    void (*get)(const void *acc, void *out, fl_context *ctx); /* out zeroed */
    void (*merge)(void *acc, const void *other, fl_context *ctx);
} fl_aggregate_fn;
/* FL_AGGREGATE(mean, Reading, Sum, double, .add = add, .get = get); at file scope. */
#define FL_AGGREGATE(function_name, In, Acc, Out, ...)                                                                 \
    static const fl_aggregate_fn function_name = {                                                                     \
        .in = FL_TYPE(In), .acc = FL_TYPE(Acc), .out = FL_TYPE(Out), __VA_ARGS__                                       \
    }

typedef struct fl_state {
    const char *name; /* unique in the operator; NULL: the object's name */
    fl_state_kind kind;
    const fl_type *type;     /* of the value, the element, the accumulator */
    const fl_type *key_type; /* map state */
    const void *initial;     /* value state: what a new key's value is; NULL: zeros */
    fl_reduce_fn reduce;
    const fl_aggregate_fn *aggregate;
    const char *object_name;
    uint32_t id; /* the process-wide number that the engine gives; 0: not used by any operator yet */
} fl_state;

#define FL__STATE(object, T, K, ...)                                                                                   \
    static struct {                                                                                                    \
        fl_state state;                                                                                                \
        T of[0];                                                                                                       \
        K of_key[0];                                                                                                   \
    } object __attribute__((unused)) = { .state = { .object_name = #object, .type = FL_TYPE(T), __VA_ARGS__ } }
/* One value of type T per key. More: FL_VALUE_STATE(average, Average, .initial = &start, .name = "avg"). */
#define FL_VALUE_STATE(object, T, ...) FL__STATE(object, T, char, .kind = FL_STATE_VALUE, ##__VA_ARGS__)
/* A list of T per key. */
#define FL_LIST_STATE(object, T, ...) FL__STATE(object, T, char, .kind = FL_STATE_LIST, ##__VA_ARGS__)
/* A map K → T per key. */
#define FL_MAP_STATE(object, K, T, ...)                                                                                \
    FL__STATE(object, T, K, .kind = FL_STATE_MAP, .key_type = FL_TYPE(K), ##__VA_ARGS__)
/* Values of T, each combined into one by reduce when added. */
#define FL_REDUCING_STATE(object, T, reduce_function, ...)                                                             \
    FL__STATE(object, T, char, .kind = FL_STATE_REDUCING, .reduce = (reduce_function), ##__VA_ARGS__)
/* Values added to an accumulator of type Acc by an FL_AGGREGATE. */
#define FL_AGGREGATING_STATE(object, Acc, aggregate_function, ...)                                                     \
    FL__STATE(object, Acc, char, .kind = FL_STATE_AGGREGATING, .aggregate = &(aggregate_function), ##__VA_ARGS__)

void *fl__value(fl_context *ctx, fl_state *state);
const void *fl__value_peek(fl_context *ctx, fl_state *state);
void fl__state_clear(fl_context *ctx, fl_state *state);

/* The key's value, to read and change; made (initial or zeros) at first use. */
#define fl_value(ctx, object) ((__typeof__(&(object).of[0]))fl__value((ctx), &(object).state))
/* The key's value, or NULL when there is none; makes none. */
#define fl_value_peek(ctx, object) ((const __typeof__((object).of[0]) *)fl__value_peek((ctx), &(object).state))
/* Removes the key's value, list, map or accumulator. */
#define fl_clear(ctx, object) fl__state_clear((ctx), &(object).state)

void fl__list_add(fl_context *ctx, fl_state *state, const void *element, size_t size);
void fl__list_update(fl_context *ctx, fl_state *state, const void *elements, size_t count, size_t size);
void *fl__list_at(fl_context *ctx, fl_state *state, size_t i);
size_t fl__list_count(fl_context *ctx, fl_state *state);
/* Appends a copy of the element. */
#define fl_list_add(ctx, object, ...) fl__list_add((ctx), &(object).state, (__VA_ARGS__), sizeof *(__VA_ARGS__))
/* Replaces the list by count elements from an array; count 0 clears it. */
#define fl_list_update(ctx, object, elements, count)                                                                   \
    fl__list_update((ctx), &(object).state, (elements), (count), sizeof *(elements))
/* Number of elements; 0 for a key without. */
#define fl_list_count(ctx, object) fl__list_count((ctx), &(object).state)
/* The i-th element, to read and change (0 ≤ i < count); valid until the list changes. */
#define fl_list_at(ctx, object, i) ((__typeof__(&(object).of[0]))fl__list_at((ctx), &(object).state, (i)))

void *fl__map_get(fl_context *ctx, fl_state *state, const void *key, size_t key_size);
void fl__map_put(fl_context *ctx, fl_state *state, const void *key, size_t key_size, const void *value, size_t size);
bool fl__map_remove(fl_context *ctx, fl_state *state, const void *key, size_t key_size);
size_t fl__map_count(fl_context *ctx, fl_state *state);
bool fl__map_next(fl_context *ctx, fl_state *state, size_t *cursor, const void **key, void **value);
/* The value of this map key, to read and change, or NULL; key: a pointer to a K. Valid until an entry is put or
 * removed. */
#define fl_map_get(ctx, object, key)                                                                                   \
    ((__typeof__(&(object).of[0]))fl__map_get((ctx), &(object).state, (key), sizeof *(key)))
#define fl_map_contains(ctx, object, key) (fl__map_get((ctx), &(object).state, (key), sizeof *(key)) != NULL)
#define fl_map_put(ctx, object, key, ...)                                                                              \
    fl__map_put((ctx), &(object).state, (key), sizeof *(key), (__VA_ARGS__), sizeof *(__VA_ARGS__))
/* Removes it; false when it was not there. */
#define fl_map_remove(ctx, object, key) fl__map_remove((ctx), &(object).state, (key), sizeof *(key))
#define fl_map_count(ctx, object) fl__map_count((ctx), &(object).state)
#define fl_map_is_empty(ctx, object) (fl__map_count((ctx), &(object).state) == 0)
/* Walks the entries, in no particular order: size_t c = 0; while (fl_map_next(ctx, m, &c, &key, &value)) …
 * key: const K *, value: T *. On the way values may be changed and the entry just returned removed; nothing else. */
#define fl_map_next(ctx, object, cursor, key_out, value_out)                                                           \
    fl__map_next((ctx), &(object).state, (cursor), (const void **)(key_out), (void **)(value_out))

void fl__state_add(fl_context *ctx, fl_state *state, const void *value, size_t size);
bool fl__state_get(fl_context *ctx, fl_state *state, void *out, size_t size);
/* Reducing and aggregating state: combines a value into the key's. */
#define fl_add(ctx, object, ...) fl__state_add((ctx), &(object).state, (__VA_ARGS__), sizeof *(__VA_ARGS__))
/* Writes the result so far to *out; false (and *out unchanged) when nothing was added. */
#define fl_get(ctx, object, out) fl__state_get((ctx), &(object).state, (out), sizeof *(out))

#ifdef __cplusplus
}
#endif
#endif
