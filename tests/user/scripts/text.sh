# Filters: grep, sed, awk, sort, uniq, wc, head, tail, cut, tr, and friends.
rm -rf /tmp/text && mkdir /tmp/text && cd /tmp/text || exit 1
cat >poem <<'END'
The quick brown fox
jumps over the lazy dog
	tabs	and  spaces

The end, the END
12 apples and 7 pears
END
seq 1 200 >numbers
echo '-- grep'
grep the poem
grep -i the poem
grep -n '[0-9]' poem
grep -v e poem
grep -c '' poem
grep -o '[a-z]*o[a-z]*' poem
grep -E '(fox|dog)$' poem
grep -w END poem
grep -q absent poem; echo "status $?"
grep -l fox poem numbers
grep x nothing; echo "status $?"
grep -A1 -B1 lazy poem
echo '-- sed'
sed -n '2,3p' poem
sed 's/the/THE/g; /^$/d' poem
sed -e '1!G;h;$!d' poem
sed -E 's/([a-z]+) ([a-z]+)/\2 \1/' poem
sed '/fox/a\
after fox' poem | head -3
sed -n '$=' numbers
cp poem edit && sed -i 's/quick/slow/' edit && head -1 edit
sed 'y/abc/xyz/' poem | head -2
echo '-- awk'
awk '{ print NF, $1 }' poem
awk '{ s += $1 } END { print s, NR, s / NR }' numbers
awk -F: '{ print $1 "=" $3 }' /etc/passwd
awk 'BEGIN { for (i = 0; i < 5; i++) printf "%d^2=%d%s", i, i * i, i < 4 ? ", " : "\n" }'
awk '{ count[length($0) % 3]++ } END { for (i = 0; i < 3; i++) print i, count[i] }' numbers
awk 'BEGIN { print toupper("abc"), substr("hello", 2, 3), index("hello", "l"), 7 % 3, 2 ** 10 }'
awk '/quick/,/lazy/ { print NR ": " $0 }' poem
# Closed first: what awk prints while its command ends is lost now and then, on Linux too.
awk 'BEGIN { c = "echo from command"; while ((c | getline line) > 0) all = all line; close(c); print all }'
echo '-- sort and uniq'
sort poem
sort -r numbers | head -3
sort -n -r numbers | head -3
printf 'b 2\na 10\nc 1\n' | sort -k2 -n
printf 'b\na\nb\nc\na\n' | sort | uniq -c
printf 'b\na\nb\nc\na\n' | sort -u
printf 'a\na\nb\n' | uniq -d
echo '-- counts'
wc poem
wc -l <numbers
wc -c poem numbers
head -n 3 numbers
head -c 10 poem; echo
tail -n 2 numbers
tail -c 5 numbers
tail -n +199 numbers
echo '-- columns'
cut -d: -f1,3 /etc/passwd
cut -c1-5 poem
tr a-z A-Z <poem | head -1
tr -d '\n' <numbers | wc -c
echo aaabbb | tr -s ab
paste -d, numbers numbers | head -2
nl poem | head -2
rev poem | head -1
tac numbers | head -2
expand poem | sed -n 3p
fold -w 10 poem | head -3
od -c poem | head -2
hexdump -C poem | head -2
xxd poem | head -1
cmp poem edit; echo "status $?"
diff poem edit; echo "status $?"
echo '-- sums'
md5sum poem numbers
sha1sum poem
sha256sum poem numbers
sha512sum poem
echo 'hello' | md5sum
md5sum poem >sums && md5sum -c sums
echo '-- arithmetic'
expr 7 \* 6; expr abc : 'a\(.\)c'; expr 1 = 2; echo "status $?"
echo '2 3 + p' | dc
printf '%5d|%-5s|%05.2f|%x|%c\n' 42 ab 3.14159 255 z
factor 360
seq -s ' ' 5; seq 2 3 11; seq -w 8 11
strings -n 8 poem
cat -A poem | sed -n 3p
tee copy <poem >/dev/null && cmp poem copy && echo same
yes | head -n 2
basename /a/b/c.txt .txt; dirname /a/b/c.txt
cd / && rm -rf /tmp/text
