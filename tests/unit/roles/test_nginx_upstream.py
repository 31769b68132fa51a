"""Draining application hosts on a load balancer: the notes, the upstream file, refusals and waiting."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.json_server import answering, certify
from tests.unit.roles.modules import ROLES, Run, load
from tests.unit.roles.nginx_server import render

nginx_drain_plan, nginx_upstream = (
    load(ROLES / f"nginx/library/{name}.py") for name in ("nginx_drain_plan", "nginx_upstream")
)
HOSTS = [
    {"name": name, "address": address}
    for name, address in (("app1", "192.0.2.1"), ("app2", "192.0.2.2"), ("app3", "127.0.0.1"))
]


@pytest.fixture
def run(tmp_path: Path, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Plan and install an upstream as tasks/upstream.yml does, on a load balancer that is a folder, without nginx."""
    files = {
        "MAIN": "nginx.conf",
        "PID": "nginx.pid",
        "LOADED": "nginx.loaded",
        "UPSTREAM": "upstream.conf",
        "METRICS": "drain.prom",
        "NOTES": "notes",
    }
    for name, file in files.items():
        monkeypatch.setattr(nginx_upstream, name, tmp_path / file)
    for name in ("NOTES", "MAIN"):
        monkeypatch.setattr(nginx_drain_plan, name, tmp_path / files[name])

    def call(
        check: bool = False,
        hosts: list[dict[str, str]] = HOSTS,
        port: int = 8000,
        load: bool = True,
        timeout: int = 0,
        **options: Any,
    ) -> dict[str, Any]:
        plan = run_module(nginx_drain_plan, {"hosts": hosts, "port": port} | options, check)
        if "drained" not in plan:
            return plan
        drained = plan["drained"]
        variables = {"nginx_upstream_hosts": hosts, "nginx_upstream_port": port}
        variables["nginx_upstream_tls_port"] = options.get("tls_port", 0)
        waiting = [host["address"] for host in hosts if host["name"] in {*options.get("drain", []), *drained}]
        arguments = {
            "content": render(
                "upstream.conf.j2", __nginx_drained=drained, __nginx_encrypts=plan["encrypts"], **variables
            ),
            "drained": drained,
            "wait_for": [f"{address}:{port}" for address in waiting] if timeout else [],
            "timeout": timeout,
            "load": load,
        }
        return plan | run_module(nginx_upstream, arguments, check)

    return call


def down(folder: Path) -> list[str]:
    """The hosts that get no requests."""
    return re.findall(r" down; # (\w+)", (folder / "upstream.conf").read_text())


def test_a_drained_host_is_down_until_it_is_put_back(run: Run, tmp_path: Path) -> None:
    assert run()["changed"]
    assert run(drain=["app1", "app3"], by="deploy", why="release 7")["changed"]
    assert down(tmp_path) == ["app1", "app3"]
    note = json.loads((tmp_path / "notes/app1").read_text())
    assert (note["by"], note["why"]) == ("deploy", "release 7")
    assert re.search(
        r'drained_since_seconds\{host="app1"\} 1\d{9}$', (tmp_path / "drain.prom").read_text(), re.MULTILINE
    )
    assert run(undrain=["app1"])["changed"]
    assert down(tmp_path) == ["app3"]
    assert not (tmp_path / "notes/app1").exists()
    assert "app1" not in (tmp_path / "drain.prom").read_text()


def test_other_runs_keep_a_drained_host_and_its_first_note(run: Run, tmp_path: Path) -> None:
    run(drain=["app1"], by="somebody", why="new disk")
    assert not run()["changed"]
    assert not run(drain=["app1"], by="deploy", why="release 7")["changed"]
    assert run()["drained"]["app1"]["why"] == "new disk"
    assert down(tmp_path) == ["app1"]


def test_undrain_with_by_puts_back_only_hosts_drained_by_that_name(run: Run, tmp_path: Path) -> None:
    run(drain=["app1"], by="anna")
    run(drain=["app2"], by="deploy")
    run(undrain=["app1", "app2"], by="deploy")
    assert down(tmp_path) == ["app1"]
    run(undrain=["app1"])
    assert down(tmp_path) == []


def test_the_note_of_a_host_that_left_the_inventory_is_removed(run: Run, tmp_path: Path) -> None:
    run(drain=["app1"])
    assert run(hosts=HOSTS[1:])["drained"] == {}
    assert list((tmp_path / "notes").iterdir()) == []


def test_a_file_that_an_interrupted_run_did_not_load_is_loaded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reload = tmp_path / "systemctl"
    reload.write_text(f"#!/bin/sh\ntouch {tmp_path}/nginx.loaded\n")
    reload.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    run(load=False)
    (tmp_path / "nginx.pid").touch()
    assert run()["changed"]
    assert (tmp_path / "nginx.loaded").exists()
    assert not run()["changed"]


def test_a_host_counts_as_drained_only_if_nginx_has_reloaded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(drain=["app2"])
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho 'cannot reload' >&2\nexit 1\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "nginx.pid").touch()
    assert "cannot reload. The old file stays in use." in run(drain=["app1"], undrain=["app2"])["msg"]
    assert down(tmp_path) == ["app2"]
    assert [note.name for note in (tmp_path / "notes").iterdir()] == ["app2"]


