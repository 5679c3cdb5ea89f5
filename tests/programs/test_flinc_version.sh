#!/bin/sh
# `flinc version` and a build that works uninstalled.
out=$("$FLINC_BUILD/flinc" version) || exit 1
case $out in
*0.1.0*) ;;
*) echo "expected the version in: $out"; exit 1 ;;
esac
