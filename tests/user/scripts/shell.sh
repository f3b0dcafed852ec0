# The shell language itself: expansions, here-documents, functions, redirections, pipelines.
rm -rf /tmp/shell && mkdir /tmp/shell && cd /tmp/shell || exit 1
echo '-- expansion'
name=world; unset missing
echo "hello $name ${name}s ${#name} ${missing:-default} ${name:+set} ${name#wo} ${name%ld}"
path=/usr/lib/file.tar.gz
echo "${path##*/} ${path%/*} ${path%%.*} ${path#*.} ${name/o/0}"
echo $((1 + 2 * 3)) $((7 / 2)) $((7 % 3)) $((1 << 10)) $((0x1f)) $((5 > 3 && 2)) $((-7 / 2))
i=5; echo $((i++)) $i $((i += 10)) $i
echo "$(echo nested "$(echo deeper)")" `echo old`
set -- a 'b c' d; echo $# "$1" "$2" "$*" "$@"; for x in "$@"; do echo "<$x>"; done; shift 2; echo $#
touch f1 f2 g1; echo f* ?1 [fg]1 none*; echo 'f*' "f*"
IFS=:; set -- a:b:c; set -- $1; echo $#; IFS=' 	
'
echo ~root {a,b}
echo '-- here-documents'
cat <<END
expanded $name $(echo command) \$literal
END
cat <<'END'
literal $name $(command)
END
cat <<-END
	tabs are cut
	END
cat <<ONE; cat <<TWO
first
ONE
second
TWO
echo '-- redirection'
echo out >o; echo more >>o; cat <o; cat o 2>/dev/null; ls nothing 2>e; wc -l <e
{ echo both; ls nothing; } >b 2>&1; wc -l <b
exec 3>three; echo via3 >&3; exec 3>&-; cat three
exec 4<o; read line <&4; echo "read $line"; read line <&4; echo "read $line"; exec 4<&-
echo x >|o; cat o; : >o; wc -c <o
set -C; echo no >o; echo "status $?"; set +C
cat <nothing; echo "status $?"
echo '-- control'
for i in 1 2 3 4 5; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done
i=0; while [ $i -lt 3 ]; do i=$((i + 1)); done; echo $i; until [ $i -eq 0 ]; do i=$((i - 1)); done; echo $i
case abc in a?c) echo match;; *) echo no;; esac
case x in a|x) echo alt;; esac
if false; then echo no; elif true; then echo elif; else echo no; fi
true && echo and || echo or; false && echo and || echo or; ! true; echo "status $?"
f() { local v=inner; echo "$v $1 $#"; return 3; }; v=outer; f arg x; echo "$? $v"
fact() { if [ $1 -le 1 ]; then echo 1; else echo $(($1 * $(fact $(($1 - 1))))); fi; }; fact 10
(exit 7); echo "status $?"; (cd /; pwd); pwd
sh -c 'exit 9'; echo "status $?"; sh -c 'kill -9 $$'; echo "status $?"
nosuchcommand; echo "status $?"
/etc/passwd; echo "status $?"
eval 'echo eval $name'; echo "#!/bin/sh
echo script \$1" >s; chmod +x s; ./s arg; . ./s dot
printf '#!/bin/none\n' >bad; chmod +x bad; ./bad; echo "status $?"
echo '-- pipelines'
seq 1 1000 | grep 7 | sort -rn | head -n 5 | tr '\n' ' '; echo
yes | head -c 100000 | wc -c
false | true; echo "status $?"; set -o pipefail; false | true; echo "status $?"; set +o pipefail
echo a | { read x; echo "got $x"; }
seq 3 | while read n; do echo "n=$n"; done
seq 1 10 | xargs -n 3 echo; seq 1 3 | xargs -I{} echo item {}; printf 'a\0b c\0' | xargs -0 -n1 echo
find . -name 'f*' | sort | xargs ls
mkfifo p; echo through fifo >p & cat p; wait
ls | cat | cat | wc -l
echo '-- reading'
printf 'one two three\nfour\\\nfive\n' | { read a b; echo "$a|$b"; read -r c; echo "$c"; }
while IFS=: read user x uid rest; do echo "$user $uid"; done </etc/passwd
echo '-- options'
set -e; (false; echo unreached); echo "status $?"
