/* Watermarks and idleness of the channels that a task reads, event by event: what Flink's StatusWatermarkValve gives
 * out for the same input, but for the end of a channel (see docs/differences.md). Sources follow a script; a simulated
 * run with one step at a time is too loose for that, so the events are put into the channels by hand. */
#include <flinc.h>
#include <flinc/testing.h>

#include "base/log.h"
#include "cluster/job.h"
#include "os/virtual.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- a job of n silent sources and one task that notes what its operator is told ---- */

static char told[512];

static void tell(const char *format, long long value)
{
    size_t length = strlen(told);
    snprintf(told + length, sizeof told - length, format, value);
}

static fl_status silent(fl__operator *op)
{
    (void)op;
    return FL_AGAIN;
}

static fl_status drop(fl__operator *op, unsigned input, const fl__batch *batch)
{
    (void)op, (void)input, (void)batch;
    return FL_OK;
}

static bool is_idle;

static void look_at_idleness(const fl__operator *op)
{
    if (is_idle != op->is_idle_output)
        tell(op->is_idle_output ? " idle" : " active", 0);
    is_idle = op->is_idle_output;
}

static fl_status note_watermark(fl__operator *op, fl_time watermark)
{
    look_at_idleness(op);
    if (watermark == FL_TIME_MAX)
        tell(" max", 0);
    else
        tell(" %lld", watermark);
    return FL_OK;
}

static const fl__operator_class source_class = { .kind = "Silent", .size = sizeof(fl__operator), .poll = silent };
static const fl__operator_class gate_class = {
    .kind = "Gate", .size = sizeof(fl__operator), .process = drop, .watermark = note_watermark
};
static const fl__operator_class sink_class = { .kind = "Nowhere", .size = sizeof(fl__operator), .process = drop };

typedef struct gate_job {
    fl_env *env;
    fl__job job;
    fl__virtual_os os;
    fl__task *task; /* the one behind the channels */
} gate_job;

static void start(gate_job *g, int channels, bool two_inputs)
{
    told[0] = 0;
    is_idle = false;
    g->env = fl_env_new(0, NULL);
    fl_stream *inputs[2];
    for (int i = 0; i < 1 + two_inputs; i++) {
        fl_options options = { .parallelism = channels, .where = FL_HERE };
        inputs[i] = fl__add_source_operator(
            g->env, &(fl__new_operator){ .class = &source_class, .out = FL_TYPE(int64_t), .options = &options });
    }
    fl_options one = { .parallelism = 1, .where = FL_HERE };
    fl_stream *in = two_inputs ? fl_connect(fl_rebalance(inputs[0]), fl_rebalance(inputs[1])) : fl_rebalance(inputs[0]);
    fl_stream *s =
        fl__add_operator(in, &(fl__new_operator){ .class = &gate_class, .out = FL_TYPE(int64_t), .options = &one });
    fl__add_operator(s, &(fl__new_operator){ .class = &sink_class, .options = &one });
    assert_int_equal(fl__graph_chain(&g->env->graph), FL_OK);
    fl__virtual_os_init(&g->os, 0, 0);
    fl__job_build(&g->job, g->env, &g->os.os);
    g->task = &g->job.tasks[g->job.task_count - 1];
    assert_int_equal(fl__task_open(g->task), FL_OK);
}

static void finish(gate_job *g)
{
    fl__task_close(g->task);
    fl__job_release(&g->job);
    fl_env_free(g->env);
}

/* "t500": the clock moves on by 500 ms. "1:w20": channel 1 (of both inputs, those of the first one first) gets
 * watermark 20; i: idle, a: active, e: end. */
static void feed(gate_job *g, const char *script)
{
    for (const char *at = script; *at;) {
        char *end;
        if (*at == 't') {
            g->os.now_ms += strtoll(at + 1, &end, 10);
            at = end + (*end == ' ');
            continue;
        }
        unsigned channel = (unsigned)strtoul(at, &end, 10);
        char what = end[1];
        fl__event event = { .kind = FL__EVENT_IDLE, .value = what == 'i' };
        at = end + 2;
        if (what == 'w') {
            event = (fl__event){ .kind = FL__EVENT_WATERMARK, .value = strtoll(at, &end, 10) };
            at = end;
            if (*at == 'M') {
                event.value = FL_TIME_MAX;
                at++;
            }
        } else if (what == 'e') {
            event.kind = FL__EVENT_END;
        }
        unsigned input = channel >= g->task->inputs[0].channel_count;
        if (input)
            channel -= g->task->inputs[0].channel_count;
        fl__channel_push(g->task->inputs[input].channels[channel], event);
        while (fl__task_step(g->task) == FL__STEP_PROGRESS)
            look_at_idleness(g->task->operators[0]);
        look_at_idleness(g->task->operators[0]);
        at += *at == ' ';
    }
}

