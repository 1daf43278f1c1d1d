#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# What judge.sh makes of a guest that went well, and of each way in which one can go wrong.
set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
cd "${MYELON_TEST_TMP:?}" || exit 1
printf 'one\ntwo\n' >expected

failures=0
# verdict CODE TEXT WHAT: the lines come from standard input.
verdict()
{
	local got
	cat >results
	"$here/judge.sh" results expected >out
	got=$?
	if [ "$got" -ne "$1" ] || ! grep -q -- "$2" out; then
		echo "FAIL: $3: exit code $got instead of $1, or '$2' is missing: $(cat out)"
		failures=$((failures + 1))
	fi
}

good=$'GUEST BEGIN 6.1\r\ncase ok one (1 ms)\r\n  a remark\r\ncase ok two\r\ncase ok flow (3 ms)\r\nGUEST END cases=3\r'
verdict 0 '3 cases passed' 'all passed' <<<"$good"
verdict 1 'never began' 'nothing came' </dev/null
verdict 1 'did not come to its end' 'cut off' <<<"${good%GUEST END*}"
verdict 1 '1 of 3 cases failed' 'a case failed' <<<"${good/case ok two/case FAIL two: see above}"
verdict 1 'ran 3 cases, but 2 results' 'a line was lost' <<<"${good/case ok flow (3 ms)/}"
verdict 1 'two ran 0 times' 'an expected case is missing' <<<"${good/case ok two/case ok twofold}"
verdict 1 'one ran 2 times' 'a case ran twice' <<<"${good/case ok two/case ok one}"
rm results
"$here/judge.sh" results expected >out && { echo "FAIL: no results at all passed"; failures=1; }
[ "$failures" -eq 0 ]
