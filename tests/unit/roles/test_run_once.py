"""A timer fires on all hosts, and one of them runs its command."""

from __future__ import annotations

import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.roles.modules import ROLES, load

run_once = load(ROLES / "processes/files/run_once.py")


class Store(socketserver.ThreadingTCPServer):
    """A store, or a Sentinel that names itself as the master, with the commands that the program uses."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.values: dict[str, tuple[str, float]] = {}
        self.refuse = 0
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def get(self, key: str) -> str | None:
        value, end = self.values.get(key, ("", 0.0))
        return value if end > time.monotonic() else None

    def answer(self, words: list[str]) -> str | int | list[str] | None:
        match words:
            case ["AUTH", "app", "pass word"]:
                return "OK"
            case ["SENTINEL", "get-master-addr-by-name", "store"]:
                return ["127.0.0.1", str(self.server_address[1])]
            case ["SET", key, value, *options, "EX", seconds]:
                if "NX" in options and self.get(key) is not None:
                    return None
                self.values[key] = (value, time.monotonic() + float(seconds))
                return "OK"
            case ["GET", key]:
                return self.get(key)
            case ["EVAL", script, "1", key, owner, *rest]:
                if self.get(key) != owner:
                    return 0
                value = owner if script == run_once.RENEW else rest[0]
                self.values[key] = (value, time.monotonic() + float(rest[-1]) / 1000)
                return 1
        raise ValueError(words)


class Handler(socketserver.StreamRequestHandler):
    """One connection."""

    server: Store

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2].decode())
            with self.server.lock:
                if words[0] == "SET" and self.server.refuse:
                    self.server.refuse -= 1
                    reply: bytes = b"-READONLY You can't write against a read only replica.\r\n"
                else:
                    reply = encoded(self.server.answer(words))
            self.wfile.write(reply)


def encoded(value: str | int | list[str] | None) -> bytes:
    """A reply of Redis."""
    if value is None:
        return b"$-1\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(encoded, value))
    return b"$%d\r\n%s\r\n" % (len(value.encode()), value.encode())


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with Store() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORE_URL", f"sentinel://app:pass%20word@127.0.0.1:1,{server.address}/0?master=store")
        monkeypatch.setenv("TRIGGER_UNIT", "app-timer-report.timer")
        monkeypatch.setattr(run_once, "hold", lambda _: 2000)
        monkeypatch.setattr(run_once.signal, "signal", lambda *_: None)
        yield server
        server.shutdown()


def appended(path: Path, status: int = 0) -> list[str]:
    """A command that notes that it has run."""
    return [sys.executable, "-c", f"open({str(path)!r}, 'a').write('x'); raise SystemExit({status})"]


def test_the_command_runs_once_although_the_clock_of_another_host_is_late(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_once.main("report", appended(tmp_path / "runs")) == 0
    assert run_once.main("report", appended(tmp_path / "runs")) == 0
    assert (tmp_path / "runs").read_text() == "x"
    assert "Not run here, but on " in capsys.readouterr().out
    store.values.clear()  # the time after which the lock is free
    assert run_once.main("report", appended(tmp_path / "runs")) == 0
    assert (tmp_path / "runs").read_text() == "xx"


def test_a_failure_is_the_status_of_the_run(store: Store, tmp_path: Path) -> None:
    assert run_once.main("report", appended(tmp_path / "runs", 3)) == 3
    assert run_once.main("other", ["sh", "-c", "kill -TERM $$"]) == 128 + 15
    assert set(store.values) == {"flaskfleet:timer:report", "flaskfleet:timer:other"}


def test_two_timers_and_a_run_by_hand_do_not_wait(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_once.main("report", appended(tmp_path / "runs")) == 0
    assert run_once.main("other", appended(tmp_path / "runs")) == 0
    monkeypatch.delenv("TRIGGER_UNIT")
    assert run_once.main("report", appended(tmp_path / "runs")) == 0
    assert (tmp_path / "runs").read_text() == "xxx"
    store.values["flaskfleet:timer:report"] = ("worker2 1234", time.monotonic() + 60)
    assert run_once.main("report", appended(tmp_path / "runs")) == 0
    assert (tmp_path / "runs").read_text() == "xxx", "it runs on worker2 now"


def test_a_failover_of_the_store_delays_the_run(store: Store, tmp_path: Path) -> None:
    store.refuse = 1
    assert run_once.main("report", appended(tmp_path / "runs")) == 0
    assert (tmp_path / "runs").read_text() == "x"


def test_a_run_without_a_store_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORE_URL", "redis://app:x@127.0.0.1:1/0")
    monkeypatch.setattr(run_once, "PATIENCE", 0)
    assert run_once.main("report", appended(tmp_path / "runs")) == run_once.NO_STORE
    assert not (tmp_path / "runs").exists()
    assert "the store of STORE_URL does not answer: 127.0.0.1:1: " in capsys.readouterr().err


def test_a_long_run_keeps_its_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_once, "TTL", 1)
    monkeypatch.setattr(run_once, "RENEWAL", 0.2)
    threading.Thread(target=run_once.main, args=("report", ["sleep", "2.5"])).start()
    time.sleep(1.7)
    assert store.get("flaskfleet:timer:report")
    time.sleep(1.5)


UTC = "    Next elapse: Sun 2026-11-29 18:27:10 UTC\n       From now: 5s left\n"
BERLIN = "    Next elapse: Sun 2026-11-29 19:27:10 CET\n       (in UTC): Sun 2026-11-29 18:27:10 UTC\n"


@pytest.mark.parametrize("shown", [UTC, BERLIN])
def test_the_lock_is_held_for_half_the_time_to_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    (tmp_path / "app-timer-report.timer").write_text("[Timer]\nOnCalendar=*:*:0/10\nAccuracySec=1s\n")
    commands = []

    def analyze(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, f"Normalized form: *-*-* *:*:00/10\n{shown}", "")

    monkeypatch.setattr(run_once, "UNITS", str(tmp_path))
    monkeypatch.setattr(run_once.subprocess, "run", analyze)
    monkeypatch.setattr(run_once.time, "time", lambda: 1795976822.0)
    assert run_once.hold("report") == 4000
    assert run_once.hold("unknown") == 60 / 2 * 1000
    assert commands == [["systemd-analyze", "calendar", "*:*:0/10"]]
