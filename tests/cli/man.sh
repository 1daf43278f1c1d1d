#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# The manual is well formed and complete: every command and option of the help is in it.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

page=$MYELON_SOURCE_DIR/docs/man/myelon.1
sed 's,[\],,g' "$page" >plain
for command in pub sub ls info evict watch rm gc doctor hugepages demo; do
	grep -q "^.SS \"*$command" "$page" || fail "no section for $command"
	myelon "$command" --help >help || fail "$command --help"
	sed -n 's/^  --\([a-z-]*\).*/\1/p' help >options
	[ -s options ] || fail "no options in the help of $command"
	while IFS= read -r option; do
		grep -q -- "--$option" plain || fail "$command --$option is not in the manual"
	done <options
done
sed -n 's/^  \([0-9]\)  .*/\1/p' help >codes
while IFS= read -r code; do
	grep -q "^.B $code\$" "$page" || fail "exit code $code is not in the manual"
done <codes

if ! command -v groff >/dev/null; then
	echo "SKIP: the format of the manual is not checked: groff is not installed"
	skipped=77
	finish
fi
for page in "$MYELON_SOURCE_DIR"/docs/man/*.[1-8]; do
	groff -man -Tutf8 -ww "$page" >/dev/null 2>err || fail "groff: $page"
	[ ! -s err ] || fail "groff warns: $(cat err)"
done

finish
