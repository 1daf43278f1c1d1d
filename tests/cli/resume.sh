#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# A sub that is interrupted in the middle of a stream goes on exactly behind what it wrote.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

head -c 10000000 /dev/urandom >input

# interrupt SIGNAL CODE: three parts of one stream under one id.
interrupt()
{
	local pub sub part
	"${run[@]}" pub "by_$1" --window 1024 --chunk 5000 <input &
	pub=$!
	# Its reader takes a part and then blocks, so that the signal comes in the middle of a message.
	mkfifo "fifo_$1"
	for part in 1 2; do
		"${run[@]}" sub "by_$1" --id r >"fifo_$1" 3>&- 4<&- &
		sub=$!
		{
			head -c 3000000 >"part$part"
			kill -"$1" "$sub"
			cat >>"part$part"
		} <"fifo_$1"
		waited "$sub" "$2"
	done
	myelon sub "by_$1" --id r --start resume >part3 || fail "the last part"
	waited "$pub" 0
	at_least part1 3000000 || fail "the first part is too short"
	cat part1 part2 part3 >whole
	same input whole
	rm "fifo_$1"
}
interrupt INT 130
interrupt TERM 143

# --count detaches in order, too: every part has one message.
seq 1 50 >lines
"${run[@]}" pub counted --lines --window 64 <lines &
pub=$!
: >got
for _ in $(seq 1 50); do
	myelon sub counted --id one --count 1 --lines >>got || fail "one message"
done
myelon sub counted --id one || fail "the end of the stream"
waited "$pub" 0
same lines got

# Whoever sends waits for the one that left before the end, and says so.
head -c 1000 input >small
"${run[@]}" pub left --chunk 100 --drain-timeout 100ms <small 2>err &
pub=$!
myelon sub left --id quitter --count 1 >got || fail "one message of ten"
waited "$pub" 3
one_sentence
err_has "quitter.*myelon sub left --id quitter"

# Without its name nobody can come back to the ring: nobody is waited for, nor told to resume.
mkfifo nameless
"${run[@]}" pub gone --lines --window 64 <nameless 2>err &
pub=$!
exec 3>nameless
seq 1 10 >&3
"${run[@]}" sub gone --id quitter --count 1 >got 2>log 3>&- || fail "one message of ten"
myelon rm gone --force || fail "rm --force"
exec 3>&-
waited "$pub" 0
one_sentence
err_has "quitter.*cannot come back"
"${run[@]}" pub gone --lines --window 64 --wait-for 0 <nameless 2>err &
pub=$!
exec 3>nameless
until_true has_ring gone
myelon rm gone --force || fail "rm --force"
seq 1 1000 >&3
exec 3>&-
waited "$pub" 3
one_sentence
err_has "nobody can come"
"${run[@]}" pub gone <lines 2>err &
pub=$!
until_true has_ring gone
myelon rm gone --force || fail "rm --force"
waited "$pub" 3
one_sentence
err_has "nobody can attach any more"

# Resuming an id that the ring does not know is an error that says so.
"${run[@]}" pub known <lines &
pub=$!
until_true has_ring known
expect 3 myelon sub known --id stranger --start resume
one_sentence
err_has stranger
expect 0 myelon sub known --id friend
waited "$pub" 0
same lines out

# Nobody else may have the id meanwhile.
mkfifo hold
"${run[@]}" pub busy <hold &
pub=$!
exec 3>hold
"${run[@]}" sub busy --id mine >got 3>&- 4<&- &
sub=$!
until_true attached busy 1
expect 4 myelon sub busy --id mine
one_sentence
err_has mine
cat lines >&3
exec 3>&-
waited "$pub" 0
waited "$sub" 0
same lines got

# With --unattended overwrite the stream goes on without its reader, who is told what was lost.
mkfifo flood
"${run[@]}" pub lossy --lines --window 64 --unattended overwrite <flood &
pub=$!
exec 3>flood
echo first >&3
expect 0 myelon sub lossy --id l --count 1
seq 1 1000 >&3
flooded()
{
	[ "$(myelon info lossy | sed -n 's/^published  \([0-9]*\),.*/\1/p')" -ge 1000 ]
}
until_true flooded
"${run[@]}" sub lossy --id l --start resume --lines --json >got 2>log 3>&- &
sub=$!
until_true attached lossy 1
exec 3>&-
waited "$pub" 0
waited "$sub" 7
[ "$(tail -1 got)" = 1000 ] || fail "the end is missing: $(tail -1 got)"
json '.lost > 900 and .exit == 7' <(tail -1 log) >/dev/null || fail "summary: $(cat log)"

finish
