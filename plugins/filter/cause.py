"""Finds the line of a program's output that explains its failure, and hides secrets in it."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from tools.release.errors import ERROR, EXCEPTION, cause, masked

TRACEBACK = re.compile(r"\s*Traceback \(most recent call last\):\s*")
# Exceptions of a server about a worker that did not start. The worker's own exception comes before.
CONSEQUENCE = re.compile(r"gunicorn\.errors\.HaltServer|SystemExit\b")
SECRET_NAME = re.compile(r"password|secret|token|_key\b", re.IGNORECASE)
# Shorter values would hide parts of ordinary words.
MIN_SECRET = 6


def exceptions(output: str) -> Iterator[str]:
    """Yield the last line of each traceback of Python, in the order of the output.

    If that line ends with a colon and an indented line follows, both are one.
    """
    indent: str | None = None
    for line, following in pairwise([*output.splitlines(), ""]):
        if TRACEBACK.fullmatch(line):
            indent = line[: len(line) - len(line.lstrip())]
        elif indent is not None and line.strip() and not line.startswith(f"{indent} "):
            if line.endswith(":") and following.startswith(f"{indent} "):
                yield f"{line.strip()} {following.strip().removeprefix('- ')}"
            elif not CONSEQUENCE.match(line.strip()):
                yield line.strip()
            indent = None


def first_cause(output: Any, variables: Mapping[str, Any] | None = None, default: str | None = None) -> str:
    """The line that explains why a program failed, without secrets and without a final full stop.

    Args:
        output: The output of the program, or of several one after another.
        variables: Environment variables, whose secret values are replaced.
        default: The result if no line looks like an error. Without it, that is the last line.
    """
    text = str(output)
    found = list(exceptions(text))
    if found:
        first, last = found[0], found[-1]
        message = first.partition(": ")[2] or first
        line = first if last == first or message in last else f"{first} (then {last})"
    elif default is not None and not (EXCEPTION.search(text) or ERROR.search(text)):
        return default
    else:
        line = cause(text).removeprefix("Error: ")
    return without_secrets(line, variables).rstrip(". ")


def last_lines(output: Any, number: int, variables: Mapping[str, Any] | None = None) -> str:
    """The last lines of an output as one line, without secrets."""
    lines = [line.strip() for line in str(output).splitlines() if line.strip()]
    return without_secrets(" | ".join(lines[-number:]), variables)


def without_secrets(text: str, variables: Mapping[str, Any] | None = None) -> str:
    """Replace passwords of URLs, and the values of variables that are named like a secret."""
    for name, value in (variables or {}).items():
        if SECRET_NAME.search(name) and len(str(value)) >= MIN_SECRET:
            text = text.replace(str(value), "***")
    return masked(text)


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"first_cause": first_cause, "last_lines": last_lines, "without_secrets": without_secrets}
