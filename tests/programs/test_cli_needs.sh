#!/bin/sh
# Programs that ask for libraries in comments of their C file.
set -u
export XDG_CACHE_HOME="$FLINC_TMP/cache"
unset FLINC_LOG CC CFLAGS LDLIBS
flinc=$FLINC_BUILD/flinc
cd "$FLINC_TMP" || exit 1
failures=0

# expect OUT ERR COMMAND…: what it prints, and a shell pattern for standard error.
expect() {
    out=$1 err=$2
    shift 2
    actual_out=$("$@" 2>err)
    actual_err=$(cat err)
    # shellcheck disable=SC2254  # ERR is a pattern
    case $actual_err in
    $err) [ "$actual_out" != "$out" ] || return ;;
    esac
    failures=$((failures + 1))
    printf 'FAILED: %s\n  out: %s\n  expected: %s\n' "$*" "$actual_out" "$out"
    printf '  err: %s\n  expected: %s\n' "$actual_err" "$err"
}

mkdir pc
for name in here other; do
    printf 'Name: %s\nDescription: x\nVersion: 1\nCflags: -DIS_%s=%d\nLibs: -l%s\n' \
        $name $name ${#name} "$([ $name = here ] && echo z || echo m)" >pc/$name.pc
done
export PKG_CONFIG_PATH="$FLINC_TMP/pc"

# program LINE…: a job that prints which packages it was compiled with, and uses zlib and libm
program() {
    printf '%s\n' "$@"
    cat <<'END'
#include <flinc.h>
#ifndef IS_here
#define IS_here 0
#endif
#ifndef IS_other
#define IS_other 0
#endif
const char *zlibVersion(void);
FL_JOB(needs)
{
    fl_print(fl_from_elements(env, int64_t, IS_here, IS_other, zlibVersion() != NULL));
    return fl_execute(env, "needs");
}
END
}

program '/* flinc-pkg-config: here other */' >both.c
expect '4
5
1' '*' "$flinc" run both.c
program '/* A job.' ' *' ' * flinc-pkg-config: here   nowhere? */' >optional.c
expect '4
0
1' '*' "$flinc" run optional.c
printf 'Name: nowhere\nDescription: x\nVersion: 1\nCflags: -DIS_other=7\nLibs:\n' >pc/nowhere.pc # it has come
expect '4
7
1' '*' "$flinc" run optional.c
program '// flinc-libs: -lz' >libs.c
expect '0
0
1' '*' "$flinc" run libs.c
program '#define SAYS "flinc-pkg-config: is-no-line-of-its-own"' '// flinc-libs: -lz' >quoted.c
expect '0
0
1' '*' "$flinc" run quoted.c
program '' '' '// flinc-pkg-config: here gone' >missing.c
expect '' 'missing.c:3: pkg-config does not find the package gone; install its development files*or write gone?*' \
    "$flinc" run missing.c
expect '' 'missing.c:3: pkg-config does not find the package gone*' "$flinc" build missing.c
if ! nm -D "$FLINC_BUILD/src/libflinc.so" | grep -qE '__(asan|tsan|gcov)_'; then # or it needs the sanitizer's flags
    expect '' '' "$flinc" build both.c
    expect '4
5
1' '' ./both
fi
exit $((failures > 0))
