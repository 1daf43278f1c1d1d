#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Prints what the interop tests of a build have found: format, direction, tool, state.
#
#   matrix.sh BUILD-DIR
#
# Exit: 0; 1 if a row failed; 77 if there is none.
set -u
rows=("$1"/tests/interop.d/*)
[ -e "${rows[0]}" ] || exit 77
sort -f "${rows[@]}" | awk -F'|' '{ printf "  %-26s %-28s %-25s %s\n", $1, $2, $3, $4 }
	$4 == "FAILED" { failed = 1 }
	END { exit failed }'
