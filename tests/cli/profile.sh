#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# pub and sub --profile: the options of a deployment, and others that are given win.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

head -c 300000 /dev/urandom >input
mkfifo feed

# through PROFILE WINDOW FENCE PWAIT CWAIT [PUB-OPTION...]: what the ring is while a stream goes through.
through()
{
	local profile=$1 window=$2 fence=$3 pwait=$4 cwait=$5 pub sub
	shift 5
	"${run[@]}" pub stream --profile "$profile" "$@" <feed &
	pub=$!
	exec 3>feed
	"${run[@]}" sub stream --id reader --profile "$profile" >got 3>&- &
	sub=$!
	until_true attached stream 1
	myelon info stream >out
	out_has "$window"
	out_has "^modes .*fence $fence"
	out_has "^producer .* wait $pwait"
	out_has "^reader .* $cwait "
	cat input >&3
	exec 3>&-
	waited "$pub" 0
	waited "$sub" 0
	same input got
}
through pinned 'window 1024' full spin-pause spin-pause
through low-power 'window 1024' full park park
through numa 'window 512' full adaptive adaptive --window 512 --fence full --huge off
through low-power 'window 1024' full sleep park --wait sleep

finish
