# What the system says of itself, in the parts that do not differ from machine to machine.
cd /tmp || exit 1
uname; uname -s -m
hostname | wc -l
id -u; id -g; id root | cut -d' ' -f1
whoami
pwd; cd /proc/self && pwd; cd /tmp
echo $PPID | grep -c '^[0-9]*$'
ps | head -n 1
free | awk 'NR == 2 { print ($2 > 1000), ($3 > 0), NF }'
free | head -n 1
uptime | grep -c 'load average'
mount | grep -c ' on /proc type proc'
df /tmp | head -n 1
df -P /proc | wc -l
cat /proc/self/comm
tr '\0' ' ' </proc/self/cmdline; echo
readlink /proc/self/cwd
readlink /proc/$$/fd/0
ls -l /proc/self/fd | grep -c '^l'
grep -c '^processor' /proc/cpuinfo | grep -c '^[1-9]'
head -c 15 /proc/version; echo
awk '/^(Name|Threads|TracerPid|Umask)/' /proc/self/status
grep -c stack /proc/self/maps
pidof nothing; echo "status $?"
sleep 50 & p=$!
until [ "$(cat /proc/$p/comm)" = sleep ]; do :; done
pidof sleep | grep -cw $p
cat /proc/$p/comm
kill $p; wait $p 2>/dev/null; echo "status $?"
ls /proc/$p 2>&1 | grep -c 'No such'
cat /dev/null | wc -c
head -c 5 /dev/zero | od -c
echo x >/dev/full; echo "status $?"
head -c 16 /dev/urandom | wc -c
ls -l /dev/null /dev/zero /dev/full | awk '{ print $1, $5, $6, $10 }'
tty; echo "status $?"
date -u -d @1000000000 '+%Y-%m-%d %H:%M:%S'
env | grep -c PATH=
nproc | grep -c '^[1-9]'
mktemp -d /tmp/dir.XXXXXX | wc -c; rm -rf /tmp/dir.??????
which sh; which nothing; echo "status $?"
cat /proc/sys/kernel/ostype
dmesg | head -n 1 | wc -l
sync; echo "status $?"
mknod /tmp/n c 1 3 && echo gone >/tmp/n && stat -c '%F %t %T' /tmp/n; rm /tmp/n
chroot / /bin/sh -c 'echo in root'
su -s /bin/sh nobody -c 'id -u; echo x >/etc/passwd' 2>&1
echo 'piped' | cat /proc/self/fd/0
echo 'to stderr' >/proc/self/fd/2
