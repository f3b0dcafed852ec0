#!/bin/sh
# Fetch the memory-management selftests of a Linux series from Debian's source package, with the
# headers that they are built against: fetch_selftests.sh 6.12 OUTPUT-FOLDER
set -eu
series=$1 output=$2
export DEBIAN_FRONTEND=noninteractive
package=linux-source-$series
known() { apt-cache show "$package" >/dev/null 2>&1; }
known || apt-get update -qq || true
if ! known; then
    echo "fetch_selftests.sh: apt knows no $package" >&2
    exit 1
fi
rm -rf "$output.new"
mkdir -p "$output.new/deb"
trap 'rm -rf "$output.new"' EXIT
(cd "$output.new/deb" && apt-get download -qq "$package" 2>&1 | grep -v '^W: Download is performed' || true)
dpkg-deb --fsys-tarfile "$output.new"/deb/*.deb | tar -xO "./usr/src/linux-source-$series.tar.xz" \
    > "$output.new/source.tar.xz"

# The tests; then what `make headers` needs.
set -- tools/testing/selftests/mm tools/testing/selftests/lib.mk \
    tools/testing/selftests/kselftest.h tools/testing/selftests/kselftest_harness.h \
    tools/testing/selftests/pidfd/pidfd.h tools/testing/selftests/x86/check_cc.sh \
    tools/testing/selftests/x86/trivial_program.c tools/testing/selftests/x86/trivial_64bit_program.c \
    tools/testing/selftests/x86/trivial_32bit_program.c mm/gup_test.h \
    Makefile Kbuild Kconfig scripts usr/Makefile usr/include include/uapi include/asm-generic \
    arch/x86/Makefile arch/x86/Makefile_32.cpu arch/x86/include/uapi arch/x86/include/asm/Kbuild \
    arch/x86/entry/syscalls arch/x86/tools tools/include tools/arch/x86/include/uapi
members=
for member in "$@"; do members="$members linux-source-$series/$member"; done
# shellcheck disable=SC2086
tar -C "$output.new" -xJf "$output.new/source.tar.xz" $members
# The flags and variables of the make that called us are not meant for Linux.
env -u MAKEFLAGS -u MFLAGS -u O make -s -C "$output.new/linux-source-$series" ARCH=x86 headers >/dev/null
(cd "$output.new/deb" && echo ./*.deb | sed 's|^\./||; s|_[^_]*$||' | tr _ ' ') > "$output.new/package"
rm -rf "$output.new/deb" "$output.new/source.tar.xz" "$output"
mv "$output.new/linux-source-$series" "$output.new/linux"
mv "$output.new" "$output"
trap - EXIT
echo "Linux selftests: $(cat "$output/package")"
