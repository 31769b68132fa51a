"""How a host's probe interprets answers and missing answers."""

import base64
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugins.certificates import tls_pair
from tests.unit.roles.json_server import answering
from tests.unit.roles.modules import ROLES, load
from tools.fleet import host_facts, probe
from tools.fleet.status import PROBE

upgrades_waiting = load(ROLES / "base/files/upgrades_waiting.py")
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
    """Start a server that answers its first connection with a text, or never if it is empty. Return its port."""
    sockets = []

    def start(answer: str) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        sockets.append(listening)

        def serve() -> None:
            connection, _ = listening.accept()
            sockets.append(connection)
            if answer:
                received.append(connection.recv(65536).decode())
                connection.sendall(answer.encode())
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        return int(listening.getsockname()[1])

    yield start
    for open_socket in sockets:
        open_socket.close()


received: list[str] = []


def test_a_master_reports_the_lag_of_its_replicas() -> None:
    assert probe.replication(MASTER) == {"master": True, "replicas": 1, "behind": {"10.0.0.52": 100}}


def test_a_replica_reports_whether_it_is_linked_to_its_master() -> None:
    assert probe.replication(REPLICA) == {"master": False, "linked": True}
    assert probe.replication(REPLICA.replace(":up", ":down")) == {"master": False, "linked": False}


def test_a_redis_that_refuses_the_query_has_no_role() -> None:
    assert probe.replication("-LOADING Redis is loading the dataset in memory\r\n") is None


def test_votes_are_the_lowest_number_of_sentinels_for_any_master() -> None:
    gone = "-NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority"
    assert probe.votes(f"+OK\r\n+OK 3 usable Sentinels. Quorum can be reached\r\n{gone}\r\n") == 1
    assert probe.votes("-WRONGPASS invalid username-password pair") is None


def test_only_a_healthy_replica_with_a_priority_is_promoted() -> None:
    replicas = [("slave", "ok", "100"), ("s_down,slave", "ok", "100"), ("slave", "err", "100"), ("slave", "ok", "0")]
    answer = f"+OK\r\n*{len(replicas)}\r\n"
    for flags, link, priority in replicas:
        fields = ["name", "10.0.0.52:6380", "flags", flags, "master-link-status", link, "slave-priority", priority]
        answer += f"*{len(fields)}\r\n" + "".join(f"${len(field)}\r\n{field}\r\n" for field in fields)
    assert probe.promotable(answer) == 1
    assert probe.promotable("+OK\r\n*0\r\n") == 0


def test_a_sentinel_knows_the_addresses_of_replicas_and_sentinels() -> None:
    answers = ["name", "10.0.0.52:6380", "ip", "10.0.0.52"], ["name", "0a1b", "ip", "10.0.0.61"]
    words = ["+OK", *(word for answer in answers for field in answer for word in (f"${len(field)}", field))]
    assert probe.known("\r\n".join([*words, ""])) == ["10.0.0.52", "10.0.0.61"]


def test_failed_and_stopped_units_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_facts, "run", lambda *command: UNITS if "list-units" in command else "degraded")
    facts = host_facts.systemd({"units": ["nginx", "keepalived", "app"]})
    assert facts == {"system": "degraded", "failed": ["app.service"], "stopped": ["keepalived"], "beat": False}


def test_services_that_restart_again_and_again_are_counted() -> None:
    now = 10_000.0
    units = {"patroni": (30, now - 5), "app": (2, now - 5), "etcd": (9, now - 700)}
    text = "\n\n".join(
        f"NRestarts={count}\nId={unit}.service\nStateChangeTimestampMonotonic={int(changed * 1e6)}"
        for unit, (count, changed) in units.items()
    )
    assert host_facts.recent_restarts(text, now) == {"patroni": 30}


