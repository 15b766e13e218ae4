#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Draws pictures of 6 MiB, damages some of them, and looks at what becomes of them.
#
#   program_test.sh IMAGES MAKE_PICTURES
set -euo pipefail

images=$1
make_pictures=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "$*"
    exit 1
}

"$make_pictures" "$folder/in" 2 1600 1300
head -c 3000000 "$folder/in/picture0.ppm" >"$folder/in/cut.ppm"
head -c 100000 "$folder/in/picture0.png" >"$folder/in/cut.png"
echo "no picture" >"$folder/in/text.png"
: >"$folder/in/empty.pgm"

said=$("$images" --width 800 --workers 2 --to "$folder/out" "$folder/in" 2>"$folder/errors")
[[ $said == "8 pictures, "*"; 4 failed"* ]] || fail "it said: $said"
[[ $(wc -l <"$folder/errors") == 4 ]] || fail "not one line for each failure: $(cat "$folder/errors")"
for text in "cut.ppm: the picture ends too early" "cut.png: libpng: " "text.png: this is no PNG" "empty.pgm: this is"; do
    grep -q "$text" "$folder/errors" || fail "nobody said: $text"
done

[[ $(find "$folder/out" -type f | wc -l) == 4 ]] || fail "not one copy for each picture"
for name in picture0 picture1; do
    cmp "$folder/out/$name.ppm.ppm" "$folder/out/$name.png.ppm" # the same picture gives the same copy
    [[ $(head -c 15 "$folder/out/$name.ppm.ppm") == $'P6\n800 650\n255' ]] || fail "wrong head of $name"
    [[ $(stat -c %s "$folder/out/$name.ppm.ppm") == $((800 * 650 * 3 + 15)) ]] || fail "wrong size of $name"
done
cmp -s "$folder/out/picture0.ppm.ppm" "$folder/out/picture1.ppm.ppm" && fail "two pictures became one"

status=0
"$images" --width none --to "$folder/out" "$folder/in" 2>/dev/null || status=$?
[[ $status == 2 ]] || fail "a bad argument ended with $status"
