"""Values of variables: their types in the argument_specs of roles, and how messages show them."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

SECRET = ("password", "secret", "_key", "token", "certificate")
MAX_VALUE_LENGTH = 60
# Suffix of a variable's name → allowed range. The first match counts. Any other number must be at least 0.
BOUNDS = {
    "celery_metrics_port": (0, 65535),
    "nginx_upstream_tls_port": (0, 65535),
    "_port": (1, 65535),
    "_router_id": (1, 255),
    "_upload_mb": (1, inf),
}

WRONG_TYPE = re.compile(r"argument '[^']+' is of type \w+ and we were unable to convert to (int|float|bool|list|dict):")
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a dictionary",
}


def shown(name: str, value: Any) -> str:
    """A value as messages show it: short, and without secrets."""
    text = "…" if _is_secret(name) else repr(_masked(value))
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"


def _is_secret(name: Any) -> bool:
    return any(word in str(name) for word in SECRET)


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: "…" if _is_secret(name) else _masked(part) for name, part in value.items()}
    return [_masked(part) for part in value] if isinstance(value, list) else value


def wrong_types(role: str, options: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> list[str]:
    """A sentence for each value that violates the role's argument_specs."""
    failures = []
    for name, value in values.items():
        validated = ArgumentSpecValidator({name: {**options[name], "required": False}}).validate({name: value})
        messages, number = validated.error_messages, validated.validated_parameters.get(name)
        kind = options[name].get("type", "str")
        # Ansible's check converts these, and a role then uses the value that was given.
        if kind == "list" and not isinstance(value, list):
            messages = ["it must be a list"]
        elif kind in ("str", "path") and isinstance(value, list | dict):
            messages = ["it must be text"]
        elif kind == "list" and any("dictionary requested" in message for message in messages):
            messages = ["each entry must be a dictionary"]
        if isinstance(number, int | float) and not messages:
            low, high = next((bounds for suffix, bounds in BOUNDS.items() if name.endswith(suffix)), (0, inf))
            if not low <= number <= high:
                messages = [f"it must be from {low} to {high}" if high < inf else f"it must be at least {low}"]
        failures += [
            f"{name} = {shown(name, value)} does not fit role {role}: {_plain(message)}; see roles/{role}/README.md."
            for message in messages
        ]
    return failures


def _plain(message: str) -> str:
    """Ansible's message about a wrong value, without its internal names of types."""
    found = WRONG_TYPE.match(message)
    return f"it must be {TYPES[found[1]]}" if found else message.rstrip(".")


def wrong_values(
    roles: Mapping[str, Mapping[str, Mapping[str, Any]]], values: Mapping[str, Any], reported: Iterable[str]
) -> list[str]:
    """A sentence for each value that violates the argument_specs of a role, but only one for each variable.

    Args:
        roles: Role → its options.
        values: The variables of a host.
        reported: Other sentences. A variable with which one of them begins is not checked again.
    """
    done = {match[0] for sentence in reported if (match := re.match(r"\w+", sentence))}
    failures = []
    for role, options in roles.items():
        for name in [name for name in options if name in values and name not in done]:
            if found := wrong_types(role, options, {name: values[name]}):
                failures += found
                done.add(name)
    return failures


def is_literal(value: Any) -> bool:
    """Whether a value contains no template, so that it can be checked before its role runs."""
    if isinstance(value, dict):
        return all(is_literal(part) for part in value.values())
    if isinstance(value, list):
        return all(is_literal(part) for part in value)
    return not (isinstance(value, str) and ("{{" in value or "{%" in value))


@cache
def specifications(roles: Path) -> dict[str, Mapping[str, Mapping[str, Any]]]:
    """Role → the options of its argument_specs."""
    return {
        path.parents[1].name: yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
        for path in sorted(roles.glob("*/meta/argument_specs.yml"))
    }
