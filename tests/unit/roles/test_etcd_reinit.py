"""When an etcd member is emptied, against members that only report their health."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import yaml
from werkzeug import Request

from tests.unit.playbooks import plain
from tests.unit.roles.json_server import answering
from tests.unit.roles.modules import ROLES

NAMES = ["db1", "db2", "mon1"]
STUBS = {
    "systemd_service": "#!/usr/bin/python3\nprint('{\"changed\": true}')\n",
    "tasks": "[{name: Join, ansible.builtin.debug: {msg: 'db2 joins again'}}]\n",
}


@pytest.mark.parametrize(
    ("members", "healthy", "emptied"),
    [
        pytest.param(3, {"1", "3"}, True, id="the others are a majority"),
        pytest.param(3, {"1"}, False, id="another member is down"),
        pytest.param(2, {"1"}, False, id="two members"),
    ],
)
def test_a_member_is_emptied_only_if_the_others_are_a_majority(
    tmp_path: Path, members: int, healthy: set[str], emptied: bool
) -> None:
    def health(request: Request) -> tuple[int, dict[str, str]]:
        return (200 if request.host.partition(":")[0][-1] in healthy else 503), {}

    role = tmp_path / "roles/etcd"
    shutil.copytree(ROLES / "etcd", role)
    (role / "library/stub.py").write_text(STUBS["systemd_service"])
    (role / "tasks/main.yml").write_text(STUBS["tasks"])
    data = tmp_path / "fleet"
    data.mkdir()
    with answering(health, "0.0.0.0") as port:
        for file in ("reinit.yml", "check_removal.yml"):
            path = role / "tasks" / file
            text = path.read_text().replace("ansible.builtin.systemd_service", "stub")
            path.write_text(text.replace("path: /health\n", f"path: /health\n    port: {port}\n"))
        variables = {
            "ansible_python_interpreter": sys.executable,
            "etcd_name": "db2",
            "etcd_members": [{"name": name, "address": f"127.0.1.{i}"} for i, name in enumerate(NAMES[:members], 1)],
            "__etcd_data": str(data),
            "__etcd_bootstrap": str(tmp_path / "bootstrap.env"),
        }
        task = {"ansible.builtin.include_role": {"name": "etcd", "tasks_from": "reinit"}, "vars": variables}
        play = {"hosts": "db2", "gather_facts": False, "connection": "local", "tasks": [task]}
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
        result = plain().run("-i", "db2,", "play.yml", folder=tmp_path)
    assert (result.returncode == 0) == emptied, result.stdout + result.stderr
    assert data.exists() != emptied
    assert ("db2 joins again" in result.stdout) == emptied
    assert ("db2 was not emptied, because etcd would lose its majority" in " ".join(result.stdout.split())) != emptied
