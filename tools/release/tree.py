"""The files of an application's source: which of them are shipped, and a clean copy to build in."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tools.release.errors import ReleaseError

# Never part of a release.
LEFT_OUT = {".git", "__pycache__"}
# Left out as well, unless git tracks them.
GENERATED = {"node_modules", ".venv", ".tox", ".mypy_cache", ".pytest_cache", ".ruff_cache"}

LFS = b"version https://git-lfs.github.com/spec/"
SUBMODULE = re.compile(r"^\s*path\s*=\s*(.+?)\s*$", re.MULTILINE)


def _git(root: Path, *arguments: str) -> list[str] | None:
    """Return the paths that git prints, or None if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, env=environment, check=False)
    except OSError:
        return None
    return [os.fsdecode(path) for path in result.stdout.split(b"\0") if path] if result.returncode == 0 else None


def untracked(root: Path, paths: Iterable[str] = ()) -> list[str]:
    """Return the files that git neither tracks nor ignores. Empty if the folder is not in a git repository."""
    if not _git(root, "ls-files", "-z", "--cached"):
        return []
    return sorted(_git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *paths) or [])


def _not_ignored(root: Path) -> list[str]:
    """Return the files of a folder without git, except those that its .gitignore files name."""
    with tempfile.TemporaryDirectory() as work:
        _git(Path(work), "init", "--quiet", "--bare", work)
        options = ["-c", "core.bare=false", f"--git-dir={work}", f"--work-tree={root}"]
        found = _git(root, *options, "ls-files", "-z", "--others", "--exclude-standard")
    return found if found is not None else everything(root)


def everything(root: Path) -> list[str]:
    """Return all files and links of a folder, also ignored ones."""
    found = []
    for folder, folders, files in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = [name for name in folders if name not in LEFT_OUT | GENERATED and name not in links]
        found += [str((Path(folder) / name).relative_to(root)) for name in files + links]
    return found


def shipped(root: Path, paths: Iterable[str] = (), candidates: Iterable[str] | None = None) -> list[str]:
    """Return the files of a release, relative and sorted: what git tracks, or what .gitignore does not name.

    `paths` limits them to files and folders. `candidates` replaces the list of all files.
    """
    tracked = _git(root, "ls-files", "-z", "--cached", "--recurse-submodules") if candidates is None else None
    names = tracked or candidates or _not_ignored(root)
    excluded = LEFT_OUT if tracked else LEFT_OUT | GENERATED
    kept = {name for name in names if not name.endswith((".pyc", "/")) and excluded.isdisjoint(Path(name).parts)}
    kept = {name for name in kept if (root / name).is_symlink() or (root / name).is_file()}
    environments = {str(Path(name).parent) + "/" for name in kept if Path(name).name == "pyvenv.cfg"}
    kept = {name for name in kept if not name.startswith(tuple(environments))}
    for path in paths:
        if not any(_below(name, path) for name in kept):
            raise ReleaseError(
                f"{path} is part of the release but does not exist in app_source={root}; correct app_release_paths"
            )
    if paths:
        kept = {name for name in kept if any(_below(name, path) for path in paths)}
    if not kept:
        raise ReleaseError(f"app_source={root} has no files; set it to the folder of the application")
    return sorted(kept)


def _below(name: str, path: str) -> bool:
    path = os.path.normpath(path)
    return path == "." or name == path or name.startswith(f"{path}/")


def refuse_incomplete(root: Path, names: Iterable[str], paths: Iterable[str] = ()) -> None:
    """Refuse a source without its submodules, or with pointers in place of the files that Git LFS stores."""
    wanted = list(paths)
    if empty := [name for name in _empty_submodules(root) if not wanted or any(_related(name, p) for p in wanted)]:
        raise ReleaseError(
            f"{', '.join(empty)} in app_source={root} is a git submodule without its files; run `git submodule update "
            "--init --recursive` there. An archive has no submodules: set app_source to the git URL instead"
        )
    if pointers := [name for name in names if _is_pointer(root / name)]:
        more = f" and {len(pointers) - 3} more" if len(pointers) > 3 else ""
        raise ReleaseError(
            f"{', '.join(pointers[:3])}{more} in app_source={root} has only a pointer to a file in Git LFS; install "
            "git-lfs, run `git lfs install && git lfs pull` in a clone, and set app_source to that folder"
        )


def _empty_submodules(root: Path) -> list[str]:
    """Return the submodules that are not checked out, also those of submodules."""
    file = root / ".gitmodules"
    found = SUBMODULE.findall(file.read_text(errors="replace")) if file.is_file() else []
    folders = [name for name in found if (root / name).is_dir()]
    empty = [name for name in folders if not any((root / name).iterdir())]
    inner = [f"{name}/{path}" for name in folders for path in _empty_submodules(root / name)]
    return empty + inner


def _is_pointer(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 1024:
        return False
    with path.open("rb") as file:
        return file.read(len(LFS)) == LFS


def _related(one: str, other: str) -> bool:
    return _below(one, other) or _below(other, one)


def refuse_links_outside(root: Path, names: Iterable[str]) -> None:
    """Refuse symbolic links that would point at nothing on a host."""
    for name in names:
        path = root / name
        if path.is_symlink() and (path.readlink().is_absolute() or not _inside(root, path)):
            raise ReleaseError(
                f"{name} in app_source={root} is a symbolic link to {path.readlink()}, outside of the source; "
                "replace it with a copy"
            )


def _inside(root: Path, path: Path) -> bool:
    target = os.path.normpath(path.parent / path.readlink())
    return Path(target).is_relative_to(root)


def copy(root: Path, names: Iterable[str], into: Path) -> None:
    """Copy files and links to another folder."""
    for name in names:
        new = into / name
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, new, follow_symlinks=False)
