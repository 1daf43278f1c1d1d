#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# A ring at a path survives its processes and is read again.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

seq 1 1000 >first
seq 1001 1500 >second
expect 0 sh -c "'$MYELON_COMMAND' pub ./ring --wait-for 0 <first"
[ -f ring ] || fail "no control file at the path: $(ls)"
[ -f ring.data ] || fail "no data file at the path: $(ls)"
expect 0 myelon info ./ring
out_has 'file'
out_has '^producer  *closed'

# Read by two, later, each from the beginning.
for id in a b; do
	expect 0 myelon sub "$PWD/ring" --id "$id" --start oldest
	same first out
done

# Reopened, the sequence goes on; an id goes on behind the first stream, a new one reads both.
expect 0 sh -c "'$MYELON_COMMAND' pub ./ring --open --wait-for 0 <second"
expect 0 myelon info ./ring --json
json '.epoch == 2 and .backing == "file"' <out >/dev/null || fail "info: $(cat out)"
expect 0 myelon sub ./ring --id a
same second out
expect 0 myelon sub ./ring --id c --start oldest
same first out
expect 0 myelon sub ./ring --id c
same second out

# Without --open the files are in the way; gc leaves them alone; rm takes them.
expect 4 myelon pub ./ring --wait-for 0
expect 0 myelon gc
[ -f ring ] || fail "gc took a plain file"
expect 0 myelon rm ./ring
[ ! -e ring ] || fail "rm left the control file"
[ ! -e ring.data ] || fail "rm left the data file"

finish
