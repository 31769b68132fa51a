#!/bin/sh
# Reload nginx, and fail if it keeps the old settings. `nginx -s reload` alone succeeds even if the master then rejects
# the new files, for instance because an address is in use, or because a shared zone has another type.
set -eu
children() { cat "/proc/$MAINPID/task/$MAINPID/children"; }

before=" $(children) "
touch /run/nginx.loading
nginx -s reload
tries=0
while [ "$tries" -lt 50 ]; do
    for child in $(children); do
        case $before in
        *" $child "*) ;;
        *) exec mv /run/nginx.loading /run/nginx.loaded ;;
        esac
    done
    tries=$((tries + 1))
    sleep 0.1
done
echo "nginx did not load its new settings and keeps the old ones. The end of its error log:" >&2
journalctl --quiet --identifier nginx --lines 3 --output cat >&2
exit 1
