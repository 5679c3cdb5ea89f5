#!/bin/sh
# Exactly once with real processes: a job from files to files is killed with SIGKILL again and again, and started from
# its newest checkpoint; what it has written in the end is what it was given. KILLS says how often (20).
set -eu
build=${FLINC_BUILD:?}
kills=${KILLS:-20}
cd "$FLINC_TMP"
program=$build/examples/copy_lines

mkdir in
awk 'BEGIN { for (i = 0; i < 600000; i++) printf "line %d of the file that is copied\n", i }' >in/a
awk 'BEGIN { for (i = 600000; i < 900000; i++) printf "line %d of the file that is copied\n", i }' | gzip >in/b.gz

# Numbers go on from job to job: the highest is the newest. Times would not do: several checkpoints fit into one
# tick of a file system's clock.
newest() {
    find checkpoints -name _metadata 2>/dev/null | sed 's#\(.*/chk-\([0-9]*\)\)/_metadata#\2 \1#' | sort -n |
        tail -n 1 | cut -d' ' -f2
}

total=0 restored=0 seed=1
cat in/a >expected
gzip -dc in/b.gz >>expected
sort expected >expected.sorted
while [ "$total" -lt "$kills" ]; do
    rm -rf out checkpoints
    while :; do
        from=$(newest)
        [ -n "$from" ] && restored=$((restored + 1))
        "$program" -p 2 -D execution.checkpointing.interval=5ms -D execution.checkpointing.dir=checkpoints \
            ${from:+-s "$from"} --input in --output out >log 2>&1 &
        pid=$!
        if [ "$total" -lt "$kills" ]; then
            seed=$(((seed * 1103515245 + 12345) % 2147483648))
            sleep "0.0$((seed / 65536 % 90 + 10))" # when it is killed is up to chance; nothing hangs on it
            if kill -9 "$pid" 2>/dev/null; then
                total=$((total + 1))
                wait "$pid" 2>/dev/null || true
                continue
            fi
        fi
        wait "$pid" && break
        cat log
        exit 1
    done
    cat out/part-* | sort >got.sorted
    if ! cmp expected.sorted got.sorted; then
        diff expected.sorted got.sorted | head -n 20
        exit 1
    fi
done
echo "killed $total times, $restored times started from a checkpoint: $(wc -l <got.sorted) lines, each once"
[ "$restored" -gt 0 ]
