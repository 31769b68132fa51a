"""An inventory outside of this repository whose hosts are folders: `ssh` runs scripts here, with recorded programs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.unit.tools.fleet_views import HEALTHY, HOSTS
from tools.fleet.__main__ import main
from tools.fleet.context import ROOT

VAULT = VaultLib([("default", VaultSecret(b"a password"))])
# The probe's answer is a file. Other scripts run here, with the programs of `fakes` in front of the real ones.
SSH = r"""#!/bin/sh
fakes=$(dirname "$0")/fakes
while [ $# -gt 2 ]; do shift; done
case $2 in *"python3 -IS"*) cat >/dev/null; cat "$fakes/../$1"; exit ;; esac
[ "$2" != true ] || cat >/dev/null # as ssh does
case " $DOWN " in *" $1 "*) echo "ssh: connect to host $1: timed out" >&2; exit 255 ;; esac
export HOST=$1 PATH="$fakes:$PATH"
here="s#/usr/local/sbin/#$fakes/#g; s#/var/log/nginx#$fakes/../nginx-$1#g"
here="$here; s#/run/#$fakes/../run-#g; s#/opt/#$fakes/../opt-#g"
exec sh -c "$(printf %s "$2" | sed "$here")"
"""
# Records its arguments, and prints its standard output of the host.
PROGRAM = r"""#!/bin/sh
here=$(dirname "$0")
name=$(basename "$0")
line="$HOST $name"
for word; do line="$line <$word>"; done
# One write, because the programs of several hosts run at the same time.
printf '%s\n' "$line" >>"$here/../calls"
cat "$here/../$name-$HOST" 2>/dev/null
exit "${CODE:-0}"
"""
SUDO = r"""#!/bin/sh
case " $* " in *" -S "*) IFS= read -r password; [ "$password" = "$PASSWORD" ] || exit 1 ;; esac
while [ "$1" != sh ]; do shift; done
exec "$@"
"""


class VerbFleet:
    """The inventory, and how its verbs are run."""

    def __init__(self, folder: Path, **variables: Any) -> None:
        self.root, self.folder = folder, folder / "production"
        shared = {
            "fleet_name": "shop",
            "fleet_vip": "10.0.0.5",
            "fleet_address": "{{ ansible_host }}",
        }
        application = {
            "app_processes": {"mailer": {"command": "python -m shop.mailer --fast"}},
            "app_environment": {"HEADING": "Hello", "DSN": "https://{{ vault_sentry_key }}@sentry.test"},
        }
        (self.folder / "group_vars/all").mkdir(parents=True)
        inventory: dict[str, Any] = {"all": {"vars": shared, "children": {}}}
        for group in sorted({group for host in HOSTS for group in host.groups}):
            hosts = {host.name: {"ansible_host": host.address} for host in HOSTS if group in host.groups}
            inventory["all"]["children"][group] = {"hosts": hosts}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
        (self.folder / "group_vars/all/00_shared").symlink_to(ROOT / "inventories/shared")
        (self.folder / "group_vars/all/application.yml").symlink_to(ROOT / "inventories/applications/news.yml")
        (self.folder / "group_vars/all/zz.yml").write_text(yaml.safe_dump(application | variables))
        (folder / "password").write_text("a password")
        self.vault = self.folder / "group_vars/all/vault.yml"
        secrets = "---\nvault_redis_admin_password: s3cret\nvault_sentry_key: sk3y\n"
        self.vault.write_bytes(VAULT.encrypt(secrets))
        for host in HOSTS:
            (folder / host.address).write_text(json.dumps(HEALTHY[host.name]))
        programs = dict.fromkeys(("news", "journalctl", "runuser", "redis-cli", "ansible-playbook"), PROGRAM)
        (folder / "fakes").mkdir()
        for name, text in {"../ssh": SSH, "sudo": SUDO, **programs}.items():
            (folder / "fakes" / name).write_text(text)
            (folder / "fakes" / name).chmod(0o755)

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a verb."""
        path = f"{self.root}:{ROOT}/.venv/bin:{os.environ['PATH']}"
        own = {
            "PATH": path,
            "FLASKFLEET_VAULT_PASSWORD_FILE": str(self.root / "password"),
            "FLEET": "",
            "INVENTORY": str(self.folder),
        }
        return os.environ | own | variables

    def run(self, *arguments: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a verb in a child of this process, which has imported Ansible already."""
        files = [self.root / name for name in ("stdin", "stdout", "stderr")]
        files[0].write_text(given)
        if (child := os.fork()) == 0:
            code = 70
            try:
                for number, file in enumerate(files):
                    os.dup2(os.open(file, os.O_RDWR | (os.O_CREAT | os.O_TRUNC if number else 0)), number)
                streams = [os.fdopen(number, "w" if number else "r") for number in range(3)]
                sys.stdin, sys.stdout, sys.stderr = streams
                os.environ.update(self.environment(**variables))
                os.chdir("/")
                sys.argv = ["fleet", *arguments]
                code = main()
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return subprocess.CompletedProcess(arguments, code, files[1].read_text(), files[2].read_text())

    def calls(self) -> list[str]:
        """Return the recorded calls of programs, and forget them."""
        path = self.root / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def secrets(self) -> dict[str, str]:
        """Return the decrypted vault."""
        return dict(yaml.safe_load(VAULT.decrypt(self.vault.read_bytes())))
