#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# watch: a line for everybody who comes, leaves, stalls, dies, and for the end of the ring.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2094,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

expect 3 myelon watch feed
one_sentence
err_has 'no ring'
expect 2 myelon watch
one_sentence
expect 2 myelon watch feed --exit-on dead
one_sentence
err_has 'died'
expect 2 myelon watch feed --stalled forever
one_sentence

mkfifo feed
"${run[@]}" watch feed --timeout 60s >log &
watch=$!
"${run[@]}" watch feed --timeout 60s --json --stalled 50ms >jlog &
jwatch=$!
"${run[@]}" pub feed --window 8 --wait-for 0 --wait park <feed &
pub=$!
exec 3>feed
says()
{
	grep -Eq "^[0-9T:.-]*Z  $1  *$2  *$3  *$4  " log
}
until_true says attached producer - "$pub"

"${run[@]}" sub feed --id worker >worker 3>&- &
worker=$!
until_true says attached consumer worker "$worker"

# Ends at the first change that was asked for: here it is so at the start.
expect 9 myelon watch feed --exit-on attached
[ "$(wc -l <out)" -eq 1 ] || fail "more than one change: $(cat out)"
# ... or after the time that was given.
expect 0 myelon watch feed --for 50ms --exit-on died,evicted --json
[ "$(wc -l <out)" -eq 2 ] || fail "not two changes: $(cat out)"
json -s '[.[] | [.change, .role, .id, .first]] ==
	[["attached", "producer", null, true], ["attached", "consumer", "worker", true]]' \
	<out >/dev/null || fail "first changes: $(cat out)"

# Stopped, killed, and back.
kill -STOP "$worker"
head -c 100 /dev/zero >&3
until_true grep -q '"stalled".*"worker"' jlog
"${run[@]}" watch feed --exit-on died >died &
died=$!
until_true grep -q worker died
kill -KILL "$worker"
waited "$died" 9
wait "$worker" 2>/dev/null
until_true says died consumer worker "$worker"
"${run[@]}" sub feed --id worker >worker 3>&- &
worker=$!
until_true says rejoined consumer worker "$worker"

# Nobody reads what it says.
"${run[@]}" watch feed 2>pipe_err | head -1 >first
[ "$(wc -l <first)" -eq 1 ] || fail "watch into a closed pipe: $(cat first)"

# Ctrl-C.
"${run[@]}" watch feed >interrupted &
interrupted=$!
until_true grep -q worker interrupted
kill -INT "$interrupted"
waited "$interrupted" 130

# It does not keep the ring, and ends with it.
exec 3>&-
waited "$pub" 0
waited "$worker" 0
waited "$watch" 0
waited "$jwatch" 0
says detached producer - "$pub" || fail "the producer's end: $(cat log)"
says detached consumer worker "$worker" || fail "the consumer's end: $(cat log)"
[ "$(tail -1 log | awk '{ print $2, $3 }')" = 'removed ring' ] || fail "the end: $(cat log)"
json -s 'map(.change)[-1] == "removed"' <jlog >/dev/null || fail "the end: $(cat jlog)"

finish
