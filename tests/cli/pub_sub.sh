#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# What goes into pub comes out of every sub, byte for byte.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

round_trip()
{
	local input=$1 name=$2 pids='' i
	shift 2
	for i in 1 2 3; do
		"${run[@]}" sub "$name" --id "s$i" --json >"got$i" 2>"log$i" 3>&- 4<&- &
		pids="$pids $!"
	done
	myelon pub "$name" --wait-for 3 --json "$@" <"$input" 2>publog || fail "pub $name: $(cat publog)"
	for i in $pids; do
		waited "$i" 0
	done
	for i in 1 2 3; do
		same "$input" "got$i"
		valid_json "log$i"
		json '.verified and .lost == 0 and .end == "end"' <"log$i" >/dev/null ||
			fail "summary: $(cat "log$i")"
	done
	json --argjson n "$(stat -c %s "$input")" '.bytes == $n' <publog >/dev/null ||
		fail "summary of pub: $(cat publog)"
}

: >empty
printf x >one
head -c 10000000 /dev/urandom >ten
round_trip empty empty
round_trip one one
round_trip ten ten
round_trip ten small_window --window 128 --chunk 1000
round_trip ten large_slot --slot 4096 --window 64
round_trip ten tiny_slot --slot 16 --window 4096 --wait park
round_trip ten full_fence --fence full --wait sleep --backing shm

# A pipe gives short reads; consumers of all strategies; sub starts first and waits for the ring.
pids=''
for wait in adaptive spin spin-pause yield sleep park; do
	"${run[@]}" sub strategies --wait "$wait" --id "$wait" >"got_$wait" 3>&- 4<&- &
	pids="$pids $!"
done
head -c 2000000 ten | myelon pub strategies --wait-prefix spin:0 2>err && fail "a prefix of none was accepted"
head -c 2000000 ten >two
myelon pub strategies --wait-for-ids adaptive,spin,spin-pause,yield,sleep,park < <(cat two) ||
	fail "pub to six strategies"
for pid in $pids; do
	waited "$pid" 0
done
for wait in adaptive spin spin-pause yield sleep park; do
	same two "got_$wait"
done

# By prefix, pinned; a slow reader of stdout holds the others up and loses nothing.
myelon sub prefix --id w_0 --cpu 0 | (
	sleep 0.3
	cat
) >got0 &
slow=$!
"${run[@]}" sub prefix --id w_1 --cpu 0 >got1 3>&- 4<&- &
fast=$!
myelon pub prefix --wait-prefix w:2 --window 1024 --chunk 4K --cpu 0 <ten || fail "pub by prefix"
waited "$slow" 0
waited "$fast" 0
same ten got0
same ten got1

# --count takes that many messages and no more.
"${run[@]}" sub counted --id c --count 2 >got 3>&- 4<&- &
pid=$!
head -c 1000 ten >input
myelon pub counted --chunk 100 --no-drain <input || fail "pub to a sub that leaves early"
waited "$pid" 0
head -c 200 input >want
same want got

# A closed output ends sub with an error, and the stream goes on for the others.
"${run[@]}" sub closed --id early 2>early_err | head -c 10 >/dev/null 3>&- 4<&- &
"${run[@]}" sub closed --id late >got 3>&- 4<&- &
pid=$!
myelon pub closed --wait-for 2 <ten || fail "pub to a closed pipe"
waited "$pid" 0
same ten got
grep -q 'stdout' early_err || fail "a closed stdout is not named: $(cat early_err)"

finish
