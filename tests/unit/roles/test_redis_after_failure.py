"""What happens after an instance of Redis has failed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.roles.modules import PASSWORD, ROLES, load, render
from tests.unit.roles.redis_modules import Answer, Server

program = load(ROLES / "redis/files/redis_after_failure.py")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """The delays of the program, which handles an instance that failed. Threads of other tests keep the real clock."""
    delays: list[float] = []
    monkeypatch.setattr(program, "time", SimpleNamespace(sleep=delays.append))
    for name in ("DATA", "CONFIG", "NOTES"):
        monkeypatch.setattr(program, name, tmp_path)
    monkeypatch.setenv("SERVICE_RESULT", "core-dump")
    (tmp_path / "store").mkdir()
    return delays


def end() -> None:
    """Run the program after the store of 10.0.0.1 has ended."""
    program.main("store", "10.0.0.1", "127.0.0.1,127.0.0.1,127.0.0.9")


def disk(**values: int) -> SimpleNamespace:
    """Return the state of a disk with enough space, except for the given values."""
    return SimpleNamespace(**{"f_bavail": 10**9, "f_frsize": 4096, "f_files": 10**6, "f_favail": 10**6} | values)


@pytest.mark.parametrize(
    ("state", "delays"),
    [
        (disk(), []),
        (disk(f_files=0, f_favail=0), []),  # no limit on the number of files
        (disk(f_bavail=10), [30]),
        (disk(f_favail=0), [30]),
    ],
)
def test_only_a_full_disk_delays_the_restart(
    state: SimpleNamespace, delays: list[float], slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program.os, "statvfs", lambda _: state)
    end()
    assert slept == delays


def test_a_stop_is_not_delayed(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.os, "statvfs", lambda _: disk(f_bavail=0))
    monkeypatch.setenv("SERVICE_RESULT", "success")
    end()
    assert slept == []


# What redis-check-aof prints for a base file that is complete, and another that has an error in the middle.
CHECK = """
import sys
print("RDB preamble is OK, proceeding with AOF tail...")
print("AOF analyzed: filename=appendonly.aof.2.base.rdb, size=1000, ok_up_to=1000, ok_up_to_line=1, diff=0")
print("AOF analyzed: filename=appendonly.aof.2.incr.aof, size=500, ok_up_to={ok}, ok_up_to_line=9, diff=0")
sys.exit({code})
"""


class Store:
    """A host with an append-only file of 1500 bytes, and one server in place of two Sentinels and a master."""

    def __init__(self, folder: Path, serve: Callable[[Answer], Server]) -> None:
        self.flags, self.address, self.keys, self.role = "master", "127.0.0.1", "db0:keys=3,expires=0\r\n", "master"
        self.server = serve(self._answer)
        self.file, self.moved = folder / "store/appendonlydir", folder / "store/appendonlydir.damaged"
        self.note, self.config, self.check = folder / "redis@store.damaged", folder / "store.conf", folder / "check"
        self.file.mkdir()
        self.moved.mkdir()  # of an earlier time
        for name, size in (("manifest", 88), ("2.base.rdb", 1000), ("2.incr.aof", 500)):
            (self.file / f"appendonly.aof.{name}").write_bytes(bytes(size))
        self.config.write_text("port 6380\nreplicaof 10.0.0.9 6380\n")
        self.set_check(ok=100, code=1)

    def set_check(self, ok: int, code: int) -> None:
        """Replace redis-check-aof."""
        self.check.write_text(f"#!{sys.executable}\n{CHECK.format(ok=ok, code=code)}")
        self.check.chmod(0o755)

    def _answer(self, words: list[str]) -> Any:
        if words[0] == "INFO":
            return f"# Replication\r\nrole:{self.role}\r\n# Keyspace\r\n{self.keys}"
        assert words == ["SENTINEL", "MASTER", "store"]
        return {"name": "store", "ip": self.address, "port": str(self.server.port), "runid": "", "flags": self.flags}


@pytest.fixture
def store(
    slept: list[float], serve: Callable[[Answer], Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Store:
    """A store that ended because it could not load its data."""
    assert slept == []
    host = Store(tmp_path, serve)
    passwords = tmp_path / "exporter.json"
    passwords.write_text(json.dumps({"redis://monitoring@127.0.0.1:6380": PASSWORD}))
    monkeypatch.setattr(program, "PASSWORDS", passwords)
    monkeypatch.setattr(program, "SENTINEL_PORT", host.server.port)
    monkeypatch.setattr(program, "CHECK_AOF", str(host.check))
    monkeypatch.setenv("EXIT_STATUS", "1")
    return host


def test_a_damaged_file_is_moved_away_if_another_master_has_the_data(store: Store, slept: list[float]) -> None:
    end()
    assert not store.file.exists()
    assert (store.moved / "appendonly.aof.2.incr.aof").exists()
    assert store.config.read_text() == f"port 6380\nreplicaof 127.0.0.1 {store.server.port}\n"
    assert not store.note.exists()
    assert slept == []


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"address": "10.0.0.1"}, id="this host is the master"),
        pytest.param({"flags": "s_down,master"}, id="the master is down"),
        pytest.param({"flags": "master,failover_in_progress"}, id="a failover is in progress"),
        pytest.param({"keys": ""}, id="the master is empty"),
        pytest.param({"role": "slave"}, id="the Sentinels are wrong"),
    ],
)
def test_a_damaged_file_that_may_be_the_last_copy_stays(
    store: Store, state: dict[str, str], slept: list[float]
) -> None:
    vars(store).update(state)
    end()
    assert (store.file / "appendonly.aof.2.incr.aof").exists()
    assert json.loads(store.note.read_text())["lost"] == 400
    assert slept == [5]


def test_without_a_majority_of_the_sentinels_nothing_is_moved(store: Store) -> None:
    program.main("store", "10.0.0.1", "127.0.0.1,127.0.0.9,127.0.0.8")
    assert store.file.exists()


@pytest.mark.parametrize(("name", "value"), [("EXIT_STATUS", "ABRT"), ("SERVICE_RESULT", "success")])
def test_a_crash_or_a_stop_moves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    store.note.write_text("{}")
    monkeypatch.setenv(name, value)
    end()
    assert store.file.exists()
    assert not store.note.exists()


def test_an_old_or_missing_password_moves_nothing(store: Store) -> None:
    program.PASSWORDS.write_text(json.dumps({"redis://monitoring@127.0.0.1:6380": "an-old-password"}))
    end()
    assert store.file.exists()
    program.PASSWORDS.unlink()
    end()
    assert store.note.exists()


def test_a_restart_does_not_wait_for_the_import_of_the_client() -> None:
    script = f"import runpy, sys; runpy.run_path({str(program.__file__)!r}); sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_unit_passes_the_addresses() -> None:
    members = [{"name": "cache1", "address": "10.0.0.1"}, {"name": "mon1", "address": "10.0.0.2"}]
    unit = render("redis", "redis@.conf.j2", redis_address="10.0.0.1", redis_sentinel_members=members)
    line = "ExecStopPost=+/usr/local/sbin/redis-after-failure %i 10.0.0.1 10.0.0.1,10.0.0.2"
    assert unit.splitlines()[-1] == line


def test_a_complete_file_stays(store: Store) -> None:
    store.set_check(ok=500, code=0)
    end()
    assert store.file.exists()
    assert not store.note.exists()