def test_a_service_whose_program_was_replaced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {
        "redis@store": "/usr/bin/redis-check-rdb (deleted)",
        "patroni": "/usr/lib/postgresql/17/bin/postgres (deleted)",
        "nginx": "/usr/sbin/nginx",
        "app": "/opt/news/releases/r1/venv/bin/python (deleted)",
        "ssh": "/usr/sbin/sshd (deleted)",
        "etcd": "/ (deleted)",
    }
    for number, (unit, program) in enumerate(programs.items()):
        process = tmp_path / str(number)
        process.mkdir()
        (process / "exe").symlink_to(program)
        (process / "cgroup").write_text(f"0::/system.slice/{unit}.service\n")
    (tmp_path / "77").mkdir()
    monkeypatch.setattr(host_facts, "PROCESSES", tmp_path)
    assert host_facts.outdated() == ["etcd", "patroni", "redis@store"]


def test_waiting_upgrades_are_read_from_the_node_exporters_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_facts, "UPGRADES", tmp_path / "upgrades.prom")
    assert host_facts.waiting_upgrades() == []
    host_facts.UPGRADES.write_text(upgrades_waiting.render(["patroni", "redis-server"]))
    assert host_facts.waiting_upgrades() == ["patroni", "redis-server"]


def test_units_that_lost_a_process_because_memory_was_short_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "\n".join(json.dumps({"__CURSOR": "s=1", "UNIT": unit}) for unit in ("b.service", "a.service", "b.service"))
    monkeypatch.setattr(host_facts, "run", lambda *command: lines if "--since=-600s" in command else "")
    assert host_facts.killed() == ["a", "b"]
    monkeypatch.setattr(host_facts, "run", lambda *_: "")
    assert host_facts.killed() == []


def test_drain_notes_are_read_from_a_folder_that_may_be_absent(tmp_path: Path) -> None:
    assert host_facts.drain_notes(tmp_path / "nowhere") == {}
    (tmp_path / "app1").write_text(json.dumps({"by": "kim", "when": "now", "why": "disk"}))
    assert host_facts.drain_notes(tmp_path) == {"app1": {"by": "kim", "when": "now", "why": "disk"}}


