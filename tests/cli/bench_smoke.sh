#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Every benchmark runs, verifies its content, gives the promised JSON and leaves nothing behind.
# No figure is judged.
set -u

fails=0
fail()
{
	echo "FAIL: $*"
	fails=$((fails + 1))
}

if [ "$(nproc)" -lt 2 ]; then
	echo "SKIP: bench_smoke: two processors are needed"
	exit 77
fi
command -v python3 >/dev/null || { echo "SKIP: bench_smoke: python3 reads the JSON"; exit 77; }

# The members that every report has.
cat >"$MYELON_TEST_TMP/check.py" <<'PY'
import json, sys
bench, path = sys.argv[1:]
r = json.load(open(path))
fanout = bench == "wake" and not r["round_trips"]
def need(obj, keys, where):
    for k in keys:
        if k not in obj:
            sys.exit(f"{where} lacks {k}")
if bench == "death":
    for w in r["rows"]:
        if w["managed_ns"]["samples"] != r["kills"] or not w["bare_pidfd_ns"]["samples"] > 0:
            sys.exit(f"{w['wait']}: not every kill was noticed")
        if not w["leased_ns"]["min"] > 0 or w["leased_told_dying"] > w["leased_ns"]["samples"]:
            sys.exit(f"{w['wait']}: no kill with a lease was noticed")
        if not w["managed_ns"]["min"] > 0 or not w["victim_rss_bytes"] > 16 << 20:
            sys.exit(f"{w['wait']} was not measured")
    if not r["rows"] or not r["rows"][0]["timeout_ns"]["min"] > 0:
        sys.exit("no timeout was measured")
    r["limit"] = {}
    r["ratio"] = r["rows"][0]["ratio"]
if bench == "codec":
    in_place = {"pod", "rkyv", "flatbuffers"}
    if not {"bincode", "bincode-varint", "rkyv", "flatbuffers", "msgpack"} <= {w["codec"] for w in r["rows"]}:
        sys.exit("not every codec is there")
    for w in r["rows"]:
        name = f"{w['codec']}, {w['records']} records"
        if w["missing"]:
            continue
        if (w["in_place"] is not None) != (w["codec"] in in_place):
            sys.exit(f"{name}: in place is {w['in_place']}")
        for mode in "raw", "in_place", "owned":
            m = w[mode]
            if m and not m["rtt_p50_ns"] > 0:
                sys.exit(f"{name}: {mode} was not measured")
            # Decoding takes memory for its arena once in each process, and grows it while messages do.
            if m and m["allocations"] and (mode != "owned" or m["allocations"] > 40):
                sys.exit(f"{name}: {m['allocations']} allocations in {m['messages']} messages {mode}")
need(r, ["bench", "limit", "ratio", "verified", "machine"], "the report")
need(r["limit"], [] if bench == "death" else ["futex_rtt_p50_ns", "eventfd_rtt_p50_ns", "eventfd_epoll_rtt_p50_ns"]
     if bench == "wake" else ["spin_rtt_p50_ns", "futex_rtt_p50_ns", "eventfd_rtt_p50_ns",
                  "bare_rtt_p50_ns", "stream_msgs_per_s"], "limit")
need(r["machine"], ["cpu", "cores", "kernel", "governor", "virtualised", "page_size",
                    "git_commit"], "machine")
if bench == "place":
    if not r["places"] or not r["places"][0]["rtt_p50_ns"] > 0:
        sys.exit("no place was measured")
    if [k["backing"] for k in r["pages"]] != ["4K", "THP", "hugetlb"]:
        sys.exit("not all kinds of pages are told")
    for k in r["pages"]:
        if not k["missing"] and not k["random_touch_ns"] > 0:
            sys.exit(f"{k['backing']} is neither missing nor measured")
elif fanout:
    for f in r["fanout"]:
        if not f["futex"]["call_ns"] > 0 or not f["writes"]["last_ns"] > 0:
            sys.exit(f"{f['sleepers']} sleepers were not measured")
elif bench == "wake":
    for w in r["round_trips"]:
        if w["available"] and not w["rtt_ns"]["p50"] > 0:
            sys.exit(f"{w['wait']} was not measured")
        if not w["available"] and not w["reason"]:
            sys.exit(f"{w['wait']} is missing without a reason")
    there = [w["wait"] for w in r["round_trips"] if w["available"]]
    if not {"spin", "park", "adaptive"} <= set(there):
        sys.exit(f"only {there}")
    if len(r["rates"]) != 2 * len(there):
        sys.exit("not every way was measured at every rate")
    for c in r["rates"]:
        if not c["latency_ns"]["p50"] > 0 or not c["achieved"] > 0:
            sys.exit(f"{c['wait']} at {c['rate']} was not measured")
elif bench not in ("limit", "death", "codec"):
    need(r, ["layer", "backing", "wait", "payload", "consumers", "messages", "window", "rtt_ns",
             "throughput", "cpu_s"], "the report")
    need(r["rtt_ns"], ["min", "p50", "p90", "p99", "p99_9", "p99_99", "max"], "rtt_ns")
    need(r["throughput"], ["msgs_per_s", "bytes_per_s"], "throughput")
    need(r["cpu_s"], ["producer", "consumers"], "cpu_s")
if r["bench"] != bench:
    sys.exit(f"bench is {r['bench']}")
if bench in ("signal", "broadcast") and not r["throughput"]["msgs_per_s"] > 0:
    sys.exit("nothing was timed")
if r["verified"] is not True:
    sys.exit("not verified")
for k, v in r["limit"].items() if bench != "wake" else ():
    if k.endswith(("_ns", "_per_s")) and not v > 0:
        sys.exit(f"limit.{k} is {v}")
