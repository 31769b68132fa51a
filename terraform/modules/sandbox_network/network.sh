#!/bin/sh
# Creates or removes a fleet's bridge network. Environment: FLEET, SUBNET, OWNER (the fleet's clone), ENGINE.
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
engine() { "$root/bin/engine" "$@"; }
fail() { echo "$*" >&2; exit 1; }
network=flaskfleet-$FLEET

containers() { engine ps --all --quiet --filter "label=flaskfleet.fleet=$FLEET"; }

# After a power cut the engine may list a container as running that is not. It runs only if its init process exists.
alive() {
    pid=$(engine inspect --format '{{.State.Pid}}' "$1" 2>/dev/null || echo 0)
    [ "$pid" -gt 0 ] && grep -q systemd "/proc/$pid/comm" 2>/dev/null
}

clear_leftovers() {
    for id in $(containers); do engine rm --force --volumes "$id" >/dev/null; done
    ! engine network inspect "$network" >/dev/null 2>&1 || engine network rm --force "$network" >/dev/null
    # A killed engine leaves address leases, and bridges without a network.
    rm -rf "/var/lib/cni/networks/$network"
    claimed=$(engine network ls --quiet | while read -r name; do engine network inspect "$name"; done)
    for link in $(ip -o -4 address show to "$SUBNET" | awk '{print $2}'); do
        case $link in
        cni-podman* | podman* | br-*) echo "$claimed" | grep -q "\"${link#br-}" || ip link delete "$link" ;;
        esac
    done
}

case $1 in
create)
    for id in $(containers); do
        owner=$(engine inspect --format '{{index .Config.Labels "flaskfleet.owner"}}' "$id")
        if [ "$owner" != "$OWNER" ] && alive "$id"; then
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
