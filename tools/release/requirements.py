"""Requirements with hashes: reading them from lock files."""

import codecs
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.release.errors import ReleaseError, masked
from tools.release.target import Target

INDEX = re.compile(r"(--index-url|--extra-index-url|--find-links|-i|-f)[\s=]")
# A folder or file of this machine.
LOCAL = re.compile(r"(?:-e\s+|--editable[\s=]+)?((?:\.|/|file:)\S*)|[\w.-]+ @ (file:\S+)")
COMMIT = re.compile(r"@[0-9a-f]{40}(#|$)")
VERSION = re.compile(r"\d+(\.\d+)*")
# The last releases with the module pkg_resources. They also have distutils, which Python 3.12 has removed.
SETUPTOOLS = "setuptools<82"
# Packages before these versions import one of them. Most do not say so, and lists of pip-tools leave setuptools out.
WITHOUT_SETUPTOOLS = {
    "apscheduler": "3.10.4",
    "flask-limiter": "2.0.1",
    "gunicorn": "21",
    "marshmallow": "3.15",
    "redis": "4.1",
    "rq": "1.10.1",
    "webargs": "8.1",
}


def read(path: Path) -> bytes:
    """Return the content of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"cannot read {path}: {error.strerror}") from error


def decoded(data: bytes, errors: str = "strict") -> str:
    """Return the text of a file. PowerShell writes `pip freeze > requirements.txt` in UTF-16."""
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf16 else "utf-8-sig", errors)


def text_of(path: Path) -> str:
    """Return the text of a file."""
    try:
        return decoded(read(path))
    except UnicodeDecodeError as error:
        raise ReleaseError(f"{path} is neither UTF-8 nor UTF-16 ({error.reason}); save it as UTF-8") from error


def lines(text: str) -> list[str]:
    """Return the lines of a requirements file, without comments and with continued lines joined."""
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [line for line in (re.sub(r"\s+#.*$", "", line).strip() for line in text.splitlines()) if line]


def is_locked(text: str) -> bool:
    """Return whether every requirement of a file has a hash."""
    found = lines(text)
    return bool(found) and all("--hash=" in line or line.startswith("--") for line in found)


def unhashed(text: str) -> bool:
    """Return whether a requirement has neither a hash nor a commit. Poetry also exports options for package indexes."""
    found = [line for line in lines(text) if not INDEX.match(line)]
    return any("--hash=" not in line and not COMMIT.search(line.partition(" ;")[0]) for line in found)


def names(text: str) -> set[str]:
    """Return the names of the packages that a requirements file lists itself."""
    found = (re.match(r"[A-Za-z0-9][\w.-]*", line) for line in lines(text))
    return {canonicalize_name(match[0]) for match in found if match}


def pins(texts: Iterable[str]) -> list[str]:
    """Return the requirements with an exact version that files list themselves, as name==version."""
    found = (
        re.match(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?\s*==\s*([\w.!+-]+)", line) for t in texts for line in lines(t)
    )
    return [f"{match[1]}=={match[2]}" for match in found if match]


def includes(text: str, wanted: str) -> bool:
    """Return whether a lock file's text has all of the wanted requirements, in versions that fit."""
    locked_names = names(text)
    versions = {canonicalize_name(pin.partition("==")[0]): pin.partition("==")[2] for pin in pins([text])}
    for requirement in map(Requirement, lines(wanted)):
        name = canonicalize_name(requirement.name)
        if name not in locked_names or not requirement.specifier.contains(versions.get(name, "0"), prereleases=True):
            return False
    return True


def build_tools(text: str) -> str:
    """Return the setuptools that the packages of a file import but do not pin, as a requirement. It may be empty."""
    pinned = dict(pin.lower().split("==") for pin in pins([text]) if VERSION.fullmatch(pin.partition("==")[2]))
    old = any(Version(pinned.get(name, since)) < Version(since) for name, since in WITHOUT_SETUPTOOLS.items())
    return f"{SETUPTOOLS}\n" if old and "setuptools" not in names(text) else ""


def indexes(text: str) -> list[str]:
    """Return a file's options that name package indexes."""
    return [line for line in lines(text) if INDEX.match(line)]


def locked(requirements: Path, target: Target, only: str | None = None) -> list[str]:
    """Return the lock file's requirements with their hashes, without those whose marker is false on the target."""
    return parse(text_of(requirements), requirements, target, only)


def parse(text: str, requirements: Path, target: Target, only: str | None = None) -> list[str]:
    """Return the requirements of a lock file's text. `requirements` is its name in messages."""
    kept = []
    for line in lines(text):
        specifier, *hashes = re.split(r"\s+--hash=", line)
        if specifier.startswith("-"):
            continue
        try:
            wanted = Requirement(specifier)
        except InvalidRequirement as error:
            raise ReleaseError(f"{requirements}: cannot read {masked(specifier)!r}; compile the file again") from error
        if not hashes and not (wanted.url and COMMIT.search(wanted.url)):
            raise ReleaseError(
                f"{requirements} is not a lock file: {specifier!r} has no --hash; compile it with hashes"
            )
        if wanted.marker and not wanted.marker.evaluate(target.environment()):
            continue
        if only is None or wanted.name == only:
            version = f" @ {wanted.url}" if wanted.url else str(wanted.specifier)
            kept.append(" ".join([f"{wanted.name}{version}", *(f"--hash={value}" for value in hashes)]))
    if only and not kept:
        raise ReleaseError(
            f"{requirements} does not lock {only}, the installer that a release contains; add it and run make lock"
        )
    return kept


def from_pdm(path: Path, groups: set[str]) -> str:
    """Return the packages of a pdm.lock that belong to groups, as requirements with hashes."""
    found: dict[tuple[str, str], str] = {}
    for package in tomllib.loads(text_of(path)).get("package", []):
        if not groups & {*package.get("groups", ["default"])} or "path" in package:
            continue
        version = f"=={package['version']}"
        if "git" in package:
            version = f" @ git+{package['git']}@{package['revision']}"
        elif "url" in package:
            version = f" @ {package['url']}"
        hashes = " ".join(f"--hash={file['hash']}" for file in package.get("files", []))
        marker = f" ; {package['marker']}" if package.get("marker") else ""
        # A package is listed again for each set of its extras.
        found.setdefault((package["name"], marker), f"{package['name']}{version}{marker} {hashes}".rstrip())
    return "\n".join(found.values()) + "\n"


def from_pylock(path: Path) -> str:
    """Return the packages of a pylock.toml (PEP 751) as requirements with hashes."""
    found = []
    for package in tomllib.loads(text_of(path)).get("packages", []):
        files: list[dict[str, Any]] = [*package.get("wheels", []), package.get("sdist"), package.get("archive")]
        hashes = " ".join(f"--hash=sha256:{file['hashes']['sha256']}" for file in files if file)
        marker = f" ; {package['marker']}" if "marker" in package else ""
        vcs = package.get("vcs")
        version = f" @ {vcs['type']}+{vcs['url']}@{vcs['commit-id']}" if vcs else f"=={package.get('version')}"
        if "directory" not in package:
            found.append(f"{package['name']}{version}{marker} {hashes}".rstrip())
    return "\n".join(found) + "\n"
