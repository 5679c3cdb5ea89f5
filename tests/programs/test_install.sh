#!/bin/sh
# What `meson install` leaves is enough to compile and run a program with pkg-config's flags, and to read about flinc.
set -eu
if nm -D "$FLINC_BUILD/src/libflinc.so" | grep -qE '__(asan|tsan|gcov)_'; then
    echo "skipped: an instrumented library needs the instrumented compiler's flags"
    exit 77
fi
prefix=$(meson introspect "$FLINC_BUILD" --buildoptions |
    python3 -c 'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
DESTDIR=$FLINC_TMP/root meson install -C "$FLINC_BUILD" --no-rebuild --quiet
at=$FLINC_TMP/root$prefix
PKG_CONFIG_PATH=$(dirname "$(find "$at" -name flinc.pc)")
export PKG_CONFIG_PATH

cat >"$FLINC_TMP/program.c" <<END
#include <flinc.h>
#include <stdio.h>
int main(void)
{
    printf("%s\n", fl_version());
    return 0;
}
END
# shellcheck disable=SC2046  # flags are words
cc -Wall -Wextra -Werror "$FLINC_TMP/program.c" -o "$FLINC_TMP/program" \
    $(pkg-config --define-variable=prefix="$at" --cflags --libs flinc) -Wl,-rpath,"$(dirname "$PKG_CONFIG_PATH")"
version=$("$FLINC_TMP/program")
[ "$version" = "$(pkg-config --modversion flinc)" ] || { echo "the program says $version"; exit 1; }

case $("$at/bin/flinc" version) in
*"$version"*) ;;
*) echo "the installed flinc does not print $version"; exit 1 ;;
esac
for file in share/man/man1/flinc.1 share/bash-completion/completions/flinc share/zsh/site-functions/_flinc; do
    [ -s "$at/$file" ] || { echo "$file was not installed"; exit 1; }
done

# The installed command finds its own headers and library, wherever it was moved to, without pkg-config's help.
cat >"$FLINC_TMP/job.c" <<END
#include <flinc.h>
FL_JOB(job)
{
    fl_print(fl_sequence(env, 1, 2));
    return fl_execute(env, "Job");
}
END
numbers=$(cd "$FLINC_TMP" && XDG_CACHE_HOME=$FLINC_TMP/cache PKG_CONFIG_PATH='' "$at/bin/flinc" run job.c 2>/dev/null)
[ "$numbers" = "1
2" ] || { echo "the installed flinc runs a program to: $numbers"; exit 1; }
