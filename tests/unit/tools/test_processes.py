"""Whether the run that holds a lock still exists. Taking the lock over from a live run would mix two deploys."""

import json
import subprocess
import sys
from pathlib import Path

from tools.fleet import processes

# The second process is a child of a process that looks like ansible-playbook, like the process of a task.
CHILD = "import json; from tools.fleet import processes; print(json.dumps(processes.this_run()))"
PARENT = """
import subprocess, sys
print(subprocess.check_output([sys.executable, "-c", sys.argv[1]], text=True), flush=True)
input()
"""


def test_a_run_is_the_outermost_process_and_abandoned_only_after_its_end(tmp_path: Path) -> None:
    script = tmp_path / "ansible-playbook"
    script.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, script, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        run = json.loads(process.stdout.readline())
        assert run["pid"] == process.pid
        assert not processes.abandoned(run)
        process.kill()
        process.wait()
    assert processes.abandoned(run)


def test_a_run_on_another_machine_never_counts_as_abandoned() -> None:
    assert not processes.abandoned(processes.this_run() | {"node": "elsewhere", "pid": 1, "started": "0"})
    assert not processes.abandoned({})


def test_a_new_process_with_the_same_pid_is_not_the_run() -> None:
    assert processes.abandoned(processes.this_run() | {"started": "1"})
