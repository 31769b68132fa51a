"""Builds the two bundles of a release, unless they exist already."""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tools.release import bundle, environment, identity, indexes, interpreter, tree, wheels
from tools.release.errors import ReleaseError, pip
from tools.release.lock import find, lock
from tools.release.requirements import locked
from tools.release.source import FORMAT, Source, read_project, refuse_other_python
from tools.release.target import Target

# Runs a build command in a folder.
Builder = Callable[[str, Path], None]
KEPT_BUNDLES = 10
KEPT_WHEELHOUSES = 4
# What build backends print about a project that has no package, only a tree of files.
NO_PACKAGE = re.compile(
    r"No file/folder found for package|Multiple top-level (packages|modules) discovered|"
    r"Unable to determine which files to ship"
)


def _wheelhouse(
    lines: list[str], tools: list[str], target: Target, folder: Path, python: Path | None, own: Mapping[str, str]
) -> None:
    """Download the wheels of the dependencies and of uv into a folder, and bundle them, unless that was done.

    `own` are the package indexes of this machine: a project's index may not have uv.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as work:
            new = Path(work) / "wheelhouse"
            wheels.fetch(lines, target, new / "wheels", python)
            with indexes.replaced(own):
                wheels.fetch(tools, target, new / "installer")
            new.rename(folder)
    os.utime(folder)
    if not (folder / "bundle.tar.gz").exists():
        members: dict[str, bytes | Path] = {f"wheels/{wheel.name}": wheel for wheel in _wheels(folder)}
        bundle.write(folder / "bundle.tar.gz", members | {"uv": bundle.uv_program(folder / "installer")})


def _wheels(wheelhouse: Path) -> list[Path]:
    return sorted((wheelhouse / "wheels").glob("*.whl"), key=lambda wheel: wheel.name)


def _backend_is_here(requirements: list[str]) -> bool:
    """Return whether this control node has a build backend, so that nothing is downloaded for it."""
    try:
        return bool(requirements) and all(
            importlib.metadata.version(wanted.name) in wanted.specifier for wanted in map(Requirement, requirements)
        )
    except importlib.metadata.PackageNotFoundError:
        return False


def _build_wheel(source: Source, folder: Path, into: Path) -> Path:
    """Build the project in a folder, which is a copy of its tree: some backends write into it."""
    options = ["--quiet", "--no-deps", "--ignore-requires-python", f"--wheel-dir={into}", str(folder)]
    what = f"build the application in {source.root}"
    # The backend may need more than the project requires itself: setuptools before 70.1 needs the package wheel.
    if _backend_is_here(read_project(source.root)["build-system"].get("requires", [])):
        with contextlib.suppress(ReleaseError):
            pip("wheel", "--no-build-isolation", *options, what=what)
    if not any(into.iterdir()):
        pip("wheel", *options, what=what)
    wheel = next(into.glob("*.whl"))
    if not wheel.name.endswith("-any.whl"):
        raise ReleaseError(f"{source.root} has compiled code: {wheel.name} does not run on other machines")
    return wheel


def _stage(source: Source, work: Path, build: Builder) -> tuple[list[str], list[Path], list[str]]:
    """Make a clean copy and build in it. Return the files to ship, the project's wheel, and notes."""
    copy, names = work / "tree", source.inputs()
    tree.copy(source.root, names, copy)
    if source.build_command:
        build(source.build_command, copy)
        names = tree.shipped(copy, candidates=tree.everything(copy))
    if not source.package():
        return names, [], []
    tree.copy(copy, names, work / "package")
    if source.build_command:
        # Some backends leave out what is ignored, and results of a build usually are.
        for ignore in (work / "package").rglob(".gitignore"):
            ignore.unlink()
    (work / "wheel").mkdir()
    try:
        return names, [_build_wheel(source, work / "package", work / "wheel")], []
    except ReleaseError as error:
        if not NO_PACKAGE.search(str(error)):
            raise
        return names, [], [f"The project is shipped as a tree only, not installed as a package: {error}."]


