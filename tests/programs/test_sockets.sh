#!/bin/sh
# Programs that read a socket, against a server on loopback that sends a file and hangs up.
set -u
serve=$FLINC_BUILD/tests/programs/serve
bin=$FLINC_BUILD/examples
here=tests/programs
data=examples/data

check() {
    diff -u "$FLINC_TMP/expected" "$FLINC_TMP/actual" || {
        echo "$1: prints something else"
        cat "$FLINC_TMP/err"
        exit 1
    }
}

# In order at parallelism 1; as a set with more.
"$serve" $data/words.txt "$bin/word_count_socket" --port PORT --host 127.0.0.1 >"$FLINC_TMP/actual" 2>"$FLINC_TMP/err"
status=$?
cp $here/word_count_socket.expected "$FLINC_TMP/expected"
check "word_count_socket -p 1 (status $status)"
[ $status = 0 ] || exit 1
for p in 2 4; do
    "$serve" $data/words.txt "$bin/word_count_socket" -p $p --port PORT 2>"$FLINC_TMP/err" |
        sed 's/^[0-9]*> //' | LC_ALL=C sort >"$FLINC_TMP/actual"
    LC_ALL=C sort $here/word_count_socket.expected >"$FLINC_TMP/expected"
    check "word_count_socket -p $p"
done

"$serve" $data/nginx.log "$bin/nginx_log" --port PORT 2>"$FLINC_TMP/err" |
    sed 's/^[0-9]*> //' | LC_ALL=C sort >"$FLINC_TMP/actual"
LC_ALL=C sort $here/nginx_log.expected >"$FLINC_TMP/expected"
check nginx_log
