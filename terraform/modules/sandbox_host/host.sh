#!/bin/sh
# Creates or removes one sandbox host: a container that runs systemd and answers SSH, to Ansible the same thing as a VM.
# Environment: FLEET, HOST, ADDRESS (of a host to be removed: anything), NETWORK, OWNER, STATE_DIRECTORY (SSH key and known_hosts), ENGINE;
# PUBLIC_KEY_FILE where another key than that one may log in.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
engine() { "$root/bin/engine" "$@"; }
fail() { echo "$*" >&2; exit 1; }
container=$FLEET-$HOST
known_hosts=$STATE_DIRECTORY/known_hosts

forget() {
    (
        flock 9
        [ ! -f "$known_hosts" ] || { grep -v "^$ADDRESS " "$known_hosts" || true; } >"$known_hosts.new"
        [ ! -f "$known_hosts.new" ] || mv "$known_hosts.new" "$known_hosts"
        [ -z "${1:-}" ] || printf '%s\n' "$1" >>"$known_hosts"
    ) 9>"$STATE_DIRECTORY/.lock"
}

# An engine that was killed while it made the host leaves its network behind: a twin, to which the bridge gives the host's packets whenever
# another host comes or goes, and which resets connections that it knows nothing of. Whoever still has the address is unplugged.
unplug_twin() {
    python3 -c 'import socket, sys; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", (sys.argv[1], 9))' "$ADDRESS" 2>/dev/null || return 0
    sleep 0.2
    for port in $(bridge fdb show | awk -v mac="$mac" '$1 == mac && $4 == "master" { print $3 }'); do
        ip link delete "$port" || true # gone meanwhile
    done
}

remove() {
    said=$(engine rm --force --volumes "$container" 2>&1) || true
    ! engine container inspect "$container" >/dev/null 2>&1 ||
        fail "container $container could not be removed ($said); try '$root/bin/engine rm --force $container'."
    rm -f "/var/lib/cni/networks/$NETWORK/$ADDRESS" # a lease that a killed engine left
}

case $1 in
create)
    mkdir -p "$STATE_DIRECTORY"
    # As a machine's: it stays when the host starts again. With another one its neighbours talk to the old one for up to half a minute.
    # shellcheck disable=SC2046  # four numbers
    mac=$(printf '02:42:%02x:%02x:%02x:%02x' $(echo "$ADDRESS" | tr . ' '))
    remove # of an interrupted run
    unplug_twin
    case ${ENGINE:-podman} in
    # Without --no-hosts podman writes /etc/hosts anew at every boot.
    podman) boot="--systemd=always --no-hosts --security-opt unmask=ALL" init="exec /sbin/init" ;;
    docker)
        boot="--cgroupns=private --env container=docker --tmpfs /run:exec --tmpfs /run/lock --security-opt systempaths=unconfined --security-opt apparmor=unconfined"
        init="mount -o remount,rw /sys/fs/cgroup && exec /sbin/init" # docker mounts the tree read-only
        ;;
    esac
    # seccomp and masks off, SYS_ADMIN: systemd's own sandboxing of units needs them. It is a host, not an application container.
    # shellcheck disable=SC2086  # flags, not one word
    engine run --detach --name "$container" --hostname "$HOST" --network "$NETWORK" --ip "$ADDRESS" --mac-address "$mac" \
        --label "flaskfleet.fleet=$FLEET" --label "flaskfleet.owner=$OWNER" $boot --security-opt seccomp=unconfined \
        --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_PTRACE --cap-add AUDIT_WRITE \
        --stop-signal SIGRTMIN+3 --restart=always "$("$root/bin/host-image")" sh -c "$init" >/dev/null
    # The log-in key goes in, the host's own key comes out, both past the network: SSH needs to trust nothing on first use.
    tries=0
    until engine exec "$container" test -S /run/systemd/private -a -s /etc/ssh/ssh_host_ed25519_key.pub 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || fail "host $HOST did not boot; its console: '$root/bin/engine logs $container'."
        sleep 0.3
    done
    [ "${ENGINE:-podman}" = docker ] ||
        printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 %s\n' "$HOST" | engine exec --interactive "$container" sh -c 'cat >/etc/hosts'
    engine exec --interactive --user admin "$container" sh -c 'umask 077; cat >/home/admin/.ssh/authorized_keys' <"${PUBLIC_KEY_FILE:-$STATE_DIRECTORY/id_ed25519.pub}"
    forget "$ADDRESS $(engine exec "$container" cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)"
    ;;
destroy)
    remove
    [ ! -d "$STATE_DIRECTORY" ] || forget
    ;;
esac
