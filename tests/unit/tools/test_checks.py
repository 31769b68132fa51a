"""The checks themselves: what runs in which tier, what a change needs, and what is reported."""

import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.checks import changed, report, runner
from tools.checks.plan import ALL_SCENARIOS, CORE_SCENARIOS, ONE_HOST, ORDINARY, ROOT, SHARED, Group, groups
from tools.checks.skips import ALLOWED, Skip, is_allowed

ENVIRONMENT = runner.environment()


def settings(name: str) -> dict[str, Any]:
    """Return a scenario's molecule.yml."""
    return dict(yaml.safe_load(Path(ROOT, "molecule", name, "molecule.yml").read_text()))


def tracked() -> list[str]:
    """Return every file that git tracks."""
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_programs_that_make_starts_keep_their_bytecode_also_if_the_machine_forbids_it() -> None:
    command = ["make", "--silent", "--eval=show: ; @env", "show"]
    given = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    shown = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=True).stdout
    assert f"PYTHONPYCACHEPREFIX={ROOT}/.cache/python\n" in shown
    assert "PYTHONDONTWRITEBYTECODE" not in shown


def test_the_fleet_of_the_users_shell_changes_no_test(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FLEET", "INVENTORY"):
        monkeypatch.setenv(name, "shop")
    assert {runner.environment()[name] for name in ("FLEET", "INVENTORY")} == {"sandbox"}


def test_scenarios_that_share_a_fleet_run_in_a_fixed_order_and_converge_it_once() -> None:
    shared, alone = groups(["single", "failover", "default"])
    assert list(shared.setup) == [f"molecule {step} default" for step in ("destroy", "create", "converge")]
    steps = ("idempotence default", "verify default", "verify failover")
    assert list(shared.checks) == [f"molecule {step}" for step in steps]
    assert list(shared.teardown) == ["molecule destroy default"]
    assert alone.checks == {"molecule test single": ["molecule", "test", "--scenario-name=single"]}


def test_the_plan_and_molecule_agree_on_the_scenarios() -> None:
    scenarios = {path.parent.name for path in Path(ROOT, "molecule").glob("*/molecule.yml")}
    assert set(ALL_SCENARIOS) == scenarios
    assert set(CORE_SCENARIOS) < scenarios
    assert {name for name in scenarios if settings(name).get("shared_state")} | {"default"} == set(SHARED)
    assert [name for name in SHARED if "ansible" in settings(name)] == [], "these have to share the default fleet"


def test_scenarios_that_run_at_the_same_time_have_one_host_and_a_fleet_of_their_own() -> None:
    fleets = [str(settings(name)["ansible"]["env"]["FLEET"]) for name in ONE_HOST]
    assert len({*fleets, "molecule"}) == len(ONE_HOST) + 1
    for name in {*ONE_HOST} - {*ORDINARY}:  # `bin/fleet init --hosts one` writes the others' inventories
        assert "single_host = true\n" in Path(ROOT, "inventories", name, "sandbox.tfvars").read_text()
    assert {group.name for group in groups(ALL_SCENARIOS) if group.small} == {*ONE_HOST}


@pytest.mark.parametrize(
    ("paths", "needed"),
    [
        (["docs/operations.md", "README.md"], []),
        (["tests/unit/tools/test_fleet.py"], []),
        (["molecule/aws/tests/test_aws.py"], ["aws"]),
        (["terraform/modules/network/main.tf"], ["aws"]),
        (["terraform/modules/sandbox_host/host.sh"], ["default", "single"]),
        (["roles/redis/tasks/main.yml"], ["default", "failover", "operations", "single"]),
        (["roles/deploy/tasks/roll.yml", "README.md"], ["default", "deploy", "single", "contract", *ORDINARY]),
        (["tests/support/drills/drill.py"], ["failover", "operations"]),
        (["molecule/backups/tests/test_mistakes.py"], ["single", "backups"]),
        (["molecule/backups/tests/test_rehearsal.py"], ["backups"]),
        (["a/new/place.py"], list(ALL_SCENARIOS)),
    ],
)
def test_a_change_needs_the_scenarios_of_its_paths(paths: list[str], needed: list[str]) -> None:
    assert changed.scenarios(paths) == needed


def test_the_table_knows_every_role_and_every_scenario() -> None:
    paths = tracked()
    roles = {path.split("/")[1] for path in paths if path.startswith("roles/")}
    named = {pattern.split("/")[1] for pattern, _ in changed.TABLE if pattern.startswith("roles/")}
    assert named - {"*"} <= roles
    assert {name for _, names in changed.TABLE for name in names} == set(ALL_SCENARIOS)
    unused = [pattern for pattern, _ in changed.TABLE if not any(fnmatch(path, pattern) for path in paths)]
    assert unused == []


def test_a_revision_that_git_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="no-such-revision"):
        changed.changed_since("no-such-revision")


