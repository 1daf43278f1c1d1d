#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# The demo sends a file to four processes and checks the sums; sha256sum is the third opinion.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

head -c 5000001 /dev/urandom >input
expect 0 myelon demo input
out_has 'all four SHA-256 sums equal'
[ "$(grep -c "$(sha256sum <input | cut -d' ' -f1)" out)" -eq 5 ] || fail "not five times sha256sum's: $(cat out)"
[ "$(grep -c ' same$' out)" -eq 4 ] || fail "four times the same: $(cat out)"

expect 0 myelon demo input --json --chunk 100000 --ring 1M --repeat 3
valid_json out
json --arg sum "$(cat input input input | sha256sum | cut -d' ' -f1)" '.verified and
	.file.sha256 == $sum and .producer.bytes == 15000003 and
	([.consumers[].wait] | unique | length == 4) and
	([.consumers[].pid] | unique | length == 4) and
	all(.consumers[]; .sha256 == $sum and .bytes == 15000003)' <out >/dev/null ||
	fail "demo --json: $(cat out)"

: >empty
expect 0 myelon demo empty
expect 1 myelon demo nowhere
one_sentence
expect 2 myelon demo /dev/null
one_sentence
expect 2 myelon demo input --chunk 4M
err_has 'chunk'

# A consumer that is killed is noticed: no hang, no success, nothing left.
head -c 300000000 /dev/zero >large
"${run[@]}" demo large --chunk 4K >out 2>err &
demo=$!
victim()
{
	pgrep -P "$demo" -f 'demo-consumer .*demo_2' >victim
}
until_true victim
kill -KILL "$(head -1 victim)"
wait "$demo"
[ $? -eq 1 ] || fail "a killed consumer: $(cat out err)"
expect 0 myelon gc

finish
