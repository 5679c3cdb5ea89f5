#!/bin/sh
# usage: golden.sh EXAMPLE ordered|any PARALLELISM… [-- ARG…]: runs build/examples/EXAMPLE and compares what it prints
# with EXAMPLE.expected beside this file: line by line (ordered, without subtask prefixes), or as a set (any).
# EXAMPLE.batch: the same program in BATCH mode, compared with EXAMPLE.batch.expected; where there is none, both modes
# must print the same.
# Started by run_in_tmp.sh.
set -u
example=$1
order=$2
shift 2
parallelisms=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    parallelisms="$parallelisms $1"
    shift
done
[ $# -eq 0 ] || shift
here=$(dirname "$0")
expected=$here/$example.expected
[ -f "$expected" ] || expected=$here/${example%.batch}.expected
[ "$example" = "${example%.batch}" ] || set -- "$@" -D execution.runtime-mode=BATCH
program=$FLINC_BUILD/examples/${example%.batch}

# Subtasks print "2> …" or, with a prefix, "prefix:2> …": which one it was is not what is tested.
normal() {
    sed -E 's/^([^>:]*):[0-9]+> /\1> /; s/^[0-9]+> //' | if [ "$order" = any ]; then LC_ALL=C sort; else cat; fi
}

normal <"$expected" >"$FLINC_TMP/expected"
for p in $parallelisms; do
    if ! "$program" -p "$p" "$@" >"$FLINC_TMP/out" 2>"$FLINC_TMP/err"; then
        echo "$example -p $p $* failed:"
        cat "$FLINC_TMP/err"
        exit 1
    fi
    normal <"$FLINC_TMP/out" >"$FLINC_TMP/actual"
    if ! diff -u "$FLINC_TMP/expected" "$FLINC_TMP/actual"; then
        echo "$example -p $p $*: what it prints differs from $example.expected, as shown"
        cat "$FLINC_TMP/err"
        exit 1
    fi
done
