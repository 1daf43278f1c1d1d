#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Boots a machine with two NUMA nodes with memory and one without, emulated, and runs the guest suite
# and some ordinary flows there. See README.md.
#
# MYELON_GUEST_KERNEL names another kernel image.
set -u
: "${MYELON_BUILD_DIR:?}" "${MYELON_TEST_TMP:?}" "${MYELON_COMMAND:?}"
here=$(cd "$(dirname "$0")" && pwd) || exit 1
bin=$MYELON_BUILD_DIR/tests/bin
cd "$MYELON_TEST_TMP" || exit 1

skip()
{
	case ,${MYELON_TEST_REQUIRE:-}, in
	*,guest,* | *,all,*)
		echo "FAIL: guest is required here: $*"
		exit 1
		;;
	esac
	echo "SKIP: guest: $*"
	exit 77
}

[ "$(uname -m)" = x86_64 ] || skip "the guest is an x86-64 machine and runs this build's programs"
command -v qemu-system-x86_64 >/dev/null || skip "no emulator: apt-get install qemu-system-x86"
busybox=$(command -v busybox) || skip "no shell for the guest: apt-get install busybox-static"
command -v cpio >/dev/null || skip "no archiver for its files: apt-get install cpio"
kernel=$("$here/kernel.sh" "$MYELON_BUILD_DIR/guest" 2>reason) || skip "$(cat reason)"

# program FILE: into the guest's /bin, with the libraries it needs where it looks for them.
program()
{
	cp "$1" root/bin/ || exit 1
	ldd "$1" 2>/dev/null | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' |
		while IFS= read -r library; do
			cp -L --parents "$library" root/ || exit 1
		done
}

mkdir -p root/bin
cp "$here/init.sh" root/init
program "$busybox"
ln -s busybox root/bin/sh
program "$MYELON_COMMAND"
for name in guest_suite race_stream race_takeover; do
	program "$bin/$name"
done
(cd root && find . -print0 | cpio -0 -o -H newc -R 0:0 --quiet | gzip -1) >initramfs || exit 1
"$bin/guest_suite" --list >expected || exit 1

# Without KVM: it is missing in most places where tests run, and where it is there it need not work.
# --foreground leaves it in our process group, so that who ends the test ends the emulator, too.
# no_timer_check: on a busy machine the kernel takes the emulated timer for a dead one, and panics.
timeout --foreground -k 5 $((240 * ${MYELON_TEST_TIMEOUT_SCALE:-1})) qemu-system-x86_64 \
	-accel tcg,thread=multi -machine q35 -cpu max -smp 6,sockets=3,cores=2 -m 768 \
	-object memory-backend-ram,id=m0,size=384M -object memory-backend-ram,id=m1,size=384M \
	-numa node,nodeid=0,memdev=m0,cpus=0-1 -numa node,nodeid=1,memdev=m1,cpus=2-3 \
	-numa node,nodeid=2,cpus=4-5 \
	-numa dist,src=0,dst=1,val=21 -numa dist,src=0,dst=2,val=21 -numa dist,src=1,dst=2,val=21 \
	-nodefaults -display none -no-reboot -serial file:console -serial file:results \
	-kernel "$kernel" -initrd initramfs \
	-append "console=ttyS0 quiet panic=-1 oops=panic no_timer_check myelon_guest" </dev/null
code=$?

tr -d '\r' <results
"$here/judge.sh" results expected
verdict=$?
if [ "$code" -ne 0 ]; then
	echo "FAIL: the emulator ended with exit code $code (124: it took too long)"
	verdict=1
fi
if [ "$verdict" -ne 0 ]; then
	echo "The end of the guest's console:"
	tr -d '\r' <console | tail -40
fi
exit "$verdict"
