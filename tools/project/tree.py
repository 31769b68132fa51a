"""The files of a project, and what was found in them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.release import tree
from tools.release.errors import ReleaseError
from tools.release.requirements import decoded

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
    """A project's folder. Names of files are relative to it. All files of a `complete` one belong to the project.

    The folders that are `left_out` belong to other programs.
    """

    root: Path
    complete: bool = False
    left_out: tuple[str, ...] = ()

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The files that a release ships."""
        candidates = tree.everything(self.root) if self.complete else None
        try:
            names = tree.shipped(self.root, candidates=candidates)
        except ReleaseError as error:
            raise ProjectError(f"{error}.") from error
        return tuple(name for name in names if not name.startswith(self.left_out))

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.files)

    def read(self, name: str) -> str:
        """Return the text of a file. It is empty if the file does not exist, or is too large for a source file."""
        path = self.root / name
        if name not in self._names or not path.is_file() or path.stat().st_size > MAX_FILE_SIZE:
            return ""
        return decoded(path.read_bytes(), errors="replace")

    def first(self, *names: str) -> str:
        """Return the first of these files that exists, or an empty string."""
        return next((name for name in names if name in self.files), "")

    def has_folder(self, folder: str) -> bool:
        """Whether the project has a file in this folder or below it."""
        return any(name.startswith(f"{folder.strip('/')}/") for name in self.files)


def table(data: Any, *keys: str) -> dict[str, Any]:
    """Return a table inside of another one. It is empty if there is none, or something else."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}
