#!/bin/sh
# Creates or removes a fleet's bridge network. Environment: FLEET, SUBNET, OWNER (the fleet's clone), ENGINE.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
engine() { "$root/bin/engine" "$@"; }
fail() { echo "$*" >&2; exit 1; }
network=flaskfleet-$FLEET

containers() { engine ps --all --quiet --filter "label=flaskfleet.fleet=$FLEET"; }

# Other runs on this machine remove entries while this one works, so an entry may vanish after it was listed.
gone() { ! engine "$1" inspect "$2" >/dev/null 2>&1; }

# After a power cut the engine may list a container as running that is not. It runs only if its init process exists.
alive() { [ "$1" -gt 0 ] && grep -q systemd "/proc/$1/comm" 2>/dev/null; }

clear_leftovers() {
    for id in $(containers); do engine rm --force --volumes "$id" >/dev/null || gone container "$id"; done
    gone network "$network" || engine network rm --force "$network" >/dev/null || gone network "$network"
    # A killed engine leaves address leases, and bridges without a network.
    rm -rf "/var/lib/cni/networks/$network"
    case ${ENGINE:-podman} in podman) interface='{{.NetworkInterface}}' ;; docker) interface='br-{{.ID}}' ;; esac
    links=$(ip -o -4 address show to "$SUBNET" | awk '{print $2}') # before the networks: a bridge follows its network
    claimed=$(engine network ls --format "$interface")
    for link in $links; do
        case $link in
        cni-podman* | podman* | br-*)
            echo "$claimed" | grep -qxF "$link" || ip link delete "$link" || ! ip link show "$link" >/dev/null 2>&1
            ;;
        esac
    done
}

case $1 in
create)
    # Until the network exists, no other run stops the engine (tools/fleet/down.py).
    exec 9>/tmp/flaskfleet-prune.lock
    flock --shared 9
    for id in $(containers); do
        state=$(engine inspect --format '{{.State.Pid}} {{index .Config.Labels "flaskfleet.owner"}}' "$id" || echo 0)
        owner=${state#* }
        if [ "$owner" != "$OWNER" ] && alive "${state%% *}"; then
            fail "FLEET=$FLEET already runs from the clone $owner. Choose another name (FLEET=other)," \
                "or run 'make down FLEET=$FLEET' there."
        fi
    done
    clear_leftovers
    taken=$(python3 "$(dirname "$0")/overlap.py" "$SUBNET")
    [ -z "$taken" ] ||
        fail "subnet = \"$SUBNET\" overlaps $taken on this machine. Choose a free one (make up SUBNET=10.78.1.0/24)."
    engine network create --subnet "$SUBNET" --label "flaskfleet.fleet=$FLEET" "$network" >/dev/null
    ;;
destroy)
    clear_leftovers
    ;;
esac
