/* A stream of rules that applies to a stream of data: limits per sensor, which change while the job runs. Readings
 * above the limit that held at their time become alerts.
 *
 *     flinc run examples/broadcast_rules.c [--input FILE | --port N] [--rules FILE]
 *
 * Rules are broadcast: every subtask keeps all of them. A reading waits until the watermark has reached its time; that
 * is the smaller one of both inputs, so all rules up to then are known, and the result does not depend on which input
 * is read faster. Where it may, look the rule up in on_reading instead: no state, no timers. */
#include "sensor.h"

/* Lines like sensor_1,1718000010,22.5: from then on, this is the sensor's limit. */
typedef struct {
    fl_string sensor;
    int64_t from; /* ms */
    double limit;
} Rule;
FL_ROW(Rule, sensor, from, limit);

typedef struct {
    fl_string sensor;
    int64_t at;
    double temperature, limit;
} Alert;
FL_ROW(Alert, sensor, at, temperature, limit);

typedef struct {
    fl_string sensor;
    int64_t from;
} RuleKey;
FL_ROW(RuleKey, sensor, from);
FL_BROADCAST_STATE(rules, RuleKey, Rule);
FL_LIST_STATE(waiting, Reading);

static void parse_rule(const void *in, fl_collector *out, fl_context *ctx)
{
    const Reading *r = in; /* the same three columns */
    fl_collect(out, &(Rule){ r->id, r->at, r->temperature });
}

static void on_reading(const void *in, fl_collector *out, fl_context *ctx)
{
    const Reading *r = in;
    fl_list_add(ctx, waiting, r);
    fl_register_event_time_timer(ctx, r->at);
}

static void on_rule(const void *in, fl_collector *out, fl_context *ctx)
{
    const Rule *r = in;
    fl_broadcast_put(ctx, rules, (&(RuleKey){ r->sensor, r->from }), r);
}

/* The youngest rule of the sensor that is not younger than the reading. */
static const Rule *rule_for(fl_context *ctx, const Reading *reading)
{
    const Rule *best = NULL, *rule;
    const RuleKey *key;
    size_t cursor = 0;
    while (fl_broadcast_next(ctx, rules, &cursor, &key, &rule)) {
        if (fl_string_equal(key->sensor, reading->id) && key->from <= reading->at && (!best || key->from > best->from))
            best = rule;
    }
    return best;
}

static void on_time(const void *in, fl_collector *out, fl_context *ctx)
{
    size_t left = 0, count = fl_list_count(ctx, waiting);
    for (size_t i = 0; i < count; i++) {
        Reading r = *fl_list_at(ctx, waiting, i);
        if (r.at > fl_timestamp_of(ctx)) {
            *fl_list_at(ctx, waiting, left++) = r;
            continue;
        }
        const Rule *rule = rule_for(ctx, &r);
        if (rule && r.temperature > rule->limit)
            fl_collect(out, &(Alert){ r.id, r.at, r.temperature, rule->limit });
    }
    if (left == 0)
        fl_clear(ctx, waiting);
    else if (left < count)
        fl_list_update(ctx, waiting, fl_list_at(ctx, waiting, 0), left);
}

FL_JOB(broadcast_rules)
{
    fl_watermark_strategy strategy = fl_bounded_out_of_orderness(fl_seconds(5));
    fl_stream *readings = fl_watermarks(example_readings(env), strategy, .timestamp = "at");
    fl_stream *lines = fl_read_text(env, fl_param(env, "rules", "examples/data/limits.csv"));
    fl_stream *changes = fl_map(fl_flat_map(lines, parse_reading, Reading, .name = "Parse"), parse_rule, Rule);
    changes = fl_watermarks(changes, strategy, .timestamp = "from");
    fl_print(fl_broadcast_process(fl_connect(fl_key_by(readings, "id"), fl_broadcast(changes)), on_reading, on_rule,
        Alert, .broadcast_states = { &rules }, .states = { &waiting }, .on_timer = on_time));
    return fl_execute(env, "Limits that change");
}
