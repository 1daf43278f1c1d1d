#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Rings of other users: shown as far as they may be read, left alone, and no failure of gc.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

other=(setpriv --reuid 65534 --regid 65534 --clear-groups "$MYELON_COMMAND")
if ! "${other[@]}" version >/dev/null 2>&1; then
	echo "SKIP: nobody else's rings: only root can be another user, who must be able to run $MYELON_COMMAND"
	exit 77
fi
chmod 1777 "$MYELON_SHM_DIR"

# One of root's, seen by somebody else
myelon pub roots --keep --wait-for 0 </dev/null || fail "pub --keep"
expect 0 "${other[@]}" gc
out_has "^kept $MYELON_SHM_DIR/myelon.roots: it belongs to another user$"
out_has '1 kept, 0 failed$'
expect 0 "${other[@]}" ls
out_has '^roots  *unreadable: .*belongs to user 0 and has mode 0600'
for command in 'info roots' 'rm roots' 'pub roots' 'sub roots'; do
	# shellcheck disable=SC2086  # words on purpose
	expect 1 "${other[@]}" $command
	one_sentence
	err_has 'belongs to user 0 and has mode 0600.*--group'
done
# Who asks for other users' files and does not get them is told.
expect 1 "${other[@]}" gc --any-owner
out_has '0 kept, [12] failed$' # the data file may lie where it cannot be seen
[ "$(grep -c "$MYELON_SHM_DIR.*$MYELON_SHM_DIR" out)" -eq 0 ] || fail "the path twice: $(cat out)"

# One of somebody else's, seen by root
expect 0 "${other[@]}" pub theirs --keep --wait-for 0
expect 0 myelon ls
out_has '^theirs  *framed'
expect 0 myelon info theirs
for command in 'rm theirs' 'pub theirs --open' 'sub theirs'; do
	# shellcheck disable=SC2086  # words on purpose
	expect 1 myelon $command
	one_sentence
	err_has 'belongs to user 65534.*--any-owner'
done
expect 4 myelon pub theirs
one_sentence
err_has 'belongs to user 65534'
expect 0 myelon gc
out_has '2 kept, 0 failed$'
expect 0 myelon rm theirs --any-owner
expect 0 myelon rm roots

finish
