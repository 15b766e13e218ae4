#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs index_documents as a user does, on folders made for the purpose: end_to_end_test.sh PROGRAM
set -euo pipefail

program=$(realpath "$1")
work=$(mktemp -d)
pid=
trap '[[ -z $pid ]] || kill -KILL "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
output=$work/output errors=$work/errors
checks=0

fail() {
    echo "FAILED: $1"
    echo "--- output"; tail -n 30 "$output"
    echo "--- errors"; tail -n 30 "$errors"
    exit 1
}

# Runs the program with a time limit; its exit status has to be the first argument.
run() {
    local expected=$1 status=0
    shift
    timeout --kill-after=10 120 "$program" "$@" >"$output" 2>"$errors" </dev/null || status=$?
    checks=$((checks + 1))
    [[ $status == "$expected" ]] || fail "exit status $status instead of $expected: $*"
}

says() { # says FILE TEXT: the file has this line, or a line with this text in it
    checks=$((checks + 1))
    grep -qF -- "$2" "$1" || fail "'$2' is missing"
}

says_not() {
    checks=$((checks + 1))
    ! grep -qF -- "$2" "$1" || fail "'$2' should not be there"
}

usage_error() { # usage_error TEXT ARGUMENT...: exit status 2 and one line that has the text
    local text=$1
    shift
    run 2 "$@"
    says "$errors" "$text"
    [[ $(wc -l <"$errors") == 1 && ! -s $output ]] || fail "not one line: $*"
}

# -------------------------------------------------------------------------------------------------------------
# Help and bad arguments

run 0 --help
says "$output" "Usage: index_documents"
for option in --workers --window --database --search --help; do says "$output" "$option"; done
mkdir empty
usage_error "unknown option '--colour'" --colour empty
usage_error "--workers needs a value" empty --workers
usage_error "--workers must be a whole number from 1 to 1023, not 'many'" --workers many empty
usage_error "--workers must be a whole number from 1 to 1023, not '0'" --workers=0 empty
usage_error "--window must be a whole number from 1 to 65536, not '65537'" --window 65537 empty
usage_error "FOLDER 'missing' does not exist" missing
usage_error "only one FOLDER" empty empty
usage_error "--search needs at least one word" --search ' ' empty
usage_error "there is no index" --search-only word
echo "somebody's notes" >notes
usage_error "is no index of this program" --database notes empty
[[ $(cat notes) == "somebody's notes" ]] || fail "a foreign file was touched"
[[ ! -e index_documents.sqlite ]] || fail "a bad argument has left a database"

# -------------------------------------------------------------------------------------------------------------
# A folder with one of everything

mkdir -p tree/damaged tree/empty tree/odd "tree/$(printf 'deep/%.0s' {1..40})"
echo "A plain text about zymurgy and fermentation." >tree/plain.txt
cat >tree/page.html <<'HTML'
<!DOCTYPE html><html><head><title>Caf&eacute; zymurgy</title><script>var hidden = "quokka";</script></head>
<body><h1>Brewing</h1><p>The art of <b>fermen</b>tation &amp; patience.</p></body></html>
HTML
printf '# Marked down\n\nSome *emphatic* [words](http://example.org/axolotl).\n' >tree/notes.md
gzip -c tree/plain.txt >tree/packed.txt.gz
printf 'latin gr\374\337e' >tree/latin.txt
gzip -c tree/page.html | head -c 60 >tree/damaged/truncated.gz
echo "not compressed" >tree/damaged/wrong.gz
printf 'ab\0cd' >tree/damaged/binary
head -c 8388609 /dev/zero | tr '\0' x >tree/damaged/oversized
head -c 30000000 /dev/zero | gzip -c >tree/damaged/bomb.gz
ln -s nowhere tree/damaged/dangling
mkfifo tree/damaged/pipe
ln -s .. tree/odd/up
ln -s ../plain.txt tree/odd/link
echo "odd name" >"tree/odd/ quote'\" name"
echo "at the bottom: numbat" >"$(find tree/deep -type d | tail -n 1)/bottom"

run 0 tree --workers 2 --window 3 --search "zymurgy" --progress
says "$output" "committed tree: 5 documents (5 indexed, 0 failed)"
says "$output" "committed tree/damaged: 7 documents (0 indexed, 7 failed)"
says "$output" "committed tree/empty: 0 documents (0 indexed, 0 failed)"
says "$output" "committed tree/odd: 2 documents (2 indexed, 0 failed)"
says "$output" "15 documents in 44 batches: 8 indexed, 7 failed"
for counted in "binary_file: 1" "damaged_file: 2" "oversized_file: 2" "special_file: 1" "unreadable_file: 1"; do
    says "$output" "  $counted"
done
says "$errors" "failed tree/damaged/pipe: special_file"
says "$errors" "failed tree/damaged/truncated.gz: damaged_file: ends too early"
says "$errors" "/s, window "
[[ $(grep -c '^committed' "$output") == 44 ]] || fail "not one line for each batch"
[[ $(sed -n 's/^committed \([^:]*\):.*/\1/p' "$output" | head -n 2 | xargs) == "tree tree/damaged" ]] ||
    fail "batches out of order"
