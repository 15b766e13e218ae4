#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Compiles refused_calls.cpp, given as $1, with the command that follows, and checks that each sentence comes, and that
# nothing but sentences does.
set -uo pipefail

source=$1
shift
if said=$("$@" -fsyntax-only "$source" 2>&1); then
    echo "it compiles"
    exit 1
fi
bad=0
while read -r sentence; do
    if ! grep -qF -- "$sentence" <<<"$said"; then
        echo "not refused with the words: $sentence"
        bad=1
    fi
done < <(grep -oP '; +// \K.*' "$source" | sort -u)
if others=$(grep -F 'error:' <<<"$said" | grep -vE 'forkflow: '); then
    printf 'other errors:\n%s\n' "$others"
    bad=1
fi
exit "$bad"
