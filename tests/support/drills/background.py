"""Runs a load during a test, in a separate process."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.support.drills.load import SETTLE, Plan
from tests.support.drills.verdict import Record
from tests.support.live.clients import article_ids, log_in_as_admin, visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import ROOT

# Seconds within which the first request must be answered.
START_TIMEOUT = 60.0


def plan_load(fleet: LiveFleet, api_key: str, rates: dict[str, float], seconds: float) -> Plan:
    """Return the plan of a load on a fleet with demo articles, by a user who is logged in. It has no name yet."""
    with visitor(fleet) as client:
        articles = article_ids(client)
        cookie = log_in_as_admin(fleet, client)
    return Plan(f"https://{fleet.vip}", "", api_key, cookie, articles, rates, seconds)


@contextmanager
def running(plan: Plan, folder: Path) -> Iterator[list[Record]]:
    """Send a plan's requests inside the context. The list has their records afterwards. Until then a file has them.

    The context is entered after the first answer, because the process takes seconds to start on a busy machine.
    """
    records: list[Record] = []
    command = [sys.executable, "-m", "tests.support.drills.load"]
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{plan.run}.jsonl"
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=output, text=True) as process,
    ):
        assert process.stdin
        process.stdin.write(json.dumps(asdict(plan)))
        process.stdin.close()
        try:
            started = eventually(lambda: log.stat().st_size or process.poll() is not None, within=START_TIMEOUT)
            assert started, f"no request was answered in {START_TIMEOUT:.0f} s"
            yield records
            process.terminate()
            assert process.wait(timeout=SETTLE + 120) == 0, "the load ended with an error"
        finally:
            process.kill()
    records += [json.loads(line) for line in log.read_text().splitlines()]
    log.unlink()
