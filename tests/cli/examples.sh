#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# The examples do what they say.
# shellcheck source=tests/cli/lib.sh disable=SC1091,SC2016,SC2317
. "$(dirname "$0")/lib.sh"

bin=$MYELON_BUILD_DIR/examples
if [ ! -x "$bin/hello_producer" ]; then
	echo "SKIP: the examples are not built (MYELON_EXAMPLES)"
	exit 77
fi

for i in 0 1 2 3 4 5 6 7 8 9; do
	echo "$i: $((i * i))"
done >want
cp want want10
"$bin/hello_consumer" numbers >got1 &
one=$!
"$bin/hello_consumer" numbers >got2 &
two=$!
"$bin/hello_producer" numbers 2 || fail "hello_producer"
waited "$one" 0
waited "$two" 0
same want got1
same want got2

# The producer has begun, but waits for its consumer: the observer is there before the first number.
"$bin/hello_producer" watched &
producer=$!
until_true has_ring watched
"$bin/observer" watched >got &
observer=$!
until_true maps_ring "$observer"
"$bin/hello_consumer" watched >got1 || fail "hello_consumer"
waited "$producer" 0
waited "$observer" 0
same want got1
grep -q '^seen 10, lost 0$' got || fail "observer: $(cat got)"

"$bin/memfd_pair" pair >got || fail "memfd_pair"
head -n 10 got1 >want
same want got
has_ring pair && fail "memfd_pair left its ring"

"$bin/one_thread_32_rings" many >got || fail "one_thread_32_rings"
echo '32000 messages, sum 16016000' >want
same want got
has_ring many-0 && fail "one_thread_32_rings left its rings"

"$bin/worker_dies" tasks >got || fail "worker_dies"
cat >want <<'TEXT'
worker begins at task 0
worker is dead after task 39
worker begins at task 40
worker finished task 99, the last one
-- and now nobody helps
worker begins at task 0
worker is dead after task 39
given up: worker is dead, its last task is 39
TEXT
same want got
has_ring tasks && fail "worker_dies left its ring"

"$bin/framed_consumer" framed me >got &
consumer=$!
"$bin/framed_producer" framed || fail "framed_producer"
waited "$consumer" 0
printf 'message %s\n' '1, kind 1, 6 bytes, in the ring' '2, kind 1, 15 bytes, in the ring' \
	'3, kind 2, 400 bytes, in the ring' \
	'4, kind 1, 3000000 bytes, put together from fragments' >want
same want got

# Every codec brings the same batches; those that can are read in place every second time.
for codec in pod bincode rkyv flatbuffers msgpack; do
	"$bin/token_batches" "$codec" batches >got 2>err
	code=$?
	if [ "$code" -eq 77 ]; then
		echo "SKIP: token_batches $codec: $(cat err)"
		continue
	fi
	[ "$code" -eq 0 ] || fail "token_batches $codec: $(cat err)"
	for step in 1 2 3 4 5 6; do
		how=owned
		case $codec in pod | rkyv | flatbuffers) [ $((step % 2)) -eq 1 ] || how='in place' ;; esac
		echo "step $step, $how: 3 requests, ids $((step * 30 + 3)), tokens $((step * 60000 + 670)), tenants 19, top_p 1, logits 21.00"
	done >want
	same want got
	has_ring batches && fail "token_batches left its ring"
done

# Clients of the server get what the ring has, whichever way its loop is triggered.
for trigger in level edge; do
	rm -f server
	"$bin/hello_producer" served 2 &
	producer=$!
	"$bin/epoll_server" served 0 $trigger >server &
	server=$!
	until_true grep -q '^port ' server
	expect 0 myelon info served
	out_has ' fd ('
	myelon info served --json >shown
	valid_json shown
	json '.consumers[0] | .wait == "fd" and (.engine | IN("uring", "direct", "proxy"))' <shown \
		>/dev/null || fail "info: $(cat shown)"
	port=$(sed -n 's/^port //p' server)
	exec 5<>"/dev/tcp/127.0.0.1/$port" 6<>"/dev/tcp/127.0.0.1/$port"
	# The server takes connections in order: both are its when it has the one that is ended again.
	exec 7<>"/dev/tcp/127.0.0.1/$port"
	connections()
	{
		[ "$(find "/proc/$server/fd" -lname 'socket:*' | wc -l)" -ge "$1" ]
	}
	until_true connections 4
	exec 7<&-
	# It is the first consumer, and the producer waits for the second.
	"$bin/hello_consumer" served >got1 || fail "hello_consumer"
	cat <&5 >got5
	cat <&6 >got6
	exec 5<&- 6<&-
	waited "$producer" 0
	waited "$server" 0
	same want10 got5
	same want10 got6
done

mkfifo typed
"$bin/hello_producer" right 2 &
producer=$!
"$bin/poll_loop" left right <typed >got &
loop=$!
exec 5>typed
echo hello >&5
"$bin/hello_producer" left || fail "hello_producer left"
until_true grep -q '^stdin: hello$' got
until_true grep -q '^timer: 10 numbers so far$' got
exec 5>&-
"$bin/hello_consumer" right >got1 || fail "hello_consumer right"
same want10 got1
waited "$producer" 0
waited "$loop" 0
for ring in left right; do
	sed -n "s/^$ring //p" got >got1
	same want10 got1
done

finish
