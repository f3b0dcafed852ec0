#!/bin/sh
# Check for the tools that a goal needs, and install what is missing: setup.sh run|check|debug|lint|oracle|kselftest|all
# With root or passwordless sudo it installs with apt-get, saying what and why; else it prints the
# one command to type and stops.
set -eu
goal=${1:-all}

# tool (a command, or a path), the Debian package that has it, why it is wanted
tools_build='
gcc gcc compiles-the-kernel
ld binutils links-the-kernel
python3 python3 build-and-test-scripts
cpio cpio packs-the-initial-file-system
musl-gcc musl-tools compiles-the-user-programs
/bin/busybox busybox-static the-shell-and-its-tools'
tools_run="$tools_build
qemu-system-x86_64 qemu-system-x86 the-machine
grub-mkrescue grub-common makes-the-boot-image
/usr/lib/grub/i386-pc/multiboot2.mod grub-pc-bin boots-under-BIOS
/usr/lib/grub/x86_64-efi/multiboot2.mod grub-efi-amd64-bin boots-under-UEFI
xorriso xorriso writes-the-boot-image
mformat mtools writes-the-boot-image"
tools_check="$tools_run
/usr/share/ovmf/OVMF.fd ovmf tests-the-boot-under-UEFI
clang clang fuzzers-and-lock-annotations
@libfuzzer libclang-rt-dev fuzzers-run-time
gdb gdb tests-the-debugger-commands
/usr/include/linux/userfaultfd.h linux-libc-dev Linux-interfaces-for-test-programs"
tools_lint='
clang clang lock-annotations
clang-format clang-format formatting'
tools_kselftest="$tools_check
/usr/lib/x86_64-linux-gnu/libc.a libc6-dev glibc-for-Linux-selftests
xz xz-utils unpacks-Linux-selftests"
tools_debug="$tools_run
gdb gdb the-debugger"

case $goal in
run) wanted=$tools_run ;;
check | oracle) wanted=$tools_check ;;
kselftest) wanted=$tools_kselftest ;;
debug) wanted=$tools_debug ;;
lint) wanted=$tools_lint ;;
all) wanted="$tools_kselftest $tools_lint $tools_debug" ;;
*) echo "setup.sh: unknown goal '$goal'" >&2; exit 2 ;;
esac

has_tool() {
    case $1 in
    @libfuzzer) (set +f; ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a) >/dev/null 2>&1 ;;
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

# The run-time of clang's sanitizers carries the compiler's version in its package name.
package_name() {
    if [ "$1" != libclang-rt-dev ]; then echo "$1"; return; fi
    version=$(clang -dumpversion 2>/dev/null | cut -d. -f1)
    if [ -z "$version" ]; then
        version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    fi
    echo "libclang-rt-${version:-14}-dev"
}

missing=
why=
set -f
# shellcheck disable=SC2086
set -- $wanted
while [ $# -ge 3 ]; do
    if ! has_tool "$1"; then
        case " $missing " in
        *" $2 "*) ;;
        *)
            missing="$missing $2"
            why="$why
  $2 ($(echo "$3" | tr - ' '))"
            ;;
        esac
    fi
    shift 3
done
[ -z "$missing" ] && exit 0

echo "Missing Debian packages:$why"
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root='sudo -n'
else
    names=
    for name in $missing; do names="$names $(package_name "$name")"; done
    echo "Install them with:"
    echo "  sudo apt-get install$names"
    exit 1
fi
echo "Installing them with apt-get."
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$as_root apt-get update -qq || true
names=
for name in $missing; do names="$names $(package_name "$name")"; done
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $names >/dev/null
