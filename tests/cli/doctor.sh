#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# doctor: what it prints, when it fails, and that its advice helps.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

# state ID [ARG...]: of one check; look ID FIELD [ARG...]: any field.
look()
{
	local id=$1 field=$2
	shift 2
	myelon doctor --json "$@" 2>/dev/null | jq -r --arg id "$id" ".checks[] | select(.id == \$id) | .$field"
}
state()
{
	local id=$1
	shift
	look "$id" state "$@"
}
is()
{
	local want=$1 got
	shift
	got=$(state "$@")
	[ "$got" = "$want" ] || fail "the check $* is '$got' instead of '$want': $(look "$1" found "${@:2}")"
}

wrong()
{
	expect 2 myelon doctor "$@"
	one_sentence
}
wrong --profile fast
err_has 'low-power'
wrong something

if ! command -v jq >/dev/null; then
	echo "SKIP: JSON is not looked into: jq is not installed"
	skipped=77
	finish
fi

# Whatever the machine is like: every check is complete, and the exit code says what the checks say.
complete='(.checks | length) > 30 and ([.checks[].id] | unique | length) == (.checks | length) and
	all(.checks[]; (.id | length) > 0 and (.group | length) > 0 and (.found | length) > 0 and
	(.why | endswith(".")) and (.state | IN("ok", "note", "warn", "fail")) and has("fix") and
	(.state | IN("warn", "fail") | not) or (.fix | length) > 0) and
	.ready == all(.checks[]; .state != "fail")'
for profile in '' pinned numa low-power; do
	# shellcheck disable=SC2086  # none, or two words
	myelon doctor --json ${profile:+--profile $profile} >out 2>err
	code=$?
	[ ! -s err ] || fail "doctor writes to stderr: $(cat err)"
	valid_json out
	jq -e "$complete" <out >/dev/null || fail "incomplete: $(cat out)"
	jq -e --arg p "$profile" '.profile == (if $p == "" then null else $p end)' <out >/dev/null ||
		fail "not the profile asked for: $(head -3 out)"
	fails=$(jq '[.checks[] | select(.state == "fail")] | length' <out)
	want=$((fails > 0 ? 8 : 0))
	[ "$code" -eq "$want" ] || fail "exit code $code with $fails failing checks of profile '$profile'"
	jq -r '.checks[].id' <out >ids
	# shellcheck disable=SC2086
	expect "$want" myelon doctor ${profile:+--profile $profile}
	tail -1 out | grep -q "^ready for ${profile:-rings in general}: .*, $fails to fix" ||
		fail "the last line is '$(tail -1 out)', and $fails checks fail"
	awk '$1 ~ /^(ok|note|warn|fail)$/ && /^  / { print $2 }' out >shown
	same ids shown
done
is ok shm

# A directory that is not there
expect 8 myelon doctor --shm-dir nowhere
out_has '^  fail  shm .*nowhere'
MYELON_SHM_DIR=$PWD/nowhere expect 8 myelon doctor
out_has "fix: mkdir -p $PWD/nowhere && mount -t tmpfs"

# In a namespace of its own the process knows
if unshare --pid --fork --mount-proc true 2>/dev/null; then
	unshare --pid --fork --mount-proc "$MYELON_COMMAND" doctor >out
	out_has '^  note  pid-namespace  *a nested one'
else
	echo "SKIP: no other pid namespace: unshare is not permitted here"
	skipped=77
fi

if [ "$(id -u)" -ne 0 ] || ! setpriv --reuid 65534 --regid 65534 --clear-groups "$MYELON_COMMAND" version >out 2>&1; then
	echo "SKIP: no advice is followed: only root can, and be another user, who must be able to run $MYELON_COMMAND"
	skipped=77
	finish
fi

