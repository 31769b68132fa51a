"""Python interpreters other than the hosts' own: fetched by uv, and shipped as a bundle."""

import json
import tempfile
from pathlib import Path

from tools.release import bundle
from tools.release.errors import ReleaseError, uv
from tools.release.target import HOST_PYTHON, Target


def find(target: Target) -> str:
    """Return the name of uv's newest interpreter for a target, empty if the hosts have the Python themselves."""
    if target.python == HOST_PYTHON:
        return ""
    wanted = f"cpython-{target.python}-linux-{target.machine}-gnu"
    options = ["--only-downloads", "--all-platforms", "--output-format=json"]
    found = json.loads(uv("python", "list", *options, wanted, what=f"find app_python={target.python}") or "[]")
    keys = [entry["key"] for entry in found if "freethreaded" not in entry["key"]]
    if not keys:
        raise ReleaseError(f"app_python={target.python} does not exist for {target.machine}; choose another version")
    return str(keys[0])


def fetch(cache: Path, name: str) -> Path | None:
    """Return the bundle of an interpreter, after fetching it. None without an interpreter."""
    if not name:
        return None
    file = Path(bundle.interpreter(cache, name)["path"])
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        try:
            uv("python", "install", "--no-bin", f"--install-dir={work}", name, what=f"fetch the interpreter {name}")
        except ReleaseError as error:
            raise ReleaseError(
                f"{error}; allow the control node to reach it, name a mirror in UV_PYTHON_INSTALL_MIRROR, "
                f'or use the hosts\' own Python with app_python = "{HOST_PYTHON}"'
            ) from error
        root = Path(work) / name
        files = [item for item in root.rglob("*") if item.is_symlink() or item.is_file()]
        kept = [item for item in files if not {"__pycache__", "test"} & set(item.relative_to(root).parts)]
        bundle.write(file, {f"{name}/{item.relative_to(root)}": item for item in kept})
    return file
