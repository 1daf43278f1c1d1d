#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# judge.sh RESULTS EXPECTED: what the guest's second serial line says. Passed (exit code 0) only if the
# guest came to its end, every line arrived, no case failed, and every case named in EXPECTED ran once.
set -u
results=${1:?} expected=${2:?}

bad=0
fail()
{
	echo "FAIL: $*"
	bad=1
}

text=$(tr -d '\r' <"$results" 2>/dev/null)
cases=$(grep -c '^case ' <<<"$text")
promised=$(sed -n 's/^GUEST END cases=\([0-9]*\)$/\1/p' <<<"$text")
grep -q '^GUEST BEGIN ' <<<"$text" || fail "the guest never began"
if [ -z "$promised" ]; then
	fail "the guest did not come to its end: it hung, or its kernel panicked"
elif [ "$promised" != "$cases" ]; then
	fail "the guest ran $promised cases, but $cases results arrived"
fi
while IFS= read -r name; do
	ran=$(grep -cE "^case (ok|FAIL) $name( |:|\$)" <<<"$text")
	[ "$ran" -eq 1 ] || fail "$name ran $ran times"
done <"$expected"
failed=$(grep -vc '^case ok ' <<<"$(grep '^case ' <<<"$text")")
[ "$cases" -gt 0 ] || fail "no case ran"
[ "$cases" -eq 0 ] || [ "$failed" -eq 0 ] || fail "$failed of $cases cases failed"
[ "$bad" -ne 0 ] || echo "$cases cases passed"
exit $bad
