#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# What an operator does: who is there since when, who holds the producer up, evict, gc --dry-run.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2094,SC2317
. "$(dirname "$0")/lib.sh"

# info FIELD...: the JSON of info in one line, for machines without jq.
flat()
{
	myelon info "$@" --json | tr -d ' \n'
}
blocked()
{
	flat "$1" | grep -q '"blocked_ns":[0-9]'
}
state_is()
{
	myelon info feed | grep -q "^$1  *[0-9]*  $2 "
}
caught_up()
{
	[ "$(stat -c %s "$1")" -eq "$2" ]
}

mkfifo feed
head -c 300000 /dev/urandom >input
"${run[@]}" pub feed --window 64 --wait-for 2 --wait park --keep <feed &
pub=$!
exec 3>feed
"${run[@]}" sub feed --id other >other 3>&- &
other=$!
"${run[@]}" sub feed --id worker >worker 3>&- &
worker=$!
until_true attached feed 2

# Alive: since when, and nobody is held up.
expect 0 myelon info feed
out_has "^producer  *alive, pid $pub, wait park, began [0-9.]* s ago$"
out_has '^worker  *[0-9]*  alive  *[0-9.]* s  *[0-9]*  *-  '
! grep -q '^hint' out || fail "a hint where all is well: $(cat out)"
flat feed >out
for word in '"since_ns":[1-9][0-9]*,"since":"20' '"blocked_ns":null,"blocked_since":null' \
	'"holds_up_ns":null,"holds_up_since":null' '"dead":0,'; do
	out_has "$word"
done
expect 0 myelon ls
out_has "^feed .* $pub  *-  *2  *0  "

# Killed, and then in the way.
kill -KILL "$worker"
wait "$worker" 2>/dev/null
cat input >&3 &
cat=$!
until_true blocked feed
sleep 0.3
expect 0 myelon info feed
out_has "^producer  *alive.* blocked for [0-9.]* s: needs everybody at [0-9]*$"
out_has "^consumers  *2 gating, .* 1 dead"
out_has "^worker  *$worker  dead  *[0-9.]* s  *[0-9]*  *[0-9.]* s  "
out_has '^hint  *worker is dead and holds the producer up for [0-9.]* s; .*: myelon evict feed worker$'
sed -n "s|^hint .*: myelon evict|'$MYELON_COMMAND' evict|p" out >hint
expect 0 myelon ls
out_has "^feed .* $pub  *[0-9.]* s  *2  *1  "
myelon info feed --json >out
valid_json out
json '.producer.blocked_ns >= 250000000 and .dead == 1 and
	(.consumers[] | select(.id == "worker") | .holds_up_ns >= 250000000 and .since_ns > .holds_up_ns) and
	(.consumers[] | select(.id == "other") | .holds_up_ns == null)' <out >/dev/null ||
	fail "info --json: $(cat out)"
expect 9 myelon info feed --stalled 10ms
one_sentence
err_has 'worker (dead, holds the producer up for [0-9.]* s)'
expect 4 myelon evict feed other
err_has "$other"

# The command of the hint, as it stands there.
expect 0 sh hint
wait "$cat"
until_true caught_up other 300000
state_is worker evicted || fail "not evicted: $(myelon info feed)"
expect 0 myelon info feed
out_has '^worker  *[0-9]*  evicted  *[0-9.]* s  '
! grep -q 'blocked for' out || fail "still blocked: $(cat out)"

# The same id comes back, is stopped, and evicted by force.
"${run[@]}" sub feed --id worker --start latest >worker2 3>&- &
worker=$!
until_true state_is worker alive
kill -STOP "$worker"
cat input >&3 &
cat=$!
until_true sh -c "'$MYELON_COMMAND' info feed --stalled 50ms; [ \$? -eq 9 ]"
until_true blocked feed
expect 9 myelon info feed --stalled 50ms
out_has '^hint  *worker is stalled and holds .*: myelon evict --force feed worker$'
err_has 'worker (stalled, holds the producer up for'
expect 4 myelon evict feed worker
expect 0 myelon evict feed worker --force
wait "$cat"
until_true caught_up other 600000
kill -CONT "$worker"
waited "$worker" 7
"${run[@]}" sub feed --id worker --start latest >worker3 3>&- &
worker=$!
until_true state_is worker alive

