"""Fixtures for the tests of the roles' modules and of nginx."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from ansible.module_utils.testing import patch_module_args

from tests.unit.roles.modules import PASSWORD, Run
from tests.unit.roles.nginx_server import Application, MakeSite, Site, find_nginx
from tests.unit.roles.redis_modules import ACL, Answer, Server


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a module like Ansible does and return its result, which must not contain the password."""

    def run(module: ModuleType, arguments: dict[str, Any], check: bool = False) -> dict[str, Any]:
        with patch_module_args(arguments | {"_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        output = capsys.readouterr().out
        assert PASSWORD not in output
        return dict(json.loads(output))

    return run


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    with ExitStack() as stack:

        def start(answer: Answer) -> Server:
            server = stack.enter_context(Server(answer))
            stack.callback(server.shutdown)
            return server

        yield start


@pytest.fixture
def acl_file(tmp_path: Path) -> Path:
    path = tmp_path / "users.acl"
    path.write_text("\n".join(ACL) + "\n")
    return path


@pytest.fixture
def application() -> Iterator[Application]:
    """The stub application behind nginx."""
    stub = Application()
    yield stub
    stub.stop()


@pytest.fixture
def make_site(tmp_path: Path, application: Application) -> MakeSite:
    """Return a function that configures an nginx in front of the stub application."""
    if not find_nginx():
        pytest.skip("this machine has no nginx, and its package cannot be downloaded")
    return lambda **variables: Site(tmp_path, **({"nginx_upstream_port": application.server_port} | variables))


@pytest.fixture
def refusing() -> Iterator[Callable[[int], None]]:
    """Listen on a port of 127.0.0.2, and close every connection at once."""
    with ExitStack() as stack:

        def start(port: int) -> None:
            listener = stack.enter_context(socket.create_server(("127.0.0.2", port)))

            def close() -> None:
                with suppress(OSError):
                    while True:
                        listener.accept()[0].close()

            threading.Thread(target=close, daemon=True).start()

        yield start


@pytest.fixture
def client(make_site: MakeSite) -> Iterator[httpx.Client]:
    """A client of a running nginx."""
    with make_site().running() as running:
        yield running
