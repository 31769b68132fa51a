"""Role haproxy: which server is the master, and the states that the servers begin with."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from tests.unit.roles.fleet_variables import trust
from tests.unit.roles.modules import ROLES, load, read_yaml, render

state = load(ROLES / "haproxy/files/haproxy_state.py")
servers = load(ROLES / "haproxy/files/haproxy_tls_servers.py")
MEMBERS = [{"name": f"cache{number}", "address": f"10.0.0.5{number}"} for number in (1, 2)]
SENTINELS = [{"name": f"mon{number}", "address": f"10.0.0.6{number}"} for number in (1, 2, 3)]
DATABASES = [{"name": "db1", "address": "10.0.0.41"}]


def rendered(template: str, **given: Any) -> str:
    """Return a file of the role as a host with two Redis servers and three Sentinels gets it."""
    found = read_yaml("roles/haproxy/defaults/main.yml") | {
        "haproxy_metrics_address": "10.0.0.21",
        "haproxy_redis_members": MEMBERS,
        "haproxy_redis_sentinel_members": SENTINELS,
        "haproxy_redis_password": "x",
        "__haproxy_seen": {"stdout_lines": []},
        **given,
    }
    private = trust(read_yaml("roles/haproxy/vars/main.yml"))
    found |= Templar(DataLoader(), found | private).template(private)
    return render("haproxy", template, **found)


def sections(text: str) -> dict[str, list[str]]:
    """Return the lines of each section by its title."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line[:1].isalpha():
            found[line] = lines = []
        elif line.strip() and not line.startswith("#"):
            lines.append(line.strip())
    return found


@pytest.mark.parametrize(("sentinels", "majority"), [(1, 1), (3, 2), (5, 3)])
def test_a_redis_is_up_only_with_the_votes_of_a_majority(sentinels: int, majority: int) -> None:
    voters = [{"name": f"s{number}", "address": f"10.0.1.{number}"} for number in range(sentinels)]
    found = sections(rendered("haproxy.cfg.j2", haproxy_redis_sentinel_members=voters))
    (expect,) = [line for line in found["listen cache-cache2"] if "expect" in line]
    assert f"nbsrv(cache-cache2-votes),div({majority}),bool,iif('role:master'," in expect
    votes = found["backend cache-cache2-votes"]
    assert len([line for line in votes if line.startswith("server ")]) == sentinels
    assert 'tcp-check expect min-recv 30 string "\\r\\n10.0.0.52\\r\\n"' in votes


def test_a_single_redis_needs_no_votes() -> None:
    found = sections(rendered("haproxy.cfg.j2", haproxy_redis_members=MEMBERS[:1]))
    assert "tcp-check expect min-recv 40 string role:master" in found["listen store-cache1"]
    assert not [title for title in found if "votes" in title]


def test_the_sessions_of_a_former_master_are_closed_by_a_proxy_that_never_waits_for_a_connection() -> None:
    found = sections(rendered("haproxy.cfg.j2", haproxy_postgres_members=DATABASES))
    for title, lines in found.items():
        for line in (line for line in lines if "shutdown-sessions" in line):
            assert " abns@" in line, f"{title}: HAProxy 3.0 leaves clients hanging if it is just connecting by TCP"
    assert (
        "server cache1 abns@store-cache1 track store-cache1/cache1 on-marked-down shutdown-sessions"
        in (found["listen store"])
    )
    assert "bind 127.0.0.1:15433" in found["frontend postgres-replica"]
    assert not [title for title in sections(rendered("haproxy.cfg.j2")) if "postgres" in title]


def test_every_checked_server_is_down_before_its_first_check() -> None:
    given = {"haproxy_postgres_members": DATABASES}
    down = state.servers(rendered("servers.state.j2", **given))
    checked = {
        (title.split()[1], line.split()[1], line.split()[2].split(":")[0])
        for title, lines in sections(rendered("haproxy.cfg.j2", **given)).items()
        for line in lines
        if line.startswith("server ") and " check" in line
    }
    assert down.keys() == checked
    assert {words[5] for words in down.values()} == {"0"}


def test_a_reload_keeps_the_states_of_servers_that_have_the_same_address() -> None:
    initial = rendered("servers.state.j2")
    up = "1\n# names\n" + "".join(
        f"3 {backend} 1 {name} {address} 2 0 1 1 27 15 3 1 6 0 0 0 - {port} - 0 0 - - 0\n"
        for backend, name, address, port in [
            ("store-cache1", "cache1", "10.0.0.51", "6380"),
            ("store-cache2", "cache2", "10.0.0.99", "6380"),
            ("gone", "cache9", "10.0.0.59", "6380"),
        ]
    )
    after = {words[1]: words for words in map(str.split, state.merged(initial, up).splitlines()) if len(words) > 1}
    assert (after["store-cache1"][5], after["store-cache2"][5], after["store-cache2"][4]) == ("2", "0", "10.0.0.52")
    assert "gone" not in after


def test_a_server_that_serves_tls_now_keeps_its_state_and_gets_another_port() -> None:
    seen = {"__haproxy_seen": {"stdout_lines": ["10.0.0.51:6480"]}, "haproxy_redis_tls": True}
    up = "1\n3 store-cache1 1 cache1 10.0.0.51 2 0 1 1 27 15 3 1 6 0 0 0 - 6380 - 0 0 - - 0\n"
    after = {
        words[1]: words
        for words in map(str.split, state.merged(rendered("servers.state.j2", **seen), up).splitlines())
        if len(words) > 1
    }
    known, other = after["store-cache1"], after["store-cache2"]
    assert (known[5], known[state.PORT], known[state.TLS]) == ("2", "6480", "1")
    assert (other[state.PORT], other[state.TLS]) == ("6380", "0")


def test_only_servers_that_serve_tls_are_reached_by_it_and_their_names_are_verified() -> None:
    seen = {"__haproxy_seen": {"stdout_lines": ["10.0.0.51:6479", "10.0.0.51:6480"]}, "haproxy_redis_tls": True}
    found = sections(rendered("haproxy.cfg.j2", **seen))
    verified = "ssl verify required ca-file /etc/fleet-tls/ca.pem crt /etc/haproxy/client.pem verifyhost cache1"
    assert f"server cache1 10.0.0.51:6479 check {verified}" in found["listen cache-cache1"]
    assert "server cache2 10.0.0.52:6380 check" in found["listen store-cache2"]
    assert "ssl" not in rendered("haproxy.cfg.j2", **seen | {"haproxy_redis_tls": False})


def test_a_server_that_was_reached_by_tls_is_not_asked_again() -> None:
    """It may be down: nothing listens at this port."""
    words = ["cache1=127.0.0.1:1"]
    assert servers.serving(words, "server cache1 127.0.0.1:1 check ssl verify required") == ["127.0.0.1:1"]
    assert servers.serving(words, "server cache1 127.0.0.1:1 check") == []


def test_a_password_with_special_characters_reaches_haproxy_unchanged() -> None:
    line = rendered("password.cfg.j2", haproxy_redis_password='a"b\\c$d').splitlines()[-1]
    assert line == '    setenv REDIS_PASSWORD "a\\"b\\\\c\\$d"'
