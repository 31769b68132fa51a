"""What a host's probe makes of the answers that it gets, and of those that it does not get."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.fleet import probe
from tools.fleet.status import PROBE

MASTER = """# Replication
role:master
connected_slaves:2
slave0:ip=10.0.0.52,port=6380,state=online,offset=1900,lag=1
slave1:ip=10.0.0.61,port=6380,state=wait_bgsave,offset=0,lag=0
master_repl_offset:2000
"""
REPLICA = "# Replication\r\nrole:slave\r\nmaster_host:10.0.0.51\r\nmaster_link_status:up\r\n"
UNITS = """
nginx.service      loaded    active   running A server
app.service        loaded    failed   failed  Ours
auditd.service     not-found inactive dead    auditd.service
"""


@pytest.fixture
def server() -> Iterator[Callable[[str], int]]:
    """Start something that answers the first connection with a text, by its port; empty stays silent."""
    sockets = []

    def start(answer: str) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def serve() -> None:
            connection, _ = listening.accept()
            sockets.append(connection)
            if answer:
                asked.append(connection.recv(65536).decode())
                connection.sendall(answer.encode())
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return int(listening.getsockname()[1])

    yield start
    for open_socket in sockets:
        open_socket.close()


asked: list[str] = []


def test_a_master_tells_how_far_its_replicas_are_behind() -> None:
    assert probe.replication(MASTER) == {"master": True, "replicas": 1, "behind": {"10.0.0.52": 100}}


def test_a_replica_tells_whether_it_has_its_master() -> None:
    assert probe.replication(REPLICA) == {"master": False, "linked": True}
    assert probe.replication(REPLICA.replace(":up", ":down")) == {"master": False, "linked": False}


def test_a_redis_that_refuses_has_no_role() -> None:
    assert probe.replication("-LOADING Redis is loading the dataset in memory\r\n") is None


def test_the_fewest_sentinels_that_one_sees_for_any_master_count() -> None:
    gone = "-NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority"
    assert probe.votes(f"+OK\r\n+OK 3 usable Sentinels. Quorum can be reached\r\n{gone}\r\n") == 1
    assert probe.votes("-WRONGPASS invalid username-password pair") is None


def test_units_that_failed_or_do_not_run_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "run", lambda *command: UNITS if "list-units" in command else "degraded")
    facts = probe.systemd({"units": ["nginx", "keepalived", "app"]})
    assert facts == {"system": "degraded", "failed": ["app.service"], "stopped": ["keepalived"], "beat": False}


def test_a_drained_host_is_a_note_in_a_folder_that_may_be_absent(tmp_path: Path) -> None:
    assert probe.notes(tmp_path / "nowhere") == {}
    (tmp_path / "app1").write_text(json.dumps({"by": "kim", "when": "now", "why": "disk"}))
    assert probe.notes(tmp_path) == {"app1": {"by": "kim", "when": "now", "why": "disk"}}


def test_redis_is_asked_with_the_password_that_lies_on_the_host(
    server: Callable[[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = server(f"+OK\r\n$99\r\n{REPLICA}")
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({f"redis://monitoring@127.0.0.1:{port}": "s3cret"}))
    monkeypatch.setattr(probe, "PASSWORDS", passwords)
    assert probe.instance("127.0.0.1", port) == {"master": False, "linked": True}
    assert asked[-1] == "AUTH monitoring s3cret\r\nINFO replication\r\n"


def test_an_answer_with_an_error_has_a_status_and_a_body(server: Callable[[str], int]) -> None:
    port = server('HTTP/1.0 503 Service Unavailable\r\nContent-Type: text\r\n\r\n{"state": "stopped"}')
    assert probe.http("127.0.0.1", port, "GET /patroni") == (503, '{"state": "stopped"}')
    assert asked[-1].startswith("GET /patroni HTTP/1.0\r\nHost: 127.0.0.1\r\n")


def test_what_hangs_or_refuses_is_null_and_holds_nothing_else_up(
    server: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PATIENCE", 0.3)
    hanging = server("")
    begin = time.monotonic()
    facts = probe.learn(
        {
            "": lambda: {"system": "running"},
            "app": lambda: probe.http("127.0.0.1", hanging, "GET /readyz"),
            "postgres": lambda: json.loads(""),
            "patroni": lambda: probe.http("127.0.0.1", 1, "GET /patroni"),
            "cache": lambda: time.sleep(5),
        }
    )
    assert time.monotonic() - begin < 2
    assert facts == {"system": "running", "app": None, "postgres": None, "patroni": None, "cache": None}


def test_a_host_whose_systemd_does_not_answer_is_up_and_says_so() -> None:
    def hang() -> None:
        raise subprocess.TimeoutExpired("systemctl", 1)

    assert probe.learn({"": hang}) == {"system": "unresponsive"}


def test_the_script_runs_on_a_bare_python_and_prints_json() -> None:
    settings = json.dumps({"address": "127.0.0.1", "groups": ["app"], "vip": "", "health": "/", "units": []})
    result = subprocess.run(
        [sys.executable, "-IS", "-", settings], input=PROBE, capture_output=True, text=True, timeout=20, check=True
    )
    facts = json.loads(result.stdout)
    assert facts["app"] in {False, None}
    assert "postgres" not in facts


def test_a_member_of_etcd_tells_who_deploys(server: Callable[[str], int], monkeypatch: pytest.MonkeyPatch) -> None:
    lock = {"by": "kim", "action": "deploy"}
    value = base64.b64encode(json.dumps(lock).encode()).decode()
    for answer, says in (({"kvs": [{"value": value}]}, lock), ({"header": {}}, {})):
        monkeypatch.setattr(probe, "ETCD_PORT", server(f"HTTP/1.0 200 OK\r\n\r\n{json.dumps(answer)}"))
        assert probe.deploying("127.0.0.1") == says
    assert base64.b64decode(json.loads(asked[-1].partition("\r\n\r\n")[2])["key"]) == b"/flaskfleet/deploy/lock"
