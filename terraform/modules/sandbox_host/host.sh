#!/bin/sh
# Creates or removes one sandbox host: a container with systemd and SSH, which Ansible treats like a VM.
# Environment: FLEET, HOST, ADDRESS, NETWORK, OWNER, STATE_DIRECTORY (SSH key and known_hosts), ENGINE;
# PUBLIC_KEY_FILE, if the host gets a public key other than the one in STATE_DIRECTORY;
# SHARED_FOLDER, if the host mounts the folder STATE_DIRECTORY/shared there.
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

# If the engine is killed while it creates a host, it leaves an interface with the host's address. Whenever a host is
# added or removed, the bridge sends packets there, and it resets connections that it does not know.
remove_stale_interface() {
    send='import socket, sys; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", (sys.argv[1], 9))'
    python3 -c "$send" "$ADDRESS" 2>/dev/null || return 0
    sleep 0.2
    for port in $(bridge fdb show | awk -v mac="$mac" '$1 == mac && $4 == "master" { print $3 }'); do
        ip link delete "$port" || true # it may already be gone
    done
}

remove() {
    error=$(engine rm --force --volumes "$container" 2>&1) || true
    ! engine container inspect "$container" >/dev/null 2>&1 ||
        fail "The container $container could not be removed: $error. Try '$root/bin/engine rm --force $container'."
    rm -f "/var/lib/cni/networks/$NETWORK/$ADDRESS" # a lease from a killed engine
}

case $1 in
create)
    mkdir -p "$STATE_DIRECTORY"
    # The MAC address is derived from the IP address, so that it survives a restart. With a new one, the ARP caches of
    # other hosts would be wrong for half a minute.
    # shellcheck disable=SC2046  # four numbers
    mac=$(printf '02:42:%02x:%02x:%02x:%02x' $(echo "$ADDRESS" | tr . ' '))
    remove # a container of an interrupted run
    remove_stale_interface
    case ${ENGINE:-podman} in
    # Without --no-hosts podman overwrites /etc/hosts at every boot.
    podman) boot="--systemd=always --no-hosts --security-opt unmask=ALL" init="exec /sbin/init" ;;
    docker)
        boot="--cgroupns=private --env container=docker --tmpfs /run:exec --tmpfs /run/lock"
        boot="$boot --security-opt systempaths=unconfined --security-opt apparmor=unconfined"
        init="mount -o remount,rw /sys/fs/cgroup && exec /sbin/init" # docker mounts the tree read-only
        ;;
    esac
    if [ -n "${SHARED_FOLDER:-}" ]; then
        mkdir -p "$STATE_DIRECTORY/shared"
        boot="$boot --volume $STATE_DIRECTORY/shared:$SHARED_FOLDER"
    fi
    # While hosts are created, no other run removes the image (tools/fleet/down.py).
    (
        flock --shared 9
        # systemd needs SYS_ADMIN, no seccomp and no masks for its own sandboxing of units.
        # shellcheck disable=SC2086  # flags, not one word
        engine run --detach --name "$container" --hostname "$HOST" --network "$NETWORK" --ip "$ADDRESS" \
            --mac-address "$mac" --label "flaskfleet.fleet=$FLEET" --label "flaskfleet.owner=$OWNER" $boot \
            --security-opt seccomp=unconfined \
            --cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_PTRACE --cap-add AUDIT_WRITE \
            --stop-signal SIGRTMIN+3 --restart=always "$("$root/bin/host-image")" sh -c "$init" >/dev/null 9>&-
    ) 9>/tmp/flaskfleet-prune.lock
    # The engine copies the login key in and the host key out, so that SSH needs no trust on first use.
    tries=0
    until engine exec "$container" test -S /run/systemd/private -a -s /etc/ssh/ssh_host_ed25519_key.pub 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || fail "The host $HOST did not boot. See '$root/bin/engine logs $container'."
        sleep 0.3
    done
    [ "${ENGINE:-podman}" = docker ] ||
        printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 %s\n' "$HOST" |
        engine exec --interactive "$container" sh -c 'cat >/etc/hosts'
    engine exec --interactive --user admin "$container" sh -c 'umask 077; cat >/home/admin/.ssh/authorized_keys' \
        <"${PUBLIC_KEY_FILE:-$STATE_DIRECTORY/id_ed25519.pub}"
    forget "$ADDRESS $(engine exec "$container" cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)"
    ;;
destroy)
    remove
    [ ! -d "$STATE_DIRECTORY" ] || forget
    ;;
esac