static const struct {
    const char *name;
    int channels;
    bool two_inputs;
    const char *script, *expected;
} cases[] = {
    { "one channel", 1, false, "0:w5 0:w7", " 5 7" },
    { "falling watermarks are ignored", 1, false, "0:w5 0:w3 0:w5 0:w6", " 5 6" },
    { "the lowest counts", 3, false, "0:w5 1:w7 2:w3 2:w9 0:w8", " 3 5 7" },
    { "nothing before all have spoken", 3, false, "0:w5 1:w7", "" },
    { "an idle channel holds nobody", 2, false, "0:w5 1:i 0:w8", " 5 8" },
    { "idle before any watermark", 2, false, "0:i 1:w4", " 4" },
    { "the last idle one flushes the highest", 2, false, "0:w5 1:w9 0:i 1:i", " 5 9 idle" },
    { "in either order", 2, false, "0:w5 1:w9 1:i 0:i", " 5 9 idle" },
    { "all idle without any watermark", 2, false, "0:i 1:i", " idle" },
    { "active again", 2, false, "0:w5 1:w5 0:i 1:i 1:a 1:w7", " 5 idle active 7" },
    { "one that comes back behind does not count", 2, false, "0:w5 1:i 0:w10 1:a 1:w7 0:w12", " 5 10 12" },
    { "until it has caught up", 2, false, "0:w5 1:i 0:w10 1:a 1:w10 0:w12 1:w11", " 5 10 11" },
    { "one that comes back ahead counts at once", 2, false, "0:w5 1:w20 1:i 1:a 0:w30", " 5 20" },
    { "idle twice says it once", 1, false, "0:i 0:i 0:a 0:a", " idle active" },
    { "the end is the end of time", 1, false, "0:w5 0:e", " 5 max" },
    { "an ended channel holds nobody", 2, false, "0:e 1:w5 1:w6 1:e", " 5 6 max" },
    { "time ends with the last channel", 3, false, "0:e 1:wM 2:w3 2:wM", " 3 max" },
    { "an ended channel does not end time for an idle one", 2, false, "0:w5 1:i 0:e 1:a 1:w7 1:e",
        " 5 idle active 7 max" },
    { "two inputs: the lower one", 1, true, "0:w5 1:w3 1:w8", " 3 5" },
    { "two inputs: one idle", 1, true, "0:w5 1:i 0:w6", " 5 6" },
    { "two inputs: both idle", 1, true, "0:w5 1:w9 0:i 1:i", " 5 9 idle" },
    { "two inputs: one ended", 1, true, "0:e 1:w3 1:w4 1:e", " 3 4 max" },
    { "two inputs: one ended, one idle", 1, true, "0:e 1:w3 1:i 1:a 1:w4 1:e", " 3 idle active 4 max" },
    { "two inputs of two channels", 2, true, "0:w5 1:w6 2:w4 3:w9 2:w8", " 4 5" },
};

static void test_valve(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gate_job g;
        start(&g, cases[i].channels, cases[i].two_inputs);
        feed(&g, cases[i].script);
        if (strcmp(told, cases[i].expected) != 0) {
            print_message(
                "%s: %s gave \"%s\" instead of \"%s\"\n", cases[i].name, cases[i].script, told, cases[i].expected);
            wrong++;
        }
        finish(&g);
    }
    assert_int_equal(wrong, 0);
}

/* ---- what a source says, and what lies in the middle ---- */

/* idle, then a record: the record ends the idleness, and comes after its end. */
static void test_record_ends_idleness(void **state)
{
    (void)state;
    static const struct {
        int kind;
        fl_time value;
    } expected[] = { { FL__EVENT_IDLE, 1 }, { FL__EVENT_IDLE, 0 }, { FL__EVENT_BATCH, 0 } };
    gate_job g;
    start(&g, 1, false);
    fl__task *source = &g.job.tasks[0];
    assert_int_equal(fl__task_open(source), FL_OK);
    fl_collector *out = &source->operators[0]->out.collector;
    fl_mark_idle(out);
    fl_mark_idle(out);
    fl_collect(out, &(int64_t){ 1 });
    fl_collect(out, &(int64_t){ 2 });
    fl__output_flush(&source->operators[0]->out);
    fl__writer_flush(&source->writers[0]);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        fl__event event;
        assert_true(fl__channel_pop(g.task->inputs[0].channels[0], &event));
        assert_int_equal(event.kind, expected[i].kind);
        if (event.kind == FL__EVENT_IDLE)
            assert_int_equal(event.value, expected[i].value);
        else
            fl__batch_free((fl__batch *)(uintptr_t)event.value);
    }
    fl__task_close(source);
    finish(&g);
}

/* An operator that has not finished with a watermark: idleness that comes meanwhile waits for it. */
static int refusals;

static fl_status refuse(fl__operator *op, fl_time watermark)
{
    if (refusals-- > 0)
        return FL_AGAIN;
    return note_watermark(op, watermark);
}

