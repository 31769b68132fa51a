"""Writes release bundles reproducibly, finds existing ones, and removes old ones."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.utils import parse_wheel_filename


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pin(wheel: Path) -> str:
    """Return a requirement that only this wheel meets."""
    name, version, _, _ = parse_wheel_filename(wheel.name)
    return f"{name}=={version} --hash=sha256:{sha256(wheel)}"


def installer(folder: Path) -> bytes:
    """Return the program uv from its wheel."""
    wheel = next(folder.glob("uv-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/scripts/uv")))


def write(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a tar.gz whose bytes depend only on its members: without times, users or the order of a folder."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as work:
        new = Path(work) / path.name
        with new.open("wb") as file, \
                gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed, \
                tarfile.open(fileobj=packed, mode="w") as tar:  # fmt: skip
            for name, content in sorted(members.items()):
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                entry.mode = 0o755 if name == "uv" else 0o644
                tar.addfile(entry, io.BytesIO(content))
        new.rename(path)


def dependencies(cache: Path, key: str) -> dict[str, str]:
    """Return the key and the path of a bundle of dependencies. The file may not exist yet."""
    return {"key": key, "path": str(cache / "wheels" / key / "bundle.tar.gz")}


def find(cache: Path, name: str) -> dict[str, Any] | None:
    """Return a release if both of its bundles exist here, independent of the current tree."""
    path = cache / "releases" / f"{name}.tar.gz"
    if not path.exists():
        return None
    with tarfile.open(path) as tar:
        file = tar.extractfile("manifest.json")
        manifest = json.load(file) if file else {}
    needed = dependencies(cache, manifest.get("dependencies", ""))
    if not Path(needed["path"]).exists():
        return None
    found = {key: manifest[key] for key in ("id", "package", "machine")}
    return found | {"path": str(path), "dependencies": needed, "sha256": sha256(path), "built": False}


def prune(folder: Path, pattern: str, keep: int) -> None:
    """Remove all but the newest files or folders of a pattern."""
    newest_first = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[keep:]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
