"""The report: medians, worst values, sums of losses, and a picture of the timeline."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from tests.support.drills.plot import draw
from tests.support.drills.report import results, table

VERDICT: dict[str, Any] = {
    "drill": "primary-killed",
    "write_gap": 20.0,
    "read_gap": 0.5,
    "sent": {"read": 100, "write": 50},
    "failed": {"write": 5},
    "lost": 0,
    "doubled": 0,
    "max_primaries": 1,
    "redundant_after": 8.0,
    "load_average": 2.0,
    "extra": {},
}
TIMELINE: dict[str, Any] = {
    "healed": 10.0,
    "redundant": 18.0,
    "requests": [["read", t / 2, True] for t in range(-4, 40)] + [["write", t / 2, t > 20] for t in range(-4, 40)],
    "roles": {"postgres": [("db1", -2.0, 0.2), ("db2", 9.0, 20.0)], "vip": [("lb1", -2.0, 19.9)]},
}


def test_rounds_are_aggregated_by_drill_in_the_catalogues_order(tmp_path: Path) -> None:
    for number, (gap, lost) in enumerate([(20.0, 0), (24.0, 1), (21.0, 0)], 1):
        path = tmp_path / f"primary-killed-{number}.json"
        path.write_text(json.dumps({"verdict": VERDICT | {"write_gap": gap, "lost": lost}, "timeline": TIMELINE}))
    (tmp_path / "cache-away-1.json").write_text(
        json.dumps({"verdict": VERDICT | {"extra": {"store_gap": 2}}, "timeline": TIMELINE})
    )
    found = results(tmp_path)
    assert list(found) == ["cache-away", "primary-killed"]
    row = next(line for line in table(found).splitlines() if "primary-killed" in line)
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1:4] == ["3", "21.0, worst 24.0 s", "30 s"]
    assert cells[5:8] == ["15 of 150 writes", "1", "0"]
    assert "- cache-away: store gap 2." in table(found)


def test_the_picture_shows_failures_the_fault_and_leaders_that_changed() -> None:
    picture = ElementTree.fromstring(draw("primary <killed>", "20 s", TIMELINE))
    shapes = [element.get("class") for element in picture.iter()]
    assert shapes.count("fault") == shapes.count("redundant") == 1
    assert {"read", "write", "failed"} <= set(shapes)
    words = {element.text for element in picture.iter() if element.text}
    assert {"primary <killed>", "Postgres primary", "db2"} <= words
    assert "virtual address" not in words
