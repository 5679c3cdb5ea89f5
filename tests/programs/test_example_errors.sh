#!/bin/sh
# What a user of the examples gets wrong is told, with an exit status that says so, and nothing is written.
set -u
bin=$FLINC_BUILD/examples

# fails TEXT PROGRAM ARG…: must not succeed, must not print to standard output, and must say TEXT
fails() {
    text=$1
    program=$2
    shift 2
    if "$bin/$program" "$@" >"$FLINC_TMP/out" 2>"$FLINC_TMP/err"; then
        echo "$program $*: exit status 0 although it should fail"
        exit 1
    fi
    if [ -s "$FLINC_TMP/out" ]; then
        echo "$program $*: prints although it fails:"
        cat "$FLINC_TMP/out"
        exit 1
    fi
    grep -q -e "$text" "$FLINC_TMP/err" || {
        echo "$program $*: should say '$text', says:"
        cat "$FLINC_TMP/err"
        exit 1
    }
}

fails "no/such.log" access_log --input "$FLINC_TMP/no/such.log"
fails "--windows" access_log --windows 5
fails "'five' is not a whole number" access_log --window five
fails "access_log.c" access_log --window 0
fails "access_log.c" access_log --window -5
fails "belongs to no name" access_log examples/data/access.log
fails "no/such.txt" word_count_file --input "$FLINC_TMP/no/such.txt"
: >"$FLINC_TMP/plain"
fails "plain" word_count_file --output "$FLINC_TMP/plain/counts.csv"
fails "port" word_count_socket --port 70000
fails "localhost\|127.0.0.1" word_count_socket --port 1
fails "-p: '0' is not a whole number" access_log -p 0
fails "no.such.key" access_log -D no.such.key=1

[ -z "$(find "$FLINC_TMP" -name '*.txt' -o -name '*.csv')" ] || { echo "files were left behind"; exit 1; }
