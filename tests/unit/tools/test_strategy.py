"""plugins/strategy: Mitogen, with all of the machine's processors."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tools.fleet.context import ROOT

PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Ask which processors may be used by what a play starts
      ansible.builtin.command: awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status
      register: asked
    - name: Tell it
      ansible.builtin.debug:
        var: asked.stdout
"""


def test_what_a_play_starts_may_use_every_processor(tmp_path: Path) -> None:
    play = tmp_path / "play.yml"
    play.write_text(PLAY)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STRATEGY": "mitogen_linear"}
    command = ["ansible-playbook", "--inventory=localhost,", str(play)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert "Mitogen is not usable" not in done.stderr
    own = Path("/proc/self/status").read_text().split("Cpus_allowed_list:")[1].split()[0]
    assert f"asked.stdout: {own}\n" in done.stdout
