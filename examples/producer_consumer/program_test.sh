#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the example and compares what it prints.
set -euo pipefail

expected='batch 1: 5051 words
crashed: one document
batch 2: 5050 words
batch 3: 5051 words'
printed=$("$1")
if [[ $printed != "$expected" ]]; then
    printf 'it printed:\n%s\ninstead of:\n%s\n' "$printed" "$expected"
    exit 1
fi
