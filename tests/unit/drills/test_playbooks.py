"""Detects which services a run restarted, from systemd's state before and after it."""

import subprocess

from tests.support.drills.playbooks import family, restarted

BEFORE = "MainPID=11\nId=nginx.service\n\nMainPID=12\nId=app.service\n814\n"


def test_a_unit_with_another_process_was_restarted() -> None:
    after = BEFORE.replace("12", "99")
    assert restarted({"app1": BEFORE, "app2": BEFORE}, {"app1": after, "app2": BEFORE}) == {("app1", "app")}


def test_all_services_of_a_host_that_does_not_answer_count_as_restarted() -> None:
    assert restarted({"app1": BEFORE}, {}) == {("app1", "nginx"), ("app1", "app")}


def test_the_family_of_a_process_includes_children_in_other_sessions() -> None:
    with subprocess.Popen(["sh", "-c", "setsid sleep 30 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        try:
            assert family(parent.pid) == [parent.pid, child]
        finally:
            subprocess.run(["kill", str(child)], check=True)
