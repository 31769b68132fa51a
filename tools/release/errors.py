"""Runs the programs that build a release, and turns their errors into one sentence without secrets."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
# Not tokenizers==0.19.
ASSIGNED = re.compile(r"(?i)((?:token|passwo?r?d|secret|api_?key)\w*[\"']?\s*(?:=(?!=)|:)\s*)\S+")
# Lines that only announce an error, or that repeat that a program failed.
GENERIC = re.compile(
    r"subprocess-exited-with-error|CalledProcessError|No solution found when|metadata-generation-failed|exit code: |"
    r"Request failed after|This (error|is an issue)|build backend returned an error|Error while generating|"
    r"Failed to parse `|legacy-install|Ignored the following|Call to `|Failed building wheel|Failed to build|"
    r"Failed to (?:download|install)",
    re.IGNORECASE,
)
# pip names the package in the next line.
OTHER_HASH = re.compile(r"DO NOT MATCH THE HASHES[^\n]*\n\s*(\S+)")
EXCEPTION = re.compile(r"^\W*(?:[\w.]+\.)?\w*(?:Error|Exception)\b: \S")
ERROR = re.compile(r"\berror\b|\bERR!|^ssh: |^\W*(?:fatal|cause):|not found|\bfailed\b|\bdenied\b", re.IGNORECASE)
# git fails instead of asking for a password that nobody can type.
QUIET_GIT = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=10"}


class ReleaseError(Exception):
    """A release cannot be built. The message gives the reason in one sentence."""


def masked(text: str) -> str:
    """Replace the secrets in a text: credentials in URLs, and values of variables that are named like a secret."""
    return ASSIGNED.sub(r"\1***", CREDENTIALS.sub("***", text))


def cause(output: str) -> str:
    """Return the first line of a program's real error, without secrets."""
    if package := OTHER_HASH.search(output):
        return (
            f"{package[1]} does not have the hash that is locked (was that made for another platform?); lock it again"
        )
    lines = [line.strip(" \t│╰─▶>╭├\N{MULTIPLICATION SIGN}") for line in output.splitlines() if line.strip()]
    real = [line for line in lines if not GENERIC.search(line)] or lines
    found = [line for pattern in (EXCEPTION, ERROR) for line in real if pattern.search(line)]
    reason = (found or real[-1:] or ["it printed nothing"])[0]
    # pip lists all versions of a package that it cannot use.
    return masked(re.sub(r"^(?:ERROR|error|cause|fatal|E): | \(from versions: [^)]*\)", "", reason))


def run(
    command: list[str],
    what: str,
    *,
    cwd: Path | None = None,
    text: str = "",
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program and return its output. If it fails, say what cannot be done and why."""
    try:
        result = subprocess.run(
            command, cwd=cwd, input=text, env=environment, capture_output=True, text=True, check=False, errors="replace"
        )
    except OSError as error:
        raise ReleaseError(f"cannot {what}: {command[0]}: {error.strerror}") from error
    if result.returncode:
        raise ReleaseError(f"cannot {what}: {cause(result.stderr + result.stdout)}")
    return result.stdout


def pip(*arguments: str, what: str) -> None:
    """Run pip."""
    # Two builds of a source distribution give the same bytes. A tree without git has no version of its own.
    extra = {"SOURCE_DATE_EPOCH": "315532800", "SETUPTOOLS_SCM_PRETEND_VERSION": "0.0.0"}
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    run(command, what, environment=QUIET_GIT | extra | os.environ)


@cache
def _pip_config() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.findall(r"^(?:global|:env:|install)\.([\w-]+)='(.*)'$", output, re.MULTILINE)
    return {name: " ".join(re.split(r"(?:\\n|\s)+", value)) for name, value in found}


def pip_settings() -> dict[str, str]:
    """Return pip's settings for package indexes: from its configuration, and from variables, which have precedence."""
    names = ("index-url", "extra-index-url", "find-links")
    given = {name: os.environ.get(f"PIP_{name.upper().replace('-', '_')}", "") for name in names}
    return _pip_config() | {name: value for name, value in given.items() if value}


def _uv_environment() -> dict[str, str]:
    """Return uv's environment. uv does not read pip's configuration, so the package indexes set there are passed on."""
    settings = pip_settings()
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
    passed = {names[name]: value for name, value in settings.items() if name in names}
    if passed:
        # As pip: an index that is given in addition does not hide the versions of the others.
        passed["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    # Only interpreter.py downloads one.
    return {"UV_PYTHON_DOWNLOADS": "manual", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"} | passed | os.environ


def uv(*arguments: str, what: str, text: str = "", cwd: Path | None = None) -> str:
    """Run uv and return its output."""
    command = [str(Path(sys.executable).with_name("uv")), "--no-config", *arguments]
    return run(command, what, cwd=cwd, text=text, environment=QUIET_GIT | _uv_environment())
