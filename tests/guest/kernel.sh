#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# kernel.sh CACHE-DIRECTORY: prints the path of a kernel for the guest. That is MYELON_GUEST_KERNEL, or
# what an earlier run has left in the cache, or else the image in Debian's newest cloud kernel package,
# which is downloaded and taken apart, not installed. Needs no privilege, and changes nothing outside
# the cache. On failure: exit code 1 and the reason on stderr.
set -u
cache=${1:?}
package=linux-image-cloud-amd64

give_up()
{
	echo "$*" >&2
	exit 1
}

if [ -n "${MYELON_GUEST_KERNEL:-}" ]; then
	[ -r "$MYELON_GUEST_KERNEL" ] || give_up "MYELON_GUEST_KERNEL: $MYELON_GUEST_KERNEL cannot be read"
	echo "$MYELON_GUEST_KERNEL"
	exit 0
fi
if [ -s "$cache/vmlinuz" ]; then
	echo "$cache/vmlinuz"
	exit 0
fi
for tool in apt-get apt-cache dpkg-deb; do
	command -v "$tool" >/dev/null ||
		give_up "no kernel: $tool is not there, so name one by MYELON_GUEST_KERNEL=/path/of/vmlinuz"
done

mkdir -p "$cache" || exit 1
work=$(mktemp -d "$cache/fetch.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
mkdir -p lists/partial cache/archives/partial
# Directories of our own may be written by whoever we are; apt would give up its privilege as root.
apt=(-qq -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=1 -o Acquire::http::Timeout=20
	-o "Dir::Cache=$work/cache")

# The package of the newest version is what the metapackage depends on.
fetch()
{
	local image
	image=$(apt-cache "$@" depends "$package" 2>>log |
		sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -1)
	[ -n "$image" ] && apt-get "$@" download "$image" >>log 2>&1
}

# The machine's package lists may be missing or old: then with lists of our own.
own=("${apt[@]}" -o "Dir::State::lists=$work/lists")
fetch "${apt[@]}" || { apt-get "${own[@]}" update >>log 2>&1 && fetch "${own[@]}"; } ||
	give_up "no kernel: $package cannot be downloaded ($(grep -m1 '^[EW]:' log));" \
		"name another one by MYELON_GUEST_KERNEL=/path/of/vmlinuz"
dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards './boot/vmlinuz-*' ||
	give_up "no kernel: $package has no image that can be unpacked"
mv boot/vmlinuz-* "$cache/vmlinuz" || exit 1
echo "$cache/vmlinuz"
