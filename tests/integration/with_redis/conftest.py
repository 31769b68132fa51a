"""Tests with a real Redis and a real worker.

`TEST_REDIS_URL` is a Redis that the tests may empty. Without it they start the `redis-server` of Debian's package.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from redis import Redis

from app import create_app
from app.config import Testing
from app.extensions import db
from tests.support.live.fleet import eventually
from tests.support.sockets import accepts_connections, free_port
from tools.fleet.context import ROOT


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis that the tests may empty."""
    if given := os.environ.get("TEST_REDIS_URL"):
        yield given
        return
    if (program := shutil.which("redis-server")) is None:
        pytest.skip("TEST_REDIS_URL is not set, and redis-server is not installed. Run: apt-get install redis-server")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([program, *options], cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL)
    assert eventually(lambda: accepts_connections(port), every=0.05)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait(10)


@pytest.fixture
def redis(redis_url: str) -> Redis:
    """An empty Redis."""
    client = Redis.from_url(redis_url)
    client.flushdb()
    return client


@pytest.fixture
def environment(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment variables of the application and the worker."""
    return {
        "APP_ENV": "testing",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'news.sqlite3'}",
        "STORE_URL": redis_url,
        "CACHE_URL": redis_url,
    }


@pytest.fixture
def app(redis: Redis, environment: dict[str, str]) -> Iterator[Flask]:
    """The application, which sends tasks."""
    assert redis.ping()
    application = create_app(Testing.from_environment(environment))
    with application.app_context():
        flask_migrate.upgrade()
        yield application
        db.primary.dispose()


class Worker:
    """A worker's main process and its pool."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment = (
            os.environ | environment | {"CELERY_METRICS_PORT": "0", "PYTHONPATH": str(ROOT), "LOG_LEVEL": "INFO"}
        )
        self.log = log
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "celery",
            "--app",
            "tests.integration.with_redis.worker",
            "worker",
            "--concurrency",
            "2",
        ]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*command, "--without-gossip", "--without-mingle"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill all processes of the worker."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Kill the worker and start it again, as systemd does."""
        self.kill()
        self.process = self._start()


@pytest.fixture
def worker(app: Flask, environment: dict[str, str], tmp_path: Path) -> Iterator[Worker]:
    """A running worker."""
    assert app.config["STORE_URL"] == environment["STORE_URL"]
    running = Worker(environment, tmp_path / "worker.log")
    yield running
    running.kill()
    print(running.log.read_text()[-5000:])
