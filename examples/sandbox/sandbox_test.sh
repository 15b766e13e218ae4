#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the example sandbox does with commands that are innocent, wrong and forbidden.
#
#   sandbox_test.sh PROGRAM
set -euo pipefail

program=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

reversed() { # reversed NUMBER: of up to three digits
    echo "${1:2:1}${1:1:1}${1:0:1}"
}

echo "a secret" >secret
for round in {1..200}; do
    printf 'reverse %s\ncount %s\n' "$round" "$round"
    case $round in
        50) echo "read secret" ;;
        100) echo "connect 1" ;;
        150) echo "explode" ;;
    esac
done >commands
for round in {1..200}; do
    printf '%s\n%s\n' "$(reversed "$round")" "${#round}"
    case $round in
        50 | 100) echo "forbidden: the worker was killed by signal 31 (Bad system call)" ;;
        150) echo "failed: no command: explode" ;;
    esac
done >expected

"$program" <commands >output 2>errors
cmp expected output || { diff expected output; exit 1; }
grep -qE '^2 workers died, [0-9]+ were recycled$' errors || { cat errors; exit 1; }
