"""Builds the two bundles of a release, unless they exist already."""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.release import bundle, identity
from tools.release.source import FORMAT, ReleaseError, Source, Target, locked

KEPT_BUNDLES = 10
KEPT_WHEELHOUSES = 4


def _pip(*arguments: str, what: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        errors = [
            line for line in result.stderr.splitlines() if "ERROR" in line or "error" in line
        ] or result.stderr.splitlines()
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


def _wheelhouse(source: Source, target: Target, folder: Path) -> None:
    """Download the wheels of the dependencies and of uv into a folder, and bundle them, unless that was done."""
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
    """Serialize builds. A second build waits, then finds the bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(
    source: Source, target: Target, cache: Path, *, known: Sequence[str] = (), serving: str = "", dry_run: bool = False
) -> dict[str, Any]:
    """Build the bundles of a release unless they exist, and return their paths. With `dry_run`, build nothing.

    `known` has the ids of the fleet's releases. They have precedence over the ids of local bundles.
    `serving` is a release to return instead, if its bundles exist here.
    """
    if serving and (found := bundle.find(cache, serving)):
        return found
    releases = cache / "releases"
    digest = source.digest(target)
    built = [path.name.removesuffix(".tar.gz") for path in releases.glob("*.tar.gz")]
    name = identity.known_as(digest, known) or identity.known_as(digest, built) or identity.new(digest, source.root)
    path = releases / f"{name}.tar.gz"
    wanted = [asdict(target), locked(source.requirements, target), locked(source.tools, target, only="uv")]
    dependencies = bundle.dependencies(cache, hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:16])
    result = {
        "id": name,
        "package": source.package(),
        "machine": target.machine,
        "path": str(path),
        "dependencies": dependencies,
    }
    if dry_run:
        return result | {"sha256": bundle.sha256(path) if path.exists() else None, "built": not path.exists()}
    with _only_one(releases):
        wheelhouse = Path(dependencies["path"]).parent
        _wheelhouse(source, target, wheelhouse)
        missing = not path.exists()
        if missing:
            _assemble(source, target, name, wheelhouse, path)
        os.utime(path)
        bundle.prune(releases, "*.tar.gz", KEPT_BUNDLES)
        bundle.prune(cache / "wheels", "[!.]*", KEPT_WHEELHOUSES)
        return result | {"sha256": bundle.sha256(path), "built": missing}
