"""Builds a release's two bundles: everything that a host needs to run one state of the application, without a network.

``python -m tools.release build`` makes ``.cache/releases/<id>.tar.gz``, the application: its wheel, a ``requirements.txt`` that names every
wheel by hash, ``manifest.json`` and ``release.env``; and ``.cache/wheels/<key>/bundle.tar.gz``, its dependencies: their wheels for the
*target's* Python and machine, and the installer (uv). The second stays the same until the lock file changes, so most hosts have it already.
Printed as JSON are ``id``, ``package`` (the wheel's name), ``machine``, ``path`` and ``sha256`` of the first bundle, whether it was
``built`` now, and the ``key`` and ``path`` of ``dependencies``.

The id tells time, commit and the hash of what goes in, and is issued once: a tree whose hash the fleet (``--known``) or a bundle here has
already is that release.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import release_bundle as bundle
from tools import release_id

# Part of every id: raise it when the layout of a bundle or of what is installed from it changes.
FORMAT = 2
# Debian 13's C library; wheels made for it or an older one run on the target.
GLIBC = (2, 41)
BUNDLES_KEPT = 10
WHEELHOUSES_KEPT = 4


class ReleaseError(Exception):
    """A release that cannot be built; the message says why in one sentence."""


@dataclass(frozen=True)
class Target:
    """The Python and the machine that the wheels are for."""

    python: str
    machine: str

    def environment(self) -> dict[str, str]:
        """Return what requirement markers see on the target, which is not what they see on this control node."""
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
        """Return the wheel platforms that run on the target, best first."""
        major, minor = GLIBC
        modern = [f"manylinux_{major}_{n}_{self.machine}" for n in range(minor, 4, -1)]
        return [*modern, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


@dataclass(frozen=True)
class Source:
    """The application's tree and the lock files that a release is made of."""

    root: Path
    requirements: Path
    tools: Path
    paths: tuple[str, ...] = ()

    def files(self) -> list[Path]:
        """Return every file that the application's wheel is built from, sorted."""
        project = self.root / "pyproject.toml"
        if not project.is_file():
            raise ReleaseError(
                f"app_source_dir={self.root} has no pyproject.toml; name the folder of an installable project"
            )
        packages = self.paths or _packages(project)
        found = {project}
        for package in packages:
            path = self.root / package
            if not path.exists():
                raise ReleaseError(f"{package} is part of the release but does not exist in app_source_dir={self.root}")
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
        """Return the hash of all that decides what a bundle holds."""
        seen = hashlib.sha256(json.dumps([FORMAT, asdict(target), locked(self.tools, target, only="uv")]).encode())
        for path in [*self.files(), self.requirements]:
            name = path.relative_to(self.root) if path.is_relative_to(self.root) else path.name
            seen.update(f"\0{name}\0".encode())
            seen.update(hashlib.sha256(_read(path)).digest())
        return seen.hexdigest()


def _packages(project: Path) -> list[str]:
    """Return the packages that pyproject.toml puts into the wheel."""
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
    """Return the lock file's requirements with their hashes, without those whose marker does not hold on the target."""
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
        raise ReleaseError(f"{requirements} does not lock {only}, the installer that a release carries")
    return kept


