"""The verdict on the first host of a new release, from the load balancers' logs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from plugins.filter.canary import canary
from tests.unit.roles.modules import ROLES, load, run

nginx_traffic = load("nginx_traffic", ROLES / "nginx/library/nginx_traffic.py")


def counts(answers: int, errors: int = 0, seconds: float = 0.02) -> dict[str, Any]:
    return {"answers": answers, "errors": errors, "seconds": [seconds] * answers}


def verdict(own: dict[str, Any], others: dict[str, Any]) -> str:
    return canary([{"192.0.2.1": own}, {"192.0.2.2": others}], ["192.0.2.1"])["verdict"]


def test_a_canary_that_does_as_well_as_the_others_passes() -> None:
    assert verdict(counts(400, errors=1), counts(400, errors=1)) == ""
    assert verdict(counts(0), counts(400)) == ""
    assert (
        canary([], ["192.0.2.1"])["seen"]
        == "0 answers, 0 errors, p99 0.000 s; the other hosts 0 answers, 0 errors, p99 0.000 s"
    )


def test_errors_that_other_hosts_do_not_have_fail_the_canary() -> None:
    assert verdict(counts(100, errors=10), counts(100)).startswith(
        "10% of its answers are errors (100 answers, 10 errors, p99 0.020 s;"
    )
    assert verdict(counts(3, errors=3), counts(0)).startswith("100% of its answers are errors")


def test_errors_that_all_hosts_have_do_not_fail_the_canary() -> None:
    assert verdict(counts(100, errors=10), counts(100, errors=9)) == ""


def test_fewer_than_three_errors_do_not_fail_the_canary() -> None:
    assert verdict(counts(2, errors=2), counts(100)) == ""


def test_a_slower_canary_fails_after_enough_answers() -> None:
    assert verdict(counts(100, seconds=0.6), counts(100)).startswith("it is slower than the others")
    assert verdict(counts(40, seconds=0.6), counts(100)) == ""
    assert verdict(counts(100, seconds=0.2), counts(100)) == ""


def test_three_slow_answers_fail_the_canary_and_two_do_not() -> None:
    for slow, expected in ((2, ""), (3, "it is slower")):
        own = {"answers": 100, "errors": 0, "seconds": [0.02] * (100 - slow) + [5.0] * slow}
        assert verdict(own, counts(400))[:12] == expected


def line(age: float, address: str, status: str, seconds: str = "0.010") -> str:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - age))
    return json.dumps(
        {"time": moment, "status": 200, "upstream_addr": address, "upstream_status": status, "upstream_time": seconds}
    )


def test_the_log_is_counted_by_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "access.log.1").write_text(line(5, "192.0.2.2:8000", "200") + "\n")
    lines = [
        line(600, "192.0.2.1:8000", "500"),
        line(5, "192.0.2.1:8000", "200"),
        line(5, "192.0.2.1:8000, 192.0.2.2:8000", "502, 200", "-, 0.020"),
        line(5, "192.0.2.1:8000 : 192.0.2.1:8000", "404 : -", "0.001 : 0.002"),
        line(5, "", "", ""),
        "{ half a li",
    ]
    (tmp_path / "access.log").write_text("\n".join(lines))
    monkeypatch.setattr(nginx_traffic, "LOG", tmp_path / "access.log")
    hosts = run(nginx_traffic, {"seconds": 60}, capsys)["hosts"]
    assert hosts["192.0.2.1"] == {"answers": 4, "errors": 2, "seconds": [0.01, 0.001, 0.002]}
    assert hosts["192.0.2.2"] == {"answers": 2, "errors": 0, "seconds": [0.01, 0.02]}
