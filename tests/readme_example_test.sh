#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the README's example, given as $1: it must end well and print what the README says.
set -euo pipefail

printed=$("$1")
expected='^3
crashed: [^
]*signal 6[^
]*
5
3 texts done$'
if ! [[ "$printed" =~ $expected ]]; then
    printf 'printed instead:\n%s\n' "$printed"
    exit 1
fi
