"""What a release needs beyond a project's own list: its extras and groups, and further packages."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tools.release.errors import ReleaseError, masked
from tools.release.indexes import PASSWORD


@dataclass(frozen=True)
class Extras:
    """Additions to the dependencies.

    Args:
        names: Extras (`[project.optional-dependencies]`) and groups (`[dependency-groups]`) of the project.
        packages: Requirements that the project does not list, such as `psycopg2-binary`.
    """

    names: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.names or self.packages)

    def added(self, server: str) -> str:
        """Return the requirements that are locked together with those of the project."""
        return "".join(f"{line}\n" for line in (server, *self.packages))

    def tables(self, path: Path) -> list[dict[str, Any]]:
        """Return the extras and the groups of the project that a file belongs to, by their normalized names."""
        file = path.parent / "pyproject.toml"
        settings = tomllib.loads(file.read_text()) if file.is_file() else {}
        poetry = settings.get("tool", {}).get("poetry", {})
        extras = settings.get("project", {}).get("optional-dependencies", {}) | poetry.get("extras", {})
        groups = settings.get("dependency-groups", {}) | poetry.get("group", {})
        return [{str(canonicalize_name(name)): value for name, value in table.items()} for table in (extras, groups)]

    def check(self, path: Path) -> None:
        """Refuse packages that are no requirements, and extras and groups that the project does not have."""
        for line in self.packages:
            if PASSWORD.search(line):
                raise ReleaseError(
                    f"app_extra_packages has a password in {masked(line)!r}, which the lock file and each host would "
                    "get; remove it, and use an SSH URL, or git's credential helper"
                )
            try:
                Requirement(line)
            except InvalidRequirement as error:
                reason = str(error).splitlines()[0]  # the others show the place
                raise ReleaseError(
                    f"app_extra_packages has {masked(line)!r}, which is not a requirement ({reason}); write it like "
                    "'psycopg2-binary' or 'psycopg2-binary==2.9.10'"
                ) from error
        if not self.names or path.name in ("setup.py", "setup.cfg"):
            return
        if path.name not in ("uv.lock", "poetry.lock", "pdm.lock", "pyproject.toml"):
            raise ReleaseError(
                f"app_extras={list(self.names)} needs a list with extras, and {path} has none; set app_requirements "
                "to pyproject.toml, or name the packages in app_extra_packages"
            )
        extras, groups = self.tables(path)
        for name in self.names:
            if canonicalize_name(name) not in extras | groups:
                known = ", ".join(sorted(extras | groups)) or "none"
                raise ReleaseError(
                    f"app_extras names {name}, which is neither an extra nor a group of {path.parent}; it has {known}"
                )

    def options(self, path: Path, extra: str = "--extra", group: str = "--group") -> list[str]:
        """Return the options of a locking tool that select the extras and groups."""
        extras, _ = self.tables(path)
        owned = [(name, path.name == "setup.py" or canonicalize_name(name) in extras) for name in self.names]
        return [f"{extra if is_extra else group}={name}" for name, is_extra in owned]


NO_EXTRAS = Extras()