def _assemble(
    source: Source, target: Target, name: str, wheelhouse: Path, path: Path, python: str, build: Builder
) -> list[str]:
    """Write the bundle of a release. Return notes for the user."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".new-") as folder:
        work = Path(folder)
        names, own, notes = _stage(source, work, build)
        root = work / "tree"
        names = tree.shipped(root, source.paths, candidates=names)
        tree.refuse_links_outside(root, names)
        pins = [bundle.pin(wheel) for wheel in [*own, *_wheels(wheelhouse)]]
        manifest = {
            "id": name,
            "format": FORMAT,
            "package": source.package() if own else "",
            **asdict(target),
            "dependencies": wheelhouse.name,
            "interpreter": python,
            "wheels": pins,
        }
        members: dict[str, bytes | Path] = {
            **{f"source/{file}": root / file for file in names},
            **{f"wheels/{wheel.name}": wheel for wheel in own},
            "requirements.txt": ("\n".join(pins) + "\n").encode(),
            "manifest.json": (json.dumps(manifest, indent=2) + "\n").encode(),
            "release.env": f"APP_RELEASE={name}\n".encode(),
        }
        bundle.write(path, members)
        return notes


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Serialize builds. A second build waits, then finds the bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        yield


def _key(target: Target, lines: list[str], tools: list[str], python: str) -> str:
    """Return the key of the bundle of dependencies: a hash of everything that determines its content."""
    contents = [asdict(target), lines, tools, *([python] if python else [])]
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()[:16]


def _untracked(source: Source) -> list[str]:
    """Return a note about files that are not shipped because git does not track them."""
    names = [] if source.complete else tree.untracked(source.root, source.paths)
    if not names:
        return []
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return [f"git does not track {shown}, so they are not shipped. Run git add for those that the application needs."]


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
    refuse_other_python(source.root, target.python)
    tree.refuse_incomplete(source.root, source.read(), () if source.build_command else source.paths)
    listed = find(source.root, source.requirements)
    variables = indexes.environment(listed)
    own = {name: os.environ.get(name, "") for name in variables}
    os.environ.update(variables)
    try:
        wanted = lock(source.root, source.requirements, target, source.lock_file, more=source.more, dry_run=dry_run)
    except ReleaseError as error:
        raise indexes.explained(error) from error
    tools = locked(source.tools, target, only="uv")
    digest = source.digest(target, wanted.lines)
    built = [path.name.removesuffix(".tar.gz") for path in releases.glob("*.tar.gz")]
    name = identity.known_as(digest, known) or identity.known_as(digest, built) or identity.new(digest, source.commit)
    path = releases / f"{name}.tar.gz"
    notes = [*wanted.notes, *indexes.written_out(listed), *_untracked(source)]
    if dry_run:
        python = interpreter.find(cache, target)
        dependencies = bundle.dependencies(cache, _key(target, wanted.lines, tools, python))
        result: dict[str, Any] = {"id": name, "package": source.package(), "machine": target.machine, "path": str(path)}
        result |= {"dependencies": dependencies, "tree": str(source.root), "notes": notes}
        result |= {"interpreter": bundle.interpreter(cache, python)}
        return result | {"sha256": bundle.sha256(path) if path.exists() else None, "built": not path.exists()}
    with _only_one(releases):
        python, more = interpreter.fetch(cache, target)
        notes += more
        key = _key(target, wanted.lines, tools, python)
        wheelhouse = Path(bundle.dependencies(cache, key)["path"]).parent
        shipped = Path(bundle.interpreter(cache, python)["path"]) if python else None
        try:
            _wheelhouse(wanted.lines, tools, target, wheelhouse, shipped, own)
        except ReleaseError as error:
            raise indexes.explained(error) from error
        missing = not path.exists() or not bundle.fits(path, wheelhouse / "wheels")
        if missing:
            shutil.rmtree(cache / "trees" / name, ignore_errors=True)
            command = partial(
                environment.build, lines=wanted.lines, target=target, wheels=wheelhouse / "wheels", python=shipped
            )
            notes += _assemble(source, target, name, wheelhouse, path, python, command)
        os.utime(path)
        bundle.prune(releases, "*.tar.gz", KEPT_BUNDLES)
        bundle.prune(cache / "wheels", "[!.]*", KEPT_WHEELHOUSES)
        bundle.prune(cache / "pythons", "*.tar.gz", KEPT_WHEELHOUSES)
        for folder in (cache / "trees").glob("[!.]*"):
            if not (releases / f"{folder.name}.tar.gz").exists():
                shutil.rmtree(folder)
        return bundle.read(cache, path) | {"built": missing, "notes": notes}
