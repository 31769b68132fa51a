"""Detects which services a run restarted, from systemd's state before and after it."""

import subprocess

from tests.support.drills.playbooks import Run, family, restarted

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


def test_the_failure_of_a_run_begins_with_its_errors_and_their_tasks() -> None:
    filler = "\n".join(f"TASK [nginx : Step {number}] ***\nok: [node1]" for number in range(200))
    error = "TASK [restore : Start it] *******\nfatal: [node1]: FAILED! =>\n    msg: It did not start."
    failure = Run(2, f"{filler}\n{error}\n\nPLAY RECAP ***\nnode1 : ok=1", 0, 1).failure
    assert failure.splitlines()[:4] == [
        "TASK [restore : Start it]",
        "fatal: [node1]: FAILED! =>",
        "    msg: It did not start.",
        "The end of the output:",
    ]
    assert failure.endswith("node1 : ok=1")
