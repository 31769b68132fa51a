"""Fixtures for the tests of role redis' modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.roles.redis_modules import ACL, Answer, Server


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def acl_file(tmp_path: Path) -> Path:
    path = tmp_path / "users.acl"
    path.write_text("\n".join(ACL) + "\n")
    return path
