"""Runs the commands of a plan: a heading, the output, and the duration of every phase."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tools.checks.plan import ROOT, Commands, Group

# Molecule records here which scenarios have hosts, in a folder for each fleet. Its default place has the name of the
# clone's folder alone, so two such clones would share it, and a run that was killed would mislead the next one.
MOLECULE_STATE = ROOT / ".cache" / "molecule"
# How tools begin the line that holds the error. The summary repeats the first few of them.
ERROR = re.compile(rb"\s*(error|fatal|msg|stderr|Error|FAILED): ")
MAX_ERRORS, MAX_ERROR_LENGTH = 5, 1000

_printing = threading.Lock()


@dataclass(frozen=True)
class Phase:
    """A phase that has ended.

    Args:
        name: Its heading.
        code: Exit code of its command.
        seconds: Its duration.
        errors: The first error lines of its output.
    """

    name: str
    code: int
    seconds: float
    errors: Sequence[str] = ()


def run(name: str, command: Sequence[str], environment: Mapping[str, str], *, buffered: bool = False) -> Phase:
    """Run one command. Its output appears at once, or, when `buffered`, as a block at the end."""
    with _printing:
        print(f"\n== {name}" + (": started, its output follows" if buffered else ""), flush=True)
    start = time.monotonic()
    output: list[bytes] = []
    with subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        for line in process.stdout:
            output.append(line)
            if not buffered:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
    seconds = time.monotonic() - start
    errors = [line.decode(errors="replace").strip()[:MAX_ERROR_LENGTH] for line in output if ERROR.match(line)]
    with _printing:
        if buffered:
            print(f"\n== {name}", flush=True)
            sys.stdout.buffer.write(b"".join(output))
        result = "ok" if process.returncode == 0 else f"FAILED ({process.returncode})"
        print(f"-- {name}: {result} in {seconds:.1f} s", flush=True)
    return Phase(name, process.returncode, seconds, errors[:MAX_ERRORS] if process.returncode else ())


def environment(**extra: str) -> dict[str, str]:
    """Return the environment of all phases: this clone's tools first, no colours.

    FLEET and INVENTORY are the defaults of the Makefile, so that those of the user's shell change no test.
    """
    return os.environ | {
        "FLEET": "sandbox",
        "INVENTORY": "sandbox",
        "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
        "PY_COLORS": "0",
        "NO_COLOR": "1",
        **extra,
    }


def one_after_another(
    commands: Commands, extra: Mapping[str, str] | None = None, *, stop: bool = False, buffered: bool = False
) -> list[Phase]:
    """Run commands in their order; with `stop` only until one of them fails."""
    phases: list[Phase] = []
    for name, command in commands.items():
        phases.append(run(name, command, environment(**extra or {}), buffered=buffered))
        if stop and phases[-1].code:
            break
    return phases


def scenarios(group: Group, extra: Mapping[str, str] | None = None, *, buffered: bool = False) -> list[Phase]:
    """Create a group's fleet, test it and remove it."""
    state = MOLECULE_STATE / group.name
    shutil.rmtree(state, ignore_errors=True)  # left by a run that was killed
    extra = {**(extra or {}), "MOLECULE_EPHEMERAL_DIRECTORY": str(state)}
    phases = one_after_another(group.setup, extra, stop=True, buffered=buffered)
    if all(phase.code == 0 for phase in phases):
        phases += one_after_another(group.checks, extra, buffered=buffered)
    return phases + one_after_another(group.teardown, extra, buffered=buffered)


def in_pairs(groups: Sequence[Group], extra: Mapping[str, str] | None = None) -> list[Phase]:
    """Run groups of scenarios with small fleets, two at the same time."""
    alone = len(groups) == 1
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda group: scenarios(group, extra, buffered=not alone), groups)
        return [phase for phases in results for phase in phases]


def side_by_side(commands: Commands) -> list[Phase]:
    """Run commands at the same time, as many as there are processors."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        running = [pool.submit(run, name, command, environment(), buffered=True) for name, command in commands.items()]
        return [future.result() for future in running]
