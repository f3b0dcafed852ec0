# Directories, links, copies, moves, listings, permissions.
rm -rf /tmp/files && mkdir /tmp/files && cd /tmp/files || exit 1
umask 022
mkdir -p a/b/c d/e
echo one >a/one
echo two >a/b/two
printf 'three' >a/b/c/three
ln a/one a/hard
ln -s ../a/one d/soft
ln -s nowhere d/dangling
mkfifo d/pipe
chmod 640 a/one
chmod 1777 d/e
chmod u+s,g-r a/b/two
find . -exec touch -h -d '2001-02-03 04:05:06' {} +
ls -lR
ls -ld a d/e
ls -1 a d
ls -F d
ls -a a
ls -n a/one
echo '-- stat'
stat -c '%n %s %A %a %h %u %g %F' a a/one a/hard a/b/two d/soft d/pipe
stat -L -c '%n %s %F' d/soft
echo '-- find'
find . | sort
find . -type f -name 't*' | sort
find . -type l | sort
find . -size -5c -type f | sort
find a -newer d -print
find a -depth -name '*' | sort -r
echo '-- cp'
cp -r a copy
find copy | sort
cp -a a exact
ls -lR exact
cp a/one a/b/two d/e
ls d/e
cp nothing here; echo "status $?"
echo '-- mv'
mv copy moved && find moved | sort
mv moved/one moved/b/c/renamed
mv moved/b/c .
ls c
mv c a; echo "status $?"; ls a
mv nothing here; echo "status $?"
echo '-- rm'
rm a/hard && cat a/one
rm d; echo "status $?"
rmdir d; echo "status $?"
rm -r d && ls
rm -f nothing; echo "status $?"
rm nothing; echo "status $?"
echo '-- links'
ln -s loop loop; cat loop; echo "status $?"
ln -sf /etc/passwd link; readlink link; readlink -f link
ln a/one a/one; echo "status $?"
mkdir x y; mkdir x; echo "status $?"
touch x/f; rmdir x; echo "status $?"
mkdir -p x/1/2/3 && rmdir -p x/1/2/3; echo "status $?"; ls x
echo '-- du and test'
dd if=/dev/zero of=big bs=1k count=100 2>/dev/null
du -k big
dd if=/dev/zero of=sparse bs=1 count=1 seek=1000000 2>/dev/null
du -k sparse; ls -l sparse | cut -c1-50
for op in -e -f -d -L -p -s -r -x -h; do test $op a/one; echo "$op $?"; done
test a/one -nt a/b; test big -ef big; echo "same $?"
umask 077; touch private; stat -c %a private; umask
cd / && rm -rf /tmp/files