def script(text: str) -> list[str]:
    """Return the command that runs Python code."""
    return [sys.executable, "-c", text]


def test_a_killed_run_leaves_no_molecule_state_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MOLECULE_STATE", tmp_path / "molecule")
    state = "pathlib.Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY'])"
    killed = script(
        f"import os, pathlib; {state}.mkdir(parents=True); ({state} / 'state.yml').write_text('created: true')"
    )
    for _ in range(2):  # the second run fails if it finds the first one's folder
        assert [phase.code for phase in runner.scenarios(Group("default", {}, {"killed": killed}, {}))] == [0]


def test_a_fleet_that_could_not_be_created_is_not_tested_but_removed() -> None:
    fine, broken = script(""), script("import sys; sys.exit(1)")
    group = Group("default", {"create": broken, "converge": fine}, {"verify": fine}, {"destroy": fine})
    assert [(phase.name, phase.code) for phase in runner.scenarios(group)] == [("create", 1), ("destroy", 0)]


def test_a_failed_phase_keeps_its_error_lines_and_its_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    failing = r"import sys; sys.stdout.buffer.write(b'\xff\n'); print('error: no hosts', file=sys.stderr); sys.exit(2)"
    phase = runner.run("one", script(failing), ENVIRONMENT)
    assert (phase.code, phase.errors) == (2, ["error: no hosts"])
    assert b"\xff" in capfdbinary.readouterr().out


def test_concurrent_phases_print_their_output_as_blocks(capfd: pytest.CaptureFixture[str]) -> None:
    slow = "import time; print('begin', flush=True); time.sleep(0.3); print('end', flush=True)"
    phases = runner.side_by_side({name: script(slow) for name in ("one", "two")})
    assert [phase.name for phase in phases] == ["one", "two"]
    assert capfd.readouterr().out.count("begin\nend\n--") == 2


def test_small_fleets_run_two_at_a_time_each_with_molecule_state_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MOLECULE_STATE", tmp_path)
    # Each waits until the other has begun.
    meet = script(
        "import os, pathlib, time; own = pathlib.Path(os.environ['MOLECULE_EPHEMERAL_DIRECTORY']); own.mkdir()\n"
        "deadline = time.monotonic() + 30\n"
        "while len([*own.parent.iterdir()]) < 2: assert time.monotonic() < deadline; time.sleep(0.05)"
    )
    pair = [Group(name, {}, {name: meet}, {}) for name in ("single", "contract")]
    phases = runner.in_pairs(pair)
    assert [(phase.name, phase.code) for phase in phases] == [("single", 0), ("contract", 0)]


JUNIT = """<testsuites><testsuite>
<testcase classname="a" name="passes"/>
<testcase classname="a" name="fails"><failure message="no &#10; route"/></testcase>
<testcase classname="molecule.default.tests.test_monitoring" name="grafana">
<skipped message="Grafana's repository cannot be reached"/></testcase>
<testcase classname="a" name="skips"><skipped message="not today"/></testcase>
</testsuite></testsuites>"""


def test_ci_counts_a_skip_that_is_not_on_the_list_as_a_failure(tmp_path: Path) -> None:
    (tmp_path / "unit.xml").write_text(JUNIT)
    findings = report.read(tmp_path)
    assert [skip.reason for skip in findings.unexplained] == ["not today"]
    phases = [runner.Phase("pytest", 1, 2.0, ["error: broken"])]
    assert list(report.lines(phases, findings, strict=False))[-1] == "1 passed, 1 failed, 2 skipped"
    printed = list(report.lines(phases, findings, strict=True))
    assert printed[-1] == "1 passed, 2 failed, 1 skipped"
    assert "FAILED a::fails: no route" in printed
    assert "FAILED pytest\n    error: broken" in printed


def test_every_accepted_skip_has_a_reason_and_is_narrow() -> None:
    assert all(why.endswith(".") for why in ALLOWED.values())
    assert not is_allowed(Skip("tests.unit.app.test_site::test_a", "not today"))
    assert len(ALLOWED) <= 6
