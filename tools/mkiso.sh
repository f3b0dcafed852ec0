#!/bin/sh
# Make a GRUB image that boots under BIOS and UEFI: mkiso.sh KERNEL INITRD GRUB_CFG OUTPUT
set -eu
kernel=$1 initrd=$2 config=$3 output=$4
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/boot/grub"
# Debug information is half of the file and of no use to GRUB.
objcopy --strip-debug "$kernel" "$tree/boot/cowbell.elf"
cp "$initrd" "$tree/boot/initrd.cpio"
cp "$config" "$tree/boot/grub/grub.cfg"
if ! grub-mkrescue -o "$output" "$tree" >"$tree.log" 2>&1; then
    cat "$tree.log" >&2
    rm -f "$tree.log"
    exit 1
fi
rm -f "$tree.log"
