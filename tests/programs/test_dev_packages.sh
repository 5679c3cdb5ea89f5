#!/bin/sh
# ./dev with packages missing: without root and sudo it says exactly what to run and fails; as root it installs those.
set -eu
mkdir -p "$FLINC_TMP/bin" "$FLINC_TMP/tree"
cp "$FLINC_SOURCE/dev" "$FLINC_SOURCE/packages.txt" "$FLINC_TMP/tree/"
stub() { # NAME COMMAND
    printf '#!/bin/sh\n%s\n' "$2" >"$FLINC_TMP/bin/$1"
    chmod +x "$FLINC_TMP/bin/$1"
}
PATH=$FLINC_TMP/bin:$PATH
export PATH
stub dpkg-query 'printf "installed gcc\ninstalled meson\n"; exit 1'
stub sudo 'exit 1'

stub id 'echo 1000'
if "$FLINC_TMP/tree/dev" build >"$FLINC_TMP/out" 2>&1 </dev/null; then echo "must fail without root"; exit 1; fi
grep -q 'apt-get update && apt-get install -y --no-install-recommends .*ninja-build.*libcmocka-dev' "$FLINC_TMP/out" ||
    { cat "$FLINC_TMP/out"; echo "expected the command to run"; exit 1; }
if grep -E 'install .*\b(gcc|meson) ' "$FLINC_TMP/out"; then echo "gcc and meson are installed"; exit 1; fi

stub id 'echo 0'
# shellcheck disable=SC2016
stub apt-get 'echo "$@" >>"$FLINC_TMP/apt.log"; case "$*" in *install*) exit 7 ;; esac'
if "$FLINC_TMP/tree/dev" build >"$FLINC_TMP/out" 2>&1; then echo "must fail when apt-get does"; exit 1; fi
grep -q 'update' "$FLINC_TMP/apt.log"
grep -q 'install -y --no-install-recommends .*ninja-build' "$FLINC_TMP/apt.log" ||
    { cat "$FLINC_TMP/apt.log"; echo "expected apt-get install"; exit 1; }
grep -q 'apt-get install failed' "$FLINC_TMP/out"
