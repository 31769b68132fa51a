"""A proxy of the environment (http_proxy) is for the internet. The fleet's own addresses are requested directly."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.fleet.context import ROOT

# Addresses outside of the fleet.
OUTSIDE = ("{{ grafana_apt_repository }}",)
# They fetch from the Internet.
INTERNET = {ROOT / "tools/release" / name for name in ("fetch.py", "interpreter.py")}
# What honours the proxy, and the words without which a call of it does.
CALLS = {
    r"urlopen\(": "-",
    r"build_opener\(": "ProxyHandler({})",
    r"httpx\.(?:get|post|request|stream|Client|AsyncClient)\(": "trust_env=False",
    r"boto3\.client\(": "proxies={}",
}


def uri_tasks(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the arguments of every `uri` task in a YAML document."""
    for item in value if isinstance(value, list) else []:
        if not isinstance(item, dict):
            continue
        if arguments := item.get("ansible.builtin.uri"):
            yield arguments
        for part in item.values():
            yield from uri_tasks(part)


def test_tasks_request_the_fleet_without_a_proxy() -> None:
    paths = [path for pattern in ("roles/*/*/*.yml", "playbooks/**/*.yml") for path in ROOT.glob(pattern)]
    tasks = [
        (path, arguments)
        for path in paths
        if path.parent.name in {"tasks", "handlers"} or "playbooks" in path.parts
        for arguments in uri_tasks(yaml.safe_load(path.read_text()))
    ]
    assert len(tasks) > 20
    wrong = [
        f"{path.relative_to(ROOT)}: {arguments['url']}"
        for path, arguments in tasks
        if arguments.get("use_proxy") is not False and not arguments["url"].startswith(OUTSIDE)
    ]
    assert wrong == []


def calls(path: Path) -> Iterator[str]:
    """Yield each call in a Python file that honours the proxy."""
    text = path.read_text()
    for pattern, words in CALLS.items():
        for found in re.finditer(pattern, text):
            if words not in text[found.start() : found.start() + 400].split("\n\n")[0]:
                yield f"{path.relative_to(ROOT)}: {found[0]}"


def test_programs_request_the_fleet_without_a_proxy() -> None:
    folders = ("app", "bin", "molecule", "playbooks", "plugins", "roles", "terraform", "tests/support", "tools")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert [call for path in paths if path not in INTERNET for call in calls(path)] == []
