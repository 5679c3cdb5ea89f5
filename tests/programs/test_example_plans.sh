#!/bin/sh
# `flinc` on the examples' sources: the plan and nothing else by `info`, the same output by `run`.
set -u
flinc=$FLINC_BUILD/flinc
XDG_CACHE_HOME=$FLINC_TMP/cache
export XDG_CACHE_HOME

for name in access_log word_count_socket; do
    "$flinc" info --text "examples/$name.c" >"$FLINC_TMP/plan" 2>"$FLINC_TMP/err" || { cat "$FLINC_TMP/err"; exit 1; }
    [ ! -s "$FLINC_TMP/err" ] || { echo "info $name says more than the plan:"; cat "$FLINC_TMP/err"; exit 1; }
    grep -q 'HASH' "$FLINC_TMP/plan" || { echo "info $name: no keyed exchange in it:"; cat "$FLINC_TMP/plan"; exit 1; }
    "$flinc" info --json "examples/$name.c" | python3 -m json.tool >/dev/null || {
        echo "info $name: no JSON"
        exit 1
    }
done

"$flinc" run -p 2 examples/word_count_file.c 2>"$FLINC_TMP/err" |
    sed 's/^[0-9]*> //' | LC_ALL=C sort >"$FLINC_TMP/actual"
LC_ALL=C sort tests/programs/word_count_file.expected | diff -u - "$FLINC_TMP/actual" ||
    { cat "$FLINC_TMP/err"; exit 1; }
