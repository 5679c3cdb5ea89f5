/* Asks a database for the name of each click's user: ten queries at a time, each in a thread with a connection of its
 * own, so that a click does not wait for the answer to the one before.
 *
 *     flinc run examples/async_look_up.c [--database FILE.db|mysql://USER:PASSWORD@HOST:PORT] [--clicks N] [--rate R]
 *
 * Without --database the table lies in memory. It is made where it is missing.
 *
 * flinc-pkg-config: sqlite3 libmariadb? */
#include <flinc.h>
#include <time.h>

#include "users.h"

typedef struct {
    fl_string user, line; /* "u_1003", "u_1003,click,2021-03-08 00:00:00" */
} Click;
FL_ROW(Click, user, line);

/* ---- clicks ---- */

static void click(const void *in, fl_collector *out, fl_context *ctx)
{
    static const char *const what[] = { "click", "browser", "browser", "click", "browser", "browser", "search" };
    int64_t n = *(const int64_t *)in;
    time_t at = 1615161600 + n * 2;
    struct tm tm;
    char line[64], when[32];
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", gmtime_r(&at, &tm));
    snprintf(line, sizeof line, "u_%d,%s,%s", (int)(1000 + n * 7 % 11), what[n % 7], when);
    fl_string text = fl_str(line);
    fl_collect(out, &text);
}

static void parse(const void *in, fl_collector *out, fl_context *ctx)
{
    fl_string line = *(const fl_string *)in, rest = line, user;
    if (fl_string_token(&rest, ",", &user))
        fl_collect(out, &(Click){ user, line });
}

/* ---- look-ups ---- */

/* Keeps a connection for as long as the job runs: a table in memory goes with the last one. */
static void make_table(fl_context *ctx)
{
    Users *users = fl_self(ctx);
    if (!users_open(users, fl_arg(ctx)) || !users_make_table(users))
        fl_fail(ctx, "%s", users->error);
}

static void leave(fl_context *ctx)
{
    users_close(fl_self(ctx));
}

static void connect_thread(fl_context *ctx)
{
    Users *users = fl_self(ctx);
    if (!users_open(users, fl_arg(ctx)))
        fl_fail(ctx, "%s", users->error);
}

static void answer(const Click *click, const char *name, fl_async *request)
{
    char text[512];
    snprintf(text, sizeof text, "%.*s,%s", FL_STR(click->line), name);
    fl_string line = fl_str(text);
    fl_async_complete_one(request, &line);
}

/* In one of the threads: may wait. */
static void look_up(const void *in, fl_async *request, fl_context *ctx)
{
    const Click *click = in;
    Users *users = fl_self(ctx);
    char name[USERS_NAME_MAX + 1];
    if (users_find(users, fl_string_data(&click->user), fl_string_length(click->user), name))
        answer(click, *name ? name : "unknown", request);
    else
        fl_async_fail(request, "%s", users->error);
}

static void too_late(const void *in, fl_async *request, fl_context *ctx)
{
    answer(in, "unknown", request);
}

FL_JOB(async_look_up)
{
    char *database = (char *)fl_param(env, "database", "file:/users?vfs=memdb");
    fl_stream *lines = fl_generate(env, click, fl_string, .count = fl_param_int(env, "clicks", 20),
        .rate = (double)fl_param_int(env, "rate", 0), .name = "Clicks");
    fl_stream *clicks = fl_map(lines, parse, Click);
    fl_stream *named =
        fl_async_unordered(clicks, look_up, fl_string, .name = "Look up", .arg = database, .timeout = fl_seconds(10),
            .on_timeout = too_late, .capacity = 10, .retry = fl_retry_fixed_delay(3, fl_milliseconds(100)),
            .retry_if_error = fl_retry_if_failed, .instance_size = sizeof(Users), .open = make_table, .close = leave,
            .threads = 10, .thread_size = sizeof(Users), .thread_open = connect_thread, .thread_close = leave);
    fl_print(named);
    return fl_execute(env, "Async look-up");
}
