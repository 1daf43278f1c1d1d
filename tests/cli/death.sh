#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Producers and consumers that are killed or leave early.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

head -c 100000 /dev/urandom >input

# start NAME SUB-OPTION...: a pub that has sent the input and waits for more, and a sub that has it.
start()
{
	local name=$1
	shift
	rm -f feed got log
	mkfifo feed
	"${run[@]}" pub "$name" <feed &
	pub=$!
	exec 3>feed
	"${run[@]}" sub "$name" --id s --json "$@" >got 2>log 3>&- 4<&- &
	sub=$!
	until_true attached "$name" 1
	cat input >&3
	until_true at_least got 100000
}

# Killed: exit code 5, everything before it is there, gc cleans.
start killed
kill -KILL "$pub"
waited "$pub" 137
exec 3>&-
waited "$sub" 5
same input got
json '.end == "producer-died" and .exit == 5' <(tail -1 log) >/dev/null || fail "summary: $(cat log)"
expect 0 myelon ls
expect 0 myelon gc
expect 3 myelon info killed
[ -z "$(ls "$MYELON_SHM_DIR")" ] || fail "gc left $(ls "$MYELON_SHM_DIR")"

# Interrupted: it closes without the end of the stream: exit code 6.
start interrupted
kill -TERM "$pub"
waited "$pub" 143
exec 3>&-
waited "$sub" 6
same input got
json '.end == "closed" and .exit == 6' <(tail -1 log) >/dev/null || fail "summary: $(cat log)"

# --follow waits for the next producer, who sends all of it again.
start followed --follow
kill -KILL "$pub"
waited "$pub" 137
exec 3>&-
myelon pub followed --open <input || fail "take over"
waited "$sub" 0
cat input input >want
same want got
json '.verified' <(tail -1 log) >/dev/null || fail "summary: $(cat log)"

# A dead name is in the way until it is told to go.
start dead
kill -KILL "$sub" "$pub" # in this order: it hears of the death at once
waited "$pub" 137
waited "$sub" 137
exec 3>&-
expect 4 myelon pub dead
one_sentence
expect 0 myelon info dead
out_has '^producer  *dead'
out_has '^s .* dead '
"${run[@]}" sub dead2 >got 3>&- 4<&- &
sub=$!
myelon pub dead2 --replace-dead <input || fail "--replace-dead over nothing"
waited "$sub" 0
"${run[@]}" pub dead --replace-dead <input &
pub=$!
fresh()
{
	[ "$(myelon info dead --json | tr -d ' \n' | grep -c '"state":"alive"')" = 1 ]
}
until_true fresh
expect 0 myelon sub dead
same input out
waited "$pub" 0

# A killed consumer holds the stream until its id comes back, and gets what it did not release.
head -c 1000000 /dev/urandom >input
"${run[@]}" pub patient --window 1024 --chunk 4K <input &
pub=$!
mkfifo hold
"${run[@]}" sub patient --id s >hold 3>&- 4<&- &
sub=$!
exec 4<hold
head -c 50000 <&4 >part1
kill -KILL "$sub"
waited "$sub" 137
cat <&4 >>part1
exec 4<&-
expect 0 myelon sub patient --id s
mv out part2
waited "$pub" 0
# At least once: the parts overlap or meet, nothing is missing between them.
tail -c "$(stat -c %s part2)" input >want
same want part2
[ $(($(stat -c %s part1) + $(stat -c %s part2))) -ge 1000000 ] || fail "something is missing"

expect 0 myelon gc
finish
