"""`python -m tests.support.drills.report`: writes the drills' table and pictures in docs/ from .cache/drills/."""

import json
import statistics
import textwrap
from pathlib import Path
from typing import Any

from tests.support.drills.catalogue import DRILLS
from tests.support.drills.plot import draw
from tests.support.drills.verdict import RESULTS
from tools.fleet.context import ROOT

PICTURES = ROOT / "docs" / "failover"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- drills: begin, made by python -m tests.support.drills.report -->", "<!-- drills: end -->"
COLUMNS = ["drill", "n", "no acknowledged write for", "limit", "no served read for", "failed", "lost", "doubled"]
COLUMNS += ["primaries", "fully redundant again after", "load average"]

Result = dict[str, Any]


def results(folder: Path = RESULTS) -> dict[str, list[Result]]:
    """Return the rounds of each drill, in the catalogue's order."""
    found = {
        drill.name: [json.loads(path.read_text()) for path in sorted(folder.glob(f"{drill.name}-[0-9]*.json"))]
        for drill in DRILLS
    }
    return {name: rounds for name, rounds in found.items() if rounds}


def table(found: dict[str, list[Result]]) -> str:
    """Return one row for each drill: median and worst of its rounds, sums of failures and losses."""
    limits = {drill.name: drill.write_gap for drill in DRILLS}
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
    for name, rounds in found.items():
        verdicts = [result["verdict"] for result in rounds]
        cells = [
            f"[{name}](failover/{name}.svg)",
            str(len(verdicts)),
            _spread([verdict["write_gap"] for verdict in verdicts]),
            f"{limits[name]:g} s",
            _spread([verdict["read_gap"] for verdict in verdicts]),
            _failures(verdicts),
            str(sum(verdict["lost"] for verdict in verdicts)),
            str(sum(verdict["doubled"] for verdict in verdicts)),
            str(max(verdict["max_primaries"] for verdict in verdicts)),
            _spread([verdict["redundant_after"] for verdict in verdicts]),
            _spread([verdict["load_average"] for verdict in verdicts], unit=""),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, *_extras(found)])


def main() -> None:
    """Write a picture of each drill's worst round, and replace the table in the page."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    found = results()
    for name, rounds in found.items():
        worst = max(rounds, key=lambda result: result["verdict"]["write_gap"])
        (PICTURES / f"{name}.svg").write_text(
            draw(name.replace("-", " "), _subtitle(worst["verdict"]), worst["timeline"])
        )
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}")


def _spread(values: list[float], unit: str = " s", digits: str = ".1f") -> str:
    median = f"{statistics.median(values):{digits}}"
    return f"{median}{unit}" if len(values) == 1 else f"{median}, worst {max(values):{digits}}{unit}"


def _failures(verdicts: list[Result]) -> str:
    kinds = sorted({kind for verdict in verdicts for kind in verdict["failed"]})

    def total(figure: str, kind: str) -> int:
        return sum(verdict[figure].get(kind, 0) for verdict in verdicts)

    parts = [f"{total('failed', kind)} of {total('sent', kind)} {kind}s" for kind in kinds]
    return ", ".join(parts) or "0"


def _extras(found: dict[str, list[Result]]) -> list[str]:
    """Return a list item with the figures that only one drill has."""
    lines = []
    for name, rounds in found.items():
        figures = [result["verdict"]["extra"] for result in rounds]
        if keys := sorted(figures[0]):
            text = "; ".join(
                f"{key.replace('_', ' ')} {_spread([figure[key] for figure in figures], unit='', digits='g')}"
                for key in keys
            )
            lines.append(textwrap.fill(f"- {name}: {text}.", 120, subsequent_indent="  "))
    return ["", *lines] if lines else []


def _subtitle(verdict: Result) -> str:
    parts = [
        f"{verdict['write_gap']:.1f} s without an acknowledged write, {verdict['lost']} lost",
        f"fully redundant again after {verdict['redundant_after']:.0f} s (load average {verdict['load_average']:g})",
        "shade: the fault, red: failed requests, dashed: fully redundant again",
    ]
    return "; ".join(parts)


if __name__ == "__main__":
    main()
