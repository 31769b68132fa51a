"""The agent that reports a host's state, here on a machine without Postgres."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.drills.observer import AGENT


def run(packages: Path, lines: int) -> tuple[list[dict[str, object]], int]:
    """Return the agent's first lines, and its exit code after its input was closed.

    `packages` is the only folder in which it finds packages.
    """
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
        agent.stdin.write('{"address": "127.0.0.1", "postgres": true}\n')
        agent.stdin.flush()
        reports = [json.loads(line) for line, _ in zip(agent.stdout, range(lines), strict=False)]
        agent.stdin.close()
        return reports, agent.wait(timeout=30)


def test_a_host_without_the_module_has_no_postgres(tmp_path: Path) -> None:
    reports, code = run(tmp_path, 8)
    assert {"postgres": None, "candidates": None}.items() <= {line["fact"]: line["value"] for line in reports}.items()
    assert code == 0


def test_the_agent_exits_while_the_module_is_being_unpacked(tmp_path: Path) -> None:
    (tmp_path / "psycopg2").mkdir()
    reports, code = run(tmp_path, 8)
    assert "postgres" not in {line["fact"] for line in reports}
    assert code == 1
