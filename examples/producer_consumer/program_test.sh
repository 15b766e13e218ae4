#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the example on two batches, one document of which is too large for it, and compares what it prints.
set -euo pipefail

expected='3 documents; 4 different words until now
too_large: one document
3 documents; 6 different words until now'
printed=$(
    {
        printf 'one two\ntwo three\nfour\n\n'
        printf 'five\n'
        head -c 2000000 /dev/zero | tr '\0' x
        printf '\none six'
    } | "$1"
)
if [[ $printed != "$expected" ]]; then
    printf 'it printed:\n%s\ninstead of:\n%s\n' "$printed" "$expected"
    exit 1
fi
