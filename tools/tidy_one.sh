#!/bin/sh
# usage: tools/tidy_one.sh KEY FILE: clang-tidy on one file; remembers under KEY that it passed. Part of tools/lint.sh.
findings=$(clang-tidy --quiet -p "$FLINC_BUILD" "$2" 2>/dev/null) && {
    touch "$FLINC_BUILD/lint/tidy/$1"
    exit 0
}
printf '%s\nclang-tidy failed for %s\n' "$findings" "$2"
exit 1
