#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks what a compiler says of a source that must not compile: for each line with a comment "refused: ..." one error,
# with that sentence, traced back to that line; and no other error.
#
#   refused_lines_test.sh SOURCE COMPILER... (with its options)
set -uo pipefail
source=$1
shift
# What it shows of the source itself does not count.
said=$("$@" -fsyntax-only "$source" 2>&1 | grep -v '// refused: ') && { echo "it compiles"; exit 1; }

failed=0
expected=0
while IFS=: read -r line sentence; do
    expected=$((expected + 1))
    if ! grep -qF "$(basename "$source"):$line:" <<<"$said"; then
        echo "line $line is not refused: $sentence"
        failed=1
    fi
    grep -qF "$sentence" <<<"$said" || { echo "nobody says: $sentence"; failed=1; }
done < <(grep -n '// refused: ' "$source" | sed -E 's|^([0-9]+):.*// refused: (.*)$|\1:\2|')

errors=$(grep -cE '(^| )error: ' <<<"$said")
if ((errors != expected)); then
    echo "$expected lines are to be refused; there are $errors errors"
    failed=1
fi
((failed == 0)) || { echo; echo "$said"; }
exit "$failed"
