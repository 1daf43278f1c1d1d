#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Builds the Rust side with nothing but what the distribution's packages brought:
#
#   build_rust.sh SOURCES WORK LIBRARIES PROGRAM
#
# WORK is for cargo alone, LIBRARIES has libmyelon.so. If it cannot be built there is no PROGRAM, and
# WORK/log says why: that fails the tests that need it, not the build of everything else.
set -u
sources=$1 work=$2 libraries=$3 program=$4
rm -f "$program"
# A copy: cargo writes its lock file beside the sources. As old as the sources, or all is built again.
mkdir -p "$work" "$(dirname "$program")" || exit 1
rm -rf "$work/interop"
mkdir "$work/interop" || exit 1
cp -rp "$sources/Cargo.toml" "$sources/build.rs" "$sources/src" "$work/interop/" || exit 1
cat >"$work/config.toml" <<'TEXT'
[source.crates-io]
replace-with = "distribution"
[source.distribution]
directory = "/usr/share/cargo/registry"
TEXT
cd "$work/interop" || exit 1
if env -u RUSTC_WRAPPER -u RUSTFLAGS -u RUSTUP_TOOLCHAIN CARGO_HOME="$work/home" RUSTC=/usr/bin/rustc \
	MYELON_LIB_DIR="$libraries" /usr/bin/cargo --config "$work/config.toml" build --offline --quiet \
	--target-dir "$work/target" >"$work/log" 2>&1; then
	cp "$work/target/debug/interop" "$program"
else
	echo "the Rust side of the interop tests was not built; they will fail. $work/log:" >&2
	tail -20 "$work/log" >&2
fi
