"""The search for secrets (default/tests/test_secrets.py) finds them in every kind of place."""

import uuid

from tests.support.live.fleet import LiveFleet
from tests.support.live.secrets import search

# Puts $1 into every kind of place of the host $2, with the database $3.
PLANT = """
cd /
echo "$1" | tee /tmp/planted >/var/log/planted
systemd-cat --identifier=planted echo "$1"
systemd-run --quiet --unit=planted --uid=nobody --setenv=PLANTED="$1" sleep 120
systemd-run --quiet --unit=planted-arguments sh -c 'sleep 120; : $1' sh "$1"
install -d -m 0755 /run/planted
printf 'user:%s' "$1" | base64 --wrap=0 >/run/planted/basic
printf "set pg_stat_statements.track_utility = on; create role planted password '%s'; drop role planted;" "$1" |
    sudo -u postgres psql -XAtq -d "$3"
etcdctl put /planted "$1"
redis-cli -h "$2" auth "$1" wrong
"""
CLEAN = """
cd /
systemctl stop planted planted-arguments
rm -r /tmp/planted /var/log/planted /run/planted
etcdctl del /planted
sudo -u postgres psql -XAtq -d "$2" -c "select pg_stat_statements_reset(userid, dbid, queryid)
    from pg_stat_statements where query ~ 'role planted'"
"""
PLACES = {
    "/tmp/planted",
    "/var/log/planted",
    "the journal",
    "the arguments of a process",
    "systemd's properties of units",
    "Postgres' views",
    "etcd's keys",
    "Redis 6379 ACL LOG",
}


def test_the_search_finds_a_value_in_every_kind_of_place(fleet: LiveFleet) -> None:
    (node,) = fleet.hosts.values()
    value = uuid.uuid4().hex
    try:
        fleet.run(node, f"set -- {value} {node.address} {fleet.app_name}\n{PLANT}")
        found = search(fleet, node, {"planted": [value]})
    finally:
        fleet.run(node, f"set -- {node.address} {fleet.app_name}\n{CLEAN}", check=False)
    assert {place for place, _ in found.hits} == PLACES
    readable = {(user, place) for user, _, place in found.readable}
    assert {("nobody", "environ"), ("nobody", "/run/planted/basic")} <= readable
    assert ("postgres", "/run/planted/basic") in readable
    assert ("postgres", "environ") not in readable