PY

run()
{
	local out=$MYELON_TEST_TMP/out.json
	if ! "$MYELON_COMMAND" bench "$@" --json --timeout 60s >"$out"; then
		fail "bench $* ended with an error"
	elif ! python3 "$MYELON_TEST_TMP/check.py" "$1" "$out"; then
		fail "bench $*: its JSON is not as promised"
	fi
}

short=(--rounds 1 --messages 500)
run limit "${short[@]}"
for wait in spin spin-pause yield sleep park adaptive; do
	run pingpong "${short[@]}" --wait "$wait"
done
run pingpong "${short[@]}" --layer framed
run pingpong "${short[@]}" --layer framed --payload 1000 --slot 128
run pingpong "${short[@]}" --payload 4096 --backing shm
run pingpong "${short[@]}" --payload 24 --window 1
run pingpong "${short[@]}" --backing file
run pingpong "${short[@]}" --depth 4
run pingpong "${short[@]}" --rate 5k
run pingpong "${short[@]}" --layer framed --payload 128K --compare-copy
run pingpong "${short[@]}" --layer framed --payload 128K --compare-copy --touch line
run signal --rounds 1 --messages 5000
run signal --rounds 1 --messages 5000 --layer framed --wait park
run broadcast --rounds 1 --messages 5000
run broadcast --rounds 1 --messages 5000 --layer framed --consumers 8 --wait adaptive,park,sleep
run broadcast --rounds 1 --messages 5000 --compare-consumers 1,8
run broadcast --rounds 1 --messages 3000 --consumers 1 --work 1us --compare-producer-wait park,spin-pause
run broadcast --rounds 1 --messages 1000 --consumers 4
run broadcast --rounds 1 --messages 100 --layer framed
run broadcast --rounds 1 --messages 2000 --rate 20k
run place --rounds 1 --ring 4M
run place --rounds 1 --ring 4M --layer framed --payload 256
run idle --seconds 0.2s --wait park,adaptive,sleep --consumers 3

run idle --seconds 0.2s --wait fd/proxy,set/epoll --consumers 2 --rings 3
run idle --seconds 0.2s --wait set/epoll --consumers 1 --rings 3 --layer framed
run wake --rounds 1 --seconds 0.05s --rate 1k,20k
run wake --rounds 1 --seconds 0.05s --rate 1k,20k --wait spin,park,adaptive,set/epoll,set/uring --rings 5
run wake --rounds 1 --fanout 1,3
run codec --rounds 1 --messages 300 --records 1,16
run codec --rounds 1 --messages 300 --records 1,16 --shape tokens
run codec --rounds 1 --messages 300 --records 16 --touch line
run codec --rounds 1 --messages 300 --records 3 --touch line --shape tokens --wait park
run death --kills 30 --wait park,adaptive --victim-memory 16M

# The plot, or one sentence about what draws it
if command -v gnuplot >/dev/null; then
	"$MYELON_COMMAND" bench wake --rounds 1 --seconds 0.05s --rate 1k,20k --wait park \
		--plot "$MYELON_TEST_TMP/wake.svg" >"$MYELON_TEST_TMP/out" || fail "bench wake --plot"
	grep -q '<svg' "$MYELON_TEST_TMP/wake.svg" || fail "no picture was drawn"
else
	echo "SKIP: no picture is drawn: gnuplot is not installed"
fi
mkdir "$MYELON_TEST_TMP/empty"
PATH=$MYELON_TEST_TMP/empty "$MYELON_COMMAND" bench wake --plot a.svg >"$MYELON_TEST_TMP/out" \
	2>"$MYELON_TEST_TMP/err"
[ $? -eq 1 ] || fail "bench wake --plot without gnuplot did not fail"
grep -q '^myelon: .*gnuplot' "$MYELON_TEST_TMP/err" || fail "it does not say that gnuplot is missing"

# The text form, too.
"$MYELON_COMMAND" bench pingpong "${short[@]}" | grep -q 'every message verified' ||
	fail "the text of pingpong does not say that all was verified"

# A wrong option is the user's mistake and said in one line.
for wrong in "pingpong --payload 9" "pingpong --wait never" "nothing" "limit --cpus 99999" \
	"broadcast --compare-consumers 3" "wake --wait never" "wake --rate 0" "wake --plot a.pdf" \
	"pingpong --wait fd" "codec --codec json" "codec --records 0" "pingpong --wait fd/proxy"; do
	# shellcheck disable=SC2086  # words on purpose
	"$MYELON_COMMAND" bench $wrong >"$MYELON_TEST_TMP/out" 2>"$MYELON_TEST_TMP/err"
	code=$?
	[ "$code" -eq 2 ] || fail "bench $wrong: exit code $code, not 2"
	grep -q '^myelon: ' "$MYELON_TEST_TMP/err" || fail "bench $wrong: no message"
done

# Interrupted in the middle it takes its rings and its processes with it.
"$MYELON_COMMAND" bench broadcast --rounds 100 >"$MYELON_TEST_TMP/out" 2>&1 &
bench=$!
for _ in $(seq 100); do
	compgen -G "$MYELON_SHM_DIR/myelon-bench.*/myelon.*" >/dev/null && break
	sleep 0.1
done
kill -TERM "$bench"
wait "$bench"
code=$?
[ "$code" -eq 143 ] || fail "terminated, it ended with code $code, not 143"
left=$(find "$MYELON_SHM_DIR" -mindepth 1)
[ -z "$left" ] || fail "terminated, it left $left"

[ "$fails" -eq 0 ]
