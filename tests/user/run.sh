#!/bin/sh
# Run the named test programs one after the other, marking where each starts and ends. Runs inside
# the guest, on Cowbell and on Linux; tools/runner/user_suites.py reads the marks.
cd /tests || exit 1
for name in "$@"; do
    echo "## program $name"
    case $name in
    *.sh) sh "./$name" ;;
    *) "./$name" ;;
    esac </dev/null
    echo "## exit $name $?"
done
echo "## done"