# Left in order: since when.
kill -TERM "$worker"
waited "$worker" 143
expect 0 myelon info feed
out_has '^worker  *[0-9]*  absent  *[0-9.]* s  '

# An end that is awaited is a wait for consumers, too, also made again and again.
"${run[@]}" sub feed --id worker --start latest >worker4 3>&- &
worker=$!
until_true state_is worker alive
kill -STOP "$worker"
exec 3>&-
long()
{
	flat feed | grep -q '"holds_up_ns":[1-9][0-9]\{9\}'
}
until_true long
kill -CONT "$worker"
waited "$worker" 0
waited "$other" 0
waited "$pub" 0
cat input input >twice
same twice other

# A producer that was killed while it waited is not blocked, but dead.
"${run[@]}" pub gone --wait-for 0 --window 64 --chunk 1K <input &
pub=$!
until_true blocked gone
kill -KILL "$pub"
wait "$pub" 2>/dev/null
expect 0 myelon info gone
out_has '^producer  *dead, '
! grep -q blocked out || fail "dead and blocked: $(cat out)"
expect 0 myelon ls
out_has '^gone .* dead  *-  '

# An id is what somebody wrote into shared memory; the command of a hint is safe to paste.
mkfifo feed3
"${run[@]}" pub hostile <feed3 &
pub=$!
exec 3>feed3
"${run[@]}" sub hostile --id victim >got 3>&- &
victim=$!
until_true attached hostile 1
kill -KILL "$victim"
wait "$victim" 2>/dev/null
printf '%s' "\$(touch pwned)';touch pwned;'" |
	dd of="$MYELON_SHM_DIR/myelon.hostile" bs=1 seek=$((3 * $(getconf PAGESIZE) + 128)) \
		conv=notrunc 2>/dev/null
expect 0 myelon info hostile
sed -n "s|^hint .*: myelon evict|'$MYELON_COMMAND' evict|p" out >hint
grep -q 'touch pwned' hint || fail "no hint for a hostile id: $(cat out)"
expect 2 sh hint
[ ! -e pwned ] || fail "the command of a hint ran what an id says: $(cat hint)"
kill -KILL "$pub"
wait "$pub" 2>/dev/null
exec 3>&-
expect 0 myelon rm hostile

# gc: what would go, what not and why; then it goes.
mkfifo feed2
"${run[@]}" pub used --wait-for 0 <feed2 &
pub=$!
exec 3>feed2
until_true has_ring used
ls -A "$MYELON_SHM_DIR" >before
expect 0 myelon gc --dry-run
out_has "^would remove $MYELON_SHM_DIR/myelon.gone .*: no process uses the ring$"
out_has "^would remove .*/myelon-data\..*: no process uses the ring$"
out_has "^kept $MYELON_SHM_DIR/myelon.used: in use by producer pid $pub$"
out_has "^kept $MYELON_SHM_DIR/myelon.feed: created to be kept"
out_has '^2 files would be removed, .*; 1 in use, 1 kept, 0 failed$'
grep '^would remove' out | sed 's/^would remove/removed/' | sort >want
ls -A "$MYELON_SHM_DIR" >after
same before after
expect 0 myelon gc --dry-run --json
valid_json out
json '.dry_run and .removed == 0 and .removable == 2 and ([.files[] | select(.removable)] | length == 2)' \
	<out >/dev/null || fail "gc --dry-run --json: $(cat out)"
same before after
expect 0 myelon gc
grep '^removed' out | sort >got
same want got
exec 3>&-
waited "$pub" 0
expect 0 myelon rm feed
expect 0 myelon gc --dry-run
out_has '^0 files would be removed'

finish
