#!/bin/sh
# Start QEMU stopped and gdb attached to it: debug.sh KERNEL INITRD APPEND QEMU ARGUMENT...
# The guest's serial line goes to a file whose name is printed; GDB_COMMANDS may name a script to
# run instead of a prompt.
set -eu
kernel=$1 initrd=$2 append=$3
shift 3
scratch=$(mktemp -d)
trap 'kill "$qemu" 2>/dev/null || true; rm -rf "$scratch"' EXIT INT TERM
"$@" -kernel "$kernel" -initrd "$initrd" -append "$append" -S \
    -device isa-debug-exit,iobase=0xf4,iosize=4 \
    -gdb "unix:$scratch/gdb,server=on,wait=off" -serial "file:$scratch/console" &
qemu=$!
tries=0
while [ ! -S "$scratch/gdb" ] && [ $tries -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
echo "The guest's console: tail -f $scratch/console"
if [ -n "${GDB_COMMANDS:-}" ]; then
    gdb -q -batch -ex "set confirm off" "$kernel" -ex "target remote $scratch/gdb" \
        -ex "source tools/gdb/cowbell.py" -x "$GDB_COMMANDS"
else
    gdb -q "$kernel" -ex "set confirm off" -ex "target remote $scratch/gdb" \
        -ex "source tools/gdb/cowbell.py" -ex "hbreak kmain" -ex "continue"
fi
