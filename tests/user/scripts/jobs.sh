# Background jobs, signals, traps, waiting.
rm -rf /tmp/jobs && mkdir /tmp/jobs && cd /tmp/jobs || exit 1
echo '-- wait'
sleep 0.1 & wait $!; echo "status $?"
(exit 5) & wait $!; echo "status $?"
(until [ -e first ]; do sleep 0.01; done; echo second) & (echo first; >first) & wait; echo done
# The shell tells what killed a job only if it died after wait began, which nobody can know.
sleep 100 & p=$!; kill $p; wait $p 2>/dev/null; echo "status $?"
sleep 100 & p=$!; kill -9 $p; wait $p 2>/dev/null; echo "status $?"
# The shell's child ignores SIGINT before it becomes sleep, but not from its first moment.
runs_sleep() { read -r name </proc/$1/comm && [ "$name" = sleep ]; }
sleep 100 & p=$!; until runs_sleep $p; do :; done
kill -STOP $p; kill -0 $p && echo alive; kill -CONT $p; kill -INT $p; kill $p; wait $p 2>/dev/null; echo "status $?"
wait 999999; echo "status $?"
kill -0 999999; echo "status $?"
echo '-- trap'
trap 'echo usr1' USR1; kill -USR1 $$; echo after
trap 'echo usr2' USR2; (sleep 0.1; kill -USR2 $$) & sleep 0.3; wait; echo after
trap '' TERM; kill -TERM $$; echo ignored
trap - USR1 TERM
(trap 'echo leaving' EXIT; echo inside)
sh -c 'trap "echo caught; exit 3" TERM; kill -TERM $$; echo no'; echo "status $?"
sh -c 'trap "echo bye" EXIT; exit 4'; echo "status $?"
sh -c 'kill -USR1 $$'; echo "status $?"
sh -c 'kill -SEGV $$'; echo "status $?"
(trap 'echo int; exit 1' INT; kill -INT $(sh -c 'echo $PPID'); sleep 1; echo no); echo "status $?"
trap
kill -l 9 15
echo '-- pipes and signals'
yes | head -n 1
sh -c 'yes; echo "yes ended with $?" >&2' 2>&1 >/dev/null | cat &
until killall yes 2>/dev/null; do sleep 0.01; done; wait
(sleep 0.1; echo late) | cat
echo '-- timeouts'
timeout 0.2 sleep 10; echo "status $?"
timeout 5 true; echo "status $?"
timeout -s KILL 0.2 sleep 10; echo "status $?"
echo '-- nested'
sh -c 'sh -c "sh -c \"echo deep; exit 6\""'; echo "status $?"
for i in 1 2 3 4 5 6 7 8; do (sleep 0.0$i; echo $i >>order) & done; wait; sort order | tr -d '\n'; echo
n=0; while [ $n -lt 50 ]; do /bin/true & n=$((n + 1)); done; wait; echo "started $n"
x=$(sleep 0.1 & echo captured); echo $x
nohup sh -c 'echo nohup' 2>/dev/null
setsid sh -c 'echo session'; echo "status $?"
cd / && rm -rf /tmp/jobs
