"""No value of the vault is where others than its service can read it."""

import json
import shlex
import subprocess

from tests.support.live.fleet import LiveFleet

# Gets the secrets on standard input, because arguments are public. Prints each place with the name of the secret.
SEARCH = r"""
import json, os, re, subprocess, sys
from pathlib import Path
secrets = {part.encode(): name for name, parts in json.load(sys.stdin).items() for part in parts}
pattern = re.compile(b"|".join(map(re.escape, secrets)))
found = set()
def search(place, content):
    found.update((place, secrets[match]) for match in pattern.findall(content))
def files(folders, public):
    for folder, inner, names in (entry for start in folders for entry in os.walk(start)):
        inner[:] = set(inner) - {"journal"}
        for path in (Path(folder, name) for name in names):
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                if not public or (status.st_mode & 0o004 and status.st_size < 1_000_000):
                    search(str(path), path.read_bytes())
def output(place, *command):
    search(place, subprocess.run(command, capture_output=True, check=True).stdout)
files(["/tmp", "/var/tmp", "/var/log", "/root", "/home"], False)
files(["/etc", "/opt", "/srv", "/usr/local", "/var/lib", "/var/spool"], True)
for process in Path("/proc").glob("[0-9]*/cmdline"):
    try:
        search("the arguments of a process", process.read_bytes())
    except OSError:
        pass  # it has ended
output("the journal", "journalctl", "--output=export", "--all", "--quiet")
for view in ("pg_stat_activity", "pg_stat_statements"):
    query = f"select query from {view}"
    output(view, "sudo", "-u", "postgres", "psql", "-XAtq", "--dbname=" + sys.argv[1], "--command=" + query)
print(json.dumps(sorted(found)))
"""


def test_no_secret_is_in_a_log_a_statistic_a_process_list_or_a_public_file(fleet: LiveFleet) -> None:
    # Each line of a key in PEM is as secret as the key. Certificates are public.
    secrets = {
        name: [line for line in str(value).splitlines() if len(line) > 11 and "-----" not in line]
        for name, value in fleet.secrets.items()
        if not name.endswith("_certificate")
    }
    (node,) = fleet.hosts.values()
    search = f"cd / && sudo python3 -c {shlex.quote(SEARCH)} {fleet.app_name}"
    command = [*fleet.fleet.ssh_command(node), search]
    run = subprocess.run(command, input=json.dumps(secrets), capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == []
