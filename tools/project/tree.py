"""The files of a project, and what was found in them."""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

# Folders that hold no part of the application. Hidden ones are left out as well.
OUTSIDE = frozenset({"__pycache__", "build", "dist", "env", "node_modules", "site-packages", "venv"})
MAX_FILE_SIZE = 2_000_000


class ProjectError(Exception):
    """The project cannot be described. The message names the cause and the fix in one sentence."""


@dataclass(frozen=True)
class Finding:
    """The value of a variable, and where it was found. What nothing proves is `assumed`."""

    variable: str
    value: Any
    source: str
    assumed: bool = False


@dataclass(frozen=True)
class Tree:
    """A project's folder. Names of files are relative to it."""

    root: Path

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The files that belong to the project: those that git would track, or all."""
        command = ["git", "-c", "safe.directory=*", "-C", str(self.root), "ls-files", "-z"]
        try:
            result = subprocess.run(
                [*command, "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=False
            )
            names = result.stdout.split("\0") if result.returncode == 0 else list(self._walk())
        except FileNotFoundError:  # git is not installed
            names = list(self._walk())
        return tuple(sorted({name for name in names if name and (self.root / name).is_file()}))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.files)

    def _walk(self) -> Iterable[str]:
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in OUTSIDE]
            yield from (Path(folder, name).relative_to(self.root).as_posix() for name in names)

    def read(self, name: str) -> str:
        """Return the text of a file. It is empty if the file does not exist, or is too large for a source file."""
        path = self.root / name
        if name not in self._names or path.stat().st_size > MAX_FILE_SIZE:
            return ""
        return path.read_text(encoding="utf-8-sig", errors="replace")

    def first(self, *names: str) -> str:
        """Return the first of these files that exists, or an empty string."""
        return next((name for name in names if name in self.files), "")

    def has_folder(self, folder: str) -> bool:
        """Whether the project has a file in this folder or below it."""
        return any(name.startswith(f"{folder.strip('/')}/") for name in self.files)
