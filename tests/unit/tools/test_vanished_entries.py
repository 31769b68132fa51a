"""Entries that another run removes after they were listed: containers, networks, bridges, processes, notes."""

import json
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.cloud import api, hosts
from tests.support.live.fleet import eventually
from tests.unit.roles.modules import ROLES, load
from tools.fleet import down, host_facts, processes
from tools.fleet.context import ROOT, Fleet, FleetError
from tools.fleet.up import restart_stopped_hosts

# Lists a container and a network that no longer exist. `network ls` prints the interface of a live network.
ENGINE = """
echo "$@" >>calls
case $* in
"ps "*) echo c1 ;;
"network ls --quiet") echo gone ;;
"network ls "*) echo "$CLAIMED" ;;
"network create "*) ;;
*) echo "Error: $2: no such entry" >&2; exit 125 ;;
esac
"""
# Lists three bridges in the subnet. br-gone no longer exists.
IP = """
case $1 in
-o) for link in br-gone br-stale "$CLAIMED"; do echo "3: $link inet 10.9.0.1/24"; done; exit ;;
-json) echo '[]'; exit ;;
esac
echo "ip $*" >>calls
[ "$3" != br-gone ]
"""


@pytest.mark.parametrize(("engine", "claimed"), [("podman", "cni-podman1"), ("docker", "br-0123456789ab")])
@pytest.mark.parametrize("action", ["create", "destroy"])
def test_a_network_is_made_and_removed_while_another_run_removes_entries(
    tmp_path: Path, engine: str, claimed: str, action: str
) -> None:
    folder = tmp_path / "terraform/modules/sandbox_network"
    shutil.copytree(ROOT / "terraform/modules/sandbox_network", folder)
    for name, script in {"engine": ENGINE, "ip": IP}.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh{script}")
        (tmp_path / "bin" / name).chmod(0o755)
    environment = {"FLEET": "a", "SUBNET": "10.9.0.0/24", "OWNER": "/clone", "ENGINE": engine, "CLAIMED": claimed}
    result = subprocess.run(
        [folder / "network.sh", action],
        cwd=tmp_path,
        env=environment | {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    calls = (tmp_path / "calls").read_text()
    assert ("network create" in calls) == (action == "create")
    assert "ip link delete br-stale" in calls
    assert f"ip link delete {claimed}" not in calls


def test_an_engine_that_fails_is_not_taken_for_lost_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    inventory = {"_meta": {"hostvars": {"db1": {"ansible_host": "10.0.0.41"}}}}
    monkeypatch.setattr(Fleet, "outputs", lambda _: {"inventory": inventory})
    failed = subprocess.CompletedProcess([], 125, "", "Error: database is locked")
    monkeypatch.setattr(Fleet, "engine", lambda *_: failed)
    with pytest.raises(FleetError, match="db1: the state of container a-db1 is unknown: Error: database is locked"):
        restart_stopped_hosts(Fleet("a", "sandbox"))


def test_the_image_stays_while_another_fleet_has_only_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def engine(_: Fleet, *arguments: str) -> subprocess.CompletedProcess[str]:
        calls.append(arguments[0])
        return subprocess.CompletedProcess([], 0, "flaskfleet-b\n" if arguments[0] == "network" else "", "")

    monkeypatch.setattr(Fleet, "engine", engine)
    monkeypatch.setattr(down, "LOCK", tmp_path / "lock")
    down.prune(Fleet("a", "sandbox"))
    assert calls == ["ps", "network"]


# `run` waits until the other run has removed the image, or for two seconds.
CREATING_ENGINE = """
case $* in
"run "*)
    tries=0
    until [ -e removed ] || [ $tries = 20 ]; do tries=$((tries + 1)); sleep 0.1; done
    [ -e image ] || { echo "Error: image not known" >&2; exit 125; }
    ;;
"container inspect "*) exit 125 ;;
esac
"""


def test_the_image_is_not_removed_between_two_steps_of_a_run_that_creates_a_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "terraform/modules/sandbox_host/host.sh"
    lock, runs = tmp_path / "lock", []
    scripts = {
        "bin/engine": f"#!/bin/sh{CREATING_ENGINE}",
        "bin/host-image": "#!/bin/sh\ntouch asked image\necho localhost/flaskfleet-host:1\n",
        str(script.relative_to(tmp_path)): Path(hosts.HOST).read_text().replace(str(down.LOCK), str(lock)),
    }
    for name, text in scripts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "id_ed25519.pub").touch()
    values = {"FLEET": "b", "HOST": "db1", "NETWORK": "none", "OWNER": "/clone", "ADDRESS": "127.0.0.1"}
    environment = values | {"STATE_DIRECTORY": str(tmp_path), "PATH": f"{tmp_path}/bin:/usr/bin:/bin"}

    def engine(_: Fleet, *arguments: str) -> subprocess.CompletedProcess[str]:
        if arguments[0] == "images":
            runs.append(subprocess.Popen([script, "create"], cwd=tmp_path, env=environment, stderr=-1, text=True))
            eventually((tmp_path / "asked").exists, within=1, every=0.05)
        if arguments[0] == "rmi":
            (tmp_path / "image").unlink(missing_ok=True)
            (tmp_path / "removed").touch()
        return subprocess.CompletedProcess([], 0, "image" if arguments[0] == "images" else "", "")

    monkeypatch.setattr(down, "LOCK", lock)
    monkeypatch.setattr(Fleet, "engine", engine)
    down.prune(Fleet("a", "sandbox"))
    _, error = runs[0].communicate(timeout=30)
    assert runs[0].returncode == 0, error


@pytest.mark.parametrize("script", [hosts.NETWORK, hosts.HOST])
def test_runs_that_create_share_the_lock_of_the_removal(script: str) -> None:
    assert f"9>{down.LOCK}\n" in Path(script).read_text()


@pytest.mark.parametrize(
    ("module", "folder"),
    [
        (host_facts, None),
        *((load(ROLES / f"nginx/library/{name}.py"), "NOTES") for name in ("nginx_drain_plan", "nginx_upstream")),
    ],
)
def test_a_note_that_is_removed_while_notes_are_read_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, folder: str | None
) -> None:
    (tmp_path / "app1").symlink_to("removed")  # listed, but not there
    (tmp_path / "app2").write_text(json.dumps({"by": "kim"}))
    if folder:
        monkeypatch.setattr(module, folder, tmp_path)
    assert (module.read_notes() if folder else module.drain_notes(tmp_path)) == {"app2": {"by": "kim"}}


def test_a_parent_that_ends_while_the_run_is_identified_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "node", lambda: "here")
    monkeypatch.setattr(processes, "PROC", tmp_path)  # no process exists any more
    assert processes.this_run()["started"] == ""
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert not api.is_server(2**30)
