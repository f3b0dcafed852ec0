#!/bin/sh
# Run one program with its arguments, and tell how it ended and how long it took: for
# `make oracle PROG=`. Runs inside the guest, with the marks that tools/runner/user_suites.py reads.
cd /tests || exit 1
program=$1
shift
echo "## program $program"
time -f '%e s (user %U s, system %S s)' "./$program" "$@" </dev/null
echo "## exit $program $?"
echo "## done"
