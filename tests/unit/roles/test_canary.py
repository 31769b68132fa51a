"""The verdict on the first host of a new release, from the load balancers' logs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from plugins.filter.canary import canary
from tests.unit.roles.modules import ROLES, Run, load

nginx_traffic = load(ROLES / "nginx/library/nginx_traffic.py")


def counts(answers: int, errors: int = 0, seconds: float = 0.02, slow: int = 0) -> dict[str, Any]:
    return {"answers": answers, "errors": errors, "seconds": [seconds] * (answers - slow) + [5.0] * slow}


@pytest.mark.parametrize(
    ("own", "others", "verdict"),
    [
        pytest.param(counts(400, errors=1), counts(400, errors=1), "", id="as good as the others"),
        pytest.param(counts(0), counts(400), "", id="no answers"),
        pytest.param(
            counts(100, errors=10),
            counts(100),
            "10% of its answers are errors (100 answers, 10 errors, p99 0.020 s;",
            id="errors",
        ),
        pytest.param(counts(3, errors=3), counts(0), "100% of its answers are errors", id="the only host with answers"),
        pytest.param(counts(100, errors=10), counts(100, errors=9), "", id="errors that all hosts have"),
        pytest.param(counts(2, errors=2), counts(100), "", id="fewer than three errors"),
        pytest.param(counts(100, seconds=0.6), counts(100), "it is slower than the others", id="slower"),
        pytest.param(counts(40, seconds=0.6), counts(100), "", id="slower, but too few answers"),
        pytest.param(counts(100, seconds=0.2), counts(100), "", id="hardly slower"),
        pytest.param(counts(100, slow=2), counts(400), "", id="two slow answers"),
        pytest.param(counts(100, slow=3), counts(400), "it is slower than the others", id="three slow answers"),
    ],
)
def test_a_canary_fails_if_it_does_worse_than_the_others(
    own: dict[str, Any], others: dict[str, Any], verdict: str
) -> None:
    found = canary([{"192.0.2.1": own}, {"192.0.2.2": others}], ["192.0.2.1"])["verdict"]
    assert found.startswith(verdict)
    assert bool(found) == bool(verdict)


def test_without_any_answers_the_counts_are_zero() -> None:
    nothing = "0 answers, 0 errors, p99 0.000 s"
    assert canary([], ["192.0.2.1"]) == {"verdict": "", "seen": f"{nothing}; the other hosts {nothing}"}


def line(age: float, address: str, status: str, seconds: str = "0.010") -> str:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - age))
    return json.dumps(
        {"time": moment, "status": 200, "upstream_addr": address, "upstream_status": status, "upstream_time": seconds}
    )


def test_the_log_is_counted_by_host(tmp_path: Path, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "access.log.1").write_text(line(5, "192.0.2.2:8000", "200") + "\n")
    lines = [
        line(600, "192.0.2.1:8000", "500"),
        line(5, "192.0.2.1:8000", "200"),
        line(5, "192.0.2.1:8000, 192.0.2.2:8000", "502, 200", "-, 0.020"),
        line(5, "192.0.2.1:8000 : 192.0.2.1:8000", "404 : -", "0.001 : 0.002"),
        line(5, "192.0.2.1:8000", "101", "300.000"),  # a WebSocket, when it is closed
        line(5, "", "", ""),
        "{ half a li",
    ]
    (tmp_path / "access.log").write_text("\n".join(lines))
    monkeypatch.setattr(nginx_traffic, "LOG", tmp_path / "access.log")
    hosts = run_module(nginx_traffic, {"seconds": 60})["hosts"]
    assert hosts["192.0.2.1"] == {"answers": 5, "errors": 2, "seconds": [0.01, 0.001, 0.002]}
    assert hosts["192.0.2.2"] == {"answers": 2, "errors": 0, "seconds": [0.01, 0.02]}
