/* The largest value of each city so far, twice: with max_by, and with a value state kept by hand.
 *
 *     flinc run examples/max_per_city.c
 */
#include <flinc.h>

typedef struct {
    fl_string city, district;
    int64_t value;
} Report;
FL_ROW(Report, city, district, value);

typedef struct {
    fl_string city;
    int64_t value;
} Maximum;
FL_ROW(Maximum, city, value);
FL_VALUE_STATE(maximum, int64_t);

static void keep_maximum(const void *in, fl_collector *out, fl_context *ctx)
{
    const Report *r = in;
    int64_t *max = fl_value(ctx, maximum);
    if (r->value > *max)
        *max = r->value;
    fl_collect(out, &(Maximum){ r->city, *max });
}

FL_JOB(max_per_city)
{
    fl_string shanghai = fl_str("上海"), beijing = fl_str("北京");
    fl_stream *reports = fl_from_elements(env, Report, { shanghai, fl_str("普陀区"), 488 },
        { shanghai, fl_str("徐汇区"), 212 }, { beijing, fl_str("西城区"), 823 }, { beijing, fl_str("海淀区"), 234 },
        { shanghai, fl_str("杨浦区"), 888 }, { shanghai, fl_str("浦东新区"), 666 }, { beijing, fl_str("东城区"), 323 },
        { shanghai, fl_str("黄浦区"), 111 });
    fl_stream *by_city = fl_key_by(reports, "city");
    fl_print(fl_max_by(by_city, "value"), .prefix = "max_by");
    fl_print(fl_process(by_city, keep_maximum, Maximum, .states = { &maximum }), .prefix = "state");
    return fl_execute(env, "Largest value of each city");
}
