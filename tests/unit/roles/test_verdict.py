"""The report at the end of a deploy or a rollback: what the fleet answers, not what the run remembers."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.filter import verdict

APPS = ["app1", "app2", "app3"]
PLAN = {"release": "new", "hosts": [*APPS, "worker1"], "before": dict.fromkeys(["app1", "app2", "worker1"], "old")}
CAUSE = "app1 was not ready."
SETTINGS = "Settings are not rolled back with a release: if a setting is the cause, correct it in the inventory."
NOTHING = "app3 had no previous release to go back to; fix the cause and run this again."
URL = "http://127.0.0.1:8000/readyz (app_port, app_health_path)"
RUN, ANNA = {"by": "deploy", "why": "release new"}, {"by": "anna", "why": "new RAM"}


def seen(
    switched: str = "begun", release: str = "old", status: int = 200, name: str = "app1", **more: Any
) -> dict[str, Any]:
    """A host that answers after a failure. It was switched, and runs a release."""
    serves = name in APPS
    found = {"current": release, "running": {"app" if serves else "celery-worker": release}, "serves": serves}
    found |= {"url": "http://127.0.0.1:8000/readyz", "status": status if serves else -1}
    return {"inventory_hostname": name, "deploy_switched": switched, "app_seen": found | more}


def dead(name: str) -> dict[str, Any]:
    """A host that does not answer after a failure. It was switched."""
    return {"inventory_hostname": name, "deploy_switched": "forward"}


@pytest.mark.parametrize(
    ("hosts", "drained", "sentences"),
    [
        # Whether its own check of a host failed ("begun") does not matter: this is what the host answers now.
        ([seen("begun"), seen("back", name="app2")], {}, "app1, app2 went back to old, which serves everywhere."),
        ([seen("back")], {"app1": ANNA}, "app1 went back to old; drained by anna: new RAM."),
        (
            [seen("back")],
            {"app1": RUN},
            f"app1 went back to old; left drained. Repair app1 and run this again. {SETTINGS}",
        ),
        # Any answer below 500 shows that the application works: a log-in page is as good as a health page.
        (
            [seen(status=302), seen(status=401, name="app2")],
            {},
            "app1, app2 went back to old, which serves everywhere.",
        ),
        # A lone host is never drained.
        (
            [seen(status=503)],
            {},
            f"app1 went back to old, but {URL} answers 503; not drained. Repair app1 and run this again. {SETTINGS}",
        ),
        (
            [seen(status=-1)],
            {"app1": RUN},
            f"app1 went back to old, but {URL} has no answer; left drained. Repair app1 and run this again. {SETTINGS}",
        ),
        (
            [seen(release="new"), seen("back", name="worker1")],
            {"app1": RUN},
            (
                "app1 could not go back to old (app runs new); left drained. worker1 went back to old. "
                f"Repair app1 and run this again. {SETTINGS}"
            ),
        ),
        (
            [seen(running={"celery-worker": "old"}), seen(name="worker1", running={})],
            {},
            (
                "app1 could not go back to old (app does not run); not drained. "
                "worker1 could not go back to old (no service runs). "
                f"Repair app1, worker1 and run this again. {SETTINGS}"
            ),
        ),
        (
            [seen("back"), dead("app2")],
            {"app2": RUN},
            (
                "app1 went back to old. app2 could not go back to old (it does not answer); left drained. "
                "Repair app2 and run this again."
            ),
        ),
        ([seen(name="app3", release="new")], {}, NOTHING),
    ],
)
def test_the_verdict_is_what_the_hosts_and_the_load_balancers_answer(
    hosts: list[dict[str, Any]], drained: dict[str, dict[str, str]], sentences: str
) -> None:
    assert verdict.verdict(hosts, PLAN, CAUSE, APPS, drained, True) == f"{CAUSE} {sentences}"


def test_without_a_load_balancer_that_answers_nothing_is_said_about_drains() -> None:
    text = verdict.verdict([seen()], PLAN, CAUSE, APPS, {"app1": RUN}, False)
    assert text == f"{CAUSE} app1 went back to old; no load balancer answers whether it is drained."


def test_restored_settings_are_named() -> None:
    hosts = [seen(status=503) | {"app_restored": {"changed": True}}]
    text = verdict.verdict(hosts, PLAN, CAUSE, APPS, {}, True)
    assert text.endswith("Repair app1 and run this again. The previous settings were restored on app1.")


@pytest.mark.parametrize("plan", [PLAN, {}])
def test_a_run_that_touched_no_host_says_so(plan: dict[str, Any]) -> None:
    hosts = [{"inventory_hostname": name} for name in APPS]
    assert verdict.verdict(hosts, plan, CAUSE, APPS, {}, True) == f"{CAUSE} No host was switched."


def test_only_hosts_that_serve_their_previous_release_and_that_the_run_drained_are_put_back() -> None:
    hosts = [seen(), seen(name="app2", status=503), seen(name="app3"), seen(name="worker1")]
    assert verdict.serving(hosts, PLAN, dict.fromkeys(APPS, RUN)) == ["app1"]
    assert verdict.serving(hosts, PLAN, {"app1": ANNA}) == []


def test_a_run_that_succeeds_reports_the_drained_hosts() -> None:
    assert verdict.done(PLAN, {}) == "new serves on app1, app2, app3, worker1."
    assert verdict.done(PLAN, {"app2": ANNA}) == "new serves on app1, app3, worker1. app2 is drained by anna: new RAM."


def after(name: str, answers: bool = True) -> dict[str, Any]:
    return {"inventory_hostname": name} | ({"deploy_answers": True} if answers else {})


def failed(name: str, action: str, **result: Any) -> dict[str, Any]:
    task = {"name": "Wait until it is ready", "action": f"ansible.builtin.{action}"}
    return {**after(name), "ansible_failed_task": task, "ansible_failed_result": result}


LOG = "`journalctl -u app -u celery-worker -n 50` on app1 shows more."
LOOP = [{"msg": "fine"}, {"failed": True, "item": "/", "msg": "Status code was 500"}]
ALIKE = [failed(name, "fail", msg=f"c does not start on {name}.") for name in ("app1", "app2", "app3")]
SILENT = after("app2", answers=False)


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        (
            [failed("app1", "uri", msg="Status code was 503\nand not [200]")],
            f'app1 failed at "Wait until it is ready": Status code was 503 and not [200]. {LOG}',
        ),
        (
            [failed("app1", "copy", msg="One or more items failed", results=LOOP)],
            f'app1 failed at "Wait until it is ready": /: Status code was 500. {LOG}',
        ),
        (
            [failed("app1", "uri", msg="HTTP Error 500") | {"app_cause": "KeyError: 'STRIPE_KEY'"}],
            f"app1 failed at \"Wait until it is ready\": HTTP Error 500. Its log: KeyError: 'STRIPE_KEY'. {LOG}",
        ),
        (
            [failed("app1", "command", msg="non-zero return code", rc=1, stderr="error: no space left\nhint: …")],
            f'app1 failed at "Wait until it is ready": no space left. {LOG}',
        ),
        ([failed(name, "assert", msg="Release c was refused.") for name in ("app1", "app2")], "Release c was refused."),
        (ALIKE, "c does not start on app1. The same on app2, app3."),
        ([ALIKE[0], SILENT], "c does not start on app1. app2 did not answer any more."),
        ([after("app1"), SILENT], "app2 did not answer any more."),
        ([after("app1")], verdict.NO_RESULT),  # the result of a delegated task
    ],
)
def test_a_failure_names_the_host_the_task_and_its_log(hosts: list[dict[str, Any]], message: str) -> None:
    assert verdict.failure(hosts) == message
