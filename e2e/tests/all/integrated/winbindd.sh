#!/bin/sh
# Samba's helper beside the winbindd whose directory this is called from: it sees that one's files.
here=${0%/*}
read -r process <"$here/process"
exec nsenter --mount --target "$process" /usr/bin/ntlm_auth --configfile="$here/smb.conf" "$@"
