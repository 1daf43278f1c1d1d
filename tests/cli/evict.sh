#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# evict and info --stalled: a killed, then a stopped subscriber no longer holds the stream up.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2094,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

state_is()
{
	myelon info feed | grep -q "^$1  *[0-9]*  $2 "
}
caught_up()
{
	[ "$(stat -c %s "$1")" -eq "$(stat -c %s input)" ]
}

expect 3 myelon evict feed worker
one_sentence
err_has 'no ring'
expect 2 myelon evict feed
one_sentence
expect 2 myelon evict feed 'a b'
one_sentence
expect 2 myelon info feed --stalled forever
one_sentence

mkfifo feed
head -c 200000 /dev/urandom >input
"${run[@]}" pub feed --window 64 --wait-for 2 --wait park <feed &
pub=$!
exec 3>feed
"${run[@]}" sub feed --id other >other 3>&- &
other=$!
"${run[@]}" sub feed --id worker >worker 3>&- &
worker=$!
until_true attached feed 2

# Nobody is behind.
expect 0 myelon info feed --stalled 20ms
expect 0 myelon info feed --stalled 20ms --json
valid_json out
json '[.consumers[].stalled] == [false, false]' <out >/dev/null || fail "stalled: $(cat out)"
expect 0 myelon info feed --json
json '[.consumers[].stalled] == [null, null]' <out >/dev/null || fail "stalled: $(cat out)"

# A living one is refused, by the pid.
expect 4 myelon evict feed worker
one_sentence
err_has "$worker"
err_has '--force'
expect 4 myelon evict feed worker --json
valid_json out
json '.evicted == false and .lives == true' <out >/dev/null || fail "evict --json: $(cat out)"
expect 3 myelon evict feed nobody
one_sentence
err_has 'no consumer nobody'

# Stopped: it lives, and it stalls the others.
kill -STOP "$worker"
cat input >&3 &
cat=$!
until_true sh -c "'$MYELON_COMMAND' info feed --stalled 10ms; [ \$? -eq 9 ]"
expect 9 myelon info feed --stalled 50ms
one_sentence
out_has "^worker  *$worker  *stalled "
out_has '^other  *[0-9]*  *alive '
expect 9 myelon info feed --stalled 50ms --json
valid_json out
json '[.consumers[] | select(.stalled) | .id] == ["worker"]' <out >/dev/null ||
	fail "stalled: $(cat out)"
expect 0 myelon info feed
expect 0 myelon evict feed worker --force --json
valid_json out
json '.evicted and .error == null' <out >/dev/null || fail "evict --json: $(cat out)"
wait "$cat"
until_true caught_up other
until_true state_is worker evicted
expect 0 myelon evict feed worker
one_sentence
err_has 'nobody waits for it'
expect 0 myelon evict feed worker --quiet
[ ! -s err ] || fail "not quiet: $(cat err)"
kill -CONT "$worker"
waited "$worker" 7

# Killed: dead at one look, and freed without force.
"${run[@]}" sub feed --id second >second 3>&- &
second=$!
until_true attached feed 2
kill -KILL "$second"
wait "$second" 2>/dev/null
state_is second dead || fail "not dead: $(myelon info feed)"
expect 9 myelon info feed --stalled 10ms
one_sentence
cat input >&3 &
cat=$!
expect 0 myelon evict feed second
wait "$cat"
exec 3>&-
waited "$other" 0
waited "$pub" 0
cat input input >twice
same twice other

finish
