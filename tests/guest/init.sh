#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 OR MIT
# The first process of the guest: makes the machine ready, runs everything, says how it went on the
# second serial line, and turns the power off. The first line is the kernel's.
PATH=/bin
export PATH
/bin/busybox mkdir -p /proc /sys /dev /tmp /huge
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mkdir -p /dev/shm
mount -t tmpfs -o size=100% none /dev/shm
mount -t hugetlbfs -o pagesize=2M none /huge
mount -t cgroup2 none /sys/fs/cgroup
echo '+cpuset +hugetlb' >/sys/fs/cgroup/cgroup.subtree_control
for node in 0 1; do
	echo 32 >/sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages
done
cd /tmp || exit 1

clean()
{
	[ -z "$(find /dev/shm /huge -mindepth 1)" ] &&
		[ "$(cat /proc/sys/vm/nr_hugepages)" = \
			"$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)" ]
}

now_ms()
{
	awk '{ print int($1 * 1000) }' /proc/uptime
}

# flow NAME COMMAND...: has to succeed and to leave nothing behind.
flow()
{
	name=$1
	begin=$(now_ms)
	shift
	if ! "$@" >log 2>&1; then
		sed 's/^/  /' log
		echo "case FAIL $name: see above"
	elif ! clean; then
		ls /dev/shm /huge
		echo "case FAIL $name: it left something behind"
	else
		echo "case ok $name ($(($(now_ms) - begin)) ms)"
	fi
}

same_sum()
{
	[ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ]
}

broadcast()
{
	for i in 1 3 5; do
		myelon sub file --cpu $i --timeout 30s >copy$i &
		eval "sub$i=\$!"
	done
	myelon pub file --wait-for 3 "$@" </bin/busybox || return 1
	for i in 1 3 5; do
		eval "wait \$sub$i" || return 1
		same_sum /bin/busybox copy$i || return 1
	done
}

until_true()
{
	until "$@" >/dev/null 2>&1; do
		sleep 0.05
	done
}

# The consumer ends by itself, with the code for a dead producer; the pages stay until gc.
killed()
{
	mkfifo feed
	myelon pub killed --node 1 --huge require --backing hugetlb <feed &
	pub=$!
	exec 3>feed
	myelon sub killed --id s 3>&- >copy 2>/dev/null &
	sub=$!
	cat /bin/busybox >&3
	until_true cmp /bin/busybox copy
	kill -KILL "$pub"
	wait "$pub"
	exec 3>&-
	wait "$sub"
	[ $? -eq 5 ] || return 1
	rm feed
	! clean && myelon gc
}

run_all()
{
	echo "GUEST BEGIN $(uname -r)"
	guest_suite
	flow three_subscribers_on_three_nodes_get_the_file_from_huge_pages_of_node_0 \
		broadcast --node 0 --huge require
	flow three_subscribers_on_three_nodes_get_the_file_from_small_pages_of_node_1 \
		broadcast --node 1 --huge off --wait park --fence full
	head -c 300000 /bin/busybox >demo
	flow the_demo_broadcasts_and_agrees_with_itself myelon demo demo --progress never
	flow gc_brings_back_what_a_killed_publisher_held killed
	MYELON_TEST_SCALE=0.03
	export MYELON_TEST_SCALE
	for race in race_stream race_takeover; do
		flow $race $race
	done
}

# Counted here, so that a line that was lost on the way is missed.
(
	run_all | tee results
	echo "GUEST END cases=$(grep -c '^case ' results)"
) >/dev/ttyS1 2>&1 </dev/null
poweroff -f
