#!/bin/sh
# The hourly tips of the Flink training's own test: two drivers, two hours, and what must come out.
set -eu
cat >"$FLINC_TMP/fares.csv" <<'END'
1,2020-01-01 12:00:00,1,1.0,10
1,2020-01-01 12:15:00,1,5.0,10
1,2020-01-01 13:30:00,1,10.0,10
2,2020-01-01 13:30:00,2,20.0,10
END
printf '(1577883600000,1,6.0)\n(1577887200000,2,20.0)\n' >"$FLINC_TMP/expected"
for p in 1 2 4; do
    "$FLINC_BUILD/examples/hourly_tips" -p "$p" --fares "$FLINC_TMP/fares.csv" |
        sed 's/^[0-9]*> //' | sort >"$FLINC_TMP/actual"
    diff -u "$FLINC_TMP/expected" "$FLINC_TMP/actual"
done