def test_the_last_host_is_not_drained(run: Run, tmp_path: Path) -> None:
    run(drain=["app1", "app2"])
    result = run(drain=["app3"])
    assert result["failed"]
    assert result["msg"] == (
        "Cannot drain nginx_drain_hosts = app3: no application host would be left. Put app1, app2 back first."
    )
    assert down(tmp_path) == ["app1", "app2"]


def test_a_host_is_drained_only_if_another_one_is_healthy(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")  # is not asked for the fleet's own addresses
    status = 200
    hosts = [{"name": "app2", "address": "127.0.0.2"}, HOSTS[2]]  # nothing listens on app2
    with answering(lambda request: (status if request.path == "/readyz" else 404, {})) as port:
        given: dict[str, Any] = {"hosts": hosts, "port": port, "health": "/readyz"}
        run(**given, drain=["app2"])
        assert down(tmp_path) == ["app2"]
        run(**given, undrain=["app2"])
        assert run(**given, drain=["app3"])["msg"] == (
            "Cannot drain nginx_drain_hosts = app3: no other host is healthy "
            "(/readyz did not answer below 500 on app2). Repair app2, "
            "or drain anyway with -e nginx_drain_last_host=drain."
        )
        assert "app3" not in run(**given, drain=["app3"], last_host="keep")["drained"]
        assert down(tmp_path) == []
        assert "app3" in run(**given, drain=["app3"], last_host="drain")["drained"]
        run(**given, undrain=["app3"])
        status = 503
        assert run(**given, drain=["app2"])["failed"]
        status = 302  # a log-in page
        assert "app2" in run(**given, drain=["app2"])["drained"]
        run(**given, undrain=["app2"])
        status = 503
        assert run(**given, drain=["app2", "app3"], last_host="drain")["msg"] == (
            "Cannot drain nginx_drain_hosts = app2, app3: no application host would be left. "
            "Leave out at least one of them."
        )


@pytest.mark.parametrize(
    ("drain", "first", "backups", "text"),
    [
        ([], 3, 3, "max_fails=1 fail_timeout=2s;"),
        (["app1"], 2, 2, "max_fails=1 fail_timeout=2s;"),
        (["app1", "app2"], 1, 0, "server 127.0.0.1:8000 max_fails=0 fail_timeout=2s; # app3"),
    ],
)
def test_the_last_host_that_serves_is_never_ejected(
    run: Run, tmp_path: Path, drain: list[str], first: int, backups: int, text: str
) -> None:
    run(drain=drain)
    upstream = (tmp_path / "upstream.conf").read_text()
    assert (upstream.count(text), upstream.count("max_fails=0 backup;")) == (first, backups)


def test_check_mode_changes_nothing(run: Run, tmp_path: Path) -> None:
    run()
    assert run(check=True, drain=["app1"])["changed"]
    assert down(tmp_path) == []
    assert not (tmp_path / "notes").exists()


def test_it_waits_for_requests_in_flight_until_the_timeout(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        port = server.getsockname()[1]
        assert run(port=port, drain=["app3"], timeout=1)["in_flight"] == 1
    assert run(port=port, drain=["app3"], timeout=1)["in_flight"] == 0


def test_connections_are_counted_by_address_port_and_state() -> None:
    table = """  sl  local_address rem_address   st
   0: 0100007F:9C40 020200C0:1F40 01
   1: 0100007F:9C41 020200C0:1F40 06
   2: 0100007F:9C42 020200C0:1F41 01
   3: 0100007F:9C43 030200C0:1F40 01
"""
    assert nginx_upstream.connections(table, ["192.0.2.2:8000"]) == 1


def test_requests_go_to_the_port_for_tls_as_soon_as_nginx_can_use_it(run: Run, tmp_path: Path) -> None:
    """The deploy of a fleet whose nginx.conf is of an earlier version goes on in plain text."""

    def scheme() -> tuple[str, set[str]]:
        text = (tmp_path / "upstream.conf").read_text()
        (found,) = re.findall(r"default (\w+);", text)
        return found, set(re.findall(r"server \S+:(\d+) ", text))

    (tmp_path / "nginx.conf").write_text("proxy_pass http://app;")
    assert not run(tls_port=8443)["encrypts"]
    assert scheme() == ("http", {"8000"})
    (tmp_path / "nginx.conf").write_text("proxy_pass $app_scheme://app;")
    assert run(tls_port=8443)["encrypts"]
    assert scheme() == ("https", {"8443"})
    assert not run()["encrypts"]
    assert scheme() == ("http", {"8000"})


def test_the_health_of_other_hosts_is_asked_by_tls(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nginx_drain_plan, "TLS", tmp_path)
    context = certify(tmp_path)
    (tmp_path / "nginx.conf").write_text("$app_scheme")
    hosts = [{"name": "app1", "address": "127.0.0.2"}, {"name": "app2", "address": "127.0.0.1"}]
    given: dict[str, Any] = {"hosts": hosts, "port": 1, "health": "/", "by": "deploy", "why": "x", "drain": ["app1"]}
    with answering(lambda _: (200, {})) as port:
        assert "no other host is healthy" in run(tls_port=port, **given)["msg"]
    with answering(lambda _: (200, {}), tls=context) as port:
        assert "app1" in run(tls_port=port, **given)["drained"]
