#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 OR MIT
# Installs a build and uses it as a stranger would: find_package and pkg-config, shared and static;
# every public header alone in C and C++; nothing exported but myelon_*.
#
#   install.sh [BUILD-DIR]      (default: MYELON_BUILD_DIR, set by CTest)
set -eu
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1:-${MYELON_BUILD_DIR:?}}")
cc=${CC:-cc} cxx=${CXX:-c++}
# The presets need ninja; CMake's own default is make, which need not be there.
if [ -z "${CMAKE_GENERATOR:-}" ] && command -v ninja >/dev/null; then
	export CMAKE_GENERATOR=Ninja
fi

work=$(mktemp -d "${MYELON_TEST_TMP:-${TMPDIR:-/tmp}}/install.XXXXXX")
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix

die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

cmake --install "$build" --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; die "installation failed"; }
libdir=$(dirname "$(find "$prefix" -name libmyelon.so)")
pkgdir=$libdir/pkgconfig
version=$(sed -n 's/^#define MYELON_VERSION "\(.*\)"/\1/p' "$prefix/include/myelon/version.h")
# While it is 0.x, a minor version may break the ABI.
soversion=${version%%.*}
[ "$soversion" != 0 ] || soversion=${version%.*}
for file in "$libdir/libmyelon.so.$soversion" "$libdir/libmyelon.a" "$pkgdir/myelon.pc" \
	"$libdir/cmake/myelon/myelonConfig.cmake" "$libdir/cmake/myelon/myelonTargets.cmake" \
	"$prefix/include/myelon/myelon.h"; do
	[ -e "$file" ] || die "$file was not installed"
done

echo "== exported symbols"
strange=$(nm -D --defined-only "$libdir/libmyelon.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
	grep -v '^myelon_' || true)
[ -z "$strange" ] || die "exported but not myelon_*: $strange"
nm -D --defined-only "$libdir/libmyelon.so" | grep -q 'myelon_version@@MYELON_' || die "myelon_version is not exported with a version"

echo "== headers alone, C17 and C++17"
for header in "$prefix"/include/myelon/*.h; do
	name=myelon/${header##*/}
	printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$name" "$name" >"$work/alone.c"
	"$cc" -std=c17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$prefix/include" "$work/alone.c" ||
		die "$name does not compile alone as C17"
	"$cxx" -x c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I"$prefix/include" \
		"$work/alone.c" || die "$name does not compile alone as C++17"
done

echo "== find_package"
cmake -S "$here/consumer" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
	>"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; die "find_package(myelon) failed"; }
cmake --build "$work/cmake" >"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; die "the consumer project does not build"; }
for program in consumer_shared consumer_static; do
	[ "$("$work/cmake/$program")" = "$version" ] || die "$program did not report version $version"
done

echo "== pkg-config"
export PKG_CONFIG_PATH=$pkgdir
[ "$(pkg-config --modversion myelon)" = "$version" ] || die "myelon.pc and version.h disagree"
# shellcheck disable=SC2046  # a list of flags
"$cc" "$here/consumer/main.c" -o "$work/shared" $(pkg-config --cflags --libs myelon)
[ "$(LD_LIBRARY_PATH=$libdir "$work/shared")" = "$version" ] || die "the pkg-config program did not report $version"
# shellcheck disable=SC2046
"$cc" "$here/consumer/main.c" -o "$work/static" $(pkg-config --cflags myelon) "$libdir/libmyelon.a" \
	$(pkg-config --static --libs-only-l --libs-only-other myelon | sed 's/-lmyelon//')
[ "$("$work/static")" = "$version" ] || die "the static program did not report $version"

if [ -x "$prefix/bin/myelon" ]; then
	echo "== command"
	"$prefix/bin/myelon" --version | grep -qF "$version" || die "myelon --version does not say $version"
fi
echo "installation works: version $version, $(nm -D --defined-only "$libdir/libmyelon.so" | grep -c ' T ') functions"
