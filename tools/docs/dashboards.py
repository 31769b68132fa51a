"""Builds Grafana's dashboards in roles/grafana/files/dashboards from the sources in roles/grafana/dashboards.

python -m tools.docs.dashboards           build every dashboard
python -m tools.docs.dashboards --check   fail if a built one is out of date
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tools.fleet.context import ROOT

Json = dict[str, Any]

SOURCES = ROOT / "roles/grafana/dashboards"
BUILT = ROOT / "roles/grafana/files/dashboards"
DATASOURCE: Json = {"type": "prometheus", "uid": "prometheus"}
LAST_VALUE: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
COLUMNS = 24
RATE_WINDOW = "5m"


def _thresholds(steps: list[list[Any]]) -> Json:
    """Convert thresholds, for example [[null, green], [0.8, orange]]."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def _mappings(texts: Json) -> list[Json]:
    """Convert value mappings, for example {0: [down, red], 1: [up, green]}."""
    options = {
        str(value): {"text": text, "color": color, "index": i} for i, (value, (text, color)) in enumerate(texts.items())
    }
    return [{"type": "value", "options": options}]


def _targets(panel: Json) -> list[Json]:
    table = panel["type"] == "table"
    instant = table or panel.get("instant", False)
    return [
        {
            "refId": chr(ord("A") + i),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query["expr"].strip(),
            "legendFormat": query.get("legend", "__auto"),
            "instant": instant,
            "range": not instant,
            "format": "heatmap" if panel["type"] == "heatmap" else "table" if table else "time_series",
        }
        for i, query in enumerate(panel["queries"])
    ]


def _options(panel: Json) -> Json:
    tooltip = {"mode": "multi", "sort": "desc"}
    match panel["type"]:
        case "timeseries":
            return {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": tooltip}
        case "stat":
            return {
                "reduceOptions": LAST_VALUE,
                "colorMode": panel.get("color_mode", "value"),
                "graphMode": panel.get("graph_mode", "area"),
                "textMode": panel.get("text_mode", "auto"),
                "justifyMode": "auto",
            }
        case "bargauge":
            return {"reduceOptions": LAST_VALUE, "displayMode": "lcd", "orientation": "horizontal"}
        case "state-timeline":
            return {
                "mergeValues": True,
                "showValue": "auto",
                "rowHeight": 0.85,
                "legend": {"showLegend": False},
                "tooltip": tooltip,
            }
        case "heatmap":
            return {
                "calculate": False,
                "yAxis": {"unit": panel.get("unit", "short")},
                "color": {"mode": "scheme", "scheme": "Oranges"},
            }
        case "table":
            return {
                "showHeader": True,
                "cellHeight": "sm",
                "sortBy": [{"displayName": panel["sort"], "desc": True}] if "sort" in panel else [],
            }
        case other:
            known = "timeseries, stat, bargauge, state-timeline, heatmap, table"
            raise ValueError(f"panel {panel['title']!r}: type {other!r} is unknown; use one of {known}")


def _table_transformations(panel: Json) -> list[Json]:
    """Join the queries of a table on `join`, and show only `columns` under their names."""
    columns: dict[str, str] = panel["columns"]
    shown = {"include": {"pattern": "^(" + "|".join(columns) + ")$"}}
    merge: list[Json] = (
        [{"id": "joinByField", "options": {"byField": panel["join"], "mode": "outer"}}]
        if len(panel["queries"]) > 1
        else []
    )
    return [
        *merge,
        {"id": "filterFieldsByName", "options": shown},
        {
            "id": "organize",
            "options": {"renameByName": columns, "indexByName": {name: i for i, name in enumerate(columns)}},
        },
    ]


def _panel(panel: Json, identity: int, x: int, y: int) -> Json:
    defaults: Json = {"unit": panel.get("unit", "short"), "custom": {}}
    for key in ("min", "max", "decimals"):
        if key in panel:
            defaults[key] = panel[key]
    defaults["thresholds"] = _thresholds(
        panel.get("thresholds", [[None, "text" if panel["type"] == "stat" else "green"]])
    )
    if "values" in panel:
        defaults["mappings"] = _mappings(panel["values"])
    if panel["type"] == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 20 if panel.get("stack") else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.get("stack") else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if "thresholds" in panel else "off"},
        }
    if panel["type"] == "state-timeline":
        defaults["custom"] = {"fillOpacity": 80, "lineWidth": 0}
    built: Json = {
        "id": identity,
        "type": panel["type"],
        "title": panel["title"],
        "description": panel.get("help", ""),
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": panel["width"], "h": panel.get("height", 7)},
        "fieldConfig": {"defaults": defaults, "overrides": _overrides(panel)},
        "options": _options(panel),
        "targets": _targets(panel),
    }
    if panel["type"] == "table":
        built["transformations"] = _table_transformations(panel)
    return built