# As somebody who may do little
nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all "$MYELON_COMMAND")
chmod 711 "$MYELON_TEST_TMP"
mkdir -m 700 private
expect 8 "${nobody[@]}" doctor --shm-dir "$PWD/private"
out_has '^  fail  shm .*may not be written by user 65534'
out_has "fix: chmod 1777 $PWD/private"
out_has '^  note  cap-sys-admin  *no$'
"${nobody[@]}" doctor --json --shm-dir "$PWD/private" >out
jq -e "$complete" <out >/dev/null || fail "incomplete for nobody: $(cat out)"
sh -c "$(jq -r '.checks[] | select(.id == "shm") | .fix' <out)"
expect 0 "${nobody[@]}" doctor --shm-dir "$PWD/private"
out_has '^  ok    shm '

# A limit on locked memory, without the capability that lifts it, for this shell and its children
(
	ulimit -l 64
	"${nobody[@]}" doctor --json --profile pinned >out
	jq -e '.checks[] | select(.id == "memlock") | .state == "warn" and (.found | startswith("64 KiB"))' <out >/dev/null ||
		fail "memlock: $(jq '.checks[] | select(.id == "memlock")' <out)"
	exit "$failures"
) || failures=$((failures + 1))

# A shm directory as small as a container's, or smaller
mkdir tiny
if mount -t tmpfs -o size=1M,mode=1777 tmpfs tiny 2>/dev/null; then
	expect 8 myelon doctor --shm-dir "$PWD/tiny"
	is fail shm-space --shm-dir "$PWD/tiny"
	is warn shm-limit --shm-dir "$PWD/tiny"
	for profile in pinned numa low-power; do
		is fail shm-space --shm-dir "$PWD/tiny" --profile "$profile"
	done
	mount -o remount,size=64M tiny
	look shm-limit found --shm-dir "$PWD/tiny" >out
	out_has 'the default of containers'
	expect 0 myelon doctor --shm-dir "$PWD/tiny"
	mount -o remount,size=1M tiny
	sh -c "$(look shm-space fix --shm-dir "$PWD/tiny")"
	is ok shm-space --shm-dir "$PWD/tiny"
	expect 0 myelon doctor --shm-dir "$PWD/tiny"
	umount tiny
else
	echo "SKIP: no small tmpfs: mount is not permitted here"
	skipped=77
fi

# Huge pages: with the lock of whoever changes the pool, none are free; the advice; as it was.
pool=/sys/kernel/mm/hugepages/hugepages-2048kB
restore_pool()
{
	# By how much it was changed, so that what others did meanwhile stays.
	[ "$changed" -eq 0 ] || echo $(($(cat "$pool/nr_hugepages") - changed)) >"$pool/nr_hugepages"
	changed=0
}
change_pool()
{
	local before after
	before=$(cat "$pool/nr_hugepages")
	"$@"
	after=$(cat "$pool/nr_hugepages")
	changed=$((changed + after - before))
}
take_free()
{
	local total free reserved
	read -r total <"$pool/nr_hugepages"
	read -r free <"$pool/free_hugepages"
	read -r reserved <"$pool/resv_hugepages"
	echo $((total - free + reserved)) >"$pool/nr_hugepages"
}
if [ -w "$pool/nr_hugepages" ]; then
	exec 9>/run/lock/myelon-hugepages.lock
	flock 9
	changed=0
	trap restore_pool EXIT
	change_pool take_free
	is fail hugepages-2M --profile pinned
	is note hugepages-2M --profile low-power
	is note hugepages-2M
	expect 8 myelon doctor --profile pinned
	change_pool sh -c "$(look hugepages-2M fix --profile pinned)"
	is ok hugepages-2M --profile pinned
	is ok hugepages-2M-node0 --profile numa
	restore_pool
	trap - EXIT
	exec 9>&-
else
	echo "SKIP: no huge pages: $pool/nr_hugepages may not be written"
	skipped=77
fi

# A place for them
mkdir huge
is fail hugetlbfs --profile pinned --hugetlb-dir "$PWD/huge"
if sh -c "$(look hugetlbfs fix --profile pinned --hugetlb-dir "$PWD/huge")" 2>/dev/null; then
	is ok hugetlbfs --profile pinned --hugetlb-dir "$PWD/huge"
	umount huge
else
	echo "SKIP: no hugetlbfs: mount is not permitted here"
	skipped=77
fi

finish
