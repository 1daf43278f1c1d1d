#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# What the script tests share; sourced. The runner gave us directories of our own.
set -u
: "${MYELON_COMMAND:?}" "${MYELON_SHM_DIR:?}" "${MYELON_TEST_TMP:?}"
cd "$MYELON_TEST_TMP" || exit 1

# The command. "${run[@]}" goes to the background, so that $! is the command itself; background
# commands of a script start with SIGINT ignored, but the tests send it. Descriptors 3 and 4 are the
# test's ends of pipes: whoever keeps one of them open keeps the other side waiting.
run=(env --default-signal=INT --default-signal=TERM "$MYELON_COMMAND")
myelon()
{
	"${run[@]}" "$@"
}

failures=0
skipped=0 # 77: what could not be looked at is more than a detail
fail()
{
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# expect CODE COMMAND...: runs it, stdout and stderr go to the files out and err.
expect()
{
	local want=$1 got
	shift
	"$@" >out 2>err </dev/null
	got=$?
	if [ "$got" -ne "$want" ]; then
		fail "exit code $got instead of $want: $*"
		cat err
	fi
}

# Each says what it looked at when it fails.
err_has()
{
	grep -q -- "$1" err || fail "stderr lacks '$1': $(cat err)"
}
out_has()
{
	grep -q -- "$1" out || fail "stdout lacks '$1': $(cat out)"
}
one_sentence()
{
	[ "$(wc -l <err)" -eq 1 ] || fail "not one line on stderr: $(cat err)"
	grep -q '^myelon: ' err || fail "the line does not start with 'myelon: ': $(cat err)"
}
same()
{
	cmp "$1" "$2" || fail "$1 and $2 differ"
}

# waited PID CODE: the exit code of a background command.
waited()
{
	local got
	wait "$1"
	got=$?
	[ "$got" -eq "$2" ] || fail "background command ended with $got instead of $2"
}

# until_true COMMAND...: polls for a state; the runner's time limit is the watchdog.
until_true()
{
	until "$@" >/dev/null 2>&1; do
		sleep 0.02
	done
}

json()
{
	if command -v jq >/dev/null; then
		jq -e "$@"
	else
		echo "SKIP: JSON is not looked into: jq is not installed" >&2
		cat >/dev/null
	fi
}
valid_json()
{
	if command -v python3 >/dev/null; then
		python3 -m json.tool "$1" >/dev/null || fail "not JSON: $(cat "$1")"
	else
		echo "SKIP: JSON is not parsed: python3 is not installed"
	fi
}

# attached NAME K: K consumers hold their places.
attached()
{
	[ "$(myelon info "$1" 2>/dev/null | sed -n 's/^consumers  \([0-9]*\) gating.*/\1/p')" = "$2" ]
}
has_ring()
{
	myelon info "$1" >/dev/null 2>&1
}
# An observer leaves no trace in the ring, but maps it. maps_ring PID
maps_ring()
{
	grep -q "$MYELON_SHM_DIR" "/proc/$1/maps"
}
at_least()
{
	[ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge "$2" ]
}

# The verdict.
finish()
{
	local left
	left=$(find "$MYELON_SHM_DIR" -mindepth 1)
	[ -z "$left" ] || fail "left behind: $left"
	[ "$failures" -eq 0 ] || exit 1
	exit "$skipped"
}
