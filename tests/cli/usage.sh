#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Wrong use is exit code 2 and one sentence; help and version work everywhere.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

wrong()
{
	expect 2 myelon "$@"
	one_sentence
}

expect 2 myelon
err_has '^Usage: '
wrong nonsense
err_has "'nonsense'"
wrong pub
err_has NAME
wrong pub a b
err_has "'b'"
wrong pub a --nonsense
err_has 'nonsense'
wrong pub a -x
wrong pub a --slot
err_has 'needs a value'
wrong pub a --keep=1
err_has 'no value'
wrong help nonsense

# Values
wrong pub a --slot ten
err_has "'ten'"
wrong pub a --slot 1T
wrong pub a --slot -64
wrong pub a --slot 99999999999999999999
wrong pub a --window 17179869184G
wrong pub a --window 4G
wrong pub a --wait-for 1025
wrong pub a --wait-prefix p
wrong pub a --wait-prefix p:0
wrong pub a --wait-prefix :3
wrong pub a --timeout soon
wrong pub a --timeout -1s
wrong pub a --timeout 3parsec
wrong pub a --wait fast
err_has 'spin-pause'
wrong pub a --backing floppy
wrong pub a --huge maybe
wrong pub a --node first
wrong pub a --cpu 60000
wrong pub a --profile fast
err_has 'low-power'
wrong pub a --open --profile pinned --fence full
wrong sub a --profile fast
wrong sub a --start yesterday
wrong sub a --count many
wrong sub a --follow --observe
wrong sub a --start resume
err_has 'needs --id'
wrong demo --chunk 0

# What the library refuses
for name in .hidden 'a b' 'a%b' "$(printf 'x%.0s' $(seq 65))" ''; do
	wrong pub "$name"
	wrong sub "$name"
	wrong info "$name"
	wrong rm "$name"
done
wrong sub a --id 'b c' --timeout 0
wrong pub a --slot 24 --wait-for 0
wrong pub a --window 1 --wait-for 0
wrong pub a --window 0
wrong pub a --chunk 8M --wait-for 0
err_has 'chunk'
wrong pub a --open --window 64
wrong pub a --backing file --wait-for 0

# Nobody there
expect 3 myelon sub absent --timeout 50ms
one_sentence
err_has absent
expect 3 myelon sub absent --timeout 0
expect 3 myelon info absent
expect 3 myelon rm absent
expect 3 myelon pub absent --open
expect 3 myelon pub lonely --timeout 50ms
one_sentence
expect 3 myelon pub lonely --wait-for-ids a,b --timeout 50ms
err_has a
expect 3 myelon pub lonely --wait-prefix w:2 --timeout 50ms
err_has w_
[ -z "$(ls "$MYELON_SHM_DIR")" ] || fail "a ring whose consumers did not come stays: $(ls "$MYELON_SHM_DIR")"

# Nobody reads: a full ring with a limit, and an end that is not read
head -c 1000000 /dev/zero >input
myelon pub full --wait-for 0 --window 1024 --stall-timeout 100ms <input 2>err
[ $? -eq 3 ] || fail "a ring that stays full"
one_sentence
mkfifo hold
"${run[@]}" sub undrained --id lazy >hold 3>&- 4<&- &
sub=$!
exec 3<hold
myelon pub undrained --drain-timeout 100ms <input 2>err
[ $? -eq 3 ] || fail "a stream that is not read to its end"
err_has lazy
cat <&3 >got
exec 3<&-
waited "$sub" 0
same input got

# Two of a name
mkfifo feed
"${run[@]}" pub twice --wait-for 0 <feed &
pub=$!
exec 3>feed
until_true has_ring twice
expect 4 myelon pub twice
one_sentence
err_has "$pub"
expect 4 myelon pub twice --open
one_sentence
expect 4 myelon pub twice --replace-dead
exec 3>&-
waited "$pub" 0

# Help
for command in pub sub ls info watch rm gc doctor hugepages demo; do
	expect 0 myelon "$command" --help
	out_has "^Usage: myelon $command"
	out_has '^Exit codes:'
	out_has '--shm-dir'
	cp out first
	expect 0 myelon help "$command"
	same first out
	awk 'length > 100 { exit 1 }' out || fail "help of $command is too wide"
done
expect 0 myelon help
expect 0 myelon --help
out_has '^  pub '
expect 0 myelon version
out_has '^myelon [0-9]'
expect 0 myelon --version

# Output that cannot be written
if [ -w /dev/full ]; then
	"$MYELON_COMMAND" help >/dev/full 2>err
	[ $? -eq 1 ] || fail "help to a full device"
	one_sentence
	"${run[@]}" pub toofull <input &
	pub=$!
	"$MYELON_COMMAND" sub toofull --id f >/dev/full 2>err
	[ $? -eq 1 ] || fail "sub to a full device"
	one_sentence
	expect 0 myelon sub toofull --id f
	same input out
	waited "$pub" 0
fi

finish
