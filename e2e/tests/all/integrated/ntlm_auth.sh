#!/bin/sh
# Samba's helper, with one password for everybody instead of a domain controller.
exec /usr/bin/ntlm_auth "$@" --password=secret
