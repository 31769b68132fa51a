"""Refuses packages that the hosts cannot have: a list of them that was made for another platform."""

import platform
from collections.abc import Callable

from tools.project import locks
from tools.project.dependencies import Dependencies, read
from tools.project.tree import ProjectError, Tree
from tools.release.errors import ReleaseError
from tools.release.platforms import has_file
from tools.release.target import HOST_PYTHON, Target

# Such as without_file of tools.release.wheels.
Lacking = Callable[[list[str], Target], list[str]]
WIN32 = '; sys_platform == "win32"'


def checked(tree: Tree, needs: Dependencies, python: str, lacking: Lacking | None) -> Dependencies:
    """Return the dependencies on hosts that have a Python. Refuse those that these hosts cannot have."""
    if python != HOST_PYTHON:
        needs = read(tree, python)
    refuse_other(needs, Target(python, platform.machine()), lacking)
    return needs


def refuse_other(needs: Dependencies, target: Target, lacking: Lacking | None) -> None:
    """Refuse dependencies that are for other platforms only, or that have no file for the hosts.

    Some lock files list the files of each package. For all other lists, `lacking` looks in the package index.
    """
    hosts = f"Linux with {target}"
    if needs.environments and not any(locks.applies(marker, target) for marker in needs.environments):
        raise ProjectError(
            f"{needs.input} is only for {' or '.join(needs.environments)}, and the hosts have {hosts}; remove that "
            "restriction (for uv: environments in pyproject.toml), and lock again."
        )
    if "flask" in needs.excluded and not needs.has("flask"):
        raise ProjectError(
            f"{needs.input} has flask only for {needs.excluded['flask']}, and the hosts have {hosts}; remove that "
            "marker."
        )
    missing = [
        f"{name}=={needs.versions[name]}"
        for name, files in needs.files.items()
        if files and not has_file(files, target)
    ]
    pins = [f"{name}=={version}" for name, version in needs.versions.items()]
    if not missing and lacking and pins:
        try:
            missing = lacking(pins, target)
        except ReleaseError:  # no package index can be reached
            return
    if missing:
        raise ProjectError(
            f"{needs.input}: no file of {' and of '.join(missing)} is for {hosts}, neither a wheel nor a source; "
            f"remove what the application does not need, exclude what only Windows needs ({WIN32}), or choose other "
            "versions."
        )
