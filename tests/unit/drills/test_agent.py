"""The agent that watches a host, here on a machine without Postgres."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.drills.samples import AGENT


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """Where the agent's Python finds its packages, and no others."""
    return tmp_path


def run(packages: Path, lines: int) -> tuple[list[dict[str, object]], int]:
    """Return what the agent says first, and how it ended when nobody wanted more."""
    command = [sys.executable, "-S", "-c", AGENT]
    with subprocess.Popen(
        command,
        env={"PYTHONPATH": str(packages)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as agent:
        assert agent.stdin
        assert agent.stdout
        agent.stdin.write('{"postgres": true}\n')
        agent.stdin.flush()
        told = [json.loads(line) for line, _ in zip(agent.stdout, range(lines), strict=False)]
        agent.stdin.close()
        return told, agent.wait(timeout=30)


def test_a_host_without_the_module_has_no_postgres(packages: Path) -> None:
    told, code = run(packages, 8)
    assert {"postgres": None}.items() <= {line["what"]: line["value"] for line in told}.items()
    assert code == 0


def test_a_module_that_is_being_unpacked_is_not_remembered(packages: Path) -> None:
    (packages / "psycopg2").mkdir()
    told, code = run(packages, 8)
    assert "postgres" not in {line["what"] for line in told}
    assert code == 1
