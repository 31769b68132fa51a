"""Build roles/grafana/files/dashboards/*.json from roles/grafana/dashboards/*.yml with Grafana's Foundation SDK.

python -m tools.docs.dashboards           build every dashboard
python -m tools.docs.dashboards --check   fail if a built one is out of date
"""

import argparse
import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shared
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tools.fleet.context import ROOT

Json = dict[str, Any]
Panel = heatmap.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel

SOURCES = ROOT / "roles/grafana/dashboards"
BUILT = ROOT / "roles/grafana/files/dashboards"
DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="prometheus")
RATE_WINDOW = "5m"
# Alerts as marks on every graph. The SDK has no formats of titles and texts.
ALERTS: Json = {
    "name": "Alerts",
    "enable": True,
    "datasource": {"type": "prometheus", "uid": "prometheus"},
    "iconColor": "red",
    "expr": 'ALERTS{alertstate="firing", alertname!="Watchdog"}',
    "titleFormat": "{{alertname}}",
    "textFormat": "{{instance}}",
    "step": "60s",
}


def _panel_of_type(source: Json) -> Panel:
    """Return a panel with the options of its type."""
    tooltip = common.VizTooltipOptions().mode(shared.TooltipDisplayMode.MULTI).sort(shared.SortOrder.DESCENDING)
    match source["type"]:
        case "timeseries":
            stack, limits = source.get("stack", False), "thresholds" in source
            stacking = shared.StackingMode.NORMAL if stack else shared.StackingMode.NONE
            style = shared.GraphTresholdsStyleMode.DASHED if limits else shared.GraphTresholdsStyleMode.OFF
            return (
                timeseries.Panel()
                .fill_opacity(20 if stack else 8)
                .show_points(shared.VisibilityMode.NEVER)
                .stacking(common.StackingConfig().mode(stacking).group("A"))
                .thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
                .legend(common.VizLegendOptions().show_legend(True).display_mode(shared.LegendDisplayMode.LIST))
                .tooltip(tooltip)
            )
        case "stat":
            return (
                stat.Panel()
                .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
                .color_mode(shared.BigValueColorMode(source.get("color_mode", "value")))
                .graph_mode(shared.BigValueGraphMode(source.get("graph_mode", "area")))
                .text_mode(shared.BigValueTextMode(source.get("text_mode", "auto")))
            )
        case "state-timeline":
            legend = common.VizLegendOptions().show_legend(False)
            return statetimeline.Panel().fill_opacity(80).line_width(0).row_height(0.85).legend(legend).tooltip(tooltip)
        case "heatmap":
            color = (
                heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64).exponent(0.5)
            )
            return heatmap.Panel().y_axis(heatmap.YAxisConfig().unit(source["unit"])).color(color).show_tooltip()
        case "table":
            panel = table.Panel().show_header(True)
            if "sort" in source:
                panel.sort_by([common.TableSortByFieldState().display_name(source["sort"]).desc(True)])
            return panel.transformations(_table_transformations(source))
        case other:
            raise ValueError(f"Panel {source['title']!r} has type {other!r}, which this generator does not support.")


def _table_transformations(source: Json) -> list[model.DataTransformerConfig]:
    """Join the queries of a table on `join`, and show only `columns`, under their names."""
    columns: dict[str, str] = source["columns"]
    order = {name: position for position, name in enumerate(columns)}
    steps: Json = {"joinByField": {"byField": source["join"], "mode": "outer"}} if len(source["queries"]) > 1 else {}
    steps["filterFieldsByName"] = {"include": {"pattern": "^(" + "|".join(columns) + ")$"}}
    steps["organize"] = {"renameByName": columns, "indexByName": order}
    return [model.DataTransformerConfig(id_val=name, options=options) for name, options in steps.items()]


def _query(source: Json, panel: Json, position: int) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(chr(ord("A") + position)).expr(source["expr"].strip())
    query.legend_format(source.get("legend", "__auto")).datasource(DATASOURCE)
    formats = {"heatmap": PromQueryFormat.HEATMAP, "table": PromQueryFormat.TABLE}
    query.format(formats.get(panel["type"], PromQueryFormat.TIME_SERIES))
    return query.instant() if panel["type"] == "table" else query.range()


def _panel(source: Json, identity: int) -> Panel:
    panel = _panel_of_type(source).id(identity).title(source["title"]).description(source.get("help", ""))
    panel.datasource(DATASOURCE).span(source["width"]).height(source.get("height", 7))
    panel.unit(source.get("unit", "short"))
    for setting in {"min", "max", "decimals"} & source.keys():
        getattr(panel, setting)(source[setting])
    steps = source.get("thresholds", [[None, "text" if source["type"] == "stat" else "green"]])
    thresholds = [model.Threshold(value=value, color=color) for value, color in steps]
    panel.thresholds(dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(thresholds))
    texts = {
        str(value): model.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(source.get("values", {}).items())
    }
    panel.mappings([model.ValueMap(options=texts)] if texts else [])
    for name, unit in source.get("units", {}).items():
        panel.override_by_name(name, [model.DynamicConfigValue(id_val="unit", value=unit)])
    for position, query in enumerate(source["queries"]):
        panel.with_target(_query(query, source, position))
    return panel


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    every = model.VariableOption(text=["All"], value=["$__all"])
    variable = dashboard.QueryVariable(name).label(name.capitalize()).current(every).datasource(DATASOURCE)
    variable.query({"query": query, "refId": "variable"})
    variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
    return variable.multi(True).include_all(True).all_value(".*")


def build(source: Json) -> Json:
    """Convert a source from roles/grafana/dashboards to Grafana's JSON model."""
    link = dashboard.DashboardLink("Fleet").type(model.DashboardLinkType.DASHBOARDS).tags(["flaskfleet"])
    built = (
        dashboard.Dashboard(source["title"])
        .uid(source["uid"])
        .description(source["description"])
        .tags(["flaskfleet"])
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .link(link.as_dropdown(True).include_vars(True).keep_time(True))
        .variables([_variable(name, query) for name, query in source.get("variables", {}).items()])
    )
    identity = itertools.count(1)
    for row in source["rows"]:
        built.with_row(dashboard.Row(row["title"]).id(next(identity)))
        for panel in row["panels"]:
            built.with_panel(_panel(panel, next(identity)))
    result: Json = json.loads(JSONEncoder().encode(built.build()))
    return result | {"annotations": {"list": [ALERTS]}}


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
    names = "|".join(variable["name"] for variable in dashboard["templating"]["list"])

    def substitute(expr: str) -> str:
        expr = re.sub(rf"\$\{{({names})}}|\$({names})", ".*", expr) if names else expr
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
