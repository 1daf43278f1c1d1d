#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# --lines: one message per line.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

# Empty lines, a very long one (longer than the ring: fragments), no newline at the end.
{
	seq 1 20000
	printf '\n\n'
	head -c 300000 /dev/zero | tr '\0' x
	printf '\n\nlast'
} >input
"${run[@]}" sub lines --lines --json >got 2>log 3>&- 4<&- &
sub=$!
myelon pub lines --lines --window 512 <input || fail "pub --lines"
waited "$sub" 0
{
	cat input
	echo
} >want
same want got
json --argjson n "$(wc -l <want)" '.messages == $n and .verified' <log >/dev/null ||
	fail "messages: $(cat log)"

# Without --lines on the other side the newlines are gone.
"${run[@]}" sub joined >got 3>&- 4<&- &
sub=$!
printf 'a\nb\n\nc\n' | myelon pub joined --lines || fail "pub --lines"
waited "$sub" 0
printf abc >want
same want got

# A line is sent when it is there, not when the input ends.
mkfifo feed
"${run[@]}" pub live --lines <feed &
pub=$!
exec 3>feed
"${run[@]}" sub live --lines >got 3>&- 4<&- &
sub=$!
until_true attached live 1
echo first >&3
until_true at_least got 6
echo second >&3
until_true at_least got 13
exec 3>&-
waited "$pub" 0
waited "$sub" 0
printf 'first\nsecond\n' >want
same want got

finish
