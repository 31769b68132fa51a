"""Python interpreters other than the hosts' own: fetched by uv or from an older Debian, and shipped as a bundle."""

import functools
import json
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tools.release import bundle, debian
from tools.release.errors import ReleaseError, uv
from tools.release.target import HOST_PYTHON, Target

UV_SERVER = "https://github.com/astral-sh/python-build-standalone/releases"
ANSWER_TIMEOUT_SECONDS = 5


def find(cache: Path, target: Target) -> str:
    """Return the name of the interpreter for a target, empty if the hosts have the Python themselves.

    It is uv's newest one, or Debian's if only that is in the cache.
    """
    if target.python == HOST_PYTHON:
        return ""
    wanted = f"cpython-{target.python}-linux-{target.machine}-gnu"
    options = ["--only-downloads", "--all-platforms", "--output-format=json"]
    found = json.loads(uv("python", "list", *options, wanted, what=f"find app_python={target.python}") or "[]")
    keys = [str(entry["key"]) for entry in found if "freethreaded" not in entry["key"]]
    if not keys:
        raise ReleaseError(f"app_python={target.python} does not exist for {target.machine}; choose another version")
    is_here = Path(bundle.interpreter(cache, keys[0])["path"]).exists()
    return keys[0] if is_here else debian.cached(cache, target) or keys[0]


def is_available(python: str) -> bool:
    """Return whether this control node can get an interpreter: from an older Debian, or from uv's server or mirror."""
    return python in debian.RELEASES or _answers(os.environ.get("UV_PYTHON_INSTALL_MIRROR", UV_SERVER))


@functools.cache
def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=ANSWER_TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def fetch(cache: Path, target: Target) -> tuple[str, list[str]]:
    """Put the bundle of the interpreter for a target into the cache. Return its name, and notes for the user."""
    name = find(cache, target)
    if not name:
        return "", []
    file = Path(bundle.interpreter(cache, name)["path"])
    if file.exists():
        os.utime(file)
        return name, []
    try:
        _fetch_with_uv(file, name)
    except ReleaseError as error:
        try:
            name = debian.fetch(cache, target)
        except ReleaseError as other:
            raise ReleaseError(_neither(target, error, other)) from other
        release = debian.RELEASES[target.python][0]
        return name, [f"app_python={target.python}: Debian {release}'s interpreter, because uv {error}."]
    return name, []


def _fetch_with_uv(file: Path, name: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        uv("python", "install", "--no-bin", f"--install-dir={work}", name, what=f"fetch the interpreter {name}")
        root = Path(work) / name
        files = [item for item in root.rglob("*") if item.is_symlink() or item.is_file()]
        kept = [item for item in files if not {"__pycache__", "test"} & set(item.relative_to(root).parts)]
        bundle.write(file, {f"{name}/{item.relative_to(root)}": item for item in kept})


def _neither(target: Target, error: ReleaseError, other: ReleaseError) -> str:
    """Return one sentence about an interpreter that is not available: what was tried, and what to do."""
    others = [f'"{python}" (Debian {release}\'s)' for python, (release, _) in debian.RELEASES.items()]
    usable = [f'"{HOST_PYTHON}" (the hosts\' own)', *(others if target.python not in debian.RELEASES else [])]
    return (
        f"app_python={target.python} is not available: uv {error}, and {other}; allow the control node to reach that "
        f"address, name a mirror in UV_PYTHON_INSTALL_MIRROR, or use app_python = {' or '.join(usable)}"
    )
