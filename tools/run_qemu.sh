#!/bin/sh
# Run QEMU with the guest's serial line on this terminal: run_qemu.sh QEMU ARGUMENT...
# ^C and ^Z go to the guest; the way out is `poweroff` in the guest or Ctrl-A x.
set -eu
echo "Cowbell starts; leave with 'poweroff' in its shell, or Ctrl-A x."
exec "$@" -chardev stdio,id=console,mux=on,signal=off -serial chardev:console -mon chardev=console
