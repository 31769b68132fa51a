"""The strategy plugin: Mitogen without CPU affinity."""

import os
import subprocess
from pathlib import Path

from tools.fleet.context import ROOT

PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Read the allowed processors
      ansible.builtin.command: awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status
      register: allowed
    - name: Print them
      ansible.builtin.debug:
        var: allowed.stdout
"""


def test_processes_of_a_play_may_use_every_processor(tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STRATEGY": "mitogen_linear"}
    command = ["ansible-playbook", "--inventory=localhost,", str(play)]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert "Mitogen is not usable" not in result.stderr
    own = Path("/proc/self/status").read_text().split("Cpus_allowed_list:")[1].split()[0]
    assert f"allowed.stdout: {own}\n" in result.stdout
