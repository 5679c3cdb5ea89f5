#!/bin/sh
# The look-up of names against a real MariaDB server, started for this test and stopped with it; and what is said when
# the server is not there or refuses.
set -u
here=$PWD
example=$FLINC_BUILD/examples/async_look_up
for tool in mariadbd mariadb-install-db mariadb; do
    command -v $tool >/dev/null || { echo "no $tool here: skipped"; exit 77; }
done
cd "$FLINC_TMP" || exit 1
socket=$FLINC_TMP/sock
database=mysql://root@$socket
server=
trap '[ -z "$server" ] || kill "$server"; wait' EXIT

fail() {
    echo "$1"
    cat out err log 2>/dev/null
    exit 1
}

mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$FLINC_TMP/data" --skip-test-db \
    --auth-root-authentication-method=normal >log 2>&1 || fail "mariadb-install-db failed"

"$example" --database "$database" >out 2>err && fail "the job ended well without a server"
grep -q "Look up (1/1): $socket: " err || fail "the message does not name the server"

mariadbd --no-defaults --user="$(id -un)" --datadir="$FLINC_TMP/data" --socket="$socket" --skip-networking \
    --innodb-buffer-pool-size=16M --performance-schema=OFF >>log 2>&1 &
server=$!
until mariadb --no-defaults -uroot -S "$socket" -e "SELECT 1" >/dev/null 2>&1; do
    kill -0 $server 2>/dev/null || fail "mariadbd ended"
    sleep 0.1
done

for p in 1 2; do
    "$example" -p $p --database "$database" >out 2>err || fail "the job failed with parallelism $p"
    sed 's/^[0-9]*> //' out | LC_ALL=C sort >sorted
    LC_ALL=C sort "$here/tests/programs/async_look_up.expected" | diff -u - sorted || fail "parallelism $p: other lines"
done
"$FLINC_BUILD/flinc" run "$here/examples/async_look_up.c" --database "$database" --clicks 2000 >out 2>err ||
    fail "flinc run failed"
[ "$(grep -c zhangsan out) $(wc -l <out)" = "182 2000" ] || fail "2000 clicks: other lines"
"$example" --database "mysql://nobody:wrong@$socket" >out 2>err && fail "a wrong password was taken"
grep -qi "denied" err || fail "the message does not say that access was denied"
