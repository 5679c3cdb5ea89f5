#!/bin/sh
# tools/check_includes.py reports each kind of wrong include, and nothing else.
set -eu
cd "$FLINC_TMP"
mkdir -p src/base src/data src/api/deep include/flinc examples
check() { python3 "$FLINC_SOURCE/tools/check_includes.py" . >found 2>&1; }

echo '' | tee src/base/low.h src/data/high.h src/api/deep/deep_internal.h >include/flinc/public.h
printf '#include "base/low.h"\n#include "flinc/public.h"\n#include <stdio.h>\n' >src/data/high.c
printf '#include "deep_internal.h"\n' >src/api/deep/deep.c
check || { cat found; echo "a tree without violations was refused"; exit 1; }

# FILE INCLUDED: must be reported.
while read -r file header; do
    printf '\n#include "%s"\n' "$header" >"$file"
    if check; then echo "$file may not include $header, but that passed"; exit 1; fi
    grep -q "^$file:2: " found || { cat found; echo "expected a report for line 2 of $file"; exit 1; }
    rm "$file"
done <<END
src/base/wrong.c data/high.h
src/base/wrong.c ../data/high.h
include/flinc/wrong.h ../../src/base/low.h
src/api/wrong.c api/deep/deep_internal.h
examples/wrong.c ../src/base/low.h
END

mkdir src/nowhere
echo '' >src/nowhere/x.c
if check; then echo "a folder that is no layer passed"; exit 1; fi