def _pip(*arguments: str, what: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [
            line for line in done.stderr.splitlines() if "ERROR" in line or "error" in line
        ] or done.stderr.splitlines()
        raise ReleaseError(f"cannot {what}: {' '.join(errors[-3:])}")


def _download(lines: list[str], target: Target, into: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        platforms = [f"--platform={name}" for name in target.platforms()]
        tags = ["--implementation=cp", f"--python-version={target.python}", *platforms]
        _pip(
            *("download", "--quiet", "--require-hashes", "--only-binary=:all:", "--no-deps", *tags),
            *(f"--dest={into}", f"--requirement={file.name}"),
            what=f"download the wheels for Python {target.python} on {target.machine}",
        )


def _dependencies(source: Source, target: Target, cache: Path) -> dict[str, str]:
    """Return the key of the dependencies of one lock file and target, and the path of their bundle."""
    wanted = [asdict(target), locked(source.requirements, target), locked(source.tools, target, only="uv")]
    return bundle.of_dependencies(cache, hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:16])


def _wheelhouse(source: Source, target: Target, folder: Path) -> None:
    """Fill a folder with the dependencies' wheels, uv's, and the bundle of both, once."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as work:
            new = Path(work) / "wheelhouse"
            _download(locked(source.requirements, target), target, new / "wheels")
            _download(locked(source.tools, target, only="uv"), target, new / "installer")
            new.rename(folder)
    os.utime(folder)
    if not (folder / "bundle.tar.gz").exists():
        wheels = {f"wheels/{wheel.name}": wheel.read_bytes() for wheel in _wheels(folder)}
        bundle.write(folder / "bundle.tar.gz", wheels | {"uv": bundle.installer(folder / "installer")})


def _wheels(wheelhouse: Path) -> list[Path]:
    return sorted((wheelhouse / "wheels").glob("*.whl"), key=lambda wheel: wheel.name)


def _build_wheel(source: Source, into: Path) -> Path:
    _pip(
        *("wheel", "--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={into}", str(source.root)),
        what=f"build the application in {source.root}",
    )
    return next(into.glob("*.whl"))


def _assemble(source: Source, target: Target, name: str, wheelhouse: Path, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as work:
        own = _build_wheel(source, Path(work))
        pins = [bundle.pin(wheel) for wheel in [own, *_wheels(wheelhouse)]]
        manifest = {
            "id": name,
            "format": FORMAT,
            "package": source.package(),
            **asdict(target),
            "dependencies": wheelhouse.name,
            "wheels": pins,
        }
        members = {
            f"wheels/{own.name}": own.read_bytes(),
            "requirements.txt": ("\n".join(pins) + "\n").encode(),
            "manifest.json": (json.dumps(manifest, indent=2) + "\n").encode(),
            "release.env": f"APP_RELEASE={name}\n".encode(),
        }
        bundle.write(path, members)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one builder work at a time: a second one waits, then finds the bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(
    source: Source, target: Target, cache: Path, *, known: Sequence[str] = (), serving: str = "", dry_run: bool = False
) -> dict[str, Any]:
    """Build the release's bundles unless they exist, and say where they are; with dry_run only say what would be done.

    `known` has the ids of the releases that the fleet has: what it calls a release counts before what this machine calls it.
    `serving` is the one that is wanted instead of the tree's, where its bundles are here.
    """
    if serving and (kept := bundle.kept(cache, serving)):
        return kept
    releases = cache / "releases"
    digest = source.digest(target)
    built = [path.name.removesuffix(".tar.gz") for path in releases.glob("*.tar.gz")]
    name = (
        release_id.known_as(digest, known)
        or release_id.known_as(digest, built)
        or release_id.issue(digest, source.root)
    )
    path = releases / f"{name}.tar.gz"
    dependencies = _dependencies(source, target, cache)
    answer = {
        "id": name,
        "package": source.package(),
        "machine": target.machine,
        "path": str(path),
        "dependencies": dependencies,
    }
    if dry_run:
        exists = path.exists()
        return answer | {"sha256": bundle.sha256(path) if exists else None, "built": not exists}
    with _only_one(releases):
        wheelhouse = Path(dependencies["path"]).parent
        _wheelhouse(source, target, wheelhouse)
        missing = not path.exists()
        if missing:
            _assemble(source, target, name, wheelhouse, path)
        os.utime(path)
        bundle.prune(releases, "*.tar.gz", BUNDLES_KEPT)
        bundle.prune(cache / "wheels", "[!.]*", WHEELHOUSES_KEPT)
        return answer | {"sha256": bundle.sha256(path), "built": missing}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; errors are one sentence on stderr."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(
        prog="python -m tools.release", description="Build the application's release bundle."
    )
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "build", help="make the bundle, print where it is"
    )
    command.add_argument("--source", type=Path, default=root, help="folder of the application's pyproject.toml")
    command.add_argument("--requirements", type=Path, help="lock file; default: SOURCE/requirements/app.txt")
    command.add_argument(
        "--path", action="append", default=[], help="what the id is hashed from; default: the wheel's packages"
    )
    command.add_argument("--python", default="3.13", help="the target's Python")
    command.add_argument(
        "--machine", default=platform.machine(), choices=["x86_64", "aarch64"], help="the target's machine"
    )
    command.add_argument("--cache", type=Path, default=root / ".cache", help="where bundles and wheels are kept")
    command.add_argument("--known", action="append", default=[], help="a release that the fleet has")
    command.add_argument("--serving", default="", help="the release that is wanted instead, where its bundles are here")
    command.add_argument("--dry-run", action="store_true", help="print the id, build nothing")
    asked = parser.parse_args(argv)
    source = Source(
        root=asked.source.resolve(),
        requirements=(asked.requirements or asked.source / "requirements" / "app.txt").resolve(),
        tools=root / "requirements" / "control.txt",
        paths=tuple(asked.path),
    )
    try:
        target, cache = Target(asked.python, asked.machine), asked.cache.resolve()
        result = build(source, target, cache, known=asked.known, serving=asked.serving, dry_run=asked.dry_run)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
