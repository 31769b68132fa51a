"""Every alert fires in a test of promtool, has a severity and a tier, and has a section in the runbook.

The queues that they watch are scraped one by one.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.roles.modules import RULES, read_yaml, render
from tests.unit.roles.programs import find_program
from tools.fleet.context import ROOT

TESTS = sorted((ROOT / "tests/unit/rules").glob("*.yml"))
RUNBOOK = ROOT / "docs/operations.md"


def rules(kind: str) -> list[dict[str, Any]]:
    """Return every rule of a kind: `alert` or `record`."""
    groups = [group for path in RULES for group in read_yaml(path)["groups"]]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


ALERTS = rules("alert")


@pytest.mark.parametrize(
    ("command", "path"),
    [*(("check", path) for path in RULES), *(("test", path) for path in TESTS)],
    ids=lambda value: getattr(value, "stem", value),
)
def test_rules_are_valid_and_fire_for_the_expected_metrics_only(command: str, path: Path) -> None:
    promtool = find_program("promtool", "--version", "promtool", "prometheus")  # a package of its own since Debian 13
    if not promtool:
        pytest.skip("promtool is not installed, and its Debian package cannot be downloaded")
    done = subprocess.run([promtool, command, "rules", path], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", sorted({rule["alert"] for rule in ALERTS}))
def test_every_alert_fires_in_a_test(alert: str) -> None:
    expected = "\n".join(path.read_text() for path in TESTS)
    assert f'alertname="{alert}"' in expected or f"alertname: {alert}\n" in expected, (
        f"{alert} fires in no test; add one to tests/unit/rules"
    )


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_every_alert_has_a_severity_and_a_runbook_url(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "none"}
    assert rule["labels"]["tier"]
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_the_runbook_has_one_section_for_each_alert() -> None:
    sections = re.findall(r"^### ([A-Z][a-z]+(?:[A-Z][a-z]+)*)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    assert sorted(sections) == sorted({rule["alert"] for rule in ALERTS})


def test_recorded_names_are_unique() -> None:
    names = [rule["record"] for rule in rules("record")]
    assert len(names) == len(set(names))


def test_every_queue_is_scraped_apart() -> None:
    """The Redis exporter of Debian 13 reports no key after an empty one."""
    member = {"name": "cache1", "address": "192.0.2.11"}
    store = {"port": 9121, "metrics_path": "/scrape", "params": {"target": ["redis://127.0.0.1:6380"]}}
    jobs = [
        {"job": "redis-store", **store, "members": [member]},
        {"job": "redis-queue", **store, "redis_keys": ["celery", "rq:queue:low", "celery"], "members": [member]},
        {"job": "redis-queue", **store, "redis_keys": [], "members": [member]},
    ]
    settings: dict[str, Any] = {
        "prometheus_probes": [],
        "prometheus_external_labels": {},
        "prometheus_alertmanagers": [],
    }
    text = render(
        "prometheus", "prometheus.yml.j2", prometheus_scrape_interval=15, prometheus_scrape_jobs=jobs, **settings
    )
    all_jobs = yaml.safe_load(text)["scrape_configs"]
    found = {job["job_name"]: job for job in all_jobs}
    assert len(found) == len(all_jobs), "Prometheus refuses two jobs of the same name"
    keys = {name: job["params"].get("check-single-keys") for name, job in found.items()}
    assert keys == {
        "redis-store": None,
        "redis-queue:celery": ["db0=celery"],
        "redis-queue:rq:queue:low": ["db0=rq:queue:low"],
    }
    assert "metric_relabel_configs" not in found["redis-store"]
    (kept,) = found["redis-queue:celery"]["metric_relabel_configs"]
    assert kept == {"source_labels": ["__name__"], "regex": "redis_key_size", "action": "keep"}
