#!/bin/sh
# A PAM helper that does what the password says; what is none of these words is the whole answer.
text() {
    # shellcheck disable=SC2046
    set -- $(head -c 2 | od -An -tu1)
    head -c $(($1 * 256 + $2))
}
say() {
    printf "\\$(printf %03o $((${#1} / 256)))\\$(printf %03o $((${#1} % 256)))%s" "$1"
}
service=$(text)
name=$(text)
password=$(text)
case $password in
hang) exec sleep 1000 ;;
die) exit 1 ;;
kill) kill -9 $$ ;;
silent) exec >&- ;;
cut) printf '\000\006Gali' ;;
garbage) echo "Last login: yesterday" ;;
endless) while :; do printf 'GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG' || exit; done ;;
request) say "G$service-$name-$password" ;;
arguments) say "G$*" ;;
environment) say "G${HOME-nothing}" ;;
process) say "G$$" ;;
*) say "$password" ;;
esac
