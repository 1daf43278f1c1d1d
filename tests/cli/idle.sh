#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# A sub that has nothing to do: it sleeps, and ends when it should.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

echo hello >input

# start NAME SUB-OPTION...: a pub that has sent the input and waits for more, and a sub that has
# written it to a pipe whose other end is descriptor 4.
start()
{
	local name=$1
	shift
	rm -f feed out.pipe err
	mkfifo feed out.pipe
	"${run[@]}" pub "$name" --wait-for 0 --unattended overwrite <feed &
	pub=$!
	exec 3>feed
	until_true has_ring "$name"
	"${run[@]}" sub "$name" "$@" >out.pipe 2>err 3>&- &
	sub=$!
	exec 4<out.pipe
	# An observer is there when it maps the ring.
	until_true maps_ring "$sub"
	cat input >&3
	head -c 6 <&4 >got
	same input got
}

# Nobody reads any more: known before there is something to write.
for options in '' '--wait park' '--wait spin-pause' '--wait sleep' --observe '--progress always'; do
	# shellcheck disable=SC2086  # words on purpose
	start closed --start oldest $options
	exec 4<&-
	waited "$sub" 1
	err_has 'whoever read stdout has closed it'
	exec 3>&-
	waited "$pub" 0
done

# Neither while it waits for the next producer
start gone --follow --id f
kill -KILL "$pub"
waited "$pub" 137
until_true grep -q 'waiting for the next one' err
exec 4<&-
waited "$sub" 1
exec 3>&-
expect 0 myelon gc

for options in '' '--wait park' --observe; do
	for signal in INT:130 TERM:143 HUP:129; do
		# shellcheck disable=SC2086
		start stopped --start oldest $options
		kill -"${signal%:*}" "$sub"
		waited "$sub" "${signal#*:}"
		exec 3>&- 4<&-
		waited "$pub" 0
	done
done

# The producer dies: all it published is there, and the exit code says so.
for options in '' '--wait park' --observe; do
	# shellcheck disable=SC2086
	start died --start oldest $options
	kill -KILL "$pub"
	waited "$pub" 137
	waited "$sub" 5
	exec 3>&- 4<&-
	expect 0 myelon gc
done

# It sleeps: the kernel counts how often it did. No sleep is longer than a second, so it does some.
sleeps()
{
	sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' "/proc/$sub/task/"*/status |
		awk '{ n += $1 } END { print n }'
}
for options in '' '--wait park'; do
	# shellcheck disable=SC2086
	start asleep $options --id a
	sleep 0.5
	before=$(sleeps)
	sleep 2
	n=$(($(sleeps) - before))
	[ "$n" -le 12 ] || fail "an idle sub $options went to sleep $n times in 2 s"
	exec 3>&-
	waited "$pub" 0
	waited "$sub" 0
	exec 4<&-
done

finish
