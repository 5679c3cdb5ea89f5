/* A window join and a co-group over the same two streams, in windows of a minute: which clicks followed an impression
 * (each pair of the same user), and the click-through of each campaign (both sides at once, one of which may be empty).
 *
 *     flinc run examples/clicks.c [--input IMPRESSIONS | --port N] [--clicks FILE] */
#include "lines.h"

/* Lines like shoes,1718000000,anna: campaign, seconds since 1970, user. */
typedef struct {
    fl_string campaign, user;
    int64_t at; /* ms */
} View;
FL_ROW(View, campaign, user, at);

typedef struct {
    fl_string campaign, user;
    int64_t seconds; /* from the impression to the click */
} Click;
FL_ROW(Click, campaign, user, seconds);

typedef struct {
    fl_string campaign;
    int64_t minute, impressions, clicks;
} Rate;
FL_ROW(Rate, campaign, minute, impressions, clicks);

static void parse(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string rest = *(const fl_string *)in, seconds;
    View v;
    if (!fl_string_field(&rest, ',', &v.campaign) || !fl_string_field(&rest, ',', &seconds) ||
        !fl_string_to_int(&seconds, &v.at) || !fl_string_field(&rest, ',', &v.user)) {
        fl_accumulate(ctx, "malformed", 1);
        return;
    }
    v.at *= 1000;
    fl_collect(out, &v);
}

static void follow(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_pair *pair = in;
    const View *impression = pair->left, *click = pair->right;
    if (click->at >= impression->at)
        fl_collect(out, &(Click){ click->campaign, click->user, (click->at - impression->at) / 1000 });
}

static void count(const void *in, fl_collector *out, fl_context *ctx)
{
    const fl_groups *groups = in;
    fl_collect(out, &(Rate){ *(const fl_string *)fl_current_key(ctx), fl_current_window(ctx).start / 60000,
                        (int64_t)groups->left.count, (int64_t)groups->right.count });
}

static fl_stream *views(fl_stream *lines)
{
    return fl_watermarks(
        fl_flat_map(lines, parse, View), fl_bounded_out_of_orderness(fl_minutes(1)), .timestamp = "at");
}

FL_JOB(clicks)
{
    fl_stream *impressions = views(example_lines(env, "examples/data/impressions.csv"));
    fl_stream *clicks = views(fl_read_text(env, fl_param(env, "clicks", "examples/data/clicks.csv")));
    fl_window_assigner minutes = fl_tumbling_event_time(fl_minutes(1));
    fl_print(fl_window_join(
        fl_key_by(impressions, "campaign", "user"), fl_key_by(clicks, "campaign", "user"), minutes, follow, Click));
    fl_print(fl_co_group(fl_key_by(impressions, "campaign"), fl_key_by(clicks, "campaign"), minutes, count, Rate));
    return fl_execute(env, "Clicks");
}
