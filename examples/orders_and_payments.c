/* An interval join: orders with the payments that come within a quarter of an hour, and the orders that nobody paid in
 * that time (a left outer join).
 *
 *     flinc run examples/orders_and_payments.c [--input ORDERS | --port N] [--payments FILE] [--minutes N]
 *
 * Payments that the watermark has overtaken (it is two minutes behind the slower input) go to a side output. */
#include "lines.h"

/* Lines like 17,1718000000,anna,25.5: number, seconds since 1970, who or what for, amount. */
typedef struct {
    int64_t order, at; /* ms */
    fl_string name;
    double amount;
} Entry;
FL_ROW(Entry, order, at, name, amount);

typedef struct {
    int64_t order;
    fl_string customer, by;
    double due;
    int64_t seconds; /* from the order to its payment */
} Settled;
FL_ROW(Settled, order, customer, by, due, seconds);

FL_OUTPUT_TAG(late_payments, Entry);

static void parse(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, order, seconds, amount;
    Entry e;
    if (!fl_string_field(&rest, ',', &order) || !fl_string_to_int(&order, &e.order) ||
        !fl_string_field(&rest, ',', &seconds) || !fl_string_to_int(&seconds, &e.at) ||
        !fl_string_field(&rest, ',', &e.name) || !fl_string_field(&rest, ',', &amount) ||
        !fl_string_to_double(&amount, &e.amount)) {
        fl_accumulate(ctx, "malformed", 1);
        return;
    }
    e.at *= 1000;
    fl_collect(out, &e);
}

static void settle(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_pair *pair = in;
    const Entry *order = pair->left, *payment = pair->right;
    if (payment)
        fl_collect(out, &(Settled){ order->order, order->name, payment->name, order->amount - payment->amount,
                            (payment->at - order->at) / 1000 });
    else
        fl_collect(out, &(Settled){ order->order, order->name, fl_str("unpaid"), order->amount, 0 });
}

static fl_stream *entries(fl_stream *lines)
{
    return fl_watermarks(
        fl_flat_map(lines, parse, Entry), fl_bounded_out_of_orderness(fl_minutes(2)), .timestamp = "at");
}

FL_JOB(orders_and_payments)
{
    fl_stream *orders = entries(example_lines(env, "examples/data/orders.csv"));
    fl_stream *payments = entries(fl_read_text(env, fl_param(env, "payments", "examples/data/payments.csv")));
    fl_stream *settled = fl_interval_join(fl_key_by(orders, "order"), fl_key_by(payments, "order"), fl_seconds(0),
        fl_minutes(fl_param_int(env, "minutes", 15)), settle, Settled, .kind = FL_JOIN_LEFT,
        .right_late = &late_payments);
    fl_print(settled);
    fl_print(fl_side_output(settled, late_payments), .prefix = "late payment");
    return fl_execute(env, "Orders and payments");
}
