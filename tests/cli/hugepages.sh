#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# hugepages show, reserve, mount: what they tell, what they change, what they refuse.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

wrong()
{
	expect 2 myelon hugepages "$@"
	one_sentence
}
wrong
wrong list
err_has "'list'"
wrong show more
wrong show --pages 3
wrong reserve
err_has '--pages'
wrong reserve 3 --pages 3
wrong reserve --pages 0
wrong reserve --pages 3 --node first
wrong mount
wrong mount somewhere --pages 3
expect 0 myelon hugepages show
expect 0 myelon hugepages show --json
valid_json out

pools=/sys/kernel/mm/hugepages
if ! [ -d "$pools"/hugepages-2048kB ]; then
	echo "SKIP: hugepages: the kernel has no 2 MiB pages"
	skipped=77
	finish
fi
expect 2 myelon hugepages show --json --hugetlb-dir /
one_sentence
[ ! -s out ] || fail "JSON and an error: $(cat out)"
wrong reserve --size 3M --pages 1
err_has '3145728'
wrong mount somewhere --size 3M
[ ! -e somewhere ] || fail "a directory is made for a size that is not there"
wrong reserve --size 2M --pages 1 --node 999
err_has 'node 999'
: >file
expect 1 myelon hugepages mount file --size 2M
one_sentence
err_has 'file is not a directory'
expect 1 myelon hugepages mount no/where --size 2M
one_sentence

# What is shown is what there is.
count() { cat "$pools/hugepages-2048kB/$1"; }
expect 0 myelon hugepages show --size 2M
out_has '^POOL '
out_has '^2 MiB  *all '
! grep -q '^1 GiB' out || fail "--size 2M shows others: $(cat out)"

if [ "$(id -u)" -ne 0 ]; then
	expect 1 myelon hugepages reserve --size 2M --pages 100000000
	echo "SKIP: root: only root reserves and mounts"
	finish
fi

# Nobody else changes the pool from here on, and it gets its size back.
exec 9>/run/lock/myelon-hugepages.lock
flock 9
before=$(count nr_hugepages)
put_back() { echo "$before" >"$pools"/hugepages-2048kB/nr_hugepages 2>/dev/null; }
trap put_back EXIT

expect 0 myelon hugepages show --size 2M --json
valid_json out
json --argjson n "$before" '.pools[0] | .node == null and .page_size == 2097152 and .total == $n' \
	<out >/dev/null || fail "show --json: $(cat out)"

# As somebody without rights, the command for root is told; and it works.
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "${run[@]}" "$@"; }
want=$(($(count free_hugepages) - $(count resv_hugepages) + 2))
if as_nobody version >/dev/null 2>&1; then
	expect 1 as_nobody hugepages reserve --size 2M --pages "$want"
	one_sentence
	err_has CAP_DAC_OVERRIDE
	err_has "as root: myelon hugepages reserve --size 2M --pages $want, or: echo $((before + 2)) > $pools/"
	expect 0 as_nobody hugepages show
	expect 1 as_nobody hugepages mount "$PWD/nobody"
	one_sentence
else
	echo "SKIP: nobody: another user cannot run the command here"
fi
myelon hugepages reserve --size 2M --pages "$want" >out 2>err
code=$?
if grep -q 'Read-only' err || { [ $code -ne 0 ] && ! echo "$before" >"$pools"/hugepages-2048kB/nr_hugepages; }; then
	echo "SKIP: hugepages: root may not change the pool here"
	finish
fi
[ $code -eq 0 ] || fail "reserve ends with $code: $(cat err)"
out_has "^$want pages of 2 MiB are free"
[ "$(count nr_hugepages)" -eq $((before + 2)) ] || fail "not 2 pages were added"
expect 0 myelon hugepages reserve --pages "$want" --json
json --argjson n "$want" '.free_before == $n and .free == $n' <out >/dev/null ||
	fail "reserve --json: $(cat out)"
[ "$(count nr_hugepages)" -eq $((before + 2)) ] || fail "what was free was added again"
expect 1 myelon hugepages reserve --size 2M --pages 100000000
one_sentence
err_has 'do not fit into memory'

# Mounts, where nobody else sees them.
cat >mounts <<'TEXT'
set -e
"$1" hugepages mount made --size 2M
"$1" hugepages mount made --size 2M
grep -c ' [^ ]*/made hugetlbfs ' /proc/self/mounts >times
"$1" hugepages show >shown
"$1" hugepages show --json --hugetlb-dir "$PWD/made" >shown.json
"$1" pub ring --huge require --hugetlb-dir "$PWD/made" --wait-for 0 --no-drain </dev/null
"$1" hugepages mount made --size 1G 2>taken && exit 9
mount -t tmpfs none /sys/kernel/mm/hugepages
"$1" hugepages show >none
"$1" hugepages reserve --pages 3 2>none.reserve && exit 9
exit 0
TEXT
if unshare -m true 2>/dev/null; then
	expect 0 unshare -m bash mounts "$MYELON_COMMAND"
	[ "$(cat times)" = 1 ] || fail "mounted $(cat times) times"
	grep -q "^2 MiB .* yes  *$PWD/made" shown || fail "show: $(cat shown)"
	json '.mounts | length == 1 and .[0].limit == null and .[0].usable' <shown.json >/dev/null ||
		fail "show --json: $(cat shown.json)"
	grep -q 'made' taken || fail "another size at the same place: $(cat taken)"
	grep -q '^this kernel has no huge pages' none || fail "without huge pages: $(cat none)"
	grep -q 'no huge pages' none.reserve || fail "reserve without huge pages: $(cat none.reserve)"
	rmdir made || fail "the directory for the mount is not as it was made"
else
	echo "SKIP: root: no mount namespace, so mounts are not tried"
fi

finish
