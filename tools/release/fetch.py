"""Fetches an application's source: a folder, a git repository with an optional ref, or an archive."""

import hashlib
import os
import re
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

from tools.release import bundle, identity
from tools.release.errors import QUIET_GIT, ReleaseError, masked, run

ARCHIVE = re.compile(r"\.(tar(\.(gz|bz2|xz|zst))?|tgz|tbz2?|txz|zip)$")
GIT = re.compile(r"^(git\+)?(https?|ssh|git|file)://|^[\w.-]+@[\w.-]+:")
COMMIT = re.compile(r"[0-9a-f]{40}")
DENIED = re.compile(
    r"could not read (Username|Password)|Permission denied|Authentication failed|not found|access denied|"
    r"Host key verification failed|Could not read from remote repository|\b40[134]\b",
    re.IGNORECASE,
)
KEPT = 5
TIMEOUT = 60


@dataclass(frozen=True)
class Checkout:
    """A folder with the source.

    Args:
        root: The folder.
        commit: The version in the release's id.
        pinned: The source in a form that gives the same files again, without network access.
        complete: Whether all files of the folder belong to the source, also those that a .gitignore names.
    """

    root: Path
    commit: str
    pinned: str
    complete: bool = False


def is_remote(source: str) -> bool:
    """Return whether a source is not a folder of this machine."""
    return bool(GIT.match(source) or ARCHIVE.search(source))


def checkout(source: str, cache: Path) -> Checkout:
    """Return the folder of a source, after fetching or unpacking it."""
    sources = cache / "sources"
    if ARCHIVE.search(source.partition("#")[0]):
        return _archive(source, sources)
    if GIT.match(source):
        return _repository(source, sources)
    root = Path(source).expanduser().resolve()
    if not root.is_dir():
        raise ReleaseError(
            f"app_source={source} is not a folder; set it to the application's folder, git URL or archive"
        )
    return Checkout(root, identity.commit(root), str(root))


def _git(*arguments: str, what: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_DIR")}
    try:
        return run(["git", *arguments], what, environment=QUIET_GIT | inherited).strip()
    except ReleaseError as error:
        if not DENIED.search(str(error)):
            raise
        fix = "If the repository is private, give this machine access: an SSH key, or a credential helper of git"
        raise ReleaseError(f"{str(error).rstrip('.')}. {fix}") from error


def refuse_unreadable(source: str, cache: Path) -> None:
    """Refuse a git repository that this machine cannot read, or that lacks the wanted branch or tag.

    A commit that was fetched before needs no repository.
    """
    if ARCHIVE.search(source.partition("#")[0]) or not GIT.match(source):
        return
    address, _, ref = source.removeprefix("git+").partition("#")
    if COMMIT.fullmatch(ref) and (_folder(address, cache / "sources") / ref).is_dir():
        return
    found = _git("ls-remote", "--quiet", address, what=f"read app_source={masked(source)}")
    names = [line.partition("\t")[2] for line in found.splitlines()]
    if ref and not re.fullmatch(r"HEAD|[0-9a-f]{7,40}", ref) and not any(f"/{n}".endswith(f"/{ref}") for n in names):
        raise ReleaseError(f"app_source={masked(source)} has no branch or tag {ref}; correct what follows #")


def _folder(address: str, sources: Path) -> Path:
    """Return the folder for the commits of a repository."""
    return sources / f"git-{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def _repository(source: str, sources: Path) -> Checkout:
    address, _, ref = source.removeprefix("git+").partition("#")
    ref = ref or "HEAD"
    folder = _folder(address, sources)
    what = f"fetch app_source={masked(source)}"
    if not (COMMIT.fullmatch(ref) and (folder / ref).is_dir()):
        folder.mkdir(parents=True, exist_ok=True)
        repository = f"--git-dir={folder / 'repository'}"
        _git("init", "--quiet", "--bare", str(folder / "repository"), what=what)
        _git(repository, "fetch", "--quiet", "--depth=1", "--no-tags", "--force", address, ref, what=what)
        ref = _git(repository, "rev-parse", "FETCH_HEAD^{commit}", what=what)
        if not (folder / ref).is_dir():
            with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as work:
                tree = Path(work) / "tree"
                tree.mkdir()
                options = ["-c", "core.bare=false", repository, f"--work-tree={tree}"]
                _git(*options, "checkout", "--quiet", "--force", ref, "--", ".", what=what)
                if (tree / ".gitmodules").is_file():
                    _fetch_submodules(tree, folder / "repository", address, ref)
                tree.rename(folder / ref)
            bundle.prune(folder, "[0-9a-f]" * 40, KEPT)
    os.utime(folder / ref)
    return Checkout(folder / ref, ref[:7], f"{address}#{ref}", complete=True)


def _fetch_submodules(tree: Path, repository: Path, address: str, ref: str) -> None:
    """Fetch the submodules of a tree, each at the commit that it names."""
    what, here = f"fetch the submodules of app_source={masked(address)}", ["-C", str(tree)]
    _git("init", "--quiet", str(tree), what=what)
    (tree / ".git/objects/info/alternates").write_text(f"{repository / 'objects'}\n")
    # Their addresses may be relative to this one.
    _git(*here, "remote", "add", "origin", address, what=what)
    _git(*here, "read-tree", ref, what=what)
    _git(*here, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", what=what)
    for file in tree.rglob(".git"):
        shutil.rmtree(file) if file.is_dir() else file.unlink()


def _archive(source: str, sources: Path) -> Checkout:
    sources.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=sources, prefix=".new-") as work:
        file = Path(source).expanduser()
        if "://" in source:
            file = Path(work) / Path(source).name
            _download(source, file)
        if not file.is_file():
            raise ReleaseError(f"app_source={source} does not exist; set it to an archive, a folder or a git URL")
        digest = bundle.sha256(file)
        folder = sources / f"archive-{digest[:16]}"
        if not folder.is_dir():
            (unpacked := Path(work) / "unpacked").mkdir()
            if file.suffix == ".zip":
                shutil.unpack_archive(file, unpacked)
            else:
                command = ["tar", "--extract", "--no-same-owner", f"--file={file}", f"--directory={unpacked}"]
                run(command, f"unpack app_source={masked(source)}")
            inside = list(unpacked.iterdir())
            # Archives usually have one folder, named after the version.
            (inside[0] if len(inside) == 1 and inside[0].is_dir() else unpacked).rename(folder)
            bundle.prune(sources, "archive-*", KEPT)
    os.utime(folder)
    return Checkout(folder, digest[:7], source if "://" not in source else str(folder), complete=True)


def _download(url: str, into: Path) -> None:
    if not url.startswith("https://"):
        raise ReleaseError(f"app_source={masked(url)} is not fetched without encryption; use https")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, into.open("wb") as file:
            shutil.copyfileobj(response, file)
    except OSError as error:
        reason = re.sub(r"^<urlopen error |^\[Errno -?\d+\] |>$", "", str(getattr(error, "reason", error)))
        status = f"status {error.code}: " if isinstance(error, HTTPError) else ""
        raise ReleaseError(f"cannot fetch app_source={masked(url)}: {status}{masked(reason)}") from error
