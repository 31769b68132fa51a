"""The module that keeps the lock of deploys and their log, against a small server with etcd's JSON API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.roles.etcd_modules import deploy_record
from tests.unit.roles.json_server import Etcd, answering
from tests.unit.roles.modules import Run

ANNA, BERT = ({"run": run, "by": by, "when": "2026-01-01"} for run, by in (("1", "anna"), ("2", "bert")))


@pytest.fixture
def run(tmp_path: Path, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr(deploy_record, "METRICS", tmp_path / "deploy.prom")
    etcd = Etcd()
    with answering(lambda request: (200, etcd.answer(request.path, request.get_json(force=True)))) as port:
        monkeypatch.setattr(deploy_record, "PORT", port)
        yield lambda **arguments: run_module(deploy_record, arguments)


def test_one_of_two_runs_gets_the_lock_and_the_other_sees_its_holder(run: Run, tmp_path: Path) -> None:
    first = run(do="lock", entry=ANNA)
    assert first["changed"]
    metric = "flaskfleet_deploy_lock_since_seconds"
    assert (tmp_path / "deploy.prom").read_text().endswith(f"{metric} {first['lock']['since']}\n")
    second = run(do="lock", entry=BERT)
    assert (second["changed"], second["lock"]["by"]) == (False, "anna")
    assert run(do="unlock", entry=BERT)["lock"]["by"] == "anna"
    assert run(do="unlock", entry=ANNA)["lock"] == {}
    assert (tmp_path / "deploy.prom").read_text().endswith(f"{metric} 0\n")
    assert run(do="lock", entry=BERT)["lock"]["by"] == "bert"


def test_the_holder_may_take_the_lock_again_and_add_to_it(run: Run) -> None:
    since = run(do="lock", entry=ANNA)["lock"]["since"]
    assert not run(do="lock", entry=ANNA)["changed"]
    assert run(do="lock", entry=ANNA | {"release": "c"})["lock"] == ANNA | {"release": "c", "since": since}


def test_the_lock_names_the_release_after_the_first_log_entry(run: Run) -> None:
    run(do="lock", entry=ANNA | {"release": ""})
    run(do="log", entry=BERT | {"release": "b", "result": "begun"})
    assert run(do="read")["lock"]["release"] == ""
    run(do="log", entry=ANNA | {"release": "a", "result": "begun"})
    assert run(do="read")["lock"]["release"] == "a"
    assert run(do="unlock", entry=ANNA)["lock"] == {}


def test_take_over_takes_the_lock_of_a_dead_run(run: Run) -> None:
    run(do="lock", entry=ANNA)
    assert run(do="lock", entry=BERT, take_over=True)["lock"]["by"] == "bert"
    assert not run(do="unlock", entry=ANNA)["changed"]


def test_the_log_is_ordered_without_duplicates_and_drops_the_oldest_entries(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"run": "1", "when": f"2026-01-0{day}", "result": "done", "release": "ü"} for day in (1, 2, 3)]
    assert [run(do="log", entry=entries[number])["changed"] for number in (1, 0, 1)] == [True, True, False]
    assert run()["log"] == entries[:2]
    monkeypatch.setattr(deploy_record, "MAX_ENTRIES", 2)
    run(do="log", entry=entries[2])
    assert run()["log"] == entries[1:]


def test_an_etcd_that_does_not_answer_is_reported_in_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_record, "PORT", 1)
    result = run(do="lock", entry=ANNA)
    assert result["failed"]
    assert re.search("does not answer: .* Deploys need its quorum", result["msg"])
