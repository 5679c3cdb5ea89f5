#!/bin/sh
# Ctrl-C and what a terminal shows: the first cancels in order, the second ends at once; progress on a terminal only.
set -u
export XDG_CACHE_HOME="$FLINC_TMP/cache"
unset FLINC_LOG
flinc=$FLINC_BUILD/flinc
cd "$FLINC_TMP" || exit 1
fail() {
    echo "FAILED: $1"
    cat out err 2>/dev/null
    exit 1
}

cat >forever.c <<'END'
#include <flinc.h>
#include <stdio.h>
#include <unistd.h>
static void keep(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out, (void)ctx;
}
static void told(fl_context *ctx)
{
    (void)ctx;
    puts("closed");
    fflush(stdout);
}
static void stuck(const void *in, fl_collector *out, fl_context *ctx)
{
    (void)in, (void)out, (void)ctx;
    for (;;)
        pause();
}
FL_JOB(orderly)
{
    fl_discard(fl_flat_map(fl_sequence(env, 1, INT64_MAX - 1), keep, int64_t, .close = told));
    return fl_execute(env, "Orderly");
}
FL_JOB(blocked)
{
    fl_discard(fl_flat_map(fl_sequence(env, 1, INT64_MAX - 1), stuck, int64_t));
    return fl_execute(env, "Blocked");
}
END

# Runs an entry in the background (where the shell ignores SIGINT: SIGTERM does the same) until it has started.
start() {
    : >err
    "$flinc" run -c "$1" forever.c >out 2>err &
    pid=$!
    tries=0
    until grep -q submitted err; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || fail "$1 does not start"
        sleep 0.1
    done
    sleep 0.2
}

start orderly
kill -TERM $pid
wait $pid
[ $? = 143 ] || fail "a cancelled job's exit status is not 143"
grep -q '^Job with JobID .* was cancelled after [0-9]* ms: [0-9]* records read, 0 written\.$' err ||
    fail "no outcome told"
grep -q '^closed$' out || fail "functions were not closed"
grep -q "records in" err && fail "progress is shown without a terminal"

start blocked
kill -TERM $pid
sleep 0.3
kill -0 $pid || fail "the first signal ended a job that is blocked"
kill -TERM $pid
wait $pid
[ $? = 143 ] || fail "the second signal did not end the job"
grep -q cancelled err && fail "a killed job claims to have been cancelled"

# On a terminal: the status line, Ctrl-C by key.
cat >terminal.py <<'END'
import os, pty, select, signal, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.environ['TERM'] = 'xterm'
    os.execv(sys.argv[1], sys.argv[1:])
text, pressed, deadline = b'', False, time.time() + 30
while time.time() < deadline:
    if select.select([fd], [], [], 0.1)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        text += data
    if not pressed and text.count(b'records in') >= 2:
        os.write(fd, b'\x03')
        pressed = True
else:
    os.kill(pid, signal.SIGKILL)
print(text.decode(errors='replace'))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
python3 terminal.py "$flinc" run -c orderly forever.c >out 2>err
[ $? = 130 ] || fail "Ctrl-C does not give 130"
grep -q '0:01   [0-9.]* [KMG]* *records in ([0-9.]* [KMG]*/s)   0 out (0/s)' out || fail "no status line"
grep -q 'was cancelled after' out || fail "no outcome told on a terminal"
exit 0