def _overrides(panel: Json) -> list[Json]:
    """Convert the units of columns, for example {Lag: bytes}."""
    return [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, unit in panel.get("units", {}).items()
    ]


def _layout(rows: list[Json]) -> Iterator[Json]:
    """Place panels from left to right in 24 columns, each row under a heading."""
    identity, y = 1, 0
    for row in rows:
        yield {
            "id": identity,
            "type": "row",
            "title": row["title"],
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        }
        identity, y, x, height = identity + 1, y + 1, 0, 0
        for panel in row["panels"]:
            if x + panel["width"] > COLUMNS:
                x, y, height = 0, y + height, 0
            yield _panel(panel, identity, x, y)
            identity, x, height = identity + 1, x + panel["width"], max(height, panel.get("height", 7))
        y += height


def _variable(name: str, query: str) -> Json:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "variable"},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def build(source: Json) -> Json:
    """Convert a source from roles/grafana/dashboards to Grafana's JSON model."""
    return {
        "uid": source["uid"],
        "title": source["title"],
        "description": source["description"],
        "tags": ["flaskfleet"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "links": [
            {
                "type": "dashboards",
                "title": "Fleet",
                "tags": ["flaskfleet"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {"list": [_variable(name, query) for name, query in source.get("variables", {}).items()]},
        "annotations": {"list": [_alert_annotation()]},
        "panels": list(_layout(source["rows"])),
    }


def _alert_annotation() -> Json:
    """Return the annotation that marks firing alerts on every graph."""
    return {
        "name": "Alerts",
        "enable": True,
        "datasource": DATASOURCE,
        "iconColor": "red",
        "expr": 'ALERTS{alertstate="firing", alertname!="Watchdog"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}}",
        "step": "60s",
    }


def render(dashboard: Json) -> str:
    """Format JSON with one panel per line, so that a diff shows which panel changed."""
    panels = ",\n".join("    " + json.dumps(panel, ensure_ascii=False) for panel in dashboard["panels"])
    rest = {**dashboard, "panels": ["PANELS"]}
    return json.dumps(rest, indent=2, ensure_ascii=False).replace('    "PANELS"', panels) + "\n"


def extract_queries(path: Path) -> list[tuple[str, str]]:
    """Return the panel title and expression of every query, with Grafana's variables replaced by wildcards.

    Tests run these queries on a live Prometheus.
    """
    dashboard: Json = json.loads(path.read_text())
    names = [variable["name"] for variable in dashboard["templating"]["list"]]

    def substitute(expr: str) -> str:
        for name in names:
            expr = expr.replace(f"${{{name}}}", ".*").replace(f"${name}", ".*")
        return expr.replace("$__rate_interval", RATE_WINDOW).replace("$__range", "1h").replace("$__interval", "1m")

    return [
        (panel["title"], substitute(target["expr"]))
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def main() -> int:
    """Build the dashboards, or with --check compare them. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs.dashboards", description="Build the dashboards.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail if a file is out of date")
    check = parser.parse_args().check
    wanted = {
        f"{path.stem}.json": render(build(yaml.safe_load(path.read_text()))) for path in sorted(SOURCES.glob("*.yml"))
    }
    present = {path.name: path.read_text() for path in BUILT.glob("*.json")}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    if check:
        for name in stale:
            print(f"{BUILT.relative_to(ROOT) / name} is out of date; run 'make docs'", file=sys.stderr)
        return 1 if stale else 0
    BUILT.mkdir(parents=True, exist_ok=True)
    for name in stale:
        if name in wanted:
            (BUILT / name).write_text(wanted[name])
        else:
            (BUILT / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
