"""The preflight's check of the hosts: how it connects, and how it judges the answers."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plugins.action import fleet_check_hosts as check
from plugins.ports import taken_by_another
from plugins.ssh import become_command, ssh_command

TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n'
SSH_RULE = {"name": "ssh", "protocol": "tcp", "port": 22, "sources": ["198.51.100.0/24"]}


def answer(text: str = TRIXIE, connection: str = "198.51.100.7 50000 10.0.0.11 22", error: str = "") -> check.Answer:
    return check.Answer("db1", "10.0.0.11", text=f"{text}SSH_CONNECTION={connection}\n", error=error)


PLAY = SimpleNamespace(remote_user="me", private_key_file="mine", become_method=None, become_pass="")


def test_ssh_uses_the_connection_variables_of_ansible() -> None:
    variables: dict[str, Any] = {
        "ansible_host": "10.0.0.11",
        "ansible_user": "admin",
        "ansible_port": 2222,
        "ansible_ssh_private_key_file": "id",
        "ansible_ssh_common_args": "-o UserKnownHostsFile=known -J bastion",
        "ansible_ssh_args": "-o ServerAliveInterval=10",
    }
    line = " ".join(ssh_command("db1", variables, PLAY, timeout=3))
    assert "-i id -p 2222 -l admin -o UserKnownHostsFile=known -J bastion -o ServerAliveInterval=10 10.0.0.11" in line
    assert "BatchMode=yes" in line, "a password prompt must not block the run"


def test_the_command_line_and_ansible_cfg_are_used_if_the_inventory_has_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ansible.constants.config.get_config_value", lambda *_, **__: "-o ServerAliveInterval=9")
    line = " ".join(ssh_command("db1", {}, PLAY, timeout=3))
    assert "-i mine -l me -o ServerAliveInterval=9 db1" in line


SUDO = """#!/bin/sh
case "$*" in
    *" -n "*) echo "sudo: a password is required" >&2; exit 1 ;;
    *)
        read -r given
        [ "$given" = secret ] || { printf 'Sorry, try again.\nsudo: 1 incorrect password attempt\n' >&2; exit 1; }
        ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host on which kim is no administrator, and sudo wants the password `secret`."""
    for name, text in {"id": "#!/bin/sh\n[ $1 = -u ] && echo 1000 || echo kim\n", "sudo": SUDO}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(check, "ENVIRONMENT", os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    return tmp_path


def ask(variables: dict[str, Any], play: Any = PLAY) -> check.Answer:
    become, password = become_command(variables, play)
    command = ["sh", "-c", check.probe_script(variables | {"ansible_python_interpreter": sys.executable}, become)]
    return check.probe("db1", "10.0.0.11", command, password, timeout=3)


@pytest.mark.parametrize(
    ("variables", "option", "error"),
    [
        ({}, "", "sudo: a password is required"),
        ({"ansible_become_password": "wrong"}, "", "sudo: 1 incorrect password attempt"),
        ({"ansible_become_pass": "wrong"}, "secret", "sudo: 1 incorrect password attempt"),
        ({"ansible_become_password": "secret"}, "", None),
        ({}, "secret", None),  # --ask-become-pass
        ({"ansible_become_method": "su"}, "", None),
        ({"ansible_become_exe": "/missing/sudo"}, "", "sh: 1: /missing/sudo: not found"),
    ],
)
@pytest.mark.usefixtures("programs")
def test_a_user_who_cannot_become_root_is_reported(variables: dict[str, Any], option: str, error: str | None) -> None:
    play = SimpleNamespace(become_method=None, become_pass=option)
    sentences = check.cannot_work(ask(variables, play))
    start = f"db1 (ansible_host = 10.0.0.11) does not let kim become root: {error}; correct ansible_become_password"
    assert [sentence[: len(start)] for sentence in sentences] == ([start] if error else [])


@pytest.mark.usefixtures("programs")
def test_a_host_without_python_is_reported() -> None:
    command = ["sh", "-c", check.probe_script({"ansible_python_interpreter": "/usr/bin/python9"}, ["true"])]
    found = check.probe("db1", "10.0.0.11", command, "", timeout=3)
    (sentence,) = check.cannot_work(found)
    assert "python9: not found; install it there with 'apt-get install python3'" in sentence
    assert found.fields["ID"]


@pytest.mark.parametrize(
    ("fields", "taken"),
    [
        ({"LISTENS": "22 8000", "APP_SOCKET": ""}, True),
        ({"LISTENS": "22 8000 ", "APP_SOCKET": "10.0.0.21:5000 (Stream) 127.0.0.1:5000 (Stream) "}, True),
        ({"LISTENS": "22 8000", "APP_SOCKET": "10.0.0.21:8000 (Stream) 127.0.0.1:8000 (Stream)"}, False),
        ({"LISTENS": "22 18000"}, False),
        ({}, False),
    ],
)
def test_a_port_of_another_program_is_reported(fields: dict[str, str], taken: bool) -> None:
    sentences = taken_by_another(fields, "app1", "8000")
    assert [s.startswith("app_port = 8000 is in use by another program on app1 ") for s in sentences] == [True] * taken


@pytest.mark.usefixtures("programs")
def test_a_host_reports_the_ports_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        found = ask({"ansible_become_password": "secret"}).fields
        assert taken_by_another(found, "app1", port)
    assert found["APP_SOCKET"] == ""


REFUSED = "kim@bastion: Permission denied (publickey)."
FAILED_PROXY = (
    "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535\n"
)


@pytest.mark.parametrize(
    ("stderr", "error", "down"),
    [
        # Observed with OpenSSH 9.2. The first five failed at the jump host, or behind it.
        (f"Permission denied, please try again.\n{REFUSED}\n{FAILED_PROXY}", REFUSED, False),
        (f"Host key verification failed.\n{FAILED_PROXY}", "Host key verification failed.", False),
        (
            f"ssh: connect to host bastion port 22: Connection refused\n{FAILED_PROXY}",
            "ssh: connect to host bastion port 22: Connection refused",
            True,
        ),
        (
            f"channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\n{FAILED_PROXY}",
            "channel 0: open failed: connect failed: Connection refused",
            True,
        ),
        (
            "Connection timed out during banner exchange\nConnection to UNKNOWN port 65535 timed out\n",
            "Connection timed out during banner exchange",
            True,
        ),
        (
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.11 port 22\n",
            "Connection closed by 10.0.0.11 port 22",
            True,
        ),
        (
            "noise\nkim@10.0.0.11: Permission denied (publickey).\n",
            "kim@10.0.0.11: Permission denied (publickey).",
            False,
        ),
        ("", "ssh exited with status 255", False),
    ],
)
def test_a_jump_host_that_refuses_the_key_does_not_look_like_a_host_that_is_down(
    stderr: str, error: str, down: bool
) -> None:
    program = f"import sys; sys.stderr.write({stderr!r}); sys.exit(255)"
    found = check.probe("db1", "10.0.0.11", [sys.executable, "-c", program], "", timeout=3)
    assert (found.error, check.wrong_connection(found) == []) == (error, down)


def test_ssh_has_no_terminal_to_ask_for_a_password_of_a_jump_host() -> None:
    program = "import os, sys; sys.exit(f'own session: {os.getsid(0) == os.getpid()}')"
    assert check.probe("db1", "10.0.0.11", [sys.executable, "-c", program], "", timeout=3).error == "own session: True"


def test_a_host_that_accepts_and_stays_silent_counts_as_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "HANDSHAKE_SECONDS", 0)
    silent = check.probe("db1", "10.0.0.11", [sys.executable, "-c", "import time; time.sleep(9)"], "", timeout=1)
    assert silent.error.startswith("no answer within")


@pytest.mark.parametrize(
    "error",
    ["Connection timed out", "connect to host: No route to host", "Connection refused", "no answer within 23 s"],
)
def test_a_host_that_is_down_is_not_reported_as_a_connection_mistake(error: str) -> None:
    assert check.wrong_connection(answer(error=error)) == []


@pytest.mark.parametrize(
    "error", ["Permission denied (publickey).", "Host key verification failed.", "Could not resolve hostname db1"]
)
def test_a_connection_mistake_is_reported_with_address_and_reason(error: str) -> None:
    (sentence,) = check.wrong_connection(answer(error=error))
    assert (
        sentence
        == f"db1 (ansible_host = 10.0.0.11) does not answer over SSH: {error}; correct its connection variables."
    )


def test_another_system_than_debian_13_is_refused() -> None:
    assert check.wrong_system(answer(), "13") == []
    (sentence,) = check.wrong_system(
        answer('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'), "13"
    )
    assert "runs Debian GNU/Linux 12 (bookworm) instead of preflight_debian_version = 13" in sentence


@pytest.mark.parametrize(
    ("client", "port", "rules", "message"),
    [
        ("198.51.100.7", 22, [SSH_RULE], None),
        ("203.0.113.9", 22, [SSH_RULE], "is reached from 203.0.113.9/32, which is not in fleet_admin_networks"),
        ("2001:db8::9", 22, [SSH_RULE], "is reached from 2001:db8::9/128"),
        (
            "198.51.100.7",
            2222,
            [SSH_RULE],
            "listens for SSH on port 2222, which neither fleet_ports nor fleet_extra_ports ",
        ),
        ("203.0.113.9", 22, [{**SSH_RULE, "sources": ["any"]}], None),
        ("127.0.0.1", 22, [SSH_RULE], None),
        ("203.0.113.9", 22, None, None),
        ("", 22, [SSH_RULE], None),
    ],
)
def test_a_firewall_that_would_lock_ansible_out_is_refused(
    client: str, port: int, rules: list[dict[str, Any]] | None, message: str | None
) -> None:
    sentences = check.locked_out(answer(connection=client and f"{client} 50000 10.0.0.11 {port}"), rules)
    assert (message is None) == (sentences == [])
    assert message is None or message in sentences[0]


def test_a_password_login_is_refused_without_printing_the_password() -> None:
    (sentence,) = check.password_login("db1", {"ansible_password": "hunter2"})
    assert "hunter2" not in sentence
    assert check.password_login("db1", {"ansible_user": "admin"}) == []


@pytest.mark.parametrize(
    ("hours", "sentence"),
    [
        (-22, None),
        (9000, None),
        (-26, "26 hours behind this control node's, so its certificate would not be valid there yet;"),
        (9600, "9600 hours ahead of this control node's, so its certificate would not be valid there any more;"),
    ],
)
def test_a_clock_that_makes_certificates_not_valid_is_reported(hours: int, sentence: str | None) -> None:
    answer = check.Answer("db1", "10.0.0.11", text=f"CLOCK={time.time() + 3600 * hours:.0f}\n")
    found = check.cannot_work(answer)
    assert [each.partition(";")[0] + ";" for each in found] == (
        [f"db1 (ansible_host = 10.0.0.11) has a clock that is {sentence}"] if sentence else []
    )


@pytest.mark.usefixtures("programs")
def test_the_probe_reads_the_clock() -> None:
    assert abs(int(ask({"ansible_become_password": "secret"}).fields["CLOCK"]) - time.time()) < 10