static void test_idleness_waits(void **state)
{
    (void)state;
    gate_job g;
    start(&g, 1, false);
    fl__operator *gate = g.task->operators[0], *sink = g.task->operators[1];
    fl__operator_class class = *gate->class, sink_note = sink_class;
    class.watermark = refuse;
    sink_note.watermark = note_watermark;
    gate->class = &class;
    sink->class = &sink_note;
    refusals = 1;
    fl__operator_deliver_watermark(gate, 7);
    fl__operator_emit_idle(gate, true);
    assert_false(sink->is_idle_output);
    assert_string_equal(told, "");
    assert_int_equal(fl__task_step(g.task), FL__STEP_PROGRESS); /* goes on with the watermark */
    assert_string_equal(told, " 7 7");
    assert_true(sink->is_idle_output);
    finish(&g);
}

/* ---- what holds event time back ---- */

static char logged[4096];

static void keep_log(void *arg, const char *line, size_t length)
{
    (void)arg;
    strncat(logged, line, length < sizeof logged - strlen(logged) - 1 ? length : 0);
}

static int count_logged(const char *what)
{
    int n = 0;
    for (const char *at = logged; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void start_logged(gate_job *g, int channels, bool two_inputs)
{
    logged[0] = 0;
    fl__log_set_sink(keep_log, NULL);
    start(g, channels, two_inputs);
}

static void finish_logged(gate_job *g)
{
    finish(g);
    fl__log_set_sink(NULL, NULL);
}

static const struct {
    const char *name;
    bool two_inputs;
    const char *script;
    int warnings;
    const char *text;                /* in the first of them */
    int64_t held_ms, held_watermark; /* at the end; -1: nothing holds */
} held_cases[] = {
    { "the others go on", false, "0:w5000 1:w5000 t20000 0:w6000 t11000 0:w7000", 1,
        "Gate -> Sink: Nowhere (1/1): event time has stood at 1970-01-01 00:00:05.000 for 31 s, held back by "
        "Source: Silent (2/2); other inputs have come to 1970-01-01 00:00:07.000. If it may be silent",
        31000, 5000 },
    { "not for long enough", false, "0:w5000 1:w5000 t29000 0:w7000", 0, "", 29000, 5000 },
    { "nobody goes on", false, "0:w5000 1:w5000 t100000", 0, "", -1, 0 },
    { "it never spoke", false, "t1000 0:w5000 t40000 0:w6000", 1, "It has given no watermark yet", 41000, FL_TIME_MIN },
    { "again, after twice as long", false,
        "0:w1 1:w1 t31000 0:w2 t1000 0:w3 t30000 0:w4 t32000 0:w5 t1000 0:w6 t100000 0:w7", 2, "for 31 s", 195000, 1 },
    { "it is idle", false, "0:w5000 1:w5000 1:i t31000 0:w7000", 0, "", -1, 0 },
    { "it has ended", false, "0:w5000 1:e t31000 0:w7000", 0, "", -1, 0 },
    { "it came back", false, "0:w1 1:w1 t31000 0:w2 1:w3 t29000 1:w4", 1, "Silent (2/2)", 29000, 2 },
    { "one that comes back behind holds nothing", false, "0:w5 1:i 0:w10 1:a 1:w7 t31000 0:w12", 0, "", -1, 0 },
    { "active again: from then on", false, "0:w5 1:w5 1:i t60000 1:a t20000 0:w6 t10000 0:w7", 1, "for 30 s", 30000,
        5 },
    { "the second input", true, "0:w5000 1:w6000 2:w5000 3:w3000 t60000 2:w7000 t1000 3:w3000", 1,
        "held back by Source: Silent (2/2) (input 2)", 61000, 3000 },
};

static void test_held(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof held_cases / sizeof held_cases[0]; i++) {
        gate_job g;
        start_logged(&g, 2, held_cases[i].two_inputs);
        feed(&g, held_cases[i].script);
        fl__held held = { .since = g.os.now_ms + 1, .watermark = 0 };
        bool is_held = fl__task_held(g.task, &held);
        int64_t ms = g.os.now_ms - held.since;
        if (count_logged(" WARN ") != held_cases[i].warnings || !strstr(logged, held_cases[i].text) ||
            ms != held_cases[i].held_ms || held.watermark != held_cases[i].held_watermark || is_held != (ms >= 0)) {
            print_message("%s: %d warnings, held %lld ms at %lld\n%s", held_cases[i].name, count_logged(" WARN "),
                (long long)ms, (long long)held.watermark, logged);
            wrong++;
        }
        finish_logged(&g);
    }
    assert_int_equal(wrong, 0);
}

static void test_input_watermarks(void **state)
{
    (void)state;
    gate_job g;
    start(&g, 1, true);
    feed(&g, "0:w5 1:w3");
    assert_int_equal(atomic_load(&g.task->metrics.input_watermark[0]), 5);
    assert_int_equal(atomic_load(&g.task->metrics.input_watermark[1]), 3);
    assert_int_equal(atomic_load(&g.task->metrics.watermark), 3);
    finish(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valve),
        cmocka_unit_test(test_record_ends_idleness),
        cmocka_unit_test(test_idleness_waits),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_input_watermarks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
