#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# ls, info, rm: what they show and what they refuse.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

# No rings: an empty answer, not an error.
expect 0 myelon ls
[ ! -s out ] || fail "ls of nothing prints: $(cat out)"
expect 0 myelon ls --json
valid_json out
json '.rings == []' <out >/dev/null || fail "ls --json of nothing: $(cat out)"

mkfifo feed
"${run[@]}" pub alive --slot 128 --window 1024 --wait park <feed &
pub=$!
exec 3>feed
"${run[@]}" sub alive --id reader --wait park >got 3>&- 4<&- &
sub=$!
until_true attached alive 1

expect 0 myelon ls
out_has '^alive '
out_has " $pub "
expect 0 myelon ls --json
valid_json out
json --argjson pid "$pub" '.rings | length == 1 and .[0].name == "alive" and
	.[0].producer.pid == $pid and .[0].slot_size == 128 and .[0].window == 1024' <out >/dev/null ||
	fail "ls --json: $(cat out)"

# The consumer waits for a message, so sooner or later it sleeps.
sleeps()
{
	myelon info alive | grep -q '^reader .* park  *yes '
}
until_true sleeps
expect 0 myelon info alive
for word in '^kind  *framed' '^memory ' '^placement ' '^why ' '^data ' '^modes  *fence ' \
	"^producer  *alive, pid $pub, wait park" '^consumers  *1 gating, room for 64'; do
	out_has "$word"
done
out_has "^reader  *$sub  *alive .* park "
expect 0 myelon info alive --json
valid_json out
json --argjson pid "$sub" '.kind == "framed" and (.reason | length > 0) and .page_size >= 4096 and
	.published >= 0 and (.consumers | length == 1) and .consumers[0].id == "reader" and
	.consumers[0].pid == $pid and .consumers[0].wait == "park" and .consumers[0].gating' <out \
	>/dev/null || fail "info --json: $(cat out)"

# A ring in use is not removed; the holders are named.
expect 4 myelon rm alive
one_sentence
err_has "$pub"
err_has "$sub"
err_has '--force'
expect 4 myelon rm alive --json
valid_json out
json '.rings[0].removed == false' <out >/dev/null || fail "rm --json: $(cat out)"
expect 0 myelon gc
has_ring alive || fail "gc took a ring that is used"
expect 0 myelon gc --json
valid_json out
json '.removed == 0' <out >/dev/null || fail "gc --json: $(cat out)"

# --force takes only the name: the stream goes on.
expect 0 myelon rm alive --force
expect 3 myelon info alive
one_sentence
expect 3 myelon rm alive
head -c 100000 /dev/urandom >input
cat input >&3
exec 3>&-
waited "$pub" 0
waited "$sub" 0
same input got

# A kept ring stays, resumes, and goes by rm.
"${run[@]}" sub kept --id k >got 3>&- 4<&- &
sub=$!
myelon pub kept --keep <input || fail "pub --keep"
waited "$sub" 0
expect 0 myelon gc
out_has '^kept .*--keep'
expect 0 myelon info kept
out_has keep
out_has '^producer  *closed'
expect 4 myelon pub kept
err_has kept
"${run[@]}" sub kept --id k --start resume --follow >got 3>&- 4<&- &
sub=$!
until_true attached kept 1
myelon pub kept --open <input || fail "pub --open"
waited "$sub" 0
same input got
expect 0 myelon info kept --json
json '.epoch == 2 and .keep' <out >/dev/null || fail "epoch: $(cat out)"
expect 0 myelon rm kept --json
json '.rings[0].removed' <out >/dev/null || fail "rm --json: $(cat out)"

# A file that is no ring is shown, not trusted.
echo rubbish >"$MYELON_SHM_DIR/myelon.rubbish"
expect 0 myelon ls
out_has '^rubbish  *unreadable: '
expect 0 myelon ls --json
valid_json out
expect 1 myelon info rubbish
one_sentence
# A name that such a file has is taken; going on with it is not what helps.
expect 4 myelon pub rubbish
one_sentence
err_has '--replace-dead'
! grep -q -- '--open' err || fail "going on with rubbish is recommended: $(cat err)"
: >"$MYELON_SHM_DIR/myelon.empty"
expect 4 myelon pub empty
! grep -q -- '--open' err || fail "going on with nothing is recommended: $(cat err)"
# gc takes what a ring may have become, not what never was one.
expect 0 myelon gc
out_has "^kept $MYELON_SHM_DIR/myelon.rubbish: not a ring"
expect 0 myelon rm rubbish

# --shm-dir looks elsewhere.
mkdir other
expect 0 myelon ls --shm-dir other
for command in ls gc 'pub a' 'sub a' 'info a' 'rm a' 'demo input'; do
	# shellcheck disable=SC2086  # words on purpose
	expect 1 myelon $command --shm-dir nowhere
	one_sentence
	err_has 'no directory nowhere: create it'
done
expect 1 myelon ls --shm-dir nowhere
one_sentence

finish
