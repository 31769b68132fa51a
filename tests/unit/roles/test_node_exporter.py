"""The node exporter, with the role's options, exports what the alerts need."""

import re
import shlex
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.live.fleet import eventually
from tests.support.sockets import free_port
from tests.unit.roles.modules import RULES, render
from tests.unit.roles.programs import find_program

NEEDED = set(re.findall(r"\bnode_\w+", "\n".join(path.read_text() for path in RULES)))
# Without systemd, the exporter cannot export these.
OPTIONS = {
    "node_systemd_unit_state": "--collector.systemd",
    "node_systemd_service_restart_total": "--collector.systemd.enable-restarts-metrics",
}


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """The options that the role gives to the exporter."""
    variables = {"address": "127.0.0.1", "port": free_port(), "textfiles": tmp_path}
    text = render(
        "base", "node_exporter.env.j2", **{f"base_node_exporter_{key}": value for key, value in variables.items()}
    )
    (arguments,) = re.findall(r'^ARGS="(.*)"$', text, re.MULTILINE)
    return shlex.split(arguments)


def test_options_for_metrics_that_are_off_by_default_are_set(options: list[str]) -> None:
    systemd = {name for name in NEEDED if name.startswith("node_systemd_")}
    assert {OPTIONS[name] for name in systemd} <= set(options)


def test_the_exporter_has_the_metrics_of_the_alerts(options: list[str]) -> None:
    exporter = find_program("prometheus-node-exporter", "--version", "prometheus-node-exporter")
    if not exporter:
        pytest.skip("the node exporter is not installed, and its Debian package cannot be downloaded")
    url = f"http://{options[0].partition('=')[2]}/metrics"
    with subprocess.Popen([exporter, *options], stderr=subprocess.DEVNULL) as process:
        try:
            answer = eventually(lambda: httpx.get(url, trust_env=False), within=20)
        finally:
            process.terminate()
    exported = set(re.findall(r"^node_\w+", answer.text, re.MULTILINE))
    assert {name for name in NEEDED - exported if name not in OPTIONS} == set()
