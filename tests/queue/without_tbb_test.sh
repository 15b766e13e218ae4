#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the program given as $1; it must print what it should, link no oneTBB, and its source, given as $2, must include
# none when it is compiled with the command that follows.
set -euo pipefail

program=$1
source=$2
shift 2
[[ $("$program") == $'3\n5' ]]
if ldd "$program" | grep tbb; then
    echo "it links oneTBB"
    exit 1
fi
# Not -M, to which clang adds what __has_include only asked for.
if "$@" -E "$source" | grep -E '^# [0-9]+ ".*(/(one)?tbb/|oneapi)'; then
    echo "it includes oneTBB"
    exit 1
fi
