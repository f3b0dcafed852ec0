#!/bin/sh
# Run the named lines of /tests/programs, marking where each starts and ends. Runs inside the
# guest, on Cowbell and on Linux; tools/runner/user_suites.py reads the marks.
LIMIT_S=150
cd /tests || exit 1
chmod 1777 /tests
# mremap_test maps more than there is memory, and touches little of it.
echo 1 >/proc/sys/vm/overcommit_memory
for name in "$@"; do
    echo "## program $name"
    while read -r label cpus user command; do
        [ "$label" = "$name" ] || continue
        if [ "$user" = root ]; then
            timeout -s KILL $LIMIT_S sh -c "exec ./$command" </dev/null 2>&1
        else
            timeout -s KILL $LIMIT_S su -s /bin/sh "$user" -c "exec ./$command" </dev/null 2>&1
        fi
        status=$?
    done <programs
    echo
    echo "## exit $name $status"
done
echo "## done"
