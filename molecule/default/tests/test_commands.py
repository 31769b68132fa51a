"""The verbs of `bin/fleet`, as an operator types them."""

import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import httpx
import yaml

from tests.support.live.commands import Command, environment
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import ROOT


def test_commands_run_as_the_application_with_their_words_input_and_exit_code(
    fleet: LiveFleet, command: Command
) -> None:
    script = 'id -un; echo "$1"; cat; test -n "$DATABASE_URL" || exit 1; exit 3'
    result = command("exec", "--", "sh", "-c", script, "sh", "it's $HOME", given="from stdin\n")
    assert (result.returncode, result.stderr) == (3, "")
    assert result.stdout == f"{fleet.app_name}-app\nit's $HOME\nfrom stdin\n"
    last = fleet.group("app")[-1].name
    assert command("exec", "--host", last, "--", "uname", "-n").stdout.strip() == last
    assert "=3=" in command("console", given="print('=%d=' % (1 + 2))\n").stdout


def test_a_command_has_a_terminal_if_the_operator_has_one(fleet: LiveFleet) -> None:
    output = b""

    def read(descriptor: int) -> bytes:
        nonlocal output
        chunk = os.read(descriptor, 1024)
        output += chunk
        return chunk

    before = os.environ.copy()
    os.environ.update(environment(fleet))
    try:
        words = ["exec", "--", "sh", "-c", "test -t 0 && test -t 1 && echo =terminal="]
        status = pty.spawn([str(ROOT / "bin/fleet"), *words], read)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert (os.waitstatus_to_exitcode(status), b"=terminal=" in output) == (0, True), output


def test_a_process_of_the_application_runs_once(settings: Path, command: Command) -> None:
    processes = {"hello": {"command": 'echo "hello $APP_RELEASE"', "group": "app"}}
    (settings / "zz_commands.yml").write_text(yaml.safe_dump({"app_processes": processes}))
    result = command("run", "hello", "--", "and bye")
    assert result.returncode == 0
    assert re.fullmatch(r"hello \S+ and bye\n", result.stdout)


def test_database_clients_reach_the_host_that_leads(fleet: LiveFleet, command: Command) -> None:
    query = "select current_user || ' ' || pg_is_in_recovery()"
    assert command("psql", "--", "-XAtc", query).stdout == f"{fleet.app_name}_owner false\n"
    assert command("psql", "--superuser", "--", "-XAt", given=f"{query};\n").stdout == "postgres false\n"
    assert command("redis", "--", "ACL", "WHOAMI").stdout == "admin\n"
    assert "role:master" in command("redis", "cache", "--", "INFO", "replication").stdout
    if fleet.standbys:
        assert command("psql", "--replica", "--", "-XAtc", query).stdout == f"{fleet.app_name}_owner true\n"
        assert "role:slave" in command("redis", "cache", "--replica", "--", "INFO", "replication").stdout
    else:
        assert "postgres has no replica that answers; leave out --replica" in command("psql", "--replica").stderr
    for host in fleet.group("redis"):
        assert fleet.run(host, "ls /run | grep -c fleet-verb", check=False).stdout == "0\n"


def test_logs_of_all_hosts_are_merged_by_time(fleet: LiveFleet, site: httpx.Client, command: Command) -> None:
    identity = site.get("/?commands").headers["X-Request-Id"]
    found = eventually(lambda: command("logs", "--request", identity, "--json").stdout, within=20)
    entries = [json.loads(line) for line in found.splitlines()]
    assert any(entry["process"] == "nginx" and "/?commands" in entry["message"] for entry in entries)
    result = command("logs", "--since", "1d", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    assert {entry["process"] for entry in entries} >= {"web", "worker", "beat"}
    assert {entry["host"] for entry in entries} >= {host.name for host in fleet.group("app")}
    assert [entry["time"] for entry in entries] == sorted(entry["time"] for entry in entries)
    lines = command("logs", "web", "-n", "2").stdout.splitlines()
    assert all(re.match(r"\S+Z \S+ web: ", line) for line in lines)
    assert len(command("logs", "-n", "2", "--json").stdout.splitlines()) == 2
    host = fleet.primary.name
    assert f" {host} patroni: " in command("logs", "--unit", "patroni", "--host", host).stdout


def test_logs_are_followed_until_ctrl_c(fleet: LiveFleet, site: httpx.Client) -> None:
    with subprocess.Popen(
        [ROOT / "bin/fleet", "logs", "-f", "nginx", "--grep", "followed"],
        env=environment(fleet),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        time.sleep(5)
        site.get("/?followed")
        line = process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
    assert "/?followed" in line


def test_releases_are_listed_and_a_release_that_no_host_has_is_refused(fleet: LiveFleet, command: Command) -> None:
    document = json.loads(command("releases", "--json").stdout)
    hosts = {host.name for host in fleet.group("app") + fleet.group("workers")}
    assert document["hosts"].keys() == hosts
    (current,) = {host["current"] for host in document["hosts"].values()}
    assert document["log"]
    assert current in command("releases").stdout
    refused = command("rollback", "20200101-000000-none")
    assert refused.returncode == 1
    assert "20200101-000000-none" in refused.stdout
