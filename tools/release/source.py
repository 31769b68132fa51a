"""The input of a release: the application's files, the locked requirements, and the target machine."""

import hashlib
import json
import os
import re
import tomllib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from tools.release import tree
from tools.release.errors import ReleaseError
from tools.release.extras import NO_EXTRAS, Extras
from tools.release.requirements import locked
from tools.release.target import HOST_PYTHON, PYTHONS, Target, fits

# Part of every id. Increase it when the layout of a bundle or of an installed release changes.
FORMAT = 3


def read_project(root: Path) -> dict[str, Any]:
    """Return the content of a folder's pyproject.toml, empty without one."""
    path = root / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text()) if path.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise ReleaseError(f"{path} is not valid TOML: {error}") from error


def refuse_other_python(root: Path, python: str) -> None:
    """Refuse a Python that is not a version, or that the project does not support."""
    if not re.fullmatch(r"3\.\d+", python):
        raise ReleaseError(
            f"app_python={python} is not a version of Python; write it like {HOST_PYTHON!r}, with quotes"
        )
    required = _required_python(read_project(root))
    specifier = SpecifierSet(required)
    if not fits(python, specifier):
        better = next((version for version in PYTHONS if fits(version, specifier)), "")
        remedy = f'set app_python = "{better}", or change requires-python' if better else "change requires-python"
        raise ReleaseError(
            f"app_python={python} does not fit requires-python = {required!r} of {root / 'pyproject.toml'}; {remedy}"
        )


def _required_python(settings: dict[str, Any]) -> str:
    """Return the versions of Python that a project supports. Poetry writes them in its own way."""
    own: str = settings.get("project", {}).get("requires-python", "")
    poetry = settings.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python", "")
    if match := re.fullmatch(r"\^(\d+)(\.[\d.]+)?", poetry):
        poetry = f">={match[1]}{match[2] or ''},<{int(match[1]) + 1}"
    elif match := re.fullmatch(r"~(\d+\.\d+)(\.\d+)?", poetry):
        poetry = f">={match[1]}{match[2] or ''},=={match[1]}.*"
    try:
        return own or str(SpecifierSet(poetry))
    except InvalidSpecifier:
        return ""


@dataclass(frozen=True)
class Source:
    """The application's tree, and the settings of a release.

    Args:
        root: Folder of the application.
        tools: Lock file of the control node, which pins uv.
        requirements: File that lists the dependencies, relative to `root`. Empty finds one.
        more: Extras of the project and further packages.
        lock_file: File for the exact versions of dependencies that have no hashes.
        paths: Files and folders of `root` that are shipped. Empty ships everything.
        build_command: Command that runs in a clean copy before it is packed.
        commit: What the release's id says about its version.
        complete: Whether all files of the folder belong to the source, also those that a .gitignore names.
    """

    root: Path
    tools: Path
    lock_file: Path
    requirements: str = ""
    more: Extras = NO_EXTRAS
    paths: tuple[str, ...] = ()
    build_command: str = ""
    commit: str = "nogit"
    complete: bool = False

    def files(self) -> list[str]:
        """Return the files that are shipped, relative to the root."""
        return tree.shipped(self.root, self.paths, tree.everything(self.root) if self.complete else None)

    def inputs(self) -> list[str]:
        """Return the files that a build starts with."""
        return replace(self, paths=()).files()

    def read(self) -> list[str]:
        """Return the files that determine a release: a build command may read every one."""
        return self.inputs() if self.build_command else self.files()

    def package(self) -> str:
        """Return the name under which the project is installed as a package, empty if it is not one."""
        settings = read_project(self.root)
        tool = settings.get("tool", {})
        poetry = tool.get("poetry", {})
        if tool.get("uv", {}).get("package") is False or poetry.get("package-mode") is False:
            return ""
        name = settings.get("project", {}).get("name") or poetry.get("name") or ""
        return canonicalize_name(name) if "build-system" in settings else ""

    def digest(self, target: Target, requirements: list[str]) -> str:
        """Return the hash of everything that determines the content of a bundle."""
        settings = [FORMAT, asdict(target), locked(self.tools, target, only="uv"), requirements, self.build_command]
        digest = hashlib.sha256(json.dumps(settings).encode())
        for name in self.read():
            path = self.root / name
            digest.update(f"\0{name}\0".encode())
            if path.is_symlink():
                digest.update(f"link {path.readlink()}".encode())
            else:
                digest.update(b"program" if os.access(path, os.X_OK) else b"file")
                digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()
