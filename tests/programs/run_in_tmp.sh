#!/bin/sh
# usage: run_in_tmp.sh SCRIPT [ARG…]: runs a program test with a folder of its own in FLINC_TMP, removed afterwards.
FLINC_TMP=$(mktemp -d) || exit 1
export FLINC_TMP
trap 'rm -rf "$FLINC_TMP"' EXIT
trap 'exit 1' INT TERM
sh "$@"
