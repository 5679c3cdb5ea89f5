#!/bin/sh
# The pages for readers: links lead somewhere, whole programs in them compile, and every example is on its list.
set -u
pages=$(git ls-files '*.md' 2>/dev/null) && [ -n "$pages" ] || pages=$(find . -name '*.md' -not -path './build*')
failed=0

for page in $pages; do
    # shellcheck disable=SC2013  # links have no blanks
    for link in $(grep -o '](\([^)#]*\)[)#]' "$page" | sed 's/^](//; s/[)#]$//'); do
        case $link in
        *://* | '') continue ;;
        esac
        [ -e "$(dirname "$page")/$link" ] || { echo "$page: leads to $link, which is not there"; failed=1; }
    done

    rm -f "$FLINC_TMP"/block*.c
    awk -v to="$FLINC_TMP" '
        /^```c$/ { file = to "/block" ++n ".c"; next }
        /^```/ { file = ""; next }
        file { print >file }' "$page"
    for block in "$FLINC_TMP"/block*.c; do
        grep -qs '^#include <flinc.h>' "$block" || continue
        "${CC:-cc}" -std=gnu17 -Wall -Werror -fsyntax-only -Iinclude "$block" || {
            echo "$page: a program in it does not compile"
            failed=1
        }
    done
done

for example in examples/*.c; do
    name=$(basename "$example")
    grep -q "^| \[$name\]($name)" examples/README.md || { echo "examples/README.md: $name is missing"; failed=1; }
    grep -q "^examples += '${name%.c}'" examples/meson.build || {
        echo "examples/meson.build: $name is missing"
        failed=1
    }
done
exit $failed
