#!/bin/sh
# usage: tools/lint.sh [STEP…]: every check that needs no run of our code, or only the steps named:
# format includes headers tree docs shell man cppcheck tidy
# One line a step, the findings of a failed one below it; ends with `N passed, N failed`.
# ./dev lint installs what it needs.
set -u
cd "$(dirname "$0")/.." || exit 2
build=${FLINC_BUILD:-build}
mkdir -p "$build/lint"

# Files of ours that a pattern names: committed, or new and not ignored.
ours() {
    git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
        [ -f "$file" ] && printf '%s\n' "$file"
    done
}

step_format() {
    bad=0
    for file in $(ours '*.c' '*.h'); do
        clang-format --dry-run -Werror "$file" 2>/dev/null || { echo "$file: ./dev format lays it out"; bad=1; }
    done
    return $bad
}

# clang-tidy takes seconds a file, so one that passed is not looked at again until it, a header or the settings change.
step_tidy() {
    headers=$(ours '*.h' .clang-tidy | xargs cat | cksum)
    mkdir -p "$build/lint/tidy"
    ours '*.c' | while IFS= read -r file; do
        grep -qF "/$file\"" "$build/compile_commands.json" || continue
        key=$(printf '%s\n' "$headers" | cat - "$file" | cksum | tr ' ' '-')
        [ -f "$build/lint/tidy/$key" ] || printf '%s %s\n' "$key" "$file"
    done | FLINC_BUILD=$build xargs -r -L1 -P2 tools/tidy_one.sh
}

# readdirCalled: glibc's readdir is safe on a stream of one's own, and readdir_r deprecated.
# Only src: cppcheck 2.10 does not know the __VA_OPT__ of FL_ROW, which programs use; in the engine two files do.
step_cppcheck() {
    mkdir -p "$build/lint/cppcheck"
    cppcheck --enable=warning,performance,portability --error-exitcode=1 --inline-suppr --quiet -j2 --std=c11 \
        --library=posix,gnu --cppcheck-build-dir="$build/lint/cppcheck" \
        --suppress=missingIncludeSystem --suppress=readdirCalled \
        --suppress=syntaxError:src/connectors/file/parts.c --suppress=syntaxError:src/operators/interval_join.c \
        -Iinclude -Isrc src
}

step_includes() {
    python3 tools/check_includes.py
}

step_shell() {
    { ours '*.sh' dev '.ci/*' 'completion/*.bash' | while IFS= read -r file; do
        head -n1 "$file" | grep -qE '^#!.*sh|shellcheck shell=' && printf '%s\n' "$file"
    done; } | xargs -r shellcheck
}

# Every public header stands on its own, without a warning under -Wall -Wextra.
step_headers() {
    bad=0
    for file in include/flinc.h include/flinc/*.h; do
        echo "#include \"${file#include/}\"" |
            gcc -std=gnu17 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c - || bad=1
    done
    return $bad
}

# Every public function has a comment.
step_docs() {
    python3 tools/api_docs.py --check include/flinc
}

step_man() {
    ours 'docs/man/*' | xargs -r mandoc -T lint -W warning
}

# What a file or folder must have, and must not.
step_tree() {
    ours | xargs python3 tools/check_tree.py
}

all="format includes headers tree docs shell man cppcheck tidy"
passed=0
failed=0
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $all
for step in "$@"; do
    case " $all " in
    *" $step "*) ;;
    *) echo "lint: there is no step '$step'; there are: $all" >&2; exit 2 ;;
    esac
    start=$(date +%s)
    if "step_$step" >"$build/lint/$step.out" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %-10s %3d s\n' "$step" $(($(date +%s) - start))
    else
        failed=$((failed + 1))
        printf 'FAILED  %-10s %3d s\n' "$step" $(($(date +%s) - start))
        head -n 200 "$build/lint/$step.out"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