def test_the_redis_password_is_read_on_the_host(
    server: Callable[[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = server(f"+OK\r\n$99\r\n{REPLICA}")
    passwords = tmp_path / "passwords.json"
    passwords.write_text(json.dumps({f"redis://monitoring@127.0.0.1:{port}": "s3cret"}))
    monkeypatch.setattr(probe, "PASSWORDS", passwords)
    assert probe.instance("127.0.0.1", port) == {"master": False, "linked": True}
    assert received[-1] == "AUTH monitoring s3cret\r\nINFO replication\r\n"


def test_an_http_error_has_a_status_and_a_body(server: Callable[[str], int]) -> None:
    port = server('HTTP/1.0 503 Service Unavailable\r\nContent-Type: text\r\n\r\n{"state": "stopped"}')
    assert probe.http("127.0.0.1", port, "GET /patroni") == (503, '{"state": "stopped"}')
    assert received[-1].startswith("GET /patroni HTTP/1.0\r\nHost: 127.0.0.1\r\n")


def test_only_a_standby_that_etcd_lists_as_synchronous_is_a_candidate(
    server: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = {"db1": "leader", "db2": "sync_standby", "db3": "replica"}
    members = [{"name": name, "role": role, "state": "streaming"} for name, role in roles.items()]
    port = server(f"HTTP/1.0 200 OK\r\n\r\n{json.dumps({'members': members})}")
    monkeypatch.setattr(probe, "PATRONI_PORT", port)
    assert probe.candidates("127.0.0.1") == {"candidates": ["db2"], "patroni_members": ["db1", "db2", "db3"]}


@pytest.mark.parametrize(("mode", "waits"), [(True, True), ("quorum", True), (False, False)])
def test_the_synchronous_mode_is_the_one_of_the_running_cluster(
    server: Callable[[str], int], monkeypatch: pytest.MonkeyPatch, mode: bool | str, waits: bool
) -> None:
    port = server(f"HTTP/1.0 200 OK\r\n\r\n{json.dumps({'synchronous_mode': mode})}")
    monkeypatch.setattr(probe, "PATRONI_PORT", port)
    assert probe.synchronous_mode("127.0.0.1") is waits
    assert received[-1].startswith("GET /config HTTP/1.0\r\n")


@pytest.mark.parametrize(("status", "ready"), [(200, True), (302, True), (401, True), (404, True), (500, False)])
def test_an_application_is_ready_with_any_answer_below_500(status: int, ready: bool) -> None:
    with answering(lambda _: (status, {})) as port:
        found = probe.application("127.0.0.1", port, "/login")
    assert found == {"app": ready, "health": ["/login", status]}


def test_the_front_page_is_requested_by_tls_under_the_sites_name(tmp_path: Path) -> None:
    key, certificate = tls_pair("news.test")
    (tmp_path / "tls.pem").write_text(f"{key}\n{certificate}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    listening, received = socket.create_server(("127.0.0.1", 0)), []

    def serve() -> None:
        with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
            received.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    assert probe.front_page("news.test", listening.getsockname()[1]) == 502
    assert b"\r\nHost: news.test\r\n" in received[0]


def test_a_check_that_hangs_or_fails_is_null_and_delays_no_other(
    server: Callable[[str], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_facts, "TIMEOUT", 0.3)
    hanging = server("")
    begin = time.monotonic()
    facts = probe.collect(
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


def test_a_host_whose_systemd_does_not_answer_is_unresponsive() -> None:
    def hang() -> None:
        raise subprocess.TimeoutExpired("systemctl", 1)

    assert probe.collect({"": hang}) == {"system": "unresponsive"}


def test_the_script_needs_only_the_standard_library_and_prints_json() -> None:
    settings = json.dumps({"address": "127.0.0.1", "groups": ["app"], "vip": "", "health": "/", "units": []})
    result = subprocess.run(
        [sys.executable, "-IS", "-", settings], input=PROBE, capture_output=True, text=True, timeout=20, check=True
    )
    facts = json.loads(result.stdout)
    assert facts["app"] in {False, None}
    assert isinstance(facts["outdated"], list)  # of the module that the probe imports
    assert "postgres" not in facts


def test_etcd_names_its_alarms_and_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    status = {
        "header": {"member_id": "7"},
        "leader": "7",
        "errors": ["memberID:7 alarm:NOSPACE ", "memberID:8 alarm:NOSPACE "],
    }
    members = [{"ID": "7", "peerURLs": ["http://10.0.0.41:2380"]}, {"ID": "8", "peerURLs": ["http://10.0.0.42:2380"]}]
    answers = {"/v3/maintenance/status": status, "/v3/cluster/member/list": {"members": members}}
    with answering(lambda request: (200, answers[request.path])) as port:
        monkeypatch.setattr(probe, "ETCD_PORT", port)
        assert probe.etcd("127.0.0.1") == {
            "etcd": True,
            "etcd_leads": True,
            "etcd_alarms": ["NOSPACE"],
            "etcd_members": ["10.0.0.41", "10.0.0.42"],
        }


def test_etcd_has_the_holder_of_the_deploy_lock(server: Callable[[str], int], monkeypatch: pytest.MonkeyPatch) -> None:
    lock = {"by": "kim", "action": "deploy"}
    value = base64.b64encode(json.dumps(lock).encode()).decode()
    for answer, expected in (({"kvs": [{"value": value}]}, lock), ({"header": {}}, {})):
        monkeypatch.setattr(probe, "ETCD_PORT", server(f"HTTP/1.0 200 OK\r\n\r\n{json.dumps(answer)}"))
        assert probe.deploying("127.0.0.1") == expected
    assert base64.b64decode(json.loads(received[-1].partition("\r\n\r\n")[2])["key"]) == b"/flaskfleet/deploy/lock"
