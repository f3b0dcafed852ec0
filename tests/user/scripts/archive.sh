# tar, gzip, bzip2, xz, cpio, dd: what goes in comes out.
rm -rf /tmp/archive && mkdir /tmp/archive && cd /tmp/archive || exit 1
umask 022
mkdir -p tree/sub
seq 1 5000 >tree/numbers
ln -s numbers tree/link
printf '\001\002\000\377' >tree/sub/bytes
: >tree/sub/empty
chmod 755 tree/sub/empty
find tree -exec touch -h -d '2010-10-10 10:10:10' {} +
tar -cf tree.tar tree && tar -tvf tree.tar | sort -k6
mkdir out && tar -xf tree.tar -C out && diff -r tree out/tree && echo identical
find out -exec touch -h -d '2011-11-11 11:11:11' {} + && ls -l out/tree | sed 1d
tar -czf tree.tgz tree && tar -tzf tree.tgz | sort
tar -xzOf tree.tgz tree/numbers | tail -1
gzip -c tree/numbers >n.gz && gzip -dc n.gz | cmp - tree/numbers && echo gzip-same
gzip -t n.gz; echo "status $?"
cp tree/numbers g && gzip g && ls g* && gunzip g.gz && ls g*
bzip2 -c tree/numbers | bunzip2 -c | cmp - tree/numbers && echo bzip2-same
zcat n.gz | wc -l
echo garbage | gzip -dc; echo "status $?"
(cd tree && find . | sort | cpio -o -H newc 2>/dev/null) >t.cpio
mkdir c && (cd c && cpio -i -d <../t.cpio 2>/dev/null && find . | sort)
echo '-- dd'
dd if=tree/numbers of=part bs=100 skip=2 count=3 2>/dev/null; wc -c part; head -1 part
dd if=/dev/zero bs=1M count=3 2>/dev/null | wc -c
printf XXXX | dd of=part bs=1 seek=10 conv=notrunc 2>/dev/null; wc -c part; head -c 20 part; echo
dd if=/dev/zero of=z bs=64k count=16 2>/dev/null; sha256sum z
truncate -s 1000 z; wc -c z; truncate -s 2000 z; md5sum z
uuencode -m x <tree/sub/bytes
base64 tree/sub/bytes; base64 tree/sub/bytes | base64 -d | od -c
cd / && rm -rf /tmp/archive
