#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# An observer sees the stream and never holds it up.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

# All of a stream that fits: nothing is lost.
head -c 100000 /dev/urandom >input
mkfifo feed
"${run[@]}" pub seen --wait-for 0 <feed &
pub=$!
exec 3>feed
until_true has_ring seen
"${run[@]}" sub seen --observe --start oldest --json >got 2>log 3>&- 4<&- &
observer=$!
until_true maps_ring "$observer"
cat input >&3
exec 3>&-
until_true at_least got 100000
waited "$pub" 0
waited "$observer" 0
same input got
json '.lost == 0 and .id == null' <log >/dev/null || fail "summary: $(cat log)"

# An observer whose output is stuck is overtaken: the producer and the consumer go on, and it says
# what it lost.
head -c 4000000 /dev/urandom >input
mkfifo stuck feed2
"${run[@]}" pub passed --window 1024 --chunk 8K <feed2 &
pub=$!
exec 3>feed2
until_true has_ring passed
"${run[@]}" sub passed >got 3>&- 4<&- &
sub=$!
"${run[@]}" sub passed --observe --json >stuck 2>log 3>&- 4<&- &
observer=$!
exec 4<stuck
until_true attached passed 1
until_true maps_ring "$observer"
head -c 100000 input >&3
head -c 8000 <&4 >seen
tail -c +100001 input >&3
exec 3>&-
waited "$pub" 0
waited "$sub" 0
same input got
cat <&4 >>seen
exec 4<&-
waited "$observer" 7
json '.lost > 0 and .exit == 7' <(tail -1 log) >/dev/null || fail "summary: $(cat log)"
at_least seen 8000 || fail "the observer saw nothing"
at_least seen 4000000 && fail "the observer saw everything though it was stuck"

expect 2 myelon sub x --observe --id me
err_has observe

finish
