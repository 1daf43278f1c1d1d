#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Every row of the table of exit codes in myelon.1, made to happen.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2094,SC2317
. "$(dirname "$0")/lib.sh"

alive()
{
	myelon info "$1" 2>/dev/null | grep -q "^$2  *[0-9]*  alive "
}

# 0: nothing to do is done
expect 0 myelon ls
expect 0 myelon gc
expect 0 myelon gc --dry-run

# 1: the system
for command in ls gc 'info a' 'evict a b' 'rm a'; do
	# shellcheck disable=SC2086  # words on purpose
	expect 1 myelon $command --shm-dir nowhere
done
echo rubbish >"$MYELON_SHM_DIR/myelon.rubbish"
expect 1 myelon info rubbish
expect 1 myelon evict rubbish a
expect 0 myelon rm rubbish

# 2: wrong use
expect 2 myelon nonsense
for command in info 'info a b' 'info a --stalled soon' 'info a --stalled forever' evict 'evict a' \
	'evict a b c' 'evict a .b' rm 'gc a' 'gc --nonsense' 'ls a' 'pub a b' 'sub'; do
	# shellcheck disable=SC2086  # words on purpose
	expect 2 myelon $command
done

# 3: no such ring or consumer, nobody came
for command in 'info a' 'info a --stalled 1ms' 'evict a b' 'rm a' 'sub a --timeout 0' \
	'pub a --timeout 10ms' 'pub a --open'; do
	# shellcheck disable=SC2086  # words on purpose
	expect 3 myelon $command
done

mkfifo feed
"${run[@]}" pub feed <feed &
pub=$!
exec 3>feed
"${run[@]}" sub feed --id a >got 3>&- &
sub=$!
until_true alive feed a
expect 3 myelon evict feed nobody

# 4: in use, lives
expect 4 myelon pub feed
expect 4 myelon sub feed --id a
expect 4 myelon rm feed
expect 4 myelon evict feed a
expect 0 myelon info feed --stalled 1ms

# 9: dead; then evicted, and not again
kill -KILL "$sub"
wait "$sub" 2>/dev/null
expect 9 myelon info feed --stalled 1ms
expect 9 myelon info feed --stalled 1ms --json
expect 0 myelon info feed
expect 0 myelon evict feed a
expect 0 myelon evict feed a
expect 0 myelon info feed --stalled 1ms

# 5, 6, 130, 143: how a stream ends
"${run[@]}" sub feed --id b >got 3>&- &
sub=$!
until_true alive feed b
kill -INT "$sub"
waited "$sub" 130
"${run[@]}" sub feed --id b >got 3>&- &
sub=$!
until_true alive feed b
kill -TERM "$pub"
waited "$pub" 143
waited "$sub" 6
exec 3>&-
"${run[@]}" pub feed <feed &
pub=$!
exec 3>feed
"${run[@]}" sub feed --id b >got 3>&- &
sub=$!
until_true alive feed b
kill -KILL "$pub"
waited "$sub" 5
exec 3>&-

# 7: evicted alive, so what it had not read may be lost
"${run[@]}" pub lossy <feed &
pub=$!
exec 3>feed
"${run[@]}" sub lossy --id c >got 3>&- &
sub=$!
until_true alive lossy c
expect 0 myelon evict lossy c --force
waited "$sub" 7
exec 3>&-
kill -TERM "$pub"
waited "$pub" 143

# 8: the machine. Whatever it is, nothing else may come.
myelon doctor --profile pinned >out 2>err
code=$?
case $code in
0 | 8) ;;
*) fail "doctor: exit code $code" ;;
esac
if grep -q '^ *fail ' out; then
	[ "$code" -eq 8 ] || fail "doctor fails with exit code $code"
fi

# The table has a row for each.
sed -n '/^.SH EXIT STATUS/,/^.SH ENV/p' "$MYELON_SOURCE_DIR/docs/man/myelon.1" >table
for code in 0 1 2 3 4 5 6 7 8 9 130 143; do
	grep -q "^.BR* .*$code" table || fail "no row for exit code $code"
done

expect 0 myelon gc
finish
