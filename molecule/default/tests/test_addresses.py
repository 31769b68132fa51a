"""The plain addresses of an application: HAProxy on its own host leads to the masters."""

import shlex

import pytest

from tests.support.live.fleet import LiveFleet

# An ordinary client: a URL from the environment, and nothing about Sentinel.
CLIENT = """
import json, os, redis
store = os.environ["REDIS_URL"]
found = []
for url in (store, store.replace(":16380", ":16379")):
    client = redis.from_url(url)
    client.set("test:addresses", store[-8:])
    found.append([client.get("test:addresses").decode() == store[-8:], client.info("replication")["role"]])
    client.client_list()
print(json.dumps(found))
"""


@pytest.mark.parametrize("group", ["app", "workers"])
def test_an_ordinary_client_writes_to_the_masters(fleet: LiveFleet, group: str) -> None:
    for host in fleet.group(group):
        assert fleet.json_of(host, f"news python -c {shlex.quote(CLIENT)}") == [[True, "master"]] * 2


def test_nobody_but_root_can_read_the_password_of_the_checks(fleet: LiveFleet) -> None:
    for host in fleet.group("app"):
        search = fleet.run(host, "grep -rlFf - /etc/haproxy", check=False, given=fleet.secrets["redis_app_password"])
        readable = search.stdout.split()
        assert readable == ["/etc/haproxy/fleet/10-password.cfg"]
        assert fleet.run(host, f"stat -c %A {readable[0]}").stdout == "-rw-------\n"


def test_a_reload_cuts_no_session(fleet: LiveFleet) -> None:
    host = fleet.group("app")[0]
    code = """
import os, redis, time
client = redis.from_url(os.environ["REDIS_URL"], retry=None)
connection = client.client()
before = connection.client_id()
time.sleep(6)
print(before == connection.client_id())
"""
    script = f"(sleep 2; systemctl reload haproxy) & news python -c {shlex.quote(code)}; wait"
    assert fleet.run(host, script).stdout == "True\n"
