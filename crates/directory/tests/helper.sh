#!/bin/sh
# A helper that says what the client wants it to say: each token is, decoded, the line of its answer.
# "hang" and "die" do that; "twice" answers with two lines, "endless" with one that does not end.
# "count" says which request it is to this process, and "verb" with which word it was asked.
[ "$1" = "--helper-protocol=squid-2.5-ntlmssp" ] || [ "$1" = "--helper-protocol=gss-spnego" ] || exit 2
count=0
while read -r verb token; do
    count=$((count + 1))
    said=$(printf '%s' "$token" | base64 -d)
    case $said in
    hang) exec sleep 1000 ;;
    die) exit 1 ;;
    twice) printf 'AF one\nAF two\n' ;;
    endless) while :; do printf 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'; done ;;
    count) echo "AF count-$count" ;;
    verb) echo "AF $verb" ;;
    environment) echo "AF ${HOME-nothing}" ;;
    *) printf '%s\n' "$said" ;;
    esac
done
