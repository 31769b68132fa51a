"""Fixtures for the tests of the roles' modules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.unit.roles.modules import PASSWORD, Run
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
