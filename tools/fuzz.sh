#!/bin/sh
# usage: tools/fuzz.sh [TARGET…] [SECONDS]: runs libFuzzer on tests/fuzz/fuzz_TARGET.c, or on every target in turn.
# Starts from tests/fuzz/corpus/TARGET/ and keeps what it finds in build-fuzz/corpus/TARGET/; an input that fails stays
# in build-fuzz/ and should be added to the corpus together with the fix. The canary must fail, from nothing: that shows
# that findings are noticed. Called by ./dev fuzz, which installs clang first.
set -eu
cd "$(dirname "$0")/.."

targets=
seconds=30
for argument in "$@"; do
    case $argument in
    *[!0-9]*) targets="$targets $argument" ;;
    *) seconds=$argument ;;
    esac
done
if [ -z "$targets" ]; then
    for file in tests/fuzz/fuzz_*.c; do
        [ -f "$file" ] || { echo "fuzz: there is no target in tests/fuzz yet." >&2; exit 1; }
        name=${file#tests/fuzz/fuzz_}
        targets="$targets ${name%.c}"
    done
fi

if [ ! -f build-fuzz/build.ninja ]; then
    CC=clang meson setup build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false >&2
fi
status=0
for target in $targets; do
    if [ ! -f "tests/fuzz/fuzz_$target.c" ]; then
        echo "fuzz: there is no tests/fuzz/fuzz_$target.c" >&2
        exit 1
    fi
    ninja -C build-fuzz "tests/fuzz/fuzz_$target" >&2
    program=build-fuzz/tests/fuzz/fuzz_$target
    options="-max_total_time=$seconds -timeout=10 -rss_limit_mb=2048 -print_final_stats=1"
    echo "fuzz: $target for $seconds s" >&2
    if [ "$target" = canary ]; then
        # shellcheck disable=SC2086
        if "$program" $options -artifact_prefix=build-fuzz/canary- >build-fuzz/canary.log 2>&1; then
            echo "FAILED canary: its bug was not found" >&2
            status=1
        fi
        continue
    fi
    mkdir -p "build-fuzz/corpus/$target"
    set -- "build-fuzz/corpus/$target"
    if [ -d "tests/fuzz/corpus/$target" ]; then set -- "$@" "tests/fuzz/corpus/$target"; fi
    # shellcheck disable=SC2086
    "$program" $options -artifact_prefix="build-fuzz/$target-" "$@" || {
        echo "FAILED $target" >&2
        status=1
    }
done
exit $status
