#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks what a compiler says of refused_types.cpp: for each line that is to be refused one error, with the sentence
# that the line names, traced back to that line; and no other error.
#
#   refused_types_test.sh COMPILER... (with its options)
set -uo pipefail
source=$(dirname "${BASH_SOURCE[0]}")/refused_types.cpp
said=$("$@" -fsyntax-only "$source" 2>&1) && { echo "it compiles"; exit 1; }

failed=0
expected=0
while IFS=: read -r line sentence; do
    expected=$((expected + 1))
    if ! grep -qF "refused_types.cpp:$line:" <<<"$said"; then
        echo "line $line is not refused: $sentence"
        failed=1
    fi
    grep -qF "$sentence" <<<"$said" || { echo "nobody says: $sentence"; failed=1; }
done < <(grep -n '// refused: ' "$source" | sed -E 's|^([0-9]+):.*// refused: (.*)$|\1:\2|')

errors=$(grep -cE '(^| )error: ' <<<"$said")
sentences=$(grep -cE 'error: .*forkflow: ' <<<"$said")
if ((errors != expected || sentences != expected)); then
    echo "$expected lines are to be refused; there are $errors errors, $sentences of them forkflow's"
    failed=1
fi
((failed == 0)) || { echo; echo "$said"; }
exit "$failed"
