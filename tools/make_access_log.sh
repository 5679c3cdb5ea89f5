#!/bin/sh
# usage: tools/make_access_log.sh FILE [SECONDS]: how examples/data/access.log was made.
# A real nginx on loopback, in combined format, is asked for pages by curl for 100 seconds or so, as clients with
# addresses from the documentation ranges (X-Forwarded-For, taken over by the realip module). Three workers buffer
# their lines, so that the log is out of order by up to 20 s; nginx' error log goes to the same file, and two lines are
# cut short as a full disk would: those are the malformed ones. Needs nginx (with realip) and curl.
set -eu
out=$1
seconds=${2:-100}
dir=$(mktemp -d)
trap '[ ! -f "$dir/pid" ] || kill "$(cat "$dir/pid")"; rm -rf "$dir"' EXIT
mkdir -p "$dir/www/docs" "$dir/www/img" "$dir/tmp"
chmod -R a+rwX "$dir"
for page in index about news docs/start docs/windows docs/state; do
    seq 1 $((${#page} * 40)) >"$dir/www/$page.html"
done
head -c 20000 /dev/zero >"$dir/www/img/logo.png"
cat >"$dir/nginx.conf" <<EOF
worker_processes 3;
pid $dir/pid;
error_log $dir/access.log error;
events { worker_connections 256; }
http {
    default_type text/html;
    access_log $dir/access.log combined buffer=32k flush=20s;
    client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp;
    uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
    set_real_ip_from 127.0.0.0/8;
    real_ip_header X-Forwarded-For;
    server {
        listen 127.0.0.1:8089 reuseport;
        root $dir/www;
        location = /old { return 301 /about.html; }
        log_not_found off;
        location = /admin { deny all; }
    }
}
EOF
nginx -p "$dir" -c "$dir/nginx.conf"

# client SEED: asks for a page now and then, in bursts, until the time is over. Low addresses come more often.
client() {
    awk -v seed="$1" -v seconds="$seconds" 'BEGIN {
        srand(seed)
        n = split("/ /index.html /about.html /news.html /docs/start.html /docs/windows.html /docs/state.html " \
            "/img/logo.png /old /missing.html /favicon.ico /news.html?page=2", page, " ")
        agents = split("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0|" \
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5 Mobile/15E148 Safari/604.1|" \
            "ExampleBot/1.2 (+http://bot.example/about)|curl/7.88.1", agent, "|")
        split("192.0.2. 198.51.100. 203.0.113. 2001:db8::", net, " ")
        for (spent = 0; spent < seconds; ) {
            address = net[1 + int(4 * rand() ^ 2)] int(1 + 23 * rand() ^ 3)
            name = agent[1 + int(agents * rand())]
            for (burst = 1 + int(7 * rand() ^ 2); burst > 0; burst--)
                printf "curl -s -o \"$TMPDIR/null\" -A \"%s\" -e \"%s\" -H \"X-Forwarded-For: %s\" %s " \
                    "\"http://127.0.0.1:8089%s\"\n", name, rand() < 0.5 ? "http://www.example/" : "", address,
                    rand() < 0.05 ? "-X POST" : "", rand() < 0.006 ? "/admin" : page[1 + int(n * rand())]
            pause = rand() * 1.2
            spent += pause + 0.03
            printf "sleep %.2f\n", pause
        }
    }' | TMPDIR=$dir sh
}
clients=
for seed in 1 2 3 4 5; do
    client "$seed" &
    clients="$clients $!"
done
# shellcheck disable=SC2086
wait $clients
kill "$(cat "$dir/pid")"
while [ -f "$dir/pid" ]; do sleep 0.1; done
awk 'NR == 500 { $0 = substr($0, 1, 30) } NR == 1000 { print "" } NR == 1500 { $0 = substr($0, 1, 47) } 1' \
    "$dir/access.log" >"$out"
