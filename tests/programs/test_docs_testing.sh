#!/bin/sh
# The code on docs/testing.md, put together, is a program that compiles without a warning and passes.
set -eu
awk '/^```c$/ { code = 1; next } /^```$/ { code = 0; print ""; next } code' \
    "$FLINC_SOURCE/docs/testing.md" >"$FLINC_TMP/page.c"
grep -q 'int main' "$FLINC_TMP/page.c"
# A sanitizer that the library was built with must be in the program too.
sanitize=$(sed -n 's/.*"-fsanitize=\([a-z,]*\)".*/-fsanitize=\1/p; s/.* -fsanitize=\([a-z,]*\) .*/-fsanitize=\1/p' \
    "$FLINC_BUILD/compile_commands.json" | head -n 1)
# shellcheck disable=SC2086
${CC:-cc} -std=gnu17 -g -Wall -Wextra -Werror $sanitize -I"$FLINC_SOURCE/include" \
    -o "$FLINC_TMP/page" "$FLINC_TMP/page.c" \
    -L"$FLINC_BUILD/src" -lflinc -Wl,-rpath,"$FLINC_BUILD/src"
"$FLINC_TMP/page"
