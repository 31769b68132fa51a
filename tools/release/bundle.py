"""Writes release bundles reproducibly, finds existing ones, and removes old ones."""

import gzip
import hashlib
import io
import json
import os
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


def uv_program(folder: Path) -> bytes:
    """Return the program uv from its wheel."""
    wheel = next(folder.glob("uv-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("/scripts/uv")))


def write(path: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write a tar.gz whose bytes depend only on its members: without times, users or the order of a folder."""
    folders = {str(parent) for name in members for parent in Path(name).parents}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as work:
        new = Path(work) / path.name
        with new.open("wb") as file, \
                gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed, \
                tarfile.open(fileobj=packed, mode="w") as tar:  # fmt: skip
            # Otherwise the host's umask would decide who can read them.
            for name in sorted(folders - {"."}):
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            for name, content in sorted(members.items()):
                _add(tar, name, content)
        new.rename(path)


def _add(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    entry = tarfile.TarInfo(name)
    program = name == "uv" or (isinstance(content, Path) and os.access(content, os.X_OK))
    entry.mode = 0o755 if program else 0o644
    if isinstance(content, bytes):
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    elif content.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, str(content.readlink())
        tar.addfile(entry)
    else:
        entry.size = content.stat().st_size
        with content.open("rb") as file:
            tar.addfile(entry, file)


def dependencies(cache: Path, key: str) -> dict[str, str]:
    """Return the key and the path of a bundle of dependencies. The file may not exist yet."""
    return {"key": key, "path": str(cache / "wheels" / key / "bundle.tar.gz")}


def interpreter(cache: Path, key: str) -> dict[str, str]:
    """Return the key and the path of the bundle of a Python interpreter, both empty if the hosts have their own."""
    return {"key": key, "path": str(cache / "pythons" / f"{key}.tar.gz") if key else ""}


def read(cache: Path, path: Path) -> dict[str, Any]:
    """Return what a bundle contains. Its source is unpacked into a folder, `tree`."""
    name = path.name.removesuffix(".tar.gz")
    manifest = _manifest(path)
    found = {key: manifest.get(key, "") for key in ("id", "package", "machine")}
    found |= {
        "interpreter": interpreter(cache, manifest.get("interpreter", "")),
        "path": str(path),
        "sha256": sha256(path),
        "dependencies": dependencies(cache, manifest["dependencies"]),
    }
    return found | {"tree": str(_unpacked(path, cache / "trees" / name)), "built": False, "notes": []}


def _manifest(path: Path) -> dict[str, Any]:
    with tarfile.open(path) as tar:
        # It is among the first members. Searching by name would read all of them.
        file = next(tar.extractfile(member) for member in tar if member.name == "manifest.json")
        found: dict[str, Any] = json.load(file) if file else {}
        return found


def fits(path: Path, wheels: Path) -> bool:
    """Return whether a release was built with these wheels. A wheel that is built again has another hash."""
    return {pin(wheel) for wheel in wheels.glob("*.whl")} <= {*_manifest(path).get("wheels", [])}


def _unpacked(path: Path, folder: Path) -> Path:
    """Return the folder with the source of a bundle. Unpack it if it is not there."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as work, tarfile.open(path) as tar:
            (Path(work) / "source").mkdir()
            # The bundle was written by this program on this machine.
            tar.extractall(work, [member for member in tar.getmembers() if member.name.startswith("source/")])
            (Path(work) / "source").rename(folder)
    return folder


def find(cache: Path, name: str) -> dict[str, Any] | None:
    """Return a release if its bundles exist here and fit together, independent of the current tree."""
    path = cache / "releases" / f"{name}.tar.gz"
    found = read(cache, path) if path.exists() else None
    needed = [part["path"] for part in (found["dependencies"], found["interpreter"]) if part["path"]] if found else []
    if found is None or not all(Path(file).exists() for file in needed):
        return None
    return found if fits(path, Path(found["dependencies"]["path"]).parent / "wheels") else None


def prune(folder: Path, pattern: str, keep: int) -> None:
    """Remove all but the newest files or folders of a pattern."""
    newest_first = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[keep:]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
