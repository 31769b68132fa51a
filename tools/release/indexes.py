"""The package indexes that a project's own files name, with credentials from the environment of this machine.

They are passed to pip and uv as variables, so that neither a lock file nor a release nor a command line has them.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from tools.release import requirements
from tools.release.errors import ReleaseError, pip_settings

PYPI = re.compile(r"https?://pypi\.(python\.)?org(/|$)")
# A password that is not the name of a variable.
PASSWORD = re.compile(r"://[^/@\s]*:(?!\$)[^/@\s]+@")
REFUSED = re.compile(r"\b40[13]\b|unauthorized|forbidden", re.IGNORECASE)


def environment(path: Path) -> dict[str, str]:
    """Return the variables of pip for the indexes that belong to a list of dependencies. uv gets them from there."""
    if path.suffix not in (".lock", ".toml") and path.name != "Pipfile":
        return {}  # pip and uv read them in the list itself
    file = path.with_name("Pipfile" if path.name.startswith("Pipfile") else "pyproject.toml")
    try:
        settings = tomllib.loads(file.read_text()) if file.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise ReleaseError(f"{file} is not valid TOML: {error}") from error
    found = [(url, first) for url, first in _indexes(settings) if not PYPI.match(url)]
    default = [url for url, first in found if first][:1]
    more = [url for url, _ in found if url not in default]
    known = pip_settings().get("extra-index-url", "").split()
    variables = {"PIP_INDEX_URL": " ".join(default), "PIP_EXTRA_INDEX_URL": " ".join(dict.fromkeys([*known, *more]))}
    return {name: value for name, value in variables.items() if value} if found else {}


@contextmanager
def replaced(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for a while."""
    known = {name: os.environ.get(name, "") for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.update(known)


def _indexes(settings: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the URL of each index of a pyproject.toml or Pipfile, and whether it replaces PyPI."""
    tool = settings.get("tool", {})
    uv = tool.get("uv", {})
    for entry in uv.get("index", []):
        yield _url(entry, "UV_INDEX"), bool(entry.get("default"))
    yield from ((url, False) for url in uv.get("extra-index-url", []))
    if "index-url" in uv:
        yield uv["index-url"], True
    poetry = [entry for entry in tool.get("poetry", {}).get("source", []) if entry.get("url")]
    # Poetry does not use PyPI beside a primary source.
    primary = [entry for entry in poetry if entry.get("priority", "primary") in ("primary", "default")]
    for entry in poetry:
        yield _url(entry, "POETRY_HTTP_BASIC"), primary[:1] == [entry]
    for entry in [*tool.get("pdm", {}).get("source", []), *settings.get("source", [])]:
        yield _url(entry, "UV_INDEX"), entry.get("name") == "pypi"


def _url(entry: Mapping[str, Any], prefix: str) -> str:
    """Return the URL of an index. Its user and password may be in variables that uv, Poetry, PDM or Pipenv read."""
    url = os.path.expandvars(str(entry.get("url", "")))
    name = f"{prefix}_{re.sub('[^A-Z0-9]', '_', str(entry.get('name', '')).upper())}"
    user, password = os.environ.get(f"{name}_USERNAME"), os.environ.get(f"{name}_PASSWORD")
    parts = urlsplit(url)
    if (user is None and password is None) or "@" in parts.netloc:
        return url
    given = ":".join(quote(part or "", safe="") for part in (user, password))
    return urlunsplit(parts._replace(netloc=f"{given}@{parts.netloc}"))


def written_out(path: Path) -> list[str]:
    """Return a note if a list of dependencies has the password of an index, because it is part of each release."""
    if not PASSWORD.search("\n".join(requirements.indexes(requirements.text_of(path)))):
        return []
    found = f"{path.name} contains the password of a package index, and every host gets that file."
    return [f"{found} Write ${{NAME}} instead, and set that variable on this machine."]


def explained(error: ReleaseError) -> ReleaseError:
    """Return an error, with what to do if an index refused access."""
    if not REFUSED.search(str(error)):
        return error
    return ReleaseError(
        f"{str(error).rstrip('.')}. If the package index is private, this machine needs its credentials: in ~/.netrc, "
        "in UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD for the index NAME of pyproject.toml, or in variables "
        "that its URL names as ${NAME}"
    )
