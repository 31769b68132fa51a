"""Reads Pipfile and Pipfile.lock, the files of Pipenv."""

import json
import tomllib
from typing import Any


def locked(text: str) -> str:
    """Return the packages of a Pipfile.lock as requirements with hashes."""
    packages = json.loads(text).get("default", {})
    return _lines({name: entry for name, entry in packages.items() if "path" not in entry})


def listed(text: str) -> str:
    """Return the packages of a Pipfile as requirements."""
    packages = {
        name: {"version": entry} if isinstance(entry, str) else entry
        for name, entry in tomllib.loads(text).get("packages", {}).items()
    }
    return _lines({name: entry for name, entry in packages.items() if "path" not in entry})


def _lines(packages: dict[str, dict[str, Any]]) -> str:
    return "".join(f"{_line(name, entry)}\n" for name, entry in packages.items())


def _line(name: str, entry: dict[str, Any]) -> str:
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    version = entry.get("version", "").strip("*")
    if "git" in entry:
        version = f" @ git+{entry['git']}" + (f"@{entry['ref']}" if "ref" in entry else "")
    elif "file" in entry:
        version = f" @ {entry['file']}"
    marker = f" ; {entry['markers']}" if entry.get("markers") else ""
    return " ".join([f"{name}{extras}{version}{marker}", *(f"--hash={value}" for value in entry.get("hashes", []))])
