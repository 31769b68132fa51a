"""The dashboards are up to date and use only recorded series. Molecule runs their queries on a live Prometheus."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.roles.modules import read_yaml
from tools.docs.dashboards import BUILT, SOURCES, build, extract_queries, render
from tools.fleet.context import ROOT

DASHBOARDS = sorted(BUILT.glob("*.json"))


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.yml")), ids=lambda path: path.stem)
def test_a_dashboard_is_built_from_its_source(source: Path) -> None:
    built = BUILT / f"{source.stem}.json"
    assert built.read_text() == render(build(read_yaml(source))), "run 'make docs'"


def test_every_dashboard_has_a_source() -> None:
    assert {path.stem for path in DASHBOARDS} == {path.stem for path in SOURCES.glob("*.yml")}


def test_uids_and_titles_are_unique() -> None:
    dashboards = [json.loads(path.read_text()) for path in DASHBOARDS]
    for key in ("uid", "title"):
        assert len({dashboard[key] for dashboard in dashboards}) == len(dashboards)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_overlap_and_fit_into_24_columns(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} overlaps another panel"
        assert max(x for x, _ in cells) < 24, f"{panel['title']} is too far to the right"
        taken |= cells


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_use_only_recorded_series_and_no_variables(path: Path) -> None:
    groups = [group for file in ROOT.glob("roles/prometheus/files/rules/*.yml") for group in read_yaml(file)["groups"]]
    recorded = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    for title, expr in extract_queries(path):
        assert "$" not in expr, f"{title}: {expr}"
        used = set(re.findall(r"\b[a-z_]+:[a-z0-9_]+:[a-z0-9]+\b", expr))
        assert used <= recorded, f"{title} uses {used - recorded}"
