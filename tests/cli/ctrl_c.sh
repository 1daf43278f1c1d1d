#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Ctrl-C on a terminal reaches the demo and its consumers alike: whenever it comes, the demo ends in
# order, its consumers with it, and nothing is left.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

if ! command -v python3 >/dev/null; then
	echo "SKIP: nobody presses Ctrl-C: python3, which makes the terminal, is not installed"
	exit 77
fi

# press.py WHEN SECONDS COMMAND...: runs it on a terminal of its own, presses Ctrl-C SECONDS after its
# start, or after it drew its first progress line, and exits with its code, 128 + the signal if it
# was killed.
cat >press.py <<'PY'
import os, pty, select, sys, time

when, delay, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
started, closed_by_exec = os.pipe()
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
os.close(closed_by_exec)
os.read(started, 1)
press, said = time.monotonic() + delay if when == "start" else None, b""
pressed = False
while True:
    left = None if press is None else max(0, press - time.monotonic())
    if select.select([terminal], [], [], left)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # nobody has the terminal any more, not the consumers either
            break
        if not data:
            break
        said = (said + data)[-4000:]
        if not press and not pressed and b"lag" in said:
            press = time.monotonic() + delay
    elif press is not None:
        os.write(terminal, b"\x03")
        press, pressed = None, True
status = os.waitpid(pid, 0)[1]
code = os.waitstatus_to_exitcode(status)
sys.stderr.write(said.decode(errors="replace"))
sys.exit(code if code >= 0 else 128 - code)
PY

# Small messages make it long: the sum of the file is known soon, the stream takes many seconds.
head -c 100000000 /dev/zero >large
long_demo=("$MYELON_COMMAND" demo large --chunk 16)
press()
{
	local code left
	python3 press.py "$1" "$2" "${long_demo[@]}" >out 2>err </dev/null
	code=$?
	# Also before there is a handler: SIGINT ends the process then.
	[ "$code" -eq 130 ] || fail "Ctrl-C $2 s after the $1: exit code $code: $(cat err)"
	left=$(find "$MYELON_SHM_DIR" -mindepth 1)
	[ -z "$left" ] || fail "Ctrl-C $2 s after the $1 left $left"
}
for delay in 0 0.02 0.1 0.2 0.3 0.4 0.5; do
	press start "$delay"
done
for delay in 0 0.01 0.05 0.1 0.2 0.5; do
	press stream "$delay"
done

# timeout(1) signals the process and then its group, so the demo has it twice.
# It also sends SIGCONT, which takes away the stop that LeakSanitizer waits for at exit.
ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 timeout 2 "${long_demo[@]}" >out 2>err
code=$?
[ "$code" -eq 124 ] || fail "timeout: exit code $code: $(cat err)"

finish
