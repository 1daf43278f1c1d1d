#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Placement that was verified costs nothing per message: callgrind counts the same instructions in the
# loop of a ring placed strictly as in that of one that asked for nothing. And supervision costs nothing:
# the same instructions for plain claims, for plain claims of a producer that requires consumers, and for
# managed claims.
set -u

command -v valgrind >/dev/null || { echo "SKIP: hot_path: valgrind counts the instructions"; exit 77; }

count()
{
	local out code
	out=$(valgrind --tool=callgrind --toggle-collect=hot_path --toggle-collect=hot_path_managed \
		--callgrind-out-file="$MYELON_TEST_TMP/callgrind.$1" \
		"$MYELON_BUILD_DIR/tests/bin/hot_path_actor" "$1" 2>&1)
	code=$?
	if [ "$code" -eq 77 ]; then
		echo "SKIP: hot_path: $(printf '%s\n' "$out" | grep -v '^==' | head -1)"
		exit 77
	fi
	[ "$code" -eq 0 ] || { echo "FAIL: $1: exit code $code: $out"; exit 1; }
	printf '%s\n' "$out" | sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

plain=$(count plain)
code=$?
[ "$code" -eq 0 ] || { echo "$plain"; exit "$code"; }
placed=$(count placed)
code=$?
[ "$code" -eq 0 ] || { echo "$placed"; exit "$code"; }
echo "instructions: $plain without placement, $placed with"
if [ -z "$plain" ] || [ "$plain" -lt 200000 ]; then
	echo "FAIL: nothing was counted"
	exit 1
fi
[ "$plain" -eq "$placed" ] || { echo "FAIL: the counts differ"; exit 1; }

unsupervised=$(count unsupervised)
code=$?
[ "$code" -eq 0 ] || { echo "$unsupervised"; exit "$code"; }
required=$(count required)
managed=$(count managed)
echo "instructions: $unsupervised unsupervised, $required plain behind require, $managed managed"
if [ -z "$unsupervised" ] || [ "$unsupervised" -lt 200000 ]; then
	echo "FAIL: nothing was counted"
	exit 1
fi
if [ "$unsupervised" != "$required" ] || [ "$unsupervised" != "$managed" ]; then
	echo "FAIL: the counts differ"
	exit 1
fi
