"""A restore begins with a backup of the timeline to which it goes, and what pgBackRest prints is read as text."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from plugins.filter import restore
from plugins.filter.backups import backup_gap, backup_silent
from plugins.moments import parsed
from tests.unit.roles.modules import Run, load, read_list
from tests.unit.roles.restore_samples import DIFF, FULL, GB, HERE, LATE, OPTIONS, evaluate, info
from tools.fleet.context import ROOT

# Timeline 1 was left at 0/5000000, and timeline 2 at 0/9000000 by a promotion.
HISTORY = "1\t0/5000000\tbefore 2026-11-29 02:00:00+00\n\n\n2\t0/9000000\tno recovery target specified\n"
LATEST = {"timelines": [1, 2, 3], "timeline": 3, "history": HISTORY}


def on(backup: dict[str, Any], timeline: int, stop: str) -> dict[str, Any]:
    """Return a backup of a timeline that ended at a position in the log."""
    place = {"archive": {"start": f"{timeline:08X}0000000000000005"}, "lsn": {"start": "0/4000028", "stop": stop}}
    return backup | place | {"database": {"id": 1, "repo-key": 1}}


def label(backups: list[dict[str, Any]], known: dict[str, Any] | None, **options: Any) -> tuple[str, list[str], str]:
    """Return the backup with which a restore begins, the options for pgBackRest, and the refusal."""
    histories = {"1": known} if known else {}
    plan = restore.plan(
        info(backups) | {"histories": histories}, HERE | {"to": "2026-11-29 11:00+00", "free": 99 * GB} | options
    )
    return plan.get("label", ""), plan.get("set", []), plan["refusal"]


@pytest.mark.parametrize(
    ("late", "known", "chosen"),
    [
        (on(LATE, 1, "0/5000001"), LATEST, FULL),  # in a time that a restore has undone
        (on(LATE, 1, "0/5000000"), LATEST, LATE),
        (on(LATE, 2, "0/8000000"), LATEST, LATE),  # before a failover
        (on(LATE, 3, "1/0"), LATEST, LATE),
        (on(LATE, 4, "1/0"), LATEST, FULL),
        (on(LATE, 1, "0/5000001"), None, LATE),  # nothing is known about the timelines
        (on(LATE, 1, "0/5000001"), LATEST | {"timeline": 1, "history": ""}, LATE),
    ],
)
def test_a_restore_begins_with_a_backup_of_its_timeline(
    late: dict[str, Any], known: dict[str, Any] | None, chosen: dict[str, Any]
) -> None:
    """pgBackRest takes the newest backup before the target and fails then: error 58, after Patroni was stopped."""
    words = [] if chosen is LATE else ["--repo=1", f"--set={FULL['label']}"]
    assert label([on(FULL, 1, "0/2000000"), late], known) == (chosen["label"], words, "")


def test_a_time_without_such_a_backup_is_refused() -> None:
    only = [on(LATE, 1, "0/5000001")]
    refusal = label(only, LATEST)[2]
    assert "is not on the timeline of the restore" in refusal
    assert "-e restore_timeline" in refusal
    assert "is before the end of the oldest backup" in label(only, LATEST, to="2026-11-28 00:00+00")[2]


def test_a_timeline_that_does_not_exist_is_refused() -> None:
    found = label([on(FULL, 1, "0/2000000")], LATEST | {"timeline": None}, timeline="9")[2]
    assert found.startswith("restore_timeline = 9 is not in the repository, which has the timelines 1, 2, 3. Choose")


PROGRAM = """#!/bin/sh
case "$*" in
*repo-ls*) printf '00000002.history\\n0000001F.history\\n' ;;
*repo-get*archive/main/17-1/0000001F.history) printf 'of 31' ;;
*repo-get*archive/main/17-1/00000002.history) printf 'of\\t2' ;;
*repo-get*) exit 1 ;;
*info) echo '[{"name": "main", "archive": [{"id": "17-1", "database": {"repo-key": 2}}]}]' ;;
esac
"""


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: Run) -> Any:
    """Run the module with a program in place of pgBackRest."""

    def run(program: str, **options: str) -> dict[str, Any]:
        (tmp_path / "pgbackrest").write_text(program)
        (tmp_path / "pgbackrest").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return dict(run_module(load(ROOT / "plugins/modules/pgbackrest_info.py"), {"stanza": "main", **options}))

    return run


@pytest.mark.parametrize(
    ("wanted", "timeline", "history"),
    [
        ("", 31, "of 31"),
        ("latest", 31, "of 31"),
        ("2", 2, "of\t2"),
        ("0x1f", 31, "of 31"),
        ("1", 1, ""),
        ("7", None, ""),
        ("x", None, ""),
    ],
)
def test_the_history_of_a_timeline_is_read(ask: Any, wanted: str, timeline: int | None, history: str) -> None:
    expected = {"2": {"timelines": [1, 2, 31], "timeline": timeline, "history": history}}
    assert ask(PROGRAM, timeline=wanted)["histories"] == expected


ARCHIVE = """#!/bin/sh
case "$*" in
*info) cat <<'END'
[{"name": "main", "archive": [{"id": "17-1", "database": {"id": 1, "repo-key": 2}}], "backup": [
  {"database": {"id": 1, "repo-key": 2}, "timestamp": {"stop": 5}, "archive": {"start": "000000010000000000000003"}},
  {"database": {"id": 1, "repo-key": 2}, "timestamp": {"stop": 9}, "archive": {"start": "000000020000000100000000"}}
]}]
END
;;
*repo-ls*archive/main/17-1/0000000100000000*) cat <<'END'
{".": {"type": "path"}, "000000010000000000000003-aa.zst": {"time": 10},
"000000010000000000000004-aa.zst": {"time": 20},
"000000010000000000000005-aa.zst": {"time": 25}, "000000010000000000000006.00000028.backup": {"time": 31},
"000000010000000000000007-aa.zst": {"time": 30}, "00000001000000000000000A.partial": {"time": 40}}
END
;;
*repo-ls*archive/main/17-1/0000000200000000*) echo '{"0000000200000000000000FF-bb.zst": {"time": 50}}' ;;
*repo-ls*archive/main/17-1/0000000200000001*) echo '{"000000020000000100000000-bb.zst": {"time": 60}}' ;;
*repo-ls*history*) printf '00000002.history\\n' ;;
*repo-ls*) printf '0000000100000000\\n0000000200000000\\n0000000200000001\\n' ;;
*repo-get*) printf '1\\t0/6000028\\tno recovery target specified\\n' ;;
esac
"""


def test_the_archive_is_listed_in_runs_without_a_gap_on_the_way_to_a_timeline(ask: Any) -> None:
    """Timeline 1 has a segment 7 too, but timeline 2 has left it in segment 6."""
    runs = [[3, 5, 25, 20], [255, 256, 60, 50]]
    assert ask(ARCHIVE, archive="oldest")["archived"] == {"2": runs}
    assert ask(ARCHIVE, archive="oldest", timeline="latest")["archived"] == {"2": runs}
    of_1 = {"2": [[3, 5, 25, 20], [7, 7, 30, 30]]}
    assert ask(ARCHIVE, archive="oldest", timeline="1")["archived"] == of_1
    assert ask(ARCHIVE, archive="oldest", timeline="current")["archived"] == of_1
    assert ask(ARCHIVE, archive="oldest", timeline="9")["archived"] == {}
    assert ask(ARCHIVE, archive="newest")["archived"] == {"2": [[256, 256, 60, 60]]}
    assert ask(ARCHIVE)["archived"] == {}
    broken = ARCHIVE.replace(
        "*archive/main/17-1/0000000200000001*) echo", "*archive/main/17-1/0000000200000001*) exit 1; echo"
    )
    assert ask(broken, archive="oldest")["archived"] == {}


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("2026-11-29 02:00+00", ""),
        ("2026-11-29 03:00:01+00", "Choose 2026-11-29 03:00:00+00 or an earlier time; a backup that is made now"),
        ("latest", "Choose 2026-11-29 03:00:00+00 or an earlier time"),
    ],
)
def test_a_time_after_a_gap_in_the_archive_is_refused(to: str, reason: str) -> None:
    """Postgres would end with an error at the gap, after Patroni was stopped."""
    gap = int(parsed("2026-11-29 03:00:00+00").timestamp())
    answer = info([on(DIFF, 1, "0/5000001")]) | {
        "archived": {"1": [[1, 9, gap + 600, gap], [11, 12, gap + 900, gap + 800]]}
    }
    options = HERE | {"to": to, "free": 99 * GB}
    refusal = restore.plan(answer, options)["refusal"]
    assert reason in refusal
    assert bool(refusal) == bool(reason)
    whole = answer | {"archived": {"1": [[1, 12, gap + 900, gap + 800]]}}
    assert restore.plan(whole, options)["refusal"] == ""


def test_a_later_backup_reaches_times_after_the_gap() -> None:
    gap = int(parsed("2026-11-29 03:00:00+00").timestamp())
    late = on(LATE, 1, "0/C000001") | {"archive": {"start": "00000001000000000000000B"}}
    answer = info([on(DIFF, 1, "0/5000001"), late]) | {
        "histories": {},
        "archived": {"1": [[1, 9, gap + 600, gap], [11, 12, gap + 90_000, gap]]},
    }
    assert restore.plan(answer, HERE | {"to": "2026-11-29 10:00:05+00", "free": 99 * GB})["refusal"] == ""
    between = restore.plan(answer, HERE | {"to": "2026-11-29 09:00+00", "free": 99 * GB})["refusal"]
    assert "03:00:00+00 or an earlier time, or 2026-11-29 10:00:01+00 or a later time." in between
    assert not backup_gap(answer)
    undone = {"histories": {"1": LATEST | {"history": "1\t0/B000000\n"}}}
    assert backup_gap(answer | undone), "the newest backup does not lead to the latest timeline"
    assert backup_gap(answer | info([on(DIFF, 1, "0/5000001")]))
    assert [backup_silent(answer, gap + 90_000 + seconds) for seconds in (60, 61)] == [False, True]


def test_a_repository_without_histories_is_no_obstacle(ask: Any) -> None:
    assert ask(PROGRAM, timeline="current")["histories"] == {}
    assert ask(PROGRAM)["histories"] == {}
    assert ask(PROGRAM.replace("*repo-ls*)", "*repo-ls*) exit 1 ;; never)"), timeline="")["histories"] == {}
    assert ask(PROGRAM.replace("0000001F.history)", "never)"), timeline="")["histories"] == {}
    assert ask("#!/bin/sh\necho nothing", timeline="")["histories"] == {}


def test_an_output_that_is_no_text_can_be_read(ask: Any) -> None:
    result = ask("#!/bin/sh\nprintf 'ERROR: [029]: outside of section at line 1: \\377\\001' >&2\nexit 29\n")
    assert (result["rc"], result["stderr"]) == (
        29,
        "ERROR: [029]: outside of section at line 1: \N{REPLACEMENT CHARACTER}?",
    )
    assert "is not the pass" in restore.repository_refusal(result, "main")


def test_pgbackrest_gets_the_chosen_backup() -> None:
    task = next(task for task in read_list("roles/restore/tasks/files.yml") if task["name"] == "Restore the files")
    assert "+ restore_plan.set" in " ".join(task["vars"]["__restore_arguments"].split())
    query = read_list("roles/restore/tasks/preflight.yml")[0]["pgbackrest_info"]
    assert query["timeline"] == "{{ restore_timeline }}"


@pytest.mark.parametrize("in_place", [True, False])
def test_a_failure_in_place_names_the_way_on(in_place: bool) -> None:
    found = evaluate("__restore_way_on", in_place, OPTIONS["to"])
    assert ("choose another time, or give it up (docs/backups.md#bring" in found) is in_place
    assert json.dumps(found) == '""' or in_place
