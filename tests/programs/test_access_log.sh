#!/bin/sh
# The main job against an awk program that counts the same: over the log that comes with flinc, over one with lines that
# are nearly requests, over an empty one, and over a large real one when it lies beside the source tree.
set -u
program=$FLINC_BUILD/examples/access_log

# compare LOG WINDOW
compare() {
    awk -v window="$2" -f tests/programs/access_log.awk "$1" 2>"$FLINC_TMP/malformed" | LC_ALL=C sort \
        >"$FLINC_TMP/expected"
    lines=$(awk 'END { print NR }' "$1")
    for p in 1 2 4; do
        "$program" -p "$p" --input "$1" --window "$2" >"$FLINC_TMP/out" 2>"$FLINC_TMP/err" || {
            echo "access_log -p $p --input $1 failed:"
            cat "$FLINC_TMP/err"
            exit 1
        }
        LC_ALL=C sort "$FLINC_TMP/out" >"$FLINC_TMP/actual"
        diff "$FLINC_TMP/expected" "$FLINC_TMP/actual" >"$FLINC_TMP/diff" || {
            echo "access_log -p $p --input $1 --window $2 differs from the reference:"
            head -20 "$FLINC_TMP/diff"
            exit 1
        }
        grep -q "^$lines lines read, $(cat "$FLINC_TMP/malformed") malformed, 0 late; " "$FLINC_TMP/err" || {
            echo "access_log -p $p --input $1: expected $lines lines, $(cat "$FLINC_TMP/malformed") malformed, 0 late:"
            cat "$FLINC_TMP/err"
            exit 1
        }
    done
}

cat >"$FLINC_TMP/odd.log" <<'EOF'
192.0.2.1 - - [29/Feb/2024:23:59:59 +0000] "GET / HTTP/1.1" 200 5 "-" "a"
192.0.2.1 - - [29/Feb/2024:23:59:58 -0001] "GET / HTTP/1.1" 200 5 "-" "a"
192.0.2.1 - - [01/Mar/2024:02:00:01 +0200] "GET / HTTP/1.1" 200 5 "-" "a"
192.0.2.1 - jane doe [01/Mar/2024:00:00:01 +0000] "GET /\"quoted\" HTTP/1.1" 404 -
host.example - - [01/Mar/2024:00:00:04 +0000] "" 400 0 "-" "no end
host.example - - [01/Mar/2024:00:00:04 +0000] "GET /" 200
192.0.2.1 - - [30/Feb/2024:00:00:01 +0000] "GET / HTTP/1.1" 200 5 "-" "no such day"
192.0.2.1 - - [01/Mär/2024:00:00:01 +0000] "GET / HTTP/1.1" 200 5 "-" "no such month"
192.0.2.1 - - [01/Mar/2024:24:00:01 +0000] "GET / HTTP/1.1" 200 5 "-" "no such hour"
192.0.2.1 - - [01/Mar/2024:00:00:01] "GET / HTTP/1.1" 200 5 "-" "no zone"
192.0.2.1 - - [01/Mar/2024:00:00:01 +0000] "GET / HTTP/1.1 200 5
192.0.2.1 - - [01/Mar/2024:00:00:01 +0000] "GET / HTTP/1.1\"
192.0.2.1 - - [01/Mar/2024:00:00:01 +0000] "GET / HTTP/1.1" OK 5 "-" "no status"
192.0.2.1 - - [01/Mar/2024:00:00:01 +0000] "GET / HTTP/1.1" 20
192.0.2.1 - - [01/Mar/2024:00:00:01 +0000
192.0.2.1 - - [
192.0.2.1
 - - [01/Mar/2024:00:00:01 +0000] "GET / HTTP/1.1" 200 5 "-" "no address"

[error] something else
EOF
compare "$FLINC_TMP/odd.log" 5
: >"$FLINC_TMP/empty.log"
compare "$FLINC_TMP/empty.log" 5
compare examples/data/access.log 5
compare examples/data/access.log 60

# Malformed lines are diverted, every one.
"$program" -p 2 --input "$FLINC_TMP/odd.log" --malformed "$FLINC_TMP/malformed.txt" >/dev/null 2>&1 || exit 1
sed -n '7,$p' "$FLINC_TMP/odd.log" | LC_ALL=C sort >"$FLINC_TMP/expected"
LC_ALL=C sort "$FLINC_TMP/malformed.txt" | diff "$FLINC_TMP/expected" - || { echo "--malformed FILE differs"; exit 1; }

if [ -f ../shared/data/access_log ]; then
    compare ../shared/data/access_log 5
fi
