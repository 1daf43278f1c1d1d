#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Runs one test program in directories of its own and judges what it leaves behind.
#
#   run.sh --kind criterion|plain|script --name NAME [--timeout S] [--scale N] [--sanitize S] -- PROGRAM [ARG...]
#
# Exit: 0 passed, 77 skipped (all of it), anything else failed. Skips are printed as
# "SKIP: test: reason" and, if MYELON_SKIP_LOG names a file, appended to it.
set -u

kind='' name='' limit=60 scale=1 sanitize=none
while [ $# -gt 0 ]; do
	case $1 in
	--kind) kind=$2 ;;
	--name) name=$2 ;;
	--timeout) limit=$2 ;;
	--scale) scale=$2 ;;
	--sanitize) sanitize=$2 ;;
	--) shift; break ;;
	*) echo "run.sh: unknown argument $1" >&2; exit 2 ;;
	esac
	shift 2
done
if [ $# -eq 0 ] || [ -z "$kind" ] || [ -z "$name" ]; then
	echo "run.sh: needs --kind, --name and a program" >&2
	exit 2
fi

# The environment's scale multiplies: it is for slow machines, ours for slow builds.
user_scale=${MYELON_TEST_TIMEOUT_SCALE:-1}
limit=$((limit * user_scale))
export MYELON_TEST_TIMEOUT_SCALE=$((scale * user_scale))

shm=$(mktemp -d "${MYELON_TEST_SHM_ROOT:-/dev/shm}/myelon-test.XXXXXX") || exit 1
tmp=$(mktemp -d "${TMPDIR:-/tmp}/myelon-test.XXXXXX") || exit 1
huge=''
export MYELON_SHM_DIR=$shm MYELON_TEST_TMP=$tmp
if [ -n "${MYELON_HUGETLB_DIR:-}" ]; then
	huge=$(mktemp -d "$MYELON_HUGETLB_DIR/test.XXXXXX") || exit 1
	export MYELON_HUGETLB_DIR=$huge
fi

child=''
# shellcheck disable=SC2317  # called by trap
remove_all()
{
	local mount
	awk -v a="$shm/" -v b="$tmp/" 'index($2, a) == 1 || index($2, b) == 1 { print $2 }' \
		/proc/self/mounts | while IFS= read -r mount; do
		umount -l "$mount"
	done
	if [ -s "$tmp/pid" ]; then
		rm -f "/tmp/criterion_$(cat "$tmp/pid").sock"
	fi
	rm -rf "$shm" "$tmp" ${huge:+"$huge"}
}
trap remove_all EXIT
trap 'kill $child 2>/dev/null; exit 130' INT
trap 'kill $child 2>/dev/null; exit 143' TERM

export ASAN_OPTIONS="detect_stack_use_after_return=1:${ASAN_OPTIONS:-}"
export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
here=$(dirname "$0")
export TSAN_OPTIONS="suppressions=$here/tsan.supp:second_deadlock_stack=1:${TSAN_OPTIONS:-}"

case $kind in
# The limit is per test there. One job: CTest already runs as many programs as there are processors.
criterion)
	set -- "$@" --verbose --color=never -j"${MYELON_TEST_JOBS:-1}" --timeout "$limit"
	limit=$((limit * 3))
	;;
script) set -- bash "$@" ;;
esac
# ThreadSanitizer of older compilers does not start under the address randomisation of newer kernels.
if [ "$sanitize" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
	set -- setarch "$(uname -m)" -R "$@"
fi

# shellcheck disable=SC2016  # expanded by the inner shell: its pid becomes the program's
timeout -k 5 "$limit" sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$tmp/pid" "$@" >"$tmp/log" 2>&1 &
child=$!
wait "$child"
code=$?
cat "$tmp/log"

if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
	echo "FAIL: $name: killed, or not finished after $limit s (MYELON_TEST_TIMEOUT_SCALE multiplies the limit)"
fi

sed -n 's/^\[SKIP\] /SKIP: /; /^SKIP: /p' "$tmp/log" >"$tmp/skips"
if [ -s "$tmp/skips" ]; then
	cat "$tmp/skips"
	[ -z "${MYELON_SKIP_LOG:-}" ] || sed "s/^SKIP: /SKIP: $name: /" "$tmp/skips" >>"$MYELON_SKIP_LOG"
fi

if [ "$kind" = criterion ] && [ "$code" -eq 0 ]; then
	if ! grep -q '^\[====\] Synthesis: Tested: ' "$tmp/log"; then
		echo "FAIL: $name: no summary, so nobody knows what ran"
		code=1
	elif grep -q '^\[====\] Synthesis: Tested: 0 ' "$tmp/log"; then
		if [ -s "$tmp/skips" ]; then
			code=77
		else
			echo "FAIL: $name: no test ran"
			code=1
		fi
	fi
fi

for dir in "$shm" ${huge:+"$huge"}; do
	left=$(find "$dir" -mindepth 1 | head -20)
	if [ -n "$left" ]; then
		printf 'FAIL: %s: files left behind:\n%s\n' "$name" "$left"
		[ "$code" -ne 0 ] && [ "$code" -ne 77 ] || code=1
	fi
done
exit "$code"
