"""Runs a load during a test, in a separate process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.support.drills.load import SETTLE, Plan
from tests.support.drills.verdict import Record
from tests.support.live.fleet import eventually
from tools.fleet.context import ROOT

# Seconds within which the first request must be answered.
START_TIMEOUT = 60.0


@contextmanager
def running(plan: Plan, log: Path) -> Iterator[list[Record]]:
    """Send a plan's requests inside the context. The list has their records afterwards. Until then they are in `log`.

    The context is entered after the first answer, because the process takes seconds to start on a busy machine.
    """
    records: list[Record] = []
    command = [sys.executable, "-m", "tests.support.drills.load"]
    log.parent.mkdir(parents=True, exist_ok=True)
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
