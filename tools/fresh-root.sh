#!/bin/sh
# usage: tools/fresh-root.sh [COMMIT]: proves that a fresh machine needs nothing but ./dev.
# Makes a minimal Debian 12 with mmdebstrap, copies the committed files in and runs, by chroot, first `./dev run` and
# then `./dev test quick` there; what has nothing left to set up must start within a second. Leaves nothing behind.
# Needs root, and mmdebstrap (`./dev fresh` installs it).
set -eu
cd "$(dirname "$0")/.."
commit=${1:-HEAD}
[ "$(id -u)" = 0 ] || { echo "fresh-root: must run as root, for chroot." >&2; exit 1; }

root=$(mktemp -d -t flinc-fresh-XXXXXX)
chmod 755 "$root"
clean_up() {
    for at in dev/pts proc; do
        if mountpoint -q "$root/$at"; then umount "$root/$at"; fi
    done
    rm -rf --one-file-system "$root"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# This machine's own package sources, if it is a Debian 12 (they may be a mirror near it); Debian's otherwise.
set --
# shellcheck source=/dev/null
if [ "$(. /etc/os-release && echo "$VERSION_CODENAME")" = bookworm ]; then
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        if [ -s "$file" ]; then set -- "$@" "$file"; fi
    done
fi
# Its way to them: a proxy, or a mirror whose signatures look stale.
apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date|Retries)' >"$root.conf" || true
start=$(date +%s)
mmdebstrap --quiet --mode=root --variant=minbase --aptopt="$root.conf" bookworm "$root" "$@"
cp "$root.conf" "$root/etc/apt/apt.conf.d/90this-machine"
rm "$root.conf"
cp /etc/resolv.conf "$root/etc/resolv.conf"
[ ! -f /etc/hosts ] || cp /etc/hosts "$root/etc/hosts"
echo "fresh-root: minimal Debian made in $(($(date +%s) - start)) s"

mkdir "$root/flinc"
git archive "$commit" | tar -x -C "$root/flinc"
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/pts"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" # a test runs flinc in a terminal
ln -sf pts/ptmx "$root/dev/ptmx"

# inside COMMAND…: in the root, with an environment as fresh as the rest, but for a proxy.
inside() {
    chroot "$root" /usr/bin/env -i HOME=/tmp LANG=C.UTF-8 TERM=dumb \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        sh -c "cd /flinc && $*"
}

timed() {
    title=$1
    shift
    start=$(date +%s%N)
    "$@" || { echo "fresh-root: FAILED $title"; exit 1; }
    echo "fresh-root: $title took $((($(date +%s%N) - start) / 1000000)) ms"
}

timed "./dev run, first time" inside ./dev run
timed "./dev run, second time" inside ./dev run
timed "./dev test quick" inside ./dev test quick
start=$(date +%s%N)
inside ./dev build
took=$((($(date +%s%N) - start) / 1000000))
echo "fresh-root: set-up when nothing changed took $took ms"
[ "$took" -lt 1000 ] || { echo "fresh-root: FAILED a second start takes less than 1000 ms"; exit 1; }
