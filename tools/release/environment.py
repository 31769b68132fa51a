"""A virtual environment with the application's locked packages, for app_build_command."""

import os
import platform
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tools.project.commands import Command, program
from tools.release.errors import ReleaseError, run, uv
from tools.release.target import Target

# They need no packages of Python.
OF_NODE = {"npm", "npx", "yarn", "pnpm", "bun", "corepack", "node"}


def build(command: str, tree: Path, lines: Sequence[str], target: Target, wheels: Path, python: Path | None) -> None:
    """Run app_build_command in a tree, with the application's packages if it may need them."""
    environment, missing = tree.with_name("environment"), ""
    if not OF_NODE.issuperset(program(step) for step in Command("", command, "").steps):
        missing = make(lines, target, wheels, python, environment)
    try:
        what = f"run app_build_command={command!r}"
        run(["sh", "-c", command], what, cwd=tree, environment=variables(environment, tree))
    except ReleaseError as error:
        without = f"{error}. It ran without the application's packages: {missing}"
        raise ReleaseError(without if missing else str(error)) from error


def make(lines: Sequence[str], target: Target, wheels: Path, python: Path | None, into: Path) -> str:
    """Make the environment. Return the reason if this machine can install the packages neither way.

    Args:
        lines: The locked requirements.
        target: The hosts' Python and machine.
        wheels: Folder with wheels for the target, which often run here, too.
        python: Bundle of the target's interpreter, if it is not the hosts' own.
        into: Folder of the environment.
    """
    reasons = []
    if target.machine == platform.machine():
        try:
            _create(_interpreter(target, python, into.with_name("python")), into)
            _install(into, ["--offline", "--no-index", *map(str, sorted(wheels.glob("*.whl")))])
            return ""
        except ReleaseError as error:
            reasons.append(f"their wheels are for {target}, and this machine {_lacks(error)}")
    else:
        reasons.append(f"their wheels are for {target}, and this is a machine of type {platform.machine()}")
    try:
        # The same versions for the control node's own Python.
        _create(sys.executable, into)
        _install(into, ["--requirements=-"], "\n".join(lines))
    except ReleaseError as error:
        return f"{reasons[0]}; for Python {platform.python_version()} of this machine, uv {error}"
    return ""


def variables(environment: Path, tree: Path) -> dict[str, str]:
    """Return the variables of a command that runs in a tree with the packages of an environment."""
    own = {"VIRTUAL_ENV": str(environment), "PATH": f"{environment / 'bin'}:{os.environ.get('PATH', os.defpath)}"}
    return os.environ | own | {"PYTHONPATH": f"{tree}:{tree / 'src'}", "PYTHONDONTWRITEBYTECODE": "1"}


def _interpreter(target: Target, bundle: Path | None, folder: Path) -> str:
    """Return the target's Python on this machine: its path, or what uv looks for."""
    if not bundle:
        return target.python
    with tarfile.open(bundle) as tar:
        tar.extractall(folder)  # written by this program
    return str(next(folder.glob("*/bin/python3")))


def _create(python: str, into: Path) -> None:
    uv("venv", "--quiet", "--clear", f"--python={python}", str(into), what=f"use Python {python}")


def _install(into: Path, packages: list[str], text: str = "") -> None:
    options = ["--quiet", "--no-deps", f"--python={into}"]
    uv("pip", "install", *options, *packages, what="install them", text=text)


def _lacks(error: ReleaseError) -> str:
    return f"has no such Python or cannot install them ({error})"
