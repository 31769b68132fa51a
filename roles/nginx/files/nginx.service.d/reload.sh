#!/bin/sh
# Reload nginx and wait until it did. `nginx -s reload` alone succeeds also where the running master then refuses the new files (an
# address that is taken, a shared zone of another kind) and serves on with the old ones: an operator has to know.
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
echo "nginx still serves with its old settings. Its last words in /var/log/nginx/error.log:" >&2
tail -n 3 /var/log/nginx/error.log >&2
exit 1
