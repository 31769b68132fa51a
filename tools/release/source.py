"""The input of a release: the application's files, the locked requirements, and the target machine."""

import hashlib
import json
import re
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Part of every id. Increase it when the layout of a bundle or of an installed release changes.
FORMAT = 2
# The version of Debian 13's C library. Wheels for this or an older version run on the target.
GLIBC = (2, 41)


class ReleaseError(Exception):
    """A release cannot be built. The message gives the reason in one sentence."""


@dataclass(frozen=True)
class Target:
    """The target's Python version and machine type."""

    python: str
    machine: str

    def environment(self) -> dict[str, str]:
        """Return the target's values for requirement markers, which differ from those of this control node."""
        full = f"{self.python}.0"
        python = {"implementation_version": full, "python_full_version": full, "python_version": self.python}
        system = {
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_system": "Linux",
            "sys_platform": "linux",
        }
        return {"implementation_name": "cpython", "platform_python_implementation": "CPython", **python, **system}

    def platforms(self) -> list[str]:
        """Return the wheel platforms that run on the target, newest first."""
        major, minor = GLIBC
        modern = [f"manylinux_{major}_{n}_{self.machine}" for n in range(minor, 4, -1)]
        return [*modern, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


@dataclass(frozen=True)
class Source:
    """The application's tree and the lock files of a release."""

    root: Path
    requirements: Path
    tools: Path
    paths: tuple[str, ...] = ()

    def files(self) -> list[Path]:
        """Return the source files of the application's wheel, sorted."""
        project = self.root / "pyproject.toml"
        if not project.is_file():
            raise ReleaseError(
                f"app_source_dir={self.root} has no pyproject.toml; use the folder of an installable project"
            )
        packages = self.paths or _packages(project)
        found = {project}
        for package in packages:
            path = self.root / package
            if not path.exists():
                raise ReleaseError(
                    f"{package} is part of the release but does not exist in app_source_dir={self.root}; "
                    "correct app_release_paths or pyproject.toml"
                )
            inside = path.rglob("*") if path.is_dir() else [path]
            found.update(p for p in inside if p.is_file() and p.suffix != ".pyc" and "__pycache__" not in p.parts)
        return sorted(found)

    def package(self) -> str:
        """Return the name under which the application is installed."""
        try:
            return canonicalize_name(tomllib.loads((self.root / "pyproject.toml").read_text())["project"]["name"])
        except KeyError as error:
            raise ReleaseError(f"{self.root / 'pyproject.toml'} has no name under [project]; add it") from error

    def digest(self, target: Target) -> str:
        """Return the hash of everything that determines the content of a bundle."""
        digest = hashlib.sha256(json.dumps([FORMAT, asdict(target), locked(self.tools, target, only="uv")]).encode())
        for path in [*self.files(), self.requirements]:
            name = path.relative_to(self.root) if path.is_relative_to(self.root) else path.name
            digest.update(f"\0{name}\0".encode())
            digest.update(hashlib.sha256(_read(path)).digest())
        return digest.hexdigest()


def _packages(project: Path) -> list[str]:
    """Return the packages that pyproject.toml includes in the wheel."""
    settings = tomllib.loads(project.read_text())
    wheel = settings.get("tool", {}).get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    packages: list[str] = wheel.get("packages", [])
    if not packages:
        raise ReleaseError(
            f"{project} names no packages under [tool.hatch.build.targets.wheel]; add them, or set app_release_paths"
        )
    return packages


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"cannot read {path}: {error.strerror}") from error


def locked(requirements: Path, target: Target, only: str | None = None) -> list[str]:
    """Return the lock file's requirements with their hashes, without those whose marker is false on the target."""
    kept = []
    text = re.sub(r"^\s*#.*$", "", _read(requirements).decode(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        specifier, *hashes = re.split(r"\s+--hash=", line.strip())
        if not hashes:
            raise ReleaseError(
                f"{requirements} is not a lock file: {specifier!r} has no --hash; compile it with hashes"
            )
        wanted = Requirement(specifier)
        if wanted.marker and not wanted.marker.evaluate(target.environment()):
            continue
        if only is None or wanted.name == only:
            kept.append(" ".join([f"{wanted.name}{wanted.specifier}", *(f"--hash={value}" for value in hashes)]))
    if only and not kept:
        raise ReleaseError(
            f"{requirements} does not lock {only}, the installer that a release contains; add it and run make lock"
        )
    return kept