says "$output" "1. tree/page.html (bm25 -"
says "$output" "Café zymurgy"
[[ $(grep -c '(bm25 -' "$output") == 4 ]] || fail "not the four documents that have the word"
[[ $(head -c 15 index_documents.sqlite) == "SQLite format 3" ]] || fail "not a database"
[[ $(echo index_documents.sqlite*) == index_documents.sqlite ]] || fail "there are files beside the database"

run 0 --search-only "numbat bottom"
says "$output" "deep/bottom"
says "$output" "at the [bottom]: [numbat]"
says "$output" "index index_documents.sqlite: 44 batches, 8 documents indexed, 7 failed"
run 0 --search-only "quokka"
says "$output" "nothing found for: quokka"
run 0 --search-only "axolotl"
says "$output" "nothing found for: axolotl"
run 0 --search-only 'GRÜSSE OR "NEAR('
says "$output" "nothing found for"

# The same folder gives the same batches whatever the number of workers, and replaces the index.
run 0 tree --workers 1 --window 1
grep '^committed' "$output" >expected
run 0 tree --workers 8 --window 80
grep '^committed' "$output" | cmp - expected || fail "another number of workers gives other batches"
run 0 --search-only fermentation
says "$output" "44 batches, 8 documents indexed, 7 failed"
status=0
timeout 120 "$program" tree >/dev/full 2>"$errors" || status=$?
[[ $status == 1 ]] || fail "exit status $status instead of 1 when the output cannot be written"
says "$errors" "cannot write to standard output"
run 0 empty
says "$output" "0 documents in 1 batch: 0 indexed, 0 failed"
run 0 --search-only fermentation
says "$output" "nothing found"

# -------------------------------------------------------------------------------------------------------------
# Ctrl-C. The second directory has only failures, and nobody reads them from the pipe that they are written to: the
# program cannot get to the end of that directory before it is interrupted.

mkdir -p large/a large/b large/c
echo "kept wombat" >large/a/first
echo "lost wombat" >large/b/0
for i in {1..3000}; do ln -s "nowhere/at/all" "large/b/dangling_link_with_a_long_name_$i"; done
echo "never wombat" >large/c/last
mkfifo pipe

# Starts the program and comes back when it has committed the first directory, and cannot end the second.
start() {
    "$program" large --workers 2 --window 4 >"$output" 2>pipe &
    pid=$!
    exec 3<pipe
    for ((waited = 0; waited < 600; ++waited)); do
        grep -q '^committed large/a: 1 document ' "$output" && break
        sleep 0.1
    done
    says "$output" "committed large/a: 1 document "
}

start
kill -INT "$pid"
timeout 60 cat <&3 >"$errors" || fail "no end after Ctrl-C"
exec 3<&-
status=0
wait "$pid" || status=$?
pid=
[[ $status == 130 ]] || fail "exit status $status instead of 130 after Ctrl-C"
says "$errors" "index_documents: interrupted: 2 whole batches are in index_documents.sqlite, an incomplete one of"
[[ $(grep -vc '^failed ' "$errors") == 1 ]] || fail "not one line after Ctrl-C"
says_not "$output" "committed large/b"
run 0 --search-only wombat
says "$output" "index index_documents.sqlite: 2 batches, 1 document indexed, 0 failed"
says "$output" "1. large/a/first"
says_not "$output" "large/b/0"
says_not "$output" "large/c"

# A second Ctrl-C ends the program where it stands: here before a pipe that is full from the beginning.
exec 4<>pipe
dd if=/dev/zero of=/dev/fd/4 bs=4096 count=1000 oflag=nonblock 2>/dev/null && fail "the pipe is never full"
start
exec 4<&-
for ((waited = 0; waited < 600; ++waited)); do
    kill -INT "$pid" 2>/dev/null || break
    sleep 0.1
done
((waited < 600)) || fail "no end after the second Ctrl-C"
status=0
wait "$pid" || status=$?
pid=
[[ $status == 130 ]] || fail "exit status $status instead of 130 after the second Ctrl-C"
timeout 60 cat <&3 >/dev/null || fail "something of the program is left after the second Ctrl-C"
exec 3<&-
run 0 --search-only wombat
says "$output" "index index_documents.sqlite: 2 batches, 1 document indexed, 0 failed"

# Without its worker processes the program cannot go on: it says so, and keeps whole batches.
start
fork_server=$(cat /proc/"$pid"/task/*/children)
[[ $fork_server =~ ^([0-9]+)\ *$ ]] || fail "not one child process: '$fork_server'"
kill -KILL "${BASH_REMATCH[1]}"
timeout 60 cat <&3 >"$errors" || fail "no end after the death of all workers"
exec 3<&-
status=0
wait "$pid" || status=$?
pid=
[[ $status == 1 ]] || fail "exit status $status instead of 1 after the death of all workers"
[[ $(grep -c '^index_documents: ' "$errors") == 1 ]] || fail "not one line after the death of all workers"
run 0 --search-only wombat
says "$output" "index index_documents.sqlite: 2 batches, 1 document indexed, 0 failed"

echo "all $checks checks passed"
